package testkit

import (
	"encoding/json"
	"strings"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// This file makes frames of applications, right ones: a test of wrong ones
// says what is wrong by itself. Fields are "name: value".

// The flags of frames, for short.
const (
	END    = channel.FlagEnd
	TEXT   = channel.FlagText
	OPAQUE = channel.FlagOpaque
	CREDIT = channel.FlagCredit
	SOCKET = channel.FlagSocket
)

// JSON makes a frame that carries JSON.
func JSON(t channel.Type, stream uint32, v any) []byte {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return channel.AppendFrame(nil, t, 0, stream, 0, payload)
}

// Response makes a RESPONSE in the binary form, with the standard reason.
func Response(stream uint32, flags channel.Flags, status int, fields []string, body string) []byte {
	head := []byte{0}
	for _, f := range fields {
		head = appendField(head, f)
	}
	payload := channel.AppendResponseFixed(nil, len(head), len(fields))
	payload = append(append(payload, head...), body...)
	return channel.AppendFrame(nil, channel.Response, flags, stream, uint16(status), payload)
}

// TextResponse makes a RESPONSE in the text form.
func TextResponse(stream uint32, flags channel.Flags, status int, head, body string) []byte {
	payload := channel.AppendResponseFixed(nil, len(head), 0)
	payload = append(append(payload, head...), body...)
	return channel.AppendFrame(nil, channel.Response, flags|TEXT, stream, uint16(status), payload)
}

// RawOpaque makes the RESPONSE that leaves HTTP without a head.
func RawOpaque(stream uint32) []byte {
	return channel.AppendFrame(nil, channel.Response, OPAQUE, stream, 0, channel.AppendResponseFixed(nil, 0, 0))
}

// NoDescriptor makes the SOCKET by which an application says that it did not
// get one.
func NoDescriptor(stream uint32) []byte {
	return channel.AppendFrame(nil, channel.Socket, 0, stream, channel.SocketRelayed, nil)
}

// Data makes a DATA frame.
func Data(stream uint32, flags channel.Flags, body string) []byte {
	return channel.AppendFrame(nil, channel.Data, flags, stream, 0, []byte(body))
}

// Trailers makes a TRAILERS frame.
func Trailers(stream uint32, flags channel.Flags, fields ...string) []byte {
	payload := channel.AppendTrailersFixed(nil, len(fields))
	for _, f := range fields {
		payload = appendField(payload, f)
	}
	return channel.AppendFrame(nil, channel.Trailers, flags, stream, 0, payload)
}

// File makes a FILE frame; the descriptor goes beside it.
func File(stream uint32, flags channel.Flags, offset, length int64) []byte {
	return channel.AppendFrame(nil, channel.File, flags, stream, 0, channel.AppendFile(nil, offset, length))
}

// Window makes a WINDOW frame.
func Window(stream, n uint32) []byte {
	return channel.AppendUint32Frame(nil, channel.Window, stream, n)
}

// Credit makes a CREDIT frame.
func Credit(n uint32) []byte { return channel.AppendUint32Frame(nil, channel.Credit, 0, n) }

// Cancel makes a CANCEL frame.
func Cancel(stream uint32, flags channel.Flags, value uint16) []byte {
	return channel.AppendFrame(nil, channel.Cancel, flags, stream, value, nil)
}

// GoAway makes a GOAWAY frame.
func GoAway() []byte { return channel.AppendFrame(nil, channel.GoAway, 0, 0, 0, nil) }

func appendField(dst []byte, field string) []byte {
	name, value, _ := strings.Cut(field, ": ")
	dst = append(append(dst, name...), 0)
	return append(append(dst, value...), 0)
}

// Pieces makes the body of a frame with PIECES. What begins with "→" is the name of a fragment, the rest is bytes.
func Pieces(parts ...string) string {
	var b []byte
	for _, p := range parts {
		if name, ok := strings.CutPrefix(p, "→"); ok {
			b = channel.AppendPieceOf(b, name, 0, -1)
		} else {
			b = channel.AppendPiece(b, []byte(p))
		}
	}
	return string(b)
}

// Fragment makes the FRAGMENT frames that bring a fragment, in so many bytes each.
func Fragment(number uint32, ttlMS uint64, name, tags, data string, each int) []byte {
	payload := channel.AppendFragmentHead(nil, &channel.FragmentHead{TTLMS: ttlMS, Name: []byte(name), Tags: []byte(tags)})
	payload = append(payload, data...)
	var out []byte
	for each += channel.FragmentFixed + len(name) + len(tags); len(payload) > each; payload = payload[each:] {
		out = channel.AppendFrame(out, channel.Fragment, channel.FlagMore, number, 0, payload[:each])
	}
	return channel.AppendFrame(out, channel.Fragment, 0, number, 0, payload)
}
