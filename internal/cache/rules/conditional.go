package rules

import "github.com/httpsys/httpsys/internal/wire/message"

// ValidTag says whether b is an entity-tag (RFC 9110 8.8.3).
func ValidTag(b []byte) bool {
	if len(b) > 2 && b[0] == 'W' && b[1] == '/' {
		b = b[2:]
	}
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return false
	}
	for _, c := range b[1 : len(b)-1] {
		if c == '"' || c < 0x21 || c == 0x7f {
			return false
		}
	}
	return true
}

// Weak says whether an entity-tag is weak.
func Weak(tag []byte) bool { return len(tag) > 1 && tag[0] == 'W' && tag[1] == '/' }

func opaqueTag(tag []byte) []byte {
	if Weak(tag) {
		return tag[2:]
	}
	return tag
}

// nextTag takes an entity-tag off a list of them. It is nil where the list is
// malformed.
func nextTag(list []byte) (tag, rest []byte) {
	for len(list) > 0 && (list[0] == ' ' || list[0] == '\t' || list[0] == ',') {
		list = list[1:]
	}
	i := 0
	if Weak(list) {
		i = 2
	}
	if i >= len(list) || list[i] != '"' {
		return nil, nil
	}
	for j := i + 1; j < len(list); j++ {
		if list[j] == '"' {
			return list[:j+1], list[j+1:]
		}
	}
	return nil, nil
}

// NamedWeak says whether If-None-Match names a strong entity-tag, but as a weak one: what such a client has is of
// the same meaning, and other bytes.
func NamedWeak(q *Request, tag []byte) bool {
	if len(tag) == 0 || Weak(tag) {
		return false
	}
	for i := range q.Fields {
		if q.IfNoneMatch == nil || !EqualFold(q.Fields[i].Name, "if-none-match") {
			continue
		}
		for list := q.Fields[i].Value; ; {
			var t []byte
			if t, list = nextTag(list); t == nil {
				break
			}
			if Weak(t) && string(t[2:]) == string(tag) {
				return true
			}
		}
	}
	return false
}

// NotModified says whether a stored response with this entity-tag (nil: none)
// and date answers the conditions of a request with 304 (RFC 9111 4.3.2, RFC
// 9110 13.2.2). modified is Last-Modified, or where there is none Date; 0: unknown.
func NotModified(q *Request, tag []byte, modified int64) bool {
	// 1. If-None-Match, by weak comparison; with it If-Modified-Since does not count.
	if q.IfNoneMatch != nil {
		if !q.Spread {
			return matchesAny(q.IfNoneMatch, tag)
		}
		for i := range q.Fields {
			if EqualFold(q.Fields[i].Name, "if-none-match") && matchesAny(q.Fields[i].Value, tag) {
				return true
			}
		}
		return false
	}
	// 2. If-Modified-Since.
	if q.IfModifiedSince == nil || modified == 0 {
		return false
	}
	since, ok := ParseDate(q.IfModifiedSince)
	return ok && modified <= since
}

func matchesAny(list, tag []byte) bool {
	if t := message.Trim(list); len(t) == 1 && t[0] == '*' {
		return true
	}
	if tag == nil {
		return false
	}
	for len(list) > 0 {
		var t []byte
		if t, list = nextTag(list); t == nil {
			return false
		}
		if string(opaqueTag(t)) == string(opaqueTag(tag)) {
			return true
		}
	}
	return false
}

// IfRangeHolds says whether the condition of a range request is met by a
// response with this entity-tag and Last-Modified: strong comparison, and a
// date must be the same and strong, so a minute or more before Date (RFC
// 9110 13.1.5, 8.8.2.2).
func IfRangeHolds(ifRange, tag []byte, modified, date int64) bool {
	if ifRange == nil {
		return true
	}
	if len(ifRange) > 0 && ifRange[0] == '"' {
		return tag != nil && !Weak(tag) && string(ifRange) == string(tag)
	}
	at, ok := ParseDate(ifRange)
	return ok && modified != 0 && at == modified && date-modified >= 60
}
