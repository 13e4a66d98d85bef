package h2

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Request is the head of an HTTP/2 request.
//
// In the message.Request, Target is :path, or :authority for CONNECT; Scheme
// is :scheme; Fields are the fields of the client in its order, with cookie crumbs joined
// (RFC 9113 8.2.3). ContentLength is 0 if the stream ended with the head, and for CONNECT.
type Request struct {
	message.Request
	// Protocol is :protocol of an extended CONNECT (RFC 8441), else nil. Target
	// and Path are then those of an ordinary request.
	Protocol []byte
	// Connect: what follows in DATA is a tunnel once a 2xx response was sent,
	// and no content.
	Connect bool
}

// head gathers a header block.
type head struct {
	batch    *batch
	limits   *Limits
	first    int // of its fields in batch.fields
	size     int // RFC 9113 6.5.2
	trailers bool

	bad  *Error // malformed: the first reason
	long *Error // beyond the limits
	bomb bool

	method, scheme, authority, path, protocol []byte
	host, length, expect, priority            []byte
	pseudo                                    uint8 // bit for each pseudo-header field that was there
	regular                                   bool  // a field that is not pseudo was there
	te                                        bool
	hosts, lengths, cookies                   int
}

func (h *head) malformed(e *Error) {
	if h.bad == nil {
		h.bad = e
	}
}

// add takes one field.
func (h *head) add(name, value []byte, c class) {
	h.size += len(name) + len(value) + entryOverhead
	if h.size > h.limits.Head {
		h.long = ErrHeadLength
		h.bomb = h.size/bombFactor > h.limits.Head
		return
	}
	if c >= classMethod {
		h.addPseudo(value, c)
		return
	}
	h.regular = true
	switch c {
	case classRegular:
	case classCookie:
		h.cookies++
	case classHost:
		h.host = value
		h.hosts++
	case classLength:
		h.length = value
		h.lengths++
	case classTE:
		// 8.2.2: nothing but trailers.
		if !message.EqualFold(value, "trailers") {
			h.malformed(ErrTE)
		}
		h.te = true
	case classExpect:
		h.expect = value
	case classPriority:
		h.priority = value
	case classTrailer:
	case classConnection:
		h.malformed(ErrConnectionField)
		return
	case classBadValue:
		h.malformed(ErrValue)
		return
	default:
		h.malformed(ErrName)
		return
	}
	if h.trailers && (c != classRegular && c != classCookie && c != classPriority) {
		h.malformed(ErrTrailerName)
	}
	if len(h.batch.fields)-h.first >= h.limits.Fields || len(value) > h.limits.Field {
		h.long = ErrHeadLength
		return
	}
	h.batch.fields = append(h.batch.fields, message.Field{Name: name, Value: value})
}

// addPseudo follows RFC 9113 8.3: defined ones, each once, before all others.
func (h *head) addPseudo(value []byte, c class) {
	bit := uint8(1) << (c - classMethod)
	switch {
	case h.trailers:
		h.malformed(ErrTrailerPseudo)
	case c == classUnknownPseudo || h.pseudo&bit != 0:
		h.malformed(ErrPseudo)
	case h.regular:
		h.malformed(ErrPseudoOrder)
	}
	h.pseudo |= bit
	switch c {
	case classMethod:
		h.method = value
	case classScheme:
		h.scheme = value
	case classAuthority:
		h.authority = value
	case classPath:
		h.path = value
	case classProtocol:
		h.protocol = value
	}
}

func (h *head) has(c class) bool { return h.pseudo>>(c-classMethod)&1 != 0 }

// request settles what the fields mean together and fills in r. An error with
// a status is for a request that is well formed.
func (h *head) request(r *Request, ended bool) *Error {
	if h.bad != nil {
		return h.bad
	}
	if h.long != nil {
		// What was left out may be what makes the rest valid, so nothing is
		// said of it. Still HEAD gets no content.
		*r = Request{Request: message.Request{Method: h.method, Version: 20}}
		return h.long
	}
	if e := h.target(r); e != nil {
		return e
	}
	r.Version = 20
	r.Upgrade = false
	r.AcceptTrailers = h.te

	// RFC 9110 8.6, RFC 9113 8.1.1.
	r.ContentLength = -1
	if ended {
		r.ContentLength = 0
	}
	switch {
	case h.lengths > 1:
		return ErrLength // RFC 9110 lets us take equal ones; we do not, as in HTTP/1
	case h.lengths == 1:
		n, ok := message.ParseLength(h.length)
		switch {
		case !ok:
			return ErrLength
		case r.Connect:
			return ErrConnect // RFC 9110 9.3.6: CONNECT has no content
		case ended && n != 0:
			return ErrTooShort
		}
		r.ContentLength = n
	case r.Connect:
		r.ContentLength = 0
	}
	r.ExpectContinue = !ended && !r.Connect && h.expect != nil && message.HasToken(h.expect, "100-continue")
	if h.cookies > 1 {
		h.joinCookies()
	}
	fields := h.batch.fields
	r.Fields = fields[h.first:len(fields):len(fields)]
	return nil
}

