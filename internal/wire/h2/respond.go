package h2

import (
	"errors"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Errors of the owner's side: what the application sends cannot be delivered.
// The stream was reset with INTERNAL_ERROR, and is over.
var (
	ErrResponseLength = errors.New("h2: the response is not as long as its Content-Length")
	ErrResponseStatus = errors.New("h2: status 101 does not exist in HTTP/2")
)

// small is up to where a DATA frame counts as a dribble, if the client's
// window cut it.
const small = 64

// large is from where on it pays for one.
const large = 4096

// Informational sends a 1xx response. 100 is sent once, to a client that
// waits for it.
func (c *Conn) Informational(s *Stream, r *message.Response) {
	if s.state&(gone|headSent) != 0 || c.err != nil {
		return
	}
	if r.Status == 100 {
		if !s.is(expects) {
			return
		}
		s.state &^= expects
	}
	c.Out = c.encoder.appendInformational(c.Out, c.shared, s.id, r)
}

// Respond sends the head of the final response and as much of body as can be
// sent now. It returns how much that is; the rest is the owner's to keep until Ready. end says
// that body is all there is: the stream is over when all is taken.
//
// The steps are those of h1.Frame.
func (c *Conn) Respond(s *Stream, r *message.Response, body []byte, end bool) (n int, err error) {
	if s.is(gone) || c.err != nil {
		return c.Send(s, body, end)
	}
	if s.is(headSent) {
		panic("h2: second response")
	}
	if r.Status < 200 {
		c.Reset(s, HTTP11Required)
		return len(body), ErrResponseStatus
	}
	s.state |= headSent
	s.state &^= expects
	// 1. and 2. Never content: HEAD, 204, 304, and a CONNECT that succeeds. HEAD
	// says the length that GET would have (RFC 9110 9.3.2).
	length := int64(-1)
	withLength := r.Status != 204
	switch {
	case r.Status == 204 || r.Status == 304:
		s.state |= noBody
	case s.is(isHead):
		s.state |= noBody
		if r.ContentLength < 0 && end && len(body) > 0 {
			length = int64(len(body))
		}
	case s.is(isConnect) && r.Status < 300:
		s.state |= noBody
		withLength = false
	// 5. and 6. The application's Content-Length is its word.
	case r.ContentLength >= 0:
		s.sendLeft = r.ContentLength
		if s.tooLong(len(body), end) {
			return len(body), c.wrongLength(s)
		}
	case end:
		length = int64(len(body))
	}
	last := s.is(noBody) || end && len(body) == 0
	c.Out = c.encoder.appendResponse(c.Out, c.shared, s.id, r, length, withLength, last)
	if last {
		s.state |= sentEnd
	}
	if !end || len(body) > frameSize {
		c.mergePriority(s, r)
	}
	if len(body) == 0 && !end {
		return 0, nil
	}
	return c.Send(s, body, end)
}

// Opaque accepts a CONNECT with a 2xx response: what the client sends in DATA
// and what Send gets are two streams of bytes. end of Send is a half-close; the last word is
// Finish or Reset.
func (c *Conn) Opaque(s *Stream, r *message.Response) {
	s.state |= headSent | tunnel
	if !s.is(gone) && c.err == nil {
		c.Out = c.encoder.appendResponse(c.Out, c.shared, s.id, r, -1, false, false)
	}
}

// Send sends as much of b as the windows allow, and returns how much that is.
// If it is not all, s waits, and Ready says when to go on. end says that b is all there is.
//
// While others wait that are as urgent it takes no more than a frame: then
// whoever is next should be asked from Ready.
func (c *Conn) Send(s *Stream, b []byte, end bool) (n int, err error) {
	for s.state&(gone|noBody) == 0 && c.err == nil {
		size, err := c.frame(s, len(b)-n, end)
		if err != nil {
			return len(b), err
		}
		if c.err != nil {
			break
		}
		c.Out = append(c.Out, b[n:n+size]...)
		n += size
		switch {
		case n < len(b) && (size == 0 || c.queue != nil && c.queue.others(s)):
			c.requeue(s)
			return n, nil
		case n < len(b):
			continue
		}
		c.wait(s, false)
		if end && !s.is(tunnel) {
			c.responded(s)
		}
		return n, nil
	}
	// Nothing is sent, neither now nor later.
	if !s.is(gone) {
		c.wait(s, false)
	}
	if end && !s.is(tunnel) {
		if s.is(gone) || c.err == nil {
			c.responded(s)
		} else {
			c.abandon(s)
		}
	}
	return len(b), nil
}

// Frame is Send for content that is not in memory: it appends the header of
// one DATA frame for at most size bytes, and returns for how many it is; the
// owner puts exactly these behind Out, before anything else. It must not be called
// if NoContent. When end was sent, the owner says Finish behind the content.
func (c *Conn) Frame(s *Stream, size int, end bool) (n int, err error) {
	if s.is(gone) || c.err != nil {
		return 0, nil
	}
	n, err = c.frame(s, size, end)
	switch {
	case err != nil:
	case n < size:
		c.requeue(s)
	default:
		c.wait(s, false)
	}
	return n, err
}

// NoContent says that the response has no content: what the owner sends is
// dropped.
func (s *Stream) NoContent() bool { return s.state&(noBody|gone) != 0 }

// frame appends the header of a DATA frame for at most size bytes, with
// END_STREAM if end is set and it is for all of them. It is nothing if size or the window is 0,
// but for the end.
func (c *Conn) frame(s *Stream, size int, end bool) (n int, err error) {
	if s.tooLong(size, end) {
		return 0, c.wrongLength(s)
	}
	if s.is(sentEnd) {
		return 0, nil
	}
	n = c.send.room(s.send.room(min(size, frameSize)))
	flags := uint8(0)
	switch {
	case end && n == size:
		flags = flagEndStream
		s.state |= sentEnd
	case n == 0:
		return 0, nil
	case n < small && n < size:
		if c.count(dribbles) {
			return 0, nil
		}
	case n >= large:
		c.pay(dribbles, 1) // whoever opens the window by halves leaves a rest in each
	}
	c.Out = appendHeader(c.Out, n, typeData, flags, s.id)
	c.send.take(n)
	s.send.take(n)
	if s.sendLeft > 0 {
		s.sendLeft -= int64(n)
	}
	s.progress += int32(n)
	c.progress += int32(n)
	c.pay(windowUpdates, 2)
	c.pay(pings, 1)
	return n, nil
}

// tooLong checks the rest of the content against Content-Length, from which
// what was sent is already taken off.
func (s *Stream) tooLong(rest int, end bool) bool {
	return s.sendLeft >= 0 && (int64(rest) > s.sendLeft || end && int64(rest) < s.sendLeft)
}

func (c *Conn) wrongLength(s *Stream) error {
	c.Reset(s, InternalError)
	return ErrResponseLength
}

// Trailers ends the response with a trailer section. All content must have
// been taken before.
func (c *Conn) Trailers(s *Stream, fields []message.Field) error {
	switch {
	case s.is(gone) || c.err != nil:
		c.abandon(s)
		return nil
	case s.sendLeft > 0:
		return c.wrongLength(s)
	case s.is(noBody | sentEnd):
	default:
		c.Out = c.encoder.appendTrailers(c.Out, c.shared, s.id, fields)
		s.state |= sentEnd
	}
	c.responded(s)
	return nil
}

// abandon takes the owner's last word on a stream or connection that has
// failed already.
func (c *Conn) abandon(s *Stream) {
	if !s.is(gone) {
		c.drop(s)
		c.shared.putStream(s)
		return
	}
	s.state |= ownerEnd
}
