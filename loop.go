package httpsys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

const (
	// readBuffer is what one read of a loop connection takes: some hundred
	// small requests. Frames that are longer make the buffer grow, up to the
	// longest frame.
	readBuffer = 64 << 10
	// bodyWindow is how much request body a stream may send before the handler
	// has read it: the most that one request makes us hold.
	bodyWindow = channel.DefaultWindow
)

// A loop is the connection to one event loop of the daemon. Requests arrive on
// it and are answered on it. One goroutine reads; any goroutine appends frames
// (see out.go).
//
// A lock order holds: loop.mu before stream.mu; and nobody blocks on the socket
// while holding either.
type loop struct {
	sess  *session
	e     *endpoint
	conn  *net.UnixConn
	raw   syscall.RawConn
	begun *begunCounter

	window  int64                  // the response window that a stream starts with
	arrived uint64                 // requests so far; the reader's
	pending []*exchange            // of this read, not yet delivered; the reader's
	fds     []int                  // descriptors that came and were not used yet, -1 where one was lost; the reader's
	inbox   sys.Inbox              // the reader's
	clients map[uint64]*clientConn // those of which requests may come; the reader's
	drained chan struct{}          // closed when GOAWAY is done and all is finished and sent
	parted  chan struct{}          // closed when the reader has ended
	parting atomic.Bool            // we have shut our side down: the end that follows is in order

	mu      sync.Mutex
	streams streamTable
	busy    int  // streams that are not in opaque mode
	leaving bool // we have sent GOAWAY
	left    bool // the daemon has: no requests come any more
	closed  bool
	out     outbox

	dirty  bool // the pool's: it has something to flush
	credit int  // the queue's: REQUESTs that may still come
}

// openLoop connects loop number i of a session.
func openLoop(ctx context.Context, s *session, e *endpoint, i int) (*loop, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", s.path)
	if err != nil {
		return nil, unreachable(s.path, err)
	}
	l := &loop{sess: s, e: e, conn: c.(*net.UnixConn), drained: make(chan struct{}), parted: make(chan struct{})}
	l.out.room.L = &l.mu
	l.out.send = l.sendSome
	if l.raw, err = l.conn.SyscallConn(); err != nil {
		c.Close()
		return nil, err
	}
	hello := channel.HelloMessage{Protocol: channel.Version, Role: channel.RoleLoop, Session: s.secret, Loop: i,
		Window: bodyWindow, Credit: uint32(e.credit), Connections: e.connections}
	fd := -1
	if s.begun {
		counter, file, err := newBegunCounter()
		if err != nil {
			c.Close()
			return nil, err
		}
		defer file.Close()
		l.begun = counter
		fd = int(file.Fd())
	} else {
		l.begun = &begunCounter{n: new(atomic.Uint64)}
	}
	welcome, err := exchangeHello(ctx, l.conn, hello, fd)
	if err != nil {
		c.Close()
		return nil, err
	}
	if l.window = int64(welcome.Window); l.window == 0 {
		l.window = channel.DefaultWindow
	}
	return l, nil
}

// read takes frames until the connection ends. All of it happens inside one
// call of RawConn.Read, whose function is called again whenever the socket has
// become readable: the poller reports edges, so after a read that did not fill
// the buffer the socket was empty, and the next byte is a new edge. This saves
// the read that would only say EAGAIN, one system call in three. An end that
// came together with the bytes is not seen so; it is no edge of its own. That
// does no harm, as the session connection ends too, but when we expect it.
func (l *loop) read() {
	defer close(l.parted)
	buf := make([]byte, readBuffer)
	have := 0
	var failure error
	err := l.raw.Read(func(fd uintptr) bool {
		for {
			had := len(l.fds)
			n, fds, err := readSocket(&l.inbox, int(fd), buf[have:], l.fds)
			if l.fds = fds; err == sys.ErrTooManyDescriptors {
				// We have no room for more of them. A message brings one.
				closeDescriptors(l.fds[had:])
				l.fds = append(l.fds[:had], -1)
				err = nil
			}
			switch {
			case err == sys.ErrAgain:
				return false
			case err == syscall.EINTR:
				continue
			case err != nil:
				failure = err
				return true
			case n == 0:
				failure = io.EOF
				return true
			}
			have += n
			// A read ends early behind bytes that brought a descriptor, too.
			full := have == len(buf) || len(l.fds) > had
			used, need, err := l.frames(buf[:have])
			if err != nil {
				failure = err
				return true
			}
			have = copy(buf, buf[used:have])
			if need > len(buf) {
				buf = append(make([]byte, 0, need), buf[:have]...)[:need]
			}
			if !full && !l.parting.Load() {
				return false
			}
		}
	})
	closeDescriptors(l.fds)
	l.fds = nil
	if failure == nil {
		failure = err
	}
	if l.parting.Load() && failure == io.EOF {
		l.close()
	} else {
		l.sess.fail(failure)
	}
}

