package tlsio

// Opening is what the first bytes of a connection look like.
type Opening uint8

// Openings.
const (
	NeedMore  Opening = iota // too little to say, or the first record is incomplete
	Handshake                // a whole first record of TLS: start the handshake
	PlainHTTP                // a client that does not know that it should speak TLS
	Garbage                  // neither
)

const (
	recordHeader    = 5
	recordHandshake = 22
	// maxHello bounds the first record. A ClientHello is below 2 KiB; what
	// crypto/tls would take from later records is bounded there.
	maxHello = 16 << 10
)

// Sniff looks at the first bytes of a connection. A handshake starts only when
// the first record is complete, so that clients that send it slowly, or never,
// cost no more than the bytes that they sent.
func Sniff(b []byte) Opening {
	if len(b) == 0 {
		return NeedMore
	}
	if b[0] == recordHandshake {
		if len(b) < recordHeader {
			return NeedMore
		}
		// The version is 3.1 or 3.3 in all that is alive (RFC 8446 5.1).
		n := int(b[3])<<8 | int(b[4])
		if b[1] != 3 || n == 0 || n > maxHello {
			return Garbage
		}
		if len(b) < recordHeader+n {
			return NeedMore
		}
		return Handshake
	}
	// A request line begins with a method, a token (RFC 9110 9.1). Those in use
	// are capital letters, and then comes a space.
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z', i > 0 && (c == '-' || c == '_'):
			if i == maxMethod {
				return Garbage
			}
		case c == ' ' && i > 0:
			return PlainHTTP
		default:
			return Garbage
		}
	}
	return NeedMore
}

// maxMethod is longer than any method that is registered (VERSION-CONTROL,
// UPDATEREDIRECTREF).
const maxMethod = 24
