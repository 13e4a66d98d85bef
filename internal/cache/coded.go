package cache

import (
	"sync/atomic"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Codings is how many content codings an entry can have beside itself, numbered from 1; what they are is
// not the cache's business.
const Codings = 3

// codes are the compressed forms of an entry. They are made when somebody asks for one, once, and
// go with the entry.
type codes struct {
	forms [Codings + 1]atomic.Pointer[Entry]
	tried [Codings + 1]atomic.Bool
}

// Packable marks an entry that may be compressed for clients who want that.
func (e *Entry) Packable() { e.codes = &codes{} }

// CanPack says whether it may.
func (e *Entry) CanPack() bool { return e.codes != nil }

// Coded is the form in a coding; nil: there is none.
func (e *Entry) Coded(coding int) *Entry { return e.codes.forms[coding].Load() }

// TryCoding says that the caller, and nobody else, should make the form in a coding. GiveUp takes
// it back, so that somebody tries again.
func (e *Entry) TryCoding(coding int) bool { return e.codes.tried[coding].CompareAndSwap(false, true) }

// GiveUp is described at TryCoding.
func (e *Entry) GiveUp(coding int) { e.codes.tried[coding].Store(false) }

// EachPiece gives visit the body, piece by piece.
func (e *Entry) EachPiece(visit func(b []byte)) {
	for at := int64(0); at < e.Len(); {
		p := e.bytesAt(at, e.Len()-at)
		visit(p)
		at += int64(len(p))
	}
}

// ReadAt gives visit at most n bytes of the body from an offset on, piece by piece.
func (e *Entry) ReadAt(offset, n int64, visit func(b []byte)) {
	for end := min(e.Len(), offset+min(n, e.Len())); offset < end; {
		p := e.bytesAt(offset, end-offset)
		visit(p)
		offset += int64(len(p))
	}
}

// Form makes the form of an entry with other fields and another body. It is kept with Attach.
func (e *Entry) Form(fields []message.Field, body []byte) *Entry {
	n := e.with(nil)
	n.codes, n.big, n.rare, n.keyed = nil, nil, &nothing, 0
	w := headWriter{n}
	w.status(int(e.status), e.Reason())
	w.fields(fields, func([]byte) bool { return true }, &Draft{Unix: e.date}, int64(len(body)))
	if len(body) <= chunkSize {
		n.WithBody(body)
		return n
	}
	b := e.res.cache.NewBody()
	b.Append(body)
	b.Done = true
	n.WithBig(b)
	return n
}

// Attach keeps a form of an entry, for which Cost bytes were reserved. It reports false if the entry is not
// there any more; then the bytes are free again.
func (c *Cache) Attach(e *Entry, coding int, form *Entry) bool {
	cost := form.Cost()
	r := e.res
	sh := c.shard(r.hash)
	sh.mu.Lock()
	there := false
	for o := r.chain.Load(); o != nil; o = o.next {
		there = there || o.codes == e.codes
	}
	if !there || !e.codes.forms[coding].CompareAndSwap(nil, form) {
		sh.mu.Unlock()
		c.release(cost)
		return false
	}
	r.cost += cost
	c.stored.Add(cost)
	r.space.Bytes.Add(cost)
	c.found.Set(r.hash, r)
	sh.mu.Unlock()
	c.bury()
	return true
}

// cost is what all forms cost.
func (cs *codes) cost() (n int64) {
	if cs == nil {
		return 0
	}
	for i := range cs.forms {
		if f := cs.forms[i].Load(); f != nil {
			n += f.Cost()
		}
	}
	return n
}

// Retain keeps the body of an entry in the budget while it is read outside of a loop; Release is
// its end.
func (e *Entry) Retain() {
	if e.big != nil {
		e.big.Retain()
	}
}

// Release is the end of Retain.
func (e *Entry) Release() {
	if e.big != nil {
		e.big.Release()
	}
}
