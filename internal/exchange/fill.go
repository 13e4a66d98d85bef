package exchange

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// fill is a fetch whose response may be stored. Requests for the same key wait for it; it is the
// Client of its exchange where no client is left, or where the response is
// taken faster than its client does.
//
// Its life: newFill; then, when the head is there, respondCached decides. Either it is
// given up (give), or the response is complete with the head, or the body is collected: at full speed
// where its length is known (absorb), else as its client takes it (tee). It ends with settle,
// and then those who wait find what is stored, or go their own way.
type fill struct {
	stage     *Stage
	reg       *Registration
	key       string
	hash      uint64
	canon     bool
	canonical []byte
	leader    *Exchange // at the worker
	waiters   []*Exchange
	shared    bool // other loops may wait, too
	remote    bool // another loop fetches it
	over      bool

	stale       *cache.Entry // what is stored already
	conditional bool         // we asked whether that is still right
	completes   bool         // we asked for the rest of it
	mark        cache.Mark
	began       int64 // ms
	deadline    int64 // ms: until then others wait

	draft    *cache.Entry
	body     *cache.Body
	length   int64 // of the body; -1: not known
	reserved int64
	tee      bool
	readers  []*Exchange
}

// Bounds of waiting for another's fetch.
const (
	maxFollowers = 4096 // requests that wait for one fetch; more go to the queue
	// patience is how long a request waits for another's fetch, in milliseconds, where a response for its
	// key was stored before. guess is how long where none was: it may be a long poll, or
	// something else that each has to ask for; and hunch where nothing of the registration ever was.
	patience = 3000
	guess    = 300
	hunch    = 100
)

func newFill(s *Stage, reg *Registration, k *cache.Key, path []byte) *fill {
	r := k.Bytes
	f := &fill{
		stage: s, reg: reg, key: string(r), hash: k.Hash, canon: k.Canonical, mark: s.Cache.Mark(), began: s.now(), length: -1,
	}
	f.canonical = k.AppendCanonical(nil, reg.Space, path)
	switch {
	case reg.Space.Mode() != cache.Caching:
		f.deadline = f.began + hunch
	case s.isShared(f.hash):
		f.deadline = f.began + patience
	default:
		f.deadline = f.began + guess
	}
	return f
}

func (f *fill) cacheKey() cache.Key {
	return cache.Key{Bytes: []byte(f.key), Hash: f.hash, Canonical: f.canon}
}

// follow lets an exchange wait for a fetch.
func (s *Stage) follow(x *Exchange, fl *fill, r *message.Request, f *Facts) (*Exchange, Refusal, bool) {
	if !x.encode(r, f, nil, true) {
		s.put(x)
		return nil, refuseTooLong, true
	}
	if fl.joins(&s.query) {
		x.joined(fl)
		return x, Refusal{Stored: &s.answer}, true
	}
	x.role, x.fill = waits, fl
	fl.waiters = append(fl.waiters, x)
	s.followers++
	if s.OnWait != nil {
		s.OnWait()
	}
	return x, Refusal{}, true
}

// leaveCache is ClientGone, as far as the cache has to do with it. It reports whether that was
// all.
func (x *Exchange) leaveCache() bool {
	s := x.stage
	switch x.role {
	case waits:
		f := x.fill
		for i, w := range f.waiters {
			if w == x {
				f.waiters = append(f.waiters[:i], f.waiters[i+1:]...)
				break
			}
		}
		s.followers--
		s.put(x)
		return true
	case reads:
		if f := x.fill; f != nil {
			f.forget(x)
		}
		x.body.Release()
		s.put(x)
		return true
	case leads:
		f := x.fill
		if f == nil || x.opaque {
			return false
		}
		k := f.cacheKey()
		if len(f.waiters) > 0 || f.shared && s.Cache.Followed(&k) {
			x.client = f // it goes on for the others
			if f.tee {
				f.tee = false
			}
			if x.packer != nil {
				x.packer.drop()
			}
			// What the client had not taken is not owed to anybody any more; the worker
			// needs the room.
			x.returned(x.window-x.grant-x.unreturned, true)
			return true
		}
		f.give()
	}
	return false
}

