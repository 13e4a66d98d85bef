package daemon_test

import (
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
)

// What an application gets of what a client sends (docs/channel.md section 4).
var requests = []struct {
	name string
	send string
	want string // the REQUEST
	body string // the DATA behind it, with END
}{
	{"a request", "GET /a?b HTTP/1.1\r\nHost: Example:99\r\n\r\n",
		"GET /a?b 1.1 authority=Example:99 length=0 end\nHost: Example:99", ""},
	{"spelling, order and duplicates of fields", "GET / HTTP/1.1\r\nx-A: 1\r\nHOST: a\r\nX-a:\t2 \r\nCookie: c\r\nx-A:\r\n\r\n",
		"GET / 1.1 authority=a length=0 end\nx-A: 1\nHOST: a\nX-a: 2\nCookie: c\nx-A: ", ""},
	{"the target as it is", "GET /%7ea/./b/..//c%2Fd?x=%00 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /%7ea/./b/..//c%2Fd?x=%00 1.1 authority=a length=0 end\nHost: a", ""},
	{"any method", "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n",
		"PURGE / 1.1 authority=a length=0 end\nHost: a", ""},
	{"absolute-form: its authority counts", "GET http://b:80/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://b:80/x 1.1 authority=b:80 length=0 end\nHost: a", ""},
	{"absolute-form without a path", "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://b 1.1 authority=b length=0 end\nHost: a", ""},
	{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"OPTIONS * 1.1 authority=a length=0 end\nHost: a", ""},
	{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"GET / 1.0 authority= length=0 end\nConnection: keep-alive", ""},
	{"empty lines before a request", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / 1.1 authority=a length=0 end\nHost: a", ""},
	{"a wish to upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Upgrade\r\nUpgrade: y\r\n\r\n",
		"GET / 1.1 authority=a length=0 upgrade end\nHost: a\nConnection: x, Upgrade\nUpgrade: y", ""},

	{"a short body comes with the head", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"POST / 1.1 authority=a length=5 end\nHost: a\nContent-Length: 5\n\nhello", ""},
	{"a long one behind it", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000),
		"POST / 1.1 authority=a length=20000\nHost: a\nContent-Length: 20000", strings.Repeat("x", 20000)},
	{"chunks are taken apart", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n06\r\n world\r\n0\r\n\r\n",
		"POST / 1.1 authority=a length=-1\nHost: a\nTransfer-Encoding: chunked", "hello world"},
	{"no chunks at all", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / 1.1 authority=a length=-1\nHost: a\nTransfer-Encoding: chunked", ""},
}

// Each request comes in one piece, and cut at each byte; behind it the
// connection serves another one.
func TestRequests(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	for _, tc := range requests {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			check := func() {
				t.Helper()
				r := app.Request()
				if got := r.Text(); got != tc.want {
					t.Fatalf("got\n%s\nwant\n%s", got, tc.want)
				}
				if !r.Ended {
					r.WantBody(tc.body, true)
				}
				r.Respond(200, nil, "")
				if a := c.WantStatus(200); a.Close {
					t.Fatalf("the connection is closed: %s", a.Head)
				}
			}
			c.Send(tc.send)
			check()
			if len(tc.send) > 1000 {
				return
			}
			// Byte by byte the body comes in DATA, unless it is complete with the
			// head; so a body that came with the head above stays away here.
			if _, body, _ := strings.Cut(tc.send, "\r\n\r\n"); body == "" || strings.HasPrefix(body, "GET") {
				for i := range len(tc.send) {
					c.Send(tc.send[i : i+1])
				}
				check()
			}
		})
	}
}

func TestRequestNamesTheConnection(t *testing.T) {
	d, app, reg, c := one(t, testkit.AppOptions{})
	c.Get("/")
	first := app.Request()
	first.Respond(200, nil, "")
	c.WantStatus(200)
	c.Get("/")
	second := app.Request()
	second.Respond(200, nil, "")
	c.WantStatus(200)
	other := d.Dial(reg)
	other.Get("/")
	third := app.Request()
	third.Respond(200, nil, "")
	other.WantStatus(200)
	if first.Head.Connection != second.Head.Connection || first.Head.Connection == third.Head.Connection {
		t.Errorf("connection numbers are %d, %d on one connection and %d on another",
			first.Head.Connection, second.Head.Connection, third.Head.Connection)
	}
	if first.Client != c.LocalAddr() || third.Client != other.LocalAddr() {
		t.Errorf("clients are %s and %s, want %s and %s", first.Client, third.Client, c.LocalAddr(), other.LocalAddr())
	}
	if !strings.HasPrefix(first.Local, "127.0.0.1:") || first.Head.Registration != reg.ID {
		t.Errorf("local address %s, registration %d", first.Local, first.Head.Registration)
	}
}

// The second of two requests that were sent at once is not delivered before
// the first is answered, and answers keep the order.
func TestPipelining(t *testing.T) {
	_, app, _, c := one(t, testkit.AppOptions{Credit: 10})
	var all strings.Builder
	for _, target := range []string{"/1", "/2", "/3"} {
		all.WriteString("POST " + target + " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n" + target)
	}
	c.Send(all.String())
	for _, target := range []string{"/1", "/2", "/3"} {
		r := app.Request() // another REQUEST before the answer would be the next frame
		if r.Target != target || r.Body != target {
			t.Fatalf("got %s, want %s", r.Text(), target)
		}
		r.Start(200, fields("Content-Length: 4"), target)
		c.Want("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nDate: *\r\nServer: httpsys\r\n\r\n" + target)
		r.Finish(target)
		c.Want(target)
	}
}

