package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
)

// Options of a Manager.
type Options struct {
	// Protocols are offered with ALPN, the preferred one first.
	Protocols []string
	Authority *localca.Authority
	ACME      ACME // nil: none
	Log       *slog.Logger
	Now       func() time.Time // nil: time.Now
}

// ACME is what a Manager needs of whoever gets certificates from the network.
type ACME interface {
	// Manage says for which names certificates are wanted, and from whom.
	Manage(wanted map[string]config.ACME)
	// Certificate is the one for the name that a client asks for; nil if there is
	// none yet.
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Challenge answers a client that speaks acme-tls/1 (RFC 8737): an authority
	// that wants to see whether a name is ours. nil if it is not.
	Challenge(*tls.ClientHelloInfo) *tls.Certificate
	// Status is the certificate for a name, if there is one, and what went wrong
	// when it was last asked for.
	Status(name string) (*x509.Certificate, error)
}

// ALPNProto is what an authority speaks that checks a name over TLS. A
// connection on which it was agreed on ends after the handshake.
const ALPNProto = "acme-tls/1"

// Manager holds the bindings. It is safe for concurrent use.
type Manager struct {
	opt     Options
	ocsp    *clientcert.OCSP
	tickets tickets
	table   atomic.Pointer[table]
	offers  offers

	mu      sync.Mutex
	entries []*entry
}

// entry is one binding with its history.
type entry struct {
	conf     config.SSLCert
	built    *built // what is in use; nil if it was never usable
	err      error  // why the last attempt to make it failed
	attempt  []stamp
	failures int    // attempts, and refreshes without one, since it was last made
	reported string // the error that was logged
}

// New makes a Manager without bindings.
func New(opt Options) *Manager {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{opt: opt, ocsp: clientcert.NewOCSP()}
	m.tickets.rotate(opt.Now())
	m.publish()
	return m
}

// Choose says what a client gets.
func (m *Manager) Choose(hello *tls.ClientHelloInfo) *Binding {
	t := m.table.Load()
	if a := m.opt.ACME; a != nil && slices.Contains(hello.SupportedProtos, ALPNProto) && len(hello.SupportedProtos) == 1 {
		if c := a.Challenge(hello); c != nil {
			return &Binding{now: m.opt.Now, config: &tls.Config{
				Certificates: []tls.Certificate{*c}, NextProtos: []string{ALPNProto}, SessionTicketsDisabled: true,
			}}
		}
	}
	local, _ := hello.Conn.LocalAddr().(*net.TCPAddr)
	if local == nil {
		return t.none
	}
	return m.find(hello.ServerName, local.AddrPort(), waiting(hello))
}

// waiting returns what runs functions that wait for a disk or a network: the
// handshake may be one of many on its thread. It returns false if it has not
// waited, because the handshake has ended.
func waiting(hello *tls.ClientHelloInfo) func(func()) bool {
	if c, ok := hello.Conn.(interface{ Wait(func()) bool }); ok {
		return c.Wait
	}
	return atOnce
}

// atOnce is for those who have nothing else to do.
func atOnce(f func()) bool { f(); return true }

// find returns what a client gets that asks for name ("" if it asks for none) on
// local. wait is as waiting returns it.
func (m *Manager) find(name string, local netip.AddrPort, wait func(func()) bool) *Binding {
	t := m.table.Load()
	local = netip.AddrPortFrom(local.Addr().Unmap().WithZone(""), local.Port())
	name = strings.ToLower(name)
	if b := t.find(name, local, wait); b != nil {
		return b
	}
	if b := m.offers.find(name, local); b != nil {
		return b
	}
	return t.none
}

// Check says whether a binding can be used, and what is unwise about it.
func (m *Manager) Check(c *config.SSLCert) (warnings []string, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	now := m.opt.Now()
	b, err := m.build(c, now)
	if err != nil {
		return nil, err
	}
	return m.allWarnings(c, b, now), nil
}

// Usable tells whether clients of a place can be shown a certificate: all of
// them or, where that depends on the address that they come to, some.
func (m *Manager) Usable(at Place) bool {
	return m.table.Load().usable(at) || m.offers.usable(at)
}

// CA describes the authority of this machine; localca.ErrNone if there is none.
func (m *Manager) CA() (localca.Info, error) { return m.opt.Authority.Info() }

