package conn

import (
	"errors"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is the way from the exchange to the client, exchange.Client: what an exchange tells its connection. When
// it says the last word (end, Fail, Abort, Close, Trailers) the exchange is
// over, and c.x must be forgotten before anything else.

// Informational implements exchange.Client.
func (c *http1) Informational(r *message.Response) {
	if c.request.Version < 11 {
		return
	}
	if r.Status == 100 {
		if !c.expect {
			return
		}
		c.expect = false
	}
	c.write(h1.AppendInformational(c.s.scratch[:0], r), nil, nil, false)
}

// Respond implements exchange.Client.
func (c *http1) Respond(r *message.Response, body []byte, end bool) {
	if end {
		c.x = nil
	}
	if c.expect {
		// The client may or may not send the body now; nobody can tell where the
		// next request would begin.
		c.expect, c.keepAlive = false, false
	}
	c.request.KeepAlive = c.keepAlive && !c.s.draining && !c.endpoint.Closed.Load()
	f, length, keepAlive := h1.Frame(c.request, r, end, int64(len(body)))
	c.framing, c.keepAlive, c.headSent = f, keepAlive, true
	c.dropBody = f == h1.FramingNone
	c.length = length
	b := h1.AppendResponseHead(c.s.scratch[:0], c.request, r, f, length, keepAlive, c.s.Loop.Date(), serverLine)
	c.s.scratch = b[:0]
	c.data(b, body, end)
}

// Stored implements exchange.Client. The head is there as text: only what
// concerns the connection is added.
func (c *http1) Stored(a *cache.Answer, end bool) {
	if end {
		c.x = nil
	}
	c.expect = false
	c.keepAlive = c.keepAlive && !c.s.draining && !c.endpoint.Closed.Load()
	c.framing, c.headSent, c.dropBody, c.length = h1.FramingLength, true, a.NoBody, a.Length
	if a.NoBody {
		c.framing = h1.FramingNone
	}
	b := a.AppendHead(c.s.scratch[:0])
	switch {
	case !c.keepAlive:
		b = append(b, "Connection: close\r\n"...)
	case c.request.Version < 11:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	b = append(b, "\r\n"...)
	c.s.scratch = b[:0]
	body := a.Body
	if !end {
		body = nil
	}
	c.data(b, body, end)
}

// Moved implements exchange.Client.
func (c *http1) Moved(x *exchange.Exchange) { c.x = x }

// Body implements exchange.Client.
func (c *http1) Body(b []byte, end bool) {
	if c.state == opaque {
		if len(b) > 0 {
			c.unsent += len(b)
			c.write(nil, b, nil, false)
		}
		if end && !c.closed {
			c.shutSoon = true
			c.settle()
		}
		return
	}
	if end {
		c.x = nil
	}
	c.data(nil, b, end)
}

// data sends body bytes in the response's framing, behind what is in head.
func (c *http1) data(headBytes, body []byte, end bool) {
	if c.dropBody {
		if n := len(body); n > 0 && c.x != nil {
			c.x.Sent(n, true)
		}
		body = nil
	}
	var tail []byte
	switch c.framing {
	case h1.FramingLength:
		if n := int64(len(body)); n > c.length || end && n < c.length {
			// The application and its Content-Length disagree. The client must not
			// take for complete what it gets.
			if n > c.length {
				body = nil
			}
			c.write(headBytes, body, nil, false)
			c.abort()
			return
		}
		c.length -= int64(len(body))
	case h1.FramingChunked:
		if len(body) > 0 {
			if headBytes == nil {
				headBytes = c.s.scratch[:0]
			}
			headBytes = h1.AppendChunkHeader(headBytes, len(body))
			tail = crlf
		}
		if end {
			if tail = lastChunk; len(body) > 0 {
				tail = crlfLastChunk
			}
		}
	}
	if c.x != nil {
		c.unsent += len(body)
	}
	c.done = end
	c.write(headBytes, body, tail, end)
}

var (
	crlf          = []byte(h1.ChunkEnd)
	lastChunk     = []byte(h1.LastChunk)
	crlfLastChunk = []byte(h1.ChunkEnd + h1.LastChunk)
)

// Trailers implements exchange.Client.
func (c *http1) Trailers(fields []message.Field) {
	c.x = nil
	if c.framing != h1.FramingChunked || c.request.Version < 11 {
		c.data(nil, nil, true) // no place for them
		return
	}
	c.done = true
	b := h1.AppendTrailers(c.s.scratch[:0], fields)
	c.s.scratch = b[:0]
	c.write(b, nil, nil, true)
}

// File implements exchange.Client.
func (c *http1) File(fd int, offset, length int64, end bool) {
	if end {
		c.x = nil
	}
	if c.dropBody || length == 0 {
		sys.Close(fd)
		if c.x != nil {
			c.x.Sent(channel.FileWindowCost, true)
		}
		c.data(nil, nil, end)
		return
	}
	c.extent(length, channel.FileWindowCost, end, func(o *outbox, cost int) { o.file(fd, offset, length, cost) }, func() { sys.Close(fd) })
}

// Run implements exchange.Client.
func (c *http1) Run(r cache.Run, cost int, end bool) {
	if end {
		c.x = nil
	}
	if c.dropBody || r.Len() == 0 {
		r.Body.Release()
		if c.x != nil {
			c.x.Sent(cost, true)
		}
		c.data(nil, nil, end)
		return
	}
	c.extent(r.Len(), cost, end, func(o *outbox, cost int) { o.stored(r, cost) }, r.Body.Release)
}

// extent sends length bytes of the body that are not in memory of ours: put adds them to the outbox, drop
// lets go of them.
func (c *http1) extent(length int64, cost int, end bool, put func(o *outbox, cost int), drop func()) {
	var headBytes, tail []byte
	short := false
	switch c.framing {
	case h1.FramingLength:
		if length > c.length {
			drop()
			c.abort()
			return
		}
		c.length -= length
		short = end && c.length > 0
	case h1.FramingChunked:
		headBytes = h1.AppendChunkHeader(nil, int(length))
		if tail = crlf; end {
			tail = crlfLastChunk
		}
	}
	c.done = end && !short
	o := c.outbox()
	o.append(&c.s.pool, headBytes)
	if c.x == nil {
		cost = 0
	}
	c.unsent += cost
	put(o, cost)
	o.append(&c.s.pool, tail)
	c.s.flushLater(c.Conn)
	if short {
		c.abort() // behind what there is
	}
}

// Hangup implements exchange.Client.
func (c *http1) Hangup() { c.Close() }

// Fail implements exchange.Client.
func (c *http1) Fail(status int, reason, text string) {
	c.x = nil
	c.fail(status, reason, text, status == 503)
}

// Abort implements exchange.Client.
func (c *http1) Abort() {
	c.x = nil
	c.abort()
}

// abort cuts the response. Where a length or chunks say how long it should
// have been, an orderly end of the connection behind what is there is clear
// enough; else only a reset tells the client.
func (c *http1) abort() {
	if c.framing == h1.FramingClose {
		c.reset()
		return
	}
	c.gone()
	c.keepAlive, c.closeSoon = false, true
	c.settle()
}

// ReadMore implements exchange.Client.
func (c *http1) ReadMore() {
	if c.state != content && c.state != opaque {
		return
	}
	c.resume()
	if c.state == content && c.waits != forBody {
		c.arm() // it is the client's turn again
	}
}

// fail answers with an error of our own. The connection survives if the
// request was read in full.
func (c *http1) fail(status int, reason, text string, retry bool) {
	if c.s.OnRefuse != nil {
		c.s.OnRefuse(c.Conn, status, reason)
	}
	if c.raw { // there is nothing to say it in
		c.closeSoon = true
		c.settle()
		return
	}
	if !c.body.Done() || c.expect {
		c.keepAlive = false
	}
	c.expect = false
	x := c.request
	x.KeepAlive = c.keepAlive && !c.s.draining && !c.endpoint.Closed.Load()
	c.keepAlive = x.KeepAlive
	var extra []byte
	if retry {
		extra = retryAfter
	}
	var b []byte
	if c.override().BareErrors {
		b = h1.AppendBareError(c.s.scratch[:0], x, status, extra)
	} else {
		b = h1.AppendError(c.s.scratch[:0], x, status, text, c.s.Loop.Date(), serverLine, extra)
	}
	c.s.scratch = b[:0]
	c.headSent, c.done = true, true
	if !c.body.Done() {
		c.state = drain
	} else {
		c.state = wait
	}
	c.write(b, nil, nil, true)
}

// retryAfter goes with every 503: queues empty in seconds or not at all.
var retryAfter = []byte("Retry-After: 1\r\n")

// refuse answers bytes that are not HTTP, and closes.
func (c *http1) refuse(err error) {
	var e *h1.Error
	if !errors.As(err, &e) {
		e = h1.ErrRequestLine
	}
	c.request = h1.Exchange{Version: 11}
	c.keepAlive, c.garbled = false, true
	c.body = h1.Body{}
	c.fail(e.Status, e.Reason, e.Text, false)
}

// badBody: the framing of the request's body is broken, so nothing behind it
// can be understood.
func (c *http1) badBody(err error) {
	c.keepAlive, c.garbled = false, true
	if c.headSent {
		c.x.RequestBroken()
		c.brokenBody()
		return
	}
	x := c.x
	c.x = nil
	x.ClientGone()
	c.refuse(err)
}

// tooLarge: the body is longer than the registration allows.
func (c *http1) tooLarge() {
	if c.headSent {
		c.keepAlive = false
		c.x.RequestBroken()
		c.brokenBody()
		return
	}
	x := c.x
	c.x = nil
	x.ClientGone()
	c.fail(413, "EntityTooLarge", "The request body is longer than the program accepts.", false)
}
