package h2

import "encoding/binary"

// Frame types (RFC 9113 section 6, RFC 9218 section 7.1).
const (
	typeData           = 0x0
	typeHeaders        = 0x1
	typePriority       = 0x2
	typeReset          = 0x3
	typeSettings       = 0x4
	typePush           = 0x5
	typePing           = 0x6
	typeGoAway         = 0x7
	typeWindowUpdate   = 0x8
	typeContinuation   = 0x9
	typePriorityUpdate = 0x10
)

// Flags; each type has its own.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Settings (RFC 9113 6.5.2, RFC 8441 3, RFC 9218 2.1).
const (
	setHeaderTableSize   = 0x1
	setEnablePush        = 0x2
	setMaxStreams        = 0x3
	setInitialWindow     = 0x4
	setMaxFrameSize      = 0x5
	setMaxHeaderListSize = 0x6
	setConnectProtocol   = 0x8
	setNoPriorities      = 0x9
)

// Preface is what a client sends first (RFC 9113 3.4), and its SETTINGS after it.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// header is the fixed part of a frame (RFC 9113 4.1).
type header struct {
	length int
	typ    uint8
	flags  uint8
	stream uint32
}

func parseHeader(b []byte) header {
	_ = b[frameHeader-1]
	return header{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		typ:    b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & maxWindow, // the first bit is reserved: ignored
	}
}

func appendHeader(dst []byte, length int, typ, flags uint8, stream uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), typ, flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func putLength(frame []byte, length int) {
	frame[0], frame[1], frame[2] = byte(length>>16), byte(length>>8), byte(length)
}

func appendReset(dst []byte, stream uint32, code Code) []byte {
	dst = appendHeader(dst, 4, typeReset, 0, stream)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

func appendWindowUpdate(dst []byte, stream uint32, n int32) []byte {
	dst = appendHeader(dst, 4, typeWindowUpdate, 0, stream)
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

func appendPing(dst []byte, flags uint8, data uint64) []byte {
	dst = appendHeader(dst, 8, typePing, flags, 0)
	return binary.BigEndian.AppendUint64(dst, data)
}

func appendGoAway(dst []byte, last uint32, code Code, debug string) []byte {
	dst = appendHeader(dst, 8+len(debug), typeGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, debug...)
}

func appendSetting(dst []byte, id uint16, value uint32) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	return binary.BigEndian.AppendUint32(dst, value)
}
