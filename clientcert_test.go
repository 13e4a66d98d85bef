package httpsys

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
	"github.com/httpsys/httpsys/internal/testkit/pki"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// The constants are the daemon's.
func TestVerdicts(t *testing.T) {
	for v := Verdict(0); int(v) < len(verdictNames); v++ {
		if want := clientcert.Verdict(v).String(); v.String() != want {
			t.Errorf("%d is %q here and %q there", uint8(v), v, want)
		}
	}
	if next := Verdict(len(verdictNames)); clientcert.Verdict(next).String() != "unknown" || next.String() != fmt.Sprintf("verdict %d", next) {
		t.Errorf("%v: the daemon knows verdicts that are not here", next)
	}
}

// trustedFacts are those of a client with a certificate below an intermediate.
func trustedFacts(t *testing.T) (*channel.ConnectionFacts, *pki.Cert, *pki.Cert, *pki.Cert) {
	root := pki.Root(t, "Root")
	ca := pki.Issue(t, root, "CA", pki.CA)
	leaf := pki.Issue(t, ca, "client")
	return &channel.ConnectionFacts{
		Version: tls.VersionTLS13, Suite: tls.TLS_AES_128_GCM_SHA256, Group: uint16(tls.X25519),
		Flags: channel.ConnectionResumed | channel.ConnectionAsked, Verdict: uint8(CertTrusted), VerdictName: "trusted",
		ServerName: "www.example.org", Protocol: "h2",
		Certificates: [][]byte{leaf.Raw, ca.Raw, root.Raw}, Presented: 2, Chains: [][]byte{{0, 1, 2}},
	}, leaf, ca, root
}

// checkTrusted expects what trustedFacts say.
func checkTrusted(s *tls.ConnectionState, leaf, ca, root *pki.Cert) error {
	switch {
	case s == nil:
		return errors.New("no TLS")
	case !s.HandshakeComplete, s.Version != tls.VersionTLS13, s.CipherSuite != tls.TLS_AES_128_GCM_SHA256,
		s.CurveID != tls.X25519, s.ServerName != "www.example.org", s.NegotiatedProtocol != "h2", !s.DidResume:
		return fmt.Errorf("%+v", s)
	case len(s.PeerCertificates) != 2, !s.PeerCertificates[0].Equal(leaf.Certificate), !s.PeerCertificates[1].Equal(ca.Certificate):
		return fmt.Errorf("%d certificates", len(s.PeerCertificates))
	case len(s.VerifiedChains) != 1, len(s.VerifiedChains[0]) != 3, s.VerifiedChains[0][0] != s.PeerCertificates[0],
		!s.VerifiedChains[0][2].Equal(root.Certificate):
		return fmt.Errorf("chains %v", s.VerifiedChains)
	}
	if _, err := s.ExportKeyingMaterial("x", nil, 1); err == nil {
		return errors.New("keying material of a connection that is not ours")
	}
	return nil
}

