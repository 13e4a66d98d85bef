package daemon_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// barrier sends a small request of another client through, so that everything
// which the daemon had for the application before has arrived. Any frame that
// comes first fails the test.
func barrier(t *testing.T, app *testkit.App, other *testkit.Client) {
	t.Helper()
	other.Get("/barrier")
	r := app.Request()
	if r.Target != "/barrier" {
		t.Fatalf("got %s", r.Text())
	}
	r.Respond(200, nil, "")
	other.WantStatus(200)
}

// eachWindow is barrier for an application that is granted windows meanwhile, and calls f with each.
func eachWindow(app *testkit.App, other *testkit.Client, f func(stream uint32, n int)) {
	other.Get("/barrier")
	for {
		frame := app.Loop().Next()
		if frame.Type == channel.Request {
			app.Loop().Send(testkit.Response(frame.Stream, END|CREDIT, 200, nil, ""))
			break
		}
		n, _ := channel.Uint32(frame.Payload)
		f(frame.Stream, int(n))
	}
	other.WantStatus(200)
}

// pattern is n bytes that differ from place to place.
func pattern(n int) string {
	b := make([]byte, n)
	x := uint32(n)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = 'a' + byte(x>>24)%26
	}
	return string(b)
}

// chunked is body in chunks of n bytes.
func chunked(body string, n int) string {
	var b strings.Builder
	for len(body) > 0 {
		k := min(n, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", k, body[:k])
		body = body[k:]
	}
	return b.String() + "0\r\n\r\n"
}

// The daemon sends at most as many bytes of a request's body as the
// application has granted, to the byte (docs/channel.md section 6).
func TestRequestWindow(t *testing.T) {
	const window = channel.MinWindow
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 2, Window: window})
	body := pattern(100_000)
	for _, tc := range []struct{ name, send string }{
		{"length", fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)},
		{"chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 1000)},
		{"one chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, len(body))},
		{"tiny chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 1)},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			go c.TrySend(tc.send)
			r := app.Request()
			at := len(r.Body)
			r.WantBody(body[at:window], false)
			barrier(t, app, other)
			at = window
			for _, n := range []int{1, 100, 5000, 20_000} {
				r.Window(uint32(n))
				r.WantBody(body[at:at+n], false)
				at += n
				barrier(t, app, other)
			}
			r.Window(1 << 20)
			r.WantBody(body[at:], true)
			r.Respond(200, nil, "")
			c.WantStatus(200)
			c.Get("/next")
			r = app.Request()
			r.Respond(200, nil, "")
			c.WantStatus(200)
		})
	}
}

// Trailers take nothing from the window.
func TestTrailersNeedNoWindow(t *testing.T) {
	_, app, _, c := one(t, testkit.AppOptions{Window: channel.MinWindow})
	body := pattern(channel.MinWindow - 1)
	c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.TrimSuffix(chunked(body, 4000), "\r\n") + "A: b\r\n\r\n")
	r := app.Request()
	r.WantBody(body, false)
	r.WantTrailers("A: b")
	r.Respond(200, nil, "")
	c.WantStatus(200)
}

// Bytes of a response beyond the window cost an application its session, and
// nobody else anything.
func TestResponseWindowOverdrawn(t *testing.T) {
	d, app, reg, c := one(t, testkit.AppOptions{})
	good := d.App(testkit.AppOptions{Credit: 1})
	goodReg := good.Register("http://+:0/")
	window := int(app.Loop().Welcome.Window)
	c.Get("/")
	r := app.Request()
	r.Start(200, nil, "")
	r.Data(strings.Repeat("x", window))
	if n := r.WantWindow(); n < window/2 || n > 4*window {
		t.Fatalf("WINDOW %d for %d bytes that a client took", n, window)
	}

	c2 := d.Dial(reg)
	c2.SetReadBuffer(64 << 10)
	app.Loop().Send(testkit.Credit(1))
	c2.Get("/")
	r = app.Request()
	r.Send(testkit.Response(r.Stream, 0, 200, nil, ""), testkit.Data(r.Stream, 0, strings.Repeat("x", window+1)))
	if text := app.Loop().Refused(channel.InvalidParameter); !strings.Contains(text, "window") {
		t.Errorf("refused with %q", text)
	}
	app.WantEnd()
	c.WantEnd() // the other request of the application is cut
	c2.WantEnd()

	c3 := d.Dial(goodReg)
	c3.Get("/")
	good.Request().Respond(200, nil, "fine")
	c3.WantStatus(200)
}

