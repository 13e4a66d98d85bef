package compat

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const get = "GET / HTTP/1.1\nHost: localhost\n\n"

// givenUp is what the client of a program gets that gives up.
const givenUp = `
HTTP/1.1 502 Bad Gateway
Content-Length: 190
Content-Type: text/html; charset=utf-8

[The program gave up on the request.]
`

// What a handler writes, and what of it a client gets.
func TestResponse(t *testing.T) {
	runCases(t, []testCase{
		{
			name:   "nothing is 200 with an empty body",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {},
			send:   get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name:   "a body is 200 with its length and the type that it seems to have",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { io.WriteString(w, "<html>hello") },
			send:   get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 11
Content-Type: text/html; charset=utf-8

<html>hello
`,
		}, {
			name: "the type is guessed from the first 512 bytes of all that was written",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "%PD")
				io.WriteString(w, "F-1.4")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 8
Content-Type: application/pdf

%PDF-1.4
`,
		}, {
			name: "a type that is given is kept",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("content-type", "text/x-own")
				io.WriteString(w, "<html>")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 6
Content-Type: text/x-own

<html>
`,
		}, {
			name: "a type of nil is not guessed",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header()["Content-Type"] = nil
				io.WriteString(w, "<html>")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 6

<html>
`,
		}, {
			name: "a type is not guessed for what is encoded",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				io.WriteString(w, "\x1f\x8bx")
			},
			send: get,
			gets: "HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 3\n\n\x1f\x8bx",
		}, {
			name:   "2048 bytes get a length",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, strings.Repeat("x", 2048)) },
			send:   get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 2048
Content-Type: text/plain; charset=utf-8

[2048 bytes, crc32 6f5234cf]
`,
		}, {
			name:   "one more is chunked",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, strings.Repeat("x", 2049)) },
			send:   get,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

[2049 bytes, crc32 87689b96]
`,
		}, {
			name: "a flush makes the response chunked",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "a")
				w.(http.Flusher).Flush()
				io.WriteString(w, "b")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

ab
`,
		}, {
			name: "a flush before the body sends the head without a type",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				r.see("flush: %v", http.NewResponseController(w).Flush())
				w.Header().Set("X-Late", "1")
				io.WriteString(w, "<html>")
			},
			send: get,
			sees: "flush: <nil>",
			gets: `
HTTP/1.1 200 OK
Transfer-Encoding: chunked