func TestClientCertificate(t *testing.T) {
	type answer struct {
		tls  *tls.ConnectionState
		cert *ClientCert
	}
	var mu sync.Mutex
	var got answer
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = answer{r.TLS, ClientCertificate(r.WithContext(context.WithValue(r.Context(), "a", "b")))}
	})
	do := func(r fakedaemon.Request) (*fakedaemon.Exchange, answer) {
		t.Helper()
		x := s.Do(r)
		if x.Status != 200 {
			t.Fatalf("status %d", x.Status)
		}
		mu.Lock()
		defer mu.Unlock()
		return x, got
	}
	facts, leaf, ca, root := trustedFacts(t)

	t.Run("a trusted certificate", func(t *testing.T) {
		x, first := do(fakedaemon.Request{Connection: 5, Flags: channel.RequestTLS, Facts: facts})
		if err := checkTrusted(first.tls, leaf, ca, root); err != nil {
			t.Error(err)
		}
		c := first.cert
		if c.Verdict != CertTrusted || c.Err() != nil || !c.Asked || c.Truncated || c.Certificate() != first.tls.PeerCertificates[0] {
			t.Errorf("%+v: %v", c, c.Err())
		}
		_, second := do(fakedaemon.Request{Connection: 5, Flags: channel.RequestTLS})
		if second.tls != first.tls || second.cert != first.cert {
			t.Error("the second request of the connection has other facts: they were parsed again")
		}
		_, other := do(fakedaemon.Request{Connection: 6, Flags: channel.RequestTLS})
		if other.tls == nil || !other.tls.HandshakeComplete || other.tls.Version != 0 || other.cert.Verdict != CertNotPresented {
			t.Errorf("of another connection: %+v, %v", other.tls, other.cert.Verdict)
		}
		x.Disconnect()
		// A number is never used again; that nothing is left of it shows here.
		_, gone := do(fakedaemon.Request{Connection: 5, Flags: channel.RequestTLS})
		if gone.tls.Version != 0 {
			t.Errorf("after the end of the connection: %+v", gone.tls)
		}
	})
	t.Run("verdicts", func(t *testing.T) {
		for v := Verdict(2); int(v) < len(verdictNames); v++ {
			_, code := clientcert.Verdict(v).Windows()
			_, got := do(fakedaemon.Request{Flags: channel.RequestTLS, Facts: &channel.ConnectionFacts{
				Version: tls.VersionTLS12, Flags: channel.ConnectionAsked, Verdict: uint8(v), Code: code, VerdictText: "it is not good",
				Certificates: [][]byte{leaf.Raw}, Presented: 1,
			}})
			err := got.cert.Err()
			var ce *CertificateError
			if got.cert.Verdict != v || !errors.As(err, &ce) || ce.Verdict != v || ce.Code != code ||
				!errors.Is(err, &CertificateError{Verdict: v}) || errors.Is(err, &CertificateError{Verdict: CertTrusted}) ||
				err.Error() != "client certificate: it is not good" || got.cert.Chains != nil || got.cert.Certificate() == nil {
				t.Errorf("%v: %+v, %v", v, got.cert, err)
			}
		}
	})
	t.Run("none", func(t *testing.T) {
		_, plain := do(fakedaemon.Request{})
		if plain.tls != nil || plain.cert.Verdict != CertNotPresented || plain.cert.Err() == nil || plain.cert.Certificate() != nil {
			t.Errorf("without TLS: %v, %+v", plain.tls, plain.cert)
		}
		stranger, _ := http.NewRequest("GET", "/", nil)
		if c := ClientCertificate(stranger); c.Verdict != CertNotPresented {
			t.Errorf("of a request from elsewhere: %+v", c)
		}
	})
	t.Run("one that nobody can read", func(t *testing.T) {
		_, got := do(fakedaemon.Request{Flags: channel.RequestTLS, Facts: &channel.ConnectionFacts{
			Version: tls.VersionTLS12, Certificates: [][]byte{[]byte("rubbish"), leaf.Raw}, Presented: 2, Chains: [][]byte{{1, 0}, {1}},
		}})
		if n := len(got.tls.PeerCertificates); n != 1 || len(got.tls.VerifiedChains) != 1 {
			t.Errorf("%d certificates, %d chains", n, len(got.tls.VerifiedChains))
		}
	})
}

// The pull API and listeners show the same.
func TestClientCertificateElsewhere(t *testing.T) {
	facts, leaf, ca, root := trustedFacts(t)
	t.Run("Receive", func(t *testing.T) {
		q, _ := openQueue(t, fakedaemon.Config{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			q.session.Do(fakedaemon.Request{Flags: channel.RequestTLS, Facts: facts})
		}()
		in, err := q.Receive(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if err := checkTrusted(in.Request.TLS, leaf, ca, root); err != nil {
			t.Error(err)
		}
		if c := ClientCertificate(in.Request); c.Verdict != CertTrusted {
			t.Errorf("%+v", c)
		}
		in.Close()
		<-done
	})
	t.Run("Listen", func(t *testing.T) {
		ln, s := listenAt(t, fakedaemon.Config{})
		errs := make(chan error, 1)
		var book logBook
		server := &http.Server{ErrorLog: book.logger(), ConnContext: ConnContext, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := checkTrusted(r.TLS, leaf, ca, root)
			if v := ClientCertificate(r).Verdict; v != CertTrusted {
				err = errors.Join(err, fmt.Errorf("the verdict is %v", v))
			}
			errs <- err
		})}
		done := make(chan struct{})
		go func() { defer close(done); server.Serve(ln) }()
		defer func() { server.Close(); <-done }()
		x := s.Start(fakedaemon.Request{Flags: channel.RequestTLS, Facts: facts})
		if err := <-errs; err != nil {
			t.Error(err)
		}
		x.Wait()
		if book.String() != "" {
			t.Error(&book)
		}
	})
	t.Run("a listener's connection ends with the client", func(t *testing.T) {
		for _, facts := range []*channel.ConnectionFacts{facts, {}} {
			ln, s := listenAt(t, fakedaemon.Config{})
			x, c := accepted(t, ln, s, fakedaemon.Request{Facts: facts})
			buf := make([]byte, 1000)
			if _, err := c.Read(buf); err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			x.Wait()
			ended := make(chan error)
			go func() { _, err := c.Read(buf); ended <- err }() // waits for the next request
			x.Disconnect()
			if err := <-ended; err == nil {
				t.Error("read something")
			}
			c.Close()
		}
	})
}
