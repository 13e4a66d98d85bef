package h2

import "golang.org/x/net/http2/hpack"

// static is the table of RFC 7541 Appendix A, taken from the hpack package by
// decoding each index. Its first entry has index 1.
var static = func() (t [61]struct {
	name, value []byte
	class       class
}) {
	d := hpack.NewDecoder(0, nil)
	for i := range t {
		f, err := d.DecodeFull([]byte{0x80 | byte(i+1)})
		if err != nil {
			panic(err)
		}
		t[i].name, t[i].value = []byte(f[0].Name), []byte(f[0].Value)
		t[i].class = classOf(t[i].name)
	}
	return t
}()

// decoder is the HPACK decoder of a connection (RFC 7541).
//
// The hpack package makes a string of each name and value, which would have to
// be copied again, and checks nothing; here a field that is sent by its index aliases the table and
// was checked when it came into it. docs/decisions/0004-hpack.md has the measurements. The code of
// the strings and the static table are taken from that package, and tests hold the two decoders
// against each other.
type decoder struct {
	// bytes has names and values of the entries, oldest first, after those of
	// evicted entries. Nothing in it is overwritten while fields alias it: when it is full,
	// the live part moves to another array.
	bytes   []byte
	entries []entry // oldest first
	evicted int     // how many of entries are gone
	size    uint32  // as RFC 7541 4.1 counts
	max     uint32  // what the encoder has set, at most tableSize
}

// entry of the dynamic table. Sizes are bounded by tableSize.
type entry struct {
	at          uint16
	name, value uint16
	class       class
}

const entryOverhead = 32 // RFC 7541 4.1

// decode reads a header block and adds its fields to h. ok is false if it is
// no valid block; h.bomb says that it stopped because the head is far too long.
func (d *decoder) decode(b []byte, h *head) (ok bool) {
	first := true // a size update may come here
	for len(b) > 0 {
		c := b[0]
		switch {
		case c&0x80 != 0: // 6.1 indexed field
			var i uint64
			if i, b, ok = readInt(b, 7); !ok {
				return false
			}
			name, value, class, ok := d.at(i)
			if !ok {
				return false
			}
			h.add(name, value, class)
		case c&0xe0 == 0x20: // 6.3 size update; 4.2: at the beginning of a block
			var n uint64
			if n, b, ok = readInt(b, 5); !ok || n > tableSize || !first {
				return false
			}
			d.max = uint32(n)
			d.evict(0)
			continue
		default: // 6.2 literals: 01 with indexing, 0000 without, 0001 never
			bits, index := uint(4), false
			if c&0x40 != 0 {
				bits, index = 6, true
			}
			var i uint64
			if i, b, ok = readInt(b, bits); !ok {
				return false
			}
			var name, value []byte
			var cl class
			if i == 0 {
				if name, b, ok = readString(b, h); !ok {
					return false
				}
				cl = classOf(name)
			} else {
				if name, _, cl, ok = d.at(i); !ok {
					return false
				}
				if cl == classBadValue {
					cl = classOf(name)
				}
			}
			if value, b, ok = readString(b, h); !ok {
				return false
			}
			cl = cl.withValue(value)
			if index {
				name, value = d.insert(h.batch, name, value, cl)
			}
			h.add(name, value, cl)
		}
		first = false
		if h.bomb {
			return true
		}
	}
	return true
}

// at returns the entry at an index of the two tables (RFC 7541 2.3.3).
func (d *decoder) at(i uint64) (name, value []byte, c class, ok bool) {
	if i-1 < uint64(len(static)) {
		e := &static[i-1]
		return e.name, e.value, e.class, true
	}
	i -= uint64(len(static)) + 1
	if i >= uint64(len(d.entries)-d.evicted) { // also index 0
		return nil, nil, 0, false
	}
	e := &d.entries[len(d.entries)-1-int(i)]
	mid := int(e.at) + int(e.name)
	end := mid + int(e.value)
	return d.bytes[e.at:mid:mid], d.bytes[mid:end:end], e.class, true
}

// insert adds an entry and returns its strings where they are now.
func (d *decoder) insert(batch *batch, name, value []byte, c class) (n, v []byte) {
	need := len(name) + len(value)
	size := uint64(need) + entryOverhead
	if size > uint64(d.max) {
		d.evict(d.max) // 4.4: the table is empty then, and that is no error
		return name, value
	}
	d.evict(uint32(size))
	if len(d.bytes)+need > cap(d.bytes) {
		d.move(batch, need)
	}
	if len(d.entries) == cap(d.entries) && d.evicted > 0 {
		d.entries = d.entries[:copy(d.entries, d.entries[d.evicted:])]
		d.evicted = 0
	}
	at := len(d.bytes)
	d.bytes = append(append(d.bytes, name...), value...)
	d.entries = append(d.entries, entry{uint16(at), uint16(len(name)), uint16(len(value)), c})
	d.size += uint32(size)
	mid := at + len(name)
	return d.bytes[at:mid:mid], d.bytes[mid:len(d.bytes):len(d.bytes)]
}

// evict makes room for size bytes (4.3).
func (d *decoder) evict(size uint32) {
	for d.size+size > d.max {
		e := &d.entries[d.evicted]
		d.size -= uint32(e.name) + uint32(e.value) + entryOverhead
		d.evicted++
	}
	if d.evicted == len(d.entries) {
		d.entries, d.evicted = d.entries[:0], 0
	}
}

// move copies what is alive to another array with room for need bytes more,
// the smallest that leaves some space: a connection that sends the same fields each time never
// needs more.
func (d *decoder) move(batch *batch, need int) {
	start := len(d.bytes)
	if d.evicted < len(d.entries) {
		start = int(d.entries[d.evicted].at)
	}
	live := d.bytes[start:]
	to := batch.shared.slab(len(live) + need)
	to = append(to, live...)
	for i := d.evicted; i < len(d.entries); i++ {
		d.entries[i].at -= uint16(start)
	}
	batch.retire(d.bytes)
	d.bytes = to
}

// readInt reads an integer with a prefix of some bits (5.1).
func readInt(b []byte, bits uint) (n uint64, rest []byte, ok bool) {
	most := uint64(1)<<bits - 1
	n = uint64(b[0]) & most
	b = b[1:]
	if n < most {
		return n, b, true
	}
	for shift := uint(0); len(b) > 0 && shift < 63; shift += 7 {
		c := b[0]
		b = b[1:]
		n += uint64(c&0x7f) << shift
		if c < 0x80 {
			return n, b, true
		}
	}
	return 0, nil, false
}

// readString reads a string (5.2). It aliases b, or the batch if it was
// compressed.
func readString(b []byte, h *head) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	compressed := b[0]&0x80 != 0
	n, b, ok := readInt(b, 7)
	if !ok || n > uint64(len(b)) {
		return nil, nil, false
	}
	s, rest = b[:n:n], b[n:]
	if compressed {
		if s, ok = h.batch.huffman(s); !ok {
			return nil, nil, false
		}
	}
	return s, rest, true
}
