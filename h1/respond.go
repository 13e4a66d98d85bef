package h1

import (
	"html"

	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// AppendInformational appends a 1xx response other than 101, before the final
// one. A client of HTTP/1.0 must not get any (RFC 9110 15.2): nothing is
// appended for it, nor 100 for one that does not wait for it.
func (c *Conn) AppendInformational(dst []byte, r *Response) ([]byte, error) {
	if c.to != owed {
		return dst, ErrOrder
	}
	if r.Status < 100 || r.Status > 199 || r.Status == 101 {
		return dst, ErrStatus
	}
	if err := c.check(r.Status, r.Reason, r.Fields); err != nil {
		return dst, err
	}
	if c.request.Version < 11 || r.Status == 100 && !c.expect {
		return dst, nil
	}
	if r.Status == 100 {
		c.expect = false
	}
	return h1.AppendInformational(dst, &c.response), nil
}

// AppendResponse appends a final head and the first bytes of the body. With end
// they are the whole body, and its length is added; otherwise AppendData and
// AppendEnd follow, and the body is sent in chunks (or, to a client of HTTP/1.0,
// until the end of the connection) unless the response has a Content-Length.
//
// The bodies of responses that have none (to HEAD, 204, 304) are dropped. After
// 101, and 2xx to CONNECT, the connection has left HTTP: end must be true, body
// is sent as it is, and so may everything else be.
func (c *Conn) AppendResponse(dst []byte, r *Response, body []byte, end bool) ([]byte, error) {
	if c.to != owed {
		return dst, ErrOrder
	}
	if r.Status < 200 && r.Status != 101 || r.Status > 999 {
		return dst, ErrStatus
	}
	leaves := r.Status == 101 || c.request.Connect && r.Status < 300
	switch {
	case r.Status == 101 && (!c.upgrade || c.from != done):
		return dst, ErrUpgrade
	case leaves && !end:
		return dst, ErrOrder
	}
	if err := c.check(r.Status, r.Reason, r.Fields); err != nil {
		return dst, err
	}
	if c.expect && c.from != done {
		// The client may or may not send the body now: nobody can tell where the
		// next request would begin (RFC 9110 10.1.1).
		c.keepAlive = false
	}
	x := c.request
	x.KeepAlive = c.keepAlive
	f, length, keepAlive := h1.Frame(x, &c.response, end, int64(len(body)))
	if f == h1.FramingLength && (int64(len(body)) > length || end && int64(len(body)) < length) {
		return dst, ErrLength
	}
	c.framing, c.length, c.keepAlive = f, length, keepAlive || r.Status == 101
	dst = h1.AppendResponseHead(dst, x, &c.response, f, length, c.keepAlive, nil, nil)
	if leaves {
		c.from, c.to = switched, switched
		return append(dst, body...), nil
	}
	c.to = inBody
	dst = c.appendData(dst, body)
	if end {
		return c.appendEnd(dst, nil), nil
	}
	return dst, nil
}

// AppendData appends a piece of the body.
func (c *Conn) AppendData(dst, b []byte) ([]byte, error) {
	if c.to != inBody {
		return dst, ErrOrder
	}
	if c.framing == h1.FramingLength && int64(len(b)) > c.length {
		return dst, ErrLength
	}
	return c.appendData(dst, b), nil
}

// AppendEnd ends the body. Trailers are sent where the body is chunked, and
// dropped elsewhere, where there is no place for them (RFC 9110 6.5.2). A
// response that stays shorter than its Content-Length is ErrLength: reset the
// connection, so that the client does not take for complete what it has.
func (c *Conn) AppendEnd(dst []byte, trailers Fields) ([]byte, error) {
	if c.to != inBody {
		return dst, ErrOrder
	}
	if c.framing == h1.FramingLength && c.length > 0 {
		return dst, ErrLength
	}
	for _, f := range trailers {
		name := []byte(f.Name)
		switch {
		case !message.ValidName(name):
			return dst, message.ErrName
		case !message.ValidValue([]byte(f.Value)):
			return dst, message.ErrValue
		case message.ForbiddenInTrailers(name):
			return dst, message.ErrTrailerName
		}
	}
	return c.appendEnd(dst, trailers), nil
}

func (c *Conn) appendData(dst, b []byte) []byte {
	switch {
	case c.framing == h1.FramingNone || len(b) == 0:
		return dst
	case c.framing == h1.FramingChunked:
		dst = append(h1.AppendChunkHeader(dst, len(b)), b...)
		return append(dst, h1.ChunkEnd...)
	}
	c.length -= int64(len(b)) // counts for FramingLength only
	return append(dst, b...)
}

func (c *Conn) appendEnd(dst []byte, trailers Fields) []byte {
	if c.framing == h1.FramingChunked {
		if len(trailers) == 0 {
			dst = append(dst, h1.LastChunk...)
		} else {
			section := make([]message.Field, len(trailers))
			for i, f := range trailers {
				section[i] = message.Field{Name: []byte(f.Name), Value: []byte(f.Value)}
			}
			dst = h1.AppendTrailers(dst, section)
		}
	}
	c.to = done
	c.settle()
	return dst
}

// AppendError appends a whole response with a small page that says text, and
// Connection: close: the answer to an *Error of Next, or to a request that came
// too slowly (408). After it the connection must be closed.
func (c *Conn) AppendError(dst []byte, status int, text string) ([]byte, error) {
	if c.to != idle && c.to != owed {
		return dst, ErrOrder
	}
	if status < 400 || status > 599 {
		return dst, ErrStatus
	}
	x := h1.Exchange{Version: 11}
	if c.to == owed {
		x.Head = c.request.Head
	}
	c.to = over
	return h1.AppendError(dst, x, status, html.EscapeString(text), nil, nil, nil), nil
}

// check makes c.response of a head, which is written into the form in which the
// daemon gets heads from applications, so that both are judged alike.
func (c *Conn) check(status int, reason string, fields Fields) error {
	b := append(append(c.block[:0], reason...), 0)
	for i := range fields {
		b = append(append(b, fields[i].Name...), 0)
		b = append(append(b, fields[i].Value...), 0)
	}
	c.block = b
	return c.response.ParseBinary(status, b, len(fields))
}