// A slow client blocks its own response and nothing else, and what the daemon
// holds for it is bounded: 6 clients ask for 32 MB and do not read.
func TestSlowReaders(t *testing.T) {
	const clients, size = 6, 32 << 20
	d, app, reg, other := one(t, testkit.AppOptions{Credit: clients + 1})
	piece := pattern(32 << 10)
	before := heap()

	type stream struct {
		r      *testkit.Request
		c      *testkit.Client
		window int
		sent   int
	}
	streams := map[uint32]*stream{}
	var slow []*stream
	for range clients {
		c := d.Dial(reg)
		c.SetReadBuffer(64 << 10)
		c.Get("/big")
		r := app.Request()
		s := &stream{r: r, c: c, window: int(app.Loop().Welcome.Window)}
		r.Start(200, fields(fmt.Sprintf("Content-Length: %d", size)), "")
		streams[r.Stream] = s
		slow = append(slow, s)
	}
	push := func() (blocked bool) {
		blocked = true
		for _, s := range slow {
			for s.window >= len(piece) && s.sent < size {
				end := channel.Flags(0)
				if s.sent+len(piece) == size {
					end = END | CREDIT
				}
				app.Loop().Send(testkit.Data(s.r.Stream, end, piece))
				s.window -= len(piece)
				s.sent += len(piece)
				blocked = false
			}
		}
		return blocked
	}
	// Send all that the windows allow, until a barrier brings no new window.
	for {
		blocked := push()
		eachWindow(app, other, func(stream uint32, n int) {
			streams[stream].window += n
			blocked = false
		})
		if blocked {
			break
		}
	}
	total := 0
	for i, s := range slow {
		if s.sent == size {
			t.Errorf("client %d: all of %d bytes went to somebody who does not read", i, size)
		}
		total += s.sent
	}
	if grown := heap() - before; grown > clients*(1<<20)+16<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	for range 100 { // small requests are unhurt
		barrier(t, app, other)
	}
	t.Logf("%d bytes are on their way to %d clients", total, clients)

	// One of them reads now, and gets everything.
	s := slow[3]
	done := make(chan string)
	go func() {
		a, err := s.c.TryResponse()
		if err != nil {
			t.Error(err)
		}
		done <- a.Body
	}()
	for s.sent < size {
		f := app.Loop().Next()
		n, err := channel.Uint32(f.Payload)
		if f.Type != channel.Window || f.Stream != s.r.Stream || err != nil {
			t.Fatalf("got %v", f)
		}
		s.window += int(n)
		push()
	}
	if got := <-done; got != strings.Repeat(piece, size/len(piece)) {
		t.Errorf("a client got %d other bytes", len(got))
	}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A fast client's stream gets a wider window, step by step, and what it has
// lent goes back to the others.
func TestWindowGrowsForFastClients(t *testing.T) {
	_, app, _, c := one(t, testkit.AppOptions{})
	const size, widest = 8 << 20, 1 << 20
	for range 20 { // more than the budget would allow if it were not given back
		c.Get("/")
		r := app.Request()
		r.Start(200, fields(fmt.Sprintf("Content-Length: %d", size)), "")
		got := make(chan int)
		go func() {
			a, _ := c.TryResponse()
			got <- len(a.Body)
		}()
		window := int(app.Loop().Welcome.Window)
		most := window
		for sent := 0; sent < size; {
			for window > 0 && sent < size {
				k := min(window, 200_000, size-sent)
				flags := channel.Flags(0)
				if sent+k == size {
					flags = END | CREDIT
				}
				r.Send(testkit.Data(r.Stream, flags, strings.Repeat("x", k)))
				sent += k
				window -= k
			}
			if sent < size {
				window += r.WantWindow()
				most = max(most, window)
			}
		}
		if n := <-got; n != size {
			t.Fatalf("the client got %d bytes", n)
		}
		if most < 4*channel.DefaultWindow || most > widest {
			t.Fatalf("the widest window was %d bytes", most)
		}
		// WINDOWs may be on their way for the stream that is over.
		c.Get("/")
		for {
			f := app.Loop().Next()
			if f.Type == channel.Request {
				app.Loop().Send(testkit.Response(f.Stream, END|CREDIT, 200, nil, ""))
				break
			}
		}
		c.WantStatus(200)
	}
}

// An application that answers without reading the body: the rest is read and
// dropped for the sake of the connection, up to a bound.
func TestEarlyAnswer(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	for _, tc := range []struct {
		name string
		size int
		keep bool
	}{
		{"short", 100_000, true},
		{"just short enough", 1<<20 - 1000, true},
		{"too long", 3 << 20, false},
	} {
		for _, coding := range []string{"length", "chunks"} {
			d.Run(tc.name+" "+coding, func(t *testing.T) {
				c := d.Dial(reg)
				body := strings.Repeat("GET /evil HTTP/1.1\r\nHost: a\r\n\r\n", tc.size/31+1)[:tc.size]
				if coding == "length" {
					c.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", tc.size))
				} else {
					c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
					body = chunked(body, 50_000)
				}
				r := app.Request()
				r.Respond(200, nil, "early")
				if got := c.WantStatus(200).Body; got != "early" {
					t.Fatalf("got %q", got)
				}
				// The window is not given back for a body that nobody reads, so the
				// daemon drops what comes.
				if !tc.keep {
					go c.TrySend(body)
					c.WantEnd()
					return
				}
				c.Send(body)
				c.Get("/next")
				if r := app.Request(); r.Target != "/next" {
					t.Fatalf("got %s", r.Text())
				} else {
					r.Respond(200, nil, "")
				}
				c.WantStatus(200)
			})
		}
	}
}

// Nothing is said on a stream any more that the application has ended.
func TestSilenceAfterTheEnd(t *testing.T) {
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 5})
	c := d.Dial(reg)
	c.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	r := app.Request()
	r.WantBody("hello", false)
	r.Respond(200, nil, "")
	c.WantStatus(200)
	c.Send("5\r\nhello\r\n")
	c.CloseWrite()
	c.WantEnd()
	barrier(t, app, other)

	// A client that leaves while the last bytes are on their way to it.
	c = d.Dial(reg)
	c.Get("/")
	r = app.Request()
	r.Respond(200, nil, strings.Repeat("x", channel.DefaultWindow))
	c.Reset()
	barrier(t, app, other)
	d.Exchanges(0)
	d.Queue("", "no request in the application", func(q control.Queue) bool { return q.Workers[0].Inflight == 0 })
}
