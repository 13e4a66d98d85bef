package exchange

import (
	"sync/atomic"

	"github.com/httpsys/httpsys/internal/prefix"
)

// Demands are the URL prefixes below which clients need a trusted certificate,
// whoever serves them. It is replaced as a whole; all loops share it.
type Demands = atomic.Pointer[prefix.Table[struct{}, struct{}]]

// untrusted says why a request may not reach an application that demands a
// trusted certificate; the zero Refusal if it may, or if none is demanded. What an
// administrator demands, no program can weaken.
func (s *Stage) untrusted(reg *Registration, f *Facts, authority, path []byte) Refusal {
	if f.Scheme != prefix.HTTPS {
		return Refusal{}
	}
	var refusal Refusal
	switch {
	case s.demanded(f, authority, path):
		refusal = f.Peer.Untrusted(authority, 0)
	case reg.TrustedOnly:
		refusal = f.Peer.Untrusted(authority, reg.ID)
	}
	return refusal
}

func (s *Stage) demanded(f *Facts, authority, path []byte) bool {
	t := s.Demands.Load()
	if t == nil {
		return false
	}
	_, outcome := t.Match(f.Scheme, f.Port, authority, f.Local, path)
	return outcome == prefix.Matched
}
