package acme

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/testkit/pebble"
)

// machine has the two ports on which authorities check names, and answers as
// the daemon does: connections with TLS get what a certs.Manager chooses,
// requests without TLS what HTTPChallenge knows. A port answers only while it is
// held, if guard is set.
type machine struct {
	client      *Client
	manager     *certs.Manager
	plain       net.Listener
	secure      net.Listener
	held        sync.Map // port → holders, *atomic.Int64
	guard       bool
	noTLS       atomic.Bool
	noHTTP      atomic.Bool
	overHTTP    atomic.Int64 // challenges answered
	overTLS     atomic.Int64
	mu          sync.Mutex
	log         bytes.Buffer
	dir         string
	checkPeriod time.Duration
}

func newMachine(t *testing.T, guard bool) *machine {
	t.Helper()
	m := &machine{guard: guard, dir: t.TempDir(), checkPeriod: time.Second}
	var err error
	for _, l := range []*net.Listener{&m.plain, &m.secure} {
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*l).Close() })
	}
	m.start(t)
	go http.Serve(m.plain, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		body, ok := m.current().HTTPChallenge(host, r.URL.Path)
		if !ok || m.noHTTP.Load() || !m.holds(m.plain) {
			http.NotFound(w, r)
			return
		}
		m.overHTTP.Add(1)
		io.WriteString(w, body)
	}))
	go func() {
		for {
			c, err := m.secure.Accept()
			if err != nil {
				return
			}
			go m.handshake(c)
		}
	}()
	return m
}

func (m *machine) current() *Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.client
}

// start begins as after a start of the daemon.
func (m *machine) start(t *testing.T) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(writer{m}, nil))
	c := New(Options{
		Folder: m.dir, Log: log, Listen: m.hold, Check: m.checkPeriod,
		HTTPPort: port(m.plain), TLSPort: port(m.secure),
	})
	t.Cleanup(c.Close)
	m.mu.Lock()
	m.client = c
	m.manager = certs.New(certs.Options{Protocols: []string{"http/1.1"}, ACME: c, Log: log})
	m.mu.Unlock()
}

type writer struct{ m *machine }

func (w writer) Write(b []byte) (int, error) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return w.m.log.Write(b)
}

func port(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

func (m *machine) holders(p uint16) *atomic.Int64 {
	n, _ := m.held.LoadOrStore(p, new(atomic.Int64))
	return n.(*atomic.Int64)
}

func (m *machine) hold(p uint16, secure bool) (func(), error) {
	m.holders(p).Add(1)
	return sync.OnceFunc(func() { m.holders(p).Add(-1) }), nil
}

func (m *machine) holds(l net.Listener) bool { return !m.guard || m.holders(port(l)).Load() > 0 }

func (m *machine) handshake(c net.Conn) {
	defer c.Close()
	m.mu.Lock()
	manager := m.manager
	m.mu.Unlock()
	s := tls.Server(c, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if h.SupportedProtos != nil && h.SupportedProtos[0] == certs.ALPNProto && (m.noTLS.Load() || !m.holds(m.secure)) {
			return &tls.Config{}, nil
		}
		return manager.Choose(h).Config(), nil
	}})
	if s.Handshake() == nil && s.ConnectionState().NegotiatedProtocol == certs.ALPNProto {
		m.overTLS.Add(1)
	}
}

// bind wants a certificate for host from s.
func (m *machine) bind(t *testing.T, s *pebble.Server, host string) {
	t.Helper()
	c := config.SSLCert{HostnamePort: host + ":443", ACME: &config.ACME{Email: "a@example.com", Directory: s.Directory, Root: s.Root}}
	if _, err := m.manager.Check(&c); err != nil {
		t.Fatal(err)
	}
	m.manager.Set([]config.SSLCert{c})
}

// serial is that of the certificate that a client gets, "" if it gets none.
func (m *machine) serial(host string) string {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go tls.Server(on443{a}, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		return m.manager.Choose(h).Config(), nil
	}}).Handshake()
	c := tls.Client(b, &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if c.Handshake() != nil {
		return ""
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

type on443 struct{ net.Conn }

func (on443) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443} }

// until waits for something that takes an authority a moment.
func until(t *testing.T, m *machine, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			m.mu.Lock()
			defer m.mu.Unlock()
			t.Fatalf("%s: it does not happen; log:\n%s", what, &m.log)
		}
	}
}

