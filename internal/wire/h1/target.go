package h1

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/wire/message"
)

var (
	slash    = []byte("/")
	asterisk = []byte("*")
)

// parseTarget splits the target by its form (RFC 9112 3.2). Its bytes have been
// checked by message.TargetEnd.
func (r *Request) parseTarget() *Error {
	t := r.Target
	r.Scheme, r.Authority, r.Path, r.Query = nil, nil, nil, nil
	if len(t) > 0 && t[0] == '/' && r.Method[0] != 'C' {
		r.originForm(t) // nearly all requests
		return nil
	}
	switch {
	case len(t) == 0:
		return ErrURL
	case string(r.Method) == "CONNECT":
		// 3.2.3; RFC 9110 9.3.6: the port is mandatory.
		authority, hasPort, ok := message.ParseAuthority(t)
		if !ok || !hasPort {
			return ErrURL
		}
		r.Authority = authority
		return nil
	case t[0] == '/':
		r.originForm(t)
		return nil
	case string(t) == "*":
		// 3.2.4: for OPTIONS only. The preface of HTTP/2 has this form too, and
		// is told apart by its version.
		if string(r.Method) != "OPTIONS" && string(r.Method) != "PRI" {
			return ErrURL
		}
		r.Path = t
		return nil
	}
	return r.absoluteForm(t)
}

func (r *Request) originForm(t []byte) {
	r.Path = t
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		r.Path, r.Query = t[:i], t[i+1:]
	}
}

// absoluteForm reads http://authority[path][?query] (3.2.2). Other schemes are
// for proxies.
func (r *Request) absoluteForm(t []byte) *Error {
	i := bytes.IndexByte(t, ':')
	if i < 0 || !message.EqualFold(t[:i], "http") && !message.EqualFold(t[:i], "https") ||
		!bytes.HasPrefix(t[i:], []byte("://")) {
		return ErrURL
	}
	rest := t[i+3:]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, _, ok := message.ParseAuthority(rest[:end])
	if !ok {
		return ErrHost
	}
	r.Scheme, r.Authority = t[:i], authority
	switch rest = rest[end:]; {
	case len(rest) == 0 && string(r.Method) == "OPTIONS":
		r.Path = asterisk // 3.2.4: what a proxy would make of it
	case len(rest) == 0:
		r.Path = slash
	case rest[0] == '/':
		r.originForm(rest)
	default:
		// A query right behind the authority is valid. A slash in it is where
		// others begin the path, so that is refused, as HTTP.SYS does.
		if bytes.IndexByte(rest, '/') >= 0 {
			return ErrURL
		}
		r.Path, r.Query = slash, rest[1:]
	}
	return nil
}
