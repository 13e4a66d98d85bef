package daemon_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Of 50 queued requests whose clients left, the application sees none.
func TestQueuedRequestsOfClientsThatLeftAreNeverSeen(t *testing.T) {
	d, app, reg, other := one(t, testkit.AppOptions{})
	other.Get("/running")
	running := app.Request() // the credit is used up
	leave := []func(*testkit.Client){(*testkit.Client).Close, (*testkit.Client).Reset, (*testkit.Client).CloseWrite}
	for i := range 50 {
		c := d.Dial(reg)
		if i%2 == 0 {
			c.Get(fmt.Sprintf("/left/%d", i))
		} else { // one whose body is not complete
			c.Send(fmt.Sprintf("POST /left/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello", i))
		}
		d.Waiting(1)
		leave[i%len(leave)](c)
		d.Waiting(0)
	}
	running.Respond(200, nil, "")
	other.WantStatus(200)
	barrier(t, app, other)
	d.Queue("", "50 requests cancelled", func(q control.Queue) bool { return q.Counters.Cancelled == 50 })
}

// A request that a client gave up in the queue makes room in it.
func TestLeavingMakesRoom(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{})
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Limit: 1})
	a, b, c := d.Dial(reg), d.Dial(reg), d.Dial(reg)
	a.Get("/a")
	d.Waiting(1)
	b.Get("/b")
	b.WantStatus(503)
	a.Reset()
	d.Waiting(0)
	c.Get("/c")
	d.Waiting(1)
	app.Loop().Send(testkit.Credit(1))
	if r := app.Request(); r.Target != "/c" {
		t.Errorf("got %s", r.Text())
	}
}

// The application learns that a client has left (docs/channel.md section 7).
func TestRunningRequestsAreCancelled(t *testing.T) {
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 2})
	for _, started := range []bool{false, true} {
		d.Run(fmt.Sprintf("head sent %v", started), func(t *testing.T) {
			c := d.Dial(reg)
			c.Get("/")
			r := app.Request()
			if started {
				r.Start(200, nil, "hello")
				c.Want("HTTP/1.1 200 OK\r\nDate: *\r\nServer: httpsys\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			}
			c.Reset()
			r.WantCancel(channel.CancelGone)
			d.Exchanges(0)
			// What the application had sent before it knew is no error.
			if !started {
				r.Start(200, nil, "hello")
			}
			r.Window(5)
			r.Data(strings.Repeat("x", 100_000)) // also beyond the window
			r.Finish("")
			barrier(t, app, other)
			d.Queue("", "no request in the application", func(q control.Queue) bool { return q.Workers[0].Inflight == 0 })
		})
	}
	for _, tc := range []struct {
		name string
		end  func(*testkit.Request) []byte
	}{
		{"END", func(r *testkit.Request) []byte { return testkit.Response(r.Stream, END|CREDIT, 200, nil, "x") }},
		{"CANCEL", func(r *testkit.Request) []byte { return testkit.Cancel(r.Stream, CREDIT, 0) }},
		{"TRAILERS", func(r *testkit.Request) []byte {
			return append(testkit.Response(r.Stream, 0, 200, nil, ""), testkit.Trailers(r.Stream, CREDIT, "a: b")...)
		}},
	} {
		d.Run("the application answers "+tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			c.Get("/")
			r := app.Request()
			c.Reset()
			r.WantCancel(channel.CancelGone)
			r.Send(tc.end(r))
			c = d.Dial(reg)
			c.Get("/")
			again := app.Request()
			if again.Stream != r.Stream {
				t.Errorf("the next stream is %d: number %d is not free", again.Stream, r.Stream)
			}
			again.Respond(200, nil, "")
			c.WantStatus(200)
		})
	}
}

