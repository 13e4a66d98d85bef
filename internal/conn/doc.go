// Package conn is one client connection over TCP that speaks HTTP/1: it feeds
// bytes to the protocol core, makes an exchange of each request, and sends
// what the exchange tells it.
//
// A Conn belongs to one loop and handles one request at a time; requests that
// a client sends ahead (pipelining) stay unread. An idle connection holds no
// buffer: bytes are read into the loop's, and only what cannot be used yet is
// kept.
//
// conn.go is the life of a connection, read.go client to exchange, respond.go
// exchange to client, write.go and outbox.go get bytes into the socket,
// timeouts.go says when patience ends. What is valid HTTP is decided in
// internal/wire/h1, who gets a request in internal/exchange.
package conn
