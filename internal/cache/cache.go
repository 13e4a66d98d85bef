package cache

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"github.com/httpsys/httpsys/internal/cache/rules"
)

// Cache is the stored responses of all loops. Its methods may be called from
// any goroutine.
type Cache struct {
	found  *otter.Cache[uint64, *resource]
	serial atomic.Uint32 // of the last entry that was stored
	shards [shardCount]shard

	budget    atomic.Int64 // bytes
	largest   atomic.Int64 // bytes of the longest body
	heuristic atomic.Int64 // seconds
	used      atomic.Int64 // bytes, those reserved included
	stored    atomic.Int64 // bytes of what is in found

	evicting sync.Mutex
	gone     graveyard

	odd     atomic.Int64 // resources whose key is not their canonical URL
	flushes flushes
	changes changes
	flights flights

	// Evicted counts resources that went to make room, Refused responses for which there was none.
	Evicted, Refused atomic.Int64
}

const shardCount = 64

// shard is a part of the index: the resources whose hash says so. Its lock is
// taken to change what is stored, never to find something.
type shard struct {
	mu     sync.Mutex
	spaces map[*Space]*list
	tags   map[tagKey]map[*resource]struct{}
	odd    map[string][]*resource // by canonical URL: those that are spelled otherwise
}

type tagKey struct {
	space *Space
	tag   string
}

// list is the resources of a space in a shard.
type list struct{ head *resource }

// resource is what is stored under a key. What a look-up needs is together: memory that is not in the
// processor's caches is what finding one of a million costs.
type resource struct {
	key        string                // its bytes are behind the resource, see newResource
	chain      atomic.Pointer[Entry] // newest first; nil: removed
	space      *Space
	cache      *Cache
	hash       uint64
	next, prev *resource // in the list of its space; under the shard's lock
	cost       int64     // of the whole chain; under the shard's lock
	canonical  string    // if the key is spelled otherwise
}

// isOdd says whether its URL is spelled otherwise than the canonical one, by which it is removed then.
func (r *resource) isOdd() bool { return r.canonical != "" && !r.isFragment() }

// maxVariants bounds the entries of one resource: the oldest goes.
const maxVariants = 32

// Limits of a Cache.
type Limits struct {
	Size      int64 // budget in bytes; 0: nothing is stored
	Largest   int64 // bytes of the longest body that is stored
	Heuristic int64 // seconds that may be guessed at most
}

// New makes an empty cache.
func New(l Limits) *Cache {
	c := &Cache{}
	for i := range c.shards {
		c.shards[i].spaces = map[*Space]*list{}
		c.shards[i].tags = map[tagKey]map[*resource]struct{}{}
		c.shards[i].odd = map[string][]*resource{}
	}
	c.found = otter.Must(&otter.Options[uint64, *resource]{
		MaximumWeight: uint64(max(l.Size, 1)),
		Weigher: func(_ uint64, r *resource) uint32 {
			return uint32(min(r.cost, math.MaxUint32))
		},
		// What the policy does is done by whoever stores, at once: a goroutine of
		// its own would wake another processor for each handful of hits.
		Executor: func(f func()) { f() },
		OnAtomicDeletion: func(e otter.DeletionEvent[uint64, *resource]) {
			if e.WasEvicted() {
				c.gone.add(e.Value)
			}
		},
	})
	c.SetLimits(l)
	return c
}

// SetLimits changes the limits. What is too much goes at once.
func (c *Cache) SetLimits(l Limits) {
	c.budget.Store(l.Size)
	c.largest.Store(l.Largest)
	c.heuristic.Store(l.Heuristic)
	c.trim(l.Size)
}

// Largest is how long a body may be to be stored, in bytes.
func (c *Cache) Largest() int64 { return min(c.largest.Load(), c.budget.Load()) }

// Used is how many bytes of the budget are taken.
func (c *Cache) Used() int64 { return c.used.Load() }

func (c *Cache) shard(hash uint64) *shard { return &c.shards[hash>>32%shardCount] }

