package prefix

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// The kinds of failure of Register and Reserve; test for them with errors.Is.
var (
	ErrExists         = errors.New("already exists")
	ErrSchemeConflict = errors.New("port is used with the other scheme")
	ErrNoPort         = errors.New("prefix has no port yet")
)

// An Error says which operation failed on which prefix.
type Error struct {
	Op     string // "register", "reserve"
	Prefix Prefix
	Err    error // ErrExists, ErrSchemeConflict or ErrNoPort
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Prefix, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// A Port is what the registrations on a port ask of the sockets that listen on it.
type Port struct {
	Number        uint16
	Scheme        Scheme
	Registrations int
	LoopbackOnly  bool // all registrations are LoopbackOnly
}

// An Outcome is what Match found.
type Outcome uint8

const (
	NoHost   Outcome = iota // nothing is registered for this host: 400 (Invalid Hostname)
	NoPath                  // nothing is registered for this path: 404
	Reserved                // the path is reserved, and who may register there has not: 503
	Matched                 // a registration takes the request
)

func (o Outcome) String() string {
	return [...]string{"no host", "no path", "reserved", "matched"}[o]
}

type entry[T any] struct {
	p Prefix
	v T
}

// Table holds the registrations (with values V) and reservations (R) of a machine. Its zero value is empty.
type Table[V, R any] struct {
	mu   sync.Mutex
	regs []entry[V]
	ress []entry[R]
}

func (t *Table[V, R]) check(op string, p Prefix) error {
	if p.Port == 0 {
		return &Error{op, p, ErrNoPort}
	}
	for _, e := range t.regs {
		if e.p.Port == p.Port && e.p.Scheme != p.Scheme {
			return &Error{op, p, ErrSchemeConflict}
		}
	}
	for _, e := range t.ress {
		if e.p.Port == p.Port && e.p.Scheme != p.Scheme {
			return &Error{op, p, ErrSchemeConflict}
		}
	}
	return nil
}

func find[T any](s []entry[T], p Prefix) int {
	return slices.IndexFunc(s, func(e entry[T]) bool { return e.p.Equal(p) })
}

// Register adds p.
func (t *Table[V, R]) Register(p Prefix, v V) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.check("register", p); err != nil {
		return err
	}
	if find(t.regs, p) >= 0 {
		return &Error{"register", p, ErrExists}
	}
	t.regs = append(t.regs, entry[V]{p, v})
	return nil
}

// Unregister removes p and returns what it was registered with.
func (t *Table[V, R]) Unregister(p Prefix) (v V, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := find(t.regs, p)
	if i < 0 {
		return v, false
	}
	v = t.regs[i].v
	t.regs = slices.Delete(t.regs, i, i+1)
	return v, true
}

// Reserve adds a reservation.
func (t *Table[V, R]) Reserve(p Prefix, r R) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.check("reserve", p); err != nil {
		return err
	}
	if find(t.ress, p) >= 0 {
		return &Error{"reserve", p, ErrExists}
	}
	t.ress = append(t.ress, entry[R]{p, r})
	return nil
}

// Unreserve removes a reservation.
func (t *Table[V, R]) Unreserve(p Prefix) (r R, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := find(t.ress, p)
	if i < 0 {
		return r, false
	}
	r = t.ress[i].v
	t.ress = slices.Delete(t.ress, i, i+1)
	return r, true
}

// Registration returns what is registered at exactly p.
func (t *Table[V, R]) Registration(p Prefix) (v V, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := find(t.regs, p); i >= 0 {
		return t.regs[i].v, true
	}
	return v, false
}

// Reservation returns the longest reservation that is p or above it: the one that decides who may register p.
func (t *Table[V, R]) Reservation(p Prefix) (at Prefix, r R, ok bool) {
	return t.above(p, true)
}

// Parent returns the longest reservation above p: the one that decides who may reserve p.
func (t *Table[V, R]) Parent(p Prefix) (at Prefix, r R, ok bool) {
	return t.above(p, false)
}

func (t *Table[V, R]) above(p Prefix, equal bool) (at Prefix, r R, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.ress {
		if e.p.Covers(p) && (equal || !e.p.Equal(p)) && (!ok || len(e.p.Path) > len(at.Path)) {
			at, r, ok = e.p, e.v, true
		}
	}
	return at, r, ok
}

// Match finds who takes a request.
func (t *Table[V, R]) Match(s Scheme, port uint16, authority []byte, local netip.Addr, path []byte) (v V, o Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	local = local.Unmap().WithZone("")
	name := string(hostName(nil, authority))
	for kind := Strong; kind <= Weak; kind++ {
		best, found := -1, NoHost
		accepts := func(p Prefix) bool {
			return p.Scheme == s && p.Port == port && p.Kind == kind &&
				(kind != Explicit || p.Host == name) && (kind != IPBound || p.Addr == local)
		}
		for _, e := range t.regs {
			if accepts(e.p) {
				o = max(o, NoPath)
				if n := len(e.p.Path); n > best && hasPathPrefix(string(path), e.p.Path) {
					best, v, found = n, e.v, Matched
				}
			}
		}
		for _, e := range t.ress {
			if n := len(e.p.Path); accepts(e.p) && n > best && hasPathPrefix(string(path), e.p.Path) {
				best, found = n, Reserved
			}
		}
		if found == Reserved {
			var none V
			return none, Reserved
		}
		if found == Matched {
			return v, Matched
		}
	}
	return v, o
}

// Registrations yields all registrations, in the order of port, kind, host and path.
func (t *Table[V, R]) Registrations() iter.Seq2[Prefix, V] {
	return func(yield func(Prefix, V) bool) {
		t.mu.Lock()
		all := slices.Clone(t.regs)
		t.mu.Unlock()
		each(all, yield)
	}
}

// Reservations yields all reservations, in the order of port, kind, host and path.
func (t *Table[V, R]) Reservations() iter.Seq2[Prefix, R] {
	return func(yield func(Prefix, R) bool) {
		t.mu.Lock()
		all := slices.Clone(t.ress)
		t.mu.Unlock()
		each(all, yield)
	}
}

func each[T any](all []entry[T], yield func(Prefix, T) bool) {
	slices.SortFunc(all, func(a, b entry[T]) int {
		return cmp.Or(cmp.Compare(a.p.Port, b.p.Port), cmp.Compare(a.p.Kind, b.p.Kind),
			strings.Compare(a.p.Host, b.p.Host), strings.Compare(a.p.Path, b.p.Path))
	})
	for _, e := range all {
		if !yield(e.p, e.v) {
			return
		}
	}
}

// Port tells what is registered on one port.
func (t *Table[V, R]) Port(number uint16) (p Port, ok bool) {
	for _, p := range t.Ports() {
		if p.Number == number {
			return p, true
		}
	}
	return p, false
}

// Ports returns the ports with registrations, in ascending order.
func (t *Table[V, R]) Ports() []Port {
	var ports []Port
	for p := range t.Registrations() {
		if n := len(ports); n == 0 || ports[n-1].Number != p.Port {
			ports = append(ports, Port{p.Port, p.Scheme, 0, true})
		}
		last := &ports[len(ports)-1]
		last.Registrations++
		last.LoopbackOnly = last.LoopbackOnly && p.LoopbackOnly()
	}
	return ports
}
