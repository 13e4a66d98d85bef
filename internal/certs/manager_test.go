package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// world is a Manager with everything around it.
type world struct {
	*Manager
	t    *testing.T
	root *pki.Cert
	dir  string
	log  bytes.Buffer
	skew atomic.Int64 // what the clock is ahead
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, root: pki.Root(t, "Root"), dir: t.TempDir()}
	now := func() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }
	w.Manager = New(Options{
		Protocols: []string{"h2", "http/1.1"}, Authority: localca.Open(filepath.Join(w.dir, "ca"), now),
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: now,
	})
	return w
}

// files makes a certificate for host in files and returns them.
func (w *world) files(name string, options ...pki.Option) config.CertFiles {
	w.t.Helper()
	c := pki.Issue(w.t, w.root, name, options...)
	cert, key := c.Files(w.t, w.dir, strings.ReplaceAll(name, "*", "_"))
	return config.CertFiles{Cert: cert, Key: key}
}

func (w *world) bind(c config.SSLCert, files ...config.CertFiles) config.SSLCert {
	w.t.Helper()
	c.Certs = files
	if err := c.Canonical(); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// conn is a pipe with an address.
type conn struct {
	net.Conn
	local netip.AddrPort
}

func (c conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// dial makes a handshake with what the manager chooses, on local.
func (w *world) dial(local string, config *tls.Config) (client, server tls.ConnectionState, result *clientcert.Result, err error) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var chosen *Binding
	s := tls.Server(conn{a, netip.MustParseAddrPort(local)}, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		chosen = w.Choose(h)
		return chosen.Config(), nil
	}})
	served := make(chan error, 1)
	go func() {
		err := s.Handshake()
		served <- err
		if err == nil {
			s.Write([]byte("x")) // tickets go before it
		}
	}()
	c := tls.Client(b, config)
	if err = c.Handshake(); err != nil {
		b.Close()
		<-served
		return client, server, nil, err
	}
	if _, err = c.Read(make([]byte, 1)); err != nil {
		return client, server, nil, err
	}
	if err = <-served; err != nil {
		return client, server, nil, err
	}
	client, server = c.ConnectionState(), s.ConnectionState()
	return client, server, chosen.Established(&server, atOnce), nil
}

func asking(name string) *tls.Config { return &tls.Config{ServerName: name, InsecureSkipVerify: true} }

// got is the name of the certificate that a client is shown.
func (w *world) got(local, name string) string {
	client, _, _, err := w.dial(local, asking(name))
	if err != nil {
		return strings.TrimPrefix(err.Error(), "remote error: tls: ")
	}
	return client.PeerCertificates[0].Subject.CommonName
}

