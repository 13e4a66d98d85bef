package cache

import (
	"sync/atomic"

	"github.com/httpsys/httpsys/internal/cache/rules"
)

// Space is what one registration has in the cache.
type Space struct {
	ID    uint32 // of the registration
	URL   string // its prefix
	Queue string // name of its queue
	Owner uint32 // number of its queue: fragments of the same one are found by all its spaces
	HTTPS bool
	// Default is how long a response without a word about caching is kept, in seconds; 0: not.
	Default int64

	mode   atomic.Uint32
	closed atomic.Bool

	// What happened, for statistics.
	Hits, Misses, Stored, Invalidated atomic.Int64
	// Pieces is how often a fragment went into a response.
	Pieces atomic.Int64
	// What is there now.
	Entries, Bytes atomic.Int64 // of responses and fragments
	Fragments      atomic.Int64 // entries that are fragments
}

// Mode is what is known of a registration, so that applications that have
// nothing to do with caching pay nothing for it.
type Mode uint32

// The modes.
const (
	Unknown Mode = iota // it has not answered any GET
	Plain               // nothing it answered so far could be stored
	Caching             // something could
)

// Mode returns the present mode.
func (s *Space) Mode() Mode { return Mode(s.mode.Load()) }

// Learn takes note that a response could be stored, or could not.
func (s *Space) Learn(stored bool) {
	switch {
	case stored:
		if s.Mode() != Caching {
			s.mode.Store(uint32(Caching))
		}
	case s.Mode() == Unknown:
		s.mode.CompareAndSwap(uint32(Unknown), uint32(Plain))
	}
}

// Closed says whether the registration is gone.
func (s *Space) Closed() bool { return s.closed.Load() }

// Policy is what Judge needs for a response of this registration.
func (c *Cache) Policy(s *Space) rules.Policy {
	return rules.Policy{Default: s.Default, Heuristic: c.heuristic.Load()}
}

// count takes note that an entry has come or gone.
func (s *Space) count(e *Entry, n int64) {
	s.Entries.Add(n)
	if e.flags&isFragment != 0 {
		s.Fragments.Add(n)
	}
}
