package exchange

import (
	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is how responses change what is stored: by validating it, by completing it, by
// a HEAD, and by making it invalid.

// validated takes a 304 to a request that we made conditional: the stored response is good
// for another while (RFC 9111 4.3.4), and answers the client.
func (x *Exchange) validated(r *message.Response, q *rules.Request, end bool) bool {
	s, f := x.stage, x.fill
	now := s.now()
	e := s.freshen(x.reg.Space, f, r, q)
	if !e.Answer(&s.answer, q, now) {
		panic("exchange: a complete entry has no answer")
	}
	s.answer.Revalidated()
	s.Cache.Hit(x.reg.Space, e, now)
	f.settle(true)
	x.dismiss(&s.answer, end)
	return true
}

// freshen stores an entry with the fields of r on top of its own. It returns the
// new one, whether or not it may be stored.
func (s *Stage) freshen(space *cache.Space, f *fill, r *message.Response, q *rules.Request) *cache.Entry {
	now, unix := s.now(), s.Unix()
	old := f.stale
	merged := message.Response{Status: old.Status(), Reason: old.Reason(), Fields: old.Merge(s.merged[:0], r.Fields, unix)}
	s.merged = merged.Fields
	v := rules.Judge(q, &rules.Response{
		Status: merged.Status, Fields: merged.Fields, Date: cache.DateOf(merged.Fields, unix), Now: unix, Delay: (now - f.began) / 1000,
	}, s.Cache.Policy(space))
	k := f.cacheKey()
	if old.Own() && !ownIn(r.Fields) { // the application's word to us holds on
		v.Terms = old.Terms()
		v.Store = true
	}
	e := cache.Renew(&cache.Draft{
		Space: space, Key: k, Verdict: &v, Response: &merged, Request: q.Fields, Server: s.Server, Now: now, Unix: unix,
	}, old)
	if old.CanPack() {
		e.Packable()
	}
	if !v.Store {
		s.Cache.Remove(old)
	} else if s.Cache.Reserve(e.Cost()) && s.Cache.Put(space, &k, f.canonical, e, f.mark) {
		s.reattach(e, old)
	}
	return e
}

func ownIn(fields []message.Field) bool {
	for i := range fields {
		if rules.ForUs(fields[i].Name) {
			return true
		}
	}
	return false
}

// completed takes the rest of a response of which the first part is stored
// (RFC 9111 3.4). It reports false where that does not fit together; then the
// client gets what the application sent, which is of no use to it: so it is asked again for the whole.
func (x *Exchange) completed(r *message.Response, q *rules.Request, body []byte, end bool) bool {
	s, f := x.stage, x.fill
	old := f.stale
	if end && old.ContinuedBy(r, int64(len(body))) {
		now, unix := s.now(), s.Unix()
		merged := message.Response{Status: 200, Fields: old.Merge(s.merged[:0], r.Fields, unix)}
		s.merged = merged.Fields
		v := rules.Judge(q, &rules.Response{
			Status: 200, Fields: merged.Fields, Date: cache.DateOf(merged.Fields, unix), Now: unix, Delay: (now - f.began) / 1000,
		}, s.Cache.Policy(x.reg.Space))
		k := f.cacheKey()
		e := cache.Join(&cache.Draft{
			Space: x.reg.Space, Key: k, Verdict: &v, Response: &merged, Request: q.Fields, Server: s.Server, Now: now, Unix: unix,
		}, old, body)
		if v.Store && e.Len() <= s.Cache.Largest() && s.Cache.Reserve(e.Cost()) {
			s.Cache.Put(x.reg.Space, &k, f.canonical, e, f.mark)
		}
		if e.Answer(&s.answer, q, now) {
			f.settle(true)
			x.dismiss(&s.answer, true)
			return true
		}
	}
	// Ask for the whole.
	s.Cache.Remove(old)
	c := x.client
	y := s.get()
	y.client, y.reg, y.peer, y.reqEnded = c, x.reg, x.peer, true
	y.frame = append(y.frame[:0], x.original()...)
	y.role, y.mark = watched, s.Cache.Mark()
	f.give()
	x.letGo(end)
	c.Moved(y)
	if !s.submit(y) {
		y.fail(503, refuseFull.Reason, refuseFull.Text)
	}
	return true
}

// headUpdates lets a response to HEAD change what is stored for GET (RFC 9111 4.3.5).
func (s *Stage) headUpdates(x *Exchange, r *message.Response) {
	req := s.reparse(x.original())
	path, ok := s.canonicalPath(req.Path)
	if !ok || r.Status != 200 {
		return
	}
	q := &s.query
	q.Parse(true, req.Fields)
	k := cache.MakeKey(s.key, x.reg.Space, req, path)
	s.key = k.Bytes
	e := s.Cache.Find(&k, q, &s.selecting)
	if e == nil || e.Partial() || e.Status() != 200 {
		return
	}
	if !rules.Same(r.Fields, e.ETag(), e.Modified(), e.Len()) {
		s.Cache.Remove(e)
		return
	}
	if !r.Caching {
		return
	}
	f := newFill(s, x.reg, &k, path)
	f.stale = e
	s.freshen(x.reg.Space, f, r, q)
}

// invalidate removes what a successful unsafe request has made doubtful (RFC
// 9111 4.4).
func (s *Stage) invalidate(x *Exchange, r *message.Response) {
	space := x.reg.Space
	req := s.reparse(x.original())
	path, ok := s.canonicalPath(req.Path)
	if !ok {
		return
	}
	s.canon = cache.AppendCanonical(s.canon[:0], space, req.Authority, path, req.Query, len(req.Query) > 0)
	if space.Mode() != cache.Caching { // nothing is stored, but something may be on its way
		s.Cache.Changed(s.canon)
		return
	}
	s.Cache.Flush(space, s.canon, false)
	rules.Related(r.Fields, space.HTTPS, req.Authority, req.Path, func(target []byte) {
		var query []byte
		has := false
		for i, c := range target {
			if c == '?' {
				target, query, has = target[:i], target[i+1:], i+1 < len(target)
				break
			}
		}
		if p, ok := s.canonicalPath(target); ok {
			s.canon = cache.AppendCanonical(s.canon[:0], space, req.Authority, p, query, has)
			s.Cache.Flush(space, s.canon, false)
		}
	})
}

// storePosted keeps the response to a POST that says that it is what a GET
// would return: its Content-Location is the URL itself, and how long it is fresh is explicit (RFC 9110
// 9.3.3).
func (s *Stage) storePosted(x *Exchange, r *message.Response, body []byte) {
	space := x.reg.Space
	req := s.reparse(x.original())
	if string(req.Method) != "POST" || !sameHost(req) || int64(len(body)) > s.Cache.Largest() ||
		r.ContentLength >= 0 && r.ContentLength != int64(len(body)) {
		return
	}
	itself, several := false, false
	rules.Related(r.Fields, space.HTTPS, req.Authority, req.Path, func(target []byte) {
		several = several || itself
		itself = string(target) == string(req.Target)
	})
	path, ok := s.canonicalPath(req.Path)
	if !itself || several || !ok {
		return
	}
	q := &s.query
	q.Parse(false, req.Fields)
	now, unix := s.now(), s.Unix()
	v := rules.Judge(q, &rules.Response{Status: r.Status, Fields: r.Fields, Date: cache.DateOf(r.Fields, unix), Now: unix},
		rules.Policy{})
	if !v.Store || v.Lifetime <= v.Age {
		return
	}
	k := cache.MakeKey(s.key, space, req, path)
	s.key = k.Bytes
	e := cache.NewEntry(&cache.Draft{
		Space: space, Key: k, Verdict: &v, Response: r, Request: req.Fields, Server: s.Server, Now: now, Unix: unix,
	}, int64(len(body)))
	e.WithBody(body)
	if s.Cache.Reserve(e.Cost()) {
		space.Learn(true)
		s.Cache.Put(space, &k, k.AppendCanonical(s.canon[:0], space, path), e, s.Cache.Mark())
	}
}

// canonicalPath is the path as routing sees it.
func (s *Stage) canonicalPath(raw []byte) ([]byte, bool) {
	p, err := prefix.Canonical(s.path[:0], raw)
	if err != nil {
		return nil, false
	}
	if len(p) > 0 && &p[0] != &raw[0] {
		s.path = p[:0]
	}
	return p, true
}