// Find returns the entry that fits a request, or nil. It takes no lock and
// allocates nothing.
func (c *Cache) Find(k *Key, q *rules.Request, scratch *[]byte) *Entry {
	n, ok := c.found.GetEntryQuietly(k.Hash)
	r := n.Value
	if !ok || r.key != string(k.Bytes) {
		return nil
	}
	for e := r.chain.Load(); e != nil; e = e.next {
		if e.variant == nil {
			return e
		}
		var ok bool
		if ok, *scratch = rules.Selects(e.variant, q.Fields, *scratch); ok {
			return e
		}
	}
	return nil
}

// hears is how many hits there are for one that the policy hears of while there is room for long.
const hears = 16

// Hit counts a use, of what Find has found. The policy that chooses what has to go hears of it: of each, or of
// some while nothing has to go for long, as it takes longer than to find and to answer where a
// million are stored and any is asked for. (To sample always costs up to five hits of a hundred in a small
// cache.)
func (c *Cache) Hit(s *Space, e *Entry, now int64) {
	n := e.hits.Add(1)
	r := e.res // nil: it could not be stored again after a validation
	if r != nil && (c.used.Load() > c.budget.Load()/4*3 || (n+uint32(r.hash>>40))%hears == 0) {
		c.found.GetIfPresent(r.hash)
	}
	if t := uint32(now / 1000); e.lastHit.Load() != t {
		e.lastHit.Store(t)
	}
	s.Hits.Add(1)
}

// Put stores an entry, for which Cost bytes were reserved, in place of the one of its
// variant. since is the Mark at the time the request was sent: what was flushed meanwhile is not stored, since it may
// be what the flush was to remove. It reports whether the entry is there;
// if not, the bytes are free again.
func (c *Cache) Put(space *Space, k *Key, canonical []byte, e *Entry, since Mark) bool {
	return c.put(space, k, canonical, e, &since)
}

// put is Put; without since, what was flushed before does not matter.
func (c *Cache) put(space *Space, k *Key, canonical []byte, e *Entry, since *Mark) bool {
	cost := e.Cost()
	sh := c.shard(k.Hash)
	sh.mu.Lock()
	if space.closed.Load() || since != nil && (c.changes.since(*since, canonical) ||
		c.flushes.since(*since, space, canonical, e.tags)) {
		sh.mu.Unlock()
		c.release(cost)
		return false
	}
	r, ok := c.found.GetEntryQuietly(k.Hash)
	res := r.Value
	if ok && (res.key != string(k.Bytes) || res.space != space || res.chain.Load() == nil) {
		sh.remove(c, res) // two keys with one hash: the newer one wins
		ok = false
	}
	if !ok {
		res = newResource(k.Bytes)
		res.cache, res.space, res.hash = c, space, k.Hash
		if !k.Canonical {
			res.canonical = string(canonical)
		}
	}
	e.res = res
	freed := sh.replace(c, res, e)
	res.cost += cost - freed
	if !ok {
		sh.link(c, res)
	}
	sh.tag(res, e)
	c.stored.Add(cost - freed)
	space.Bytes.Add(cost - freed)
	c.found.Set(k.Hash, res)
	sh.mu.Unlock()
	space.Stored.Add(1)
	c.bury()
	return res.chain.Load() != nil
}

// replace puts e in front of the chain and takes out the entry of the same
// variant, and the oldest if there are too many. It returns what those cost.
func (sh *shard) replace(c *Cache, r *resource, e *Entry) (freed int64) {
	// The chain may be read at this moment: entries that stay are copied where their
	// successor changes.
	var keep []*Entry
	for old := r.chain.Load(); old != nil; old = old.next {
		if string(old.variant) == string(e.variant) || e.variant == nil || old.variant == nil || len(keep) == maxVariants-1 {
			freed += old.Cost()
			c.free(old)
			sh.untag(r, old)
			r.space.count(old, -1)
			continue
		}
		keep = append(keep, old)
	}
	for i := len(keep) - 1; i >= 0; i-- {
		var next *Entry
		if i+1 < len(keep) {
			next = keep[i+1]
		}
		if keep[i].next != next {
			keep[i] = keep[i].with(next)
		}
	}
	if len(keep) > 0 {
		e.next = keep[0]
	}
	e.serial = c.serial.Add(1)
	r.chain.Store(e)
	r.space.count(e, 1)
	return freed
}

