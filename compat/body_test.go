package compat

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// post is a request with a body.
func post(body string, fields ...string) string {
	head := "POST / HTTP/1.1\nHost: localhost\n"
	for _, f := range fields {
		head += f + "\n"
	}
	length := len(strings.ReplaceAll(body, "\n", "\r\n"))
	return fmt.Sprintf("%sContent-Length: %d\n\n%s", head, length, body)
}

const chunkedPost = "POST / HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n"

// readAll notes what there is to be read of a body.
func readAll(r *run, w http.ResponseWriter, req *http.Request) {
	b, err := io.ReadAll(req.Body)
	r.see("%s %s", brief(b), kind(err))
}

// readsOn signals when it has the first bytes, and reads on.
func readsOn(r *run, w http.ResponseWriter, req *http.Request) {
	b := make([]byte, 5)
	n, err := io.ReadFull(req.Body, b)
	r.see("%q %v", b[:n], err)
	r.signal("first")
	readAll(r, w, req)
}

// What a handler does with the body of a request.
func TestRequestBody(t *testing.T) {
	runCases(t, []testCase{
		{
			name: "all of it, and the end again and again",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				readAll(r, w, req)
				for range 2 {
					n, err := req.Body.Read(make([]byte, 1))
					r.see("%d %v", n, err)
				}
			},
			send: post("hello"),
			sees: `
hello no error
0 EOF
0 EOF
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "chunks",
			handle: readAll,
			send:   chunkedPost + "5\nhello\n1\n,\n6;a=b\n world\n0\n\n",
			sees:   "hello, world no error",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "no chunk",
			handle: readAll,
			send:   chunkedPost + "0\n\n",
			sees:   " no error",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "a piece as it arrives",
			handle: readsOn,
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nContent-Length: 10\n\nhello")
				r.wait("first")
				c.send("world")
				c.response("POST")
			},
			sees: `
"hello" <nil>
world no error
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "a chunk as it arrives",
			handle: readsOn,
			client: func(r *run) {
				c := r.dial()
				c.send(chunkedPost + "5\nhello\n")
				r.wait("first")
				c.send("5\nworld\n0\n\n")
				c.response("POST")
			},
			sees: `
"hello" <nil>
world no error
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "a part of it: the rest does not disturb the next request",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				b := make([]byte, 3)
				n, err := io.ReadFull(req.Body, b)
				r.see("%q %v", b[:n], err)
			},
			send: post("hello"),
			sees: `"hel" <nil>`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "nothing of it",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {},
			send:   post(strings.Repeat("GET / HTTP/1.1 ", 5000)),
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "nothing of it, in chunks",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { io.WriteString(w, "answer") },
			send:   chunkedPost + "5\nhello\n0\nX-Trailer: x\n\n",
			gets: `
HTTP/1.1 200 OK
Content-Length: 6
Content-Type: text/plain; charset=utf-8

answer
`,
		}, {
			name: "Close, and no reading any more",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				b := make([]byte, 3)
				n, err := io.ReadFull(req.Body, b)
				r.see("%q %v", b[:n], err)
				r.see("%v", req.Body.Close())
				n, err = req.Body.Read(b)
				r.see("%d %v %v", n, err, errors.Is(err, http.ErrBodyReadAfterClose))
				r.see("%v", req.Body.Close())
				io.WriteString(w, "answer")
			},
			send: post("hello"),
			sees: `
"hel" <nil>
<nil>
0 http: invalid Read on closed Body true
<nil>
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 6
Content-Type: text/plain; charset=utf-8

answer
`,
		}, {
			name: "Close after the end",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				readAll(r, w, req)
				r.see("%v", req.Body.Close())
				n, err := req.Body.Read(make([]byte, 1))
				r.see("%d %v", n, err)
			},
			send: post("hello"),
			sees: `
hello no error
<nil>
0 http: invalid Read on closed Body
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "no reading after the handler",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				go func() {
					defer r.signal("read")
					r.wait("answered")
					n, err := req.Body.Read(make([]byte, 1))
					r.see("%d %v", n, err)
				}()
			},
			client: func(r *run) {
				r.dial().exchange(post("hello"))
				r.signal("answered")
				r.wait("read")
			},
			sees: "0 http: invalid Read on closed Body",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "a body that is not there",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				n, err := req.Body.Read(make([]byte, 1))
				r.see("%d %v %v", n, err, req.Body.Close())
			},
			send: get,
			sees: "0 EOF <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "MaxBytesReader within its bound",
			handle: limited(5),
			send:   post("hello"),
			sees:   `"hello" <nil> false`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "MaxBytesReader beyond it",
			handle: limited(4),
			send:   post("hello"),
			sees:   `"hell" http: request body too large true`,
			gets: `
HTTP/1.1 413 Request Entity Too Large
Connection: close
Content-Length: 0
`,
			but: []exception{{on: onServe, why: "MaxBytesReader tells only net/http's own ResponseWriter to close. The daemon reads the rest, within bounds.",
				gets: `
HTTP/1.1 413 Content Too Large
Content-Length: 0
`}},
		}, {
			name: "MaxBytesHandler",
			build: func(r *run) http.Handler {
				return http.MaxBytesHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					_, err := io.ReadAll(req.Body)
					r.see("%v", err)
				}), 4)
			},
			send: post("hello"),
			sees: "http: request body too large",
			gets: `
HTTP/1.1 200 OK
Connection: close
Content-Length: 0
`,
			but: []exception{{on: onServe, why: "as with MaxBytesReader",
				gets: `
HTTP/1.1 200 OK
Content-Length: 0
`}},
		}, {
			name:   "100 Continue is sent when the handler reads",
			handle: readAll,
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 5\n\n")
				c.informational()
				c.send("hello")
				c.after(c.response("POST"))
			},
			sees: "hello no error",
			gets: `
HTTP/1.1 100 Continue

HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "100 Continue in chunks",
			handle: readAll,
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nExpect: 100-Continue\nTransfer-Encoding: chunked\n\n")
				c.informational()
				c.send("5\nhello\n0\n\n")
				c.after(c.response("POST"))
			},
			sees: "hello no error",
			gets: `
