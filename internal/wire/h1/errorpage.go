package h1

import (
	"strconv"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// AppendError appends a whole response that the daemon makes by itself: head and a
// small page that says in one sentence what happened. The page is left out for HEAD.
// Without x.KeepAlive it says Connection: close, as it must after an *Error.
// date, server and extra are complete lines and may be empty; extra is for
// fields such as Retry-After or Allow.
func AppendError(dst []byte, x Exchange, status int, text string, date, server, extra []byte) []byte {
	const (
		open  = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>"
		title = "</title></head>\n<body>\n<h1>"
		head  = "</h1>\n<p>"
		end   = "</p>\n</body>\n</html>\n"
	)
	reason := message.StatusText(status)
	heading := 4 + len(reason)
	size := len(open) + heading + len(title) + heading + len(head) + len(text) + len(end)

	dst = appendStatusLine(dst, status, nil)
	dst = append(dst, "Content-Type: text/html; charset=utf-8\r\n"...)
	dst = append(dst, date...)
	dst = append(dst, server...)
	dst = append(dst, extra...)
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(size), 10)
	dst = append(dst, "\r\n"...)
	switch {
	case !x.KeepAlive:
		dst = append(dst, "Connection: close\r\n"...)
	case x.Version < 11:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if x.Head {
		return dst
	}
	dst = append(dst, open...)
	dst = appendHeading(dst, status, reason)
	dst = append(dst, title...)
	dst = appendHeading(dst, status, reason)
	dst = append(dst, head...)
	dst = append(dst, text...)
	return append(dst, end...)
}

// AppendBareError appends a whole response of the daemon's without a page, a name
// or a date: what a program's own server says of what it cannot read.
func AppendBareError(dst []byte, x Exchange, status int, extra []byte) []byte {
	dst = appendStatusLine(dst, status, bareReason(status))
	dst = append(dst, extra...)
	switch {
	case !x.KeepAlive:
		dst = append(dst, "Connection: close\r\n"...)
	case x.Version < 11:
		dst = append(dst, "Content-Length: 0\r\nConnection: keep-alive\r\n"...)
	default:
		dst = append(dst, "Content-Length: 0\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// bareReason is the phrase of a status that such a server names as RFC 7231 did; nil:
// the present one.
func bareReason(status int) []byte {
	if status == 413 {
		return payloadTooLarge
	}
	return nil
}

var payloadTooLarge = []byte("Payload Too Large")

func appendHeading(dst []byte, status int, reason string) []byte {
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	return append(dst, reason...)
}
