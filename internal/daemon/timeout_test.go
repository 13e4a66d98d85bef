package daemon_test

import (
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// short is a timeout for tests, in milliseconds: they wait for what comes when
// it has passed.
const short = 150

// timed is a registration with timeouts, and another without as a clock: its
// connections stay.
func timed(t *testing.T, timeouts channel.Timeouts) (*testkit.Daemon, *testkit.App, *testkit.Registration) {
	t.Helper()
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 10, Window: channel.MinWindow})
	return d, app, app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &timeouts})
}

func ms(n int64) *int64 { return &n }

// The first request on a connection says whose timeouts hold (HTTP.SYS:
// HTTP_TIMEOUT_LIMIT_INFO).
func served(t *testing.T, d *testkit.Daemon, app *testkit.App, reg *testkit.Registration) *testkit.Client {
	t.Helper()
	c := d.Dial(reg)
	c.Get("/")
	app.Request().Respond(200, nil, "")
	c.WantStatus(200)
	return c
}

func TestIdleConnectionTimeout(t *testing.T) {
	d, app, reg := timed(t, channel.Timeouts{IdleConnectionMS: ms(short)})
	start := time.Now()
	c := served(t, d, app, reg)
	c.WantEOF()
	if after := time.Since(start); after < short*time.Millisecond {
		t.Errorf("closed after %v", after)
	}
	// A request that runs is not idle.
	c = served(t, d, app, reg)
	c.Get("/")
	r := app.Request()
	served(t, d, app, reg).WantEOF() // as long as this takes
	r.Respond(200, nil, "hello")
	c.WantStatus(200)
	c.WantEOF()
}

func TestHeaderWaitTimeout(t *testing.T) {
	d, app, reg := timed(t, channel.Timeouts{HeaderWaitMS: ms(short), IdleConnectionMS: ms(0)})
	idle := served(t, d, app, reg) // 0 is off
	c := served(t, d, app, reg)
	c.Send("GET / HTTP/1.1\r\n")
	// It holds for the whole head, however much comes meanwhile.
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(short / 5 * time.Millisecond):
				if c.TrySend("A: b\r\n") != nil {
					return
				}
			}
		}
	}()
	a := c.WantStatus(408)
	close(stop)
	<-done
	if !a.Close || !strings.Contains(a.Body, "header") {
		t.Errorf("got %s%s", a.Head, a.Body)
	}
	c.WantEnd()
	idle.Get("/")
	app.Request().Respond(200, nil, "")
	idle.WantStatus(200)
}

// The 408 is no answer to the request before.
func TestHeaderWaitTimeoutAfterHead(t *testing.T) {
	d, app, reg := timed(t, channel.Timeouts{HeaderWaitMS: ms(short)})
	c := d.Dial(reg)
	c.Send(head)
	app.Request().Respond(200, nil, "")
	c.Want("HTTP/1.1 200 OK\r\nDate: *\r\nServer: httpsys\r\n\r\n")
	c.Send("GET")
	if a := c.WantStatus(408); a.Body == "" {
		t.Errorf("got %s", a.Head)
	}
}

// The machine's timeouts hold before the first request.
func TestTimeoutsOfTheMachine(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Config: `{"version":1,"timeouts":{"idleconnectiontimeout":1,"headerwaittimeout":2}}`})
	app := d.App(testkit.AppOptions{Credit: 1})
	reg := app.Register("http://+:0/")
	idle, slow := d.Dial(reg), d.Dial(reg)
	slow.Send("GET / HTT")
	start := time.Now()
	idle.WantEOF()
	if after := time.Since(start); after > 1900*time.Millisecond || after < 900*time.Millisecond {
		t.Errorf("closed after %v, want 1 s", after)
	}
	slow.WantStatus(408)
	if after := time.Since(start); after < 1900*time.Millisecond {
		t.Errorf("refused after %v, want 2 s", after)
	}
}

const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"

