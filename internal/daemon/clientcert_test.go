package daemon_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/pki"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// mutual is a daemon that asks clients for certificates, with a program that
// tells what it sees of them.
type mutual struct {
	*testkit.Daemon
	t            *testing.T
	servers      *pki.Cert // authority of the daemon's own certificate
	root, issuer *pki.Cert // of clients
	dir          string
	url          string
	binding      config.SSLCert
}

func newMutual(t *testing.T) *mutual {
	t.Helper()
	m := &mutual{Daemon: testkit.Start(t, testkit.Options{}), t: t, dir: testkit.Dir(t)}
	m.servers = pki.Root(t, "Servers")
	m.root = pki.Root(t, "Staff")
	m.issuer = pki.Issue(t, m.root, "Staff CA", pki.CA)
	m.url = m.serve(&httpsys.Server{Prefixes: []string{"https://localhost:0/"}})
	cert, key := pki.Issue(t, m.servers, "localhost", pki.Names("localhost", "other.localhost", "127.0.0.1")).Files(t, m.dir, "server")
	m.binding = config.SSLCert{
		HostnamePort: strings.Trim(strings.TrimPrefix(m.url, "https://"), "/"), Certs: []config.CertFiles{{Cert: cert, Key: key}},
		ClientCertNegotiation: true, SSLCTLStore: pki.Write(t, m.dir, "staff.pem", pki.PEM(m.root.Certificate)),
	}
	m.Admin("add sslcert", m.binding)
	return m
}

// serve runs a program that tells what it sees of its clients.
func (m *mutual) serve(s *httpsys.Server) (url string) {
	m.t.Helper()
	s.Socket = m.Socket
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := httpsys.ClientCertificate(r)
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "%s: %v, %d sent, %d chains", name, c.Verdict, len(c.Certificates), len(r.TLS.VerifiedChains))
		if r.URL.Query().Has("tls") {
			fmt.Fprintf(w, ", %s %s %q %q resumed %v", tls.VersionName(r.TLS.Version), tls.CipherSuiteName(r.TLS.CipherSuite),
				r.TLS.ServerName, r.TLS.NegotiatedProtocol, r.TLS.DidResume)
		}
		if err := c.Err(); err != nil {
			fmt.Fprintf(w, "\n%v", err)
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	m.t.Cleanup(func() { s.Close(); <-ended })
	select {
	case <-s.Registered():
	case err := <-ended:
		ended <- err
		m.t.Fatal(err)
	}
	return s.URLs()[0]
}

// client is a client with certificates, its own first.
func (m *mutual) client(key *pki.Cert, certs ...*x509.Certificate) *http.Client {
	c := &tls.Config{RootCAs: pki.Pool(m.servers)}
	if len(certs) > 0 {
		own := tls.Certificate{PrivateKey: key.Key}
		for _, cert := range certs {
			own.Certificate = append(own.Certificate, cert.Raw)
		}
		// Whatever the daemon says that it accepts: that is what is tested.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	t := &http.Transport{TLSClientConfig: c, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(addr) // whatever the name is
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}}
	m.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: testkit.Patience}
}

// get returns status, body.
func (m *mutual) get(c *http.Client, url string) string {
	m.t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, b)
}

func chainOf(certs ...*pki.Cert) (all []*x509.Certificate) {
	for _, c := range certs {
		all = append(all, c.Certificate)
	}
	return all
}

