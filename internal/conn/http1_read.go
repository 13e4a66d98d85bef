package conn

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// This file is the way from the client to the exchange.

// maxDrain is how much of a body we read that the application did not want,
// in bytes, for the sake of the next request on the connection. Beyond it a new
// connection is cheaper for everybody.
const maxDrain = 1 << 20

// wants implements protocol.
func (c *http1) wants() bool {
	switch c.state {
	case head:
		return c.out == nil
	case drain:
		return true
	case content, opaque:
		return c.room() > 0
	}
	return false
}

// clientDone implements protocol: the exchange learns it as soon as we know. A
// body that is not read yet may still be complete, but a request that waits is
// dropped all the same: nobody may be there any more, and we would not find out.
func (c *http1) clientDone() {
	if c.state == opaque && c.x != nil {
		if !c.readable && len(c.in) == 0 {
			c.eof() // it came before the application left HTTP
		}
		return
	}
	if c.raw && c.state == wait {
		return // it has a half to say still, and bytes that are not read
	}
	if c.heard || c.x == nil || c.state != wait && (c.state != content || c.x.Assigned()) {
		return
	}
	c.heard = true
	if !c.x.ClientHalfClosed() {
		c.x = nil
		c.close()
	}
}

// eof: the client has closed its side, and everything before is read.
func (c *http1) eof() {
	switch c.state {
	case head, drain:
		// Between requests, or in the middle of something that is worth nothing.
		if c.out != nil { // let what is on its way arrive
			c.closeSoon = true
			return
		}
		c.close()
	case content:
		switch {
		case c.x == nil: // answered; only the last of it is not sent
			c.closeSoon = true
		case c.x.Assigned():
			c.x.RequestBroken()
			c.brokenBody()
		default:
			c.close()
		}
	case opaque:
		if !c.heard {
			c.heard = true
			c.x.RequestBody(nil, true)
		}
	case wait:
		c.clientDone()
	}
}

// brokenBody: the request will not be complete. The application may still
// answer; then the connection ends.
func (c *http1) brokenBody() {
	c.state, c.keepAlive = wait, false
	c.keep(nil)
	c.arm()
	if c.peerClosed {
		c.clientDone()
	}
}

// process uses as much of b as it can and returns the rest.
func (c *http1) process(b []byte) []byte {
	for !c.closed && !c.lingering {
		switch c.state {
		case head:
			if len(b) == 0 || c.out != nil {
				return b
			}
			if c.reg == nil && !c.parser.Started() {
				// The first bytes of a connection: prior knowledge of HTTP/2 (RFC 9113 3.3)?
				if is, may := h1.IsPreface(b); is {
					return c.startHTTP2().process(b)
				} else if may {
					c.arm()
					return b
				}
			}
			var ask asked
			if c.reg != nil && !c.parser.Started() {
				var done bool
				if ask, done = c.again(b); done {
					return nil
				}
			}
			limits := &c.s.limits.h1
			if c.override().NoHost {
				limits = &c.s.limits.noHost
			}
			n, err := c.parser.Parse(b, &c.s.req, limits)
			if err != nil && c.handBack(exchange.TellUnparsed) || err == h1.ErrURL && isConnect(b) && c.handBack(exchange.TellUpgrade) {
				return b
			}
			if err != nil && c.reg == nil && isForeign(b) {
				c.foreign()
				return nil
			}
			if err != nil {
				c.refuse(err)
				return nil
			}
			if n == 0 {
				c.arm()
				return b
			}
			if followed(&c.s.req, b[n:]) && c.handBack(exchange.TellUpgrade) ||
				isPipelined(&c.s.req, b[n:]) && c.handBack(exchange.TellPipelined) {
				return b
			}
			if n < len(b) { // there is more than a request
				ask = asked{}
			}
			b = c.begin(&c.s.req, b[n:], ask)
		case content:
			room := c.room()
			if room == 0 {
				return b
			}
			data, n, done, err := c.body.Next(b[:min(len(b), room)])
			if n == 0 && !done && err == nil && len(b) > room {
				// Only a trailer section needs more than that before it moves; it takes
				// nothing from the window.
				data, n, done, err = c.body.Next(b)
			}
			b = b[n:]
			c.received += int64(len(data))
			if n > 0 {
				c.expect = false // a client that has begun does not wait, and will end
			}
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
		default:
			return b
		}
	}
	return nil
}

// room is how many bytes of a body can be passed on.
func (c *http1) room() int {
	if c.x == nil {
		return 0
	}
	return c.x.Room()
}

// pass gives a piece of the body to the exchange.
func (c *http1) pass(data []byte, done bool) {
	if done && len(c.body.Trailers) > 0 {
		if len(data) > 0 {
			c.x.RequestBody(data, false)
		}
		c.x.RequestTrailers(c.body.Trailers)
	} else {
		c.x.RequestBody(data, done)
	}
	if done {
		c.state = wait
	}
	c.arm()
}

func (c *http1) tooLong() bool {
	m := c.x.MaxBody()
	return m > 0 && c.received > m
}

// begin makes an exchange of a request whose head was read; b is what follows.
// It returns what it did not use of that. ask is the request, if it may be remembered.
func (c *http1) begin(r *h1.Request, b []byte, ask asked) []byte {
	c.body.Init(r)
	c.received, c.drained = 0, 0
	c.request = h1.Exchange{
		Head: string(r.Method) == "HEAD", Connect: string(r.Method) == "CONNECT",
		Version: r.Version, KeepAlive: r.KeepAlive,
	}
	c.keepAlive = r.KeepAlive
	c.upgrade = r.Upgrade
	c.expect = r.ExpectContinue
	if c.text == "" {
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
	if body, ok := c.challenge(r); ok {
		c.answer(body)
		return b
	}
	facts := exchange.Facts{
		Scheme: c.endpoint.Scheme, Port: c.endpoint.Port, Local: c.local, Connection: c.id, Peer: c.Conn, Addresses: c.text,
		Ahead: complete && len(b) > 0 && c.tellsAhead() != nil,
	}
	routes := c.s.Stage.Routes()
	x, reg, refusal := c.s.Stage.Begin(c, &r.Request, &facts, body, complete)
	c.x, c.reg = x, reg
	if refusal.Status != 0 {
		c.fail(refusal.Status, refusal.Reason, refusal.Text, refusal.Retry)
		return b
	}
	if a := refusal.Stored; a != nil {
		if x == nil {
			c.remember(ask, r.Authority, a, routes)
		}
		c.Stored(a, x == nil)
		if x != nil && c.x == x {
			x.Send()
		}
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
	b := make([]byte, 0, 128) // on the stack
	b = append(c.remote.AppendTo(b), 0)
	b = append(local.AppendTo(b), 0)
	c.text = string(b)
}

// isForeign says whether the first line of a connection has three words of which
// the last does not even begin like HTTP. Who sends that does not speak HTTP/1, and may
// have meant to speak HTTP/2.
func isForeign(b []byte) bool {
	words := 0
	for _, w := range bytes.SplitN(b, []byte{' '}, 3) {
		if len(w) == 0 {
			return false
		}
		if words++; words == 3 {
			return w[0] != 'H' && w[0] != 'h' && w[0] != ' '
		}
		if bytes.IndexByte(w, '\n') >= 0 {
			return false
		}
	}
	return false
}

// foreign closes without an answer: an answer of HTTP/1 would be taken for
// frames, and RFC 9113 3.4 wants the connection ended for a preface that is none.
func (c *http1) foreign() {
	if c.s.OnRefuse != nil {
		c.s.OnRefuse(c.Conn, 0, "Version_N/S")
	}
	c.linger()
}
