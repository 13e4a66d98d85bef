package accept

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/conn"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Ports opens and closes ports on demand. It is safe for concurrent use.
type Ports struct {
	units   []Unit
	onError func(error) // a socket that was open failed

	mu      sync.Mutex
	ports   map[uint16]*port
	listen  []netip.Addr        // the listen list; none: all addresses
	closing map[uint16][]*group // given up, but perhaps still open
}

type port struct {
	endpoint *conn.Endpoint
	wants    map[netip.Addr]int // how many prefixes want an address; everywhere: all
	groups   []*group
}

// everywhere stands for all addresses of the machine, or those of the listen
// list.
var everywhere netip.Addr

var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// NewPorts makes the ports of a daemon.
func NewPorts(units []Unit, onError func(error)) *Ports {
	return &Ports{units: units, onError: onError, ports: map[uint16]*port{}, closing: map[uint16][]*group{}}
}

// wanted lists the addresses that a prefix needs its port on. A name that is
// only for this machine (localhost) is not offered to others.
func wanted(p prefix.Prefix) []netip.Addr {
	switch {
	case p.Kind == prefix.IPBound:
		return []netip.Addr{p.Addr}
	case p.LoopbackOnly():
		return loopback
	}
	return []netip.Addr{everywhere}
}

// Open makes sure that the port of p is open on the addresses that p needs,
// until Close. Port 0 opens a free port. It returns the port. Errors are
// *channel.Error: port_in_use, access_denied, address_not_available.
func (ps *Ports) Open(p prefix.Prefix) (uint16, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.Port == 0 {
		return ps.openFree(p)
	}
	return p.Port, ps.open(p)
}

func (ps *Ports) open(p prefix.Prefix) error {
	po := ps.ports[p.Port]
	if po != nil && po.endpoint.Scheme != p.Scheme {
		return &channel.Error{Code: channel.AlreadyExists, Message: fmt.Sprintf(
			"port %d is used for %s: a port speaks either http or https", p.Port, po.endpoint.Scheme)}
	}
	if po == nil {
		po = &port{endpoint: &conn.Endpoint{Scheme: p.Scheme, Port: p.Port}, wants: map[netip.Addr]int{}}
	}
	for _, a := range wanted(p) {
		po.wants[a]++
	}
	if err := ps.grow(po); err != nil {
		ps.drop(po, p)
		ps.shrink(po)
		return err
	}
	ps.shrink(po)
	ps.ports[p.Port] = po
	return nil
}

func (ps *Ports) drop(po *port, p prefix.Prefix) {
	for _, a := range wanted(p) {
		if po.wants[a]--; po.wants[a] == 0 {
			delete(po.wants, a)
		}
	}
}

// freeTries is how often a free port of one address may turn out taken on
// another.
const freeTries = 32

func (ps *Ports) openFree(p prefix.Prefix) (uint16, error) {
	var err error
	for range freeTries {
		var fd int
		fd, err = sys.Listen(netip.AddrPortFrom(ps.addresses(wanted(p))[0], 0))
		if err != nil {
			return 0, explain(err, netip.AddrPortFrom(ps.addresses(wanted(p))[0], 0))
		}
		a, _ := sys.LocalAddr(fd)
		sys.Close(fd)
		if _, taken := ps.ports[a.Port()]; taken {
			continue
		}
		q := p.WithPort(a.Port())
		if err = ps.open(q); err == nil {
			return q.Port, nil
		}
	}
	return 0, err
}

// SetSole says which registration is the only one of a port; nil: there are several.
func (ps *Ports) SetSole(number uint16, r *exchange.Registration) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if po := ps.ports[number]; po != nil {
		po.endpoint.Sole.Store(r)
	}
}

