package message

import "bytes"

// hostByte has the bytes of a reg-name (RFC 3986 3.2.2: unreserved and
// sub-delims) but for '%', which needs two digits behind it, and for ',': a
// proxy that joins two Host fields writes one, and there is no saying which of
// the two it meant.
var hostByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "-._~!$&'()*+;=" {
		t[c] = true
	}
	return t
}()

// ParseAuthority checks host[:port] (RFC 9110 7.2, RFC 3986 3.2 without
// userinfo) and returns it without an empty port. A host must be there. hasPort
// says whether a port is.
func ParseAuthority(b []byte) (authority []byte, hasPort, ok bool) {
	i := 0
	if len(b) > 0 && b[0] == '[' {
		if i = ipLiteralEnd(b); i < 0 {
			return nil, false, false
		}
	} else {
		for i < len(b) && (hostByte[b[i]] || b[i] == '%') {
			if b[i] == '%' {
				if i+2 >= len(b) || !isHex(b[i+1]) || !isHex(b[i+2]) {
					return nil, false, false
				}
				i += 2
			}
			i++
		}
		if i == 0 {
			return nil, false, false
		}
	}
	if i == len(b) {
		return b, false, true
	}
	if b[i] != ':' {
		return nil, false, false
	}
	if i+1 == len(b) {
		return b[:i], false, true
	}
	port := 0
	for _, c := range b[i+1:] {
		if c < '0' || c > '9' {
			return nil, false, false
		}
		if port = port*10 + int(c-'0'); port > 65535 {
			return nil, false, false
		}
	}
	return b, true, true
}

// ipLiteralEnd returns the index behind the ']' of an IPv6 literal, or -1. There is no
// zone in a URI of HTTP, and nobody has defined an IPvFuture.
func ipLiteralEnd(b []byte) int {
	i := bytes.IndexByte(b, ']')
	if i < 0 || !validIPv6(b[1:i]) {
		return -1
	}
	return i + 1
}

// validIPv6 says whether b is an IPv6address of RFC 3986 3.2.2.
func validIPv6(b []byte) bool {
	groups, gap, i := 0, false, 0
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, i = true, 2
	}
	for i < len(b) || !gap {
		start := i
		for i < len(b) && i-start < 4 && isHex(b[i]) {
			i++
		}
		if i == start {
			return false
		}
		if i < len(b) && b[i] == '.' {
			if !validIPv4(b[start:]) {
				return false
			}
			groups += 2
			break
		}
		groups++
		if i == len(b) {
			break
		}
		if b[i] != ':' || i+1 == len(b) {
			return false
		}
		if i++; b[i] == ':' {
			if gap {
				return false
			}
			gap = true
			if i++; i == len(b) {
				break
			}
		}
	}
	return gap && groups < 8 || !gap && groups == 8
}

func validIPv4(b []byte) bool {
	for octets := 1; ; octets++ {
		n, i := 0, 0
		for i < len(b) && i < 3 && '0' <= b[i] && b[i] <= '9' {
			n = n*10 + int(b[i]-'0')
			i++
		}
		if i == 0 || n > 255 || i > 1 && b[0] == '0' {
			return false
		}
		if i == len(b) {
			return octets == 4
		}
		if b[i] != '.' || octets == 4 {
			return false
		}
		b = b[i+1:]
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
