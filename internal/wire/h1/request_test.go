package h1

import (
	"fmt"
	"strings"
	"testing"
)

// dump writes what was understood of a request, but for the fields.
func (r *Request) dump() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %d", r.Method, r.Version)
	for _, part := range []struct {
		name  string
		value []byte
	}{{"scheme", r.Scheme}, {"authority", r.Authority}, {"path", r.Path}, {"query", r.Query}} {
		if len(part.value) > 0 {
			fmt.Fprintf(&s, " %s=%s", part.name, part.value)
		}
	}
	if r.ContentLength != 0 {
		fmt.Fprintf(&s, " length=%d", r.ContentLength)
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{
		{r.Chunked, "chunked"}, {r.KeepAlive, "keep-alive"}, {r.ExpectContinue, "expect"}, {r.Upgrade, "upgrade"},
		{r.AcceptTrailers, "trailers"},
	} {
		if flag.set {
			s.WriteString(" " + flag.name)
		}
	}
	return s.String()
}

// dumpAll adds target and fields.
func (r *Request) dumpAll() string {
	s := r.dump() + " " + string(r.Target)
	for _, f := range r.Fields {
		s += fmt.Sprintf("\n%s: %s", f.Name, f.Value)
	}
	return s
}

const host = "Host: h\r\n"