// HTTP.SYS's order: the name, the name below a wildcard, the address, all
// addresses of the family, the central store.
func TestLookup(t *testing.T) {
	w := newWorld(t)
	store := filepath.Join(w.dir, "store")
	os.Mkdir(store, 0o755)
	for _, name := range []string{"c.example.com", "_.stored.example"} {
		c := pki.Issue(t, w.root, "store "+name)
		pki.Write(t, store, name+".pem", pki.PEM(c.Chain()...), pki.KeyPEM(t, c.Key))
	}
	w.Set([]config.SSLCert{
		w.bind(config.SSLCert{HostnamePort: "www.example.com:443"}, w.files("name")),
		w.bind(config.SSLCert{HostnamePort: "www.example.com:444"}, w.files("name on 444")),
		w.bind(config.SSLCert{HostnamePort: "*.example.com:443"}, w.files("wildcard")),
		w.bind(config.SSLCert{IPPort: "192.0.2.1:443"}, w.files("address")),
		w.bind(config.SSLCert{IPPort: "0.0.0.0:443"}, w.files("all of IPv4")),
		w.bind(config.SSLCert{IPPort: "[2001:db8::1]:445"}, w.files("address of IPv6")),
		w.bind(config.SSLCert{IPPort: "[::]:446"}, w.files("all of IPv6")),
		w.bind(config.SSLCert{CCS: "444", Store: store}),
		w.bind(config.SSLCert{CCS: "446", Store: store}),
	})
	const none = "unrecognized name"
	for _, c := range []struct{ local, name, want, why string }{
		{"192.0.2.9:443", "www.example.com", "name", "a name"},
		{"192.0.2.9:443", "WWW.Example.COM", "name", "names have no case"},
		{"192.0.2.1:443", "www.example.com", "name", "a name goes before an address"},
		{"[2001:db8::1]:443", "www.example.com", "name", "a name is for all families"},
		{"192.0.2.9:444", "www.example.com", "name on 444", "on its port"},
		{"192.0.2.9:443", "other.example.com", "wildcard", "below the wildcard"},
		{"192.0.2.9:443", "a.b.example.com", "all of IPv4", "a wildcard is one label"},
		{"192.0.2.9:443", "example.com", "all of IPv4", "and not none"},
		{"192.0.2.1:443", "example.org", "address", "an unknown name: the address"},
		{"192.0.2.1:443", "", "address", "no name: the address"},
		{"192.0.2.9:443", "", "all of IPv4", "any address"},
		{"[::ffff:192.0.2.1]:443", "", "address", "IPv4 as IPv6"},
		{"[2001:db8::1]:443", "", none, "all of IPv4 is not for IPv6"},
		{"[2001:db8::1]:445", "", "address of IPv6", "an address"},
		{"[2001:db8::2]:446", "", "all of IPv6", "any address"},
		{"192.0.2.9:446", "", none, "all of IPv6 is not for IPv4"},
		{"192.0.2.9:444", "c.example.com", "store c.example.com", "the central store"},
		{"192.0.2.9:444", "x.stored.example", "store _.stored.example", "with a wildcard"},
		{"192.0.2.9:444", "x.y.stored.example", none, "for one label"},
		{"192.0.2.9:444", "", none, "the store needs a name"},
		{"192.0.2.9:444", "unknown.example", none, "nothing has it"},
		{"[2001:db8::2]:446", "c.example.com", "all of IPv6", "the store is the last"},
		{"192.0.2.9:447", "www.example.com", none, "another port"},
	} {
		if got := w.got(c.local, c.name); got != c.want {
			t.Errorf("%q on %s: %q, want %q: %s", c.name, c.local, got, c.want, c.why)
		}
	}
}

// No name that a client sends is a path.
func TestStoreNames(t *testing.T) {
	w := newWorld(t)
	store := filepath.Join(w.dir, "store")
	os.MkdirAll(filepath.Join(store, "sub"), 0o755)
	c := pki.Issue(t, w.root, "secret")
	for _, path := range []string{"secret.pem", "store/sub/x.pem"} {
		pki.Write(t, w.dir, path, pki.PEM(c.Chain()...), pki.KeyPEM(t, c.Key))
	}
	s, err := openStore(w.Manager, &config.SSLCert{CCS: "443", Store: store}, w.table.Load().none)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret", "sub/x", "..", ".", "", "*", "a..b", "\x00", strings.Repeat("a", 300), "secret.pem/"} {
		if s.find(name, atOnce) != nil {
			t.Errorf("%q found a certificate", name)
		}
	}
}

// In a central store, files are there for their name as soon as they are
// written, renewed when they are replaced, and gone when they are deleted.
func TestStoreChanges(t *testing.T) {
	w := newWorld(t)
	store := filepath.Join(w.dir, "store")
	os.Mkdir(store, 0o755)
	w.Set([]config.SSLCert{w.bind(config.SSLCert{CCS: "443", Store: store})})
	put := func(name string, options ...pki.Option) {
		c := pki.Issue(t, w.root, name, options...)
		pki.Write(t, store, "www.example.com.new", pki.PEM(c.Chain()...), pki.KeyPEM(t, c.Key))
		if err := os.Rename(filepath.Join(store, "www.example.com.new"), filepath.Join(store, "www.example.com.pem")); err != nil {
			t.Fatal(err)
		}
	}
	step := func(want, why string) {
		t.Helper()
		if got := w.got("192.0.2.1:443", "www.example.com"); got != want {
			t.Errorf("%s: %q, want %q", why, got, want)
		}
		w.skew.Add(int64(storeCheck))
	}
	step("unrecognized name", "nothing yet")
	put("first")
	step("first", "there")
	put("second")
	step("second", "replaced")
	put("third", pki.Valid(-2*time.Hour, -time.Hour))
	step("second", "replaced with one that cannot be used")
	if !strings.Contains(w.log.String(), "expired") {
		t.Errorf("the log does not say so:\n%s", &w.log)
	}
	show := w.Show()[0]
	if len(show.Warnings) != 1 || !strings.Contains(show.Warnings[0], "expired") {
		t.Errorf("shown: %q", show.Warnings)
	}
	put("fourth", pki.Names("www.example.com"))
	step("fourth", "put right")
	if show := w.Show()[0]; len(show.Certificates) != 1 || show.Certificates[0].Host != "www.example.com" || len(show.Warnings) != 0 {
		t.Errorf("shown: %+v", show)
	}
	os.Remove(filepath.Join(store, "www.example.com.pem"))
	step("unrecognized name", "deleted")
}

