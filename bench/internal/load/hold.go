package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
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

// Hold opens n connections and asks once on each. config is for TLS; nil: none.
func Hold(ctx context.Context, host, path string, n int, config *tls.Config) (*Held, error) {
	return hold(ctx, n, func(ctx context.Context, i int, buf []byte) (held, error) {
		if config != nil {
			return askTLS(ctx, host, path, source(i), buf, config)
		}
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
	c, err := open(ctx, dialFrom(from), http.MethodGet, host, path, fields)
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

// askTLS is ask over TLS. The keys are forgotten: nobody will say anything
// on this connection any more.
func askTLS(ctx context.Context, host, path string, from net.IP, buf []byte, config *tls.Config) (*net.TCPConn, error) {
	c, err := dialFrom(from).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t := tls.Client(c, config)
	fmt.Fprintf(t, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
	a, err := readAnswer(t, buf)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("status %d", a.status)
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, t, a.length-int64(len(a.body)))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.SetDeadline(time.Time{})
	return c.(*net.TCPConn), nil
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
