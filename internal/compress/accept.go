package compress

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// accept gathers what the Accept-Encoding fields of a request say: weights in
// thousandths, by coding.
type accept struct {
	weight [codings]int16 // unsaid: not mentioned
	others int16          // of "*"
}

const unsaid = -1

// weights that are no number mean that nobody knows what the client takes.
const refused = 0

func newAccept() accept {
	return accept{weight: [codings]int16{unsaid, unsaid, unsaid, unsaid}, others: unsaid}
}

// add takes the value of one field. Members that are malformed or unknown are
// passed over: what they ask for is not done.
func (a *accept) add(value []byte) {
	for value != nil {
		var m []byte
		m, value = message.NextMember(value)
		name, weight := m, int16(1000)
		if i := bytes.IndexByte(m, ';'); i >= 0 {
			name = message.Trim(m[:i])
			weight = parseWeight(message.Trim(m[i+1:]))
		}
		switch {
		case len(name) == 1 && name[0] == '*':
			a.others = weight
		case message.EqualFold(name, "gzip"), message.EqualFold(name, "x-gzip"): // RFC 9110 8.4.1.3
			a.weight[Gzip] = weight
		case message.EqualFold(name, "br"):
			a.weight[Brotli] = weight
		case message.EqualFold(name, "zstd"):
			a.weight[Zstd] = weight
		case message.EqualFold(name, "identity"):
			a.weight[Identity] = weight
		}
	}
}

// best is the coding with the highest weight; of several, the one that we
// prefer. Content as it is stays acceptable to a client that does not mention it,
// and is what one gets that says nothing at all.
func (a *accept) best() Coding {
	best, most := Identity, max(a.weight[Identity], 1)
	for c := codings - 1; c > Identity; c-- { // the preferred one last
		w := a.weight[c]
		if w == unsaid {
			w = a.others
		}
		if w >= most {
			best, most = c, w
		}
	}
	return best
}

// parseWeight reads "q=0.5" (RFC 9110 12.4.2); anything else is a refusal.
func parseWeight(b []byte) int16 {
	if len(b) < 3 || b[0]|0x20 != 'q' || b[1] != '=' || len(b) > len("q=0.000") {
		return refused
	}
	digits := b[2:]
	if digits[0] != '0' && digits[0] != '1' || len(digits) > 1 && digits[1] != '.' {
		return refused
	}
	n, unit := int16(digits[0]-'0')*1000, int16(100)
	for _, c := range digits[min(2, len(digits)):] {
		if c < '0' || c > '9' {
			return refused
		}
		n += int16(c-'0') * unit
		unit /= 10
	}
	if n > 1000 {
		return refused
	}
	return n
}