// A client gets the kind of key that it can use, the cheap one if both.
func TestTwoKinds(t *testing.T) {
	w := newWorld(t)
	files := []config.CertFiles{w.files("rsa", pki.Key(pki.RSA(t, 2048))), w.files("ecdsa")}
	w.Set([]config.SSLCert{w.bind(config.SSLCert{HostnamePort: "x.example:443"}, files...)})
	rsaOnly, ecdsaOnly := asking("x.example"), asking("x.example")
	rsaOnly.MaxVersion, rsaOnly.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	ecdsaOnly.MaxVersion, ecdsaOnly.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	for _, c := range []struct {
		config *tls.Config
		want   string
	}{{rsaOnly, "rsa"}, {ecdsaOnly, "ecdsa"}, {asking("x.example"), "ecdsa"}} {
		client, _, _, err := w.dial("192.0.2.1:443", c.config)
		if err != nil {
			t.Fatal(err)
		}
		if got := client.PeerCertificates[0].Subject.CommonName; got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	two := w.bind(config.SSLCert{HostnamePort: "x.example:443"}, w.files("a"), w.files("b"))
	if _, err := w.Check(&two); err == nil || !strings.Contains(err.Error(), "same kind (ECDSA)") {
		t.Error(err)
	}
}

// The options of a binding, as a client notices them.
func TestOptions(t *testing.T) {
	w := newWorld(t)
	f := w.files("x", pki.Key(pki.RSA(t, 2048)))
	dial := func(c config.SSLCert, change func(*tls.Config)) (tls.ConnectionState, error) {
		c.HostnamePort = "x.example:443"
		w.Set([]config.SSLCert{w.bind(c, f)})
		cfg := asking("x.example")
		cfg.NextProtos = []string{"h2", "http/1.1"}
		change(cfg)
		state, _, _, err := w.dial("192.0.2.1:443", cfg)
		return state, err
	}
	as := func(*tls.Config) {}
	only := func(v uint16) func(*tls.Config) { return func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v } }
	suite := func(s ...uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, s }
	}
	for _, c := range []struct {
		name    string
		conf    config.SSLCert
		client  func(*tls.Config)
		version uint16 // 0: refused
		proto   string
	}{
		{"defaults", config.SSLCert{}, as, tls.VersionTLS13, "h2"},
		{"defaults, TLS 1.2", config.SSLCert{}, only(tls.VersionTLS12), tls.VersionTLS12, "h2"},
		{"defaults, TLS 1.1", config.SSLCert{}, only(tls.VersionTLS11), 0, ""},
		{"defaults, CBC", config.SSLCert{}, suite(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256), 0, ""},
		{"defaults, no forward secrecy", config.SSLCert{}, suite(tls.TLS_RSA_WITH_AES_128_GCM_SHA256), 0, ""},
		{"defaults, ChaCha20", config.SSLCert{}, suite(tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256), tls.VersionTLS12, "h2"},
		{"disabletls12", config.SSLCert{DisableTLS12: true}, as, tls.VersionTLS13, "h2"},
		{"disabletls12, TLS 1.2", config.SSLCert{DisableTLS12: true}, only(tls.VersionTLS12), 0, ""},
		{"disabletls13", config.SSLCert{DisableTLS13: true}, as, tls.VersionTLS12, "h2"},
		{"disabletls13, TLS 1.3", config.SSLCert{DisableTLS13: true}, only(tls.VersionTLS13), 0, ""},
		{"disablehttp2", config.SSLCert{DisableHTTP2: true}, as, tls.VersionTLS13, "http/1.1"},
		{"no ALPN", config.SSLCert{}, func(c *tls.Config) { c.NextProtos = nil }, tls.VersionTLS13, ""},
		{"unknown ALPN", config.SSLCert{}, func(c *tls.Config) { c.NextProtos = []string{"imap"} }, 0, ""},
	} {
		state, err := dial(c.conf, c.client)
		if (err == nil) != (c.version != 0) || state.Version != c.version || state.NegotiatedProtocol != c.proto {
			t.Errorf("%s: %x, %q, %v", c.name, state.Version, state.NegotiatedProtocol, err)
		}
	}
}

