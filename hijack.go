package httpsys

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Values of the CANCEL that ends a stream in opaque mode (docs/channel.md
// section 9).
const (
	cancelAbort = 0
	cancelClose = 1
)

var (
	errHijackBody = errors.New("httpsys: Hijack before the request body has arrived")
	errHijackHead = errors.New("httpsys: Hijack after the response has begun")
)

// Hijack takes the client's connection over. Before WriteHeader, the handler
// gets the connection as it is and writes whatever it wants. After
// WriteHeader(101), the daemon sends that response first.
//
// On HTTP/2 a request can be taken over that asks for a tunnel: a WebSocket, which
// the daemon shows as the GET with Upgrade that it is in HTTP/1.1 (RFC 8441), or a
// CONNECT after WriteHeader with 2xx. Others are http.ErrNotSupported, as in net/http. A
// tunnel needs no Hijack there: after WriteHeader (2xx, or 101 to the GET) and Flush, Request.Body and Write
// are its two directions, and it ends when the handler returns.
//
// On a plain HTTP/1 connection the client's own socket is handed over if the
// daemon can: then it is a *net.TCPConn, or has one within, and lives on when the
// Server or the daemon ends. Else, as with TLS, bytes go through the daemon.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.x
	switch {
	case w.hijacked:
		return nil, nil, http.ErrHijacked
	case w.finished:
		return nil, nil, errFinished
	case x.version > 11 && x.flags&channel.RequestUpgrade == 0 &&
		(x.method != channel.MethodConnect || w.status/100 != 2):
		return nil, nil, http.ErrNotSupported
	case w.tunnel != nil && w.tunnel.conn != nil: // it is open already, by Write or Flush
		w.hijacked = true
		return w.tunnel.conn, bufio.NewReadWriter(bufio.NewReader(w.tunnel.conn), bufio.NewWriter(w.tunnel.conn)), nil
	case w.sentHead:
		return nil, nil, errHijackHead
	case w.refused:
		return nil, nil, errNotUpgraded
	}
	conn, err := w.goOpaque()
	if err != nil {
		return nil, nil, err
	}
	w.hijacked = true
	if w.tunnel != nil {
		w.tunnel.settle()
	}
	w.release()
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// goOpaque turns the stream to opaque mode with the head that WriteHeader has
// fixed, if it was called; mu is held.
func (w *response) goOpaque() (net.Conn, error) {
	x := w.x
	if err := x.reopen(); err != nil {
		return nil, err
	}
	// The daemon sends the head of an upgrade or of a tunnel. Any other head is
	// what net/http would have put before the bytes of the handler.
	status, text := 0, []byte(nil)
	if w.wroteHeader {
		switch {
		case w.status == http.StatusSwitchingProtocols && x.flags&channel.RequestUpgrade != 0,
			w.status/100 == 2 && x.method == channel.MethodConnect:
			status = w.status
		default:
			text = w.buf.head.appendText(nil, w.status)
		}
	}
	l := x.l
	flags, answer := channel.FlagOpaque, (<-chan handedOver)(nil)
	if l.sess.socket {
		flags, answer = flags|channel.FlagSocket, x.ask()
	}
	if err := x.lockRoom(); err != nil {
		return nil, err
	}
	flags |= x.credit()
	if status != 0 {
		l.out.buf = appendResponse(l.out.buf, flags, x.id, status, &w.buf.head, nil)
	} else {
		l.out.buf = channel.AppendHeader(l.out.buf, channel.Header{Length: channel.ResponseFixed, Stream: x.id,
			Type: channel.Response, Flags: flags})
		l.out.buf = channel.AppendResponseFixed(l.out.buf, 0, 0)
	}
	w.sentHead, x.headSent = true, true
	l.mu.Unlock()
	l.e.sink.detach(x)
	l.flush()
	conn, err := x.tunnel(answer, x.local, x.req.RemoteAddr)
	if err == nil && len(text) > 0 {
		_, err = conn.Write(text)
	}
	return conn, err
}

// appendText writes the head as HTTP/1.1 text.
func (b *headBlock) appendText(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\n"...)
	fields := channel.Fields{Block: b.fields, Left: b.n}
	for {
		name, value, ok, err := fields.Next()
		if !ok || err != nil {
			return append(dst, "\r\n"...)
		}
		dst = append(dst, name...)
		dst = append(dst, ": "...)
		dst = append(dst, value...)
		dst = append(dst, "\r\n"...)
	}
}

// reopen makes the request direction a stream of bytes without an end yet.
func (s *stream) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped != nil:
		return s.stopped
	case !s.inEnd || s.inErr != nil:
		return errHijackBody
	}
	s.inEnd, s.closedIn = false, false
	s.readLimit.expired, s.writeLimit.expired = false, false
	s.late.Store(false)
	return nil
}

