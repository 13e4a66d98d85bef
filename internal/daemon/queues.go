package daemon

import (
	"fmt"
	"time"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/queue"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/worker"
)

// privatePrefix begins the names that the daemon makes up for private queues.
const privatePrefix = "private:"

// queueState is a request queue with what the control side knows of it.
// Guarded by Daemon.mu.
type queueState struct {
	name     string
	number   uint32 // never used again
	queue    *exchange.Queue
	owner    uint32
	private  *session // whose it is; nil: a named queue
	affinity *exchange.Affinity
	aged     bool // its creator has said how long requests may wait
	sessions map[*session]struct{}
	regs     map[uint32]*registration
}

// describe says for a message whose queue it is.
func (q *queueState) describe() string {
	for s := range q.sessions {
		name := s.program
		if name == "" {
			name = "a program"
		}
		return fmt.Sprintf("%s (process %d) of user %s", name, s.peer.PID, userName(s.peer.UID))
	}
	return fmt.Sprintf("queue %s of user %s", q.name, userName(q.owner))
}

// openQueue finds or makes the queue that a registration asks for.
func (d *Daemon) openQueue(s *session, p queueParams) (*queueState, *channel.Error) {
	name := p.name
	if name == "" {
		name = fmt.Sprintf("%s%d", privatePrefix, s.id)
	}
	if q := d.queues[name]; q != nil {
		if q.owner != s.peer.UID && s.peer.UID != 0 {
			return nil, &channel.Error{Code: channel.AccessDenied, Message: fmt.Sprintf(
				"queue %s belongs to user %s: choose another name", name, userName(q.owner))}
		}
		return q, nil
	}
	d.nextQueue++
	q := &queueState{
		name: name, number: d.nextQueue, queue: queue.New[*exchange.Exchange](name, len(d.units)), owner: s.peer.UID,
		sessions: map[*session]struct{}{}, regs: map[uint32]*registration{},
	}
	q.queue.Limit, q.queue.Opaque = p.limit, p.opaque
	q.queue.SetMaxAge(d.maxAge)
	if q.aged = p.maxAge != nil; q.aged {
		q.queue.SetMaxAge(*p.maxAge)
	}
	q.queue.Owner = s.peer.UID
	if q.affinity = p.affinity; q.affinity != nil {
		q.queue.Pins = queue.NewPins()
	}
	if p.name == "" {
		q.private, q.queue.Private = s, true
	}
	d.queues[name] = q
	return q, nil
}

// setMaxAge changes how long requests may wait in queues whose creators have not
// said it, those that are there included.
func (d *Daemon) setMaxAge(age time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.maxAge = age
	for _, q := range d.queues {
		if !q.aged {
			q.queue.SetMaxAge(age)
		}
	}
}

// join makes s a worker of q.
func (s *session) join(q *queueState) {
	if s.queues[q]++; s.queues[q] > 1 {
		return
	}
	q.sessions[s] = struct{}{}
	s.onLoops(func(c *worker.Channel) { c.Join(q.queue) })
}

// letGo takes those out of q who have given up their last prefix in it, if there
// are others: a worker that is closing would get requests that it only can refuse.
// Whoever is alone stays, for what was routed before.
func (d *Daemon) letGo(q *queueState) {
	var leaving []*session
	for s := range q.sessions {
		if !d.listens(s, q) {
			leaving = append(leaving, s)
		}
	}
	if len(leaving) == len(q.sessions) {
		return
	}
	for _, s := range leaving {
		delete(q.sessions, s)
		delete(s.queues, q)
		s.onLoops(func(c *worker.Channel) { c.LeaveQueue(q.queue) })
	}
}

// listens says whether s has a prefix whose requests go to q.
func (d *Daemon) listens(s *session, q *queueState) bool {
	for id := range s.regs {
		if d.regs[id].queue == q {
			return true
		}
	}
	return false
}

// dropQueueIfUnused forgets a queue that nobody serves and nobody waits in.
func (d *Daemon) dropQueueIfUnused(q *queueState) {
	if len(q.sessions) == 0 && len(q.regs) == 0 && q.queue.Waiting() == 0 {
		delete(d.queues, q.name)
	}
}

// endSession takes a session out of everything. died says that its process
// went of itself, not for breaking the protocol.
func (d *Daemon) endSession(s *session, died bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.ended = true
	delete(d.sessions, s.token)
	d.endIfUnneeded()
	if d.byUser[s.peer.UID]--; d.byUser[s.peer.UID] == 0 {
		delete(d.byUser, s.peer.UID)
	}
	for id := range s.offers {
		s.withdraw(id)
	}
	for id, n := range s.regs {
		for range n {
			d.unbind(id)
		}
	}
	clear(s.regs) // a call to unregister may still be on its way
	s.onLoops(func(c *worker.Channel) { c.End(died) })
	for q := range s.queues {
		delete(q.sessions, s)
		if len(q.sessions) > 0 {
			continue
		}
		if q.private != nil {
			// Nobody can ever open it again: those who wait are told at once.
			delete(d.queues, q.name)
			for _, u := range d.units {
				u.loop.Do(func() { u.stage.CloseQueue(q.queue) })
			}
			continue
		}
		d.wg.Go(func() { d.awaitOrphan(q) })
	}
}

// orphanPeriod is how often a queue without workers is looked at.
const orphanPeriod = 200 * time.Millisecond

// awaitOrphan keeps a named queue whose last worker has gone for those who
// wait in it: a new worker may come before they have waited too long.
func (d *Daemon) awaitOrphan(q *queueState) {
	// What the dead worker had not begun is put back by the loops first.
	d.awaitLoops()
	t := time.NewTicker(orphanPeriod)
	defer t.Stop()
	for {
		d.mu.Lock()
		done := d.ending || len(q.sessions) > 0 || d.queues[q.name] != q
		if !done && q.queue.Waiting() == 0 {
			delete(d.queues, q.name)
			done = true
		}
		d.mu.Unlock()
		if done {
			return
		}
		<-t.C
	}
}