// The certificate of a client is asked for only where the binding says so,
// and judged with the trust that the binding names.
func TestClientCertificates(t *testing.T) {
	w := newWorld(t)
	people := pki.Root(t, "People")
	alice, bob := pki.Issue(t, people, "alice"), pki.Issue(t, people, "bob")
	mallory := pki.Issue(t, pki.Root(t, "Stranger"), "mallory")
	bundle := pki.Write(t, w.dir, "people.pem", pki.PEM(people.Certificate))
	crl := pki.Write(t, w.dir, "people.crl", people.CRL(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), bob))
	f := w.files("x")
	for _, c := range []struct {
		name string
		conf config.SSLCert
		who  *pki.Cert
		want string
	}{
		{"not asked", config.SSLCert{}, alice, "-"},
		{"trusted", config.SSLCert{ClientCertNegotiation: true, SSLCTLStore: bundle}, alice, "trusted"},
		{"none", config.SSLCert{ClientCertNegotiation: true, SSLCTLStore: bundle}, nil, "not-presented"},
		{"a stranger", config.SSLCert{ClientCertNegotiation: true, SSLCTLStore: bundle}, mallory, "incomplete-chain"},
		{"the trust of the machine", config.SSLCert{ClientCertNegotiation: true}, alice, "incomplete-chain"},
		{"revoked", config.SSLCert{ClientCertNegotiation: true, SSLCTLStore: bundle, CRL: []string{crl}}, bob, "revoked"},
		{"revocation not checked", config.SSLCert{ClientCertNegotiation: true, SSLCTLStore: bundle, NoRevocationCheck: true}, bob, "trusted"},
		{"not revoked", config.SSLCert{ClientCertNegotiation: true, SSLCTLStore: bundle, CRL: []string{crl}}, alice, "trusted"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			c.conf.HostnamePort = "x.example:443"
			w.Set([]config.SSLCert{w.bind(c.conf, f)})
			cfg := asking("x.example")
			cfg.MaxVersion = version
			var asked *tls.CertificateRequestInfo
			cfg.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = r
				if c.who == nil {
					return &tls.Certificate{}, nil
				}
				cert := c.who.TLS()
				return &cert, nil
			}
			_, _, result, err := w.dial("192.0.2.1:443", cfg)
			if err != nil {
				t.Errorf("%s: the connection was refused: %v", c.name, err)
				continue
			}
			got := "-"
			if result != nil {
				got = result.Verdict.String()
			}
			if got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
			if (asked != nil) != c.conf.ClientCertNegotiation {
				t.Errorf("%s: asked %v", c.name, asked != nil)
			}
			if asked != nil && (len(asked.AcceptableCAs) == 1) != (c.conf.SSLCTLStore != "") {
				t.Errorf("%s: the client is told of %d authorities", c.name, len(asked.AcceptableCAs))
			}
		}
	}
}

