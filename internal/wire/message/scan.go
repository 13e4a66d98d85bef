package message

import (
	"encoding/binary"
	"math/bits"
)

// token has the bytes of RFC 9110 5.6.2: tchar.
var token = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// IsToken says whether c may stand in a token: a method or a field name.
func IsToken(c byte) bool { return token[c] }

// Words of eight equal bytes, for looking at eight bytes at once. For a word
// x and a byte value v, (x - v*ones) &^ x & tops has the top bit of each byte
// below v (v ≤ 0x80), exact up to the lowest such byte: a borrow can only
// mislead above a true one. The same with x ^ v*ones and 1 finds bytes equal to v.
const (
	ones  = 0x0101010101010101
	tops  = 0x8080808080808080
	lower = 0x2020202020202020
)

// TokenEnd returns the index of the first byte of b at or after i that may not
// stand in a token, or len(b).
func TokenEnd(b []byte, i int) int {
	for i < len(b) && token[b[i]] {
		i++
	}
	return i
}

// ValueEnd returns the index of the first byte of b at or after i that may not
// stand in a field value or a reason phrase: a control other than TAB (RFC
// 9110 5.5). It returns len(b) if there is none.
func ValueEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ 0x7f*ones
		stop := ((x-0x20*ones)&^x | (del-ones)&^del) & tops
		if stop == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(stop) >> 3
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x20 && c != '\t' || c == 0x7f {
			break
		}
	}
	return i
}

// TargetEnd returns the index of the first byte of b at or after i that may
// not stand in a request target: white space, controls, bytes above 0x7e and
// '#'. It returns len(b) if there is none.
//
// RFC 3986 excludes a few visible characters more, among them '"', '<', '|' and
// '\'. Browsers send them, and none of them can change where a target ends.
func TargetEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		del, hash := x^0x7f*ones, x^'#'*ones
		stop := (x | (x-0x21*ones)&^x | (del-ones)&^del | (hash-ones)&^hash) & tops
		if stop == 0 {
			i += 8
			continue
		}
		return i + bits.TrailingZeros64(stop)>>3
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x21 || c > 0x7e || c == '#' {
			break
		}
	}
	return i
}

// ValidName says whether b is a field name.
func ValidName(b []byte) bool { return len(b) > 0 && TokenEnd(b, 0) == len(b) }

// ValidValue says whether b may be a field value. White space around it is no
// part of a value, but not refused here: see Trim.
func ValidValue(b []byte) bool { return ValueEnd(b, 0) == len(b) }

// Trim returns b without the optional white space around it (RFC 9110 5.6.3).
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// EqualFold says whether b is s but for the case of ASCII letters. s must be in
// lower case.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// ParseLength reads a Content-Length: digits only, at most 2⁶³−1 (RFC 9110 8.6).
func ParseLength(b []byte) (int64, bool) {
	const most = 1<<63 - 1
	if len(b) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		d := c - '0'
		if d > 9 || n > most/10 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	return int64(n), n <= most
}
