package compat

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Many requests: one after the other, at once, ahead of their answers.
func TestMany(t *testing.T) {
	runCases(t, []testCase{
		{
			name: "pipelined requests are answered in order",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				b, err := io.ReadAll(req.Body)
				fmt.Fprintf(w, "%s %q %v", req.URL.Path, b, err)
			},
			client: func(r *run) {
				c := r.dial()
				c.send("GET /1 HTTP/1.1\nHost: localhost\n\n" +
					"POST /2 HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello" +
					"HEAD /3 HTTP/1.1\nHost: localhost\n\n" +
					"POST /4 HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n" +
					"GET /5 HTTP/1.1\nHost: localhost\nConnection: close\n\n" +
					"GET /never HTTP/1.1\nHost: localhost\n\n")
				for _, method := range []string{"GET", "POST", "HEAD", "POST"} {
					c.response(method)
					r.get("")
				}
				c.after(c.response("GET"))
			},
			gets: `
HTTP/1.1 200 OK
Content-Length: 11
Content-Type: text/plain; charset=utf-8

/1 "" <nil>

HTTP/1.1 200 OK
Content-Length: 16
Content-Type: text/plain; charset=utf-8

/2 "hello" <nil>

HTTP/1.1 200 OK
Content-Length: 11
Content-Type: text/plain; charset=utf-8

HTTP/1.1 200 OK
Content-Length: 16
Content-Type: text/plain; charset=utf-8

/4 "hello" <nil>

HTTP/1.1 200 OK
Connection: close
Content-Length: 11
Content-Type: text/plain; charset=utf-8

/5 "" <nil>
`,
		}, {
			name:   "500 pipelined requests in two pieces",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { io.WriteString(w, req.URL.Path) },
			client: func(r *run) {
				c := r.dial()
				var all strings.Builder
				for i := range 500 {
					fmt.Fprintf(&all, "GET /%d HTTP/1.1\nHost: localhost\n\n", i)
				}
				half := all.Len()/2 + 3
				c.send(all.String()[:half])
				go c.send(all.String()[half:])
				for i := range 500 {
					resp, err := http.ReadResponse(c.br, nil)
					if err != nil {
						r.Fatal(err)
					}
					b, err := io.ReadAll(resp.Body)
					if string(b) != fmt.Sprint("/", i) || err != nil {
						r.Fatalf("response %d: %q %v", i, b, err)
					}
				}
			},
		}, {
			name:   "one connection for many requests",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { io.WriteString(w, req.RemoteAddr) },
			client: func(r *run) {
				client := r.goClient()
				seen := map[string]int{}
				for range 200 {
					resp, err := client.Get(r.url("/"))
					if err != nil {
						r.Fatal(err)
					}
					b, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					seen[string(b)]++
				}
				r.get("%d address", len(seen))
			},
			gets: "1 address",
		}, {
			name: "requests at once meet each other",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				r.signal("at " + req.URL.Path)
				for i := range 20 {
					r.wait(fmt.Sprint("at /", i))
				}
				io.WriteString(w, req.URL.Path)
			},
			client: func(r *run) {
				r.atOnce(20, func(i int, client *http.Client) error {
					resp, err := client.Get(r.url(fmt.Sprint("/", i)))
					return expect(resp, err, fmt.Sprint("/", i))
				})
			},
		}, {
			name: "bodies both ways at once keep to themselves",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				h := crc32.NewIEEE()
				n, err := io.Copy(h, req.Body)
				size, _ := strconv.Atoi(req.URL.Query().Get("size"))
				fmt.Fprintf(w, "%d %08x %v ", n, h.Sum32(), err)
				w.Write(megabyte[:size])
			},
			client: func(r *run) {
				r.atOnce(16, func(i int, client *http.Client) error {
					for j := range 8 {
						sent, size := megabyte[i*1000:i*1000+(j*j*j*i)%70_000], (i*j*977)%50_000
						resp, err := client.Post(r.url(fmt.Sprint("/?size=", size)), "application/octet-stream", bytes.NewReader(sent))
						want := fmt.Sprintf("%d %08x %v %s", len(sent), crc32.ChecksumIEEE(sent), nil, megabyte[:size])
						if err := expect(resp, err, want); err != nil {
							return err
						}
					}
					return nil
				})
			},
		},
	})
}

// atOnce runs n clients at once.
func (r *run) atOnce(n int, f func(i int, client *http.Client) error) {
	var all sync.WaitGroup
	for i := range n {
		client := r.goClient()
		all.Go(func() {
			if err := f(i, client); err != nil {
				r.Errorf("client %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// expect checks the body of a response.
func expect(resp *http.Response, err error, want string) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && string(b) != want {
		err = fmt.Errorf("got %s, want %s", brief(b), brief([]byte(want)))
	}
	return err
}
