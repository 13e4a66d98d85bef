package cache

import (
	"bytes"
	"strconv"
)

// Selection says which stored responses of a space are meant. The zero value
// means all.
type Selection struct {
	Host string // lower case, without a port; "": every host
	Port uint16 // with Host: clients may name it or not
	// Path is canonical, with its query; "": every path. With Recursive all below it as well.
	Path      string
	Recursive bool
	Tag       string // of Cache-Tag; "": whatever they have
}

// has says whether a canonical URL (AppendCanonical) is meant, tags aside.
func (s *Selection) has(canonical []byte) bool {
	rest := canonical[keyHeader:]
	i := bytes.IndexByte(rest, '/')
	if i < 0 {
		return false
	}
	authority, path := rest[:i], rest[i:]
	if s.Host != "" && string(authority) != s.Host && string(authority) != s.Host+":"+strconv.Itoa(int(s.Port)) {
		return false
	}
	switch {
	case s.Path == "":
		return true
	case s.Recursive:
		return below([]byte(s.Path), path)
	}
	return string(path) == s.Path
}

// Select removes what is meant from a space, and returns how many responses
// that were.
func (c *Cache) Select(space *Space, s Selection) int {
	switch {
	case s == Selection{}:
		return c.FlushSpace(space)
	case s == Selection{Tag: s.Tag}:
		return c.FlushTag(space, s.Tag)
	}
	c.flushes.note(flush{space: space, what: s})
	n := c.each(space, func(_ *shard, r *resource) bool { return s.has([]byte(r.url())) && r.tagged(s.Tag) })
	space.Invalidated.Add(int64(n))
	return n
}

// tagged says whether any variant has a tag.
func (r *resource) tagged(tag string) bool {
	for e := r.chain.Load(); e != nil; e = e.next {
		if tag == "" || e.tagged(tag) {
			return true
		}
	}
	return false
}
