package h2

import "github.com/httpsys/httpsys/internal/wire/message"

// batch is what one call of Receive has found and the owner has not heard of
// yet. Requests are told only after all bytes at hand were looked at: one that was reset
// meanwhile is never told at all.
type batch struct {
	shared  *Shared
	records []record
	at      int // records that were told

	// What the records refer to. Arrays that become too small are left to those
	// who alias them.
	requests []Request
	fields   []message.Field
	text     []byte
	spent    int      // bytes in texts that became too small
	retired  [][]byte // slabs of decoders that fields may alias
	head     head
	event    Event
	over     *Stream // to be used again after the present event
}

// record is an event to be told.
type record struct {
	kind   Kind
	end    bool
	id     uint32
	index  int32 // of the request
	stream *Stream
	data   []byte
	fields []message.Field
	err    *Error
	code   Code
}

// Bounds of a batch: beyond them Receive returns early. Text is what fields
// take besides the input that they alias.
const (
	maxRecords = 512
	maxText    = 64 << 10
	maxSpread  = 4096 // fields
	keptText   = 128 << 10
)

func (b *batch) full() bool {
	return len(b.records) >= maxRecords || b.spent+len(b.text) >= maxText || len(b.fields) >= maxSpread
}

// newBatch returns the batch of c, a fresh one if it has none.
func (c *Conn) newBatch() *batch {
	if c.batch == nil {
		s := c.shared
		if n := len(s.batches); n > 0 {
			c.batch = s.batches[n-1]
			s.batches = s.batches[:n-1]
		} else {
			c.batch = &batch{shared: s}
		}
	}
	return c.batch
}

// release gives a batch back when all is told.
func (c *Conn) release() {
	b := c.batch
	if b == nil {
		return
	}
	c.batch = nil
	s := c.shared
	if b.over != nil {
		s.putStream(b.over)
		b.over = nil
	}
	for i, slab := range b.retired {
		s.putSlab(slab)
		b.retired[i] = nil
	}
	clear(b.records)
	clear(b.fields) // else they keep arrays alive
	b.records, b.fields, b.text, b.retired, b.at = b.records[:0], b.fields[:0], b.text[:0], b.retired[:0], 0
	b.requests, b.spent = b.requests[:0], 0
	b.event, b.head = Event{}, head{}
	if cap(b.text) > keptText {
		b.text = nil
	}
	if len(s.batches) < keptBatches {
		s.batches = append(s.batches, b)
	}
}

func (b *batch) retire(slab []byte) {
	if cap(slab) > 0 {
		b.retired = append(b.retired, slab)
	}
}

// reserve returns the free end of the batch's text, with room for n bytes at
// least; keep says what of it was used.
func (b *batch) reserve(n int) []byte {
	if cap(b.text)-len(b.text) < n {
		b.spent += len(b.text)
		b.text = make([]byte, 0, max(2*cap(b.text), n, 4096))
	}
	return b.text[len(b.text):]
}

func (b *batch) keep(used []byte) { b.text = b.text[:len(b.text)+len(used)] }

// huffman decodes s into the batch's text.
func (b *batch) huffman(s []byte) ([]byte, bool) {
	to := b.reserve(len(s)*8/5 + 1) // no code is shorter than 5 bits
	to, ok := appendHuffman(to, s)
	b.keep(to)
	return to[:len(to):len(to)], ok
}
