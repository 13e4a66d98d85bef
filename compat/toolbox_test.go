package compat

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What net/http gives to handlers, and what is usually put around them.
func TestToolbox(t *testing.T) {
	runCases(t, []testCase{
		{
			name: "ServeMux: methods, wildcards, hosts, precedence",
			build: func(r *run) http.Handler {
				mux := http.NewServeMux()
				for _, pattern := range []string{
					"/", "GET /items/{id}", "POST /items/{id}", "GET /items/special", "/files/{path...}", "GET /exact/{$}", "/dir/",
					"other.example/", "GET /b/{bucket}/o/{object...}",
				} {
					mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
						fmt.Fprintf(w, "%s id=%q path=%q bucket=%q object=%q", req.Pattern,
							req.PathValue("id"), req.PathValue("path"), req.PathValue("bucket"), req.PathValue("object"))
					})
				}
				return mux
			},
			client: func(r *run) {
				r.asks("/", "/items/7", "POST /items/7", "DELETE /items/7", "HEAD /items/7", "/items/special", "/items/a%2Fb", "/files/a/b/c",
					"/exact/", "/exact/x", "/dir", "/dir/", "/a/../b", "/b/one/o/two/three%20four", "//x")
				r.ask("GET", "/", nil, "Host", "other.example")
			},
			gets: `
--- GET /
200 OK
Content-Length: 35
Content-Type: text/plain; charset=utf-8

/ id="" path="" bucket="" object=""
--- GET /items/7
200 OK
Content-Length: 50
Content-Type: text/plain; charset=utf-8

GET /items/{id} id="7" path="" bucket="" object=""
--- POST /items/7
200 OK
Content-Length: 51
Content-Type: text/plain; charset=utf-8

POST /items/{id} id="7" path="" bucket="" object=""
--- DELETE /items/7
200 OK
Content-Length: 35
Content-Type: text/plain; charset=utf-8

/ id="" path="" bucket="" object=""
--- HEAD /items/7
200 OK
Content-Length: 50
Content-Type: text/plain; charset=utf-8
--- GET /items/special
200 OK
Content-Length: 52
Content-Type: text/plain; charset=utf-8

GET /items/special id="" path="" bucket="" object=""
--- GET /items/a%2Fb
200 OK
Content-Length: 52
Content-Type: text/plain; charset=utf-8

GET /items/{id} id="a/b" path="" bucket="" object=""
--- GET /files/a/b/c
200 OK
Content-Length: 55
Content-Type: text/plain; charset=utf-8

/files/{path...} id="" path="a/b/c" bucket="" object=""
--- GET /exact/
200 OK
Content-Length: 48
Content-Type: text/plain; charset=utf-8

GET /exact/{$} id="" path="" bucket="" object=""
--- GET /exact/x
200 OK
Content-Length: 35
Content-Type: text/plain; charset=utf-8

/ id="" path="" bucket="" object=""
--- GET /dir
307 Temporary Redirect
Content-Length: 41
Content-Type: text/html; charset=utf-8
Location: /dir/

<a href="/dir/">Temporary Redirect</a>.

--- GET /dir/
200 OK
Content-Length: 39
Content-Type: text/plain; charset=utf-8

/dir/ id="" path="" bucket="" object=""
--- GET /a/../b
307 Temporary Redirect
Content-Length: 38
Content-Type: text/html; charset=utf-8
Location: /b

<a href="/b">Temporary Redirect</a>.

--- GET /b/one/o/two/three%20four
200 OK
Content-Length: 80
Content-Type: text/plain; charset=utf-8

GET /b/{bucket}/o/{object...} id="" path="" bucket="one" object="two/three four"
--- GET //x
307 Temporary Redirect
Content-Length: 38
Content-Type: text/html; charset=utf-8
Location: /x

<a href="/x">Temporary Redirect</a>.

200 OK
Content-Length: 48
Content-Type: text/plain; charset=utf-8

other.example/ id="" path="" bucket="" object=""
`,
		}, {
			name: "StripPrefix",
			build: func(r *run) http.Handler {
				return http.StripPrefix("/app", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					fmt.Fprintf(w, "%q %q %s", req.URL.Path, req.URL.RawPath, req.RequestURI)
				}))
			},
			client: func(r *run) { r.asks("/app/x", "/app/a%2Fb", "/other") },
			gets: `
--- GET /app/x
200 OK
Content-Length: 14
Content-Type: text/plain; charset=utf-8

"/x" "" /app/x
--- GET /app/a%2Fb
200 OK
Content-Length: 26
Content-Type: text/plain; charset=utf-8

"/a/b" "/a%2Fb" /app/a%2Fb
--- GET /other
404 Not Found
Content-Length: 19
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

404 page not found
`,
		}, {
			name: "TimeoutHandler in time",
			build: func(r *run) http.Handler {
				return http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("X-Own", "1")
					w.WriteHeader(201)
					b, err := io.ReadAll(req.Body)
					fmt.Fprintf(w, "%s %v", b, err)
				}), time.Minute, "late")
			},
			send: post("hello"),
			gets: `
HTTP/1.1 201 Created
Content-Length: 11
Content-Type: text/plain; charset=utf-8
X-Own: 1

hello <nil>
`,
		}, {
			name: "TimeoutHandler too late",
			build: func(r *run) http.Handler {
				return http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					<-req.Context().Done()
					r.see("%v", req.Context().Err())
					for _, err := w.Write([]byte("x")); err == nil; _, err = w.Write([]byte("x")) {
					}
					r.signal("over")
				}), 10*time.Millisecond, "late")
			},
			client: func(r *run) {
				r.dial().exchange(get)
				r.wait("over")
			},
			sees: "context deadline exceeded",
			gets: `
HTTP/1.1 503 Service Unavailable
Content-Length: 4
Content-Type: text/plain; charset=utf-8

late
`,
		}, {
			name: "AllowQuerySemicolons",
			build: func(r *run) http.Handler {
				return http.AllowQuerySemicolons(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					fmt.Fprint(w, req.FormValue("a"), req.FormValue("b"), " ", req.RequestURI)
				}))
			},
			send: "GET /?a=1;b=2 HTTP/1.1\nHost: localhost\n\n",
			gets: `
HTTP/1.1 200 OK
Content-Length: 12
Content-Type: text/plain; charset=utf-8

12 /?a=1;b=2
`,
		}, {
			name: "semicolons that are not allowed",
			build: func(r *run) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					fmt.Fprintf(w, "%q %q", req.FormValue("a"), req.URL.Query())
				})
			},
			send: "GET /?a=1;b=2 HTTP/1.1\nHost: localhost\n\n",
			gets: `
HTTP/1.1 200 OK
Content-Length: 8
Content-Type: text/plain; charset=utf-8

"" map[]
`,
		}, {
			name: "Redirect, Error, NotFound",
			build: func(r *run) http.Handler {
				mux := http.NewServeMux()
				mux.Handle("/old", http.RedirectHandler("/new?x=1", http.StatusMovedPermanently))
				mux.HandleFunc("/sub/", func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, "../relative", 303) })
				mux.HandleFunc("/error", func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Content-Length", "3")
					http.Error(w, "no way", http.StatusForbidden)
				})
				return mux
			},
			client: func(r *run) { r.asks("/old", "/sub/x", "/error", "/missing") },
			gets: `
--- GET /old
301 Moved Permanently
Content-Length: 43
Content-Type: text/html; charset=utf-8
Location: /new?x=1

<a href="/new?x=1">Moved Permanently</a>.

--- GET /sub/x
303 See Other
Content-Length: 36
Content-Type: text/html; charset=utf-8
Location: /relative

<a href="/relative">See Other</a>.

--- GET /error
403 Forbidden
Content-Length: 7
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

no way
--- GET /missing
404 Not Found
Content-Length: 19
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

404 page not found
`,
		}, {
			name: "a middleware that compresses",
			build: func(r *run) http.Handler {
				return compressed(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					for i := range 3 {
						fmt.Fprintf(w, "piece %d,", i)
						http.NewResponseController(w).Flush()
					}
				}))
			},
			client: func(r *run) {
				client := r.goClient()
				client.Transport.(*http.Transport).DisableCompression = false
				r.do(client, r.request("GET", "/", nil))
			},
			gets: `
200 OK
[length unknown]

piece 0,piece 1,piece 2,
`,
		}, {
			name: "CrossOriginProtection",
			build: func(r *run) http.Handler {
				return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					io.WriteString(w, "passed")
				}))
			},
			client: func(r *run) {
				r.ask("POST", "/", nil, "Sec-Fetch-Site", "same-origin")
				r.ask("POST", "/", nil, "Sec-Fetch-Site", "cross-site")
			},
			gets: `
200 OK
Content-Length: 6
Content-Type: text/plain; charset=utf-8

passed
403 Forbidden
Content-Length: 57
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

cross-origin request detected from Sec-Fetch-Site header
`,
		}, {
			name: "DumpRequest",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				b, err := httputil.DumpRequest(req, true)
				r.see("%s\n%v", strings.ReplaceAll(string(b), "\r\n", "\n"), err)
				readAll(r, w, req)
			},
			send: chunkedPost + "5\nhello\n0\n\n",
			sees: `
POST / HTTP/1.1
Host: localhost
Transfer-Encoding: chunked

5
hello
0


<nil>
hello no error
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "ReverseProxy",
			build: func(r *run) http.Handler {
				return r.proxy(func(w http.ResponseWriter, req *http.Request) {
					b, err := io.ReadAll(req.Body)
					r.see("%s %s %q %v %s", req.Method, req.URL, b, err, req.Header.Get("X-Forwarded-Host"))
					w.Header().Set("Trailer", "X-Sum")
					w.Header().Set("Link", "</a.css>")
					w.WriteHeader(103)
					w.WriteHeader(202)
					io.WriteString(w, "from behind")
					w.Header().Set("X-Sum", "7")
				}, nil)
			},
			client: func(r *run) {
				r.ask("POST", "/x?y", strings.NewReader("hello"), "Host", "front.example")
				r.ask("POST", "/x?y", io.MultiReader(strings.NewReader("hello")), "Host", "front.example")
			},
			sees: `
