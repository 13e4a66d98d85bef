package rules

import "github.com/httpsys/httpsys/internal/wire/message"

// Updates says whether a field of a 304, or of a response to HEAD, replaces the
// stored one (RFC 9111 3.2): all do but those that describe the bytes that are stored, and
// those that are never stored.
func Updates(name []byte) bool {
	switch {
	case EqualFold(name, "content-length"), EqualFold(name, "content-encoding"), EqualFold(name, "content-range"),
		EqualFold(name, "content-type"), EqualFold(name, "transfer-encoding"), EqualFold(name, "trailer"):
		return false
	}
	return Stored(name)
}

// Stored says whether a field is stored at all (RFC 9111 3.1): not if it is about a
// connection, about one exchange with a proxy, or for us alone. Age is not either: it is made anew.
func Stored(name []byte) bool {
	if ForUs(name) {
		return false
	}
	switch len(name) {
	case 2:
		return !EqualFold(name, "te")
	case 3:
		return !EqualFold(name, "age")
	case 7:
		return !EqualFold(name, "upgrade")
	case 10:
		return !EqualFold(name, "connection") && !EqualFold(name, "keep-alive")
	case 12:
		return !EqualFold(name, "cache-status")
	case 16:
		return !EqualFold(name, "proxy-connection")
	case 17:
		return !EqualFold(name, "transfer-encoding")
	case 18:
		return !EqualFold(name, "proxy-authenticate")
	case 19:
		return !EqualFold(name, "proxy-authorization") && !EqualFold(name, "proxy-authentication-info")
	case 25:
		return !EqualFold(name, "proxy-authentication-info")
	}
	return true
}

// Names says whether a list of field names, such as Verdict.Drop, has name.
func Names(list, name []byte) bool { return len(list) > 0 && names(list, name) }

// Validating says whether a field goes with a 304 (RFC 9110 15.4.5): the ones
// that the RFC names, and the ones about how to store and show it. The others
// describe a representation that the client has already.
func Validating(name []byte) bool {
	switch len(name) {
	case 4:
		return EqualFold(name, "date") || EqualFold(name, "etag") || EqualFold(name, "vary")
	case 6:
		return EqualFold(name, "server")
	case 7:
		return EqualFold(name, "expires")
	case 13:
		return EqualFold(name, "cache-control") || EqualFold(name, "last-modified")
	case 16:
		return EqualFold(name, "content-location")
	}
	return false
}

// Same says whether a response to HEAD can describe a stored one (RFC 9111
// 4.3.5): no validator that both have differs, and neither does the length.
func Same(head []message.Field, tag []byte, modified, length int64) bool {
	if v, ok := get(head, "etag"); ok && tag != nil && string(v) != string(tag) {
		return false
	}
	if v, ok := get(head, "last-modified"); ok && modified != 0 {
		if at, ok := ParseDate(v); !ok || at != modified {
			return false
		}
	}
	if v, ok := get(head, "content-length"); ok {
		if n, ok := message.ParseLength(v); !ok || n != length {
			return false
		}
	}
	return true
}
