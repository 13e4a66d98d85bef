package h2

// Receiving windows. What the application has not read counts against the
// window of its stream and against that of the connection, so that a slow application slows down
// its own client, and what a connection can make us hold is bounded by connTarget.

// Consumed tells that n bytes of content of s need no memory any more.
func (c *Conn) Consumed(s *Stream, n int) {
	if s.is(gone) {
		return // its share was given back when it ended
	}
	s.recv.consumed(int32(n))
	c.recv.consumed(int32(n))
	c.refill()
	if s.is(recvEnd) {
		return
	}
	if more := s.recv.refill(c.target); more > 0 {
		c.Out = appendWindowUpdate(c.Out, s.id, more)
		c.measure()
	}
}

func (c *Conn) refill() {
	if more := c.recv.refill(c.connTarget); more > 0 {
		c.Out = appendWindowUpdate(c.Out, 0, more)
	}
}

// measure begins to count what arrives between a PING and its answer, if the
// windows can still grow. It is called when a window is filled up, so small requests cause none.
func (c *Conn) measure() {
	if c.measuring || c.target >= c.shared.Limits.MaxWindow {
		return
	}
	c.measuring, c.measured = true, 0
	c.Out = appendPing(c.Out, 0, pingMeasure)
}

// grow takes the answer: what arrived meanwhile is about what the path holds,
// its bandwidth times its delay. If that is most of the window, the window is what limits the
// client.
func (c *Conn) grow() {
	c.measuring = false
	l := c.shared.Limits
	if int64(c.measured) < int64(c.target)/3*2 {
		return
	}
	c.target = int32(min(2*max(int64(c.measured), int64(c.target)), int64(max(l.MaxWindow, c.target))))
	c.connTarget = int32(min(max(int64(c.connTarget), 2*int64(c.target)), int64(max(l.MaxConnWindow, c.connTarget))))
	c.refill()
}
