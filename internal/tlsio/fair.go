package tlsio

import "net/netip"

// fair is a queue in which sources take turns: pop serves each source that
// waits once before it serves one twice. It is bounded as a whole and for each
// source.
type fair struct {
	limit, each int
	n           int
	buckets     map[netip.Prefix]*bucket
	turn        *bucket // whose turn it is, in a ring of those that wait
}

// bucket is what waits from one source.
type bucket struct {
	key        netip.Prefix
	list       list
	n          int
	next, prev *bucket
}

// push adds h, or returns false if there are too many.
func (f *fair) push(h *handshake, key netip.Prefix) bool {
	b := f.buckets[key]
	if f.n >= f.limit || b != nil && b.n >= f.each {
		return false
	}
	if b == nil {
		b = &bucket{key: key}
		if f.buckets == nil {
			f.buckets = map[netip.Prefix]*bucket{}
		}
		f.buckets[key] = b
		if f.turn == nil {
			f.turn, b.next, b.prev = b, b, b
		} else { // at the end of the round
			b.next, b.prev = f.turn, f.turn.prev
			b.prev.next, b.next.prev = b, b
		}
	}
	b.list.push(h)
	b.n++
	f.n++
	h.from = b
	return true
}

// pop takes the first of the source whose turn it is, or returns nil.
func (f *fair) pop() *handshake {
	b := f.turn
	if b == nil {
		return nil
	}
	h := b.list.head
	f.turn = b.next
	f.remove(h)
	return h
}

// remove takes h out.
func (f *fair) remove(h *handshake) {
	b := h.from
	h.from = nil
	b.list.remove(h)
	b.n--
	f.n--
	if b.n > 0 {
		return
	}
	delete(f.buckets, b.key)
	if b.next == b {
		f.turn = nil
		return
	}
	b.prev.next, b.next.prev = b.next, b.prev
	if f.turn == b {
		f.turn = b.next
	}
}
