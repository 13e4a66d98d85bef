package server

import (
	"fmt"
	"strings"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// firstFreePort is the first port on which any user may register what nobody
// has reserved: those below are for services of the machine, as everywhere
// on Unix.
const firstFreePort = 1024

// MayRegister says why peer may not register p, or nil if it may. The right
// comes from the longest reservation that is p or above it, in the same bucket
// (strong wildcard, host name, address, weak wildcard) of the same port; without
// one, from the port alone: but then a strong wildcard, which takes requests
// from all weaker buckets, must not take any that are reserved there for
// others. Administrators may register everything.
//
// A prefix that asks for a free port (port 0) is always allowed here: ask
// again with the port that it got.
func (s *Server) MayRegister(peer Peer, p prefix.Prefix) *channel.Error {
	if s.administrator(peer) || p.Port == 0 {
		return nil
	}
	at, grants, reserved := s.covering(p)
	if !reserved {
		if p.Port >= firstFreePort {
			return s.takesFromOthers(peer, p)
		}
		return errorf(channel.AccessDenied, "%s may not register %s: ports below %d need a reservation; an administrator must run: %s",
			peer, p, firstFreePort, control.ShellLine("httpsys", "add", "urlacl", "url="+p.String(), userArg(peer)))
	}
	who := newAccount(peer)
	allowed, denied := who.may(grants, listen)
	if allowed && !denied {
		return nil
	}
	if denied {
		return errorf(channel.AccessDenied, "%s may not register %s: the reservation %s forbids it with listen=no; an administrator must run: %s",
			peer, p, at, s.remedy(at, p, without(grants, &who), peer))
	}
	return errorf(channel.AccessDenied, "%s may not register %s: %s is reserved for %s; an administrator must run: %s",
		peer, p, at, describe(grants), s.remedy(at, p, grants, peer))
}

// takesFromOthers refuses a strong wildcard that nobody has reserved, if it
// would take requests that a reservation in a weaker bucket keeps for others.
// (On HTTP.SYS the question does not come up: there every registration needs a
// reservation.)
func (s *Server) takesFromOthers(peer Peer, p prefix.Prefix) *channel.Error {
	if p.Kind != prefix.Strong {
		return nil
	}
	s.mu.Lock()
	entries := s.state.URLACL // replaced, never changed in place
	s.mu.Unlock()
	who := newAccount(peer)
	for _, e := range entries {
		q, err := prefix.Parse(e.URL)
		if err != nil || q.Kind == prefix.Strong || q.Port != p.Port || !overlap(p.Path, q.Path) {
			continue
		}
		if allowed, denied := who.may(e.Grants, listen); !allowed || denied {
			return errorf(channel.AccessDenied,
				"%s may not register %s: it would take requests from %s, which is reserved for %s; an administrator must run: %s",
				peer, p, q, describe(e.Grants), control.ShellLine("httpsys", "add", "urlacl", "url="+p.String(), userArg(peer)))
		}
	}
	return nil
}

// overlap says whether one path is above the other, or they are the same.
// Case does not matter, as in all comparing of prefixes.
func overlap(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return strings.HasPrefix(strings.ToLower(b), strings.ToLower(a))
}

// mayReserve says why peer may not make, change or remove the reservation p:
// that is for whom the reservation above it grants delegate, and for
// administrators. A reservation gives no right over itself.
func (s *Server) mayReserve(peer Peer, verb string, p prefix.Prefix) *channel.Error {
	if s.administrator(peer) {
		return nil
	}
	at, r, ok := s.table.Parent(p)
	if !ok {
		return errorf(channel.AccessDenied, "%s may not %s the reservation %s: no reservation above it was delegated; that is for an administrator (%s)",
			peer, verb, p, s.administrators())
	}
	who := newAccount(peer)
	if allowed, _ := who.may(r.grants, delegate); allowed {
		return nil
	}
	return errorf(channel.AccessDenied, "%s may not %s the reservation %s: %s does not grant delegate to this user; that is for an administrator (%s)",
		peer, verb, p, at, s.administrators())
}

// covering returns a copy of the grants that decide about p.
func (s *Server) covering(p prefix.Prefix) (at prefix.Prefix, grants []config.Grant, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, r, ok := s.table.Reservation(p)
	if !ok {
		return at, nil, false
	}
	return at, r.grants, true // grants are replaced, never changed in place
}

func (s *Server) administrator(peer Peer) bool { return peer.UID == 0 || peer.UID == s.owner }

func (s *Server) administrators() string {
	if s.owner == 0 {
		return "root"
	}
	return "root or " + userName(s.owner)
}

// remedy is the command that lets peer register p, which the reservation at,
// with these grants, keeps from it.
func (s *Server) remedy(at, p prefix.Prefix, grants []config.Grant, peer Peer) string {
	if !at.Equal(p) {
		// A longer reservation takes its part out of the other one.
		return control.ShellLine("httpsys", "add", "urlacl", "url="+p.String(), userArg(peer))
	}
	args := []string{"httpsys", "update", "urlacl", "url=" + at.String()}
	return control.ShellLine(append(append(args, control.GrantArgs(grants)...), userArg(peer))...)
}

// without drops the grants that forbid who something.
func without(grants []config.Grant, who *account) []config.Grant {
	var rest []config.Grant
	for _, g := range grants {
		if g.Listen || !who.means(g) {
			rest = append(rest, g)
		}
	}
	return rest
}

// describe names those who have the right to listen; it stays one short line.
func describe(grants []config.Grant) string {
	const most = 5
	var names []string
	for _, g := range grants {
		switch {
		case !g.Listen:
		case g.User == config.Everyone:
			names = append(names, g.User)
		case g.User != "":
			names = append(names, "user "+g.User)
		default:
			names = append(names, "group "+g.Group)
		}
	}
	if len(names) == 0 {
		return "administrators"
	}
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}

// String names the caller for messages.
func (p Peer) String() string { return "user " + userName(p.UID) }

func userArg(peer Peer) string { return "user=" + userName(peer.UID) }
