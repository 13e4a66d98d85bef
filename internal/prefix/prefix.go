package prefix

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A Scheme is what a port speaks. A port speaks one scheme.
type Scheme uint8

// The schemes of a URL prefix. The zero Scheme is none of them.
const (
	HTTP Scheme = iota + 1
	HTTPS
	TCP // no HTTP: connections as they are
	TLS // the same within TLS
)

// String returns the scheme as it is written in a prefix.
func (s Scheme) String() string {
	switch s {
	case HTTP:
		return "http"
	case HTTPS:
		return "https"
	case TCP:
		return "tcp"
	case TLS:
		return "tls"
	}
	return fmt.Sprintf("Scheme(%d)", uint8(s))
}

// Secure says whether the daemon speaks TLS with clients of the scheme.
func (s Scheme) Secure() bool { return s == HTTPS || s == TLS }

// Raw says whether the daemon leaves the bytes of the scheme alone: a prefix
// then is all of a port at a host, as there are no paths.
func (s Scheme) Raw() bool { return s == TCP || s == TLS }

var schemes = map[string]Scheme{"http": HTTP, "https": HTTPS, "tcp": TCP, "tls": TLS}

// A Kind is the host-specifier category, the "bucket", of a prefix. Buckets are
// searched in the order of these constants, and the search ends in the first
// one in which anything matches.
type Kind uint8

// The kinds of a prefix. The zero Kind is none of them.
const (
	Strong   Kind = iota + 1 // "+": every host name, every address
	Explicit                 // a host name: requests for that name
	IPBound                  // an IP address: every host name, connections to that address
	Weak                     // "*": what the others did not take
)

// String returns a word for the kind.
func (k Kind) String() string {
	switch k {
	case Strong:
		return "strong wildcard"
	case Explicit:
		return "explicit"
	case IPBound:
		return "IP-bound"
	case Weak:
		return "weak wildcard"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// A Prefix is a URL prefix, taken apart. Parse makes them; what the fields hold
// is promised only for those.
type Prefix struct {
	Scheme Scheme
	Kind   Kind
	Host   string     // "+", "*", a lower-case name of A-labels, "192.0.2.1", or "[2001:db8::1]"
	Addr   netip.Addr // of an IPBound prefix, never IPv4-mapped
	Port   uint16     // 0 asks for a free port, see WithPort
	Path   string     // canonical (see Canonical), in the case it was written in; starts and ends with a slash
}

// String returns the canonical text of p. Parse makes p of it again.
func (p Prefix) String() string {
	b := make([]byte, 0, len("https://:65535")+len(p.Host)+len(p.Path))
	b = append(b, p.Scheme.String()...)
	b = append(b, "://"...)
	b = append(b, p.Host...)
	b = append(b, ':')
	b = strconv.AppendUint(b, uint64(p.Port), 10)
	return string(append(b, p.Path...))
}

// Equal tells whether p and q are one prefix: hosts and paths are compared
// without regard to case.
func (p Prefix) Equal(q Prefix) bool {
	return p.Scheme == q.Scheme && p.Kind == q.Kind && p.Port == q.Port && p.Addr == q.Addr &&
		strings.EqualFold(p.Host, q.Host) && strings.EqualFold(p.Path, q.Path)
}

// WithPort returns p with the given port: the answer to a prefix with port 0.
func (p Prefix) WithPort(port uint16) Prefix {
	p.Port = port
	return p
}

// LoopbackOnly tells whether p can only be meant for clients on this machine:
// its host is localhost or a loopback address. A port on which there is no
// other prefix listens on the loopback addresses only.
func (p Prefix) LoopbackOnly() bool {
	return p.Kind == IPBound && p.Addr.IsLoopback() || p.Kind == Explicit && p.Host == "localhost"
}
