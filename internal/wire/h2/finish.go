package h2

// How streams end. Whoever ends one, it leaves the table at once, and what it
// held of the connection's window is free again.

// drop takes s out of the table.
func (c *Conn) drop(s *Stream) {
	c.unlist(s)
	c.wait(s, false)
	c.streams.remove(s)
	c.recv.consumed(s.recv.unread)
	s.state |= gone
}

// finish ends s for the client's sake. The owner hears of it if it knows s.
func (c *Conn) finish(s *Stream, e *Error, code Code) {
	c.drop(s)
	if s.is(told) {
		c.record(record{kind: Reset, stream: s, err: e, code: code})
	} else {
		c.shared.Counters.Hidden++
		c.shared.putStream(s)
	}
	c.refill()
}

// endStream resets s for what the client did.
func (c *Conn) endStream(s *Stream, e *Error, a Abuse) {
	c.Out = appendReset(c.Out, s.id, e.Code)
	c.remember(s.id)
	c.shared.Counters.Faults++
	c.finish(s, e, e.Code)
	c.answered()
	c.count(a)
}

// done ends s after the owner's last word.
func (c *Conn) done(s *Stream) {
	if s.is(gone) {
		s.state |= ownerEnd // no Reset is told any more
		return
	}
	c.drop(s)
	if s.is(recvEnd) {
		c.noteClosed(s.id)
	}
	c.shared.putStream(s)
	c.refill()
}

// remember keeps the number of a stream that we have reset, since frames for it
// may be on their way.
func (c *Conn) remember(id uint32) {
	const most = 128
	if len(c.resetIDs) < most {
		c.resetIDs = append(c.resetIDs, id)
		return
	}
	c.resetIDs[c.resetAt%most] = id
	c.resetAt++
}

// noteClosed keeps the number of a stream that the client knows to be over.
func (c *Conn) noteClosed(id uint32) {
	for i, r := range c.resetIDs {
		if r == id {
			c.resetIDs[i] = 0 // nothing more can be on its way
		}
	}
	c.closed[c.closedAt%uint8(len(c.closed))] = id
	c.closedAt++
}

// Reset ends s at once; the client hears code. It is the owner's last word on s.
func (c *Conn) Reset(s *Stream, code Code) {
	if !s.is(gone) {
		c.Out = appendReset(c.Out, s.id, code)
		c.remember(s.id)
	}
	c.done(s)
}

// Finish ends a tunnel in order: what was sent before is delivered. It is the
// owner's last word on s.
func (c *Conn) Finish(s *Stream) {
	if !s.is(gone) {
		c.endSending(s)
		if !s.is(recvEnd) {
			c.Out = appendReset(c.Out, s.id, NoError)
			c.remember(s.id)
		}
	}
	c.done(s)
}

// endSending sends END_STREAM by itself if it was not sent.
func (c *Conn) endSending(s *Stream) {
	if !s.is(sentEnd) {
		c.Out = appendHeader(c.Out, 0, typeData, flagEndStream, s.id)
		s.state |= sentEnd
	}
}

// responded ends s after a complete response. If the request is not complete,
// the client is told that the rest is not needed (RFC 9113 8.1).
//
// Whoever lets as many requests be answered as it resets may go on: a gateway
// whose users come and go.
func (c *Conn) responded(s *Stream) {
	c.pay(resets, 1)
	if !s.is(recvEnd) {
		c.Out = appendReset(c.Out, s.id, NoError)
		c.remember(s.id)
	}
	c.done(s)
}
