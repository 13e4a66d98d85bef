package conn

import (
	"slices"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/sys"
)

// outbox is what the socket of a connection has not taken yet: bytes,
// pieces of files and stored bytes, in order. A connection has one only as long as it is not
// empty.
type outbox struct {
	segments []segment
	bytes    int // of buffers, without files and what is stored
	cost     int // what those count in the window
}

// segment is a buffer, a piece of a file if fd ≥ 0, or stored bytes if run has a body.
type segment struct {
	buf    []byte
	at     int // sent of buf
	fd     int
	offset int64
	length int64
	run    cache.Run
	cost   int  // of the file, or of run, in the window
	sealed bool // buf is records of TLS; without it, on a connection with TLS, plain text
}

// append copies b to the end.
func (o *outbox) append(p *pool, b []byte) {
	o.bytes += len(b)
	for len(b) > 0 {
		var last *segment
		if n := len(o.segments); n > 0 && o.segments[n-1].plain() && !o.segments[n-1].sealed {
			last = &o.segments[n-1]
		}
		if last == nil || len(last.buf) == cap(last.buf) {
			o.segments = append(o.segments, segment{fd: -1, buf: p.get(len(b))})
			last = &o.segments[len(o.segments)-1]
		}
		n := min(len(b), cap(last.buf)-len(last.buf))
		last.buf = append(last.buf, b[:n]...)
		b = b[n:]
	}
}

// seal adds records, behind those that are there and before all plain text:
// records are sent in the order in which they were made.
func (o *outbox) seal(p *pool, records []byte) {
	at := 0
	for at < len(o.segments) && o.segments[at].sealed {
		at++
	}
	o.bytes += len(records)
	for ; len(records) > 0; at++ {
		buf := p.get(len(records))
		n := min(len(records), cap(buf))
		o.segments = slices.Insert(o.segments, at, segment{fd: -1, buf: append(buf, records[:n]...), sealed: true})
		records = records[n:]
	}
}

// short says that there is nothing but a few bytes in one buffer.
func (o *outbox) short() bool {
	return len(o.segments) == 1 && o.segments[0].plain() && o.bytes < eager
}

func (o *outbox) file(fd int, offset, length int64, cost int) {
	o.segments = append(o.segments, segment{fd: fd, offset: offset, length: length, cost: cost})
	o.cost += cost
}

func (o *outbox) stored(run cache.Run, cost int) {
	o.segments = append(o.segments, segment{fd: -1, run: run, cost: cost})
	o.cost += cost
}

// plain says whether a segment is a buffer.
func (s *segment) plain() bool { return s.fd < 0 && s.run.Body == nil }

// took notes that the socket has taken n bytes of the first segment, a buffer, and says whether that
// was all of it: then it is gone.
func (o *outbox) took(p *pool, n int) bool {
	s := &o.segments[0]
	s.at += n
	o.bytes -= n
	whole := s.at == len(s.buf)
	if whole {
		o.drop(p)
	}
	return whole
}

// drop removes the first segment.
func (o *outbox) drop(p *pool) {
	s := &o.segments[0]
	switch {
	case s.fd >= 0:
		sys.Close(s.fd)
	case s.run.Body != nil:
		s.run.Body.Release()
	default:
		p.put(s.buf)
	}
	copy(o.segments, o.segments[1:])
	o.segments[len(o.segments)-1] = segment{}
	o.segments = o.segments[:len(o.segments)-1]
}

func (o *outbox) release(p *pool) {
	for len(o.segments) > 0 {
		o.drop(p)
	}
	o.bytes, o.cost = 0, 0
	p.outboxes = append(p.outboxes, o)
}

// pool keeps buffers of a loop for reuse: connections that are busy take
// some, and give them back when they are idle.
type pool struct {
	small, large [][]byte
	outboxes     []*outbox
	lent         [][]byte // that were lent and came back, of any size
}

// The sizes of buffers, and how many of each are kept.
const (
	smallSize = 4 << 10
	largeSize = 64 << 10
	keepSmall = 256
	keepLarge = 64
)

// get returns an empty buffer with room for n bytes, or for largeSize if that
// is less.
func (p *pool) get(n int) []byte {
	if n <= smallSize {
		if k := len(p.small); k > 0 {
			b := p.small[k-1]
			p.small = p.small[:k-1]
			return b
		}
		return make([]byte, 0, smallSize)
	}
	if k := len(p.large); k > 0 {
		b := p.large[k-1]
		p.large = p.large[:k-1]
		return b
	}
	return make([]byte, 0, largeSize)
}

// put takes a buffer back. One that grew by append has another size and is
// left to the garbage collector.
func (p *pool) put(b []byte) {
	switch cap(b) {
	case smallSize:
		if len(p.small) < keepSmall {
			p.small = append(p.small, b[:0])
		}
	case largeSize:
		if len(p.large) < keepLarge {
			p.large = append(p.large, b[:0])
		}
	}
}

// keepLent is how many arrays of lend are kept, and maxLent how large one may
// be: what a turn of one connection can produce, and some more. Of small ones more are kept, as
// each connection that is busy in a turn has one.
const (
	keepLent  = 8
	maxLent   = 512 << 10
	keepShort = 256
	maxShort  = 16 << 10
)

// lend returns an empty array to be grown by append. The last one that came
// back is the one that is in the processor's cache.
func (p *pool) lend() []byte {
	if k := len(p.lent); k > 0 {
		b := p.lent[k-1]
		p.lent = p.lent[:k-1]
		return b
	}
	return make([]byte, 0, smallSize)
}

// takeBack takes an array back, grown or not.
func (p *pool) takeBack(b []byte) {
	if len(p.lent) < keepLent && cap(b) <= maxLent || len(p.lent) < keepShort && cap(b) <= maxShort {
		p.lent = append(p.lent, b[:0])
	}
}

func (p *pool) outbox() *outbox {
	if k := len(p.outboxes); k > 0 {
		o := p.outboxes[k-1]
		p.outboxes = p.outboxes[:k-1]
		return o
	}
	return &outbox{}
}
