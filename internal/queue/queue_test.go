package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// worker takes entries while it has credit, and asks for more whenever it gets
// some, as a channel does.
type worker struct {
	name   string
	credit int
	seats  []*Seat[*item]
	got    []*item
}

type item struct {
	Entry[*item]
	id int
}

func (w *worker) Take(it *item) bool {
	if w.credit == 0 {
		return false
	}
	w.credit--
	w.got = append(w.got, it)
	return true
}

func (w *worker) join(l *Lane[*item]) *worker {
	w.seats = append(w.seats, l.Join(w))
	return w
}

// give adds credit and takes what waits, one entry of each lane in turn.
func (w *worker) give(n int) {
	w.credit += n
	for misses, i := 0, 0; misses < len(w.seats) && w.credit > 0; i++ {
		if w.seats[i%len(w.seats)].Ready() {
			misses = 0
		} else {
			misses++
		}
	}
}

func (w *worker) leave() {
	for _, s := range w.seats {
		s.Leave()
	}
	w.seats = nil
}

// took returns the numbers of what w took, and forgets them.
func (w *worker) took() string {
	var s []string
	for _, it := range w.got {
		s = append(s, fmt.Sprint(it.id))
	}
	w.got = nil
	return strings.Join(s, " ")
}

func newItem(id int) *item {
	it := &item{id: id}
	it.Value = it
	return it
}

func items(n int) []*item {
	s := make([]*item, n)
	for i := range s {
		s[i] = newItem(i)
	}
	return s
}

func TestRequestsAreTakenInTheOrderInWhichTheyCame(t *testing.T) {
	q := New[*item]("q", 1)
	l := q.Lane(0)
	for i, it := range items(5) {
		if r := l.Submit(&it.Entry, int64(i)); r != Waiting {
			t.Fatalf("without a worker: %v, want Waiting", r)
		}
	}
	w := (&worker{}).join(l)
	w.give(3)
	if got := w.took(); got != "0 1 2" {
		t.Errorf("with 3 credits took %s, want 0 1 2", got)
	}
	w.give(3)
	if got := w.took(); got != "3 4" {
		t.Errorf("then took %s, want 3 4", got)
	}
	if r := l.Submit(&newItem(5).Entry, 9); r != Taken || w.took() != "5" {
		t.Errorf("a worker that stands by did not get the next request: %v", r)
	}
	if r := l.Submit(&newItem(6).Entry, 9); r != Waiting {
		t.Errorf("a worker without credit: %v, want Waiting", r)
	}
}

func TestWorkersTakeTurns(t *testing.T) {
	for _, tc := range []struct {
		name    string
		credits []int
		want    []string // what each takes of ten requests
	}{
		{"two alike", []int{9, 9}, []string{"0 2 4 6 8", "1 3 5 7 9"}},
		{"one with little credit", []int{2, 9}, []string{"0 2", "1 3 4 5 6 7 8 9"}},
		{"three", []int{9, 9, 9}, []string{"0 3 6 9", "1 4 7", "2 5 8"}},
		{"one that has none", []int{0, 9}, []string{"", "0 1 2 3 4 5 6 7 8"}},
	} {
		q := New[*item]("q", 1)
		l := q.Lane(0)
		var ws []*worker
		for _, n := range tc.credits {
			w := (&worker{}).join(l)
			w.give(n)
			ws = append(ws, w)
		}
		for i, it := range items(10) {
			l.Submit(&it.Entry, int64(i))
		}
		for i, w := range ws {
			if got := w.took(); got != tc.want[i] {
				t.Errorf("%s: worker %d took %q, want %q", tc.name, i, got, tc.want[i])
			}
		}
	}
}

