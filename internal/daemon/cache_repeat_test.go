package daemon_test

import (
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// repeats is how often these tests ask for something so that the daemon knows the bytes of the request, and
// has looked things up all the same now and then.
const repeats = 40

// A request that comes again to the byte gets what is right now, whatever it got before.
func TestRepeatedRequests(t *testing.T) {
	type world struct {
		d      *testkit.Daemon
		app    *testkit.App
		reg    *testkit.Registration
		client *testkit.Client
	}
	get := func(w *world, head string) *testkit.Answer {
		w.client.Send(head)
		return w.client.Response()
	}
	const head = "GET /a/b HTTP/1.1\r\nHost: localhost\r\n\r\n"
	stored := fields("Cache-Control: max-age=1000", `ETag: "v"`, "Content-Type: text/plain")
	flush := func(w *world) {
		if _, cerr := w.app.Call("flush", channel.FlushParams{URL: w.reg.URL, Recursive: true}); cerr != nil {
			t.Fatal(cerr)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(w *world)
		want   string
	}{
		{"nothing happens", func(*world) {}, "first"},
		{"it is flushed", func(w *world) {
			flush(w)
			w.client.Send(head)
			w.app.Request().Respond(200, stored, "second")
			w.client.WantStatus(200)
		}, "second"},
		{"an unsafe request changes it", func(w *world) {
			w.client.Send("POST /a/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
			w.app.Request().Respond(200, nil, "done")
			w.client.WantStatus(200)
			w.client.Send(head)
			w.app.Request().Respond(200, stored, "second")
			w.client.WantStatus(200)
		}, "second"},
		{"somebody insists on a newer one", func(w *world) {
			other := w.d.Dial(w.reg)
			other.Send("GET /a/b HTTP/1.1\r\nHost: localhost\r\nCache-Control: no-cache\r\n\r\n")
			w.app.Request().Respond(200, stored, "second")
			other.WantStatus(200)
		}, "second"},
		{"it varies now", func(w *world) {
			other := w.d.Dial(w.reg)
			other.Send("GET /a/b HTTP/1.1\r\nHost: localhost\r\nCache-Control: no-cache\r\nA: b\r\n\r\n")
			w.app.Request().Respond(200, append(fields("Vary: A"), stored...), "of b")
			other.WantStatus(200)
			w.client.Send(head)
			w.app.Request().Respond(200, append(fields("Vary: A"), stored...), "of nothing")
			w.client.WantStatus(200)
		}, "of nothing"},
		{"another program registers a longer prefix", func(w *world) {
			app := w.d.App(testkit.AppOptions{Credit: 10})
			app.Register(strings.TrimSuffix(w.reg.URL, "/") + "/a/")
			w.client.Send(head)
			app.Request().Respond(200, stored, "of the other")
			w.client.WantStatus(200)
		}, "of the other"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := testkit.Start(t, testkit.Options{Loops: 1})
			app := d.App(testkit.AppOptions{Credit: 1000})
			w := &world{d: d, app: app, reg: app.Register("http://localhost:0/")}
			w.client = d.Dial(w.reg)
			w.client.Send(head)
			app.Request().Respond(200, stored, "first")
			w.client.WantStatus(200)
			for i := range repeats {
				if a := get(w, head); a.Body != "first" || a.Field("Cache-Status") != "httpsys; hit" {
					t.Fatalf("request %d: %s%s", i, a.Head, a.Body)
				}
			}
			tc.change(w)
			for i := range repeats {
				if a := get(w, head); a.Status != 200 || a.Body != tc.want || a.Field("Cache-Status") != "httpsys; hit" {
					t.Fatalf("request %d afterwards: %s%s", i, a.Head, a.Body)
				}
			}
			// The same URL in other words.
			for range repeats {
				w.client.Send(strings.Replace(head, "GET", "HEAD", 1))
				a, err := w.client.TryResponseTo("HEAD")
				if err != nil || a.Status != 200 || a.Length != len(tc.want) {
					t.Fatalf("HEAD: %+v, %v", a, err)
				}
				a = get(w, strings.Replace(head, "\r\n\r\n", "\r\nIf-None-Match: \"v\"\r\n\r\n", 1))
				if a.Status != 304 || a.Body != "" || a.Field("Cache-Status") != "httpsys; hit" {
					t.Fatalf("a condition: %s%s", a.Head, a.Body)
				}
			}
			hits := int64(0)
			st, _ := d.CacheState(control.CacheStateParams{}, everyone)
			for _, p := range st.Prefix {
				hits += p.Hits
			}
			if want := int64(repeats * 4); hits != want {
				t.Errorf("%d hits are counted, want %d", hits, want)
			}
			// All at once: the first is no request by itself.
			w.client.Send(strings.Repeat(head, 5))
			for range 5 {
				if a := w.client.WantStatus(200); a.Body != tc.want {
					t.Fatalf("in a row: %s%s", a.Head, a.Body)
				}
			}
			// In pieces.
			for i := 1; i < len(head); i += 7 {
				w.client.Send(head[:i])
				w.client.Send(head[i:])
				if a := w.client.WantStatus(200); a.Body != tc.want {
					t.Fatalf("in pieces: %s%s", a.Head, a.Body)
				}
			}
			// And the last one.
			for range 3 {
				last := d.Dial(w.reg)
				last.Send(head)
				last.WantStatus(200)
				last.Send(strings.Replace(head, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
				if a := last.WantStatus(200); a.Body != tc.want || !a.Close {
					t.Fatalf("the last one: %s%s", a.Head, a.Body)
				}
				last.WantEOF()
			}
		})
	}
}

// The same bytes on another port, or to another address, are another request.
func TestRepeatedOnTwoPorts(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 1})
	app := d.App(testkit.AppOptions{Credit: 10})
	const head = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	one := app.Register("http://127.0.0.1:0/")
	_, port, _ := strings.Cut(strings.TrimPrefix(one.URL, "http://"), ":")
	two := app.Register("http://127.0.0.2:" + port)
	three := app.Register("http://127.0.0.1:0/")
	var clients []*testkit.Client
	for _, reg := range []*testkit.Registration{one, two, three} {
		c := d.DialAddr(strings.TrimSuffix(strings.TrimPrefix(reg.URL, "http://"), "/"))
		c.Send(head)
		app.Request().Respond(200, fields("Cache-Control: max-age=1000"), reg.URL)
		c.WantStatus(200)
		clients = append(clients, c)
	}
	for range repeats {
		for i, c := range clients {
			for range 3 {
				c.Send(head)
				if a := c.WantStatus(200); a.Body != []string{one.URL, two.URL, three.URL}[i] {
					t.Fatalf("address %d: %s", i, a.Body)
				}
			}
		}
	}
}

// Whether a request needs a Host is decided by the prefix that is spoken to, not by what was
// answered before.
func TestRepeatedWithoutHost(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 1})
	app := d.App(testkit.AppOptions{Credit: 10})
	required := false
	lax := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/lax/", RequireHost: &required})
	port := strings.TrimSuffix(lax.URL, "lax/")
	app.Register(port + "strict/")
	const head = "GET /lax/ HTTP/1.1\r\n\r\n"
	c := d.Dial(lax)
	first := "GET /lax/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
	c.Send(first)
	app.Request().Respond(200, fields("Cache-Control: max-age=1000"), "lax")
	c.WantStatus(200)
	c.Send(head)
	app.Request().Respond(200, fields("Cache-Control: max-age=1000"), "no host")
	c.WantStatus(200)
	for range repeats {
		c.Send(head)
		c.WantStatus(200)
	}
	c = d.Dial(lax)
	c.Send("GET /strict/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
	app.Request().Respond(200, fields("Cache-Control: max-age=1000"), "strict")
	c.WantStatus(200)
	c.Send(head)
	c.WantStatus(400)
}