// give ends a fill whose response is not stored.
func (f *fill) give() {
	f.dropBody()
	f.settle(false)
}

func (f *fill) dropBody() {
	if f.body != nil {
		f.body.Failed, f.body.Done = true, true
	}
	f.stage.Cache.Release(f.reserved)
	f.reserved, f.tee = 0, false
}

// settle ends a fill: who waits for it goes on.
func (f *fill) settle(stored bool) {
	if f.over {
		return
	}
	f.over = true
	s := f.stage
	if stored {
		s.noteShared(f.hash)
	}
	if f.leader != nil {
		f.leader.fill = nil
		f.leader.role = bystander
		f.leader = nil
	}
	if s.fills[f.hash] == f {
		delete(s.fills, f.hash)
		if !stored {
			s.noteAlone(f.hash)
		}
	}
	if f.shared {
		k := f.cacheKey()
		s.Cache.Land(&k)
	}
	f.release()
}

// landed: another loop has fetched what f's requests wait for.
func (f *fill) landed() {
	if f.over {
		return
	}
	f.over = true
	if f.stage.fills[f.hash] == f {
		delete(f.stage.fills, f.hash)
	}
	f.release()
}

// release lets those who wait look again.
func (f *fill) release() {
	waiters := f.waiters
	f.waiters = nil
	f.stage.followers -= len(waiters)
	for _, w := range waiters { // before any of them can do something about the others
		w.role, w.fill = bystander, nil
	}
	for _, w := range waiters {
		f.stage.retry(w)
	}
}

// hurry lets go those who have waited long enough.
func (s *Stage) hurry(now int64) {
	if s.followers == 0 {
		return
	}
	for _, f := range s.fills {
		if len(f.waiters) == 0 || now < f.deadline {
			continue
		}
		if f.remote {
			f.landed()
		} else {
			f.release()
		}
	}
}

// retry is for a request that waited for another's fetch: it is answered, or goes to
// the application by itself.
func (s *Stage) retry(x *Exchange) {
	r := s.reparse(x.frame)
	q := &s.query
	q.Parse(false, r.Fields)
	path, ok := s.canonicalPath(r.Path)
	if ok {
		k := cache.MakeKey(s.key, x.reg.Space, r, path)
		s.key = k.Bytes
		now := s.now()
		if e, use := s.find(&k, q, now); (use == rules.Fresh || use == rules.Refresh) && e.Answer(&s.answer, q, now) {
			s.Cache.Hit(x.reg.Space, e, now)
			s.answer.Collapsed()
			x.answer(&s.answer)
			return
		}
	}
	if x.reg.Space.Closed() {
		x.fail(503, "Disabled", "The program that serves this path has ended.")
		return
	}
	x.role, x.mark = watched, s.Cache.Mark()
	if !s.submit(x) {
		x.fail(503, refuseFull.Reason, refuseFull.Text)
	}
}

// answer answers a request that waited, or that came back from the worker.
func (x *Exchange) answer(a *cache.Answer) {
	c := x.client
	if x.reader(a) {
		c.Stored(a, false)
		if x.client == c {
			x.pump()
		}
		return
	}
	x.over()
	c.Stored(a, true)
}

// dismiss answers the client of an exchange from the cache; what the worker still says does not
// matter. end: it will say nothing more.
func (x *Exchange) dismiss(a *cache.Answer, end bool) {
	c := x.client
	s := x.stage
	if _, own := c.(*fill); own { // nobody is there to be answered
		x.letGo(end)
		return
	}
	var y *Exchange
	if a.Big != nil {
		y = s.get()
		y.client, y.reg = c, x.reg
		if !y.reader(a) {
			s.put(y)
			y = nil
		}
	}
	x.letGo(end)
	if y == nil {
		c.Stored(a, true)
		return
	}
	c.Moved(y)
	c.Stored(a, false)
	if y.client == c {
		y.pump()
	}
}

