package h1

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serve answers everything in input as handler says, with the input cut into
// pieces of n bytes (0: in one), and returns what the client gets and a
// transcript of the events.
func serve(c *Conn, input string, n int, handler func(c *Conn, r *Request, body string) string) (output, events string) {
	var out, log strings.Builder
	if n == 0 {
		n = max(1, len(input))
	}
	var request *Request
	var body strings.Builder
	for {
		ev, err := c.Next()
		switch {
		case err == ErrNeedMore && input == "":
			c.ReceiveEOF()
			continue
		case err == ErrNeedMore:
			k := min(n, len(input))
			c.Receive([]byte(input[:k]))
			input = input[k:]
			continue
		case err != nil:
			fmt.Fprintf(&log, "%v\n", err)
			var e *Error
			if errors.As(err, &e) {
				b, err := c.AppendError(nil, e.Status, e.Text)
				if err != nil {
					fmt.Fprintf(&log, "no answer: %v\n", err)
				}
				out.Write(b)
			}
			return out.String(), log.String()
		}
		switch ev.Kind {
		case GotRequest:
			request = ev.Request
			fmt.Fprintf(&log, "%s %s %s\n", request.Method, request.Target, request.Authority)
			body.Reset()
		case GotData:
			body.Write(ev.Data)
		case GotEnd:
			fmt.Fprintf(&log, "body %q\n", body.String())
			for _, f := range ev.Trailers {
				fmt.Fprintf(&log, "trailer %s: %s\n", f.Name, f.Value)
			}
			out.WriteString(handler(c, request, body.String()))
		}
	}
}

// hello is a handler with a short answer.
func hello(c *Conn, r *Request, body string) string {
	return respond(c, &Response{Status: 200}, "hi", true)
}

