package conn

import (
	"net/netip"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// state says what the next bytes of the client are.
type state uint8

const (
	head    state = iota // a request head, or nothing yet
	content              // the body of the present request, for the exchange
	wait                 // not read: the present request has all it needs
	drain                // the rest of a body that nobody wants
	opaque               // bytes that we do not interpret
	linger               // read and dropped, so that our last words are not lost to a reset
	closed
)

// Conn is one client connection. 10 000 idle ones must be cheap, so it holds
// what an idle one needs and pointers to the rest.
type Conn struct {
	s        *Server
	fd       int
	id       uint64
	endpoint *Endpoint
	remote   netip.AddrPort
	local    netip.Addr // found at the first request
	text     []byte     // both addresses as text, each ended by NUL

	next, prev *Conn // in s.conns

	timer loop.Timer
	mark  int64 // c.sent when the send timer was set
	waits waits // what the timer is for

	parser h1.HeadParser
	body   h1.Body
	in     []byte // received and not used yet; nil if nothing
	out    *outbox

	x        *exchange.Exchange // nil: none, or it is over
	reg      *exchange.Registration
	length   int64 // bytes of the response that must still be sent, with FramingLength
	unsent   int   // body bytes that x does not know are sent
	received int64 // body bytes of the request so far
	drained  int64 // bytes of it that nobody wanted
	sent     int64 // bytes and files that the socket took since the connection began

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

	readable   bool // the socket may have bytes
	peerClosed bool // the client will send no more
	heard      bool // the exchange knows that
	dirty      bool // in s.dirty
	busy       bool // in process: do not start again from inside
	again      bool // in the loop's list for the next turn
	lingers    bool // what the client sent is not understood: more may be on its way
}

func (c *Conn) link() {
	s := c.s
	if c.next = s.conns; c.next != nil {
		c.next.prev = c
	}
	s.conns = c
	s.nconns++
}

func (c *Conn) unlink() {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		c.s.conns = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	c.s.nconns--
}

// Ready is called by the loop.
func (c *Conn) Ready(events uint32) {
	if c.state == closed {
		return
	}
	if events&(sys.Failed|sys.Hangup) != 0 {
		c.close()
		return
	}
	if events&sys.Writable != 0 && c.out != nil {
		c.flush()
		if c.state == closed {
			return
		}
	}
	if events&(sys.Readable|sys.PeerClosed) != 0 {
		c.readable = true
		c.peerClosed = c.peerClosed || events&sys.PeerClosed != 0
		c.pump()
	}
}

// reset ends it so that the client cannot take what it got for complete.
func (c *Conn) reset() {
	if c.state != closed {
		sys.Reset(c.fd)
		c.close()
	}
}

// close ends the connection at once: the client left, or must not get more.
func (c *Conn) close() {
	if c.state == closed {
		return
	}
	c.state = closed
	c.s.Loop.ReleaseTimer(&c.timer)
	c.s.Loop.Close(c.fd)
	c.endpoint.Connections.Add(-1)
	c.unlink()
	c.keep(nil)
	if c.out != nil {
		c.out.release(&c.s.pool)
		c.out = nil
	}
	if x := c.x; x != nil {
		c.x = nil
		x.ClientGone()
	}
}

// finish closes after the last response was sent. If the client may still be
// sending, closing at once would make the kernel answer with a reset, which can
// destroy the response on its way (RFC 9112 9.6): then we end our side and
// read on for a while.
func (c *Conn) finish() {
	if c.state == closed {
		return
	}
	if c.peerClosed || c.clean() {
		c.close()
		return
	}
	sys.ShutdownWrite(c.fd)
	c.state = linger
	c.keep(nil)
	c.arm()
	if !c.busy {
		c.pump()
	}
}

// finishSoon finishes when all is sent.
func (c *Conn) finishSoon() {
	c.keepAlive, c.lingers, c.closeSoon = false, true, true
	c.settle()
}

// clean says that the client has sent complete requests and nothing more that
// we know of.
func (c *Conn) clean() bool {
	return c.body.Done() && len(c.in) == 0 && !c.readable && !c.lingers
}

func (c *Conn) idle() bool {
	return c.state == head && c.x == nil && c.out == nil && len(c.in) == 0
}

func (c *Conn) closeIfIdle() {
	if c.idle() && !c.readable {
		c.close()
	}
}

// nextRequest makes ready for another request after a response.
func (c *Conn) nextRequest() {
	c.state = head

	c.headSent, c.done, c.dropBody, c.expect, c.heard = false, false, false, false, false
	c.unsent = 0
	if c.s.draining || c.endpoint.Closed.Load() && len(c.in) == 0 {
		c.finish()
		return
	}
	c.arm()
	if !c.busy {
		c.resume()
	}
}
