package h1

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Response is the head of a response that was written as HTTP/1.1 text.
type Response struct {
	message.Response
	Framing   Framing
	Length    int64 // for FramingLength
	KeepAlive bool  // the server does not mean to close the connection
}

// ResponseParser finds response heads in text that an HTTP/1.1 server wrote.
// The zero value is ready.
type ResponseParser struct{ at int }

// Parse reads a response head from buf, which holds all bytes received and not
// consumed yet, and returns how many bytes it takes; 0 and no error while it is
// incomplete, then it must be called with the same bytes and more. x is the
// request that is answered; limit bounds the head.
func (p *ResponseParser) Parse(buf []byte, x Exchange, r *Response, limit int) (n int, err error) {
	b := buf[:min(len(buf), limit)]
	from := max(p.at-3, 0)
	i := bytes.Index(b[from:], []byte("\r\n\r\n"))
	if i < 0 {
		if p.at = len(b); len(b) == limit {
			return 0, ErrHeadLength
		}
		return 0, nil
	}
	p.at = 0
	n = from + i + 4
	if err := r.ParseText(0, b[:n]); err != nil {
		return 0, err
	}
	r.KeepAlive = !r.Close && (b[7] != '0' || r.Response.KeepAlive)
	r.Framing, r.Length = FramingNone, 0
	switch {
	// RFC 9112 6.3, items 1 and 2.
	case x.Head || r.Status < 200 || r.Status == 204 || r.Status == 304 || x.Connect && r.Status < 300:
	case r.TransferEncoding != nil:
		if !message.EqualFold(r.TransferEncoding, "chunked") {
			return 0, ErrCoding
		}
		if r.ContentLength >= 0 {
			return 0, ErrCodingLength
		}
		r.Framing = FramingChunked
	case r.ContentLength >= 0:
		r.Framing, r.Length = FramingLength, r.ContentLength
	default:
		r.Framing, r.KeepAlive = FramingClose, false
	}
	return n, nil
}
