package httpsys

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

var errOverdrawn = errors.New("the daemon sent more than the window allows")

// A stream is one request on its loop as the channel sees it: bytes from the
// client that nobody has read yet, the window for bytes to the client, and how
// it ends. Handlers read and write on their goroutines, the loop's reader
// brings what arrives; both meet under mu.
type stream struct {
	l     *loop
	id    uint32
	index uint64 // place in the order of arrival on the loop

	// Guarded by l.mu: what we have sent.
	ended    bool // our last frame; the number may be somebody else's now
	headSent bool // the final response head
	opaque   bool // bytes flow uninterpreted
	credited bool // the credit of this request was given back

	// gone: nobody waits for the answer, or it can no longer be delivered.
	gone atomic.Bool
	// late: the write deadline has passed.
	late atomic.Bool
	// interrupted: the handler has returned while a goroutine of its own still
	// waits to write; that goroutine is to give up.
	interrupted atomic.Bool

	mu     sync.Mutex
	wake   sync.Cond // anything below has changed
	in     []byte    // received and not read: in[inRead:]
	inRead int
	inBuf  bool // in is a buffer of ours that may be appended to
	inEnd  bool // the request direction is complete
	inErr  error
	unseen int   // bytes read that the daemon may send again, not granted yet
	window int64 // bytes that we may send

	closedIn   bool      // the handler has closed the body: what comes is dropped
	stopped    error     // why nothing can be read or written any more
	watcher    *textConn // is told about cancels
	readLimit  deadline
	writeLimit deadline
	trailers   trailerFields

	answer chan handedOver // opaque: whether we get the client's socket; nil if we did not ask

	ctx requestContext
}

// trailerFields are the trailers of the request as they arrived.
type trailerFields []trailerField

type trailerField struct{ name, value string }

// receive takes body bytes from the loop's reader.
func (s *stream) receive(p []byte, end bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inEnd {
		return errUnexpectedFrame
	}
	if len(s.in)-s.inRead+s.unseen+len(p) > bodyWindow {
		return errOverdrawn
	}
	switch {
	case s.closedIn:
		s.unseen += len(p) // and is not granted again: the client may stop
	case len(p) > 0:
		s.store(p)
	}
	s.inEnd = end
	s.wake.Broadcast()
	return nil
}

// store appends p to what is unread; mu is held. The buffer grows with what
// was really sent, up to the window.
func (s *stream) store(p []byte) {
	unread := s.in[s.inRead:]
	if !s.inBuf || len(s.in)+len(p) > cap(s.in) {
		buf := s.in[:0]
		if need := len(unread) + len(p); !s.inBuf || need > cap(s.in) {
			buf = make([]byte, 0, min(bodyWindow, max(4096, 2*need)))
			s.inBuf = true
		}
		s.in = append(buf, unread...)
		s.inRead = 0
	}
	s.in = append(s.in, p...)
}

// receiveTrailers takes the end of the body.
func (s *stream) receiveTrailers(fields channel.Fields) error {
	var t trailerFields
	for {
		name, value, ok, err := fields.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		t = append(t, trailerField{string(name), string(value)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inEnd {
		return errUnexpectedFrame
	}
	s.trailers = t
	s.inEnd = true
	s.wake.Broadcast()
	return nil
}

// widen takes a WINDOW frame.
func (s *stream) widen(n uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.window += int64(n); s.window > channel.MaxWindow {
		return errOverdrawn
	}
	s.wake.Broadcast()
	return nil
}

// cancelled takes a CANCEL frame.
func (s *stream) cancelled(reason uint16) {
	switch reason {
	case channel.CancelHalfClosed:
		s.ctx.cancel()
		s.tellWatcher()
	case channel.CancelBody:
		s.mu.Lock()
		s.inErr = io.ErrUnexpectedEOF
		s.inEnd = true
		s.wake.Broadcast()
		s.mu.Unlock()
	case channel.CancelRefused:
		s.abort(errRefused)
	default:
		s.abort(errClientGone)
	}
}

var errRefused = errors.New("httpsys: the daemon has answered instead: this response is not allowed")

// abort ends reading and writing with err, and the request's context.
func (s *stream) abort(err error) {
	s.mu.Lock()
	if s.stopped == nil {
		s.stopped = err
	}
	if s.answer != nil {
		s.answer <- handedOver{fd: -1, err: err}
		s.answer = nil
	}
	s.gone.Store(true)
	s.wake.Broadcast()
	s.mu.Unlock()
	s.ctx.cancel()
	s.wakeWriters()
	s.tellWatcher()
}

// watch sets who is told about cancels.
func (s *stream) watch(c *textConn) {
	s.mu.Lock()
	s.watcher = c
	s.mu.Unlock()
}

func (s *stream) tellWatcher() {
	s.mu.Lock()
	c := s.watcher
	s.mu.Unlock()
	if c != nil {
		c.changed()
	}
}

// stop ends reading and writing on our own account.
func (s *stream) stop(err error) {
	s.mu.Lock()
	if s.stopped == nil {
		s.stopped = err
	}
	s.interrupted.Store(true)
	s.wake.Broadcast()
	s.mu.Unlock()
	s.wakeWriters()
}

// wakeWriters makes those who wait for room in the outbox look again.
func (s *stream) wakeWriters() {
	s.l.mu.Lock()
	s.l.out.room.Broadcast()
	s.l.mu.Unlock()
}

// read returns bytes that have arrived, or waits for some. At the end of the
// request direction it returns io.EOF, together with the last bytes where that
// is known.
func (s *stream) read(p []byte) (n int, err error) {
	s.mu.Lock()
	for {
		switch {
		case s.closedIn:
			err = errBodyClosed
		case s.readLimit.expired:
			err = os.ErrDeadlineExceeded
		case s.inRead < len(s.in):
			n = copy(p, s.in[s.inRead:])
			s.inRead += n
			if s.inRead == len(s.in) {
				if s.inBuf {
					s.in, s.inRead = s.in[:0], 0
				}
				if s.inEnd && s.inErr == nil {
					err = io.EOF
				}
			}
		case s.inErr != nil:
			err = s.inErr
		case s.inEnd:
			err = io.EOF
		case s.stopped != nil:
			err = s.stopped
		case len(p) == 0:
		default:
			s.wake.Wait()
			continue
		}
		break
	}
	grant := 0
	// Half a window at a time: the daemon always has something to send, and a
	// window frame goes out once for many reads.
	if s.unseen += n; s.unseen >= bodyWindow/2 && !s.inEnd {
		grant, s.unseen = s.unseen, 0
	}
	s.mu.Unlock()
	if grant > 0 {
		s.grant(grant)
	}
	return n, err
}

// grant lets the daemon send n bytes more.
func (s *stream) grant(n int) {
	l := s.l
	l.mu.Lock()
	if !s.ended && !l.closed {
		l.out.buf = channel.AppendUint32Frame(l.out.buf, channel.Window, s.id, uint32(n))
	}
	l.mu.Unlock()
	l.flush()
}

// unread says whether bytes or the end of the request direction are there to
// be read at once.
func (s *stream) readable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inRead < len(s.in) || s.inEnd || s.stopped != nil
}

// reserve takes from the window for bytes that are then sent: at least least
// and up to most. It waits for them, and says why it may not send.
func (s *stream) reserve(least, most int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.stopped != nil:
			return 0, s.stopped
		case s.writeLimit.expired:
			return 0, os.ErrDeadlineExceeded
		case s.interrupted.Load():
			return 0, errFinished
		case s.window >= int64(least):
			n := min(int64(most), s.window)
			s.window -= n
			return int(n), nil
		}
		s.mu.Unlock()
		s.l.flush() // or what would widen the window is never sent
		s.mu.Lock()
		if s.stopped == nil && !s.writeLimit.expired && !s.interrupted.Load() && s.window < int64(least) {
			s.wake.Wait()
		}
	}
}

