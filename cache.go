package httpsys

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// ownField is the response field by which a program tells the daemon, and nobody else, how
// to store a response (docs/cache.md); the daemon takes it out.
const (
	ownField = "Httpsys-Cache-Control"
	tagField = "Cache-Tag"
)

// CacheFor lets the daemon answer requests for this URL by itself for a while,
// with the response that the handler is about to write to w. It must be called before the header is
// written. What clients and other caches may do is still said by Cache-Control, which the daemon does not
// look at then.
//
// Vary holds, a response to a request with Authorization or one that sets
// cookies is not stored, and neither is anything for less than a second. d is cut to whole seconds. See
// [Server.Flush] for how to take it back.
func CacheFor(w http.ResponseWriter, d time.Duration) {
	if d < time.Second {
		w.Header().Set(ownField, "no-store")
		return
	}
	w.Header().Set(ownField, "max-age="+strconv.FormatInt(int64(d/time.Second), 10))
}

// CacheUntilFlushed is CacheFor without an end: until [Server.Flush] or [Server.FlushTag] removes the
// response, a request with an unsafe method such as POST succeeds for the URL, the program's prefix goes, or the daemon needs the
// memory.
func CacheUntilFlushed(w http.ResponseWriter) { w.Header().Set(ownField, "until-flushed") }

// NoCache keeps the daemon from storing the response, whatever Cache-Control says and
// [Server.CacheDuration] is.
func NoCache(w http.ResponseWriter) { w.Header().Set(ownField, "no-store") }

// CacheTags names what the response is about, so that [Server.FlushTag] can
// remove it with all others about the same. A tag has no comma and no white space, and at most 256 bytes; a
// response at most 64 of them.
func CacheTags(w http.ResponseWriter, tags ...string) {
	w.Header().Add(tagField, strings.Join(tags, ", "))
}

// Flush removes the response that is stored for a URL, such as
// "http://example.com:8080/app/page", in all its variants; with recursive, all below it as well.
// The host + means every host that clients have used. The URL must be below a prefix
// of this Server. It returns how many responses were removed. What is being fetched at this moment is not stored
// either, so that after Flush nobody gets what was there before.
//
// An [*Error] has the Code InvalidParameter for something that is no URL, AccessDenied for one that is not the
// Server's, Disconnected while it is not registered.
func (s *Server) Flush(ctx context.Context, url string, recursive bool) (int, error) {
	return s.flush(ctx, url, channel.FlushParams{URL: url, Recursive: recursive})
}

// FlushTag removes all stored responses of this Server's prefixes that carry a tag; see CacheTags.
func (s *Server) FlushTag(ctx context.Context, tag string) (int, error) {
	return s.flush(ctx, tag, channel.FlushParams{Tag: tag})
}

func (s *Server) flush(ctx context.Context, subject string, p channel.FlushParams) (int, error) {
	sess, err := s.session("flush")
	if err != nil {
		return 0, err
	}
	var r channel.FlushResult
	if err := sess.call(ctx, "flush", p, &r); err != nil {
		return 0, asError("flush", subject, err)
	}
	return r.Flushed, nil
}

// session is the connection to the daemon, if there is one; op is what it is wanted for.
func (s *Server) session(op string) (*session, error) {
	s.mu.Lock()
	e := s.e
	s.mu.Unlock()
	if e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.sess != nil {
			return e.sess, nil
		}
	}
	return nil, &Error{Op: op, Code: Disconnected, Message: "the Server is not registered (yet, or any more)"}
}
