// Package h1 is the HTTP/1.1 and HTTP/1.0 of httpsys on its own, for programs
// that bring their own sockets: bytes in, events out; responses in, bytes out.
// It opens nothing, reads no clock and starts no goroutine, so it works on a
// net.Conn, in an event loop, over a pipe, and byte by byte in a test.
//
// A Conn is the server's side of one connection. Its use is three steps, again
// and again:
//
//	c.Receive(in)                     // bytes from the client
//	ev, err := c.Next()               // a request, a piece of its body, its end
//	out, err = c.AppendResponse(…)    // bytes for the client
//
// Next returns ErrNeedMore when it waits for bytes, ErrBusy when it waits for
// your response, io.EOF when the connection is over in order, and an *Error when
// the client broke the rules: answer with AppendError and close.
//
// The parser is the one of the daemon, and strict (RFC 9112): what two parties
// could read differently is refused, and there is no option to be lenient. Conn
// decides the framing of responses (Content-Length, chunks, or the end of the
// connection) and does not let a body disagree with its length.
//
// What it does not do: add Date (RFC 9110 6.6.1 asks a server with a clock for
// it) or Server, decode content codings, know about timeouts. Close a
// connection whose client is too slow.
//
// The API is stable in the sense of semantic versioning from version 1 of the
// module on.
//
// Read conn.go first: it has the states. receive.go goes from bytes to events,
// respond.go from responses to bytes, message.go has the types.
package h1
