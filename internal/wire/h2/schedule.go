package h2

import "math/bits"

// schedule orders the streams that have something to send and an open window,
// after RFC 9218 section 10: the most urgent first; of one urgency, those that are not
// incremental one after the other in the order of their numbers, those that are in turns; and
// where both kinds are there, they alternate.
type schedule struct {
	lists [levels * 2]list // of urgency u: 2u not incremental, 2u+1 incremental
	mask  uint16           // lists that are not empty
	turn  uint8            // bit for each urgency: the incremental ones are next
}

const (
	levels         = 8
	defaultUrgency = 3
)

type list struct{ first, last *Stream }

func (s *Stream) level() int {
	if s.is(incremental) {
		return 2*int(s.urgency) + 1
	}
	return 2 * int(s.urgency)
}

func (q *schedule) add(s *Stream) {
	k := s.level()
	l := &q.lists[k]
	after := l.last
	if !s.is(incremental) {
		for after != nil && after.id > s.id {
			after = after.prev
		}
	}
	s.prev = after
	if after == nil {
		s.next, l.first = l.first, s
	} else {
		s.next, after.next = after.next, s
	}
	if s.next == nil {
		l.last = s
	} else {
		s.next.prev = s
	}
	q.mask |= 1 << k
	s.state |= listed
}

func (q *schedule) remove(s *Stream) {
	k := s.level()
	l := &q.lists[k]
	if s.prev == nil {
		l.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.next, s.prev = nil, nil
	if l.first == nil {
		q.mask &^= 1 << k
	}
	s.state &^= listed
}

// next is the stream whose turn it is. There must be one.
func (q *schedule) next() *Stream {
	u := bits.TrailingZeros16(q.mask) / 2
	k := 2 * u
	switch q.mask >> k & 3 {
	case 2:
		k++
	case 3:
		k += int(q.turn >> u & 1)
		q.turn ^= 1 << u
	}
	return q.lists[k].first
}

// others says whether a stream besides s waits that is at least as urgent.
func (q *schedule) others(s *Stream) bool {
	mask := q.mask & (1<<(2*s.urgency+2) - 1)
	if mask == 0 {
		return false
	}
	if mask&(mask-1) != 0 || !s.is(listed) {
		return true
	}
	return s.next != nil || s.prev != nil
}

// list makes s known to the schedule if it can send.
func (c *Conn) list(s *Stream) {
	if s.state&(waiting|listed) != waiting || s.send <= 0 {
		return
	}
	if c.queue == nil {
		c.queue = c.shared.getSchedule()
	}
	c.queue.add(s)
}

func (c *Conn) unlist(s *Stream) {
	if !s.is(listed) {
		return
	}
	c.queue.remove(s)
	if c.queue.mask == 0 {
		c.shared.putSchedule(c.queue)
		c.queue = nil
	}
}

// wait notes whether the owner has something to send on s.
func (c *Conn) wait(s *Stream, has bool) {
	switch {
	case has == s.is(waiting):
	case has:
		s.state |= waiting
		c.waiting++
	default:
		s.state &^= waiting | watched
		c.waiting--
	}
	if has {
		c.list(s)
	} else {
		c.unlist(s)
	}
}

// requeue puts s behind the others after its turn, or out of the schedule if
// its window is closed now.
func (c *Conn) requeue(s *Stream) {
	c.unlist(s)
	c.wait(s, true)
}

// Wait tells that the owner has content to send on s which was not offered to
// Send, or not taken by it.
func (c *Conn) Wait(s *Stream) {
	if s.is(gone) || s.is(sentEnd) && !s.is(noBody) {
		return
	}
	c.wait(s, true)
}

// Ready is the stream whose turn it is to send, nil if the windows of the
// client let none. The owner answers with Send or Frame, and with Wait if it has still more.
func (c *Conn) Ready() *Stream {
	if c.queue == nil || c.send <= 0 || c.err != nil {
		return nil
	}
	return c.queue.next()
}
