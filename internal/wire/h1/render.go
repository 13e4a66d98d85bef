package h1

import (
	"slices"
	"strconv"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// The parts of a chunked body besides the header of a chunk.
const (
	ChunkEnd  = "\r\n"      // behind the bytes of a chunk
	LastChunk = "0\r\n\r\n" // instead of AppendTrailers if there are none
)

// MaxChunkHeader is how long what AppendChunkHeader adds can be.
const MaxChunkHeader = 18

// statusLines are complete status lines with the registered phrases.
var statusLines = func() (t [600]string) {
	for status := range t {
		if text := message.StatusText(status); text != "" {
			t[status] = "HTTP/1.1 " + strconv.Itoa(status) + " " + text + "\r\n"
		}
	}
	return t
}()

func appendStatusLine(dst []byte, status int, reason []byte) []byte {
	if len(reason) == 0 && status < len(statusLines) && statusLines[status] != "" {
		return append(dst, statusLines[status]...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ') // RFC 9112 4: even before an empty phrase
	dst = append(dst, reason...)
	return append(dst, "\r\n"...)
}

// AppendResponseHead appends the head of a final response, framed as Frame
// decided. The application's fields keep their order and spelling. date and
// server are complete lines, used where the application has none of its own and did not write text. The status line says
// HTTP/1.1 whatever the client speaks (RFC 9110 2.5).
func AppendResponseHead(dst []byte, x Exchange, r *message.Response, f Framing, length int64, keepAlive bool,
	date, server []byte) []byte {
	dst = appendStatusLine(dst, r.Status, r.Reason)
	tunnel := r.Status == 101 || x.Connect && r.Status >= 200 && r.Status < 300
	skip := -1
	if r.LengthAt >= 0 && (r.Status < 200 || r.Status == 204 || tunnel) {
		skip = r.LengthAt // RFC 9110 8.6: no Content-Length there
	}
	at := -1 // of the Connection field, in text that has one
	if r.Text && !tunnel {
		at = min(r.ConnectionAt, len(r.Fields)) // some may have been taken off
	}
	if at < 0 {
		dst = appendFields(dst, r.Fields, skip)
	} else {
		dst = appendFields(dst, r.Fields[:at], skip)
		dst = appendConnection(dst, x, r, keepAlive)
		dst = appendFields(dst, r.Fields[at:], skip-at)
	}
	if !r.HasDate && !r.Text {
		dst = append(dst, date...)
	}
	if !r.HasServer && !r.Text {
		dst = append(dst, server...)
	}
	switch {
	case f == FramingChunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case length >= 0 && r.LengthAt < 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		dst = append(dst, "\r\n"...)
	}
	if !tunnel && at < 0 {
		dst = appendConnection(dst, x, r, keepAlive)
	}
	return append(dst, "\r\n"...)
}

// appendConnection appends what must be said of the connection's future, and
// what an application that wrote text has said of it, if that is true.
func appendConnection(dst []byte, x Exchange, r *message.Response, keepAlive bool) []byte {
	name := connection
	if r.Text && len(r.ConnectionName) > 0 {
		name = r.ConnectionName
	}
	switch {
	case !keepAlive:
		return append(append(dst, name...), ": close\r\n"...)
	case x.Version < 11 || r.Text && r.KeepAlive:
		dst = append(append(dst, name...), ": keep-alive\r\n"...)
	}
	if r.Text && r.KeepAliveValue != nil {
		dst = append(dst, "Keep-Alive: "...)
		dst = append(dst, r.KeepAliveValue...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

var connection = []byte("Connection")

// AppendInformational appends a 1xx response other than 101. An HTTP/1.0 client
// must not get one (RFC 9110 15.2).
func AppendInformational(dst []byte, r *message.Response) []byte {
	dst = appendStatusLine(dst, r.Status, r.Reason)
	dst = appendFields(dst, r.Fields, r.LengthAt)
	return append(dst, "\r\n"...)
}

// appendFields appends field lines, without the one at index skip.
func appendFields(dst []byte, fields []message.Field, skip int) []byte {
	size := 0
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value) + len(": \r\n")
	}
	dst = slices.Grow(dst, size)
	for i := range fields {
		if i == skip {
			continue
		}
		dst = append(dst, fields[i].Name...)
		dst = append(dst, ": "...)
		dst = append(dst, fields[i].Value...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// AppendChunkHeader appends the size line of a chunk of n bytes. n must be
// above 0: a chunk of 0 bytes ends the body.
func AppendChunkHeader(dst []byte, n int) []byte {
	dst = strconv.AppendInt(dst, int64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendTrailers ends a chunked body with a trailer section.
func AppendTrailers(dst []byte, fields []message.Field) []byte {
	dst = append(dst, "0\r\n"...)
	dst = appendFields(dst, fields, -1)
	return append(dst, "\r\n"...)
}