// A client may close its sending side and wait for the answer.
func TestHalfClose(t *testing.T) {
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 2})
	d.Run("with the request", func(t *testing.T) {
		c := d.Dial(reg)
		c.Get("/")
		c.CloseWrite()
		r := app.Request()
		r.WantCancel(channel.CancelHalfClosed)
		r.Start(200, nil, "he")
		r.Finish("llo")
		if got := c.WantStatus(200).Body; got != "hello" {
			t.Errorf("got %q", got)
		}
		c.WantEOF()
	})
	d.Run("later", func(t *testing.T) {
		c := d.Dial(reg)
		c.Get("/")
		r := app.Request()
		r.Start(200, nil, "he")
		barrier(t, app, other)
		c.CloseWrite()
		r.WantCancel(channel.CancelHalfClosed)
		r.Finish("llo")
		if got := c.WantStatus(200).Body; got != "hello" {
			t.Errorf("got %q", got)
		}
		c.WantEOF()
	})
	d.Run("behind several requests", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(get + get)
		c.CloseWrite()
		for range 2 {
			r := app.Request()
			r.WantCancel(channel.CancelHalfClosed)
			r.Respond(200, nil, "hello")
			c.WantStatus(200)
		}
		c.WantEOF()
	})
	d.Run("in the middle of a body", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello")
		r := app.Request()
		r.WantBody("hello", false)
		c.CloseWrite()
		r.WantCancel(channel.CancelBody)
		r.WantCancel(channel.CancelHalfClosed)
		r.Respond(400, nil, "")
		if a := c.WantStatus(400); !a.Close {
			t.Errorf("the connection stays: %s", a.Head)
		}
		c.WantEOF()
	})
	d.Run("in the middle of a head", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send("GET / HTTP/1.1\r\nHo")
		c.CloseWrite()
		c.WantEOF()
	})
	d.Run("without a word", func(t *testing.T) {
		c := d.Dial(reg)
		c.CloseWrite()
		c.WantEOF()
	})
}

// A body that is broken: the application learns it if it has begun to answer,
// else the daemon answers.
func TestBrokenBody(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{Credit: 2})
	const post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	d.Run("before the answer", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(post)
		r := app.Request()
		r.WantBody("hello", false)
		go c.TrySend("xyz" + strings.Repeat(get, 20_000))
		r.WantCancel(channel.CancelGone)
		r.Cancel(0)
		if a := c.WantStatus(400); !a.Close {
			t.Errorf("the connection stays: %s", a.Head)
		}
		c.WantEnd()
	})
	d.Run("after its head", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(post)
		r := app.Request()
		r.WantBody("hello", false)
		r.Start(200, nil, "one")
		c.Want("HTTP/1.1 200 OK\r\nDate: *\r\nServer: httpsys\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
		go c.TrySend("xyz" + strings.Repeat(get, 20_000))
		r.WantCancel(channel.CancelBody)
		r.Finish("two")
		c.Want("3\r\ntwo\r\n0\r\n\r\n")
		c.WantEnd()
	})
	d.Run("in the queue", func(t *testing.T) {
		a, b := d.Dial(reg), d.Dial(reg)
		a.Get("/")
		b.Get("/")
		first, second := app.Request(), app.Request()
		c := d.Dial(reg)
		c.Send(post)
		d.Waiting(1)
		c.CloseWrite()
		d.Waiting(0)
		c.WantEOF()
		first.Respond(200, nil, "")
		second.Respond(200, nil, "")
	})
}

// max_body bounds what a registration takes.
func TestMaxBody(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 2})
	most := int64(100)
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{MaxBody: &most}})
	post := func(n int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", n)
	}
	d.Run("a length at the limit", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(post(100) + pattern(100))
		r := app.Request()
		if r.Body != pattern(100) {
			t.Errorf("got %s", r.Text())
		}
		r.Respond(200, nil, "")
		c.WantStatus(200)
	})
	d.Run("a length above it", func(t *testing.T) {
		c := d.Dial(reg)
		go c.TrySend(post(10_000_000) + pattern(10_000_000)) // a client that does not listen
		if a := c.WantStatus(413); !a.Close {
			t.Errorf("the connection stays: %s", a.Head)
		}
		c.WantEnd()
	})
	d.Run("chunks at the limit", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(pattern(100), 60))
		r := app.Request()
		r.WantBody(pattern(100), true)
		r.Respond(200, nil, "")
		c.WantStatus(200)
	})
	d.Run("chunks above it", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + pattern(100) + "\r\n")
		r := app.Request()
		r.WantBody(pattern(100), false)
		go c.TrySend(strings.Repeat("64\r\n"+pattern(100)+"\r\n", 50_000))
		r.WantCancel(channel.CancelGone)
		r.Cancel(0)
		if a := c.WantStatus(413); !a.Close {
			t.Errorf("the connection stays: %s", a.Head)
		}
		c.WantEnd()
	})
	d.Run("chunks above it after the head", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + pattern(100) + "\r\n")
		r := app.Request()
		r.WantBody(pattern(100), false)
		r.Start(200, fields("Content-Length: 2"), "")
		c.Want("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: *\r\nServer: httpsys\r\n\r\n")
		go c.TrySend(strings.Repeat("64\r\n"+pattern(100)+"\r\n", 50_000))
		r.WantCancel(channel.CancelBody)
		r.Finish("ok")
		c.Want("ok")
		c.WantEnd()
	})
}
