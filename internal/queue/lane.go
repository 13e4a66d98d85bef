package queue

import (
	"slices"
	"sync/atomic"
)

// Lane is the part of a queue that belongs to one loop.
type Lane[T any] struct {
	queue   *Queue[T]
	list[T]         // what anybody may take
	ready   ring[T] // seats that had credit when last seen
	seats   []*Seat[T]

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
	in         *list[T] // of the lane, or of the seat that it waits for
	since      int64
	key        uint64 // affinity; 0: any worker
}

// list is entries by age.
type list[T any] struct {
	head, tail *Entry[T]
	length     int
}

// place is the entry behind which one of this age belongs; nil: the first.
func (q *list[T]) place(since int64) *Entry[T] {
	after := q.tail
	for after != nil && after.since > since {
		after = after.prev
	}
	return after
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
	id    uint64 // of the worker, the same in all lanes
	lane  *Lane[T]
	own   list[T] // what only this worker may take
	ready bool    // in the ring
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
	l.insert(&l.list, e, l.tail)
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
	in := &l.list
	if s := l.seatFor(e.key); s != nil {
		if s.own.head == nil && s.taker.Take(e.Value) {
			return
		}
		in = &s.own
	} else if l.head == nil && l.offer(e) {
		return
	}
	l.queue.waiting.Add(1)
	l.insert(in, e, in.place(e.since))
}

func (l *Lane[T]) insert(in *list[T], e, after *Entry[T]) {
	e.lane, e.in, e.prev = l, in, after
	if after == nil {
		e.next = in.head
		in.head = e
	} else {
		e.next = after.next
		after.next = e
	}
	if e.next == nil {
		in.tail = e
	} else {
		e.next.prev = e
	}
	in.length++
}

func (l *Lane[T]) unlink(e *Entry[T]) {
	in := e.in
	if e.prev == nil {
		in.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		in.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.next, e.prev, e.lane, e.in = nil, nil, nil, nil
	in.length--
	l.queue.waiting.Add(-1)
}

// Remove takes out an entry whose client left.
func (l *Lane[T]) Remove(e *Entry[T]) {
	if e.lane == l {
		l.unlink(e)
	}
}

// Join seats a worker. Call Ready when it has credit.
func (l *Lane[T]) Join(t Taker[T]) *Seat[T] { return l.JoinAs(t, 0) }

// JoinAs is Join for a worker that has a number, the same in all lanes: by it
// affinity knows it.
func (l *Lane[T]) JoinAs(t Taker[T], id uint64) *Seat[T] {
	s := &Seat[T]{taker: t, id: id, lane: l}
	l.seats = append(l.seats, s)
	return s
}

// Only is the worker of a lane that has no other; false if there are several, or none.
func (l *Lane[T]) Only() (t Taker[T], ok bool) {
	if len(l.seats) != 1 {
		return nil, false
	}
	return l.seats[0].taker, true
}

// In says whether the seat is one of l.
func (s *Seat[T]) In(l *Lane[T]) bool { return s.lane == l }

// Leave ends the seat. It is taken out of the ring at once: in a lane that no
// request comes to, nobody else would ever do it. What waited for its worker goes to
// others.
func (s *Seat[T]) Leave() {
	s.gone = true
	l := s.lane
	if s.ready {
		s.ready = false
		l.ready.remove(s)
	}
	if i := slices.Index(l.seats, s); i >= 0 {
		l.seats = slices.Delete(l.seats, i, i+1)
	}
	for e := s.own.head; e != nil; e = s.own.head {
		l.unlink(e)
		l.Requeue(e)
	}
}

// Ready tells that the worker of s has credit. It takes one waiting entry, if
// there is one, and reports whether it did: a worker with seats in several
// lanes asks them in turn. Without a waiting entry the seat stands by for the
// next one.
func (s *Seat[T]) Ready() bool {
	l := s.lane
	in := &l.list
	if s.own.head != nil && (l.head == nil || s.own.head.since <= l.head.since) {
		in = &s.own
	}
	if e := in.head; e != nil {
		l.unlink(e)
		if s.taker.Take(e.Value) {
			return true
		}
		l.queue.waiting.Add(1)
		l.insert(in, e, nil)
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
	e := l.oldest()
	if e == nil {
		return 0, false
	}
	return e.since, true
}

func (l *Lane[T]) oldest() *Entry[T] {
	first := l.head
	for _, s := range l.seats {
		if e := s.own.head; e != nil && (first == nil || e.since < first.since) {
			first = e
		}
	}
	return first
}

// Expire takes out one entry that has waited longer than the queue allows.
func (l *Lane[T]) Expire(now int64) (v T, ok bool) {
	max := l.queue.maxAge.Load()
	e := l.oldest()
	if max == 0 || e == nil || now-e.since < max {
		return v, false
	}
	l.unlink(e)
	l.Expired.Add(1)
	return e.Value, true
}

// Drain takes out the first entry, for a queue that ends.
func (l *Lane[T]) Drain() (v T, ok bool) {
	e := l.oldest()
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