HTTP/1.1 100 Continue

HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "100 Continue is sent when the handler says so",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.WriteHeader(100)
				readAll(r, w, req)
			},
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 5\n\n")
				c.informational()
				c.send("hello")
				c.after(c.response("POST"))
			},
			sees: "hello no error",
			gets: `
HTTP/1.1 100 Continue

HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "100 Continue is not sent when the handler does not read",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { http.Error(w, "no", 403) },
			client: expectsInVain,
			gets: `
HTTP/1.1 403 Forbidden
Connection: close
Content-Length: 3
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

no
[EOF]
`,
		}, {
			name: "100 Continue is not sent after the answer",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "answer")
				w.(http.Flusher).Flush()
			},
			client: expectsInVain,
			gets: `
HTTP/1.1 200 OK
Connection: close
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

answer
[EOF]
`,
		}, {
			name:   "a client that expects 100 Continue but does not wait",
			handle: readAll,
			send:   post("hello", "Expect: 100-continue"),
			sees:   "hello no error",
			gets: `
HTTP/1.1 100 Continue

HTTP/1.1 200 OK
Content-Length: 0
`,
			but: []exception{{on: onBoth, why: "RFC 9110 10.1.1: 100 may be omitted when the content is there already.",
				gets: `
HTTP/1.1 200 OK
Content-Length: 0
`}},
		}, {
			name: "103 before 100",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.WriteHeader(103)
				readAll(r, w, req)
				io.WriteString(w, "answer")
			},
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 5\n\n")
				c.informational()
				c.informational()
				c.send("hello")
				c.after(c.response("POST"))
			},
			sees: "hello no error",
			gets: `
HTTP/1.1 103 Early Hints

HTTP/1.1 100 Continue

HTTP/1.1 200 OK
Content-Length: 6
Content-Type: text/plain; charset=utf-8

answer
`,
		}, {
			name:   "an early answer to an upload that is long",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { http.Error(w, "no", 413) },
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nContent-Length: 100000000\n\nhello")
				c.response("POST")
			},
			gets: `
HTTP/1.1 413 Request Entity Too Large
Connection: close
Content-Length: 3
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

no
`,
			but: []exception{{on: onServe, why: "The daemon reads 1 MiB of what nobody wants, since most uploads are shorter, and closes then.",
				gets: `
HTTP/1.1 413 Content Too Large
Content-Length: 3
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

no
`}},
		}, {
			name:   "an early answer, and the next request after the upload",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { io.WriteString(w, "answer") },
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nContent-Length: 200000\n\nhello")
				c.send(strings.Repeat("x", 200000-5))
				c.after(c.response("POST"))
			},
			gets: `
HTTP/1.1 200 OK
Content-Length: 6
Content-Type: text/plain; charset=utf-8

answer
`,
		}, {
			name: "echo: the answer while the body is read",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				rc := http.NewResponseController(w)
				r.see("%v", rc.EnableFullDuplex())
				b := make([]byte, 100)
				for {
					n, err := req.Body.Read(b)
					w.Write(bytes.ToUpper(b[:n]))
					rc.Flush()
					if err != nil {
						r.see("%v", err)
						return
					}
				}
			},
			client: func(r *run) {
				c := r.dial()
				c.send(chunkedPost + "3\none\n")
				a, _ := c.head()
				a.note(r)
				c.nextChunk()
				c.send("3\ntwo\n")
				c.nextChunk()
				c.send("5\nthree\n0\n\n")
				c.body("POST", a)
				c.after(false)
			},
			sees: `
<nil>
EOF
`,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked
ONE
TWO

THREE
`,
		}, {
			name: "a body that is read after the answer has begun",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "answer")
				w.(http.Flusher).Flush()
				_, err := io.ReadAll(req.Body)
				r.see("%v", err)
			},
			send: post("hello"),
			sees: "http: invalid Read on closed Body",
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

