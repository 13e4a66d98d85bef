package h1

import "github.com/httpsys/httpsys/internal/wire/message"

// The places in a chunked body (RFC 9112 7.1):
//
//	chunk     = 1*HEXDIG *( ";" name [ "=" ( token / quoted ) ] ) CRLF data CRLF
//	last      = as a chunk of size 0, but instead of data CRLF the trailer section
//
// The grammar of the RFC has "bad white space" around ';' and '=' besides, which
// no sender may make. Recipients are known to differ about it (some refuse it,
// some end the size there), so that it is refused.
const (
	chunkSize    = bodyChunked + iota // first digit
	chunkDigits                       // further digits
	extStart                          // behind ';'
	extName                           //
	extValue                          // behind '='
	extToken                          //
	extQuoted                         //
	extEscape                         // behind '\' in a quoted string
	extQuotedEnd                      // behind the closing quote
	chunkLF                           // behind the CR of the size line
	chunkData
	chunkDataCR
	chunkDataLF
	bodyTrailers
)

const (
	// maxDigits is enough for any size and few enough for no overflow; the sign
	// is checked apart.
	maxDigits = 16
	// maxExtension bounds the extensions of one chunk, as in Node; and maxExcess
	// those of a body: together they may be that much longer than a sixteenth of the
	// content. Nobody uses them but to sign chunks, and as an attack: bytes that cost us
	// work and count as no content anywhere (RFC 9112 7.1.1).
	maxExtension = 16384
	maxExcess    = 3 * maxExtension
	excessRate   = 16
)

// chunked takes framing until the end of buf or of the body, and at most one
// piece of content. Framing behind the content is taken with it, so that
// the end of a body is seen together with its last piece.
func (b *Body) chunked(buf []byte) (data []byte, n int, err *Error) {
	for i := 0; ; {
		switch b.state {
		case bodyDone:
			return data, i, nil
		case bodyTrailers:
			k, err := b.trailers(buf[i:])
			return data, i + k, err
		}
		if i == len(buf) {
			return data, i, nil
		}
		c := buf[i]
		switch b.state {
		case chunkData:
			if data != nil {
				return data, i, nil
			}
			k := len(buf) - i
			if int64(k) > b.left {
				k = int(b.left)
			}
			data = buf[i : i+k : i+k]
			i += k
			if b.left -= int64(k); b.left == 0 {
				b.state = chunkDataCR
			}
			continue
		case chunkDataCR:
			if c != '\r' {
				return data, i, ErrChunkEnd
			}
			b.state = chunkDataLF
		case chunkDataLF:
			if c != '\n' {
				return data, i, ErrChunkEnd
			}
			b.state = chunkSize
		case chunkSize, chunkDigits:
			d := hexDigit[c]
			if d < 0 {
				if b.state == chunkSize {
					return data, i, ErrChunkSize
				}
				b.digits, b.extension = 0, 0
				switch c {
				case '\r':
					b.state = chunkLF
				case ';':
					b.state = extStart
				default:
					return data, i, ErrChunkSize
				}
				break
			}
			b.left = b.left<<4 | int64(d)
			if b.digits++; b.digits > maxDigits || b.left < 0 {
				return data, i, ErrChunkSize
			}
			b.state = chunkDigits
		case chunkLF:
			if c != '\n' {
				return data, i, ErrCRLF
			}
			if b.left == 0 {
				b.state, b.lines = bodyTrailers, scanner{part: inLine}
				break
			}
			b.state = chunkData
			b.excess -= uint16(min(int64(b.excess), b.left/excessRate))
		default:
			b.excess++
			if b.extension++; b.excess > maxExcess || b.extension > maxExtension {
				return data, i, ErrChunkExtLong
			}
			next := b.inExtension(c)
			if next == bodyDone {
				return data, i, ErrChunkExt
			}
			b.state = next
		}
		i++
	}
}

// extension takes a byte of a chunk extension and returns the next state, or
// bodyDone if the byte cannot stand there.
func (b *Body) inExtension(c byte) bodyState {
	switch s := b.state; s {
	case extStart:
		if message.IsToken(c) {
			return extName
		}
	case extValue:
		switch {
		case c == '"':
			return extQuoted
		case message.IsToken(c):
			return extToken
		}
	case extQuoted:
		switch {
		case c == '"':
			return extQuotedEnd
		case c == '\\':
			return extEscape
		case isText(c):
			return s
		}
	case extEscape:
		if isText(c) {
			return extQuoted
		}
	case extName, extToken, extQuotedEnd:
		switch {
		case c == ';':
			return extStart
		case c == '\r':
			return chunkLF
		case s == extName && c == '=':
			return extValue
		case s != extQuotedEnd && message.IsToken(c):
			return s
		}
	}
	return bodyDone
}

func isText(c byte) bool { return c >= 0x20 && c != 0x7f || c == '\t' }

// trailers takes the trailer section and the empty line behind it, when all of
// it is there.
func (b *Body) trailers(buf []byte) (int, *Error) {
	t := buf
	if len(t) > b.limits.Head {
		t = t[:b.limits.Head]
	}
	whole := b.lines.fresh()
	fields, n, e := b.lines.fieldLines(t, int(b.lines.at), b.Trailers, whole, b.limits)
	if n == 0 {
		if e == nil && len(buf) >= b.limits.Head {
			e = ErrTrailerLength
		}
		return 0, e
	}
	if !whole {
		b.lines = scanner{part: inLine}
		fields, n, _ = b.lines.fieldLines(t, 0, b.Trailers, true, b.limits)
	}
	b.Trailers = fields
	for _, f := range b.Trailers {
		if message.ForbiddenInTrailers(f.Name) {
			return 0, ErrTrailerName
		}
	}
	b.state = bodyDone
	return n, nil
}

// hexDigit is the value of a hexadecimal digit, or -1.
var hexDigit = func() (t [256]int8) {
	for c := range t {
		switch c := byte(c); {
		case '0' <= c && c <= '9':
			t[c] = int8(c - '0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			t[c] = int8(c|0x20-'a') + 10
		default:
			t[c] = -1
		}
	}
	return t
}()
