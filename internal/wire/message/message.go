// Package message is what the HTTP versions have in common: heads of requests
// and responses as slices of a buffer, and the checks that hold for all of
// them.
//
// A Request is filled by a protocol core (h1, h2). A Response is filled from
// what an application sent over the channel, in either of its two forms
// (docs/channel.md section 5), by ParseBinary or ParseText; both give the same
// checked result, in which nothing is left that could change the framing which
// the daemon chooses. ParseTrailers does the same for a trailer section.
//
// scan.go holds the byte classes and the scanners that all parsers share,
// known.go the names with a meaning to us, list.go comma-separated lists,
// authority.go the host and port of a request, status.go reason phrases.
// How a head is written is not decided here but by each protocol core.
//
// Nothing is copied: names and values alias the buffer that was parsed and
// are valid as long as it is.
package message

// Field is one field line. Name and Value are spelled as received; the value
// has no white space around it.
type Field struct{ Name, Value []byte }

// Request is the head of a request, independent of the HTTP version.
type Request struct {
	Method []byte
	Target []byte // as on the wire
	// Scheme is set for an absolute-form target only, as on the wire.
	Scheme []byte
	// Authority is host[:port] as routing uses it: that of an absolute-form or
	// authority-form target, else the Host field. It is checked, and has no
	// colon without a port behind it. Empty only for HTTP/1.0 without Host.
	Authority []byte
	// Path and Query are the raw parts of Target; Query is without '?'. Path is
	// "*" for OPTIONS *, and "/" where an absolute-form target has none. Both
	// are empty for CONNECT.
	Path, Query []byte
	Version     uint8 // 10, 11, 20, 30
	// Fields is in the order of the wire, with all duplicates. Its array is
	// used again by the next request that is parsed into this Request.
	Fields []Field
	// ContentLength is 0 without a body and -1 if it is not known in advance.
	ContentLength int64
	// ExpectContinue: the client waits for 100 before it sends the body.
	ExpectContinue bool
	// Upgrade: the client asks to leave HTTP (RFC 9110 7.8): in HTTP/1.1, or by
	// an extended CONNECT (RFC 8441) that was made to look the same.
	Upgrade bool
	// AcceptTrailers: the client said TE: trailers (RFC 9110 10.1.4).
	AcceptTrailers bool
}
