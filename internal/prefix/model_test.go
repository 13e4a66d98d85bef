package prefix

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// A model is a Table as one would write it without a thought for speed: two lists that are searched from end to end.
type model struct {
	regs, ress []modelEntry
}

type modelEntry struct {
	p Prefix
	v int
}

func (m *model) add(list *[]modelEntry, p Prefix, v int) error {
	for _, e := range slices.Concat(m.regs, m.ress) {
		if e.p.Port == p.Port && e.p.Scheme != p.Scheme {
			return ErrSchemeConflict
		}
	}
	for _, e := range *list {
		if e.p.Equal(p) {
			return ErrExists
		}
	}
	*list = append(*list, modelEntry{p, v})
	return nil
}

func (m *model) remove(list *[]modelEntry, p Prefix) (v int, ok bool) {
	for i, e := range *list {
		if e.p.Equal(p) {
			*list = slices.Delete(*list, i, i+1)
			return e.v, true
		}
	}
	return 0, false
}

// below tells whether path is prefix or lies below it, by segments.
func below(path, prefix string) bool {
	have := strings.Split(strings.TrimSuffix(path[1:], "/"), "/")
	for i, seg := range strings.Split(strings.TrimSuffix(prefix[1:], "/"), "/") {
		if prefix != "/" && (i >= len(have) || !strings.EqualFold(seg, have[i])) {
			return false
		}
	}
	return true
}

func (m *model) reservation(p Prefix, orEqual bool) (best Prefix, v int, ok bool) {
	for _, e := range m.ress {
		at := e.p
		at.Path = p.Path
		if at.Equal(p) && below(p.Path, e.p.Path) && (orEqual || !e.p.Equal(p)) &&
			(!ok || below(e.p.Path, best.Path)) {
			best, v, ok = e.p, e.v, true
		}
	}
	return best, v, ok
}

func (m *model) match(s Scheme, port uint16, authority string, local netip.Addr, path string) (int, Outcome) {
	host, _, _ := strings.Cut(authority, ":")
	host = strings.TrimSuffix(host, ".")
	miss := NoHost
	for kind := Strong; kind <= Weak; kind++ {
		applies := func(p Prefix) bool {
			return p.Scheme == s && p.Port == port && p.Kind == kind &&
				(kind != Explicit || strings.EqualFold(p.Host, host)) &&
				(kind != IPBound || p.Addr == local.Unmap())
		}
		longest, value, outcome := "", 0, NoHost
		for _, e := range m.regs {
			if applies(e.p) {
				miss = NoPath
				if below(path, e.p.Path) && (longest == "" || below(e.p.Path, longest)) {
					longest, value, outcome = e.p.Path, e.v, Matched
				}
			}
		}
		for _, e := range m.ress {
			if applies(e.p) && below(path, e.p.Path) && (longest == "" || !below(longest, e.p.Path)) {
				longest, value, outcome = e.p.Path, 0, Reserved
			}
		}
		if longest != "" {
			return value, outcome
		}
	}
	return 0, miss
}

func (m *model) ports() (ports []Port) {
	for _, e := range m.regs {
		i := slices.IndexFunc(ports, func(p Port) bool { return p.Number == e.p.Port })
		if i < 0 {
			i = len(ports)
			ports = append(ports, Port{e.p.Port, e.p.Scheme, 0, true})
		}
		ports[i].Registrations++
		ports[i].LoopbackOnly = ports[i].LoopbackOnly && e.p.LoopbackOnly()
	}
	slices.SortFunc(ports, func(a, b Port) int { return int(a.Number) - int(b.Number) })
	return ports
}

// A script makes choices out of bytes, which are random numbers or come from a fuzzer.
type script struct{ data []byte }

func (s *script) pick(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	c := s.data[0]
	s.data = s.data[1:]
	return int(c) % n
}

func pickFrom[T any](s *script, from ...T) T { return from[s.pick(len(from))] }

