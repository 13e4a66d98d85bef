package compat

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// day is when all files were written.
var day = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// folder makes a folder with some files.
func folder(r *run) string {
	dir := r.TempDir()
	for name, content := range map[string]string{
		"big.bin":        string(megabyte),
		"small.txt":      "a small file\n",
		"empty":          "",
		"sub/index.html": "<h1>index</h1>",
		"sub/page.html":  "<h1>page</h1>",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			r.Fatal(err)
		}
		if err := os.Chtimes(path, day, day); err != nil {
			r.Fatal(err)
		}
	}
	for _, folder := range []string{dir, filepath.Join(dir, "sub")} {
		if err := os.Chtimes(folder, day, day); err != nil {
			r.Fatal(err)
		}
	}
	return dir
}

// fromFile answers with what do makes of a big file.
func fromFile(do func(r *run, w http.ResponseWriter, f *os.File)) func(r *run) http.Handler {
	return func(r *run) http.Handler {
		dir := folder(r)
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			f, err := os.Open(filepath.Join(dir, "big.bin"))
			if err != nil {
				r.see("%v", err)
				return
			}
			defer f.Close()
			do(r, w, f)
		})
	}
}

// Files, in all the ways in which they are served.
func TestFiles(t *testing.T) {
	file := func(name string) func(r *run) http.Handler {
		return func(r *run) http.Handler {
			path := filepath.Join(folder(r), name)
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { http.ServeFile(w, req, path) })
		}
	}
	const host = "HTTP/1.1\nHost: localhost\n"
	runCases(t, []testCase{
		{name: "ServeFile", build: file("big.bin"), send: get, gets: `
HTTP/1.1 200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

[1048576 bytes, crc32 57688c87]
`},
		{name: "ServeFile of something small", build: file("small.txt"), send: get, gets: `
HTTP/1.1 200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

a small file
`},
		{name: "ServeFile of something empty", build: file("empty"), send: get, gets: `
HTTP/1.1 200 OK
Accept-Ranges: bytes
Content-Length: 0
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
`},
		{name: "ServeFile, HEAD", build: file("big.bin"), send: "HEAD / " + host + "\n", gets: `
HTTP/1.1 200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
`},
		{name: "ServeFile, HTTP/1.0", build: file("big.bin"), send: "GET / HTTP/1.0\n\n", gets: `
HTTP/1.0 200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

[1048576 bytes, crc32 57688c87]
`,
			but: []exception{{on: onBoth, why: ownVersion,
				gets: `
HTTP/1.1 200 OK
Accept-Ranges: bytes
Connection: close
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

[1048576 bytes, crc32 57688c87]
`}}},
		{name: "a range", build: file("big.bin"), send: "GET / " + host + "Range: bytes=500000-899999\n\n", gets: `
HTTP/1.1 206 Partial Content
Accept-Ranges: bytes
Content-Length: 400000
Content-Range: bytes 500000-899999/1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

[400000 bytes, crc32 1e34aab1]
`},
		{name: "a small range", build: file("big.bin"), send: "GET / " + host + "Range: bytes=10-19\n\n", gets: `
HTTP/1.1 206 Partial Content
Accept-Ranges: bytes
Content-Length: 10
Content-Range: bytes 10-19/1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

5,6,7,8,9,
`},
		{name: "a range to the end", build: file("big.bin"), send: "GET / " + host + "Range: bytes=1048570-\n\n", gets: `
HTTP/1.1 206 Partial Content
Accept-Ranges: bytes
Content-Length: 6
Content-Range: bytes 1048570-1048575/1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

68,165
`},
		{name: "the last bytes", build: file("big.bin"), send: "GET / " + host + "Range: bytes=-100000\n\n", gets: `
HTTP/1.1 206 Partial Content
Accept-Ranges: bytes
Content-Length: 100000
Content-Range: bytes 948576-1048575/1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

[100000 bytes, crc32 c3183cb3]
`},
		{name: "a range of HEAD", build: file("big.bin"), send: "HEAD / " + host + "Range: bytes=10-19\n\n", gets: `
HTTP/1.1 206 Partial Content
Accept-Ranges: bytes
Content-Length: 10
Content-Range: bytes 10-19/1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
`},
		{name: "a range that is not there", build: file("big.bin"), send: "GET / " + host + "Range: bytes=2000000-\n\n", gets: `
HTTP/1.1 416 Requested Range Not Satisfiable
Content-Length: 33
Content-Range: bytes */1048576
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

invalid range: failed to overlap
`,
			but: []exception{{on: onServe, why: ownReason,
				gets: `
HTTP/1.1 416 Range Not Satisfiable
Content-Length: 33
Content-Range: bytes */1048576
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

invalid range: failed to overlap
`}}},
		{name: "a range if it is unchanged", build: file("big.bin"),
			send: "GET / " + host + "Range: bytes=0-3\nIf-Range: Thu, 29 Feb 2024 12:00:00 GMT\n\n", gets: `
HTTP/1.1 206 Partial Content
Accept-Ranges: bytes
Content-Length: 4
Content-Range: bytes 0-3/1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

0,1,
`},
		{name: "a range of what has changed", build: file("small.txt"),
			send: "GET / " + host + "Range: bytes=0-3\nIf-Range: Thu, 29 Feb 2024 11:00:00 GMT\n\n", gets: `
HTTP/1.1 200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

a small file
`},
		{name: "not modified", build: file("big.bin"), send: "GET / " + host + "If-Modified-Since: Thu, 29 Feb 2024 12:00:00 GMT\n\n", gets: `
HTTP/1.1 304 Not Modified
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
`},
		{name: "a condition that fails", build: file("big.bin"), send: "GET / " + host + "If-Unmodified-Since: Thu, 29 Feb 2024 11:00:00 GMT\n\n", gets: `
HTTP/1.1 412 Precondition Failed
Content-Length: 0
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
`},
		{name: "a file that is not there", build: file("missing"), send: get, gets: `
HTTP/1.1 404 Not Found
Content-Length: 19
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

404 page not found
`},
		{
			name:  "several ranges",
			build: file("big.bin"),
			client: func(r *run) {
				resp, err := r.goClient().Do(r.request("GET", "/", nil, "Range", "bytes=0-4,100000-299999,-3"))
				if err != nil {
					r.Fatal(err)
				}
				defer resp.Body.Close()
				kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
				r.get("%s %s %v, a length %v", resp.Status, kind, err, resp.ContentLength > 0)
				parts := multipart.NewReader(resp.Body, params["boundary"])
				for {
					p, err := parts.NextPart()
					if err != nil {
						r.get("%v", err)
						return
					}
					b, err := io.ReadAll(p)
					r.get("%s %s %s %v", p.Header.Get("Content-Range"), p.Header.Get("Content-Type"), brief(b), err)
				}
			},
			gets: `
206 Partial Content multipart/byteranges <nil>, a length true
bytes 0-4/1048576 application/octet-stream 0,1,2 <nil>
bytes 100000-299999/1048576 application/octet-stream [200000 bytes, crc32 a6262e21] <nil>
bytes 1048573-1048575/1048576 application/octet-stream 165 <nil>
EOF
`,
		}, {
			name:  "FileServer",
			build: func(r *run) http.Handler { return http.FileServer(http.Dir(folder(r))) },
			client: func(r *run) {
				r.asks("/", "/small.txt", "/big.bin", "HEAD /big.bin", "/sub", "/sub/", "/sub/index.html", "/missing", "/sub/../small.txt")
			},
			gets: `
--- GET /
200 OK
Content-Length: 195
Content-Type: text/html; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

<!doctype html>
<meta name="viewport" content="width=device-width">
<pre>
<a href="big.bin">big.bin</a>
<a href="empty">empty</a>
<a href="small.txt">small.txt</a>
<a href="sub/">sub/</a>
</pre>
--- GET /small.txt
200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

a small file
--- GET /big.bin
200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

[1048576 bytes, crc32 57688c87]
--- HEAD /big.bin
200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
--- GET /sub
301 Moved Permanently
Content-Length: 0
Location: sub/
--- GET /sub/
200 OK
Accept-Ranges: bytes
Content-Length: 14
Content-Type: text/html; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

<h1>index</h1>
--- GET /sub/index.html
301 Moved Permanently
Content-Length: 0
Location: ./
--- GET /missing
404 Not Found
Content-Length: 19
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

404 page not found
--- GET /sub/../small.txt
200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

a small file
`,
		}, {
			name: "FileServerFS, StripPrefix",
			build: func(r *run) http.Handler {
				return http.StripPrefix("/static", http.FileServerFS(fstest.MapFS{
					"a.css": {Data: []byte("a{}"), ModTime: day},
				}))
			},
			client: func(r *run) { r.asks("/static/a.css", "/static/b.css", "/a.css") },
			gets: `
--- GET /static/a.css
200 OK
Accept-Ranges: bytes
Content-Length: 3
Content-Type: text/css; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

a{}
--- GET /static/b.css
404 Not Found
Content-Length: 19
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

404 page not found
--- GET /a.css
404 Not Found
Content-Length: 19
Content-Type: text/plain; charset=utf-8
X-Content-Type-Options: nosniff

404 page not found
`,
		}, {
			name: "ServeContent of what is no file",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Etag", `"v1"`)
				http.ServeContent(w, req, "a.json", day, bytes.NewReader([]byte(`{"a":1}`)))
			},
			client: func(r *run) {
				r.ask("GET", "/", nil)
				r.ask("GET", "/", nil, "If-None-Match", `"v1"`)
				r.ask("GET", "/", nil, "If-Match", `"v2"`)
				r.ask("GET", "/", nil, "Range", "bytes=1-3", "If-Range", `"v1"`)
			},
			gets: `
200 OK
Accept-Ranges: bytes
Content-Length: 7
Content-Type: application/json
Etag: "v1"
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

{"a":1}
304 Not Modified
Etag: "v1"
412 Precondition Failed
Content-Length: 0
Etag: "v1"
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
206 Partial Content
Accept-Ranges: bytes
Content-Length: 3
Content-Range: bytes 1-3/7
Content-Type: application/json
Etag: "v1"
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT

"a"
`,
		}, {
			name: "a copy of a file",
			build: fromFile(func(r *run, w http.ResponseWriter, f *os.File) {
				n, err := io.Copy(w, f)
				r.see("%d %v", n, err)
				at, err := f.Seek(0, io.SeekCurrent)
				r.see("at %d %v", at, err)
			}),
			send: get,
			sees: `
1048576 <nil>
at 1048576 <nil>
`,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

[1048576 bytes, crc32 57688c87]
`,
		}, {
			name: "a part of a file, with a length",
			build: fromFile(func(r *run, w http.ResponseWriter, f *os.File) {
				w.Header().Set("Content-Length", "200000")
				f.Seek(1000, io.SeekStart)
				n, err := io.CopyN(w, f, 200_000)
				r.see("%d %v", n, err)
				at, err := f.Seek(0, io.SeekCurrent)
				r.see("at %d %v", at, err)
			}),
			send: get,
			sees: `
200000 <nil>
at 201000 <nil>
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 200000
Content-Type: text/plain; charset=utf-8

[200000 bytes, crc32 4475dcb6]
`,
		}, {
			name: "a file between other things",
			build: fromFile(func(r *run, w http.ResponseWriter, f *os.File) {
				io.WriteString(w, "before ")
				n, err := io.Copy(w, f)
				r.see("%d %v", n, err)
				io.WriteString(w, " after")
				f.Seek(-20_000, io.SeekEnd)
				n, err = io.Copy(w, f)
				r.see("%d %v", n, err)
			}),
			send: get,
			sees: `
1048576 <nil>
20000 <nil>
`,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

[1068589 bytes, crc32 9583308b]
`,
		}, {
			name: "a file that is longer than the length",
			build: fromFile(func(r *run, w http.ResponseWriter, f *os.File) {
				w.Header().Set("Content-Length", "20000")
				n, err := io.Copy(w, f)
				r.see("%d %v", n, err)
			}),
			send: get,
			sees: "1048576 <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Length: 20000
Content-Type: text/plain; charset=utf-8

[20000 bytes, crc32 c9ff585b]
[the connection ends]
`,
			but: []exception{{on: onServe, why: "What does not fit is refused before anything of it is sent.",
				sees: "0 http: wrote more than the declared Content-Length", gets: `
HTTP/1.1 200 OK
Connection: close
Content-Length: 20000
[cut: unexpected EOF]
`}, {on: onListen, why: "What does not fit is refused before anything of it is sent.",
				sees: "0 http: wrote more than the declared Content-Length", gets: `
HTTP/1.1 200 OK
Content-Length: 20000
[cut: unexpected EOF]
`}},
		}, {
			name: "a file for HEAD",
			build: fromFile(func(r *run, w http.ResponseWriter, f *os.File) {
				n, err := io.Copy(w, f)
				r.see("%d %v", n, err)
			}),
			send: "HEAD / HTTP/1.1\nHost: localhost\n\n",
			sees: "1048576 <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
`,
		}, {
			name: "a file with 204",
			build: fromFile(func(r *run, w http.ResponseWriter, f *os.File) {
				w.WriteHeader(204)
				n, err := io.Copy(w, f)
				r.see("%d %v", n, err)
			}),
			send: get,
			sees: "0 http: request method or response status code does not allow body",
			gets: "HTTP/1.1 204 No Content",
		}, {
			name: "a file that was closed too early",
			build: fromFile(func(r *run, w http.ResponseWriter, f *os.File) {
				f.Close()
				n, err := io.Copy(w, f)
				r.see("%d %v", n, err != nil)
			}),
			send: get,
			sees: "0 true",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "files one after the other, removed when they are sent",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				for i := range 20 {
					f, err := os.CreateTemp("", "compat")
					if err != nil {
						r.see("%v", err)
						return
					}
					os.Remove(f.Name())
					fmt.Fprint(f, strings.Repeat(fmt.Sprintf("%d,", i), 20_000))
					f.Seek(0, io.SeekStart)
					_, err = io.Copy(w, f)
					if err != nil {
						r.see("%v", err)
					}
					f.Close()
				}
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

[1000000 bytes, crc32 c782a7e7]
`,
		},
	})
}
