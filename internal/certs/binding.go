package certs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
)

// Binding is what a connection gets. It never changes.
type Binding struct {
	key      string
	config   *tls.Config
	ask      bool // for a client certificate
	verifier *clientcert.Verifier
	now      func() time.Time

	manager      *Manager // nil: it covers nothing
	registration uint32   // of whose program it is; set before the first client gets it
}

// Key says which binding it is, as in config.SSLCert.Key; "program" if a
// program has brought it along, "" if there is none for the name and address that
// a client wants.
func (b *Binding) Key() string { return b.key }

// ticketID tells the session tickets of b from those of others, also from those
// of the same binding when clients were not yet asked for a certificate.
func (b *Binding) ticketID() string {
	if b.ask {
		return b.key + " with client certificates"
	}
	return b.key
}

// Config implements tlsio.Binding.
func (b *Binding) Config() *tls.Config { return b.config }

// Established implements tlsio.Binding.
func (b *Binding) Established(state *tls.ConnectionState, wait func(func()) bool) *clientcert.Result {
	if !b.ask {
		return nil
	}
	r := b.verifier.Verify(state.PeerCertificates, b.now(), wait)
	return &r
}

// Covers implements tlsio.Binding: whether the judgement of a client's certificate
// under b holds for requests to host. It does not if another binding is for host,
// which may trust other authorities. One that was made again is still the same.
func (b *Binding) Covers(host string, local netip.AddrPort) bool {
	if b.manager == nil {
		return false
	}
	other := b.manager.find(strings.TrimSuffix(host, "."), local, atOnce)
	return other == b || b.registration == 0 && other.registration == 0 && other.key == b.key
}

// Registration implements tlsio.Binding.
func (b *Binding) Registration() uint32 { return b.registration }

// suites are those of TLS 1.2 with forward secrecy and authenticated
// encryption; crypto/tls would also offer CBC. Those of TLS 1.3 are fixed.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// built is a binding with the files that it was made from.
type built struct {
	binding  *Binding
	pairs    []*pair
	stamps   []stamp
	due      time.Time // when it must be made again though no file changes; zero: never
	store    *store
	warnings []string
}

// build makes the binding that c describes. The stamps are there also if it
// fails.
func (m *Manager) build(c *config.SSLCert, now time.Time) (*built, error) {
	b := &built{}
	if err := m.clientSide(c, b); err != nil {
		return b, err
	}
	cfg := b.binding.config
	switch {
	case len(c.Certs) > 0:
		if err := b.read(c.Certs, now); err != nil {
			return b, err
		}
	case c.SelfSigned:
		names, addrs := leafNames(c)
		cert, renew, err := m.opt.Authority.Leaf(names, addrs)
		if err != nil {
			return b, err
		}
		b.due = renew
		b.pairs = []*pair{{tls: cert, chain: []*x509.Certificate{cert.Leaf}}}
		cfg.Certificates = []tls.Certificate{cert}
	case c.Store != "":
		s, err := openStore(m, c, b.binding)
		if err != nil {
			return b, err
		}
		b.store = s
	case c.ACME != nil:
		if m.opt.ACME == nil {
			return b, fmt.Errorf("%s: this daemon gets no certificates from the network", c.Key())
		}
		if root := c.ACME.Root; root != "" {
			data, _, err := readFile(root, false)
			if err == nil {
				_, err = parseChain(root, data)
			}
			if err != nil {
				return b, err
			}
		}
		cfg.GetCertificate = m.opt.ACME.Certificate
	}
	return b, nil
}

// read makes b show the certificates in files: ECDSA first, which is cheaper,
// to clients that can verify it.
func (b *built) read(files []config.CertFiles, now time.Time) error {
	for _, f := range files {
		p, err := readPair(f.Cert, f.Key, now)
		b.stamps = append(b.stamps, p.stamps...)
		if err != nil {
			return err
		}
		b.pairs = append(b.pairs, p)
		if u := p.staple.until; !u.IsZero() && (b.due.IsZero() || u.Before(b.due)) {
			b.due = u
		}
		if w := p.staple.warning; w != "" {
			b.warnings = append(b.warnings, w)
		}
	}
	return b.show()
}

// show makes b show its pairs.
func (b *built) show() error {
	cfg := b.binding.config
	slices.SortStableFunc(b.pairs, func(x, y *pair) int { return kind(x).rank - kind(y).rank })
	for i, p := range b.pairs {
		if i > 0 && kind(b.pairs[i-1]) == kind(p) {
			return fmt.Errorf("%s and %s have keys of the same kind (%s): one certificate for each kind is enough", b.pairs[i-1].path, p.path, kind(p).name)
		}
		cfg.Certificates = append(cfg.Certificates, p.tls)
	}
	if certs := cfg.Certificates; len(certs) > 1 {
		cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return pick(hello, certs), nil }
	}
	return nil
}

