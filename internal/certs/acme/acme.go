// Package acme gets certificates from the network (RFC 8555), and renews them.
//
// Client implements certs.ACME with certmagic, which knows when to ask, whom, and
// how often to try again. An authority that checks whether a name is ours comes
// to this machine in one of two ways, and the daemon answers both by itself,
// whatever programs have registered: a request for a well-known path on port 80
// (HTTPChallenge), or a handshake with a protocol of its own on port 443
// (Challenge, RFC 8737). So that it gets through, Listen is called for both ports
// while a certificate is asked for.
//
// State (accounts, keys, certificates) is in a folder. log.go joins certmagic's
// log to ours.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	acmeproto "github.com/mholt/acmez/v3/acme"

	"github.com/httpsys/httpsys/internal/config"
)

// Options of a Client.
type Options struct {
	Folder string // for state
	Log    *slog.Logger
	// Listen makes sure that connections on port arrive at this daemon until the
	// function that it returns is called. It is called for the ports of the
	// two challenges. nil: they are open anyway.
	Listen func(port uint16, secure bool) (release func(), err error)

	// What is not as on the Internet, for tests. Zero values mean the usual.
	HTTPPort, TLSPort uint16
	Check             time.Duration // how often to look for what must be renewed
}

// Client gets certificates. It is safe for concurrent use.
type Client struct {
	opt   Options
	cache *certmagic.Cache // made when a certificate is first wanted: most machines want none
	stop  context.CancelFunc
	ctx   context.Context

	closed sync.Once

	// Ports on which certmagic listens for nobody: it insists on listening.
	decoys [2]int

	mu    sync.Mutex
	names map[string]*name
}

// name is one for which a certificate is wanted.
type name struct {
	from    config.ACME
	cfg     *certmagic.Config
	cancel  context.CancelFunc
	err     error    // why the last attempt failed
	release []func() // ports that are held while asking
}

// New makes a Client that wants nothing yet. End it with Close.
func New(opt Options) *Client {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.HTTPPort == 0 {
		opt.HTTPPort = 80
	}
	if opt.TLSPort == 0 {
		opt.TLSPort = 443
	}
	c := &Client{opt: opt, names: map[string]*name{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// open makes what is needed to ask for certificates. c.mu is held.
func (c *Client) open() error {
	if c.cache != nil {
		return nil
	}
	for i := range c.decoys {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("no port for the challenges of certificate authorities: %w", err)
		}
		c.decoys[i] = l.Addr().(*net.TCPAddr).Port
		defer l.Close()
	}
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(cert certmagic.Certificate) (*certmagic.Config, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, n := range cert.Names {
				if known := c.names[n]; known != nil {
					return known.cfg, nil
				}
			}
			return nil, fmt.Errorf("nobody wants a certificate for %v any more", cert.Names)
		},
		RenewCheckInterval: c.opt.Check,
		Logger:             logger(c.opt.Log),
	})
	return nil
}

// Close stops asking and renewing. It can be called more than once.
func (c *Client) Close() {
	c.closed.Do(func() {
		c.stop()
		c.mu.Lock()
		cache := c.cache
		c.mu.Unlock()
		if cache != nil {
			cache.Stop()
		}
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.names {
		n.hold(nil)
	}
}

// Manage implements certs.ACME.
func (c *Client) Manage(wanted map[string]config.ACME) {
	c.mu.Lock()
	var gone []certmagic.SubjectIssuer
	for host, n := range c.names {
		if from, ok := wanted[host]; !ok || from != n.from {
			n.cancel()
			n.hold(nil)
			delete(c.names, host)
			gone = append(gone, certmagic.SubjectIssuer{Subject: host})
		}
	}
	var err error
	if len(wanted) > 0 {
		err = c.open()
	}
	cache := c.cache
	var fresh []string
	for host, from := range wanted {
		if c.names[host] == nil {
			c.names[host] = &name{from: from, cancel: func() {}, err: err}
			fresh = append(fresh, host)
		}
	}
	c.mu.Unlock()
	if cache == nil {
		return
	}
	cache.RemoveManaged(gone)
	for _, host := range fresh {
		c.begin(host)
	}
}

// begin asks for the certificate of host, in the background.
func (c *Client) begin(host string) {
	c.mu.Lock()
	n := c.names[host]
	c.mu.Unlock()
	if n == nil {
		return
	}
	cfg, err := c.config(host, n)
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	n.cfg, n.cancel, n.err = cfg, cancel, err
	c.mu.Unlock()
	if err == nil {
		err = cfg.ManageAsync(ctx, []string{host})
	}
	if err != nil {
		c.failed(n, err)
		c.opt.Log.Error("no certificate", "host", host, "err", err)
	}
}

func (c *Client) config(host string, n *name) (*certmagic.Config, error) {
	log := logger(c.opt.Log)
	issuer := certmagic.ACMEIssuer{
		CA: n.from.Directory, Email: n.from.Email, Agreed: true, Logger: log,
		ListenHost: "127.0.0.1", AltHTTPPort: c.decoys[0], AltTLSALPNPort: c.decoys[1],
		DisableDistributedSolvers: true, // one daemon, whose memory is enough
	}
	if n.from.Root != "" {
		pem, err := os.ReadFile(n.from.Root)
		if err != nil {
			return nil, fmt.Errorf("the authority of the directory cannot be read: %w", err)
		}
		issuer.TrustedRoots = x509.NewCertPool()
		if !issuer.TrustedRoots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", n.from.Root)
		}
	}
	cfg := certmagic.New(c.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: c.opt.Folder}, Logger: log,
		OnEvent: func(_ context.Context, event string, data map[string]any) error {
			c.event(n, event, data)
			return nil
		},
	})
	cfg.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(cfg, issuer)}
	return cfg, nil
}

