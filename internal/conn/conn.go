package conn

import (
	"net/netip"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/tlsio"
)

// Conn is one client connection: its socket, what was read and not used yet,
// what is to be sent, and the protocol that is spoken on it. 10 000 idle ones
// must be cheap, so it holds what an idle one needs and pointers to the rest.
type Conn struct {
	s        *Server
	fd       int
	id       uint64
	endpoint *Endpoint
	remote   netip.AddrPort
	local    netip.Addr // found at the first request
	text     string     // both addresses as text, each ended by NUL

	witnesses exchange.Witnesses // who was told of the connection

	next, prev *Conn // in s.conns

	proto protocol
	http1 http1 // proto, unless the client speaks something else

	tls   *tlsio.Conn // nil: plain text
	timer loop.Timer
	in    []byte // received and not used yet; nil if nothing
	out   *outbox
	sent  int64 // bytes that the socket took since the connection began
	mark  int64 // sent when the timer for the minimum send rate was set

	closed     bool
	lingering  bool // what comes is read and dropped, so that our last words are not lost to a reset
	readable   bool // the socket may have bytes
	peerClosed bool // the client will send no more
	dirty      bool // in s.dirty
	busy       bool // in protocol.process: do not start again from inside
	again      bool // in the loop's list for the next turn, to read on
	flushing   bool // in the loop's list for the next turn, to send on
}

// protocol is what a connection needs from the protocol that is spoken on it.
type protocol interface {
	// wants says whether bytes of the client can be used now.
	wants() bool
	// process uses as much of b as it can and returns the rest.
	process(b []byte) []byte
	// clientDone tells, perhaps several times, that the client has closed its
	// side, though there may be something to read still.
	clientDone()
	// ahead hears of bytes that cannot be used now.
	ahead()
	// eof tells that everything that the client ever sent is read.
	eof()
	// settle draws the conclusions of a write, which may be incomplete.
	settle()
	// expire is called when the connection's timer has run out.
	expire()
	// idle says whether the connection could be closed without anybody missing it.
	idle() bool
	// tunnels says that nothing is under way but opaque mode, which has no end of
	// its own.
	tunnels() bool
	// drain asks for an end as soon as what is under way is done.
	drain()
	// turnEnd is called at the end of a turn in which flushLater was asked for.
	turnEnd()
	// gone tells that the connection has ended.
	gone()
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
	if c.closed {
		return
	}
	if c.shaking() != nil {
		c.peerClosed = c.peerClosed || events&sys.PeerClosed != 0
		c.tls.Wake()
		return
	}
	if events&sys.Failed != 0 || events&sys.Hangup != 0 && c.lingering {
		c.close()
		return
	}
	if events&sys.Hangup != 0 {
		// Both sides have ended in order, but the last of what the client sent may
		// not be read yet.
		events |= sys.Readable | sys.PeerClosed
	}
	if events&sys.Writable != 0 && c.out != nil {
		c.flush()
		if c.closed {
			return
		}
	}
	if events&(sys.Readable|sys.PeerClosed) != 0 {
		c.readable = true
		c.peerClosed = c.peerClosed || events&sys.PeerClosed != 0
		if c.tls != nil {
			c.tls.Ready(c.peerClosed)
		}
		c.pump()
	}
}

// Expire is called by the loop.
func (c *Conn) Expire() {
	if c.lingering {
		c.close()
		return
	}
	c.proto.expire()
}

// reset ends the connection so that the client cannot take what it got for
// complete.
func (c *Conn) reset() {
	if !c.closed {
		sys.Reset(c.fd)
		c.close()
	}
}

// close ends the connection at once: the client left, or must not get more.
func (c *Conn) close() {
	if c.closed {
		return
	}
	c.closed = true
	c.s.Loop.ReleaseTimer(&c.timer)
	if c.shaking() != nil {
		c.s.Loop.Unwatch(c.fd) // handshakeDone closes it
	} else {
		c.s.Loop.Close(c.fd)
	}
	c.endpoint.Connections.Add(-1)
	c.unlink()
	c.keep(nil)
	if c.out != nil {
		c.out.release(&c.s.pool)
		c.out = nil
	}
	c.proto.gone()
	c.witnesses.End(c.id)
}

// lingerTime is how long we read what nobody wants after our last words, in
// milliseconds; a client that has not understood by then is not worth more.
var lingerTime int64 = 2000 // a variable for tests

// linger closes after everything was sent to a client that may still be
// sending. Closing at once would make the kernel answer with a reset, which
// can destroy our last words on their way (RFC 9112 9.6): so we end our side
// and read on for a while.
func (c *Conn) linger() {
	if c.closed || c.lingering {
		return
	}
	c.closeNotify()
	if c.peerClosed && !c.readable { // everything that it ever sent is read
		c.close()
		return
	}
	sys.ShutdownWrite(c.fd)
	c.lingering = true
	c.keep(nil)
	c.s.Loop.SetTimer(&c.timer, c, lingerTime)
	if !c.busy {
		c.pump()
	}
}

// closeIfIdle closes a connection that nothing was sent on. A request may be
// there already whose event has not come yet.
func (c *Conn) closeIfIdle() {
	if !c.silent() {
		return
	}
	if c.shaking() == nil {
		c.readable = true
		if c.tls != nil {
			c.tls.Ready(c.peerClosed)
		}
		c.pump()
	}
	if !c.silent() || c.readable {
		return
	}
	if h, ok := c.proto.(*http2); ok {
		h.bye()
	} else {
		c.bye()
	}
}

func (c *Conn) silent() bool {
	return !c.closed && !c.lingering && c.proto.idle() && c.out == nil && len(c.in) == 0
}

// setTimer makes the timer run out after so many milliseconds, or never if 0.
func (c *Conn) setTimer(after int64) {
	if after > 0 {
		c.s.Loop.SetTimer(&c.timer, c, after)
	} else {
		c.s.Loop.StopTimer(&c.timer)
	}
}
