package sys

import "golang.org/x/sys/unix"

// NewEvent makes an eventfd: a descriptor that one thread signals and another
// waits for.
func NewEvent() (int, error) { return unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC) }

// Signal makes the eventfd readable.
func Signal(fd int) {
	one := [8]byte{1}
	unix.Write(fd, one[:])
}

// Clear makes it unreadable again.
func Clear(fd int) {
	var b [8]byte
	unix.Read(fd, b[:])
}
