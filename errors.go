package httpsys

import (
	"errors"
	"net/http"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A Code says what kind of error an [Error] is, for decisions; its text is
// for people.
type Code string

// The codes. All but NoDaemon and Disconnected come from the daemon.
const (
	// InvalidParameter: the prefix or an option is malformed.
	InvalidParameter = Code(channel.InvalidParameter)
	// AccessDenied: the prefix is reserved for somebody else or its port is
	// below 1024; or the daemon's socket is not for us.
	AccessDenied = Code(channel.AccessDenied)
	// AlreadyExists: another queue has registered the prefix.
	AlreadyExists = Code(channel.AlreadyExists)
	// NotFound: there is no such registration.
	NotFound = Code(channel.NotFound)
	// PortInUse: a program that does not use httpsys holds the port.
	PortInUse = Code(channel.PortInUse)
	// AddressNotAvailable: the machine does not have the prefix's address.
	AddressNotAvailable = Code(channel.AddressNotAvailable)
	// Unsupported: the daemon is older or newer than this package understands.
	Unsupported = Code(channel.Unsupported)
	// Limit: a bound of the daemon is reached.
	Limit = Code(channel.Limit)
	// Internal: the daemon failed.
	Internal = Code(channel.Internal)
	// NoDaemon: nobody listens on the socket.
	NoDaemon Code = "no_daemon"
	// Disconnected: the connection to the daemon ended.
	Disconnected Code = "disconnected"
)

// An Error says what could not be done, with what, and of which kind the
// reason is. [errors.Is] compares it with another *Error by its Code alone:
//
//	errors.Is(err, &httpsys.Error{Code: httpsys.AccessDenied})
type Error struct {
	Op      string // "connect", "register"
	Subject string // the socket's path, the URL prefix
	Code    Code
	Message string // one line; it says what to do where there is something to do
	Err     error  // what lies below, or nil
}

func (e *Error) Error() string {
	if e.Code == NoDaemon {
		return e.Message
	}
	text := e.Op
	if e.Subject != "" {
		text += " " + e.Subject
	}
	return text + ": " + e.Message
}

// Unwrap returns what lies below.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same Code and nothing else
// in it, or equal to e.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && (t == e || *t == Error{Code: e.Code})
}

// asError names op and subject in an error of the channel.
func asError(op, subject string, err error) error {
	if ce, ok := errors.AsType[*channel.Error](err); ok {
		return &Error{Op: op, Subject: subject, Code: Code(ce.Code), Message: ce.Message, Err: err}
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Op: op, Subject: subject, Code: Disconnected, Message: err.Error(), Err: err}
}

// ErrServerClosed is what serving returns after an orderly end. It is
// [http.ErrServerClosed], so that programs which compare with that go on
// working.
var ErrServerClosed = http.ErrServerClosed

// What ends the reading and writing of one request.
var (
	errClientGone = errors.New("httpsys: the client is gone")
	errLost       = errors.New("httpsys: the connection to the daemon is lost")
	errFinished   = errors.New("httpsys: the request is finished")

	errHeadTooLong = errors.New("httpsys: the response head is too long")
)
