package conn

import (
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// readTurns bounds how often one turn reads the same connection.
const readTurns = 4

// maxDrain is how much of a body we read that the application did not want,
// in bytes, for the sake of the next request on the connection. Beyond it a new
// connection is cheaper for everybody.
const maxDrain = 1 << 20

// lingerTime is how long we read what nobody wants after our last words, in
// milliseconds; a client that has not understood by then is not worth more.
const lingerTime = 2000

// wants says whether bytes of the client can be used now.
func (c *Conn) wants() bool {
	switch c.state {
	case head:
		return c.out == nil
	case drain, linger:
		return true
	case content, opaque:
		return c.room() > 0
	}
	return false
}

// pump reads while there is something to read and a use for it.
func (c *Conn) pump() {
	for range readTurns {
		if !c.readable || c.state == closed || !c.wants() {
			c.tellClosed()
			return
		}
		n, err := sys.Read(c.fd, c.s.buf)
		if err == sys.ErrAgain {
			c.readable = false
			continue
		}
		if err != nil {
			c.close()
			return
		}
		if n == 0 {
			c.readable, c.peerClosed = false, true
			c.eof()
			return
		}
		if n < len(c.s.buf) && !c.peerClosed {
			c.readable = false // edge triggered: more will be reported
		}
		c.input(c.s.buf[:n])
	}
	if c.readable && c.state != closed && !c.again {
		c.again = true
		c.s.Loop.Again(pumpAgain{c})
	}
}

type pumpAgain struct{ c *Conn }

func (p pumpAgain) TurnEnd() {
	p.c.again = false
	if p.c.state != closed {
		p.c.pump()
	}
}

// tellClosed lets the exchange know that the client has closed its side, as
// soon as we know.
func (c *Conn) tellClosed() {
	if !c.peerClosed || c.heard || c.x == nil || c.state != wait {
		return
	}
	c.heard = true
	if !c.x.ClientHalfClosed() {
		c.x = nil
		c.close()
	}
}

// eof: the client has closed its side, and everything before is read.
func (c *Conn) eof() {
	switch c.state {
	case head, drain, linger:
		// Between requests, or in the middle of something that is worth nothing.
		if c.out != nil { // let what is on its way arrive
			c.closeSoon = true
			return
		}
		c.close()
	case content:
		if c.x.Assigned() {
			c.x.RequestBroken()
			c.brokenBody()
		} else {
			c.close()
		}
	case opaque:
		if !c.heard {
			c.heard = true
			c.x.RequestBody(nil, true)
		}
	case wait:
		c.tellClosed()
	}
}

// brokenBody: the request will not be complete. The application may still
// answer; then the connection ends.
func (c *Conn) brokenBody() {
	c.state, c.keepAlive = wait, false
	c.keep(nil)
	c.arm()
	c.tellClosed()
}

// input takes bytes of the client, which are valid only during the call.
func (c *Conn) input(b []byte) {
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	c.busy = true
	rest := c.process(b)
	c.busy = false
	if c.state != closed {
		c.keep(rest)
	}
}

// resume uses what was kept, and then reads on.
func (c *Conn) resume() {
	if len(c.in) > 0 && c.wants() {
		c.input(nil)
	}
	if c.state != closed {
		c.pump()
	}
}

// keep remembers the bytes that are not used yet: a part of c.in, or of the
// loop's buffer.
func (c *Conn) keep(rest []byte) {
	if len(rest) == 0 {
		if c.in != nil {
			c.s.pool.put(c.in)
			c.in = nil
		}
		return
	}
	if c.in == nil {
		c.in = c.s.pool.get(len(rest))
	}
	c.in = append(c.in[:0], rest...)
}

// process uses as much of b as it can and returns the rest.
func (c *Conn) process(b []byte) []byte {
	for {
		switch c.state {
		case head:
			if len(b) == 0 || c.out != nil {
				return b
			}
			n, err := c.parser.Parse(b, &c.s.req, &c.s.limits.h1)
			if err != nil {
				c.refuse(err)
				return nil
			}
			if n == 0 {
				c.arm()
				return b
			}
			b = c.begin(&c.s.req, b[n:])
		case content:
			room := c.room()
			if room == 0 {
				return b
			}
			data, n, done, err := c.body.Next(b[:min(len(b), room)])
			if n == 0 && !done && err == nil && len(b) > room {
				// Only a trailer section needs more than that before it moves.
				data, n, done, err = c.body.Next(b)
			}
			b = b[n:]
			c.received += int64(len(data))
			switch {
			case c.tooLong():
				c.tooLarge()
				return nil
			case err != nil:
				c.badBody(err)
				return nil
			case len(data) > 0 || done:
				c.pass(data, done)
			case n == 0:
				return b
			}
		case drain:
			_, n, done, err := c.body.Next(b)
			b = b[n:]
			c.drained += int64(n)
			switch {
			case err != nil || c.drained > maxDrain:
				c.finishSoon()
				return nil
			case done:
				c.state = wait
				if c.done && c.out == nil {
					c.responseSent()
				}
			case n == 0:
				return b
			default:
				c.arm()
			}
		case opaque:
			if n := min(len(b), c.room()); n > 0 {
				c.x.RequestBody(b[:n], false)
				b = b[n:]
			}
			return b
		case linger, closed:
			return nil
		default:
			return b
		}
	}
}

// room is how many bytes of a body can be passed on. Less than minRoom is
// none: the application gives back its window by halves (docs/channel.md
// section 6), so more comes, and the framing of chunks always fits.
func (c *Conn) room() int {
	if c.x == nil {
		return 0
	}
	if n := c.x.Room(); n >= minRoom {
		return n
	}
	return 0
}

const minRoom = channel.MinWindow / 4

// pass gives a piece of the body to the exchange.
func (c *Conn) pass(data []byte, done bool) {
	if done && len(c.body.Trailers) > 0 {
		if len(data) > 0 {
			c.x.RequestBody(data, false)
		}
		c.x.RequestTrailers(c.body.Trailers)
	} else {
		c.x.RequestBody(data, done)
	}
	if done {
		c.state, c.expect = wait, false
	}
	c.arm()
}

func (c *Conn) tooLong() bool {
	m := c.x.MaxBody()
	return m > 0 && c.received > m
}

// begin makes an exchange of a request whose head was read; b is what follows.
// It returns what it did not use of that.
func (c *Conn) begin(r *h1.Request, b []byte) []byte {
	c.body.Init(r)
	c.received, c.drained = 0, 0
	c.request = h1.Exchange{
		Head: string(r.Method) == "HEAD", Connect: string(r.Method) == "CONNECT",
		Version: r.Version, KeepAlive: r.KeepAlive,
	}
	c.keepAlive = r.KeepAlive
	c.upgrade = r.Upgrade
	c.expect = r.ExpectContinue
	if c.text == nil {
		c.addresses()
	}
	var body []byte
	complete := c.body.Done()
	if !complete && !r.Chunked && r.ContentLength <= channel.MinWindow && r.ContentLength <= int64(len(b)) {
		// A short body that is here already goes with the head.
		var n int
		body, n, complete, _ = c.body.Next(b)
		b = b[n:]
		c.received = int64(n)
	}
	if complete {
		c.state, c.expect = wait, false
	} else {
		c.state = content
	}
	facts := exchange.Facts{
		Scheme: c.endpoint.Scheme, Port: c.endpoint.Port, Local: c.local, Connection: c.id, Addresses: c.text,
	}
	x, reg, refusal := c.s.Stage.Begin(c, &r.Request, &facts, body, complete)
	c.x, c.reg = x, reg
	if refusal.Status != 0 {
		c.fail(refusal.Status, refusal.Reason, refusal.Text, refusal.Retry)
		return b
	}
	c.arm()
	return b
}

// addresses finds the local address and writes both down, once a connection.
func (c *Conn) addresses() {
	local, err := sys.LocalAddr(c.fd)
	if err != nil {
		local = c.remote
	}
	c.local = local.Addr()
	b := make([]byte, 0, 48)
	b = append(c.remote.AppendTo(b), 0)
	b = append(local.AppendTo(b), 0)
	c.text = b
}