// lockRoom locks l.mu when there is room for body bytes in the outbox. With an
// error it is not locked.
func (s *stream) lockRoom() error {
	l := s.l
	l.mu.Lock()
	for l.out.full() && !l.closed && !s.gone.Load() && !s.late.Load() && !s.interrupted.Load() {
		if !l.out.writing {
			l.mu.Unlock()
			l.flush()
			l.mu.Lock()
			continue
		}
		l.out.room.Wait()
	}
	var err error
	switch {
	case s.ended, s.interrupted.Load():
		err = errFinished
	case l.closed:
		err = errLost
	case s.late.Load():
		err = os.ErrDeadlineExceeded
	case s.gone.Load():
		err = errClientGone
	default:
		return nil
	}
	l.mu.Unlock()
	return err
}

// end marks the stream as over after its last frame; l.mu is held. It returns
// the flag that gives the credit back, if that is due.
func (s *stream) end() channel.Flags {
	l := s.l
	s.ended = true
	if x := l.streams.get(s.id); x != nil && &x.stream == s {
		l.streams.remove(x)
		if !s.opaque {
			l.busy--
		}
	}
	return s.credit()
}

// credit returns the flag CREDIT once, where frames are to carry it; l.mu is
// held.
func (s *stream) credit() channel.Flags {
	if s.credited || !s.l.e.autoCredit {
		return 0
	}
	s.credited = true
	return channel.FlagCredit
}

// cancel ends the stream without an orderly end. value is 0, or 1 to close a
// stream in opaque mode.
func (s *stream) cancel(value uint16) {
	l := s.l
	l.mu.Lock()
	if s.ended || l.closed {
		l.mu.Unlock()
		return
	}
	f := s.end()
	l.out.frame(channel.Cancel, f, s.id, value)
	l.mu.Unlock()
}

// A deadline makes those who wait on a stream look again when it has passed.
type deadline struct {
	timer   *time.Timer
	expired bool
}

// setReadDeadline bounds reading; the zero time bounds nothing.
func (s *stream) setReadDeadline(t time.Time) { s.setDeadline(&s.readLimit, t, nil) }

// setWriteDeadline bounds writing.
func (s *stream) setWriteDeadline(t time.Time) { s.setDeadline(&s.writeLimit, t, &s.late) }

func (s *stream) setDeadline(d *deadline, t time.Time, late *atomic.Bool) {
	wait := time.Until(t)
	s.mu.Lock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.expired = false
	if late != nil {
		late.Store(false)
	}
	switch {
	case t.IsZero():
		s.mu.Unlock()
	case wait <= 0:
		s.expire(d, late)
	default:
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			s.mu.Lock()
			if d.timer != timer { // set again meanwhile
				s.mu.Unlock()
				return
			}
			s.expire(d, late)
		})
		d.timer = timer
		s.mu.Unlock()
	}
}

// expire is what happens at a deadline. It unlocks mu.
func (s *stream) expire(d *deadline, late *atomic.Bool) {
	d.expired = true
	if late != nil {
		late.Store(true)
	}
	s.wake.Broadcast()
	s.mu.Unlock()
	if late != nil {
		s.wakeWriters()
	}
}

// stopDeadlines releases the timers when the stream is over.
func (s *stream) stopDeadlines() {
	s.mu.Lock()
	for _, d := range []*deadline{&s.readLimit, &s.writeLimit} {
		if d.timer != nil {
			d.timer.Stop()
			d.timer = nil
		}
	}
	s.mu.Unlock()
}