// letGo ends the exchange on the worker's side.
func (x *Exchange) letGo(end bool) {
	w := x.worker
	if end || w == nil {
		x.over()
		return
	}
	x.worker, x.client = nil, nil
	x.returnLoan(w)
	w.Cancel(x, 1)
	x.stage.put(x)
}

// respondCached takes a head for an exchange that the cache has to do with. It
// reports whether that was all.
func (x *Exchange) respondCached(r *message.Response, body []byte, end bool) bool {
	s := x.stage
	switch x.role {
	case changes, spoils:
		if rules.Invalidates(r.Status) {
			s.invalidate(x, r)
			if end && r.Caching && r.Status == 200 && x.role == changes {
				s.storePosted(x, r, body)
			}
		}
	case asksHead:
		s.headUpdates(x, r)
	case teaches: // it cannot be stored itself, but the next ones can
		x.reg.Space.Learn(r.Caching || x.reg.Space.Default > 0)
		x.role = bystander
	case watched:
		space := x.reg.Space
		if !r.Caching && space.Default == 0 {
			space.Learn(false)
			x.role = bystander
			return false
		}
		req := s.reparse(x.original())
		path, ok := s.canonicalPath(req.Path)
		if !ok || s.Cache.Largest() == 0 {
			x.role = bystander
			return false
		}
		k := cache.MakeKey(s.key, space, req, path)
		s.key = k.Bytes
		x.role = leads
		x.fill = newFill(s, x.reg, &k, path)
		x.fill.mark = x.mark
		x.fill.leader = x
		return x.responded(r, body, end)
	case leads:
		if x.fill != nil {
			return x.responded(r, body, end)
		}
	}
	return false
}

// responded takes the head of a response that may be stored.
func (x *Exchange) responded(r *message.Response, body []byte, end bool) bool {
	s, f := x.stage, x.fill
	now := s.now()
	req := s.reparse(x.original())
	q := &s.query
	q.Parse(false, req.Fields)

	// 1. What is stored is still right (RFC 9111 4.3.3, 4.3.4).
	if r.Status == 304 && f.conditional {
		return x.validated(r, q, end)
	}
	// 2. The application cannot answer, and what is stored may be used then (RFC 5861 4).
	if rules.IsError(r.Status) && x.staleAnswer(q, now) {
		f.settle(true)
		x.dismiss(&s.answer, end)
		return true
	}
	// 3. The rest of what is stored.
	if f.completes && r.Status == 206 && x.completed(r, q, body, end) {
		return true
	}
	unix := s.Unix()
	date := unix
	if r.HasDate {
		for i := range r.Fields {
			if message.EqualFold(r.Fields[i].Name, "date") {
				if at, ok := rules.ParseDate(r.Fields[i].Value); ok {
					date = at
				}
				break
			}
		}
	}
	v := rules.Judge(q, &rules.Response{
		Status: r.Status, Fields: r.Fields, Date: date, Now: unix, Delay: (now - f.began) / 1000,
	}, s.Cache.Policy(x.reg.Space))
	x.reg.Space.Learn(v.Store)
	if !v.Store || !sameHost(req) {
		// What is stored was right before this one; it is not any more.
		if f.stale != nil && !rules.IsError(r.Status) && r.Status != 304 && !f.stale.Partial() {
			s.Cache.Remove(f.stale)
		}
		return x.notStored(end)
	}
	// 4. It may be stored. How does the body come?
	length := r.ContentLength
	if r.Status == 204 {
		length, body = 0, nil
	}
	if end {
		if length >= 0 && length != int64(len(body)) {
			return x.notStored(end)
		}
		length = int64(len(body))
	}
	if v.Partial && length >= 0 && length != v.Last-v.First+1 || length > s.Cache.Largest() {
		return x.notStored(end)
	}
	k := f.cacheKey()
	d := cache.Draft{Space: x.reg.Space, Key: k, Verdict: &v, Response: r, Request: req.Fields, Server: s.Server, Now: now, Unix: unix}
	packs := !v.Partial && x.packable(r, body, end)
	if packs {
		d.Vary = r.Fields
		d.Response = s.marked.Edit(compress.Mark, compress.Identity, r)
	}
	f.draft = cache.NewEntry(&d, length)
	if packs {
		f.draft.Packable()
	}
	f.length = length
	if v.Partial {
		f.length = v.Last - v.First + 1
	}
	note := noteStored
	if f.stale != nil {
		note = noteFresh
	}
	if end {
		f.draft.WithBody(body)
		if v.Partial {
			if old := s.Cache.Find(&k, q, &s.selecting); old != nil {
				if u := cache.Union(f.draft, old, s.Cache.Largest()); u != nil {
					f.draft = u
				}
			}
		}
		stored := s.Cache.Reserve(f.draft.Cost()) && s.Cache.Put(x.reg.Space, &k, f.canonical, f.draft, f.mark)
		strip(r)
		if stored {
			r.Fields = append(r.Fields, message.Field{Name: nameCacheStatus, Value: note})
		}
		f.leader, x.fill = nil, nil
		if c := x.client; c == Client(f) {
			x.over()
		} else if !x.pack(r, body, true) {
			x.over()
			c.Respond(r, body, true)
		}
		f.settle(stored)
		return true
	}
	f.body = s.Cache.NewBody()
	if _, own := x.client.(*fill); length >= 0 && (own || !packs || !x.wantsPacked()) {
		if !f.reserve(length) {
			return x.notStored(end)
		}
		x.absorb(r, body, note)
		return true
	}
	if _, own := x.client.(*fill); own { // nobody is there whose pace could be taken
		x.absorb(r, body, note)
		return true
	}
	f.tee = true
	f.collect(body, false)
	return false
}