func (s *script) port() uint16 { return pickFrom[uint16](s, 80, 80, 80, 8080) }

func (s *script) path(max int) string {
	var b strings.Builder
	for range s.pick(max + 1) {
		b.WriteString("/" + pickFrom(s, "a", "A", "b", "app", "App", "é", "É", "k", "\u212A", "ſ", "S",
			"a b", "%2F", "x%2f", "a-segment-that-does-not-fit-into-one-node-of-a-tree",
			"A-Segment-That-Does-Not-Fit-Into-One-Node-Of-A-Tref"))
	}
	return b.String() + "/"
}

func (s *script) prefix(t *testing.T) Prefix {
	scheme := pickFrom(s, "http", "http", "http", "http", "http", "https")
	host := pickFrom(s, "+", "*", "a.example", "B.example", "localhost", "192.0.2.1", "127.0.0.1", "[2001:db8::1]",
		"a-name-that-does-not-fit-into-one-node.example")
	return mustParse(t, fmt.Sprintf("%s://%s:%d%s", scheme, host, s.port(), s.path(3)))
}

// play does what data says to a Table and to a model and fails where they differ.
func play(t *testing.T, data []byte) {
	s := &script{data}
	var table Table[int, int]
	var m model
	for step := 1; len(s.data) > 0; step++ {
		switch op := s.pick(8); op {
		case 0, 1, 2, 3:
			p := s.prefix(t)
			var got, want error
			var v, wantV int
			var ok, wantOK bool
			switch op {
			case 0:
				got, want = table.Register(p, step), m.add(&m.regs, p, step)
			case 1:
				got, want = table.Reserve(p, step), m.add(&m.ress, p, step)
			case 2:
				v, ok = table.Unregister(p)
				wantV, wantOK = m.remove(&m.regs, p)
			case 3:
				v, ok = table.Unreserve(p)
				wantV, wantOK = m.remove(&m.ress, p)
			}
			if !errors.Is(got, want) || v != wantV || ok != wantOK {
				t.Fatalf("step %d, %s: operation %d: %v, %d, %v; want %v, %d, %v", step, p, op, got, v, ok, want, wantV, wantOK)
			}
		case 4:
			p := s.prefix(t)
			for _, orEqual := range []bool{true, false} {
				at, r, ok := table.Parent(p)
				if orEqual {
					at, r, ok = table.Reservation(p)
				}
				if wantAt, want, wantOK := m.reservation(p, orEqual); at != wantAt || r != want || ok != wantOK {
					t.Fatalf("step %d, %s (or equal: %v): reservation %s %d %v; want %s %d %v",
						step, p, orEqual, at, r, ok, wantAt, want, wantOK)
				}
			}
		default:
			scheme := pickFrom(s, HTTP, HTTP, HTTP, HTTP, HTTPS)
			port := s.port()
			authority := pickFrom(s, "a.example", "A.Example:81", "b.example.", "b.example.:80", "localhost", "c.example", "",
				"192.0.2.1", "[2001:db8::1]:80", "a-name-that-does-not-fit-into-one-node.example", "+", "*", ".", "a..example")
			local := netip.MustParseAddr(pickFrom(s, "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"))
			path := s.path(5)
			switch s.pick(4) {
			case 1:
				path = path[:max(1, len(path)-1)]
			case 2:
				path += "/"
			}
			v, o := table.Match(scheme, port, []byte(authority), local, []byte(path))
			if want, wantO := m.match(scheme, port, authority, local, path); v != want || o != wantO {
				t.Fatalf("step %d: Match(%v, %d, %q, %v, %q) = %d, %v; want %d, %v\n%s",
					step, scheme, port, authority, local, path, v, o, want, wantO, show(&table))
			}
		}
	}
	checkTable(t, &table)
	if got, want := fmt.Sprint(table.Ports()), fmt.Sprint(m.ports()); got != want {
		t.Errorf("ports are %s, want %s", got, want)
	}
	for p, v := range table.Registrations() {
		if got, ok := m.remove(&m.regs, p); !ok || got != v {
			t.Errorf("%s is registered", p)
		}
		if got, ok := table.Unregister(p); !ok || got != v {
			t.Errorf("%s is listed, and cannot be removed", p)
		}
	}
	for p, r := range table.Reservations() {
		if got, ok := m.remove(&m.ress, p); !ok || got != r {
			t.Errorf("%s is reserved", p)
		}
		if got, ok := table.Unreserve(p); !ok || got != r {
			t.Errorf("%s is listed, and cannot be removed", p)
		}
	}
	if len(m.regs)+len(m.ress) > 0 {
		t.Errorf("not listed: %v %v", m.regs, m.ress)
	}
	if snap := table.snap.Load(); snap != nil && snap.ports.top != nil {
		t.Errorf("an emptied table keeps %+v", snap)
	}
}

