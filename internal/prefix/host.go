package prefix

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// Bounds of a name (RFC 1035, 2.3.4; 253 is what 255 bytes on the wire are as text).
const (
	maxName  = 253
	maxLabel = 63
)

// parseHost tells what the host part of a prefix is, if it is not a wildcard.
func parseHost(text string) (host string, kind Kind, addr netip.Addr, reason string) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", 0, addr, fmt.Sprintf("has the host %s, which is not an IPv6 address", text)
		}
		return bound(addr)
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return bound(addr)
	}
	if strings.ContainsAny(text, "+*") {
		return "", 0, addr, fmt.Sprintf("has a wildcard in the host %q: \"+\" or \"*\" stands alone", text)
	}
	name, reason := parseName(text)
	return name, Explicit, addr, reason
}

// bound makes the host of an IP-bound prefix.
func bound(addr netip.Addr) (host string, kind Kind, _ netip.Addr, reason string) {
	addr = addr.Unmap()
	if addr.IsUnspecified() {
		return "", 0, addr, fmt.Sprintf(`is bound to %s, on which no connection arrives: write "*" for every address`, addr)
	}
	host = addr.String()
	if addr.Is6() {
		host = "[" + host + "]"
	}
	return host, IPBound, addr, ""
}

// parseName returns a host name as it comes in Host fields.
func parseName(text string) (name, reason string) {
	name = text
	ascii := strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0
	if lower := strings.ToLower(text); ascii && !strings.HasPrefix(lower, "xn--") && !strings.Contains(lower, ".xn--") {
		name = lower
	} else {
		// Plain ASCII names stay away from here: the profile refuses underscores and "--" in
		// third place, which names on private networks and of content networks do have.
		var err error
		if name, err = idna.Lookup.ToASCII(text); err != nil {
			return "", fmt.Sprintf("has the host %q, which is not an internationalised name (%s)",
				text, strings.TrimPrefix(err.Error(), "idna: "))
		}
	}
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxName {
		return "", fmt.Sprintf("has a host name of more than %d characters", maxName)
	}
	var label string
	for rest, more := name, true; more; {
		label, rest, more = strings.Cut(rest, ".")
		switch {
		case label == "":
			return "", fmt.Sprintf("has the host %q with nothing between two dots", text)
		case len(label) > maxLabel:
			return "", fmt.Sprintf("has a host name with a part of more than %d characters", maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return "", fmt.Sprintf("has the host %q with a hyphen at the edge of a part", text)
		}
		for _, c := range []byte(label) {
			if nameClass[c] == 0 {
				return "", fmt.Sprintf("has the host %q, in which %q cannot stand", text, c)
			}
		}
	}
	// A name whose last part is a number is read as an address by clients
	// (RFC 3986, 7.4; WHATWG URL, 3.5): it could never be asked for by that name.
	if isNumber(label) {
		return "", fmt.Sprintf("has the host %q, which is neither a name nor an address", text)
	}
	return strings.Clone(name), "" // else it could keep the text it was cut from in memory
}

func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// nameClass says which bytes stand in the labels of a name, and which of those are in upper case.
var nameClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			t[c] = inName
		case 'A' <= c && c <= 'Z':
			t[c] = inName | upperCase
		}
	}
	return t
}()

const (
	inName uint8 = 1 << iota
	upperCase
)

// cutName returns the name in the authority of a request, without its port and without a dot at its end, and whether
// it is in lower case already. It returns nil for what can be no name in a prefix, such as an IPv6 address.
func cutName(authority []byte) (name []byte, lower bool) {
	var class uint8
	end := 0
	for ; end < len(authority); end++ {
		c := authority[end]
		class |= nameClass[c]
		if nameClass[c] != 0 || c == '.' {
			continue
		}
		if c == ':' {
			break
		}
		return nil, false
	}
	if end > 0 && authority[end-1] == '.' {
		end--
	}
	return authority[:end], class&upperCase == 0
}

// appendLower appends a name in lower case.
func appendLower(buf, name []byte) []byte {
	for _, c := range name {
		buf = append(buf, lowerASCII(c))
	}
	return buf
}
