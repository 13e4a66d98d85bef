package channel

import "encoding/binary"

// ConnectionFacts is the payload of a CONNECTION: what the daemon knows of a client's
// connection before its first request; docs/channel.md section 4.1.
type ConnectionFacts struct {
	Number  uint64
	Version uint16 // of TLS, as on the wire (RFC 8446 4.2.1); 0: plain text, and nothing below is set
	Suite   uint16 // cipher suite
	Group   uint16 // of the key exchange; 0: unknown, or RSA
	Flags   ConnectionFlags
	// Verdict is the number of the judgement of the client's certificate, and
	// Code what HTTP.SYS reports instead.
	Verdict uint8
	Code    uint32

	ServerName, Protocol     string // SNI and ALPN; "" if there is none
	VerdictName, VerdictText string

	// Certificates are in DER. The first Presented of them are the client's, in
	// its order; others are in Chains only. Chains lead from the first to an
	// authority that is trusted; they are indices of Certificates.
	Certificates [][]byte
	Presented    int
	Chains       [][]byte

	// With ConnectionAccepted: whose connection it is, and both addresses as in a
	// REQUEST.
	Registration  uint32
	Client, Local string
}

// ConnectionFlags of a CONNECTION.
type ConnectionFlags uint8

// The flags of a CONNECTION.
const (
	ConnectionResumed   ConnectionFlags = 1  // the handshake was short: keys of an earlier connection
	ConnectionAsked     ConnectionFlags = 2  // the client was asked for a certificate
	ConnectionTruncated ConnectionFlags = 4  // certificates or chains did not fit and are left out
	ConnectionAccepted  ConnectionFlags = 8  // it has just come: there may never be a request
	ConnectionProgram   ConnectionFlags = 16 // the client was shown a certificate that a program has brought
)

// Sizes and bounds of a CONNECTION.
const (
	ConnectionFixed    = 32 // of the fixed part
	DisconnectionSize  = 8  // of the payload of a DISCONNECTION
	MaxCertificates    = 64
	MaxChains          = 16
	MaxChain           = 32 // certificates in a chain
	MaxCertificateData = 128 << 10
	maxConnectionText  = 4 << 10 // of all strings together
)

// AppendConnection appends the payload of a CONNECTION. Strings must have no NUL
// and at most 1000 bytes each; certificates and chains beyond the bounds are left
// out, which sets ConnectionTruncated.
func AppendConnection(dst []byte, c *ConnectionFacts) []byte {
	flags := c.Flags
	n, size := 0, 0
	for n < len(c.Certificates) && n < MaxCertificates && size+4+len(c.Certificates[n]) <= MaxCertificateData {
		size += 4 + len(c.Certificates[n])
		n++
	}
	if n < len(c.Certificates) {
		flags |= ConnectionTruncated
	}
	fits := func(chain []byte) bool {
		for _, i := range chain {
			if int(i) >= n {
				return false
			}
		}
		return len(chain) > 0 && len(chain) <= MaxChain
	}
	chains := 0
	for _, chain := range c.Chains {
		if chains < MaxChains && fits(chain) {
			chains++
		} else {
			flags |= ConnectionTruncated
		}
	}
	all := [...]string{c.ServerName, c.Protocol, c.VerdictName, c.VerdictText, c.Client, c.Local}
	strings, registration := all[:4], uint32(0)
	if flags&ConnectionAccepted != 0 {
		strings, registration = all[:], c.Registration
	}
	text := 0
	for _, s := range strings {
		text += len(s) + 1
	}
	dst = binary.LittleEndian.AppendUint64(dst, c.Number)
	dst = binary.LittleEndian.AppendUint16(dst, c.Version)
	dst = binary.LittleEndian.AppendUint16(dst, c.Suite)
	dst = binary.LittleEndian.AppendUint16(dst, c.Group)
	dst = append(dst, byte(flags), c.Verdict)
	dst = binary.LittleEndian.AppendUint32(dst, c.Code)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(text))
	dst = append(dst, byte(n), byte(min(c.Presented, n)), byte(chains), 0)
	dst = binary.LittleEndian.AppendUint32(dst, registration)
	for _, s := range strings {
		dst = append(append(dst, s...), 0)
	}
	for _, der := range c.Certificates[:n] {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(der)))
		dst = append(dst, der...)
	}
	for _, chain := range c.Chains {
		if chains > 0 && fits(chain) {
			dst = append(append(dst, byte(len(chain))), chain...)
			chains--
		}
	}
	return dst
}

