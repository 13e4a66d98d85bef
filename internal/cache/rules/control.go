package rules

import (
	"github.com/httpsys/httpsys/internal/wire/message"
)

// None is the value of a directive that is not there.
const None = -1

// Control is what Cache-Control, or a field in its place, says. Numbers are
// seconds, or None.
type Control struct {
	Present bool // a field was there and could be read

	NoStore, NoCache, Private, Public, MustRevalidate, ProxyRevalidate bool
	MustUnderstand, NoTransform, OnlyIfCached, UntilFlushed            bool

	MaxAge, SMaxAge, MaxStale, MinFresh, StaleWhileRevalidate, StaleIfError int64

	// NoCacheFields and PrivateFields are lists of field names: with one, the
	// directive concerns those fields only.
	NoCacheFields, PrivateFields []byte
}

// none is a Control that says nothing.
var none = Control{MaxAge: None, SMaxAge: None, MaxStale: None, MinFresh: None, StaleWhileRevalidate: None, StaleIfError: None}

// ParseControl reads all Cache-Control fields (RFC 9111 5.2).
func ParseControl(fields []message.Field) Control {
	c := none
	for i := range fields {
		if len(fields[i].Name) == len("cache-control") && EqualFold(fields[i].Name, "cache-control") {
			c.add(fields[i].Value)
		}
	}
	return c
}

// add reads one field line. Of directives that are there twice the first
// counts (4.2.1).
func (c *Control) add(list []byte) {
	c.Present = true
	for list != nil {
		var m []byte
		m, list = nextMember(list)
		name, value, has := cutByte(m, '=')
		c.directive(name, value, has)
	}
}

// directive takes one directive. A number that cannot be read is 0 where that
// errs to the safe side, since 4.2.1 asks to take such a response for stale.
func (c *Control) directive(name, value []byte, has bool) {
	arg, quoted := unquote(value)
	number := func(to *int64, bad int64) {
		if *to != None {
			return
		}
		n, ok := seconds(arg)
		if !ok || !has {
			n = bad
		}
		*to = n
	}
	switch len(name) {
	case 6:
		if EqualFold(name, "public") {
			c.Public = true
		}
	case 7:
		switch {
		case EqualFold(name, "max-age"):
			number(&c.MaxAge, 0)
		case EqualFold(name, "private"):
			if has && quoted && len(arg) > 0 && !c.Private {
				c.PrivateFields = join(c.PrivateFields, arg)
			} else {
				c.Private, c.PrivateFields = true, nil
			}
		}
	case 8:
		switch {
		case EqualFold(name, "no-store"):
			c.NoStore = true
		case EqualFold(name, "no-cache"):
			if has && quoted && len(arg) > 0 && !c.NoCache {
				c.NoCacheFields = join(c.NoCacheFields, arg)
			} else {
				c.NoCache, c.NoCacheFields = true, nil
			}
		case EqualFold(name, "s-maxage"):
			number(&c.SMaxAge, 0)
		}
	case 9:
		switch {
		case EqualFold(name, "max-stale"):
			if c.MaxStale == None && !has {
				c.MaxStale = MaxDelta // any staleness
			} else {
				number(&c.MaxStale, 0)
			}
		case EqualFold(name, "min-fresh"):
			number(&c.MinFresh, MaxDelta)
		}
	case 12:
		if EqualFold(name, "no-transform") {
			c.NoTransform = true
		}
	case 13:
		if EqualFold(name, "until-flushed") {
			c.UntilFlushed = true
		}
	case 14:
		switch {
		case EqualFold(name, "only-if-cached"):
			c.OnlyIfCached = true
		case EqualFold(name, "stale-if-error"):
			number(&c.StaleIfError, 0)
		}
	case 15:
		switch {
		case EqualFold(name, "must-revalidate"):
			c.MustRevalidate = true
		case EqualFold(name, "must-understand"):
			c.MustUnderstand = true
		}
	case 16:
		if EqualFold(name, "proxy-revalidate") {
			c.ProxyRevalidate = true
		}
	case 22:
		if EqualFold(name, "stale-while-revalidate") {
			number(&c.StaleWhileRevalidate, 0)
		}
	}
}

// join makes one list of two.
func join(a, b []byte) []byte {
	if a == nil {
		return b
	}
	return append(append(append(make([]byte, 0, len(a)+len(b)+1), a...), ','), b...)
}
