package conn

import (
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is opaque mode on HTTP/1: relayed, or handed over to the application
// with the socket itself.

// CanOpaque implements exchange.Client.
func (c *http1) CanOpaque(status int) bool {
	switch {
	case status == 0:
		return true
	case status == 101:
		return c.upgrade
	}
	return c.request.Connect
}

// Opaque implements exchange.Client.
func (c *http1) Opaque(r *message.Response) {
	c.leaveHTTP(r)
	c.takeBack()
}

// leaveHTTP sends the head, if there is one. Nothing is read yet.
func (c *http1) leaveHTTP(r *message.Response) {
	c.headSent, c.keepAlive = true, false
	c.state = opaque
	c.framing = h1.FramingClose
	c.arm() // the timers of HTTP end
	if r != nil {
		b := h1.AppendResponseHead(c.s.scratch[:0], c.request, r, h1.FramingNone, -1, true, c.s.Loop.Date(), serverLine)
		c.s.scratch = b[:0]
		c.write(b, nil, nil, false)
	}
}

// takeBack reads. Bytes may have come with the handshake, and the client's
// end: what the exchange was told of that concerned the request, not these bytes.
func (c *http1) takeBack() {
	c.heard = false
	c.resume()
}

// startRaw makes an exchange of a connection on a port without HTTP. Nothing
// is read before an application has taken it.
func (c *http1) startRaw() {
	c.raw, c.state = true, wait
	c.request = h1.Exchange{Version: 11}
	c.arm()
	c.addresses()
	r := message.Request{Authority: c.rawHost()}
	facts := exchange.Facts{
		Scheme: c.endpoint.Scheme, Port: c.endpoint.Port, Local: c.local, Connection: c.id, Peer: c.Conn, Addresses: c.text, Raw: true,
	}
	x, reg, refusal := c.s.Stage.Begin(c, &r, &facts, nil, true)
	c.x, c.reg = x, reg
	if refusal.Status != 0 {
		c.fail(refusal.Status, refusal.Reason, refusal.Text, refusal.Retry)
	}
}

// rawHost is the name by which a connection without HTTP is routed: what the
// client told in its TLS handshake, or else localhost for one of this machine.
func (c *http1) rawHost() []byte {
	if c.tls != nil {
		if name := c.tls.State().ServerName; name != "" {
			return []byte(name)
		}
	}
	if c.local.IsLoopback() {
		return []byte("localhost")
	}
	return nil
}

// HandOver implements exchange.Socketed.
func (c *http1) HandOver(r *message.Response, body []byte) (fd int, pending []byte) {
	c.leaveHTTP(r)
	if len(body) > 0 && !c.closed {
		c.unsent += len(body)
		c.write(nil, body, nil, false)
	}
	if c.tls != nil || c.closed {
		return -1, nil
	}
	if c.flush(); c.closed || c.out != nil {
		return -1, nil
	}
	// The registration in epoll belongs to the socket, not to our descriptor: it
	// would outlive that.
	c.s.Loop.Unwatch(c.fd)
	c.state = given
	c.setTimer(0)
	return c.fd, c.in
}

// TakeBack implements exchange.Socketed.
func (c *http1) TakeBack() {
	if c.closed {
		return
	}
	if c.state == given {
		c.state = opaque
		if err := c.s.Loop.Watch(c.fd, c.Conn); err != nil {
			c.close()
			return
		}
		c.readable = true
	}
	c.takeBack()
}

// GivenAway implements exchange.Socketed: our descriptor goes, the connection
// stays.
func (c *http1) GivenAway() {
	c.x = nil
	c.close()
}

// Close implements exchange.Client. A client that has not closed its side may
// be sending at this moment.
func (c *http1) Close() {
	c.x = nil
	c.closeSoon, c.garbled = true, !c.heard
	c.settle()
}
