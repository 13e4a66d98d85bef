package httpsys

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// A requestContext is the context of a request. It does what
// context.WithCancel of the server's context would do, but is part of the
// request, makes its channel only when somebody asks for it, and offers
// AfterFunc, so that contexts derived from it need no goroutine.
type requestContext struct {
	base context.Context // values, and a deadline if there is one
	x    *exchange

	mu    sync.Mutex
	ended bool
	done  chan struct{}
	funcs map[*func()]struct{}
}

var _ context.Context = (*requestContext)(nil)

// closedChan is what Done returns when the end came before the first question.
var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *requestContext) Deadline() (time.Time, bool) { return c.base.Deadline() }

func (c *requestContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		if c.ended {
			c.done = closedChan
		} else {
			c.done = make(chan struct{})
		}
	}
	return c.done
}

func (c *requestContext) Err() error {
	c.mu.Lock()
	ended := c.ended
	c.mu.Unlock()
	if !ended {
		return nil
	}
	if err := c.base.Err(); err != nil {
		return err
	}
	return context.Canceled
}

// exchangeKey finds the exchange of a request, however its context was wrapped.
type exchangeKey struct{}

func (c *requestContext) Value(key any) any {
	switch key {
	case exchangeKey{}:
		return c.x
	case http.LocalAddrContextKey:
		return parseAddr(c.x.local)
	case http.ServerContextKey:
		// What this is good for: code that asks whether it runs under a server
		// (httputil.ReverseProxy does, before it panics with ErrAbortHandler).
		return c.x.l.e.standIn
	}
	return c.base.Value(key)
}

// AfterFunc is what package context looks for in a parent. f runs on a
// goroutine of its own when the request has ended.
func (c *requestContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		go f()
		return func() bool { return false }
	}
	if c.funcs == nil {
		c.funcs = make(map[*func()]struct{})
	}
	key := &f
	c.funcs[key] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, pending := c.funcs[key]
		delete(c.funcs, key)
		return pending
	}
}

// cancel ends the context.
func (c *requestContext) cancel() {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended = true
	if c.done != nil {
		close(c.done)
	}
	funcs := c.funcs
	c.funcs = nil
	c.mu.Unlock()
	for f := range funcs {
		go (*f)()
	}
}

// parseAddr makes an address of "192.0.2.1:80" or "[2001:db8::1]:80".
func parseAddr(s string) net.Addr {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return textAddr(s)
	}
	return net.TCPAddrFromAddrPort(ap)
}

// A textAddr is an address that is no IP address.
type textAddr string

func (a textAddr) Network() string { return "tcp" }
func (a textAddr) String() string  { return string(a) }

// exchangeOf returns what a request belongs to, or nil.
func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// PrefixOf returns the URL prefix, in canonical form, that r matched; it is
// empty for a request that did not come through httpsys.
func PrefixOf(r *http.Request) string {
	x := exchangeOf(r)
	if x == nil {
		return ""
	}
	return x.l.sess.prefixes[x.registration]
}

// ConnectionOf returns the number of the client's connection, which all
// requests of the connection share and no other connection ever has, as long as
// the daemon runs. It is 0 for a request that did not come through httpsys.
func ConnectionOf(r *http.Request) uint64 {
	x := exchangeOf(r)
	if x == nil {
		return 0
	}
	return x.connection
}
