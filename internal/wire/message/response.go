package message

import "github.com/httpsys/httpsys/internal/wire/channel"

// MaxFields is how many fields an application's head or trailer section may
// have. A browser gives up long before; it bounds the scratch space of a loop.
const MaxFields = 1024

// A HeadError says what is wrong with a head or a trailer section from an
// application. It costs the stream its answer, and nothing else: programs pass
// such things on from elsewhere (docs/channel.md section 8).
type HeadError string

func (e HeadError) Error() string { return string(e) }

// The errors in a head, and in trailers.
const (
	ErrStatus      = HeadError("status is not between 100 and 999, or differs from that of the frame")
	ErrStatusLine  = HeadError("status line is malformed")
	ErrReason      = HeadError("reason phrase has a control character")
	ErrName        = HeadError("field name is not a token")
	ErrValue       = HeadError("field value has a control character")
	ErrLength      = HeadError("Content-Length is not one number")
	ErrFields      = HeadError("more than 1024 fields")
	ErrIncomplete  = HeadError("head does not have the fields it announces, or has bytes behind them")
	ErrTrailerName = HeadError("framing or routing field in a trailer section")
)

// Response is the head of a final or informational response of an application,
// checked, and without what the daemon decides by itself.
type Response struct {
	Status int
	Reason []byte // may be empty: the registered phrase
	// Fields is in the application's order and spelling. Transfer-Encoding,
	// Keep-Alive, Proxy-Connection and Httpsys-Compress are left out, and so are Connection and
	// Upgrade unless the status is 101. There is at most one Content-Length. Its array is
	// used again by the next response that is parsed into this Response.
	Fields []Field
	// ContentLength is -1 if the application gave none; LengthAt is the index
	// of its field in Fields, or -1.
	ContentLength int64
	LengthAt      int
	// Close: the application asked for Connection: close. KeepAlive: it said
	// Connection: keep-alive, which matters only to those who read HTTP/1.0 text.
	Close, KeepAlive bool
	// TransferEncoding is the value of the field that was left out of Fields, or
	// nil; of several fields, something that is no coding. It matters only to
	// those who read a body written as HTTP/1.1 text.
	TransferEncoding []byte

	// Text: the head came as HTTP/1.1 text, which is what the application wants
	// an HTTP/1.1 client to see: nothing is added that it did not write, and
	// what it wrote about the connection is kept as far as it is true.
	// ConnectionAt is the index in Fields in front of which its first Connection
	// stood, or -1, ConnectionName how it spelled that, and KeepAliveValue is what
	// Keep-Alive said. Other representations have no use for them.
	Text           bool
	ConnectionAt   int
	ConnectionName []byte
	KeepAliveValue []byte

	HasDate, HasServer, HasTrailer bool

	// Caching: there is a field by which a response can become one that may be stored: Cache-Control,
	// a targeted one, Expires or Last-Modified. ForDaemon: there is a field that is for the daemon
	// alone (rules.ForUs). Both are hints that save others from looking.
	Caching, ForDaemon bool
	// Listed is the names of other fields that Connection listed (RFC 9110
	// 7.6.1): they concern one connection and are not stored. nil: none.
	Listed []byte
	// Compress is what the application said about this response with the field
	// Httpsys-Compress, which is left out of Fields.
	Compress Compress
}

// Compress is an application's word on whether a response is to be compressed.
type Compress uint8

// The words.
const (
	CompressUnsaid Compress = iota
	CompressOn
	CompressOff
)

var severalCodings = []byte("(several)")

// Informational says whether another response follows this one (RFC 9110
// 15.2). 101 is final: after it, the connection is not HTTP any more.
func (r *Response) Informational() bool { return r.Status < 200 && r.Status != 101 }

func (r *Response) reset(status int) {
	*r = Response{Status: status, Fields: r.Fields[:0], ContentLength: -1, LengthAt: -1, ConnectionAt: -1}
}

// ParseBinary reads the binary form: reason NUL, then name NUL value NUL of
// each field. What it keeps aliases head.
func (r *Response) ParseBinary(status int, head []byte, fields int) error {
	r.reset(status)
	if status < 100 || status > 999 {
		return ErrStatus
	}
	if fields > MaxFields {
		return ErrFields
	}
	i := ValueEnd(head, 0)
	if i == len(head) {
		return ErrIncomplete
	}
	if head[i] != 0 {
		return ErrReason
	}
	r.Reason = Trim(head[:i])
	i++
	for ; fields > 0; fields-- {
		colon := TokenEnd(head, i)
		if colon == len(head) {
			return ErrIncomplete
		}
		if head[colon] != 0 || colon == i {
			return ErrName
		}
		end := ValueEnd(head, colon+1)
		if end == len(head) {
			return ErrIncomplete
		}
		if head[end] != 0 {
			return ErrValue
		}
		if err := r.add(head[i:colon], Trim(head[colon+1:end])); err != nil {
			return err
		}
		i = end + 1
	}
	if i != len(head) {
		return ErrIncomplete
	}
	return nil
}

