package tlsio

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
	"github.com/httpsys/httpsys/internal/sys"
)

// Binding is what was chosen for one connection when its ClientHello was
// read.
type Binding interface {
	// Config is the configuration to go on with.
	Config() *tls.Config
	// Established is called when the handshake has succeeded, perhaps on the loop,
	// and judges the client's certificate; nil if none was asked for. What waits
	// (for a network) belongs into wait, so that others get on meanwhile. wait
	// returns false if the connection has ended before that; then it may go on
	// still, so what it does is not to be looked at.
	Established(state *tls.ConnectionState, wait func(func()) bool) *clientcert.Result
	// Covers says whether a client that asks for host on local gets this binding.
	Covers(host string, local netip.AddrPort) bool
	// Registration is the one whose program has brought the binding; 0 if it is
	// an administrator's.
	Registration() uint32
}

// Server is what all TLS connections of a daemon share.
type Server struct{ base *tls.Config }

// NewServer makes a Server. choose is called in handshakes, perhaps on the
// loop: what waits for a disk or a network belongs into the method Wait of the
// hello's Conn. It always returns a Binding: that of a name that nobody has
// bound has a configuration without certificates, which makes crypto/tls answer
// with the alert unrecognized_name (RFC 6066 3).
func NewServer(choose func(*tls.ClientHelloInfo) Binding) *Server {
	return &Server{base: &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			b := choose(hello)
			if t, ok := hello.Conn.(*transport); ok {
				t.binding = b
				t.hs.wanted = hello.ServerName
			}
			return b.Config(), nil
		},
	}}
}

// Conn is one TLS connection. Except where a method says otherwise, it is for
// the goroutine of its loop, and after the handshake only.
type Conn struct {
	t         transport
	hs        *handshake // until the first Read after it
	tls       *tls.Conn
	client    *clientcert.Result
	received  int64 // plain text
	err       error
	more      bool // Read stopped though there may be more
	eof       bool
	truncated bool
}

// NewConn makes the TLS connection of the non-blocking socket fd, which stays
// the caller's. first are bytes that were read from it already; they are
// copied.
func (s *Server) NewConn(fd int, remote, local netip.AddrPort, first []byte) *Conn {
	c := &Conn{}
	c.t = transport{fd: fd, remote: remote, local: local, first: append([]byte(nil), first...)}
	c.tls = tls.Server(&c.t, s.base)
	return c
}

// Binding is what was chosen for the connection; nil if no ClientHello was
// understood.
func (c *Conn) Binding() Binding { return c.t.binding }

// Client is the judgement of the client's certificate; nil if it was not asked
// for one.
func (c *Conn) Client() *clientcert.Result { return c.client }

// State is what the handshake has agreed on. It allocates: ask once.
func (c *Conn) State() tls.ConnectionState { return c.tls.ConnectionState() }

// Ready says that the loop has reported the socket readable: Read may ask it
// again. closed says that the peer has closed its side; then no event will
// report the end of the stream, so every Read asks.
func (c *Conn) Ready(closed bool) {
	c.t.empty = false
	c.t.closed = c.t.closed || closed
}

// Errors of Read beyond those of crypto/tls and the socket.
var (
	// ErrAgain says that there is nothing to read now.
	ErrAgain error = sys.ErrAgain
	// ErrControlFlood says that the peer makes us write records that carry
	// nothing (answers to KeyUpdate).
	ErrControlFlood = errors.New("tls: too many key updates")
)

// What a peer may make us send beside our own data: a TLS stack renews its keys
// every few gigabytes, so this is generous.
const (
	controlFree = 4 << 10 // bytes of records for nothing
	controlPer  = 1 << 10 // one more byte for so many of plain text received
)

// Read reads plain text as sys.Read reads from a socket: 0 and no error at
// the end of the stream, ErrAgain when there is nothing now. Afterwards More
// tells whether to call it again at once, and HasControl whether there is
// something to send because of it. Other errors are final; then Control may
// hold an alert that explains them to the peer.
func (c *Conn) Read(b []byte) (n int, err error) {
	c.hs = nil
	c.more = false
	if c.eof {
		return 0, nil
	}
	if c.err != nil {
		return 0, c.err
	}
	l := lend(c.tls)
	for n < len(b) && err == nil {
		if n > 0 && len(b)-n < maxPlaintext {
			c.more = true // the next record might not fit
			break
		}
		if l != nil && !l.complete() && !c.t.eof {
			err = c.readError(l.fill(&c.t))
			continue
		}
		var m int
		m, err = c.tls.Read(b[n:])
		n += m
		c.received += int64(m)
		if c.t.sent > controlFree+c.received/controlPer {
			err = ErrControlFlood
		}
		if err = c.readError(err); c.eof {
			break
		}
	}
	l.reclaim()
	c.more = c.more || n == len(b)
	if n > 0 {
		return n, nil // an error comes again
	}
	return 0, err
}

// maxPlaintext is what a record can hold (RFC 8446 5.1).
const maxPlaintext = 16 << 10

func (c *Conn) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case err == errEmpty:
		return ErrAgain
	case err == io.EOF:
		// Either close_notify, or the stream ended between two records. HTTP says
		// itself where a message ends; only a tunnel cares.
		c.eof = true
		c.truncated = c.t.eof
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.eof, c.truncated = true, true
		return nil
	}
	c.err = err
	return err
}

// More tells whether Read has something to return now: more data, the end of
// the stream, or an error. If not, the next event of the socket says when to
// call it again.
func (c *Conn) More() bool { return c.more || c.eof || c.err != nil }

// Truncated tells whether the stream ended without close_notify: somebody in
// between may have cut it (RFC 8446 6.1).
func (c *Conn) Truncated() bool { return c.truncated }

// Seal appends the records of plain to dst, after those that Control would
// return.
func (c *Conn) Seal(dst, plain []byte) ([]byte, error) {
	c.t.out, c.t.sealing = append(dst, c.t.out...), true
	_, err := c.tls.Write(plain)
	dst = c.t.out
	c.t.out, c.t.sealing = nil, false
	return dst, err
}

// Control appends to dst the records that Read caused and nobody has sent yet:
// alerts, and answers to key updates.
func (c *Conn) Control(dst []byte) []byte {
	dst = append(dst, c.t.out...)
	c.t.out = nil // rare: nothing to keep
	return dst
}

// HasControl tells whether Control would return anything.
func (c *Conn) HasControl() bool { return len(c.t.out) > 0 }

// Close appends the alert close_notify to dst: our side of the stream has
// ended as it should. It can be called more than once; Seal cannot be called
// after it. Reading goes on.
func (c *Conn) Close(dst []byte) []byte {
	c.tls.CloseWrite() // what it writes is appended to c.t.out
	return c.Control(dst)
}

// temporary is the net.Error that crypto/tls survives in a Read.
type temporary struct{}

func (temporary) Error() string   { return "the socket has no bytes" }
func (temporary) Timeout() bool   { return true }
func (temporary) Temporary() bool { return true }

var errEmpty net.Error = temporary{}
