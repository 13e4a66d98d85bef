package conn

import (
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// http1 is HTTP/1.1 and 1.0 on a connection: one request at a time; what a
// client sends ahead (pipelining) stays unread.
type http1 struct {
	*Conn

	parser h1.HeadParser
	body   h1.Body

	x        *exchange.Exchange // nil: none, or it is over
	reg      *exchange.Registration
	length   int64 // bytes of the response that must still be sent, with FramingLength
	unsent   int   // body bytes that x does not know are sent
	received int64 // body bytes of the request so far
	drained  int64 // bytes of it that nobody wanted

	waits     waits // what the timer is for
	state     state
	framing   h1.Framing
	request   h1.Exchange // facts of the present request
	upgrade   bool        // the present request asked for one
	expect    bool        // the client waits for 100 Continue
	keepAlive bool
	headSent  bool
	dropBody  bool // HEAD, 204, 304: the response has no body
	done      bool // the response is complete, though perhaps unsent
	closeSoon bool // close when all is sent
	shutSoon  bool // opaque: half-close when all is sent
	heard     bool // the exchange knows that the client has closed its side
	garbled   bool // the client may be sending what nobody understands
	raw       bool // there is no HTTP, and nothing but opaque mode
}

// state says what the next bytes of the client are.
type state uint8

const (
	head    state = iota // a request head, or nothing yet
	content              // the body of the present request, for the exchange
	wait                 // not read: the present request has all it needs
	drain                // the rest of a body that nobody wants
	opaque               // bytes that we do not interpret
	given                // not ours: the socket was offered to the application
)

func (c *http1) idle() bool { return c.state == head && c.x == nil && !c.parser.Started() }

// tunnels implements protocol.
func (c *http1) tunnels() bool { return (c.state == opaque || c.state == given) && c.x != nil }

// drain implements protocol: the present response says that it is the last.
func (c *http1) drain() {}

// turnEnd implements protocol.
func (c *http1) turnEnd() { c.flush() }

// gone implements protocol.
func (c *http1) gone() {
	if x := c.x; x != nil {
		c.x = nil
		x.ClientGone()
	}
}

// finish closes after the last response was sent.
func (c *http1) finish() {
	if c.clean() {
		c.bye()
		return
	}
	c.linger()
}

// clean says that the client has sent complete requests and nothing more that
// we know of, so that closing cannot cause a reset.
func (c *http1) clean() bool {
	return c.body.Done() && len(c.in) == 0 && !c.readable && !c.garbled
}

// finishSoon finishes when all is sent.
func (c *http1) finishSoon() {
	c.keepAlive, c.garbled, c.closeSoon = false, true, true
	c.settle()
}

// settle draws the conclusions of a write: it tells the exchange what is
// sent, and goes on when a response is out.
func (c *http1) settle() {
	if c.closed || c.state == given {
		return
	}
	pending := 0
	if c.out != nil {
		pending = c.out.bytes + c.out.cost
	}
	if c.x != nil && c.unsent > pending {
		// What is pending counts framing, too: that errs to the safe side and is
		// right when all is sent.
		n := c.unsent - pending
		c.unsent = pending
		c.x.Sent(n, pending == 0)
	}
	if c.closed {
		return
	}
	if c.out != nil {
		c.arm()
		return
	}
	switch {
	case c.closeSoon && c.x == nil:
		c.finish()
	case c.state == opaque && c.shutSoon:
		c.shutSoon = false
		c.closeNotify()
		sys.ShutdownWrite(c.fd)
		c.arm()
	case c.done:
		c.responseSent()
	default:
		c.arm()
	}
}

// responseSent goes on after a complete response.
func (c *http1) responseSent() {
	switch {
	case !c.keepAlive || c.framing == h1.FramingClose:
		c.finish()
	case c.state == content || c.state == drain:
		// The application did not want the rest of the body. It has to be read
		// before the next request can be found.
		c.state = drain
		c.arm()
		c.resume()
	case c.state == wait:
		c.nextRequest()
	}
}

// nextRequest makes ready for another request after a response.
func (c *http1) nextRequest() {
	c.state = head
	c.headSent, c.done, c.dropBody, c.expect, c.heard = false, false, false, false, false
	c.unsent = 0
	if c.s.draining || c.endpoint.Closed.Load() && len(c.in) == 0 {
		c.finish()
		return
	}
	c.arm()
	c.resume()
}