answer
`,
			but: []exception{{on: onServe, why: "net/http can read no more once it has begun to answer, but for EnableFullDuplex. Here nothing stands in the way.",
				sees: "<nil>"}},
		}, {
			name:   "a client that leaves in the middle of the body",
			handle: readsOn,
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nContent-Length: 10\n\nhello")
				r.wait("first")
				c.close()
			},
			sees: `
"hello" <nil>
 unexpected EOF
`,
		}, {
			name:   "a client that ends its side in the middle of the body",
			handle: readsOn,
			client: func(r *run) {
				c := r.dial()
				c.send(chunkedPost + "5\nhello\n")
				r.wait("first")
				c.closeWrite()
				c.response("POST")
			},
			sees: `
"hello" <nil>
 unexpected EOF
`,
			gets: `
HTTP/1.1 200 OK
Connection: close
Content-Length: 0
`,
		}, {
			name: "chunks that are none",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				b := make([]byte, 5)
				io.ReadFull(req.Body, b)
				r.signal("first")
				_, err := req.Body.Read(b)
				r.see("%q %v", b, err != nil)
				w.WriteHeader(400)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(chunkedPost + "5\nhello\n")
				r.wait("first")
				c.send("xyz\n")
				c.after(c.response("POST"))
			},
			sees: `"hello" true`,
			gets: `
HTTP/1.1 400 Bad Request
Connection: close
Content-Length: 0
`,
			but: []exception{{on: onBoth, why: "Nobody can tell what else this client says, so the daemon answers in place of the handler.",
				gets: `
HTTP/1.1 400 Bad Request
Connection: close
Content-Length: 206
Content-Type: text/html; charset=utf-8

[A chunk size is not a hexadecimal number in bounds.]
`}},
		}, {
			name: "a read deadline",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				rc := http.NewResponseController(w)
				r.see("%v", rc.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
				b, err := io.ReadAll(req.Body)
				r.see("%q %s", b, kind(err))
				w.WriteHeader(http.StatusRequestTimeout)
			},
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nContent-Length: 10\n\nhello")
				c.response("POST")
			},
			sees: `
<nil>
"hello" timeout
`,
			gets: `
HTTP/1.1 408 Request Timeout
Connection: close
Content-Length: 0
`,
			but: []exception{{on: onServe, why: "The handler has given up on the body, and the daemon reads the rest.",
				gets: `
HTTP/1.1 408 Request Timeout
Content-Length: 0
`}},
		}, {
			name: "a read deadline that is taken back",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				rc := http.NewResponseController(w)
				rc.SetReadDeadline(time.Now().Add(time.Hour))
				rc.SetReadDeadline(time.Time{})
				readAll(r, w, req)
			},
			send: post("hello"),
			sees: "hello no error",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "a megabyte with a length",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				h := crc32.NewIEEE()
				n, err := io.Copy(h, req.Body)
				fmt.Fprintf(w, "%d %08x %v", n, h.Sum32(), err)
			},
			client: func(r *run) { r.ask("PUT", "/", bytes.NewReader(megabyte)) },
			gets: `
200 OK
Content-Length: 22
Content-Type: text/plain; charset=utf-8

1048576 57688c87 <nil>
`,
		}, {
			name: "a megabyte in chunks",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				h := crc32.NewIEEE()
				n, err := io.Copy(h, req.Body)
				fmt.Fprintf(w, "%d %08x %v", n, h.Sum32(), err)
			},
			client: func(r *run) { r.ask("PUT", "/", io.MultiReader(bytes.NewReader(megabyte))) },
			gets: `
200 OK
Content-Length: 22
Content-Type: text/plain; charset=utf-8

1048576 57688c87 <nil>
`,
		}, {
			name: "a megabyte and back",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				http.NewResponseController(w).EnableFullDuplex()
				_, err := io.Copy(w, req.Body)
				r.see("%v", err)
			},
			client: func(r *run) { r.ask("PUT", "/", bytes.NewReader(megabyte)) },
			sees:   "<nil>",
			gets: `
200 OK
Content-Type: text/plain; charset=utf-8
[length unknown]

[1048576 bytes, crc32 57688c87]
`,
		},
	})
}

// megabyte is 1 MiB in which no two pieces are the same.
var megabyte = func() []byte {
	b := make([]byte, 0, 1<<20+16)
	for i := 0; len(b) < 1<<20; i++ {
		b = fmt.Appendf(b, "%d,", i)
	}
	return b[:1<<20]
}()

// limited reads no more than n bytes.
func limited(n int64) func(r *run, w http.ResponseWriter, req *http.Request) {
	return func(r *run, w http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, n))
		var tooLarge *http.MaxBytesError
		r.see("%q %v %v", b, err, errors.As(err, &tooLarge))
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	}
}

// expectsInVain waits for 100 Continue, gets an answer instead, and leaves.
func expectsInVain(r *run) {
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 5\n\n")
	c.response("POST")
	c.closeWrite()
	c.end()
}
