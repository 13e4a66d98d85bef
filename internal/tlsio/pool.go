package tlsio

import (
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// HandshakeTimeout is how long a handshake may take, from the first byte to
// the end. Callers measure it and call Cancel.
const HandshakeTimeout = 15 * time.Second

// Why a handshake did not take place, beside what crypto/tls says.
var (
	ErrTimeout  = errors.New("tls: the handshake took too long")
	ErrOverload = errors.New("tls: too many handshakes at once")
	ErrClosed   = errors.New("tls: the connection was closed during the handshake")
)

// Limits of a Pool. Zero values mean the defaults.
type Limits struct {
	// Compute is how many handshakes use a processor at the same time.
	Compute int
	// Open is how many have begun and not ended; each costs a goroutine and some
	// 40 KiB. When more want to begin, the ones that have waited longest for
	// their client give way.
	Open int
	// Waiting is how many may wait to begin, WaitingEach from one address.
	Waiting, WaitingEach int
}

func (l *Limits) setDefaults() {
	cpus := runtime.NumCPU()
	set := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	set(&l.Compute, cpus)
	set(&l.Open, 512*max(2, cpus))
	set(&l.Waiting, 4096)
	set(&l.WaitingEach, l.Waiting/4)
}

// Pool runs handshakes. A handshake is some hundred microseconds of computing
// in two pieces, with a wait for the client between them. The Pool bounds how
// many compute, so that the loops, which have all other connections, always
// get a processor. Those that have begun go before those that have not, since
// they are half paid for; those that have not begun are taken in turns by the
// client's address, so that a client that makes many does not keep the others
// waiting.
type Pool struct {
	limits Limits

	mu      sync.Mutex
	free    int  // places to compute
	open    int  // handshakes that have begun
	giving  int  // those of them that were ended to let others begin
	resumed list // that may go on
	parked  list // that wait for their client, in the order in which they began to
	fresh   fair // that have not begun
}

// NewPool makes a Pool.
func NewPool(l Limits) *Pool {
	l.setDefaults()
	p := &Pool{limits: l, free: l.Compute}
	p.fresh.limit, p.fresh.each = l.Waiting, l.WaitingEach
	return p
}

// phase is where a handshake is. It is guarded by Pool.mu.
type phase uint8

const (
	waiting   phase = iota // in fresh
	running                // has a place
	parked                 // waits for its client, in parked
	resumed                // waits for a place, in resumed
	elsewhere              // waits for something that is not the client
	over
)

// handshake is the handshake of one connection.
type handshake struct {
	pool *Pool
	c    *Conn
	done func(error)
	turn chan struct{} // takes it out of parked and resumed

	// Guarded by pool.mu.
	phase  phase
	event  bool  // the socket has changed since listen
	cancel error // why it shall end
	next   *handshake
	prev   *handshake
	from   *bucket
	gives  bool // way to another: counted in pool.giving
}

// Handshake begins the handshake of c. done is called once, on some goroutine,
// with nil or the reason of the failure, perhaps before Handshake or Cancel
// returns; from then on c is the loop's alone. Until then only Wake and Cancel
// may be called on c; later they do nothing.
func (p *Pool) Handshake(c *Conn, done func(error)) {
	h := &handshake{pool: p, c: c, done: done}
	c.hs, c.t.hs = h, h
	p.mu.Lock()
	if !p.fresh.push(h, source(c.t.remote.Addr())) {
		h.phase = over
		p.mu.Unlock()
		h.finish(ErrOverload)
		return
	}
	p.dispatch()
	p.mu.Unlock()
}

// source is whose turn a client uses: an address, or what one customer of an
// IPv6 network has.
func source(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	pre, _ := a.WithZone("").Prefix(bits)
	return pre
}

// Wake says that the loop has seen an event of the socket.
func (c *Conn) Wake() {
	if h := c.hs; h != nil {
		h.pool.mu.Lock()
		h.event = true
		h.pool.wake(h)
		h.pool.mu.Unlock()
	}
}

// Cancel ends the handshake early, for the reason err. done is called as
// always.
func (c *Conn) Cancel(err error) {
	h := c.hs
	if h == nil {
		return
	}
	p := h.pool
	p.mu.Lock()
	if h.cancel == nil {
		h.cancel = err
	}
	if h.phase == waiting {
		p.fresh.remove(h)
		h.phase = over
		p.mu.Unlock()
		h.finish(err)
		return
	}
	p.wake(h)
	p.mu.Unlock()
}

// wake lets h go on if it waits for its client. p.mu is held.
func (p *Pool) wake(h *handshake) {
	if h.phase == parked {
		p.resume(h)
		p.dispatch()
	}
}

func (p *Pool) resume(h *handshake) {
	p.parked.remove(h)
	h.phase = resumed
	p.resumed.push(h)
}

// dispatch gives free places away. p.mu is held.
func (p *Pool) dispatch() {
	for p.free > 0 {
		if h := p.resumed.head; h != nil {
			p.resumed.remove(h)
			p.free--
			h.phase = running
			h.turn <- struct{}{}
			continue
		}
		if p.fresh.n == 0 {
			return
		}
		if p.open >= p.limits.Open {
			h := p.parked.head
			if h == nil || p.giving >= p.fresh.n {
				return // the next that ends makes room
			}
			h.cancel, h.gives = ErrOverload, true
			p.giving++
			p.resume(h)
			continue
		}
		h := p.fresh.pop()
		p.free--
		p.open++
		h.phase = running
		h.turn = make(chan struct{}, 1)
		go h.run()
	}
}

// leave gives the place of h back. p.mu is held.
func (p *Pool) leave(h *handshake, next phase) {
	h.phase = next
	p.free++
	p.dispatch()
}

func (h *handshake) run() {
	err := h.c.tls.Handshake()
	if b := h.c.t.binding; err == nil && b != nil {
		state := h.c.tls.ConnectionState()
		h.c.client = b.Established(&state, h.wait)
	}
	p := h.pool
	p.mu.Lock()
	if h.cancel != nil {
		err = h.cancel // which is why reading or writing failed, if it did
	}
	p.open--
	if h.gives {
		p.giving--
	}
	p.leave(h, over)
	p.mu.Unlock()
	h.finish(err)
}

// finish hands the connection back to the loop.
func (h *handshake) finish(err error) {
	t := &h.c.t
	t.hs = nil
	if err != nil {
		h.c.err = err
	} else {
		settle(h.c.tls)
	}
	h.done(err)
}

// listen is called before the socket is asked: an event from now on is news.
func (h *handshake) listen() {
	h.pool.mu.Lock()
	h.event = false
	h.pool.mu.Unlock()
}

// park waits for an event, without a place.
func (h *handshake) park() error {
	p := h.pool
	p.mu.Lock()
	if h.cancel == nil && !h.event {
		p.parked.push(h)
		p.leave(h, parked)
		p.mu.Unlock()
		<-h.turn
		p.mu.Lock()
	}
	err := h.cancel
	p.mu.Unlock()
	return err
}

// wait runs f, which does not compute, without a place.
func (h *handshake) wait(f func()) {
	p := h.pool
	p.mu.Lock()
	p.leave(h, elsewhere)
	p.mu.Unlock()
	f()
	p.mu.Lock()
	h.phase = resumed
	p.resumed.push(h)
	p.dispatch()
	p.mu.Unlock()
	<-h.turn
}

// Load is how busy a Pool is.
type Load struct{ Computing, Open, Waiting int }

// Load tells how busy the pool is now.
func (p *Pool) Load() Load {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Load{Computing: p.limits.Compute - p.free, Open: p.open, Waiting: p.fresh.n}
}

// list is a queue of handshakes from the middle of which one can leave.
type list struct{ head, tail *handshake }

func (l *list) push(h *handshake) {
	if h.prev = l.tail; h.prev != nil {
		h.prev.next = h
	} else {
		l.head = h
	}
	l.tail = h
}

func (l *list) remove(h *handshake) {
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		l.head = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		l.tail = h.prev
	}
	h.next, h.prev = nil, nil
}
