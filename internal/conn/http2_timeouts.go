package conn

import "github.com/httpsys/httpsys/internal/exchange"

// A connection of HTTP/2 has one timer, and each stream whose client has to
// send content has another. What a prefix sets for idle connections and for the minimum
// send rate holds for the connection from the last request on that was routed to it, as in
// HTTP/1; header wait is the machine's, since nobody knows where a head will be routed.

func (c *http2) override() *exchange.Override {
	if c.reg == nil {
		return &noOverride
	}
	return c.reg.Settings()
}

func (c *http2) minSendRate() int64 {
	if c.reg == nil {
		return c.s.limits.minSendRate
	}
	return minSendRate(c.reg, c.s)
}

func minSendRate(reg *exchange.Registration, s *Server) int64 {
	if r := reg.Settings().MinSendRate; r != nil {
		return *r
	}
	return s.limits.minSendRate
}

// arm sets the timer for whatever comes first: what the core waits for, a stream at rest, a
// client that takes nothing, or one that asks for nothing.
func (c *http2) arm() {
	if c.closed || c.lingering {
		return
	}
	now := c.s.Loop.Now()
	switch {
	case c.out == nil || c.minSendRate() == 0:
		c.sendBy = 0
	case c.sendBy == 0:
		c.sendBy, c.mark = now+sendPeriod, c.sent
	}
	first := c.core.Deadline(now)
	for _, t := range [...]int64{c.restDue, c.sendBy} {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	after := int64(0)
	if first != 0 {
		after = max(first-now, 1)
	}
	c.idling = false
	if c.out == nil && c.core.Streams() == 0 {
		if idle := ms(c.override().IdleConnection, c.s.limits.idle); idle > 0 && (after == 0 || after > idle) {
			c.idling, after = true, idle
		}
	}
	c.setTimer(after)
}

// expire implements protocol.
func (c *http2) expire() {
	if c.idling {
		c.idling = false
		c.drain() // says GOAWAY, then closes
		return
	}
	now := c.s.Loop.Now()
	if c.sendBy != 0 && now >= c.sendBy {
		if c.sent-c.mark < c.minSendRate()*sendPeriod/1000 {
			c.reset()
			return
		}
		c.sendBy = 0
	}
	if c.restDue != 0 && now >= c.restDue {
		c.expireResting()
	}
	c.lend()
	c.core.Expire(now)
	c.events()
	if !c.closed {
		c.sendSoon()
		c.arm()
	}
}

// arm sets the timer of a stream, EntityBody: it runs while its client could
// send content and nobody else is to blame if it does not.
func (st *stream) arm() {
	if st.s == nil || st.ended || st.told || st.expects || st.connect || st.x == nil || !st.x.Assigned() ||
		len(st.in) > 0 || st.x.Room() == 0 {
		if st.timer.Running() {
			st.h.s.Loop.StopTimer(&st.timer)
		}
		return
	}
	if after := ms(st.x.Registration().Settings().EntityBody, st.h.s.limits.entityBody); after > 0 {
		st.h.s.Loop.SetTimer(&st.timer, st, after)
	}
}

// Expire is called by the loop. As in HTTP/1, the application learns that the
// content will not be complete, and may answer.
func (st *stream) Expire() {
	if st.x == nil || st.s == nil {
		return
	}
	if st.h.s.OnRefuse != nil {
		st.h.s.OnRefuse(st.h.Conn, 0, "Timer_EntityBody")
	}
	st.ended, st.told, st.in = true, true, nil
	st.x.RequestBroken()
}
