package compat

import (
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// describe notes what a handler sees of a request.
func describe(r *run, w http.ResponseWriter, req *http.Request) {
	r.see("%s %s %s %d.%d", req.Method, req.RequestURI, req.Proto, req.ProtoMajor, req.ProtoMinor)
	r.see("URL %s: path %q, raw path %q, query %q, host %q", req.URL, req.URL.Path, req.URL.RawPath, req.URL.RawQuery, req.URL.Host)
	r.see("host %q, length %d, coding %q, close %v, TLS %v, no body %v",
		req.Host, req.ContentLength, req.TransferEncoding, req.Close, req.TLS != nil, req.Body == http.NoBody)
	seeFields(r, "", req.Header)
	seeFields(r, "trailer ", req.Trailer)
}

func seeFields(r *run, prefix string, h http.Header) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		r.see("%s%s: %q", prefix, name, h[name])
	}
}

const ok = "HTTP/1.1 200 OK\nContent-Length: 0"

// What a client sends, and what of it a handler sees.
func TestRequest(t *testing.T) {
	runCases(t, []testCase{
		{
			name:   "the least",
			handle: describe,
			send:   "GET / HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
GET / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "field names become canonical, values stay, duplicates keep their order",
			handle: describe,
			send:   "GET / HTTP/1.1\nhost: localhost\nACCEPT: a\nx-one:  1 \nX-One: 2\nx_under: u\nX-Empty:\nx-ONE: 3\nX-Bytes: caf\xe9\n\n",
			gets:   ok,
			sees: `
GET / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
Accept: ["a"]
X-Bytes: ["caf\xe9"]
X-Empty: [""]
X-One: ["1" "2" "3"]
X_under: ["u"]
`,
		}, {
			name:   "an escaped path and a query",
			handle: describe,
			send:   "GET /a%20b%2Fc/%C3%A9?x=1&y=%20&x=2 HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
GET /a%20b%2Fc/%C3%A9?x=1&y=%20&x=2 HTTP/1.1 1.1
URL /a%20b%2Fc/%C3%A9?x=1&y=%20&x=2: path "/a b/c/é", raw path "/a%20b%2Fc/%C3%A9", query "x=1&y=%20&x=2", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "an empty query",
			handle: describe,
			send:   "GET /x? HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
GET /x? HTTP/1.1 1.1
URL /x?: path "/x", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "a query with everything",
			handle: describe,
			send:   "GET /?a=/?:@-._~!$&'()*+,;=%zz HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
GET /?a=/?:@-._~!$&'()*+,;=%zz HTTP/1.1 1.1
URL /?a=/?:@-._~!$&'()*+,;=%zz: path "/", raw path "", query "a=/?:@-._~!$&'()*+,;=%zz", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "paths are not cleaned",
			handle: describe,
			send:   "GET //a/./b/../c//d HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
GET //a/./b/../c//d HTTP/1.1 1.1
URL //a/./b/../c//d: path "//a/./b/../c//d", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "absolute form",
			handle: describe,
			send:   "GET http://example.com/x?y HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
GET http://example.com/x?y HTTP/1.1 1.1
URL http://example.com/x?y: path "/x", raw path "", query "y", host "example.com"
host "example.com", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "absolute form with a port and without a path",
			handle: describe,
			send:   "GET http://example.com:81 HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
GET http://example.com:81 HTTP/1.1 1.1
URL http://example.com:81: path "", raw path "", query "", host "example.com:81"
host "example.com:81", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "OPTIONS of a path",
			handle: describe,
			send:   "OPTIONS /x HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
OPTIONS /x HTTP/1.1 1.1
URL /x: path "/x", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "OPTIONS of the server is not for handlers",
			handle: describe,
			send:   "OPTIONS * HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
		}, {
			name:   "a method of nobody's",
			handle: describe,
			send:   "BREW /pot HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
BREW /pot HTTP/1.1 1.1
URL /pot: path "/pot", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name: "CONNECT",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				describe(r, w, req)
				w.WriteHeader(http.StatusMethodNotAllowed)
			},
			send: "CONNECT example.com:443 HTTP/1.1\nHost: example.com:443\n\n",
			gets: "HTTP/1.1 405 Method Not Allowed\nContent-Length: 0",
			sees: `
CONNECT example.com:443 HTTP/1.1 1.1
URL //example.com:443: path "", raw path "", query "", host "example.com:443"
host "example.com:443", length 0, coding [], close false, TLS false, no body true
`,
			but: []exception{{on: onBoth, why: "What a client sends behind CONNECT may be meant for the tunnel.",
				gets: `
HTTP/1.1 405 Method Not Allowed
Connection: close
Content-Length: 0
`}},
		}, {
			name:   "Host is as the client writes it",
			handle: describe,
			send:   "GET / HTTP/1.1\nHost: EXAMPLE.com:8080\n\n",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
			sees: `
GET / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "EXAMPLE.com:8080", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name:   "HTTP/1.0 without a Host",
			handle: describe,
			send:   "GET / HTTP/1.0\n\n",
			gets: `
HTTP/1.0 200 OK
Content-Length: 0
`,
			sees: `
GET / HTTP/1.0 1.0
URL /: path "/", raw path "", query "", host ""
host "", length 0, coding [], close true, TLS false, no body true
`,
			but: []exception{{on: onBoth, why: ownVersion,
				gets: `
HTTP/1.1 200 OK
Connection: close
Content-Length: 0
`}},
		}, {
			name:   "HTTP/1.0 that wants to stay",
			handle: describe,
			send:   "GET / HTTP/1.0\nHost: localhost\nConnection: keep-alive\n\n",
			gets: `
HTTP/1.0 200 OK
Connection: keep-alive
Content-Length: 0
`,
			sees: `
GET / HTTP/1.0 1.0
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
Connection: ["keep-alive"]
`,
			but: []exception{{on: onBoth, why: ownVersion,
				gets: `
HTTP/1.1 200 OK
Connection: keep-alive
Content-Length: 0
`}},
		}, {
			name: "HTTP/1.0 gets no chunks",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				io.WriteString(w, "a")
				w.(http.Flusher).Flush()
				io.WriteString(w, "b")
			},
			send: "GET / HTTP/1.0\nConnection: keep-alive\n\n",
			gets: `
HTTP/1.0 200 OK
Content-Type: text/plain; charset=utf-8

ab
`,
			but: []exception{{on: onBoth, why: ownVersion,
				gets: `
HTTP/1.1 200 OK
Connection: close
Content-Type: text/plain; charset=utf-8

ab
`}},
		}, {
			name: "HTTP/1.0 gets no informational response",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.WriteHeader(103)
				w.WriteHeader(204)
			},
			send: "GET / HTTP/1.0\n\n",
			gets: `
HTTP/1.0 103 Early Hints

HTTP/1.0 204 No Content
`,
			but: []exception{{on: onBoth, why: "RFC 9110 15.2: a server must not send 1xx to a client of HTTP/1.0.",
				gets: `
HTTP/1.1 204 No Content
Connection: close
`}},
		}, {
			name:   "Connection: close of the client",
			handle: describe,
			send:   "GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n",
			gets: `
HTTP/1.1 200 OK
Connection: close
Content-Length: 0
`,
			sees: `
GET / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close true, TLS false, no body true
Connection: ["close"]
`,
		}, {
			name:   "Connection: close of the handler",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { w.Header().Set("Connection", "close") },
			send:   get,
			gets: `
HTTP/1.1 200 OK
Connection: close
Content-Length: 0
`,
		}, {
			name:   "Connection with other options",
			handle: describe,
			send:   "GET / HTTP/1.1\nHost: localhost\nConnection: keep-alive, x-hop, TE\nKeep-Alive: timeout=5\nX-Hop: 1\nTE: trailers\n\n",
			gets:   ok,
			sees: `
GET / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
Connection: ["keep-alive, x-hop, TE"]
Keep-Alive: ["timeout=5"]
Te: ["trailers"]
X-Hop: ["1"]
`,
		}, {
			name:   "Pragma speaks for Cache-Control",
			handle: describe,
			send:   "GET / HTTP/1.1\nHost: localhost\nPragma: no-cache\n\n",
			gets:   ok,
			sees: `
GET / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
Cache-Control: ["no-cache"]
Pragma: ["no-cache"]
`,
		}, {
			name:   "an upgrade that nobody takes",
			handle: describe,
			send:   "GET / HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\n\n",
			gets:   ok,
			sees: `
GET / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
Connection: ["Upgrade"]
Upgrade: ["websocket"]
`,
		}, {
			name:   "a body with a length",
			handle: describe,
			send:   "POST / HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello",
			gets:   ok,
			sees: `
POST / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 5, coding [], close false, TLS false, no body false
Content-Length: ["5"]
`,
		}, {
			name:   "a body of nothing",
			handle: describe,
			send:   "POST / HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n",
			gets:   ok,
			sees: `
POST / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
Content-Length: ["0"]
`,
		}, {
			name:   "POST without a word about a body",
			handle: describe,
			send:   "POST / HTTP/1.1\nHost: localhost\n\n",
			gets:   ok,
			sees: `
POST / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length 0, coding [], close false, TLS false, no body true
`,
		}, {
			name: "a chunked body with trailers",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				describe(r, w, req)
				b, err := io.ReadAll(req.Body)
				r.see("%q %v", b, err)
				seeFields(r, "trailer ", req.Trailer)
			},
			send: "POST / HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nTrailer: X-Sum, x-none\n\n5\nhello\n6;ext=1\n world\n0\nX-Sum: 7\nX-Undeclared: 8\n\n",
			gets: ok,
			sees: `
POST / HTTP/1.1 1.1
URL /: path "/", raw path "", query "", host ""
host "localhost", length -1, coding ["chunked"], close false, TLS false, no body false
trailer X-None: []
trailer X-Sum: []
"hello world" <nil>
trailer X-None: []
trailer X-Sum: ["7"]
trailer X-Undeclared: ["8"]
`,
		}, {
			name: "GET with a body",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				b, err := io.ReadAll(req.Body)
				r.see("%d %q %v", req.ContentLength, b, err)
			},
			send: "GET / HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello",
			sees: `5 "hello" <nil>`,
			gets: ok,
		}, {
			name: "addresses, and what the context knows",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				local, _ := req.Context().Value(http.LocalAddrContextKey).(net.Addr)
				_, isServer := req.Context().Value(http.ServerContextKey).(*http.Server)
				_, deadline := req.Context().Deadline()
				fmt.Fprint(w, req.RemoteAddr, " ", local, " ", isServer)
				r.see("network %s, deadline %v, error %v, cause %v", local.Network(), deadline, req.Context().Err(), context.Cause(req.Context()))
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				resp, err := http.ReadResponse(c.br, nil)
				if err != nil {
					r.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				if want := fmt.Sprint(c.c.LocalAddr(), " ", r.addr, " ", true); string(body) != want {
					r.Errorf("got %s, want %s", body, want)
				}
			},
			sees: "network tcp, deadline false, error <nil>, cause <nil>",
		}, {
			name: "a form in the body and in the query",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				r.see("%v", req.ParseForm())
				r.see("%v %v %q", req.Form, req.PostForm, req.FormValue("both"))
			},
			send: "POST /?both=1&q=2 HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 21\n\nboth=3&text=a+b%26%C3",
			sees: "<nil>\nmap[both:[3 1] q:[2] text:[a b&\xc3]] map[both:[3] text:[a b&\xc3]] \"3\"",
			gets: ok,
		}, {
			name: "cookies both ways, authorization, agent and referrer",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				for _, c := range req.Cookies() {
					r.see("%s=%s", c.Name, c.Value)
				}
				user, password, ok := req.BasicAuth()
				r.see("%s %s %v %s %s", user, password, ok, req.UserAgent(), req.Referer())
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "x y", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
				http.SetCookie(w, &http.Cookie{Name: "b", MaxAge: -1})
			},
			send: "GET / HTTP/1.1\nHost: localhost\nCookie: a=1; b=\"2\"\nCookie: c=3\nAuthorization: Basic dXNlcjpwYXNz\nUser-Agent: agent\nReferer: http://localhost/from\n\n",
			sees: `
a=1
b=2
c=3
user pass true agent http://localhost/from
`,
			gets: ok + `
Set-Cookie: a="x y"; Path=/; HttpOnly; SameSite=Lax
Set-Cookie: b=; Max-Age=0`,
		}, {
			name: "a multipart upload",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				r.see("%v", req.ParseMultipartForm(1<<10))
				f, h, err := req.FormFile("file")
				if err != nil {
					r.see("%v", err)
					return
				}
				defer f.Close()
				b, err := io.ReadAll(f)
				r.see("%s %d %s %v %q", h.Filename, h.Size, brief(b), err, req.FormValue("text"))
			},
			client: func(r *run) {
				pr, pw := io.Pipe()
				form := multipart.NewWriter(pw)
				go func() {
					form.WriteField("text", "some text")
					part, _ := form.CreateFormFile("file", "a.bin")
					io.WriteString(part, strings.Repeat("0123456789", 30_000))
					form.Close()
					pw.Close()
				}()
				r.ask("POST", "/", pr, "Content-Type", form.FormDataContentType())
			},
			sees: `
<nil>
a.bin 300000 [300000 bytes, crc32 4e6e8601] <nil> "some text"
`,
			gets: `
200 OK
Content-Length: 0
`,
		}, {
			name: "a multipart upload, part by part",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				parts, err := req.MultipartReader()
				if err != nil {
					r.see("%v", err)
					return
				}
				for {
					p, err := parts.NextPart()
					if err != nil {
						r.see("%v", err)
						return
					}
					b, err := io.ReadAll(p)
					r.see("%s %q %v", p.FormName(), b, err)
				}
			},
			send: post("--B\nContent-Disposition: form-data; name=\"a\"\n\n1\n"+
				"--B\nContent-Disposition: form-data; name=\"b\"; filename=\"f\"\n\n22\n--B--\n",
				"Content-Type: multipart/form-data; boundary=B"),
			sees: `
a "1" <nil>
b "22" <nil>
EOF
`,
			gets: ok,
		}, {
			name: "WithContext, Clone and SetPathValue",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				type key struct{}
				other := req.Clone(context.WithValue(req.Context(), key{}, "value"))
				other.Header.Set("X-New", "1")
				other.SetPathValue("id", "7")
				b, err := io.ReadAll(other.Body)
				r.see("%v %q %q %q %v", other.Context().Value(key{}), req.Header.Get("X-New"), other.PathValue("id"), b, err)
			},
			send: "POST / HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello",
			sees: `value "" "7" "hello" <nil>`,
			gets: ok,
		},
	})
}

// What is no request, or none that is to be answered, does not reach handlers;
// nor does what comes after it on the connection.
func TestRefusedRequest(t *testing.T) {
	const host = "HTTP/1.1\nHost: localhost\n"
	var cases []testCase
	for _, c := range []struct {
		name, send, gets string
		raw              string // send, with line ends as they are
		but              []exception
	}{
		{name: "no Host", send: "GET / HTTP/1.1\n\n", gets: "400, closes"},
		{name: "two Hosts", send: "GET / HTTP/1.1\nHost: a\nHost: b\n\n", gets: "400, closes"},
		{name: "a Host that is none", send: "GET / HTTP/1.1\nHost: a b\n\n", gets: "400, closes"},
		{name: "no target", send: "GET " + host + "\n", gets: "400, closes"},
		{name: "a target that is no path", send: "GET x " + host + "\n", gets: "400, closes"},
		{name: "a version of the future", send: "GET / HTTP/3.1\nHost: localhost\n\n", gets: "505, closes"},
		{name: "a space before the colon", send: "GET / " + host + "X-A : b\n\n", gets: "400, closes"},
		{name: "a field without a colon", send: "GET / " + host + "X-A\n\n", gets: "400, closes"},
		{name: "a control character", send: "GET / " + host + "X-A: b\x00c\n\n", gets: "400, closes"},
		{name: "two lengths", send: "POST / " + host + "Content-Length: 5\nContent-Length: 6\n\nhello", gets: "400, closes"},
		{name: "a length that is none", send: "POST / " + host + "Content-Length: +5\n\nhello", gets: "400, closes"},
		{name: "a coding that nobody knows", send: "POST / " + host + "Transfer-Encoding: gzip, chunked\n\n0\n\n", gets: "501, closes"},
		{name: "an expectation that nobody knows", send: "GET / " + host + "Expect: a-miracle\n\n", gets: "417, closes"},
		{name: "a head that is too long", send: "GET / " + host + "X-Long: " + strings.Repeat("x", 2<<20) + "\n\n", gets: "431, closes"},
		{name: "an escape that is none", send: "GET /%zz " + host + "\n", gets: "400, closes",
			but: []exception{{on: onBoth, gets: "400, stays", why: "The head is understood, so it is clear where the next request begins."}}},
		{name: "a folded line", send: "GET / " + host + "X-A: b\n c\n\n", gets: "200, stays",
			but: []exception{{on: onBoth, gets: "400, closes", why: "RFC 9112 5.2: a server must refuse it or unfold it; what others unfold differently is refused."}}},
		{name: "length and chunks", send: "POST / " + host + "Content-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n", gets: "200, stays",
			but: []exception{{on: onBoth, gets: "400, closes", why: "RFC 9112 6.3: this might be an attempt to smuggle a request."}}},
		{name: "an empty Host", send: "GET / HTTP/1.1\nHost:\n\n", gets: "200, stays",
			but: []exception{{on: onBoth, gets: "400, closes", why: "RFC 9110 4.2.1: there is no http URI without a host."}}},
		{name: "a bare line feed", raw: "GET / HTTP/1.1\nHost: localhost\n\n", gets: "200, stays",
			but: []exception{{on: onBoth, gets: "400, closes", why: "RFC 9112 2.2 allows it, but parsers that disagree on line ends can be played against each other."}}},
		{name: "a path that leaves the root", send: "GET /../x " + host + "\n", gets: "200, stays",
			but: []exception{{on: onBoth, gets: "400, stays", why: "It is routed by its path, and this one means nothing (RFC 3986 5.2.4 would drop the dots)."}}},
	} {
		cases = append(cases, testCase{
			name:   c.name,
			handle: func(r *run, w http.ResponseWriter, req *http.Request) { io.Copy(io.Discard, req.Body) },
			client: func(r *run) {
				conn := r.dial()
				conn.send(c.send)
				io.WriteString(conn.c, c.raw)
				a, err := conn.head()
				if err != nil {
					r.get("no response: %v", err)
					return
				}
				if a.last("GET") {
					io.Copy(io.Discard, conn.br)
					r.get("%d, closes", a.status)
					return
				}
				io.CopyN(io.Discard, conn.br, length(a))
				conn.send(get)
				next, err := conn.head()
				if err != nil || next.status != http.StatusOK {
					r.get("then %s, %v", next.line, err)
				}
				r.get("%d, stays", a.status)
			},
			gets: c.gets,
			but:  c.but,
		})
	}
	runCases(t, cases)
}

// length is that of the body of an answer.
func length(a answer) int64 {
	n, _ := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64)
	return n
}
