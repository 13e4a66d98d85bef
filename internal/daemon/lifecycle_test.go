package daemon_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/daemon"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/leak"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// When the daemon ends, requests that are there get their answers, idle
// connections and ports are closed, and applications are told.
func TestShutdownDrains(t *testing.T) {
	d, app, reg, idle := one(t, testkit.AppOptions{Credit: 1})
	idle.Get("/")
	app.Request().Respond(200, nil, "")
	idle.WantStatus(200)
	running, waits, half := d.Dial(reg), d.Dial(reg), d.Dial(reg)
	running.Get("/running")
	r := app.Request()
	waits.Get("/waits")
	d.Waiting(1)
	half.Send("GET /half HT")
	d.Connections(4)
	done := make(chan struct{})
	go func() { d.Shutdown(); close(done) }()
	idle.WantEOF()
	if c, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port)); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
	if f := app.Loop().Next(); f.Type != channel.GoAway || f.Value != channel.GoAwaySoon {
		t.Errorf("got %v; want GOAWAY 1", f)
	}
	r.Start(200, nil, "hel")
	r.Finish("lo")
	if a := running.WantStatus(200); a.Body != "hello" || !a.Close {
		t.Errorf("got %s%s", a.Head, a.Body)
	}
	app.Request().Respond(200, nil, "")
	if a := waits.WantStatus(200); !a.Close {
		t.Errorf("got %s", a.Head)
	}
	half.Send("TP/1.1\r\nHost: a\r\n\r\n")
	app.Request().Respond(200, nil, "")
	half.WantStatus(200)
	for _, c := range []*testkit.Client{running, waits, half} {
		c.WantEOF()
	}
	app.Loop().Want(channel.GoAway)
	app.Loop().WantEnd()
	app.WantEnd()
	<-done
	if _, err := os.Lstat(d.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	d.Shutdown() // once more does nothing
}

// But not for ever.
func TestShutdownIsBounded(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Drain: 300 * time.Millisecond, Busy: true})
	app := d.App(testkit.AppOptions{Credit: 10})
	reg := app.Register("http://+:0/")
	var clients []*testkit.Client
	for _, send := range []string{get, post, "GET /", upgrade} {
		c := d.Dial(reg)
		c.Send(send)
		if strings.HasSuffix(send, "\r\n\r\n") {
			r := app.Request()
			if send == upgrade {
				r.Send(testkit.RawOpaque(r.Stream))
			}
		}
		clients = append(clients, c)
	}
	d.Connections(len(clients))
	start := time.Now()
	d.Shutdown()
	if took := time.Since(start); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("Shutdown took %v", took)
	}
	for _, c := range clients {
		c.WantEnd()
	}
}

// No session, registration or loop begins while the daemon ends.
func TestNothingBeginsWhileTheDaemonEnds(t *testing.T) {
	d, app, reg, c := one(t, testkit.AppOptions{})
	c.Get("/")
	r := app.Request()
	done := make(chan struct{})
	go func() { d.Shutdown(); close(done) }()
	d.Wait("the port to be closed", func(st *control.State) bool { return len(st.Ports) == 0 })
	if _, err := app.TryRegister(channel.RegisterParams{URL: "http://+:0/"}); err == nil || err.Code != channel.Internal {
		t.Errorf("register: %v", err)
	}
	app.Unregister(reg)
	if _, err := net.Dial("unix", d.Socket); err == nil {
		t.Error("the socket accepts")
	}
	r.Respond(200, nil, "")
	c.WantStatus(200)
	<-done
}

