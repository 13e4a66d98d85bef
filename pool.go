package httpsys

import (
	"io"
	"net/http"
	"runtime"
	"sync"
	"time"
)

const (
	// keepIdle is how many goroutines without work are kept for ever, and
	// trimEvery how often those are let go that were not needed since.
	keepIdle  = 2
	trimEvery = 10 * time.Second
	// slowHandler is the time after which a response is not held back for those
	// of the handlers that follow: sending it costs little compared with that.
	slowHandler = 20 * time.Microsecond
)

// A pool runs handlers. Requests wait in a queue; goroutines take one after
// the other without sleeping in between, and send the responses together when
// the queue is empty. A goroutine that leaves something behind while it goes
// into a handler, be it requests or responses to be sent, first makes sure that
// another one has been woken. So a batch of short requests costs two switches
// of goroutines, and yet no request and no response ever waits for a handler
// that blocks, but for those that fill MaxHandlers.
type pool struct {
	handler http.Handler
	epoch   time.Time

	mu      sync.Mutex
	queue   fifo
	idle    []*worker // the last one slept least
	workers int
	limit   int     // of workers
	waking  bool    // a worker was woken and has not come yet
	dirty   []*loop // loops with responses to send
	stopped bool
	lowest  int // least number of idle workers since the last trim
	trimmer *time.Timer
}

// A worker is a goroutine of the pool. wake gets false when it is to end.
type worker struct{ wake chan bool }

func newPool(handler http.Handler, limit int) *pool {
	p := &pool{handler: handler, limit: limit, epoch: time.Now()}
	p.mu.Lock()
	p.trimmer = time.AfterFunc(trimEvery, p.trim)
	p.mu.Unlock()
	return p
}

func (p *pool) connected(*session) {}
func (p *pool) closing(bool)       {}

func (p *pool) disconnected(*session, uint64) {}

// deliver queues requests and wakes one goroutine, which wakes the next.
func (p *pool) deliver(batch []*exchange) {
	p.mu.Lock()
	for _, x := range batch {
		p.queue.push(x)
	}
	w := p.another()
	p.mu.Unlock()
	if w != nil {
		w.wake <- true
	}
}

// kick has somebody flush l.
func (p *pool) kick(l *loop) {
	p.mu.Lock()
	p.soil(l)
	w := p.another()
	stuck := w == nil && !p.waking
	p.mu.Unlock()
	switch {
	case w != nil:
		w.wake <- true
	case stuck:
		l.flush()
	}
}

// soil notes that l has something to send; mu is held.
func (p *pool) soil(l *loop) {
	if !l.dirty {
		l.dirty = true
		p.dirty = append(p.dirty, l)
	}
}

// another finds a goroutine to be woken, unless one is on its way already, and
// returns it for the caller to wake when it has unlocked mu. A new one is
// started here. If waking is not set afterwards, there was none to be had.
func (p *pool) another() *worker {
	if p.waking {
		return nil
	}
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.lowest = min(p.lowest, n-1)
		p.waking = true
		return w
	}
	if p.workers < p.limit && !p.stopped {
		p.workers++
		p.waking = true
		go p.work(&worker{wake: make(chan bool, 1)})
	}
	return nil
}

// work is the life of a goroutine of the pool.
func (p *pool) work(w *worker) {
	var x *exchange
	done := false
	defer func() {
		if !done { // a handler has called runtime.Goexit
			p.mu.Lock()
			p.ran(x)
			p.leave()
		}
	}()
	p.mu.Lock()
	p.waking = false
	for {
		x = p.queue.pop()
		if x == nil {
			if n := len(p.dirty); n > 0 {
				l := p.dirty[n-1]
				p.dirty = p.dirty[:n-1]
				l.dirty = false
				p.mu.Unlock()
				l.flush()
				p.mu.Lock()
				continue
			}
			if p.stopped || p.workers > p.limit {
				break
			}
			p.idle = append(p.idle, w)
			p.mu.Unlock()
			if !<-w.wake {
				done = true
				return // trim and closed have counted it
			}
			p.mu.Lock()
			p.waking = false
			continue
		}
		x.l.begun.begin(x.index)
		var other *worker
		stuck := false
		if p.queue.n > 0 || len(p.dirty) > 0 {
			other = p.another()
			stuck = other == nil && !p.waking && len(p.dirty) > 0
		}
		p.mu.Unlock()
		if other != nil {
			other.wake <- true
		}
		if stuck {
			// Nobody else would send them while the handler runs.
			p.flushAll()
		}
		p.run(x)
		p.mu.Lock()
		p.ran(x)
		if p.workers > p.limit {
			break
		}
	}
	done = true
	p.leave()
}

