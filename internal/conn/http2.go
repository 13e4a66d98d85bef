package conn

import (
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/h2"
)

// http2 is HTTP/2 on a connection: many requests at once, each an h2 stream
// with an exchange. What is valid, in which order responses leave and what is
// an attack, is decided in internal/wire/h2.
//
// http2_stream.go is one request: exchange.Client.
type http2 struct {
	*Conn
	core    h2.Conn
	streams *stream // all that have an exchange or something to send, in a list
	failed  bool    // the connection is over once everything is sent
	stalled bool    // the client was not read since it does not read
	framing bool    // in send: settle must not start it again
	waits   waits   // what the timer is for
}

// backlog is how many bytes may wait for the socket of a connection before
// its streams have to wait, too. It is what a slow reader of many streams can
// make us hold beside their windows.
const backlog = 128 << 10

// startHTTP2 makes HTTP/2 the protocol of the connection.
func (c *Conn) startHTTP2() *http2 {
	if c.text == nil {
		c.addresses()
	}
	h := &http2{Conn: c}
	c.proto = h
	h.lend()
	h.core.Init(c.s.h2(), c.s.Loop.Now())
	h.sendSoon()
	return h
}

// lend gives the core an array to write to; flush takes it back.
func (c *http2) lend() {
	if c.core.Out == nil {
		c.core.Out = c.s.pool.lend()
	}
}

// sendSoon sees to it that what the core has written leaves at the end of the
// turn, together with all that the turn still adds.
func (c *http2) sendSoon() { c.s.flushLater(c.Conn) }

// wants implements protocol. A client that does not take our answers is not
// read either: it could make us write more of them.
func (c *http2) wants() bool {
	c.stalled = c.out != nil && c.out.bytes >= backlog
	return !c.failed && !c.stalled
}

// process implements protocol.
func (c *http2) process(b []byte) []byte {
	now := c.s.Loop.Now()
	c.lend()
	for !c.closed {
		n := c.core.Receive(b, now)
		c.events()
		b = b[n:]
		if n == 0 || len(b) == 0 {
			break
		}
	}
	if !c.closed && (len(c.core.Out) > 0 || c.failed || c.core.Done() || c.core.Ready() != nil) {
		c.sendSoon()
	}
	c.arm()
	return b
}

// events does what the core has understood.
func (c *http2) events() {
	for e := c.core.Next(); e != nil; e = c.core.Next() {
		switch e.Kind {
		case h2.GotRequest:
			c.begin(e)
		case h2.Refused:
			st := c.newStream(e)
			c.refuse(st, e.Err.Status, e.Err.Reason, e.Err.Text, false)
		case h2.GotData:
			e.Stream.Owner.(*stream).data(e.Data, e.End)
		case h2.GotTrailers:
			e.Stream.Owner.(*stream).requestTrailers(e.Fields)
		case h2.Reset:
			if st, ok := e.Stream.Owner.(*stream); ok {
				st.forget()
			}
		case h2.Failed:
			c.failed = true
			if c.s.OnRefuse != nil {
				c.s.OnRefuse(c.Conn, 0, e.Err.Reason)
			}
		}
	}
}

// begin makes an exchange of a request.
func (c *http2) begin(e *h2.Event) {
	st := c.newStream(e)
	facts := exchange.Facts{
		Scheme: c.endpoint.Scheme, Port: c.endpoint.Port, Local: c.local, Connection: c.id, Peer: c.Conn, Addresses: c.text,
	}
	// A CONNECT has no content; what comes behind it is for the tunnel, which
	// the application may open or not.
	st.connect = e.Request.Connect
	st.ended, st.told = e.End, e.End || st.connect
	x, _, refusal := c.s.Stage.Begin(st, &e.Request.Request, &facts, nil, st.told)
	if refusal.Status != 0 {
		c.refuse(st, refusal.Status, refusal.Reason, refusal.Text, refusal.Retry)
		return
	}
	st.x = x
	st.resume() // it may have been assigned before we knew of it
}

// turnEnd implements protocol: all frames of a turn leave together.
func (c *http2) turnEnd() {
	c.send()
	c.push()
}

// push hands what the core has written to the socket.
func (c *http2) push() {
	b := c.core.Out
	if len(b) == 0 {
		c.settle()
		return
	}
	c.core.Out = nil
	c.write(b, nil, nil, true)
	c.s.pool.takeBack(b)
}

// send lets streams go on whose turn it is, as long as the socket keeps up.
func (c *http2) send() {
	if c.framing || c.closed {
		return
	}
	c.framing = true
	for c.room() {
		s := c.core.Ready()
		if s == nil {
			break
		}
		c.lend()
		s.Owner.(*stream).send()
	}
	c.framing = false
	if c.core.Err() != nil && !c.failed {
		c.events() // windows so small that they are an attack
	}
}

// room says whether another frame may be written.
func (c *http2) room() bool {
	n := len(c.core.Out)
	if c.out != nil {
		n += c.out.bytes
	}
	return n < backlog
}

// settle implements protocol.
func (c *http2) settle() {
	if c.closed {
		return
	}
	if c.out == nil && len(c.core.Out) == 0 {
		c.core.Flushed()
		if c.failed || c.core.Done() {
			c.linger()
			return
		}
	}
	if !c.framing && c.room() {
		c.send()
		if len(c.core.Out) > 0 {
			c.sendSoon()
		}
	}
	c.arm()
	if c.stalled && c.wants() {
		c.resume()
	}
}

// clientDone implements protocol: nothing more will come, but answers can
// still be delivered.
func (c *http2) clientDone() {}

// eof implements protocol.
func (c *http2) eof() { c.close() }

func (c *http2) idle() bool { return c.core.Streams() == 0 && len(c.core.Out) == 0 }

// drain implements protocol.
func (c *http2) drain() {
	c.lend()
	c.core.Shutdown(c.s.Loop.Now())
	c.sendSoon()
}

// gone implements protocol.
func (c *http2) gone() {
	for c.streams != nil {
		c.streams.forget()
	}
	if c.core.Out != nil {
		c.s.pool.takeBack(c.core.Out)
		c.core.Out = nil
	}
}

// arm sets the timer for whatever comes first: what the core waits for, a
// client that takes nothing, or one that asks for nothing.
func (c *http2) arm() {
	if c.closed || c.lingering {
		return
	}
	now := c.s.Loop.Now()
	w, after := forNothing, int64(0)
	if d := c.core.Deadline(now); d > 0 {
		w, after = forBody, max(d-now, 1)
	}
	if c.out != nil && c.s.limits.minSendRate > 0 && (after == 0 || after > sendPeriod) {
		w, after = forSend, sendPeriod
		if c.waits == forSend && c.timer.Running() {
			return
		}
		c.mark = c.sent
	} else if c.core.Streams() == 0 && c.s.limits.idle > 0 && (after == 0 || after > c.s.limits.idle) {
		w, after = forRequest, c.s.limits.idle
	}
	c.waits = w
	c.setTimer(after)
}

// expire implements protocol.
func (c *http2) expire() {
	w := c.waits
	c.waits = forNothing
	switch w {
	case forSend:
		if c.sent-c.mark < c.s.limits.minSendRate*sendPeriod/1000 {
			c.reset()
			return
		}
	case forRequest:
		c.drain() // says GOAWAY, then closes
		return
	default:
		c.lend()
		c.core.Expire(c.s.Loop.Now())
		c.events()
	}
	if !c.closed {
		c.sendSoon()
		c.arm()
	}
}
