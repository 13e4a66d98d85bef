package daemon_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"testing"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/pki"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A connection on a tls port is announced as any other, with what TLS has agreed
// on and whose certificate the client was shown, before what comes of it.
func TestRawTLSConnection(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	root := pki.Root(t, "Root")
	app := d.App(testkit.AppOptions{Credit: 2, Connections: channel.ConnectionsTLS})
	reg := app.RegisterWith(channel.RegisterParams{URL: "tls://+:0/", Certificate: certificate(t, root, "program")})
	bound := config.SSLCert{HostnamePort: fmt.Sprintf("bound.example:%d", reg.Port)}
	cert, key := pki.Issue(t, root, "bound", pki.Names("bound.example")).Files(t, testkit.Dir(t), "bound")
	bound.Certs = []config.CertFiles{{Cert: cert, Key: key}}
	d.Admin(control.AddSSLCert, bound)
	for name, flags := range map[string]channel.ConnectionFlags{"a.example": channel.ConnectionProgram, "bound.example": 0} {
		c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", reg.Port),
			&tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2", "postgresql"}, MaxVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		facts := app.Loop().Connected()
		r := app.Loop().Request()
		state := c.ConnectionState()
		if facts.Number != r.Head.Connection || facts.Version != tls.VersionTLS12 || facts.Suite != state.CipherSuite ||
			facts.ServerName != name || facts.Protocol != "" || facts.Flags != flags {
			t.Errorf("%s: %+v before a request of connection %d", name, facts, r.Head.Connection)
		}
		r.Send(asking(testkit.RawOpaque(r.Stream)))
		r.WantRelayed()
		c.Close()
		r.WantBody("", true)
		r.Cancel(1)
		if n := app.Loop().Disconnected(); n != facts.Number {
			t.Errorf("the end of %d, want %d", n, facts.Number)
		}
	}
}

// On a tls port the daemon ends TLS, routes by the name of the handshake, and
// relays what is within, also if the application asks for the socket.
func TestRawTLS(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	root := pki.Root(t, "Root")
	app := d.App(testkit.AppOptions{Credit: 1})
	reg := app.RegisterWith(channel.RegisterParams{URL: "tls://a:0/", Certificate: certificate(t, root, "a")})
	other := app.RegisterWith(channel.RegisterParams{URL: fmt.Sprintf("tls://b:%d/", reg.Port), Certificate: certificate(t, root, "b")})
	for name, want := range map[string]uint32{"a": reg.ID, "b": other.ID} {
		c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", reg.Port),
			&tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		r := app.Request()
		if got := r.Text(); got != "  0.0 authority="+name+" length=0 tls raw end" || r.Head.Registration != want {
			t.Errorf("got %q for registration %d", got, r.Head.Registration)
		}
		if p := c.ConnectionState(); p.NegotiatedProtocol != "" || p.PeerCertificates[0].Subject.CommonName != name {
			t.Errorf("the protocol is %q, the certificate that of %s", p.NegotiatedProtocol, p.PeerCertificates[0].Subject)
		}
		r.Send(asking(testkit.RawOpaque(r.Stream)))
		r.WantRelayed()
		io.WriteString(c, "hello")
		r.WantBody("hello", false)
		r.Data("there")
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "there" {
			t.Errorf("read %q, %v", b, err)
		}
		r.Cancel(1)
		if n, err := c.Read(b); err != io.EOF {
			t.Errorf("read %d bytes, %v", n, err)
		}
		c.Close()
	}
}
