package httpsys

import (
	"slices"
	"strconv"
	"strings"
)

// A Wildcard says how strong a prefix without a host name is.
type Wildcard int

const (
	// Strong takes the requests for every host name, before any prefix that
	// names one: "+".
	Strong Wildcard = iota
	// Weak takes the requests that no other prefix takes: "*".
	Weak
)

// Affinity says by what the requests of one client are kept together, so that
// they come to the same process of those that share a queue: for programs that keep
// something of a client in memory. The first that a request has decides, in this
// order. A request waits for its process even if others are idle; when the process
// ends, another one gets its clients.
type Affinity struct {
	// Query is the name of a parameter of the query, such as "sid" of Engine.IO;
	// Cookie is that of a cookie. The process that gives a value out is the one that
	// gets the requests with it: the daemon reads it in the Set-Cookie of the answer, or, for
	// Query, as a member of that name in JSON in the first 512 bytes of the body. It
	// remembers the last 65 536 of them for a queue.
	Query, Cookie string
	// Address is the client's address, without the port.
	Address bool
}

// A Binding makes prefixes from the settings of a program: which host names it
// answers to, on which port, below which path.
type Binding struct {
	Scheme   string   // "http" or "https"; empty is "http"
	Port     int      // 0 asks for a free port, the same for all prefixes of the binding
	URLBase  string   // the path below which the program lives; "shop", "/shop" and "/shop/" are the same
	Wildcard Wildcard // of the default binding
	Hosts    []string // virtual host names or addresses; each makes a prefix
	// Default adds the default binding, for every host name, to those of Hosts.
	// A binding without any host is always the default binding.
	Default bool
	// RequireClientCertificate keeps clients away that have not shown a trusted
	// certificate; for https only. See Server.RequireClientCertificate.
	RequireClientCertificate bool
	// Compress lets the daemon compress responses to the prefixes of this binding, as Server.Compress
	// does for all.
	Compress bool
	// EditHosts may change the list of hosts, a copy, before it is used.
	EditHosts func(hosts []string) []string
}

// Prefixes returns the URL prefixes of the binding, those of the hosts first.
// Whether they are well formed is for the daemon to say.
func (b Binding) Prefixes() []string {
	hosts := slices.Clone(b.Hosts)
	if b.EditHosts != nil {
		hosts = b.EditHosts(hosts)
	}
	var out []string
	for _, host := range hosts {
		host = strings.TrimSpace(host)
		if host == "" {
			continue
		}
		if strings.Count(host, ":") > 1 && host[0] != '[' {
			host = "[" + host + "]" // an IPv6 address as people write it
		}
		if p := b.prefix(host); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	if b.Default || len(out) == 0 {
		wildcard := "+"
		if b.Wildcard == Weak {
			wildcard = "*"
		}
		out = append(out, b.prefix(wildcard))
	}
	return out
}

func (b Binding) prefix(host string) string {
	scheme := b.Scheme
	if scheme == "" {
		scheme = "http"
	}
	path := "/"
	if base := strings.Trim(b.URLBase, "/"); base != "" {
		path = "/" + base + "/"
	}
	return scheme + "://" + host + ":" + strconv.Itoa(b.Port) + path
}