// A change of files is noticed; until the new ones are usable, the old ones
// are shown.
func TestFileChanges(t *testing.T) {
	w := newWorld(t)
	f := w.files("site")
	c := w.bind(config.SSLCert{IPPort: "0.0.0.0:443"}, f)
	w.Set([]config.SSLCert{c})
	want := func(name, fault, why string) {
		t.Helper()
		w.Refresh()
		if got := w.got("192.0.2.1:443", ""); got != name {
			t.Errorf("%s: %q, want %q", why, got, name)
		}
		if e := w.Show()[0].Error; (e == "") != (fault == "") || !strings.Contains(e, fault) {
			t.Errorf("%s: shown %q, want %q", why, e, fault)
		}
	}
	want("site", "", "as bound")
	next := pki.Issue(t, w.root, "next")
	pki.Write(t, w.dir, "site.crt", pki.PEM(next.Chain()...))
	want("site", "does not belong", "only the certificate is new")
	if strings.Contains(w.log.String(), "does not belong") {
		t.Error("the moment between two files is logged")
	}
	want("site", "does not belong", "still")
	if strings.Count(w.log.String(), "does not belong") != 1 {
		t.Errorf("logged:\n%s", &w.log)
	}
	want("site", "does not belong", "and again")
	if strings.Count(w.log.String(), "does not belong") != 1 {
		t.Errorf("logged again:\n%s", &w.log)
	}
	pki.Write(t, w.dir, "site.key", pki.KeyPEM(t, next.Key))
	want("next", "", "both")
	os.Remove(f.Key)
	want("next", "does not exist", "the key is gone")
	pki.Write(t, w.dir, "site.key", pki.KeyPEM(t, next.Key))
	want("next", "", "it is back")
	os.Chmod(f.Key, 0o644)
	want("next", "chmod 600", "readable for all")
	os.Chmod(f.Key, 0o600)
	want("next", "", "as it was")
}

// What is said about certificates, of clients and of our own, changes with its
// files, too.
func TestRevocationChanges(t *testing.T) {
	w := newWorld(t)
	people := pki.Root(t, "People")
	alice, bob := pki.Issue(t, people, "alice"), pki.Issue(t, people, "bob")
	bundle := pki.Write(t, w.dir, "people.pem", pki.PEM(people.Certificate))
	list := func(revoked ...*pki.Cert) string {
		return pki.Write(t, w.dir, "people.crl", people.CRL(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), revoked...))
	}
	ca := pki.Issue(t, w.root, "CA", pki.CA)
	site := pki.Issue(t, ca, "site", pki.Names("x.example"))
	cert, key := site.Files(t, w.dir, "site")
	staple := func(status int) {
		response, err := ocsp.CreateResponse(ca.Certificate, ca.Certificate, ocsp.Response{
			Status: status, SerialNumber: site.SerialNumber, ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}, ca.Key)
		if err != nil {
			t.Fatal(err)
		}
		pki.Write(t, w.dir, "site.crt.ocsp", response)
	}
	w.Set([]config.SSLCert{w.bind(config.SSLCert{
		HostnamePort: "x.example:443", ClientCertNegotiation: true, SSLCTLStore: bundle, CRL: []string{list(bob)},
	}, config.CertFiles{Cert: cert, Key: key})})
	want := func(why, verdict string, stapled bool) {
		t.Helper()
		w.Refresh()
		conf := asking("x.example")
		conf.Certificates = []tls.Certificate{alice.TLS()}
		client, _, result, err := w.dial("192.0.2.1:443", conf)
		if err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		if got := result.Verdict.String(); got != verdict || len(client.OCSPResponse) > 0 != stapled {
			t.Errorf("%s: %s, %d bytes stapled", why, got, len(client.OCSPResponse))
		}
	}
	want("as bound", "trusted", false)
	list(alice, bob)
	want("revoked", "revoked", false)
	staple(ocsp.Good)
	want("a response", "revoked", true)
	list()
	want("taken back", "trusted", true)
	staple(ocsp.Revoked)
	want("a bad response", "trusted", false)
	if all := w.Show()[0].Warnings; !slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, "does not say that the certificate is good") }) {
		t.Errorf("warnings: %q", all)
	}
}

