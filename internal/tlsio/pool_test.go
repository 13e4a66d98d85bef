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

// everywhere runs a test with handshakes that compute on their loop, and with
// those that compute beside it.
func everywhere(t *testing.T, test func(t *testing.T, asleep int)) {
	t.Run("on the loop", func(t *testing.T) { test(t, onLoop) })
	t.Run("beside it", func(t *testing.T) { test(t, beside) })
}

// idle checks that nothing is left in a pool.
func idle(t *testing.T, s *server) {
	t.Helper()
	if l := s.Load(); l != (Load{}) {
		t.Errorf("at the end the pool has %+v", l)
	}
	if p := s.Pool; p.parked.head != nil || p.resumed.head != nil || p.ready.head != nil || p.giving != 0 {
		t.Error("a handshake is still in a list")
	}
}

// Many handshakes at once: all succeed, and no more compute than may: as many
// beside the loop as there are processors with nothing to do, and one on it.
func TestPoolBound(t *testing.T) {
	const n = 60
	for _, c := range []struct {
		name                string
		asleep, limit, most int
	}{
		{"no loop sleeps", 0, 10, 1},
		{"one sleeps", 1, 10, 2},
		{"many sleep", 100, 2, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
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
			s := start(t, c.asleep, Limits{Beside: c.limit}, always(b))
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
			if m := int(most.Load()); m > c.most {
				t.Errorf("%d handshakes computed at once, want at most %d", m, c.most)
			}
			idle(t, s)
		})
	}
}

// A handshake that has begun beside the loop ends there, also if the processor
// is needed by its own loop meanwhile.
func TestNoProcessorLeft(t *testing.T) {
	s := newServer(t, Limits{}, serverConfig())
	x, raw := serve(t, s)
	parkedNow(t, s)
	s.spare.Asleep.Store(0)
	go tls.Client(raw, clientConfig()).Handshake()
	if err := x.outcome(); err != nil {
		t.Error(err)
	}
	if x.hs.turn == nil {
		t.Error("it was on the loop")
	}
	y, _ := established(t, s, clientConfig())
	if y.hs.next == nil {
		t.Error("with no processor to spare another began beside the loop")
	}
	idle(t, s)
}

// A handshake that waits for its client keeps nobody.
func TestParked(t *testing.T) {
	everywhere(t, func(t *testing.T, asleep int) {
		s := start(t, asleep, Limits{Beside: 1}, always(&binding{config: serverConfig()}))
		stalled, _ := serve(t, s) // says nothing
		parkedNow(t, s)
		established(t, s, clientConfig())
		stalled.Cancel(ErrTimeout)
		if err := <-stalled.done; err != ErrTimeout {
			t.Error(err)
		}
		idle(t, s)
	})
}

// Between two pieces of handshakes the loop has a whole turn for others.
func TestOnePieceATurn(t *testing.T) {
	var turns, last atomic.Int64
	b := &binding{config: serverConfig()}
	s := start(t, onLoop, Limits{}, func(*tls.ClientHelloInfo) Binding {
		if n := turns.Load(); last.Swap(n) == n {
			t.Error("two handshakes in a turn")
		}
		return b
	})
	hello := firstFlight(t)
	var all []*side
	s.l.Call(func() {
		count := &counter{s: s, turns: &turns}
		s.l.AtTurnEnd(count)
		for range 5 {
			fd, _ := sockets(t)
			x := prepare(t, s, fd, someAddr, hello)
			x.begin()
			all = append(all, x)
		}
	})
	until(t, func() bool { return s.Load().Open == len(all) })
	for _, x := range all {
		x.Cancel(ErrClosed)
		<-x.done
	}
	idle(t, s)
}

// counter counts turns of the loop while handshakes wait.
type counter struct {
	s     *server
	turns *atomic.Int64
}

func (c *counter) TurnEnd() {
	c.turns.Add(1)
	if c.s.Load().Waiting > 0 {
		c.s.l.Again(c)
	}
}

