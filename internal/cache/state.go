package cache

import (
	"strings"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Info describes a stored response for people.
type Info struct {
	Space                                    *Space
	Authority, Path                          string // of the canonical URL; Path with its query
	Status                                   int
	Size, Cost                               int64 // bytes of the body; of the budget
	Age, Lifetime                            int64 // seconds
	Hits                                     int64
	NoCache, Heuristic, UntilFlushed, Own    bool
	Partial, Fragment                        bool
	ContentType, ContentEncoding, Vary, ETag string
	Tags                                     []string
}

// Each calls visit for each stored response of a space that is meant, until
// it returns false.
func (c *Cache) Each(space *Space, s Selection, now int64, visit func(*Info) bool) {
	for i := range c.shards {
		sh := &c.shards[i]
		var infos []Info
		sh.mu.Lock()
		if l := sh.spaces[space]; l != nil {
			for r := l.head; r != nil; r = r.next {
				if s.has([]byte(r.url())) && r.tagged(s.Tag) {
					infos = r.infos(infos, now)
				}
			}
		}
		sh.mu.Unlock()
		for i := range infos {
			if !visit(&infos[i]) {
				return
			}
		}
	}
}

func (r *resource) infos(dst []Info, now int64) []Info {
	url := r.url()[keyHeader:]
	i := strings.IndexByte(url, '/')
	for e := r.chain.Load(); e != nil; e = e.next {
		t := e.Terms()
		in := Info{
			Space: r.space, Authority: url[:i], Path: url[i:], Status: int(e.status), Size: e.Len(), Cost: e.Cost(), Age: e.Age(now),
			Lifetime: t.Lifetime, Hits: int64(e.hits.Load()), NoCache: t.NoCache, Heuristic: t.Heuristic, UntilFlushed: t.UntilFlushed,
			Own: t.Own, Partial: e.Partial(), Fragment: r.isFragment(), ETag: string(e.ETag()), Tags: e.tags,
		}
		for _, f := range e.Fields(nil) {
			switch {
			case message.EqualFold(f.Name, "content-type"):
				in.ContentType = string(f.Value)
			case message.EqualFold(f.Name, "content-encoding"):
				in.ContentEncoding = string(f.Value)
			case message.EqualFold(f.Name, "vary"):
				if in.Vary != "" {
					in.Vary += ", "
				}
				in.Vary += string(f.Value)
			}
		}
		dst = append(dst, in)
	}
	return dst
}

// Totals of the whole cache.
type Totals struct{ Used, Budget, Evicted, Refused int64 }

// Totals returns the totals.
func (c *Cache) Totals() Totals {
	return Totals{c.used.Load(), c.budget.Load(), c.Evicted.Load(), c.Refused.Load()}
}
