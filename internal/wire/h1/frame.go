package h1

import "github.com/httpsys/httpsys/internal/wire/message"

// Exchange is what the framing of a response has to know of its request and of
// the connection.
type Exchange struct {
	Head    bool  // the request was HEAD
	Connect bool  // the request was CONNECT
	Version uint8 // of the client: 10 or 11
	// KeepAlive: the client allows another request on the connection, and we
	// want one.
	KeepAlive bool
}

// Frame decides how the end of a final response is marked. bodyComplete says
// that the application has sent all of the body already, bodyLen bytes.
//
// length is what Content-Length says, or -1 if the field is not to be added or
// changed; for FramingLength it is what must be sent, and the
// caller holds the application to it. Without keepAlive the connection is
// closed behind this response. The steps are those of RFC 9112 6.3.
func Frame(x Exchange, r *message.Response, bodyComplete bool, bodyLen int64) (
	f Framing, length int64, keepAlive bool) {
	keepAlive = x.KeepAlive && !r.Close

	// 1. Never a body: HEAD, 1xx, 204, 304. HEAD says the length that GET would
	// have if the application gave the body to know it by (RFC 9110 9.3.2).
	switch {
	case r.Status < 200 || r.Status == 204 || r.Status == 304:
		return FramingNone, -1, keepAlive
	case x.Head:
		if r.ContentLength < 0 && bodyComplete && bodyLen > 0 {
			return FramingNone, bodyLen, keepAlive
		}
		return FramingNone, r.ContentLength, keepAlive
	}
	// 2. A tunnel begins behind a successful answer to CONNECT. After a refusal,
	// what the client already sent into the tunnel is no request.
	if x.Connect {
		keepAlive = false
		if r.Status < 300 {
			return FramingNone, -1, false
		}
	}
	// 3. and 4. concern Transfer-Encoding, which is ours and not the
	// application's: it was dropped when the head was parsed. One that wrote
	// text gets chunks where it wrote chunks.

	// 5. and 6. The application's Content-Length is its word. If the body is
	// there and disagrees, the connection is not used again.
	if r.ContentLength >= 0 {
		return FramingLength, r.ContentLength, keepAlive && (!bodyComplete || bodyLen == r.ContentLength)
	}
	if bodyComplete && !(r.Text && (r.Close || r.TransferEncoding != nil && x.Version >= 11)) {
		return FramingLength, bodyLen, keepAlive
	}
	// An application that wrote text may mark the end by closing.
	if r.Text && r.Close && r.TransferEncoding == nil {
		return FramingClose, -1, false
	}
	// 7. RFC 9112 6.1: never chunked to a client that did not say HTTP/1.1.
	if x.Version >= 11 {
		return FramingChunked, -1, keepAlive
	}
	// 8.
	return FramingClose, -1, false
}
