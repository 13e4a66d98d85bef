package conn

import (
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// This file is for programs that have a port for themselves and want to see of
// their clients what we deal with alone otherwise (docs/channel.md section 3.6).

// tells is the registration that wants to see t; nil: there is none.
func (c *Conn) tells(t exchange.Tell) *exchange.Registration {
	reg := c.endpoint.Sole.Load()
	if reg == nil || reg.Settings().Tell&t == 0 {
		return nil
	}
	return reg
}

// announce tells of a connection that has come and has sent nothing yet.
func (c *Conn) announce() {
	reg := c.tells(exchange.TellAccepted)
	if reg == nil {
		return
	}
	if c.text == "" {
		c.addresses()
	}
	c.s.Stage.Announce(reg, c)
}

// handBack gives the connection to the program as it is, with bytes that were
// read and are kept. It reports false if the program does not want that, or
// nobody can have it.
func (c *http1) handBack(t exchange.Tell) bool {
	reg := c.tells(t)
	if reg == nil || !c.s.Stage.MayHandBack(reg, c.endpoint.Scheme) || c.reg != nil && c.reg != reg {
		return false
	}
	if c.text == "" {
		c.addresses()
	}
	facts := exchange.Facts{
		Scheme: c.endpoint.Scheme, Port: c.endpoint.Port, Local: c.local, Connection: c.id, Peer: c.Conn, Addresses: c.text, Raw: true,
	}
	x, refusal := c.s.Stage.HandBack(c, reg, &facts)
	if refusal.Status != 0 {
		return false
	}
	c.raw, c.state = true, wait
	c.request, c.body = h1.Exchange{Version: 11}, h1.Body{}
	c.x, c.reg = x, reg
	c.arm()
	return true
}

// followed says whether an upgrade has something behind its head that belongs
// to what comes after HTTP: bytes, or a body that only the program can read as it
// would have without us.
func followed(r *h1.Request, rest []byte) bool {
	if !r.Upgrade && string(r.Method) != "CONNECT" {
		return false
	}
	return len(rest) > 0 || r.Chunked || r.ContentLength > 0
}

// ahead hears that there is something to read and no use for it yet.
func (c *http1) ahead() {
	if c.state != wait || c.x == nil || c.raw || c.headSent {
		return
	}
	if reg := c.tellsAhead(); reg != nil && reg == c.reg {
		c.x.Ahead()
	}
}

// tellsAhead is the registration that wants to see that a client sends before it has
// its answer, and may; nil: there is none.
func (c *http1) tellsAhead() *exchange.Registration {
	reg := c.tells(exchange.TellAhead)
	if reg == nil || !c.s.Stage.MayHandBack(reg, c.endpoint.Scheme) {
		return nil
	}
	return reg
}

// isPipelined says whether something stands behind a request that is here as a whole.
// (Where a chunked body ends nobody has looked yet.)
func isPipelined(r *h1.Request, rest []byte) bool {
	return !r.Chunked && int64(len(rest)) > max(r.ContentLength, 0)
}

// isConnect says whether a head is that of CONNECT. A proxy may understand a target
// that is none to us (RFC 9112 3.2.3), and nobody else will see it.
func isConnect(b []byte) bool {
	const method = "CONNECT "
	return len(b) >= len(method) && string(b[:len(method)]) == method
}
