package daemon_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// rawText is a connection without HTTP as an application gets it.
const rawText = "  0.0 authority=localhost length=0 raw end"

func rawDaemon(t *testing.T, url string, credit int) (*testkit.Daemon, *testkit.App, *testkit.Registration) {
	t.Helper()
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: credit})
	return d, app, app.Register(url)
}

// A connection on a port without HTTP arrives before a byte was sent, and
// bytes flow both ways.
func TestRaw(t *testing.T) {
	d, app, reg := rawDaemon(t, "tcp://+:0/", 1)
	for _, ask := range []bool{false, true} {
		c := d.Dial(reg)
		r := nextRequest(app)
		if r.Text() != rawText || r.Client != c.LocalAddr() || r.Head.Registration != reg.ID {
			t.Errorf("got %q from %s", r.Text(), r.Client)
		}
		if !ask {
			r.Send(testkit.RawOpaque(r.Stream), testkit.Data(r.Stream, 0, "hello"))
			c.Want("hello")
			c.Send("GET / HTTP/1.1\r\n\r\n")
			r.WantBody("GET / HTTP/1.1\r\n\r\n", false)
			c.CloseWrite()
			r.WantBody("", true)
			r.Send(testkit.Data(r.Stream, END, "bye"), testkit.Cancel(r.Stream, CREDIT, 1))
			c.Want("bye")
			c.WantEOF()
			continue
		}
		c.Send("first")
		r.Send(asking(testkit.RawOpaque(r.Stream)))
		s := r.Socket("")
		r.Cancel(0)
		d.Connections(0)
		hear(t, s, "first")
		tell(t, s, "answer")
		c.Want("answer")
		s.Close()
		c.WantEOF()
	}
}

// What clients send ahead, and that they have said all, is not lost while they
// wait.
func TestRawWaits(t *testing.T) {
	d, app, reg := rawDaemon(t, "tcp://+:0/", 0)
	early := pattern(300_000)
	var cs []*testkit.Client
	for range 3 {
		c := d.Dial(reg)
		go func() {
			if c.TrySend(early) == nil {
				c.CloseWrite()
			}
		}()
		cs = append(cs, c)
	}
	d.Waiting(3)
	app.Loop().Send(testkit.Credit(3))
	var rs []*testkit.Request
	for range 3 {
		rs = append(rs, nextRequest(app))
	}
	for _, r := range rs {
		r.Send(testkit.RawOpaque(r.Stream), testkit.Window(r.Stream, 1<<20))
		r.WantBody(early, true)
		r.Cancel(1)
	}
	for _, c := range cs {
		c.WantEOF()
	}
}

// Whoever leaves while it waits is forgotten, if it says so by a reset.
func TestRawLeaves(t *testing.T) {
	d, _, reg := rawDaemon(t, "tcp://+:0/", 0)
	d.Dial(reg).Reset()
	d.Queue(reg.Queue, "one cancelled", func(q control.Queue) bool { return q.Counters.Cancelled == 1 && q.Length == 0 })
	d.Connections(0)
}

// Where there is no HTTP, nothing is refused in HTTP either: the connection
// is closed.
func TestRawRefused(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{})
	reg := app.RegisterWith(channel.RegisterParams{URL: "tcp://+:0/", Limit: 1, OpaqueLimit: 1})
	waits := d.Dial(reg)
	d.Waiting(1)
	d.Dial(reg).WantEOF() // the queue is full
	app.Loop().Send(testkit.Credit(1))
	r := app.Request()
	r.Send(testkit.RawOpaque(r.Stream))
	d.Dial(reg).WantEOF() // there are as many as there may be
	r.Cancel(1)
	waits.WantEOF()
	for name, answer := range map[string]func(n uint32) []byte{
		"a response":      func(n uint32) []byte { return testkit.Response(n, 0, 200, nil, "") },
		"101":             func(n uint32) []byte { return testkit.Response(n, OPAQUE, 101, nil, "") },
		"a tunnel":        func(n uint32) []byte { return testkit.Response(n, OPAQUE, 200, nil, "") },
		"103":             func(n uint32) []byte { return testkit.Response(n, 0, 103, nil, "") },
		"the wish to end": nil,
	} {
		c := d.Dial(reg)
		r := nextRequest(app)
		if answer == nil {
			r.Cancel(0)
		} else {
			r.Send(answer(r.Stream))
			r.WantCancel(channel.CancelRefused)
			r.Cancel(0)
		}
		if got := c.WantEnd(); got != "" {
			t.Errorf("%s: the client got %q", name, got)
		}
	}
}

// A worker that dies before it has begun leaves the connection to another.
func TestRawWorkerDies(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	first := d.App(testkit.AppOptions{Credit: 1, Begun: true})
	p := channel.RegisterParams{URL: "tcp://+:0/", Queue: "raw"}
	reg := first.RegisterWith(p)
	c := d.Dial(reg)
	c.Send("hello")
	first.Request()
	second := d.App(testkit.AppOptions{Credit: 1})
	p.URL = reg.URL
	second.RegisterWith(p)
	first.Close()
	r := second.Request()
	r.Send(testkit.RawOpaque(r.Stream))
	r.WantBody("hello", false)
	r.Cancel(1)
	c.WantEOF()
}

// A port speaks one scheme, and reservations hold for it.
func TestRawRegister(t *testing.T) {
	d, app, reg := rawDaemon(t, "tcp://127.0.0.1:0/", 1)
	for _, url := range []string{"http://+:%d/", "tls://+:%d/"} {
		_, cerr := app.TryRegister(channel.RegisterParams{URL: fmt.Sprintf(url, reg.Port)})
		if cerr == nil || cerr.Code != channel.AlreadyExists || !strings.Contains(cerr.Message, "is used for tcp") {
			t.Errorf("%s: %v", url, cerr)
		}
	}
	if _, cerr := app.TryRegister(channel.RegisterParams{URL: fmt.Sprintf("tcp://+:%d/x/", reg.Port)}); cerr == nil || cerr.Code != channel.InvalidParameter {
		t.Errorf("with a path: %v", cerr)
	}
	// The strong wildcard is asked first; the address is for who knows it.
	wild := app.Register(fmt.Sprintf("tcp://+:%d/", reg.Port))
	d.Dial(reg)
	r := app.Request()
	if r.Head.Registration != wild.ID {
		t.Errorf("registration %d got it, want %d", r.Head.Registration, wild.ID)
	}
	r.Cancel(0)
	other := d.App(testkit.AppOptions{})
	if _, cerr := other.TryRegister(channel.RegisterParams{URL: wild.URL}); cerr == nil || cerr.Code != channel.AlreadyExists {
		t.Errorf("registered twice: %v", cerr)
	}
}
