package compat

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// A way is how a client comes to a program: what works on one has to work on
// all.
type way struct {
	name   string
	secure bool // TLS
	http2  bool
}

var ways = []way{
	{"HTTP1", false, false},
	{"TLS", true, false},
	{"h2c", false, true},
	{"HTTP2", true, true},
}

// proto is what a handler of a Server sees in Request.Proto.
func (w way) proto() string {
	if w.http2 {
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// eachWay runs a test on each way to each kind of server.
func eachWay(t *testing.T, f func(t *testing.T, server string, w way)) {
	for _, server := range []string{served, listened} {
		t.Run(server, func(t *testing.T) {
			for _, w := range ways {
				t.Run(w.name, func(t *testing.T) { f(t, server, w) })
			}
		})
	}
}

// base is the URL of the host on a way, without a path.
func (h *http2Host) base(w way) string {
	if w.secure {
		return "https://" + h.secure
	}
	return "http://" + h.plain
}

// A visitor is a client with one connection.
type visitor struct {
	*http.Client
	mu   sync.Mutex
	conn *net.TCPConn // the last that it has opened
}

func (h *http2Host) visitor(t *testing.T, w way) *visitor {
	v := &visitor{}
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: h.roots}, DisableCompression: true, Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err == nil {
				v.mu.Lock()
				v.conn = c.(*net.TCPConn)
				v.mu.Unlock()
			}
			return c, err
		},
	}
	tr.Protocols.SetHTTP1(!w.http2)
	tr.Protocols.SetHTTP2(w.http2 && w.secure)
	tr.Protocols.SetUnencryptedHTTP2(w.http2 && !w.secure)
	t.Cleanup(tr.CloseIdleConnections)
	v.Client = &http.Client{Transport: tr}
	return v
}

// The ways in which a visitor leaves.

func (v *visitor) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn.Close()
}

func (v *visitor) reset() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn.SetLinger(0)
	v.conn.Close()
}

// upgraded opens a WebSocket, and returns it without any framing.
func (h *http2Host) upgraded(t *testing.T, w way, path string) io.ReadWriteCloser {
	t.Helper()
	c, status := h.upgrade(t, w, path)
	if c == nil {
		t.Fatalf("no WebSocket, but status %d", status)
	}
	return c
}

// upgrade asks for a WebSocket, and returns it or the status of the refusal.
func (h *http2Host) upgrade(t *testing.T, w way, path string) (io.ReadWriteCloser, int) {
	t.Helper()
	if w.http2 {
		if h.tunnels == nil {
			h.tunnels = newHTTP2Client(t)
			h.tunnels.TLSClientConfig = &tls.Config{RootCAs: h.roots}
			h.tunnels.DialTLSContext = func(ctx context.Context, network, addr string, config *tls.Config) (c net.Conn, err error) {
				if addr == h.plain {
					c, err = (&net.Dialer{}).DialContext(ctx, network, addr)
				} else {
					c, err = (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
				}
				if err == nil {
					t.Cleanup(func() { c.Close() })
				}
				return c, err
			}
		}
		c, err := openTunnel(t.Context(), h.tunnels, h.base(w)+path, h.early...)
		if err != nil {
			t.Fatal(err)
		}
		if c.resp.StatusCode != http.StatusOK {
			c.resp.Body.Close()
			return nil, c.resp.StatusCode
		}
		return c, http.StatusOK
	}
	d, scheme := ws.Dialer{Timeout: patience, Protocols: []string{"echo"}}, "ws://"+h.plain
	if w.secure {
		d.TLSConfig, scheme = &tls.Config{RootCAs: h.roots}, "wss://"+h.secure
	}
	c, br, _, err := d.Dial(t.Context(), scheme+path)
	var refused ws.StatusError
	if errors.As(err, &refused) {
		return nil, int(refused)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	if br == nil {
		return c, http.StatusSwitchingProtocols
	}
	return rwConn{br, c}, http.StatusSwitchingProtocols
}

// rwConn is a connection with what was read ahead of it.
type rwConn struct {
	io.Reader
	net.Conn
}

func (c rwConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// await receives what comes soon.
func await[T any](t *testing.T, what string, from <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(3 * patience): // a browser takes its time
		t.Fatalf("waited in vain for %s", what)
	}
	return got
}
