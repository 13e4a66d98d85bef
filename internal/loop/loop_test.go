package loop

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/sys"
)

type recorder struct {
	l     *Loop
	t     Timer
	fired []int64
	then  func()
}

func (r *recorder) Expire() {
	r.fired = append(r.fired, r.l.now)
	if r.then != nil {
		r.then()
	}
}

// wound is a loop whose clock the test winds; it is never run.
func wound() *Loop {
	l := &Loop{}
	l.timers.init(0)
	return l
}

func (l *Loop) wind(to int64) {
	for l.now < to {
		l.now++
		l.timers.expire(l.now)
	}
}

func TestTimerIsNeverEarlyAndHardlyLate(t *testing.T) {
	for _, after := range []int64{1, 63, 64, 65, 1000, 65535, 65536, 120_000, 400_000} {
		l := wound()
		r := &recorder{l: l}
		l.wind(17)
		l.SetTimer(&r.t, r, after)
		l.wind(17 + after + 2*resolution)
		if len(r.fired) != 1 {
			t.Fatalf("after %d: fired %d times", after, len(r.fired))
		}
		if late := r.fired[0] - 17 - after; late < 0 || late > resolution {
			t.Errorf("after %d: %d ms late", after, late)
		}
	}
}

func TestTimerPutOff(t *testing.T) {
	l := wound()
	r := &recorder{l: l}
	for range 100 {
		l.SetTimer(&r.t, r, 1000)
		l.wind(l.now + 500)
	}
	if len(r.fired) != 0 {
		t.Fatalf("fired at %v although it was set again in time", r.fired)
	}
	l.wind(l.now + 600)
	if len(r.fired) != 1 {
		t.Fatalf("fired %d times, want once", len(r.fired))
	}
}

func TestTimerSetEarlier(t *testing.T) {
	l := wound()
	r := &recorder{l: l}
	l.SetTimer(&r.t, r, 100_000)
	l.SetTimer(&r.t, r, 100)
	l.wind(300)
	if len(r.fired) != 1 {
		t.Fatalf("fired %d times, want once", len(r.fired))
	}
}

func TestTimerReleasedByAnotherOfTheSameTick(t *testing.T) {
	l := wound()
	a, b, c := &recorder{l: l}, &recorder{l: l}, &recorder{l: l}
	for _, r := range []*recorder{a, b, c} {
		l.SetTimer(&r.t, r, 100)
	}
	a.then = func() { l.ReleaseTimer(&b.t); l.SetTimer(&a.t, a, 100) }
	l.wind(200)
	if len(a.fired) != 1 || len(b.fired) != 0 || len(c.fired) != 1 {
		t.Fatalf("fired %d, %d, %d; want 1, 0, 1", len(a.fired), len(b.fired), len(c.fired))
	}
	l.wind(300)
	if len(a.fired) != 2 {
		t.Fatalf("set again while expiring, fired %d times", len(a.fired))
	}
}

// The wheel against a plain list of deadlines, and the sleep that wait allows
// is never longer than the next deadline.
func TestTimersModel(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		l := wound()
		rs := make([]*recorder, 40)
		want := make([]int64, len(rs))
		for i := range rs {
			rs[i] = &recorder{l: l}
		}
		for range 3000 {
			i := rnd.IntN(len(rs))
			switch rnd.IntN(4) {
			case 0, 1:
				after := rnd.Int64N(1 << rnd.IntN(18))
				l.SetTimer(&rs[i].t, rs[i], after)
				want[i] = l.now + max(after, 1)
			case 2:
				l.ReleaseTimer(&rs[i].t)
				want[i] = 0
			case 3:
				l.StopTimer(&rs[i].t)
				want[i] = 0
			}
			l.wind(l.now + rnd.Int64N(200))
			next := int64(-1)
			for i, w := range want {
				n := len(rs[i].fired)
				switch {
				case w == 0 && n > 0:
					t.Fatalf("seed %d: a stopped timer fired", seed)
				case w != 0 && n == 0 && w+resolution < l.now:
					t.Fatalf("seed %d: timer due at %d has not fired at %d", seed, w, l.now)
				case w != 0 && n > 0:
					if rs[i].fired[0] < w {
						t.Fatalf("seed %d: fired at %d, due at %d", seed, rs[i].fired[0], w)
					}
					want[i] = 0
				}
				rs[i].fired = nil
				if want[i] != 0 && (next < 0 || want[i] < next) {
					next = want[i]
				}
			}
			if wait := l.timers.wait(l.now); next >= 0 && (wait < 0 || l.now+int64(wait) > next+resolution) {
				t.Fatalf("seed %d: would sleep %d ms at %d, next deadline %d", seed, wait, l.now, next)
			}
		}
	}
}

