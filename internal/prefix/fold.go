package prefix

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// appendFold appends s with each character replaced by the representative of those that differ from it
// in case only (Unicode simple folding): two texts are equal without regard to case exactly
// if their folded texts are equal. Folded text is never longer.
func appendFold[T string | []byte](buf []byte, s T) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			buf = append(buf, c)
			i++
			continue
		}
		r, n := decodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			buf = append(buf, c) // not in canonical paths
		} else {
			buf = utf8.AppendRune(buf, foldRune(r))
		}
		i += n
	}
	return buf
}

func decodeRune[T string | []byte](s T) (rune, int) {
	switch s := any(s).(type) {
	case string:
		return utf8.DecodeRuneInString(s)
	case []byte:
		return utf8.DecodeRune(s)
	}
	panic("unreachable")
}

// foldRune returns the smallest of the characters that differ from r in case only, but lower case for
// ASCII. The smallest takes no more bytes than any other, which keeps folded text within the size of its source.
func foldRune(r rune) rune {
	least := r
	for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
		least = min(least, c)
	}
	if 'A' <= least && least <= 'Z' {
		least |= 0x20
	}
	return least
}

// hasPathPrefix tells whether path, with a slash at its end, begins with prefix, which ends in one, without regard to case.
func hasPathPrefix(path, prefix string) bool {
	p, q := string(appendFold(nil, path)), string(appendFold(nil, prefix))
	if !strings.HasSuffix(p, "/") {
		p += "/"
	}
	return strings.HasPrefix(p, q)
}