<html>
`,
		}, {
			name: "a length that is given is kept",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Length", "3000")
				io.WriteString(w, strings.Repeat("x", 1000))
				w.(http.Flusher).Flush()
				io.WriteString(w, strings.Repeat("x", 2000))
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 3000
Content-Type: text/plain; charset=utf-8

[3000 bytes, crc32 98ee17e7]
`,
		}, {
			name: "more than the given length is refused",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Length", "2")
				n, err := io.WriteString(w, "ab")
				r.see("%d %v", n, err)
				n, err = io.WriteString(w, "c")
				r.see("%d %v", n, err)
			},
			send: get,
			sees: `
2 <nil>
0 http: wrote more than the declared Content-Length
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 2
Content-Type: text/plain; charset=utf-8

ab
[the connection ends]
`,
			but: []exception{{on: onBoth, why: "The response is complete, so the connection can be used again.",
				gets: `
HTTP/1.1 200 OK
Content-Length: 2
Content-Type: text/plain; charset=utf-8

ab
`}},
		}, {
			name: "less than the given length cuts the response",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Length", "5")
				io.WriteString(w, "ab")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 5
Content-Type: text/plain; charset=utf-8

ab
[cut: unexpected EOF]
`,
			but: []exception{{on: onServe, why: "The daemon has all of it when it sends the head, and says how this will end.",
				gets: `
HTTP/1.1 200 OK
Connection: close
Content-Length: 5
Content-Type: text/plain; charset=utf-8

ab
[cut: unexpected EOF]
`}},
		}, {
			name: "a length that is none is left out and logged",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Length", "two")
				io.WriteString(w, "ab")
			},
			send: get,
			logs: `: invalid Content-Length of "two"`,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

ab
`,
			but: []exception{{on: onServe, why: "The daemon finds the length itself.",
				gets: `
HTTP/1.1 200 OK
Content-Length: 2
Content-Type: text/plain; charset=utf-8

ab
`}},
		}, {
			name: "the first WriteHeader counts; another is logged with its place",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.WriteHeader(201)
				w.WriteHeader(202)
			},
			send: get,
			logs: ": superfluous response.WriteHeader call from github.com/httpsys/httpsys/compat.TestResponse",
			gets: `
HTTP/1.1 201 Created
Content-Length: 0
`,
		}, {
			name: "WriteHeader after the body has begun is superfluous",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "x")
				w.WriteHeader(500)
			},
			send: get,
			logs: ": superfluous response.WriteHeader call from ",
			gets: `
HTTP/1.1 200 OK
Content-Length: 1
Content-Type: text/plain; charset=utf-8

x
`,
		}, {
			name: "fields that are changed after WriteHeader stay as they were",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("X-Early", "1")
				w.WriteHeader(200)
				w.Header().Set("X-Early", "2")
				w.Header().Set("X-Late", "1")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
X-Early: 1
`,
		}, {
			name: "duplicates, odd spellings and odd values",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				h := w.Header()
				h.Add("x-twice", "1")
				h.Add("X-Twice", "2")
				h["x-raw"] = []string{" spaces \t"}
				h["bad name"] = []string{"dropped"}
				h["X-Nothing"] = []string{}
				h.Set("X-Empty", "")
				h.Set("X-Break", "a\r\nSet-Cookie: b=c")
				h.Set("X-Bytes", "caf\xe9 \u00e9")
			},
			send: get,
			gets: "HTTP/1.1 200 OK\nContent-Length: 0\nX-Break: a  Set-Cookie: b=c\nX-Bytes: caf\xe9 \u00e9\nX-Empty: \nX-Raw: spaces\nX-Twice: 1\nX-Twice: 2",
		}, {
			name: "HEAD has the head that GET would have",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				n, err := io.WriteString(w, "hello")
				r.see("%d %v", n, err)
			},
			send: "HEAD / HTTP/1.1\nHost: localhost\n\n",
			sees: "5 <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Length: 5
Content-Type: text/plain; charset=utf-8
`,
		}, {
			name: "HEAD of something long",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				n, err := w.Write(make([]byte, 100_000))
				r.see("%d %v", n, err)
			},
			send: "HEAD / HTTP/1.1\nHost: localhost\n\n",
			sees: "100000 <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Type: application/octet-stream
`,
		}, {
			name:   "HEAD of nothing has no length: the handler may have left the body out",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { w.Header().Set("Etag", `"1"`) },
			send:   "HEAD / HTTP/1.1\nHost: localhost\n\n",
			gets: `
HTTP/1.1 200 OK
Etag: "1"
`,
		}, {
			name:   "HEAD with a length",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { w.Header().Set("Content-Length", "1234") },
			send:   "HEAD / HTTP/1.1\nHost: localhost\n\n",
			gets: `
HTTP/1.1 200 OK
Content-Length: 1234
`,
		}, {
			name: "204 has no body and no length",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Length", "0")
				w.WriteHeader(204)
				n, err := io.WriteString(w, "x")
				r.see("%d %v", n, err)
			},
			send: get,
			sees: "0 http: request method or response status code does not allow body",
			gets: `
HTTP/1.1 204 No Content
`,
		}, {
			name: "304 keeps what identifies the content",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Etag", `"1"`)
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(304)
				n, err := io.WriteString(w, "x")
				r.see("%d %v", n, err)
			},
			send: get,
			sees: "0 http: request method or response status code does not allow body",
			gets: `
HTTP/1.1 304 Not Modified
Etag: "1"
`,
		}, {
			name:   "a status that nobody knows",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { w.WriteHeader(799) },
			send:   get,
			gets: `
HTTP/1.1 799 status code 799
Content-Length: 0
`,
			but: []exception{{on: onServe, why: "RFC 9112 4: a reason may be empty, and clients ignore it.",
				gets: `
HTTP/1.1 799 
Content-Length: 0
`}},
		}, {
			name: "103 is sent before the response, with the fields that there are",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Link", "</a.css>")
				w.WriteHeader(103)
				w.Header().Add("Link", "</b.css>")
				w.WriteHeader(103)
				io.WriteString(w, "x")
			},
			send: get,
			gets: `
HTTP/1.1 103 Early Hints
Link: </a.css>

HTTP/1.1 103 Early Hints
Link: </a.css>
Link: </b.css>

HTTP/1.1 200 OK
Content-Length: 1
Content-Type: text/plain; charset=utf-8
Link: </a.css>
Link: </b.css>

