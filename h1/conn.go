package h1

import (
	"errors"

	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Conn is the server's side of one connection. The zero value is ready. It is
// not safe for concurrent use.
type Conn struct {
	// Limits hold for the heads that are parsed after they were set.
	Limits Limits

	in     []byte // received and not consumed yet
	buf    []byte // whose array is used again when in is empty
	closed bool   // the client will send no more

	limits   h1.Limits // of the request
	heads    h1.HeadParser
	raw      h1.Request
	body     h1.Body
	trailers Fields // of a body whose last piece was returned
	bad      error  // in the body, behind the piece that was returned

	from state // what the client has said of the exchange
	to   state // what it was told
	// broken is the answer to every Next, once it is set.
	broken error

	request   h1.Exchange // what framing has to know
	upgrade   bool        // 101 is allowed
	expect    bool        // the client waits for 100
	keepAlive bool        // another request may follow
	framing   h1.Framing
	length    int64 // still to be sent, for FramingLength

	response message.Response // scratch
	block    []byte           // scratch
}

// state is how far one side of an exchange has come. An exchange is over when
// both sides are at done; then both go back to idle, if the connection can be
// used again, or to over.
type state uint8

const (
	idle     state = iota // no request; no answer owed
	owed                  // to: the request is there, the final head not
	inBody                // from, to: the head is complete, the body not
	done                  // from, to: everything is said
	switched              // HTTP was left (101, or 2xx to CONNECT)
	over                  // nothing follows
)

// The errors of Next that are no faults.
var (
	// ErrNeedMore: call Receive, or ReceiveEOF.
	ErrNeedMore = errors.New("h1: more bytes of the client are needed")
	// ErrBusy: the last request must be answered first. A client may send
	// requests ahead (RFC 9112 9.3.2); reading from it can wait.
	ErrBusy = errors.New("h1: the response to the last request is not complete")
	// ErrSwitched: the connection speaks another protocol now. Rest has what the
	// client has sent in it already.
	ErrSwitched = errors.New("h1: the connection has left HTTP")
)

// The errors of the methods that append: the program broke the rules, and
// nothing was appended.
var (
	ErrOrder   = errors.New("h1: not at this point of the exchange")
	ErrUpgrade = errors.New("h1: 101 to a client that did not ask for an upgrade, or before its request is complete")
	ErrLength  = errors.New("h1: the body disagrees with its Content-Length")
	ErrStatus  = errors.New("h1: a status that this method does not send")
)

// Reading says whether bytes of the client are of use now. A program that does
// not read while it is false holds no more than one head and what came with it.
func (c *Conn) Reading() bool {
	if c.closed || c.broken != nil {
		return false
	}
	return c.from == inBody || c.from == idle && (c.to == idle || c.to == over)
}

// ShouldClose says whether the connection has to be closed once everything
// that was appended is sent. Close it in order: end your side, and read on for
// a moment, or the client may lose your last words (RFC 9112 9.6).
func (c *Conn) ShouldClose() bool {
	return c.broken != nil || c.to == over
}

// Rest returns the bytes that were received and not used, and takes them out.
// After a switch of protocols they are the first of the new one.
func (c *Conn) Rest() []byte {
	b := c.in
	c.in, c.buf = nil, nil
	return b
}

// settle begins anew when both sides are done.
func (c *Conn) settle() {
	if c.to == done && !c.keepAlive {
		c.to = over
	}
	if c.from == done && c.to == done {
		c.from, c.to = idle, idle
	}
}
