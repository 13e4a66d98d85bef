package message

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

// ipLiteralEnd returns the index behind the ']' of an IP literal, or -1. It
// takes the characters of an IPv6 address (no zone: RFC 9110 4.2.1 has none);
// whether they are an address is for the one who routes by it.
func ipLiteralEnd(b []byte) int {
	colons := 0
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == ':':
			colons++
		case c == ']':
			if colons < 2 {
				return -1
			}
			return i + 1
		case !isHex(c) && c != '.':
			return -1
		}
	}
	return -1
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