// event hears what certmagic does about n.
func (c *Client) event(n *name, event string, data map[string]any) {
	switch event {
	case "cert_obtaining":
		var held []func()
		if c.opt.Listen != nil {
			for _, p := range []struct {
				port   uint16
				secure bool
			}{{c.opt.HTTPPort, false}, {c.opt.TLSPort, true}} {
				release, err := c.opt.Listen(p.port, p.secure)
				if err != nil { // the other challenge may do
					c.opt.Log.Warn("port not available for the challenge of a certificate authority", "port", p.port, "err", err)
					continue
				}
				held = append(held, release)
			}
		}
		c.mu.Lock()
		n.hold(held)
		c.mu.Unlock()
	case "cert_failed":
		err, _ := data["error"].(error)
		if err == nil {
			err = errors.New("the authority did not issue a certificate")
		}
		c.failed(n, err)
	case "cert_obtained":
		c.failed(n, nil)
	}
}

func (c *Client) failed(n *name, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.err = err
	n.hold(nil)
}

// hold replaces the ports that are held for n.
func (n *name) hold(next []func()) {
	for _, release := range n.release {
		release()
	}
	n.release = next
}

// Certificate implements certs.ACME.
func (c *Client) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	var cfg *certmagic.Config
	if n := c.names[strings.ToLower(hello.ServerName)]; n != nil {
		cfg = n.cfg
	}
	c.mu.Unlock()
	if cfg == nil {
		return nil, nil
	}
	get := func() *tls.Certificate {
		cert, err := cfg.GetCertificateWithContext(hello.Context(), hello)
		if err != nil || cert == nil || len(cert.Certificate) == 0 {
			return nil // which is answered as a name that is not here: it is not, yet
		}
		return cert
	}
	if w, ok := hello.Conn.(interface{ Wait(func()) bool }); ok && len(c.cache.AllMatchingCertificates(strings.ToLower(hello.ServerName))) == 0 {
		// It looks for files, and asks the network for an OCSP response.
		found := make(chan *tls.Certificate, 1)
		if !w.Wait(func() { found <- get() }) {
			return nil, nil
		}
		return <-found, nil
	}
	return get(), nil
}

// Challenge implements certs.ACME.
func (c *Client) Challenge(hello *tls.ClientHelloInfo) *tls.Certificate {
	host := strings.ToLower(hello.ServerName)
	challenge, ok := certmagic.GetACMEChallenge(host)
	if !ok || challenge.Type != acmeproto.ChallengeTypeTLSALPN01 || !c.wants(host) {
		return nil
	}
	cert, err := acmez.TLSALPN01ChallengeCert(challenge.Challenge)
	if err != nil {
		c.opt.Log.Error("challenge not answered", "host", host, "err", err)
		return nil
	}
	return cert
}

// ChallengePath is what the paths of requests begin with that HTTPChallenge
// knows an answer to.
const ChallengePath = "/.well-known/acme-challenge/"

// HTTPChallenge returns the body that answers a GET for path on host (without
// its port), of type application/octet-stream, if that is the challenge of an
// authority (RFC 8555 8.3). It looks at memory only.
func (c *Client) HTTPChallenge(host, path string) (body string, ok bool) {
	token, ok := strings.CutPrefix(path, ChallengePath)
	if !ok || token == "" {
		return "", false
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	challenge, ok := certmagic.GetACMEChallenge(host)
	if !ok || challenge.Type != acmeproto.ChallengeTypeHTTP01 || challenge.Token != token || !c.wants(host) {
		return "", false
	}
	return challenge.KeyAuthorization, true
}

func (c *Client) wants(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[host] != nil
}

// Status implements certs.ACME.
func (c *Client) Status(host string) (*x509.Certificate, error) {
	c.mu.Lock()
	n := c.names[host]
	var err error
	if n != nil {
		err = n.err
	}
	cache := c.cache
	c.mu.Unlock()
	if n == nil {
		return nil, nil
	}
	if cache != nil {
		for _, cert := range cache.AllMatchingCertificates(host) {
			if cert.Leaf != nil {
				return cert.Leaf, err
			}
		}
	}
	if err == nil {
		err = errors.New("the certificate has been asked for and is not there yet")
	}
	return nil, err
}
