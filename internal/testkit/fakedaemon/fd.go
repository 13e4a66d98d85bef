package fakedaemon

import (
	"golang.org/x/sys/unix"
)

func descriptors(oob []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if got, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

func (r *frameReader) closeFiles() {
	for _, fd := range r.files {
		unix.Close(fd)
	}
	r.files = nil
}

// readBegun reads the number of begun requests from the descriptor that came
// with HELLO.
func readBegun(fd int) (uint64, error) {
	var b [8]byte
	if _, err := unix.Pread(fd, b[:], 0); err != nil {
		return 0, err
	}
	n := uint64(0)
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	return n, nil
}

func readFile(fd int, offset, length int64) ([]byte, error) {
	b := make([]byte, length)
	n, err := unix.Pread(fd, b, offset)
	if n < 0 {
		n = 0
	}
	return b[:n], err
}
