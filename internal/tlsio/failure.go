package tlsio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// Failure is a kind of reason for which handshakes fail.
type Failure uint8

// The kinds. Those from NoCertificate on are worth a line in a log.
const (
	Left          Failure = iota // the client went away
	Late                         // it took too long
	Overloaded                   // there were too many at once
	NoCertificate                // nothing is bound for the name or address that the client wants
	Refused                      // the client sent an alert: it does not like our certificate, for example
	Unacceptable                 // what the client sent: versions, protocols, records that are wrong
	NotTLS                       // it was no handshake at all
	Failures                     // how many kinds there are
)

var failureNames = [Failures]string{"left", "timeout", "overload", "no_certificate", "refused_by_client", "not_acceptable", "not_tls"}

// String is the name of f for counters and logs, such as "timeout".
func (f Failure) String() string { return failureNames[f] }

// unbound says for whom there is no certificate.
type unbound struct{ name string }

func (e unbound) Error() string {
	if e.name == "" {
		return "nothing is bound for clients that ask for no name"
	}
	return fmt.Sprintf("nothing is bound for %.255q", e.name)
}

// FailureOf says of which kind the error of a handshake is.
func FailureOf(err error) Failure {
	var remote *net.OpError
	switch {
	case errors.Is(err, ErrTimeout):
		return Late
	case errors.Is(err, ErrOverload):
		return Overloaded
	case errors.Is(err, ErrClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return Left
	case errors.As(err, &remote) && remote.Op == "remote error":
		return Refused // crypto/tls says so of each alert that it receives
	case errors.As(err, new(unbound)), strings.Contains(err.Error(), "no certificates configured"):
		return NoCertificate // nor does it say this in another way; a test holds it
	}
	return Unacceptable
}
