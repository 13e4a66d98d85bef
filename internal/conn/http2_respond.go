package conn

import (
	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/exchange"

	"bytes"

	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/h2"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Informational implements exchange.Client.
func (st *stream) Informational(r *message.Response) {
	st.h.lend()
	st.h.core.Informational(st.s, r)
	st.h.sendSoon()
	if r.Status == 100 && st.expects {
		st.expects = false
		st.arm()
	}
}

// Respond implements exchange.Client.
func (st *stream) Respond(r *message.Response, body []byte, end bool) {
	if end {
		st.x = nil
	}
	if st.extended && r.Status/100 == 2 {
		st.decline()
		return
	}
	st.h.respond(st, r, body, end)
}

// Stored implements exchange.Client.
func (st *stream) Stored(a *cache.Answer, end bool) {
	body := a.Body
	if !end {
		body = nil
	}
	st.h.s.scratch = a.Response(&st.h.s.stored, st.h.s.scratch)[:0]
	st.Respond(&st.h.s.stored, body, end)
}

// Moved implements exchange.Client.
func (st *stream) Moved(x *exchange.Exchange) { st.x = x }

func (c *http2) respond(st *stream, r *message.Response, body []byte, end bool) {
	c.lend()
	date := c.s.Loop.Date()
	c.s.h2shared.SetDate(date[len("Date: ") : len(date)-2])
	if r.Close {
		c.core.Shutdown(c.s.Loop.Now()) // the application wants the connection to end
	}
	n, err := c.core.Respond(st.s, r, body, end)
	if err != nil {
		st.broken()
		return
	}
	st.sent(n)
	body = body[n:]
	if len(body) == 0 && end {
		st.over()
	}
	st.later(body, end)
	c.sendSoon()
}

// broken: the response cannot be delivered as the application made it; the
// core has reset the stream.
func (st *stream) broken() {
	st.forget()
	st.h.sendSoon()
}

// later keeps what was not sent.
func (st *stream) later(b []byte, end bool) {
	if st.s == nil {
		return
	}
	if len(b) > 0 {
		st.out.append(&st.h.s.pool, b)
	}
	st.outEnd = st.outEnd || end
	if len(st.out.segments) > 0 || st.outEnd {
		st.h.core.Wait(st.s)
	}
}

// sent tells the exchange that the client's windows have taken n bytes.
func (st *stream) sent(n int) {
	if n > 0 && st.x != nil {
		st.x.Sent(n, len(st.out.segments) == 0 && st.h.out == nil)
	}
}

// Body implements exchange.Client.
func (st *stream) Body(b []byte, end bool) {
	if end && !st.opaque {
		st.x = nil
	}
	if st.s == nil {
		return
	}
	if st.byHand {
		st.written(b, end)
		return
	}
	st.deliver(b, end)
}

// deliver sends content, or keeps what cannot be sent yet.
func (st *stream) deliver(b []byte, end bool) {
	st.h.lend()
	if len(st.out.segments) == 0 && st.h.room() {
		n, err := st.h.core.Send(st.s, b, end && !st.opaque)
		if err != nil {
			st.broken()
			return
		}
		st.sent(n)
		if b = b[n:]; len(b) == 0 && end && !st.opaque {
			st.over()
		}
	}
	st.later(b, end)
	st.h.sendSoon()
}

// sendChunk is how much of a file is read at once.
const sendChunk = 32 << 10

// send lets the stream send, since it is its turn.
func (st *stream) send() {
	for len(st.out.segments) > 0 && st.h.room() {
		g := &st.out.segments[0]
		var b []byte
		last := len(st.out.segments) == 1 && st.outEnd && st.trailers == nil && !st.opaque
		if g.fd >= 0 {
			n, err := sys.ReadFile(g.fd, st.h.s.scratch[:min(sendChunk, g.length, int64(cap(st.h.s.scratch)))], g.offset)
			if err != nil || n == 0 { // it is shorter than was said
				st.Abort()
				return
			}
			b = st.h.s.scratch[:n]
			last = last && int64(n) == g.length
		} else if g.run.Body != nil {
			b = g.run.Head(sendChunk)
			last = last && int64(len(b)) == g.run.Len()
		} else {
			b = g.buf[g.at:]
		}
		n, err := st.h.core.Send(st.s, b, last)
		if err != nil {
			st.broken()
			return
		}
		if g.fd >= 0 {
			g.offset += int64(n)
			if g.length -= int64(n); g.length == 0 {
				cost := g.cost
				st.out.cost -= cost
				st.out.drop(&st.h.s.pool)
				st.sent(cost)
			}
		} else if g.run.Body != nil {
			if g.run.From += int64(n); g.run.Len() == 0 {
				cost := g.cost
				st.out.cost -= cost
				st.out.drop(&st.h.s.pool)
				st.sent(cost)
			}
		} else {
			st.out.bytes -= n
			if g.at += n; g.at == len(g.buf) {
				st.out.drop(&st.h.s.pool)
			}
			st.sent(n)
		}
		if st.s == nil {
			return
		}
		if last && n == len(b) {
			st.over()
			return
		}
		if n < len(b) {
			return // the core asks again when it may go on
		}
	}
	if len(st.out.segments) > 0 {
		st.h.core.Wait(st.s)
		return
	}
	switch {
	case st.trailers != nil:
		err := st.h.core.Trailers(st.s, st.trailers)
		st.trailers = nil
		if err != nil {
			st.broken()
			return
		}
		st.over()
	case st.finish:
		st.h.core.Finish(st.s)
		st.over()
	case st.outEnd:
		if _, err := st.h.core.Send(st.s, nil, true); err != nil {
			st.broken()
			return
		}
		if st.opaque {
			st.outEnd = false
		} else {
			st.over()
		}
	}
}

// Trailers implements exchange.Client.
func (st *stream) Trailers(fields []message.Field) {
	st.x = nil
	if st.s == nil {
		return
	}
	st.h.lend()
	if len(st.out.segments) == 0 {
		if err := st.h.core.Trailers(st.s, fields); err != nil {
			st.broken()
			return
		}
		st.over()
		st.h.sendSoon()
		return
	}
	st.trailers = cloneFields(fields)
	st.later(nil, true)
}

// File implements exchange.Client. The bytes of a file go through memory: they
// have to be cut into frames, and mostly to be encrypted.
func (st *stream) File(fd int, offset, length int64, end bool) {
	if end {
		st.x = nil
	}
	if st.s == nil || st.s.NoContent() || length == 0 {
		sys.Close(fd)
		if st.x != nil {
			st.x.Sent(channel.FileWindowCost, true)
		}
		if st.s != nil && end {
			st.later(nil, true)
			st.h.sendSoon()
		}
		return
	}
	cost := 0
	if st.x != nil {
		cost = channel.FileWindowCost
	}
	st.out.file(fd, offset, length, cost)
	st.later(nil, end)
	st.h.sendSoon()
}

// Run implements exchange.Client.
func (st *stream) Run(r cache.Run, cost int, end bool) {
	if end {
		st.x = nil
	}
	if st.s == nil || st.s.NoContent() || r.Len() == 0 {
		r.Body.Release()
		if st.x != nil {
			st.x.Sent(cost, true)
		}
		if st.s != nil && end {
			st.later(nil, true)
			st.h.sendSoon()
		}
		return
	}
	if st.x == nil {
		cost = 0
	}
	st.out.stored(r, cost)
	st.later(nil, end)
	st.h.sendSoon()
}

// Abort implements exchange.Client.
func (st *stream) Abort() {
	st.x = nil
	if st.s == nil {
		return
	}
	st.h.lend()
	st.h.core.Reset(st.s, h2.InternalError)
	st.over()
	st.h.sendSoon()
}

// Hangup implements exchange.Client.
func (st *stream) Hangup() { st.Abort() }

// Fail implements exchange.Client.
func (st *stream) Fail(status int, reason, text string) {
	st.x = nil
	if st.s != nil {
		st.h.refuse(st, status, reason, text, status == 503)
	}
}

// refuse answers with an error of our own.
func (c *http2) refuse(st *stream, status int, reason, text string, retry bool) {
	if c.s.OnRefuse != nil {
		c.s.OnRefuse(c.Conn, status, reason)
	}
	var extra []byte
	if retry {
		extra = retryAfter
	}
	page := h1.AppendError(nil, h1.Exchange{Version: 11, KeepAlive: true}, status, text, nil, nil, extra)
	end := bytes.Index(page, []byte("\r\n\r\n")) + 4
	var r message.Response
	if err := r.ParseText(0, page[:end]); err != nil {
		panic("conn: our own error page is malformed: " + err.Error())
	}
	st.ended = true
	r.Text = false // it is ours: Date and Server are added
	c.respond(st, &r, page[end:], true)
}
