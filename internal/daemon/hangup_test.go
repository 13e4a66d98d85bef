package daemon_test

import (
	"fmt"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// An application ends connections that it does not need any more: between two
// requests, and instead of an answer (docs/channel.md sections 4.1 and 7).
func TestHangup(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 100, Connections: channel.ConnectionsAll})
	reg := app.Register("http://+:0/")
	hangup := func(app *testkit.App, number uint64) {
		app.Loop().Send(channel.AppendDisconnection(nil, number))
	}

	d.Run("between two requests", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(get)
		facts := app.Loop().Connected()
		app.Request().Respond(200, nil, "one")
		c.WantStatus(200)
		hangup(app, facts.Number)
		c.WantEOF()
	})
	d.Run("behind the answer that is being sent", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(get)
		facts := nextFacts(app)
		r := nextRequest(app)
		r.Send(testkit.Response(r.Stream, END|CREDIT, 200, nil, "one"), channel.AppendDisconnection(nil, facts.Number))
		if got := c.Response(); got.Body != "one" {
			t.Fatalf("got %+v", got)
		}
		c.WantEOF()
	})
	d.Run("behind the answer, when the rest of the request does not come", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc")
		facts := nextFacts(app)
		nextRequest(app).Respond(200, nil, "one")
		c.WantStatus(200)
		hangup(app, facts.Number)
		c.WantEOF()
	})
	d.Run("not when a request has come", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(get)
		facts := nextFacts(app)
		r := nextRequest(app)
		hangup(app, facts.Number)
		r.Respond(200, nil, "one")
		c.WantStatus(200)
		c.Send(get)
		nextRequest(app).Respond(200, nil, "two")
		c.WantStatus(200)
		c.Close()
	})
	d.Run("not a connection that nobody told of", func(t *testing.T) {
		c := d.Dial(reg)
		c.Send(get)
		facts := nextFacts(app)
		nextRequest(app).Respond(200, nil, "one")
		c.WantStatus(200)
		hangup(app, facts.Number+1_000_000)
		c.Send(get)
		nextRequest(app).Respond(200, nil, "two")
		c.WantStatus(200)
		c.Close()
	})
	d.Run("not when another application had the last request", func(t *testing.T) {
		other := d.App(testkit.AppOptions{Credit: 100, Connections: channel.ConnectionsAll})
		other.Register(fmt.Sprintf("http://+:%d/other/", reg.Port))
		c := d.Dial(reg)
		c.Send(get)
		facts := nextFacts(app)
		nextRequest(app).Respond(200, nil, "one")
		c.WantStatus(200)
		c.Get("/other/")
		nextRequest(other).Respond(200, nil, "two")
		c.WantStatus(200)
		hangup(app, facts.Number)
		c.Get("/other/")
		nextRequest(other).Respond(200, nil, "three")
		c.WantStatus(200)
		hangup(other, facts.Number)
		c.WantEOF()
	})
	d.Run("instead of an answer", func(t *testing.T) {
		for _, request := range []string{get, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"} {
			c := d.Dial(reg)
			c.Send(request)
			r := nextRequest(app)
			r.Send(testkit.Cancel(r.Stream, CREDIT, 1))
			c.WantEOF()
		}
	})
}

// nextFacts skips frames up to a CONNECTION.
func nextFacts(app *testkit.App) channel.ConnectionFacts {
	for {
		if f := app.Loop().Next(); f.Type == channel.Connection {
			c, err := channel.ParseConnection(f.Payload)
			if err != nil {
				panic(err)
			}
			return c
		}
	}
}

// What the only prefix of a port sets holds from the first byte of a connection.
func TestSolePrefix(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 100})
	no := false
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", ErrorPages: &no, RequireHost: &no})
	const bad = "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"

	c := d.Dial(reg)
	c.Send(bad)
	c.Want("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	c.WantEOF()
	c = d.Dial(reg)
	c.Send("GET / HTTP/1.1\r\n\r\n")
	app.Request().Respond(200, nil, "no host")
	c.WantStatus(200)
	c.Close()

	app.Register(fmt.Sprintf("http://+:%d/second/", reg.Port))
	c = d.Dial(reg)
	c.Send(bad)
	if got := c.Response(); got.Status != 400 || got.Body == "" {
		t.Errorf("with a second prefix: got %+v", got)
	}
	c.WantEOF()
	c = d.Dial(reg)
	c.Send("GET / HTTP/1.1\r\n\r\n")
	c.WantStatus(400)
	c.WantEOF()
	// What was routed to a prefix has its settings, all the same.
	c = d.Dial(reg)
	c.Send(get)
	app.Request().Respond(200, nil, "")
	c.WantStatus(200)
	c.Send(bad)
	c.Want("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	c.WantEOF()
}

// The timeouts of a prefix change with another registration of it.
func TestChangedTimeouts(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 100})
	never, soon := int64(0), int64(10)
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{HeaderWaitMS: &never}})
	app.RegisterWith(channel.RegisterParams{URL: reg.URL, Timeouts: &channel.Timeouts{HeaderWaitMS: &soon}})
	c := d.Dial(reg)
	c.Send("GET / HTTP/1.1\r\n")
	c.WantStatus(408)
	c.WantEOF()
}