func TestEntityBodyTimeout(t *testing.T) {
	d, app, reg := timed(t, channel.Timeouts{EntityBodyMS: ms(short)})
	start := func(t *testing.T, send string) (*testkit.Client, *testkit.Request) {
		c := d.Dial(reg)
		c.Send(send)
		return c, app.Request()
	}
	d.Run("a client that stalls", func(t *testing.T) {
		c, r := start(t, post)
		c.Send("hello")
		r.WantBody("hello", false)
		r.WantCancel(channel.CancelBody)
		r.Respond(408, nil, "too slow")
		if a := c.WantStatus(408); !a.Close || a.Body != "too slow" {
			t.Errorf("got %s%s", a.Head, a.Body)
		}
		c.WantEnd()
	})
	d.Run("an application that does not read", func(t *testing.T) {
		c, r := start(t, post)
		c.Send(pattern(channel.MinWindow))
		r.WantBody(pattern(channel.MinWindow), false)
		_, clock := start(t, post)
		clock.WantCancel(channel.CancelBody)
		clock.Respond(200, nil, "")
		r.Window(1000)
		c.Send("more")
		r.WantBody("more", false)
		r.WantCancel(channel.CancelBody) // now it is the client who stalls
		r.Respond(200, nil, "")
		c.WantStatus(200)
	})
	d.Run("a client that stalls when the application reads again", func(t *testing.T) {
		c, r := start(t, post)
		c.Send(pattern(channel.MinWindow))
		r.WantBody(pattern(channel.MinWindow), false)
		r.Window(1000)
		r.WantCancel(channel.CancelBody)
		r.Respond(200, nil, "")
		c.WantStatus(200)
	})
	d.Run("a client that waits for 100 Continue", func(t *testing.T) {
		c, r := start(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		_, clock := start(t, post)
		clock.WantCancel(channel.CancelBody)
		clock.Respond(200, nil, "")
		r.Start(100, nil, "")
		c.Want("HTTP/1.1 100 Continue\r\n\r\n")
		c.Send("hello")
		r.WantBody("hello", true)
		r.Respond(200, nil, "")
		c.WantStatus(200)
		// But not longer than until then.
		c, r = start(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		r.Start(100, nil, "")
		c.Want("HTTP/1.1 100 Continue\r\n\r\n")
		r.WantCancel(channel.CancelBody)
		r.Respond(200, nil, "")
		c.WantStatus(200)
	})
	d.Run("a request that waits in the queue", func(t *testing.T) {
		// The body stays in the socket until somebody takes the request.
		lazy := d.App(testkit.AppOptions{Window: channel.MinWindow})
		lreg := lazy.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{EntityBodyMS: ms(short)}})
		c := d.Dial(lreg)
		c.Send(post + "hello")
		_, clock := start(t, post)
		clock.WantCancel(channel.CancelBody)
		clock.Respond(200, nil, "")
		lazy.Loop().Send(testkit.Credit(1))
		r := lazy.Request()
		r.WantBody("hello", false)
		r.WantCancel(channel.CancelBody)
		r.Respond(200, nil, "")
		c.WantStatus(200)
	})
	d.Run("a request that waits in the queue and never brings its body", func(t *testing.T) {
		lazy := d.App(testkit.AppOptions{Window: channel.MinWindow})
		lreg := lazy.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{EntityBodyMS: ms(short)}})
		c := d.Dial(lreg)
		c.Send(post)
		d.Wait("a request in the queue", waiting(lreg, 1))
		lazy.Loop().Send(testkit.Credit(1))
		r := lazy.Request()
		r.WantCancel(channel.CancelBody)
		r.Respond(200, nil, "")
		c.WantStatus(200)
	})
}

func TestDrainEntityBodyTimeout(t *testing.T) {
	d, app, reg := timed(t, channel.Timeouts{DrainEntityBodyMS: ms(short)})
	c := d.Dial(reg)
	c.Send(post)
	r := app.Request()
	r.Respond(200, nil, "early")
	c.WantStatus(200)
	c.Send("hello")
	c.WantEnd()
	d.Exchanges(0)
}

// Timeouts that are off are off.
func TestTimeoutsOff(t *testing.T) {
	d, app, reg := timed(t, channel.Timeouts{EntityBodyMS: ms(0), DrainEntityBodyMS: ms(0), IdleConnectionMS: ms(0), HeaderWaitMS: ms(0), MinSendRate: ms(0)})
	for _, state := range []string{"", "GET /", post} {
		c := served(t, d, app, reg)
		c.Send(state)
		if state == post {
			app.Request()
		}
	}
	_, _, _ = d, app, reg
	other := d.App(testkit.AppOptions{Credit: 1})
	oreg := other.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{IdleConnectionMS: ms(3 * short)}})
	served(t, d, other, oreg).WantEOF()
	d.Connections(3)
}
