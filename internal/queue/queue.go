// Package queue holds requests until an application takes one.
//
// A Queue has a name, an owner and a limit. It has a Lane for each event loop:
// a request waits in the lane of the loop that read it, and workers take from
// a lane through the channel that they have with that loop, so nothing here is
// locked. What the lanes share is one counter of those who wait, and it is
// touched only when somebody really waits.
//
// A worker pulls: it sits in a lane with a Seat, and takes entries as long as
// it has credit. Seats that have credit are served in turn. An Entry leaves
// its lane for four reasons: a worker takes it, its client left (Remove), it
// waited too long (Expire), or the queue ends (Drain).
//
// Read Lane.Submit first. Who may open a queue by its name is decided by the
// daemon.
package queue

import (
	"sync/atomic"
	"time"
)

// Limits of a queue, in requests (HTTP.SYS: HttpServerQueueLengthProperty).
const (
	DefaultLimit = 1000
	MaxLimit     = 65535
)

// DefaultOpaque is how many connections in opaque mode the requests of a queue
// may have become, unless its creator says otherwise. Each costs the daemon
// some kilobytes for as long as client and application like.
const DefaultOpaque = 65535

// Queue is a request queue. T is what waits in it.
type Queue[T any] struct {
	Name    string
	Private bool   // of one session; cannot be opened by name
	Owner   uint32 // user
	Limit   int
	Opaque  int   // connections in opaque mode that may be relayed at once
	Pins    *Pins // nil: any worker may take any request; set before anybody joins

	waiting atomic.Int64
	maxAge  atomic.Int64 // milliseconds
	lanes   []Lane[T]
}

// New makes a queue with a lane for each of loops.
func New[T any](name string, loops int) *Queue[T] {
	q := &Queue[T]{Name: name, Limit: DefaultLimit, Opaque: DefaultOpaque, lanes: make([]Lane[T], loops)}
	for i := range q.lanes {
		q.lanes[i].queue = q
	}
	return q
}

// SetMaxAge says how long a request may wait, to the millisecond; 0: as long as it
// takes. It holds for those that wait already.
func (q *Queue[T]) SetMaxAge(d time.Duration) { q.maxAge.Store(d.Milliseconds()) }

// MaxAge is what SetMaxAge said.
func (q *Queue[T]) MaxAge() time.Duration { return time.Duration(q.maxAge.Load()) * time.Millisecond }

// Lane returns the lane of a loop. Only that loop may use it.
func (q *Queue[T]) Lane(loop int) *Lane[T] { return &q.lanes[loop] }

// Waiting is the number of requests that wait in all lanes.
func (q *Queue[T]) Waiting() int { return int(q.waiting.Load()) }

// Relayed is the number of connections in opaque mode that go through the
// daemon now.
func (q *Queue[T]) Relayed() int {
	n := int64(0)
	for i := range q.lanes {
		n += q.lanes[i].Relaying.Load()
	}
	return int(n)
}

// OpaqueFull says that no more connections may be relayed.
func (q *Queue[T]) OpaqueFull() bool { return q.Relayed() >= q.Opaque }

// Counters of a queue since it was made.
type Counters struct{ Requests, Rejected, Cancelled, Expired, Relayed, HandedOver uint64 }

// Counters adds up those of all lanes.
func (q *Queue[T]) Counters() Counters {
	var c Counters
	for i := range q.lanes {
		l := &q.lanes[i]
		c.Requests += l.Requests.Load()
		c.Rejected += l.Rejected.Load()
		c.Cancelled += l.Cancelled.Load()
		c.Expired += l.Expired.Load()
		c.Relayed += l.Relayed.Load()
		c.HandedOver += l.HandedOver.Load()
	}
	return c
}
