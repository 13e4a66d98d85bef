package tlsio

import (
	"crypto/tls"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
)

// idle checks that nothing is left in a pool.
func idle(t *testing.T, p *Pool) {
	t.Helper()
	if l := p.Load(); l != (Load{}) {
		t.Errorf("at the end the pool has %+v", l)
	}
	if p.parked.head != nil || p.resumed.head != nil || p.giving != 0 {
		t.Error("a handshake is still in a list")
	}
}

// Many handshakes at once: all succeed, and no more compute than may.
func TestPoolBound(t *testing.T) {
	const compute, n = 2, 60
	var computing, most atomic.Int64
	b := &binding{config: serverConfig()}
	b.config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		now := computing.Add(1)
		for {
			m := most.Load()
			if now <= m || most.CompareAndSwap(m, now) {
				break
			}
		}
		for range 100 {
			runtime.Gosched() // others get in, if they can
		}
		computing.Add(-1)
		c := testCertificate()
		return &c, nil
	}
	s := NewServer(NewPool(Limits{Compute: compute}), always(b))
	var wg sync.WaitGroup
	for range n {
		x, raw := serve(t, s)
		wg.Go(func() {
			if err := tls.Client(raw, clientConfig()).Handshake(); err != nil {
				t.Error("client:", err)
			}
		})
		wg.Go(func() {
			if err := x.outcome(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if m := most.Load(); m > compute {
		t.Errorf("%d handshakes computed at once, want at most %d", m, compute)
	}
	idle(t, s.Pool)
}

// A handshake that waits for its client does not keep a place.
func TestParkedLeavesPlace(t *testing.T) {
	s := newServer(Limits{Compute: 1}, serverConfig())
	stalled, _ := serve(t, s) // says nothing
	until(t, func() bool { return s.Pool.Load().Computing == 0 })
	established(t, s, clientConfig())
	stalled.Cancel(ErrTimeout)
	if err := <-stalled.done; err != ErrTimeout {
		t.Error(err)
	}
	idle(t, s.Pool)
}

// Cancel ends a handshake wherever it is, with the reason that it was given.
func TestCancel(t *testing.T) {
	t.Run("before it began", func(t *testing.T) {
		s := newServer(Limits{Compute: 1}, serverConfig())
		s.Pool.occupy()
		x, _ := serve(t, s)
		if l := s.Pool.Load(); l.Waiting != 1 {
			t.Fatalf("%+v", l)
		}
		x.Cancel(errTest)
		if err := <-x.done; err != errTest {
			t.Error(err)
		}
		x.Wake() // too late, and harmless
		x.Cancel(ErrTimeout)
		s.Pool.vacate()
		idle(t, s.Pool)
	})
	t.Run("while it waits for the client", func(t *testing.T) {
		s := newServer(Limits{}, serverConfig())
		x, _ := serve(t, s)
		parkedNow(t, s.Pool)
		x.Cancel(errTest)
		if err := <-x.done; err != errTest {
			t.Error(err)
		}
		idle(t, s.Pool)
	})
	t.Run("while it computes", func(t *testing.T) {
		entered, leave := make(chan struct{}), make(chan struct{})
		s := NewServer(NewPool(Limits{}), func(*tls.ClientHelloInfo) Binding {
			close(entered)
			<-leave
			return &binding{config: serverConfig()}
		})
		x, raw := serve(t, s)
		go tls.Client(raw, clientConfig()).Handshake()
		go func() {
			<-entered
			x.Cancel(errTest)
			close(leave)
		}()
		if err := x.outcome(); err != errTest {
			t.Error(err)
		}
		idle(t, s.Pool)
	})
}

// occupy and vacate take a place and give it back.
func (p *Pool) occupy() { p.mu.Lock(); p.free--; p.mu.Unlock() }
func (p *Pool) vacate() { p.mu.Lock(); p.free++; p.dispatch(); p.mu.Unlock() }

// parkedNow waits until some handshake waits for its client.
func parkedNow(t *testing.T, p *Pool) {
	t.Helper()
	until(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.parked.head != nil
	})
}

// until waits for what other goroutines bring about.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// When as many have begun as may, the one that has waited longest for its
// client gives way to one that has not begun.
func TestEviction(t *testing.T) {
	s := newServer(Limits{Compute: 4, Open: 2}, serverConfig())
	oldest, _ := serve(t, s)
	parkedNow(t, s.Pool)
	second, _ := serve(t, s)
	until(t, func() bool { return s.Pool.Load().Computing == 0 })
	established(t, s, clientConfig())
	if err := <-oldest.done; err != ErrOverload {
		t.Errorf("the oldest ended with %v", err)
	}
	select {
	case err := <-second.done:
		t.Errorf("the second ended, too: %v", err)
	default:
	}
	second.Cancel(ErrClosed)
	<-second.done
	idle(t, s.Pool)
}

// What is beyond the limit of those that wait fails at once.
func TestOverload(t *testing.T) {
	s := newServer(Limits{Compute: 1, Waiting: 2, WaitingEach: 2}, serverConfig())
	s.Pool.occupy()
	var all []*side
	for range 3 {
		x, _ := serve(t, s)
		all = append(all, x)
	}
	if err := <-all[2].done; err != ErrOverload {
		t.Error(err)
	}
	for _, x := range all[:2] {
		x.Cancel(ErrClosed)
	}
	s.Pool.vacate()
	idle(t, s.Pool)
}

// A client that begins many handshakes does not keep another one waiting.
func TestTurns(t *testing.T) {
	var mu sync.Mutex
	var order strings.Builder
	b := &binding{config: serverConfig()}
	s := NewServer(NewPool(Limits{Compute: 1}), func(h *tls.ClientHelloInfo) Binding {
		mu.Lock()
		defer mu.Unlock()
		order.WriteByte(h.Conn.RemoteAddr().String()[len("192.0.2.")])
		return b
	})
	s.Pool.occupy()
	var wg sync.WaitGroup
	for _, from := range []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.1:4", "192.0.2.2:1", "192.0.2.3:1"} {
		fd, raw := sockets(t)
		wg.Go(func() {
			if err := tls.Client(raw, clientConfig()).Handshake(); err != nil {
				t.Error("client:", err)
			}
		})
		(&side{fd: fd}).poll(unix.POLLIN, int(patience/time.Millisecond)) // the hello is there
		x := begin(t, s, fd, netip.MustParseAddrPort(from), nil)
		wg.Go(func() {
			if err := x.outcome(); err != nil {
				t.Error(err)
			}
		})
	}
	s.Pool.vacate()
	wg.Wait()
	if got := order.String(); got != "123111" {
		t.Errorf("begun in the order %s", got)
	}
	idle(t, s.Pool)
}

// A hello from a name that nobody has bound gets the alert that says so.
func TestUnrecognizedName(t *testing.T) {
	for _, v := range versions {
		s := newServer(Limits{}, &tls.Config{SessionTicketsDisabled: true})
		x, raw := serve(t, s)
		config := clientConfig()
		config.MaxVersion = v.version
		failed := make(chan error, 1)
		go func() { failed <- tls.Client(raw, config).Handshake() }()
		if err := x.outcome(); err == nil {
			t.Errorf("%s: succeeded", v.name)
		}
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: the client sees %v", v.name, err)
		}
	}
}

// The binding judges the client's certificate, and may wait for something
// without keeping a place.
func TestEstablished(t *testing.T) {
	b := &binding{config: serverConfig()}
	s := NewServer(NewPool(Limits{Compute: 1}), always(b))
	waiting, proceed := make(chan struct{}), make(chan struct{})
	verdict := &clientcert.Result{Verdict: clientcert.Revoked}
	b.established = func(st *tls.ConnectionState, wait func(func())) *clientcert.Result {
		if st.ServerName == "slow.example" {
			wait(func() { close(waiting); <-proceed })
			return verdict
		}
		return nil
	}
	x, raw := serve(t, s)
	config := clientConfig()
	config.ServerName = "slow.example"
	go tls.Client(raw, config).Handshake()
	go func() {
		<-waiting
		if x, _ := established(t, s, clientConfig()); x.Client() != nil {
			t.Error("a verdict on nothing")
		}
		close(proceed)
	}()
	if err := x.outcome(); err != nil || x.Client() != verdict || x.Binding() != b {
		t.Error(err, x.Client(), x.Binding())
	}
	idle(t, s.Pool)
}
