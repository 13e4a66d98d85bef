// Package config keeps what an administrator has set: the part of a daemon
// that survives a restart.
//
// State is all of it: reservations of URL prefixes, bindings of certificates,
// timeouts, limits, and the addresses to listen on. It holds only what differs from the defaults, so
// that a better default of a later version reaches everyone who never asked
// for something else. Limits (the type) is the other view: every number that
// is in force, for the parts of the daemon that obey them; State.Limits makes
// one from the other. The numbers, their names, ranges and defaults are the
// table in settings.go, and nowhere else.
//
// Store is where a State lives. File is the store of one machine: one JSON
// file that people can read and edit, in file.go. How it is replaced without
// ever being half written is in replace.go; how a malformed one is explained, in
// decode.go. A store never replaces a configuration that it could not read.
//
// Registrations are not here: they live as long as the process that made them.
package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Version is the version of the format of State.
const Version = 1

// State is everything that survives a restart.
type State struct {
	Version int `json:"version"`
	// URLACL are the reservations, in the order in which they were made.
	URLACL []URLACL `json:"urlacl"`
	// Timeouts and Settings hold what was set, by the names in the tables
	// Timeouts and Settings. What is absent has its default.
	Timeouts map[string]int64 `json:"timeouts,omitempty"`
	Settings map[string]int64 `json:"settings,omitempty"`
	// CacheParams likewise.
	CacheParams map[string]int64 `json:"cacheparams,omitempty"`
	// IPListen are the addresses to listen on. None: all of the machine.
	IPListen []string `json:"iplisten,omitempty"`
	// SSLCert are the bindings of certificates, in the order in which they were
	// made.
	SSLCert []SSLCert `json:"sslcert,omitempty"`
	// ClientCert are the URL prefixes that demand trusted client certificates, in
	// the order in which that was said.
	ClientCert []ClientCertPolicy `json:"clientcert,omitempty"`
}

// URLACL reserves the namespace below a URL prefix for some users.
type URLACL struct {
	URL    string  `json:"url"` // in canonical form
	Grants []Grant `json:"grants"`
}

// Everyone as the user of a Grant means every user of the machine.
const Everyone = "everyone"

// Grant gives rights to one user or to one group. Names are kept as names and
// looked up whenever they are used: a right belongs to whoever has the name
// then, and an account that was renamed does not take it along.
type Grant struct {
	User     string `json:"user,omitempty"`  // name, number, or Everyone
	Group    string `json:"group,omitempty"` // name or number
	Listen   bool   `json:"listen"`          // may register; false forbids it, whatever other grants say
	Delegate bool   `json:"delegate"`        // may reserve parts of the namespace for others
}

// Store is where a State lives between two runs of the daemon.
type Store interface {
	// Load returns the state; Initial if there never was one.
	Load() (*State, error)
	// Save replaces the state: afterwards Load returns either the old one
	// or, when Save returned nil, the new one.
	Save(*State) error
}

// TemporaryListenAddresses is the reservation that a new machine has: the
// place on the shared port 80 where everybody may register.
const TemporaryListenAddresses = "http://+:80/Temporary_Listen_Addresses/"

// Initial is the state of a machine on which nothing was ever set.
func Initial() *State {
	return &State{
		Version: Version,
		URLACL:  []URLACL{{URL: TemporaryListenAddresses, Grants: []Grant{{User: Everyone, Listen: true}}}},
	}
}

// Clone returns a copy that shares nothing with s.
func (s *State) Clone() *State {
	c := &State{Version: s.Version, IPListen: slices.Clone(s.IPListen), ClientCert: slices.Clone(s.ClientCert)}
	for _, a := range s.URLACL {
		c.URLACL = append(c.URLACL, URLACL{URL: a.URL, Grants: slices.Clone(a.Grants)})
	}
	for _, b := range s.SSLCert {
		c.SSLCert = append(c.SSLCert, b.Clone())
	}
	c.Timeouts = cloneMap(s.Timeouts)
	c.Settings = cloneMap(s.Settings)
	c.CacheParams = cloneMap(s.CacheParams)
	return c
}

func cloneMap(m map[string]int64) map[string]int64 {
	if len(m) == 0 {
		return nil
	}
	c := make(map[string]int64, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// Check says in one line what is wrong with s, if anything is. The syntax of
// URLs is not looked at: that is the business of package prefix.
func (s *State) Check() error {
	if s.Version != Version {
		return fmt.Errorf("version %d is unknown: this httpsys reads and writes version %d", s.Version, Version)
	}
	urls := make(map[string]bool, len(s.URLACL))
	for i, a := range s.URLACL {
		if a.URL == "" {
			return fmt.Errorf("urlacl: entry %d has no url", i+1)
		}
		if urls[a.URL] {
			return fmt.Errorf("urlacl: %s is reserved twice", a.URL)
		}
		urls[a.URL] = true
		if err := CheckGrants(a.Grants); err != nil {
			return fmt.Errorf("urlacl: %s: %w", a.URL, err)
		}
	}
	if err := checkNumbers("timeouts", Timeouts, s.Timeouts); err != nil {
		return err
	}
	if err := checkNumbers("settings", Settings, s.Settings); err != nil {
		return err
	}
	if err := checkNumbers("cacheparams", CacheParams, s.CacheParams); err != nil {
		return err
	}
	seen := make(map[netip.Addr]bool, len(s.IPListen))
	for _, text := range s.IPListen {
		a, err := ParseIP(text)
		if err != nil {
			return fmt.Errorf("iplisten: %w", err)
		}
		if seen[a] {
			return fmt.Errorf("iplisten: %s is listed twice", a)
		}
		seen[a] = true
	}
	if err := checkSSLCerts(s.SSLCert); err != nil {
		return err
	}
	return checkClientCertPolicies(s.ClientCert)
}

// CheckGrants says what is wrong with the grants of one reservation.
func CheckGrants(grants []Grant) error {
	if len(grants) == 0 {
		return fmt.Errorf("a reservation needs at least one user or group")
	}
	seen := make(map[Grant]bool, len(grants))
	for _, g := range grants {
		if (g.User == "") == (g.Group == "") {
			return fmt.Errorf("a grant names either a user or a group")
		}
		name := g.User + g.Group
		if err := checkName(name); err != nil {
			return err
		}
		who := Grant{User: g.User, Group: g.Group}
		if seen[who] {
			return fmt.Errorf("%s is named twice", name)
		}
		seen[who] = true
	}
	return nil
}

// checkName accepts what can be the name or the number of an account. A name
// with a colon, a comma or a control character cannot be in /etc/passwd; a
// name that looks like a number is one, and must be a valid one.
func checkName(name string) error {
	if len(name) > 256 {
		return fmt.Errorf("account name of %d bytes: at most 256 are possible", len(name))
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r == ':' || r == ',' }) {
		return fmt.Errorf("%q cannot be the name of an account", name)
	}
	if strings.Trim(name, "0123456789") != "" {
		return nil
	}
	// The last number is what the kernel uses for "no such account".
	if n, err := strconv.ParseUint(name, 10, 32); err != nil || n == 1<<32-1 {
		return fmt.Errorf("%s cannot be the number of an account", name)
	}
	return nil
}

// ParseIP reads an address of the listen list: no port, no zone.
func ParseIP(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address (like 192.0.2.1, 2001:db8::1, 0.0.0.0 or ::)", text)
	}
	return a.Unmap(), nil
}