// Every case of a certificate that there is, with real ones: the application sees the
// certificate and the verdict, and the daemon rejects nobody by itself.
func TestClientCertificates(t *testing.T) {
	m := newMutual(t)
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	other := pki.Root(t, "Somebody else")
	alice := pki.Issue(t, m.issuer, "alice")
	notCA := pki.Issue(t, m.root, "not an authority")
	narrow := pki.Issue(t, m.root, "Narrow CA", pki.CA, pki.Template(func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.org"}
	}))
	forged := bytes.Clone(alice.Raw)
	forged[len(forged)-1] ^= 1
	broken, err := x509.ParseCertificate(forged)
	if err != nil {
		t.Fatal(err)
	}
	one := func(name string, options ...pki.Option) *pki.Cert { return pki.Issue(t, m.issuer, name, options...) }
	with := func(c *pki.Cert, more ...*pki.Cert) []*x509.Certificate {
		return chainOf(append([]*pki.Cert{c}, more...)...)
	}
	expired, early := one("bob", pki.Valid(hours(-48), hours(-24))), one("bob", pki.Valid(hours(1), hours(24)))
	self, stranger := pki.Root(t, "bob"), pki.Issue(t, other, "bob")
	server := one("bob", pki.Usage(x509.ExtKeyUsageServerAuth))
	issued, abroad := pki.Issue(t, notCA, "bob"), pki.Issue(t, narrow, "bob", pki.Names("bob.example.com"))
	for _, c := range []struct {
		name  string
		key   *pki.Cert
		certs []*x509.Certificate
		want  string // of the answer; "..." for any detail
	}{
		{"none", nil, nil, "nobody: not-presented, 0 sent, 0 chains\nclient certificate: the client has not shown a certificate"},
		{"trusted", alice, with(alice, m.issuer), "alice: trusted, 2 sent, 1 chains"},
		{"expired", expired, with(expired, m.issuer), "bob: expired, 2 sent, 0 chains\nclient certificate: the certificate has expired: ..."},
		{"not yet valid", early, with(early, m.issuer), "bob: not-yet-valid, 2 sent, 0 chains\nclient certificate: the certificate is not valid yet: ..."},
		{"self-signed", self, with(self), "bob: untrusted-root, 1 sent, 0 chains\nclient certificate: ..."},
		{"below another root", stranger, with(stranger, other), "bob: untrusted-root, 2 sent, 0 chains\nclient certificate: ..."},
		{"without the issuing authority", alice, with(alice), "alice: incomplete-chain, 1 sent, 0 chains\nclient certificate: ..."},
		{"with a wrong signature", alice, []*x509.Certificate{broken, m.issuer.Certificate}, "alice: bad-signature, 2 sent, 0 chains\nclient certificate: ..."},
		{"for servers", server, with(server, m.issuer), "bob: wrong-usage, 2 sent, 0 chains\nclient certificate: ..."},
		{"issued by somebody who may not", issued, with(issued, notCA), "bob: invalid-ca, 2 sent, 0 chains\nclient certificate: ..."},
		{"for a name that is not the authority's", abroad, with(abroad, narrow), "bob: not-permitted, 2 sent, 0 chains\nclient certificate: ..."},
	} {
		m.Run(c.name, func(t *testing.T) {
			for _, protocol := range []string{"http/1.1", "h2"} {
				client := m.client(c.key, c.certs...)
				client.Transport.(*http.Transport).ForceAttemptHTTP2 = protocol == "h2"
				for range 2 { // the second request of the connection
					got := m.get(client, m.url)
					want, detail := strings.CutSuffix("200 "+c.want, "...")
					if got != want && !(detail && strings.HasPrefix(got, want)) {
						t.Errorf("%s: %s\nwant %s", protocol, got, c.want)
					}
				}
			}
		})
	}
	m.Run("a certificate that is somebody else's", func(t *testing.T) {
		if got := m.get(m.client(self, alice.Certificate, m.issuer.Certificate), m.url); strings.HasPrefix(got, "200") {
			t.Errorf("without the key: %s", got)
		}
	})
	m.Run("versions and resumption", func(t *testing.T) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := m.client(alice, alice.Certificate, m.issuer.Certificate)
			tr := client.Transport.(*http.Transport)
			tr.TLSClientConfig.MinVersion, tr.TLSClientConfig.MaxVersion = version, version
			tr.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
			for _, resumed := range []bool{false, true} {
				got := m.get(client, m.url+"?tls")
				want := fmt.Sprintf(`"localhost" "http/1.1" resumed %v`, resumed)
				if !strings.HasPrefix(got, "200 alice: trusted, 2 sent, 1 chains, "+tls.VersionName(version)+" TLS_") || !strings.HasSuffix(got, want) {
					t.Errorf("%s: %s, want %s", tls.VersionName(version), got, want)
				}
				tr.CloseIdleConnections()
			}
		}
	})
}