// What a request means. Rows without a Host line are the exceptions.
var accepted = []struct{ section, why, in, want string }{
	// The request line.
	{"9112 3", "the simplest", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9110 9.1", "any token is a method", "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH 11 authority=h path=/ keep-alive"},
	{"9110 9.1", "methods have a case", "get / HTTP/1.1\r\nHost: h\r\n\r\n", "get 11 authority=h path=/ keep-alive"},
	{"9112 2.2", "an empty line in front", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9112 2.2", "some empty lines in front", "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9112 3.2.1", "query", "GET /a/b?c=d?e HTTP/1.1\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/a/b query=c=d?e keep-alive"},
	{"9112 3.2.1", "empty query", "GET /a? HTTP/1.1\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/a keep-alive"},
	{"9112 3.2.1", "escapes stay", "GET /%2e%2E/%zz HTTP/1.1\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/%2e%2E/%zz keep-alive"},
	{"9112 3.2.1", "what browsers leave bare", "GET /\"<>\\^`{|}[] HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET 11 authority=h path=/\"<>\\^`{|}[] keep-alive"},
	{"9112 3.2.1", "two slashes are no authority", "GET //x/y HTTP/1.1\r\nHost: h\r\n\r\n", "GET 11 authority=h path=//x/y keep-alive"},
	{"9112 3.2.1", "a colon in a path", "GET /http://x HTTP/1.1\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/http://x keep-alive"},
	{"9112 3.2.2", "absolute form: its authority counts", "GET http://a:81/p?q HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET 11 scheme=http authority=a:81 path=/p query=q keep-alive"},
	{"9112 3.2.2", "absolute form without path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET 11 scheme=http authority=a path=/ keep-alive"},
	{"9112 3.2.2", "absolute form with a query only", "GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET 11 scheme=http authority=a path=/ query=q keep-alive"},
	{"9112 3.2.2", "schemes have no case", "GET HTTPS://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET 11 scheme=HTTPS authority=a path=/ keep-alive"},
	{"9112 3.2.2", "absolute form in HTTP/1.0", "GET http://a/ HTTP/1.0\r\n\r\n", "GET 10 scheme=http authority=a path=/"},
	{"9112 3.2.3", "CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT 11 authority=a:443"},
	{"9112 3.2.3", "CONNECT to an address", "CONNECT [::1]:443 HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT 11 authority=[::1]:443"},
	{"9112 3.2.3", "CONNECT may say that it has no content", "CONNECT a:443 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
		"CONNECT 11 authority=a:443"},
	{"9112 3.2.4", "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS 11 authority=h path=* keep-alive"},
	{"9112 3.2.4", "OPTIONS * as a proxy gets it", "OPTIONS http://a:81 HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS 11 scheme=http authority=a:81 path=* keep-alive"},
	{"9112 3.2.4", "OPTIONS of a resource", "OPTIONS http://a/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS 11 scheme=http authority=a path=/ keep-alive"},
	{"9110 2.5", "a higher minor version", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9110 2.5", "HTTP/1.9", "GET / HTTP/1.9\r\nHost: h\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},

	// Host.
	{"9112 3.2", "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "GET 10 path=/"},
	{"9112 3.2", "HTTP/1.0 with Host", "GET / HTTP/1.0\r\nHost: h:8\r\n\r\n", "GET 10 authority=h:8 path=/"},
	{"9110 7.2", "a port that is not there", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9110 7.2", "an address", "GET / HTTP/1.1\r\nhost:[::1]:80\r\n\r\n", "GET 11 authority=[::1]:80 path=/ keep-alive"},

	// Fields.
	{"9110 5.5", "white space around a value", "GET / HTTP/1.1\r\nHost: \t h \t\r\nA:\r\nB: \r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9110 5.5", "obs-text and TAB in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: \x80\xff\tx\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9110 5.1", "any token is a name", "GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~: x\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},

	// Framing.
	{"9112 6.3", "a length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", "POST 11 authority=h path=/ length=5 keep-alive"},
	{"9110 8.6", "leading zeros", "POST / HTTP/1.1\r\nHost: h\r\ncontent-length:007\r\n\r\n", "POST 11 authority=h path=/ length=7 keep-alive"},
	{"9110 8.6", "the largest", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n",
		"POST 11 authority=h path=/ length=9223372036854775807 keep-alive"},
	{"9112 6.3", "any method may have content", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", "GET 11 authority=h path=/ length=1 keep-alive"},
	{"9110 8.6", "POST without a length has none", "POST / HTTP/1.1\r\nHost: h\r\n\r\n", "POST 11 authority=h path=/ keep-alive"},
	{"9112 6.1", "chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST 11 authority=h path=/ length=-1 chunked keep-alive"},
	{"9112 7", "codings have no case", "POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding:\tCHUNKED \r\n\r\n",
		"POST 11 authority=h path=/ length=-1 chunked keep-alive"},
	{"9110 8.6", "a length in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", "POST 10 path=/ length=5"},

	// The connection.
	{"9112 9.3", "close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET 11 authority=h path=/"},
	{"9112 9.3", "close among others", "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, , x\r\nConnection: y,Close\r\n\r\n", "GET 11 authority=h path=/"},
	{"9112 9.3", "closed is not close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9112 9.3", "HTTP/1.0 asks for more", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET 10 path=/ keep-alive"},
	{"9112 9.3", "close is stronger", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET 10 path=/"},

	// Expect, Upgrade, TE.
	{"9110 10.1.1", "the client waits", "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
		"PUT 11 authority=h path=/ length=1 keep-alive expect"},
	{"9110 10.1.1", "chunked counts as a body", "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
		"PUT 11 authority=h path=/ length=-1 chunked keep-alive expect"},
	{"9110 10.1.1", "nothing to wait with", "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
		"PUT 11 authority=h path=/ keep-alive"},
	{"9110 10.1.1", "another expectation is the application's", "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n",
		"PUT 11 authority=h path=/ length=1 keep-alive"},
	{"9110 10.1.1", "among other expectations", "PUT / HTTP/1.1\r\nHost: h\r\nExpect: x, 100-continue\r\nExpect: y\r\nContent-Length: 1\r\n\r\n",
		"PUT 11 authority=h path=/ length=1 keep-alive expect"},
	{"9110 10.1.1", "HTTP/1.0 does not have it", "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "PUT 10 path=/ length=1"},
	{"9110 7.8", "upgrade", "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET 11 authority=h path=/ keep-alive upgrade"},
	{"9110 7.8", "Upgrade needs its option", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9110 7.8", "Upgrade needs a protocol", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n",
		"GET 11 authority=h path=/ keep-alive"},
	{"9110 7.8", "the option needs its field", "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n", "GET 11 authority=h path=/ keep-alive"},
	{"9110 7.8", "HTTP/1.0 cannot upgrade", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "GET 10 path=/"},
	{"9110 10.1.4", "trailers", "GET / HTTP/1.1\r\nHost: h\r\nTE: gzip;q=0.5, Trailers\r\n\r\n", "GET 11 authority=h path=/ keep-alive trailers"},
}

// What is refused. Each of these closes the connection.
var refused = []struct {
	section, why, in string
	want             *Error
}{
	// The request line.
	{"9112 3", "space in front", " GET / HTTP/1.1\r\n" + host + "\r\n", ErrVerb},
	{"9112 3", "no method", "/ HTTP/1.1\r\n", ErrVerb},
	{"9110 9.1", "no token", "G@T / HTTP/1.1\r\n", ErrVerb},
	{"9110 9.1", "a TLS handshake", "\x16\x03\x01\x02\x00", ErrVerb},
	{"9112 3", "TAB for space", "GET\t/ HTTP/1.1\r\n", ErrVerb},
	{"9112 3", "a field line", "Host: h\r\n\r\n", ErrVerb},
	{"9112 3", "method alone", "GET\r\n\r\n", ErrCRLF},
	{"9112 2.2", "CR alone in front", "\rGET / HTTP/1.1\r\n", ErrCRLF},
	{"9112 2.2", "LF in front", "\nGET / HTTP/1.1\r\n", ErrCRLF},
	{"9112 2.2", "empty lines without end", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n", ErrBlankLines},
	{"9112 3", "two spaces", "GET  / HTTP/1.1\r\n", ErrURL},
	{"9112 3.2", "space in the target", "GET /a b HTTP/1.1\r\n", ErrRequestLine},
	{"9112 3.2", "TAB in the target", "GET /a\tb HTTP/1.1\r\n", ErrURL},
	{"9112 3.2", "NUL in the target", "GET /a\x00b HTTP/1.1\r\n", ErrURL},
	{"9112 3.2", "DEL in the target", "GET /a\x7fb HTTP/1.1\r\n", ErrURL},
	{"9112 3.2", "not ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n", ErrURL},
	{"9112 3.2", "a fragment", "GET /a#b HTTP/1.1\r\n", ErrURL},
	{"9112 3.2", "a relative path", "GET a/b HTTP/1.1\r\n", ErrURL},
	{"9112 3.2", "a query alone", "GET ?q HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.2", "another scheme", "GET ftp://a/ HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.2", "no slashes", "GET http:a HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.2", "one slash", "GET http:/a HTTP/1.1\r\n", ErrURL},
	{"9110 4.2.1", "no host", "GET http:///a HTTP/1.1\r\n", ErrHost},
	{"9110 4.2.4", "userinfo", "GET http://u:p@a/ HTTP/1.1\r\n", ErrHost},
	{"9112 3.2.2", "backslash for slash", "GET http://a\\@b/ HTTP/1.1\r\n", ErrHost},
	{"9112 3.2.2", "a bad port", "GET http://a:x/ HTTP/1.1\r\n", ErrHost},
	{"9112 3.2.2", "no path, and a slash in the query", "GET http://a?q=/b HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.2", "authority form without CONNECT", "GET a:443 HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.3", "CONNECT needs a port", "CONNECT a HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.3", "CONNECT needs a port in digits", "CONNECT a: HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.3", "CONNECT in origin form", "CONNECT /a HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.3", "CONNECT in absolute form", "CONNECT http://a:1/ HTTP/1.1\r\n", ErrURL},
	{"9110 9.3.6", "CONNECT with content", "CONNECT a:1 HTTP/1.1\r\n" + host + "Content-Length: 1\r\n\r\n", ErrConnectBody},
	{"9110 9.3.6", "CONNECT with chunks", "CONNECT a:1 HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n", ErrConnectBody},
	{"9112 3.2.4", "* is for OPTIONS", "GET * HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.4", "* and more", "OPTIONS *a HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.4", "* is not for PRI either", "PRI * HTTP/1.1\r\n", ErrURL},
	{"9112 3.2.4", "nor in HTTP/1.0", "PRI * HTTP/1.0\r\n", ErrURL},
	{"9112 2.3", "HTTP/0.9 has no version", "GET /\r\n", ErrURL},
	{"9112 2.3", "nor says so", "GET / HTTP/0.9\r\n", ErrRequestLine},
	{"9112 2.3", "empty version", "GET / \r\n", ErrRequestLine},
	{"9112 2.3", "versions have a case", "GET / http/1.1\r\n", ErrRequestLine},
	{"9112 2.3", "no minor", "GET / HTTP/1\r\n", ErrRequestLine},
	{"9112 2.3", "two digits", "GET / HTTP/11.1\r\n", ErrRequestLine},
	{"9112 2.3", "two digits behind the dot", "GET / HTTP/1.10\r\n", ErrCRLF},
	{"9112 2.3", "another protocol", "GET / RTSP/1.0\r\n", ErrRequestLine},
	{"9112 3", "space behind the version", "GET / HTTP/1.1 \r\n", ErrCRLF},
	{"9112 2.2", "bare LF", "GET / HTTP/1.1\n" + host + "\r\n", ErrCRLF},
	{"9112 2.2", "two bare LF", "GET / HTTP/1.1\n\n" + host + "\r\n", ErrCRLF},
	{"9112 2.2", "space and bare LF", "GET / HTTP/1.1 \n" + host + "\r\n", ErrCRLF},
	{"9112 2.2", "two CR", "GET / HTTP/1.1\r\r" + host + "\r\n", ErrCRLF},
	{"9112 2.2", "bare CR", "GET / HTTP/1.1\r" + host + "\r\n", ErrCRLF},
	{"9110 2.5", "HTTP/2", "GET / HTTP/2.0\r\n", ErrVersion},
	{"9110 2.5", "HTTP/9", "GET / HTTP/9.9\r\n", ErrVersion},
	{"9113 3.4", "the preface of HTTP/2", Preface, ErrPreface},

	// Host.
	{"9112 3.2", "none in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", ErrHost},
	{"9112 3.2", "none beside the absolute form", "GET http://a/ HTTP/1.1\r\n\r\n", ErrHost},
	{"9112 3.2", "none in a CONNECT", "CONNECT a:1 HTTP/1.1\r\n\r\n", ErrHost},
	{"9112 3.2", "two", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", ErrHost},
	{"9112 3.2", "twice the same", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", ErrHost},
	{"9112 3.2", "two in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", ErrHost},
	{"9112 3.2", "two beside the absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", ErrHost},
	{"9112 3.2", "an invalid one beside the absolute form", "GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", ErrHost},
	{"9110 4.2.1", "empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ErrHost},
	{"9110 4.2.1", "empty in HTTP/1.0", "GET / HTTP/1.0\r\nHost: \r\n\r\n", ErrHost},
	{"9110 7.2", "userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", ErrHost},
	{"9110 7.2", "a list", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", ErrHost},
	{"9110 7.2", "a path", "GET / HTTP/1.1\r\nHost: a/\r\n\r\n", ErrHost},
	{"9110 7.2", "a bad port", "GET / HTTP/1.1\r\nHost: a:80a\r\n\r\n", ErrHost},

	// Fields.
	{"9112 5.1", "space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", ErrName},
	{"9112 5.1", "TAB before the colon", "GET / HTTP/1.1\r\nHost\t: h\r\n\r\n", ErrName},
	{"9112 5.2", "a folded value", "GET / HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", ErrFold},
	{"9112 5.2", "folded by TAB", "GET / HTTP/1.1\r\n" + host + "A: b\r\n\tc\r\n\r\n", ErrFold},
	{"9112 2.2", "white space behind the request line", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", ErrFold},
	{"9112 5", "a line of white space", "GET / HTTP/1.1\r\n" + host + " \r\n\r\n", ErrFold},
	{"9110 5.1", "no name", "GET / HTTP/1.1\r\n: x\r\n\r\n", ErrName},
	{"9110 5.1", "no colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", ErrCRLF},
	{"9110 5.1", "no token", "GET / HTTP/1.1\r\nA(b): x\r\n\r\n", ErrName},
	{"9110 5.1", "NUL in a name", "GET / HTTP/1.1\r\nA\x00: x\r\n\r\n", ErrName},
	{"9110 5.1", "not ASCII", "GET / HTTP/1.1\r\n\xc3\xa4: x\r\n\r\n", ErrName},
	{"9110 5.5", "NUL in a value", "GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n", ErrValue},
	{"9110 5.5", "a control in a value", "GET / HTTP/1.1\r\nA: b\x0bc\r\n\r\n", ErrValue},
	{"9110 5.5", "DEL in a value", "GET / HTTP/1.1\r\nA: b\x7fc\r\n\r\n", ErrValue},
	{"9112 2.2", "bare CR in a value", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", ErrCRLF},
	{"9112 2.2", "two CR", "GET / HTTP/1.1\r\nA: b\r\r\n\r\n", ErrCRLF},
	{"9112 2.2", "bare LF behind a value", "GET / HTTP/1.1\r\n" + host + "A: b\nC: d\r\n\r\n", ErrCRLF},
	{"9112 2.2", "bare LF as empty line", "GET / HTTP/1.1\r\n" + host + "\n", ErrCRLF},
	{"9112 2.2", "CR alone as empty line", "GET / HTTP/1.1\r\n" + host + "\rX", ErrCRLF},

	// Content-Length.
	{"9110 8.6", "no number", "POST / HTTP/1.1\r\n" + host + "Content-Length: x\r\n\r\n", ErrLength},
	{"9110 8.6", "empty", "POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", ErrLength},
	{"9110 8.6", "plus", "POST / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\n", ErrLength},
	{"9110 8.6", "minus", "POST / HTTP/1.1\r\n" + host + "Content-Length: -5\r\n\r\n", ErrLength},
	{"9110 8.6", "hexadecimal", "POST / HTTP/1.1\r\n" + host + "Content-Length: 0x5\r\n\r\n", ErrLength},
	{"9110 8.6", "a space inside", "POST / HTTP/1.1\r\n" + host + "Content-Length: 1 2\r\n\r\n", ErrLength},
	{"9110 8.6", "overflow", "POST / HTTP/1.1\r\n" + host + "Content-Length: 9223372036854775808\r\n\r\n", ErrLength},
	{"9110 8.6", "overflow to a small number", "POST / HTTP/1.1\r\n" + host + "Content-Length: 18446744073709551621\r\n\r\n", ErrLength},

	// Transfer-Encoding.
	{"9112 6.1", "a coding we do not have", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", ErrCoding},
	{"9112 6.1", "one more coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", ErrCoding},
	{"9112 6.1", "identity is gone", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n", ErrCoding},
}

// Requests that other servers have read in two ways; the families of the
// request smuggling literature. Each carries a second request inside, which must
// never be seen.
var smuggling = []struct {
	family, in string
	want       *Error
}{
	{"CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", ErrCodingLength},
	{"TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n", ErrCodingLength},
	{"CL.TE, spelled", "content-length: 6\r\nTRANSFER-ENCODING: Chunked\r\n\r\n", ErrCodingLength},
	{"CL.TE, zero", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCodingLength},
	{"TE.TE, twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCodingOrder},
	{"TE.TE, a second of another kind", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", ErrCodingOrder},
	{"TE.TE, identity last", "Transfer-Encoding: chunked, identity\r\n\r\n", ErrCodingOrder},
	{"TE.TE, chunked twice", "Transfer-Encoding: chunked, chunked\r\n\r\n", ErrCodingOrder},
	{"TE.TE, empty member", "Transfer-Encoding: , chunked\r\n\r\n", ErrCodingOrder},
	{"TE.TE, trailing comma", "Transfer-Encoding: chunked,\r\n\r\n", ErrCodingOrder},
	{"TE.TE, empty", "Transfer-Encoding:\r\n\r\n", ErrCodingOrder},
	{"TE.TE, parameter", "Transfer-Encoding: chunked;q=1\r\n\r\n", ErrCodingOrder},
	{"TE.TE, quoted", "Transfer-Encoding: \"chunked\"\r\n\r\n", ErrCodingOrder},
	{"TE.TE, prefix", "Transfer-Encoding: xchunked\r\n\r\n", ErrCoding},
	{"TE.TE, suffix", "Transfer-Encoding: chunkedx\r\n\r\n", ErrCoding},
	{"TE.TE, vertical tab", "Transfer-Encoding: \x0bchunked\r\n\r\n", ErrValue},
	{"TE.TE, NUL", "Transfer-Encoding: chunked\x00\r\n\r\n", ErrValue},
	{"TE.TE, space before the colon", "Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\n", ErrName},
	{"TE.TE, folded", "Transfer-Encoding:\r\n chunked\r\n\r\n", ErrFold},
	{"TE.TE, folded away", "Foo: bar\r\n Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", ErrFold},
	{"TE.TE, hidden behind CR", "Foo: bar\rTransfer-Encoding: chunked\r\n\r\n", ErrCRLF},
	{"TE.TE, hidden behind LF", "Foo: bar\nTransfer-Encoding: chunked\r\n\r\n", ErrCRLF},
	{"TE.TE, space in front", " Transfer-Encoding: chunked\r\n\r\n", ErrFold},
	{"TE.TE, colon in the name", "Transfer-Encoding\x85: chunked\r\n\r\n", ErrName},
	{"CL.CL, differing", "Content-Length: 5\r\nContent-Length: 0\r\n\r\n", ErrLength},
	{"CL.CL, equal", "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", ErrLength},
	{"CL.CL, list", "Content-Length: 5, 5\r\n\r\n", ErrLength},
	{"CL.CL, trailing comma", "Content-Length: 5,\r\n\r\n", ErrLength},
	{"CL.0, NUL", "Content-Length\x00: 5\r\n\r\n", ErrName},
	{"CL.0, space before the colon", "Content-Length : 5\r\n\r\n", ErrName},
	{"CL.0, folded", "Content-Length:\r\n 5\r\n\r\n", ErrFold},
	{"0.CL, obs-text", "Content-Length: \xa05\r\n\r\n", ErrLength},
	{"0.CL, form feed", "Content-Length: 5\x0c\r\n\r\n", ErrValue},
	{"Host twice", "Host: evil\r\n\r\n", ErrHost},
	{"Host twice, space before the colon", "Host : evil\r\n\r\n", ErrName},
	{"Host twice, folded", " Host: evil\r\n\r\n", ErrFold},
}

func init() {
	for _, s := range smuggling {
		refused = append(refused, struct {
			section, why, in string
			want             *Error
		}{"9112 11.2", s.family, "POST / HTTP/1.1\r\n" + host + s.in, s.want})
		if s.want == ErrCoding || s.want == ErrCodingOrder || s.want == ErrCodingLength {
			// RFC 9112 6.1: HTTP/1.0 does not have transfer codings.
			refused = append(refused, struct {
				section, why, in string
				want             *Error
			}{"9112 6.1", s.family + " in HTTP/1.0", "POST / HTTP/1.0\r\n" + host + s.in, ErrCoding10})
		}
	}
}

// parse gives in to a parser at once.
func parse(in string, l *Limits) (n int, dump string, err error) {
	var p HeadParser
	var r Request
	if n, err = p.Parse([]byte(in), &r, l); n > 0 {
		dump = r.dumpAll()
	}
	return n, dump, err
}

// parseGrowing gives in to a parser up to each of the cuts in turn, and then all
// of it. Another request goes through the same Request in between: one that
// waits for more must not rely on it.
func parseGrowing(t *testing.T, in string, l *Limits, cuts ...int) (n int, dump string, err error) {
	t.Helper()
	var p, other HeadParser
	var r Request
	for _, cut := range append(cuts, len(in)) {
		// A buffer of its own each time: nothing may be kept from the one before.
		if n, err = p.Parse([]byte(in[:cut]), &r, l); err != nil {
			return n, "", err
		}
		if n > 0 {
			return n, r.dumpAll(), nil
		}
		if k, err := other.Parse([]byte("PUT /other?x HTTP/1.0\r\nX: y\r\n\r\n"), &r, &DefaultLimits); k == 0 || err != nil {
			t.Fatalf("the other request: %d, %v", k, err)
		}
	}
	return 0, "", nil
}

func everyByte(in string) []int {
	cuts := make([]int, len(in))
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

func TestRequest(t *testing.T) {
	for _, row := range accepted {
		t.Run(row.section+" "+row.why, func(t *testing.T) {
			var p HeadParser
			var r Request
			n, err := p.Parse([]byte(row.in), &r, &DefaultLimits)
			if n != len(row.in) || err != nil || r.dump() != row.want {
				t.Fatalf("%q\n%d of %d, %v\n got %s\nwant %s", row.in, n, len(row.in), err, r.dump(), row.want)
			}
			all := r.dumpAll()
			for cut := range len(row.in) {
				if n, got, err := parseGrowing(t, row.in, &DefaultLimits, cut); n != len(row.in) || err != nil || got != all {
					t.Fatalf("cut at %d: %d, %v\n got %s\nwant %s", cut, n, err, got, all)
				}
			}
			if n, got, err := parseGrowing(t, row.in, &DefaultLimits, everyByte(row.in)...); n != len(row.in) || err != nil || got != all {
				t.Fatalf("byte by byte: %d, %v\n got %s\nwant %s", n, err, got, all)
			}
			if n, got, err := parse(row.in+"GET /next HTTP/1.1\r\n", &DefaultLimits); n != len(row.in) || err != nil || got != all {
				t.Fatalf("pipelined: %d, %v\n got %s\nwant %s", n, err, got, all)
			}
		})
	}
}

func TestRequestRefused(t *testing.T) {
	for _, row := range refused {
		t.Run(row.section+" "+row.why, func(t *testing.T) {
			if n, _, err := parse(row.in, &DefaultLimits); n != 0 || err != error(row.want) {
				t.Fatalf("%q: %d, %v, want %v", row.in, n, err, row.want)
			}
			for cut := range len(row.in) {
				if n, _, err := parseGrowing(t, row.in, &DefaultLimits, cut); n != 0 || err != error(row.want) {
					t.Fatalf("%q cut at %d: %d, %v, want %v", row.in, cut, n, err, row.want)
				}
			}
			if n, _, err := parseGrowing(t, row.in, &DefaultLimits, everyByte(row.in)...); n != 0 || err != error(row.want) {
				t.Fatalf("%q byte by byte: %d, %v, want %v", row.in, n, err, row.want)
			}
		})
	}
}

// Bytes that can never become a request are refused as they come, so that
// nobody waits for the rest of them.
func TestRefusedAtTheFirstWrongByte(t *testing.T) {
	for _, in := range []string{
		"\x16", "\n", "\r\r", " ", "GET\r", "GET  ", "GET /\x00", "GET /#", "GET /\x80", "GET / h", "GET / HTTP/x", "GET / HTTP/1.1\n",
		"GET / HTTP/1.1\r\n ", "GET / HTTP/1.1\r\n:", "GET / HTTP/1.1\r\nA ", "GET / HTTP/1.1\r\nA: \x00", "GET / HTTP/1.1\r\nA: b\n",
		"GET / HTTP/1.1\r\nA: b\rx", "GET / HTTP/1.1\r\nA: b\r\n\t", "GET / HTTP/1.1\r\n\rx", "GET / HTTP/2.0\r\n",
	} {
		if n, _, err := parse(in, &DefaultLimits); n != 0 || err == nil {
			t.Errorf("%q: %d, %v, want a refusal", in, n, err)
		}
		if n, _, err := parse(in[:len(in)-1], &DefaultLimits); n != 0 || err != nil {
			t.Errorf("%q: %d, %v, want to wait", in[:len(in)-1], n, err)
		}
	}
}

func TestLimits(t *testing.T) {
	fill := func(n int) string { return strings.Repeat("x", n) }
	const line = "GET / HTTP/1.1\r\nHost: h\r\n" // 25 bytes
	for _, row := range []struct {
		why    string
		limits Limits
		make   func(n int) string // a request at the limit when n is 0
		want   *Error
	}{
		{"head", Limits{100, 100, 100, 10, false}, func(n int) string { return line + "A: " + fill(68+n) + "\r\n\r\n" }, ErrHeadLength},
		{"head of many fields", Limits{100, 100, 100, 10, false}, func(n int) string { return line + "A: b\r\n" + "C: " + fill(62+n) + "\r\n\r\n" }, ErrHeadLength},
		{"head with empty lines in front", Limits{104, 100, 100, 10, false},
			func(n int) string { return "\r\n\r\n" + line + "A: " + fill(68+n) + "\r\n\r\n" }, ErrHeadLength},
		{"field value", Limits{200, 20, 100, 10, false}, func(n int) string { return line + "A: " + fill(17+n) + "\r\n\r\n" }, ErrFieldLength},
		{"field of white space", Limits{200, 20, 100, 10, false}, func(n int) string { return line + "A:" + strings.Repeat(" ", 18+n) + "\r\n\r\n" }, ErrFieldLength},
		{"field name", Limits{200, 20, 100, 10, false}, func(n int) string { return line + fill(19+n) + ":\r\n\r\n" }, ErrFieldLength},
		{"fields", Limits{200, 20, 100, 10, false}, func(n int) string { return line + strings.Repeat("A: b\r\n", 9+n) + "\r\n" }, ErrFields},
		{"target", Limits{200, 20, 30, 10, false}, func(n int) string { return "GET /" + fill(29+n) + " HTTP/1.1\r\nHost: h\r\n\r\n" }, ErrURLLength},
		{"method", Limits{200, 20, 30, 10, false}, func(n int) string { return fill(64+n) + " / HTTP/1.1\r\nHost: h\r\n\r\n" }, ErrVerbLength},
	} {
		t.Run(row.why, func(t *testing.T) {
			for n := -1; n <= 1; n++ {
				in := row.make(n)
				want, wantErr := len(in), error(nil)
				if n > 0 {
					want, wantErr = 0, error(row.want)
				}
				if got, _, err := parse(in, &row.limits); got != want || err != wantErr {
					t.Errorf("%+d: %d, %v, want %d, %v", n, got, err, want, wantErr)
				}
				if got, _, err := parse(in+in, &row.limits); got != want || err != wantErr {
					t.Errorf("%+d, pipelined: %d, %v, want %d, %v", n, got, err, want, wantErr)
				}
				if got, _, err := parseGrowing(t, in, &row.limits, everyByte(in)...); got != want || err != wantErr {
					t.Errorf("%+d, byte by byte: %d, %v, want %d, %v", n, got, err, want, wantErr)
				}
			}
		})
	}
}

// What has no end is refused when the limit is reached, not later.
func TestLimitsWithoutEnd(t *testing.T) {
	l := &Limits{Head: 100, Field: 50, Target: 40, Fields: 4}
	for _, row := range []struct {
		why, start, more string
		most             int // bytes that may be taken in before the refusal
		want             *Error
	}{
		{"method", "", "G", 65, ErrVerbLength},
		{"target", "GET /", "a", 4 + 41, ErrURLLength},
		{"field name", "GET / HTTP/1.1\r\n", "a", 16 + 51, ErrFieldLength},
		{"field value", "GET / HTTP/1.1\r\na:", "b", 16 + 51, ErrFieldLength},
		{"fields", "GET / HTTP/1.1\r\n", "a:b\r\n", 16 + 4*5 + 1, ErrFields},
		{"empty lines", "", "\r\n", 10, ErrBlankLines},
		{"head", "GET / HTTP/1.1\r\na:" + strings.Repeat("b", 40) + "\r\n", "c", 100, ErrHeadLength},
	} {
		in := row.start + strings.Repeat(row.more, 100)
		var p HeadParser
		var r Request
		for n := 0; ; n++ {
			if _, err := p.Parse([]byte(in[:n]), &r, l); err != nil {
				if err != error(row.want) || n != row.most {
					t.Errorf("%s: %v at %d bytes, want %v at %d", row.why, err, n, row.want, row.most)
				}
				break
			}
		}
	}
	// A target that fills the whole head is the target's fault.
	if _, _, err := parse("GET /"+strings.Repeat("a", 20000), &DefaultLimits); err != error(ErrURLLength) {
		t.Errorf("target as long as the head: %v", err)
	}
}

// An administrator may lower a limit while a head is arriving.
func TestLimitsLoweredMeanwhile(t *testing.T) {
	var p HeadParser
	var r Request
	in := []byte("GET /a/long/target HTTP/1.1\r\nHost: example.com\r\nA: b\r\n\r\n")
	if n, err := p.Parse(in[:50], &r, &DefaultLimits); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := p.Parse(in, &r, &Limits{Head: 20, Field: 20, Target: 20, Fields: 2}); n != 0 || err != error(ErrHeadLength) {
		t.Errorf("head: %d, %v", n, err)
	}
	p = HeadParser{}
	if n, err := p.Parse(in[:50], &r, &DefaultLimits); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := p.Parse(in, &r, &Limits{Head: 100, Field: 5, Target: 20, Fields: 2}); n != 0 || err != error(ErrFieldLength) {
		t.Errorf("field: %d, %v", n, err)
	}
}

func TestStarted(t *testing.T) {
	var p HeadParser
	var r Request
	for _, step := range []struct {
		in   string
		want bool
	}{{"", false}, {"\r", false}, {"\r\n", false}, {"\r\n\r\n", false}, {"\r\n\r\nG", true}, {"\r\n\r\nGET / HTTP/1.0\r\n", true},
		{"\r\n\r\nGET / HTTP/1.0\r\n\r\n", false}} {
		if _, err := p.Parse([]byte(step.in), &r, &DefaultLimits); err != nil || p.Started() != step.want {
			t.Errorf("%q: %v, started %v", step.in, err, p.Started())
		}
	}
}

func TestPipelined(t *testing.T) {
	in := []byte("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n" +
		"POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" +
		"\r\nPOST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
		"GET /4 HTTP/1.0\r\n\r\n")
	var p HeadParser
	var r Request
	var b Body
	var got []string
	for len(in) > 0 {
		n, err := p.Parse(in, &r, &DefaultLimits)
		if n == 0 {
			t.Fatal(err)
		}
		in = in[n:]
		s := string(r.Path)
		b.Init(&r)
		for !b.Done() {
			data, n, _, err := b.Next(in)
			if n == 0 || err != nil {
				t.Fatal(n, err)
			}
			s += "+" + string(data)
			in = in[n:]
		}
		got = append(got, s)
	}
	if want := "[/1 /2+hello /3+abc /4]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestIsPreface(t *testing.T) {
	for n := range len(Preface) {
		if is, may := IsPreface([]byte(Preface[:n])); is || !may {
			t.Errorf("%q: %v, %v", Preface[:n], is, may)
		}
	}
	if is, may := IsPreface([]byte(Preface + "more")); !is || !may {
		t.Errorf("preface and more: %v, %v", is, may)
	}
	for _, in := range []string{"G", "PRI * HTTP/2.0\r\n\r\nXX", "PRI /"} {
		if is, may := IsPreface([]byte(in)); is || may {
			t.Errorf("%q: %v, %v", in, is, may)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	var r Request
	var p HeadParser
	for _, row := range benchRequests {
		in := []byte(row.text)
		allocs := testing.AllocsPerRun(100, func() {
			if n, _ := p.Parse(in[:len(in)/2], &r, &DefaultLimits); n != 0 {
				t.Fatal("complete too early")
			}
			if n, err := p.Parse(in, &r, &DefaultLimits); n != len(in) || err != nil {
				t.Fatal(n, err)
			}
			if n, err := p.Parse(in, &r, &DefaultLimits); n != len(in) || err != nil {
				t.Fatal(n, err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", row.name, allocs)
		}
	}
	bad := []byte("GET / HTTP/1.1\r\n bad")
	if allocs := testing.AllocsPerRun(100, func() {
		var p HeadParser
		if _, err := p.Parse(bad, &r, &DefaultLimits); err == nil {
			t.Fatal("accepted")
		}
	}); allocs != 0 {
		t.Errorf("a refusal: %v allocations", allocs)
	}
}

// A program may ask for requests that RFC 9112 3.2 wants refused; no more than that.
func TestNoHost(t *testing.T) {
	limits := DefaultLimits
	limits.NoHost = true
	for in, want := range map[string]error{
		"GET / HTTP/1.1\r\n\r\n":                         nil,
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":              nil,
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n":   ErrHost,
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n":            ErrHost,
		"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n":    ErrHost,
		"GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n": ErrLength,
	} {
		var p HeadParser
		var r Request
		n, err := p.Parse([]byte(in), &r, &limits)
		if want == nil && (err != nil || n != len(in)) || want != nil && err != want {
			t.Errorf("%q: %d, %v, want %v", in, n, err, want)
		}
	}
}
