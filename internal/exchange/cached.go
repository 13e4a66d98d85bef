package exchange

import (
	"bytes"
	"encoding/binary"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is where an exchange asks the cache: before its request goes to
// the queue, and when the response comes. fill.go is a fetch that others may wait for, read.go
// a stored body on its way to a client.

// caching is what a Stage has for the cache.
type caching struct {
	// Cache is the one of the machine; nil: there is none.
	Cache *cache.Cache
	// Unix is the time in seconds since 1970.
	Unix func() int64
	// Post runs a function on the stage's loop, from any goroutine.
	Post func(f func())
	// Offload runs a function on another goroutine, soon, or reports that there are too many.
	Offload func(f func()) bool
	// Server is the value of Server where an application has none.
	Server []byte

	fills     map[uint64]*fill // that can be shared, by the hash of their key
	followers int              // exchanges that wait for a fill
	oneByOne  [oneByOneSize]alone
	shared    [sharedSize]uint64 // hashes of keys for which responses were stored

	// scratch
	key, canon, selecting []byte
	query                 rules.Request
	answer                cache.Answer
	request               message.Request
	edited                []message.Field
	marked                compress.Head
	merged                []message.Field
}

// cached is what an Exchange has for it.
type cached struct {
	role   role
	fill   *fill
	origin []byte // the request as the client sent it, if frame is not that

	mark cache.Mark // when the request came

	body   *cache.Body // being read
	at, to int64
	pumps  bool
}

// role is what the cache has to do with an exchange.
type role uint8

const (
	bystander role = iota // nothing
	watched               // a GET to an application that stored nothing so far
	leads                 // a GET whose response is expected to be stored, with a fill
	waits                 // it waits for the fill of another
	reads                 // it sends a stored body
	changes               // a method that makes stored responses invalid
	asksHead              // a HEAD that may update what is stored
	spoils                // as changes, of a request that has rested: nothing but its request line is kept
	teaches               // as watched, of a request that has rested: its text is gone
)

// alone is a key whose responses cannot be stored at present: requests for it do not wait for
// each other. The table is small and forgets: then some wait once more.
type alone struct {
	hash  uint64
	until int64
}

const (
	oneByOneSize = 1024
	oneByOneTime = 120_000 // ms, as long as Varnish remembers it
)

// sharedSize is how many keys are remembered for which a response was stored, by their hash: requests for them
// wait longer for each other. Like oneByOne the table forgets.
const sharedSize = 4096

func (s *Stage) noteShared(hash uint64) { s.shared[hash%sharedSize] = hash }

func (s *Stage) isShared(hash uint64) bool { return s.shared[hash%sharedSize] == hash }

// noteAlone marks a key whose response could not be stored.
func (s *Stage) noteAlone(hash uint64) {
	s.oneByOne[hash%oneByOneSize] = alone{hash, s.now() + oneByOneTime}
}

func (s *Stage) isAlone(hash uint64) bool {
	a := &s.oneByOne[hash%oneByOneSize]
	return a.hash == hash && a.until > s.now()
}

// consult asks the cache about a request that was routed. done says that the
// request is dealt with: answered, refused, or waiting for a fetch.
func (s *Stage) consult(x *Exchange, r *message.Request, f *Facts, canonical []byte, empty bool) (_ *Exchange, ref Refusal, done bool) {
	space := x.reg.Space
	head := string(r.Method) == "HEAD"
	// 1. Only GET and HEAD are answered from the cache; others may make something
	// in it invalid. A request with a body, or for anything but a path here, is the application's.
	if !head && string(r.Method) != "GET" {
		if rules.Unsafe(r.Method) {
			x.role = changes
		}
		return x, ref, false
	}
	if !empty || r.ContentLength != 0 || r.Upgrade || r.ExpectContinue || elsewhere(r, f) || len(r.Path) == 0 || r.Path[0] != '/' {
		return x, ref, false
	}
	// 2. Applications that never cache pay for this comparison only.
	mode := space.Mode()
	if mode == cache.Plain && space.Default == 0 {
		if !head {
			x.role, x.mark = watched, s.Cache.Mark()
		}
		return x, ref, false
	}
	// 3. What does the request say?
	q := &s.query
	q.Parse(head, r.Fields)
	if q.Refused || q.IfMatch {
		return x, ref, false
	}
	k := cache.MakeKey(s.key, space, r, canonical)
	s.key = k.Bytes
	// 4. Is there something?
	now := s.now()
	e, use := s.find(&k, q, now)
	if (use == rules.Fresh || use == rules.Refresh) && s.form(e, r, f, q).Answer(&s.answer, q, now) {
		s.Cache.Hit(space, e, now)
		if use == rules.Refresh {
			s.answer.Stale()
			s.background(x.reg, r, f, q, &k, canonical, e)
		}
		return s.answered(x)
	}
	// 5. Nothing that can be used.
	if q.Control.OnlyIfCached && mode == cache.Caching {
		s.put(x)
		return nil, refuseUncached, true
	}
	space.Misses.Add(1)
	if head {
		x.role = asksHead
		return x, ref, false
	}
	return s.fetch(x, r, f, q, &k, canonical, e)
}

// elsewhere says whether a request is for another origin than that of its
// connection, as far as the scheme tells: in HTTP/1.1 it is in a target for a proxy only, in HTTP/2
// always.
func elsewhere(r *message.Request, f *Facts) bool {
	return len(r.Scheme) > 0 && (r.Version < 20 || string(r.Scheme) != f.Scheme.String())
}

// find looks for a stored response and decides what may be done with it.
func (s *Stage) find(k *cache.Key, q *rules.Request, now int64) (*cache.Entry, rules.Use) {
	e := s.Cache.Find(k, q, &s.selecting)
	if e == nil {
		return nil, rules.Fetch
	}
	t := e.Terms()
	if !t.MayShare(q) {
		return nil, rules.Fetch
	}
	return e, rules.Reuse(&q.Control, &t, e.Age(now))
}

// answered makes the exchange the sender of a long body, or ends it.
func (s *Stage) answered(x *Exchange) (*Exchange, Refusal, bool) {
	a := &s.answer
	if x.reader(a) {
		return x, Refusal{Stored: a}, true
	}
	s.put(x)
	return nil, Refusal{Stored: a}, true
}

// fetch decides how a request that needs the application gets to it.
func (s *Stage) fetch(x *Exchange, r *message.Request, f *Facts, q *rules.Request, k *cache.Key, canonical []byte, e *cache.Entry) (
	_ *Exchange, ref Refusal, done bool) {
	validate := e != nil && !e.Partial() && e.Validators()
	completes := e != nil && e.Completable() && q.Range == nil
	// Another's response is of no use for a part, for somebody's own eyes, or for who
	// insists on asking.
	single := q.Range != nil && !validate || q.Authorization || q.Control.NoStore || q.Control.NoCache ||
		q.Control.MaxAge == 0 || s.isAlone(k.Hash) || x.reg.Space.Mode() != cache.Caching && q.Conditional()
	fl := s.fills[k.Hash]
	if fl != nil && fl.key != string(k.Bytes) {
		fl, single = nil, true
	}
	if !single && fl != nil && len(fl.waiters) < maxFollowers {
		return s.follow(x, fl, r, f)
	}
	lead := newFill(s, x.reg, k, canonical)
	if !single && fl == nil {
		if s.fills == nil {
			s.fills = map[uint64]*fill{}
		}
		s.fills[k.Hash] = lead
		if !s.Cache.Lead(k, func() { s.Post(lead.landed) }) {
			lead.remote = true // another loop fetches it
			return s.follow(x, lead, r, f)
		}
		lead.shared = true
	}
	// The request as the client made it, unless we ask for ourselves.
	x.role, x.fill = leads, lead
	lead.leader = x
	lead.stale = e
	if e != nil && e.Partial() && !completes {
		lead.stale = nil
	}
	ask := r
	if validate || completes || !single && q.Conditional() {
		if !x.encode(r, f, nil, true) {
			lead.give()
			s.put(x)
			return nil, refuseTooLong, true
		}
		x.origin = append(x.origin[:0], x.frame...)
		ask = s.edit(r, e, validate, completes)
		lead.conditional, lead.completes = validate, completes
	}
	if !x.encode(ask, f, nil, true) {
		lead.give()
		s.put(x)
		return nil, refuseTooLong, true
	}
	return x, ref, false
}

// edit is a request without the client's conditions, and with ours.
func (s *Stage) edit(r *message.Request, e *cache.Entry, validate, completes bool) *message.Request {
	fields := s.edited[:0]
	for _, f := range r.Fields {
		if rules.IsCondition(f.Name) || validate && rules.IsRange(f.Name) {
			continue
		}
		fields = append(fields, f)
	}
	switch {
	case validate:
		if tag := e.ETag(); tag != nil {
			fields = append(fields, message.Field{Name: nameIfNoneMatch, Value: tag})
		}
		if e.Modified() != 0 {
			fields = append(fields, message.Field{Name: nameIfModifiedSince, Value: e.LastModified()})
		}
	case completes:
		fields = append(fields, message.Field{Name: nameRange, Value: e.Rest()},
			message.Field{Name: nameIfRange, Value: e.ETag()})
	}
	s.edited = fields
	out := *r
	out.Fields = fields
	return &out
}

var (
	nameIfNoneMatch     = []byte("If-None-Match")
	nameIfModifiedSince = []byte("If-Modified-Since")
	nameRange           = []byte("Range")
	nameIfRange         = []byte("If-Range")
	nameCacheStatus     = []byte("Cache-Status")

	noteStored = []byte(cache.StatusName + "; fwd=uri-miss; stored")
	noteFresh  = []byte(cache.StatusName + "; fwd=stale; stored")
)

// reparse reads a request out of its frame. It holds until the next one.
func (s *Stage) reparse(frame []byte) *message.Request {
	length := int(binary.LittleEndian.Uint32(frame))
	head, _, err := channel.ParseRequest(frame[channel.HeaderSize : channel.HeaderSize+length])
	if err != nil {
		panic("exchange: a frame of our own is broken: " + err.Error())
	}
	b := channel.Fields{Block: head.Text, Left: head.FieldCount}
	r := &s.request
	*r = message.Request{Version: head.Version, Fields: r.Fields[:0]}
	r.Method, _ = b.Text()
	r.Target, _ = b.Text()
	r.Authority, _ = b.Text()
	b.Text()
	b.Text()
	r.Path = r.Target
	if i := bytes.IndexByte(r.Target, '?'); i >= 0 {
		r.Path, r.Query = r.Target[:i], r.Target[i+1:]
	}
	for {
		name, value, ok, _ := b.Next()
		if !ok {
			return r
		}
		r.Fields = append(r.Fields, message.Field{Name: name, Value: value})
	}
}

// keepOriginal keeps the head of the request where the frame is thrown away
// and the cache may still have to look at it.
func (x *Exchange) keepOriginal() {
	if x.role != bystander && len(x.origin) == 0 && len(x.frame) > 0 {
		x.origin = append(x.origin, x.frame[:channel.HeaderSize+int(binary.LittleEndian.Uint32(x.frame))]...)
	}
}

// original is the request as the client sent it.
func (x *Exchange) original() []byte {
	if len(x.origin) > 0 {
		return x.origin
	}
	return x.frame
}

// strip takes out the fields that are for us alone.
func strip(r *message.Response) {
	n := 0
	for i := range r.Fields {
		if rules.ForUs(r.Fields[i].Name) {
			continue
		}
		if i == r.LengthAt {
			r.LengthAt = n
		}
		r.Fields[n] = r.Fields[i]
		n++
	}
	r.Fields = r.Fields[:n]
	r.ForDaemon = false
}
