package rules

import "github.com/httpsys/httpsys/internal/wire/message"

// Request is what a request says that concerns a cache. Values alias the
// head.
type Request struct {
	Head    bool // HEAD; else GET
	Control Control
	Fields  []message.Field

	Authorization, Cookie bool
	// IfMatch: it has a condition that is for the origin alone: If-Match or
	// If-Unmodified-Since (RFC 9111 4.3.2).
	IfMatch bool
	// Refused: there is a field that keeps the request away from the cache:
	// what an answer would mean is known to the application only.
	Refused bool

	IfNoneMatch, IfModifiedSince, Range, IfRange []byte // nil: not there
	Spread                                       bool   // If-None-Match in several lines: see conditional.go
}

// Conditional says whether the client holds a response that it asks about.
func (q *Request) Conditional() bool { return q.IfNoneMatch != nil || q.IfModifiedSince != nil }

// Parse fills q from the fields of a request, in one pass.
func (q *Request) Parse(head bool, fields []message.Field) {
	*q = Request{Head: head, Control: none, Fields: fields}
	noCache := false
	for i := range fields {
		f := &fields[i]
		switch len(f.Name) {
		case 5:
			if EqualFold(f.Name, "range") {
				q.Refused = q.Refused || q.Range != nil
				q.Range = f.Value
			}
		case 6:
			switch lowerByte(f.Name[0]) {
			case 'c':
				q.Cookie = q.Cookie || EqualFold(f.Name, "cookie")
			case 'p':
				if EqualFold(f.Name, "pragma") {
					noCache = noCache || message.HasToken(f.Value, "no-cache")
				}
			}
		case 8:
			switch {
			case EqualFold(f.Name, "if-match"):
				q.IfMatch = true
			case EqualFold(f.Name, "if-range"):
				q.Refused = q.Refused || q.IfRange != nil
				q.IfRange = f.Value
			}
		case 13:
			switch lowerByte(f.Name[0]) {
			case 'c':
				if EqualFold(f.Name, "cache-control") {
					q.Control.add(f.Value)
				}
			case 'i':
				if EqualFold(f.Name, "if-none-match") {
					q.Spread = q.Spread || q.IfNoneMatch != nil
					q.IfNoneMatch = f.Value
				}
			case 'a':
				q.Authorization = q.Authorization || EqualFold(f.Name, "authorization")
			}
		case 17:
			if EqualFold(f.Name, "if-modified-since") {
				q.Refused = q.Refused || q.IfModifiedSince != nil
				q.IfModifiedSince = f.Value
			}
		case 19:
			q.IfMatch = q.IfMatch || EqualFold(f.Name, "if-unmodified-since")
		}
	}
	// RFC 9111 5.4: Pragma counts where there is no Cache-Control.
	if noCache && !q.Control.Present {
		q.Control.NoCache = true
	}
}

// IsCondition says whether a field of a request makes it conditional on what
// the client holds. When a cache asks on its own behalf it leaves these out.
func IsCondition(name []byte) bool {
	return EqualFold(name, "if-none-match") || EqualFold(name, "if-modified-since")
}

// IsRange says whether a field makes a request one for a part.
func IsRange(name []byte) bool { return EqualFold(name, "range") || EqualFold(name, "if-range") }
