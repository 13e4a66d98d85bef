package httpsys

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

const (
	// firstBuffer is how much of a body waits for the end of the handler, so
	// that small responses get a Content-Length and large ones a Content-Type
	// from their beginning: net/http's number, because it can be seen.
	firstBuffer = 2048
	// nextBuffer is how much of a body makes a frame once the head is sent.
	nextBuffer = 4096
	// maxPiece bounds the body bytes of one frame.
	maxPiece = 64 << 10
	// maxHead bounds the head of a response; with its fixed part and some body
	// it has to fit into one frame.
	maxHead = channel.MaxPayload - 64<<10
	// flushAt is how much a handler may leave for others to send.
	flushAt = 32 << 10
)

// A scratch is what a response needs until it is sent. Nothing of it is ever
// seen by a handler.
type scratch struct {
	head headBlock
	body [nextBuffer]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// A response is the http.ResponseWriter. All methods may be called at any
// time, also after the handler has returned; then they do nothing.
type response struct {
	x      *exchange
	header http.Header

	tunnel *tunnelBody // of a request that asks for a tunnel over HTTP/2; nil: of all others

	mu            sync.Mutex
	buf           *scratch // from WriteHeader to the end
	n             int      // bytes in buf.body
	parts         parts    // before those: what has fragments in it
	status        int
	head          bool // the request was HEAD
	wroteHeader   bool
	sentHead      bool // the final head is in the outbox
	hijacked      bool
	refused       bool // 101 to a request that asks for no upgrade
	finished      bool
	broken        error // the body cannot be completed
	contentLength int64 // that the handler has promised, or -1
	written       int64
}

var (
	_ http.ResponseWriter = (*response)(nil)
	_ http.Flusher        = (*response)(nil)
	_ http.Hijacker       = (*response)(nil)
	_ http.CloseNotifier  = (*response)(nil)
)

// Header returns the map of fields that WriteHeader sends.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader sends an informational response, or fixes the head of the final
// one.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.hijacked:
		w.logCaller("response.WriteHeader on hijacked connection")
	case w.wroteHeader || w.finished:
		w.logCaller("superfluous response.WriteHeader call")
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.inform(status)
	case status == http.StatusSwitchingProtocols && w.x.flags&channel.RequestUpgrade == 0:
		// RFC 9110 15.2.2. The client would take what follows for HTTP.
		w.logCaller("response.WriteHeader(101) for a request that asks for no upgrade")
		w.refused = true
		w.writeHeader(http.StatusInternalServerError)
	default:
		w.writeHeader(status)
	}
}

// writeHeader fixes the final head; mu is held.
func (w *response) writeHeader(status int) {
	w.wroteHeader = true
	w.status = status
	if w.tunnel != nil && !w.accepts() {
		w.tunnel.settle() // there will be none
	}
	if w.x.flags&channel.RequestContinue != 0 {
		w.x.body.expect.Store(false)
	}
	w.buf = scratches.Get().(*scratch)
	head := &w.buf.head
	head.set(w.header, status)
	w.contentLength = head.length
	if head.badLength != "" {
		w.logf("httpsys: invalid Content-Length of %q", head.badLength)
	}
	if head.tooLong() {
		w.logf("httpsys: response head with %d fields and %d bytes is too long", head.n, len(head.fields))
		w.broken = errHeadTooLong
	}
}

// inform sends a response with a status of 1xx (RFC 9110 15.2); mu is held.
func (w *response) inform(status int) {
	var block headBlock
	if status == http.StatusContinue {
		w.x.body.expect.Store(false)
	} else {
		block.set(w.header, status)
	}
	if block.tooLong() {
		return
	}
	w.x.sendInformational(status, &block)
}

// sendContinue sends 100 Continue before the first read of a body.
func (x *exchange) sendContinue() { x.sendInformational(http.StatusContinue, new(headBlock)) }

func (x *exchange) sendInformational(status int, block *headBlock) {
	l := x.l
	l.mu.Lock()
	if !x.ended && !x.headSent && !l.closed {
		l.out.buf = appendResponse(l.out.buf, 0, x.id, status, block, nil)
	}
	l.mu.Unlock()
	l.flush()
}

// appendResponse appends a RESPONSE frame in binary form with body bytes.
func appendResponse(dst []byte, f channel.Flags, id uint32, status int, block *headBlock, body []byte) []byte {
	head := 1 + len(block.fields) // the reason is empty: the standard one
	dst = channel.AppendHeader(dst, channel.Header{Length: uint32(channel.ResponseFixed + head + len(body)),
		Stream: id, Type: channel.Response, Flags: f, Value: uint16(status)})
	dst = channel.AppendResponseFixed(dst, head, block.n)
	dst = append(dst, 0)
	dst = append(dst, block.fields...)
	return append(dst, body...)
}

