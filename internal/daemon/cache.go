package daemon

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/conn"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// cacheShare is the part of the machine's memory, one in so many bytes, that
// the cache takes at most if nobody set its size.
const cacheShare = 8

// cacheLimits are the limits of the cache. The default of its size is only
// for machines that have the memory.
func cacheLimits(l *config.Limits) cache.Limits {
	size := l.CacheSize
	var info unix.Sysinfo_t
	if size == config.DefaultCacheSize && unix.Sysinfo(&info) == nil {
		size = min(size, int64(info.Totalram)*int64(info.Unit)/cacheShare)
	}
	return cache.Limits{Size: size, Largest: l.CacheLargest, Heuristic: l.CacheHeuristic}
}

// offload runs f on another goroutine, if not too many of its kind run already: what loops put off does not
// take their processors.
func (d *Daemon) offload(f func()) bool {
	select {
	case d.offloaded <- struct{}{}:
	default:
		return false
	}
	go func() {
		defer func() { <-d.offloaded }()
		f()
	}()
	return true
}

// forget removes what a registration has stored. That takes a while where it
// is much, and nobody can find it any more.
func (d *Daemon) forget(s *cache.Space) {
	if s.Entries.Load() < 1000 {
		d.cache.Close(s)
		return
	}
	go d.cache.Close(s)
}

// setCache tells the cache its limits.
func (d *Daemon) setCache(l *config.Limits) {
	d.cache.SetLimits(cacheLimits(l))
	d.scavenge.Store(l.CacheScavenge)
}

// scavenger removes what is stale and nobody asks for, and gives memory back, until ctx ends.
func (d *Daemon) scavenger(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var memory tidier
	for seconds := int64(1); ; seconds++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		memory.tidy()
		if period := d.scavenge.Load(); period > 0 && seconds >= period {
			d.cache.Scavenge(loop.Clock(), period)
			seconds = 0
		}
	}
}

// stored is a URL that stored responses are named by, as cache.Selection
// wants it, with the port that it belongs to.
type stored struct {
	scheme prefix.Scheme
	port   uint16
	what   cache.Selection
}

// storedAt reads the URL of a call: that of a resource, or of a tree of them. + or * as host
// means every host.
func storedAt(url string, recursive bool) (at stored, _ *channel.Error) {
	p, path, err := prefix.Resource(url)
	if err != nil {
		return stored{}, &channel.Error{Code: channel.InvalidParameter, Message: err.Error()}
	}
	at = stored{scheme: p.Scheme, port: p.Port, what: cache.Selection{Path: path, Recursive: recursive}}
	if p.Kind == prefix.Explicit || p.Kind == prefix.IPBound {
		at.what.Host, at.what.Port = p.Host, p.Port
	}
	return at, nil
}

// mayHave says whether a registration can have stored something that is
// meant.
func (at *stored) mayHave(p prefix.Prefix) bool {
	if p.Scheme != at.scheme || p.Port != at.port || at.what.Host != "" && p.Kind == prefix.Explicit && p.Host != at.what.Host {
		return false
	}
	return at.below(p) || at.what.Recursive && strings.HasPrefix(strings.ToLower(p.Path), strings.ToLower(at.what.Path))
}

// below says whether the path of what is meant is below that of a prefix.
func (at *stored) below(p prefix.Prefix) bool {
	path, prefix := strings.ToLower(at.what.Path), strings.ToLower(p.Path)
	return strings.HasPrefix(path, prefix) || path+"/" == prefix
}

