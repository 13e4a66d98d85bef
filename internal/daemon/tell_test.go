package daemon_test

import (
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A program that has a port for itself may see of its clients what the daemon
// deals with alone otherwise (docs/channel.md section 3.6).

func tellDaemon(t *testing.T, url string, words ...string) (*testkit.Daemon, *testkit.App, *testkit.Registration) {
	t.Helper()
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 100, Connections: channel.ConnectionsAll})
	return d, app, app.RegisterWith(channel.RegisterParams{URL: url, Tell: words})
}

func endNow(number uint64) []byte {
	return channel.AppendFrame(nil, channel.Disconnection, 0, 0, channel.DisconnectNow, channel.AppendDisconnection(nil, number)[channel.HeaderSize:])
}

func TestTellAccepted(t *testing.T) {
	d, app, reg := tellDaemon(t, "http://*:0/", channel.TellAccepted)
	l := app.Loop()
	d.Run("before a byte was sent", func(t *testing.T) {
		c := d.Dial(reg)
		facts := l.Connected()
		if facts.Flags != channel.ConnectionAccepted || facts.Registration != reg.ID || facts.Client != c.LocalAddr() || !strings.HasPrefix(facts.Local, "127.0.0.1:") {
			t.Errorf("%+v", facts)
		}
		c.Get("/")
		r := l.Request() // and no CONNECTION once more
		if r.Head.Connection != facts.Number {
			t.Errorf("a request of connection %d, of %d expected", r.Head.Connection, facts.Number)
		}
		r.Respond(200, nil, "")
		c.WantStatus(200)
		c.Close()
		if n := l.Disconnected(); n != facts.Number {
			t.Error(n)
		}
	})
	d.Run("its end is told without a request", func(t *testing.T) {
		c := d.Dial(reg)
		facts := l.Connected()
		c.Close()
		if n := l.Disconnected(); n != facts.Number {
			t.Error(n)
		}
	})
	d.Run("the program ends it in the middle of a head", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send("GET / HT")
		facts := l.Connected()
		l.Send(endNow(facts.Number))
		c.WantEnd()
		if n := l.Disconnected(); n != facts.Number {
			t.Error(n)
		}
	})
	d.Run("not when another registration is on the port", func(t *testing.T) {
		other := app.Register(strings.Replace(reg.URL, "*", "example.org", 1))
		c := d.Dial(reg)
		d.Connections(1)
		c.Get("/")
		if facts := l.Connected(); facts.Flags != 0 {
			t.Errorf("%+v", facts)
		}
		l.Request().Respond(200, nil, "")
		c.WantStatus(200)
		c.Close()
		l.Disconnected()
		app.Unregister(other)
	})
}

// The time for the head runs from the beginning: the program has seen it.
func TestTellAcceptedHeadTimeout(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1, Connections: channel.ConnectionsAll})
	no, wait, off := false, int64(50), int64(0)
	reg := app.RegisterWith(channel.RegisterParams{
		URL: "http://*:0/", Tell: []string{channel.TellAccepted}, ErrorPages: &no,
		Timeouts: &channel.Timeouts{HeaderWaitMS: &wait, IdleConnectionMS: &off},
	})
	c := d.Dial(reg)
	app.Loop().Connected()
	c.Want("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
	c.WantEOF()
}

func TestTellUnparsed(t *testing.T) {
	d, app, reg := tellDaemon(t, "http://*:0/", channel.TellUnparsed)
	l := app.Loop()
	const foreign = "FOO / XYZ\r\n\r\n"
	for _, bad := range []string{"Oopsie-doopsie\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nmore", foreign, "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", 40_000) + "\r\n\r\n"} {
		d.Run(strings.Fields(bad)[0], func(t *testing.T) {
			c := d.Dial(reg)
			c.Send(bad)
			facts := l.Connected()
			r := l.Request()
			if r.Text() != "  0.0 authority= length=0 raw end" || r.Head.Registration != reg.ID || r.Head.Connection != facts.Number {
				t.Errorf("got %q", r.Text())
			}
			r.Send(testkit.RawOpaque(r.Stream))
			r.WantBody(bad, false)
			r.Send(testkit.Data(r.Stream, 0, "what the program says"), testkit.Cancel(r.Stream, CREDIT, 1))
			c.Want("what the program says")
			c.WantEnd()
			l.Disconnected()
		})
	}
	d.Run("behind a request", func(t *testing.T) {
		c := d.Dial(reg)
		c.Get("/")
		l.Connected()
		l.Request().Respond(200, nil, "")
		c.WantStatus(200)
		c.Send("bad\r\n")
		r := l.Request()
		r.Send(testkit.RawOpaque(r.Stream))
		r.WantBody("bad\r\n", false)
		c.Close()
		r.WantBody("", true)
		r.Send(testkit.Cancel(r.Stream, CREDIT, 1))
		l.Disconnected()
	})
	d.Run("what nobody wants to see", func(t *testing.T) {
		for _, text := range []string{"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nmore"} {
			c := d.Dial(reg)
			c.Send(text)
			l.Connected()
			r := l.Request()
			if r.Head.Flags&channel.RequestRaw != 0 {
				t.Errorf("got %q", r.Text())
			}
			r.Respond(200, nil, "")
			c.WantStatus(200)
			c.Close()
			l.Disconnected()
		}
	})
	d.Run("the daemon answers where the port is not the program's alone", func(t *testing.T) {
		other := app.Register(strings.Replace(reg.URL, "*", "example.org", 1))
		c := d.Dial(reg)
		c.Send("bad\r\n")
		c.WantStatus(400)
		c.WantEnd()
		app.Unregister(other)
	})
}

