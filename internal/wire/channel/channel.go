// Package channel is the wire format between the daemon and an application:
// frames over a Unix stream socket, specified in docs/channel.md.
//
// It is a core without I/O: bytes in, values out, and back. Both sides use
// it, the daemon (internal/worker, internal/control/server) and the Go
// library. Read Header first, then RequestHead and ResponseHead; Fields walks
// a field block. Credits, windows and the order of frames are not decided
// here but by the two sides.
package channel

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version is the protocol version of this package.
const Version = 1

// Sizes of the format, in bytes.
const (
	HeaderSize       = 12      // of a frame header
	MaxPayload       = 1 << 18 // of one frame; a head must fit, so it bounds heads too
	RequestFixed     = 32      // of the fixed part of a REQUEST payload
	ResponseFixed    = 8       // of the fixed part of a RESPONSE payload
	TrailersFixed    = 4       // of the fixed part of a TRAILERS payload
	FilePayload      = 16      // of a FILE payload
	FileWindowCost   = 4096    // what a FILE takes from the stream's window
	FragmentFixed    = 16      // of the fixed part of the first FRAGMENT of a fragment
	PieceWindowCost  = 256     // what a piece that names a fragment takes from the stream's window
	MaxFragmentName  = 4096    // of the name of a fragment
	MaxFragmentTags  = 16384   // of its tags
	MaxFragmentRead  = 1 << 17 // of what one read_fragment returns
	DefaultWindow    = 1 << 16
	MinWindow        = 1 << 14 // so a body of this size always fits a REQUEST
	MaxInitialWindow = 1 << 24
	MaxWindow        = 1<<31 - 1
	MaxCredit        = 1<<16 - 1
)

// Type is the type of a frame.
type Type uint8

// The frame types; docs/channel.md section 1.
const (
	Hello    Type = 0x01
	Welcome  Type = 0x02
	Call     Type = 0x03
	Reply    Type = 0x04
	Request  Type = 0x10
	Response Type = 0x11
	Data     Type = 0x12
	Trailers Type = 0x13
	File     Type = 0x14
	Window   Type = 0x15
	Cancel   Type = 0x16
	Credit   Type = 0x17
	GoAway   Type = 0x18

	Connection    Type = 0x19
	Disconnection Type = 0x1A
	Socket        Type = 0x1B
	Fragment      Type = 0x1C
	Ahead         Type = 0x1D
)

var typeNames = map[Type]string{
	Hello: "HELLO", Welcome: "WELCOME", Call: "CALL", Reply: "REPLY", Request: "REQUEST", Response: "RESPONSE",
	Data: "DATA", Trailers: "TRAILERS", File: "FILE", Window: "WINDOW", Cancel: "CANCEL", Credit: "CREDIT", GoAway: "GOAWAY",
	Connection: "CONNECTION", Disconnection: "DISCONNECTION",
	Socket: "SOCKET", Fragment: "FRAGMENT", Ahead: "AHEAD",
}

