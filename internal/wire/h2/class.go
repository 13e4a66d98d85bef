package h2

import "github.com/httpsys/httpsys/internal/wire/message"

// class is what a field means in a head. It is found once for each entry of
// a table, so that a field that is sent by its index costs no check.
type class uint8

const (
	classRegular class = iota
	classCookie
	classHost
	classLength
	classTE
	classExpect
	classPriority
	classTrailer // forbidden in trailers, else regular: Trailer, Max-Forwards

	classBadName // malformed, whatever the value
	classBadValue
	classConnection // malformed: it belongs to HTTP/1 (RFC 9113 8.2.2)

	classMethod // from here on pseudo-header fields
	classScheme
	classAuthority
	classPath
	classProtocol
	classUnknownPseudo
)

// classOf finds the class of a field by its name.
func classOf(name []byte) class {
	if len(name) == 0 {
		return classBadName
	}
	if name[0] == ':' {
		switch string(name) {
		case ":method":
			return classMethod
		case ":scheme":
			return classScheme
		case ":authority":
			return classAuthority
		case ":path":
			return classPath
		case ":protocol":
			return classProtocol
		}
		return classUnknownPseudo
	}
	for _, c := range name {
		if !message.IsToken(c) || 'A' <= c && c <= 'Z' {
			return classBadName
		}
	}
	switch message.KnownOf(name) {
	case message.Connection, message.KeepAlive, message.ProxyConnection, message.TransferEncoding, message.Upgrade:
		return classConnection
	case message.Host:
		return classHost
	case message.ContentLength:
		return classLength
	case message.TE:
		return classTE
	case message.Expect:
		return classExpect
	case message.Trailer, message.MaxForwards:
		return classTrailer
	}
	switch string(name) {
	case "cookie":
		return classCookie
	case "priority":
		return classPriority
	}
	return classRegular
}

// withValue refines the class of a name by a value.
func (c class) withValue(value []byte) class {
	if !validValue(value) && c != classBadName && c != classConnection {
		return classBadValue
	}
	return c
}

// validValue follows RFC 9113 8.2.1: no white space around a value. Controls
// but TAB are refused, as in HTTP/1.
func validValue(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if first, last := b[0], b[len(b)-1]; first == ' ' || first == '\t' || last == ' ' || last == '\t' {
		return false
	}
	return message.ValidValue(b)
}
