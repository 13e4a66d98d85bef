package queue

import "sync"

// Affinity: requests with the same key go to the same worker as long as it is
// there. Which one that is says a Pin, if there is one; else the key itself, in a
// way that all lanes agree on without asking each other (rendezvous hashing: each
// key has an order of workers, and takes the first one that is there. When a worker
// goes, only its keys move).

// Pins remembers workers by keys, for what a worker has given out itself, such
// as the number of a session. It is shared by the lanes of a queue, and holds
// the last maxPins keys.
type Pins struct {
	mu      sync.Mutex
	workers map[uint64]uint64
	order   []uint64 // keys, the oldest at next
	next    int
}

// maxPins bounds what clients can make a queue remember: 1.5 MB. Who has been
// forgotten gets a worker by its key.
const maxPins = 65536

// NewPins makes an empty one.
func NewPins() *Pins { return &Pins{workers: map[uint64]uint64{}} }

// Set says that key belongs to worker.
func (p *Pins) Set(key, worker uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.workers[key]; !known {
		if len(p.order) < maxPins {
			p.order = append(p.order, key)
		} else {
			delete(p.workers, p.order[p.next])
			p.order[p.next] = key
			p.next = (p.next + 1) % maxPins
		}
	}
	p.workers[key] = worker
}

// Get is the worker of a key.
func (p *Pins) Get(key uint64) (worker uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	worker, ok = p.workers[key]
	return worker, ok
}

// SubmitFor is Submit for a request that belongs to the worker that key says: it
// waits for that one even if others are idle. Key 0 belongs to nobody.
func (l *Lane[T]) SubmitFor(e *Entry[T], key uint64, now int64) Result {
	e.key = key
	s := l.seatFor(key)
	if s == nil {
		return l.Submit(e, now)
	}
	l.Requests.Add(1)
	e.since = now
	if s.own.head == nil && s.taker.Take(e.Value) {
		return Taken
	}
	if l.queue.waiting.Add(1) > int64(l.queue.Limit) {
		l.queue.waiting.Add(-1)
		l.Rejected.Add(1)
		return Full
	}
	l.insert(&s.own, e, s.own.tail)
	return Waiting
}

// seatFor is the seat of the worker that a key belongs to; nil: anybody may
// take the request, or nobody is there.
func (l *Lane[T]) seatFor(key uint64) *Seat[T] {
	if key == 0 || len(l.seats) == 0 {
		return nil
	}
	if id, ok := l.queue.Pins.Get(key); ok {
		for _, s := range l.seats {
			if s.id == id {
				return s
			}
		}
	}
	var best *Seat[T]
	var most uint64
	for _, s := range l.seats {
		if w := mix(key ^ mix(s.id)); best == nil || w > most {
			best, most = s, w
		}
	}
	return best
}

// mix spreads the bits of a number (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
