package cache

import "sync"

// flights are the fetches that are under way, so that loops can share them.
type flights struct {
	mu   sync.Mutex
	open map[uint64]*flight
}

type flight struct {
	key     string
	waiting []func()
}

// Lead says whether the caller is the first of all loops to fetch a key; it
// must call Land then. Otherwise follow is called, on whatever goroutine, when the first one has landed.
func (c *Cache) Lead(k *Key, follow func()) (leads bool) {
	f := &c.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = map[uint64]*flight{}
	}
	fl := f.open[k.Hash]
	if fl == nil {
		f.open[k.Hash] = &flight{key: string(k.Bytes)}
		return true
	}
	if fl.key != string(k.Bytes) {
		return true // another key with the same hash: Land finds out
	}
	fl.waiting = append(fl.waiting, follow)
	return false
}

// Followed says whether other loops wait for a fetch.
func (c *Cache) Followed(k *Key) bool {
	f := &c.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.open[k.Hash]
	return fl != nil && fl.key == string(k.Bytes) && len(fl.waiting) > 0
}

// Land ends a fetch that Lead began.
func (c *Cache) Land(k *Key) {
	f := &c.flights
	f.mu.Lock()
	fl := f.open[k.Hash]
	if fl == nil || fl.key != string(k.Bytes) {
		f.mu.Unlock()
		return
	}
	delete(f.open, k.Hash)
	f.mu.Unlock()
	for _, follow := range fl.waiting {
		follow()
	}
}
