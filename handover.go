package httpsys

import (
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// This file is how a client's socket comes to us (docs/channel.md section 9):
// a stream that turns to opaque mode asks for it, and says nothing more until
// the daemon has answered. With the socket the daemon is out of the path.

// handedOver is the daemon's answer.
type handedOver struct {
	fd      int    // -1: the bytes go through the daemon
	pending []byte // what the daemon had read of the socket
	err     error
}

// socket takes a SOCKET frame; x is nil if we have ended the stream.
func (l *loop) socket(x *exchange, h channel.Header, payload []byte) error {
	if h.Value == channel.SocketRelayed {
		if x != nil {
			x.answered(handedOver{fd: -1})
		}
		return nil
	}
	if len(l.fds) == 0 {
		return errNoDescriptor
	}
	fd := l.fds[0]
	l.fds = append(l.fds[:0], l.fds[1:]...)
	switch {
	case x == nil:
		closeDescriptors([]int{fd})
	case fd < 0:
		x.refuseSocket() // it did not get through: we have as many as we may have
	default:
		if !x.answered(handedOver{fd: fd, pending: append([]byte(nil), payload...)}) {
			closeDescriptors([]int{fd})
		}
	}
	return nil
}

var errNoDescriptor = errors.New("SOCKET without a descriptor")

func closeDescriptors(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// answered passes the answer on to who waits for it; false if nobody does.
func (s *stream) answered(a handedOver) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer == nil {
		return false
	}
	s.answer <- a // has room
	s.answer = nil
	return true
}

// ask gets ready for the answer; the RESPONSE that asks is sent after it.
func (s *stream) ask() <-chan handedOver {
	answer := make(chan handedOver, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		answer <- handedOver{fd: -1, err: s.stopped}
		return answer
	}
	s.answer = answer
	return answer
}

// detach: the stream is a connection through the daemon, and no request any
// more that has to be answered before the loop can end.
func (s *stream) detach() {
	l := s.l
	l.mu.Lock()
	if !s.ended && !s.opaque {
		s.opaque = true
		l.busy--
		l.checkDrained()
	}
	l.mu.Unlock()
}

// A tunnel is a connection in opaque mode, of either kind.
type tunnel interface {
	net.Conn
	CloseWrite() error
}

// takeOver waits for the answer and makes the connection: the client's own, or
// one through the daemon.
func (s *stream) takeOver(answer <-chan handedOver, local, remote net.Addr) (tunnel, error) {
	a := <-answer
	if a.err != nil {
		return nil, a.err
	}
	if a.fd < 0 {
		s.detach()
		return &opaqueConn{s: s, local: local, remote: remote}, nil
	}
	tcp, err := connOf(a.fd)
	if err != nil {
		// The last descriptor that we may have: it is not enough.
		again := s.ask()
		s.refuseSocket()
		return s.takeOver(again, local, remote)
	}
	// The daemon closes its descriptor when it hears that we have ours.
	s.cancel(cancelAbort)
	s.l.flush()
	s.stopDeadlines()
	// The body, if nobody has read it, came before.
	s.mu.Lock()
	pending := append(s.in[s.inRead:len(s.in):len(s.in)], a.pending...)
	s.in, s.inRead, s.inBuf = nil, 0, false
	s.mu.Unlock()
	if len(pending) == 0 {
		return tcp, nil
	}
	return &pendingConn{TCPConn: tcp, pending: pending}, nil
}

// refuseSocket asks the daemon to take its socket back.
func (s *stream) refuseSocket() {
	l := s.l
	l.mu.Lock()
	if !s.ended && !l.closed {
		l.out.frame(channel.Socket, 0, s.id, channel.SocketRelayed)
	}
	l.mu.Unlock()
	flushSoon(l)
}

// connOf makes a connection of a socket, and closes fd in any case.
func connOf(fd int) (*net.TCPConn, error) {
	f := os.NewFile(uintptr(fd), "client")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil // nothing else has clients
}

// acceptRaw takes a connection that was never HTTP (docs/channel.md section
// 9.2).
func (x *exchange) acceptRaw() (tunnel, error) {
	cut := cutter{block: x.block[:x.text]}
	for range 3 {
		cut.bytes()
	}
	remote, local := cut.string(), cut.string()
	conn, err := x.leaveHTTP(local, remote)
	if err != nil {
		x.drop()
	}
	return conn, err
}

// leaveHTTP turns the stream to opaque mode without a head.
func (x *exchange) leaveHTTP(local, remote string) (tunnel, error) {
	if err := x.reopen(); err != nil {
		return nil, err
	}
	l := x.l
	flags, answer := channel.FlagOpaque, (<-chan handedOver)(nil)
	if l.sess.socket {
		flags, answer = flags|channel.FlagSocket, x.ask()
	}
	if err := x.lockRoom(); err != nil {
		return nil, err
	}
	l.out.buf = channel.AppendHeader(l.out.buf, channel.Header{Length: channel.ResponseFixed, Stream: x.id,
		Type: channel.Response, Flags: flags | x.credit()})
	l.out.buf = channel.AppendResponseFixed(l.out.buf, 0, 0)
	x.headSent = true
	l.mu.Unlock()
	l.flush()
	return x.tunnel(answer, local, remote)
}

// A pendingConn is a client's own connection of which the daemon had read
// something, which came with it.
type pendingConn struct {
	*net.TCPConn
	pending []byte // the reader's
}

func (c *pendingConn) Read(p []byte) (int, error) {
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		if c.pending = c.pending[n:]; len(c.pending) == 0 {
			c.pending = nil
		}
		return n, nil
	}
	return c.TCPConn.Read(p)
}

// WriteTo keeps io.Copy from passing the pending bytes by.
func (c *pendingConn) WriteTo(w io.Writer) (int64, error) {
	var first int64
	for len(c.pending) > 0 {
		n, err := w.Write(c.pending)
		first += int64(n)
		c.pending = c.pending[n:]
		if err != nil {
			return first, err
		}
	}
	n, err := c.TCPConn.WriteTo(w)
	return first + n, err
}