// checkTable fails if a table holds more than it needs, or counts wrongly.
func checkTable(t *testing.T, table *Table[int, int]) {
	snap := table.snap.Load()
	if snap == nil {
		return
	}
	for number, port := range snap.ports.all() {
		var regs, ress, beyond int
		host := func(root *node[int, int]) {
			before := regs
			root.each(func(n *node[int, int]) {
				if n.state&registered != 0 {
					regs++
				} else if n.value != 0 {
					t.Errorf("port %d: the value %d of what is not registered is kept", number, n.value)
				}
				if n.state&reserved != 0 {
					ress++
				}
				if n.needless() || n != root && !n.taken() && n.rest != nil {
					t.Errorf("port %d: %q is kept needlessly", number, n.appendText(nil))
				}
				if k := n.kids; k != nil && len(k.nodes) == 1 &&
					uintptr(unsafe.Pointer(&k.nodes[0]))-uintptr(unsafe.Pointer(k)) != unsafe.Sizeof(*k) {
					t.Errorf("port %d: the only node below %q lies somewhere else", number, n.appendText(nil))
				}
			})
			h := root.rest.host
			if h.regs != regs-before || (root.state&known != 0) != (h.regs > 0) {
				t.Errorf("port %d, %+v: state %b with %d registrations", number, h, root.state, regs-before)
			}
			if p := (Prefix{Kind: h.kind, Host: h.name, Addr: h.addr}); !p.LoopbackOnly() {
				beyond += h.regs
			}
		}
		for _, root := range []*node[int, int]{port.strong, port.weak} {
			if root != nil {
				host(root)
			}
		}
		for _, d := range []*dict[int, int]{&port.names, &port.addrs} {
			for root := range d.all() {
				host(root)
			}
		}
		if regs != port.regs || ress != port.ress || beyond != port.beyond || regs+ress == 0 {
			t.Errorf("port %d has %d, %d, %d prefixes and counts %+v", number, regs, ress, beyond, port)
		}
	}
}

// show lists a table, one line an entry.
func show(t *Table[int, int]) string {
	var b strings.Builder
	for p, v := range t.Registrations() {
		fmt.Fprintf(&b, "%s is registered: %d\n", p, v)
	}
	for p, v := range t.Reservations() {
		fmt.Fprintf(&b, "%s is reserved: %d\n", p, v)
	}
	return b.String()
}

// TestModel does many random operations to a Table and a model.
func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.NewChaCha8([32]byte{byte(seed)})
		data := make([]byte, 4000)
		rnd.Read(data)
		play(t, data)
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// FuzzMatch lets a fuzzer choose the operations.
func FuzzMatch(f *testing.F) {
	for seed := range byte(4) {
		data := make([]byte, 200)
		rand.NewChaCha8([32]byte{seed}).Read(data)
		f.Add(data)
	}
	f.Add(bytes.Repeat([]byte{0, 0, 0, 0, 1, 0}, 10))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) <= 4096 {
			play(t, data)
		}
	})
}