// Time changes things, too, without any file.
func TestTimeChanges(t *testing.T) {
	w := newWorld(t)
	ca := pki.Issue(t, w.root, "CA", pki.CA)
	site := pki.Issue(t, ca, "site", pki.Names("x"))
	cert, key := site.Files(t, w.dir, "site")
	now := time.Now()
	response, err := ocsp.CreateResponse(ca.Certificate, ca.Certificate,
		ocsp.Response{Status: ocsp.Good, SerialNumber: site.SerialNumber, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	pki.Write(t, w.dir, "site.crt.ocsp", response)
	early := w.files("early", pki.Valid(2*time.Hour, 20*time.Hour))
	w.Set([]config.SSLCert{
		w.bind(config.SSLCert{IPPort: "0.0.0.0:443"}, config.CertFiles{Cert: cert, Key: key}),
		w.bind(config.SSLCert{IPPort: "0.0.0.0:444"}, early),
		{IPPort: "0.0.0.0:445", SelfSigned: true},
	})
	look := func() (stapled bool, earlyOne string, serial string) {
		w.Refresh()
		client, _, _, err := w.dial("192.0.2.1:443", asking(""))
		if err != nil {
			t.Fatal(err)
		}
		self, _, _, err := w.dial("192.0.2.1:445", asking(""))
		if err != nil {
			t.Fatal(err)
		}
		return len(client.OCSPResponse) > 0, w.got("192.0.2.1:444", ""), self.PeerCertificates[0].SerialNumber.String()
	}
	stapled, name, serial := look()
	if !stapled || name != "unrecognized name" {
		t.Errorf("now: stapled %v, %q", stapled, name)
	}
	w.skew.Store(int64(3 * time.Hour))
	for range retry {
		w.Refresh()
	}
	stapled, name, same := look()
	if stapled || name != "early" || same != serial {
		t.Errorf("after three hours: stapled %v, %q, another certificate of our own: %v", stapled, name, same != serial)
	}
	w.skew.Store(int64(61 * 24 * time.Hour))
	w.Refresh()
	self, _, _, err := w.dial("192.0.2.1:445", asking(""))
	if err != nil || self.PeerCertificates[0].SerialNumber.String() == serial {
		t.Errorf("after two months: the same certificate of our own, %v", err)
	}
}

// While bindings and files change, no handshake fails.
func TestNoneLost(t *testing.T) {
	w := newWorld(t)
	f := w.files("site")
	c := w.bind(config.SSLCert{IPPort: "0.0.0.0:443"}, f)
	w.Set([]config.SSLCert{c})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var n atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, _, err := w.dial("192.0.2.1:443", asking("")); err != nil {
					t.Error(err)
					return
				}
				n.Add(1)
			}
		})
	}
	for i := range 20 {
		before := n.Load()
		next := pki.Issue(t, w.root, fmt.Sprint("site ", i))
		next.Files(t, w.dir, "site")
		w.Refresh()
		c.AppID = fmt.Sprint(i)
		w.Set([]config.SSLCert{c, {HostnamePort: fmt.Sprintf("x%d.example:443", i), SelfSigned: true}})
		for n.Load() < before+2 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	wg.Wait()
}

// A session is resumed with the binding that it began with, also after the
// keys have changed once or twice, and never with another one.
func TestTickets(t *testing.T) {
	w := newWorld(t)
	people := pki.Root(t, "People")
	bundle := pki.Write(t, w.dir, "people.pem", pki.PEM(people.Certificate))
	long := pki.Valid(-time.Hour, 1000*time.Hour)
	open := w.bind(config.SSLCert{HostnamePort: "open.example:443"}, w.files("open", long))
	closed := w.bind(config.SSLCert{HostnamePort: "closed.example:443", ClientCertNegotiation: true, SSLCTLStore: bundle}, w.files("closed", long))
	w.Set([]config.SSLCert{open, closed})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := &anyName{}
		dial := func(name string) bool {
			t.Helper()
			cfg := asking(name)
			cfg.MaxVersion, cfg.ClientSessionCache = version, cache
			cfg.Time = w.opt.Now
			_, server, _, err := w.dial("192.0.2.1:443", cfg)
			if err != nil {
				t.Fatal(err)
			}
			return server.DidResume
		}
		dial("open.example")
		if !dial("open.example") {
			t.Errorf("%x: not resumed", version)
		}
		if dial("closed.example") {
			t.Errorf("%x: a session of one name was resumed with another", version)
		}
		dial("open.example")
		session := cache.session
		for i := range ticketKeep {
			cache.session = session
			if got, want := dial("open.example"), true; got != want {
				t.Errorf("%x: after %d changes of keys resumed: %v", version, i, got)
			}
			w.skew.Add(int64(ticketRotation))
			w.Refresh()
		}
		cache.session = session
		if dial("open.example") {
			t.Errorf("%x: resumed with keys that are gone", version)
		}
	}
}

