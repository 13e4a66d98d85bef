package conn

import (
	"bytes"
	"slices"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/wire/h2"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// stream is one request of an HTTP/2 connection and its response. It
// implements exchange.Client; as in HTTP/1, x is forgotten when the exchange
// says its last word.
type stream struct {
	h          *http2
	s          *h2.Stream // nil: over
	x          *exchange.Exchange
	next, prev *stream
	timer      loop.Timer // EntityBody

	in      []byte          // content that the worker has no room for yet; bounded by the window that we gave
	ended   bool            // the client has sent everything
	told    bool            // and the exchange knows it
	expects bool            // the client waits for 100 Continue
	last    []message.Field // the trailer section that it ended with, if that has to wait

	out      outbox // content that the client's windows did not let through
	outEnd   bool   // the response is complete with that
	trailers []message.Field
	finish   bool   // a tunnel: the last word was said
	connect  bool   // the request was CONNECT
	extended bool   // with :protocol
	opaque   bool   // the tunnel is open, or the application writes a head by hand
	byHand   bool   // it does
	text     []byte // of that head so far
}

func (c *http2) newStream(s *h2.Stream) *stream {
	st := c.s.streams.get()
	st.h, st.s = c, s
	s.Owner = st
	if st.next = c.streams; st.next != nil {
		st.next.prev = st
	}
	c.streams = st
	return st
}

// over takes the stream out of the connection: both sides have had their
// last word.
func (st *stream) over() {
	if st.s == nil {
		return
	}
	st.s.Owner = nil
	st.s = nil
	if st.prev != nil {
		st.prev.next = st.next
	} else {
		st.h.streams = st.next
	}
	if st.next != nil {
		st.next.prev = st.prev
	}
	st.next, st.prev = nil, nil
	for len(st.out.segments) > 0 {
		st.out.drop(&st.h.s.pool)
	}
	st.h.s.Loop.ReleaseTimer(&st.timer)
	st.in, st.text = nil, nil
	if !st.connect { // of a tunnel the exchange may say its last word later
		st.h.s.streams.put(st)
	}
}

// streamPool keeps streams that are over, to be used again. They are put
// aside until the turn ends, since whoever called may still look at them.
type streamPool struct{ free, over []*stream }

// keepStreams is how many of them are kept, and trimmedStreams what trim leaves.
const (
	keepStreams    = 1024
	trimmedStreams = 64
)

func (p *streamPool) get() *stream {
	if n := len(p.free); n > 0 {
		st := p.free[n-1]
		p.free = p.free[:n-1]
		return st
	}
	return &stream{}
}

func (p *streamPool) put(st *stream) {
	if len(p.over)+len(p.free) < keepStreams {
		p.over = append(p.over, st)
	}
}

// trim lets go of what is kept, but for some.
func (p *streamPool) trim() {
	if len(p.free) > trimmedStreams {
		p.free = slices.Clone(p.free[:trimmedStreams])
	}
}

func (p *streamPool) turnEnd() {
	for i, st := range p.over {
		*st = stream{out: outbox{segments: st.out.segments[:0]}}
		p.free = append(p.free, st)
		p.over[i] = nil
	}
	p.over = p.over[:0]
}

// forget ends a stream that is over on the wire.
func (st *stream) forget() {
	st.over()
	if x := st.x; x != nil {
		st.x = nil
		x.ClientGone()
	}
}

// --- client to worker ---

// data takes content of the request.
func (st *stream) data(b []byte, end bool) {
	st.ended = st.ended || end
	if st.x == nil { // answered already: nobody wants it
		st.h.core.Consumed(st.s, len(b))
		return
	}
	if m := st.x.MaxBody(); m > 0 && !st.connect && st.x.Received()+int64(len(st.in)+len(b)) > m {
		st.tooLarge()
		return
	}
	if st.told && !st.connect { // it was too slow: nobody wants it any more
		st.h.core.Consumed(st.s, len(b))
		return
	}
	st.expects = false
	if len(st.in) == 0 && !st.told && st.x.Assigned() && st.x.Room() >= len(b) {
		st.pass(b)
	} else {
		st.in = append(st.in, b...)
		st.resume()
	}
	st.arm()
}

func (st *stream) tooLarge() {
	x := st.x
	st.x = nil
	x.ClientGone()
	st.h.refuse(st, 413, "EntityTooLarge", "The request body is longer than the program accepts.", false)
}

// resume passes on what the worker has room for.
func (st *stream) resume() {
	if st.x == nil || st.s == nil || !st.x.Assigned() || st.told {
		return
	}
	if n := min(len(st.in), st.x.Room()); n > 0 || st.ended && len(st.in) == 0 {
		b := st.in[:n]
		st.in = st.in[n:]
		st.pass(b)
		if len(st.in) == 0 {
			st.in = nil
		}
	}
}

// pass gives content to the exchange, and with the last of it the end.
func (st *stream) pass(b []byte) {
	end := st.ended && len(st.in) == 0
	if len(b) == 0 && !end || st.told {
		return
	}
	st.told = end
	if fields := st.last; end && fields != nil {
		st.last = nil
		if len(b) > 0 {
			st.x.RequestBody(b, false)
		}
		st.x.RequestTrailers(fields)
	} else {
		st.x.RequestBody(b, end)
	}
	if len(b) > 0 && st.s != nil {
		st.h.lend()
		st.h.core.Consumed(st.s, len(b))
		st.h.sendSoon()
	}
}

func (st *stream) requestTrailers(fields []message.Field) {
	st.ended = true
	if st.x == nil || st.told {
		return
	}
	st.last = cloneFields(fields)
	st.resume()
}

// cloneFields copies fields that alias a buffer.
func cloneFields(fields []message.Field) []message.Field {
	out := make([]message.Field, len(fields))
	for i, f := range fields {
		out[i] = message.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)}
	}
	return out
}

// ReadMore implements exchange.Client.
func (st *stream) ReadMore() {
	st.resume()
	st.arm()
}