func TestDoRunsOnTheLoop(t *testing.T) {
	l, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { l.Run(); close(done) }()
	n := 0
	for range 1000 {
		if !l.Call(func() { n++ }) {
			t.Fatal("Call refused by a running loop")
		}
	}
	if n != 1000 {
		t.Fatalf("ran %d of 1000", n)
	}
	l.Stop()
	<-done
	if l.Do(func() {}) {
		t.Fatal("Do accepted by a stopped loop")
	}
}

// Nobody may touch the eventfd of a loop that has ended: its number may belong
// to somebody's socket by then.
func TestNothingIsWrittenToTheDescriptorsOfAnEndedLoop(t *testing.T) {
	for range 200 {
		l, err := New(0)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { l.Run(); close(done) }()
		var others sync.WaitGroup
		for range 4 {
			others.Go(func() {
				for l.Do(func() {}) {
				}
			})
			others.Go(l.Stop)
		}
		<-done
		// The next descriptor gets the number of wake or of epoll.
		var taken []int
		for range 2 {
			fd, err := sys.NewEvent()
			if err != nil {
				t.Fatal(err)
			}
			taken = append(taken, fd)
		}
		others.Wait()
		for _, fd := range taken {
			if n, err := unix.Read(fd, make([]byte, 8)); err != unix.EAGAIN {
				t.Fatalf("somebody wrote to descriptor %d: %d, %v", fd, n, err)
			}
			sys.Close(fd)
		}
	}
}

func TestDate(t *testing.T) {
	l, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	for _, ahead := range []int64{0, 999, 1000, 5000} {
		l.now += ahead
		before := time.Now().Truncate(time.Second)
		text := string(l.Date())
		got, err := time.Parse("Date: "+time.RFC1123+"\r\n", text)
		if err != nil {
			t.Fatal(err)
		}
		if late := before.Sub(got); late > time.Second || late < -time.Second {
			t.Errorf("%q at %v", text, before)
		}
	}
	if n := testing.AllocsPerRun(100, func() { l.now += 1000; l.Date() }); n != 0 {
		t.Errorf("%v allocations for a date", n)
	}
}

// noter writes down that it ran, and what comes of it.
type noter struct {
	name string
	note func(string)
	then func()
}

func (n *noter) TurnEnd() {
	n.note(n.name)
	if n.then != nil {
		n.then()
	}
}

// What is put off with Later comes after all that ends a turn, one round of it
// a turn, and what it makes ready is sent in the same turn. The loop does not
// sleep before it.
func TestLater(t *testing.T) {
	l, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	note := func(s string) { order = append(order, s) }
	send := &noter{name: "send", note: note}
	again := &noter{name: "long again", note: note, then: l.Stop}
	long := &noter{name: "long", note: note, then: func() { l.AtTurnEnd(send); l.Later(again) }}
	l.Do(func() {
		l.Later(long)
		l.AtTurnEnd(&noter{name: "first", note: note, then: func() {
			l.AtTurnEnd(&noter{name: "second", note: note})
			l.Again(&noter{name: "next turn", note: note})
		}})
	})
	l.Run()
	if got, want := strings.Join(order, ", "), "first, second, long, send, next turn, long again"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
}

// A loop says when it sleeps.
func TestAsleep(t *testing.T) {
	l, err := New(0)
	if err != nil {
		t.Fatal(err)
	}
	var asleep atomic.Int32
	l.Asleep = &asleep
	var ended sync.WaitGroup
	ended.Go(l.Run)
	for end := time.Now().Add(10 * time.Second); asleep.Load() != 1; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it never sleeps")
		}
	}
	l.Call(func() {
		if n := asleep.Load(); n != 0 {
			t.Errorf("%d loops sleep while it runs", n)
		}
	})
	l.Stop()
	ended.Wait()
	if n := asleep.Load(); n != 0 {
		t.Errorf("at the end %d loops sleep", n)
	}
}
