package conn

import (
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// waits is what the timer of a connection is for. HTTP.SYS has a timer for
// each (HTTP_TIMEOUT_LIMIT_INFO); one is enough, since they exclude each other.
type waits uint8

const (
	forNothing waits = iota
	forRequest       // IdleConnection
	forHead          // HeaderWait
	forBody          // EntityBody
	forDrain         // DrainEntityBody
	forSend          // MinSendRate
)

// sendPeriod is over what the minimum send rate is measured, in milliseconds:
// long enough for a client that stalls for a moment.
var sendPeriod int64 = 10_000 // a variable for tests

// arm sets the timer for what the connection waits for now.
func (c *http1) arm() {
	if c.closed || c.lingering {
		return
	}
	w := c.waitsFor()
	if w == c.waits && c.timer.Running() && (w == forHead || w == forSend) {
		return // these are for the whole, not from the last byte
	}
	c.waits = w
	l := &c.s.limits
	o := c.override()
	var after int64
	switch w {
	case forRequest:
		after = ms(o.IdleConnection, l.idle)
	case forHead:
		after = ms(o.HeaderWait, l.headerWait)
	case forBody:
		after = ms(o.EntityBody, l.entityBody)
	case forDrain:
		after = ms(o.DrainEntityBody, l.drainEntityBody)
	case forSend:
		c.mark = c.sent
		if c.minSendRate() > 0 {
			after = sendPeriod
		}
	}
	c.setTimer(after)
}

func (c *http1) waitsFor() waits {
	switch {
	case c.state == opaque && c.x != nil:
	case c.out != nil:
		return forSend
	case c.state == head && (c.parser.Started() || c.reg == nil && c.tells(exchange.TellAccepted) != nil):
		// A program that was told of the connection when it came counts from there.
		return forHead
	case c.state == head:
		return forRequest
	case c.state == content && !c.expect && c.room() > 0:
		return forBody
	case c.state == drain:
		return forDrain
	}
	return forNothing
}

var errHeaderWait = &h1.Error{Status: 408, Reason: "Timer_HeaderWait", Text: "The request header took too long."}

// expire implements protocol.
func (c *http1) expire() {
	w := c.waits
	c.waits = forNothing
	switch w {
	case forRequest, forDrain:
		c.bye()
	case forHead:
		c.refuse(errHeaderWait)
	case forBody:
		// The application learns that the body will not be complete, and may
		// answer.
		if c.x != nil {
			c.x.RequestBroken()
			c.brokenBody()
		}
	case forSend:
		if c.sent-c.mark < c.minSendRate()*sendPeriod/1000 {
			c.reset()
			return
		}
		c.arm()
	}
}

func (c *http1) minSendRate() int64 {
	if r := c.override().MinSendRate; r != nil {
		return *r
	}
	return c.s.limits.minSendRate
}

// override is what the prefix of the last request sets. As in HTTP.SYS, a
// prefix's idle and header timeouts hold from the first request on that was
// routed to it; those of the only prefix of a port hold from the first byte.
func (c *http1) override() *exchange.Override {
	if c.reg != nil {
		return c.reg.Settings()
	}
	if r := c.endpoint.Sole.Load(); r != nil {
		return r.Settings()
	}
	return &noOverride
}

var noOverride exchange.Override
