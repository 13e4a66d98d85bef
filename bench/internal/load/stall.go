package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
	"unsafe"
)

// Stalled are clients that asked for much and do not read.
type Stalled struct {
	conns []*net.TCPConn
	bytes int64 // of each response
	path  string
}

// Stall makes n clients ask for path, whose response has the given size, and
// waits until no more bytes arrive: everything between the application and them
// is full.
func Stall(ctx context.Context, host, path string, n int, size int64) (*Stalled, error) {
	s := &Stalled{bytes: size, path: path}
	d := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		// A small window, so that the kernel does not hold much of the response.
		return raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 32<<10) })
	}}
	for range n {
		c, err := open(ctx, d, http.MethodGet, host, path, "")
		if err != nil {
			s.Close()
			return nil, err
		}
		s.conns = append(s.conns, c)
	}
	if err := s.settle(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// settle waits until the bytes that wait in our sockets have stayed the same for
// a while.
func (s *Stalled) settle(ctx context.Context) error {
	const quiet, limit = 200 * time.Millisecond, 10 * time.Second
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	var last int
	since, start := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
		}
		waiting, all := 0, true
		for _, c := range s.conns {
			n, err := unread(c)
			if err != nil {
				return err
			}
			waiting += n
			all = all && n > 0
		}
		switch {
		case waiting != last:
			last, since = waiting, time.Now()
		case all && time.Since(since) > quiet:
			return nil
		case time.Since(start) > limit:
			return errors.New("some stalled client got no answer at all")
		}
	}
}

// unread is how many bytes wait in a socket (SIOCINQ, tcp(7)).
func unread(c *net.TCPConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	const siocInq = 0x541b
	var n int32
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, siocInq, uintptr(unsafe.Pointer(&n)))
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return int(n), err
}

// Drain reads one of the responses to its end: stalled must not mean broken.
func (s *Stalled) Drain(ctx context.Context) error {
	c := s.conns[0]
	defer onCancel(ctx, c)()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	a, err := readAnswer(c, make([]byte, maxHead))
	if err != nil {
		return err
	}
	if a.status != http.StatusOK || a.length != s.bytes {
		return fmt.Errorf("GET %s: status %d with %d bytes, want 200 with %d", s.path, a.status, a.length, s.bytes)
	}
	return discard(c, a.length-int64(len(a.body)))
}

// Close ends the clients.
func (s *Stalled) Close() {
	for _, c := range s.conns {
		c.SetLinger(0)
		c.Close()
	}
}
