package daemon_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// asking makes a head of tunnels ask for the client's socket.
func asking(frame []byte) []byte {
	frame[9] |= byte(testkit.SOCKET)
	return frame
}

// eachHandOver runs f in each form of opaque mode with a socket that was
// handed over: r is the request before the application has answered that.
func eachHandOver(t *testing.T, early string, f func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client, s net.Conn)) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	for _, tc := range tunnels {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			c.Send(tc.send + early)
			r := nextRequest(app)
			r.Send(asking(tc.head(r.Stream)))
			c.Want(tc.want)
			f(t, d, r, c, r.Socket(early))
			d.Exchanges(0)
		})
	}
}

func tell(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	c.SetReadDeadline(time.Now().Add(testkit.Patience))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("read %q (%v), want %q", b, err, want)
	}
}

// The daemon leaves the path: it has neither connection nor exchange any more,
// and bytes flow all the same.
func TestHandOver(t *testing.T) {
	eachHandOver(t, "", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client, s net.Conn) {
		tell(t, s, "at once")
		c.Want("at once")
		r.Cancel(0)
		d.Exchanges(0)
		c.Send("to you")
		hear(t, s, "to you")
		tell(t, s, "and back")
		c.Want("and back")
		s.Close()
		c.WantEOF()
	})
}

// Bytes that came with the handshake and were read come first; what was not
// read is in the socket still.
func TestHandOverEarlyBytes(t *testing.T) {
	early := pattern(10_000)
	eachHandOver(t, early, func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client, s net.Conn) {
		r.Cancel(0)
		c.Send("behind them")
		c.CloseWrite()
		if b, err := io.ReadAll(s); err != nil || string(b) != "behind them" {
			t.Errorf("read %q, %v", b, err)
		}
	})
}

// More than the daemon would hold as pending.
func TestHandOverLongEarlyBytes(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	c := d.Dial(reg)
	early := pattern(1 << 20)
	go c.TrySend(upgrade + early)
	r := app.Request()
	r.Send(asking(testkit.RawOpaque(r.Stream)))
	f := r.Next()
	if f.Type != channel.Socket || f.Value != channel.SocketPassed {
		t.Fatalf("got %v", f)
	}
	pending := string(f.Payload)
	unix.Close(app.Loop().Descriptor())
	r.Send(testkit.NoDescriptor(r.Stream)) // as if it had not come
	r.WantRelayed()
	if !strings.HasPrefix(early, pending) {
		t.Fatal("other bytes are pending")
	}
	// All of them come, once more, on the channel.
	window := channel.DefaultWindow
	r.WantBody(early[:window], false)
	r.Window(1 << 20)
	r.WantBody(early[window:], false)
	r.Cancel(1)
}

// An application that has no room for a descriptor is relayed to.
func TestHandOverRefused(t *testing.T) {
	eachHandOver(t, "early", func(t *testing.T, d *testkit.Daemon, r *testkit.Request, c *testkit.Client, s net.Conn) {
		s.Close()
		c.Send(" and late")
		r.Send(testkit.NoDescriptor(r.Stream))
		r.WantRelayed()
		r.WantBody("early and late", false)
		r.Data("relayed")
		c.Want("relayed")
		c.CloseWrite()
		r.WantBody("", true)
		r.Cancel(1)
		c.WantEOF()
	})
}

// A connection with an idle limit stays with the daemon, which keeps it.
func TestHandOverNotPossible(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	idle := int64(1 << 30)
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{OpaqueIdleMS: &idle}})
	c := d.Dial(reg)
	c.Send(upgrade)
	r := app.Request()
	r.Send(asking(testkit.RawOpaque(r.Stream)))
	r.WantRelayed()
	r.Data("x")
	c.Want("x")
	r.Cancel(1)
	c.WantEOF()
}

