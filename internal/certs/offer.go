package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
)

// Program is what a program brings along with an https prefix, to be used
// where no administrator has bound anything.
type Program struct {
	// Pairs are texts in PEM: a certificate, those that issued it, and its key.
	// More than one: with different kinds of keys.
	Pairs        [][]byte
	AskClient    bool   // for a certificate
	Authorities  []byte // PEM: whose client certificates are trusted; nil: the system's
	DisableHTTP2 bool
	Speaks       Speaks
}

// Place is where a program's certificate is shown: on one port to those who
// ask for a name, to those who come to an address, or, with neither, to all.
type Place struct {
	Name string
	Addr netip.Addr
	Port uint16
}

// Offer is a program's certificate that was read and can be used.
type Offer struct {
	binding *Binding
	tickets string // what its session tickets are tied to
}

// maxPairs bounds the certificates of a Program: more kinds of keys than there
// are.
const maxPairs = 4

// text is what messages call the text in which a program's certificate is.
const text = "the PEM text"

// NewOffer reads what a program has brought. Certificates that have expired are
// not refused: programs start with what they have, as they do without us.
func (m *Manager) NewOffer(p Program) (*Offer, error) {
	if len(p.Pairs) == 0 || len(p.Pairs) > maxPairs {
		return nil, fmt.Errorf("%d certificates for one prefix: want 1 to %d, of different kinds of keys", len(p.Pairs), maxPairs)
	}
	b := &built{binding: m.newBinding("program", p.AskClient)}
	if p.DisableHTTP2 {
		disableHTTP2(b.binding.config)
	}
	if err := p.Speaks.apply(b.binding.config); err != nil {
		return nil, err
	}
	o := &Offer{binding: b.binding, tickets: "program" + p.Speaks.name()}
	for _, pem := range p.Pairs {
		pair := &pair{path: text}
		var err error
		if pair.chain, err = parseChain(text, pem); err != nil {
			return nil, err
		}
		key, err := parseKey(text, pem)
		if err == nil {
			err = pair.checkForm(key, text)
		}
		if err != nil {
			return nil, err
		}
		pair.make(key)
		b.pairs = append(b.pairs, pair)
		o.tickets += fmt.Sprintf(" %x", pair.chain[0].Raw)
	}
	if err := b.show(); err != nil {
		return nil, err
	}
	switch {
	case !p.AskClient && p.Authorities != nil:
		return nil, errors.New("authorities of client certificates are given, and clients are not asked for one")
	case p.AskClient:
		v := &clientcert.Verifier{}
		if p.Authorities != nil {
			roots, err := parseChain("the authorities", p.Authorities)
			if err != nil {
				return nil, err
			}
			v.Roots = clientcert.NewRoots(roots)
			b.binding.config.ClientCAs = v.Roots.Pool()
		}
		b.binding.verifier = v
		o.tickets += fmt.Sprintf(" with client certificates %x", p.Authorities)
	}
	o.newTickets(&m.tickets)
	return o, nil
}

// newTickets gives o the present keys.
func (o *Offer) newTickets(t *tickets) { o.binding.config.SetSessionTicketKeys(t.keys(o.tickets)) }

// Expired tells whether clients will complain about the age of o.
func (o *Offer) Expired(now time.Time) bool {
	return slices.ContainsFunc(o.binding.config.Certificates, func(c tls.Certificate) bool { return now.After(c.Leaf.NotAfter) })
}

// offers are what programs have brought. Unlike the bindings of administrators
// they come and go with programs, of any user, so nothing here depends on how many
// there are.
type offers struct {
	mu  sync.RWMutex
	all map[Place][]*placed
}

// placed is an offer in its place.
type placed struct {
	*Offer
	registration uint32
}

// Offer shows o at a place until withdraw is called. Where several
// registrations have something to offer, that of the oldest is shown, so that no
// program can take the place of another; of one registration, which several
// processes may share, the newest, so that a restart brings a new certificate.
func (m *Manager) Offer(at Place, registration uint32, o *Offer) (withdraw func()) {
	p := &placed{o, registration}
	o.binding.registration = registration
	s := &m.offers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[Place][]*placed{}
	}
	// Ordered by age of the registration, in it the newest first.
	i, _ := slices.BinarySearchFunc(s.all[at], registration, func(p *placed, r uint32) int {
		if p.registration < r {
			return -1
		}
		return 1
	})
	s.all[at] = slices.Insert(s.all[at], i, p)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		left := slices.DeleteFunc(slices.Clone(s.all[at]), func(q *placed) bool { return q == p })
		if s.all[at] = left; len(left) == 0 {
			delete(s.all, at)
		}
	}
}

// find returns what programs offer to a client; nil if nothing.
func (s *offers) find(name string, local netip.AddrPort) *Binding {
	s.mu.RLock()
	defer s.mu.RUnlock()
	shown := func(at Place) *Binding {
		if all := s.all[at]; len(all) > 0 {
			return all[0].binding
		}
		return nil
	}
	if name != "" {
		if b := shown(Place{Name: name, Port: local.Port()}); b != nil {
			return b
		}
	}
	if b := shown(Place{Addr: local.Addr(), Port: local.Port()}); b != nil {
		return b
	}
	return shown(Place{Port: local.Port()})
}

// usable is as in table; a place is a part of its whole port.
func (s *offers) usable(at Place) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.all[at]) > 0 || len(s.all[Place{Port: at.Port}]) > 0
}

func (s *offers) newTickets(t *tickets) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, all := range s.all {
		for _, p := range all {
			p.newTickets(t)
		}
	}
}
