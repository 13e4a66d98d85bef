package daemon_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/pki"
	"github.com/httpsys/httpsys/internal/tlsio"
)

// site is a program on an https port of a daemon, with a bound certificate.
type site struct {
	t       *testing.T
	d       *testkit.Daemon
	root    *pki.Cert
	binding config.SSLCert
	dir     string
	addr    string
	url     string
}

func newSite(t *testing.T, opt testkit.Options, binding config.SSLCert) *site {
	t.Helper()
	s := &site{t: t, d: testkit.Start(t, opt), root: pki.Root(t, "Root"), binding: binding, dir: t.TempDir()}
	srv := &httpsys.Server{
		Prefixes: []string{"https://localhost:0/"}, Socket: s.d.Socket,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.Background()) }()
	t.Cleanup(func() {
		srv.Shutdown(context.Background())
		<-ended
	})
	select {
	case <-srv.Registered():
	case err := <-ended:
		t.Fatal(err)
	}
	s.url = srv.URLs()[0]
	name := strings.Trim(strings.TrimPrefix(s.url, "https://"), "/")
	s.addr = strings.Replace(name, "localhost", "127.0.0.1", 1)
	cert, key := pki.Issue(t, s.root, "first", pki.Names("localhost")).Files(t, s.dir, "site")
	s.binding.HostnamePort = name
	s.binding.Certs = []config.CertFiles{{Cert: cert, Key: key}}
	s.d.Admin(control.AddSSLCert, s.binding)
	return s
}

func (s *site) config() *tls.Config {
	return &tls.Config{RootCAs: pki.Pool(s.root), ServerName: "localhost"}
}

// raw is a TCP connection with a deadline.
func (s *site) raw() net.Conn {
	s.t.Helper()
	c, err := testkit.TryDial(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(testkit.Patience))
	s.t.Cleanup(func() { c.Close() })
	return c
}

// dial makes a handshake.
func (s *site) dial(conf *tls.Config) (*tls.Conn, error) {
	c := tls.Client(s.raw(), conf)
	return c, c.Handshake()
}

// innocent is a client that must not notice anything.
func (s *site) innocent() {
	s.t.Helper()
	c, err := s.dial(s.config())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := s.ask(c); err != nil {
		s.t.Fatal(err)
	}
}

// ask makes a request on a connection with HTTP/1.1.
func (s *site) ask(c net.Conn) error {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+s.binding.HostnamePort+"\r\n\r\n"); err != nil {
		return err
	}
	b := make([]byte, 4096)
	for n := 0; ; {
		m, err := c.Read(b[n:])
		if n += m; bytes.HasSuffix(b[:n], []byte("\r\n\r\nhello")) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w after %q", err, b[:n])
		}
	}
}

// clientHello is the first flight of a client.
func clientHello(t *testing.T, conf *tls.Config) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go tls.Client(a, conf).Handshake()
	buf := make([]byte, 16<<10)
	n, err := b.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// closed waits until the daemon closes, and returns what it said before.
func closed(t *testing.T, c net.Conn) []byte {
	t.Helper()
	said, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("not closed; it said %q", said)
	}
	return said
}

