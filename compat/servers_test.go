package compat

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/testkit"
)

// The servers that every case runs on.
const (
	reference = "net/http" // net/http on a port of its own
	served    = "Serve"    // a httpsys.Server
	listened  = "Listen"   // net/http on the Listener of a httpsys.Server
)

var servers = []string{reference, served, listened}

// anywhere is the prefix of the programs: all hosts, all paths, a free port.
const anywhere = "http://*:0/"

// start starts a server, which ends with the test, and returns its address.
func start(t *testing.T, server string, d *testkit.Daemon, h http.Handler, book *log.Logger) (addr string) {
	t.Helper()
	switch server {
	case reference:
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		serveListener(t, ln, h, book)
		return ln.Addr().String()
	case served:
		srv := &httpsys.Server{Prefixes: []string{anywhere}, Socket: d.Socket, Handler: h, ErrorLog: book}
		ctx, stop := context.WithCancel(context.Background())
		serving(ctx, t, srv, stop)
		u, err := url.Parse(srv.URLs()[0])
		if err != nil {
			t.Fatal(err)
		}
		return "127.0.0.1:" + u.Port()
	case listened:
		srv := &httpsys.Server{Prefixes: []string{anywhere}, Socket: d.Socket, ErrorLog: book}
		ln, err := srv.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { srv.Close() })
		_, port, err := net.SplitHostPort(ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		serveListener(t, ln, h, book)
		return "127.0.0.1:" + port
	}
	t.Fatalf("there is no server %s", server)
	return ""
}

func serveListener(t *testing.T, ln net.Listener, h http.Handler, book *log.Logger) {
	srv := &http.Server{Handler: h, ErrorLog: book}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// serving runs srv, which stop ends, until the end of the test. It returns when the prefixes are
// registered.
func serving(ctx context.Context, t *testing.T, srv *httpsys.Server, stop func()) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, httpsys.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	select {
	case <-srv.Registered():
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
}
