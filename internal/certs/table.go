package certs

import (
	"net/netip"
	"strconv"
	"strings"
)

// table is all bindings as they are looked up. It never changes.
type table struct {
	names  map[string]*Binding // NAME:PORT
	below  map[string]*Binding // PARENT:PORT of *.PARENT:PORT
	addrs  map[netip.AddrPort]*Binding
	stores map[uint16]*store
	ports  map[uint16]bool // on which anything is bound
	none   *Binding        // for clients that want what is not there, or is broken
}

// find returns what a client gets that asks for name ("" if it asks for none)
// on local; nil if nothing is bound. The order is that of HTTP.SYS: the name, the name with a wildcard
// for its first label, the address, all addresses of its family, the central
// store. An exact address does not come before a name.
func (t *table) find(name string, local netip.AddrPort, wait func(func()) bool) *Binding {
	if name != "" {
		port := ":" + strconv.Itoa(int(local.Port()))
		if b := t.names[name+port]; b != nil {
			return b
		}
		if _, parent, ok := strings.Cut(name, "."); ok {
			if b := t.below[parent+port]; b != nil {
				return b
			}
		}
	}
	if b := t.addrs[local]; b != nil {
		return b
	}
	all := netip.IPv4Unspecified()
	if local.Addr().Is6() {
		all = netip.IPv6Unspecified()
	}
	if b := t.addrs[netip.AddrPortFrom(all, local.Port())]; b != nil {
		return b
	}
	if s := t.stores[local.Port()]; s != nil && name != "" {
		if b := s.find(name, wait); b != nil {
			return b
		}
	}
	return nil
}

// usable tells whether at least some clients of a place can be shown a
// certificate.
func (t *table) usable(at Place) bool {
	if at.Name == "" && !at.Addr.IsValid() {
		return t.ports[at.Port]
	}
	locals := []netip.Addr{at.Addr}
	if !at.Addr.IsValid() {
		locals = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
		for a := range t.addrs {
			if a.Port() == at.Port {
				locals = append(locals, a.Addr())
			}
		}
	}
	for _, a := range locals {
		if b := t.find(at.Name, netip.AddrPortFrom(a, at.Port), atOnce); b != nil && b != t.none {
			return true
		}
	}
	return false
}
