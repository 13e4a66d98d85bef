package cache

import "sync/atomic"

// chunkSize is the size of the pieces that a long body is kept in.
const chunkSize = 64 << 10

// Body is a body that is too long for one piece of memory, or is still
// coming. It belongs to the loop that fills it until it is complete, and does not change
// afterwards.
type Body struct {
	chunks [][]byte // all but the last hold chunkSize bytes
	size   int64
	Done   bool // nothing more comes
	Failed bool // and it is not complete
	cache  *Cache
	refs   atomic.Int32 // who reads it
	owed   atomic.Int64 // bytes that go back to the budget when nobody does
}

// NewBody makes an empty body.
func (c *Cache) NewBody() *Body { return &Body{cache: c} }

// Retain notes that somebody reads the body, Release that they do not any more. A body
// that is thrown away while it is read counts in the budget until the last has read it.
func (b *Body) Retain() { b.refs.Add(1) }

// Release is the end of Retain.
func (b *Body) Release() {
	if b.refs.Add(-1) == 0 {
		b.settle()
	}
}

// drop gives the bytes of a body that is not stored any more back to the budget, now
// or when nobody reads it.
func (b *Body) drop(n int64) {
	b.owed.Add(n)
	if b.refs.Load() == 0 {
		b.settle()
	}
}

func (b *Body) settle() { b.cache.release(b.owed.Swap(0)) }

// Len is how many bytes are there.
func (b *Body) Len() int64 { return b.size }

// Append copies more bytes to the end.
func (b *Body) Append(p []byte) {
	b.size += int64(len(p))
	for len(p) > 0 {
		last := len(b.chunks) - 1
		if last < 0 || len(b.chunks[last]) == cap(b.chunks[last]) {
			b.chunks = append(b.chunks, make([]byte, 0, chunkSize))
			last++
		}
		c := b.chunks[last]
		n := min(len(p), cap(c)-len(c))
		b.chunks[last] = append(c, p[:n]...)
		p = p[n:]
	}
}

// At returns bytes from an offset on, at most n and at least one if there are
// any.
func (b *Body) At(offset int64, n int64) []byte {
	if offset >= b.size {
		return nil
	}
	c := b.chunks[offset/chunkSize][offset%chunkSize:]
	return c[:min(int64(len(c)), n)]
}

// allocated is how many bytes of memory it takes.
func (b *Body) allocated() int64 {
	last := len(b.chunks) - 1
	if last < 0 {
		return 0
	}
	return int64(last)*chunkSize + int64(cap(b.chunks[last]))
}

// trim gives back what the last piece of memory has too much. Nobody may read the body yet.
func (b *Body) trim() {
	if last := len(b.chunks) - 1; last >= 0 && len(b.chunks[last]) < cap(b.chunks[last]) {
		b.chunks[last] = append(make([]byte, 0, len(b.chunks[last])), b.chunks[last]...)
	}
}

// Run is some of the bytes of a body that is complete. Who is given one to send has it retained.
type Run struct {
	Body     *Body
	From, To int64
}

// Len is how many bytes it has.
func (r *Run) Len() int64 { return r.To - r.From }

// Head is its first bytes, at most n; at least one if there are any.
func (r *Run) Head(n int64) []byte { return r.Body.At(r.From, min(n, r.To-r.From)) }
