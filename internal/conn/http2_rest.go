package conn

import (
	"slices"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/h2"
)

// resting is a stream on which nothing moves while an application thinks: what
// is left of the stream, of the core's, and of the exchange, in one piece of 80 bytes. A stream
// comes to rest when the worker's channel says so, and is awake again as soon as
// anybody has something for it.
type resting struct {
	h       *http2
	wire    h2.Idle
	rest    exchange.Idle
	due     uint32 // when EntityBody runs out, in units of dueUnit; 0: never
	ended   bool
	told    bool
	expects bool
}

// dueUnit is the precision of the timers of streams at rest, in milliseconds.
const dueUnit = 64

// Rest implements exchange.Restful.
func (st *stream) Rest(x *exchange.Exchange) exchange.Occupant {
	switch {
	case st.s == nil, st.x != x, st.connect, st.opaque, st.byHand, st.finish, st.outEnd, len(st.in) > 0, st.last != nil,
		st.text != nil, st.trailers != nil, len(st.out.segments) > 0:
		return nil
	}
	h := st.h
	z := &resting{h: h, ended: st.ended, told: st.told, expects: st.expects}
	if !h.core.Rest(st.s, z) {
		return nil
	}
	z.rest = x.Idle()
	if st.timer.Running() {
		at := st.timer.Deadline()
		z.due = uint32(at/dueUnit) + 1
		if h.restDue == 0 || at < h.restDue {
			h.restDue = at
			h.arm()
		}
	}
	st.x = nil
	st.over()
	return z
}

// Idle implements h2.Sleeper.
func (z *resting) Idle() *h2.Idle { return &z.wire }

// Awake implements exchange.Occupant.
func (z *resting) Awake() *exchange.Exchange { return z.h.core.Wake(z).Owner.(*stream).x }

// Woken implements h2.Sleeper.
func (z *resting) Woken(s *h2.Stream) {
	h := z.h
	st := h.newStream(s)
	st.ended, st.told, st.expects = z.ended, z.told, z.expects
	st.x = z.rest.Wake(h.s.Stage, st, h.Conn)
	s.SetMinSendRate(minSendRate(st.x.Registration(), h.s))
	if z.due != 0 {
		h.s.Loop.SetTimer(&st.timer, st, max(int64(z.due)*dueUnit-h.s.Loop.Now(), 1))
	}
}

// expireResting ends the patience with clients that have begun to send content and
// stopped, as stream.Expire does.
func (c *http2) expireResting() {
	now := c.s.Loop.Now()
	c.restDue = 0
	for _, s := range slices.Clone(c.core.Resting()) {
		z := s.(*resting)
		switch at := int64(z.due) * dueUnit; {
		case z.due == 0:
		case at <= now:
			st := c.core.Wake(z).Owner.(*stream)
			c.s.Loop.StopTimer(&st.timer)
			st.Expire()
		case c.restDue == 0 || at < c.restDue:
			c.restDue = at
		}
	}
}
