package daemon

import (
	"time"

	"github.com/httpsys/httpsys/internal/conn"
)

// refusalPeriod is how often a loop logs that it kept a client away, so that
// clients cannot fill the log; the next line says how many it stands for.
const refusalPeriod = time.Second

// refusals is what a loop logs of clients without a trusted certificate.
type refusals struct {
	d      *Daemon
	next   int64 // not before this time of the loop, in milliseconds
	unsaid int
}

// refused hears of each request that was answered without an application. What
// it is for is the error log; here are those that an administrator looks for who
// has just demanded certificates.
func (r *refusals) refused(c *conn.Conn, now int64, status int, reason string) {
	if status != 403 && status != 421 {
		return
	}
	if now < r.next {
		r.unsaid++
		return
	}
	r.next = now + refusalPeriod.Milliseconds()
	r.d.log.Info("a client without a trusted certificate was kept away", "client", c.RemoteAddr().String(), "status", status, "reason", reason, "more", r.unsaid)
	r.unsaid = 0
}