func respond(c *Conn, r *Response, body string, end bool) string {
	b, err := c.AppendResponse(nil, r, []byte(body), end)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(b)
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
const okClose = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"

// What clients send, and what becomes of it. Each row is tried whole and cut
// into pieces of every length.
func TestRequests(t *testing.T) {
	for _, tc := range []struct {
		name, in, events, out string
	}{
		{"nothing", "", "EOF\n", ""},
		{"one request", "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a?b h\nbody \"\"\nEOF\n", ok},
		{"the client asks to close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /never", "GET / h\nbody \"\"\nEOF\n", okClose},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "GET / \nbody \"\"\nEOF\n", okClose},
		{"requests ahead (RFC 9112 9.3.2)", "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: h\r\n\r\n",
			"GET /1 h\nbody \"\"\nPOST /2 h\nbody \"abc\"\nGET /3 h\nbody \"\"\nEOF\n", ok + ok + ok},
		{"chunks with trailers (RFC 9112 7.1)", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nSum: 5\r\n\r\n",
			"PUT / h\nbody \"abcde\"\ntrailer Sum: 5\nEOF\n", ok},
		{"it leaves in a head", "GET / HT", "unexpected EOF\n", ""},
		{"it leaves in a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", "POST / h\nunexpected EOF\n", ""},
		{"both lengths (RFC 9112 6.1)", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
			"h1: The request has both Transfer-Encoding and Content-Length.\n", "400"},
		{"a bad chunk behind a good one", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx",
			"POST / h\nh1: A chunk size is not a hexadecimal number in bounds.\n", "400"},
		{"no host (RFC 9112 3.2)", "GET / HTTP/1.1\r\n\r\n", "h1: The request does not have exactly one valid Host.\n", "400"},
		{"a wrong version", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", "h1: The HTTP version is not supported.\n", "505"},
	} {
		for n := range len(tc.in) + 1 {
			out, events := serve(&Conn{}, tc.in, n, hello)
			if d := cmp.Diff(tc.events, events); d != "" {
				t.Fatalf("%s, in pieces of %d: events (-want +got):\n%s", tc.name, n, d)
			}
			if len(tc.out) == 3 {
				if !strings.HasPrefix(out, "HTTP/1.1 "+tc.out+" ") || !strings.Contains(out, "\r\nConnection: close\r\n") {
					t.Fatalf("%s: got %q, want %s and a close", tc.name, out, tc.out)
				}
			} else if out != tc.out {
				t.Fatalf("%s, in pieces of %d: got %q, want %q", tc.name, n, out, tc.out)
			}
		}
	}
}

// Everything that a program may need of a head is there, and stays valid.
func TestHead(t *testing.T) {
	var c Conn
	in := []byte("POST http://Example.com:80/p%20q?x=1 HTTP/1.1\r\nhOST: other\r\nA: 1\r\na:  2 \r\nContent-Length: 1\r\nExpect: 100-continue\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	c.Receive(in)
	ev, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	for i := range in {
		in[i] = 0
	}
	c.Receive([]byte("z"))
	want := &Request{
		Method: "POST", Target: "http://Example.com:80/p%20q?x=1", Authority: "Example.com:80", Path: "/p%20q", Query: "x=1",
		Fields: Fields{{"hOST", "other"}, {"A", "1"}, {"a", "2"}, {"Content-Length", "1"}, {"Expect", "100-continue"}, {"Connection", "Upgrade"}, {"Upgrade", "x"}},
		Minor:  1, ContentLength: 1, ExpectContinue: true, Upgrade: true, KeepAlive: true,
	}
	if d := cmp.Diff(want, ev.Request); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := ev.Request.Fields.Get("host"); got != "other" {
		t.Errorf("Get: %q", got)
	}
}

// get is a Conn that has read a request.
func get(t *testing.T, request string) *Conn {
	t.Helper()
	c := &Conn{}
	c.Receive([]byte(request))
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	for {
		ev, err := c.Next()
		if err == ErrNeedMore {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == GotEnd {
			return c
		}
	}
}

const plainGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// The framing of responses (RFC 9112 6.3).
func TestResponses(t *testing.T) {
	chunkedHead := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tc := range []struct {
		name, request string
		steps         func(c *Conn, dst []byte) ([]byte, error)
		want          string
		close         bool
	}{
		{"the whole body gets a length", plainGet, func(c *Conn, dst []byte) ([]byte, error) {
			return c.AppendResponse(dst, &Response{Status: 200}, []byte("hi"), true)
		}, ok, false},
		{"pieces become chunks", plainGet, func(c *Conn, dst []byte) ([]byte, error) {
			dst, _ = c.AppendResponse(dst, &Response{Status: 200}, nil, false)
			dst, _ = c.AppendData(dst, []byte("hello"))
			dst, _ = c.AppendData(dst, nil)
			return c.AppendEnd(dst, Fields{{"Sum", "5"}})
		}, chunkedHead + "5\r\nhello\r\n0\r\nSum: 5\r\n\r\n", false},
		{"pieces of a given length stay as they are", plainGet, func(c *Conn, dst []byte) ([]byte, error) {
			dst, _ = c.AppendResponse(dst, &Response{Status: 200, Fields: Fields{{"Content-Length", "3"}}}, []byte("a"), false)
			dst, _ = c.AppendData(dst, []byte("bc"))
			return c.AppendEnd(dst, nil)
		}, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false},
		{"HTTP/1.0 knows no chunks", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", func(c *Conn, dst []byte) ([]byte, error) {
			dst, _ = c.AppendResponse(dst, &Response{Status: 200}, nil, false)
			dst, _ = c.AppendData(dst, []byte("x"))
			return c.AppendEnd(dst, Fields{{"Lost", "1"}})
		}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx", true},
		{"HEAD has no body", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", func(c *Conn, dst []byte) ([]byte, error) {
			return c.AppendResponse(dst, &Response{Status: 200}, []byte("hi"), true)
		}, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false},
		{"204 has no body", plainGet, func(c *Conn, dst []byte) ([]byte, error) {
			return c.AppendResponse(dst, &Response{Status: 204}, []byte("hi"), true)
		}, "HTTP/1.1 204 No Content\r\n\r\n", false},
		{"the program closes", plainGet, func(c *Conn, dst []byte) ([]byte, error) {
			return c.AppendResponse(dst, &Response{Status: 200, Fields: Fields{{"Connection", "close"}}}, []byte("hi"), true)
		}, okClose, true},
		{"hints come first (RFC 8297)", plainGet, func(c *Conn, dst []byte) ([]byte, error) {
			dst, _ = c.AppendInformational(dst, &Response{Status: 103, Fields: Fields{{"Link", "</s.css>"}}})
			return c.AppendResponse(dst, &Response{Status: 200}, []byte("hi"), true)
		}, "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n" + ok, false},
		{"100 only to those who wait", plainGet, func(c *Conn, dst []byte) ([]byte, error) {
			return c.AppendInformational(dst, &Response{Status: 100})
		}, "", false},
		{"a client that waits for 100 and gets an answer is not trusted with its body",
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", func(c *Conn, dst []byte) ([]byte, error) {
				return c.AppendResponse(dst, &Response{Status: 417}, nil, true)
			}, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true},
		{"text of an error page is no markup", plainGet, func(c *Conn, dst []byte) ([]byte, error) {
			b, err := c.AppendError(dst, 408, "<b>")
			if strings.Contains(string(b), "<b>") || !strings.Contains(string(b), "&lt;b&gt;") {
				return b, err
			}
			return nil, err
		}, "", true},
	} {
		c := get(t, tc.request)
		b, err := tc.steps(c, nil)
		if err != nil || string(b) != tc.want || c.ShouldClose() != tc.close {
			t.Errorf("%s: got %q, error %v, close %v, want %q, close %v", tc.name, b, err, c.ShouldClose(), tc.want, tc.close)
		}
	}
}

// A program that breaks the rules is told, and nothing of it is sent.
func TestMisuse(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(c *Conn) ([]byte, error)
		want string
	}{
		{"data before a head", func(c *Conn) ([]byte, error) { return c.AppendData(nil, []byte("x")) }, ErrOrder.Error()},
		{"an end before a head", func(c *Conn) ([]byte, error) { return c.AppendEnd(nil, nil) }, ErrOrder.Error()},
		{"an informational status as the final one", func(c *Conn) ([]byte, error) {
			return c.AppendResponse(nil, &Response{Status: 103}, nil, true)
		}, ErrStatus.Error()},
		{"a final status as informational", func(c *Conn) ([]byte, error) {
			return c.AppendInformational(nil, &Response{Status: 200})
		}, ErrStatus.Error()},
		{"101 unasked", func(c *Conn) ([]byte, error) { return c.AppendResponse(nil, &Response{Status: 101}, nil, true) }, ErrUpgrade.Error()},
		{"a line break in a value", func(c *Conn) ([]byte, error) {
			return c.AppendResponse(nil, &Response{Status: 200, Fields: Fields{{"A", "b\r\nC: d"}}}, nil, true)
		}, "field value has a control character"},
		{"a NUL that looks like the next field", func(c *Conn) ([]byte, error) {
			return c.AppendResponse(nil, &Response{Status: 200, Fields: Fields{{"A", "b\x00C\x00d"}}}, nil, true)
		}, "head does not have the fields it announces, or has bytes behind them"},
		{"a name that is no token", func(c *Conn) ([]byte, error) {
			return c.AppendResponse(nil, &Response{Status: 200, Fields: Fields{{"A b", "c"}}}, nil, true)
		}, "field name is not a token"},
		{"a body longer than its length", func(c *Conn) ([]byte, error) {
			return c.AppendResponse(nil, &Response{Status: 200, Fields: Fields{{"Content-Length", "1"}}}, []byte("ab"), true)
		}, ErrLength.Error()},
		{"a body shorter than its length", func(c *Conn) ([]byte, error) {
			return c.AppendResponse(nil, &Response{Status: 200, Fields: Fields{{"Content-Length", "3"}}}, []byte("ab"), true)
		}, ErrLength.Error()},
	} {
		c := get(t, plainGet)
		b, err := tc.do(c)
		if err == nil || err.Error() != tc.want || len(b) != 0 {
			t.Errorf("%s: got %q, %v, want %s", tc.name, b, err, tc.want)
		}
		if got := respond(c, &Response{Status: 200}, "hi", true); got != ok {
			t.Errorf("%s: the right answer afterwards became %q", tc.name, got)
		}
	}
	c := get(t, plainGet)
	respond(c, &Response{Status: 200}, "", false)
	if b, err := c.AppendEnd(nil, Fields{{"Content-Length", "1"}}); err == nil || len(b) > 0 {
		t.Errorf("a length in the trailers: %q, %v", b, err)
	}
}

