package cache

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// Mark is a point in the order of flushes. See Put.
type Mark struct{ flushes, changes uint64 }

// Mark is the present point.
func (c *Cache) Mark() Mark { return Mark{c.flushes.last.Load(), c.changes.last.Load()} }

// changes remembers when which URL was made invalid last, by a hash: without a
// lock, since each unsafe request comes here, also where nothing is stored. Two URLs may share a place; then a response too
// many is not stored.
type changes struct {
	last atomic.Uint64
	at   [4096]atomic.Uint64
}

func (c *changes) place(canonical []byte) *atomic.Uint64 {
	return &c.at[hashOf(canonical)%uint64(len(c.at))]
}

func (c *changes) note(canonical []byte) { c.place(canonical).Store(c.last.Add(1)) }

func (c *changes) since(m Mark, canonical []byte) bool { return c.place(canonical).Load() > m.changes }

// Changed notes that what a URL returns has changed: what is being fetched is
// not stored. canonical is made by AppendCanonical.
func (c *Cache) Changed(canonical []byte) { c.changes.note(canonical) }

// flushes remembers the last flushes, for what is being fetched meanwhile.
type flushes struct {
	last atomic.Uint64
	mu   sync.Mutex
	ring [1024]flush
}

// flush is what was removed: of a space what is selected and, if that is set, is below
// a canonical URL.
type flush struct {
	space     *Space
	canonical string
	what      Selection
}

func (f *flushes) note(fl flush) {
	f.mu.Lock()
	n := f.last.Load() + 1
	f.ring[n%uint64(len(f.ring))] = fl
	f.last.Store(n)
	f.mu.Unlock()
}

// since says whether anything was flushed after a mark that would have
// removed such an entry. When too much was flushed to remember, it says yes.
func (f *flushes) since(m Mark, space *Space, canonical []byte, tags []string) bool {
	if f.last.Load() == m.flushes {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.last.Load()
	if last-m.flushes > uint64(len(f.ring)) {
		return true
	}
	for n := m.flushes + 1; n <= last; n++ {
		if f.ring[n%uint64(len(f.ring))].covers(space, canonical, tags) {
			return true
		}
	}
	return false
}

func (fl *flush) covers(space *Space, canonical []byte, tags []string) bool {
	switch {
	case fl.space != space, fl.canonical != "" && !below([]byte(fl.canonical), canonical), !fl.what.has(canonical):
		return false
	case fl.what.Tag == "":
		return true
	}
	for _, t := range tags {
		if t == fl.what.Tag {
			return true
		}
	}
	return false
}

// below says whether a canonical URL is another one, or in the tree below it: by whole
// segments; a query belongs to its path.
func below(tree, canonical []byte) bool {
	if !bytes.HasPrefix(canonical, tree) {
		return false
	}
	rest := canonical[len(tree):]
	return len(rest) == 0 || tree[len(tree)-1] == '/' || rest[0] == '/' || rest[0] == '?'
}

// url is the canonical URL of a resource.
func (r *resource) url() string {
	if r.canonical != "" {
		return r.canonical
	}
	return r.key
}

// Flush removes what a space has of one canonical URL or, with recursive, of the tree
// below it.
func (c *Cache) Flush(space *Space, canonical []byte, recursive bool) int {
	if !recursive {
		return c.exact(space, canonical)
	}
	c.flushes.note(flush{space: space, canonical: string(canonical)})
	n := c.each(space, func(_ *shard, r *resource) bool { return below(canonical, []byte(r.url())) })
	space.Invalidated.Add(int64(n))
	return n
}

// exact removes all spellings of one canonical URL.
func (c *Cache) exact(space *Space, canonical []byte) int {
	c.changes.note(canonical)
	n := 0
	k := Key{Bytes: canonical, Hash: hashOf(canonical)}
	sh := c.shard(k.Hash)
	sh.mu.Lock()
	if e, ok := c.found.GetEntryQuietly(k.Hash); ok && e.Value.key == string(canonical) && e.Value.space == space {
		n += sh.remove(c, e.Value)
	}
	sh.mu.Unlock()
	for i := range c.shards {
		sh := &c.shards[i]
		if c.odd.Load() == 0 {
			break
		}
		sh.mu.Lock()
		for _, r := range append([]*resource(nil), sh.odd[string(canonical)]...) {
			if r.space == space {
				n += sh.remove(c, r)
			}
		}
		sh.mu.Unlock()
	}
	space.Invalidated.Add(int64(n))
	return n
}

// FlushTag removes what a space has with a tag.
func (c *Cache) FlushTag(space *Space, tag string) int {
	c.flushes.note(flush{space: space, what: Selection{Tag: tag}})
	n := 0
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		for r := range sh.tags[tagKey{space, tag}] {
			n += sh.remove(c, r)
		}
		sh.mu.Unlock()
	}
	space.Invalidated.Add(int64(n))
	return n
}

// FlushSpace removes all that a space has.
func (c *Cache) FlushSpace(space *Space) int {
	c.flushes.note(flush{space: space})
	n := c.each(space, func(*shard, *resource) bool { return true })
	space.Invalidated.Add(int64(n))
	return n
}

// Close ends a space: its registration is gone.
func (c *Cache) Close(space *Space) {
	space.closed.Store(true)
	if space.Entries.Load() > 0 {
		c.each(space, func(*shard, *resource) bool { return true })
	}
}

// Scavenge removes what is stale and was not used for so many seconds.
func (c *Cache) Scavenge(now int64, unused int64) int {
	n := 0
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		for _, l := range sh.spaces {
			for r := l.head; r != nil; {
				next := r.next
				if r.idle(now, unused) {
					n += sh.remove(c, r)
				}
				r = next
			}
		}
		sh.mu.Unlock()
	}
	return n
}

// idle says whether all entries of a resource are stale and unused.
func (r *resource) idle(now, unused int64) bool {
	for e := r.chain.Load(); e != nil; e = e.next {
		if e.flags&isFragment != 0 && e.expired(now) {
			continue // of no use to anybody
		}
		last := max(e.stored/1000, int64(e.lastHit.Load()))
		if now/1000-last < unused || e.flags&untilFlushed != 0 || e.Age(now) < int64(e.lifetime) {
			return false
		}
	}
	return true
}

// each removes the resources of a space that f says.
func (c *Cache) each(space *Space, f func(*shard, *resource) bool) int {
	n := 0
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		if l := sh.spaces[space]; l != nil {
			for r := l.head; r != nil; {
				next := r.next
				if f(sh, r) {
					n += sh.remove(c, r)
				}
				r = next
			}
		}
		sh.mu.Unlock()
	}
	return n
}
