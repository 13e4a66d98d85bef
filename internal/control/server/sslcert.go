package server

import (
	"errors"
	"slices"

	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// addSSLCert binds certificates. Their files are looked at before anything
// changes: a binding that could not be used is refused with the reason.
func (s *Server) addSSLCert(_ Peer, params *config.SSLCert) (any, *channel.Error) {
	return s.setSSLCert(params, func(st *config.State, c config.SSLCert) *channel.Error {
		if bound(st.SSLCert, c.Key()) >= 0 {
			return errorf(channel.AlreadyExists, "%s is bound already: change it with httpsys update sslcert", c.Key())
		}
		st.SSLCert = append(st.SSLCert, c)
		return nil
	})
}

// updateSSLCert replaces a binding; at no moment there is none.
func (s *Server) updateSSLCert(_ Peer, params *config.SSLCert) (any, *channel.Error) {
	return s.setSSLCert(params, func(st *config.State, c config.SSLCert) *channel.Error {
		i := bound(st.SSLCert, c.Key())
		if i < 0 {
			return notBound(c.Key())
		}
		st.SSLCert[i] = c
		return nil
	})
}

func (s *Server) setSSLCert(params *config.SSLCert, edit func(*config.State, config.SSLCert) *channel.Error) (any, *channel.Error) {
	c := params.Clone()
	if err := c.Canonical(); err != nil {
		return nil, errorf(channel.InvalidParameter, "%s", err)
	}
	apply := func(st *config.State) *channel.Error { return edit(st, c) }
	if fault := s.try(apply); fault != nil {
		return nil, fault // before anybody waits for files
	}
	warnings, err := s.engine.Certificates().Check(&c)
	if err != nil {
		return nil, errorf(channel.InvalidParameter, "%s", err)
	}
	if fault := s.changeSSLCerts(apply); fault != nil {
		return nil, fault
	}
	return control.SSLCertChanged{Warnings: warnings}, nil
}

// try says what is wrong with a change that is not made.
func (s *Server) try(edit func(*config.State) *channel.Error) *channel.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return edit(s.state.Clone())
}

// changeSSLCerts saves a change and puts it in force.
func (s *Server) changeSSLCerts(edit func(*config.State) *channel.Error) *channel.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault := s.change(edit); fault != nil {
		return fault
	}
	// Under the lock, so that two changes take effect in their order.
	s.engine.Certificates().Set(s.state.SSLCert)
	return nil
}

func (s *Server) deleteSSLCert(_ Peer, params *control.SSLCertKey) (any, *channel.Error) {
	key, fault := keyOf(params)
	if fault != nil {
		return nil, fault
	}
	fault = s.changeSSLCerts(func(st *config.State) *channel.Error {
		i := bound(st.SSLCert, key)
		if i < 0 {
			return notBound(key)
		}
		st.SSLCert = slices.Delete(st.SSLCert, i, i+1)
		return nil
	})
	if fault != nil {
		return nil, fault
	}
	return control.Empty{}, nil
}

func (s *Server) showSSLCert(_ Peer, params *control.SSLCertKey) (any, *channel.Error) {
	all := s.engine.Certificates().Show()
	if *params == (control.SSLCertKey{}) {
		return control.SSLCertResult{SSLCert: append([]certs.Info{}, all...), Programs: s.engine.Certificates().Offers()}, nil
	}
	key, fault := keyOf(params)
	if fault != nil {
		return nil, fault
	}
	for _, i := range all {
		if i.Key() == key {
			return control.SSLCertResult{SSLCert: []certs.Info{i}}, nil
		}
	}
	return nil, notBound(key)
}

func (s *Server) showCA(_ Peer, _ *control.Empty) (any, *channel.Error) {
	info, err := s.engine.Certificates().CA()
	switch {
	case errors.Is(err, localca.ErrNone):
		return nil, errorf(channel.NotFound, "%s", err)
	case err != nil:
		return nil, errorf(channel.Internal, "%s", err)
	}
	return control.CAResult{CA: info}, nil
}

// keyOf is the binding that a caller means, as config.SSLCert.Key spells it.
func keyOf(params *control.SSLCertKey) (string, *channel.Error) {
	c := config.SSLCert{IPPort: params.IPPort, HostnamePort: params.HostnamePort, CCS: params.CCS}
	if err := c.Canonical(); err != nil {
		return "", errorf(channel.InvalidParameter, "%s", err)
	}
	return c.Key(), nil
}

func bound(all []config.SSLCert, key string) int {
	return slices.IndexFunc(all, func(c config.SSLCert) bool { return c.Key() == key })
}

func notBound(key string) *channel.Error {
	return errorf(channel.NotFound, "no certificate is bound to %s: see httpsys show sslcert", key)
}
