package exchange

import (
	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Client is what an exchange needs from the connection or stream that waits
// for the response. Slices are valid only during the call.
type Client interface {
	// Informational sends a 1xx response.
	Informational(r *message.Response)
	// Respond sends the final head and the first bytes of the body; end says
	// that it is complete.
	Respond(r *message.Response, body []byte, end bool)
	// Stored answers from the cache. The body is complete with a.Body if end is
	// set; else it follows through Body.
	Stored(a *cache.Answer, end bool)
	// Moved tells that the response comes from another exchange from now on,
	// and the one before must be forgotten.
	Moved(x *Exchange)
	// Body sends more of the body.
	Body(b []byte, end bool)
	// Trailers ends the body.
	Trailers(fields []message.Field)
	// File sends length bytes of fd from offset; the client takes over fd.
	File(fd int, offset, length int64, end bool)
	// Run sends stored bytes, from where they are, and releases them then. They
	// count cost in the window.
	Run(r cache.Run, cost int, end bool)
	// Opaque ends HTTP: a head (nil: none), then bytes both ways.
	Opaque(r *message.Response)
	// CanOpaque says whether Opaque can be called with this status, 0 if
	// without a head.
	CanOpaque(status int) bool
	// Close ends an opaque exchange once everything is sent.
	Close()
	// Hangup ends the connection or stream without an answer; no head was sent before.
	Hangup()
	// Fail answers with an error of the daemon; no head was sent before. reason
	// is for the log, in HTTP.SYS's words.
	Fail(status int, reason, text string)
	// Abort cuts the connection or stream so that what was sent cannot be
	// taken for a complete response.
	Abort()
	// ReadMore tells that RequestBody takes more bytes now.
	ReadMore()
}

// Socketed is a Client that has a socket of its own, and may give it away.
type Socketed interface {
	// HandOver does what Opaque does, and Body with the bytes. If then the whole of
	// it is on the wire, and the socket carries nothing but these bytes, it lets go
	// of the socket and returns it, with what was read of it. Until GivenAway or
	// TakeBack the client neither reads nor writes; if fd < 0, it waits for TakeBack
	// all the same, unless it has ended.
	HandOver(r *message.Response, body []byte) (fd int, pending []byte)
	// TakeBack relays as after Opaque.
	TakeBack()
	// GivenAway tells that somebody else has the socket now, and ends the client.
	GivenAway()
}

// Worker is what an exchange needs from the channel that it was assigned to.
type Worker interface {
	// ID is the worker's number, the same on all loops.
	ID() uint64
	Data(x *Exchange, b []byte, end bool)
	Trailers(x *Exchange, fields []message.Field)
	Cancel(x *Exchange, reason uint16)
	Window(x *Exchange, n int)
	// Ahead tells that the client has sent something behind its request.
	Ahead(x *Exchange)
	// Socket offers the client's socket with the bytes that were read of it; the
	// descriptor stays the caller's. It reports false if that is not possible now.
	Socket(x *Exchange, fd int, pending []byte) bool
	// Ref is the worker in one word.
	Ref() *WorkerRef
	// Woken tells that x is behind its number again, after a rest.
	Woken(x *Exchange)
	// NoSocket says that there will be none.
	NoSocket(x *Exchange)
	// Room is how many bytes of bodies the channel takes now, whatever the
	// window of a stream allows.
	Room() int
	// Lend asks for n more bytes that a stream may have unsent at the
	// daemon, and reports how many it grants; Return gives them back.
	Lend(n int) int
	Return(n int)
}

// WorkerRef is a Worker in one word instead of two, for exchanges at rest: there are many.
type WorkerRef struct{ Worker }