// free gives what an entry cost back to the budget: its body when nobody
// reads that any more.
func (c *Cache) free(e *Entry) {
	cost := e.Cost()
	if e.codes != nil {
		for i := range e.codes.forms {
			if f := e.codes.forms[i].Load(); f != nil {
				cost -= f.Cost()
				c.free(f)
			}
		}
	}
	if e.big != nil {
		n := e.big.allocated()
		e.big.drop(n)
		cost -= n
	}
	c.release(cost)
}

// with is a copy of an entry with another successor.
func (e *Entry) with(next *Entry) *Entry {
	n := &Entry{
		res: e.res, next: next, data: e.data, big: e.big, codes: e.codes, rare: e.rare, born: e.born, stored: e.stored,
		modified: e.modified, date: e.date, statusEnd: e.statusEnd, validEnd: e.validEnd,
		otherEnd: e.otherEnd, typeEnd: e.typeEnd, headEnd: e.headEnd, tagAt: e.tagAt, tagLen: e.tagLen, status: e.status, keyed: e.keyed,
		lifetime: e.lifetime, whileRevalidate: e.whileRevalidate, ifError: e.ifError, flags: e.flags,
	}
	n.hits.Store(e.hits.Load())
	n.lastHit.Store(e.lastHit.Load())
	return n
}

func (sh *shard) link(c *Cache, r *resource) {
	l := sh.spaces[r.space]
	if l == nil {
		l = &list{}
		sh.spaces[r.space] = l
	}
	if r.next = l.head; r.next != nil {
		r.next.prev = r
	}
	l.head = r
	if r.isOdd() {
		sh.odd[r.canonical] = append(sh.odd[r.canonical], r)
		c.odd.Add(1)
	}
}

func (sh *shard) tag(r *resource, e *Entry) {
	for _, t := range e.tags {
		k := tagKey{r.space, t}
		set := sh.tags[k]
		if set == nil {
			set = map[*resource]struct{}{}
			sh.tags[k] = set
		}
		set[r] = struct{}{}
	}
}

// untag forgets the tags of an entry. Another variant may have the same: then
// they are told apart when a flush looks at the entries themselves.
func (sh *shard) untag(r *resource, e *Entry) {
	for _, t := range e.tags {
		shared := false
		for o := r.chain.Load(); o != nil; o = o.next {
			shared = shared || o != e && o.tagged(t)
		}
		if shared {
			continue
		}
		k := tagKey{r.space, t}
		delete(sh.tags[k], r)
		if len(sh.tags[k]) == 0 {
			delete(sh.tags, k)
		}
	}
}

func (e *Entry) tagged(tag string) bool {
	for _, t := range e.tags {
		if t == tag {
			return true
		}
	}
	return false
}

// remove takes a resource out of the index and out of found. It returns how
// many entries it had; 0 if it was gone already.
func (sh *shard) remove(c *Cache, r *resource) int {
	first := r.chain.Load()
	if first == nil {
		return 0
	}
	n := 0
	for e := first; e != nil; e = e.next {
		sh.untag(r, e)
		n++
	}
	for e := first; e != nil; e = e.next { // what other variants shared
		for _, t := range e.tags {
			k := tagKey{r.space, t}
			if set := sh.tags[k]; set != nil {
				if delete(set, r); len(set) == 0 {
					delete(sh.tags, k)
				}
			}
		}
	}
	r.chain.Store(nil)
	if r.prev != nil {
		r.prev.next = r.next
	} else if l := sh.spaces[r.space]; l != nil && l.head == r {
		if l.head = r.next; l.head == nil {
			delete(sh.spaces, r.space)
		}
	}
	if r.next != nil {
		r.next.prev = r.prev
	}
	r.next, r.prev = nil, nil
	if r.isOdd() {
		c.odd.Add(-1)
		others := sh.odd[r.canonical][:0]
		for _, o := range sh.odd[r.canonical] {
			if o != r {
				others = append(others, o)
			}
		}
		if sh.odd[r.canonical] = others; len(others) == 0 {
			delete(sh.odd, r.canonical)
		}
	}
	if e, ok := c.found.GetEntryQuietly(r.hash); ok && e.Value == r {
		c.found.Invalidate(r.hash)
	}
	c.stored.Add(-r.cost)
	r.space.Bytes.Add(-r.cost)
	for e := first; e != nil; e = e.next {
		r.space.count(e, -1)
		c.free(e)
	}
	r.cost = 0
	return n
}
