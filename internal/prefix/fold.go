package prefix

import (
	"unicode"
	"unicode/utf8"
)

// maxFolded is the length in bytes of the longest folded segment that Parse lets pass.
const maxFolded = MaxSegmentLength * utf8.UTFMax

// appendFold appends s with each character replaced by the one that stands for all that differ from it in
// case only (Unicode simple folding): two texts are equal without regard to case exactly if their
// folded texts are equal. Folded text is never longer than its source.
func appendFold(buf, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			buf = append(buf, lowerASCII(c))
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			buf = append(buf, c) // not in canonical paths
		} else {
			buf = utf8.AppendRune(buf, foldRune(r))
		}
		i += n
	}
	return buf
}

// foldRune returns the smallest of the characters that differ from r in case only, but lower case for
// ASCII. The smallest takes no more bytes than any other.
func foldRune(r rune) rune {
	least := r
	for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
		least = min(least, c)
	}
	if least < utf8.RuneSelf {
		return rune(lowerASCII(byte(least))) // the Kelvin sign and the long s have ASCII letters as partners
	}
	return least
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// foldClass is 0 for the bytes that folding leaves as they are.
var foldClass = func() (t [256]uint8) {
	for c := range t {
		if 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			t[c] = 1
		}
	}
	return t
}()
