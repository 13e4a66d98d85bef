package httpsys

import (
	"io"
	"io/fs"
	"net/http"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// minFile is the length from which on a file is passed as a descriptor. Passing
// one costs some microseconds on both sides, which copying this much does too.
const minFile = 16 << 10

// A file is an *os.File, or what os makes of one in its WriteTo so that
// io.Copy does not go round in circles. Package net asks for the same methods.
type file interface {
	fs.File
	io.Seeker
	io.ReaderAt
	syscall.Conn
}

var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// ReadFrom sends what src has. The rest of a regular file, also behind an
// io.LimitedReader as http.ServeContent has it, is not read: the daemon gets
// the descriptor, and sends the bytes from the kernel's memory.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if n, handled, err := w.readFromFile(src); handled {
		return n, err
	}
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, src, buf[:])
}

// readFromFile does ReadFrom if src is a file that the daemon can send.
func (w *response) readFromFile(src io.Reader) (n int64, handled bool, err error) {
	if w.tunnel != nil {
		return 0, false, nil
	}
	limited, _ := src.(*io.LimitedReader)
	if limited != nil {
		src = limited.R
	}
	f, ok := src.(file)
	if !ok || !w.x.l.sess.files || w.x.l.window < channel.FileWindowCost {
		return 0, false, nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false, nil
	}
	offset, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, false, nil
	}
	length := info.Size() - offset
	if limited != nil {
		length = min(length, limited.N)
	}
	if length < minFile {
		return 0, false, nil
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.wroteHeader && !w.hijacked && !w.finished {
		w.writeHeader(http.StatusOK)
	}
	// What only Write can say, it shall say.
	if w.hijacked || w.finished || w.broken != nil || w.head || !bodyAllowed(w.status) ||
		w.contentLength >= 0 && w.written+length > w.contentLength {
		return 0, false, nil
	}
	fd, ok := duplicate(f)
	if !ok {
		return 0, false, nil
	}
	if err := w.sendFile(f, fd, offset, length); err != nil {
		return 0, true, err
	}
	w.written += length
	if limited != nil {
		limited.N -= length
	}
	if _, err := f.Seek(offset+length, io.SeekStart); err != nil {
		return length, true, err
	}
	return length, true, nil
}

// duplicate makes a descriptor of our own, for the time until it is sent; the
// handler may close the file. It refuses what the daemon would refuse.
func duplicate(f file) (fd int, ok bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, false
	}
	fd = -1
	raw.Control(func(s uintptr) {
		mode, err := unix.FcntlInt(s, unix.F_GETFL, 0)
		if err != nil || mode&unix.O_ACCMODE == unix.O_WRONLY || !sys.IsLocalRegular(int(s)) {
			return
		}
		if d, err := unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			fd = d
		}
	})
	return fd, fd >= 0
}

// sendFile sends the head if that is still to do, then a FILE. mu is held. It
// takes the ownership of fd.
func (w *response) sendFile(f file, fd int, offset, length int64) error {
	x, l := w.x, w.x.l
	if !w.sentHead && w.n == 0 && len(w.parts.pieces) == 0 {
		w.guessType(f, offset)
	}
	if w.n > 0 || len(w.parts.pieces) > 0 || !w.sentHead {
		if _, err := w.sendBuffer(0); err != nil {
			unix.Close(fd)
			return err
		}
	}
	_, err := x.reserve(channel.FileWindowCost, channel.FileWindowCost)
	if err == nil {
		err = x.lockRoom()
	}
	if err != nil {
		unix.Close(fd)
		w.broken = err
		return err
	}
	l.out.files = append(l.out.files, outFile{at: len(l.out.buf), fd: fd})
	l.out.buf = channel.AppendHeader(l.out.buf, channel.Header{Length: channel.FilePayload, Stream: x.id, Type: channel.File})
	l.out.buf = channel.AppendFile(l.out.buf, offset, length)
	l.mu.Unlock()
	l.e.kick(l)
	return nil
}

// guessType does for a file what completeHead does for bytes.
func (w *response) guessType(f file, offset int64) {
	head := &w.buf.head
	if head.hasType || head.hasCoding || head.hasFraming {
		return
	}
	var begin [512]byte
	if n, _ := f.ReadAt(begin[:], offset); n > 0 {
		head.addType(contentType(begin[:n]))
	}
}