func TestTellUpgrade(t *testing.T) {
	d, app, reg := tellDaemon(t, "http://*:0/", channel.TellUpgrade)
	l := app.Loop()
	const head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n"
	for _, followed := range []string{
		head + "\r\nfirst bytes", head + "Transfer-Encoding: chunked\r\n\r\n", head + "Content-Length: 4\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nfirst bytes", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		c := d.Dial(reg)
		c.Send(followed)
		l.Connected()
		r := l.Request()
		r.Send(testkit.RawOpaque(r.Stream))
		r.WantBody(followed, false)
		r.Send(testkit.Cancel(r.Stream, CREDIT, 1))
		c.WantEnd()
		l.Disconnected()
	}
	c := d.Dial(reg)
	c.Send(head + "\r\n")
	l.Connected()
	r := l.Request()
	if r.Method != "GET" || r.Head.Flags != channel.RequestUpgrade {
		t.Errorf("got %q", r.Text())
	}
	r.Respond(200, nil, "")
	c.WantStatus(200)
	c.Send("bad\r\n")
	c.WantStatus(400)
	c.WantEnd()
	l.Disconnected()
}

func TestTellAhead(t *testing.T) {
	d, app, reg := tellDaemon(t, "http://*:0/", channel.TellAhead)
	l := app.Loop()
	isAhead := func(t *testing.T, r *testkit.Request) {
		t.Helper()
		if f := r.Next(); f.Type != channel.Ahead {
			t.Fatalf("got %v; want AHEAD", f)
		}
	}
	d.Run("with the head", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(get + get + get)
		l.Connected()
		for range 2 {
			r := l.Request()
			if r.Head.Flags != channel.RequestAhead {
				t.Errorf("got %q", r.Text())
			}
			r.Respond(200, nil, "1") // it may as well be answered as ever
			c.WantStatus(200)
		}
		r := l.Request() // nothing is behind this one
		if r.Head.Flags != 0 {
			t.Errorf("got %q", r.Text())
		}
		r.Respond(200, nil, "3")
		c.WantStatus(200)
		c.Close()
		l.Disconnected()
	})
	d.Run("later, once, and the program takes the bytes", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(get)
		l.Connected()
		r := l.Request()
		c.Send("more")
		isAhead(t, r)
		c.Send(" and more")
		r.Send(testkit.RawOpaque(r.Stream))
		r.WantBody("more and more", false)
		r.Send(testkit.Cancel(r.Stream, CREDIT, 1))
		c.WantEnd()
		l.Disconnected()
	})
	d.Run("when it has waited for a worker", func(t *testing.T) {
		d := testkit.Start(t, testkit.Options{})
		app := d.App(testkit.AppOptions{})
		c := d.Dial(app.RegisterWith(channel.RegisterParams{URL: "http://*:0/", Tell: []string{channel.TellAhead}}))
		c.Send(get)
		d.Waiting(1)
		c.Send(get)
		app.Loop().Send(testkit.Credit(1))
		isAhead(t, app.Request())
	})
}

func TestTellPipelined(t *testing.T) {
	d, app, reg := tellDaemon(t, "http://*:0/", channel.TellPipelined)
	l := app.Loop()
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
	for _, several := range []string{get + get, get + "\r\n", post + get} {
		c := d.Dial(reg)
		c.Send(several)
		l.Connected()
		r := l.Request()
		r.Send(testkit.RawOpaque(r.Stream))
		r.WantBody(several, false)
		c.Send("more")
		r.WantBody("more", false)
		r.Send(testkit.Cancel(r.Stream, CREDIT, 1))
		c.WantEnd()
		l.Disconnected()
	}
	c := d.Dial(reg)
	c.Send(post) // one alone, and then another that is alone
	l.Connected()
	for range 2 {
		r := l.Request()
		if r.Method == "" || r.Head.Flags != 0 {
			t.Errorf("got %q", r.Text())
		}
		r.Respond(200, nil, "")
		c.WantStatus(200)
		c.Send(get)
	}
	l.Request().Respond(200, nil, "")
	c.WantStatus(200)
	c.Close()
	l.Disconnected()
}

// The last word counts, and nonsense is refused.
func TestTellParameter(t *testing.T) {
	d, app, reg := tellDaemon(t, "http://*:0/")
	for _, c := range []struct{ url, word, why string }{
		{reg.URL, "everything", `tell has "everything": want accepted, unparsed, upgrade, ahead and pipelined`},
		{"http://example.org:0/", "ahead", "tell is for prefixes that have a whole port"},
		{"http://+:0/a/", "ahead", "tell is for prefixes that have a whole port"},
		{"tcp://+:0/", "ahead", "tell is for prefixes that have a whole port"},
	} {
		_, refusal := app.TryRegister(channel.RegisterParams{URL: c.url, Tell: []string{c.word}})
		if refusal == nil || refusal.Code != channel.InvalidParameter || !strings.Contains(refusal.Message, c.why) {
			t.Errorf("%+v: %v", c, refusal)
		}
	}
	for _, words := range [][]string{{channel.TellUnparsed}, {}} {
		app.RegisterWith(channel.RegisterParams{URL: reg.URL, Tell: words})
		c := d.Dial(reg)
		c.Send("bad\r\n")
		if len(words) == 0 {
			c.WantStatus(400)
		} else {
			app.Loop().Connected()
			r := app.Request()
			r.Cancel(1)
			app.Loop().Disconnected()
		}
		c.WantEnd()
	}
}
