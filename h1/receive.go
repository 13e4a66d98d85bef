package h1

import (
	"errors"
	"io"

	"github.com/httpsys/httpsys/internal/wire/h1"
)

// Receive takes bytes that the client has sent; they are copied. What Next does
// not consume is kept: a head that is not complete, or requests ahead. See
// Reading for when to stop.
func (c *Conn) Receive(b []byte) {
	if len(c.in) == 0 {
		c.in = c.buf[:0]
	}
	c.in = append(c.in, b...)
	c.buf = c.in
}

// ReceiveEOF tells that the client has closed its sending side.
func (c *Conn) ReceiveEOF() { c.closed = true }

// Next returns what the client has said next. Without an event the error is
// ErrNeedMore, ErrBusy, ErrSwitched, io.EOF (the connection is over, and nothing
// was cut off), io.ErrUnexpectedEOF (the client has left in the middle), or an
// *Error. The last three are final.
func (c *Conn) Next() (Event, error) {
	switch {
	case c.broken != nil:
		return Event{}, c.broken
	case c.from == switched:
		return Event{}, ErrSwitched
	case c.from == inBody:
		return c.nextData()
	case c.to == over:
		return c.fail(io.EOF)
	case c.to != idle:
		return Event{}, ErrBusy
	}
	return c.nextRequest()
}

func (c *Conn) nextRequest() (Event, error) {
	c.limits = c.Limits.internal()
	n, err := c.heads.Parse(c.in, &c.raw, &c.limits)
	switch {
	case err != nil:
		return c.fail(err)
	case n > 0:
	case !c.closed:
		return Event{}, ErrNeedMore
	case c.heads.Started():
		return c.fail(io.ErrUnexpectedEOF)
	default:
		return c.fail(io.EOF)
	}
	r := &c.raw
	c.body.Init(r)
	c.from, c.to = inBody, owed
	c.request = h1.Exchange{
		Head: string(r.Method) == "HEAD", Connect: string(r.Method) == "CONNECT", Version: r.Version, KeepAlive: r.KeepAlive,
	}
	c.upgrade, c.expect, c.keepAlive = r.Upgrade, r.ExpectContinue, r.KeepAlive
	t := text{head: c.in, s: string(c.in[:n])}
	req := &Request{
		Method: t.of(r.Method), Target: t.of(r.Target), Authority: t.of(r.Authority), Path: t.of(r.Path), Query: t.of(r.Query),
		Fields: t.fields(r.Fields), Minor: int(r.Version) % 10, ContentLength: r.ContentLength,
		ExpectContinue: r.ExpectContinue, Upgrade: r.Upgrade, KeepAlive: r.KeepAlive,
	}
	c.consume(n)
	return Event{Kind: GotRequest, Request: req}, nil
}

func (c *Conn) nextData() (Event, error) {
	for {
		switch {
		case c.bad != nil: // behind the data of the call before
			return c.fail(c.bad)
		case c.body.Done():
			return c.ended(), nil
		}
		data, n, end, err := c.body.Next(c.in)
		if end {
			t := text{head: c.in, s: string(c.in[:n])}
			c.trailers = t.fields(c.body.Trailers)
		}
		c.consume(n)
		c.bad = err
		switch {
		case len(data) > 0:
			c.expect = false
			return Event{Kind: GotData, Data: data}, nil
		case err != nil || end || n > 0:
		case c.closed:
			return c.fail(io.ErrUnexpectedEOF)
		default:
			return Event{}, ErrNeedMore
		}
	}
}

func (c *Conn) ended() Event {
	ev := Event{Kind: GotEnd, Trailers: c.trailers}
	c.from, c.expect, c.trailers = done, false, nil
	c.settle()
	return ev
}

// consume lets go of the first n bytes. Those before them stay where they are:
// Event.Data may lie there.
func (c *Conn) consume(n int) {
	c.in = c.in[n:]
}

func (c *Conn) fail(err error) (Event, error) {
	var e *h1.Error
	if errors.As(err, &e) {
		err = &Error{Status: e.Status, Reason: e.Reason, Text: e.Text}
	}
	c.broken = err
	return Event{}, err
}