// A worker in several queues does not starve one of them.
func TestQueuesTakeTurns(t *testing.T) {
	q, p := New[*item]("q", 1), New[*item]("p", 1)
	for i := range 4 {
		q.Lane(0).Submit(&newItem(i).Entry, 0)
		p.Lane(0).Submit(&newItem(10+i).Entry, 0)
	}
	w := (&worker{}).join(q.Lane(0)).join(p.Lane(0))
	w.give(6)
	if got := w.took(); got != "0 10 1 11 2 12" {
		t.Errorf("took %s, want one of each queue in turn", got)
	}
}

// A seat may stand by although its worker spent the credit on another queue.
func TestCreditIsSpentOnce(t *testing.T) {
	q, p := New[*item]("q", 1), New[*item]("p", 1)
	w := (&worker{}).join(q.Lane(0)).join(p.Lane(0))
	w.give(1)
	if r := q.Lane(0).Submit(&newItem(1).Entry, 0); r != Taken {
		t.Fatalf("first: %v", r)
	}
	if r := p.Lane(0).Submit(&newItem(2).Entry, 0); r != Waiting {
		t.Fatalf("second: %v, want Waiting: the credit is spent", r)
	}
	w.give(1)
	if got := w.took(); got != "1 2" {
		t.Errorf("took %s, want 1 2", got)
	}
}

func TestLimitHoldsForAllLanesTogether(t *testing.T) {
	q := New[*item]("q", 2)
	q.Limit = 3
	w := (&worker{}).join(q.Lane(0))
	w.give(1)
	for i, step := range []struct {
		lane int
		want Result
	}{
		{0, Taken}, // does not wait, so does not count
		{0, Waiting}, {1, Waiting}, {1, Waiting},
		{0, Full}, {1, Full},
	} {
		if r := q.Lane(step.lane).Submit(&newItem(i).Entry, 0); r != step.want {
			t.Errorf("request %d on lane %d: %v, want %v", i, step.lane, r, step.want)
		}
	}
	w.give(1)
	if r := q.Lane(1).Submit(&newItem(9).Entry, 0); r != Waiting {
		t.Errorf("after one was taken: %v, want Waiting", r)
	}
	if c := q.Counters(); c != (Counters{Requests: 7, Rejected: 2}) {
		t.Errorf("counters %+v", c)
	}
	if n := q.Waiting(); n != 3 {
		t.Errorf("%d wait, want 3", n)
	}
}

func TestRequeueKeepsAgeAndPlace(t *testing.T) {
	q := New[*item]("q", 1)
	q.Limit = 2
	l := q.Lane(0)
	dying := (&worker{}).join(l)
	dying.give(3)
	all := items(6)
	for i, it := range all[:3] {
		l.Submit(&it.Entry, int64(10*i))
	}
	for i, it := range all[3:5] {
		l.Submit(&it.Entry, int64(10*(i+3)))
	}
	dying.leave()
	for _, it := range all[:3] {
		l.Requeue(&it.Entry) // also beyond the limit: they were accepted once
	}
	if n := q.Waiting(); n != 5 {
		t.Fatalf("%d wait, want 5", n)
	}
	if since, ok := l.Oldest(); !ok || since != 0 {
		t.Errorf("the oldest is from %d, %v; want from 0", since, ok)
	}
	w := (&worker{}).join(l)
	w.give(9)
	if got := w.took(); got != "0 1 2 3 4" {
		t.Errorf("took %s, want the old order", got)
	}
	dying2 := all[0]
	l.Requeue(&dying2.Entry)
	if got := w.took(); got != "0" {
		t.Errorf("a worker that stands by took %q, want 0", got)
	}
}

