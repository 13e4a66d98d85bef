package daemon_test

import (
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

// tunnel brings a connection into opaque mode in each of the three forms
// (docs/channel.md section 9).
var tunnels = []struct {
	name string
	send string
	head func(stream uint32) []byte
	want string // what the client gets
}{
	{"upgrade", upgrade,
		func(n uint32) []byte {
			return testkit.Response(n, OPAQUE, 101, fields("Connection: Upgrade", "Upgrade: x"), "")
		},
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\nDate: *\r\nServer: httpsys\r\n\r\n"},
	{"upgrade with a head as text", upgrade,
		func(n uint32) []byte {
			return testkit.TextResponse(n, OPAQUE, 0, "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "")
		},
		"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"},
	{"CONNECT", "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n",
		func(n uint32) []byte { return testkit.Response(n, OPAQUE, 200, nil, "") },
		"HTTP/1.1 200 OK\r\nDate: *\r\nServer: httpsys\r\n\r\n"},
	{"raw", get,
		testkit.RawOpaque,
		""},
	{"raw in HTTP/1.0", get10,
		testkit.RawOpaque,
		""},
}

// eachTunnel runs f in each form, with a client that has sent early behind its
// request.
func eachTunnel(t *testing.T, early string, f func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client)) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	for _, tc := range tunnels {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			c.Send(tc.send + early)
			r := nextRequest(app)
			r.Send(tc.head(r.Stream))
			c.Want(tc.want)
			f(t, d, r, c)
			d.Exchanges(0)
		})
	}
}

func TestOpaqueBothWays(t *testing.T) {
	eachTunnel(t, "", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client) {
		r.Data("from the application")
		c.Want("from the application")
		c.Send("from the client")
		r.WantBody("from the client", false)
		c.Send(get) // not interpreted
		r.WantBody(get, false)
		r.Send(testkit.Data(r.Stream, 0, "bye"), testkit.Cancel(r.Stream, CREDIT, 1))
		c.Want("bye")
		c.WantEOF()
	})
}

// Bytes may come with the handshake.
func TestOpaqueEarlyBytes(t *testing.T) {
	early := pattern(10_000)
	eachTunnel(t, early, func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client) {
		r.WantBody(early, false)
		r.Cancel(1)
		c.WantEOF()
	})
}

func TestOpaqueHalfClose(t *testing.T) {
	eachTunnel(t, "", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client) {
		c.Send("last words")
		c.CloseWrite()
		r.WantBody("last words", true)
		r.Data("still here")
		c.Want("still here")
		r.Send(testkit.Data(r.Stream, END, "done"))
		c.Want("done")
		c.WantEOF()
		r.Cancel(1)
	})
	// The other way round: what the client says after that arrives, also if it
	// closes at once.
	eachTunnel(t, "", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client) {
		r.Send(testkit.Data(r.Stream, END, "done"))
		c.Want("done")
		c.WantEOF()
		c.Send("still here")
		r.WantBody("still here", false)
		c.Send(pattern(50_000))
		c.CloseWrite()
		r.WantBody(pattern(50_000), true)
		r.Cancel(1)
	})
	// Both ends and the close in one write.
	eachTunnel(t, "", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client) {
		r.Send(testkit.Data(r.Stream, 0, pattern(50_000)), testkit.Data(r.Stream, END, "done"), testkit.Cancel(r.Stream, CREDIT, 1))
		c.Want(pattern(50_000) + "done")
		c.WantEOF()
	})
}

// A client that has closed its side before the head came has said all that it
// will say.
func TestOpaqueAfterHalfClose(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{Credit: 2})
	for _, tc := range tunnels {
		for _, early := range []string{"", "early"} {
			d.Run(tc.name+" "+early, func(t *testing.T) {
				c := d.Dial(reg)
				c.Send(tc.send)
				r := nextRequest(app)
				c.Send(early)
				c.CloseWrite()
				r.WantCancel(channel.CancelHalfClosed)
				r.Send(tc.head(r.Stream))
				c.Want(tc.want)
				r.WantBody(early, true)
				r.Data("still here")
				r.Cancel(1)
				c.Want("still here")
				c.WantEOF()
			})
		}
	}
}

