package prefix

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// Registrations yields the registrations of one moment, in the order of port, bucket, host and path.
func (t *Table[V, R]) Registrations() iter.Seq2[Prefix, V] {
	return sorted(func(add func(Prefix, V)) {
		t.each(func(p Prefix, n *node[V, R]) {
			if n.state&registered != 0 {
				p.Path = n.rest.regPath
				add(p, n.value)
			}
		})
	})
}

// Reservations yields the reservations of one moment, in the order of port, bucket, host and path.
func (t *Table[V, R]) Reservations() iter.Seq2[Prefix, R] {
	return sorted(func(add func(Prefix, R)) {
		t.each(func(p Prefix, n *node[V, R]) {
			if n.state&reserved != 0 {
				p.Path = n.rest.resPath
				add(p, n.rest.owner)
			}
		})
	})
}

// each calls visit for all nodes, with the prefix that they belong to but for its path.
func (t *Table[V, R]) each(visit func(p Prefix, n *node[V, R])) {
	snap := t.snap.Load()
	if snap == nil {
		return
	}
	for number, port := range snap.ports.all() {
		walk := func(root *node[V, R]) {
			h := root.rest.host
			p := Prefix{Scheme: port.scheme, Kind: h.kind, Host: h.name, Addr: h.addr, Port: number}
			root.each(func(n *node[V, R]) { visit(p, n) })
		}
		if port.strong != nil {
			walk(port.strong)
		}
		for root := range port.names.all() {
			walk(root)
		}
		for root := range port.addrs.all() {
			walk(root)
		}
		if port.weak != nil {
			walk(port.weak)
		}
	}
}

// sorted yields what collect adds.
func sorted[T any](collect func(add func(Prefix, T))) iter.Seq2[Prefix, T] {
	type entry struct {
		p Prefix
		v T
	}
	return func(yield func(Prefix, T) bool) {
		var all []entry
		collect(func(p Prefix, v T) { all = append(all, entry{p, v}) })
		slices.SortFunc(all, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.p.Port, b.p.Port), cmp.Compare(a.p.Kind, b.p.Kind), a.p.Addr.Compare(b.p.Addr),
				strings.Compare(a.p.Host, b.p.Host), strings.Compare(a.p.Path, b.p.Path))
		})
		for _, e := range all {
			if !yield(e.p, e.v) {
				return
			}
		}
	}
}

// A Port is what the registrations on a port ask of the sockets that listen on it.
type Port struct {
	Number        uint16
	Scheme        Scheme
	Registrations int  // at least 1
	LoopbackOnly  bool // all of them are (see Prefix.LoopbackOnly)
}

// Ports returns the ports with registrations, in ascending order: those that have to be open. Reservations open none.
func (t *Table[V, R]) Ports() []Port {
	var ports []Port
	if snap := t.snap.Load(); snap != nil {
		for number, port := range snap.ports.all() {
			if port.regs > 0 {
				ports = append(ports, port.describe(number))
			}
		}
	}
	return ports
}

// Port returns what Ports says about one port. ok is false if nothing is registered on it.
func (t *Table[V, R]) Port(number uint16) (p Port, ok bool) {
	if snap := t.snap.Load(); snap != nil {
		if port := snap.ports.get(number); port != nil && port.regs > 0 {
			return port.describe(number), true
		}
	}
	return Port{}, false
}

func (t *portTable[V, R]) describe(number uint16) Port {
	return Port{Number: number, Scheme: t.scheme, Registrations: t.regs, LoopbackOnly: t.beyond == 0}
}
