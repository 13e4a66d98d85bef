package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func (w *worker) joinAs(l *Lane[*item], id uint64) *worker {
	w.seats = append(w.seats, l.JoinAs(w, id))
	return w
}

func affine(loops int) *Queue[*item] {
	q := New[*item]("q", loops)
	q.Pins = NewPins()
	return q
}

// The same key goes to the same worker in every lane, and the keys are spread.
func TestKeysGoToOneWorker(t *testing.T) {
	const keys = 300
	q := affine(2)
	workers := map[uint64]*worker{}
	for id := range uint64(3) {
		w := (&worker{credit: 10_000}).joinAs(q.Lane(0), id+1)
		w.seats = append(w.seats, q.Lane(1).JoinAs(w, id+1))
		workers[id+1] = w
	}
	owner := func(lane int, key uint64) uint64 {
		if r := q.Lane(lane).SubmitFor(&newItem(0).Entry, key, 0); r != Taken {
			t.Fatalf("key %d: %v", key, r)
		}
		for id, w := range workers {
			if len(w.got) > 0 {
				w.got = nil
				return id
			}
		}
		t.Fatal("nobody has it")
		return 0
	}
	before := make([]uint64, keys+1)
	count := map[uint64]int{}
	for key := uint64(1); key <= keys; key++ {
		before[key] = owner(0, key)
		count[before[key]]++
		if b := owner(1, key); b != before[key] {
			t.Errorf("key %d goes to %d in one lane and to %d in the other", key, before[key], b)
		}
	}
	for id, n := range count {
		if n < keys/6 {
			t.Errorf("worker %d has %d keys of %d", id, n, keys)
		}
	}
	// When one goes, only its keys move.
	workers[2].leave()
	delete(workers, 2)
	for key := uint64(1); key <= keys; key++ {
		if now := owner(0, key); now != before[key] && before[key] != 2 {
			t.Errorf("key %d moved from %d to %d", key, before[key], now)
		}
	}
	// A pin is stronger, as long as its worker is there.
	q.Pins.Set(7, 1)
	q.Pins.Set(8, 2)
	if got := owner(0, 7); got != 1 {
		t.Errorf("a pinned key went to %d", got)
	}
	owner(0, 8)
}

// A request waits for its worker although another one is idle, and goes to
// somebody else when that one leaves.
func TestWaitForOneWorker(t *testing.T) {
	q := affine(1)
	l := q.Lane(0)
	busy, idle := (&worker{}).joinAs(l, 1), (&worker{credit: 5}).joinAs(l, 2)
	idle.give(0)
	q.Pins.Set(9, 1)
	all := items(4)
	for i, it := range all[:3] {
		if r := l.SubmitFor(&it.Entry, 9, int64(i)); r != Waiting {
			t.Fatalf("%d: %v, want Waiting", i, r)
		}
	}
	if since, ok := l.Oldest(); !ok || since != 0 || q.Waiting() != 3 {
		t.Errorf("oldest %d, %v; %d wait", since, ok, q.Waiting())
	}
	l.Submit(&all[3].Entry, 5)
	if got := idle.took(); got != "3" {
		t.Errorf("the idle worker took %q, want what belongs to nobody", got)
	}
	l.Remove(&all[1].Entry)
	busy.give(1)
	if got := busy.took(); got != "0" {
		t.Errorf("its worker took %q", got)
	}
	busy.leave()
	if got := idle.took(); got != "2" || q.Waiting() != 0 {
		t.Errorf("after it has left the other took %q, and %d wait", got, q.Waiting())
	}
}

func TestPinsAreBounded(t *testing.T) {
	p := NewPins()
	for key := uint64(1); key <= 3*maxPins; key++ {
		p.Set(key, key)
		p.Set(key, key+1) // again: the same place
	}
	if len(p.workers) != maxPins || len(p.order) != maxPins {
		t.Errorf("%d keys in %d places", len(p.workers), len(p.order))
	}
	if w, ok := p.Get(3 * maxPins); !ok || w != 3*maxPins+1 {
		t.Errorf("the last one is %d, %v", w, ok)
	}
	if _, ok := p.Get(2 * maxPins); ok {
		t.Error("an old one is still there")
	}
}

// Random requests with and without keys, workers that come, get credit and
// leave: nothing is lost, nothing is given twice, a worker gets only what is its own
// or anybody's, and nothing waits that somebody could take.
func TestAffinityModel(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		q := affine(1)
		q.Limit = 30
		q.SetMaxAge(100 * time.Millisecond)
		l := q.Lane(0)
		var workers []*worker
		waiting := map[int]*item{}
		var id uint64
		now, next := int64(0), 0
		collect := func() {
			for _, w := range workers {
				for _, it := range w.got {
					if waiting[it.id] == nil {
						t.Fatalf("seed %d: %d was given twice, or never waited", seed, it.id)
					}
					delete(waiting, it.id)
				}
				w.got = nil
			}
		}
		for range 400 {
			now += int64(rnd.IntN(4))
			switch rnd.IntN(9) {
			case 0, 1, 2, 3:
				it := newItem(next)
				next++
				waiting[it.id] = it
				if l.SubmitFor(&it.Entry, uint64(rnd.IntN(6)), now) == Full {
					delete(waiting, it.id)
				}
			case 4:
				if len(workers) < 4 {
					id++
					workers = append(workers, (&worker{}).joinAs(l, id))
				}
			case 5, 6:
				if len(workers) > 0 {
					workers[rnd.IntN(len(workers))].give(1 + rnd.IntN(3))
				}
			case 7:
				if len(workers) > 0 && rnd.IntN(4) == 0 {
					i := rnd.IntN(len(workers))
					w := workers[i]
					w.leave()
					workers = slices.Delete(workers, i, i+1)
				}
				for _, it := range waiting {
					if rnd.IntN(8) == 0 && it.Waiting() {
						l.Remove(&it.Entry)
						delete(waiting, it.id)
					}
				}
			case 8:
				for {
					it, ok := l.Expire(now)
					if !ok {
						break
					}
					delete(waiting, it.id)
				}
			}
			collect()
			if q.Waiting() != len(waiting) {
				t.Fatalf("seed %d: %d wait, want %d", seed, q.Waiting(), len(waiting))
			}
			for _, it := range waiting {
				if !it.Waiting() {
					t.Fatalf("seed %d: %d is nowhere", seed, it.id)
				}
			}
			for _, w := range workers {
				if s := w.seats[0]; w.credit > 0 && (l.head != nil || s.own.head != nil) {
					t.Fatalf("seed %d: something waits although its worker has credit", seed)
				}
			}
		}
		for _, it := range slices.Collect(drain(l)) {
			delete(waiting, it.id)
		}
		if len(waiting) != 0 || q.Waiting() != 0 {
			t.Fatalf("seed %d: %d are lost", seed, len(waiting))
		}
	}
}

func drain(l *Lane[*item]) func(func(*item) bool) {
	return func(yield func(*item) bool) {
		for {
			it, ok := l.Drain()
			if !ok || !yield(it) {
				return
			}
		}
	}
}

func BenchmarkSubmitFor(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := affine(1).Lane(0)
			for id := range n {
				(&worker{credit: 1 << 60, got: nil}).joinAs(l, uint64(id))
			}
			w := &discard{}
			for _, s := range l.seats {
				s.taker = w
			}
			it := newItem(1)
			for i := range b.N {
				l.SubmitFor(&it.Entry, uint64(i)+1, 0)
			}
		})
	}
}

type discard struct{}

func (discard) Take(*item) bool { return true }
