// Package sys holds the Linux calls that the event loops need and the
// standard library does not offer in the form they need them: without
// allocation, without parking a goroutine, and with file descriptors as plain
// numbers.
//
// epoll.go waits, socket.go opens and accepts, stream.go reads and writes
// bytes, message.go passes descriptors over Unix sockets. Calls on
// non-blocking descriptors bypass the scheduler (RawSyscall): they return at
// once. Only Epoll.Wait may block, and tells the scheduler so.
//
// Every function returns the plain errno; EINTR is retried here and never
// seen outside.
package sys
