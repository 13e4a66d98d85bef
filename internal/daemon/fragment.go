package daemon

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// This file is how an application stores, reads and removes fragments (docs/channel.md section 3.5). What they are
// is in package cache, and how they get into responses in exchange/pieces.go.

// comingFragment is a fragment of which not all frames are there yet.
type comingFragment struct {
	number uint32
	named  *namedFragment
	tags   []byte
	ttl    uint32 // seconds
	in     *cache.Incoming
	cerr   *channel.Error // it will not be stored
}

// namedFragment is a name, and whose it is.
type namedFragment struct {
	space     *cache.Space
	url       string // in canonical form
	key       []byte
	canonical []byte
}

// fragment takes a FRAGMENT frame. An error is a violation of the protocol; last says that the answer is due.
func (s *session) fragment(h channel.Header, payload []byte) (result *channel.FragmentResult, cerr *channel.Error, last bool, err error) {
	last = h.Flags&channel.FlagMore == 0
	f := s.coming
	if f == nil {
		head, body, err := channel.ParseFragmentHead(payload)
		if err != nil {
			return nil, nil, false, fmt.Errorf("FRAGMENT %d: %w", h.Stream, err)
		}
		f = &comingFragment{number: h.Stream, tags: append([]byte(nil), head.Tags...), in: s.d.cache.NewFragment()}
		f.named, f.cerr = s.nameFragment(string(head.Name))
		if f.cerr == nil {
			f.ttl, f.cerr = fragmentTTL(head.TTLMS)
		}
		s.coming, payload = f, body
	}
	if f.number != h.Stream {
		return nil, nil, false, fmt.Errorf("FRAGMENT %d before the end of FRAGMENT %d", h.Stream, f.number)
	}
	if f.cerr == nil && !f.in.Append(payload) {
		f.cerr = &channel.Error{Code: channel.Limit, Message: fmt.Sprintf(
			"there is no room for fragment %.200s in the cache: a fragment has at most %d bytes, and \"httpsys show cacheparam\" tells the limits",
			f.named.url, s.d.cache.Largest())}
	}
	if f.cerr != nil {
		f.in.Drop() // what still comes is read and forgotten
	}
	if !last {
		return nil, nil, false, nil
	}
	s.coming = nil
	if f.cerr != nil {
		return nil, f.cerr, true, nil
	}
	if !f.in.Keep(f.named.space, f.named.key, f.named.canonical, f.tags, f.ttl, loop.Clock()) {
		return nil, &channel.Error{Code: channel.Limit, Message: fmt.Sprintf("there is no room for fragment %.200s in the cache", f.named.url)}, true, nil
	}
	return &channel.FragmentResult{URL: f.named.url}, nil, true, nil
}

// dropFragment forgets a fragment whose end will not come.
func (s *session) dropFragment() {
	if s.coming != nil {
		s.coming.in.Drop()
		s.coming = nil
	}
}

// fragmentTTL is for how long a fragment is kept, in seconds; 0: until it is flushed.
func fragmentTTL(ms uint64) (uint32, *channel.Error) {
	if ms != 0 && ms < 1000 {
		return 0, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(
			"the time to live is %d ms: want whole seconds, 1000 or more, or 0 for a fragment that is kept until it is flushed", ms)}
	}
	return uint32(min(ms/1000, math.MaxUint32)), nil
}

// nameFragment finds the registration of this session that a name is below: the longest, if there are several.
func (s *session) nameFragment(url string) (*namedFragment, *channel.Error) {
	pre, path, err := prefix.Resource(url)
	if err != nil {
		return nil, &channel.Error{Code: channel.InvalidParameter, Message: err.Error()}
	}
	at, cerr := storedAt(url, false)
	if cerr != nil {
		return nil, cerr
	}
	var best *registration
	s.d.mu.Lock()
	for id := range s.regs {
		r := s.d.regs[id]
		if at.mayHave(r.Prefix) && (best == nil || len(r.Prefix.Path) > len(best.Prefix.Path) ||
			len(r.Prefix.Path) == len(best.Prefix.Path) && r.ID < best.ID) {
			best = r
		}
	}
	s.d.mu.Unlock()
	if best == nil {
		return nil, &channel.Error{Code: channel.AccessDenied, Message: fmt.Sprintf(
			"%.200s is not below a prefix that this session has registered", url)}
	}
	n := &namedFragment{space: best.Space, url: prefix.ResourceURL(pre, path)}
	n.key = cache.AppendFragmentKey(nil, best.Space.Owner, []byte(n.url))
	_, rest, _ := strings.Cut(n.url, "://")
	n.canonical = append(binary.BigEndian.AppendUint32(nil, best.Space.ID), rest...)
	return n, nil
}

// readFragment answers the call "read_fragment".
func (s *session) readFragment(p channel.ReadFragmentParams) (*channel.ReadFragmentResult, *channel.Error) {
	if p.Offset < 0 || p.Length < 0 {
		return nil, &channel.Error{Code: channel.InvalidParameter, Message: "offset and length are not negative"}
	}
	n, cerr := s.nameFragment(p.URL)
	if cerr != nil {
		return nil, cerr
	}
	e := s.d.cache.Fragment(n.key, loop.Clock())
	if e == nil {
		return nil, noSuchFragment(n.url)
	}
	out := &channel.ReadFragmentResult{Size: e.Len(), Data: []byte{}}
	length := int64(channel.MaxFragmentRead)
	if p.Length > 0 {
		length = min(length, p.Length)
	}
	e.Retain()
	defer e.Release()
	e.ReadAt(p.Offset, length, func(b []byte) { out.Data = append(out.Data, b...) })
	return out, nil
}

// deleteFragment answers the call "delete_fragment".
func (s *session) deleteFragment(p channel.FragmentParams) (*struct{}, *channel.Error) {
	n, cerr := s.nameFragment(p.URL)
	if cerr != nil {
		return nil, cerr
	}
	if !s.d.cache.RemoveFragment(n.key) {
		return nil, noSuchFragment(n.url)
	}
	return &struct{}{}, nil
}

func noSuchFragment(url string) *channel.Error {
	return &channel.Error{Code: channel.NotFound, Message: fmt.Sprintf("fragment %.200s is not stored (any more)", url)}
}
