package exchange

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// packer stands between an exchange and its client while a response is
// compressed. It is a Client for the exchange.
//
// An event loop must not stand still while a large response is compressed, so
// a turn does a bounded amount of that; what comes beyond it is copied, waits in pieces,
// and goes on at the end of this turn and of those that follow (Stage.Work). So the packer, and with it the exchange,
// may live on after the worker's last word.
//
// Nothing is kept back in an encoder longer than to the end of the turn in
// which it came, unless the client has not taken what was sent before: an
// application that sends an event and waits wants it to arrive.
type packer struct {
	x      *Exchange // nil: not in use
	client Client
	enc    *compress.Encoder // nil: not begun, or ended
	coding compress.Coding
	whole  bool // all of the content is in pieces: the encoder is not lent before it is needed

	pieces []piece
	left   int64 // of the application's Content-Length; -1: it gave none
	last   lastWord
	fields []message.Field // trailers

	held   bool // bytes are in the encoder that were not flushed
	queued bool // in Stage.packers

	// What the application gave and what the client was given, in bytes, since
	// the client last had everything; given is the part of in that the worker
	// has back in its window.
	in, out, sent, given int64
}

// piece is content that waits: bytes, a part of a file if fd ≥ 0, or stored bytes if run has some.
type piece struct {
	buf            []byte
	fd             int
	offset, length int64
	run            cache.Run
	cost           int // of run in the window
}

// lastWord is how the response ends.
type lastWord uint8

const (
	notYet lastWord = iota
	atEnd
	withTrailers
	cut
)

// Bounds of the work on compression.
const (
	// packPiece is what is compressed in one go: about 0.1 ms.
	packPiece = 32 << 10
	// packTurn is what the answers of a turn may take as they come, and as much
	// again what waits.
	packTurn = 128 << 10
	// packWhole is how long content may be that is compressed without a break.
	packWhole = 64 << 10
	// packBacklog is how much the client may have to take before a file is read
	// on.
	packBacklog = 64 << 10
)

// pack sends a response compressed, or as one that could have been, if that
// is the rule. It reports whether it did; else nothing has happened.
func (x *Exchange) pack(r *message.Response, body []byte, end bool) bool {
	s := x.stage
	ask := x.ask
	v := s.Compress.Decide(x.reg.Compress, ask, r, int64(len(body)), end)
	if v == compress.Leave {
		return false
	}
	var enc *compress.Encoder
	whole := end && len(body) <= packWhole
	if v == compress.Encode {
		switch {
		case r.ContentLength >= 0 && (int64(len(body)) > r.ContentLength || end && int64(len(body)) < r.ContentLength):
			return false // the client finds out, and ends the connection
		case whole && s.packed+len(body) <= packTurn:
			x.packWhole(r, ask.Coding, body)
			return true
		case !whole:
			if enc = s.encoders.Get(ask.Coding); enc == nil {
				v = compress.Mark // memory is spent
			}
		}
	}
	head := s.head.Edit(v, ask.Coding, r)
	if v != compress.Encode {
		c, dropped := x.client, 0
		if v == compress.Announce { // its length would be that of other bytes
			body, dropped = nil, len(body)
		}
		if end {
			x.over()
		}
		c.Respond(head, body, end)
		if dropped > 0 && !end && x.client == c {
			x.returned(dropped, true)
		}
		return true
	}
	p := s.packer()
	p.x, p.client, p.coding, p.enc, p.whole, p.left = x, x.client, ask.Coding, enc, whole, r.ContentLength
	x.client, x.packer = p, p
	if end {
		x.over()
	}
	p.client.Respond(head, nil, false)
	if p.x != nil { // the client is there still
		p.Body(body, end)
	}
	return true
}

// packWhole sends a short response that is complete.
func (x *Exchange) packWhole(r *message.Response, coding compress.Coding, body []byte) {
	s := x.stage
	s.spend(len(body))
	enc := s.encoders.Lend(coding)
	out := enc.Close(enc.Append(s.pack[:0], body))
	s.encoders.Put(enc)
	s.keepPack(out)
	v := compress.Encode
	if len(out) >= len(body) { // not worth it
		v, out = compress.Mark, body
	}
	c := x.client
	x.over()
	c.Respond(s.head.Edit(v, coding, r), out, true)
}

// Body implements Client.
func (p *packer) Body(b []byte, end bool) {
	if p.last != notYet { // cut: the client gets no more
		return
	}
	if p.left >= 0 {
		if n := int64(len(b)); n > p.left || end && n < p.left {
			p.end(cut) // the application and its Content-Length disagree
			return
		}
		p.left -= int64(len(b))
	}
	s := p.x.stage
	if len(p.pieces) == 0 && !p.whole {
		n := min(len(b), max(packTurn-s.packed, 0))
		if n > 0 {
			s.spend(n)
			p.encode(b[:n])
			if p.x == nil { // the client has gone over it
				return
			}
			b = b[n:]
		}
	}
	if len(b) > 0 {
		p.pieces = append(p.pieces, piece{fd: -1, buf: bytes.Clone(b)})
	}
	if end {
		p.end(atEnd)
	} else {
		p.later(false)
	}
}

