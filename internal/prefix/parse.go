package prefix

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a prefix. The two for segments are HTTP.SYS's (UrlSegmentMaxLength and
// UrlSegmentMaxCount); that for the whole keeps what one registration may cost small.
const (
	MaxLength        = 4096 // bytes of the text
	MaxSegments      = 255  // path segments
	MaxSegmentLength = 260  // characters of a path segment
)

// A ParseError says what is wrong with the text of a prefix and what to write instead.
type ParseError struct {
	Input  string
	Reason string // completes the sentence "prefix … "
}

func (e *ParseError) Error() string {
	in := e.Input
	if len(in) > 100 {
		in = strings.ToValidUTF8(in[:100], "") + "…"
	}
	return fmt.Sprintf("prefix %q %s", in, e.Reason)
}

// Parse takes the text of a URL prefix apart:
//
//	scheme "://" host ":" port "/" [ path "/" ]
//
// The scheme is http, https, tcp or tls, in lower case; the last two are for connections that are not HTTP, and
// their path is "/". A prefix of scheme tcp has no host name, except localhost. The host is "+", "*", a name, an IPv4 address, or an IPv6
// address in brackets. The port is a decimal number without leading zeros, never left out; 0 asks for a
// free port (see Prefix.WithPort). The path ends in a slash.
//
// A name may be written in Unicode or in its ASCII form ("xn--…"); HTTP.SYS takes the former only. It is
// kept as lower-case A-labels (RFC 5891), without a dot at its end, as it comes in Host fields.
//
// The path is ordinary Unicode text: it may hold spaces, and letters of any script. Percent escapes are
// decoded as in a request (see Canonical), so that both "/base path/" and "/base%20path/" mean one thing;
// in HTTP.SYS an escape in a prefix is literal text, which no request could match. Backslashes, empty
// segments and dot segments are refused rather than tidied up: who writes one expects something else.
func Parse(s string) (Prefix, error) {
	p, reason := parse(s)
	if reason != "" {
		return Prefix{}, &ParseError{Input: s, Reason: reason}
	}
	return p, nil
}