func (t Type) String() string {
	if n, ok := typeNames[t]; ok {
		return n
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}

// Flags of a frame.
type Flags uint8

// The flags; docs/channel.md section 1.
const (
	FlagEnd    Flags = 0x01
	FlagText   Flags = 0x02
	FlagOpaque Flags = 0x04
	FlagMore   Flags = 0x08
	FlagSocket Flags = 0x10
	FlagPieces Flags = 0x20
	FlagCredit Flags = 0x80
)

// shape is what the frames of a type have in common: all that can be checked
// of a header alone. The zero shape is that of an unknown type.
type shape struct {
	flags    Flags  // that may be set
	value    uint16 // the highest
	stream   streamRule
	min, max uint32 // length of the payload
}

type streamRule uint8

const (
	noType    streamRule = iota
	zero                 // the frame belongs to the connection
	notZero              // it belongs to a request or a call
	anyStream            // REPLY: to a call, or to the connection as its last word
)

var shapes = [256]shape{
	Hello:    {stream: zero, min: 2, max: MaxPayload}, // "{}"
	Welcome:  {stream: zero, min: 2, max: MaxPayload},
	Call:     {stream: notZero, min: 2, max: MaxPayload},
	Reply:    {stream: anyStream, min: 1, max: MaxPayload, flags: FlagMore},
	Request:  {stream: notZero, min: RequestFixed, max: MaxPayload, flags: FlagEnd},
	Response: {stream: notZero, min: ResponseFixed, max: MaxPayload, value: 999, flags: FlagEnd | FlagText | FlagOpaque | FlagSocket | FlagPieces | FlagCredit},
	Data:     {stream: notZero, max: MaxPayload, flags: FlagEnd | FlagPieces | FlagCredit},
	Trailers: {stream: notZero, min: TrailersFixed, max: MaxPayload, flags: FlagCredit},
	File:     {stream: notZero, min: FilePayload, max: FilePayload, flags: FlagEnd | FlagCredit},
	Window:   {stream: notZero, min: 4, max: 4},
	Cancel:   {stream: notZero, max: maxReason, value: CancelRefused, flags: FlagCredit},
	Credit:   {stream: zero, min: 4, max: 4},
	GoAway:   {stream: zero, value: GoAwaySoon},
	Socket:   {stream: notZero, value: SocketPassed, max: MaxPayload},
	Fragment: {stream: notZero, max: MaxPayload, flags: FlagMore},

	Connection:    {stream: zero, min: ConnectionFixed, max: MaxPayload},
	Disconnection: {stream: zero, min: DisconnectionSize, max: DisconnectionSize, value: DisconnectNow},
	Ahead:         {stream: notZero},
}

// Reasons in the value of a CANCEL from the daemon; section 7.
const (
	CancelGone       = 1 // the client is gone, nobody waits for the answer
	CancelHalfClosed = 2 // the client closed its sending side; an answer may still be delivered
	CancelBody       = 3 // the request body is broken or too late
	CancelRefused    = 4 // the response's head or trailers were refused; the payload says why
)

// GoAwaySoon is the value of a GOAWAY that only announces the daemon's end;
// section 7.
const GoAwaySoon = 1

// DisconnectNow is the value of a DISCONNECTION by which an application ends a
// connection whatever is under way on it; section 4.1.
const DisconnectNow = 1

// Values of a SOCKET; section 9.
const (
	SocketRelayed = 0 // there is no descriptor: bytes go through the daemon
	SocketPassed  = 1 // the client's socket comes with the frame
)

// maxReason is how long the text of a CancelRefused may be.
const maxReason = 255

// Header is the header of a frame.
type Header struct {
	Length uint32
	Stream uint32
	Type   Type
	Flags  Flags
	Value  uint16
}

// Errors of the format. All of them mean that the peer broke the protocol.
var (
	ErrTooLong = errors.New("channel: frame is longer than 262144 bytes")
	ErrType    = errors.New("channel: unknown frame type")
	ErrFlags   = errors.New("channel: flag that the frame type does not define")
	ErrStream  = errors.New("channel: stream number where the frame type has none, or none where it has one")
	ErrValue   = errors.New("channel: value that the frame type does not have")
	ErrPayload = errors.New("channel: payload does not fit its frame type")
	ErrField   = errors.New("channel: field block is malformed")
)

// ParseHeader reads the header at the start of b, which must hold at least
// HeaderSize bytes, and checks all that can be checked without the payload.
func ParseHeader(b []byte) (Header, error) {
	_ = b[HeaderSize-1]
	h := Header{
		Length: binary.LittleEndian.Uint32(b),
		Stream: binary.LittleEndian.Uint32(b[4:]),
		Type:   Type(b[8]),
		Flags:  Flags(b[9]),
		Value:  binary.LittleEndian.Uint16(b[10:]),
	}
	shape := &shapes[h.Type]
	switch {
	case h.Length > MaxPayload:
		return h, ErrTooLong
	case shape.stream == noType:
		return h, ErrType
	case h.Flags&^shape.flags != 0, h.Flags&(FlagSocket|FlagOpaque) == FlagSocket, h.Flags&(FlagPieces|FlagOpaque) == FlagPieces|FlagOpaque:
		return h, ErrFlags
	case shape.stream == zero && h.Stream != 0, shape.stream == notZero && h.Stream == 0:
		return h, ErrStream
	case h.Value > shape.value:
		return h, ErrValue
	case h.Type == Response && h.Value < 100 && (h.Value != 0 || h.Flags&(FlagText|FlagOpaque) == 0):
		// No status: it is in the text, or nothing is sent before opaque bytes.
		return h, ErrValue
	case h.Length < shape.min || h.Length > shape.max, h.Type == Cancel && h.Length > 0 && h.Value != CancelRefused,
		h.Type == Socket && h.Value == SocketRelayed && h.Length > 0:
		return h, ErrPayload
	}
	return h, nil
}

// AppendHeader appends h to dst.
func AppendHeader(dst []byte, h Header) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, h.Length)
	dst = binary.LittleEndian.AppendUint32(dst, h.Stream)
	dst = append(dst, byte(h.Type), byte(h.Flags))
	return binary.LittleEndian.AppendUint16(dst, h.Value)
}

// PutLength sets the length of the frame whose header starts at b[0], for a
// frame whose payload was appended after its header.
func PutLength(b []byte, n int) { binary.LittleEndian.PutUint32(b, uint32(n)) }

// AppendFrame appends a whole frame.
func AppendFrame(dst []byte, t Type, f Flags, stream uint32, value uint16, payload []byte) []byte {
	dst = AppendHeader(dst, Header{Length: uint32(len(payload)), Stream: stream, Type: t, Flags: f, Value: value})
	return append(dst, payload...)
}

// AppendReply appends a REPLY as one frame, or as several if its payload is
// longer than a frame can be.
func AppendReply(dst []byte, stream uint32, payload []byte) []byte {
	for len(payload) > MaxPayload {
		dst = AppendFrame(dst, Reply, FlagMore, stream, 0, payload[:MaxPayload])
		payload = payload[MaxPayload:]
	}
	return AppendFrame(dst, Reply, 0, stream, 0, payload)
}

// AppendUint32Frame appends a WINDOW or CREDIT frame.
func AppendUint32Frame(dst []byte, t Type, stream, n uint32) []byte {
	dst = AppendHeader(dst, Header{Length: 4, Stream: stream, Type: t})
	return binary.LittleEndian.AppendUint32(dst, n)
}

// Uint32 reads the payload of a WINDOW or CREDIT frame, whose length
// ParseHeader has checked. Zero and numbers above MaxWindow are errors.
func Uint32(payload []byte) (uint32, error) {
	n := binary.LittleEndian.Uint32(payload)
	if n == 0 || n > MaxWindow {
		return 0, ErrPayload
	}
	return n, nil
}
