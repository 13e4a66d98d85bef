package channel

import (
	"encoding/binary"
)

// This file is the two layouts that concern fragments: the FRAGMENT frames that bring one
// (docs/channel.md section 3.5), and the body of a frame with FlagPieces (section 5.1).

// FragmentHead is what the first FRAGMENT of a fragment begins with.
type FragmentHead struct {
	TTLMS uint64 // for how long it is kept, in milliseconds; 0: until it is flushed
	Name  []byte // a URL
	Tags  []byte // as in Cache-Tag
}

// AppendFragmentHead appends the fixed part, name and tags; bytes of the fragment follow.
func AppendFragmentHead(dst []byte, h *FragmentHead) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, h.TTLMS)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(h.Name)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(h.Tags)))
	return append(append(dst, h.Name...), h.Tags...)
}

// ParseFragmentHead splits the payload of the first FRAGMENT of a fragment. Everything aliases payload.
func ParseFragmentHead(payload []byte) (h FragmentHead, body []byte, err error) {
	if len(payload) < FragmentFixed {
		return h, nil, ErrPayload
	}
	h.TTLMS = binary.LittleEndian.Uint64(payload)
	n, m := binary.LittleEndian.Uint32(payload[8:]), binary.LittleEndian.Uint32(payload[12:])
	if n == 0 || n > MaxFragmentName || m > MaxFragmentTags || uint64(n)+uint64(m) > uint64(len(payload)-FragmentFixed) {
		return h, nil, ErrPayload
	}
	rest := payload[FragmentFixed:]
	h.Name, h.Tags = rest[:n], rest[n:n+m]
	return h, rest[n+m:], nil
}

// Piece is a part of a body: bytes, or so many bytes of a fragment.
type Piece struct {
	Bytes          []byte
	Name           []byte // of a fragment; nil: Bytes
	Offset, Length int64  // Length < 0: to the end of it
}

const (
	pieceNames = 1 << 31 // in the length of a piece: it names a fragment
	pieceRange = 16      // offset and length, before the name
)

// AppendPiece appends bytes as a piece.
func AppendPiece(dst, b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(b))), b...)
}

// AppendPieceOf appends a piece that names a fragment. length < 0 means to its end.
func AppendPieceOf(dst []byte, name string, offset, length int64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(pieceRange+len(name))|pieceNames)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(offset))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(length))
	return append(dst, name...)
}

// Pieces walks the body of a frame with FlagPieces.
type Pieces struct{ Rest []byte }

// Next takes one piece; ok is false at the end. What it returns aliases the body.
func (p *Pieces) Next() (piece Piece, ok bool, err error) {
	if len(p.Rest) == 0 {
		return Piece{}, false, nil
	}
	if len(p.Rest) < 4 {
		return Piece{}, false, ErrPayload
	}
	head := binary.LittleEndian.Uint32(p.Rest)
	n := head &^ pieceNames
	if uint64(n) > uint64(len(p.Rest)-4) {
		return Piece{}, false, ErrPayload
	}
	b := p.Rest[4 : 4+n]
	p.Rest = p.Rest[4+n:]
	if head&pieceNames == 0 {
		return Piece{Bytes: b}, true, nil
	}
	if n <= pieceRange || n > pieceRange+MaxFragmentName {
		return Piece{}, false, ErrPayload
	}
	piece = Piece{
		Name:   b[pieceRange:],
		Offset: int64(binary.LittleEndian.Uint64(b)),
		Length: int64(binary.LittleEndian.Uint64(b[8:])),
	}
	if piece.Offset < 0 || piece.Length < -1 {
		return Piece{}, false, ErrPayload
	}
	return piece, true, nil
}