// File implements Client.
func (p *packer) File(fd int, offset, length int64, end bool) {
	if p.last != notYet {
		p.x.stage.CloseFile(fd)
		return
	}
	if p.left >= 0 {
		if length > p.left || end && length < p.left {
			p.x.stage.CloseFile(fd)
			p.end(cut)
			return
		}
		p.left -= length
	}
	if length == 0 {
		p.x.stage.CloseFile(fd)
		p.took(channel.FileWindowCost)
		p.credit(true)
	} else {
		p.pieces = append(p.pieces, piece{fd: fd, offset: offset, length: length})
	}
	if end {
		p.end(atEnd)
	} else {
		p.later(false)
	}
}

// Run implements Client. Unlike a file it is compressed as it comes, if there is little of it.
func (p *packer) Run(r cache.Run, cost int, end bool) {
	if p.last != notYet {
		r.Body.Release()
		return
	}
	if p.left >= 0 {
		if n := r.Len(); n > p.left || end && n < p.left {
			r.Body.Release()
			p.end(cut)
			return
		}
		p.left -= r.Len()
	}
	if r.Len() == 0 {
		r.Body.Release()
		p.took(cost)
		p.credit(true)
	} else {
		p.pieces = append(p.pieces, piece{fd: -1, run: r, cost: cost})
	}
	if end {
		p.end(atEnd)
	} else {
		p.later(false)
	}
}

// Trailers implements Client.
func (p *packer) Trailers(fields []message.Field) {
	if p.last != notYet {
		return
	}
	if p.left > 0 {
		p.end(cut)
		return
	}
	p.fields = cloneFields(fields)
	p.end(withTrailers)
}

// Abort implements Client: what the application gave before is delivered, as
// it would be without compression.
func (p *packer) Abort() { p.end(cut) }

// ReadMore implements Client.
func (p *packer) ReadMore() { p.client.ReadMore() }

// The exchange says none of these once a head was sent.

// Informational implements Client.
func (p *packer) Informational(*message.Response) { panic("exchange: 1xx behind a final head") }

// Respond implements Client.
func (p *packer) Respond(*message.Response, []byte, bool) { panic("exchange: two final heads") }

// Opaque implements Client.
func (p *packer) Opaque(*message.Response) { panic("exchange: opaque behind a final head") }

// CanOpaque implements Client.
func (p *packer) CanOpaque(int) bool { return false }

// Close implements Client.
func (p *packer) Close() { panic("exchange: close of what is not opaque") }

// Hangup implements Client.
func (p *packer) Hangup() { panic("exchange: a hang-up behind a head") }

// Fail implements Client.
func (p *packer) Fail(int, string, string) { panic("exchange: an error page behind a head") }

// end notes the worker's last word, and says it to the client if nothing is
// before it.
func (p *packer) end(w lastWord) {
	p.last = w
	if len(p.pieces) == 0 && !p.whole {
		p.finish()
	} else {
		p.later(false)
	}
}

// encode compresses b and sends what comes out.
func (p *packer) encode(b []byte) {
	s := p.x.stage
	out := s.pack[:0]
	for n := 0; n < len(b); n += packPiece {
		out = p.enc.Append(out, b[n:min(n+packPiece, len(b))])
	}
	s.keepPack(out)
	p.took(len(b))
	p.held = true
	p.emit(out)
}

// took notes that n more bytes of the application's window are used up.
func (p *packer) took(n int) { p.in += int64(n) }

// emit sends what an encoder has produced.
func (p *packer) emit(out []byte) {
	if len(out) > 0 {
		p.out += int64(len(out))
		p.client.Body(out, false)
	}
	if p.x != nil {
		p.credit(true)
	}
}

// taken tells that the client has taken n bytes, and whether it has all.
func (p *packer) taken(n int, all bool) {
	p.sent += int64(n)
	p.credit(all)
	if p.held && p.sent == p.out || len(p.pieces) > 0 {
		p.later(true)
	}
}

// credit gives the worker its window back: all, when the client has all that
// was made of it, else a part in proportion. What an encoder keeps is bounded
// by its kind, and counts as sent.
func (p *packer) credit(all bool) {
	due := p.in
	if p.sent < p.out {
		due = p.in * p.sent / p.out
	}
	n := due - p.given
	if n > 0 { // the part is smaller again when more has come out
		p.given = due
	}
	if p.sent == p.out {
		p.in, p.out, p.sent, p.given = 0, 0, 0, 0
	}
	if n > 0 {
		p.x.returned(int(n), all)
	}
}