func TestExpire(t *testing.T) {
	q := New[*item]("q", 1)
	q.SetMaxAge(100 * time.Millisecond)
	l := q.Lane(0)
	for i, it := range items(3) {
		l.Submit(&it.Entry, int64(10*i))
	}
	var got []int
	expire := func(now int64) {
		got = nil
		for {
			it, ok := l.Expire(now)
			if !ok {
				return
			}
			got = append(got, it.id)
		}
	}
	if expire(99); len(got) != 0 {
		t.Errorf("at 99 expired %v, want none", got)
	}
	if expire(110); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("at 110 expired %v, want 0 1", got)
	}
	q.SetMaxAge(0)
	if expire(1 << 40); len(got) != 0 {
		t.Errorf("without a bound expired %v", got)
	}
	if c := q.Counters(); c.Expired != 2 || q.Waiting() != 1 {
		t.Errorf("counters %+v, %d wait", c, q.Waiting())
	}
}

// Workers that come and go without ever taking anything leave no trace.
func TestSeatsThatLeaveAreForgotten(t *testing.T) {
	l := New[*item]("q", 1).Lane(0)
	for range 10_000 {
		w := (&worker{}).join(l)
		w.give(1)
		w.leave()
	}
	if n := len(l.ready.seats); n > 16 {
		t.Errorf("the lane remembers up to %d seats", n)
	}
}

// The queue against a model of slices: random requests, clients that leave,
// requests that expire, workers that come, get credit, and die with requests
// in hand.
func TestModel(t *testing.T) {
	for seed := range uint64(300) {
		m := &model{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 7)), lanes: make([][]*item, 2)}
		m.q = New[*item]("q", len(m.lanes))
		m.q.Limit = 1 + m.rnd.IntN(20)
		m.q.SetMaxAge(time.Duration(m.rnd.IntN(2)) * 50 * time.Millisecond)
		for range 500 {
			m.step()
			m.check()
		}
	}
}

type model struct {
	t       *testing.T
	seed    uint64
	rnd     *rand.Rand
	q       *Queue[*item]
	lanes   [][]*item // what waits, in order
	workers []*modelWorker
	now     int64
	next    int
	count   Counters
}

type modelWorker struct {
	worker
	lane int
	hand []*item // taken and not finished
}

func (m *model) fatalf(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("seed %d: %s", m.seed, fmt.Sprintf(format, args...))
}

// able says whether a worker of a lane has credit.
func (m *model) able(lane int) bool {
	return slices.ContainsFunc(m.workers, func(w *modelWorker) bool { return w.lane == lane && w.credit > 0 })
}

