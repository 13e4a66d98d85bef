package prefix

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"
)

// A dict is an immutable set of nodes, found by their texts; the zero dict is empty. with and without return a
// changed copy that shares with the original all but the few parts on the way to the change, so that readers
// of either need no lock, and a change costs about the same in a large dict as in a small one.
//
// It is a hash trie. While a dict is small its nodes lie side by side, found by a byte of the hash of each, the tags;
// beyond that it is a branch into dicts, by five other bits of the hash. What a large dict costs more than a small one
// is not instructions but waiting for memory: the branches on the way to one of 100 000 nodes are small enough
// together to stay in the processor's caches, and the tags lead to the one node, a cache line, that may not be there.
//
// Hashes come from maphash with a secret seed: who may choose the names must not be able to choose such as
// meet in one place. Should they meet nonetheless, the dict there grows beyond its tags.
type dict[V, R any] struct {
	branch *branch[V, R]
	tags   uint64 // byte i is the tag of nodes[i]
	nodes  []node[V, R]
}

const (
	branchBits = 5
	maxNodes   = 8  // of a dict before it branches: as many as there are tags in a word
	tagShift   = 56 // a tag is the highest byte of a hash; branches use the bits below
)

type branch[V, R any] [1 << branchBits]dict[V, R]

// A hasher hashes the texts of one Table.
type hasher struct {
	seed maphash.Seed
	mask uint64 // all ones, but in tests of what happens when hashes agree
}

func newHasher() hasher { return hasher{maphash.MakeSeed(), ^uint64(0)} }

func (h hasher) hash(text []byte) uint64 { return maphash.Bytes(h.seed, text) & h.mask }

func (d *dict[V, R]) empty() bool { return d.branch == nil && len(d.nodes) == 0 }

// find returns the node with the given text, or nil.
func (d *dict[V, R]) find(h hasher, text []byte) *node[V, R] {
	hash := h.hash(text)
	for bits := hash; d.branch != nil; bits >>= branchBits {
		d = &d.branch[bits%uint64(len(d.branch))]
	}
	if i := d.index(hash, text); i >= 0 {
		return &d.nodes[i]
	}
	return nil
}

// index returns where in d.nodes the one with the given text is, or -1.
func (d *dict[V, R]) index(hash uint64, text []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	differ := d.tags ^ hash>>tagShift*ones
	// The high bit of each byte of differ that is zero. A byte above such a one may show up
	// too without being zero; so may one that belongs to no node. The comparison sorts them out.
	for hit := (differ - ones) &^ differ & highs; hit != 0; hit &= hit - 1 {
		if i := bits.TrailingZeros64(hit) / 8; i < len(d.nodes) && d.nodes[i].is(text) {
			return i
		}
	}
	for i := maxNodes; i < len(d.nodes); i++ { // only where more hashes than that agree
		if d.nodes[i].is(text) {
			return i
		}
	}
	return -1
}

// with returns d with n, which has the given text, in place of what was there.
func (d dict[V, R]) with(h hasher, text []byte, n node[V, R]) dict[V, R] {
	return d.add(h, h.hash(text), text, n, 0)
}

// add is with in a part that begins at the given bit of the hash.
func (d dict[V, R]) add(h hasher, hash uint64, text []byte, n node[V, R], shift uint) dict[V, R] {
	if d.branch != nil {
		b := *d.branch
		part := &b[hash>>shift%uint64(len(b))]
		*part = part.add(h, hash, text, n, shift+branchBits)
		return dict[V, R]{branch: &b}
	}
	if i := d.index(hash, text); i >= 0 {
		d.nodes = slices.Clone(d.nodes)
		d.nodes[i] = n
		return d
	}
	if len(d.nodes) < maxNodes || shift+branchBits > tagShift {
		d.append(hash>>tagShift, n)
		return d
	}
	var b branch[V, R]
	var buf []byte
	for i := range d.nodes {
		buf = d.nodes[i].appendText(buf[:0])
		old := h.hash(buf)
		b[old>>shift%uint64(len(b))].append(old>>tagShift, d.nodes[i])
	}
	return dict[V, R]{branch: &b}.add(h, hash, text, n, shift)
}

// append adds a node to d, in a copy of its nodes.
func (d *dict[V, R]) append(tag uint64, n node[V, R]) {
	if i := len(d.nodes); i < maxNodes {
		d.tags |= tag << (8 * i)
	}
	nodes := make([]node[V, R], len(d.nodes)+1)
	nodes[copy(nodes, d.nodes)] = n
	d.nodes = nodes
}

// without returns d without the node with the given text.
func (d dict[V, R]) without(h hasher, text []byte) dict[V, R] {
	return d.remove(h, h.hash(text), text, 0)
}

func (d dict[V, R]) remove(h hasher, hash uint64, text []byte, shift uint) dict[V, R] {
	if d.branch != nil {
		b := *d.branch
		part := &b[hash>>shift%uint64(len(b))]
		*part = part.remove(h, hash, text, shift+branchBits)
		return b.shrink()
	}
	gone := d.index(hash, text)
	var left dict[V, R]
	for i := range d.nodes {
		if i != gone {
			left.append(d.tag(h, i), d.nodes[i])
		}
	}
	return left
}

// tag returns the tag of d.nodes[i].
func (d *dict[V, R]) tag(h hasher, i int) uint64 {
	if i < maxNodes {
		return d.tags >> (8 * i) & 0xFF
	}
	return h.hash(d.nodes[i].appendText(nil)) >> tagShift
}

// shrink returns b, without the branch if it has become small: half of what would make it a
// branch again, so that adding and removing one node does not swing between the two.
func (b *branch[V, R]) shrink() dict[V, R] {
	count := 0
	for i := range b {
		if count += len(b[i].nodes); b[i].branch != nil || count > maxNodes/2 {
			return dict[V, R]{branch: b}
		}
	}
	var few dict[V, R]
	for i := range b {
		for j := range b[i].nodes {
			few.append(b[i].tags>>(8*j)&0xFF, b[i].nodes[j])
		}
	}
	return few
}

// all yields the nodes, in no order.
func (d *dict[V, R]) all() iter.Seq[*node[V, R]] {
	return func(yield func(*node[V, R]) bool) { d.each(yield) }
}

func (d *dict[V, R]) each(yield func(*node[V, R]) bool) bool {
	if d.branch != nil {
		for i := range d.branch {
			if !d.branch[i].each(yield) {
				return false
			}
		}
	}
	for i := range d.nodes {
		if !yield(&d.nodes[i]) {
			return false
		}
	}
	return true
}
