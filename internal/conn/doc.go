// Package conn is one client connection over TCP: it feeds bytes to a protocol
// core, makes an exchange of each request, and sends what the exchange tells it.
//
// A Conn belongs to one loop. An idle connection holds no
// buffer: bytes are read into the loop's, and only what cannot be used yet is
// kept.
//
// server.go is what the connections of a loop share, conn.go the life of a
// connection, read.go and write.go get bytes from the socket and into it. What
// is spoken is behind the interface protocol: http1.go, http1_read.go (client
// to exchange), http1_respond.go (exchange to client) and http1_timeouts.go
// (when patience ends); http2.go and http2_stream.go; and before them, on an
// https port, tls.go. What is valid HTTP is decided in internal/wire/h1 and h2, who
// gets a request in internal/exchange.
package conn