// notStored gives the fill up. It reports whether there is nobody to whom the response
// could go.
func (x *Exchange) notStored(end bool) bool {
	_, own := x.client.(*fill)
	x.fill.give()
	if own {
		x.letGo(end)
	}
	return own
}

// sameHost says whether the Host field, as the application sees it, is the
// authority that the key was made of.
func sameHost(r *message.Request) bool {
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Name) == 4 && message.EqualFold(f.Name, "host") && !bytes.Equal(f.Value, r.Authority) {
			return false
		}
	}
	return true
}

// reserve takes room for n bytes more of the body, and at first for the entry.
func (f *fill) reserve(n int64) bool {
	n = cache.BodyCost(n)
	if f.reserved == 0 {
		n += f.draft.Cost()
	}
	if n > 0 && !f.stage.Cache.Reserve(n) {
		return false
	}
	f.reserved += n
	return true
}

// absorb takes the body from the worker as fast as it comes; the client reads
// it from there at its own pace.
func (x *Exchange) absorb(r *message.Response, body []byte, note []byte) {
	s, f, c := x.stage, x.fill, x.client
	x.client = f
	if c != Client(f) {
		y := s.get()
		y.client, y.reg = c, x.reg
		y.role, y.fill = reads, f
		y.body, y.to = f.body, f.length
		f.body.Retain()
		y.grant, y.window = readWindow, readWindow
		f.readers = append(f.readers, y)
		c.Moved(y)
		strip(r)
		r.Fields = append(r.Fields, message.Field{Name: nameCacheStatus, Value: note})
		c.Respond(r, nil, false)
	}
	f.admit()
	if len(body) > 0 {
		f.Body(body, false)
	}
}

// joins fills the answer of the stage for a request that can be answered with a body that is still coming: all of it, whose
// length is known and for which room is reserved. Who waits for anything else waits until it is complete.
func (f *fill) joins(q *rules.Request) bool {
	s := f.stage
	if f.over || f.remote || f.tee || f.body == nil || f.body.Failed || f.length <= 0 || f.draft.Partial() || q.Range != nil || q.Conditional() {
		return false
	}
	now := s.now()
	t := f.draft.Terms()
	if !t.MayShare(q) || rules.Reuse(&q.Control, &t, f.draft.Age(now)) != rules.Fresh || !f.draft.Selects(q, &s.selecting) {
		return false
	}
	f.draft.Coming(&s.answer, f.body, f.length, now)
	s.Cache.Hit(f.reg.Space, f.draft, now)
	return true
}

