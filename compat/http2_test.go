//lint:file-ignore SA1019 the Transport of x/net/http2 can open extended CONNECT

package compat

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"testing"

	"golang.org/x/net/http2"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// A http2Host is a program that serves a handler on a plain and on a TLS port.
type http2Host struct {
	d             *testkit.Daemon
	plain, secure string // localhost:port
	roots         *x509.CertPool
	ca            []byte           // the same, for others
	tunnels       *http2.Transport // that of upgraded
	early         []byte           // what it sends with the request
}

func serveHTTP2(t *testing.T, h http.Handler) *http2Host {
	t.Helper()
	return serveAs(t, served, h, func(*httpsys.Server) {})
}

// serveAs starts a program of either kind; change is for what it wants else.
func serveAs(t *testing.T, server string, h http.Handler, change func(*httpsys.Server)) *http2Host {
	t.Helper()
	host, srv := prepare(t)
	srv.Handler = h
	change(srv)
	if server == listened {
		ln, err := srv.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { srv.Close() })
		serveListener(t, ln, h, srv.ErrorLog)
	} else {
		serving(context.Background(), t, srv, func() { srv.Close() })
	}
	host.at(t, srv.URLs())
	return host
}

// prepare makes a host, and a Server without a handler.
func prepare(t *testing.T) (*http2Host, *httpsys.Server) {
	t.Helper()
	root := pki.Root(t, "root", pki.CA)
	cert := pki.Issue(t, root, "localhost", pki.Names("localhost"))
	host := &http2Host{d: testkit.Start(t, testkit.Options{Loops: 2}), roots: pki.Pool(root), ca: pki.PEM(root.Certificate)}
	return host, &httpsys.Server{
		Prefixes: []string{"http://localhost:0/", "https://localhost:0/"}, Socket: host.d.Socket, Certificates: []tls.Certificate{cert.TLS()},
	}
}

// openQueue makes a program that pulls its requests.
func openQueue(t *testing.T) (*http2Host, *httpsys.Queue) {
	t.Helper()
	host, srv := prepare(t)
	q, err := srv.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	host.at(t, q.URLs())
	return host, q
}

// at says where it is.
func (h *http2Host) at(t *testing.T, urls []string) {
	t.Helper()
	for i, to := range []*string{&h.plain, &h.secure} {
		u, err := url.Parse(urls[i])
		if err != nil {
			t.Fatal(err)
		}
		*to = u.Host
	}
}

// split returns host and port of an address.
func split(t *testing.T, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
