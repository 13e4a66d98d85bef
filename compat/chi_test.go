package compat

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// chiProgram is what programs made with chi look like.
func chiProgram(r *run) http.Handler {
	router := chi.NewRouter()
	router.Use(
		middleware.Recoverer,
		middleware.Heartbeat("/ping"),
		middleware.CleanPath,
		middleware.GetHead,
		middleware.SetHeader("X-Program", "chi"),
	)
	router.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			wrapped := middleware.NewWrapResponseWriter(w, req.ProtoMajor)
			next.ServeHTTP(wrapped, req)
			r.see("%s %s: %d, %d bytes", req.Method, req.URL.Path, wrapped.Status(), wrapped.BytesWritten())
		})
	})
	router.Route("/items/{id:[0-9]+}", func(items chi.Router) {
		items.Get("/", func(w http.ResponseWriter, req *http.Request) {
			fmt.Fprintf(w, "item %s of %s", chi.URLParam(req, "id"), chi.RouteContext(req.Context()).RoutePattern())
		})
		items.With(middleware.AllowContentType("application/json")).Put("/", func(w http.ResponseWriter, req *http.Request) {
			var item struct{ Name string }
			if err := json.NewDecoder(req.Body).Decode(&item); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusCreated)
			json.NewEncoder(w).Encode(item)
		})
	})
	admin := chi.NewRouter()
	admin.Use(middleware.BasicAuth("admin", map[string]string{"user": "pass"}))
	admin.Get("/*", func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, chi.URLParam(req, "*")) })
	router.Mount("/admin", admin)
	router.Get("/panic", func(w http.ResponseWriter, req *http.Request) { panic(http.ErrAbortHandler) })
	router.With(middleware.Timeout(5*time.Millisecond)).Get("/slow", func(w http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	router.With(middleware.Compress(5)).Get("/compressed", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, strings.Repeat("compress me ", 1000))
	})
	router.With(middleware.Throttle(10)).Get("/events", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
	router.Handle("/files/*", http.StripPrefix("/files/", http.FileServer(http.Dir(folder(r)))))
	router.NotFound(func(w http.ResponseWriter, req *http.Request) {
		http.Error(w, "chi has no such page", http.StatusNotFound)
	})
	return router
}

func TestChi(t *testing.T) {
	runCases(t, []testCase{
		{
			name:  "routes and middlewares",
			build: chiProgram,
			client: func(r *run) {
				r.asks("/items/7", "/items//7/", "HEAD /items/7/", "DELETE /items/7/", "/items/x", "/ping", "/slow", "/admin/x")
				r.ask("GET", "/admin/a/b", nil, "Authorization", "Basic dXNlcjpwYXNz")
			},
			sees: `
GET /items/7: 200, 28 bytes
GET /items//7/: 200, 28 bytes
HEAD /items/7/: 405, 0 bytes
DELETE /items/7/: 405, 0 bytes
GET /items/x: 404, 21 bytes
GET /slow: 504, 0 bytes
GET /admin/x: 401, 0 bytes
GET /admin/a/b: 200, 3 bytes
`,
			gets: `
--- GET /items/7
200 OK
Content-Length: 28
Content-Type: text/plain; charset=utf-8
X-Program: chi

item 7 of /items/{id:[0-9]+}
--- GET /items//7/
200 OK
Content-Length: 28
Content-Type: text/plain; charset=utf-8
X-Program: chi

item 7 of /items/{id:[0-9]+}
--- HEAD /items/7/
405 Method Not Allowed
Allow: GET
Allow: PUT
X-Program: chi
[length unknown]
--- DELETE /items/7/
405 Method Not Allowed
Allow: GET
Allow: PUT
Content-Length: 0
X-Program: chi
--- GET /items/x
404 Not Found
Content-Length: 21
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff
X-Program: chi

chi has no such page
--- GET /ping
200 OK
Content-Length: 1
Content-Type: text/plain

.
--- GET /slow
504 Gateway Timeout
Content-Length: 0
X-Program: chi
--- GET /admin/x
401 Unauthorized
Content-Length: 0
Www-Authenticate: Basic realm="admin"
X-Program: chi
200 OK
Content-Length: 3
Content-Type: text/plain; charset=utf-8
X-Program: chi

a/b
`,
		}, {
			name:  "bodies",
			build: chiProgram,
			client: func(r *run) {
				r.ask("PUT", "/items/7/", strings.NewReader(`{"name":"new"}`), "Content-Type", "application/json")
				r.ask("PUT", "/items/7/", strings.NewReader(`{"name":`), "Content-Type", "application/json")
				r.ask("PUT", "/items/7/", strings.NewReader(`name=new`), "Content-Type", "application/x-www-form-urlencoded")
			},
			sees: `
PUT /items/7/: 201, 15 bytes
PUT /items/7/: 400, 15 bytes
PUT /items/7/: 415, 0 bytes
`,
			gets: `
201 Created
Content-Length: 15
Content-Type: text/plain; charset=utf-8
X-Program: chi

{"Name":"new"}
400 Bad Request
Content-Length: 15
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff
X-Program: chi

unexpected EOF
415 Unsupported Media Type
Content-Length: 0
X-Program: chi
`,
		}, {
			name:   "a stream",
			build:  chiProgram,
			client: func(r *run) { r.asks("/events") },
			sees:   "GET /events: 200, 27 bytes",
			gets: `
--- GET /events
200 OK
Content-Type: text/event-stream
X-Program: chi
[length unknown]

data: 0

data: 1

data: 2
`,
		}, {
			name:  "static files",
			build: chiProgram,
			client: func(r *run) {
				r.asks("/files/small.txt", "/files/big.bin", "/files/sub/", "/files/missing")
				r.ask("GET", "/files/big.bin", nil, "Range", "bytes=100000-299999")
			},
			sees: `
GET /files/small.txt: 200, 13 bytes
GET /files/big.bin: 200, 1048576 bytes
GET /files/sub/: 200, 14 bytes
GET /files/missing: 404, 19 bytes
GET /files/big.bin: 206, 200000 bytes
`,
			gets: `
--- GET /files/small.txt
200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: chi

a small file
--- GET /files/big.bin
200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: chi

[1048576 bytes, crc32 57688c87]
--- GET /files/sub/
200 OK
Accept-Ranges: bytes
Content-Length: 14
Content-Type: text/html; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: chi

<h1>index</h1>
--- GET /files/missing
404 Not Found
Content-Length: 19
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff
X-Program: chi

404 page not found
206 Partial Content
Accept-Ranges: bytes
Content-Length: 200000
Content-Range: bytes 100000-299999/1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: chi

[200000 bytes, crc32 a6262e21]
`,
		}, {
			name:  "compression",
			build: chiProgram,
			client: func(r *run) {
				client := r.goClient()
				client.Transport.(*http.Transport).DisableCompression = false
				r.do(client, r.request("GET", "/compressed", nil))
			},
			sees: "GET /compressed: 200, 76 bytes",
			gets: `
200 OK
Content-Type: text/plain
Vary: Accept-Encoding
X-Program: chi
[length unknown]

[12000 bytes, crc32 0ff74943]
`,
		}, {
			name:   "a handler that breaks off",
			build:  chiProgram,
			client: func(r *run) { r.asks("/panic") },
			gets: `
--- GET /panic
[no response: EOF]
`,
			but: []exception{{on: onBoth, why: brokenOff,
				gets: `
--- GET /panic
502 Bad Gateway
Content-Length: 190
Content-Type: text/html; charset=utf-8

[The program gave up on the request.]
`}},
		},
	})
}
