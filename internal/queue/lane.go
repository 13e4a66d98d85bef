package queue

import "sync/atomic"

// Lane is the part of a queue that belongs to one loop.
type Lane[T any] struct {
	queue      *Queue[T]
	head, tail *Entry[T]
	length     int
	ready      ring[T] // seats that had credit when last seen

	// Written by the lane's loop, read by anybody.
	Requests, Rejected, Cancelled, Expired atomic.Uint64
	// Connections in opaque mode, since the queue was made, and how many of those
	// that are relayed there are now.
	Relayed, HandedOver atomic.Uint64
	Relaying            atomic.Int64

	_ [64]byte // the lanes of two loops share no cache line
}

// Entry is a place in a lane, embedded in what waits.
type Entry[T any] struct {
	Value      T
	next, prev *Entry[T]
	lane       *Lane[T] // where it waits; nil: nowhere
	since      int64
}

// Waiting says whether the entry is in a lane.
func (e *Entry[T]) Waiting() bool { return e.lane != nil }

// Since is when the entry was submitted, in the caller's milliseconds.
func (e *Entry[T]) Since() int64 { return e.since }

// Taker is a worker's channel on the lane's loop.
type Taker[T any] interface {
	// Take gets an entry to work on; false if there is no credit for it.
	Take(T) bool
}

// Seat is the place of a worker in a lane.
type Seat[T any] struct {
	taker Taker[T]
	lane  *Lane[T]
	ready bool // in the ring
	gone  bool
}

// Result says what became of a submitted entry.
type Result uint8

// The results of Submit.
const (
	Taken   Result = iota // a worker has it
	Waiting               // it waits
	Full                  // the queue's limit is reached: not accepted
)

// Submit hands e to a worker or lets it wait.
func (l *Lane[T]) Submit(e *Entry[T], now int64) Result {
	l.Requests.Add(1)
	e.since = now
	if l.head == nil && l.offer(e) {
		return Taken
	}
	if l.queue.waiting.Add(1) > int64(l.queue.Limit) {
		l.queue.waiting.Add(-1)
		l.Rejected.Add(1)
		return Full
	}
	l.insert(e, l.tail)
	return Waiting
}

// offer gives e to the next seat that has credit.
func (l *Lane[T]) offer(e *Entry[T]) bool {
	for {
		s := l.ready.pop()
		if s == nil {
			return false
		}
		s.ready = false
		if s.taker.Take(e.Value) {
			if !s.gone {
				s.ready = true
				l.ready.push(s) // behind the others: in turn
			}
			return true
		}
	}
}

// Requeue puts back an entry that a worker took and had not begun when it
// died. It keeps its age, and its place before those that came later; the
// limit does not apply, since it was accepted once.
func (l *Lane[T]) Requeue(e *Entry[T]) {
	if l.head == nil && l.offer(e) {
		return
	}
	after := l.tail
	for after != nil && after.since > e.since {
		after = after.prev
	}
	l.queue.waiting.Add(1)
	l.insert(e, after)
}

func (l *Lane[T]) insert(e, after *Entry[T]) {
	e.lane, e.prev = l, after
	if after == nil {
		e.next = l.head
		l.head = e
	} else {
		e.next = after.next
		after.next = e
	}
	if e.next == nil {
		l.tail = e
	} else {
		e.next.prev = e
	}
	l.length++
}

func (l *Lane[T]) unlink(e *Entry[T]) {
	if e.prev == nil {
		l.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.next, e.prev, e.lane = nil, nil, nil
	l.length--
	l.queue.waiting.Add(-1)
}

// Remove takes out an entry whose client left.
func (l *Lane[T]) Remove(e *Entry[T]) {
	if e.lane == l {
		l.unlink(e)
	}
}

// Join seats a worker. Call Ready when it has credit.
func (l *Lane[T]) Join(t Taker[T]) *Seat[T] { return &Seat[T]{taker: t, lane: l} }

// Leave ends the seat. It is taken out of the ring at once: in a lane that no
// request comes to, nobody else would ever do it.
func (s *Seat[T]) Leave() {
	s.gone = true
	if s.ready {
		s.ready = false
		s.lane.ready.remove(s)
	}
}

// Ready tells that the worker of s has credit. It takes one waiting entry, if
// there is one, and reports whether it did: a worker with seats in several
// lanes asks them in turn. Without a waiting entry the seat stands by for the
// next one.
func (s *Seat[T]) Ready() bool {
	l := s.lane
	if e := l.head; e != nil {
		l.unlink(e)
		if s.taker.Take(e.Value) {
			return true
		}
		l.queue.waiting.Add(1)
		l.insert(e, nil)
		return false
	}
	if !s.ready && !s.gone {
		s.ready = true
		l.ready.push(s)
	}
	return false
}

// Oldest is since when the first entry waits; false if none does.
func (l *Lane[T]) Oldest() (since int64, ok bool) {
	if l.head == nil {
		return 0, false
	}
	return l.head.since, true
}

// Expire takes out one entry that has waited longer than the queue allows.
func (l *Lane[T]) Expire(now int64) (v T, ok bool) {
	max := l.queue.MaxAge.Milliseconds()
	if max == 0 || l.head == nil || now-l.head.since < max {
		return v, false
	}
	e := l.head
	l.unlink(e)
	l.Expired.Add(1)
	return e.Value, true
}

// Drain takes out the first entry, for a queue that ends.
func (l *Lane[T]) Drain() (v T, ok bool) {
	e := l.head
	if e == nil {
		return v, false
	}
	l.unlink(e)
	return e.Value, true
}

// ring is a queue of seats.
type ring[T any] struct {
	seats []*Seat[T] // power of two
	first int
	n     int
}

func (r *ring[T]) push(s *Seat[T]) {
	if r.n == len(r.seats) {
		grown := make([]*Seat[T], max(4, 2*len(r.seats)))
		for i := range r.n {
			grown[i] = r.seats[(r.first+i)&(len(r.seats)-1)]
		}
		r.seats, r.first = grown, 0
	}
	r.seats[(r.first+r.n)&(len(r.seats)-1)] = s
	r.n++
}

// remove takes out s and keeps the order of the others.
func (r *ring[T]) remove(s *Seat[T]) {
	n := r.n
	for range n {
		if o := r.pop(); o != s {
			r.push(o)
		}
	}
}

func (r *ring[T]) pop() *Seat[T] {
	if r.n == 0 {
		return nil
	}
	s := r.seats[r.first]
	r.seats[r.first] = nil
	r.first = (r.first + 1) & (len(r.seats) - 1)
	r.n--
	return s
}
