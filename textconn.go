package httpsys

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/message"
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
	tunnel   *opaqueConn
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

// Read returns the text of requests.
func (c *textConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		if len(c.text) > 0 {
			n := copy(p, c.text)
			c.text = c.text[n:]
			if len(c.text) == 0 && c.left == 0 {
				c.endRequest()
			}
			return n, nil
		}
		if len(p) == 0 {
			return 0, nil
		}
		if c.source == nil {
			x, tunnel, err := c.next()
			switch {
			case err != nil:
				return 0, c.opError("read", err)
			case tunnel != nil:
				return tunnel.Read(p)
			}
			c.source, c.left = x, x.length
			c.buf = x.appendText(c.buf[:0])
			c.text = c.buf
			continue
		}
		n, err := c.readBody(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// readBody reads the body of the present request: into p, or as a chunk into
// text.
func (c *textConn) readBody(p []byte) (int, error) {
	x := c.source
	if c.left > 0 {
		n, err := x.read(p[:min(int64(len(p)), c.left)])
		if c.left -= int64(n); c.left == 0 {
			c.endRequest()
			return n, nil
		}
		if err != nil && n == 0 {
			return 0, c.opError("read", bodyEnd(err))
		}
		return n, nil
	}
	if cap(c.buf) < textChunk+h1.MaxChunkHeader+2 {
		c.buf = make([]byte, 0, textChunk+h1.MaxChunkHeader+2)
	}
	// Room for the size of the chunk, which is known afterwards.
	const room = 6
	buf := c.buf[:cap(c.buf)]
	n, err := x.read(buf[room : room+textChunk])
	if n > 0 {
		size := strconv.AppendInt(make([]byte, 0, room), int64(n), 16)
		start := room - len(size) - 2
		copy(buf[start:], size)
		copy(buf[room-2:], "\r\n")
		c.text = append(buf[start:room+n], "\r\n"...)
		return 0, nil
	}
	if err == io.EOF {
		x.mu.Lock()
		trailers := x.trailers
		x.mu.Unlock()
		c.text = append(buf[:0], "0\r\n"...)
		for _, t := range trailers {
			c.text = append(c.text, t.name+": "+t.value+"\r\n"...)
		}
		c.text = append(c.text, "\r\n"...)
		c.left = 0
		return 0, nil
	}
	return 0, c.opError("read", bodyEnd(err))
}

// bodyEnd is what a broken body looks like on a connection.
func bodyEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// endRequest notes that all of the request was read.
func (c *textConn) endRequest() {
	x := c.source
	c.source, c.text, c.left = nil, nil, -1
	c.mu.Lock()
	if c.cur == x {
		c.readAll = true
	}
	c.mu.Unlock()
}

// next waits for the next request, or for what else may come instead.
func (c *textConn) next() (*exchange, *opaqueConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return nil, nil, net.ErrClosed
		case c.tunnel != nil:
			return nil, c.tunnel, nil
		case c.readLate:
			return nil, nil, os.ErrDeadlineExceeded
		case c.fresh != nil:
			x := c.fresh
			c.fresh = nil
			return x, nil, nil
		case c.cur != nil && c.cur.gone.Load():
			return nil, nil, errClientGone
		case c.cur != nil && c.cur.ctx.Err() != nil, c.hungUp:
			// The client has closed its sending side; an answer can still be
			// written.
			return nil, nil, io.EOF
		}
		c.wake.Wait()
	}
}

