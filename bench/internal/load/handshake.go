package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Handshakes makes TLS connections for as long as d, so many at once, and closes
// each when its handshake is over on both sides. With resume each is short: the
// keys are those of one connection that was made before. It returns how many there
// were.
func Handshakes(ctx context.Context, host string, config *tls.Config, atOnce int, resume bool, d time.Duration) (int64, error) {
	config = config.Clone()
	if resume {
		cache := &oneSession{}
		config.ClientSessionCache = cache
		if err := cache.fill(ctx, host, config); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	end := time.Now().Add(d)
	var made, next atomic.Int64
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				state, err := shake(ctx, host, config, int(next.Add(1)))
				if err == nil && state.DidResume != resume {
					err = fmt.Errorf("handshake: resumed %v, want %v", state.DidResume, resume)
				}
				if err != nil {
					cancel(err)
					return
				}
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	return made.Load(), nil
}

// shake makes one connection. It says goodbye and waits for the server to close:
// then the server has done all it does for a handshake, tickets included.
func shake(ctx context.Context, host string, config *tls.Config, i int) (tls.ConnectionState, error) {
	c, err := dialFrom(sourceOf(i)).DialContext(ctx, "tcp", host)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t := tls.Client(c, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return tls.ConnectionState{}, fmt.Errorf("handshake: %w", err)
	}
	t.CloseWrite()
	// An alert or a reset is an end, too: some servers close without a word.
	if _, err := io.Copy(io.Discard, t); err != nil && errors.Is(err, context.DeadlineExceeded) {
		return tls.ConnectionState{}, fmt.Errorf("handshake: the server does not close: %w", err)
	}
	return t.ConnectionState(), nil
}

// sourceOf spreads short connections over addresses of the loopback network: what
// has ended keeps its pair of ports for a minute.
func sourceOf(i int) net.IP { return net.IPv4(127, 0, 2, byte(1+i%200)) }

// oneSession is a session cache that gives the same session to everybody.
type oneSession struct {
	mu      sync.Mutex
	session *tls.ClientSessionState
}

func (s *oneSession) Get(string) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session, s.session != nil
}

func (s *oneSession) Put(_ string, c *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		s.session = c
	}
}

// fill gets a session: of TLS 1.3 it comes after the handshake.
func (s *oneSession) fill(ctx context.Context, host string, config *tls.Config) error {
	if _, err := shake(ctx, host, config, 0); err != nil {
		return err
	}
	if s.session == nil {
		return errors.New("handshake: the server gives no session tickets")
	}
	return nil
}

// dialFrom chooses a port when the destination is known (ip(7)): otherwise a port
// is taken for all destinations at once.
func dialFrom(from net.IP) *net.Dialer {
	return &net.Dialer{
		LocalAddr: &net.TCPAddr{IP: from},
		Timeout:   10 * time.Second,
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
}
