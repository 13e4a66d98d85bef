package exchange

import (
	"errors"

	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is opaque mode (docs/channel.md section 9): how an exchange leaves
// HTTP, how the client's socket changes hands, and the idle limit.

// errNotEnded: an END on its way could mean the body's or the client's.
var errNotEnded = errors.New("opaque mode before the end of the request")

// Opaque leaves HTTP; r is nil for the raw form. With ask the worker wants the
// client's socket, and says nothing more before it has an answer.
func (x *Exchange) Opaque(r *message.Response, body []byte, ask bool) error {
	x.touched()
	switch {
	case x.headSent:
		return ErrOrder
	case !x.reqEnded:
		return errNotEnded
	}
	status := 0
	if r != nil {
		status = r.Status
	}
	if x.raw && status != 0 || !x.client.CanOpaque(status) {
		return misuse("an upgrade that the request did not ask for")
	}
	if err := x.take(len(body)); err != nil {
		return err
	}
	if x.reg.Queue.OpaqueFull() {
		return &Misuse{503, refuseOpaque.Reason, refuseOpaque.Text, "the queue has as many connections in opaque mode as it may"}
	}
	if x.fill != nil {
		x.fill.give()
	}
	x.headSent, x.opaque = true, true
	x.reg.Queue.Lane(x.stage.loop).Relaying.Add(1)
	x.relayed = true
	x.limitIdle()
	if ask {
		x.offer(r, body)
		return nil
	}
	x.reg.Queue.Lane(x.stage.loop).Relayed.Add(1)
	c := x.client
	c.Opaque(r)
	if len(body) > 0 && x.client != nil {
		c.Body(body, false)
	}
	return nil
}

// offer tries to hand the client's socket over. A connection with an idle limit
// stays with the daemon, as nobody else would keep the limit.
func (x *Exchange) offer(r *message.Response, body []byte) {
	x.held = true
	s, is := x.client.(Socketed)
	if !is || x.quiet != nil {
		c := x.client
		c.Opaque(r)
		if len(body) > 0 && x.client != nil {
			c.Body(body, false)
		}
		if x.client != nil {
			x.relay()
			c.ReadMore()
		}
		return
	}
	fd, pending := s.HandOver(r, body)
	switch {
	case x.client == nil: // it has left meanwhile, and the worker was told
	case fd >= 0 && x.worker.Socket(x, fd, pending):
		x.offered = true
	default:
		x.relay()
		s.TakeBack()
	}
}

// relay: the socket stays here.
func (x *Exchange) relay() {
	x.held, x.offered = false, false
	x.reg.Queue.Lane(x.stage.loop).Relayed.Add(1)
	x.worker.NoSocket(x)
}

// SocketRefused takes the worker's word that no descriptor came with what
// Socket sent: it has no room for more of them.
func (x *Exchange) SocketRefused() error {
	if !x.offered {
		return ErrOrder
	}
	s := x.client.(Socketed)
	x.relay()
	s.TakeBack()
	return nil
}

// handedOver: the worker has the socket, and the exchange is over.
func (x *Exchange) handedOver() {
	s := x.client.(Socketed)
	x.reg.Queue.Lane(x.stage.loop).HandedOver.Add(1)
	x.over()
	s.GivenAway()
}

// notRelayed takes x out of what is kept of connections in opaque mode.
func (x *Exchange) notRelayed() {
	if x.relayed {
		x.reg.Queue.Lane(x.stage.loop).Relaying.Add(-1)
	}
	if x.quiet != nil {
		x.quiet.unlink()
	}
}

// IsOpaque says whether the exchange has left HTTP.
func (x *Exchange) IsOpaque() bool { return x.opaque }

// Misuse is the error of a worker that answers, in frames that are right, what
// may not be answered. It costs the stream: RefusedFor is to be called, and the
// worker told.
type Misuse struct {
	status       int // for the client
	reason, text string
	Why          string // for the worker
}

func (m *Misuse) Error() string { return m.Why }

func misuse(what string) error {
	return &Misuse{500, "AppMisuse", "The program answered with " + what + ".", what}
}

// RefusedFor ends the exchange because of a Misuse.
func (x *Exchange) RefusedFor(m *Misuse) { x.refused(m.status, m.reason, m.text) }

// quiet is an exchange with an idle limit, in a list of its stage.
type quiet struct {
	x          *Exchange
	last       int64 // when a byte went either way, in the stage's milliseconds
	after      int64 // milliseconds
	next, prev *quiet
}

func (q *quiet) unlink() {
	q.prev.next, q.next.prev = q.next, q.prev
	q.next, q.prev = nil, nil
}

// limitIdle enters x into the list if its registration has a limit.
func (x *Exchange) limitIdle() {
	d := x.reg.Settings().OpaqueIdle
	if d == nil || *d == 0 {
		return
	}
	s := x.stage
	q := &quiet{x: x, last: s.now(), after: d.Milliseconds(), next: &s.quiet, prev: s.quiet.prev}
	q.prev.next, s.quiet.prev = q, q
	x.quiet = q
	if s.OnWait != nil {
		s.OnWait()
	}
}

// expireQuiet closes the connections that were silent for too long.
func (s *Stage) expireQuiet(now int64) {
	var late []*quiet
	for q := s.quiet.next; q != &s.quiet; q = q.next {
		if now-q.last >= q.after {
			late = append(late, q)
		}
	}
	for _, q := range late {
		if q.x.quiet == q { // the end of one may be that of others
			q.x.tooQuiet()
		}
	}
}

// tooQuiet closes both sides in order: nothing is on its way.
func (x *Exchange) tooQuiet() {
	c, w := x.client, x.worker
	x.client, x.worker = nil, nil
	x.returnLoan(w)
	w.Cancel(x, channel.CancelGone)
	x.stage.put(x)
	c.Close()
}
