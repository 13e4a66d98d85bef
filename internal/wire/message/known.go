package message

import "encoding/binary"

// Known is a field name that means something to the daemon itself.
type Known uint8

// The known names.
const (
	Other Known = iota
	Connection
	ContentLength
	Date
	Expect
	Host
	HttpsysCompress // our own: what the application wants of the daemon
	KeepAlive
	MaxForwards
	ProxyConnection
	Server
	TE
	Trailer
	TransferEncoding
	Upgrade
)

func word8(s string) uint64 { return binary.LittleEndian.Uint64([]byte(s)) }
func word4(s string) uint32 { return binary.LittleEndian.Uint32([]byte(s)) }
func word2(s string) uint16 { return binary.LittleEndian.Uint16([]byte(s)) }

// The names in pieces of 8, 4 or 2 bytes; pieces may overlap. In a token,
// setting bit 0x20 makes upper case lower and leaves '-' alone, and no other
// byte of a token becomes a lower case letter or '-' by it. So comparing such
// words is comparing without case.
var (
	wHost, wDate             = word4("host"), word4("date")
	wTE                      = word2("te")
	wExpect, wExpect2        = word4("expe"), word2("ct")
	wServer, wServer2        = word4("serv"), word2("er")
	wUpgrade, wUpgrade2      = word4("upgr"), word4("rade")
	wTrailer, wTrailer2      = word4("trai"), word4("iler")
	wConnection, wConnecti2  = word8("connecti"), word2("on")
	wKeepAlive, wKeepAlive2  = word8("keep-ali"), word2("ve")
	wMaxForwards, wMaxForw2  = word8("max-forw"), word4("ards")
	wLength, wLength2        = word8("content-"), word8("t-length")
	wProxyConn, wProxyConn2  = word8("proxy-co"), word8("nnection")
	wCompress, wCompress2    = word8("httpsys-"), word8("compress")
	wTransferEnc, wTransfer2 = word8("transfer"), word8("-encodin")
)

// KnownOf looks a name up. name must be a token.
func KnownOf(name []byte) Known {
	le := binary.LittleEndian
	switch len(name) {
	case 2:
		if le.Uint16(name)|lower>>48 == wTE {
			return TE
		}
	case 4:
		switch le.Uint32(name) | lower>>32 {
		case wHost:
			return Host
		case wDate:
			return Date
		}
	case 6:
		switch le.Uint32(name) | lower>>32 {
		case wExpect:
			if le.Uint16(name[4:])|lower>>48 == wExpect2 {
				return Expect
			}
		case wServer:
			if le.Uint16(name[4:])|lower>>48 == wServer2 {
				return Server
			}
		}
	case 7:
		switch le.Uint32(name) | lower>>32 {
		case wUpgrade:
			if le.Uint32(name[3:])|lower>>32 == wUpgrade2 {
				return Upgrade
			}
		case wTrailer:
			if le.Uint32(name[3:])|lower>>32 == wTrailer2 {
				return Trailer
			}
		}
	case 10:
		switch le.Uint64(name) | lower {
		case wConnection:
			if le.Uint16(name[8:])|lower>>48 == wConnecti2 {
				return Connection
			}
		case wKeepAlive:
			if le.Uint16(name[8:])|lower>>48 == wKeepAlive2 {
				return KeepAlive
			}
		}
	case 12:
		if le.Uint64(name)|lower == wMaxForwards && le.Uint32(name[8:])|lower>>32 == wMaxForw2 {
			return MaxForwards
		}
	case 14:
		if le.Uint64(name)|lower == wLength && le.Uint64(name[6:])|lower == wLength2 {
			return ContentLength
		}
	case 16:
		switch le.Uint64(name) | lower {
		case wProxyConn:
			if le.Uint64(name[8:])|lower == wProxyConn2 {
				return ProxyConnection
			}
		case wCompress:
			if le.Uint64(name[8:])|lower == wCompress2 {
				return HttpsysCompress
			}
		}
	case 17:
		if le.Uint64(name)|lower == wTransferEnc && le.Uint64(name[8:])|lower == wTransfer2 && name[16]|0x20 == 'g' {
			return TransferEncoding
		}
	}
	return Other
}

// ForbiddenInTrailers says whether a field of this name may not be in a
// trailer section, because it would change the framing or the routing of a
// message whose head has already been acted on (RFC 9110 6.5.1).
func ForbiddenInTrailers(name []byte) bool {
	switch KnownOf(name) {
	case Other, Date, Server:
		return false
	}
	return true
}
