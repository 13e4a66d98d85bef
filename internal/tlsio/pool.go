package tlsio

import (
	"errors"
	"iter"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/httpsys/httpsys/internal/loop"
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
	// Beside is how many handshakes compute at the same time on other threads
	// than the loop's.
	Beside int
	// Open is how many have begun and not ended; each costs a goroutine and some
	// 40 KiB. When more want to begin, the ones that have waited longest for
	// their client give way.
	Open int
	// Waiting is how many may wait to begin, WaitingEach from one address.
	Waiting, WaitingEach int
}

func (l *Limits) setDefaults() {
	set := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	set(&l.Beside, runtime.NumCPU())
	set(&l.Open, 512)
	set(&l.Waiting, 4096)
	set(&l.WaitingEach, l.Waiting/4)
}

// Pool runs the handshakes of one loop. A handshake is some hundred
// microseconds of computing in two pieces, with a wait for the client between
// them. Where it computes is decided when it begins. As long as another loop
// sleeps, there is a processor with nothing to do: then a goroutine computes
// there, and the loop does not notice. When all loops have work, there is
// none, and a thread for handshakes would only compete with the loop's for its
// own processor, in slices of the kernel that are much longer than a handshake.
// Then the handshake is a coroutine of the loop, which does one piece of one
// handshake after each turn, when all others have been served.
//
// Those that have begun go before those that have not, since they are half
// paid for; those that have not begun are taken in turns by the client's
// address, so that a client that makes many does not keep the others waiting.
type Pool struct {
	limits Limits
	loop   *loop.Loop
	spare  *Spare

	mu      sync.Mutex
	asked   bool // TurnEnd will be called
	beside  int  // handshakes that compute on other threads
	open    int  // handshakes that have begun
	giving  int  // those of them that were ended to let others begin
	resumed list // that may go on, on threads of their own
	ready   list // that may go on, on the loop
	parked  list // that wait for their client, in the order in which they began to
	fresh   fair // that have not begun
}

// Spare counts the processors that have nothing to do: loops that sleep, less
// the handshakes that compute in their stead. All pools of a daemon share one.
type Spare struct{ Asleep, busy atomic.Int32 }

// take reserves a processor, if there is one.
func (s *Spare) take() bool {
	for {
		n := s.busy.Load()
		if n >= s.Asleep.Load() {
			return false
		}
		if s.busy.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// NewPool makes the Pool of l, which counts its sleep in spare.Asleep.
func NewPool(l *loop.Loop, spare *Spare, limits Limits) *Pool {
	limits.setDefaults()
	p := &Pool{limits: limits, loop: l, spare: spare}
	p.fresh.limit, p.fresh.each = limits.Waiting, limits.WaitingEach
	return p
}

// phase is where a handshake is. It is guarded by Pool.mu.
type phase uint8

const (
	waiting   phase = iota // in fresh
	running                // computes
	parked                 // waits for its client, in parked
	resumed                // waits for its turn, in resumed or ready
	elsewhere              // waits for something that is not the client
	over
)

// handshake is the handshake of one connection.
type handshake struct {
	pool *Pool
	c    *Conn
	done func(error)

	wanted string // the name that the client asks for

	// How it goes on after it has stopped: it is a goroutine of its own, or a
	// coroutine of the loop.
	turn  chan struct{}
	next  func() (struct{}, bool)
	yield func(struct{}) bool
	err   error // how the coroutine has ended

	// Guarded by pool.mu.
	phase  phase
	event  bool  // the socket has changed since listen
	cancel error // why it shall end
	gives  bool  // way to another: counted in pool.giving
	from   *bucket
	after  *handshake // in a list
	before *handshake
}

// Handshake begins the handshake of c. done is called once, on the loop, with
// nil or the reason of the failure, perhaps before Handshake or Cancel returns;
// from then on c is the loop's alone. Until then only Wake and Cancel may be
// called on c; later they do nothing. All of them are for the loop only.
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
	p.dispatch(true)
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
	switch h.phase {
	case waiting:
		p.fresh.remove(h)
		h.phase = over
		p.mu.Unlock()
		h.finish(err)
		return
	case parked:
		p.resume(h)
	}
	if h.next != nil && (h.phase == resumed || h.phase == elsewhere) {
		if h.phase == resumed {
			p.ready.remove(h)
		}
		p.step(h) // nothing stops it any more
	}
	p.dispatch(true)
	p.mu.Unlock()
}

// wake lets h go on if it waits for its client. p.mu is held.
func (p *Pool) wake(h *handshake) {
	if h.phase == parked {
		p.resume(h)
		p.dispatch(true)
	}
}

// resume takes h out of those that wait for their client.
func (p *Pool) resume(h *handshake) {
	p.parked.remove(h)
	p.again(h)
}

// again lets h go on when its turn comes.
func (p *Pool) again(h *handshake) {
	h.phase = resumed
	if h.next != nil {
		p.ready.push(h)
	} else {
		p.resumed.push(h)
	}
}

// dispatch begins what can compute beside the loop, and asks for a turn of the
// loop if something else is to be done. p.mu is held.
func (p *Pool) dispatch(onLoop bool) {
	fresh := p.room()
	for {
		if h := p.resumed.head; h != nil {
			if !p.place(true) {
				break
			}
			p.resumed.remove(h)
			h.phase = running
			h.turn <- struct{}{}
			continue
		}
		if !fresh || !p.place(false) {
			break
		}
		h := p.begin()
		h.turn = make(chan struct{}, 1)
		go h.run()
		fresh = p.room()
	}
	if p.asked || p.ready.head == nil && !fresh {
		return
	}
	p.asked = true
	if onLoop {
		p.loop.Later(p)
	} else {
		p.loop.Do(func() { p.loop.Later(p) })
	}
}

// place takes a place beside the loop, if there is one. What has begun there
// can go on nowhere else: so one of those always may. p.mu is held.
func (p *Pool) place(begun bool) bool {
	switch {
	case p.beside >= p.limits.Beside:
		return false
	case begun && p.beside == 0:
		p.spare.busy.Add(1)
	case !p.spare.take():
		return false
	}
	p.beside++
	return true
}

// leave gives a place back. p.mu is held.
func (p *Pool) leave() {
	p.beside--
	p.spare.busy.Add(-1)
}

// room tells whether another handshake waits and may begin. If too many have
// begun, it ends the one that has waited longest for its client. p.mu is held.
func (p *Pool) room() bool {
	if p.fresh.n == 0 {
		return false
	}
	if p.open < p.limits.Open {
		return true
	}
	for p.giving < p.fresh.n && p.parked.head != nil {
		h := p.parked.head
		h.cancel, h.gives = ErrOverload, true
		p.giving++
		p.resume(h)
	}
	return false // until one of them has ended
}

// begin takes the next that has not begun. p.mu is held, and there is room.
func (p *Pool) begin() *handshake {
	h := p.fresh.pop()
	h.phase = running
	p.open++
	return h
}

// TurnEnd does one piece of one handshake. The loop calls it.
func (p *Pool) TurnEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dispatch(true) // another loop may have gone to sleep meanwhile
	h := p.ready.head
	switch {
	case h != nil:
		p.ready.remove(h)
		p.step(h)
	case p.room():
		h = p.begin()
		h.next, _ = iter.Pull(func(yield func(struct{}) bool) {
			h.yield = yield
			h.run()
		})
		p.step(h)
	}
	p.asked = false
	p.dispatch(true)
}

