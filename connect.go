package httpsys

import (
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A request over HTTP/2 that asks for a tunnel is answered in the way of net/http, without Hijack:
// the handler says 2xx to a CONNECT, or 101 to an extended CONNECT, which it sees as a GET with Upgrade;
// then r.Body is what the client sends, and Write is what it gets, both at once. The tunnel
// ends when the handler returns.

// asksTunnel says whether x is such a request.
func (x *exchange) asksTunnel() bool {
	return x.version > 11 && (x.method == channel.MethodConnect || x.flags&channel.RequestUpgrade != 0)
}

// A tunnelBody is the Body of a request that asks for a tunnel. It has nothing before the handler has
// accepted, and waits for that.
type tunnelBody struct {
	w       *response
	settled chan struct{} // closed when it is known whether there is a tunnel
	once    sync.Once
	closed  bool     // by the handler; the mutex of w guards it
	conn    net.Conn // nil: there is none; likewise
}

func newTunnelBody(w *response) *tunnelBody {
	return &tunnelBody{w: w, settled: make(chan struct{})}
}

func (b *tunnelBody) settle() { b.once.Do(func() { close(b.settled) }) }

// accepts says whether the head that WriteHeader has fixed opens the tunnel; mu is held.
func (w *response) accepts() bool {
	switch {
	case w.tunnel == nil || !w.wroteHeader:
		return false
	case w.x.method == channel.MethodConnect:
		return w.status/100 == 2
	}
	return w.status == http.StatusSwitchingProtocols
}

// open sends the head and opens the tunnel, unless it is open; mu is held.
func (w *response) open() (net.Conn, error) {
	b := w.tunnel
	if b.conn != nil || w.broken != nil {
		return b.conn, w.broken
	}
	conn, err := w.goOpaque()
	if err != nil {
		w.broken = err
		b.settle()
		return nil, err
	}
	b.conn = conn
	w.release()
	b.settle()
	return conn, nil
}

// throughTunnel returns the tunnel to which bytes are to be written, nil if they are a body.
func (w *response) throughTunnel() (net.Conn, error) {
	if w.tunnel == nil {
		return nil, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked || w.finished {
		return nil, nil
	}
	if !w.wroteHeader && w.x.method == channel.MethodConnect {
		w.writeHeader(http.StatusOK)
	}
	if !w.accepts() {
		return nil, nil
	}
	return w.open()
}

func (b *tunnelBody) Read(p []byte) (int, error) {
	w := b.w
	w.mu.Lock()
	if !w.hijacked && !w.finished && w.accepts() {
		w.open()
	}
	w.mu.Unlock()
	select {
	case <-b.settled:
	case <-w.x.ctx.Done():
	}
	w.mu.Lock()
	conn, closed := b.conn, b.closed
	w.mu.Unlock()
	switch {
	case closed:
		return 0, http.ErrBodyReadAfterClose
	case conn == nil:
		return 0, io.EOF
	}
	return conn.Read(p)
}

// Close ends reading. The tunnel ends with the handler.
func (b *tunnelBody) Close() error {
	b.w.mu.Lock()
	b.closed = true
	b.w.mu.Unlock()
	return nil
}

// end closes the tunnel when the handler has returned, or cuts it; it reports false if there is none.
// mu is held.
func (b *tunnelBody) end(orderly bool) bool {
	b.settle()
	switch {
	case b.conn == nil:
		return false
	case orderly:
		b.conn.Close()
	default:
		b.w.x.closeBody()
		b.w.x.stopDeadlines()
		b.w.x.cancel(cancelAbort)
		b.w.x.l.flush()
	}
	return true
}
