package daemon_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Beyond the limit of its queue a client gets 503 and is told to come again.
func TestQueueLimit(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{})
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Limit: 2})
	a, b, c := d.Dial(reg), d.Dial(reg), d.Dial(reg)
	a.Get("/a")
	d.Waiting(1)
	b.Get("/b")
	d.Waiting(2)
	for range 2 { // the connection stays
		c.Get("/c")
		r := c.WantStatus(503)
		if r.Field("Retry-After") == "" || r.Close {
			t.Errorf("got %s", r.Head)
		}
	}
	app.Loop().Send(testkit.Credit(3))
	for _, target := range []string{"/a", "/b"} {
		r := app.Request()
		if r.Target != target {
			t.Errorf("got %s, want %s", r.Target, target)
		}
		r.Respond(200, nil, "")
	}
	c.Get("/c")
	app.Request().Respond(200, nil, "")
	c.WantStatus(200)
	d.Queue("", "5 requests, 2 of them rejected", func(q control.Queue) bool {
		return q.Counters.Requests == 5 && q.Counters.Rejected == 2 && q.Limit == 2
	})
}

// A request that waits for too long gets 503.
func TestQueueMaxAge(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	age := int64(short)
	app := d.App(testkit.AppOptions{})
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", MaxAgeMS: &age})
	c, late := d.Dial(reg), d.Dial(reg)
	c.Get("/a")
	late.Send(post) // one whose body is not here
	for _, c := range []*testkit.Client{c, late} {
		if r := c.WantStatus(503); r.Field("Retry-After") == "" || !strings.Contains(r.Body, "waited too long") {
			t.Errorf("got %s%s", r.Head, r.Body)
		}
	}
	d.Queue("", "expired requests", func(q control.Queue) bool { return q.Counters.Expired == 2 && q.Length == 0 })
	app.Loop().Send(testkit.Credit(1)) // nothing is there to be taken
	c.Get("/b")
	r := app.Request()
	if r.Target != "/b" {
		t.Errorf("got %s", r.Text())
	}
	r.Respond(200, nil, "")
	c.WantStatus(200)
}

// The machine's request queue timeout holds where a registration says nothing.
func TestQueueMaxAgeOfTheMachine(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Config: `{"version":1,"timeouts":{"requestqueuetimeout":1}}`})
	app := d.App(testkit.AppOptions{})
	reg := app.Register("http://+:0/")
	never := int64(0)
	forever := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Queue: "forever", MaxAgeMS: &never})
	c, patient := d.Dial(reg), d.Dial(forever)
	patient.Get("/")
	c.Get("/")
	c.WantStatus(503)
	d.Wait("a request that waits", waiting(forever, 1))
}

// shared starts workers of one queue.
func shared(d *testkit.Daemon, n int, opt testkit.AppOptions) ([]*testkit.App, *testkit.Registration) {
	var apps []*testkit.App
	var reg *testkit.Registration
	for i := range n {
		opt.Program = fmt.Sprintf("worker %d", i)
		a := d.App(opt)
		p := channel.RegisterParams{URL: "http://+:0/", Queue: "q"}
		if i > 0 {
			p.URL = reg.URL
		}
		r := a.RegisterWith(p)
		if i > 0 && r.ID != reg.ID {
			panic("a shared registration has two numbers")
		}
		apps, reg = append(apps, a), r
	}
	return apps, reg
}

// Workers with credit take requests in turn; one without gets none.
func TestFairness(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	apps, reg := shared(d, 3, testkit.AppOptions{Credit: 100})
	idle := d.App(testkit.AppOptions{})
	idle.RegisterWith(channel.RegisterParams{URL: reg.URL, Queue: "q"})
	clients := make([]*testkit.Client, 30)
	for i := range clients {
		clients[i] = d.Dial(reg)
		clients[i].Get("/")
		d.Exchanges(i + 1) // one after the other
	}
	for i, a := range apps {
		for range 10 {
			a.Request().Respond(200, nil, fmt.Sprint(i))
		}
	}
	for i, c := range clients {
		if got := c.WantStatus(200).Body; got != fmt.Sprint(i%3) {
			t.Errorf("request %d was answered by worker %s, want %d", i, got, i%3)
		}
	}
}

