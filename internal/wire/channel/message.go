package channel

import (
	"bytes"
	"encoding/binary"
)

// Method is the number of a well-known method in a REQUEST; 0 is any other.
type Method uint8

// The numbered methods.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodConnect
	MethodOptions
	MethodTrace
	MethodPatch
)

// MethodNames is indexed by Method; MethodOther is the empty string.
var MethodNames = [...]string{"", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// MethodOf returns the number of a method name (case-sensitive, RFC 9110 9.1).
func MethodOf(name []byte) Method {
	for i := 1; i < len(MethodNames); i++ {
		if string(name) == MethodNames[i] {
			return Method(i)
		}
	}
	return MethodOther
}

// RequestFlags of a REQUEST.
type RequestFlags uint32

// The request flags; docs/channel.md section 4.
const (
	RequestTLS      RequestFlags = 1
	RequestContinue RequestFlags = 2
	RequestUpgrade  RequestFlags = 4
	RequestRaw      RequestFlags = 8
	RequestAhead    RequestFlags = 16
)

// RequestHead is the fixed part and the text block of a REQUEST.
type RequestHead struct {
	FieldCount    int
	Method        Method
	Version       uint8 // 10, 11, 20, 30
	Registration  uint32
	Flags         RequestFlags
	Connection    uint64
	ContentLength int64 // -1: not known in advance
	// Text is method, target, authority, client address, local address and
	// then name and value of each field, each ended by NUL.
	Text []byte
}

// AppendRequestFixed appends the fixed part for a text block of textLen bytes.
func AppendRequestFixed(dst []byte, h *RequestHead, textLen int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(textLen))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.FieldCount))
	dst = append(dst, byte(h.Method), h.Version)
	dst = binary.LittleEndian.AppendUint32(dst, h.Registration)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.Flags))
	dst = binary.LittleEndian.AppendUint64(dst, h.Connection)
	return binary.LittleEndian.AppendUint64(dst, uint64(h.ContentLength))
}

// ParseRequest splits the payload of a REQUEST. Text and body alias payload.
// The number of strings in Text is checked; their contents are not, the
// daemon is trusted by applications.
func ParseRequest(payload []byte) (h RequestHead, body []byte, err error) {
	if len(payload) < RequestFixed {
		return h, nil, ErrPayload
	}
	n := binary.LittleEndian.Uint32(payload)
	if uint64(n) > uint64(len(payload)-RequestFixed) {
		return h, nil, ErrPayload
	}
	h = RequestHead{
		FieldCount:    int(binary.LittleEndian.Uint16(payload[4:])),
		Method:        Method(payload[6]),
		Version:       payload[7],
		Registration:  binary.LittleEndian.Uint32(payload[8:]),
		Flags:         RequestFlags(binary.LittleEndian.Uint32(payload[12:])),
		Connection:    binary.LittleEndian.Uint64(payload[16:]),
		ContentLength: int64(binary.LittleEndian.Uint64(payload[24:])),
		Text:          payload[RequestFixed : RequestFixed+n],
	}
	if int(h.Method) >= len(MethodNames) || h.ContentLength < -1 {
		return h, nil, ErrPayload
	}
	if bytes.Count(h.Text, nul) != 5+2*h.FieldCount || n == 0 || h.Text[n-1] != 0 {
		return h, nil, ErrField
	}
	return h, payload[RequestFixed+n:], nil
}

var nul = []byte{0}

// AppendResponseFixed appends the fixed part of a RESPONSE payload whose head
// is headLen bytes with fields binary fields (0 in TEXT form).
func AppendResponseFixed(dst []byte, headLen, fields int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(headLen))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(fields))
	return append(dst, 0, 0)
}

// ParseResponse splits the payload of a RESPONSE into the head (reason phrase
// and fields, or text), the number of fields and the first body bytes. The
// contents of the head are not checked here: they are the application's, see
// message.Response.
func ParseResponse(payload []byte) (head []byte, fields int, body []byte, err error) {
	if len(payload) < ResponseFixed {
		return nil, 0, nil, ErrPayload
	}
	n := binary.LittleEndian.Uint32(payload)
	if uint64(n) > uint64(len(payload)-ResponseFixed) || payload[6]|payload[7] != 0 {
		return nil, 0, nil, ErrPayload
	}
	fields = int(binary.LittleEndian.Uint16(payload[4:]))
	return payload[ResponseFixed : ResponseFixed+n], fields, payload[ResponseFixed+n:], nil
}

// AppendTrailersFixed appends the fixed part of a TRAILERS payload.
func AppendTrailersFixed(dst []byte, fields int) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(fields))
	return append(dst, 0, 0)
}

// ParseTrailers returns the field block of a TRAILERS payload.
func ParseTrailers(payload []byte) (Fields, error) {
	if len(payload) < TrailersFixed || payload[2]|payload[3] != 0 {
		return Fields{}, ErrPayload
	}
	return Fields{Block: payload[TrailersFixed:], Left: int(binary.LittleEndian.Uint16(payload))}, nil
}

// AppendFile appends a FILE payload.
func AppendFile(dst []byte, offset, length int64) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(offset))
	return binary.LittleEndian.AppendUint64(dst, uint64(length))
}

// ParseFile reads a FILE payload: both numbers must be ≥ 0 and their sum must
// not overflow.
func ParseFile(payload []byte) (offset, length int64, err error) {
	if len(payload) != FilePayload {
		return 0, 0, ErrPayload
	}
	offset = int64(binary.LittleEndian.Uint64(payload))
	length = int64(binary.LittleEndian.Uint64(payload[8:]))
	if offset < 0 || length < 0 || offset+length < 0 {
		return 0, 0, ErrPayload
	}
	return offset, length, nil
}

// Fields walks a block of strings that end in NUL. The zero value is empty.
type Fields struct {
	Block []byte
	Left  int // fields that Next has still to return
}

// Text takes one string from the block.
func (f *Fields) Text() ([]byte, error) {
	i := bytes.IndexByte(f.Block, 0)
	if i < 0 {
		return nil, ErrField
	}
	s := f.Block[:i]
	f.Block = f.Block[i+1:]
	return s, nil
}

// Next takes one field. ok is false at the end, where bytes left over are an
// error. Names and values alias the block and are not checked.
func (f *Fields) Next() (name, value []byte, ok bool, err error) {
	if f.Left == 0 {
		if len(f.Block) != 0 {
			return nil, nil, false, ErrField
		}
		return nil, nil, false, nil
	}
	f.Left--
	if name, err = f.Text(); err != nil {
		return nil, nil, false, err
	}
	if value, err = f.Text(); err != nil {
		return nil, nil, false, err
	}
	return name, value, true, nil
}
