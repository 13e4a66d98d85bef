package prefix

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// The kinds of failure of Register and Reserve; test for them with errors.Is.
var (
	ErrExists         = errors.New("already exists")
	ErrSchemeConflict = errors.New("the port is in use with another scheme")
	ErrNoPort         = errors.New("no port has been chosen for it")
)

// An Error says which operation failed on which prefix.
type Error struct {
	Op     string // "register", "reserve"
	Prefix Prefix
	Err    error // ErrExists, ErrSchemeConflict or ErrNoPort
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Prefix, e.Err) }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// A Table holds the registrations of a machine, each with a V, and the reservations, each with an R.
// The zero Table is empty. A Table must not be copied.
//
// Changes are serialised by a lock. Each makes a new snapshot, which shares with the one before all
// that did not change, and publishes it by one atomic store. Readers load the snapshot once and see one state of
// the table, whatever happens meanwhile: they take no lock, and no reader ever waits for a writer.
type Table[V, R any] struct {
	mu   sync.Mutex // serialises writers
	snap atomic.Pointer[snapshot[V, R]]
}

// A snapshot is one state of a Table, and immutable.
type snapshot[V, R any] struct {
	hasher  hasher // the same for the life of the Table
	version uint64
	ports   radix[portTable[V, R]]
}

// A portTable holds what is registered and reserved on one port: a tree of segments for each host, by buckets.
type portTable[V, R any] struct {
	scheme       Scheme
	regs, ress   int
	beyond       int         // registrations that are for more than loopback
	strong, weak *node[V, R] // the hosts "+" and "*"
	names, addrs dict[V, R]  // the explicit and the IP-bound hosts
}

// Register adds a registration. It fails with ErrExists, ErrSchemeConflict or ErrNoPort.
// Who may register is the caller's business; see Reservation.
func (t *Table[V, R]) Register(p Prefix, v V) error {
	return t.edit("register", p, func(n *node[V, R], rest *rest[R], e edited[V, R]) error {
		if n.state&registered != 0 {
			return ErrExists
		}
		n.state |= registered
		n.value, rest.regPath = v, p.Path
		e.count(p, +1)
		return nil
	})
}

// Unregister removes a registration and returns its value. ok is false if there is none at p.
func (t *Table[V, R]) Unregister(p Prefix) (v V, ok bool) {
	err := t.edit("unregister", p, func(n *node[V, R], rest *rest[R], e edited[V, R]) error {
		if n.state&registered == 0 {
			return errNone
		}
		n.state &^= registered
		v, n.value = n.value, v
		rest.regPath = ""
		e.count(p, -1)
		return nil
	})
	return v, err == nil
}

// Reserve adds a reservation. It fails with ErrExists, ErrSchemeConflict or ErrNoPort.
// Who may reserve is the caller's business; see Parent.
func (t *Table[V, R]) Reserve(p Prefix, r R) error {
	return t.edit("reserve", p, func(n *node[V, R], rest *rest[R], e edited[V, R]) error {
		if n.state&reserved != 0 {
			return ErrExists
		}
		n.state |= reserved
		rest.owner, rest.resPath = r, p.Path
		e.port.ress++
		return nil
	})
}

// Unreserve removes a reservation and returns its value. ok is false if there is none at p.
// What is registered under it stays.
func (t *Table[V, R]) Unreserve(p Prefix) (r R, ok bool) {
	err := t.edit("unreserve", p, func(n *node[V, R], rest *rest[R], e edited[V, R]) error {
		if n.state&reserved == 0 {
			return errNone
		}
		n.state &^= reserved
		r, rest.owner = rest.owner, r
		rest.resPath = ""
		e.port.ress--
		return nil
	})
	return r, err == nil
}

// errNone says that there is nothing to remove.
var errNone = errors.New("does not exist")

// edited is what an edit of a node has to keep right elsewhere: copies, as the node is.
type edited[V, R any] struct {
	host *host
	port *portTable[V, R]
}

// count counts a registration of p.
func (e edited[V, R]) count(p Prefix, n int) {
	e.host.regs += n
	e.port.regs += n
	if !p.LoopbackOnly() {
		e.port.beyond += n
	}
}