POST /x?y "hello" <nil> front.example
POST /x?y "hello" <nil> front.example
`,
			gets: `
103 Early Hints
Link: </a.css>
Trailer: X-Sum

202 Accepted
Content-Type: text/plain; charset=utf-8
Link: </a.css>
[length unknown]

from behind
trailer X-Sum: 7
103 Early Hints
Link: </a.css>
Trailer: X-Sum

202 Accepted
Content-Type: text/plain; charset=utf-8
Link: </a.css>
[length unknown]

from behind
trailer X-Sum: 7
`,
		}, {
			name: "ReverseProxy of a stream",
			build: func(r *run) http.Handler {
				return r.proxy(func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					io.WriteString(w, "data: 1\n\n")
					w.(http.Flusher).Flush()
					r.wait("first")
					io.WriteString(w, "data: 2\n\n")
				}, nil)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				a, _ := c.head()
				a.note(r)
				c.nextChunk()
				r.signal("first")
				c.body("GET", a)
			},
			gets: `
HTTP/1.1 200 OK
Content-Type: text/event-stream
Transfer-Encoding: chunked
data: 1



data: 2
`,
		}, {
			name: "ReverseProxy to nobody",
			build: func(r *run) http.Handler {
				p := r.proxy(nil, nil)
				p.ErrorLog = log.New(io.Discard, "", 0)
				return p
			},
			client: func(r *run) { r.ask("GET", "/", nil) },
			gets: `
