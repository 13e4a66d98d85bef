package prefix

import (
	"fmt"
	"net/netip"
)

// An Outcome is what Match found.
type Outcome uint8

// The outcomes, and what the client gets.
const (
	NoHost   Outcome = iota // nothing is registered for this host: 400 (Invalid Hostname)
	NoPath                  // nothing is registered for this path: 404
	Reserved                // the path is reserved, and nobody has registered it: 503
	Matched                 // a registration takes the request
)

// String returns a word for the outcome.
func (o Outcome) String() string {
	switch o {
	case NoHost:
		return "no host"
	case NoPath:
		return "no path"
	case Reserved:
		return "reserved"
	case Matched:
		return "matched"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Match finds the registration that takes a request, and returns its value.
//
// s and port are those of the connection, and so is local, its address on our side. authority is the host as the client
// gave it, in the Host field or in an absolute target, possibly with a port and possibly empty. The port in it is
// ignored: clients behind a port mapping name another one than they arrive on. path must be canonical (see
// Canonical); for "OPTIONS *" it is "/".
//
// The buckets are searched in the order of Kind. In a bucket the longest path wins, among registrations and
// reservations alike, and the search ends in the first bucket where there is any: if that path is reserved and not
// registered, the request belongs to who may register there, and goes to no shorter prefix and no weaker bucket.
//
// A path matches a prefix if it begins with it, by whole segments and without regard to case; the slash at the end of
// the prefix may be missing in the path, so that /app/ takes /app.
//
// A host is known if any bucket that applies to it holds a registration, for whatever path. Reservations do not
// count, lest one for "+" and some path, made once, take the answer NoHost away from a whole port.
//
// Match takes no lock and allocates nothing.
func (t *Table[V, R]) Match(s Scheme, port uint16, authority []byte, local netip.Addr, path []byte) (v V, o Outcome) {
	snap := t.snap.Load()
	if snap == nil {
		return v, NoHost
	}
	p := snap.ports.get(port)
	if p == nil || p.scheme != s {
		return v, NoHost
	}
	var hosts state // of all hosts that apply
	if host := p.strong; host != nil {
		if n := host.match(snap.hasher, path); n != nil {
			return n.outcome()
		}
		hosts |= host.state
	}
	if !p.names.empty() {
		if host := findName(&p.names, snap.hasher, authority); host != nil {
			if n := host.match(snap.hasher, path); n != nil {
				return n.outcome()
			}
			hosts |= host.state
		}
	}
	if !p.addrs.empty() {
		key := addrKey(local)
		if host := p.addrs.find(snap.hasher, key[:]); host != nil {
			if n := host.match(snap.hasher, path); n != nil {
				return n.outcome()
			}
			hosts |= host.state
		}
	}
	if host := p.weak; host != nil {
		if n := host.match(snap.hasher, path); n != nil {
			return n.outcome()
		}
		hosts |= host.state
	}
	if hosts&known != 0 {
		return v, NoPath
	}
	return v, NoHost
}

// outcome says what it means that n is the best match of a bucket.
func (n *node[V, R]) outcome() (v V, o Outcome) {
	if n.state&registered == 0 {
		return v, Reserved
	}
	return n.value, Matched
}

// match returns the last node on the way to path that is registered or reserved, or nil. n is that of a
// host; path is that of a request: canonical, not folded, with or without a slash at its end.
//
// The walk ends where the tree ends: what follows in the path beyond the deepest prefix costs nothing.
func (n *node[V, R]) match(h hasher, path []byte) (best *node[V, R]) {
	if n.taken() {
		best = n
	}
	for i := 1; i < len(path) && n.kids != nil; i++ {
		var class uint8
		from := i
		for ; i < len(path) && path[i] != '/'; i++ {
			class |= foldClass[path[i]]
		}
		if seg := path[from:i]; class == 0 {
			n = n.kids.find(h, seg)
		} else {
			n = n.findFolded(h, seg)
		}
		if n == nil {
			break
		}
		if n.taken() {
			best = n
		}
	}
	return best
}

// findFolded finds the child for a segment that has to be folded first.
func (n *node[V, R]) findFolded(h hasher, seg []byte) *node[V, R] {
	if len(seg) > maxFolded {
		return nil
	}
	var buf [maxFolded]byte
	return n.kids.find(h, appendFold(buf[:0], seg))
}

func findName[V, R any](names *dict[V, R], h hasher, authority []byte) *node[V, R] {
	name, lower := cutName(authority)
	if len(name) == 0 || len(name) > maxName {
		return nil
	}
	if !lower {
		var buf [maxName]byte
		name = appendLower(buf[:0], name)
	}
	return names.find(h, name)
}

// addrKey is what addresses are filed under. It does not tell a mapped IPv4 address, as a socket for both families
// reports it, from a plain one, and knows no zones. No address at all is like "::", which Parse refuses.
func addrKey(a netip.Addr) [16]byte { return a.As16() }