// ParseConnection reads the payload of a CONNECTION. Certificates and Chains alias
// it. That certificates are what they should be is not checked.
func ParseConnection(payload []byte) (c ConnectionFacts, err error) {
	if len(payload) < ConnectionFixed {
		return c, ErrPayload
	}
	c = ConnectionFacts{
		Number:  binary.LittleEndian.Uint64(payload),
		Version: binary.LittleEndian.Uint16(payload[8:]),
		Suite:   binary.LittleEndian.Uint16(payload[10:]),
		Group:   binary.LittleEndian.Uint16(payload[12:]),
		Flags:   ConnectionFlags(payload[14]), Verdict: payload[15],
		Code:      binary.LittleEndian.Uint32(payload[16:]),
		Presented: int(payload[25]), Registration: binary.LittleEndian.Uint32(payload[28:]),
	}
	text := binary.LittleEndian.Uint32(payload[20:])
	certs, chains := int(payload[24]), int(payload[26])
	rest := payload[ConnectionFixed:]
	if text > maxConnectionText || int(text) > len(rest) || c.Presented > certs ||
		payload[27] != 0 || c.Registration != 0 && c.Flags&ConnectionAccepted == 0 {
		return c, ErrPayload
	}
	block := Fields{Block: rest[:text]}
	rest = rest[text:]
	strings := []*string{&c.ServerName, &c.Protocol, &c.VerdictName, &c.VerdictText, &c.Client, &c.Local}
	if c.Flags&ConnectionAccepted == 0 {
		strings = strings[:4]
	}
	for _, s := range strings {
		b, err := block.Text()
		if err != nil {
			return c, err
		}
		*s = string(b)
	}
	if len(block.Block) != 0 {
		return c, ErrField
	}
	if certs > MaxCertificates || chains > MaxChains {
		return c, ErrPayload
	}
	for range certs {
		if len(rest) < 4 {
			return c, ErrPayload
		}
		n := binary.LittleEndian.Uint32(rest)
		if uint64(n) > uint64(len(rest)-4) {
			return c, ErrPayload
		}
		c.Certificates = append(c.Certificates, rest[4:4+n])
		rest = rest[4+n:]
	}
	for range chains {
		if len(rest) == 0 {
			return c, ErrPayload
		}
		n := int(rest[0])
		if n == 0 || n > MaxChain || n > len(rest)-1 {
			return c, ErrPayload
		}
		for _, i := range rest[1 : 1+n] {
			if int(i) >= certs {
				return c, ErrPayload
			}
		}
		c.Chains = append(c.Chains, rest[1:1+n])
		rest = rest[1+n:]
	}
	if len(rest) != 0 {
		return c, ErrPayload
	}
	return c, nil
}

// AppendDisconnection appends a whole DISCONNECTION of the daemon.
func AppendDisconnection(dst []byte, number uint64) []byte {
	dst = AppendHeader(dst, Header{Length: DisconnectionSize, Type: Disconnection})
	return binary.LittleEndian.AppendUint64(dst, number)
}

// ParseDisconnection reads the payload of a DISCONNECTION.
func ParseDisconnection(payload []byte) (number uint64, err error) {
	if len(payload) != DisconnectionSize {
		return 0, ErrPayload
	}
	return binary.LittleEndian.Uint64(payload), nil
}
