package server

import (
	"errors"
	"slices"
	"strings"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// addURLACL makes a reservation. It has exactly the grants that are given;
// nothing is inherited from the one above it.
func (s *Server) addURLACL(peer Peer, params *control.URLACLParams) (any, *channel.Error) {
	p, fault := parse(params.URL)
	if fault != nil {
		return nil, fault
	}
	grants, fault := checkGrants(params.Grants)
	if fault != nil {
		return nil, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault := s.mayReserve(peer, "add", p); fault != nil {
		return nil, fault
	}
	// The table first: it knows best whether the reservation is possible.
	r := &Reservation{grants: grants}
	if err := s.table.Reserve(p, r); err != nil {
		return nil, reserveError(p, err)
	}
	fault = s.change(func(st *config.State) *channel.Error {
		st.URLACL = append(st.URLACL, config.URLACL{URL: p.String(), Grants: grants})
		return nil
	})
	if fault != nil {
		s.table.Unreserve(p)
		return nil, fault
	}
	return control.Empty{}, nil
}

// updateURLACL replaces the grants of a reservation, which at no moment is
// not there.
func (s *Server) updateURLACL(peer Peer, params *control.URLACLParams) (any, *channel.Error) {
	p, fault := parse(params.URL)
	if fault != nil {
		return nil, fault
	}
	grants, fault := checkGrants(params.Grants)
	if fault != nil {
		return nil, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault := s.mayReserve(peer, "change", p); fault != nil {
		return nil, fault
	}
	at, r, fault := s.exactly(p)
	if fault != nil {
		return nil, fault
	}
	fault = s.change(func(st *config.State) *channel.Error {
		st.URLACL[entry(st, at)].Grants = grants
		return nil
	})
	if fault != nil {
		return nil, fault
	}
	r.grants = grants
	return control.Empty{}, nil
}

func (s *Server) deleteURLACL(peer Peer, params *control.URLACLParams) (any, *channel.Error) {
	p, fault := parse(params.URL)
	if fault != nil {
		return nil, fault
	}
	if params.Grants != nil {
		return nil, errorf(channel.InvalidParameter, "a reservation is deleted as a whole: grants do not belong here")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault := s.mayReserve(peer, "delete", p); fault != nil {
		return nil, fault
	}
	at, _, fault := s.exactly(p)
	if fault != nil {
		return nil, fault
	}
	fault = s.change(func(st *config.State) *channel.Error {
		i := entry(st, at)
		st.URLACL = slices.Delete(st.URLACL, i, i+1)
		return nil
	})
	if fault != nil {
		return nil, fault
	}
	s.table.Unreserve(at)
	return control.Empty{}, nil
}

func (s *Server) showURLACL(_ Peer, params *control.URLACLParams) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if params.URL == "" {
		all := s.state.Clone().URLACL
		return control.URLACLResult{URLACL: append([]config.URLACL{}, all...)}, nil
	}
	p, fault := parse(params.URL)
	if fault != nil {
		return nil, fault
	}
	at, _, fault := s.exactly(p)
	if fault != nil {
		return nil, fault
	}
	found := s.state.Clone().URLACL[entry(s.state, at)]
	return control.URLACLResult{URLACL: []config.URLACL{found}}, nil
}

// exactly returns the reservation that is p. s.mu is held.
func (s *Server) exactly(p prefix.Prefix) (prefix.Prefix, *Reservation, *channel.Error) {
	at, r, ok := s.table.Reservation(p)
	if !ok || !at.Equal(p) {
		return at, nil, errorf(channel.NotFound, "%s is not reserved: see httpsys show urlacl", p)
	}
	return at, r, nil
}

// entry returns where the reservation at, which is in the table, is in st.
func entry(st *config.State, at prefix.Prefix) int {
	url := at.String()
	return slices.IndexFunc(st.URLACL, func(a config.URLACL) bool { return a.URL == url })
}

func parse(url string) (prefix.Prefix, *channel.Error) {
	if url == "" {
		return prefix.Prefix{}, errorf(channel.InvalidParameter, "url is missing")
	}
	p, err := prefix.Parse(url)
	if err != nil {
		return p, errorf(channel.InvalidParameter, "%s", err)
	}
	if p.Port == 0 {
		return p, errorf(channel.InvalidParameter, "%s has port 0, which asks for any free port: nothing can be reserved there", p)
	}
	return p, nil
}

// checkGrants returns the grants in the form in which they are kept. An
// account that does not exist is most likely a typing error.
func checkGrants(grants []config.Grant) ([]config.Grant, *channel.Error) {
	grants = slices.Clone(grants)
	for i := range grants {
		if g := &grants[i]; strings.EqualFold(strings.TrimPrefix(g.User, `\`), config.Everyone) {
			g.User = config.Everyone // netsh shows and takes \Everyone
		}
	}
	if err := config.CheckGrants(grants); err != nil {
		return nil, errorf(channel.InvalidParameter, "%s", err)
	}
	for _, g := range grants {
		switch {
		case g.User == config.Everyone:
		case g.User != "":
			if _, ok := number(g.User, lookupUser); !ok {
				return nil, errorf(channel.InvalidParameter, "there is no user %q on this machine", g.User)
			}
		default:
			if _, ok := number(g.Group, lookupGroup); !ok {
				return nil, errorf(channel.InvalidParameter, "there is no group %q on this machine", g.Group)
			}
		}
	}
	return grants, nil
}

func reserveError(p prefix.Prefix, err error) *channel.Error {
	switch {
	case errors.Is(err, prefix.ErrExists):
		return errorf(channel.AlreadyExists, "%s is reserved already: change it with httpsys update urlacl", p)
	case errors.Is(err, prefix.ErrSchemeConflict):
		return errorf(channel.InvalidParameter, "%s cannot be reserved: port %d is used with another scheme", p, p.Port)
	default:
		return errorf(channel.Internal, "%s", err)
	}
}
