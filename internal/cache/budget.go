package cache

import "sync"

// Reserve takes n bytes of the budget, and makes room for them if it must.
// It reports false where there is none: then nothing is taken.
func (c *Cache) Reserve(n int64) bool {
	for range 4 {
		budget := c.budget.Load()
		used := c.used.Load()
		switch {
		case n > budget:
			return false
		case used+n <= budget:
			if c.used.CompareAndSwap(used, used+n) {
				return true
			}
		default:
			// Some more than is needed, so that not each that follows has to do it again.
			c.trim(budget - n - budget/256)
		}
	}
	// Others are quicker, or what is reserved is not stored yet.
	for {
		used := c.used.Load()
		if used+n > c.budget.Load() {
			c.Refused.Add(1)
			return false
		}
		if c.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// Release gives back what was reserved and is not stored.
func (c *Cache) Release(n int64) { c.release(n) }

func (c *Cache) release(n int64) { c.used.Add(-n) }

// trim evicts until not more than n bytes are used, as far as what is stored
// can do it.
func (c *Cache) trim(n int64) {
	c.evicting.Lock()
	defer c.evicting.Unlock()
	over := c.used.Load() - max(n, 0)
	if over <= 0 {
		return
	}
	// The policy chooses: it is told to keep less, once.
	c.found.SetMaximum(uint64(max(c.stored.Load()-over, 1)))
	c.found.CleanUp()
	c.bury()
	c.found.SetMaximum(uint64(max(c.budget.Load(), 1)))
}

// graveyard is the resources that the policy has evicted. They are taken out
// of the index by bury, since whoever caused it may hold a lock of the index.
type graveyard struct {
	mu   sync.Mutex
	list []*resource
}

func (g *graveyard) add(r *resource) {
	g.mu.Lock()
	g.list = append(g.list, r)
	g.mu.Unlock()
}

func (g *graveyard) take() []*resource {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.list
	g.list = nil
	return l
}

func (c *Cache) bury() {
	for _, r := range c.gone.take() {
		sh := c.shard(r.hash)
		sh.mu.Lock()
		// It may have been stored again meanwhile.
		if e, ok := c.found.GetEntryQuietly(r.hash); !ok || e.Value != r {
			if sh.remove(c, r) > 0 {
				c.Evicted.Add(1)
			}
		}
		sh.mu.Unlock()
	}
}
