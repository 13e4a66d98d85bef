//go:build race

package httpsys

import (
	"syscall"

	"github.com/httpsys/httpsys/internal/sys"
)

// With the race detector, the calls of package syscall are used: it takes a
// write on one socket and a read on another for a synchronisation, as it has to
// for tests that ask a handler in their own process by way of the daemon.

func readSocket(in *sys.Inbox, fd int, b []byte, fds []int) (int, []int, error) {
	n, fds, err := in.Read(fd, b, fds)
	syscall.Read(fd, nil) // reads nothing, and tells the detector
	return n, fds, err
}

func writeSocket(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
