package daemon

import (
	"time"

	"github.com/httpsys/httpsys/internal/conn"
	"github.com/httpsys/httpsys/internal/tlsio"
)

// refusalPeriod is how often a loop logs each of the things below, so that
// clients cannot fill the log; the next line says how many it stands for.
const refusalPeriod = time.Second

// seldom lets a line through now and then. It belongs to a loop.
type seldom struct {
	next   int64 // not before this time of the loop, in milliseconds
	unsaid int
}

// now says whether a line may be logged, and how many were not since the last.
func (s *seldom) now(now int64) (more int, ok bool) {
	if now < s.next {
		s.unsaid++
		return 0, false
	}
	s.next = now + refusalPeriod.Milliseconds()
	more, s.unsaid = s.unsaid, 0
	return more, true
}

// refusals is what a loop logs of clients that it keeps away.
type refusals struct {
	d              *Daemon
	untrusted, tls seldom
}

// refused hears of each request that was answered without an application. What
// it is for is the error log; here are those that an administrator looks for who
// has just demanded certificates.
func (r *refusals) refused(c *conn.Conn, now int64, status int, reason string) {
	if status != 403 && status != 421 {
		return
	}
	if more, ok := r.untrusted.now(now); ok {
		r.d.log.Info("a client without a trusted certificate was kept away", "client", c.RemoteAddr().String(), "status", status, "reason", reason, "more", more)
	}
}

// tlsFailed hears of each handshake that failed. Clients that go away, are slow,
// or one of too many are counted only (show servicestate): nothing is wrong here.
func (r *refusals) tlsFailed(c *conn.Conn, now int64, kind tlsio.Failure, reason string) {
	if kind < tlsio.NoCertificate {
		return
	}
	if more, ok := r.tls.now(now); ok {
		r.d.log.Info("a TLS handshake failed", "client", c.RemoteAddr().String(), "port", c.Port(), "kind", kind.String(), "reason", reason, "more", more)
	}
}