// spaces are the parts of the cache in which something may be that is meant; at nil: all.
func (d *Daemon) spaces(at *stored) []owned {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []owned
	for _, r := range d.regs {
		if at == nil || at.mayHave(r.Prefix) {
			all = append(all, owned{r.Space, r.queue.owner})
		}
	}
	slices.SortFunc(all, func(a, b owned) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// owned is a part of the cache, and the user whose queue it is of.
type owned struct {
	*cache.Space
	owner uint32
}

// DeleteCache implements server.Engine.
func (d *Daemon) DeleteCache(p control.DeleteCacheParams) (int, *channel.Error) {
	var at *stored
	what := cache.Selection{}
	if p.URL != "" {
		s, cerr := storedAt(p.URL, p.Recursive)
		if cerr != nil {
			return 0, cerr
		}
		at, what = &s, s.what
	}
	what.Tag = p.Tag
	n := 0
	for _, s := range d.spaces(at) {
		n += d.cache.Select(s.Space, what)
	}
	return n, nil
}

// CacheState implements server.Engine. URLs are for those who may see what the user of a queue has.
func (d *Daemon) CacheState(p control.CacheStateParams, sees func(uid uint32) bool) (*control.CacheState, *channel.Error) {
	var at *stored
	what := cache.Selection{}
	if p.URL != "" {
		s, cerr := storedAt(p.URL, true)
		if cerr != nil {
			return nil, cerr
		}
		at, what = &s, s.what
	}
	t := d.cache.Totals()
	st := &control.CacheState{
		Entries: []control.CacheEntry{}, Prefix: []control.CachePrefix{},
		Size: t.Used, Limit: t.Budget, Evicted: t.Evicted, Refused: t.Refused,
	}
	now := loop.Clock()
	for _, s := range d.spaces(at) {
		st.Count += s.Entries.Load()
		if c := cachePrefix(s.Space); c != (control.CachePrefix{URL: s.URL, Queue: s.Queue}) {
			st.Prefix = append(st.Prefix, c)
		}
		if !sees(s.owner) {
			st.Hidden += s.Entries.Load()
			continue
		}
		d.cache.Each(s.Space, what, now, func(in *cache.Info) bool {
			if st.More = len(st.Entries) == control.MaxCacheEntries; st.More {
				return false
			}
			st.Entries = append(st.Entries, entryOf(in))
			return true
		})
	}
	slices.SortFunc(st.Entries, func(a, b control.CacheEntry) int { return cmp.Compare(a.URL, b.URL) })
	return st, nil
}

// cachePrefix is what the cache did for a registration.
func cachePrefix(s *cache.Space) control.CachePrefix {
	return control.CachePrefix{
		URL: s.URL, Queue: s.Queue, Entries: s.Entries.Load(), Bytes: s.Bytes.Load(), Hits: s.Hits.Load(),
		Misses: s.Misses.Load(), Stored: s.Stored.Load(), Flushed: s.Invalidated.Load(),
		Fragments: s.Fragments.Load(), Pieces: s.Pieces.Load(),
	}
}

// entryOf is a stored response as the command line shows it.
func entryOf(in *cache.Info) control.CacheEntry {
	scheme := "http://"
	if in.Space.HTTPS {
		scheme = "https://"
	}
	e := control.CacheEntry{
		URL: scheme + in.Authority + in.Path, Status: in.Status, Own: in.Own, Size: in.Size, Cost: in.Cost, AgeS: in.Age, Hits: in.Hits,
		Queue: in.Space.Queue, Prefix: in.Space.URL, ContentType: in.ContentType, Encoding: in.ContentEncoding, Vary: in.Vary,
		ETag: in.ETag, Partial: in.Partial, Fragment: in.Fragment, Tags: append([]string{}, in.Tags...),
	}
	switch {
	case in.UntilFlushed:
		e.Policy = control.PolicyUser
	case in.NoCache:
		e.Policy = control.PolicyValidate
	case in.Heuristic:
		e.Policy, e.ExpiresS = control.PolicyHeuristic, in.Lifetime-in.Age
	default:
		e.Policy, e.ExpiresS = control.PolicyTTL, in.Lifetime-in.Age
	}
	return e
}

// flush answers the call of that name (docs/channel.md section 3.4): an
// application removes what it has stored itself, and nothing else.
func (s *session) flush(p channel.FlushParams) (*channel.FlushResult, *channel.Error) {
	if p.URL == "" && p.Tag == "" {
		return nil, &channel.Error{Code: channel.InvalidParameter, Message: "flush needs a url or a tag"}
	}
	if p.Recursive && p.URL == "" {
		return nil, &channel.Error{Code: channel.InvalidParameter, Message: "recursive needs a url"}
	}
	what := cache.Selection{}
	var at *stored
	if p.URL != "" {
		st, cerr := storedAt(p.URL, p.Recursive)
		if cerr != nil {
			return nil, cerr
		}
		at, what = &st, st.what
	}
	what.Tag = p.Tag
	var spaces []*cache.Space
	s.d.mu.Lock()
	for id := range s.regs {
		if r := s.d.regs[id]; at == nil || at.mayHave(r.Prefix) && at.below(r.Prefix) {
			spaces = append(spaces, r.Space)
		}
	}
	s.d.mu.Unlock()
	if at != nil && len(spaces) == 0 {
		return nil, &channel.Error{Code: channel.AccessDenied, Message: fmt.Sprintf(
			"%.200s is not below a prefix that this session has registered", p.URL)}
	}
	n := 0
	for _, sp := range spaces {
		n += s.d.cache.Select(sp, what)
	}
	return &channel.FlushResult{Flushed: n}, nil
}

// useCache gives the stage of a loop the cache of the machine.
func (d *Daemon) useCache(u *unit) {
	s := u.stage
	s.Cache = d.cache
	s.Unix = u.loop.Unix
	s.Post = func(f func()) { u.loop.Do(f) }
	s.Server = []byte(conn.ServerName)
	s.Offload = d.offload
}
