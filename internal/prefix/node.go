package prefix

import (
	"bytes"
	"net/netip"
)

// A node is a host of a port, or a segment of a path under one. It is immutable once a reader can see it.
//
// Match reads one node for each segment that it follows, and in a large table waits for memory each time: what it needs
// lies together, 64 bytes if V is a pointer, and everything else behind the last field.
type node[V, R any] struct {
	size  uint16 // of the text
	state state
	head  [29]byte // of the text: a lower-case name, a 16-byte address, or a folded segment
	tail  *chunk   // the rest of the text

	kids  *dict[V, R] // the segments below; nil if there are none
	value V           // of the registration
	rest  *rest[R]
}

type state uint8

const (
	registered state = 1 << iota // the path that ends here is
	reserved                     // the path that ends here is
	known                        // a host: some path is registered under it
)

// A chunk holds more of a text than fits in a node.
type chunk struct {
	text [24]byte
	next *chunk
}

// A rest is what of a node only writers, rights and lists need.
type rest[R any] struct {
	regPath string // as it was registered
	resPath string // as it was reserved
	owner   R      // of the reservation
	host    *host  // only in the node of a host
}

// A host is what prefixes with one scheme, host and port have in common.
type host struct {
	kind Kind
	name string
	addr netip.Addr
	regs int // how many paths are registered under it
}

func (n *node[V, R]) setText(text []byte) {
	n.size = uint16(len(text))
	text = text[copy(n.head[:], text):]
	for at := &n.tail; len(text) > 0; at = &(*at).next {
		*at = new(chunk)
		text = text[copy((*at).text[:], text):]
	}
}

func (n *node[V, R]) appendText(buf []byte) []byte {
	size := int(n.size)
	buf = append(buf, n.head[:min(size, len(n.head))]...)
	size -= len(n.head)
	for c := n.tail; c != nil; c = c.next {
		buf = append(buf, c.text[:min(size, len(c.text))]...)
		size -= len(c.text)
	}
	return buf
}

// is tells whether text is n's.
func (n *node[V, R]) is(text []byte) bool {
	if int(n.size) != len(text) {
		return false
	}
	if len(text) <= len(n.head) {
		return string(n.head[:len(text)]) == string(text)
	}
	if string(n.head[:]) != string(text[:len(n.head)]) {
		return false
	}
	text = text[len(n.head):]
	for c := n.tail; c != nil; c = c.next {
		k := min(len(text), len(c.text))
		if string(c.text[:k]) != string(text[:k]) {
			return false
		}
		text = text[k:]
	}
	return true
}

// taken tells whether the path that ends in n is registered or reserved.
func (n *node[V, R]) taken() bool { return n.state&(registered|reserved) != 0 }

// needless tells whether there is no reason to keep n.
func (n *node[V, R]) needless() bool { return !n.taken() && n.kids == nil }

// edit applies change to the node at path, which is folded, without its first slash, and ends in one if it is not
// empty. n is the caller's own copy, and each node on the way to path becomes a new copy; those that hold nothing
// any more go.
func (n *node[V, R]) edit(h hasher, path []byte, change func(*node[V, R])) {
	if len(path) == 0 {
		change(n)
		return
	}
	seg, below, _ := bytes.Cut(path, slash)
	var kid node[V, R]
	if old := n.kid(h, seg); old != nil {
		kid = *old
	} else {
		kid.setText(seg)
	}
	kid.edit(h, below, change)

	var kids dict[V, R]
	if n.kids != nil {
		kids = *n.kids
	}
	if kid.needless() {
		kids = kids.without(h, seg)
	} else {
		kids = kids.with(h, seg, kid)
	}
	switch {
	case kids.empty():
		n.kids = nil
	case len(kids.nodes) == 1:
		o := &only[V, R]{kids, [1]node[V, R]{kids.nodes[0]}}
		o.nodes = o.node[:]
		n.kids = &o.dict
	default:
		n.kids = &kids
	}
}

// An only is a dict with the memory of its only node: most dicts of a deep path are such, and so
// each step of that path waits for memory once and not twice.
type only[V, R any] struct {
	dict[V, R]
	node [1]node[V, R]
}

// kid returns the node of a segment below n, or nil.
func (n *node[V, R]) kid(h hasher, seg []byte) *node[V, R] {
	if n.kids == nil {
		return nil
	}
	return n.kids.find(h, seg)
}

var slash = []byte{'/'}

// descend calls visit for n and for each node on the way to path, as far as there are any. path is as for edit;
// below is what is left of it.
func (n *node[V, R]) descend(h hasher, path []byte, visit func(n *node[V, R], below []byte)) {
	for n != nil {
		visit(n, path)
		if len(path) == 0 {
			return
		}
		var seg []byte
		seg, path, _ = bytes.Cut(path, slash)
		n = n.kid(h, seg)
	}
}

// each calls visit for n and all below it.
func (n *node[V, R]) each(visit func(*node[V, R])) {
	visit(n)
	if n.kids != nil {
		for kid := range n.kids.all() {
			kid.each(visit)
		}
	}
}
