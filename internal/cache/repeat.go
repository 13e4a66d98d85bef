package cache

import (
	"math"

	"github.com/httpsys/httpsys/internal/cache/rules"
)

// Repeat is where an answer came from, for a request that is the same to the byte: what it was made of is
// still right as long as Entry returns something. It keeps nothing of a response alive.
type Repeat struct {
	res    *resource
	serial uint32
	stored int64
	until  int64 // ms: when it is stale
}

// maxRepeat is how long a response may be to be repeated, in bytes with its head: for long ones it is not
// finding them that costs.
const maxRepeat = 4 << 10

// Repeat fills r, or reports that the answer to q may be another the next time though what is stored has
// not changed.
func (a *Answer) Repeat(r *Repeat, q *rules.Request) bool {
	e := a.entry
	switch {
	case a.note != noteHit, a.form != whole && a.form != notModified, a.Big != nil, int(e.headEnd)+len(a.Body) > maxRepeat,
		e.codes != nil,       // it may be compressed the next time
		q.Control.Present,    // age matters
		q.Control.NoCache,    // Pragma
		e.res == nil,         // a compressed form
		e.flags&noCache != 0, // not fresh in any case
		e.res.chain.Load() != e:
		return false
	}
	*r = Repeat{res: e.res, serial: e.serial, stored: e.stored, until: e.born + int64(e.lifetime)*1000}
	if e.flags&untilFlushed != 0 {
		r.until = math.MaxInt64
	}
	return true
}

// Entry is the entry, if it is still there and fresh; else nil.
func (r *Repeat) Entry(now int64) *Entry {
	if now >= r.until {
		return nil
	}
	if e := r.res.chain.Load(); e != nil && e.serial == r.serial && e.stored == r.stored {
		return e
	}
	return nil
}

// AgeAt is where AppendHead has put the age, counted from where it began.
func (a *Answer) AgeAt() int { return a.ageAt }

// Age is the age that the answer says, in seconds.
func (a *Answer) Age() int64 { return a.age }