// ran notes that a request was answered; mu is held.
func (p *pool) ran(x *exchange) {
	if x.detached {
		p.limit--
	}
	p.soil(x.l)
}

// leave counts a goroutine out that ends; mu is held, and unlocked here. What
// it leaves behind is for another one.
func (p *pool) leave() {
	p.workers--
	var w *worker
	if p.queue.n > 0 || len(p.dirty) > 0 {
		w = p.another()
	}
	stuck := w == nil && !p.waking
	p.mu.Unlock()
	switch {
	case w != nil:
		w.wake <- true
	case stuck:
		p.flushAll()
	}
}

// flushAll sends what waits.
func (p *pool) flushAll() {
	for {
		p.mu.Lock()
		n := len(p.dirty)
		if n == 0 {
			p.mu.Unlock()
			return
		}
		l := p.dirty[n-1]
		p.dirty = p.dirty[:n-1]
		l.dirty = false
		p.mu.Unlock()
		l.flush()
	}
}

// run answers one request.
func (p *pool) run(x *exchange) {
	if x.gone.Load() {
		x.cancel(cancelAbort)
		return
	}
	begin := time.Since(p.epoch)
	p.serve(x)
	if time.Since(p.epoch)-begin > slowHandler {
		x.l.flush()
	}
}

// serve calls the handler. A panic ends this request and no other.
func (p *pool) serve(x *exchange) {
	orderly := false
	defer func() {
		if !orderly {
			// Without a panic, the handler has called runtime.Goexit.
			if v := recover(); v != nil && v != http.ErrAbortHandler {
				stack := make([]byte, 64<<10)
				stack = stack[:runtime.Stack(stack, false)]
				x.l.e.logf("httpsys: panic serving %v: %v\n%s", x.req.RemoteAddr, v, stack)
			}
		}
		x.resp.finish(orderly)
	}()
	switch err := x.prepare(); {
	case err != nil:
		x.refuse()
	case x.unmet: // RFC 9110 10.1.1
		x.resp.Header().Set("Connection", "close")
		x.resp.WriteHeader(http.StatusExpectationFailed)
	case x.req.RequestURI == "*" && x.req.Method == http.MethodOptions:
		serverOptions(&x.resp, &x.req)
	default:
		p.handler.ServeHTTP(&x.resp, &x.req)
	}
	orderly = true
}

// refuse answers a request whose target is no URL, as net/http does.
func (x *exchange) refuse() {
	h := x.resp.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Connection", "close")
	x.resp.WriteHeader(http.StatusBadRequest)
	io.WriteString(&x.resp, "400 Bad Request")
}

// serverOptions answers OPTIONS * for the server as a whole (RFC 9110 9.3.7),
// which a handler would not expect.
func serverOptions(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "0")
	if r.ContentLength != 0 {
		io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 4<<10))
	}
}

// detach makes room for another handler while x is a connection of its own.
func (p *pool) detach(x *exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !x.detached {
		x.detached = true
		p.limit++
	}
}

// trim ends goroutines that nobody needed for a while.
func (p *pool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.endIdle(max(0, min(p.lowest, len(p.idle)-keepIdle)))
	p.lowest = len(p.idle)
	p.trimmer.Reset(trimEvery)
}

// endIdle ends the n goroutines that have slept longest; mu is held.
func (p *pool) endIdle(n int) {
	for _, w := range p.idle[:n] {
		p.workers--
		w.wake <- false // there is room: it got nothing since it went idle
	}
	p.idle = append(p.idle[:0], p.idle[n:]...)
}

// closed ends all goroutines as soon as they have no work.
func (p *pool) closed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.trimmer.Stop()
	p.endIdle(len(p.idle))
}
