package h1

import (
	"strings"

	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Field is one field line, in the spelling of its sender.
type Field struct{ Name, Value string }

// Fields is a header or trailer section: in order, with all duplicates.
type Fields []Field

// Get returns the value of the first field with this name in any case, or "".
func (f Fields) Get(name string) string {
	for i := range f {
		if strings.EqualFold(f[i].Name, name) {
			return f[i].Value
		}
	}
	return ""
}

// Request is the head of a request. It belongs to the caller: nothing in it
// aliases the Conn.
type Request struct {
	Method string
	Target string // as on the wire
	// Authority is host[:port] after RFC 9112 3.2.2 and 3.3: that of an
	// absolute-form or authority-form target, else the Host field. Empty only
	// for HTTP/1.0 without Host.
	Authority string
	// Path and Query are the raw parts of Target, Query without '?'. Path is "*"
	// for OPTIONS *. Both are empty for CONNECT.
	Path, Query string
	Fields      Fields
	// Minor is the minor version of HTTP/1 that the client speaks: 0 or 1.
	Minor int
	// ContentLength is the number of bytes of the body, -1 if it is chunked.
	ContentLength int64
	// ExpectContinue: the client waits for 100 before it sends the body (RFC 9110
	// 10.1.1). Send it with AppendInformational, or answer at once.
	ExpectContinue bool
	// Upgrade: the client asks to leave HTTP (RFC 9110 7.8), so 101 is allowed.
	Upgrade bool
	// KeepAlive: the client lets the connection be used for another request.
	KeepAlive bool
}

// Response is the head of a response.
type Response struct {
	Status int    // 200 … 999, or 101; 1xx for AppendInformational
	Reason string // empty: the registered phrase
	// Fields are sent in order and spelling. Transfer-Encoding and Keep-Alive are
	// left out, since Conn decides the framing. A Content-Length is kept and
	// held to. Connection: close is honoured.
	Fields Fields
}

// Limits bound what one head may take, in bytes or in fields. A limit of 0
// stands for its default.
type Limits struct {
	Head   int // request line, fields and empty line together: 16 384; beyond it 431
	Field  int // one field line: 16 384; beyond it 431
	Target int // the request target: 16 384; beyond it 414
	Fields int // number of field lines: 256; beyond it 431
}

func (l Limits) internal() h1.Limits {
	or := func(n, def int) int {
		if n > 0 {
			return n
		}
		return def
	}
	d := h1.DefaultLimits
	return h1.Limits{Head: or(l.Head, d.Head), Field: or(l.Field, d.Field), Target: or(l.Target, d.Target), Fields: or(l.Fields, d.Fields)}
}

// Error says why the client's bytes were refused. The connection must be
// closed after it: where the next message begins is not known any more.
type Error struct {
	Status int    // to answer with: 400, 413, 414, 431, 501 or 505
	Reason string // one word for a log, as in HTTP.SYS's HTTPERR
	Text   string // one sentence for people
}

func (e *Error) Error() string { return "h1: " + e.Text }

// Kind says what an Event is.
type Kind uint8

// The kinds of events, in the order in which they come for one request.
const (
	GotRequest Kind = 1 + iota // Event.Request is a new request
	GotData                    // Event.Data is a piece of its body
	GotEnd                     // its body is complete; Event.Trailers may follow it
)

// Event is something that the client said.
type Event struct {
	Kind    Kind
	Request *Request
	// Data is valid until the next call of Receive. It is never empty.
	Data []byte
	// Trailers are the fields behind a chunked body (RFC 9112 7.1.2).
	Trailers Fields
}

// text makes strings of the pieces of a head, of which most are parts of one
// string.
type text struct {
	head []byte
	s    string
}

// of returns b as a string. Where b lies in head it becomes a part of s: the
// distance of two slices of one array is the difference of their capacities.
// That is checked, so that a b from elsewhere is merely copied.
func (t *text) of(b []byte) string {
	at := cap(t.head) - cap(b)
	if at >= 0 && at+len(b) <= len(t.s) && t.s[at:at+len(b)] == string(b) {
		return t.s[at : at+len(b)]
	}
	return string(b)
}

func (t *text) fields(from []message.Field) Fields {
	if len(from) == 0 {
		return nil
	}
	to := make(Fields, len(from))
	for i, f := range from {
		to[i] = Field{t.of(f.Name), t.of(f.Value)}
	}
	return to
}