// A handshake that does not go on is ended, wherever it stands.
func TestHandshakeStalls(t *testing.T) {
	s := newSite(t, testkit.Options{}, config.SSLCert{})
	second := int64(1)
	s.d.Admin(control.AddTimeout, control.NumberParams{Name: "headerwaittimeout", Value: &second})
	hello := clientHello(t, s.config())
	var conns []net.Conn
	for _, sent := range [][]byte{nil, hello[:3], hello[:len(hello)/2], hello} {
		c := s.raw()
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for _, c := range conns {
		closed(t, c)
	}
	s.innocent()
}

// alert is the record that a daemon explains itself with; 0: none.
func alert(said []byte) byte {
	if len(said) >= 7 && said[0] == 21 {
		return said[6]
	}
	return 0
}

// What is not TLS, or not the TLS that is spoken here.
func TestNoTLS(t *testing.T) {
	s := newSite(t, testkit.Options{}, config.SSLCert{})
	old := s.config()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	broken := clientHello(t, s.config())
	for i := 11; i < len(broken); i++ {
		broken[i] = 0xff
	}
	for _, test := range []struct {
		name, sent string
		alert      byte // 0: closed without a word
		text       string
	}{
		{"plain HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 0, "HTTP/1.1 400 Bad Request\r\n"},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, "HTTP/1.1 400 Bad Request\r\n"},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\n", 0, ""},
		{"zeros", strings.Repeat("\x00", 100), 0, ""},
		{"SSL 2", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + strings.Repeat("\x01", 37), 0, ""},
		{"data before a handshake", "\x17\x03\x03\x00\x05hello", 0, ""},
		{"a record that is too long", "\x16\x03\x01\xff\xff" + strings.Repeat("\x01", 100), 0, ""},
		{"a broken ClientHello", string(broken), 50, ""}, // decode_error
		{"TLS 1.1", string(clientHello(t, old)), 70, ""}, // protocol_version
	} {
		t.Run(test.name, func(t *testing.T) {
			c := s.raw()
			if _, err := io.WriteString(c, test.sent); err != nil {
				t.Fatal(err)
			}
			c.(*net.TCPConn).CloseWrite()
			said := closed(t, c)
			if !bytes.HasPrefix(said, []byte(test.text)) || alert(said) != test.alert || test.text == "" && test.alert == 0 && alert(said) == 0 && len(said) > 0 {
				t.Errorf("it said %q", said)
			}
			if test.text != "" && !strings.Contains(string(said), "https://") {
				t.Errorf("it does not say what to do: %q", said)
			}
		})
	}
	s.innocent()
}

// Only what is spoken is agreed on.
func TestALPN(t *testing.T) {
	for _, test := range []struct {
		disabled bool
		offered  []string
		want     string // the protocol, or the alert
	}{
		{false, []string{"http/1.1", "h2"}, "h2"},
		{false, []string{"http/1.1"}, "http/1.1"},
		{false, nil, ""},
		{false, []string{"spdy/3", "imap"}, "tls: no application protocol"},
		{false, []string{"acme-tls/1"}, "tls: no application protocol"},
		{true, []string{"h2", "http/1.1"}, "http/1.1"},
		{true, []string{"h2"}, "tls: no application protocol"},
		{true, []string{"imap"}, "tls: no application protocol"},
	} {
		t.Run(fmt.Sprint(test.disabled, test.offered), func(t *testing.T) {
			s := newSite(t, testkit.Options{}, config.SSLCert{DisableHTTP2: test.disabled})
			conf := s.config()
			conf.NextProtos = test.offered
			c, err := s.dial(conf)
			got := c.ConnectionState().NegotiatedProtocol
			if err != nil {
				got = strings.TrimPrefix(err.Error(), "remote error: ")
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			c.Close()
		})
	}
}

// What is wrong after the handshake ends this connection, with an alert.
func TestBadRecords(t *testing.T) {
	s := newSite(t, testkit.Options{}, config.SSLCert{})
	other, err := s.dial(s.config())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, sent, want string }{
		{"too long", "\x17\x03\x03\x48\x01" + strings.Repeat("x", 0x4801), "record overflow"},
		{"not authentic", "\x17\x03\x03\x00\x20" + strings.Repeat("x", 0x20), "bad record MAC"},
		{"plain text", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "protocol version not supported"},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := s.raw()
			c := tls.Client(raw, s.config())
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			if err := s.ask(c); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(raw, test.sent); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
	if err := s.ask(other); err != nil {
		t.Error("another connection:", err)
	}
	other.Close()
	s.innocent()
}

// A certificate of a client can be large, up to what a handshake may have.
func TestLargeClientCertificates(t *testing.T) {
	s := newSite(t, testkit.Options{}, config.SSLCert{ClientCertNegotiation: true})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, test := range []struct {
			size int
			ok   bool
		}{{10 << 10, true}, {1 << 20, false}} {
			t.Run(fmt.Sprintf("%s, %d bytes", tls.VersionName(version), test.size), func(t *testing.T) {
				// Of a certificate that can be parsed: who has none, sends garbage.
				client := pki.Issue(t, s.root, "client", pki.Template(func(c *x509.Certificate) {
					c.SerialNumber = big.NewInt(1)
					for size := 0; size < test.size; size += 100 {
						c.DNSNames = append(c.DNSNames, strings.Repeat("a", 60)+fmt.Sprintf(".x%030d.example", size))
					}
				}))
				conf := s.config()
				conf.MinVersion, conf.MaxVersion = version, version
				conf.Certificates = []tls.Certificate{client.TLS()}
				c, err := s.dial(conf)
				if err == nil {
					err = s.ask(c) // in TLS 1.3 the daemon has the last word
				}
				if (err == nil) != test.ok {
					t.Errorf("%v", err)
				}
				c.Close()
			})
		}
	}
	s.innocent()
}

// While one client begins many handshakes and does not end them, connections
// that exist are served, and other clients get through.
func TestHandshakeFlood(t *testing.T) {
	for _, loops := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) { handshakeFlood(t, loops) })
	}
}

