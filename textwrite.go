package httpsys

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/textproto"

	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is the writing half of a textConn: HTTP/1.1 text becomes responses.

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

// sendError ends the stream with an answer of our own, if there was none yet.
func (x *exchange) sendError(status int) {
	l := x.l
	l.mu.Lock()
	if !x.ended && !x.headSent && !l.closed {
		l.out.buf = appendResponse(l.out.buf, channel.FlagEnd|x.end(), x.id, status, new(headBlock), nil)
	}
	l.mu.Unlock()
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
		x.sendError(http.StatusInternalServerError)
		return errNotUpgraded
	}
	if err := x.reopen(); err != nil {
		return err
	}
	l := x.l
	flags, answer := channel.FlagOpaque, (<-chan handedOver)(nil)
	if l.sess.socket {
		flags, answer = flags|channel.FlagSocket, x.ask()
	}
	if err := x.lockRoom(); err != nil {
		return err
	}
	l.out.buf = appendTextResponse(l.out.buf, flags|x.credit(), x.id, status, head, nil)
	x.headSent = true
	l.mu.Unlock()
	l.flush()
	tun, err := x.tunnel(answer, c.local.String(), c.remote.String())
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		if _, err := tun.Write(rest); err != nil {
			tun.Close()
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		tun.Close()
		return net.ErrClosed
	}
	c.cur, c.tunnel = nil, tun
	tun.SetReadDeadline(c.readEnd)
	tun.SetWriteDeadline(c.writeEnd)
	c.wake.Broadcast()
	return nil
}
