package prefix

import (
	"bytes"
	"unicode/utf8"
)

// A PathError says why a request path is refused. Its client gets 400 (Invalid URL).
type PathError string

// The reasons for which Canonical refuses a path.
const (
	ErrNotAbsolute PathError = "path does not start with a slash"
	ErrEscape      PathError = "path has a percent sign that no two hexadecimal digits follow"
	ErrControl     PathError = "path has a control character"
	ErrDelimiter   PathError = "path has a space, a question mark or a number sign that is not escaped"
	ErrEncoding    PathError = "path has bytes that are not UTF-8"
	ErrAboveRoot   PathError = "path leads above the root"
)

func (e PathError) Error() string { return string(e) }

// Canonical returns the one spelling of a request path that routing, rights and
// cache keys agree on. raw is the path of the request target, without its query.
//
// Percent escapes are decoded, once; a backslash becomes a slash; "." and ".."
// segments, also escaped ones, are removed (RFC 3986, 5.2.4), and ".." above
// the root is an error. Upper and lower case are kept: it is the comparison that
// ignores case. Empty segments ("//") are kept, because applications see them.
//
// Some escapes stay, in upper case, because the text would mean something else
// without them:
//
//   - %2F and %5C: an escaped slash is a character of a segment for the
//     application, so it must not become a boundary between segments here;
//   - %25, %3F, %23: what was decoded once must not look like something to
//     decode again, like a query, or like a fragment;
//   - bytes that are not UTF-8. HTTP.SYS reads those in the code page of the
//     system; we accept what Windows-1252 has characters for, as bytes without
//     a meaning, so that an overlong %C0%AF never turns into a slash.
//
// Thus two paths have the same canonical form only if they name the same
// resource, and the canonical form of a canonical path is the path itself.
//
// Refused are control characters, raw or escaped (0x00–0x1F, 0x7F); a space, "?" or "#"
// that is not escaped; "%" without two hexadecimal digits. That includes %uXXXX,
// which HTTP.SYS decodes by default: RFC 3986 does not know it, and an
// application that parses the target by the RFC would fail on it.
//
// If there is nothing to change, path is raw itself. Otherwise it is built in the
// capacity of dst, or in new memory if len(raw) bytes do not fit; dst and raw
// must not overlap. path is never longer than raw.
func Canonical(dst, raw []byte) (path []byte, err error) {
	return canonical(dst, raw, false)
}

// canonical is Canonical for requests and for prefixes. The difference: in the
// path of a prefix a space may stand unescaped, since it is not sent on a wire.
func canonical(dst, raw []byte, spaces bool) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '/' {
		return nil, ErrNotAbsolute
	}
	high := -1 // where the first non-ASCII byte is
	for i, c := range raw {
		switch pathClass[c] {
		case plain:
		case dot:
			if raw[i-1] == '/' && isDotSegment(raw[i:]) {
				return rewrite(dst, raw, spaces)
			}
		case space:
			if !spaces {
				return nil, ErrDelimiter
			}
		case nonASCII:
			if high < 0 {
				high = i
			}
		default:
			return rewrite(dst, raw, spaces)
		}
	}
	if high >= 0 && !utf8.Valid(raw[high:]) {
		return nil, ErrEncoding
	}
	return raw, nil
}

// The classes of bytes in a path.
const (
	plain    = iota // stands for itself
	dot             // may begin a dot segment
	space           // allowed in prefixes
	nonASCII        // part of a UTF-8 sequence
	change          // "%" or backslash: the path has to be rewritten
	delim           // "?", "#": never raw
	control         // never
)

var pathClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c < 0x20 || c == 0x7F:
			t[c] = control
		case c >= 0x80:
			t[c] = nonASCII
		}
	}
	t['.'], t[' '], t['%'], t['\\'], t['?'], t['#'] = dot, space, change, change, delim, delim
	return t
}()

// isDotSegment tells whether s, which begins a segment, begins with a "." or ".."
// segment that is spelt without escapes.
func isDotSegment(s []byte) bool {
	n := 1
	if len(s) > 1 && s[1] == '.' {
		n = 2
	}
	return len(s) == n || s[n] == '/'
}