// Bytes that came with an upgrade are not lost, and HTTP is over.
func TestSwitch(t *testing.T) {
	for _, tc := range []struct {
		request, want string
		status        int
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhi", 101},
		{"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhi", 200},
	} {
		c := get(t, tc.request+"early")
		r := &Response{Status: tc.status, Fields: Fields{{"Connection", "upgrade"}, {"Upgrade", "x"}}}
		if tc.status == 200 {
			r.Fields, tc.want = nil, "HTTP/1.1 200 OK\r\n\r\nhi"
		}
		if got := respond(c, r, "hi", true); !strings.HasPrefix(got, strings.SplitN(tc.want, "\r\n", 2)[0]) || !strings.HasSuffix(got, "\r\n\r\nhi") {
			t.Errorf("got %q, want %q", got, tc.want)
		}
		if _, err := c.Next(); err != ErrSwitched {
			t.Errorf("Next: %v", err)
		}
		if rest := c.Rest(); string(rest) != "early" {
			t.Errorf("rest %q", rest)
		}
		if c.Reading() || c.ShouldClose() {
			t.Error("HTTP goes on")
		}
	}
}

// Each limit holds at the byte.
func TestLimits(t *testing.T) {
	head := "GET /abc HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"
	for _, tc := range []struct {
		name       string
		at, beyond Limits
		status     int
	}{
		{"head", Limits{Head: len(head)}, Limits{Head: len(head) - 1}, 431},
		{"field", Limits{Field: 7}, Limits{Field: 6}, 431},
		{"target", Limits{Target: 4}, Limits{Target: 3}, 414},
		{"fields", Limits{Fields: 2}, Limits{Fields: 1}, 431},
	} {
		if _, events := serve(&Conn{Limits: tc.at}, head, 0, hello); events != "GET /abc h\nbody \"\"\nEOF\n" {
			t.Errorf("%s at the limit: %s", tc.name, events)
		}
		out, _ := serve(&Conn{Limits: tc.beyond}, head, 0, hello)
		if !strings.HasPrefix(out, fmt.Sprintf("HTTP/1.1 %d ", tc.status)) {
			t.Errorf("%s beyond the limit: %.40q", tc.name, out)
		}
	}
}

