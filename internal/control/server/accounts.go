package server

import (
	"os/user"
	"strconv"
	"strings"

	"github.com/httpsys/httpsys/internal/config"
)

// Names of users and groups are looked up whenever they matter and never
// remembered: whoever has the name now has the right. The look-ups are
// variables for the tests.
var (
	lookupUser  = func(name string) (string, error) { u, err := user.Lookup(name); return id(u, err) }
	lookupGroup = func(name string) (string, error) { g, err := user.LookupGroup(name); return gid(g, err) }
	lookupUID   = func(uid string) (string, error) { u, err := user.LookupId(uid); return name(u, err) }
)

func id(u *user.User, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func gid(g *user.Group, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

func name(u *user.User, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

// userName returns the name of a user, or its number if it has none (or one
// that could be taken for a number or for everyone).
func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	n, err := lookupUID(number)
	if err != nil || n == "" || isNumber(n) || strings.EqualFold(n, config.Everyone) {
		return number
	}
	return n
}

// UserName is userName for the engine's snapshot, so that a user is called the
// same everywhere.
func UserName(uid uint32) string { return userName(uid) }

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

type right int

const (
	listen right = iota
	delegate
)

// account is a caller whose groups are asked for at most once.
type account struct {
	peer   Peer
	groups []uint32
	asked  bool
}

func newAccount(peer Peer) account { return account{peer: peer} }

// may goes through the grants that mean the caller. One with listen=no forbids
// to listen, whatever the others say.
func (a *account) may(grants []config.Grant, r right) (allowed, denied bool) {
	for _, g := range grants {
		if r == delegate && !g.Delegate || !a.means(g) {
			continue
		}
		if r == listen && !g.Listen {
			denied = true
			continue
		}
		allowed = true
	}
	return allowed, denied
}

// means tells whether a grant is for the caller.
func (a *account) means(g config.Grant) bool {
	switch {
	case g.User == config.Everyone:
		return true
	case g.User != "":
		uid, ok := number(g.User, lookupUser)
		return ok && uid == a.peer.UID
	default:
		n, ok := number(g.Group, lookupGroup)
		return ok && a.in(n)
	}
}

func (a *account) in(group uint32) bool {
	if group == a.peer.GID {
		return true
	}
	if !a.asked && a.peer.Groups != nil {
		a.groups = a.peer.Groups()
	}
	a.asked = true
	for _, g := range a.groups {
		if g == group {
			return true
		}
	}
	return false
}

// number returns the number of an account that is given by name or number. A
// name that does not exist (any more) is nobody's.
func number(text string, lookup func(string) (string, error)) (uint32, bool) {
	if !isNumber(text) {
		found, err := lookup(text)
		if err != nil {
			return 0, false
		}
		text = found
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}
