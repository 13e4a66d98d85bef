// Package tlsio is TLS as bytes in, bytes out, for an event loop.
//
// A Conn is one TLS connection over a non-blocking socket that belongs to a
// loop. It has two lives. First the handshake, which crypto/tls can only do by
// blocking: a Pool runs it, as a goroutine of its own when a processor has
// nothing to do, else as a coroutine of the loop, which does one piece of one
// handshake a turn. The loop keeps the descriptor all the time; it tells the
// handshake of events (Wake) and ends it when patience does (Cancel). Then the same tls.Conn is used from the loop alone: Read takes what
// the socket has and returns plain text, Seal turns plain text into records for
// the caller to send. Neither blocks, and an idle connection holds no buffer.
//
// This works because crypto/tls leaves a connection usable after a Read that
// failed with a temporary net.Error, so that is what transport returns when the
// socket is empty. A Write must never fail like that: transport takes every
// byte and hands it to the caller.
//
// Read conn.go first, then transport.go. pool.go and fair.go are the handshakes,
// sniff.go tells TLS from plain HTTP on the first bytes, buffers.go keeps
// memory small. Which certificate is shown to whom is not decided here but
// by the Choose function of a Server; see internal/certs.
package tlsio
