package rules

import (
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Range is a piece of a representation: the bytes First to Last, both
// included.
type Range struct{ First, Last int64 }

// Len is the number of bytes.
func (r Range) Len() int64 { return r.Last - r.First + 1 }

// maxRanges bounds how many ranges are served at once. Beyond that, or where
// they overlap much, a request gets the whole (RFC 9110 14.2): nobody honest asks so.
const maxRanges = 32

// Ranges are what a Range field asks of a representation of size bytes. ok is
// false where the field is to be ignored: another unit, a syntax error, too many. No range and ok means
// that none can be satisfied: 416. The result uses the array of dst.
func Ranges(value []byte, size int64, dst []Range) (rs []Range, ok bool) {
	const unit = "bytes="
	if len(value) <= len(unit) || !EqualFold(value[:len(unit)], unit) {
		return nil, false
	}
	rs = dst[:0]
	var sum int64
	specs := 0
	for list := value[len(unit):]; list != nil; {
		var spec []byte
		if spec, list = message.NextMember(list); len(spec) == 0 {
			continue
		}
		if specs++; specs > maxRanges {
			return nil, false
		}
		from, to, found := cutByte(spec, '-')
		if !found {
			return nil, false
		}
		first, ok1 := position(from)
		last, ok2 := position(to)
		switch {
		case len(from) == 0 && ok2: // the last bytes
			if last == 0 || size == 0 {
				continue
			}
			first, last = max(size-last, 0), size-1
		case ok1 && len(to) == 0:
			last = size - 1
		case ok1 && ok2:
			if last < first {
				return nil, false
			}
			last = min(last, size-1)
		default:
			return nil, false
		}
		if first >= size {
			continue
		}
		rs = append(rs, Range{first, last})
		sum += last - first + 1
	}
	if specs == 0 || len(rs) > 1 && sum > size {
		return nil, false
	}
	return rs, true
}

// position reads a number of bytes; one that is too large is the largest.
func position(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (1<<62)/10 {
			n = 1 << 62 // and stays so
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// contentRange reads the Content-Range of a 206 with one range whose length
// is known (RFC 9110 14.4).
func contentRange(fields []message.Field) (first, last, total int64, ok bool) {
	value, lines := only(fields, "content-range")
	const unit = "bytes "
	if lines != 1 || len(value) <= len(unit) || !EqualFold(value[:len(unit)], unit) {
		return 0, 0, 0, false
	}
	span, size, ok0 := cutByte(value[len(unit):], '/')
	from, to, ok1 := cutByte(span, '-')
	first, ok2 := position(from)
	last, ok3 := position(to)
	total, ok4 := position(size)
	return first, last, total, ok0 && ok1 && ok2 && ok3 && ok4 && first <= last && last < total
}
