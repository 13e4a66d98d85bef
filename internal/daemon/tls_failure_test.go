package daemon_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"testing"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
)

// Handshakes are counted by how they end, and the log says why, but not of clients
// that are merely gone.
func TestHandshakesCounted(t *testing.T) {
	s := newSite(t, testkit.Options{Loops: 1}, config.SSLCert{})
	want := map[string]uint64{}
	check := func(what, kind string, line ...string) {
		t.Helper()
		if kind != "" {
			want[kind]++
		}
		var got map[string]uint64
		s.d.Wait(what, func(st *control.State) bool {
			got = maps.Clone(st.TLS.Failed)
			maps.DeleteFunc(got, func(_ string, n uint64) bool { return n == 0 })
			return maps.Equal(got, want)
		})
		if len(line) > 0 && !s.d.Log.Has(append([]string{"a TLS handshake failed"}, line...)...) {
			t.Errorf("%s: the log has no line with %q:\n%s", what, line, s.d.Log.String())
		}
	}
	failing := func(change func(*tls.Config)) {
		t.Helper()
		conf := s.config()
		change(conf)
		if c, err := s.dial(conf); err == nil {
			t.Error("a handshake succeeded")
			c.Close()
		}
	}

	resuming := s.config()
	resuming.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 3 {
		c, err := s.dial(resuming)
		if err == nil {
			err = s.ask(c)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if st := s.d.State().TLS; st.Handshakes != 3 || st.Resumed != 2 {
		t.Errorf("%d handshakes, %d resumed; want 3 and 2", st.Handshakes, st.Resumed)
	}
	check("nothing has failed", "")

	failing(func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = "nobody.example", true })
	check("a name that nobody has bound", "no_certificate", "kind=no_certificate", `nothing is bound for \"nobody.example\"`, "client=127.0.0.1:", fmt.Sprintf("port=%s", s.addr[len("127.0.0.1:"):]))
	failing(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 })
	check("an old version", "not_acceptable")
	failing(func(c *tls.Config) { c.NextProtos = []string{"gopher"} })
	check("another protocol", "not_acceptable")
	failing(func(c *tls.Config) { c.RootCAs = nil })
	check("a client that does not trust the certificate", "refused_by_client")
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n"} {
		c := s.raw()
		io.WriteString(c, text)
		io.Copy(io.Discard, c)
		check(text, "not_tls")
	}
	c := s.raw()
	c.Write(clientHello(t, s.config()))
	c.Read(make([]byte, 1)) // the daemon waits for the rest now
	c.Close()
	check("a client that leaves", "left")
	if s.d.Log.Has("kind=left") {
		t.Error("the log has clients that left")
	}
}

// A handshake that the client does not go on with, or never begins, is late.
func TestLateHandshakesCounted(t *testing.T) {
	s := newSite(t, testkit.Options{Loops: 1}, config.SSLCert{})
	value := int64(1)
	s.d.Admin(control.AddTimeout, control.NumberParams{Name: "headerwaittimeout", Value: &value})
	s.raw()
	c := s.raw()
	c.Write(clientHello(t, s.config()))
	s.d.Wait("two that are late", func(st *control.State) bool { return st.TLS.Failed["timeout"] == 2 })
}
