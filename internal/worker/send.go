package worker

import (
	"cmp"
	"slices"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Take gives the application a request, if it has credit.
func (c *Channel) Take(x *exchange.Exchange) bool {
	if !c.takes() {
		c.held = c.held || c.unsent() >= maxUnsent
		return false
	}
	if !x.Fits(c.window) {
		x.GiveUp()
		return true
	}
	if c.tells != TellNone {
		c.tell(x.Peer())
	}
	c.credit--
	c.inflight++
	n := c.number()
	c.streams[n] = stream{x: x, order: c.sent}
	c.sent++
	c.mayRest(n)
	c.appendFrames(n, x.Frame())
	x.Assign(c, n, c.window, c.initial)
	return true
}

// tell sends what is known of a connection before the first request of it.
func (c *Channel) tell(p exchange.Peer) {
	if p == nil || c.tells == TellTLS && !p.Secure() || !p.Witnesses().Add(c) {
		return
	}
	at := len(c.out)
	c.out = channel.AppendHeader(c.out, channel.Header{Type: channel.Connection})
	c.out = p.AppendFacts(c.out)
	c.told(p, at)
}

// told finishes a CONNECTION that begins at c.out[at], and remembers the connection.
func (c *Channel) told(p exchange.Peer, at int) {
	channel.PutLength(c.out[at:], len(c.out)-at-channel.HeaderSize)
	c.wrote()
	if c.peers == nil {
		c.peers = map[uint64]exchange.Peer{}
	}
	c.peers[p.Number()] = p
}

// maxAnnounced is how many bytes may wait for the application before it hears no
// more of connections that have come: it will with their first request. So one
// that does not read is not cut for what strangers do.
const maxAnnounced = 64 << 10

// Announce implements exchange.Announcer.
func (c *Channel) Announce(p exchange.Peer, registration uint32) {
	if c.dead || c.leaving || c.tells == TellNone || c.tells == TellTLS && !p.Secure() || c.unsent() > maxAnnounced || !p.Witnesses().Add(c) {
		return
	}
	at := len(c.out)
	c.out = channel.AppendHeader(c.out, channel.Header{Type: channel.Connection})
	c.out = p.AppendAccepted(c.out, registration)
	c.told(p, at)
}

// hangup ends a connection that the application was told of and wants no more
// of. Where another application had the last request, it is that one's matter.
func (c *Channel) hangup(number uint64, now bool) {
	p := c.peers[number]
	if p == nil || !p.Witnesses().Last(c) {
		return
	}
	if now {
		p.Cut()
	} else {
		p.Hangup()
	}
}

// Disconnected implements exchange.Witness.
func (c *Channel) Disconnected(number uint64) {
	delete(c.peers, number)
	c.out = channel.AppendDisconnection(c.out, number)
	c.wrote()
}

// Gone implements exchange.Witness.
func (c *Channel) Gone() bool { return c.dead }

// number takes a free stream number, the last freed first: numbers stay
// small.
func (c *Channel) number() uint32 {
	if i := len(c.free); i > 0 {
		n := c.free[i-1]
		c.free = c.free[:i-1]
		return n
	}
	c.streams = append(c.streams, stream{})
	return uint32(len(c.streams) - 1)
}

func (c *Channel) release(n uint32) {
	c.streams[n] = stream{}
	c.free = append(c.free, n)
}

// appendFrames sends frames that were made for stream 0 on stream n.
func (c *Channel) appendFrames(n uint32, frames []byte) {
	at := len(c.out)
	c.out = append(c.out, frames...)
	for at < len(c.out) {
		b := c.out[at:]
		b[4], b[5], b[6], b[7] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
		at += channel.HeaderSize + int(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)
	}
	c.wrote()
}

// wrote sees to it that c.out is sent at the end of the turn, together with
// all else that the turn still adds.
func (c *Channel) wrote() {
	if !c.queued && !c.dead {
		c.queued = true
		c.Loop.AtTurnEnd(c)
	}
}

// TurnEnd sends what the turn has produced in one write.
func (c *Channel) TurnEnd() {
	c.queued = false
	if !c.dead {
		c.flush()
	}
	if c.crowded() && !c.dead {
		c.rest(soon, false)
	}
}

// keepOut is how large an empty out buffer may stay.
const keepOut = 64 << 10

func (c *Channel) flush() {
	for c.outAt < len(c.out) {
		n, err := sys.Write(c.fd, c.out[c.outAt:], false)
		if err == sys.ErrAgain {
			break
		}
		if err != nil {
			c.End(true) // it has gone, but may have answered something before
			return
		}
		c.outAt += n
	}
	switch {
	case c.outAt == len(c.out):
		c.out, c.outAt = c.out[:0], 0
		if cap(c.out) > keepOut {
			c.out = nil
		}
	case c.outAt > len(c.out)/2:
		c.out = append(c.out[:0], c.out[c.outAt:]...)
		c.outAt = 0
	}
	if c.unsent() > maxIgnored {
		c.end(errDeaf)
		return
	}
	if c.held && c.unsent() < maxUnsent/2 {
		c.held = false
		c.resume()
	}
}

// resume lets request bodies flow again, and requests come.
func (c *Channel) resume() {
	for i := range c.streams {
		if x, awake := c.streams[i].x.(*exchange.Exchange); awake {
			x.Resume()
		}
	}
	c.offer()
}

// Room implements exchange.Worker.
func (c *Channel) Room() int {
	n := maxUnsent - c.unsent()
	if n <= 0 {
		c.held = true
		return 0
	}
	return n
}

// Data implements exchange.Worker.
func (c *Channel) Data(x *exchange.Exchange, b []byte, end bool) {
	for len(b) > maxData {
		c.data(x.Stream, 0, b[:maxData])
		b = b[maxData:]
	}
	flags := channel.Flags(0)
	if end {
		flags = channel.FlagEnd
	}
	c.data(x.Stream, flags, b)
}

const (
	// maxData is the longest DATA frame that we send.
	maxData = 64 << 10
	// direct is from where on a piece of a body is written at once, from where
	// it was read: a system call is cheaper than to copy it.
	direct = 8 << 10
)

func (c *Channel) data(n uint32, flags channel.Flags, b []byte) {
	c.out = channel.AppendHeader(c.out, channel.Header{Length: uint32(len(b)), Stream: n, Type: channel.Data, Flags: flags})
	if len(b) < direct || c.dead {
		c.out = append(c.out, b...)
		c.wrote()
		return
	}
	pending := c.unsent()
	sent, err := sys.WriteV(c.fd, false, c.out[c.outAt:], b)
	if err != nil { // the end of the turn finds out whether it is serious
		sent = 0
	}
	c.outAt += min(sent, pending)
	c.out = append(c.out, b[max(sent-pending, 0):]...)
	if c.outAt == len(c.out) {
		c.out, c.outAt = c.out[:0], 0
		if !c.held {
			return
		}
	}
	c.wrote()
}

// Trailers implements exchange.Worker.
func (c *Channel) Trailers(x *exchange.Exchange, fields []message.Field) {
	at := len(c.out)
	c.out = channel.AppendHeader(c.out, channel.Header{Stream: x.Stream, Type: channel.Trailers})
	c.out = channel.AppendTrailersFixed(c.out, len(fields))
	for _, f := range fields {
		c.out = append(append(c.out, f.Name...), 0)
		c.out = append(append(c.out, f.Value...), 0)
	}
	channel.PutLength(c.out[at:], len(c.out)-at-channel.HeaderSize)
	c.wrote()
}

// Cancel implements exchange.Worker.
func (c *Channel) Cancel(x *exchange.Exchange, reason uint16) {
	if reason == channel.CancelGone {
		c.streams[x.Stream].cancel(x.IsOpaque())
	}
	c.out = channel.AppendFrame(c.out, channel.Cancel, 0, x.Stream, reason, nil)
	c.wrote()
}

// Window implements exchange.Worker.
func (c *Channel) Window(x *exchange.Exchange, n int) {
	c.out = channel.AppendUint32Frame(c.out, channel.Window, x.Stream, uint32(n))
	c.wrote()
}

// Ahead implements exchange.Worker.
func (c *Channel) Ahead(x *exchange.Exchange) {
	c.out = channel.AppendFrame(c.out, channel.Ahead, 0, x.Stream, 0, nil)
	c.wrote()
}

// Lend implements exchange.Worker.
func (c *Channel) Lend(n int) int {
	n = min(n, c.budget)
	c.budget -= n
	return n
}

// Return implements exchange.Worker.
func (c *Channel) Return(n int) { c.budget += n }

// Socket implements exchange.Worker. The frame leaves at once, behind all that
// waits, or not at all: so no descriptor is ever kept for an application that
// does not read, and what the kernel refuses to pass is not lost.
func (c *Channel) Socket(x *exchange.Exchange, fd int, pending []byte) bool {
	if len(pending) > maxPending {
		return false
	}
	for c.outAt < len(c.out) {
		n, err := sys.Write(c.fd, c.out[c.outAt:], false)
		if err != nil {
			return false // the end of the turn finds out why
		}
		c.outAt += n
	}
	c.out, c.outAt = c.out[:0], 0
	if c.held {
		c.wrote() // flush resumes what was held up
	}
	frame := channel.AppendFrame(nil, channel.Socket, 0, x.Stream, channel.SocketPassed, pending)
	n, err := sys.WriteWithDescriptor(c.fd, frame, fd)
	if err != nil {
		return false
	}
	if n < len(frame) {
		c.out = append(c.out, frame[n:]...)
		c.wrote()
	}
	return true
}

// maxPending is how much may have been read of a socket that is handed over:
// what one read of ours takes, and what a client sends ahead of an answer.
const maxPending = 128 << 10

// NoSocket implements exchange.Worker.
func (c *Channel) NoSocket(x *exchange.Exchange) {
	c.out = channel.AppendFrame(c.out, channel.Socket, 0, x.Stream, channel.SocketRelayed, nil)
	c.wrote()
}

// GoAwaySoon tells the application that the daemon is going to end: what it
// has of connections in opaque mode should come to one.
func (c *Channel) GoAwaySoon() {
	if !c.leaving && !c.dead {
		c.out = channel.AppendFrame(c.out, channel.GoAway, 0, 0, channel.GoAwaySoon, nil)
		c.wrote()
	}
}

// GoAway tells the application that no new requests will come.
func (c *Channel) GoAway() {
	if c.leaving || c.dead {
		return
	}
	c.leaving = true
	c.Leave()
	c.out = channel.AppendFrame(c.out, channel.GoAway, 0, 0, 0, nil)
	c.wrote()
}

func sortByOrder(s []stream) {
	slices.SortFunc(s, func(a, b stream) int { return cmp.Compare(a.order, b.order) })
}
