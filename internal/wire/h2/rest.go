package h2

import (
	"cmp"
	"slices"
)

// A request may wait for its answer for as long as its application likes. A stream on which
// nothing moves is put to rest: what is needed of it goes into an Idle, which its owner keeps
// together with what it knows itself, and the Stream is used for others. Whoever names the stream
// wakes it, on either side.

// Idle is a stream at rest.
type Idle struct {
	content *idleContent // nil: the request is complete
	send    outflow
	id      uint32
	state   streamState
	urgency uint8
}

// idleContent is what is needed of a stream whose request is to go on.
type idleContent struct {
	left int64
	recv inflow
}

// Sleeper is what the owner keeps of a stream at rest.
type Sleeper interface {
	// Idle is the part that is the core's.
	Idle() *Idle
	// Woken tells that the stream is s from now on, whose Owner is to be set. It is called within
	// any call of the Conn, and must make none itself.
	Woken(s *Stream)
}

// Rest puts s to rest, unless something is under way on it; the owner has nothing to send on it,
// and nothing that is not Consumed. It must not be called before Next has returned nil.
func (c *Conn) Rest(s *Stream, z Sleeper) bool {
	const busy = gone | headSent | sentEnd | ownerEnd | waiting | listed | tunnel
	if s.state&busy != 0 || !s.is(told) || c.err != nil || c.batch != nil {
		return false
	}
	k := z.Idle()
	*k = Idle{send: s.send, id: s.id, state: s.state &^ watched, urgency: s.urgency}
	if !s.is(recvEnd) {
		k.content = &idleContent{s.left, s.recv}
	}
	i, _ := c.resting(s.id)
	if n := len(c.idle); n == cap(c.idle) { // not twice as many, as append would: they may stay so for long
		c.idle = append(make([]Sleeper, 0, n+max(16, n/8)), c.idle...)
	}
	c.idle = slices.Insert(c.idle, i, z)
	c.streams.remove(s)
	c.shared.putStream(s)
	return true
}

// Resting are the streams at rest. The list holds until the next call of the Conn.
func (c *Conn) Resting() []Sleeper { return c.idle }

// Wake ends the rest of a stream.
func (c *Conn) Wake(z Sleeper) *Stream { return c.find(z.Idle().id) }

// resting is where in c.idle a number is, or would be: they are in order, and most of the time the
// last opened is the last to rest.
func (c *Conn) resting(id uint32) (int, bool) {
	return slices.BinarySearchFunc(c.idle, id, func(z Sleeper, id uint32) int { return cmp.Compare(z.Idle().id, id) })
}

// find returns an open stream, nil if there is none with this number. One at rest is woken.
func (c *Conn) find(id uint32) *Stream {
	if s := c.streams.get(id); s != nil || len(c.idle) == 0 {
		return s
	}
	i, there := c.resting(id)
	if !there {
		return nil
	}
	return c.wake(i)
}

func (c *Conn) wake(i int) *Stream {
	z := c.idle[i]
	if c.idle = slices.Delete(c.idle, i, i+1); len(c.idle) == 0 {
		c.idle = nil
	}
	s, k := c.shared.getStream(), z.Idle()
	*s = Stream{
		id: k.id, sendLeft: -1, send: k.send, minRate: c.shared.Limits.MinSendRate, state: k.state, urgency: k.urgency,
	}
	if k.content != nil {
		s.left, s.recv = k.content.left, k.content.recv
	}
	c.streams.put(s)
	z.Woken(s)
	return s
}

// any returns an open stream, nil if there is none.
func (c *Conn) any() *Stream {
	if n := len(c.idle); n > 0 {
		return c.wake(n - 1)
	}
	return c.streams.any()
}