// The daemon's own socket and folder.
func TestStart(t *testing.T) {
	leak.Check(t)
	dir := testkit.Dir(t)
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o600)
	start := func(socket, data string) (*daemon.Daemon, string, error) {
		var out bytes.Buffer
		d, err := daemon.Start(daemon.Options{Socket: socket, Data: filepath.Join(dir, data), Loops: 1, Out: &out})
		return d, out.String(), err
	}
	fails := func(socket, data, text string) {
		t.Helper()
		d, _, err := start(socket, data)
		if err == nil {
			d.Shutdown()
			t.Errorf("%s: a daemon started", socket)
			return
		}
		if !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want something about %q", socket, err, text)
		}
	}
	socket := filepath.Join(dir, "run", "s")
	first, out, err := start(socket, "one")
	if err != nil {
		t.Fatal(err)
	}
	if want := "httpsys: ready on " + socket + "\n"; out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	if fi, err := os.Stat(socket); err != nil || fi.Mode().Perm() != 0o666 {
		t.Errorf("the socket is %v, %v: everybody may connect", fi.Mode(), err)
	}
	fails(socket, "two", "another httpsys daemon is running")
	fails(filepath.Join(dir, "s"), "one", "in use by another httpsys")
	fails(file, "two", "not a socket")
	fails(filepath.Join(file, "s"), "two", "cannot make the folder")
	fails(filepath.Join(dir, strings.Repeat("x", 110)), "two", "longer than 107")
	os.MkdirAll(filepath.Join(dir, "broken"), 0o700)
	os.WriteFile(filepath.Join(dir, "broken", "config.json"), []byte("{"), 0o600)
	fails(filepath.Join(dir, "s"), "broken", "config.json")
	first.Shutdown()

	// A socket that nobody listens on is replaced.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	second, _, err := start(socket, "one")
	if err != nil {
		t.Fatal(err)
	}
	second.Shutdown()
	// The longest path that fits.
	long := filepath.Join(dir, strings.Repeat("x", 107-len(dir)-1))
	third, _, err := start(long, "one")
	if err != nil {
		t.Fatal(err)
	}
	third.Shutdown()
}

// Registrations are not state: they are gone with the daemon. Reservations
// are, and stay.
func TestRestart(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{NoLoops: true})
	app.Register("http://+:0/")
	d.Admin(control.AddURLACL, map[string]any{"url": "http://+:18443/x/", "grants": []map[string]any{{"user": "23001", "listen": true}}})
	d.Shutdown()
	again, err := daemon.Start(daemon.Options{Socket: d.Socket, Data: d.Data, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Shutdown()
	st, _ := again.ServiceState()
	if len(st.Sessions)+len(st.Ports)+len(st.Queues) != 0 {
		t.Errorf("the state is %+v", st)
	}
	p, err := prefix.Parse("http://+:18443/x/y/")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := again.Reservations().Reservation(p); !ok {
		t.Error("the reservation is gone")
	}
}

// One of two workers is killed again and again under load, and comes back:
// clients lose nothing but the requests that it had begun, and those get 502.
func TestKillUnderLoad(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 2})
	steady := d.App(testkit.AppOptions{Credit: 50})
	reg := steady.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Queue: "q"})
	steady.ServeRequests(func(r *testkit.Request) { r.Respond(200, nil, r.Target) })

	const clients, kills = 8, 15
	var stop atomic.Bool
	var wg sync.WaitGroup
	var served, lost atomic.Int64
	for i := range clients {
		c := d.Dial(reg)
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				target := fmt.Sprintf("/%d/%d", i, n)
				c.Get(target)
				switch a, err := c.TryResponse(); {
				case err != nil:
					t.Errorf("%s: %v", target, err)
					return
				case a.Status == 200 && a.Body == target:
					served.Add(1)
				case a.Status == 502 && !a.Close:
					lost.Add(1)
				default:
					t.Errorf("%s: got %s%s", target, a.Head, a.Body)
					return
				}
			}
		})
	}
	// On each loop the victim begins the first two requests that it is sent,
	// says so, and answers the first. It dies with four requests in hand.
	var begun, answered int64
	for range kills {
		v := d.App(testkit.AppOptions{Credit: 10, Begun: true})
		v.RegisterWith(channel.RegisterParams{URL: reg.URL, Queue: "q"})
		var mu sync.Mutex
		dead := false
		inHand := make(chan struct{}, 100)
		got := make([]uint64, len(v.Loops))
		v.ServeRequests(func(r *testkit.Request) {
			mu.Lock()
			defer mu.Unlock()
			if dead {
				return
			}
			got[r.Index]++
			switch n := got[r.Index]; n {
			case 1:
				r.SetBegun(n)
				begun++
				answered++
				r.Send(testkit.Response(r.Stream, END, 200, nil, r.Target))
			case 2:
				r.SetBegun(n)
				begun++
				inHand <- struct{}{}
			default:
				inHand <- struct{}{}
			}
		})
		for range 4 {
			<-inHand
		}
		mu.Lock()
		dead = true
		v.Close()
		mu.Unlock()
	}
	stop.Store(true)
	wg.Wait()
	if lost.Load() != begun-answered {
		t.Errorf("%d requests got 502; the victims had begun %d and answered %d", lost.Load(), begun, answered)
	}
	t.Logf("%d requests were served, %d lost", served.Load(), lost.Load())
	if served.Load() < kills*10 {
		t.Errorf("only %d requests were served", served.Load())
	}
}