// firstFlight is what a client says first.
func firstFlight(t *testing.T) []byte {
	t.Helper()
	fd, raw := sockets(t)
	go tls.Client(raw, clientConfig()).Handshake()
	(&side{fd: fd}).poll(unix.POLLIN, int(patience/time.Millisecond))
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// Cancel ends a handshake wherever it is, with the reason that it was given.
func TestCancel(t *testing.T) {
	t.Run("before it began", func(t *testing.T) {
		s := start(t, onLoop, Limits{}, always(&binding{config: serverConfig()}))
		fd, _ := sockets(t)
		x := prepare(t, s, fd, someAddr, nil)
		s.l.Call(func() {
			x.begin()
			if l := s.Load(); l.Waiting != 1 {
				t.Errorf("%+v", l)
			}
			x.Conn.Cancel(errTest)
			x.Conn.Wake() // too late, and harmless
			x.Conn.Cancel(ErrTimeout)
		})
		if err := <-x.done; err != errTest {
			t.Error(err)
		}
		idle(t, s)
	})
	t.Run("while it waits for the client", func(t *testing.T) {
		everywhere(t, func(t *testing.T, asleep int) {
			s := start(t, asleep, Limits{}, always(&binding{config: serverConfig()}))
			x, _ := serve(t, s)
			parkedNow(t, s)
			x.Cancel(errTest)
			if err := <-x.done; err != errTest {
				t.Error(err)
			}
			idle(t, s)
		})
	})
	t.Run("while it waits for its turn", func(t *testing.T) {
		s := start(t, onLoop, Limits{}, always(&binding{config: serverConfig()}))
		x, _ := serve(t, s)
		parkedNow(t, s)
		s.l.Call(func() {
			x.Conn.Wake()
			x.Conn.Cancel(errTest)
		})
		if err := <-x.done; err != errTest {
			t.Error(err)
		}
		idle(t, s)
	})
	t.Run("while it computes", func(t *testing.T) {
		entered, leave := make(chan struct{}), make(chan struct{})
		s := start(t, beside, Limits{}, func(*tls.ClientHelloInfo) Binding {
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
		idle(t, s)
	})
	t.Run("while it waits for something else", func(t *testing.T) {
		everywhere(t, func(t *testing.T, asleep int) {
			entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
			s := start(t, asleep, Limits{}, func(h *tls.ClientHelloInfo) Binding {
				left <- !h.Conn.(*transport).Wait(func() { close(entered); <-leave })
				return &binding{config: serverConfig()}
			})
			x, raw := serve(t, s)
			go tls.Client(raw, clientConfig()).Handshake()
			ended := make(chan error, 1)
			go func() { ended <- x.outcome() }()
			<-entered
			x.Cancel(errTest)
			if asleep > 0 { // a goroutine can wait to the end
				close(leave)
			}
			if err := <-ended; err != errTest {
				t.Error(err)
			}
			if l := <-left; l != (asleep == 0) {
				t.Errorf("Wait returned early: %v", l)
			}
			if asleep == 0 {
				close(leave)
			}
			idle(t, s)
		})
	})
}

// parkedNow waits until some handshake waits for its client.
func parkedNow(t *testing.T, s *server) {
	t.Helper()
	until(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.parked.head != nil && s.beside == 0
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
	everywhere(t, func(t *testing.T, asleep int) {
		s := start(t, asleep, Limits{Beside: 4, Open: 2}, always(&binding{config: serverConfig()}))
		oldest, _ := serve(t, s)
		parkedNow(t, s)
		second, _ := serve(t, s)
		until(t, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.parked.head != s.parked.tail
		})
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
		idle(t, s)
	})
}

// What is beyond the limit of those that wait fails at once.
func TestOverload(t *testing.T) {
	s := start(t, onLoop, Limits{Waiting: 2, WaitingEach: 2}, always(&binding{config: serverConfig()}))
	var all []*side
	for range 3 {
		fd, _ := sockets(t)
		all = append(all, prepare(t, s, fd, someAddr, nil))
	}
	s.l.Call(func() {
		for _, x := range all {
			x.begin()
		}
		if len(all[2].done) == 0 || len(all[0].done)+len(all[1].done) > 0 {
			t.Error("it is not the third that has ended")
		}
	})
	if err := <-all[2].done; err != ErrOverload {
		t.Error(err)
	}
	for _, x := range all[:2] {
		x.Cancel(ErrClosed)
		<-x.done
	}
	idle(t, s)
}

// A client that begins many handshakes does not keep another one waiting.
func TestTurns(t *testing.T) {
	var mu sync.Mutex
	var order strings.Builder
	b := &binding{config: serverConfig()}
	s := start(t, onLoop, Limits{}, func(h *tls.ClientHelloInfo) Binding {
		mu.Lock()
		defer mu.Unlock()
		order.WriteByte(h.Conn.RemoteAddr().String()[len("192.0.2.")])
		return b
	})
	var all []*side
	var wg sync.WaitGroup
	for _, from := range []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.1:4", "192.0.2.2:1", "192.0.2.3:1"} {
		fd, raw := sockets(t)
		wg.Go(func() {
			if err := tls.Client(raw, clientConfig()).Handshake(); err != nil {
				t.Error("client:", err)
			}
		})
		(&side{fd: fd}).poll(unix.POLLIN, int(patience/time.Millisecond)) // the hello is there
		all = append(all, prepare(t, s, fd, netip.MustParseAddrPort(from), nil))
	}
	s.l.Call(func() {
		for _, x := range all {
			x.begin()
		}
	})
	for _, x := range all {
		wg.Go(func() {
			if err := x.outcome(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := order.String(); got != "123111" {
		t.Errorf("begun in the order %s", got)
	}
	idle(t, s)
}

// A hello from a name that nobody has bound gets the alert that says so.
func TestUnrecognizedName(t *testing.T) {
	for _, v := range versions {
		s := newServer(t, Limits{}, &tls.Config{SessionTicketsDisabled: true})
		x, raw := serve(t, s)
		config := clientConfig()
		config.MaxVersion = v.version
		failed := make(chan error, 1)
		go func() { failed <- tls.Client(raw, config).Handshake() }()
		if err := x.outcome(); err == nil || FailureOf(err) != NoCertificate {
			t.Errorf("%s: %v", v.name, err)
		}
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: the client sees %v", v.name, err)
		}
	}
}

// The binding judges the client's certificate, and may wait for something while
// others get on.
func TestEstablished(t *testing.T) {
	everywhere(t, func(t *testing.T, asleep int) {
		b := &binding{config: serverConfig()}
		s := start(t, asleep, Limits{Beside: 1}, always(b))
		waiting, proceed := make(chan struct{}), make(chan struct{})
		verdict := &clientcert.Result{Verdict: clientcert.Revoked}
		b.established = func(st *tls.ConnectionState, wait func(func()) bool) *clientcert.Result {
			if st.ServerName == "slow.example" {
				if !wait(func() { close(waiting); <-proceed }) {
					t.Error("did not wait")
				}
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
		idle(t, s)
	})
}
