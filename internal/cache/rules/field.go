package rules

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// EqualFold says whether b is s but for the case of ASCII letters; s is in
// lower case.
func EqualFold(b []byte, s string) bool { return message.EqualFold(b, s) }

// foldEqual compares two names without case.
func foldEqual(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// get returns the value of the first field of a name, in lower case.
func get(fields []message.Field, name string) ([]byte, bool) {
	for i := range fields {
		if EqualFold(fields[i].Name, name) {
			return fields[i].Value, true
		}
	}
	return nil, false
}

// only returns the value of a field that may be there once; several lines are
// like none that can be understood.
func only(fields []message.Field, name string) (value []byte, lines int) {
	for i := range fields {
		if EqualFold(fields[i].Name, name) {
			if lines == 0 {
				value = fields[i].Value
			}
			lines++
		}
	}
	return value, lines
}

// seconds reads a delta-seconds (RFC 9111 1.2.2): too large a number is the
// largest.
func seconds(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > MaxDelta {
			n = MaxDelta
		}
	}
	return n, true
}

// MaxDelta is the largest number of seconds that is told apart (RFC 9111
// 1.2.2): 68 years.
const MaxDelta = 1<<31 - 1

// unquote takes the quotes off a quoted-string, with the backslashes left in.
func unquote(b []byte) ([]byte, bool) {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		return b[1 : len(b)-1], true
	}
	return b, false
}

// nextMember takes a member off a list in which commas may stand in
// quoted-strings.
func nextMember(list []byte) (member, rest []byte) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return message.Trim(list[:i]), list[i+1:]
		}
	}
	return message.Trim(list), nil
}

// names says whether a comma-separated list of field names has name.
func names(list, name []byte) bool {
	for list != nil {
		var m []byte
		m, list = message.NextMember(list)
		if len(m) > 0 && foldEqual(m, name) {
			return true
		}
	}
	return false
}

// cutByte is bytes.Cut at one byte, with white space around it left off only
// behind it: "max-age =1" names no directive that we know.
func cutByte(b []byte, c byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}
