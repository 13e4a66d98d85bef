package h2

import (
	"slices"

	"golang.org/x/net/http2/hpack"
)

// Shared is what all connections of one loop share: limits, counters, and
// memory that is used again. It must not be used by two goroutines at once.
type Shared struct {
	Limits   *Limits
	Counters Counters

	// ExtendedConnect tells clients that they may send an extended CONNECT
	// (RFC 8441), as browsers do for a WebSocket once they may. Otherwise :protocol is malformed.
	ExtendedConnect bool

	server *encField
	date   []byte // as encoded field
	dated  []byte // its value
	fields fieldCache

	batches   []*batch
	streams   []*Stream
	schedules []*schedule
	slabs     [len(slabSizes)][][]byte
}

// How much of each is kept.
const (
	keptBatches = 16
	keptStreams = 4096
	// trimmedStreams are left of them by Trim.
	trimmedStreams = 64
	keptSchedules  = 256
	keptSlabs      = 64
)

// NewShared makes a Shared; server is the value of the Server field of
// responses that have none, "" for no such field.
func NewShared(l *Limits, server string) *Shared {
	s := &Shared{Limits: l}
	if server != "" {
		s.server = newEncField([]byte("server"), []byte(server), 0)
	}
	return s
}

// SetDate sets the value of the Date field of responses that have none; it is
// cheap if nothing changed.
func (s *Shared) SetDate(value []byte) {
	if string(value) == string(s.dated) {
		return
	}
	s.dated = append(s.dated[:0], value...)
	b := appendInt(s.date[:0], 0x00, 4, nameDate)
	v := string(value)
	b = appendInt(b, 0x80, 7, hpack.HuffmanEncodeLength(v))
	s.date = hpack.AppendHuffmanString(b, v)
}

// Trim lets go of streams that are kept for reuse, but for some.
func (s *Shared) Trim() {
	if len(s.streams) > trimmedStreams {
		s.streams = slices.Clone(s.streams[:trimmedStreams])
	}
}

func (s *Shared) getStream() *Stream {
	if n := len(s.streams); n > 0 {
		x := s.streams[n-1]
		s.streams = s.streams[:n-1]
		return x
	}
	return &Stream{}
}

func (s *Shared) putStream(x *Stream) {
	*x = Stream{state: gone}
	if len(s.streams) < keptStreams {
		s.streams = append(s.streams, x)
	}
}

func (s *Shared) getSchedule() *schedule {
	if n := len(s.schedules); n > 0 {
		q := s.schedules[n-1]
		s.schedules = s.schedules[:n-1]
		return q
	}
	return &schedule{}
}

func (s *Shared) putSchedule(q *schedule) {
	if len(s.schedules) < keptSchedules {
		s.schedules = append(s.schedules, q)
	}
}

// slabSizes are the arrays of dynamic tables. The largest has the largest
// table and a quarter more, so that moving it is seldom.
var slabSizes = [...]int{512, 1024, 2048, 3072, 4096, tableSize * 5 / 4}

// slab returns an array for n bytes and some more.
func (s *Shared) slab(n int) []byte {
	k := 0
	for k < len(slabSizes)-1 && slabSizes[k] < n+n/4 {
		k++
	}
	if free := s.slabs[k]; len(free) > 0 {
		b := free[len(free)-1]
		s.slabs[k] = free[:len(free)-1]
		return b
	}
	return make([]byte, 0, slabSizes[k])
}

func (s *Shared) putSlab(b []byte) {
	for k, size := range slabSizes {
		if cap(b) == size && len(s.slabs[k]) < keptSlabs {
			s.slabs[k] = append(s.slabs[k], b[:0])
		}
	}
}