// What was revoked is known from lists, and from responders when they are asked.
func TestClientCertificateRevocation(t *testing.T) {
	m := newMutual(t)
	var status int
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		q, err := ocsp.ParseRequest(body)
		if err != nil || status < 0 {
			http.Error(w, "no", 500)
			return
		}
		now := time.Now()
		der, err := ocsp.CreateResponse(m.issuer.Certificate, m.issuer.Certificate, ocsp.Response{
			Status: status, SerialNumber: q.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour), RevokedAt: now, RevocationReason: 1,
		}, m.issuer.Key)
		if err != nil {
			t.Error(err)
		}
		w.Write(der)
	}))
	defer responder.Close()
	atResponder := pki.Template(func(c *x509.Certificate) { c.OCSPServer = []string{responder.URL} })
	good, bad := pki.Issue(t, m.issuer, "good"), pki.Issue(t, m.issuer, "bad")
	now := time.Now()
	list := pki.Write(t, m.dir, "staff.crl", m.issuer.CRL(t, now.Add(-time.Hour), now.Add(time.Hour), bad))
	old := pki.Write(t, m.dir, "old.crl", m.issuer.CRL(t, now.Add(-2*time.Hour), now.Add(-time.Hour)))
	elsewhere := pki.Write(t, m.dir, "other.crl", pki.Root(t, "Other").CRL(t, now.Add(-time.Hour), now.Add(time.Hour)))
	for _, c := range []struct {
		name   string
		change func(*config.SSLCert)
		status int // of the responder; -1: it fails
		cert   *pki.Cert
		want   string
	}{
		{"nothing is asked", func(b *config.SSLCert) {}, 0, bad, "bad: trusted, 2 sent, 1 chains"},
		{"not in the list", func(b *config.SSLCert) { b.CRL = []string{list} }, 0, good, "good: trusted, 2 sent, 1 chains"},
		{"in the list", func(b *config.SSLCert) { b.CRL = []string{list} }, 0, bad, "bad: revoked, 2 sent, 0 chains"},
		{"an old list", func(b *config.SSLCert) { b.CRL = []string{old} }, 0, good, "good: revocation-offline, 2 sent, 0 chains"},
		{"no list of this authority", func(b *config.SSLCert) { b.CRL = []string{elsewhere} }, 0, good, "good: revocation-unknown, 2 sent, 0 chains"},
		{"a responder says that it is good", func(b *config.SSLCert) { b.OCSP = true }, ocsp.Good, pki.Issue(t, m.issuer, "a", atResponder), "a: trusted, 2 sent, 1 chains"},
		{"a responder says that it was revoked", func(b *config.SSLCert) { b.OCSP = true }, ocsp.Revoked, pki.Issue(t, m.issuer, "b", atResponder), "b: revoked, 2 sent, 0 chains"},
		{"a responder does not know it", func(b *config.SSLCert) { b.OCSP = true }, ocsp.Unknown, pki.Issue(t, m.issuer, "c", atResponder), "c: revocation-unknown, 2 sent, 0 chains"},
		{"a responder fails", func(b *config.SSLCert) { b.OCSP = true }, -1, pki.Issue(t, m.issuer, "d", atResponder), "d: revocation-offline, 2 sent, 0 chains"},
		{"it names no responder", func(b *config.SSLCert) { b.OCSP = true }, 0, good, "good: revocation-unknown, 2 sent, 0 chains"},
	} {
		m.Run(c.name, func(t *testing.T) {
			binding := m.binding
			c.change(&binding)
			m.Admin("update sslcert", binding)
			status = c.status
			if got := m.get(m.client(c.cert, c.cert.Certificate, m.issuer.Certificate), m.url); !strings.HasPrefix(got, "200 "+c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// A prefix that demands a trusted certificate gets no other requests, whether its
// program says so or the administrator.
func TestClientCertificateDemanded(t *testing.T) {
	m := newMutual(t)
	base := strings.TrimSuffix(m.url, "/")
	own := m.serve(&httpsys.Server{Prefixes: []string{base + "/own/"}, RequireClientCertificate: true})
	m.Admin("add clientcert", config.ClientCertPolicy{URL: base + "/admin/"})
	alice := pki.Issue(t, m.issuer, "alice")
	old := pki.Issue(t, m.issuer, "old", pki.Valid(-48*time.Hour, -24*time.Hour))
	stranger := pki.Issue(t, pki.Root(t, "Somebody else"), "stranger")
	trusted := func() *http.Client { return m.client(alice, alice.Certificate, m.issuer.Certificate) }
	check := func(t *testing.T, c *http.Client, url string, status int, text string) {
		t.Helper()
		for _, h2 := range []bool{false, true} {
			tr := c.Transport.(*http.Transport).Clone()
			tr.ForceAttemptHTTP2 = h2
			got := m.get(&http.Client{Transport: tr, Timeout: testkit.Patience}, url)
			tr.CloseIdleConnections()
			if !strings.HasPrefix(got, fmt.Sprint(status)) || !strings.Contains(got, text) {
				t.Errorf("%s, HTTP/2 %v: %s, want %d with %s", url, h2, got, status, text)
			}
		}
	}
	for _, url := range []string{own, base + "/admin/", base + "/ADMIN", base + "/x/../admin/y", base + "/%61dmin/"} {
		m.Run(strings.TrimPrefix(url, base), func(t *testing.T) {
			check(t, trusted(), url, 200, "alice: trusted")
			check(t, m.client(nil), url, 403, "This page is for clients with a certificate.")
			check(t, m.client(old, old.Certificate, m.issuer.Certificate), url, 403, "the certificate has expired")
			check(t, m.client(stranger, stranger.Certificate), url, 403, "is not accepted")
		})
	}
	m.Run("elsewhere", func(t *testing.T) {
		check(t, m.client(nil), base+"/administration", 200, "nobody: not-presented")
		check(t, m.client(stranger, stranger.Certificate), base+"/", 200, "stranger: incomplete-chain")
	})
	m.Run("revoked", func(t *testing.T) {
		binding := m.binding
		binding.CRL = []string{pki.Write(t, m.dir, "staff.crl", m.issuer.CRL(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), alice))}
		m.Admin("update sslcert", binding)
		check(t, trusted(), own, 403, "the certificate was revoked")
		m.Admin("update sslcert", m.binding)
	})
	if !m.Log.Has("a client without a trusted certificate was kept away", "403.7 not-presented") {
		t.Error("the log says nothing")
	}
	m.Run("the connection serves on", func(t *testing.T) {
		c := m.client(nil)
		for _, url := range []string{own, m.url, base + "/admin/", m.url} {
			want := "403"
			if url == m.url {
				want = "200"
			}
			if got := m.get(c, url); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s", url, got)
			}
		}
		m.Connections(1)
		c.CloseIdleConnections()
		m.Connections(0)
	})
	m.Run("it is not asked for", func(t *testing.T) {
		binding := m.binding
		binding.ClientCertNegotiation, binding.SSLCTLStore = false, ""
		m.Admin("update sslcert", binding)
		check(t, trusted(), own, 403, "which this server does not ask for")
		m.Admin("update sslcert", m.binding)
	})
	m.Run("no demand any more", func(t *testing.T) {
		m.Admin("delete clientcert", config.ClientCertPolicy{URL: base + "/Admin/"})
		check(t, m.client(nil), base+"/admin/", 200, "nobody")
	})
}

// A certificate counts for the hosts whose binding judged it: one host's
// authorities say nothing about who may come to another.
func TestClientCertificateOfOtherHost(t *testing.T) {
	m := newMutual(t)
	port := m.url[strings.LastIndex(m.url, ":"):]
	url := m.serve(&httpsys.Server{Prefixes: []string{"https://other.localhost" + port}, RequireClientCertificate: true})
	guests := pki.Root(t, "Guests")
	other := m.binding
	other.HostnamePort, other.SSLCTLStore = "other.localhost"+strings.TrimSuffix(port, "/"), pki.Write(t, m.dir, "guests.pem", pki.PEM(guests.Certificate))
	m.Admin("add sslcert", other)

	alice, guest := pki.Issue(t, m.issuer, "alice"), pki.Issue(t, guests, "guest")
	staff := m.client(alice, alice.Certificate, m.issuer.Certificate)
	visitor := m.client(guest, guest.Certificate)
	for _, h2 := range []bool{false, true} {
		for _, c := range []struct {
			client *http.Client
			sni    string
			want   string
		}{
			{visitor, "other.localhost", "200 guest: trusted"},
			{staff, "other.localhost", "403 "}, // not staff of this host
			{staff, "localhost", "421 "},       // trusted where it was shown, and not here
			{visitor, "localhost", "403 "},
		} {
			tr := c.client.Transport.(*http.Transport).Clone()
			tr.ForceAttemptHTTP2, tr.TLSClientConfig.ServerName = h2, c.sni
			got := m.get(&http.Client{Transport: tr, Timeout: testkit.Patience}, url)
			tr.CloseIdleConnections()
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("SNI %s, HTTP/2 %v: %s, want %s", c.sni, h2, got, c.want)
			}
		}
	}
	// The binding was made again, and is the same.
	m.Admin("update sslcert", other)
	if got := m.get(visitor, url); !strings.HasPrefix(got, "200 guest: trusted") {
		t.Error(got)
	}
}

// A program's own authorities are trusted with its own requests only.
func TestClientCertificateOfProgram(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	root, guests := pki.Root(t, "Root"), pki.Root(t, "Guests")
	app := d.App(testkit.AppOptions{Credit: 10, Connections: channel.ConnectionsTLS})
	certificate := certificate(t, root, "localhost")
	certificate.AskClient, certificate.Authorities = true, string(pki.PEM(guests.Certificate))
	reg := app.RegisterWith(channel.RegisterParams{URL: "https://localhost:0/own/", Certificate: certificate, ClientCertificate: channel.ClientCertificateTrusted})
	base := strings.TrimSuffix(reg.URL, "/own/")
	app.RegisterWith(channel.RegisterParams{URL: base + "/other/", ClientCertificate: channel.ClientCertificateTrusted})
	app.ServeRequests(func(r *testkit.Request) { r.Respond(200, nil, r.Target) })
	guest := pki.Issue(t, guests, "guest")
	client := &http.Client{Timeout: testkit.Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{guest.TLS()},
	}}}
	defer client.CloseIdleConnections()
	m := &mutual{t: t}
	if got := m.get(client, base+"/own/x"); got != "200 /own/x" {
		t.Error(got)
	}
	if got := m.get(client, base+"/other/x"); !strings.HasPrefix(got, "403") || !strings.Contains(got, "another program only") {
		t.Error(got)
	}
	d.Admin("add clientcert", config.ClientCertPolicy{URL: base + "/own/"})
	if got := m.get(client, base+"/own/x"); !strings.HasPrefix(got, "403") {
		t.Error(got)
	}
}

func TestClientCertificateParameter(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{})
	for _, c := range []struct {
		p    channel.RegisterParams
		want string
	}{
		{channel.RegisterParams{URL: "https://localhost:0/", ClientCertificate: "some"}, `client_certificate is "some": want any or trusted`},
		{channel.RegisterParams{URL: "http://localhost:0/", ClientCertificate: "trusted"}, "client_certificate is demanded for http://localhost:0/: only on https clients have certificates"},
	} {
		_, refusal := app.TryRegister(c.p)
		if refusal == nil || refusal.Code != channel.InvalidParameter || refusal.Message != c.want {
			t.Errorf("%+v: %v, want %s", c.p, refusal, c.want)
		}
	}
	reg := app.RegisterWith(channel.RegisterParams{URL: "https://localhost:0/", Queue: "q", ClientCertificate: "any"})
	other := d.App(testkit.AppOptions{})
	if _, refusal := other.TryRegister(channel.RegisterParams{URL: reg.URL, Queue: "q", ClientCertificate: "trusted"}); refusal == nil || refusal.Code != channel.AlreadyExists {
		t.Errorf("%v", refusal)
	}
	other.RegisterWith(channel.RegisterParams{URL: reg.URL, Queue: "q"})
}