// writeOpaque sends bytes in opaque mode, at once.
func (s *stream) writeOpaque(p []byte) (int, error) {
	l := s.l
	sent := 0
	for sent < len(p) {
		n, err := s.reserve(1, min(len(p)-sent, maxPiece))
		if err != nil {
			return sent, err
		}
		if err := s.lockRoom(); err != nil {
			return sent, err
		}
		l.out.buf = channel.AppendFrame(l.out.buf, channel.Data, 0, s.id, 0, p[sent:sent+n])
		l.mu.Unlock()
		sent += n
	}
	l.flush()
	return sent, nil
}

// An opaqueConn is a client's connection that a handler has taken over.
type opaqueConn struct {
	s             *stream
	local, remote net.Addr

	mu        sync.Mutex // not held while waiting
	closed    bool
	halfClose bool

	writing sync.Mutex // so that concurrent writes do not mix
}

// tunnel makes the connection of a stream that has turned to opaque mode;
// answer is nil if it did not ask for the socket.
func (s *stream) tunnel(answer <-chan handedOver, local, remote string) (tunnel, error) {
	if answer == nil {
		s.detach()
		return &opaqueConn{s: s, local: parseAddr(local), remote: parseAddr(remote)}, nil
	}
	return s.takeOver(answer, parseAddr(local), parseAddr(remote))
}

func (c *opaqueConn) Read(p []byte) (int, error) {
	n, err := c.s.read(p)
	if err != nil && err != io.EOF {
		err = c.opError("read", err)
	}
	if n > 0 && err == io.EOF {
		err = nil // a net.Conn says so with the next call
	}
	return n, err
}

func (c *opaqueConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	closed, half := c.closed, c.halfClose
	c.mu.Unlock()
	switch {
	case closed:
		return 0, c.opError("write", net.ErrClosed)
	case half:
		return 0, c.opError("write", syscall.EPIPE)
	}
	n, err := c.s.writeOpaque(p)
	if err != nil {
		err = c.opError("write", err)
	}
	return n, err
}

// CloseWrite ends the sending direction, as net.TCPConn.CloseWrite does.
func (c *opaqueConn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	done := c.closed || c.halfClose
	c.halfClose = true
	c.mu.Unlock()
	if done {
		return c.opError("close", net.ErrClosed)
	}
	if err := c.s.lockRoom(); err != nil {
		return c.opError("close", err)
	}
	l := c.s.l
	l.out.frame(channel.Data, channel.FlagEnd, c.s.id, 0)
	l.mu.Unlock()
	l.flush()
	return nil
}

// Close delivers what was written and closes the connection.
func (c *opaqueConn) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return c.opError("close", net.ErrClosed)
	}
	s := c.s
	s.mu.Lock()
	if s.stopped == nil {
		s.stopped = net.ErrClosed
	}
	s.mu.Unlock()
	s.closeBody()
	s.stopDeadlines()
	s.cancel(cancelClose)
	s.l.flush()
	return nil
}

func (c *opaqueConn) LocalAddr() net.Addr  { return c.local }
func (c *opaqueConn) RemoteAddr() net.Addr { return c.remote }

func (c *opaqueConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *opaqueConn) SetReadDeadline(t time.Time) error {
	return c.whileOpen(func() { c.s.setReadDeadline(t) })
}

func (c *opaqueConn) SetWriteDeadline(t time.Time) error {
	return c.whileOpen(func() { c.s.setWriteDeadline(t) })
}

func (c *opaqueConn) whileOpen(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	f()
	return nil
}

// opError dresses an error as those of package net are.
func (c *opaqueConn) opError(op string, err error) error {
	switch err {
	case errBodyClosed, errFinished:
		err = net.ErrClosed
	case errClientGone:
		err = syscall.ECONNRESET
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
