package server

import (
	"fmt"
	"slices"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// addClientCert demands trusted client certificates below a URL prefix.
func (s *Server) addClientCert(_ Peer, params *config.ClientCertPolicy) (any, *channel.Error) {
	p, fault := parseDemand(params.URL)
	if fault != nil {
		return nil, fault
	}
	policy := config.ClientCertPolicy{URL: p.String(), Require: params.Require}
	if policy.Require == "" {
		policy.Require = config.RequireTrusted
	}
	return s.changeClientCerts(func(st *config.State) *channel.Error {
		if demand(st.ClientCert, p) >= 0 {
			return errorf(channel.AlreadyExists, "%s demands client certificates already", p)
		}
		st.ClientCert = append(st.ClientCert, policy)
		return nil
	})
}

func (s *Server) deleteClientCert(_ Peer, params *control.ClientCertParams) (any, *channel.Error) {
	p, fault := parseDemand(params.URL)
	if fault != nil {
		return nil, fault
	}
	return s.changeClientCerts(func(st *config.State) *channel.Error {
		i := demand(st.ClientCert, p)
		if i < 0 {
			return notDemanded(p)
		}
		st.ClientCert = slices.Delete(st.ClientCert, i, i+1)
		return nil
	})
}

// changeClientCerts saves a change and puts it in force.
func (s *Server) changeClientCerts(edit func(*config.State) *channel.Error) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault := s.change(edit); fault != nil {
		return nil, fault
	}
	if err := s.applyClientCerts(s.state); err != nil { // it was parsed: cannot be
		return nil, errorf(channel.Internal, "%s", err)
	}
	return control.Empty{}, nil
}

// applyClientCerts puts the demands in force, for requests that come from now on.
func (s *Server) applyClientCerts(st *config.State) error {
	var all []prefix.Prefix
	for i := range st.ClientCert {
		entry := &st.ClientCert[i]
		p, fault := parseDemand(entry.URL)
		if fault != nil {
			return fmt.Errorf("clientcert: %w", fault)
		}
		entry.URL = p.String()
		all = append(all, p)
	}
	return s.engine.SetDemands(all)
}

func (s *Server) showClientCert(_ Peer, params *control.ClientCertParams) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append([]config.ClientCertPolicy{}, s.state.ClientCert...)
	if params.URL == "" {
		return control.ClientCertResult{ClientCert: all}, nil
	}
	p, fault := parseDemand(params.URL)
	if fault != nil {
		return nil, fault
	}
	i := demand(all, p)
	if i < 0 {
		return nil, notDemanded(p)
	}
	return control.ClientCertResult{ClientCert: all[i : i+1]}, nil
}

// parseDemand reads the URL of a demand.
func parseDemand(url string) (prefix.Prefix, *channel.Error) {
	p, fault := parse(url)
	if fault == nil && p.Scheme != prefix.HTTPS {
		return p, errorf(channel.InvalidParameter, "%s is not https: only there clients have certificates", p)
	}
	return p, fault
}

// demand returns where p is in all.
func demand(all []config.ClientCertPolicy, p prefix.Prefix) int {
	return slices.IndexFunc(all, func(c config.ClientCertPolicy) bool {
		q, err := prefix.Parse(c.URL)
		return err == nil && q.Equal(p)
	})
}

func notDemanded(p prefix.Prefix) *channel.Error {
	return errorf(channel.NotFound, "%s demands no client certificates: see httpsys show clientcert", p)
}
