// Package loop is the event loop: one goroutine for each core that waits for
// its descriptors, its timers and its mailbox, and runs everything else in
// turn.
//
// Whatever belongs to a Loop is touched on its goroutine only, so nothing
// there is locked. Others talk to it through Do, which posts a function to
// the mailbox. A turn is: events, mail, timers, then the functions that asked
// to run at its end (AtTurnEnd); that is where batches are written, one
// system call for all that a turn produced. Last come those that can wait
// (Later). Descriptors closed during a turn
// are really closed after it, so a number cannot be reused while events for
// its predecessor are still in the batch.
//
// Read Loop.Run first. timer.go has the timers.
package loop

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/httpsys/httpsys/internal/sys"
)

// Handler takes the events of one descriptor.
type Handler interface {
	// Ready is called with the sys event bits that hold now. Watching is edge
	// triggered: the handler must remember what it does not use up.
	Ready(events uint32)
}

// Turner is called at the end of a turn.
type Turner interface{ TurnEnd() }

// maxEvents bounds the work of one turn, so that timers and mail get theirs.
const maxEvents = 256

// Loop is one event loop. Make it with New, then call Run.
type Loop struct {
	Index int

	// Asleep, if there is one, is told when the loop goes to sleep (1 more) and
	// when it wakes up (1 less): the loops of a daemon share it.
	Asleep *atomic.Int32

	epoll    sys.Epoll
	handlers []Handler // by descriptor
	events   [maxEvents]sys.Event
	now      int64 // monotonic milliseconds at the start of the turn
	started  time.Time
	timers   wheel
	turners  []Turner
	again    []Turner // for the next turn, which then does not sleep
	later    []Turner // when the turners of this turn are through
	laterNow []Turner // those of them that run now
	closing  []int    // descriptors to close after the turn

	wake    int // eventfd
	mu      sync.Mutex
	mail    []func()
	pending atomic.Bool // mail is there
	stopped bool        // under mu: no more mail is taken

	stopping atomic.Bool

	date      []byte
	unix      int64 // date as a number
	dateUntil int64 // Now from which on date is not right any more
}

// epoch is where the clock of all loops begins, so that times can be compared
// between them.
var epoch = time.Now()

// Clock is what Now is at this moment, for those who are on no loop.
func Clock() int64 { return int64(time.Since(epoch) / time.Millisecond) }

// New makes a loop.
func New(index int) (*Loop, error) {
	ep, err := sys.NewEpoll()
	if err != nil {
		return nil, err
	}
	wake, err := sys.NewEvent()
	if err != nil {
		ep.Close()
		return nil, err
	}
	l := &Loop{Index: index, epoll: ep, wake: wake, started: epoch}
	if err := l.Watch(wake, wakeHandler{l}); err != nil {
		ep.Close()
		sys.Close(wake)
		return nil, err
	}
	l.tick()
	l.timers.init(l.now)
	return l, nil
}

type wakeHandler struct{ l *Loop }

func (h wakeHandler) Ready(uint32) { sys.Clear(h.l.wake) }

// Watch reports the events of fd to h, edge triggered, until Close.
func (l *Loop) Watch(fd int, h Handler) error {
	l.set(fd, h)
	return l.epoll.Watch(fd)
}

// WatchListener reports that fd has connections to accept, as long as it has.
func (l *Loop) WatchListener(fd int, h Handler) error {
	l.set(fd, h)
	return l.epoll.WatchLevel(fd)
}

func (l *Loop) set(fd int, h Handler) {
	for fd >= len(l.handlers) {
		l.handlers = append(l.handlers, make([]Handler, max(64, len(l.handlers)))...)
	}
	l.handlers[fd] = h
}

// Unwatch stops reporting events of fd but leaves it open.
func (l *Loop) Unwatch(fd int) {
	l.handlers[fd] = nil
	l.epoll.Unwatch(fd)
}

// Close stops reporting events of fd at once and closes it after this turn.
func (l *Loop) Close(fd int) {
	l.handlers[fd] = nil
	l.closing = append(l.closing, fd)
}

// Now is the time of this turn in milliseconds of a monotonic clock, the same
// for all loops.
func (l *Loop) Now() int64 { return l.now }

