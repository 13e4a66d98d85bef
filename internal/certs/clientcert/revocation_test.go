package clientcert

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/httpsys/httpsys/internal/testkit/pki"
)

func lists(t *testing.T, ders ...[]byte) []*CRL {
	t.Helper()
	var all []*CRL
	for _, der := range ders {
		l, err := ParseCRLs(der)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l...)
	}
	return all
}

func TestCRL(t *testing.T) {
	root := pki.Root(t, "Root")
	ca := pki.Issue(t, root, "CA", pki.CA)
	impostor := pki.Root(t, "CA")
	alice, bob := pki.Issue(t, ca, "alice"), pki.Issue(t, ca, "bob")
	day := 24 * time.Hour
	today, tomorrow := time.Now().Add(-time.Hour), time.Now().Add(day)
	fresh := ca.CRL(t, today, tomorrow, bob)
	stale := ca.CRL(t, today.Add(-9*day), today.Add(-2*day), bob)
	for _, c := range []struct {
		name    string
		crls    []*CRL
		who     *pki.Cert
		verdict Verdict
		detail  string
	}{
		{"in the list", lists(t, fresh), bob, Revoked, "its key was compromised"},
		{"not in the list", lists(t, fresh), alice, Trusted, ""},
		{"the list of the root says nothing about it", lists(t, root.CRL(t, today, tomorrow)), alice, RevocationUnknown, "CN=CA"},
		{"its authority is in the list of the root", lists(t, fresh, root.CRL(t, today, tomorrow, ca)), alice, Revoked, "CN=CA"},
		{"the list is out of date", lists(t, stale), alice, RevocationOffline, "out of date"},
		{"the list is out of date, but it is in it", lists(t, stale), bob, Revoked, ""},
		{"one of two lists is out of date", lists(t, stale, fresh), alice, Trusted, ""},
		{"and the other way round", lists(t, fresh, stale), alice, Trusted, ""},
		{"the list is signed by somebody else of that name", lists(t, impostor.CRL(t, today, tomorrow)), alice, RevocationUnknown, ""},
		{"somebody else of that name revokes", lists(t, fresh, impostor.CRL(t, today, tomorrow, alice)), alice, Trusted, ""},
	} {
		v := &Verifier{Roots: NewRoots(chain(root)), CRLs: c.crls}
		for range 2 { // the second time signatures are known
			r := v.Verify(chain(c.who, ca), time.Now(), now)
			if r.Verdict != c.verdict || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("%s: %s (%s), want %s", c.name, r.Verdict, r.Detail, c.verdict)
			}
			if (len(r.Chains) > 0) != (c.verdict == Trusted) {
				t.Errorf("%s: %d chains", c.name, len(r.Chains))
			}
		}
	}
}

func TestParseCRLs(t *testing.T) {
	root := pki.Root(t, "Root")
	der := root.CRL(t, time.Now(), time.Now().Add(time.Hour))
	text := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	special := func(id asn1.ObjectIdentifier, critical bool) []byte {
		l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
			ExtraExtensions: []pkix.Extension{{Id: id, Critical: critical, Value: []byte{2, 1, 1}}}}
		der, err := x509.CreateRevocationList(rand.Reader, l, root.Certificate, root.Key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for _, good := range []struct {
		name string
		data []byte
		n    int
	}{
		{"DER", der, 1},
		{"PEM", text, 1},
		{"two", append(bytes.Clone(text), text...), 2},
		{"with words around it", append([]byte("Our list:\n"), text...), 1},
		{"a part of the certificates that is all", special(oidIssued, false), 1},
	} {
		if l, err := ParseCRLs(good.data); err != nil || len(l) != good.n {
			t.Errorf("%s: %d lists, %v", good.name, len(l), err)
		}
	}
	for _, bad := range []struct {
		name, why string
		data      []byte
	}{
		{"empty", "not a revocation list", nil},
		{"garbage", "not a revocation list", []byte("garbage")},
		{"a certificate", "only revocation lists", pki.PEM(root.Certificate)},
		{"nothing complete", "no revocation list", []byte("-----BEGIN X509 CRL-----\n")},
		{"a delta list", "delta", special(oidDelta, true)},
		{"a list of a part", "only a part", special(oidIssued, true)},
		{"an unknown extension", "unknown here", special(asn1.ObjectIdentifier{1, 2, 3}, true)},
	} {
		if _, err := ParseCRLs(bad.data); err == nil || !strings.Contains(err.Error(), bad.why) {
			t.Errorf("%s: %v, want %q", bad.name, err, bad.why)
		}
	}
}

// responder is an OCSP responder on this machine.
type responder struct {
	*httptest.Server
	asked  atomic.Int64
	answer func(serial *big.Int) (ocsp.Response, int)
	signer *pki.Cert
	issuer *pki.Cert
}

func newResponder(t *testing.T) *responder {
	r := &responder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		body, _ := io.ReadAll(req.Body)
		q, err := ocsp.ParseRequest(body)
		if err != nil {
			t.Error(err)
			return
		}
		a, status := r.answer(q.SerialNumber)
		if status != 200 {
			w.WriteHeader(status)
			return
		}
		a.SerialNumber = q.SerialNumber
		if r.signer.Issuer == r.issuer { // a delegate shows its right
			a.Certificate = r.signer.Certificate
		}
		der, err := ocsp.CreateResponse(r.issuer.Certificate, r.signer.Certificate, a, r.signer.Key)
		if err != nil {
			t.Error(err)
		}
		w.Write(der)
	}))
	t.Cleanup(r.Close)
	return r
}

