package clientcert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/testkit/pki"
)

func now(f func()) bool { f(); return true }

func hours(n int) time.Duration { return time.Duration(n) * time.Hour }

func chain(certs ...*pki.Cert) []*x509.Certificate {
	var all []*x509.Certificate
	for _, c := range certs {
		all = append(all, c.Certificate)
	}
	return all
}

// forged is c with a signature that is not its issuer's.
func forged(t *testing.T, c *pki.Cert) *x509.Certificate {
	t.Helper()
	der := bytes.Clone(c.Raw)
	der[len(der)-4] ^= 1
	x, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// What a client can show, and the verdict on it.
func TestVerdicts(t *testing.T) {
	root := pki.Root(t, "Root")
	other := pki.Root(t, "Somebody else's root")
	ca := pki.Issue(t, root, "Issuing CA", pki.CA)
	alice := pki.Issue(t, ca, "alice")
	oldCA := pki.Issue(t, root, "Old CA", pki.CA, pki.Valid(hours(-100), hours(-1)))
	narrow := pki.Root(t, "Narrow root", pki.Template(func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.org"}
	}))
	flat := pki.Root(t, "Flat root", pki.Template(func(c *x509.Certificate) { c.MaxPathLenZero = true }))
	oldRoot := pki.Root(t, "Old root", pki.Valid(hours(-100), hours(-1)))
	twin := pki.Root(t, "Root", pki.Template(func(c *x509.Certificate) { c.SubjectKeyId = []byte("another key") }))
	servers := pki.Issue(t, root, "CA of servers", pki.CA, pki.Usage(x509.ExtKeyUsageServerAuth))
	notCA := pki.Issue(t, root, "not an authority", pki.Template(func(c *x509.Certificate) { c.BasicConstraintsValid = true }))
	roots := NewRoots(chain(root, narrow, flat, oldRoot))

	for _, c := range []struct {
		name    string
		certs   []*x509.Certificate
		verdict Verdict
		detail  string // a part of it
	}{
		{"none", nil, NotPresented, ""},
		{"below an issuing authority", chain(alice, ca), Trusted, ""},
		{"with the root", chain(alice, ca, root), Trusted, ""},
		{"in the wrong order", chain(alice, root, ca), Trusted, ""},
		{"with one that does not belong there", chain(alice, other, ca), Trusted, ""},
		{"directly below the root", chain(pki.Issue(t, root, "bob")), Trusted, ""},
		{"without any extended usage", chain(pki.Issue(t, root, "bob", pki.Usage())), Trusted, ""},

		{"expired", chain(pki.Issue(t, ca, "bob", pki.Valid(hours(-48), hours(-24))), ca), Expired, "CN=bob"},
		{"below an expired authority", chain(pki.Issue(t, oldCA, "bob"), oldCA), Expired, "CN=Old CA"},
		{"below an expired root", chain(pki.Issue(t, oldRoot, "bob")), Expired, "CN=Old root"},
		{"not valid yet", chain(pki.Issue(t, ca, "bob", pki.Valid(hours(1), hours(24))), ca), NotYetValid, "CN=bob"},

		{"self-signed", chain(pki.Root(t, "bob")), UntrustedRoot, "CN=bob"},
		{"below another root, which is there", chain(pki.Issue(t, other, "bob"), other), UntrustedRoot, "Somebody else"},
		{"below another root, which is not there", chain(pki.Issue(t, other, "bob")), IncompleteChain, "Somebody else"},
		{"without the issuing authority", chain(alice), IncompleteChain, "CN=Issuing CA"},
		{"below a root of the same name with another key", chain(pki.Issue(t, twin, "bob")), IncompleteChain, "CN=Root"},
		{"expired, and below an unknown root", chain(pki.Issue(t, other, "bob", pki.Valid(hours(-48), hours(-24))), other), UntrustedRoot, ""},

		{"with a wrong signature", []*x509.Certificate{forged(t, alice), ca.Certificate}, BadSignature, "CN=alice"},
		{"below an authority with a wrong signature", []*x509.Certificate{alice.Certificate, forged(t, ca)}, BadSignature, "CN=Issuing CA"},
		{"self-signed with a wrong signature", []*x509.Certificate{forged(t, other)}, BadSignature, "Somebody else"},

		{"for servers", chain(pki.Issue(t, ca, "bob", pki.Usage(x509.ExtKeyUsageServerAuth)), ca), WrongUsage, "is for servers"},
		{"below an authority for servers", chain(pki.Issue(t, servers, "bob", pki.Usage(x509.ExtKeyUsageClientAuth)), servers), WrongUsage, "CN=CA of servers"},
		{"issued with a certificate of an end user", chain(pki.Issue(t, notCA, "bob"), notCA), InvalidCA, "CN=not an authority"},
		{"below too many authorities", func() []*x509.Certificate {
			sub := pki.Issue(t, flat, "Sub", pki.CA)
			return chain(pki.Issue(t, sub, "bob"), sub)
		}(), InvalidCA, "allows 0 authorities"},
		{"for a name that the authority has no right to", chain(pki.Issue(t, narrow, "bob", pki.Names("bob.example.com"))), NotPermitted, ""},
		{"with an extension that nobody knows and that must be known", chain(pki.Issue(t, root, "bob", pki.Template(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}))), Invalid, "critical extension"},
	} {
		v := &Verifier{Roots: roots}
		r := v.Verify(c.certs, time.Now(), now)
		if r.Verdict != c.verdict || !strings.Contains(r.Detail, c.detail) {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, r.Verdict, r.Detail, c.verdict, c.detail)
		}
		if (len(r.Chains) > 0) != (c.verdict == Trusted) || (r.Error() == "") != (c.verdict == Trusted) {
			t.Errorf("%s: %d chains, %q", c.name, len(r.Chains), r.Error())
		}
		if strings.Contains(r.Error(), "\n") {
			t.Errorf("%s: %q is more than a line", c.name, r.Error())
		}
	}
}