// Date is the current time as an HTTP field line, "Date: …\r\n"
// (RFC 9110 5.6.7). It is valid until the end of the turn.
func (l *Loop) Date() []byte {
	if l.now >= l.dateUntil {
		// The clock on the wall is asked each second: it may be set, and the
		// monotonic one stands still while the machine sleeps.
		now := time.Now()
		l.dateUntil = l.now + 1000 - int64(now.Nanosecond()/1e6)
		l.unix = now.Unix()
		l.date = now.UTC().AppendFormat(l.date[:0], "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n")
	}
	return l.date
}

// Unix is the time on the wall in seconds since 1970, as Date says it.
func (l *Loop) Unix() int64 {
	l.Date()
	return l.unix
}

// AtTurnEnd runs t once, at the end of this turn. The caller sees to it that
// it does not ask twice in a turn.
func (l *Loop) AtTurnEnd(t Turner) { l.turners = append(l.turners, t) }

// Again runs t once, at the end of the next turn, which comes without
// sleeping: for work that was cut short to be fair to others.
func (l *Loop) Again(t Turner) { l.again = append(l.again, t) }

// Later runs t once, when all that this turn has to send is sent: for work that
// is long and in no hurry. The turn after it comes without sleeping. Unlike
// with Again, a Turner that calls Later again lets a whole turn pass in between.
func (l *Loop) Later(t Turner) { l.later = append(l.later, t) }

// Do posts f to run on the loop's goroutine. It reports false when the loop
// has ended and f will never run.
func (l *Loop) Do(f func()) bool {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return false
	}
	l.mail = append(l.mail, f)
	l.pending.Store(true)
	if len(l.mail) == 1 {
		sys.Signal(l.wake) // under the lock: Run closes wake after it
	}
	l.mu.Unlock()
	return true
}

// Call posts f and waits until it has run; false when the loop has ended. It
// must not be called on the loop's own goroutine.
func (l *Loop) Call(f func()) bool {
	done := make(chan struct{})
	if !l.Do(func() { defer close(done); f() }) {
		return false
	}
	<-done
	return true
}

// Stop makes Run return after the present turn.
func (l *Loop) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	l.stopped = true
	l.stopping.Store(true)
	sys.Signal(l.wake)
}

// Run turns until Stop. It locks its goroutine to a thread: a thread that
// waits in epoll keeps its caches, and the scheduler gets its processor back
// meanwhile.
func (l *Loop) Run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for l.turn() {
	}
	l.closeAll()
	l.mu.Lock()
	mail := l.mail
	l.mail = nil
	l.mu.Unlock()
	for _, f := range mail { // callers of Call wait for theirs
		f()
	}
	l.closeAll()
	l.epoll.Close()
	sys.Close(l.wake)
}

// turn is one round; false after Stop.
func (l *Loop) turn() bool {
	n, _ := l.epoll.Poll(l.events[:])
	l.turners, l.again = l.again, l.turners
	if n == 0 && len(l.turners) == 0 && len(l.later) == 0 {
		// Nothing is ready: block until there is, or the next timer is due.
		l.asleep(1)
		n, _ = l.epoll.Wait(l.events[:], l.timers.wait(l.elapsed()))
		l.asleep(-1)
	}
	l.tick()
	for i := range n {
		ev := &l.events[i]
		if h := l.handlers[ev.Fd]; h != nil {
			h.Ready(ev.Events)
		}
	}
	if l.pending.Load() {
		l.readMail()
	}
	l.timers.expire(l.now)
	l.runTurners()
	if len(l.later) > 0 {
		l.later, l.laterNow = l.laterNow, l.later
		for _, t := range l.laterNow {
			t.TurnEnd()
		}
		clear(l.laterNow)
		l.laterNow = l.laterNow[:0]
		l.runTurners() // what it has made is sent, too
	}
	l.closeAll()
	return !l.stopping.Load()
}

func (l *Loop) runTurners() {
	for i := 0; i < len(l.turners); i++ { // a turner may add others
		l.turners[i].TurnEnd()
	}
	clear(l.turners)
	l.turners = l.turners[:0]
}

func (l *Loop) asleep(n int32) {
	if l.Asleep != nil {
		l.Asleep.Add(n)
	}
}

func (l *Loop) readMail() {
	l.mu.Lock()
	mail := l.mail
	l.mail = nil
	l.pending.Store(false)
	l.mu.Unlock()
	for _, f := range mail {
		f()
	}
}

func (l *Loop) closeAll() {
	for _, fd := range l.closing {
		sys.Close(fd)
	}
	l.closing = l.closing[:0]
}

func (l *Loop) elapsed() int64 { return int64(time.Since(l.started) / time.Millisecond) }

func (l *Loop) tick() { l.now = l.elapsed() }