func TestOCSP(t *testing.T) {
	s := newResponder(t)
	root := pki.Root(t, "Root")
	at := func(url string) pki.Option {
		return pki.Template(func(c *x509.Certificate) { c.OCSPServer = []string{url} })
	}
	delegate := pki.Issue(t, root, "Responder", pki.Usage(x509.ExtKeyUsageOCSPSigning))
	stranger := pki.Root(t, "Stranger")
	today, tomorrow := time.Now().Add(-time.Minute), time.Now().Add(24*time.Hour)
	fixed := func(status int, from, until time.Time) func(*big.Int) (ocsp.Response, int) {
		return func(*big.Int) (ocsp.Response, int) {
			return ocsp.Response{Status: status, ThisUpdate: from, NextUpdate: until, RevokedAt: from, RevocationReason: 1}, 200
		}
	}
	good := fixed(ocsp.Good, today, tomorrow)
	for _, c := range []struct {
		name    string
		url     string
		signer  *pki.Cert
		answer  func(*big.Int) (ocsp.Response, int)
		verdict Verdict
		detail  string
	}{
		{"good", s.URL, root, good, Trusted, ""},
		{"good, said by a delegate", s.URL, delegate, good, Trusted, ""},
		{"revoked", s.URL, root, fixed(ocsp.Revoked, today, tomorrow), Revoked, "its key was compromised"},
		{"unknown to the responder", s.URL, root, fixed(ocsp.Unknown, today, tomorrow), RevocationUnknown, "does not know"},
		{"an old answer", s.URL, root, fixed(ocsp.Good, today.Add(-48*time.Hour), today.Add(-24*time.Hour)), RevocationOffline, "out of date"},
		{"an answer of the future", s.URL, root, fixed(ocsp.Good, tomorrow, tomorrow.Add(time.Hour)), RevocationOffline, "future"},
		{"an answer of somebody else", s.URL, stranger, good, RevocationOffline, "no answer"},
		{"an error", s.URL, root, func(*big.Int) (ocsp.Response, int) { return ocsp.Response{}, 500 }, RevocationOffline, "500"},
		{"a redirection", s.URL, root, func(*big.Int) (ocsp.Response, int) { return ocsp.Response{}, 302 }, RevocationOffline, "302"},
		{"nobody there", "http://127.0.0.1:1/", root, good, RevocationOffline, "refused"},
		{"not a URL of the web", "file:///etc/passwd", root, good, RevocationOffline, "not a URL of the web"},
		{"no responder named", "", root, good, RevocationUnknown, "names no OCSP responder"},
	} {
		s.issuer, s.signer, s.answer = root, c.signer, c.answer
		var option pki.Option = at(c.url)
		if c.url == "" {
			option = pki.Template(func(*x509.Certificate) {})
		}
		bob := pki.Issue(t, root, "bob", option)
		v := &Verifier{Roots: NewRoots(chain(root)), OCSP: NewOCSP()}
		waited := 0
		r := v.Verify(chain(bob), time.Now(), func(f func()) bool { waited++; f(); return true })
		if r.Verdict != c.verdict || !strings.Contains(r.Detail, c.detail) {
			t.Errorf("%s: %s (%s), want %s", c.name, r.Verdict, r.Detail, c.verdict)
		}
		if want := min(len(c.url), 1); waited != want {
			t.Errorf("%s: %d waits, want %d", c.name, waited, want)
		}
	}
}