// appendText writes the request head as HTTP/1.1 text, with the client's
// spelling and order.
func (x *exchange) appendText(dst []byte) []byte {
	c := cutter{block: x.block[:x.text]}
	dst = append(dst, c.bytes()...)
	dst = append(dst, ' ')
	dst = append(dst, c.bytes()...)
	version := " HTTP/1.1\r\n"
	if x.version == 10 {
		version = " HTTP/1.0\r\n"
	}
	dst = append(dst, version...)
	authority := c.bytes()
	c.bytes()
	c.bytes()
	host, length, coding := false, false, false
	for range x.fields {
		name, value := c.bytes(), c.bytes()
		switch message.KnownOf(name) {
		case message.Host:
			host = true
		case message.ContentLength:
			length = true
		case message.TransferEncoding:
			coding = true
		}
		dst = append(dst, name...)
		dst = append(dst, ": "...)
		dst = append(dst, value...)
		dst = append(dst, "\r\n"...)
	}
	// What the other versions of HTTP say without a field.
	if !host && x.version > 11 {
		dst = append(dst, "Host: "...)
		dst = append(dst, authority...)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case x.length < 0 && !coding:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case x.length > 0 && !length:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, x.length, 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// Write takes the text of responses.
func (c *textConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	x, tunnel, closed := c.cur, c.tunnel, c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return 0, c.opError("write", net.ErrClosed)
	case tunnel != nil:
		return tunnel.Write(p)
	case x == nil:
		return 0, c.opError("write", errNoRequest)
	}
	if err := c.respond(x, p); err != nil {
		// Nothing that follows could be told apart from the rest of this.
		x.cancel(cancelAbort)
		flushSoon(x.l)
		return 0, c.opError("write", err)
	}
	select {
	case <-c.l.ending:
		x.l.flush() // the program may end as soon as the connection is idle
	default:
		flushSoon(x.l)
	}
	return len(p), nil
}

// respond handles bytes of the response to x.
func (c *textConn) respond(x *exchange, p []byte) error {
	if len(c.carry) > 0 {
		c.carry = append(c.carry, p...)
		p = c.carry
	}
	for len(p) > 0 {
		take := c.takeHead
		if c.inBody {
			take = c.takeBody
		}
		n, over, err := take(x, p)
		if err != nil {
			return err
		}
		p = p[n:]
		if over {
			return c.endResponse(x, p)
		}
		if n == 0 {
			break
		}
	}
	c.carry = append(c.carry[:0], p...)
	return nil
}

// takeHead takes a response head, and the beginning of the body with it, from
// p; n is 0 while the head is incomplete. over says that the response is
// complete, or has become a tunnel.
func (c *textConn) takeHead(x *exchange, p []byte) (n int, over bool, err error) {
	request := h1.Exchange{Head: x.method == channel.MethodHead, Connect: x.method == channel.MethodConnect, Version: 11}
	n, err = c.parser.Parse(p, request, &c.resp, textHead)
	if n == 0 || err != nil {
		return 0, false, err
	}
	head, rest := p[:n], p[n:]
	status := c.resp.Status
	switch {
	case c.resp.Informational():
		x.sendText(status, head)
		return n, false, nil
	case status == 101, request.Connect && status/100 == 2:
		return len(p), true, c.goOpaque(x, status, head, rest)
	}
	c.inBody, c.toEnd = true, c.resp.Framing == h1.FramingClose
	c.body.InitFraming(c.resp.Framing, c.resp.Length, nil)
	data, m, done, err := c.body.Next(rest)
	if err != nil {
		return 0, false, err
	}
	return n + m, done, c.sendHead(x, head, data, done)
}

// takeBody takes a piece of the body; n is 0 while its framing is incomplete.
func (c *textConn) takeBody(x *exchange, p []byte) (n int, over bool, err error) {
	data, n, done, err := c.body.Next(p)
	if err != nil {
		return 0, false, err
	}
	return n, done, c.sendBody(x, data, done)
}

// sendText sends an informational response.
func (x *exchange) sendText(status int, head []byte) {
	l := x.l
	l.mu.Lock()
	if !x.ended && !x.headSent && !l.closed {
		l.out.buf = appendTextResponse(l.out.buf, 0, x.id, status, head, nil)
	}
	l.mu.Unlock()
}

// appendTextResponse appends a RESPONSE frame in text form.
func appendTextResponse(dst []byte, f channel.Flags, id uint32, status int, head, body []byte) []byte {
	dst = channel.AppendHeader(dst, channel.Header{Length: uint32(channel.ResponseFixed + len(head) + len(body)),
		Stream: id, Type: channel.Response, Flags: f | channel.FlagText, Value: uint16(status)})
	dst = channel.AppendResponseFixed(dst, len(head), 0)
	dst = append(dst, head...)
	return append(dst, body...)
}

// sendHead sends the final head with the first bytes of the body.
func (c *textConn) sendHead(x *exchange, head, data []byte, done bool) error {
	piece := 0
	if len(data) > 0 {
		var err error
		if piece, err = x.reserve(1, min(len(data), maxPiece)); err != nil {
			return err
		}
	}
	if err := x.lockRoom(); err != nil {
		return err
	}
	var f channel.Flags
	whole := done && piece == len(data) && len(c.body.Trailers) == 0
	if whole {
		f = channel.FlagEnd | x.end()
	}
	l := x.l
	l.out.buf = appendTextResponse(l.out.buf, f, x.id, c.resp.Status, head, data[:piece])
	x.headSent = true
	l.mu.Unlock()
	if whole {
		return nil
	}
	return c.sendBody(x, data[piece:], done)
}

// sendBody sends bytes of the body, and its end if that is done.
func (c *textConn) sendBody(x *exchange, data []byte, done bool) error {
	l := x.l
	for {
		piece := 0
		if len(data) > 0 {
			var err error
			if piece, err = x.reserve(1, min(len(data), maxPiece)); err != nil {
				return err
			}
		}
		if err := x.lockRoom(); err != nil {
			return err
		}
		last := piece == len(data)
		switch {
		case last && done && len(c.body.Trailers) > 0:
			l.out.buf = channel.AppendFrame(l.out.buf, channel.Data, 0, x.id, 0, data)
			x.sendTrailers(c.body.Trailers)
		case last && done:
			l.out.buf = channel.AppendFrame(l.out.buf, channel.Data, channel.FlagEnd|x.end(), x.id, 0, data)
		case piece > 0:
			l.out.buf = channel.AppendFrame(l.out.buf, channel.Data, 0, x.id, 0, data[:piece])
		}
		full := len(l.out.buf) >= flushAt
		l.mu.Unlock()
		if full {
			l.flush()
		}
		if last {
			return nil
		}
		data = data[piece:]
	}
}

// sendTrailers ends the stream with trailers; l.mu is held.
func (x *exchange) sendTrailers(fields []message.Field) {
	var block []byte
	n := 0
	for _, f := range fields {
		if name := string(f.Name); trailerAllowed(textproto.CanonicalMIMEHeaderKey(name)) {
			block = appendField(block, name, string(f.Value))
			n++
		}
	}
	l := x.l
	l.out.buf = channel.AppendHeader(l.out.buf, channel.Header{Length: uint32(channel.TrailersFixed + len(block)),
		Stream: x.id, Type: channel.Trailers, Flags: x.end()})
	l.out.buf = channel.AppendTrailersFixed(l.out.buf, n)
	l.out.buf = append(l.out.buf, block...)
}

// endResponse makes the connection ready for the next request.
func (c *textConn) endResponse(x *exchange, rest []byte) error {
	c.inBody, c.toEnd, c.carry = false, false, c.carry[:0]
	if cap(c.carry) > textChunk {
		c.carry = nil
	}
	c.mu.Lock()
	if c.tunnel != nil {
		c.mu.Unlock()
		return nil
	}
	c.cur = nil
	again := c.readAll && c.resp.KeepAlive && !c.closed && len(rest) == 0
	c.hungUp = c.hungUp || !again
	c.wake.Broadcast()
	c.mu.Unlock()
	if again {
		c.l.park(c)
	} else {
		// The daemon sends no more of the request's body.
		x.stop(io.ErrUnexpectedEOF)
	}
	x.stopDeadlines()
	if len(bytes.TrimSpace(rest)) > 0 {
		return errAfterEnd
	}
	return nil
}

// goOpaque turns the connection into a tunnel.
func (c *textConn) goOpaque(x *exchange, status int, head, rest []byte) error {
	if status == 101 && x.flags&channel.RequestUpgrade == 0 {
		return errNotUpgraded
	}
	if err := x.reopen(); err != nil {
		return err
	}
	if err := x.lockRoom(); err != nil {
		return err
	}
	l := x.l
	l.out.buf = appendTextResponse(l.out.buf, channel.FlagOpaque|x.credit(), x.id, status, head, nil)
	x.headSent, x.opaque = true, true
	l.busy--
	l.mu.Unlock()
	if len(rest) > 0 {
		if _, err := x.writeOpaque(rest); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.cur = nil
	c.tunnel = &opaqueConn{s: &x.stream, local: c.local, remote: c.remote}
	c.wake.Broadcast()
	c.mu.Unlock()
	return nil
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
