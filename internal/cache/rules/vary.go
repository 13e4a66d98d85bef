package rules

import (
	"github.com/httpsys/httpsys/internal/wire/message"
)

// variesByAll says whether a Vary has the member *.
func variesByAll(fields []message.Field) bool {
	for i := range fields {
		if !EqualFold(fields[i].Name, "vary") {
			continue
		}
		for list := fields[i].Value; list != nil; {
			var m []byte
			if m, list = message.NextMember(list); len(m) == 1 && m[0] == '*' {
				return true
			}
		}
	}
	return false
}

// AppendVariant appends what distinguishes the request of a stored response from
// others: for each name in its Vary fields, the name in lower case, the normalised value, NUL each.
// A field that is not there is told apart from an empty one. Nothing is appended without
// Vary.
func AppendVariant(dst []byte, response, request []message.Field) []byte {
	for i := range response {
		if !EqualFold(response[i].Name, "vary") {
			continue
		}
		for list := response[i].Value; list != nil; {
			var m []byte
			if m, list = message.NextMember(list); len(m) == 0 {
				continue
			}
			for _, c := range m {
				dst = append(dst, lowerByte(c))
			}
			dst = append(dst, 0)
			dst = appendSelecting(dst, request, m)
			dst = append(dst, 0)
		}
	}
	return dst
}

// Selects says whether a request has the values of a variant (RFC 9111 4.1). It
// uses scratch, whose array it returns grown.
func Selects(variant []byte, request []message.Field, scratch []byte) (bool, []byte) {
	for len(variant) > 0 {
		n := indexZero(variant)
		name := variant[:n]
		variant = variant[n+1:]
		n = indexZero(variant)
		scratch = appendSelecting(scratch[:0], request, name)
		if string(scratch) != string(variant[:n]) {
			return false, scratch
		}
		variant = variant[n+1:]
	}
	return true, scratch
}

func indexZero(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return len(b)
}

// appendSelecting appends the values of all fields of a name as one list, without
// white space around the commas. Accept-Language, Accept-Encoding, Accept and Accept-Charset are in
// lower case: their grammar has no case. The order of members stays: applications prefer
// the first of equals.
func appendSelecting(dst []byte, request []message.Field, name []byte) []byte {
	lower := len(name) >= 6 && EqualFold(name[:6], "accept")
	first := true
	for i := range request {
		f := &request[i]
		if len(f.Name) != len(name) || !foldEqual(f.Name, name) {
			continue
		}
		if first {
			dst = append(dst, 1) // there is one
		} else {
			dst = append(dst, ',')
		}
		first = false
		dst = appendTight(dst, f.Value, lower)
	}
	return dst
}

// appendTight copies a value without the white space around commas outside of
// quoted-strings.
func appendTight(dst, value []byte, lower bool) []byte {
	quoted := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(value):
			dst = append(dst, c)
			i++
			c = value[i]
		case !quoted && (c == ' ' || c == '\t'):
			j := i
			for j < len(value) && (value[j] == ' ' || value[j] == '\t') {
				j++
			}
			if j == len(value) || value[j] == ',' || len(dst) > 0 && dst[len(dst)-1] == ',' {
				i = j - 1
				continue
			}
		case lower && !quoted:
			c = lowerByte(c)
		}
		dst = append(dst, c)
	}
	return dst
}
