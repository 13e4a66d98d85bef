package conn

import (
	"crypto/tls"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/h2"
)

// http2 is HTTP/2 on a connection: many requests at once, each an h2 stream
// with an exchange. What is valid, in which order responses leave and what is
// an attack, is decided in internal/wire/h2.
//
// http2_stream.go is one request on its way to the application, http2_respond.go
// the answer (the two are exchange.Client), http2_connect.go tunnels,
// http2_timeouts.go the clocks.
type http2 struct {
	*Conn
	core    h2.Conn
	reg     *exchange.Registration // that the last request was routed to
	streams *stream                // all that have an exchange or something to send, in a list
	failed  bool                   // the connection is over once everything is sent
	stalled bool                   // the client was not read since it does not read
	framing bool                   // in send: settle must not start it again
	idling  bool                   // the timer is for the next request
	sendBy  int64                  // by then some of what waits must be taken; 0: nothing waits
	restDue int64                  // no stream at rest has to be looked at before; 0: never
}

// backlog is how many bytes may wait for the socket of a connection before
// its streams have to wait, too. It is what a slow reader of many streams can
// make us hold beside their windows.
const backlog = 128 << 10

// startHTTP2 makes HTTP/2 the protocol of the connection.
func (c *Conn) startHTTP2() *http2 {
	if c.text == "" {
		c.addresses()
	}
	h := &http2{Conn: c}
	c.proto = h
	c.s.http2s++
	h.lend()
	h.core.Init(c.s.h2(), c.s.Loop.Now())
	if c.tls != nil && forbidden(c.tls.State()) {
		h.core.Fail(h2.ErrCipher)
		h.events()
	}
	if c.s.draining {
		h.core.Shutdown(c.s.Loop.Now())
	}
	h.sendSoon()
	return h
}

// forbidden says whether HTTP/2 may not be spoken on a TLS connection: RFC 9113
// 9.2 asks for TLS 1.2 and for none of the cipher suites of its appendix A. Of
// those that crypto/tls knows these are left.
func forbidden(s tls.ConnectionState) bool {
	if s.Version >= tls.VersionTLS13 {
		return false
	}
	switch s.CipherSuite {
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return s.Version < tls.VersionTLS12
	}
	return true
}

// lend gives the core an array to write to; flush takes it back.
func (c *http2) lend() {
	if c.core.Out == nil {
		c.core.Out = c.s.pool.lend()
	}
}

// unlend gives back an array that nothing was written to: ten thousand idle
// connections must not hold ten thousand of them.
func (c *http2) unlend() {
	if b := c.core.Out; b != nil && len(b) == 0 {
		c.core.Out = nil
		c.s.pool.takeBack(b)
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
	} else {
		c.unlend()
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
			st := c.newStream(e.Stream)
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
	st := c.newStream(e.Stream)
	facts := exchange.Facts{
		Scheme: c.endpoint.Scheme, Port: c.endpoint.Port, Local: c.local, Connection: c.id, Peer: c.Conn, Addresses: c.text,
	}
	// A CONNECT has no content; what comes behind it is for the tunnel, which
	// the application may open or not.
	st.connect, st.expects = e.Request.Connect, e.Request.ExpectContinue
	st.ended, st.told = e.End, e.End || st.connect
	r := &e.Request.Request
	if e.Request.Protocol != nil {
		st.extended = true
		r = c.s.asUpgrade(e.Request)
	}
	x, reg, refusal := c.s.Stage.Begin(st, r, &facts, nil, st.told)
	if reg != nil {
		c.reg = reg
	}
	if refusal.Status != 0 {
		c.refuse(st, refusal.Status, refusal.Reason, refusal.Text, refusal.Retry)
		return
	}
	st.x = x
	e.Stream.SetMinSendRate(c.minSendRate())
	if a := refusal.Stored; a != nil {
		st.Stored(a, x == nil)
		if x != nil && st.x == x {
			x.Send()
		}
		return
	}
	st.resume() // it may have been assigned before we knew of it
	st.arm()
}

// tunnels implements protocol.
func (c *http2) tunnels() bool {
	if len(c.core.Resting()) > 0 {
		return false
	}
	for st := c.streams; st != nil; st = st.next {
		if !st.opaque || st.x == nil {
			return false
		}
	}
	return c.streams != nil && c.out == nil
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
		c.unlend()
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

// ahead implements protocol.
func (c *http2) ahead() {}

// eof implements protocol.
func (c *http2) eof() { c.close() }

func (c *http2) idle() bool { return c.core.Streams() == 0 && len(c.core.Out) == 0 }

// bye ends a connection on which nothing goes on. A request may be on its way:
// GOAWAY says that it was not taken.
func (c *http2) bye() {
	c.lend()
	c.core.ShutdownNow()
	c.sendSoon() // settle closes
}

// drain implements protocol.
func (c *http2) drain() {
	c.lend()
	c.core.Shutdown(c.s.Loop.Now())
	c.sendSoon()
}

// gone implements protocol.
func (c *http2) gone() {
	for z := c.core.Resting(); len(z) > 0; z = c.core.Resting() {
		c.core.Wake(z[len(z)-1])
	}
	for c.streams != nil {
		c.streams.forget()
	}
	if c.core.Out != nil {
		c.s.pool.takeBack(c.core.Out)
		c.core.Out = nil
	}
	c.s.http2s--
}
