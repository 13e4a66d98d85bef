package tlsio

import (
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/httpsys/httpsys/internal/sys"
)

// transport is the net.Conn under a tls.Conn. As long as hs is set, Read and
// Write block the handshake (not the loop, if it is a coroutine there); after
// that they never block.
type transport struct {
	fd            int
	remote, local netip.AddrPort
	binding       Binding
	hs            *handshake
	first         []byte // read before the handshake, not yet taken

	out     []byte // records to be sent
	sent    int64  // bytes of records that are not ours to send: answers and alerts
	sealing bool   // what is written now is data
	empty   bool   // the socket had no more when it was last read
	closed  bool   // the peer has closed its side
	eof     bool   // and that has been read
}

func (t *transport) Read(b []byte) (int, error) {
	if len(t.first) > 0 {
		n := copy(b, t.first)
		if t.first = t.first[n:]; len(t.first) == 0 {
			t.first = nil
		}
		return n, nil
	}
	if t.hs != nil {
		return t.readBlocking(b)
	}
	switch {
	case t.eof:
		return 0, io.EOF
	case t.empty:
		return 0, errEmpty
	}
	n, err := sys.Read(t.fd, b)
	switch {
	case err == sys.ErrAgain:
		t.empty = true
		return 0, errEmpty
	case err != nil:
		return 0, err
	case n == 0:
		t.eof = true
		return 0, io.EOF
	}
	t.empty = n < len(b) && !t.closed // edge triggered: more will be reported
	return n, nil
}

func (t *transport) Write(b []byte) (int, error) {
	if t.hs != nil {
		return t.writeBlocking(b)
	}
	t.out = append(t.out, b...)
	if !t.sealing {
		t.sent += int64(len(b))
	}
	return len(b), nil
}

func (t *transport) readBlocking(b []byte) (int, error) {
	for {
		t.hs.listen()
		n, err := sys.Read(t.fd, b)
		switch {
		case err == sys.ErrAgain:
			if err := t.hs.park(); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (t *transport) writeBlocking(b []byte) (int, error) {
	total := 0
	for total < len(b) {
		t.hs.listen()
		n, err := sys.Write(t.fd, b[total:], false)
		switch {
		case err == sys.ErrAgain:
			if err := t.hs.park(); err != nil {
				return total, err
			}
		case err != nil:
			return total, err
		}
		total += n
	}
	return total, nil
}

// Wait runs f, which waits for a disk or a network, during a handshake. It
// returns false if the handshake shall end and did not wait for f: then what f
// does is not to be looked at.
func (t *transport) Wait(f func()) bool { return t.hs.wait(f) }

// Close does nothing: the descriptor belongs to the loop.
func (t *transport) Close() error { return nil }

func (t *transport) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(t.local) }
func (t *transport) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(t.remote) }

// Deadlines are the loop's: it cancels handshakes that take too long.
func (t *transport) SetDeadline(time.Time) error      { return nil }
func (t *transport) SetReadDeadline(time.Time) error  { return nil }
func (t *transport) SetWriteDeadline(time.Time) error { return nil }
