package exchange

import (
	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is stored responses that are compressed. What is stored is as the
// application made it. The first client that wants it in a coding gets it as it is, and meanwhile, on no loop, the
// form in that coding is made, once; those who come later get that.

// packable says whether a response may be compressed for some client, if it is stored.
func (x *Exchange) packable(r *message.Response, body []byte, end bool) bool {
	s := x.stage
	return s.Compress.Policy != compress.Never && r.Status == 200 &&
		s.Compress.Decide(x.reg.Compress, compress.Ask{Coding: compress.Gzip}, r, int64(len(body)), end) == compress.Encode
}

// wantsPacked says whether this client gets it compressed.
func (x *Exchange) wantsPacked() bool { return x.ask.Coding != compress.Identity && !x.ask.Guarded }

// form is the form of a stored response that a client gets.
func (s *Stage) form(e *cache.Entry, r *message.Request, f *Facts, q *rules.Request) *cache.Entry {
	if !e.CanPack() || s.Compress.Policy == compress.Never || q.Range != nil {
		return e
	}
	ask := compress.AskOf(r, f.Scheme == prefix.HTTPS)
	if ask.Coding == compress.Identity || ask.Guarded {
		return e
	}
	coding := int(ask.Coding)
	if c := e.Coded(coding); c != nil {
		return c
	}
	if s.Offload != nil && e.TryCoding(coding) && !s.Offload(func() { encode(s.Cache, e, ask.Coding) }) {
		e.GiveUp(coding)
	}
	return e
}

// encode makes the form of an entry in a coding. It runs on a goroutine of its own.
func encode(c *cache.Cache, e *cache.Entry, coding compress.Coding) {
	e.Retain()
	defer e.Release()
	room := e.Cost() + cache.BodyCost(e.Len()) // for what it can be at most
	if !c.Reserve(room) {
		return
	}
	var pool compress.Pool
	enc := pool.Lend(coding)
	var body []byte
	e.EachPiece(func(b []byte) {
		if int64(len(body)) < e.Len() {
			body = enc.Append(body, b)
		}
	})
	body = enc.Close(body)
	if int64(len(body)) >= e.Len() { // not worth it
		c.Release(room)
		return
	}
	r := message.Response{Status: e.Status(), Fields: e.Fields(nil), ContentLength: e.Len(), LengthAt: -1}
	for i := range r.Fields {
		if message.EqualFold(r.Fields[i].Name, "content-length") {
			r.LengthAt = i
		}
	}
	var head compress.Head
	form := e.Form(head.Edit(compress.Encode, coding, &r).Fields, body)
	if cost := form.Cost(); cost <= room {
		c.Release(room - cost)
		c.Attach(e, int(coding), form)
		return
	}
	c.Release(room)
}

// reattach gives an entry that took the place of another with the same body the forms of that.
func (s *Stage) reattach(e, old *cache.Entry) {
	if !e.CanPack() || !old.CanPack() {
		return
	}
	for coding := 1; coding <= cache.Codings; coding++ {
		form := old.Coded(coding)
		if form == nil || !e.TryCoding(coding) {
			continue
		}
		var body []byte
		form.EachPiece(func(b []byte) { body = append(body, b...) })
		r := message.Response{Status: e.Status(), Fields: e.Fields(nil), ContentLength: e.Len(), LengthAt: -1}
		for i := range r.Fields {
			if message.EqualFold(r.Fields[i].Name, "content-length") {
				r.LengthAt = i
			}
		}
		var head compress.Head
		n := e.Form(head.Edit(compress.Encode, compress.Coding(coding), &r).Fields, body)
		if s.Cache.Reserve(n.Cost()) {
			s.Cache.Attach(e, coding, n)
		}
	}
}
