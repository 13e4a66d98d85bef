package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Events that a descriptor is watched for. All watching is edge triggered:
// one epoll_ctl in the life of a descriptor, and the owner remembers what it
// has not read or written yet.
const (
	Readable   = unix.EPOLLIN
	Writable   = unix.EPOLLOUT
	PeerClosed = unix.EPOLLRDHUP // the peer will send no more
	Hangup     = unix.EPOLLHUP   // both directions are over
	Failed     = unix.EPOLLERR
)

// Event is one readiness report.
type Event = unix.EpollEvent

// Epoll is an epoll instance.
type Epoll struct{ fd int }

// NewEpoll makes an epoll instance.
func NewEpoll() (Epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return Epoll{fd}, err
}

// Close closes the instance.
func (e Epoll) Close() error { return unix.Close(e.fd) }

// Watch adds fd, edge triggered, for everything.
func (e Epoll) Watch(fd int) error {
	ev := unix.EpollEvent{Events: Readable | Writable | PeerClosed | unix.EPOLLET, Fd: int32(fd)}
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// WatchLevel adds fd for reading, level triggered: for listeners, where
// what one turn does not accept must be reported again.
func (e Epoll) WatchLevel(fd int) error {
	ev := unix.EpollEvent{Events: Readable, Fd: int32(fd)}
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// Unwatch removes fd. Closing a descriptor removes it too, unless it was
// duplicated.
func (e Epoll) Unwatch(fd int) error {
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, fd, nil)
}

// Poll fills events with what is ready now, without blocking.
func (e Epoll) Poll(events []Event) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd),
			uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}

// Wait blocks until something is ready or timeout milliseconds have passed;
// a negative timeout waits for ever. It returns 0 events after a signal, too.
func (e Epoll) Wait(events []Event, timeout int) (int, error) {
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(timeout), 0, 0)
	if errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
