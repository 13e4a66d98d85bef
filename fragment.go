package httpsys

import (
	"context"
	"net/http"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// AddFragment stores bytes at the daemon under a name of the program's own, in place of what has that name, so that
// responses can be made of them with [WriteFragment] without sending them again: the part of a page that
// all pages have, a large picture, a template with holes.
//
// The name is a URL below a prefix of this Server, such as "http://+:8080/app/menu"; there need not be anything at
// that URL, and no client can ask for it. All processes of the Server's queue find it. It is kept for ttl, in whole seconds, the least one; with 0 until it is removed:
// by [Server.DeleteFragment] or [Server.Flush], by [Server.FlushTag] with one of its tags, when the prefix goes, when
// the daemon ends, or when it needs the memory. So a program must be able to add it again:
// [Server.OnRegistered] is the place for what is needed from the start.
//
// An [*Error] has the Code Limit for more bytes than the cache takes at once (8 MiB, unless an administrator has set another
// maxcacheresponsesize), AccessDenied for a name that is not the Server's, InvalidParameter for one that is no
// URL or has more than 4096 bytes, or for a ttl below a second, Unsupported if the daemon is too old.
func (s *Server) AddFragment(ctx context.Context, name string, data []byte, ttl time.Duration, tags ...string) error {
	const op = "add fragment"
	sess, err := s.session(op)
	if err != nil {
		return err
	}
	if !sess.fragments {
		return &Error{Op: op, Subject: name, Code: Unsupported, Message: "this daemon keeps no fragments"}
	}
	var list []byte
	for i, t := range tags {
		if i > 0 {
			list = append(list, ' ')
		}
		list = append(list, t...)
	}
	if name == "" || len(name) > channel.MaxFragmentName || len(list) > channel.MaxFragmentTags || ttl < 0 || ttl > 0 && ttl < time.Second {
		return &Error{Op: op, Subject: name, Code: InvalidParameter,
			Message: "a fragment has a name of 1 to 4096 bytes, at most 16384 bytes of tags, and a time to live of at least a second, or 0"}
	}
	head := channel.AppendFragmentHead(nil, &channel.FragmentHead{TTLMS: uint64(ttl / time.Millisecond), Name: []byte(name), Tags: list})
	var r channel.FragmentResult
	err = sess.ask(ctx, &r, func(number uint32) []byte { return appendFragment(nil, number, head, data) })
	if err != nil {
		return asError(op, name, err)
	}
	return nil
}

// appendFragment appends the FRAGMENT frames of a fragment.
func appendFragment(dst []byte, number uint32, head, data []byte) []byte {
	for first := true; first || len(data) > 0; first = false {
		room := channel.MaxPayload
		if first {
			room -= len(head)
		}
		n := min(len(data), room)
		h := channel.Header{Length: uint32(n), Stream: number, Type: channel.Fragment}
		if n < len(data) {
			h.Flags = channel.FlagMore
		}
		if first {
			h.Length += uint32(len(head))
		}
		dst = channel.AppendHeader(dst, h)
		if first {
			dst = append(dst, head...)
		}
		dst = append(dst, data[:n]...)
		data = data[n:]
	}
	return dst
}

// ReadFragment returns the bytes of a fragment. An [*Error] has the Code NotFound if it is not there (any more).
func (s *Server) ReadFragment(ctx context.Context, name string) ([]byte, error) {
	const op = "read fragment"
	sess, err := s.session(op)
	if err != nil {
		return nil, err
	}
	var data []byte
	for size := int64(-1); ; {
		var r channel.ReadFragmentResult
		if err := sess.call(ctx, "read_fragment", channel.ReadFragmentParams{URL: name, Offset: int64(len(data))}, &r); err != nil {
			return nil, asError(op, name, err)
		}
		if size >= 0 && r.Size != size {
			data, size = nil, -1 // somebody has replaced it meanwhile
			continue
		}
		size = r.Size
		data = append(data, r.Data...)
		if int64(len(data)) >= size || len(r.Data) == 0 {
			return data, nil
		}
	}
}

// DeleteFragment removes a fragment. An [*Error] has the Code NotFound if it is not there (any more). Responses that are being sent
// are not disturbed, and neither are stored ones that were made with it: those are flushed by their own URL or tags.
func (s *Server) DeleteFragment(ctx context.Context, name string) error {
	const op = "delete fragment"
	sess, err := s.session(op)
	if err != nil {
		return err
	}
	var none struct{}
	if err := sess.call(ctx, "delete_fragment", channel.FragmentParams{URL: name}, &none); err != nil {
		return asError(op, name, err)
	}
	return nil
}

// WriteFragment writes a fragment that [Server.AddFragment] has stored, as if its bytes were written to w: behind what was
// written before, and before what is written afterwards. It works through wrappers of w that have
// Unwrap, as for [http.ResponseController]; a wrapper that changes or keeps what is written would not see it.
//
// The daemon puts it in when it sends the response. If it is not stored then, the client gets 500, or is cut off if the
// response had begun; the request's context ends, later writes fail, and Server.ErrorLog hears of it. A response that the handler writes without Flush and
// that is short without its fragments (32 KiB) has not begun. The daemon adds the Content-Length of such a
// response; a Content-Type is not guessed from a fragment. The response may be stored and
// compressed like any other; what is stored is the bytes of this moment.
//
// The error is that of Write, or wraps [errors.ErrUnsupported] if w is not of this package or the daemon is too old.
func WriteFragment(w http.ResponseWriter, name string) error {
	return WriteFragmentRange(w, name, 0, -1)
}

// WriteFragmentRange writes length bytes of a fragment from offset on; length -1 means to its end. If the fragment has
// not so many, it is as if it were not there.
func WriteFragmentRange(w http.ResponseWriter, name string, offset, length int64) error {
	for {
		switch v := w.(type) {
		case *response:
			return v.writeFragment(name, offset, length)
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return http.ErrNotSupported
		}
	}
}

// maxParts is how much of a response that has fragments in it waits for the end of the handler, in bytes of the
// window.
const maxParts = 32 << 10

// maxPartsLength is how long it may be in the frame, where names can be long: a head fits before it.
const maxPartsLength = 40 << 10

// parts are a part of the body that has fragments in it and was not sent yet.
type parts struct {
	pieces []byte // as a frame has them
	cost   int    // what they take of the window
}

// add adds bytes.
func (p *parts) add(b []byte) {
	if len(b) > 0 {
		p.pieces = channel.AppendPiece(p.pieces, b)
		p.cost += len(b)
	}
}

func (w *response) writeFragment(name string, offset, length int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.admit(0); err != nil {
		return err
	}
	switch {
	case !w.x.l.sess.fragments:
		return http.ErrNotSupported
	case !bodyAllowed(w.status):
		return http.ErrBodyNotAllowed
	case w.broken != nil:
		return w.broken
	case name == "" || len(name) > channel.MaxFragmentName || offset < 0 || length < -1:
		return &Error{Op: "write fragment", Subject: name, Code: InvalidParameter, Message: "a fragment has a name of 1 to 4096 bytes, and a range is not negative"}
	}
	if w.parts.cost+w.n+channel.PieceWindowCost > w.maxParts() || len(w.parts.pieces)+len(name) > maxPartsLength {
		if _, err := w.sendBuffer(0); err != nil {
			return err
		}
	}
	w.parts.add(w.buf.body[:w.n])
	w.n = 0
	w.parts.pieces = channel.AppendPieceOf(w.parts.pieces, name, offset, length)
	w.parts.cost += channel.PieceWindowCost
	return nil
}

func (w *response) maxParts() int { return min(maxParts, int(w.x.l.window)/2) }

// keepParts takes bytes behind a fragment, if there is room for them before they have to be sent.
func (w *response) keepParts(p []byte) bool {
	if w.parts.cost+w.n+len(p) > w.maxParts() || len(w.parts.pieces) > maxPartsLength {
		return false
	}
	w.parts.add(w.buf.body[:w.n])
	w.n = 0
	w.parts.add(p)
	return true
}

// sendParts sends what has waited with fragments in it, and p, in one frame. mu is held.
func (w *response) sendParts(p []byte, f channel.Flags) error {
	x, l := w.x, w.x.l
	w.parts.add(p)
	if !w.sentHead {
		w.guessFrom(w.parts.pieces)
	}
	if w.parts.cost > 0 {
		if _, err := x.reserve(w.parts.cost, w.parts.cost); err != nil {
			return err
		}
	}
	if err := x.lockRoom(); err != nil {
		return err
	}
	flags := channel.FlagPieces
	if f != 0 {
		flags |= f | x.end()
	}
	if !w.sentHead {
		l.out.buf = appendResponse(l.out.buf, flags, x.id, w.status, &w.buf.head, w.parts.pieces)
		w.sentHead, x.headSent = true, true
	} else {
		l.out.buf = channel.AppendFrame(l.out.buf, channel.Data, flags, x.id, 0, w.parts.pieces)
	}
	full := len(l.out.buf) >= flushAt
	l.mu.Unlock()
	w.parts = parts{}
	switch {
	case full:
		l.flush()
	case f == 0:
		l.e.kick(l)
	}
	return nil
}

// guessFrom adds the type that the body seems to have, if it begins with bytes.
func (w *response) guessFrom(pieces []byte) {
	head := &w.buf.head
	if head.hasType || head.hasCoding || head.hasFraming {
		return
	}
	walk := channel.Pieces{Rest: pieces}
	if first, ok, err := walk.Next(); ok && err == nil && first.Name == nil {
		head.addType(contentType(first.Bytes))
	}
}
