package h1

import "github.com/httpsys/httpsys/internal/wire/message"

// part is where in a head or trailer section a scanner stands.
type part uint8

const (
	inBlank  part = iota // before the request line
	inMethod             //
	inTarget             //
	inVersion
	inLine  // at the start of a field line or of the empty line
	inName  // in a field name
	inValue // behind its colon
)

// scanner goes over the lines of a head once. When the bytes end it remembers
// where, so that a client that sends byte by byte costs no more than one that
// does not, and bytes that can never become valid are found when they arrive.
// It does not remember what it found: the fields of many heads share one
// array, so a head that arrived in pieces is read a second time when it is complete.
type scanner struct {
	at     uint32 // bytes looked at
	line   uint32 // where the field line, or the element of the request line, starts
	fields uint32
	part   part
	blank  uint8 // empty lines before the request line
}

func (s *scanner) fresh() bool { return s.at == 0 }

// wait remembers that b was looked at up to i.
func (s *scanner) wait(p part, line, i int) {
	s.part, s.line, s.at = p, uint32(line), uint32(i)
}

// fieldLines scans field lines up to and including the empty line and returns
// the index behind it, or 0 if b ends before. With keep, which needs a scanner
// that has not stopped within these lines, it appends the fields to dst.
//
// A line that is both too long and malformed is the one that its bytes make it
// first, so that the answer does not depend on how they arrive.
func (s *scanner) fieldLines(b []byte, i int, dst []message.Field, keep bool, l *Limits) ([]message.Field, int, *Error) {
	line, colon := int(s.line), 0
	p := s.part
	for {
		switch p {
		case inLine:
			line = i
			if i == len(b) {
				s.wait(inLine, line, i)
				return dst, 0, nil
			}
			if b[i] == '\r' {
				if i+1 == len(b) {
					s.wait(inLine, line, i)
					return dst, 0, nil
				}
				if b[i+1] != '\n' {
					return dst, 0, ErrCRLF
				}
				return dst, i + 2, nil
			}
			if int(s.fields) == l.Fields {
				return dst, 0, ErrFields
			}
			fallthrough
		case inName:
			i = message.TokenEnd(b, i)
			if i-line > l.Field {
				return dst, 0, ErrFieldLength
			}
			if i == len(b) {
				s.wait(inName, line, i)
				return dst, 0, nil
			}
			if b[i] != ':' || i == line {
				return dst, 0, nameError(b, line, i)
			}
			colon = i
			i++
			fallthrough
		case inValue:
			i = message.ValueEnd(b, i)
			if i-line > l.Field {
				return dst, 0, ErrFieldLength
			}
			if i == len(b) || b[i] == '\r' && i+1 == len(b) {
				s.wait(inValue, line, i)
				return dst, 0, nil
			}
			if b[i] != '\r' || b[i+1] != '\n' {
				if b[i] == '\r' || b[i] == '\n' {
					return dst, 0, ErrCRLF
				}
				return dst, 0, ErrValue
			}
			if keep {
				dst = append(dst, message.Field{Name: b[line:colon], Value: message.Trim(b[colon+1 : i])})
			}
			s.fields++
			i += 2
			p = inLine
		}
	}
}

// nameError says what is wrong with the byte b[i] that ended a field name.
func nameError(b []byte, line, i int) *Error {
	switch c := b[i]; {
	case c == '\r' || c == '\n':
		return ErrCRLF
	case i == line && (c == ' ' || c == '\t'):
		return ErrFold
	}
	return ErrName
}
