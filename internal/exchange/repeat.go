package exchange

import (
	"math"

	"github.com/httpsys/httpsys/internal/cache"
)

// Repeat is how a request was answered from the cache. The same bytes on the same port get the same answer
// for as long as no prefix is registered or goes, and what is stored stays as it is: so there is no need to parse
// them, to route them and to look for anything. A connection keeps it with the bytes of the request; Again says
// whether it still holds.
type Repeat struct {
	cached cache.Repeat
	routes uint64
	reg    *Registration
}

// versioned is a Router that can tell whether it would still decide as before.
type versioned interface{ Version() uint64 }

// unversioned is what Routes says of a Router that cannot.
const unversioned = math.MaxUint64

// Routes is the version of the routing table, to be asked before Begin.
func (s *Stage) Routes() uint64 {
	if s.versions == nil {
		return unversioned
	}
	return s.versions.Version()
}

// Repeatable fills r with how Begin has just answered a request for which Routes said routes before; false
// if another request with the same bytes may have to be treated otherwise.
func (s *Stage) Repeatable(r *Repeat, reg *Registration, a *cache.Answer, routes uint64) bool {
	if routes == unversioned || a != &s.answer || !a.Repeat(&r.cached, &s.query) {
		return false
	}
	r.reg, r.routes = reg, routes
	return true
}

// Again counts a hit and returns the age of the answer in seconds, if it still holds. Else the
// request has to be looked at.
func (s *Stage) Again(r *Repeat) (reg *Registration, age int64, ok bool) {
	now := s.now()
	e := r.cached.Entry(now)
	if e == nil || r.routes != s.versions.Version() {
		return nil, 0, false
	}
	s.Cache.Hit(r.reg.Space, e, now)
	return r.reg, e.Age(now), true
}

// Same says whether two are of the same stored response.
func (r *Repeat) Same(o *Repeat) bool {
	return r.cached == o.cached && r.routes == o.routes && r.reg == o.reg
}