// anyName gives its one session for every server.
type anyName struct{ session *tls.ClientSessionState }

func (a *anyName) Get(string) (*tls.ClientSessionState, bool) { return a.session, a.session != nil }
func (a *anyName) Put(_ string, s *tls.ClientSessionState)    { a.session = s }

// A client that trusts the authority of this machine is served without a
// complaint.
func TestSelfSigned(t *testing.T) {
	w := newWorld(t)
	w.Set([]config.SSLCert{{HostnamePort: "app.localhost:8443", SelfSigned: true}, {IPPort: "127.0.0.1:8443", SelfSigned: true}})
	info, err := w.opt.Authority.Info()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(info.PEM))
	for _, name := range []string{"app.localhost", "127.0.0.1", "localhost"} {
		if _, _, _, err := w.dial("127.0.0.1:8443", &tls.Config{RootCAs: roots, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What cannot be used is refused when it is bound; what is bound and cannot be
// used any more refuses its clients rather than showing them something else.
func TestUnusable(t *testing.T) {
	w := newWorld(t)
	missing := w.bind(config.SSLCert{HostnamePort: "x.example:443"}, config.CertFiles{Cert: filepath.Join(w.dir, "none")})
	if _, err := w.Check(&missing); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Error(err)
	}
	w.Set([]config.SSLCert{missing, w.bind(config.SSLCert{IPPort: "0.0.0.0:443"}, w.files("any"))})
	if got := w.got("192.0.2.1:443", "x.example"); got != "unrecognized name" {
		t.Errorf("a client of a broken binding gets %q", got)
	}
	if got := w.got("192.0.2.1:443", "y.example"); got != "any" {
		t.Errorf("another client gets %q", got)
	}
	c := pki.Issue(t, w.root, "late")
	pki.Write(t, w.dir, "none", pki.PEM(c.Chain()...), pki.KeyPEM(t, c.Key))
	w.Refresh()
	if got := w.got("192.0.2.1:443", "x.example"); got != "late" {
		t.Errorf("when the file is there: %q", got)
	}
	for _, bad := range []config.SSLCert{
		{IPPort: "0.0.0.0:443", Certs: []config.CertFiles{w.files("a")}, ClientCertNegotiation: true, SSLCTLStore: filepath.Join(w.dir, "none2")},
		{IPPort: "0.0.0.0:443", Certs: []config.CertFiles{w.files("a")}, ClientCertNegotiation: true, CRL: []string{w.files("a").Cert}},
		{CCS: "443", Store: filepath.Join(w.dir, "none2")},
		{CCS: "443", Store: w.files("a").Cert},
		{HostnamePort: "x.example:443", ACME: &config.ACME{Email: "a@example.com"}},
	} {
		if _, err := w.Check(&bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestShow(t *testing.T) {
	w := newWorld(t)
	c := w.bind(config.SSLCert{HostnamePort: "www.example.com:443", AppID: "{4dc3e181-e14b-4a21-b022-59fc669b0914}"},
		w.files("site", pki.Names("www.example.com", "example.com"), pki.Valid(-time.Hour, 90*24*time.Hour+time.Hour)))
	w.Set([]config.SSLCert{c})
	all := w.Show()
	if len(all) != 1 || len(all[0].Certificates) != 1 || all[0].AppID != c.AppID || len(all[0].Warnings) != 0 {
		t.Fatalf("%+v", all)
	}
	i := all[0].Certificates[0]
	if i.Subject != "CN=site" || i.Issuer != "CN=Root" || fmt.Sprint(i.Names) != "[www.example.com example.com]" ||
		i.Key != "ECDSA P-256" || len(i.Fingerprint) != 95 || len(i.Thumbprint) != 40 {
		t.Errorf("%+v", i)
	}
	w.skew.Store(int64(80 * 24 * time.Hour))
	if warn := w.Show()[0].Warnings; len(warn) != 1 || !strings.Contains(warn[0], "expires in 10 days") {
		t.Errorf("%q", warn)
	}
}