// Set replaces all bindings. Those that did not change keep what they have.
// One that cannot be used refuses its clients until its files are put right.
func (m *Manager) Set(all []config.SSLCert) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opt.Now()
	next := make([]*entry, 0, len(all))
	wanted := map[string]config.ACME{}
	for i := range all {
		c := all[i].Clone()
		if c.ACME != nil {
			wanted[host(&c)] = *c.ACME
		}
		at := slices.IndexFunc(m.entries, func(e *entry) bool { return reflect.DeepEqual(e.conf, c) })
		if at >= 0 {
			next = append(next, m.entries[at])
			continue
		}
		e := &entry{conf: c}
		if !m.try(e, now) {
			e.reported = e.err.Error()
			m.opt.Log.Error("binding not usable", "binding", c.Key(), "err", e.err)
		}
		next = append(next, e)
	}
	m.entries = next
	if m.opt.ACME != nil {
		m.opt.ACME.Manage(wanted)
	}
	m.publish()
}

// try makes e anew. If that fails, e keeps what it has.
func (m *Manager) try(e *entry, now time.Time) bool {
	b, err := m.build(&e.conf, now)
	e.attempt, e.err = b.stamps, err
	if err != nil {
		e.failures++
		return false
	}
	e.failures, e.reported = 0, ""
	b.binding.config.SetSessionTicketKeys(m.tickets.keys(b.binding.ticketID()))
	e.built = b
	return true
}

// publish puts a new table in place. m.mu is held, or nobody knows m yet.
func (m *Manager) publish() {
	t := &table{
		names: map[string]*Binding{}, below: map[string]*Binding{},
		addrs: map[netip.AddrPort]*Binding{}, stores: map[uint16]*store{}, ports: map[uint16]bool{},
		// Without certificates, crypto/tls answers with unrecognized_name.
		none: &Binding{config: &tls.Config{SessionTicketsDisabled: true, MinVersion: tls.VersionTLS12}, now: m.opt.Now},
	}
	for _, e := range m.entries {
		// A binding that is broken does not make room for a weaker one.
		b := t.none
		var s *store
		if e.built != nil {
			b, s = e.built.binding, e.built.store
		}
		c := &e.conf
		if _, text, ok := strings.Cut(c.Key(), "="); ok && b != t.none {
			n, _ := strconv.ParseUint(text[strings.LastIndexByte(text, ':')+1:], 10, 16)
			t.ports[uint16(n)] = true
		}
		switch {
		case c.IPPort != "":
			if a, err := netip.ParseAddrPort(c.IPPort); err == nil {
				t.addrs[a] = b
			}
		case c.HostnamePort != "":
			if parent, ok := strings.CutPrefix(c.HostnamePort, "*."); ok {
				t.below[parent] = b
			} else {
				t.names[c.HostnamePort] = b
			}
		case s != nil:
			if a, err := netip.ParseAddrPort("0.0.0.0:" + c.CCS); err == nil {
				t.stores[a.Port()] = s
			}
		}
	}
	m.table.Store(t)
}

// refreshPeriod is how often files are looked at. Nothing is read unless one
// has changed.
const refreshPeriod = 5 * time.Second

// Run refreshes until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	tick := time.NewTicker(refreshPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.Refresh()
		}
	}
}

// retry is after how many refreshes a failure is looked at again though no
// file has changed: time can mend it, too.
const retry = 12

// Refresh notices what has changed: files, and time.
func (m *Manager) Refresh() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opt.Now()
	changed := false
	for _, e := range m.entries {
		if !e.stale(now) {
			if e.err != nil {
				e.failures++
			}
			continue
		}
		if m.try(e, now) {
			changed = true
			m.opt.Log.Info("certificate read again", "binding", e.conf.Key())
		} else if text := e.err.Error(); e.failures > 1 && text != e.reported {
			// Once is nothing: certificate and key cannot be replaced at the
			// same moment.
			e.reported = text
			m.opt.Log.Error("certificate not usable, what was there before stays", "binding", e.conf.Key(), "err", e.err)
		}
	}
	if changed {
		m.publish()
	}
	if m.tickets.rotate(now) {
		m.newTickets()
	}
}

func (e *entry) stale(now time.Time) bool {
	if e.err != nil {
		return e.failures < 2 || e.failures%retry == 0 || slices.ContainsFunc(e.attempt, func(s stamp) bool { return !s.fresh() })
	}
	return e.built.stale(now)
}

// stale tells whether b must be made again.
func (b *built) stale(now time.Time) bool {
	return !b.due.IsZero() && now.After(b.due) || slices.ContainsFunc(b.stamps, func(s stamp) bool { return !s.fresh() })
}

func (m *Manager) newTickets() {
	for _, e := range m.entries {
		if e.built == nil {
			continue
		}
		e.built.binding.config.SetSessionTicketKeys(m.tickets.keys(e.built.binding.ticketID()))
		if e.built.store != nil {
			e.built.store.newTickets()
		}
	}
	m.offers.newTickets(&m.tickets)
}