// A program that obeys Reading holds the next request back until it has
// answered the last.
func TestReading(t *testing.T) {
	var c Conn
	want := func(reading bool, when string) {
		t.Helper()
		if c.Reading() != reading {
			t.Errorf("%s: Reading is %v", when, c.Reading())
		}
	}
	want(true, "at first")
	c.Receive([]byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n"))
	c.Next()
	want(true, "in a body")
	c.Receive([]byte("x" + plainGet))
	c.Next()
	c.Next()
	want(false, "while it owes an answer")
	if _, err := c.Next(); err != ErrBusy {
		t.Errorf("Next: %v", err)
	}
	respond(&c, &Response{Status: 200}, "", true)
	want(true, "after it")
	if ev, err := c.Next(); err != nil || ev.Kind != GotRequest {
		t.Errorf("the request ahead: %v, %v", ev, err)
	}
	c.ReceiveEOF()
	want(false, "when the client has left")
}

// One message in one read or in many gives the same events, whatever it is,
// and the connection never holds more than it was given.
func FuzzConn(f *testing.F) {
	for _, s := range []string{
		plainGet, plainGet + plainGet, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"b\"\r\nx\r\n0\r\nT: u\r\n\r\n",
		"GET http://a/ HTTP/1.0\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nrest", "\r\n\r\nGET / HTTP/1.1\nHost: h\n\n",
	} {
		f.Add(s, uint8(1))
		f.Add(s, uint8(7))
	}
	f.Fuzz(func(t *testing.T, in string, n uint8) {
		out, events := serve(&Conn{}, in, 0, hello)
		out2, events2 := serve(&Conn{}, in, int(n)+1, hello)
		if out != out2 || events != events2 {
			t.Errorf("whole:\n%s%q\nin pieces of %d:\n%s%q", events, out, int(n)+1, events2, out2)
		}
	})
}
