package acme_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/certs/acme"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/pebble"
)

// freePorts are ports that nobody uses.
func freePorts(t *testing.T, n int) (ports []uint16) {
	for range n {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, uint16(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

// certificateOf is what clients of a name are shown; nil if nothing.
func certificateOf(port uint16, name string) *x509.Certificate {
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// The whole of it: a name is bound, an authority checks it, clients get the
// certificate, and a new one before it ends. The two ways of checking are tried
// apart: the other port is nobody's.
func TestDaemon(t *testing.T) {
	for _, test := range []struct {
		name       string
		http, tls  bool
		registered bool // programs hold the ports, and answer everything
	}{
		{"over HTTP, no program on the port", true, false, false},
		{"over HTTP, a program has the port", true, false, true},
		{"over TLS", false, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			ports := freePorts(t, 4)
			plain, secure := ports[0], ports[1]
			authority := pebble.Options{HTTPPort: int(ports[2]), TLSPort: int(ports[3]), Validity: 15 * time.Second}
			if test.http {
				authority.HTTPPort = int(plain)
			}
			if test.tls {
				authority.TLSPort = int(secure)
			}
			d := testkit.Start(t, testkit.Options{ACME: acme.Options{HTTPPort: plain, TLSPort: secure, Check: time.Second}})
			server := pebble.Start(t, authority)
			if test.registered {
				a := d.App(testkit.AppOptions{Program: "a"})
				a.Register(fmt.Sprintf("http://+:%d/", plain))
				a.Register(fmt.Sprintf("https://www.example.com:%d/", secure))
			}
			d.Admin(control.AddSSLCert, config.SSLCert{
				HostnamePort: fmt.Sprintf("www.example.com:%d", secure),
				ACME:         &config.ACME{Email: "a@example.com", Directory: server.Directory, Root: server.Root},
			})
			if !test.registered { // so that there is something to connect to
				d.App(testkit.AppOptions{}).Register(fmt.Sprintf("https://+:%d/", secure))
			}
			var first, next *x509.Certificate
			eventually(t, d, "a certificate", func() bool { first = certificateOf(secure, "www.example.com"); return first != nil })
			if first.VerifyHostname("www.example.com") != nil {
				t.Errorf("a certificate for %v", first.DNSNames)
			}
			if !test.registered {
				// Also a new one before it ends, for which the port opens again.
				eventually(t, d, "a new one before it ends", func() bool {
					if next = certificateOf(secure, "www.example.com"); next == nil {
						t.Fatal("a moment without a certificate")
					}
					return !next.Equal(first)
				})
				d.Wait("the port of the challenge is given back", func(st *control.State) bool {
					return len(st.Ports) == 1
				})
			}
			d.Admin(control.DeleteSSLCert, control.SSLCertKey{HostnamePort: fmt.Sprintf("www.example.com:%d", secure)})
			if certificateOf(secure, "www.example.com") != nil {
				t.Error("shown after its binding was deleted")
			}
			info, err := os.Stat(d.Data + "/acme")
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("the folder with the keys: %v, %v", info.Mode(), err)
			}
		})
	}
}

// eventually waits for what takes an authority some seconds.
func eventually(t *testing.T, d *testkit.Daemon, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// What looks like a question of an authority and is none goes to the program.
func TestDaemonStrangers(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	a := d.App(testkit.AppOptions{Credit: 1})
	c := d.Dial(a.Register("http://+:0/"))
	c.Send("GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
	a.Loop().Request().Respond(200, nil, "the program's")
	if got := c.Response(); got.Body != "the program's" {
		t.Errorf("%+v", got)
	}
}
