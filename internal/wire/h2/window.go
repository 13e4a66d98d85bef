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
// its bandwidth times its delay. The PING left when half a window had arrived, and that is given
// back by halves; so a client that is held up by its window sends half of it in that time. A
// third is taken as the sign, and with three times what the path holds nobody is held up.
func (c *Conn) grow() {
	c.measuring = false
	l := c.shared.Limits
	if c.measured < c.target/3 {
		return
	}
	most := max(l.MaxWindow, c.target)
	c.target = int32(min(2*int64(c.target), int64(most)))
	most = max(l.MaxConnWindow, c.connTarget)
	c.connTarget = int32(min(max(int64(c.connTarget), 2*int64(c.target)), int64(most)))
	c.refill()
}