func handshakeFlood(t *testing.T, loops int) {
	const flood = 300
	s := newSite(t, testkit.Options{Loops: loops, TLS: tlsio.Limits{Beside: 1, Open: 8, Waiting: 16}}, config.SSLCert{})
	established, err := s.dial(s.config())
	if err != nil {
		t.Fatal(err)
	}
	hello := clientHello(t, s.config())
	var flooded []net.Conn
	for i := range flood {
		c := s.raw()
		c.Write(hello) // and nothing more; the daemon may have closed it by now
		flooded = append(flooded, c)
		if i%10 == 0 {
			if err := s.ask(established); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: testkit.Patience}
	for range 5 {
		c, err := tls.DialWithDialer(&other, "tcp", s.addr, s.config())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ask(c); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	for _, c := range flooded {
		c.Close()
	}
	if err := s.ask(established); err != nil {
		t.Error(err)
	}
	established.Close()
}

// While bindings and files change, no request fails, and connections that
// exist do not notice.
func TestHotChange(t *testing.T) {
	s := newSite(t, testkit.Options{Loops: 2}, config.SSLCert{})
	old, err := s.dial(s.config())
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var done atomic.Int64
	for i := range 4 {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pki.Pool(s.root)}, ForceAttemptHTTP2: i%2 == 0, DisableKeepAlives: i < 2}
		client := &http.Client{Transport: transport, Timeout: testkit.Patience}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := client.Get(s.url)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(body) != "hello" {
					t.Error(resp.Status, err)
					return
				}
				done.Add(1)
			}
		})
	}
	for i := range 12 {
		before := done.Load()
		name := fmt.Sprint("certificate ", i)
		if i%2 == 0 { // the files
			pki.Issue(t, s.root, name, pki.Names("localhost")).Files(t, s.dir, "site")
			s.d.RefreshCertificates()
		} else { // the binding
			cert, key := pki.Issue(t, s.root, name, pki.Names("localhost")).Files(t, s.dir, fmt.Sprint("site", i))
			c := s.binding
			c.Certs = []config.CertFiles{{Cert: cert, Key: key}}
			s.d.Admin(control.UpdateSSLCert, c)
		}
		c, err := s.dial(s.config())
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("after a change: %s, want %s", got, name)
		}
		c.Close()
		if i%2 == 1 {
			s.d.Admin(control.UpdateSSLCert, s.binding)
		}
		for end := time.Now().Add(testkit.Patience); done.Load() < before+8 && !t.Failed(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the clients do not get on")
			}
		}
	}
	close(stop)
	clients.Wait()
	if err := s.ask(old); err != nil {
		t.Error("a connection from before:", err)
	}
	if got := old.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "first" {
		t.Error(got)
	}
	old.Close()
}
