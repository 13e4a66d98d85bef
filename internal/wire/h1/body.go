package h1

import "github.com/httpsys/httpsys/internal/wire/message"

// Framing is how the end of a body is found (RFC 9112 6.3).
type Framing uint8

// The framings.
const (
	FramingNone    Framing = iota // there is no body
	FramingLength                 // Content-Length
	FramingChunked                // Transfer-Encoding: chunked
	FramingClose                  // the end of the connection; responses only
)

// Body finds the content of one message in the bytes of a connection. The zero
// value is a body that is done.
type Body struct {
	// Trailers are the fields behind a chunked body, once it is done. They alias
	// the buffer of the call that reported the end. Init keeps the array; an
	// owner for whom it became too large may set it to nil.
	Trailers []message.Field

	left   int64   // of the content, or of the current chunk
	limits *Limits // for the trailer section
	lines  scanner // in the trailer section
	excess uint16  // bytes of chunk extensions, less what the content pays for
	digits uint8   // of the current chunk size
	state  bodyState

	extension uint16 // bytes of the current chunk's extensions
}

type bodyState uint8

const (
	bodyDone bodyState = iota
	bodyLength
	bodyClose
	bodyChunked // this and all higher ones; see chunked.go
)

// Init prepares for the content of r.
func (b *Body) Init(r *Request) {
	f := FramingLength
	if r.Chunked {
		f = FramingChunked
	}
	b.InitFraming(f, r.ContentLength, r.limits)
}

// InitFraming prepares for content with a framing and, for FramingLength, a
// length. A nil limits stands for DefaultLimits.
func (b *Body) InitFraming(f Framing, length int64, limits *Limits) {
	if limits == nil {
		limits = &DefaultLimits
	}
	*b = Body{Trailers: b.Trailers[:0], limits: limits}
	switch {
	case f == FramingLength && length > 0:
		b.state, b.left = bodyLength, length
	case f == FramingChunked:
		b.state = chunkSize
	case f == FramingClose:
		b.state = bodyClose
	}
}

// Done says whether all of the body, with its trailers, has been taken.
func (b *Body) Done() bool { return b.state == bodyDone }

// Remaining is how many bytes of content are still to come, or -1 if that
// cannot be known.
func (b *Body) Remaining() int64 {
	switch b.state {
	case bodyDone:
		return 0
	case bodyLength:
		return b.left
	}
	return -1
}

// Next takes a piece of the body from buf, which holds what was received and
// not consumed yet. n bytes are consumed, data (which aliases buf) is the
// content among them. Call it again with the rest until done, or until n is 0: then it
// needs more bytes, added to the same rest.
//
// After an error the message is broken; data that came before it is returned
// with it.
func (b *Body) Next(buf []byte) (data []byte, n int, done bool, err error) {
	switch b.state {
	case bodyDone:
		return nil, 0, true, nil
	case bodyLength:
		if len(buf) == 0 {
			return nil, 0, false, nil
		}
		if int64(len(buf)) < b.left {
			b.left -= int64(len(buf))
			return buf, len(buf), false, nil
		}
		n = int(b.left)
		b.left, b.state = 0, bodyDone
		return buf[:n], n, true, nil
	case bodyClose:
		if len(buf) == 0 {
			return nil, 0, false, nil
		}
		return buf, len(buf), false, nil
	}
	data, n, e := b.chunked(buf)
	return data, n, b.state == bodyDone, asError(e)
}

// EOF tells that the peer has closed the connection, and says whether the body
// is complete: only one that ends with the connection, or is done, is.
func (b *Body) EOF() bool {
	if b.state == bodyClose {
		b.state = bodyDone
	}
	return b.state == bodyDone
}
