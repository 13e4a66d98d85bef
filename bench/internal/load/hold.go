package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Held are connections that have each made one request and now wait.
type Held struct {
	conns []*net.TCPConn
}

// Hold opens n connections and asks once on each.
func Hold(ctx context.Context, host, path string, n int) (*Held, error) {
	return hold(ctx, n, func(ctx context.Context, i int, buf []byte) (held, error) {
		return ask(ctx, host, path, "", http.StatusOK, source(i), buf)
	})
}

type held = *net.TCPConn

// hold opens n connections, some at a time.
func hold(ctx context.Context, n int, open func(ctx context.Context, i int, buf []byte) (held, error)) (*Held, error) {
	const atOnce = 32
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h := &Held{conns: make([]*net.TCPConn, n)}
	var wg sync.WaitGroup
	for worker := range atOnce {
		wg.Go(func() {
			buf := make([]byte, maxHead)
			for i := worker; i < n && ctx.Err() == nil; i += atOnce {
				c, err := open(ctx, i, buf)
				if err != nil {
					cancel(fmt.Errorf("connection %d of %d: %w", i+1, n, err))
					return
				}
				h.conns[i] = c
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// source spreads connections over addresses of the loopback network, so that
// ports never run short: some 28 000 are free for each pair of addresses.
func source(i int) net.IP {
	const perAddress = 8192
	return net.IPv4(127, 0, 1, byte(1+i/perAddress))
}

// ask asks once on a new connection, with fields besides Host, and waits for an
// answer of that status.
func ask(ctx context.Context, host, path, fields string, status int, from net.IP, buf []byte) (*net.TCPConn, error) {
	d := &net.Dialer{
		LocalAddr: &net.TCPAddr{IP: from},
		Timeout:   10 * time.Second,
		// The port is chosen when the destination is known (ip(7)): otherwise a
		// port is taken for all destinations at once.
		Control: func(_, _ string, raw syscall.RawConn) error {
			const bindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT
			var failed error
			err := raw.Control(func(fd uintptr) {
				failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
			})
			if err == nil {
				err = failed
			}
			return err
		},
	}
	c, err := open(ctx, d, http.MethodGet, host, path, fields)
	if err != nil {
		return nil, err
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	defer onCancel(ctx, c)()
	a, err := readAnswer(c, buf)
	if err == nil && a.status != status {
		err = fmt.Errorf("status %d", a.status)
	}
	if err == nil && a.length > 0 {
		err = discard(c, a.length-int64(len(a.body)))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.SetReadDeadline(time.Time{})
	return c, nil
}

// Alive counts the connections that the server has not closed.
func (h *Held) Alive() int {
	alive := 0
	for _, c := range h.conns {
		raw, err := c.SyscallConn()
		if err != nil {
			continue
		}
		raw.Control(func(fd uintptr) {
			var b [1]byte
			_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if err == syscall.EAGAIN {
				alive++
			}
		})
	}
	return alive
}

// Close ends the connections with a reset, which leaves no port in TIME_WAIT.
func (h *Held) Close() {
	for _, c := range h.conns {
		if c != nil {
			c.SetLinger(0)
			c.Close()
		}
	}
}
