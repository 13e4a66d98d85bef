package compat

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// wrapper is what middlewares put around a ResponseWriter.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// What a client sees of a response while it is made.
func TestStreaming(t *testing.T) {
	runCases(t, []testCase{
		{
			name: "a flush is visible at once",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				for i := range 3 {
					fmt.Fprintf(w, "piece %d", i)
					w.(http.Flusher).Flush()
					r.wait(fmt.Sprint("got ", i))
				}
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				a, _ := c.head()
				a.note(r)
				for i := range 3 {
					c.nextChunk()
					r.signal(fmt.Sprint("got ", i))
				}
				c.body("GET", a)
				c.after(false)
			},
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked
piece 0
piece 1
piece 2
`,
		}, {
			name: "a flush of the head alone",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Length", "4")
				w.WriteHeader(200)
				http.NewResponseController(w).Flush()
				r.wait("head")
				io.WriteString(w, "body")
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				a, _ := c.head()
				a.note(r)
				r.signal("head")
				c.body("GET", a)
				c.after(false)
			},
			gets: `
HTTP/1.1 200 OK
Content-Length: 4

body
`,
		}, {
			name: "a flush through a middleware",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				wrapped := wrapper{w}
				io.WriteString(wrapped, "piece")
				rc := http.NewResponseController(wrapped)
				r.see("%v %v", rc.Flush(), rc.SetWriteDeadline(time.Time{}))
				r.wait("got")
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				a, _ := c.head()
				a.note(r)
				c.nextChunk()
				r.signal("got")
				c.body("GET", a)
			},
			sees: "<nil> <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked
piece
`,
		}, {
			name: "early hints are visible at once",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Link", "</a.css>; rel=preload")
				w.WriteHeader(103)
				r.wait("hint")
				w.Header().Del("Link")
				w.WriteHeader(204)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				c.informational()
				r.signal("hint")
				c.after(c.response("GET"))
			},
			gets: `
HTTP/1.1 103 Early Hints
Link: </a.css>; rel=preload

HTTP/1.1 204 No Content
`,
		}, {
			name: "server-sent events",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Cache-Control", "no-store")
				for i := 0; ; i++ {
					fmt.Fprintf(w, "id: %d\ndata: event %d\n\n", i, i)
					if err := http.NewResponseController(w).Flush(); err != nil {
						return
					}
					select {
					case <-r.event(fmt.Sprint("next ", i)):
					case <-req.Context().Done():
						r.see("%v after event %d", req.Context().Err(), i)
						return
					}
				}
			},
			client: func(r *run) {
				client := r.goClient()
				resp, err := client.Do(r.request("GET", "/", nil, "Accept", "text/event-stream"))
				if err != nil {
					r.Fatal(err)
				}
				defer resp.Body.Close()
				r.noteFields("", resp.Header)
				events := bufio.NewScanner(resp.Body)
				for i := range 4 {
					for events.Scan() && events.Text() != "" {
						r.get("%s", events.Text())
					}
					if i < 3 {
						r.signal(fmt.Sprint("next ", i))
					}
				}
			},
			sees: "context canceled after event 3",
			gets: `
Cache-Control: no-store
Content-Type: text/event-stream
id: 0
data: event 0
id: 1
data: event 1
id: 2
data: event 2
id: 3
data: event 3
`,
		}, {
			name: "a write deadline ends a response that nobody reads",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				rc := http.NewResponseController(w)
				r.see("%v", rc.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
				var err error
				for range 1000 {
					if _, err = w.Write(megabyte); err != nil {
						break
					}
				}
				r.see("%s", kind(err))
				r.signal("written")
			},
			client: func(r *run) {
				c := r.dial()
				c.c.SetReadBuffer(4096)
				c.send(get)
				r.wait("written")
				c.close()
			},
			sees: `
<nil>
timeout
`,
		}, {
			name: "a write deadline that was not met lets nothing out",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second))
				io.WriteString(w, "late")
			},
			send: get,
			gets: "[no response: EOF]",
			but: []exception{{on: onBoth, why: brokenOff,
				gets: `
HTTP/1.1 502 Bad Gateway
Content-Length: 190
Content-Type: text/html; charset=utf-8

[The program gave up on the request.]
`}},
		}, {
			name: "a write deadline that is taken back",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				rc := http.NewResponseController(w)
				rc.SetWriteDeadline(time.Now().Add(time.Hour))
				rc.SetWriteDeadline(time.Time{})
				io.WriteString(w, "in time")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 7
Content-Type: text/plain; charset=utf-8

in time
`,
		}, {
			name: "ReadFrom takes what comes, as it comes",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				pr, pw := io.Pipe()
				go func() {
					io.WriteString(pw, "one,")
					io.WriteString(pw, strings.Repeat("two,", 10_000))
					pw.Close()
				}()
				n, err := io.Copy(w, pr)
				r.see("%d %v", n, err)
			},
			send: get,
			sees: "40004 <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

[40004 bytes, crc32 294084c4]
`,
		}, {
			name: "ReadFrom of a source that breaks",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				n, err := io.Copy(w, io.MultiReader(strings.NewReader("begin"), failing{}))
				r.see("%d %v", n, err)
			},
			send: get,
			sees: "5 broken source",
			gets: `
HTTP/1.1 200 OK
Content-Length: 5
Content-Type: text/plain; charset=utf-8

begin
`,
		}, {
			name: "many small writes",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				for i := range 10_000 {
					fmt.Fprintf(w, "%d,", i)
				}
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

[48890 bytes, crc32 5138f796]
`,
		}, {
			name: "a megabyte in one write",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				n, err := w.Write(megabyte)
				r.see("%d %v", n, err)
			},
			send: get,
			sees: "1048576 <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

[1048576 bytes, crc32 57688c87]
`,
		}, {
			name: "a megabyte in one string with a length",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(megabyte)))
				n, err := io.WriteString(w, string(megabyte))
				r.see("%d %v", n, err)
			},
			send: get,
			sees: "1048576 <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Length: 1048576
Content-Type: text/plain; charset=utf-8

[1048576 bytes, crc32 57688c87]
`,
		},
	})
}

// failing is a reader that fails.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("broken source") }
