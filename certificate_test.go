package httpsys

import (
	"crypto"
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// A program's certificates go with its https prefixes, and only with those.
func TestCertificates(t *testing.T) {
	root := pki.Root(t, "Root")
	ca := pki.Issue(t, root, "CA", pki.CA)
	one := pki.Issue(t, ca, "one").TLS()
	two := pki.Issue(t, root, "two", pki.Key(pki.RSA(t, 2048))).TLS()
	session, _ := serve(t, fakedaemon.Config{}, &Server{
		Prefixes: []string{"https://+:8443/", "http://+:8080/"}, Certificates: []tls.Certificate{one, two}})
	if n := len(session.Registered); n != 2 {
		t.Fatalf("%d registrations", n)
	}
	if session.Registered[1].Certificate != nil {
		t.Error("a certificate for http")
	}
	got := session.Registered[0].Certificate
	if got == nil || len(got.PEM) != 2 {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []tls.Certificate{one, two} {
		have, err := tls.X509KeyPair([]byte(got.PEM[i]), []byte(got.PEM[i]))
		if err != nil {
			t.Fatal(err)
		}
		if len(have.Certificate) != len(want.Certificate) || !have.Leaf.Equal(want.Leaf) {
			t.Errorf("certificate %d arrives as another one", i)
		}
	}
}

// A key that cannot leave its place, as in a hardware module.
type heldKey struct{ crypto.Signer }

func TestCertificateErrors(t *testing.T) {
	held := pki.Root(t, "Root").TLS()
	held.PrivateKey = heldKey{held.PrivateKey.(crypto.Signer)}
	err := (&Server{Prefixes: []string{"https://+:8443/"}, Certificates: []tls.Certificate{held}}).Serve(t.Context())
	if !errors.Is(err, &Error{Code: InvalidParameter}) || !strings.Contains(err.Error(), "cannot be passed to the daemon") {
		t.Error(err)
	}
	if err := ListenAndServeTLS("https://+:8443/", "/none.pem", "/none.key", nil); err == nil || !strings.Contains(err.Error(), "/none.pem") {
		t.Error(err)
	}
}