// What was sent before CANCEL 1 is delivered, also to a client that sends at
// the same time.
func TestOpaqueCloseLosesNothing(t *testing.T) {
	eachTunnel(t, "", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client) {
		go func() {
			for c.TrySend("noise") == nil {
			}
		}()
		for f := r.Next(); f.Type != channel.Data; f = r.Next() {
		}
		r.Send(testkit.Data(r.Stream, 0, pattern(60_000)), testkit.Cancel(r.Stream, CREDIT, 1))
		// DATA and WINDOW that are on their way may come after it.
		c.Want(pattern(60_000))
		c.Reset()
	})
}

func TestOpaqueAbort(t *testing.T) {
	eachTunnel(t, "", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client) {
		r.Cancel(0)
		c.WantReset()
	})
	eachTunnel(t, "", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client) {
		c.Reset()
		r.WantCancel(channel.CancelGone)
		// The number is the application's until it says CANCEL, whatever it says
		// before.
		r.Send(testkit.Data(r.Stream, 0, "x"), testkit.Data(r.Stream, END, "y"), testkit.Window(r.Stream, 5))
		r.Cancel(0)
	})
	// A client that has gone before the head came.
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 2})
	for _, tc := range tunnels {
		c := d.Dial(reg)
		c.Send(tc.send)
		r := app.Request()
		c.Reset()
		r.WantCancel(channel.CancelGone)
		r.Send(tc.head(r.Stream), testkit.Data(r.Stream, END, "x"), testkit.Data(r.Stream, 0, "y"))
		r.Cancel(0)
		barrier(t, app, other)
	}
}

// When the application dies the client sees that it was not in order.
func TestOpaqueWorkerDies(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	for _, tc := range tunnels {
		app := d.App(testkit.AppOptions{Credit: 1})
		c := d.Dial(app.Register("http://+:0/"))
		c.Send(tc.send)
		r := app.Request()
		r.Send(tc.head(r.Stream))
		c.Want(tc.want)
		app.Close()
		c.WantReset()
	}
}

// Windows hold in both directions.
func TestOpaqueWindows(t *testing.T) {
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 2, Window: channel.MinWindow})
	c := d.Dial(reg)
	c.SetReadBuffer(32 << 10)
	c.Send(upgrade)
	r := app.Request()
	r.Send(testkit.RawOpaque(r.Stream))
	body := pattern(1 << 20)
	go c.TrySend(body)
	r.WantBody(body[:channel.MinWindow], false)
	barrier(t, app, other)
	r.Window(100)
	r.WantBody(body[channel.MinWindow:channel.MinWindow+100], false)
	barrier(t, app, other)
	r.Window(1 << 20)
	r.WantBody(body[channel.MinWindow+100:], false)

	// A client that does not read: the application is held up, and small
	// requests are not.
	window, sent := int(app.Loop().Welcome.Window), 0
	for blocked := false; !blocked; {
		blocked = true
		for window > 0 {
			k := min(window, 32<<10)
			r.Send(testkit.Data(r.Stream, 0, strings.Repeat("x", k)))
			window -= k
			sent += k
			blocked = false
		}
		if n := windows(app, other); n > 0 {
			window += n
			blocked = false
		}
	}
	if sent > 16<<20 {
		t.Errorf("%d bytes went to a client that does not read", sent)
	}
	// The end waits behind what was sent.
	r.Send(testkit.Data(r.Stream, END, ""), testkit.Cancel(r.Stream, CREDIT, 1))
	if got := c.WantBytes(sent); got != strings.Repeat("x", sent) {
		t.Error("the client got other bytes")
	}
	c.WantEOF()
}

// A refused CONNECT or upgrade is a response like others, but what follows a
// CONNECT is no request.
func TestOpaqueRefused(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	c := d.Dial(reg)
	c.Send(upgrade + get)
	for range 2 {
		app.Request().Respond(404, nil, "no")
		if a := c.WantStatus(404); a.Close {
			t.Errorf("got %s", a.Head)
		}
	}
	c = d.Dial(reg)
	c.Send("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n" + get)
	app.Request().Respond(404, nil, "no")
	if a := c.WantStatus(404); !a.Close {
		t.Errorf("got %s", a.Head)
	}
	c.WantEOF()
}