// frames handles the whole frames in b and says how many bytes they took. need
// is the length of the frame that follows, as far as it is known.
func (l *loop) frames(b []byte) (used, need int, err error) {
	defer l.deliver()
	for len(b)-used >= channel.HeaderSize {
		h, err := channel.ParseHeader(b[used:])
		if err != nil {
			return used, 0, err
		}
		end := used + channel.HeaderSize + int(h.Length)
		if end > len(b) {
			return used, end - used, nil
		}
		if err := l.frame(h, b[used+channel.HeaderSize:end]); err != nil {
			return used, 0, err
		}
		used = end
	}
	return used, 0, nil
}

var errUnexpectedFrame = errors.New("the daemon sent a frame that does not belong there")

func (l *loop) frame(h channel.Header, payload []byte) error {
	switch h.Type {
	case channel.Request:
		return l.request(h, payload)
	case channel.GoAway:
		if h.Value == channel.GoAwaySoon {
			l.e.daemonStops(l.sess)
			return nil
		}
		l.mu.Lock()
		l.left = true
		l.checkDrained()
		l.mu.Unlock()
		return nil
	case channel.Reply:
		return replyError(payload)
	case channel.Connection:
		return l.connected(payload)
	case channel.Disconnection:
		return l.disconnected(payload)
	}
	if h.Stream == 0 {
		return fmt.Errorf("%w: %v", errUnexpectedFrame, h.Type)
	}
	l.mu.Lock()
	x := l.streams.get(h.Stream)
	l.mu.Unlock()
	// A stream that is not there is one that we have ended and the daemon had
	// not heard of it.
	switch h.Type {
	case channel.Data:
		if x == nil {
			return nil
		}
		return x.receive(payload, h.Flags&channel.FlagEnd != 0)
	case channel.Trailers:
		fields, err := channel.ParseTrailers(payload)
		if err != nil || x == nil {
			return err
		}
		return x.receiveTrailers(fields)
	case channel.Window:
		n, err := channel.Uint32(payload)
		if err != nil || x == nil {
			return err
		}
		return x.widen(n)
	case channel.Socket:
		return l.socket(x, h, payload)
	case channel.Cancel:
		if h.Value == channel.CancelRefused {
			l.e.logf("httpsys: the daemon refused a response: %s", payload)
		}
		if x != nil {
			x.cancelled(h.Value)
		}
		return nil
	}
	return fmt.Errorf("%w: %v", errUnexpectedFrame, h.Type)
}

// request opens a stream.
func (l *loop) request(h channel.Header, payload []byte) error {
	head, body, err := channel.ParseRequest(payload)
	if err != nil {
		return err
	}
	if len(body) > bodyWindow {
		return errOverdrawn
	}
	x := newExchange(l, h, &head, len(body), payload[channel.RequestFixed:])
	if head.Flags&channel.RequestTLS != 0 {
		x.client = l.clients[head.Connection]
	}
	l.mu.Lock()
	fresh := h.Stream != 0 && l.streams.get(h.Stream) == nil
	if fresh {
		l.streams.put(x)
		l.busy++
	}
	l.mu.Unlock()
	if !fresh {
		return fmt.Errorf("%w: REQUEST on stream %d", errUnexpectedFrame, h.Stream)
	}
	l.arrived++
	l.pending = append(l.pending, x)
	return nil
}

// deliver hands the requests of one read on, in one go.
func (l *loop) deliver() {
	if len(l.pending) > 0 {
		l.e.sink.deliver(l.pending)
		clear(l.pending)
		l.pending = l.pending[:0]
	}
}

// goAway asks the daemon to send no more requests.
func (l *loop) goAway() {
	l.mu.Lock()
	if !l.leaving && !l.closed {
		l.leaving = true
		l.out.frame(channel.GoAway, 0, 0, 0)
	}
	l.mu.Unlock()
	l.flush()
}

// part shuts our side down, when everything is sent.
func (l *loop) part() {
	l.parting.Store(true)
	l.conn.CloseWrite()
}

// checkDrained says when nothing is left to do after GOAWAY; l.mu is held.
// Connections in opaque mode are not waited for: they have no end of their own.
func (l *loop) checkDrained() {
	if l.leaving && l.left && l.busy == 0 && l.out.empty() {
		select {
		case <-l.drained:
		default:
			close(l.drained)
		}
	}
}

// close ends the connection and every request on it.
func (l *loop) close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	streams := l.streams.all()
	for _, x := range streams {
		l.streams.remove(x)
		x.ended = true
	}
	l.out.discard()
	l.mu.Unlock()
	l.conn.Close()
	for _, x := range streams {
		x.abort(errLost)
	}
}
