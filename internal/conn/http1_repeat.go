package conn

import (
	"hash/maphash"
	"net/netip"
	"strconv"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// This file answers a request from the cache that is, to the byte, one that was answered from the cache
// before: clients say the same again and again, and to take their head apart costs more than to find out that it is
// known. Whatever could make the answer another is compared here (the port and the address that the
// connection came to, the bytes), or by exchange.Repeat (routing, what is stored, its freshness).

// Bounds of what is remembered: less than 3 MiB a loop, if all requests are as long as they may be.
const (
	repeatSlots   = 512
	maxRepeatHead = 1 << 10 // what a response may have is decided by the cache
)

// repeats are those that a loop remembers, in a table by the hash of their bytes.
type repeats struct {
	slots []repeatSlot // nil: none yet
	seed  maphash.Seed
}

// asked is a request that may be remembered. The zero value is one that may not.
type asked struct {
	head []byte
	hash uint64
}

// repeatSlot holds what was asked for most lately twice in a row, so that many requests that differ
// cost a comparison each, and not a copy.
type repeatSlot struct {
	last uint64 // hash of the last request that came here
	*repeat
}

type repeat struct {
	how      exchange.Repeat
	endpoint *Endpoint
	local    netip.Addr
	hash     uint64
	head     []byte // the request
	facts    h1.Exchange
	noBody   bool

	response     []byte // with the age in between
	ageAt, ageTo int
	age          int64
}

// again answers the request that b is, if it is known, and reports whether it did. If not, it says what
// may be remembered.
func (c *http1) again(b []byte) (asked, bool) {
	m := &c.s.repeats
	space := c.reg.Space
	if space == nil || len(b) > maxRepeatHead || c.tls != nil || space.Mode() != cache.Caching || c.s.draining || c.endpoint.Closed.Load() {
		return asked{}, false
	}
	if m.slots == nil {
		m.slots = make([]repeatSlot, repeatSlots)
		m.seed = maphash.MakeSeed()
	}
	ask := asked{b, maphash.Bytes(m.seed, b)}
	r := m.slots[ask.hash%repeatSlots].repeat
	if r == nil || !r.is(c, ask) {
		return ask, false
	}
	reg, age, ok := c.s.Stage.Again(&r.how)
	if !ok {
		return ask, false
	}
	if age != r.age {
		r.setAge(age)
	}
	c.x, c.reg = nil, reg
	c.request, c.keepAlive, c.upgrade, c.expect = r.facts, true, false, false
	c.framing, c.length, c.headSent, c.dropBody = h1.FramingLength, 0, true, r.noBody
	c.state, c.done = wait, true
	c.write(r.response, nil, nil, true)
	return asked{}, true
}

// is says whether r is of the same request.
func (r *repeat) is(c *http1, ask asked) bool {
	return r.hash == ask.hash && r.endpoint == c.endpoint && r.local == c.local && string(r.head) == string(ask.head)
}

// remember notes how a request was answered that again did not know. It is called before the answer is
// sent.
func (c *http1) remember(ask asked, authority []byte, a *cache.Answer, routes uint64) {
	m := &c.s.repeats
	// Without an authority it depends on the prefix of the request before whether this one is valid.
	if ask.head == nil || m.slots == nil || !c.keepAlive || c.request.Version < 11 || len(authority) == 0 {
		return
	}
	slot := &m.slots[ask.hash%repeatSlots]
	if slot.last != ask.hash {
		slot.last = ask.hash
		return
	}
	var how exchange.Repeat
	if !c.s.Stage.Repeatable(&how, c.reg, a, routes) {
		return
	}
	r := slot.repeat
	if r == nil {
		r = &repeat{}
		slot.repeat = r
	} else if r.is(c, ask) && r.how.Same(&how) {
		return
	}
	b := a.AppendHead(r.response[:0])
	r.ageAt, r.age = a.AgeAt(), a.Age()
	for r.ageTo = r.ageAt; b[r.ageTo] != '\r'; r.ageTo++ {
	}
	b = append(b, "\r\n"...)
	if !a.NoBody {
		b = append(b, a.Body...)
	}
	r.response = b
	r.how, r.endpoint, r.local, r.hash = how, c.endpoint, c.local, ask.hash
	r.head = append(r.head[:0], ask.head...)
	r.facts, r.noBody = c.request, a.NoBody
}

// setAge changes the age that the response says.
func (r *repeat) setAge(age int64) {
	var digits [20]byte
	d := strconv.AppendInt(digits[:0], age, 10)
	if grown := len(d) - (r.ageTo - r.ageAt); grown > 0 {
		r.response = append(r.response, d[:grown]...) // for the room
		copy(r.response[r.ageTo+grown:], r.response[r.ageTo:])
		r.ageTo += grown
	} else if grown < 0 {
		r.response = append(r.response[:r.ageTo+grown], r.response[r.ageTo:]...)
		r.ageTo += grown
	}
	copy(r.response[r.ageAt:], d)
	r.age = age
}
