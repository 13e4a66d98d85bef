package loop

import "math"

// Expirer is told that its timer's deadline has passed.
type Expirer interface{ Expire() }

// Timer is one deadline of its owner, embedded there. Setting it again and
// again costs a store: a timer that was moved to a later time stays where it
// is in the wheel and is put off when its old time comes. That is what idle
// timeouts need, which are set with each request and hardly ever expire.
type Timer struct {
	next, prev *Timer
	owner      Expirer
	deadline   int64 // milliseconds of Loop.Now; 0: not set
	slot       int64 // the tick whose list it is in
}

// resolution is the length of a wheel slot. Timeouts of HTTP are seconds; a
// timer may be late by this much and is never early.
const (
	resolution = 64 // ms
	slots      = 1024
)

// wheel is a hashed timing wheel: the list at index t mod slots holds the
// timers to look at in tick t (or some rounds later).
type wheel struct {
	lists    [slots]Timer // list heads
	due      Timer        // head of the list being run
	tick     int64        // the next tick to look at
	earliest int64        // no timer is in a list of an earlier tick
	count    int
}

func (w *wheel) init(now int64) {
	for i := range w.lists {
		w.lists[i].next, w.lists[i].prev = &w.lists[i], &w.lists[i]
	}
	w.due.next, w.due.prev = &w.due, &w.due
	w.tick = now / resolution
	w.earliest = w.tick
}

// SetTimer makes t call owner.Expire when after milliseconds have passed.
func (l *Loop) SetTimer(t *Timer, owner Expirer, after int64) {
	t.owner = owner
	t.deadline = l.now + max(after, 1)
	if t.next != nil {
		if t.slot*resolution <= t.deadline {
			return // looked at in time anyway, and then put off
		}
		l.timers.unlink(t)
	}
	l.timers.insert(t)
}

// Deadline is when t expires, in milliseconds of Loop.Now; 0: it does not.
func (t *Timer) Deadline() int64 { return t.deadline }

// Running says whether t will expire.
func (t *Timer) Running() bool { return t.deadline != 0 }

// StopTimer makes t not expire. It may be set again.
func (l *Loop) StopTimer(t *Timer) {
	t.deadline = 0
}

// ReleaseTimer takes t out of the wheel, for an owner that goes away.
func (l *Loop) ReleaseTimer(t *Timer) {
	t.deadline = 0
	if t.next != nil {
		l.timers.unlink(t)
	}
}

func (w *wheel) insert(t *Timer) {
	// The first tick that begins after the deadline, so that it is never early;
	// at most one round ahead, where a long one is put off again.
	s := min(max(t.deadline/resolution+1, w.tick), w.tick+slots-1)
	t.slot = s
	if w.count == 0 || s < w.earliest {
		w.earliest = s
	}
	head := &w.lists[s%slots]
	t.prev, t.next = head.prev, head
	head.prev.next = t
	head.prev = t
	w.count++
}

func (w *wheel) unlink(t *Timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	w.count--
}

// expire runs what is due at now.
func (w *wheel) expire(now int64) {
	last := now / resolution
	if w.count == 0 || w.earliest > last {
		w.tick = last
		return
	}
	for w.tick = max(w.tick, w.earliest); w.tick <= last; {
		head := &w.lists[w.tick%slots]
		w.tick++
		if head.next == head {
			continue
		}
		// Move the list aside first: an owner may set timers, which then go to
		// other lists, and release any, also those still waiting in this one.
		w.due.next, w.due.prev = head.next, head.prev
		w.due.next.prev, w.due.prev.next = &w.due, &w.due
		head.next, head.prev = head, head
		for w.due.next != &w.due {
			w.run(w.due.next, now)
		}
	}
	w.findEarliest()
}

func (w *wheel) run(t *Timer, now int64) {
	w.unlink(t)
	switch {
	case t.deadline == 0:
	case t.deadline <= now:
		t.deadline = 0
		t.owner.Expire()
	default:
		w.insert(t)
	}
}

func (w *wheel) findEarliest() {
	w.earliest = w.tick
	for range slots {
		if head := &w.lists[w.earliest%slots]; head.next != head {
			return
		}
		w.earliest++
	}
}

// wait is how long the loop may sleep at now, in milliseconds; -1 for ever.
func (w *wheel) wait(now int64) int {
	if w.count == 0 {
		return -1
	}
	return int(min(max(w.earliest*resolution-now, 0), math.MaxInt32))
}