// Write sends body bytes.
func (w *response) Write(p []byte) (int, error) {
	if t, err := w.throughTunnel(); t != nil || err != nil {
		if err != nil || len(p) == 0 {
			return 0, err
		}
		return t.Write(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.admit(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	return w.write(p)
}

// WriteString sends body bytes.
func (w *response) WriteString(p string) (int, error) {
	if w.tunnel != nil {
		return w.Write([]byte(p))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.admit(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	if len(p) <= w.room() {
		w.n += copy(w.buf.body[w.n:], p)
		return len(p), nil
	}
	n := 0
	for n < len(p) {
		piece := min(len(p)-n, maxPiece)
		m, err := w.write(bytesOf(p[n : n+piece]))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// bytesOf shares memory with s: write only reads it.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// admit checks whether n more bytes may be written, in the order of net/http;
// mu is held.
func (w *response) admit(n int) error {
	switch {
	case w.hijacked:
		if n > 0 {
			w.logCaller("response.Write on hijacked connection")
		}
		return http.ErrHijacked
	case w.finished:
		return errFinished
	}
	if !w.wroteHeader {
		w.writeHeader(http.StatusOK)
	}
	if n == 0 {
		return nil
	}
	if !bodyAllowed(w.status) {
		return http.ErrBodyNotAllowed
	}
	w.written += int64(n)
	if w.contentLength >= 0 && w.written > w.contentLength {
		return http.ErrContentLength
	}
	return w.broken
}

// room is how many bytes can wait in the buffer.
func (w *response) room() int {
	if w.sentHead {
		return nextBuffer - w.n
	}
	return firstBuffer - w.n
}

// write takes p into the buffer, or sends what is there and p; mu is held.
func (w *response) write(p []byte) (int, error) {
	if len(w.parts.pieces) > 0 && w.keepParts(p) {
		return len(p), nil
	}
	if len(p) <= w.room() {
		w.n += copy(w.buf.body[w.n:], p)
		return len(p), nil
	}
	taken := 0
	if w.n > 0 {
		// Full frames, and the beginning in one piece for the Content-Type.
		taken = copy(w.buf.body[w.n:w.n+w.room()], p)
		w.n += taken
		if _, err := w.sendBuffer(0); err != nil {
			return 0, err
		}
		if len(p)-taken <= w.room() {
			w.n = copy(w.buf.body[:], p[taken:])
			return len(p), nil
		}
	}
	n, err := w.send(p[taken:], 0)
	return taken + n, err
}

// sendBuffer sends what waits in the buffer; with END in f, even if that is
// nothing.
func (w *response) sendBuffer(f channel.Flags) (int, error) {
	p := w.buf.body[:w.n]
	w.n = 0
	return w.send(p, f)
}

// send puts body bytes into the outbox, with the head before them if it was
// not sent yet. f may have END. mu is held; it waits for windows and room.
func (w *response) send(p []byte, f channel.Flags) (int, error) {
	if w.broken != nil {
		return 0, w.broken
	}
	if len(w.parts.pieces) > 0 {
		if n := len(p); n <= nextBuffer {
			if err := w.sendParts(p, f); err != nil {
				w.broken = err
				return 0, err
			}
			return n, nil
		}
		if err := w.sendParts(nil, 0); err != nil {
			w.broken = err
			return 0, err
		}
	}
	n, err := w.sendPieces(p, f)
	if err != nil {
		w.broken = err
	}
	if w.head {
		return len(p), err
	}
	return n, err
}

func (w *response) sendPieces(p []byte, f channel.Flags) (int, error) {
	x, l := w.x, w.x.l
	if !w.sentHead {
		w.completeHead(p, f)
	}
	if w.head {
		p = nil // after Content-Type and length were made of it
	}
	sent := 0
	for {
		piece := 0
		if rest := len(p) - sent; rest > 0 {
			var err error
			if piece, err = x.reserve(1, min(rest, maxPiece)); err != nil {
				return sent, err
			}
		}
		if err := x.lockRoom(); err != nil {
			return sent, err
		}
		body := p[sent : sent+piece]
		sent += piece
		var flags channel.Flags
		if sent == len(p) && f != 0 {
			flags = f | x.end()
		}
		switch {
		case !w.sentHead:
			l.out.buf = appendResponse(l.out.buf, flags, x.id, w.status, &w.buf.head, body)
			w.sentHead, x.headSent = true, true
		case piece > 0 || flags != 0:
			l.out.buf = channel.AppendFrame(l.out.buf, channel.Data, flags, x.id, 0, body)
		}
		full := len(l.out.buf) >= flushAt
		l.mu.Unlock()
		switch {
		case full:
			l.flush()
		case f == 0:
			l.e.kick(l)
		}
		if sent == len(p) {
			return sent, nil
		}
	}
}

// completeHead adds what net/http adds when the beginning of the body is
// known: the type that it seems to have, and its length if that is all of it.
// The daemon adds the length of a body that is in one frame with its head.
func (w *response) completeHead(p []byte, f channel.Flags) {
	head := &w.buf.head
	if !bodyAllowed(w.status) || len(p) == 0 {
		return
	}
	if !head.hasType && !head.hasCoding && !head.hasFraming {
		head.addType(contentType(p))
	}
	if f&channel.FlagEnd != 0 && w.contentLength < 0 && !head.hasFraming && (w.head || len(p) > channel.MinWindow) {
		w.contentLength = int64(len(p))
		head.addLength(w.contentLength)
	}
}

// Flush sends what was written so far.
func (w *response) Flush() { w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.hijacked:
		return http.ErrHijacked
	case w.finished:
		return errFinished
	case !w.wroteHeader:
		w.writeHeader(http.StatusOK)
	}
	switch {
	case w.accepts():
		_, err := w.open()
		return err
	case w.status == http.StatusSwitchingProtocols:
		return nil // goes out with Hijack
	}
	if w.n > 0 || len(w.parts.pieces) > 0 || !w.sentHead {
		if _, err := w.sendBuffer(0); err != nil {
			return err
		}
	}
	w.x.l.flush()
	return w.broken
}

// SetReadDeadline bounds reads of the request body, for
// http.ResponseController.
func (w *response) SetReadDeadline(t time.Time) error {
	w.x.setReadDeadline(t)
	return nil
}

// SetWriteDeadline bounds writes of the response.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.x.setWriteDeadline(t)
	return nil
}

// EnableFullDuplex has nothing to do: the body can always be read while the
// response is written.
func (w *response) EnableFullDuplex() error { return nil }

// CloseNotify is what Request.Context was before there was one. Programs still
// call it, gin for one. The channel gets true when the client has left or the
// handler has returned.
func (w *response) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	w.x.ctx.AfterFunc(func() { gone <- true })
	return gone
}

// finish ends the response when the handler has returned: orderly, or by
// cutting it off. It leaves the frames in the outbox.
func (w *response) finish(orderly bool) {
	x := w.x
	x.ctx.cancel()
	if !w.mu.TryLock() {
		// A goroutine that the handler has left behind is in a Write, perhaps
		// for ever.
		x.mu.Lock()
		x.interrupted.Store(true)
		x.wake.Broadcast()
		x.mu.Unlock()
		x.wakeWriters()
		w.mu.Lock()
		x.interrupted.Store(false)
	}
	defer w.mu.Unlock()
	if w.hijacked || w.finished {
		return
	}
	if w.tunnel != nil && w.tunnel.end(orderly) {
		w.finished = true
		return
	}
	if orderly && !w.wroteHeader {
		w.writeHeader(http.StatusOK)
	}
	w.finished = true
	x.closeBody()
	if !orderly || w.complete() != nil {
		x.cancel(0)
	}
	w.release()
	x.stopDeadlines()
	if x.req.MultipartForm != nil {
		x.req.MultipartForm.RemoveAll()
	}
}

// release gives the scratch space back; mu is held.
func (w *response) release() {
	if w.buf == nil {
		return
	}
	if cap(w.buf.head.fields) <= nextBuffer {
		clear(w.buf.head.announced)
		scratches.Put(w.buf)
	}
	w.buf, w.n = nil, 0
}

// complete sends the end of the body; mu is held.
func (w *response) complete() error {
	switch {
	case w.broken != nil:
		return w.broken
	case w.x.late.Load():
		return os.ErrDeadlineExceeded
	case w.status == http.StatusSwitchingProtocols:
		// Nobody took the connection over: the protocol that was switched to
		// ends at once.
		conn, err := w.goOpaque()
		if err != nil {
			return err
		}
		conn.Close()
		return nil
	}
	trailers := bodyAllowed(w.status) && !w.head && (w.buf.head.trailers || w.hasLateTrailers())
	if !trailers {
		_, err := w.sendBuffer(channel.FlagEnd)
		return err
	}
	if _, err := w.sendBuffer(0); err != nil {
		return err
	}
	x, l := w.x, w.x.l
	fields, n := appendTrailers(nil, w.header, w.buf.head.announced)
	if err := x.lockRoom(); err != nil {
		return err
	}
	l.out.buf = channel.AppendHeader(l.out.buf, channel.Header{Length: uint32(channel.TrailersFixed + len(fields)),
		Stream: x.id, Type: channel.Trailers, Flags: x.end()})
	l.out.buf = channel.AppendTrailersFixed(l.out.buf, n)
	l.out.buf = append(l.out.buf, fields...)
	l.mu.Unlock()
	return nil
}

// hasLateTrailers reports whether there are trailers that the head did not
// announce.
func (w *response) hasLateTrailers() bool {
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

func (w *response) logf(format string, args ...any) { w.x.l.e.logf(format, args...) }

// logCaller logs a mistake with the place in the program that made it.
func (w *response) logCaller(what string) {
	pc := make([]uintptr, 16)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, packagePath+".(*response)") || !more {
			w.logf("httpsys: %s from %s (%s:%d)", what, frame.Function, path.Base(frame.File), frame.Line)
			return
		}
	}
}

const packagePath = "github.com/httpsys/httpsys"
