package httpsys

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

const (
	// textHead bounds the head of a response that is written as text.
	textHead = 64 << 10
	// textChunk is how much of a body of unknown length makes a chunk.
	textChunk = 8 << 10
)

var (
	errNoRequest   = errors.New("httpsys: a response without a request")
	errAfterEnd    = errors.New("httpsys: bytes behind the end of a response")
	errNotUpgraded = errors.New("httpsys: 101 without a request for it")
)

// A textConn is a connection of a listener. Its reading half makes HTTP/1.1
// text of requests, its writing half parses responses. Between the two
// stands one request at a time.
type textConn struct {
	l             *listener
	key           clientKey
	local, remote net.Addr
	since         time.Time // idle; the listener's

	mu       sync.Mutex
	wake     sync.Cond
	fresh    *exchange // assigned, not yet seen by Read
	cur      *exchange // assigned, not yet answered
	readAll  bool      // the text of cur was read to its end
	tunnel   tunnel
	hungUp   bool // no more requests
	closed   bool
	readEnd  time.Time
	writeEnd time.Time
	timer    *time.Timer
	readLate bool

	// Of the one who reads.
	reading sync.Mutex
	text    []byte // to be read before anything else
	buf     []byte // what text is made in
	source  *exchange
	left    int64 // body bytes of source not read yet; -1 unknown

	// Of the one who writes.
	writing sync.Mutex
	carry   []byte // text that is not complete enough to be taken
	parser  h1.ResponseParser
	resp    h1.Response
	body    h1.Body
	inBody  bool
	toEnd   bool // the body ends with the connection
}

func newTextConn(l *listener, x *exchange) *textConn {
	c := &textConn{l: l, key: clientKey{x.l.sess, x.connection}}
	c.wake.L = &c.mu
	cut := cutter{block: x.block[:x.text]}
	for range 3 {
		cut.bytes()
	}
	c.remote = parseAddr(cut.string())
	c.local = parseAddr(cut.string())
	c.assign(x)
	return c
}

// assign gives an idle connection its next request.
func (c *textConn) assign(x *exchange) {
	x.watch(c)
	c.mu.Lock()
	c.fresh, c.cur, c.readAll = x, x, false
	if !c.readEnd.IsZero() {
		x.setReadDeadline(c.readEnd)
	}
	if !c.writeEnd.IsZero() {
		x.setWriteDeadline(c.writeEnd)
	}
	c.wake.Broadcast()
	c.mu.Unlock()
}

// changed is called when the request of the connection was cancelled.
func (c *textConn) changed() {
	c.mu.Lock()
	c.wake.Broadcast()
	c.mu.Unlock()
}

// hangUp ends the connection at the next read.
func (c *textConn) hangUp() {
	c.mu.Lock()
	c.hungUp = true
	c.wake.Broadcast()
	c.mu.Unlock()
}

// CloseWrite ends the response whose body ends with the connection.
func (c *textConn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	x, tunnel := c.cur, c.tunnel
	c.mu.Unlock()
	if tunnel != nil {
		return tunnel.CloseWrite()
	}
	if x != nil && c.toEnd {
		if err := c.sendBody(x, nil, true); err != nil {
			return c.opError("close", err)
		}
		x.l.flush()
		c.endResponse(x, nil)
	}
	return nil
}

// Close ends the connection. A response that is not complete is cut off.
func (c *textConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	x, tunnel := c.cur, c.tunnel
	if c.timer != nil {
		c.timer.Stop()
	}
	c.wake.Broadcast()
	c.mu.Unlock()
	c.l.unpark(c)
	if tunnel != nil {
		return tunnel.Close()
	}
	if x == nil {
		return nil
	}
	// Whoever waits to write finds the connection closed.
	x.stop(net.ErrClosed)
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	x = c.cur
	c.cur = nil
	c.mu.Unlock()
	if x == nil {
		return nil // a writer has just finished
	}
	if c.toEnd && c.body.EOF() && !x.gone.Load() {
		x.endBody()
	} else {
		x.cancel(cancelAbort)
	}
	x.stopDeadlines()
	x.l.flush()
	return nil
}

// endBody ends the stream with an empty DATA.
func (s *stream) endBody() {
	l := s.l
	l.mu.Lock()
	if !s.ended && !l.closed {
		l.out.frame(channel.Data, channel.FlagEnd|s.end(), s.id, 0)
	}
	l.mu.Unlock()
}

func (c *textConn) LocalAddr() net.Addr  { return c.local }
func (c *textConn) RemoteAddr() net.Addr { return c.remote }

func (c *textConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *textConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	if c.tunnel != nil {
		return c.tunnel.SetReadDeadline(t)
	}
	c.readEnd = t
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.readLate = false
	if c.cur != nil {
		c.cur.setReadDeadline(t)
	}
	if t.IsZero() {
		return nil
	}
	wait := time.Until(t)
	if wait <= 0 {
		c.readLate = true
		c.wake.Broadcast()
		return nil
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timer == timer {
			c.readLate = true
			c.wake.Broadcast()
		}
	})
	c.timer = timer
	return nil
}

func (c *textConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	if c.tunnel != nil {
		return c.tunnel.SetWriteDeadline(t)
	}
	c.writeEnd = t
	if c.cur != nil {
		c.cur.setWriteDeadline(t)
	}
	return nil
}

// opError dresses an error as those of package net are.
func (c *textConn) opError(op string, err error) error {
	switch err {
	case io.EOF:
		return err
	case errBodyClosed, errFinished:
		err = net.ErrClosed
	case errClientGone:
		err = syscall.ECONNRESET
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
