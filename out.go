package httpsys

import (
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

const (
	// outLimit is how many unsent bytes make writers of bodies wait. Twice as
	// much may be held: one buffer being sent, one being filled.
	outLimit = 256 << 10
	// outKeep is the largest buffer that is kept for the next batch.
	outKeep = 512 << 10
	// outFiles is how many descriptors wait to be passed: each is one of ours.
	outFiles = 32
	// sendRounds is how often one goroutine goes on with what others have added
	// meanwhile; after that it has done enough for them.
	sendRounds = 8
)

// An outbox is what is to be sent on a loop connection. Frames are appended to
// it under the loop's lock; whoever calls flush first writes what all have
// appended, so that a batch of responses is one system call.
type outbox struct {
	buf     []byte
	files   []outFile // descriptors that go with bytes of buf, in order
	room    sync.Cond // waited on while buf is beyond outLimit
	writing bool      // somebody is in the write loop of flush
	kicked  bool      // a flush is on its way (see endpoint.kick)

	// The writer's, while writing is set.
	spare      []byte
	spareFiles []outFile
	rest       []byte
	err        error
	send       func(fd uintptr) bool // made once, as a closure would be for each write
}

// An outFile is a descriptor that must go with the byte at offset at.
type outFile struct{ at, fd int }

func (o *outbox) full() bool { return len(o.buf) > outLimit || len(o.files) > outFiles }

func (o *outbox) empty() bool { return len(o.buf) == 0 && !o.writing }

func (o *outbox) frame(t channel.Type, f channel.Flags, stream uint32, value uint16) {
	o.buf = channel.AppendHeader(o.buf, channel.Header{Stream: stream, Type: t, Flags: f, Value: value})
}

// discard drops what was not sent; the loop's lock is held.
func (o *outbox) discard() {
	closeFiles(o.files)
	o.buf, o.files = nil, nil
	o.room.Broadcast()
}

func closeFiles(files []outFile) {
	for _, f := range files {
		unix.Close(f.fd)
	}
}

// flush sends what is in the outbox. If another goroutine is sending, it takes
// care of the rest and flush returns at once.
func (l *loop) flush() {
	l.mu.Lock()
	o := &l.out
	if o.writing {
		l.mu.Unlock()
		return
	}
	o.kicked = false
	if len(o.buf) == 0 {
		l.mu.Unlock()
		return
	}
	o.writing = true
	for round := 0; len(o.buf) > 0 && !l.closed && round < sendRounds; round++ {
		buf, files := o.buf, o.files
		o.buf, o.files = o.spare[:0], o.spareFiles[:0]
		l.mu.Unlock()
		err := l.write(buf, files)
		if err != nil {
			l.sess.fail(err)
		}
		l.mu.Lock()
		o.kicked = false
		if o.spare, o.spareFiles = buf, files; cap(buf) > outKeep {
			o.spare = nil
		}
		o.room.Broadcast()
	}
	o.writing = false
	if len(o.buf) > 0 && !l.closed && !o.kicked {
		o.kicked = true
		go l.flush()
	}
	l.checkDrained()
	l.mu.Unlock()
}

// write sends b, and each file with its byte. Descriptors are closed in any case.
func (l *loop) write(b []byte, files []outFile) error {
	sent := 0
	for i, f := range files {
		if err := l.writeAll(b[sent:f.at]); err != nil {
			closeFiles(files[i:])
			return err
		}
		// The descriptor travels with the first byte of what is sent here; the
		// frame alone keeps it apart from the next one.
		end := f.at + channel.HeaderSize + channel.FilePayload
		err := writeWithDescriptor(l.conn, b[f.at:end], f.fd)
		unix.Close(f.fd)
		if err != nil {
			closeFiles(files[i+1:])
			return err
		}
		sent = end
	}
	return l.writeAll(b[sent:])
}

func (l *loop) writeAll(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	l.out.rest, l.out.err = b, nil
	if err := l.raw.Write(l.out.send); err != nil {
		return err
	}
	return l.out.err
}

// sendSome is called by the poller whenever the socket may take more.
func (l *loop) sendSome(fd uintptr) bool {
	for len(l.out.rest) > 0 {
		n, err := writeSocket(int(fd), l.out.rest)
		if err == sys.ErrAgain {
			return false
		}
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			l.out.err = err
			return true
		}
		l.out.rest = l.out.rest[n:]
	}
	return true
}

// writeWithDescriptor sends b with fd attached to its first byte.
func writeWithDescriptor(conn *net.UnixConn, b []byte, fd int) error {
	n, _, err := conn.WriteMsgUnix(b, syscall.UnixRights(fd), nil)
	if err == nil && n < len(b) {
		_, err = conn.Write(b[n:])
	}
	return err
}