// The daemon keeps its own descriptor until the application has answered, and
// both ends of it are in order.
func TestHandOverWorkerDies(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	for _, tc := range tunnels {
		app := d.App(testkit.AppOptions{Credit: 1})
		c := d.Dial(app.Register("http://+:0/"))
		c.Send(tc.send)
		r := app.Request()
		r.Send(asking(tc.head(r.Stream)))
		c.Want(tc.want)
		s := r.Socket("")
		app.Close()
		d.Exchanges(0)
		d.Connections(0)
		tell(t, s, "alive")
		c.Want("alive")
		s.Close()
		c.WantEOF()
	}
}

// An application that has read nothing of it has not got it: the connection
// ends with the channel.
func TestHandOverUnread(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	c := d.Dial(reg)
	c.Send(upgrade)
	r := app.Request()
	r.Send(asking(testkit.Response(r.Stream, OPAQUE, 101, nil, "")))
	c.WantStatus(101)
	app.Close()
	c.WantEnd()
	d.Connections(0)
}

// The counters tell both kinds, and what is relayed now.
func TestOpaqueCounters(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{Credit: 10})
	open := func(head func(uint32) []byte) (*testkit.Request, *testkit.Client) {
		c := d.Dial(reg)
		c.Send(upgrade)
		r := app.Request()
		r.Send(head(r.Stream))
		return r, c
	}
	relayed, _ := open(testkit.RawOpaque)
	given, _ := open(func(n uint32) []byte { return asking(testkit.RawOpaque(n)) })
	given.Socket("")
	given.Cancel(0)
	has := func(now int, total, handed uint64) {
		d.Queue(reg.Queue, fmt.Sprintf("%d relayed now, %d in all, %d handed over", now, total, handed), func(q control.Queue) bool {
			return q.Relaying == now && q.Counters.Relayed == total && q.Counters.HandedOver == handed
		})
	}
	has(1, 1, 1)
	relayed.Cancel(1)
	has(0, 1, 1)
}

// Floods of upgrades are bounded for each queue.
func TestOpaqueLimit(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 10})
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", OpaqueLimit: 2})
	var rs []*testkit.Request
	for range 2 {
		c := d.Dial(reg)
		c.Send(upgrade)
		r := app.Request()
		r.Send(testkit.Response(r.Stream, OPAQUE|CREDIT, 101, nil, ""))
		c.WantStatus(101)
		rs = append(rs, r)
	}
	c := d.Dial(reg)
	c.Send(upgrade)
	c.WantStatus(503)
	// Other requests are served, but cannot leave HTTP.
	c.Send(get)
	r := app.Request()
	r.Send(testkit.RawOpaque(r.Stream))
	r.WantCancel(channel.CancelRefused)
	r.Cancel(0)
	c.WantStatus(503)
	// One that is handed over does not stay, but needs a place meanwhile.
	rs[0].Cancel(1)
	d.Queue(reg.Queue, "one relayed", func(q control.Queue) bool { return q.Relaying == 1 })
	for range 3 {
		c := d.Dial(reg)
		c.Send(upgrade)
		r := app.Request()
		r.Send(asking(testkit.Response(r.Stream, OPAQUE, 101, nil, "")))
		c.WantStatus(101)
		r.Socket("")
		r.Cancel(0)
		d.Queue(reg.Queue, "one relayed", func(q control.Queue) bool { return q.Relaying == 1 })
	}
}

// An application that answers what may not be answered gets to know it, and
// nothing but its request suffers.
func TestOpaqueMisuse(t *testing.T) {
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 5})
	for _, tc := range []struct {
		name, send string
		answer     func(n uint32) []byte
		ends       bool // the stream, on the side of the application
	}{
		{"101 that nobody asked for", get, func(n uint32) []byte { return testkit.Response(n, OPAQUE, 101, nil, "") }, false},
		{"101 and more", get, func(n uint32) []byte {
			return append(testkit.Response(n, OPAQUE, 101, nil, "x"), testkit.Data(n, END, "y")...)
		}, false},
		{"a tunnel that nobody asked for", get, func(n uint32) []byte { return testkit.Response(n, OPAQUE, 200, nil, "") }, false},
		{"a tunnel for a wish to upgrade", upgrade, func(n uint32) []byte { return testkit.Response(n, OPAQUE, 200, nil, "") }, false},
		{"the socket without an upgrade", get, func(n uint32) []byte { return asking(testkit.Response(n, OPAQUE, 101, nil, "")) }, false},
		{"101 without OPAQUE", upgrade, func(n uint32) []byte { return testkit.Response(n, 0, 101, nil, "") }, false},
		{"101 without OPAQUE, and the end", upgrade, func(n uint32) []byte { return testkit.Response(n, END, 101, nil, "") }, true},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			c.Send(tc.send)
			r := nextRequest(app)
			r.Send(tc.answer(r.Stream))
			r.WantCancel(channel.CancelRefused)
			if tc.ends {
				r.Send(testkit.Credit(1))
			} else {
				r.Cancel(0)
			}
			if a := c.WantStatus(500); a.Close {
				t.Errorf("the connection ends: %s", a.Head)
			}
			barrier(t, app, other)
		})
	}
}