x
`,
		}, {
			name: "102 of an own making",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.WriteHeader(102)
				w.WriteHeader(404)
			},
			send: get,
			gets: `
HTTP/1.1 102 Processing

HTTP/1.1 404 Not Found
Content-Length: 0
`,
		}, {
			name: "trailers that were declared",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Trailer", "X-Sum, X-Missing")
				w.Header().Add("Trailer", "X-Other")
				io.WriteString(w, "body")
				w.Header().Set("X-Sum", "7")
				w.Header().Set("X-Other", "8")
				w.Header().Set("X-Undeclared", "9")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Trailer: X-Sum, X-Missing
Trailer: X-Other
Transfer-Encoding: chunked

body
trailer X-Other: 8
trailer X-Sum: 7
`,
		}, {
			name: "trailers that were not",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "body")
				w.(http.Flusher).Flush()
				w.Header().Set(http.TrailerPrefix+"X-Sum", "7")
				w.Header().Add(http.TrailerPrefix+"X-Sum", "8")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

body
trailer X-Sum: 7, 8
`,
		}, {
			name: "a handler may forbid the Date",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header()["Date"] = nil
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
[no Date]
`,
			but: []exception{{on: onServe, why: "The daemon answers in the name of the machine, which has a clock: RFC 9110 6.6.1 asks for the field.",
				gets: `
HTTP/1.1 200 OK
Content-Length: 0
`}},
		}, {
			name: "a handler's own Date and Server are kept",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Date", time.Unix(0, 0).UTC().Format(http.TimeFormat))
				w.Header().Set("Server", "own")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
Server: own
`,
		}, {
			name: "everything of the interfaces",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				_, a := w.(io.ReaderFrom)
				_, b := w.(io.StringWriter)
				_, c := w.(http.Flusher)
				_, d := w.(http.Hijacker)
				_, e := w.(http.CloseNotifier) // deprecated, but old middlewares ask for it
				_, f := w.(http.Pusher)
				r.see("ReaderFrom %v, StringWriter %v, Flusher %v, Hijacker %v, CloseNotifier %v, Pusher %v", a, b, c, d, e, f)
				rc := http.NewResponseController(w)
				r.see("%v %v %v %v", rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}), rc.EnableFullDuplex(), rc.Flush())
			},
			send: get,
			sees: `
ReaderFrom true, StringWriter true, Flusher true, Hijacker true, CloseNotifier true, Pusher false
<nil> <nil> <nil> <nil>
`,
			gets: `
HTTP/1.1 200 OK
Transfer-Encoding: chunked
`,
		}, {
			name: "Transfer-Encoding of a handler",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Transfer-Encoding", "chunked")
				io.WriteString(w, "hello")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Transfer-Encoding: chunked

hello
`,
			but: []exception{{on: onServe, why: "The framing of messages to the client is the daemon's.",
				gets: `
HTTP/1.1 200 OK
Content-Length: 5

hello
`}},
		}, {
			name: "Transfer-Encoding: identity of a handler ends with the connection",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Transfer-Encoding", "identity")
				io.WriteString(w, "hello")
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Connection: close

hello
`,
			but: []exception{{on: onServe, why: "The framing of messages to the client is the daemon's.",
				gets: `
HTTP/1.1 200 OK
Content-Length: 5

hello
`}},
		}, {
			name: "a panic before anything was sent",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "lost")
				panic("some reason")
			},
			send: get,
			logs: "some reason\ngoroutine ",
			gets: "[no response: EOF]",
			but: []exception{{on: onBoth, why: brokenOff,
				gets: givenUp}},
		}, {
			name: "a panic in the body",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "begin")
				w.(http.Flusher).Flush()
				panic(fmt.Errorf("some error"))
			},
			send: get,
			logs: "some error\ngoroutine ",
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

begin
[cut: unexpected EOF]
`,
		}, {
			name: "http.ErrAbortHandler is not logged",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "begin")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			},
			send: get,
			gets: `
HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Transfer-Encoding: chunked

begin
[cut: unexpected EOF]
`,
		}, {
			name:   "a status below 100 is a panic",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { w.WriteHeader(99) },
			send:   get,
			logs:   "invalid WriteHeader code 99",
			gets:   "[no response: EOF]",
			but:    []exception{{on: onBoth, gets: givenUp, why: brokenOff}},
		},
	})
}
