package daemon_test

import (
	"fmt"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Applications that ask are told of the connections of clients (docs/channel.md
// section 4.1). What they are told of TLS is in clientcert_test.go.

func TestConnections(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 100, Connections: channel.ConnectionsAll})
	reg := app.Register("http://+:0/")
	l := app.Loop()
	d.Run("before the first request, and at the end", func(t *testing.T) {
		c := d.Dial(reg)
		c.Get("/1")
		facts := l.Connected()
		r := l.Request()
		if facts.Number != r.Head.Connection || facts.Version != 0 || facts.Flags != 0 || facts.ServerName != "" || len(facts.Certificates) != 0 {
			t.Errorf("%+v before a request of connection %d", facts, r.Head.Connection)
		}
		r.Respond(200, nil, "")
		c.WantStatus(200)
		for i := range 3 {
			c.Get(fmt.Sprint("/again", i))
			again := l.Request() // and no CONNECTION before it
			again.Respond(200, nil, "")
			c.WantStatus(200)
		}
		c.Close()
		if n := l.Disconnected(); n != facts.Number {
			t.Errorf("the end of %d, of %d expected", n, facts.Number)
		}
	})
	d.Run("a client that asked for nothing", func(t *testing.T) {
		silent := d.Dial(reg)
		d.Connections(1)
		silent.Close()
		d.Connections(0)
		c := d.Dial(reg) // nothing came before this one's
		c.Get("/")
		n := l.Connected().Number
		l.Request().Respond(200, nil, "")
		c.WantStatus(200)
		c.Close()
		if got := l.Disconnected(); got != n {
			t.Error(got)
		}
	})
	d.Run("CANCEL comes before the end", func(t *testing.T) {
		c := d.Dial(reg)
		c.Get("/")
		n := l.Connected().Number
		r := l.Request()
		c.Reset()
		r.WantCancel(channel.CancelGone)
		if got := l.Disconnected(); got != n {
			t.Error(got)
		}
		r.Cancel(0)
	})
	d.Run("streams of HTTP/2 are of one connection", func(t *testing.T) {
		nc, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
		if err != nil {
			t.Fatal(err)
		}
		h := dialHTTP2(t, nc)
		h.get(1, "/1")
		n := l.Connected().Number
		one := l.Request()
		h.get(3, "/2")
		two := l.Request()
		if one.Head.Connection != n || two.Head.Connection != n {
			t.Errorf("connections %d and %d, announced %d", one.Head.Connection, two.Head.Connection, n)
		}
		one.Respond(200, nil, "")
		two.Respond(200, nil, "")
		h.want("1 status 200 END", "3 status 200 END")
		nc.Close()
		if got := l.Disconnected(); got != n {
			t.Error(got)
		}
	})
}

// Who does not ask is told nothing, and who asks for TLS nothing of plain text.
func TestConnectionsUntold(t *testing.T) {
	for _, ask := range []string{channel.ConnectionsNone, channel.ConnectionsTLS} {
		d := testkit.Start(t, testkit.Options{})
		app := d.App(testkit.AppOptions{Credit: 2, Connections: ask})
		reg := app.Register("http://+:0/")
		for range 3 {
			c := d.Dial(reg)
			c.Get("/")
			app.Request().Respond(200, nil, "")
			c.WantStatus(200)
			c.Close()
			d.Connections(0)
		}
	}
}

func TestConnectionsParameter(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{NoLoops: true})
	c := d.Connect()
	c.SayHello(channel.HelloMessage{Role: channel.RoleLoop, Session: app.Welcome.Session, Connections: "some"})
	if text, want := c.Refused(channel.InvalidParameter), `connections is "some": want "tls", "all" or nothing`; text != want {
		t.Errorf("%q, want %q", text, want)
	}
}

// Each of several workers is told before the first request that it gets, also when
// that was meant for another one, which died; and only those that live hear of
// the end.
func TestConnectionsOfSeveralWorkers(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	opt := testkit.AppOptions{Connections: channel.ConnectionsAll, Begun: true}
	params := channel.RegisterParams{URL: "http://+:0/", Queue: "q"}
	a, b := d.App(opt), d.App(opt)
	reg := a.RegisterWith(params)
	params.URL = reg.URL
	b.RegisterWith(params)
	c := d.Dial(reg)

	answer := func(app *testkit.App) { // and take no more
		t.Helper()
		r := app.Request()
		r.Send(testkit.Response(r.Stream, testkit.END, 200, nil, ""))
		c.WantStatus(200)
	}
	turn := func(app *testkit.App, told bool) uint64 {
		t.Helper()
		app.Loop().Send(testkit.Credit(1))
		c.Get("/")
		var n uint64
		if told {
			n = app.Loop().Connected().Number
		}
		answer(app)
		return n
	}
	n := turn(a, true)
	if m := turn(b, true); m != n {
		t.Errorf("connection %d for one, %d for the other", n, m)
	}
	turn(a, false)
	turn(b, false)

	fresh := d.App(opt)
	fresh.RegisterWith(params)
	a.Loop().Send(testkit.Credit(1))
	c.Get("/left-behind")
	a.Request() // not begun
	a.Close()
	d.Waiting(1)
	fresh.Loop().Send(testkit.Credit(1))
	if m := fresh.Loop().Connected().Number; m != n {
		t.Errorf("connection %d, want %d", m, n)
	}
	answer(fresh)
	b.Close()
	c.Close()
	if m := fresh.Loop().Disconnected(); m != n {
		t.Errorf("the end of %d, want %d", m, n)
	}
}
