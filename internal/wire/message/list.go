package message

import "bytes"

// NextMember takes the first member off a comma-separated list (RFC 9110
// 5.6.1), without white space around it. Empty members are returned as such;
// the list is at its end when rest is nil.
func NextMember(list []byte) (member, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return Trim(list[:i]), list[i+1:]
	}
	return Trim(list), nil
}

// HasToken says whether a comma-separated list has the token, which must be in
// lower case, in any case. Parameters of a member (";q=0.5") are left out.
func HasToken(list []byte, token string) bool {
	for list != nil {
		var m []byte
		m, list = NextMember(list)
		if i := bytes.IndexByte(m, ';'); i >= 0 {
			m = Trim(m[:i])
		}
		if EqualFold(m, token) {
			return true
		}
	}
	return false
}