// A connection in opaque mode that is silent for too long is closed, in order,
// on both sides; without a limit it is not.
func TestOpaqueIdle(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 5})
	limit := int64(300)
	silent := d.Dial(app.Register("http://+:0/"))
	silent.Send(upgrade)
	unlimited := app.Request()
	unlimited.Send(testkit.RawOpaque(unlimited.Stream))
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{OpaqueIdleMS: &limit}})
	c := d.Dial(reg)
	c.Send(upgrade)
	r := app.Request()
	r.Send(testkit.RawOpaque(r.Stream))
	r.WantCancel(channel.CancelGone)
	c.WantEOF()
	r.Cancel(0)
	unlimited.Data("still here")
	silent.Want("still here")
}

// Nobody is closed by the timers of HTTP in opaque mode.
func TestOpaqueTimersEnd(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 5})
	short := int64(200)
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{
		IdleConnectionMS: &short, HeaderWaitMS: &short, EntityBodyMS: &short, DrainEntityBodyMS: &short,
	}})
	tunnel := d.Dial(reg)
	tunnel.Send(upgrade)
	r := app.Request()
	r.Send(testkit.RawOpaque(r.Stream))
	plain := d.Dial(reg)
	plain.Get("/")
	app.Request().Respond(204, nil, "")
	plain.WantStatus(204)
	plain.WantEOF() // so long it took
	tunnel.Send("still here")
	r.WantBody("still here", false)
	r.Data("so am I")
	tunnel.Want("so am I")
}

// When the daemon ends it says so first, and waits for those who say goodbye.
func TestOpaqueShutdown(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{Credit: 2})
	relayed := d.Dial(reg)
	relayed.Send(upgrade)
	r := app.Request()
	r.Send(testkit.RawOpaque(r.Stream))
	handed := d.Dial(reg)
	handed.Send(upgrade)
	h := app.Request()
	h.Send(asking(testkit.RawOpaque(h.Stream)))
	s := h.Socket("")
	h.Cancel(0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Shutdown()
	}()
	if f := app.Loop().Next(); f.Type != channel.GoAway || f.Value != channel.GoAwaySoon {
		t.Fatalf("got %v; want GOAWAY 1", f)
	}
	r.Data("goodbye")
	relayed.Want("goodbye")
	relayed.Send("you too")
	r.WantBody("you too", false)
	r.Cancel(1)
	relayed.WantEOF()
	if f := app.Loop().Next(); f.Type != channel.GoAway || f.Value != 0 {
		t.Fatalf("got %v; want GOAWAY", f)
	}
	<-ended
	tell(t, s, "alive")
	handed.Want("alive")
	handed.Send("so am I")
	hear(t, s, "so am I")
}

// Those who say nothing are cut after a while that is shorter than that for
// requests.
func TestOpaqueShutdownOfTheSilent(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Drain: time.Hour})
	app := d.App(testkit.AppOptions{Credit: 2})
	c := d.Dial(app.Register("http://+:0/"))
	c.Send(upgrade)
	r := app.Request()
	r.Send(testkit.RawOpaque(r.Stream))
	d.Exchanges(1)
	d.Shutdown()
	c.WantEnd()
}