// step lets a coroutine of the loop go on until it stops again, or has ended.
// p.mu is held, but not meanwhile.
func (p *Pool) step(h *handshake) {
	h.phase = running
	p.mu.Unlock()
	if _, more := h.next(); !more {
		h.finish(h.err)
	}
	p.mu.Lock()
}

// pause stops h until dispatch, TurnEnd or Cancel let it go on. p.mu is held,
// but not meanwhile.
func (h *handshake) pause() {
	p := h.pool
	if h.next != nil {
		p.mu.Unlock()
		h.yield(struct{}{})
		p.mu.Lock()
		return
	}
	p.leave()
	p.dispatch(false)
	p.mu.Unlock()
	<-h.turn
	p.mu.Lock()
}

// run is the goroutine or the coroutine of h.
func (h *handshake) run() {
	err := h.c.tls.Handshake()
	if err != nil && FailureOf(err) == NoCertificate {
		err = unbound{h.wanted}
	}
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
	h.phase = over
	if h.next != nil {
		h.err = err
		p.mu.Unlock()
		return
	}
	p.leave()
	p.dispatch(false)
	p.mu.Unlock()
	// Without a loop nobody is left to whom it matters.
	p.loop.Do(func() { h.finish(err) })
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

// park waits for an event, without computing.
func (h *handshake) park() error {
	p := h.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.cancel == nil && !h.event {
		h.phase = parked
		p.parked.push(h)
		h.pause()
	}
	return h.cancel
}

// wait runs f, which waits for something that is not the client, while others
// compute. It returns false if the handshake shall end before f has ended: then
// what f does is not to be looked at, as it may be doing it still.
func (h *handshake) wait(f func()) bool {
	p := h.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.next == nil {
		h.phase = elsewhere
		p.leave()
		p.dispatch(false)
		p.mu.Unlock()
		f()
		p.mu.Lock()
		p.again(h)
		p.dispatch(false)
		p.mu.Unlock()
		<-h.turn
		p.mu.Lock()
		return true
	}
	if h.cancel != nil {
		return false
	}
	h.phase = elsewhere
	ended := false
	go func() {
		f()
		p.loop.Do(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if h.phase == elsewhere && h.cancel == nil {
				ended = true
				p.again(h)
				p.dispatch(true)
			}
		})
	}()
	h.pause()
	return ended
}

// Load is how busy a Pool is.
type Load struct{ Beside, Open, Waiting int }

// Load tells how busy the pool is now.
func (p *Pool) Load() Load {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Load{Beside: p.beside, Open: p.open, Waiting: p.fresh.n}
}

// list is a queue of handshakes from the middle of which one can leave.
type list struct{ head, tail *handshake }

func (l *list) push(h *handshake) {
	if h.before = l.tail; h.before != nil {
		h.before.after = h
	} else {
		l.head = h
	}
	l.tail = h
}

func (l *list) remove(h *handshake) {
	if h.before != nil {
		h.before.after = h.after
	} else {
		l.head = h.after
	}
	if h.after != nil {
		h.after.before = h.before
	} else {
		l.tail = h.before
	}
	h.after, h.before = nil, nil
}