// usagecheck=disable accepts what is for something else, and nothing more.
func TestAnyUsage(t *testing.T) {
	root := pki.Root(t, "Root")
	v := &Verifier{Roots: NewRoots(chain(root)), AnyUsage: true}
	forServers := pki.Issue(t, root, "bob", pki.Usage(x509.ExtKeyUsageServerAuth))
	if r := v.Verify(chain(forServers), time.Now(), now); r.Verdict != Trusted {
		t.Error(r.Verdict, r.Detail)
	}
	expired := pki.Issue(t, root, "bob", pki.Usage(x509.ExtKeyUsageServerAuth), pki.Valid(hours(-2), hours(-1)))
	if r := v.Verify(chain(expired), time.Now(), now); r.Verdict != Expired {
		t.Error(r.Verdict, r.Detail)
	}
}

// A signature with SHA-1 could be forged.
func TestWeakSignature(t *testing.T) {
	root := pki.Root(t, "Root", pki.Key(pki.RSA(t, 2048)))
	weak := pki.Template(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
	v := &Verifier{Roots: NewRoots(chain(root))}
	r := v.Verify(chain(pki.Issue(t, root, "bob", weak)), time.Now(), now)
	if r.Verdict != WeakSignature || !strings.Contains(r.Detail, "SHA1") {
		t.Error(r.Verdict, r.Detail)
	}
	// How a root is signed does not matter: it is trusted for being there.
	root = pki.Root(t, "Root", pki.Key(pki.RSA(t, 2048)), weak)
	v = &Verifier{Roots: NewRoots(chain(root))}
	if r := v.Verify(chain(pki.Issue(t, root, "bob")), time.Now(), now); r.Verdict != Trusted {
		t.Error(r.Verdict, r.Detail)
	}
}

// A chain cannot make us walk for ever.
func TestLongChain(t *testing.T) {
	root := pki.Root(t, "Root")
	certs := []*pki.Cert{pki.Issue(t, root, "0", pki.CA)}
	for i := range 20 {
		certs = append([]*pki.Cert{pki.Issue(t, certs[0], strings.Repeat("x", i+1), pki.CA)}, certs...)
	}
	other := pki.Root(t, "Other")
	r := (&Verifier{Roots: NewRoots(chain(other))}).Verify(chain(certs...), time.Now(), now)
	if r.Verdict != IncompleteChain || !strings.Contains(r.Detail, "more than 10") {
		t.Error(r.Verdict, r.Detail)
	}
	// Two that issued each other are a circle.
	key := pki.ECDSA(t)
	a1 := pki.Root(t, "A", pki.Key(key))
	b := pki.Issue(t, a1, "B", pki.CA)
	a2 := pki.Issue(t, b, "A", pki.CA, pki.Key(key))
	r = (&Verifier{Roots: NewRoots(chain(other))}).Verify(chain(pki.Issue(t, a2, "leaf"), a2, b), time.Now(), now)
	if r.Verdict == Trusted || r.Verdict == NotPresented {
		t.Error(r.Verdict, r.Detail)
	}
}

// The certificate reaches the verifier through a real handshake, whatever is
// wrong with it; without the key that belongs to it there is no handshake.
func TestHandshake(t *testing.T) {
	root := pki.Root(t, "Root")
	server := pki.Issue(t, root, "server", pki.Names("server.example"))
	expired := pki.Issue(t, root, "bob", pki.Valid(hours(-2), hours(-1))).TLS()
	stolen := pki.Issue(t, root, "alice").TLS()
	stolen.PrivateKey = pki.ECDSA(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name    string
			show    *tls.Certificate
			verdict Verdict
			ok      bool
		}{
			{"expired", &expired, Expired, true},
			{"none", &tls.Certificate{}, NotPresented, true},
			{"stolen", &stolen, 0, false},
		} {
			a, b := net.Pipe()
			s := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{server.TLS()}, ClientAuth: tls.RequestClientCert, MaxVersion: version})
			go func() {
				client := tls.Client(b, &tls.Config{RootCAs: pki.Pool(root), ServerName: "server.example",
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.show, nil }})
				client.Handshake()
				client.Read(make([]byte, 1))
			}()
			err := s.Handshake()
			if (err == nil) != c.ok {
				t.Errorf("%s: %v", c.name, err)
			}
			if err == nil {
				r := (&Verifier{Roots: NewRoots(chain(root))}).Verify(s.ConnectionState().PeerCertificates, time.Now(), now)
				if r.Verdict != c.verdict {
					t.Errorf("%s: %s", c.name, r.Verdict)
				}
			}
			a.Close()
			b.Close()
		}
	}
}

func TestPolicy(t *testing.T) {
	for v := NotPresented; v <= Invalid; v++ {
		if !AcceptAny.Allows(v) || RequireTrusted.Allows(v) != (v == Trusted) {
			t.Errorf("%s: %v %v", v, AcceptAny.Allows(v), RequireTrusted.Allows(v))
		}
		if v.Text() == "" || v.String() == "" {
			t.Errorf("verdict %d has no words", v)
		}
		name, code := v.Windows()
		if has := v != NotPresented && v != Trusted; (name != "") != has || (code != 0) != has {
			t.Errorf("%s: %s %x", v, name, code)
		}
	}
	for _, p := range []Policy{AcceptAny, RequireTrusted} {
		if q, ok := ParsePolicy(p.String()); q != p || !ok {
			t.Errorf("%s: %v %v", p, q, ok)
		}
	}
	if _, ok := ParsePolicy("maybe"); ok {
		t.Error("maybe is a policy")
	}
}
