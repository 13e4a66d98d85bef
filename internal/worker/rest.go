package worker

import (
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
)

// Requests that the application has begun and does not answer come to rest (exchange.Rest): so
// a hundred streams that wait cost a client's connection little. It is done at the end of a turn,
// where nothing else is under way.

const (
	// settled is after how many milliseconds a request comes to rest, and patience after how many
	// one whose response could be the first of its program to be stored.
	settled, patience = 1000, 10_000
	// Where restAt requests are awake, both kinds come to rest after settled milliseconds, and, while
	// there are new ones, after soon: so that no crowd of them takes much memory.
	restAt, soon = 256, 100
)

// young are the requests that could come to rest, in the order in which they were sent.
type young struct {
	list  []candidate // some of which are over
	next  int         // length of list from which on there are too many
	timer loop.Timer
}

type candidate struct {
	order uint64
	n     uint32
}

// mayRest notes a request that was sent.
func (c *Channel) mayRest(n uint32) {
	if c.dead {
		return
	}
	c.list = append(c.list, candidate{c.streams[n].order, n})
	if !c.timer.Running() {
		c.Loop.SetTimer(&c.timer, c, settled)
	}
}

// crowded says whether so many are awake that they should be looked at.
func (c *Channel) crowded() bool { return len(c.list) >= max(c.next, restAt) }

// Ref implements exchange.Worker.
func (c *Channel) Ref() *exchange.WorkerRef { return &c.ref }

// Woken implements exchange.Worker.
func (c *Channel) Woken(x *exchange.Exchange) {
	if !c.dead {
		c.streams[x.Stream].x = x
		c.mayRest(x.Stream)
	}
}

// Expire is called by the loop.
func (c *Channel) Expire() {
	if c.dead {
		return
	}
	c.rest(settled, len(c.list) < restAt)
	if len(c.list) > 0 {
		c.Loop.SetTimer(&c.timer, c, settled)
	}
}

// rest puts to rest what has waited for so many milliseconds and was begun. What is over, has
// begun to be answered or is not of HTTP/2 is forgotten.
func (c *Channel) rest(after int64, patient bool) {
	now := c.Loop.Now()
	begun, asked, rested := uint64(0), false, false
	kept := c.list[:0]
	for _, k := range c.list {
		s := &c.streams[k.n]
		x, awake := s.x.(*exchange.Exchange)
		if !awake || s.order != k.order || !x.MayRest() {
			continue
		}
		age := now - x.Since()
		if age >= after {
			if !asked {
				begun, asked = c.begunCount(), true
			}
			if k.order < begun {
				if z := x.Rest(patient && age < patience); z != nil {
					s.x, rested = z, true
					continue
				}
			}
		}
		kept = append(kept, k)
	}
	if c.list = kept; cap(kept) > 4*restAt && len(kept) < cap(kept)/4 {
		c.list = append([]candidate(nil), kept...)
	}
	if rested {
		c.Stage.Rested()
	}
	// All are looked at again when there are twice as many: so each request pays for two looks.
	c.next = 2 * len(kept)
}

// rested ends all of this, before a channel ends.
func (c *Channel) rested() {
	c.Loop.ReleaseTimer(&c.timer)
	c.list = nil
}
