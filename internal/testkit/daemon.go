package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/certs/acme"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/daemon"
	"github.com/httpsys/httpsys/internal/testkit/leak"
	"github.com/httpsys/httpsys/internal/tlsio"
)

// Patience is how long a verb waits for its event before the test fails.
const Patience = 20 * time.Second

// Options of a daemon.
type Options struct {
	Loops int           // default 1
	Drain time.Duration // bound of a clean end; default 5 s
	Hello time.Duration // for a HELLO; default is the daemon's
	ACME  acme.Options
	TLS   tlsio.Limits
	// Config is the daemon's configuration file; "" is none.
	Config string
	// Busy daemons are not asked whether they have come to rest at the end.
	Busy bool
}

// Daemon is a daemon in this process.
type Daemon struct {
	*daemon.Daemon
	t      *current
	Socket string
	Data   string
	Log    Log
	admin  *App // made when needed
	busy   bool
}

// Start starts a daemon that ends with the test.
func Start(t testing.TB, opt Options) *Daemon {
	t.Helper()
	leak.Check(t)
	if opt.Loops == 0 {
		opt.Loops = 1
	}
	if opt.Drain == 0 {
		opt.Drain = 5 * time.Second
	}
	dir := Dir(t)
	d := &Daemon{t: &current{tb: t}, Socket: filepath.Join(dir, "s"), Data: filepath.Join(dir, "data"), busy: opt.Busy}
	if opt.Config != "" {
		if err := os.MkdirAll(d.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.Data, "config.json"), []byte(opt.Config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	d.Daemon, err = daemon.Start(daemon.Options{
		Socket: d.Socket, Data: d.Data, Loops: opt.Loops, Drain: opt.Drain, Hello: opt.Hello, ACME: opt.ACME, TLS: opt.TLS, Log: &d.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() && !d.busy {
			d.Rest()
		}
		d.Shutdown()
		if t.Failed() {
			lines := strings.SplitAfter(d.Log.String(), "\n")
			t.Logf("end of the log of the daemon:\n%s", strings.Join(lines[max(0, len(lines)-20):], ""))
		}
	})
	return d
}

// current is the test that runs now: the one that started the daemon, or a
// subtest of it. Goroutines of the kit may fail it, too.
type current struct {
	mu sync.Mutex
	tb testing.TB
}

func (c *current) now() testing.TB {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tb
}

func (c *current) set(tb testing.TB) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tb = tb
}

func (c *current) Fatalf(format string, args ...any) {
	tb := c.now()
	tb.Helper()
	tb.Fatalf(format, args...)
}

func (c *current) Fatal(args ...any) {
	tb := c.now()
	tb.Helper()
	tb.Fatal(args...)
}

func (c *current) Errorf(format string, args ...any) {
	tb := c.now()
	tb.Helper()
	tb.Errorf(format, args...)
}

func (c *current) Cleanup(f func()) { c.now().Cleanup(f) }

// Run runs a subtest with the same daemon and applications: their verbs fail
// the subtest, and what it makes ends with it.
func (d *Daemon) Run(name string, f func(t *testing.T)) {
	outer := d.t.now()
	outer.Helper()
	outer.(*testing.T).Run(name, func(t *testing.T) {
		d.t.set(t)
		t.Cleanup(func() { d.t.set(outer) })
		f(t)
	})
}

// Dir makes a folder with a short path, as sockets need, into which other
// users can look.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// State is a snapshot of the service.
func (d *Daemon) State() *control.State {
	d.t.now().Helper()
	st, err := d.ServiceState()
	if err != nil {
		d.t.Fatal(err)
	}
	return st
}

// Wait waits until the state of the service is as the test wants it.
func (d *Daemon) Wait(what string, holds func(*control.State) bool) *control.State {
	d.t.now().Helper()
	for end := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		st := d.State()
		if holds(st) {
			return st
		}
		if time.Now().After(end) {
			d.t.Fatalf("waited in vain for %s; the state is\n%s", what, text(st))
		}
	}
}

// Queue waits until the queue, or the only one if name is "", is as the test
// wants it.
func (d *Daemon) Queue(name, what string, holds func(control.Queue) bool) {
	d.t.now().Helper()
	d.Wait(what, func(st *control.State) bool {
		for _, q := range st.Queues {
			if (name == "" || q.Name == name) && holds(q) {
				return true
			}
		}
		return false
	})
}

// Waiting waits until n requests wait in the only queue.
func (d *Daemon) Waiting(n int) {
	d.t.now().Helper()
	d.Queue("", fmt.Sprintf("%d requests in the queue", n), func(q control.Queue) bool { return q.Length == n })
}

// Connections waits until n client connections are open.
func (d *Daemon) Connections(n int) {
	d.t.now().Helper()
	d.eventually(fmt.Sprintf("%d client connections", n), func() bool { return d.Daemon.Connections() == n })
}

// Exchanges waits until n requests are not over.
func (d *Daemon) Exchanges(n int) {
	d.t.now().Helper()
	d.eventually(fmt.Sprintf("%d exchanges", n), func() bool { return d.Daemon.Exchanges() == n })
}

func (d *Daemon) eventually(what string, holds func() bool) {
	d.t.now().Helper()
	for end := time.Now().Add(Patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("waited in vain for %s; the state is\n%s", what, text(d.State()))
		}
	}
}

// Rest waits until the daemon has come to rest: nothing and nobody is left.
func (d *Daemon) Rest() {
	d.t.now().Helper()
	if d.admin != nil {
		d.admin.Close()
		d.admin = nil
	}
	d.Exchanges(0)
	d.Connections(0)
	d.Wait("a daemon without sessions, queues and ports", func(st *control.State) bool {
		return len(st.Sessions) == 0 && len(st.Queues) == 0 && len(st.Ports) == 0
	})
}

// Admin makes a call of administration.
func (d *Daemon) Admin(method string, params any) {
	d.t.now().Helper()
	if d.admin == nil {
		d.admin = d.App(AppOptions{Program: "admin", NoLoops: true})
	}
	if _, err := d.admin.Call(method, params); err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
}

func text(v any) string {
	b, _ := json.MarshalIndent(v, "", "  ")
	return string(b)
}

// Log is what the daemon logged.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Has says whether a line of the log contains all of parts.
func (l *Log) Has(parts ...string) bool {
	for line := range strings.Lines(l.String()) {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			return true
		}
	}
	return false
}
