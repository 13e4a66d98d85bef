package conn

import (
	"net/netip"

	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/tlsio"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// This file is the beginning of a connection on an https port, and what
// differs afterwards in reading and writing. The records are made in
// internal/tlsio.

// secure is the protocol of a connection until its handshake is over.
type secure struct {
	*Conn
	running bool // the handshake reads the socket; events are passed on to it
}

// startTLS makes a new connection wait for a handshake, from its first byte
// to its end. An administrator who wants heads of requests quickly wants
// handshakes so, too.
func (c *Conn) startTLS() {
	c.proto = &secure{Conn: c}
	wait := tlsio.HandshakeTimeout.Milliseconds()
	if h := c.s.limits.headerWait; h > 0 {
		wait = min(wait, h)
	}
	c.setTimer(wait)
}

// shaking is the handshake of c, if it has not ended yet.
func (c *Conn) shaking() *secure {
	if h, ok := c.proto.(*secure); ok && h.running {
		return h
	}
	return nil
}

func (c *secure) wants() bool { return !c.running && c.out == nil }

// process implements protocol: a handshake begins when its first record is
// complete.
func (c *secure) process(b []byte) []byte {
	switch tlsio.Sniff(b) {
	case tlsio.NeedMore:
		return b
	case tlsio.PlainHTTP:
		c.s.tlsFailed(c.Conn, tlsio.NotTLS, "plain HTTP")
		c.write(h1.AppendError(c.s.scratch[:0], h1.Exchange{Version: 11}, 400,
			"This port speaks HTTPS, and the request is plain HTTP: use an address that begins with https://.",
			c.s.Loop.Date(), serverLine, nil), nil, nil, true)
		return nil
	case tlsio.Garbage:
		c.s.tlsFailed(c.Conn, tlsio.NotTLS, "neither TLS nor HTTP")
		c.close()
		return nil
	}
	c.running = true
	if c.text == "" {
		c.addresses()
	}
	c.tls = c.s.TLS.NewConn(c.fd, c.remote, netip.AddrPortFrom(c.local, c.endpoint.Port), b)
	c.s.Handshakes.Handshake(c.tls, c.handshakeDone)
	return nil
}

// handshakeDone goes on with HTTP.
func (c *Conn) handshakeDone(err error) {
	h := c.proto.(*secure)
	h.running = false
	if err != nil {
		c.s.tlsFailed(c, tlsio.FailureOf(err), err.Error())
	}
	if c.closed {
		c.s.Loop.Close(c.fd) // close left it to us, as the handshake was using it
		return
	}
	if err != nil {
		c.close()
		return
	}
	state := c.tls.State()
	c.s.tls.Done++
	if state.DidResume {
		c.s.tls.Resumed++
	}
	switch p := state.NegotiatedProtocol; {
	case c.endpoint.Scheme.Raw():
		c.proto = &c.http1
		c.http1.startRaw()
		if c.closed {
			return
		}
	case p == "h2":
		c.startHTTP2().arm()
	case p == "" || p == "http/1.1":
		c.proto = &c.http1
		c.announce()
		c.http1.arm()
	default: // what was to be shown was in the handshake (RFC 8737)
		c.bye()
		return
	}
	c.readable = true
	c.tls.Ready(c.peerClosed)
	c.pump()
}

func (c *secure) clientDone() {}

func (c *secure) ahead() {}

func (c *secure) eof() { c.close() }

func (c *secure) settle() {
	if c.out == nil && !c.closed {
		c.linger()
	}
}

func (c *secure) expire() {
	if c.running {
		c.tls.Cancel(tlsio.ErrTimeout)
		return
	}
	if c.out == nil { // else it was answered
		c.s.tlsFailed(c.Conn, tlsio.Late, "it never began")
	}
	c.close()
}

func (c *secure) tunnels() bool { return false }

func (c *secure) drain() {}

func (c *secure) turnEnd() { c.flush() }

func (c *secure) idle() bool { return !c.running }

func (c *secure) gone() {
	if c.running {
		c.tls.Cancel(tlsio.ErrClosed)
	}
}

// receive reads plain text.
func (c *Conn) receive(b []byte) (int, error) {
	if c.tls == nil {
		n, err := sys.Read(c.fd, b)
		if n < len(b) && !c.peerClosed || err == sys.ErrAgain {
			c.readable = false // edge triggered: more will be reported
		}
		return n, err
	}
	n, err := c.tls.Read(b)
	c.readable = c.tls.More()
	if c.tls.HasControl() {
		c.outbox().seal(&c.s.pool, c.tls.Control(c.s.sealed[:0]))
		c.s.flushLater(c)
	}
	if err != nil && err != tlsio.ErrAgain && c.out != nil {
		c.flush() // an alert that says why
	}
	return n, err
}

// transmit sends plain text as records: what the socket takes, and how much
// of them is left for later.
func (c *Conn) transmit(plain []byte) (rest []byte, err error) {
	sealed, err := c.tls.Seal(c.s.sealed[:0], plain)
	c.s.sealed = sealed[:0]
	if err != nil {
		return nil, err
	}
	n, err := sys.Write(c.fd, sealed, false)
	if err == sys.ErrAgain {
		return sealed, nil
	}
	c.sent += int64(n)
	return sealed[n:], err
}

// writeTLS sends the parts together; false if the connection did not survive.
func (c *Conn) writeTLS(a, b, d []byte) bool {
	s := append(append(append(c.s.scratch[:0], a...), b...), d...)
	c.s.scratch = s[:0]
	if len(s) == 0 {
		return true
	}
	rest, err := c.transmit(s)
	if err != nil {
		c.close()
		return false
	}
	if len(rest) > 0 {
		c.outbox().seal(&c.s.pool, rest)
	}
	return true
}

// bye closes in order: the client can tell that nothing was cut off.
func (c *Conn) bye() {
	c.closeNotify()
	c.close()
}

// closeNotify ends our side of a TLS stream, as far as the socket lets us.
func (c *Conn) closeNotify() {
	if c.tls != nil && c.shaking() == nil && !c.closed && c.out == nil {
		sys.Write(c.fd, c.tls.Close(c.s.sealed[:0]), false)
	}
}

// flushTLS is flush for a connection with TLS: what waits in the outbox is
// plain text, and is sealed when its turn comes, since records must be sent
// in the order in which they were made.
func (c *Conn) flushTLS() {
	files := int64(sendFileTurn)
	for o := c.out; len(o.segments) > 0; {
		s := &o.segments[0]
		if s.sealed {
			n, err := sys.Write(c.fd, s.buf[s.at:], false)
			if err == sys.ErrAgain {
				break
			}
			if err != nil {
				c.close()
				return
			}
			c.sent += int64(n)
			if !o.took(&c.s.pool, n) {
				break
			}
			continue
		}
		var plain []byte
		if s.run.Body != nil {
			if files <= 0 {
				c.flushSoon()
				break
			}
			plain = append(c.s.scratch[:0], s.run.Head(sendChunk)...)
			c.s.scratch = plain[:0]
			files -= int64(len(plain))
			if s.run.From += int64(len(plain)); s.run.Len() == 0 {
				o.cost -= s.cost
				o.drop(&c.s.pool)
			}
		} else if s.fd < 0 {
			plain = append(c.s.scratch[:0], s.buf[s.at:]...)
			c.s.scratch = plain[:0]
			o.bytes -= len(plain)
			o.drop(&c.s.pool)
		} else {
			if files <= 0 {
				c.flushSoon()
				break
			}
			n, err := sys.ReadFile(s.fd, c.s.buf[:min(int64(len(c.s.buf)), s.length)], s.offset)
			if err != nil || n == 0 {
				c.reset() // it cannot be read, or is shorter than was said
				return
			}
			plain = c.s.buf[:n]
			files -= int64(n)
			s.offset += int64(n)
			if s.length -= int64(n); s.length == 0 {
				o.cost -= s.cost
				o.drop(&c.s.pool)
			}
		}
		rest, err := c.transmit(plain)
		if err != nil {
			c.close()
			return
		}
		if len(rest) > 0 {
			o.seal(&c.s.pool, rest)
			break
		}
	}
	c.flushed()
}