// A connection that ends while it waits gets a verdict that nobody reads, and
// what was asked for it is there for the next.
func TestOCSPLeftEarly(t *testing.T) {
	s := newResponder(t)
	root := pki.Root(t, "Root")
	start, proceed := time.Now(), make(chan struct{})
	s.issuer, s.signer = root, root
	s.answer = func(*big.Int) (ocsp.Response, int) {
		<-proceed
		return ocsp.Response{Status: ocsp.Good, ThisUpdate: start, NextUpdate: start.Add(time.Hour)}, 200
	}
	bob := pki.Issue(t, root, "bob", pki.Template(func(c *x509.Certificate) { c.OCSPServer = []string{s.URL} }))
	v := &Verifier{Roots: NewRoots(chain(root)), OCSP: NewOCSP()}
	var asking sync.WaitGroup
	left := func(f func()) bool { asking.Go(f); return false }
	for range 2 { // the one that asks, and one that waits for the same answer
		if r := v.Verify(chain(bob), time.Now(), left); r.Verdict != RevocationUnknown {
			t.Errorf("%s (%s)", r.Verdict, r.Detail)
		}
	}
	close(proceed)
	asking.Wait()
	if r := v.Verify(chain(bob), time.Now(), left); r.Verdict != Trusted || s.asked.Load() != 1 {
		t.Errorf("%s (%s), asked %d times", r.Verdict, r.Detail, s.asked.Load())
	}
}

// One question is enough for all who want to know at the same time, and for a
// while after.
func TestOCSPMemory(t *testing.T) {
	s := newResponder(t)
	root := pki.Root(t, "Root")
	bob := pki.Issue(t, root, "bob", pki.Template(func(c *x509.Certificate) { c.OCSPServer = []string{s.URL} }))
	start := time.Now()
	s.issuer, s.signer = root, root
	s.answer = func(*big.Int) (ocsp.Response, int) {
		return ocsp.Response{Status: ocsp.Good, ThisUpdate: start, NextUpdate: start.Add(100 * time.Hour)}, 200
	}
	v := &Verifier{Roots: NewRoots(chain(root)), OCSP: NewOCSP()}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if r := v.Verify(chain(bob), start, now); r.Verdict != Trusted {
				t.Error(r.Verdict, r.Detail)
			}
		})
	}
	wg.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times at once", n)
	}
	s.answer = func(*big.Int) (ocsp.Response, int) { return ocsp.Response{}, 500 }
	for _, c := range []struct {
		after time.Duration
		asked int64
		want  Verdict
	}{
		{59 * time.Minute, 1, Trusted},
		{61 * time.Minute, 2, RevocationOffline},                // asked again after an hour
		{61*time.Minute + 20*time.Second, 2, RevocationOffline}, // not so soon after a failure
		{62 * time.Minute, 3, RevocationOffline},
	} {
		if r := v.Verify(chain(bob), start.Add(c.after), now); r.Verdict != c.want {
			t.Errorf("after %v: %s %s", c.after, r.Verdict, r.Detail)
		}
		if n := s.asked.Load(); n != c.asked {
			t.Errorf("after %v: asked %d times, want %d", c.after, n, c.asked)
		}
	}
}

// A list says more than a responder that cannot be reached, and OCSP helps
// where there is no list.
func TestCRLAndOCSP(t *testing.T) {
	s := newResponder(t)
	root := pki.Root(t, "Root")
	bob := pki.Issue(t, root, "bob", pki.Template(func(c *x509.Certificate) { c.OCSPServer = []string{s.URL} }))
	v := &Verifier{Roots: NewRoots(chain(root)), OCSP: NewOCSP(), CRLs: lists(t, root.CRL(t, time.Now(), time.Now().Add(time.Hour)))}
	if r := v.Verify(chain(bob), time.Now(), now); r.Verdict != Trusted || s.asked.Load() != 0 {
		t.Errorf("%s %s, asked %d times", r.Verdict, r.Detail, s.asked.Load())
	}
}

// What is remembered is bounded.
func TestOCSPForgets(t *testing.T) {
	o := NewOCSP()
	start := time.Now()
	for i := range ocspEntries + 100 {
		o.mu.Lock()
		o.forget(start)
		o.known[[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}] = &answer{until: start.Add(time.Hour)}
		o.mu.Unlock()
	}
	if n := len(o.known); n > ocspEntries {
		t.Errorf("%d answers", n)
	}
}