// Many requests in one segment, answered in one write each turn.
func TestDeepPipeline(t *testing.T) {
	_, app, _, c := one(t, testkit.AppOptions{Credit: 10})
	const n = 500
	c.Send(strings.Repeat(get, n))
	for range n {
		app.Request().Respond(200, nil, "x")
	}
	for range n {
		if got := c.WantStatus(200).Body; got != "x" {
			t.Fatalf("body %q", got)
		}
	}
}

func TestRequestTrailers(t *testing.T) {
	_, app, _, c := one(t, testkit.AppOptions{})
	c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n5\r\nhello\r\n0\r\nSum: 5\r\nX:\r\n\r\n")
	r := app.Request()
	r.WantBody("hello", false)
	r.WantTrailers("Sum: 5", "X: ")
	r.Respond(200, nil, "")
	c.WantStatus(200)
	// They may come late.
	c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nSum")
	r = app.Request()
	r.WantBody("hello", false)
	c.Send(": 5\r\n\r\n")
	r.WantTrailers("Sum: 5")
	r.Respond(200, nil, "")
	c.WantStatus(200)
}

// 100 Continue is sent when the application says so (docs/channel.md section 4).
func TestExpectContinue(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	const waits = "POST / 1.1 authority=a length=5 continue\nHost: a\nContent-Length: 5\nExpect: 100-continue"
	d, app, reg, _ := one(t, testkit.AppOptions{})
	start := func(t *testing.T, send string) (*testkit.Client, *testkit.Request) {
		c := d.Dial(reg)
		c.Send(send)
		r := app.Request()
		return c, r
	}
	ok := "HTTP/1.1 200 OK\r\nDate: *\r\nServer: httpsys\r\nContent-Length: 0\r\n"

	d.Run("the application reads", func(t *testing.T) {
		c, r := start(t, post)
		if r.Text() != waits {
			t.Fatalf("got %s", r.Text())
		}
		r.Start(100, nil, "")
		c.Want("HTTP/1.1 100 Continue\r\n\r\n")
		c.Send("hello")
		r.WantBody("hello", true)
		r.Start(100, nil, "") // once is enough
		r.Respond(200, nil, "")
		c.Want(ok + "\r\n")
		c.Get("/next")
		app.Request().Respond(200, nil, "")
		c.Want(ok + "\r\n")
	})
	d.Run("the application answers without reading", func(t *testing.T) {
		c, r := start(t, post)
		r.Respond(200, nil, "")
		c.Want(ok + "Connection: close\r\n\r\n")
		c.WantEOF()
	})
	d.Run("the client does not wait", func(t *testing.T) {
		c, r := start(t, post)
		c.Send("hello")
		r.WantBody("hello", true)
		r.Respond(200, nil, "")
		c.Want(ok + "\r\n")
		c.Get("/next")
		app.Request().Respond(200, nil, "")
		c.Want(ok + "\r\n")
	})
	d.Run("the client had begun when the answer came", func(t *testing.T) {
		c, r := start(t, post)
		c.Send("he")
		r.WantBody("he", false)
		r.Start(100, nil, "") // too late to be of use, so not sent
		r.Respond(200, nil, "")
		c.Want(ok + "\r\n")
		c.Send("llo" + get)
		app.Request().Respond(200, nil, "")
		c.Want(ok + "\r\n")
	})
	d.Run("nobody serves the path", func(t *testing.T) {
		c := d.Dial(app.Register("http://only.example:0/"))
		c.Send(post)
		if a := c.WantStatus(400); !a.Close {
			t.Errorf("the connection stays: %s", a.Head)
		}
		c.WantEOF()
	})
	d.Run("there is no body", func(t *testing.T) {
		_, r := start(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n")
		if got := r.Text(); got != "POST / 1.1 authority=a length=0 end\nHost: a\nContent-Length: 0\nExpect: 100-continue" {
			t.Errorf("got %s", got)
		}
		r.Respond(200, nil, "")
	})
}

// What is no request is refused, with a word that the client gets although it
// goes on sending, and nothing behind it is taken for a request.
func TestRefusals(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{Credit: 10})
	long := strings.Repeat("x", 20_000)
	for _, tc := range []struct {
		name   string
		send   string
		status int
	}{
		{"not HTTP", "hello\r\n\r\n", 400},
		{"HTTP/2.0 in a request line", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
		{"a bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		{"a bad Host beside an absolute target", "GET http://a/ HTTP/1.1\r\nHost: /\r\n\r\n", 400},
		{"a bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
		{"a folded field", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400},
		{"a long target", "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"a long field", "GET / HTTP/1.1\r\nHost: a\r\nA: " + long + "\r\n\r\n", 431},
		{"many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a: b\r\n", 300) + "\r\n", 431},
		{"a coding that nobody knows", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n", 501},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			// More than the daemon reads and the kernel holds is on its way.
			go c.TrySend(tc.send + strings.Repeat(get, 50_000))
			if a := c.WantStatus(tc.status); !a.Close {
				t.Errorf("the connection stays: %s", a.Head)
			}
			if s := c.WantEnd(); s != "" {
				t.Errorf("behind it came %.100q", s)
			}
		})
	}
	// Had a request behind one of those got through, it would be here first.
	c := d.Dial(reg)
	c.Get("/last")
	if r := app.Request(); r.Target != "/last" {
		t.Errorf("got %s", r.Text())
	}
}
