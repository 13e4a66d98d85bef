// Package h1 is HTTP/1.1 and HTTP/1.0 for the side that serves (RFC 9110, RFC
// 9112): bytes in, requests and bodies out; responses in, bytes out. It does
// no I/O, knows no time and allocates nothing in steady state.
//
// A connection has one HeadParser and one Body. It gives the bytes it has
// received to HeadParser.Parse until that returns a Request, then to Body.Next
// until the body is done, and starts again. For the answer, Frame decides how
// the end of the body is marked, AppendResponseHead writes the head, and
// AppendChunkHeader, ChunkEnd, LastChunk and AppendTrailers frame a chunked
// body. AppendError writes a whole response of the daemon itself.
//
// The parser is strict: what two parties could read differently is refused
// with an *Error, after which the connection must be closed. There is no
// option to be lenient. The rules, with the section of the RFC each, are rows in
// request_test.go and body_test.go.
//
// scanner.go knows the syntax of lines and remembers how far it looked,
// request.go is the request line and what the fields mean together, target.go
// the forms of a target, body.go and chunked.go content, frame.go and render.go
// responses, errorpage.go the daemon's own responses. ResponseParser, in
// response.go, is the reading side of responses, for applications that write
// HTTP/1.1 text.
//
// All slices handed out alias the caller's buffer.
package h1

// Limits bound what one head or trailer section may take. Each is tested at
// the byte. In HTTP.SYS the first is MaxRequestBytes and the second
// MaxFieldLength, with the same defaults.
type Limits struct {
	Head   int // bytes of request line, fields and empty line together
	Field  int // bytes of one field line, without its CRLF
	Target int // bytes of the request target
	Fields int // number of field lines

	// NoHost takes HTTP/1.1 requests without Host, for programs that have asked
	// for them (Node: requireHostHeader). RFC 9112 3.2 wants them refused.
	NoHost bool
}

// DefaultLimits are what holds if nobody set anything else. As in HTTP.SYS a
// target may take what a head may take. 256 fields is far above what browsers
// and proxies send (some 40) and keeps the scratch space of a loop small.
var DefaultLimits = Limits{Head: 16384, Field: 16384, Target: 16384, Fields: 256}

// Bounds that are not worth a setting.
const (
	maxMethod     = 64 // the longest registered method has 17 letters
	maxBlankLines = 4  // before a request line; RFC 9112 2.2 asks for one
)