// ParseText reads the HTTP/1.1 text form: status line, field lines and an empty
// line, each ended by CRLF. status is that of the frame: 0 or equal to that of
// the text. What it keeps aliases head.
func (r *Response) ParseText(status int, head []byte) error {
	r.reset(status)
	// HTTP/1.0 is what some frameworks write to an HTTP/1.0 client.
	if len(head) < len("HTTP/1.1 200\r\n") || string(head[:7]) != "HTTP/1." || head[7] < '0' || head[7] > '9' ||
		head[8] != ' ' {
		return ErrStatusLine
	}
	text := 0
	for _, c := range head[9:12] {
		if c < '0' || c > '9' {
			return ErrStatusLine
		}
		text = text*10 + int(c-'0')
	}
	if text < 100 || status != 0 && status != text {
		return ErrStatus
	}
	r.Status = text
	// RFC 9112 4 asks for the space even before an empty phrase, and for
	// tolerance where it is missing.
	end := 12
	if head[end] == ' ' {
		end = ValueEnd(head, 13)
		r.Reason = Trim(head[13:end])
	}
	if !isCRLF(head, end) {
		return ErrStatusLine
	}
	for i := end + 2; ; i = end + 2 {
		if isCRLF(head, i) {
			if i+2 != len(head) {
				return ErrIncomplete
			}
			r.Text = true
			return nil
		}
		colon := TokenEnd(head, i)
		if colon == len(head) {
			return ErrIncomplete
		}
		if head[colon] != ':' || colon == i {
			return ErrName
		}
		end = ValueEnd(head, colon+1)
		if !isCRLF(head, end) {
			if end+1 >= len(head) {
				return ErrIncomplete
			}
			return ErrValue
		}
		if err := r.add(head[i:colon], Trim(head[colon+1:end])); err != nil {
			return err
		}
	}
}

func isCRLF(b []byte, i int) bool { return i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' }

// add takes one field whose name and value are checked.
func (r *Response) add(name, value []byte) error {
	switch KnownOf(name) {
	case Other:
		r.noteCaching(name)
	case Expect, Host, MaxForwards, TE:
	case Date:
		r.HasDate = true
	case Server:
		r.HasServer = true
	case Trailer:
		r.HasTrailer = true
	case ContentLength:
		n, ok := ParseLength(value)
		if !ok || r.ContentLength >= 0 && n != r.ContentLength {
			return ErrLength
		}
		if r.ContentLength >= 0 {
			return nil
		}
		r.ContentLength, r.LengthAt = n, len(r.Fields)
	case Connection:
		r.Close = r.Close || HasToken(value, "close")
		r.KeepAlive = r.KeepAlive || HasToken(value, "keep-alive")
		if !EqualFold(value, "close") && !EqualFold(value, "keep-alive") {
			r.Listed = append(append(r.Listed[:len(r.Listed):len(r.Listed)], value...), ',')
		}
		if r.Status != 101 {
			if r.ConnectionAt < 0 {
				r.ConnectionAt, r.ConnectionName = len(r.Fields), name
			}
			return nil
		}
	case Upgrade:
		if r.Status != 101 {
			return nil
		}
	case TransferEncoding:
		if r.TransferEncoding != nil {
			value = severalCodings
		}
		r.TransferEncoding = value
		return nil
	case HttpsysCompress:
		if r.Compress = CompressOff; EqualFold(value, "on") {
			r.Compress = CompressOn
		}
		return nil
	case KeepAlive:
		r.KeepAliveValue = value
		return nil
	case ProxyConnection:
		return nil
	}
	if len(r.Fields) == MaxFields {
		return ErrFields
	}
	r.Fields = append(r.Fields, Field{name, value})
	return nil
}

// noteCaching looks for the names that a cache cares about.
func (r *Response) noteCaching(name []byte) {
	switch len(name) {
	case len("expires"):
		r.Caching = r.Caching || EqualFold(name, "expires")
	case len("cache-tag"):
		r.ForDaemon = r.ForDaemon || EqualFold(name, "cache-tag")
	case len("cache-control"):
		r.Caching = r.Caching || EqualFold(name, "cache-control") || EqualFold(name, "last-modified")
	case len("cdn-cache-control"):
		if EqualFold(name, "cdn-cache-control") {
			r.Caching, r.ForDaemon = true, true
		}
	case len("httpsys-cache-control"):
		if EqualFold(name, "httpsys-cache-control") {
			r.Caching, r.ForDaemon = true, true
		}
	}
}

// ParseTrailers appends the fields of an application's trailer section to dst.
// Framing and routing fields are an error.
func ParseTrailers(block channel.Fields, dst []Field) ([]Field, error) {
	if block.Left > MaxFields {
		return dst, ErrFields
	}
	for {
		name, value, ok, err := block.Next()
		if !ok {
			return dst, err
		}
		switch {
		case !ValidName(name):
			return dst, ErrName
		case !ValidValue(value):
			return dst, ErrValue
		case ForbiddenInTrailers(name):
			return dst, ErrTrailerName
		}
		dst = append(dst, Field{name, Trim(value)})
	}
}