// When a worker dies, clients of requests that it had begun get 502, or see
// their response cut, and the others never notice: their requests go to
// another worker (docs/channel.md section 7).
func TestWorkerDies(t *testing.T) {
	for _, tc := range []struct {
		name   string
		begun  int // by the counter; -1: there is none
		frames func(r []*testkit.Request)
		want   []string // what becomes of four requests
	}{
		{"none begun", 0, nil, []string{"other", "other", "other", "other"}},
		{"two begun", 2, nil, []string{"502", "502", "other", "other"}},
		{"all begun", 4, nil, []string{"502", "502", "502", "502"}},
		{"a counter beyond what was sent", 1 << 40, nil, []string{"502", "502", "502", "502"}},
		{"no counter", -1, nil, []string{"502", "502", "502", "502"}},
		{"one answered", 2, func(r []*testkit.Request) { r[1].Respond(200, nil, "first") },
			[]string{"502", "first", "other", "other"}},
		{"one in the middle of its response", 1, func(r []*testkit.Request) { r[0].Start(200, nil, "first") },
			[]string{"cut", "other", "other", "other"}},
		{"a frame says more than the counter", 0, func(r []*testkit.Request) { r[2].Window(1) },
			[]string{"other", "other", "502", "other"}},
		{"an informational response, too", 0, func(r []*testkit.Request) { r[3].Start(103, nil, "") },
			[]string{"other", "other", "other", "502"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := testkit.Start(t, testkit.Options{})
			app := d.App(testkit.AppOptions{Credit: 4, Begun: tc.begun >= 0})
			reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Queue: "q"})
			var clients []*testkit.Client
			var rs []*testkit.Request
			for i := range tc.want {
				c := d.Dial(reg)
				c.Send(fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nb%d", i, i))
				clients, rs = append(clients, c), append(rs, app.Request())
			}
			other := d.App(testkit.AppOptions{Credit: 4})
			other.RegisterWith(channel.RegisterParams{URL: reg.URL, Queue: "q"})
			if tc.frames != nil {
				tc.frames(rs)
			}
			if tc.begun >= 0 {
				app.Loop().SetBegun(uint64(tc.begun))
			}
			app.Close()
			for i, want := range tc.want {
				if want != "other" {
					continue
				}
				r := other.Request() // in the old order
				if r.Target != fmt.Sprintf("/%d", i) || r.Body != fmt.Sprintf("b%d", i) || !r.Ended {
					t.Fatalf("the other worker got %s; want request %d", r.Text(), i)
				}
				r.Respond(200, nil, "other")
			}
			for i, c := range clients {
				a, err := c.TryResponse()
				for err == nil && a.Status == 103 {
					a, err = c.TryResponse()
				}
				got := ""
				switch {
				case err != nil && a != nil && a.Body == "first":
					got = "cut"
				case err != nil:
					got = err.Error()
				case a.Status == 200:
					got = a.Body
				default:
					got = fmt.Sprint(a.Status)
				}
				if got != tc.want[i] {
					t.Errorf("request %d: %s, want %s", i, got, tc.want[i])
				}
			}
		})
	}
}

// Bodies that a worker was sent before it died go to the next one, as far as
// they are kept and as far as its window goes.
func TestWorkerDiesWithBodies(t *testing.T) {
	for _, tc := range []struct {
		name   string
		size   int
		sent   int    // what the worker got of it
		window uint32 // of the other worker
		moves  bool
	}{
		{"a short body", 100, 100, 0, true},
		{"a body in frames of its own", 40_000, 40_000, 0, true},
		{"the start of a long body", 200_000, 65_536, 0, true},
		{"a body that just fits the other worker's window", 16_384, 16_384, channel.MinWindow, true},
		{"a body that the other worker's window does not take", 40_000, 40_000, channel.MinWindow, false},
		{"more than is kept", 200_000, 200_000, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := testkit.Start(t, testkit.Options{})
			opt := testkit.AppOptions{Credit: 1, Begun: true}
			if tc.sent > channel.DefaultWindow {
				opt.Window = 1 << 20
			}
			app := d.App(opt)
			reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Queue: "q"})
			body := pattern(tc.size)
			c := d.Dial(reg)
			go c.TrySend(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", tc.size, body))
			r := app.Request()
			if !r.Ended {
				r.WantBody(body[len(r.Body):tc.sent], tc.sent == tc.size)
			}
			app.Close()
			other := d.App(testkit.AppOptions{Credit: 1, Window: tc.window})
			other.RegisterWith(channel.RegisterParams{URL: reg.URL, Queue: "q"})
			if !tc.moves {
				c.WantStatus(502)
				return
			}
			r = other.Request()
			if !r.Ended {
				at := len(r.Body)
				if tc.size > channel.DefaultWindow {
					r.WantBody(body[at:channel.DefaultWindow], false)
					at = channel.DefaultWindow
					r.Window(1 << 20)
				}
				r.WantBody(body[at:], true)
			} else if r.Body != body {
				t.Fatalf("got %s", r.Text())
			}
			r.Respond(200, nil, "")
			c.WantStatus(200)
		})
	}
}

// A worker that has given up its last prefix in a shared queue gets no more of
// its requests, though it works on one: they are for those who still have one.
// The last worker gets what was routed before.
func TestWorkerThatIsClosing(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	closing, other := d.App(testkit.AppOptions{Credit: 10}), d.App(testkit.AppOptions{})
	reg := closing.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Queue: "q"})
	url := reg.URL
	other.RegisterWith(channel.RegisterParams{URL: url, Queue: "q"})
	first := d.Dial(reg)
	first.Get("/first")
	r := closing.Request()
	other.Loop().Send(testkit.Credit(1))
	closing.Unregister(reg)
	for i := range 20 {
		c := d.Dial(reg)
		c.Get(fmt.Sprintf("/%d", i))
		other.Request().Respond(200, nil, "")
		c.WantStatus(200)
		other.Loop().Send(testkit.Credit(1))
	}
	r.Respond(200, nil, "")
	first.WantStatus(200)

	// Registered again, it is a worker again; and leaves once more.
	again := closing.RegisterWith(channel.RegisterParams{URL: url, Queue: "q"})
	other.Unregister(reg)
	c := d.Dial(again)
	c.Get("/again")
	closing.Request().Respond(200, nil, "")
	c.WantStatus(200)

	// Nobody else is there: what waits is for the one that has just closed.
	alone := d.App(testkit.AppOptions{})
	late := alone.Register("http://+:0/")
	c = d.Dial(late)
	c.Get("/late")
	d.Waiting(1)
	alone.Unregister(late)
	alone.Loop().Send(testkit.Credit(1))
	alone.Request().Respond(200, nil, "")
	c.WantStatus(200)
}
