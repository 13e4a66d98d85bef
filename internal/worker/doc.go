// Package worker is one application process as the event loops see it.
//
// A Channel is the connection between one process and one loop: it sends
// requests as far as the process has given credit, and takes responses. It
// owns the numbers of the streams on it, and checks every byte that comes: a
// process that breaks the protocol loses its session, and nobody else
// notices.
//
// channel.go is the life of a Channel, send.go what goes to the application,
// receive.go what comes from it. What frames look like is in package
// internal/wire/channel; what a request does with them, in
// internal/exchange.
package worker
