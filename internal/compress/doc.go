// Package compress decides whether and how the content of a response is
// compressed on its way to the client, and does it. It knows messages and
// bytes; who sends them when is the business of package exchange.
//
//	accept.go   what the client takes: Accept-Encoding (RFC 9110 12.5.3)
//	media.go    which types are worth it
//	rule.go     the decision, in numbered steps
//	head.go     what a compressed response says in its head
//	encoder.go  gzip, brotli and zstd behind one type, and the pool of a loop
package compress

// Coding is a content coding (RFC 9110 8.4.1), or none.
type Coding uint8

// The codings that there are, the one first that is preferred where a client
// does not care. Measured on pages of 8 KiB and 1 MiB (docs/decisions), zstd costs least,
// gzip little more for fewer bytes, and brotli at a level that is worth having
// several times as much.
const (
	Identity Coding = iota
	Zstd
	Gzip
	Brotli

	codings // how many
)

var names = [codings]string{"identity", "zstd", "gzip", "br"}

// String is the name in the IANA registry of content codings.
func (c Coding) String() string { return names[c] }
