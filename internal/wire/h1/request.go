package h1

import (
	"encoding/binary"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Request is the head of an HTTP/1 request.
type Request struct {
	message.Request
	// KeepAlive: the client lets the connection be used for another request.
	// False for CONNECT, since what follows a refused CONNECT may be bytes that
	// were meant for the tunnel.
	KeepAlive bool
	Chunked   bool

	limits *Limits // that the head was parsed with; they hold for the trailers too
}

// HeadParser finds request heads in the bytes of one connection. The zero value
// is ready.
type HeadParser struct{ scanner }

// Started says whether a byte of a request has been seen. Empty lines before
// it do not count.
func (p *HeadParser) Started() bool { return p.part != inBlank }

// Parse reads a request head from buf, which holds all bytes received and not
// consumed yet, and returns how many bytes it takes. While the head is
// incomplete it returns 0 and no error, and must be called with the same bytes
// and more.
//
// What r holds is valid only if n > 0.
func (p *HeadParser) Parse(buf []byte, r *Request, l *Limits) (n int, err error) {
	b := buf
	if len(b) > l.Head {
		b = b[:l.Head]
	}
	if int(p.at) > len(b) {
		return 0, ErrHeadLength // the limit was lowered meanwhile
	}
	whole := p.fresh()
	n, e := p.head(b, r, whole, l)
	if n == 0 {
		if e == nil && len(buf) >= l.Head {
			e = ErrHeadLength
			if p.part == inTarget {
				e = ErrURLLength
			}
		}
		return 0, asError(e)
	}
	if !whole {
		p.scanner = scanner{}
		if n, e = p.head(b, r, true, l); e != nil {
			return 0, e
		}
	}
	p.scanner = scanner{}
	r.limits = l
	if e = r.interpret(l.NoHost); e != nil {
		return 0, e
	}
	return n, nil
}

// head goes over the lines of a head; with keep it fills in r.
func (p *HeadParser) head(b []byte, r *Request, keep bool, l *Limits) (int, *Error) {
	i, line := int(p.at), int(p.line)
	switch p.part {
	case inBlank:
		// RFC 9112 2.2: ignore an empty line or so before the request line.
		for i < len(b) && b[i] == '\r' && i+1 < len(b) {
			if b[i+1] != '\n' {
				return 0, ErrCRLF
			}
			if p.blank == maxBlankLines {
				return 0, ErrBlankLines
			}
			p.blank++
			i += 2
		}
		if i == len(b) || b[i] == '\r' {
			p.wait(inBlank, i, i)
			return 0, nil
		}
		line = i
		fallthrough
	case inMethod:
		i = message.TokenEnd(b, i)
		if i-line > maxMethod {
			return 0, ErrVerbLength
		}
		if i == len(b) {
			p.wait(inMethod, line, i)
			return 0, nil
		}
		if b[i] != ' ' || i == line {
			if b[i] == '\n' || b[i] == '\r' {
				return 0, ErrCRLF
			}
			return 0, ErrVerb
		}
		i++
		line = i
		fallthrough
	case inTarget:
		i = message.TargetEnd(b, i)
		if i-line > l.Target {
			return 0, ErrURLLength
		}
		if i == len(b) {
			p.wait(inTarget, line, i)
			return 0, nil
		}
		if b[i] != ' ' {
			return 0, ErrURL
		}
		r.Method = b[2*int(p.blank) : line-1]
		r.Target = b[line:i]
		if e := r.parseTarget(); e != nil {
			return 0, e
		}
		i++
		line = i
		fallthrough
	case inVersion:
		if len(b)-line >= 10 && binary.LittleEndian.Uint64(b[line:]) == http11 &&
			b[line+8] == '\r' && b[line+9] == '\n' && b[2*int(p.blank)] != 'P' {
			r.Version = 11
		} else {
			for ; i < len(b) && i-line < len(versionLine); i++ {
				if !versionByte(b[i], i-line) {
					if i-line >= len("HTTP/1.1") {
						return 0, ErrCRLF
					}
					return 0, ErrRequestLine
				}
			}
			if i-line < len(versionLine) {
				p.wait(inVersion, line, i)
				return 0, nil
			}
			switch major := b[line+5]; {
			case major == '0':
				return 0, ErrRequestLine // HTTP/0.9 has no version in its request line
			case major == '2' && isPRI(b[2*int(p.blank):]):
				return 0, ErrPreface
			case major != '1':
				return 0, ErrVersion
			case isPRI(b[2*int(p.blank):]):
				return 0, ErrURL
			}
			// RFC 9110 2.5: a higher minor version is for us what we know.
			if r.Version = 11; b[line+7] == '0' {
				r.Version = 10
			}
		}
		i = line + len(versionLine)
		p.part = inLine
	}
	if keep {
		r.Fields = r.Fields[:0]
	}
	var n int
	var e *Error
	r.Fields, n, e = p.fieldLines(b, i, r.Fields, keep, l)
	return n, e
}

// isPRI says whether a request line is that of the HTTP/2 preface but for the
// version. parseTarget lets it through, so that it can be told from rubbish.
func isPRI(line []byte) bool { return len(line) >= 6 && string(line[:6]) == "PRI * " }

// versionLine is the end of a request line; 'd' stands for a digit.
const versionLine = "HTTP/d.d\r\n"

func versionByte(c byte, i int) bool {
	if want := versionLine[i]; want != 'd' {
		return c == want
	}
	return '0' <= c && c <= '9'
}

var http11 = binary.LittleEndian.Uint64([]byte("HTTP/1.1"))

// interpret settles what the fields mean together: host, framing, connection.
func (r *Request) interpret(noHost bool) *Error {
	var host, length, coding []byte
	hosts, lengths, codings := 0, 0, 0
	closing, keep, upgradeOption, upgrade := false, false, false, false
	r.ExpectContinue, r.AcceptTrailers = false, false
	for i := range r.Fields {
		f := &r.Fields[i]
		switch message.KnownOf(f.Name) {
		case message.Host:
			host = f.Value
			hosts++
		case message.ContentLength:
			length = f.Value
			lengths++
		case message.TransferEncoding:
			coding = f.Value
			codings++
		case message.Connection:
			for list := f.Value; list != nil; {
				var m []byte
				m, list = message.NextMember(list)
				switch len(m) {
				case len("close"):
					closing = closing || message.EqualFold(m, "close")
				case len("keep-alive"):
					keep = keep || message.EqualFold(m, "keep-alive")
				case len("upgrade"):
					upgradeOption = upgradeOption || message.EqualFold(m, "upgrade")
				}
			}
		case message.Upgrade:
			upgrade = upgrade || len(f.Value) > 0
		case message.Expect:
			r.ExpectContinue = r.ExpectContinue || message.HasToken(f.Value, "100-continue")
		case message.TE:
			r.AcceptTrailers = r.AcceptTrailers || message.HasToken(f.Value, "trailers")
		}
	}
	connect := string(r.Method) == "CONNECT"

	// RFC 9112 3.2: exactly one valid Host in HTTP/1.1, even where the target
	// brings its own authority (3.2.2). In HTTP/1.0 there may be none.
	if hosts > 1 || hosts == 0 && r.Version >= 11 && !noHost {
		return ErrHost
	}
	if hosts == 1 {
		authority, _, ok := message.ParseAuthority(host)
		if !ok {
			return ErrHost
		}
		if len(r.Authority) == 0 {
			r.Authority = authority
		}
	}

	// RFC 9112 6.3, for a request.
	r.ContentLength, r.Chunked = 0, false
	switch {
	case codings > 0 && r.Version < 11:
		return ErrCoding10 // 6.1: faulty framing, an HTTP/1.0 proxy may have passed it on
	case codings > 0 && lengths > 0:
		return ErrCodingLength // 6.1, 11.2: an attempt at request smuggling
	case codings > 1:
		return ErrCodingOrder // 7.1: chunked is applied once
	case codings == 1:
		if e := checkCoding(coding); e != nil {
			return e
		}
		r.ContentLength, r.Chunked = -1, true
	case lengths > 1:
		return ErrLength // 6.3 item 5 lets us take equal ones; we do not
	case lengths == 1:
		n, ok := message.ParseLength(length)
		if !ok {
			return ErrLength
		}
		r.ContentLength = n
	}
	// RFC 9110 9.3.6: a CONNECT request has no content, and what would follow
	// its head is the tunnel's.
	if connect && r.ContentLength != 0 {
		return ErrConnectBody
	}

	// RFC 9112 9.3, RFC 9110 7.8 and 10.1.1; HTTP/1.0 has neither Upgrade nor Expect.
	if r.Version >= 11 {
		r.KeepAlive = !closing && !connect
		r.Upgrade = upgrade && upgradeOption
		r.ExpectContinue = r.ExpectContinue && r.ContentLength != 0
	} else {
		r.KeepAlive = keep && !closing && !connect
		r.Upgrade, r.ExpectContinue, r.AcceptTrailers = false, false, false
	}
	return nil
}

// checkCoding says what is wrong with a Transfer-Encoding: nothing if it is
// exactly chunked.
func checkCoding(coding []byte) *Error {
	if message.EqualFold(coding, "chunked") {
		return nil
	}
	// RFC 9112 6.3 item 4: where chunked is there but not the last coding, or
	// there twice, or the list is malformed, the length cannot be known.
	for list := coding; list != nil; {
		var m []byte
		m, list = message.NextMember(list)
		if !message.ValidName(m) || list != nil && message.EqualFold(m, "chunked") {
			return ErrCodingOrder
		}
	}
	return ErrCoding
}

// Preface is what an HTTP/2 client with prior knowledge sends first (RFC 9113 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// IsPreface says whether the first bytes of a connection are the HTTP/2
// preface, or may still become it when more arrive.
func IsPreface(buf []byte) (is, may bool) {
	n := min(len(buf), len(Preface))
	may = string(buf[:n]) == Preface[:n]
	return may && n == len(Preface), may
}