// pick returns the first certificate that the client can verify. crypto/tls
// would do so, too, but takes the first of all if none is for the name that the
// client asks for; here the binding has decided about names already.
func pick(hello *tls.ClientHelloInfo, certs []tls.Certificate) *tls.Certificate {
	nameless := *hello
	nameless.ServerName = ""
	for i := range certs {
		if nameless.SupportsCertificate(&certs[i]) == nil {
			return &certs[i]
		}
	}
	return &certs[0]
}

type keyKind struct {
	name string
	rank int
}

func kind(p *pair) keyKind {
	switch p.tls.PrivateKey.(type) {
	case *ecdsa.PrivateKey:
		return keyKind{"ECDSA", 0}
	case ed25519.PrivateKey:
		return keyKind{"Ed25519", 1}
	case *rsa.PrivateKey:
		return keyKind{"RSA", 2}
	}
	return keyKind{"unknown", 3}
}

// clientSide makes the part of a binding that does not depend on its
// certificate.
func (m *Manager) clientSide(c *config.SSLCert, b *built) error {
	b.binding = m.newBinding(c.Key(), c.ClientCertNegotiation)
	cfg := b.binding.config
	if c.DisableTLS12 {
		cfg.MinVersion = tls.VersionTLS13
	}
	if c.DisableTLS13 {
		cfg.MaxVersion = tls.VersionTLS12
	}
	if c.DisableHTTP2 {
		disableHTTP2(cfg)
	}
	if !c.ClientCertNegotiation {
		return nil
	}
	v := &clientcert.Verifier{AnyUsage: c.NoUsageCheck}
	b.binding.verifier = v
	if c.SSLCTLStore != "" {
		data, s, err := readFile(c.SSLCTLStore, false)
		b.stamps = append(b.stamps, s)
		if err != nil {
			return err
		}
		roots, err := parseChain(c.SSLCTLStore, data)
		if err != nil {
			return err
		}
		v.Roots = clientcert.NewRoots(roots)
		cfg.ClientCAs = v.Roots.Pool()
	}
	if c.NoRevocationCheck {
		return nil
	}
	for _, path := range c.CRL {
		data, s, err := readFile(path, false)
		b.stamps = append(b.stamps, s)
		if err != nil {
			return err
		}
		lists, err := clientcert.ParseCRLs(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		now := m.opt.Now()
		for _, l := range lists {
			if n := l.NextUpdate(); !n.IsZero() && now.After(n) {
				b.warnings = append(b.warnings, fmt.Sprintf("the revocation list of %s in %s is out of date since %s: no certificate of it is trusted", quoted(l.Issuer()), path, day(n)))
			}
		}
		v.CRLs = append(v.CRLs, lists...)
	}
	if c.OCSP {
		v.OCSP = m.ocsp
	}
	return nil
}

// newBinding makes one that shows no certificate yet.
func (m *Manager) newBinding(key string, ask bool) *Binding {
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13,
		CipherSuites: suites, NextProtos: m.opt.Protocols, Time: m.opt.Now,
	}
	if ask {
		// Asked for and never demanded: what is wrong with it is for the
		// application to judge.
		cfg.ClientAuth = tls.RequestClientCert
	}
	return &Binding{key: key, config: cfg, ask: ask, now: m.opt.Now, manager: m}
}

func disableHTTP2(cfg *tls.Config) {
	cfg.NextProtos = slices.DeleteFunc(slices.Clone(cfg.NextProtos), func(p string) bool { return p == "h2" })
}

// host is the name that c is for, if it is for one.
func host(c *config.SSLCert) string {
	name, _, _ := strings.Cut(c.HostnamePort, ":")
	return name
}

// leafNames are the names of a certificate from the authority of this machine.
func leafNames(c *config.SSLCert) ([]string, []netip.Addr) {
	if h := host(c); h != "" {
		return []string{h}, nil
	}
	a, err := netip.ParseAddrPort(c.IPPort)
	if err != nil {
		return nil, nil
	}
	var local []netip.Addr
	if all, err := net.InterfaceAddrs(); err == nil {
		for _, i := range all {
			if p, err := netip.ParsePrefix(i.String()); err == nil {
				local = append(local, p.Addr())
			}
		}
	}
	return localca.Names(a.Addr(), local)
}