// joined makes the exchange a reader of the body that is coming.
func (x *Exchange) joined(f *fill) {
	x.role, x.fill = reads, f
	x.body, x.at, x.to = f.body, 0, f.length
	x.body.Retain()
	x.grant, x.window = readWindow, readWindow
	x.headSent = true
	f.readers = append(f.readers, x)
}

// admit lets those who wait read along.
func (f *fill) admit() {
	s := f.stage
	waiting := f.waiters
	f.waiters = nil
	var admitted []*Exchange
	for _, w := range waiting {
		s.query.Parse(false, s.reparse(w.frame).Fields)
		if !f.joins(&s.query) {
			f.waiters = append(f.waiters, w)
			continue
		}
		s.followers--
		w.joined(f)
		admitted = append(admitted, w)
	}
	for _, w := range admitted {
		// A client that is told may leave, and another exchange take its place.
		if c := w.client; c != nil && w.role == reads && w.fill == f && !w.pumps {
			f.draft.Coming(&s.answer, f.body, f.length, s.now())
			c.Stored(&s.answer, false)
		}
	}
}

// background asks for a newer response while an old one is used (RFC 5861 3).
func (s *Stage) background(reg *Registration, r *message.Request, f *Facts, q *rules.Request, k *cache.Key, canonical []byte, e *cache.Entry) {
	if s.fills[k.Hash] != nil || s.isAlone(k.Hash) {
		return
	}
	lead := newFill(s, reg, k, canonical)
	if !s.Cache.Lead(k, func() { s.Post(lead.landed) }) {
		return // another loop does it
	}
	if s.fills == nil {
		s.fills = map[uint64]*fill{}
	}
	s.fills[k.Hash] = lead
	lead.shared = true
	x := s.get()
	x.client, x.reg, x.peer, x.reqEnded = lead, reg, f.Peer, true
	x.role, x.fill = leads, lead
	lead.leader, lead.stale = x, e
	lead.conditional = e.Validators() && !e.Partial()
	head := *r
	head.Method = methodGet
	ok := x.encode(&head, f, nil, true)
	if ok {
		x.origin = append(x.origin[:0], x.frame...)
		ok = x.encode(s.edit(&head, e, lead.conditional, false), f, nil, true)
	}
	if ok && s.submit(x) {
		return
	}
	lead.leader, x.fill = nil, nil
	s.put(x)
	lead.settle(true)
}

var methodGet = []byte("GET")

// lostFetch: the worker will not answer. It reports whether the client has been dealt with.
func (x *Exchange) lostFetch() bool {
	f := x.fill
	if x.role == waits || x.role == reads || f == nil {
		return false
	}
	s := x.stage
	if x.client == Client(f) {
		return false // it hears of it
	}
	if !x.headSent {
		r := s.reparse(x.original())
		s.query.Parse(false, r.Fields)
		if x.staleAnswer(&s.query, s.now()) {
			f.settle(true)
			x.dismiss(&s.answer, true)
			return true
		}
	}
	f.give()
	return false
}

// staleAnswer fills s.answer with what is stored, if that may be used after an
// error.
func (x *Exchange) staleAnswer(q *rules.Request, now int64) bool {
	f, s := x.fill, x.stage
	if f.stale == nil || f.stale.Partial() {
		return false
	}
	t := f.stale.Terms()
	if !rules.StaleOnError(&q.Control, &t, f.stale.Age(now)) || !f.stale.Answer(&s.answer, q, now) {
		return false
	}
	s.answer.Stale()
	s.Cache.Hit(x.reg.Space, f.stale, now)
	return true
}