// Close gives up what Open gave.
func (ps *Ports) Close(p prefix.Prefix) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	po := ps.ports[p.Port]
	if po == nil {
		return
	}
	ps.drop(po, p)
	if len(po.wants) == 0 {
		po.endpoint.Closed.Store(true)
		delete(ps.ports, p.Port)
	}
	if err := ps.grow(po); err != nil { // one address in place of all
		ps.onError(err)
	} else {
		ps.shrink(po)
	}
	if len(po.wants) == 0 {
		for _, u := range ps.units {
			u.Loop.Do(func() { u.Server.CloseIdle(po.endpoint) })
		}
	}
}

// SetListen changes the listen list (HTTP.SYS: iplisten). If an open port cannot
// be opened on what the list says, nothing changes. Errors are as those of Open.
func (ps *Ports) SetListen(list []netip.Addr) error {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	before := ps.listen
	if slices.Equal(list, before) {
		return nil
	}
	ps.listen = slices.Clone(list)
	var failed error
	for _, n := range slices.Sorted(maps.Keys(ps.ports)) {
		if failed = ps.grow(ps.ports[n]); failed != nil {
			ps.listen = before
			break
		}
	}
	for _, po := range ps.ports {
		ps.shrink(po)
	}
	return failed
}

// addresses turns wishes into addresses to bind.
func (ps *Ports) addresses(wants []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range wants {
		switch {
		case a != everywhere:
			out = append(out, a)
		case len(ps.listen) > 0:
			out = append(out, ps.listen...)
		default:
			out = append(out, netip.IPv4Unspecified(), netip.IPv6Unspecified())
		}
	}
	// A socket for all addresses of a family takes those of single ones, too.
	var v4, v6 bool
	for _, a := range out {
		v4 = v4 || a == netip.IPv4Unspecified()
		v6 = v6 || a == netip.IPv6Unspecified()
	}
	out = slices.DeleteFunc(out, func(a netip.Addr) bool {
		return !a.IsUnspecified() && (a.Is4() && v4 || a.Is6() && v6)
	})
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// wanted lists the addresses that the port is to be open on.
func (po *port) wanted() []netip.Addr { return slices.Collect(maps.Keys(po.wants)) }

// grow opens what is missing of what the prefixes of po want. It is called
// before shrink, so that a port that changes its addresses never misses a
// connection. What it has opened when it fails is for shrink to close.
func (ps *Ports) grow(po *port) error {
	addrs := ps.addresses(po.wanted())
	open := 0
	for _, a := range addrs {
		if slices.ContainsFunc(po.groups, func(g *group) bool { return g.addr == a }) {
			open++
			continue
		}
		g, err := ps.openGroup(a, po)
		if err != nil {
			if optional(a, err) && len(addrs) > 1 {
				continue // a machine without IPv6
			}
			return explain(err, netip.AddrPortFrom(a, po.endpoint.Port))
		}
		open++
		po.groups = append(po.groups, g)
	}
	if open == 0 && len(addrs) > 0 {
		return &channel.Error{Code: channel.AddressNotAvailable, Message: fmt.Sprintf(
			"port %d cannot be opened: this machine has none of the addresses wanted", po.endpoint.Port)}
	}
	return nil
}

// shrink closes what no prefix of po wants.
func (ps *Ports) shrink(po *port) {
	addrs := ps.addresses(po.wanted())
	po.groups = slices.DeleteFunc(po.groups, func(g *group) bool {
		if slices.Contains(addrs, g.addr) {
			return false
		}
		ps.retire(g, po.endpoint.Port)
		return true
	})
}

// retire closes the sockets of a group. The loops take their time with that,
// and somebody may want the port again meanwhile.
func (ps *Ports) retire(g *group, port uint16) {
	for _, l := range g.listeners {
		l.l.Do(l.close)
	}
	ps.closing[port] = append(ps.closing[port], g)
}

// Settle returns when the sockets that Close gave up on a port are closed: from
// then on connections to it are refused, unless others hold it. It must not be
// called on a loop.
func (ps *Ports) Settle(port uint16) {
	ps.mu.Lock()
	open := ps.stillOpen(port)
	ps.mu.Unlock()
	if !open {
		return
	}
	for range 2 { // a turn closes them, the next one counts them: see listener.close
		for _, u := range ps.units {
			u.Loop.Call(func() {})
		}
	}
}

// stillOpen says whether there are sockets on a port that we have given up.
func (ps *Ports) stillOpen(port uint16) bool {
	left := slices.DeleteFunc(ps.closing[port], func(g *group) bool { return g.open.Load() == 0 })
	if len(left) == 0 {
		delete(ps.closing, port)
		return false
	}
	ps.closing[port] = left
	return true
}

// optional: all addresses of IPv6, or its loopback, are wanted only where
// there is IPv6.
func optional(a netip.Addr, err error) bool {
	return a.Is6() && (a.IsUnspecified() || a.IsLoopback()) &&
		(errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL))
}

