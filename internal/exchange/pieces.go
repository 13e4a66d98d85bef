package exchange

import (
	"fmt"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is bodies that an application makes of pieces: bytes, and the names of fragments that are stored here
// (docs/channel.md section 5.1). All pieces of a frame are found before anything of it is sent.

// Part is a piece of a body, or a run of a fragment if Body is set.
type Part struct {
	Bytes    []byte
	Body     *cache.Body
	From, To int64
}

func (p *Part) length() int64 {
	if p.Body != nil {
		return p.To - p.From
	}
	return int64(len(p.Bytes))
}

// maxFlat is how long a complete body may be that is put together before it is sent: it can be stored
// and compressed like any other, and says its length. It is no more than an application may have
// unsent at the daemon anyway. A longer one is sent from where it is.
const maxFlat = 64 << 10

// Parts finds the pieces of a frame's body. What it returns holds until it is called again. An error is a
// Misuse where the application names something that is not there.
func (x *Exchange) Parts(body []byte) ([]Part, error) {
	s := x.stage
	s.parts = s.parts[:0]
	for walk := (channel.Pieces{Rest: body}); ; {
		p, ok, err := walk.Next()
		if err != nil || !ok {
			return s.parts, err
		}
		if p.Name == nil {
			s.parts = append(s.parts, Part{Bytes: p.Bytes})
			continue
		}
		part, err := x.fragment(&p)
		if err != nil {
			return nil, err
		}
		s.parts = append(s.parts, part)
	}
}

// fragment finds the fragment that a piece names.
func (x *Exchange) fragment(p *channel.Piece) (Part, error) {
	s := x.stage
	if s.Cache == nil || x.reg.Space == nil {
		return Part{}, noFragment("there is no cache for fragments")
	}
	now := s.now()
	s.key = cache.AppendFragmentKey(s.key[:0], x.reg.Space.Owner, p.Name)
	e := s.Cache.Fragment(s.key, now)
	if e == nil { // perhaps it is spelled otherwise
		at, path, err := prefix.Resource(string(p.Name))
		if err != nil {
			return Part{}, noFragment("%v, as the name of a fragment", err)
		}
		s.key = cache.AppendFragmentKey(s.key[:0], x.reg.Space.Owner, []byte(prefix.ResourceURL(at, path)))
		if e = s.Cache.Fragment(s.key, now); e == nil {
			return Part{}, noFragment("fragment %.120q is not stored (any more): add it again, or send its bytes", p.Name)
		}
	}
	size := e.Len()
	to := size
	if p.Length >= 0 {
		to = p.Offset + p.Length
	}
	if p.Offset > size || to > size || to < p.Offset {
		return Part{}, noFragment("fragment %.120q has only %d bytes", p.Name, size)
	}
	return Part{Body: s.Cache.UseFragment(e, now), From: p.Offset, To: to}, nil
}

// noFragment is the Misuse of an application that names something that is not there. Clients need not know
// the names.
func noFragment(format string, a ...any) error {
	why := fmt.Sprintf(format, a...)
	return &Misuse{500, "AppMisuse", "The program answered with a fragment that is not stored.", why[:min(len(why), 255)]}
}

// RespondParts takes a head whose body is made of pieces. rest is what is to be given to DataPart, one by one, the last with
// end; without any the body is dealt with.
func (x *Exchange) RespondParts(r *message.Response, parts []Part, end bool) (rest []Part, err error) {
	var total, cost int64
	for i := range parts {
		total += parts[i].length()
		cost += parts[i].cost()
	}
	if cost > int64(x.grant) {
		return nil, ErrWindow
	}
	s := x.stage
	if end && total <= maxFlat {
		flat := s.flat[:0]
		for i := range parts {
			flat = parts[i].append(flat)
		}
		s.flat = flat[:0]
		x.grant += len(flat) - int(cost) // Respond counts all of it
		return nil, x.Respond(r, flat, true)
	}
	// What an application wrote as text, with another end than a length, stays so.
	if end && r.ContentLength < 0 && !(r.Text && (r.Close || r.TransferEncoding != nil)) {
		r.ContentLength = total
	}
	return parts, x.Respond(r, nil, end && len(parts) == 0)
}

// cost is what a part takes of the window.
func (p *Part) cost() int64 {
	if p.Body != nil {
		return channel.PieceWindowCost
	}
	return int64(len(p.Bytes))
}

func (p *Part) append(dst []byte) []byte {
	dst = append(dst, p.Bytes...)
	for at := p.From; at < p.To; {
		b := p.Body.At(at, p.To-at)
		dst = append(dst, b...)
		at += int64(len(b))
	}
	return dst
}

// DataPart takes a piece of the body.
func (x *Exchange) DataPart(p *Part, end bool) error {
	if p.Body == nil {
		return x.Data(p.Bytes, end)
	}
	if !x.headSent || x.opaque {
		return ErrOrder
	}
	if err := x.take(channel.PieceWindowCost); err != nil {
		return err
	}
	x.counted = false
	run := cache.Run{Body: p.Body, From: p.From, To: p.To}
	if x.fill != nil && x.fill.tee {
		x.fill.collectRun(run, end)
	}
	c := x.client
	if end {
		x.over()
	}
	run.Body.Retain()
	c.Run(run, channel.PieceWindowCost, end)
	return nil
}
