package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrAgain says that a non-blocking call would have to wait.
const ErrAgain = unix.EAGAIN

// Read receives from a socket. It returns 0 without error at the end of the
// stream, and ErrAgain when there is nothing now.
func Read(fd int, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
			uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}

// Write sends what the socket takes. more says that further bytes follow at
// once, so that the kernel need not send a short segment.
func Write(fd int, b []byte, more bool) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	flags := uintptr(unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT)
	if more {
		flags |= unix.MSG_MORE
	}
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}

// maxParts is how many parts WriteV takes.
const maxParts = 4

// WriteV sends up to four parts in one call, as far as the socket takes them. Any of
// them may be empty.
func WriteV(fd int, more bool, parts ...[]byte) (int, error) {
	var iov [maxParts]unix.Iovec
	n := 0
	for _, p := range parts {
		if len(p) > 0 {
			iov[n].Base = &p[0]
			iov[n].SetLen(len(p))
			n++
		}
	}
	msg := unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(n)
	flags := uintptr(unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT)
	if more {
		flags |= unix.MSG_MORE
	}
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), flags)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}

// SendFile sends up to n bytes of the file at offset off to the socket. It
// returns 0 without error when the file ends at off. The call may read a disk,
// so the scheduler is told.
func SendFile(sock, file int, off int64, n int) (int, error) {
	for {
		m, err := unix.Sendfile(sock, file, &off, n)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		return m, nil
	}
}

// ReadFile reads from a file at an offset. The call may read a disk, so the
// scheduler is told.
func ReadFile(file int, b []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(file, b, off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// ShutdownWrite ends the sending direction: the peer reads an end of stream.
func ShutdownWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// Reset makes the coming Close answer the peer with a reset instead of an
// orderly end, so that it cannot take a cut message for a complete one.
func Reset(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// Close closes fd.
func Close(fd int) error { return unix.Close(fd) }
