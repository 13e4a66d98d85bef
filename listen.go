package httpsys

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

const (
	// idleConn is how long a connection of a Listener waits for another request
	// of its client. It ends at once when the client leaves; a client that stays
	// and asks for nothing is not worth a goroutine and its buffers. If it does
	// come back, it gets another one.
	idleConn = 10 * time.Second
	// maxIdleConns bounds how many wait: each costs the program that accepted
	// them a goroutine and some buffers.
	maxIdleConns = 4096
)

// Listen registers the prefix and returns a net.Listener, for any framework
// that wants one.
//
// Each connection that Accept returns stands for a connection of a client: it
// has its address, carries one request after the other as HTTP/1.1 text, and
// takes the responses. The program must answer in HTTP/1.1. A connection
// begins with the first request of a client and ends some seconds after its last
// one; a client that has several requests under way at once, as with HTTP/2, has
// several connections.
//
// A prefix of the scheme tcp or tls, such as "tcp://+:9000/", stands for
// connections that are not HTTP: Accept returns them as the clients open them,
// tcp as a *net.TCPConn of the client's own where the daemon can hand it over,
// and tls after the daemon's TLS.
func Listen(url string) (net.Listener, error) {
	return (&Server{Prefixes: []string{url}}).Listen(context.Background())
}

// Listen registers the prefixes and returns a net.Listener. ctx bounds the
// registration.
//
// Closing the listener gives the prefixes back and lets the accepted
// connections finish their requests; Close of the Server cuts them.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	l := &listener{srv: s, idle: make(map[clientKey]*textConn), ending: make(chan struct{})}
	l.more.L = &l.mu
	e, err := s.start(ctx, l, s.maxHandlers(), true)
	if err != nil {
		return nil, err
	}
	l.addr = addrOf(e.urls()[0])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reaper = time.AfterFunc(idleConn/2, l.reap)
	return l, nil
}

// addrOf makes an address of a prefix, for programs that print it or want to
// know the port.
func addrOf(url string) net.Addr {
	p, err := prefix.Parse(url)
	if err != nil {
		return textAddr(url)
	}
	addr := &net.TCPAddr{IP: net.IPv6unspecified, Port: int(p.Port)}
	if p.Addr.IsValid() {
		addr.IP = p.Addr.AsSlice()
	} else if p.Host == "localhost" {
		addr.IP = net.IPv4(127, 0, 0, 1)
	}
	return addr
}

// A clientKey names a client's connection.
type clientKey struct {
	sess   *session
	number uint64
}

// A listener makes connections of requests.
type listener struct {
	srv    *Server
	addr   net.Addr
	reaper *time.Timer
	ending chan struct{} // closed with over

	mu     sync.Mutex
	more   sync.Cond
	queue  fifo                    // requests that need a new connection
	idle   map[clientKey]*textConn // connections that wait for a request
	over   bool
	refuse bool // requests that nobody accepts get 503
}

// use asks to hear when clients leave, also those without TLS.
func (l *listener) use(e *endpoint) { e.connections = channel.ConnectionsAll }

func (l *listener) Addr() net.Addr { return l.addr }

// Accept waits for the first request of a client.
func (l *listener) Accept() (net.Conn, error) {
	for {
		x, err := l.next()
		if err != nil {
			return nil, err
		}
		if x.gone.Load() {
			x.drop()
			continue
		}
		if x.flags&channel.RequestRaw != 0 {
			if c, err := x.acceptRaw(); err == nil {
				return c, nil
			}
			continue // it has ended meanwhile
		}
		c := newTextConn(l, x)
		if x.flags&channel.RequestTLS != 0 {
			return &secureConn{textConn: c, client: x.client}, nil
		}
		return c, nil
	}
}

func (l *listener) next() (*exchange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.over {
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
		}
		if x := l.queue.pop(); x != nil {
			x.l.begun.begin(x.index)
			return x, nil
		}
		l.more.Wait()
	}
}

// Close stops accepting. It does not wait for the connections that there are.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	l.shut(true)
	l.mu.Unlock()
	go func() {
		ctx, cancel := l.srv.shutdownContext()
		defer cancel()
		l.srv.Shutdown(ctx)
	}()
	return nil
}

// shut ends accepting; mu is held. Requests that nobody accepts any more are
// refused if the end is orderly; else the daemon gives them to somebody else.
func (l *listener) shut(orderly bool) {
	if l.over {
		return
	}
	l.over, l.refuse = true, orderly
	close(l.ending)
	if l.reaper != nil {
		l.reaper.Stop()
	}
	l.more.Broadcast()
	for x := l.queue.pop(); x != nil; x = l.queue.pop() {
		if orderly {
			go x.unavailable()
		}
	}
}

func (l *listener) closing(orderly bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut(orderly)
}

// disconnected hangs up the connection of a client that has left.
func (l *listener) disconnected(s *session, number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := clientKey{s, number}
	if c := l.idle[key]; c != nil {
		delete(l.idle, key)
		c.hangUp()
	}
}

// closed hangs up what is left.
func (l *listener) closed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, c := range l.idle {
		delete(l.idle, key)
		c.hangUp()
	}
}

// unavailable answers 503: the program is about to end.
func (x *exchange) unavailable() {
	if x.gone.Load() {
		x.drop()
		return
	}
	if x.prepare() == nil {
		x.resp.Header().Set("Connection", "close")
		x.resp.WriteHeader(503)
	}
	x.resp.finish(true)
	flushSoon(x.l)
}

// deliver gives each request to the connection of its client if that is idle,
// else to Accept.
func (l *listener) deliver(batch []*exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range batch {
		key := clientKey{x.l.sess, x.connection}
		c := l.idle[key]
		switch {
		case c != nil:
			delete(l.idle, key)
			x.l.begun.begin(x.index)
			c.assign(x)
		case l.over:
			if l.refuse {
				go x.unavailable()
			}
		default:
			l.queue.push(x)
			l.more.Signal()
		}
	}
}

func (l *listener) kick(lp *loop)      { flushSoon(lp) }
func (l *listener) detach(*exchange)   {}
func (l *listener) connected(*session) {}

// park keeps a connection for the next request of its client.
func (l *listener) park(c *textConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.idle) >= maxIdleConns {
		for key, other := range l.idle { // any
			delete(l.idle, key)
			other.hangUp()
			break
		}
	}
	c.since = time.Now()
	if other := l.idle[c.key]; other != nil {
		other.hangUp() // the client had several requests under way
	}
	l.idle[c.key] = c
}

// unpark takes a connection out that its program has closed.
func (l *listener) unpark(c *textConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle[c.key] == c {
		delete(l.idle, c.key)
	}
}

// reap hangs up connections whose clients are silent.
func (l *listener) reap() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	for key, c := range l.idle {
		if time.Since(c.since) > idleConn {
			delete(l.idle, key)
			c.hangUp()
		}
	}
	l.reaper.Reset(idleConn / 2)
}

// A secureConn is a connection whose client speaks TLS with the daemon.
// net/http looks for ConnectionState to set Request.TLS.
type secureConn struct {
	*textConn
	client *clientConn // nil: the daemon does not tell
}

// ConnectionState is what the daemon has said of the connection.
func (c *secureConn) ConnectionState() tls.ConnectionState {
	if c.client == nil {
		return tls.ConnectionState{HandshakeComplete: true}
	}
	return c.client.parsed().state
}