func (m *model) step() {
	m.now += int64(m.rnd.IntN(5))
	lane := m.rnd.IntN(len(m.lanes))
	l := m.q.Lane(lane)
	switch m.rnd.IntN(12) {
	case 0, 1, 2, 3, 4: // a request
		it := newItem(m.next)
		m.next++
		m.count.Requests++
		want := Waiting
		switch {
		case len(m.lanes[lane]) == 0 && m.able(lane):
			want = Taken
		case m.waiting() >= m.q.Limit:
			want = Full
			m.count.Rejected++
		default:
			m.lanes[lane] = append(m.lanes[lane], it)
		}
		if got := l.Submit(&it.Entry, m.now); got != want {
			m.fatalf("Submit: %v, want %v", got, want)
		}
		if want == Taken {
			m.given(it)
		}
	case 5: // a client leaves
		if n := len(m.lanes[lane]); n > 0 {
			i := m.rnd.IntN(n)
			l.Remove(&m.lanes[lane][i].Entry)
			m.lanes[lane] = slices.Delete(m.lanes[lane], i, i+1)
		}
	case 6: // time passes
		m.now += int64(m.rnd.IntN(60))
		for {
			it, ok := l.Expire(m.now)
			if !ok {
				break
			}
			m.count.Expired++
			if w := m.lanes[lane]; len(w) == 0 || w[0] != it || m.now-it.Since() < m.q.MaxAge().Milliseconds() {
				m.fatalf("expired %d of age %d", it.id, m.now-it.Since())
			}
			m.lanes[lane] = m.lanes[lane][1:]
		}
		if w := m.lanes[lane]; m.q.MaxAge() != 0 && len(w) > 0 && m.now-w[0].Since() >= m.q.MaxAge().Milliseconds() {
			m.fatalf("did not expire %d", w[0].id)
		}
	case 7: // a worker comes
		if len(m.workers) < 5 {
			w := &modelWorker{lane: lane}
			w.worker.join(l)
			m.workers = append(m.workers, w)
		}
	case 8, 9, 10: // credit
		if len(m.workers) > 0 {
			w := m.workers[m.rnd.IntN(len(m.workers))]
			n := 1 + m.rnd.IntN(4)
			var want []*item
			if k := min(w.credit+n, len(m.lanes[w.lane])); k > 0 {
				want = slices.Clone(m.lanes[w.lane][:k])
			}
			w.give(n)
			if !slices.Equal(w.got, want) {
				m.fatalf("with %d credits more took %d entries, want %d", n, len(w.got), len(want))
			}
			m.lanes[w.lane] = m.lanes[w.lane][len(want):]
			m.give(w)
		}
	case 11: // a worker dies or finishes something
		if len(m.workers) == 0 {
			return
		}
		i := m.rnd.IntN(len(m.workers))
		w := m.workers[i]
		if m.rnd.IntN(3) > 0 {
			w.hand = w.hand[:m.rnd.IntN(len(w.hand)+1)]
			return
		}
		m.workers = slices.Delete(m.workers, i, i+1)
		w.leave()
		for _, it := range w.hand {
			taken := len(m.lanes[w.lane]) == 0 && m.able(w.lane)
			m.q.Lane(w.lane).Requeue(&it.Entry)
			if taken {
				m.given(it)
				continue
			}
			s := m.lanes[w.lane]
			at := len(s)
			for at > 0 && s[at-1].Since() > it.Since() {
				at--
			}
			m.lanes[w.lane] = slices.Insert(s, at, it)
		}
	}
}

func (m *model) give(w *modelWorker) {
	w.hand = append(w.hand, w.got...)
	w.got = nil
}

// given: exactly one worker has got it, and nobody anything else.
func (m *model) given(it *item) {
	m.t.Helper()
	n := 0
	for _, w := range m.workers {
		if len(w.got) > 0 {
			if n++; len(w.got) != 1 || w.got[0] != it {
				m.fatalf("a worker got something else than %d", it.id)
			}
			m.give(w)
		}
	}
	if n != 1 {
		m.fatalf("%d workers got %d", n, it.id)
	}
}

func (m *model) waiting() int {
	n := 0
	for _, l := range m.lanes {
		n += len(l)
	}
	return n
}

func (m *model) check() {
	m.t.Helper()
	for i, want := range m.lanes {
		l := m.q.Lane(i)
		var got []*item
		for e := l.head; e != nil; e = e.next {
			got = append(got, e.Value)
			if !e.Waiting() {
				m.fatalf("an entry of a lane says that it does not wait")
			}
		}
		if !slices.Equal(got, want) {
			m.fatalf("lane %d holds %d entries, want %d, or in another order", i, len(got), len(want))
		}
		if l.length != len(want) {
			m.fatalf("lane %d counts %d entries, has %d", i, l.length, len(want))
		}
		if len(want) > 0 && m.able(i) {
			m.fatalf("lane %d: requests wait although a worker has credit", i)
		}
	}
	if got := m.q.Waiting(); got != m.waiting() {
		m.fatalf("%d wait, want %d", got, m.waiting())
	}
	if got := m.q.Counters(); got != m.count {
		m.fatalf("counters %+v, want %+v", got, m.count)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	q := New[*item]("q", 1)
	l := q.Lane(0)
	w := (&worker{got: make([]*item, 0, 64)}).join(l)
	w.give(1)
	all := items(8)
	n := testing.AllocsPerRun(100, func() {
		for i, it := range all {
			l.Submit(&it.Entry, int64(i))
		}
		l.Remove(&all[7].Entry)
		w.give(7)
		w.got = w.got[:0]
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