func (ps *Ports) openGroup(a netip.Addr, po *port) (*group, error) {
	e := po.endpoint
	ap := netip.AddrPortFrom(a, e.Port)
	// Our own sockets may be in the probe's way: those that are not closed yet,
	// and between all addresses of a family and one of them the other one. A
	// stranger that does not share its port is still an error of Listen.
	ours := ps.stillOpen(e.Port) || slices.ContainsFunc(po.groups, func(g *group) bool {
		return g.addr.Is4() == a.Is4() && (g.addr.IsUnspecified() || a.IsUnspecified())
	})
	if !ours {
		if err := sys.Probe(ap); err != nil {
			return nil, err
		}
	}
	g := &group{addr: a}
	for _, u := range ps.units {
		fd, err := sys.Listen(ap)
		if err != nil {
			ps.retire(g, e.Port)
			return nil, err
		}
		l := &listener{l: u.Loop, server: u.Server, fd: fd, endpoint: e, group: g, onError: func(err error) {
			ps.onError(fmt.Errorf("accept on %s: %w", ap, err))
		}}
		g.listeners = append(g.listeners, l)
		g.open.Add(1)
		u.Loop.Do(l.start)
	}
	return g, nil
}

// Port is one open port, for people.
type Port struct {
	Port        uint16
	Scheme      prefix.Scheme
	Addresses   []netip.Addr
	Connections int
}

// List returns the open ports in order.
func (ps *Ports) List() []Port {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var out []Port
	for n, po := range ps.ports {
		p := Port{Port: n, Scheme: po.endpoint.Scheme, Connections: int(po.endpoint.Connections.Load())}
		for _, g := range po.groups {
			p.Addresses = append(p.Addresses, g.addr)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Port) int { return cmp.Compare(a.Port, b.Port) })
	return out
}

// CloseAll stops accepting. Connections go on.
func (ps *Ports) CloseAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for n, po := range ps.ports {
		for _, g := range po.groups {
			ps.retire(g, n)
		}
		po.groups = nil
		delete(ps.ports, n)
	}
}

// explain makes an error for applications of a failed bind or listen.
func explain(err error, a netip.AddrPort) error {
	e := &channel.Error{Code: channel.Internal, Message: fmt.Sprintf("port %d on %s cannot be opened: %v", a.Port(), a.Addr(), err)}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		e.Code = channel.PortInUse
		e.Message = fmt.Sprintf("port %d is in use by another program that is not httpsys: find it with `ss -ltnp sport = :%d`, or choose another port", a.Port(), a.Port())
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		e.Code = channel.AccessDenied
		e.Message = fmt.Sprintf("the daemon may not open port %d: run it as root, or give it the capability CAP_NET_BIND_SERVICE", a.Port())
	case errors.Is(err, unix.EADDRNOTAVAIL):
		e.Code = channel.AddressNotAvailable
		e.Message = fmt.Sprintf("this machine does not have the address %s", a.Addr())
	}
	return e
}