func parse(s string) (p Prefix, reason string) {
	if len(s) > MaxLength {
		return p, fmt.Sprintf("is longer than %d bytes", MaxLength)
	}
	if !utf8.ValidString(s) {
		return p, "is not UTF-8"
	}
	if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
		return p, fmt.Sprintf("has a control character at byte %d", i)
	}

	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return p, "has no scheme: it begins with http:// or https://"
	}
	if p.Scheme = schemes[scheme]; p.Scheme == 0 {
		if lower := strings.ToLower(scheme); schemes[lower] != 0 {
			return p, fmt.Sprintf("has its scheme in upper case: write %q", lower+"://"+rest)
		}
		return p, fmt.Sprintf("has the scheme %q: only http, https, tcp and tls can be registered", scheme)
	}

	slash := strings.IndexAny(rest, `/\?#`)
	if slash < 0 {
		if _, _, _, reason := splitAuthority(p.Scheme, rest); reason != "" {
			return p, reason
		}
		return p, fmt.Sprintf("does not end in a slash: write %q", s+"/")
	}
	if rest[slash] == '\\' {
		return p, fmt.Sprintf("has a backslash: write %q", strings.ReplaceAll(s, `\`, "/"))
	}
	p.Host, p.Kind, p.Port, reason = splitAuthority(p.Scheme, rest[:slash])
	if reason != "" {
		return p, reason
	}
	if p.Kind == 0 {
		if p.Host, p.Kind, p.Addr, reason = parseHost(p.Host); reason != "" {
			return p, reason
		}
	}
	if p.Path, reason = parsePath(s, rest[slash:]); reason != "" || !p.Scheme.Raw() {
		return p, reason
	}
	switch {
	case p.Path != "/":
		return p, fmt.Sprintf("has a path, and connections of the scheme %s have none: write %q", p.Scheme, s[:len(s)-len(rest)+slash]+"/")
	case p.Scheme == TCP && p.Kind == Explicit && p.Host != "localhost":
		return p, fmt.Sprintf("has the host %q, which no client of the scheme tcp would tell: write \"+\", an address, or localhost", p.Host)
	}
	return p, ""
}

// splitAuthority cuts "host:port". The kind is 0 if the host is not a wildcard.
func splitAuthority(scheme Scheme, authority string) (host string, kind Kind, port uint16, reason string) {
	if strings.Contains(authority, "@") {
		return "", 0, 0, "has user information: leave out what is before the @"
	}
	var after string
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return "", 0, 0, "has an opening bracket in its host and no closing one"
		}
		host, after = authority[:end+1], authority[end+1:]
	} else {
		if _, err := netip.ParseAddr(authority); err == nil && strings.Count(authority, ":") > 1 {
			return "", 0, 0, `has an IPv6 address without brackets: write it like "[2001:db8::1]:80"`
		}
		end := strings.IndexByte(authority, ':')
		if end < 0 {
			end = len(authority)
		}
		host, after = authority[:end], authority[end:]
	}
	if host == "" {
		return "", 0, 0, `has no host: write a name, an address, "+" for every host, or "*" for those that nobody else takes`
	}
	if after == "" || after == ":" {
		usual := 80
		if scheme != HTTP {
			usual = map[Scheme]int{HTTPS: 443, TCP: 9000, TLS: 9443}[scheme]
		}
		return "", 0, 0, fmt.Sprintf("has no port: write %q", fmt.Sprintf("%s://%s:%d/", scheme, host, usual))
	}
	if after[0] != ':' {
		return "", 0, 0, fmt.Sprintf("has %q between its host and its port", after)
	}
	number := after[1:]
	if strings.Contains(number, ":") {
		return "", 0, 0, "has more than one colon after its scheme: an IPv6 address stands in brackets"
	}
	for _, c := range []byte(number) {
		if c < '0' || c > '9' {
			return "", 0, 0, fmt.Sprintf("has the port %q: a port is a number from 1 to 65535, or 0 for a free one", number)
		}
	}
	if number[0] == '0' && number != "0" {
		return "", 0, 0, fmt.Sprintf("has the port %q: write it without leading zeros", number)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return "", 0, 0, fmt.Sprintf("has the port %s: the highest is 65535", number)
	}
	switch host { // constants, since a piece of the text would keep all of it in memory
	case "+":
		host, kind = "+", Strong
	case "*":
		host, kind = "*", Weak
	}
	return host, kind, uint16(n), ""
}

// parsePath returns the canonical form of a path, which begins with a slash. s is the whole text.
func parsePath(s, path string) (canonicalPath, reason string) {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return "", fmt.Sprintf("has %q in its path: a prefix has no query and no fragment", path[i])
	}
	if strings.Contains(path, `\`) {
		return "", fmt.Sprintf("has a backslash: write %q", strings.ReplaceAll(s, `\`, "/"))
	}
	if strings.Contains(path, "//") {
		return "", "has an empty path segment: write one slash, not two"
	}
	if !strings.HasSuffix(path, "/") {
		return "", fmt.Sprintf("does not end in a slash: write %q", s+"/")
	}
	c, err := canonical(nil, []byte(path), true)
	switch err {
	case nil:
	case ErrEscape:
		return "", "has a percent sign that no two hexadecimal digits follow: write a percent sign as %25"
	case ErrControl:
		return "", "has an escaped control character"
	case ErrEncoding:
		return "", "has escaped bytes that are not UTF-8"
	case ErrAboveRoot:
		return "", "has a dot segment: write the path without it"
	default:
		return "", err.Error()
	}
	// The escapes of U+0080 to U+009F are no control bytes, but what they stand
	// for is refused when it is written as it is, so that a prefix can be parsed
	// again from its text.
	if strings.ContainsFunc(string(c), unicode.IsControl) {
		return "", "has an escaped control character"
	}
	// In a path that ends in a slash each segment has a slash behind it, and
	// canonical takes that away with a dot segment, escaped or not.
	if strings.Count(path, "/") != strings.Count(string(c), "/") {
		return "", "has a dot segment: write the path without it"
	}
	segments := strings.Split(string(c[1:]), "/")
	segments = segments[:len(segments)-1]
	if len(segments) > MaxSegments {
		return "", fmt.Sprintf("has more than %d path segments", MaxSegments)
	}
	for _, seg := range segments {
		if utf8.RuneCountInString(seg) > MaxSegmentLength {
			return "", fmt.Sprintf("has a path segment of more than %d characters", MaxSegmentLength)
		}
	}
	return string(c), ""
}
