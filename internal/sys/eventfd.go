package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NewEvent makes an eventfd: a descriptor that one thread signals and another
// waits for.
func NewEvent() (int, error) { return unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC) }

// Signal makes the eventfd readable.
func Signal(fd int) {
	one := [8]byte{1}
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), uintptr(len(one)))
}

// Clear makes it unreadable again.
func Clear(fd int) {
	var b [8]byte
	syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b)), uintptr(len(b)))
}