// rewrite builds the canonical form of a path that begins with a slash.
func rewrite(dst, raw []byte, spaces bool) ([]byte, error) {
	out := dst[:0]
	if cap(out) < len(raw) {
		out = make([]byte, 0, len(raw)) // no byte ever becomes more than it was
	}
	out = append(out, '/')
	seg := 1 // where the last segment begins in out
	for i := 1; i < len(raw); {
		if c := raw[i]; c == '/' || c == '\\' {
			i++
			n, slash, err := closeSegment(out, seg)
			if err != nil {
				return nil, err
			}
			if out = out[:n]; slash {
				out = append(out, '/')
			}
			seg = len(out)
			continue
		}
		c, n, err := unit(raw[i:])
		if err != nil {
			return nil, err
		}
		switch pathClass[c] {
		case control:
			return nil, ErrControl
		case nonASCII:
			if out, n, err = sequence(out, raw[i:]); err != nil {
				return nil, err
			}
		case space:
			if n == 1 && !spaces {
				return nil, ErrDelimiter
			}
			out = append(out, c)
		case delim:
			if n == 1 {
				return nil, ErrDelimiter
			}
			out = appendEscape(out, c)
		case change:
			out = appendEscape(out, c) // only escapes come here: a raw backslash ended a segment
		default:
			if c == '/' {
				out = appendEscape(out, c)
			} else {
				out = append(out, c)
			}
		}
		i += n
	}
	n, _, err := closeSegment(out, seg)
	if err != nil {
		return nil, err
	}
	return out[:n], nil
}

// closeSegment looks at the last segment of out, which begins at seg. It returns how
// much of out stays, and whether the slash after the segment stays too.
func closeSegment(out []byte, seg int) (keep int, slash bool, err error) {
	switch s := out[seg:]; {
	case len(s) == 1 && s[0] == '.':
		return seg, false, nil
	case len(s) == 2 && s[0] == '.' && s[1] == '.':
		if seg == 1 {
			return 0, false, ErrAboveRoot
		}
		return bytes.LastIndexByte(out[:seg-1], '/') + 1, false, nil
	}
	return len(out), true, nil
}

// unit returns the first byte that s stands for, and how many bytes of s it takes: 1 or 3.
func unit(s []byte) (c byte, n int, err error) {
	if s[0] != '%' {
		return s[0], 1, nil
	}
	if len(s) < 3 || unhex[s[1]]|unhex[s[2]] > 15 {
		return 0, 0, ErrEscape
	}
	return unhex[s[1]]<<4 | unhex[s[2]], 3, nil
}

// sequence appends the character that s begins with, whose first byte is not ASCII,
// and returns how many bytes of s it takes. Its bytes may be escaped or not.
func sequence(out, s []byte) (_ []byte, taken int, err error) {
	var char [utf8.UTFMax]byte
	have, first := 0, 0
	for taken < len(s) && have < len(char) {
		c, n, err := unit(s[taken:])
		if err != nil || c < utf8.RuneSelf {
			break // an error is found again when its turn comes
		}
		char[have] = c
		have++
		taken += n
		if have == 1 {
			first = n
		}
		if utf8.FullRune(char[:have]) {
			break
		}
	}
	if _, size := utf8.DecodeRune(char[:have]); size > 1 {
		return append(out, char[:size]...), taken, nil
	}
	if first == 1 {
		return nil, 0, ErrEncoding
	}
	switch char[0] {
	case 0x81, 0x8D, 0x8F, 0x90, 0x9D: // Windows-1252 has no character here
		return nil, 0, ErrEncoding
	}
	return appendEscape(out, char[0]), first, nil
}

func appendEscape(out []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(out, '%', hex[c>>4], hex[c&15])
}

// unhex is the value of a hexadecimal digit, 0xFF for other bytes.
var unhex = func() (t [256]uint8) {
	for c := range t {
		switch {
		case '0' <= c && c <= '9':
			t[c] = uint8(c - '0')
		case 'a' <= c && c <= 'f':
			t[c] = uint8(c-'a') + 10
		case 'A' <= c && c <= 'F':
			t[c] = uint8(c-'A') + 10
		default:
			t[c] = 0xFF
		}
	}
	return t
}()