// edit publishes a snapshot with a changed node for p, unless change returns an error. change gets copies that it
// may write to.
func (t *Table[V, R]) edit(op string, p Prefix, change func(*node[V, R], *rest[R], edited[V, R]) error) error {
	if p.Port == 0 {
		return &Error{op, p, ErrNoPort}
	}
	t.mu.Lock()
	defer t.mu.Unlock()

	var snap snapshot[V, R]
	if now := t.snap.Load(); now != nil {
		snap = *now
	} else {
		snap.hasher = newHasher()
	}
	// Both are memory of their own: in one piece each host would keep alive what the port was then.
	e := edited[V, R]{
		host: &host{kind: p.Kind, name: p.Host, addr: p.Addr},
		port: &portTable[V, R]{scheme: p.Scheme},
	}
	if now := snap.ports.get(p.Port); now != nil {
		*e.port = *now
	}
	if e.port.scheme != p.Scheme {
		return &Error{op, p, ErrSchemeConflict}
	}
	root := new(node[V, R])
	if now := e.port.root(snap.hasher, p); now != nil {
		*root = *now
		*e.host = *now.rest.host
	} else {
		root.setText(hostKey(p))
	}

	var err error
	root.edit(snap.hasher, foldedPath(p), func(n *node[V, R]) {
		var rest rest[R]
		if n.rest != nil {
			rest = *n.rest
		}
		err = change(n, &rest, e)
		if n.rest = nil; n.taken() {
			n.rest = &rest
		}
	})
	if err != nil {
		return &Error{op, p, err}
	}

	var rest rest[R]
	if root.rest != nil {
		rest = *root.rest
	}
	rest.host = e.host
	root.rest = &rest
	if root.state &^= known; e.host.regs > 0 {
		root.state |= known
	}
	if root.needless() {
		root = nil
	}
	e.port.setRoot(snap.hasher, p, root)
	if e.port.regs+e.port.ress > 0 {
		snap.ports = snap.ports.with(p.Port, e.port)
	} else {
		snap.ports = snap.ports.with(p.Port, nil)
	}
	snap.version++
	t.snap.Store(&snap)
	return nil
}

// Version is the number of changes so far: what Match found is still right while it is the same. Ask
// before Match.
func (t *Table[V, R]) Version() uint64 {
	if now := t.snap.Load(); now != nil {
		return now.version
	}
	return 0
}

// foldedPath returns p's path in the form that the trees are walked with.
func foldedPath(p Prefix) []byte {
	return appendFold(make([]byte, 0, len(p.Path)), []byte(p.Path))[1:]
}

// hostKey returns the text of the node of p's host.
func hostKey(p Prefix) []byte {
	if p.Kind == IPBound {
		key := addrKey(p.Addr)
		return key[:]
	}
	return []byte(p.Host)
}

// root returns the node of p's host, or nil.
func (t *portTable[V, R]) root(h hasher, p Prefix) *node[V, R] {
	switch p.Kind {
	case Strong:
		return t.strong
	case Weak:
		return t.weak
	case IPBound:
		return t.addrs.find(h, hostKey(p))
	default:
		return t.names.find(h, hostKey(p))
	}
}

// setRoot puts root, which may be nil, where root finds it.
func (t *portTable[V, R]) setRoot(h hasher, p Prefix, root *node[V, R]) {
	set := func(d dict[V, R]) dict[V, R] {
		if root == nil {
			return d.without(h, hostKey(p))
		}
		return d.with(h, hostKey(p), *root)
	}
	switch p.Kind {
	case Strong:
		t.strong = root
	case Weak:
		t.weak = root
	case IPBound:
		t.addrs = set(t.addrs)
	default:
		t.names = set(t.names)
	}
}

// Registration returns what is registered at exactly p.
func (t *Table[V, R]) Registration(p Prefix) (v V, ok bool) {
	t.descend(p, func(n *node[V, R], here bool) {
		if here && n.state&registered != 0 {
			v, ok = n.value, true
		}
	})
	return v, ok
}

// Reservation returns the longest reservation, with the scheme, host and port of p, whose path is p's or above it:
// the one that decides who may register p. There is no other way from one bucket to another.
func (t *Table[V, R]) Reservation(p Prefix) (at Prefix, r R, ok bool) {
	t.descend(p, func(n *node[V, R], here bool) {
		if n.state&reserved != 0 {
			at, r, ok = p, n.rest.owner, true
			at.Path = n.rest.resPath
		}
	})
	return at, r, ok
}

// Parent returns the longest reservation above p and not equal to it: the one that decides who may reserve p,
// or take a reservation of p away.
func (t *Table[V, R]) Parent(p Prefix) (at Prefix, r R, ok bool) {
	t.descend(p, func(n *node[V, R], here bool) {
		if !here && n.state&reserved != 0 {
			at, r, ok = p, n.rest.owner, true
			at.Path = n.rest.resPath
		}
	})
	return at, r, ok
}

// descend visits the nodes from the root of p's site to p, as far as there are any. here is true at p itself.
func (t *Table[V, R]) descend(p Prefix, visit func(n *node[V, R], here bool)) {
	snap := t.snap.Load()
	if snap == nil {
		return
	}
	port := snap.ports.get(p.Port)
	if port == nil || port.scheme != p.Scheme {
		return
	}
	if root := port.root(snap.hasher, p); root != nil {
		root.descend(snap.hasher, foldedPath(p), func(n *node[V, R], below []byte) { visit(n, len(below) == 0) })
	}
}