// target checks the pseudo-header fields of a request (RFC 9113 8.3.1, 8.5, RFC 8441 4).
func (h *head) target(r *Request) *Error {
	if !h.has(classMethod) {
		return ErrPseudoMissing
	}
	if len(h.method) == 0 || len(h.method) > maxMethod || message.TokenEnd(h.method, 0) != len(h.method) {
		return ErrMethod
	}
	r.Method = h.method
	r.Protocol = nil
	r.Connect = string(h.method) == "CONNECT"
	extended := h.has(classProtocol)
	if extended && !h.batch.shared.ExtendedConnect {
		return ErrPseudo
	}
	if extended && (!r.Connect || !message.ValidName(h.protocol)) {
		return ErrConnect
	}

	// The authority: RFC 9113 8.3.1, RFC 9110 7.2.
	r.Authority = nil
	var host []byte
	if h.hosts > 1 {
		return ErrHost
	}
	if h.hosts == 1 {
		a, _, ok := message.ParseAuthority(h.host)
		if !ok {
			return ErrHost
		}
		host, r.Authority = a, a
	}
	hasPort := false
	if h.has(classAuthority) {
		a, port, ok := message.ParseAuthority(h.authority)
		if !ok {
			return ErrHost
		}
		if h.hosts == 1 && !bytes.EqualFold(a, host) {
			return ErrHostDiffers // whoever routes by the one and serves by the other is fooled
		}
		hasPort, r.Authority = port, a
	}
	if r.Authority == nil {
		return ErrHost
	}

	if r.Connect && !extended {
		// 8.5: :authority with a port, and nothing else.
		if h.has(classScheme) || h.has(classPath) || !h.has(classAuthority) || !hasPort {
			return ErrConnect
		}
		r.Target, r.Scheme, r.Path, r.Query = h.authority, nil, nil, nil
		return nil
	}
	if !h.has(classScheme) || !h.has(classPath) || extended && !h.has(classAuthority) {
		return ErrPseudoMissing
	}
	// The scheme need not be that of the connection: a proxy that ends TLS may
	// say what its client asked for. Nobody spells it with capitals who means it well.
	if string(h.scheme) != "https" && string(h.scheme) != "http" {
		return ErrScheme
	}
	r.Scheme = h.scheme
	r.Protocol = h.protocol

	t := h.path
	if len(t) > h.limits.Target {
		return ErrURLLength
	}
	if len(t) == 0 || message.TargetEnd(t, 0) != len(t) {
		return ErrPath
	}
	r.Target, r.Path, r.Query = t, t, nil
	if t[0] != '/' {
		if string(t) != "*" || string(h.method) != "OPTIONS" {
			return ErrPath
		}
		return nil
	}
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		r.Path, r.Query = t[:i], t[i+1:]
	}
	return nil
}

// joinCookies makes one field of the crumbs, in the place of the first (RFC
// 9113 8.2.3): applications know cookies by one field.
func (h *head) joinCookies() {
	fields := h.batch.fields[h.first:]
	text := h.batch.reserve(h.limits.Head)
	var joined *message.Field
	kept := fields[:0]
	for _, f := range fields {
		if string(f.Name) != "cookie" {
			kept = append(kept, f)
			continue
		}
		if joined != nil {
			text = append(text, "; "...)
		}
		text = append(text, f.Value...)
		if joined == nil {
			kept = append(kept, f)
			joined = &kept[len(kept)-1]
		}
	}
	joined.Value = text[:len(text):len(text)]
	h.batch.keep(text)
	h.batch.fields = h.batch.fields[:h.first+len(kept)]
}

// trailer settles a trailer section.
func (h *head) trailer() ([]message.Field, *Error) {
	if h.bad != nil {
		return nil, h.bad
	}
	if h.long != nil {
		return nil, ErrTrailersLong
	}
	fields := h.batch.fields
	return fields[h.first:len(fields):len(fields)], nil
}