502 Bad Gateway
Content-Length: 0
`,
		}, {
			name: "ReverseProxy to a server that breaks off",
			build: func(r *run) http.Handler {
				p := r.proxy(func(w http.ResponseWriter, req *http.Request) {
					io.WriteString(w, "begin")
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}, nil)
				p.ErrorLog = log.New(io.Discard, "", 0)
				return p
			},
			client: func(r *run) { r.ask("GET", "/", nil) },
			gets: `
200 OK
Content-Type: text/plain; charset=utf-8
[length unknown]

begin
[cut: unexpected EOF]
`,
		}, {
			name: "ReverseProxy for a client that leaves",
			build: func(r *run) http.Handler {
				p := r.proxy(func(w http.ResponseWriter, req *http.Request) {
					r.signal("running")
					r.await("the end of the context", req.Context().Done())
				}, func(w http.ResponseWriter, req *http.Request, err error) { r.see("%v", err == context.Canceled) })
				return p
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				r.wait("running")
				c.close()
				r.rest()
			},
			sees: "true",
		}, {
			// Not both ways at once: net/http closes the body of a request when its response
			// begins, and a Transport that then still looks for the body's end gives its
			// connection up, with the response that comes on it.
			name: "ReverseProxy of a megabyte to the back end",
			build: func(r *run) http.Handler {
				return r.proxy(func(w http.ResponseWriter, req *http.Request) {
					b, err := io.ReadAll(req.Body)
					r.see("%s %v", brief(b), err)
				}, nil)
			},
			client: func(r *run) { r.ask("POST", "/", bytes.NewReader(megabyte)) },
			sees:   "[1048576 bytes, crc32 57688c87] <nil>",
			gets:   "200 OK\nContent-Length: 0\n",
		}, {
			name: "ReverseProxy of a megabyte from the back end",
			build: func(r *run) http.Handler {
				return r.proxy(func(w http.ResponseWriter, req *http.Request) { w.Write(megabyte) }, nil)
			},
			client: func(r *run) { r.ask("GET", "/", nil) },
			gets: `
200 OK
Content-Type: text/plain; charset=utf-8
[length unknown]

[1048576 bytes, crc32 57688c87]
`,
		},
	})
}

// proxy makes a proxy to a server of net/http; nil is a server that is not
// there.
func (r *run) proxy(h http.HandlerFunc, failed func(http.ResponseWriter, *http.Request, error)) *httputil.ReverseProxy {
	back := httptest.NewServer(h)
	if h == nil {
		back.Close()
	}
	transport := &http.Transport{DisableCompression: true}
	r.Cleanup(func() {
		transport.CloseIdleConnections()
		back.Close()
	})
	target, _ := url.Parse(back.URL)
	return &httputil.ReverseProxy{Transport: transport, ErrorHandler: failed, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.SetXForwarded()
	}}
}

// compressed compresses what a handler writes.
func compressed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
			h.ServeHTTP(w, req)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		h.ServeHTTP(compressor{w, z}, req)
	})
}

type compressor struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (c compressor) Write(p []byte) (int, error) { return c.z.Write(p) }
func (c compressor) FlushError() error {
	if err := c.z.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}
