package cache

import (
	"encoding/binary"
	"math"
)

// This file is fragments: bytes that an application stores by a name of its own, to put them into responses
// without sending them again. They are entries without a head, within the budget like responses, in the
// space of the registration that their name is below, and found by the applications of one queue.

// fragmentMark is in a key where those of responses have the number of their registration.
const fragmentMark = math.MaxUint32

// fragmentKeyHeader is the length of what stands before the name in the key of a fragment.
const fragmentKeyHeader = keyHeader + 4

// fragmentOverhead is what the body of a fragment takes beside its bytes.
const fragmentOverhead = 128

// AppendFragmentKey appends the key of a fragment. name is canonical: see prefix.Resource.
func AppendFragmentKey(dst []byte, owner uint32, name []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, fragmentMark)
	dst = binary.BigEndian.AppendUint32(dst, owner)
	return append(dst, name...)
}

func (r *resource) isFragment() bool {
	return len(r.key) > fragmentKeyHeader && r.key[:keyHeader] == "\xff\xff\xff\xff"
}

// expired says whether the time of a fragment is over.
func (e *Entry) expired(now int64) bool {
	return e.flags&untilFlushed == 0 && e.Age(now) >= int64(e.lifetime)
}

// Fragment finds a fragment by its key; nil: there is none. It takes no lock and allocates nothing.
func (c *Cache) Fragment(key []byte, now int64) *Entry {
	r, ok := c.found.GetIfPresent(hashOf(key))
	if !ok || r.key != string(key) {
		return nil
	}
	if e := r.chain.Load(); e != nil && !e.expired(now) {
		return e
	}
	return nil
}

// UseFragment counts a use, and returns the bytes.
func (c *Cache) UseFragment(e *Entry, now int64) *Body {
	e.hits.Add(1)
	if t := uint32(now / 1000); e.lastHit.Load() != t {
		e.lastHit.Store(t)
	}
	e.res.space.Pieces.Add(1)
	return e.big
}

// Incoming is a fragment that is coming. Exactly one of Keep and Drop is to be called at its end.
type Incoming struct {
	cache    *Cache
	body     *Body
	reserved int64
}

// NewFragment begins a fragment.
func (c *Cache) NewFragment() *Incoming { return &Incoming{cache: c, body: c.NewBody()} }

// Append adds bytes. It reports false if they are too many to be stored, or there is no room; nothing more
// may be added then.
func (in *Incoming) Append(b []byte) bool {
	n := in.body.size + int64(len(b))
	if n > in.cache.Largest() {
		return false
	}
	if more := BodyCost(n) - in.reserved; more > 0 {
		if !in.cache.Reserve(more) {
			return false
		}
		in.reserved += more
	}
	in.body.Append(b)
	return true
}

// Drop ends it without storing anything.
func (in *Incoming) Drop() {
	in.cache.release(in.reserved)
	in.reserved, in.body = 0, in.cache.NewBody()
}

// Keep stores it in place of what has its name. canonical is the URL by which it is flushed, see AppendCanonical;
// lifetime is in seconds, 0 for one that is kept until it is flushed. It reports false
// if there is no room, or the registration is gone.
func (in *Incoming) Keep(space *Space, key, canonical, tags []byte, lifetime uint32, now int64) bool {
	c := in.cache
	in.body.trim()
	in.body.Done = true
	// The name stands where responses have their head, and is paid for.
	name := append(make([]byte, 0, len(key)), key[fragmentKeyHeader:]...)
	n := uint32(len(name))
	e := &Entry{
		data: name, statusEnd: n, validEnd: n, otherEnd: n, typeEnd: n, headEnd: n,
		big: in.body, born: now, stored: now, lifetime: lifetime, flags: isFragment, rare: &nothing,
	}
	if lifetime == 0 {
		e.flags |= untilFlushed
	}
	e.addTags(tags)
	cost := e.Cost()
	if cost > in.reserved && !c.Reserve(cost-in.reserved) {
		in.Drop()
		return false
	}
	c.release(max(in.reserved-cost, 0))
	in.reserved = 0
	k := Key{Bytes: key, Hash: hashOf(key)}
	return c.put(space, &k, canonical, e, nil)
}

// RemoveFragment removes one, and reports whether it was there.
func (c *Cache) RemoveFragment(key []byte) bool {
	hash := hashOf(key)
	sh := c.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e, ok := c.found.GetEntryQuietly(hash)
	return ok && e.Value.key == string(key) && sh.remove(c, e.Value) > 0
}
