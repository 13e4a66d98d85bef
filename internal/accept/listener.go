package accept

import (
	"errors"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/conn"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/sys"
)

// acceptTurn bounds how many connections one turn accepts from one socket,
// so that a flood of new ones does not starve those that are there.
const acceptTurn = 64

// pause is how long a socket that failed for lack of resources rests, in
// milliseconds. Connections wait in the kernel meanwhile.
const pause = 100

// listener is a listening socket of one loop.
type listener struct {
	l        *loop.Loop
	server   *conn.Server
	fd       int
	endpoint *conn.Endpoint
	timer    loop.Timer
	onError  func(error)
	closed   bool
	group    *group
}

func (l *listener) start() {
	if err := l.l.WatchListener(l.fd, l); err != nil {
		l.onError(err)
	}
}

// Ready accepts what is there.
func (l *listener) Ready(uint32) {
	for range acceptTurn {
		if !l.accept() {
			return
		}
	}
}

func (l *listener) accept() bool {
	fd, peer, err := sys.Accept(l.fd)
	switch {
	case err == nil:
		l.server.Accept(fd, peer, l.endpoint)
		return true
	case err == sys.ErrAgain:
		return false
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		l.onError(err)
		l.l.Unwatch(l.fd)
		l.l.SetTimer(&l.timer, l, pause)
		return false
	default:
		// The connection failed before we took it (accept(2) lists the errors);
		// the next may be fine.
		return true
	}
}

// Expire goes on after a pause.
func (l *listener) Expire() {
	if !l.closed {
		l.start()
	}
}

// close takes the connections that the kernel has accepted already, which
// would be reset otherwise, and closes.
func (l *listener) close() {
	for range sys.Backlog {
		if !l.accept() {
			break
		}
	}
	l.closed = true
	l.l.ReleaseTimer(&l.timer)
	l.l.Close(l.fd)
	l.l.Do(func() { l.group.open.Add(-1) }) // in the next turn, when it is closed
}

// Unit is what Ports needs of each loop.
type Unit struct {
	Loop   *loop.Loop
	Server *conn.Server
}

// group is the sockets of one address and port: one a loop.
type group struct {
	addr      netip.Addr
	listeners []*listener
	open      atomic.Int32 // sockets that are not closed yet
}