// Each of the two challenges is enough to get a certificate.
func TestIssue(t *testing.T) {
	for _, c := range []struct {
		name          string
		noTLS, noHTTP bool
	}{
		{"over HTTP", true, false},
		{"over TLS", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, true)
			m.noTLS.Store(c.noTLS)
			m.noHTTP.Store(c.noHTTP)
			s := pebble.Start(t, pebble.Options{HTTPPort: int(port(m.plain)), TLSPort: int(port(m.secure)), Validity: 24 * time.Hour})
			m.bind(t, s, "www.example.com")
			if m.serial("www.example.com") != "" {
				t.Error("a certificate before there is one")
			}
			if info := m.manager.Show()[0]; info.Error == "" {
				t.Error("nothing says that the certificate is not there yet")
			}
			until(t, m, c.name, func() bool { return m.serial("www.example.com") != "" })
			if http, tls := m.overHTTP.Load() > 0, m.overTLS.Load() > 0; http == c.noHTTP || tls == c.noTLS {
				t.Errorf("checked over HTTP: %v, over TLS: %v", http, tls)
			}
			until(t, m, "ports given back", func() bool {
				return m.holders(port(m.plain)).Load() == 0 && m.holders(port(m.secure)).Load() == 0
			})
			if info := m.manager.Show()[0]; info.Error != "" || len(info.Certificates) != 1 || info.Certificates[0].Names[0] != "www.example.com" {
				t.Errorf("shown: %+v", info)
			}
			if m.serial("other.example.com") != "" {
				t.Error("the certificate is shown for another name")
			}
		})
	}
}

// A certificate is renewed before it ends, and kept over a restart.
func TestRenew(t *testing.T) {
	m := newMachine(t, false)
	s := pebble.Start(t, pebble.Options{HTTPPort: int(port(m.plain)), TLSPort: int(port(m.secure)), Validity: 15 * time.Second})
	m.bind(t, s, "www.example.com")
	first := ""
	until(t, m, "the first certificate", func() bool { first = m.serial("www.example.com"); return first != "" })
	next := first
	until(t, m, "the renewal", func() bool {
		if next = m.serial("www.example.com"); next == "" {
			t.Fatal("a moment without a certificate")
		}
		return next != first
	})
}

func TestRestart(t *testing.T) {
	m := newMachine(t, false)
	s := pebble.Start(t, pebble.Options{HTTPPort: int(port(m.plain)), TLSPort: int(port(m.secure)), Validity: 24 * time.Hour})
	m.bind(t, s, "www.example.com")
	first := ""
	until(t, m, "the first certificate", func() bool { first = m.serial("www.example.com"); return first != "" })
	m.current().Close()
	asked := m.overHTTP.Load() + m.overTLS.Load()
	m.start(t)
	m.bind(t, s, "www.example.com")
	until(t, m, "the certificate after a restart", func() bool { return m.serial("www.example.com") != "" })
	if again := m.serial("www.example.com"); again != first {
		t.Error("another certificate after a restart")
	}
	if now := m.overHTTP.Load() + m.overTLS.Load(); now != asked {
		t.Error("asked again after a restart")
	}
	m.manager.Set(nil)
	if m.current().wants("www.example.com") || m.serial("www.example.com") != "" {
		t.Error("still there after the binding is gone")
	}
}

// When a name cannot be checked, show says what the authority said.
func TestFailure(t *testing.T) {
	m := newMachine(t, true)
	m.noTLS.Store(true)
	m.noHTTP.Store(true)
	s := pebble.Start(t, pebble.Options{HTTPPort: int(port(m.plain)), TLSPort: int(port(m.secure)), Validity: 24 * time.Hour})
	m.bind(t, s, "www.example.com")
	until(t, m, "the failure", func() bool {
		e := m.manager.Show()[0].Error
		return e != "" && !strings.Contains(e, "not there yet")
	})
	if m.serial("www.example.com") != "" {
		t.Error("a certificate nevertheless")
	}
	m.manager.Set(nil) // no more attempts
	if h := m.holders(port(m.plain)).Load(); h != 0 {
		t.Errorf("the port is still held %d times", h)
	}
}

// Nothing is answered that no authority could have asked.
func TestStrangers(t *testing.T) {
	m := newMachine(t, false)
	for _, path := range []string{ChallengePath, ChallengePath + "token", "/", "", ChallengePath + "../x"} {
		if body, ok := m.client.HTTPChallenge("www.example.com", path); ok {
			t.Errorf("%s: %q", path, body)
		}
	}
	if m.client.Challenge(&tls.ClientHelloInfo{ServerName: "www.example.com", SupportedProtos: []string{certs.ALPNProto}}) != nil {
		t.Error("a certificate for a challenge that does not exist")
	}
}