// later sees to it that step is called: at the end of this turn, or of the
// next, which leaves room for others between two of them.
func (p *packer) later(next bool) {
	s := p.x.stage
	if !p.queued {
		p.queued = true
		s.packers = append(s.packers, p)
	}
	s.schedule(next)
}

// step does one piece of work. It reports how many bytes it compressed, and
// whether there is more to do at once.
func (p *packer) step() (n int, more bool) {
	s := p.x.stage
	if p.whole {
		for _, c := range p.pieces {
			n += len(c.buf)
		}
		p.finish()
		return n, false
	}
	if len(p.pieces) > 0 {
		c := &p.pieces[0]
		var b []byte
		if c.fd >= 0 {
			if p.out-p.sent >= packBacklog {
				return 0, false // taken comes back to it
			}
			if s.file == nil {
				s.file = make([]byte, packPiece)
			}
			n, err := s.ReadFile(c.fd, s.file[:min(packPiece, c.length)], c.offset)
			if err != nil || n == 0 { // it is shorter than was said
				p.last = cut
				p.finish()
				return 0, false
			}
			b = s.file[:n]
			c.offset += int64(n)
			if c.length -= int64(n); c.length == 0 {
				s.CloseFile(c.fd)
				p.shift()
				p.took(channel.FileWindowCost - len(b))
			} else {
				p.took(-len(b)) // a file costs a fixed amount
			}
		} else if c.run.Body != nil {
			if p.out-p.sent >= packBacklog {
				return 0, false // as with a file
			}
			b = c.run.Head(packPiece)
			run, cost := c.run, c.cost
			c.run.From += int64(len(b))
			if c.run.Len() == 0 {
				p.shift()
				p.took(cost - len(b))
				n = len(b)
				p.encode(b)
				run.Body.Release()
				return p.stepped(n)
			}
			p.took(-len(b)) // it costs a fixed amount
		} else {
			b = c.buf[:min(packPiece, len(c.buf))]
			if c.buf = c.buf[len(b):]; len(c.buf) == 0 {
				p.shift()
			}
		}
		n = len(b)
		p.encode(b)
	}
	return p.stepped(n)
}

// stepped does what comes behind n bytes that were compressed.
func (p *packer) stepped(n int) (int, bool) {
	if p.x == nil {
		return n, false
	}
	s := p.x.stage
	switch {
	case len(p.pieces) > 0:
		return n, true
	case p.last != notYet:
		p.finish()
	case p.held && p.sent == p.out:
		p.held = false
		out := p.enc.Flush(s.pack[:0])
		s.keepPack(out)
		p.emit(out)
	}
	return n, false
}

func (p *packer) shift() {
	p.pieces[0] = piece{}
	p.pieces = p.pieces[1:]
}

// finish says the last word to the client. The exchange is over with it.
func (p *packer) finish() {
	x, c, s := p.x, p.client, p.x.stage
	out := s.pack[:0]
	switch {
	case p.last != cut:
		if p.enc == nil {
			p.enc = s.encoders.Lend(p.coding)
		}
		if p.whole {
			for _, w := range p.pieces {
				out = p.enc.Append(out, w.buf)
			}
		}
		out = p.enc.Close(out)
	case p.held:
		out = p.enc.Flush(out)
	}
	s.keepPack(out)
	last, fields := p.last, p.fields
	p.drop()
	if last == cut {
		x.client = c
		x.cutOff(out)
		return
	}
	if last == atEnd {
		x.over()
		c.Body(out, true)
		return
	}
	x.client = c
	if len(out) > 0 {
		c.Body(out, false)
		if x.client == nil { // the client has gone, and with it the exchange
			return
		}
	}
	x.over()
	c.Trailers(fields)
}

// cutOff ends a response that cannot be completed, behind its last bytes.
func (x *Exchange) cutOff(out []byte) {
	c := x.client
	if len(out) > 0 {
		c.Body(out, false)
		if x.client == nil { // the client has gone, and with it the exchange
			return
		}
	}
	if x.worker != nil {
		x.ClientGone() // for the worker it looks so
	} else {
		x.over()
	}
	c.Abort()
}

// drop lets go of everything.
func (p *packer) drop() {
	s := p.x.stage
	for _, c := range p.pieces {
		if c.fd >= 0 {
			s.CloseFile(c.fd)
		}
		if c.run.Body != nil {
			c.run.Body.Release()
		}
	}
	if p.enc != nil {
		s.encoders.Put(p.enc)
	}
	p.x.packer = nil
	queued := p.queued
	*p = packer{pieces: p.pieces[:0], queued: queued}
	if !queued {
		s.freePackers = append(s.freePackers, p)
	}
}

// Stored implements Client: the answer comes from the cache, as it is stored.
func (p *packer) Stored(a *cache.Answer, end bool) { p.client.Stored(a, end) }

// Moved implements Client.
func (p *packer) Moved(x *Exchange) { p.client.Moved(x) }
