package exchange

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/queue"
)

// One fetch serves all who wait for it.
func TestCollapse(t *testing.T) {
	o := newOrigin(t).prime()
	first := o.ask("GET /a")
	others := []*asker{o.ask("GET /a"), o.ask("GET /a", "Range: bytes=0-0"), o.ask("GET /a", "If-None-Match: \"v\"")}
	// A range needs its own fetch where nothing is known; the others wait.
	f := o.next()
	ranged := o.next()
	o.none()
	f.answer(200, "hello", "Cache-Control: max-age=10", "ETag: \"v\"")
	first.want(`200 "hello" from application`)
	others[0].want(`200 "hello" from cache`)
	others[0].wantField("Cache-Status", "httpsys; fwd=uri-miss; collapsed; stored")
	others[2].want(`304 "" from cache`)
	ranged.answer(206, "h", "Content-Range: bytes 0-0/5")
	others[1].want(`206 "h" from application`)
}

// Those who wait for a response that cannot be stored go on at once, all
// together, and the next ones do not wait at all.
func TestCollapseNotCacheable(t *testing.T) {
	for name, answer := range map[string]func(f *fetch){
		"no-store": func(f *fetch) { f.answer(200, "a", "Cache-Control: no-store") },
		"head":     func(f *fetch) { f.begin(200, "a", "Cache-Control: private") },
		"error":    func(f *fetch) { f.answer(500, "a") },
		"cancel":   func(f *fetch) { f.x.WorkerCancels(false) },
		"too long": func(f *fetch) { f.begin(200, "a", "Cache-Control: max-age=10", "Content-Length: 99999999") },
		"opaque":   func(f *fetch) { f.x.Opaque(nil, nil, false) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t).prime()
			as := []*asker{o.ask("GET /a"), o.ask("GET /a"), o.ask("GET /a")}
			f := o.next()
			o.none()
			answer(f)
			g, h := o.next(), o.next() // both are there
			again := o.ask("GET /a")
			i := o.next()
			for _, f := range []*fetch{g, h, i} {
				f.answer(200, "b", "Cache-Control: no-store")
			}
			for _, a := range append(as[1:], again) {
				a.want(`200 "b" from application`)
			}
			as[0].leave()
		})
	}
}

// Nobody waits longer than a while for another's fetch: not long for what is new, which may be a long poll, longer
// where a response was stored before, and hardly where nothing of the prefix ever was.
func TestCollapseBound(t *testing.T) {
	for _, tc := range []struct {
		name  string
		begin func(o *origin)
		bound time.Duration
	}{
		{"nothing was ever stored", func(*origin) {}, hunch * time.Millisecond},
		{"a new URL", func(o *origin) { o.prime() }, guess * time.Millisecond},
		{"a URL that was stored before", func(o *origin) {
			o.ask("GET /a")
			o.next().answer(200, "old", "Cache-Control: max-age=10")
			o.wait(11 * time.Second)
		}, patience * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newOrigin(t)
			tc.begin(o)
			a, b := o.ask("GET /a"), o.ask("GET /a")
			f := o.next()
			o.wait(tc.bound - time.Millisecond)
			o.none()
			o.wait(2 * time.Millisecond)
			g := o.next()
			g.answer(200, "second", "Cache-Control: max-age=10")
			b.want(`200 "second" from application`)
			o.ask("GET /a").want(`200 "second" from cache`)
			f.answer(200, "first", "Cache-Control: max-age=10")
			a.want(`200 "first" from application`)
		})
	}
}

// The one who fetches may leave: others still want it.
func TestCollapseLeaderLeaves(t *testing.T) {
	for _, when := range []string{"before the head", "within the body"} {
		t.Run(when, func(t *testing.T) {
			o := newOrigin(t).prime()
			a := o.ask("GET /a")
			b := o.ask("GET /a")
			f := o.next()
			if when == "before the head" {
				a.leave()
				f.begin(200, "he", "Cache-Control: max-age=10")
			} else {
				f.begin(200, "he", "Cache-Control: max-age=10")
				a.leave()
			}
			f.end("llo")
			b.want(`200 "hello" from cache`)
			o.none()
		})
	}
	t.Run("and nobody is left", func(t *testing.T) {
		o := newOrigin(t).prime()
		a := o.ask("GET /a")
		b := o.ask("GET /a")
		f := o.next()
		o.w.deaf = false
		b.leave()
		a.leave()
		if got := o.w.heard(); got != "cancel 1" {
			t.Errorf("the application heard %q", got)
		}
		_ = f
	})
	t.Run("what comes cannot be stored", func(t *testing.T) {
		o := newOrigin(t).prime()
		a, b := o.ask("GET /a"), o.ask("GET /a")
		f := o.next()
		a.leave()
		o.w.deaf = false
		f.begin(200, "x", "Cache-Control: no-store")
		if got := o.w.heard(); got != "request; cancel 1" && got != "cancel 1; request" {
			t.Errorf("the application heard %q", got)
		}
		o.next().answer(200, "y")
		b.want(`200 "y" from application`)
	})
}

// A slow client does not hold up the fetch, nor those who wait.
func TestSlowLeader(t *testing.T) {
	long := strings.Repeat("x", 600_000)
	o := newOrigin(t).prime()
	o.w.initial = 1 << 20
	slow := o.askAs(&asker{slow: true}, "GET /a", "")
	other := o.ask("GET /a")
	f := o.next()
	f.begin(200, "", "Cache-Control: max-age=10", fmt.Sprint("Content-Length: ", len(long)))
	for i := 0; i < len(long); i += 100_000 {
		if i == 500_000 {
			f.end(long[i:])
		} else {
			f.more(long[i : i+100_000])
		}
	}
	if other.body != long || !other.done {
		t.Fatalf("the other got %s", other.got())
	}
	if len(slow.body) > readWindow || slow.done {
		t.Fatalf("%d bytes wait for the slow client", len(slow.body))
	}
	// What it reads counts in the budget until it has read it, flushed or not.
	used := o.Cache.Used()
	o.Cache.FlushSpace(o.space)
	if now := o.Cache.Used(); now < int64(len(long)) || now > used {
		t.Errorf("%d bytes of the budget while it is read, of %d", now, used)
	}
	for !slow.done {
		if slow.unsent == 0 {
			t.Fatal("it gets no more")
		}
		slow.take()
	}
	if slow.body != long {
		t.Error("the slow client got something else")
	}
	if o.Cache.Used() != 0 {
		t.Errorf("%d bytes are not given back", o.Cache.Used())
	}
}

// A client that leaves while a stored body is sent.
func TestReaderLeaves(t *testing.T) {
	long := strings.Repeat("x", 600_000)
	o := newOrigin(t).prime()
	o.w.initial = 1 << 20
	o.ask("GET /a")
	o.next().answer(200, long, "Cache-Control: max-age=10")
	// answered in one piece, so kept in one
	a := o.askAs(&asker{slow: true}, "GET /a", "")
	a.leave()
	o.ask("GET /b")
	f := o.next()
	f.begin(200, long[:300_000], "Cache-Control: max-age=10", fmt.Sprint("Content-Length: ", len(long)))
	b := o.ask("GET /b")
	f.more(long[:100_000])
	b.leave()
	f.end(long[:200_000])
	c := o.askAs(&asker{slow: true}, "GET /b", "")
	c.take()
	c.leave()
	d := o.ask("GET /b")
	if d.body != long {
		t.Error(d.got())
	}
	r := o.ask("GET /b", "Range: bytes=65530-65545")
	if r.body != long[:16] || r.status != 206 {
		t.Error(r.got())
	}
}

// A response that ends too early cuts those who were sent a part of it.
func TestBrokenOff(t *testing.T) {
	o := newOrigin(t).prime()
	a, b := o.ask("GET /a"), o.ask("GET /a")
	f := o.next()
	f.begin(200, "he", "Cache-Control: max-age=10", "Content-Length: 5")
	f.x.WorkerDied(true)
	a.want("abort")
	b.want("abort") // it read along
	o.ask("GET /a")
	o.next().answer(200, "x")
}

// What does not fit is not stored, and the budget holds.
func TestBudgetOfFetches(t *testing.T) {
	c := cache.New(cache.Limits{Size: 300_000, Largest: 100_000})
	o := newOriginWith(t, c).prime()
	o.w.initial = 1 << 20
	for i := range 20 {
		a := o.ask(fmt.Sprint("GET /", i))
		f := o.next()
		f.begin(200, "", "Cache-Control: max-age=100")
		for range 9 {
			f.more(strings.Repeat("x", 10_000))
			if c.Used() > 300_000 {
				t.Fatalf("%d bytes used", c.Used())
			}
		}
		f.end("")
		if len(a.body) != 90_000 || !a.done {
			t.Fatal(a.got())
		}
	}
	if n := o.space.Entries.Load(); n < 1 || n > 2 {
		t.Errorf("%d entries of 128 KiB in 300 000 bytes", n)
	}
	// Longer than the longest.
	a := o.ask("GET /long")
	f := o.next()
	f.begin(200, strings.Repeat("x", 60_000), "Cache-Control: max-age=100")
	f.more(strings.Repeat("x", 60_000))
	f.end("y")
	if len(a.body) != 120_001 || !a.done {
		t.Error(a.got())
	}
	if b := o.ask("GET /long"); b.stored {
		t.Error("it was stored")
	}
	o.next().answer(200, "")
	// No budget at all.
	c.SetLimits(cache.Limits{})
	if c.Used() != 0 {
		t.Errorf("%d bytes used of none", c.Used())
	}
	o.ask("GET /x")
	o.next().answer(200, "x", "Cache-Control: max-age=100")
	o.ask("GET /x")
	o.next().answer(200, "y", "Cache-Control: max-age=100")
}

// Two loops share what is stored, and a fetch.
func TestTwoLoops(t *testing.T) {
	c := cache.New(cache.Limits{Size: 1 << 20, Largest: 1 << 20})
	o, p := newOriginWith(t, c).prime(), newOriginWith(t, c).prime()
	p.space, p.reg.Space = o.space, o.space
	var mail []func()
	p.Post = func(f func()) { mail = append(mail, f) }
	a := o.ask("GET /a")
	b, b2 := p.ask("GET /a"), p.ask("GET /a")
	f := o.next()
	p.none()
	f.answer(200, "hello", "Cache-Control: max-age=10")
	a.want(`200 "hello" from application`)
	b.want("waits")
	for _, f := range mail {
		f()
	}
	b.want(`200 "hello" from cache`)
	b2.want(`200 "hello" from cache`)
	p.ask("GET /a").want(`200 "hello" from cache`)

	// The one who fetches for another loop may not just leave.
	a = o.ask("GET /b")
	b = p.ask("GET /b")
	f = o.next()
	a.leave()
	f.answer(200, "there", "Cache-Control: max-age=10")
	mail[len(mail)-1]()
	b.want(`200 "there" from cache`)

	// It takes too long; and then the mail comes, too late.
	a = o.ask("GET /c")
	b = p.ask("GET /c")
	f = o.next()
	p.wait(4 * time.Second)
	p.next().answer(200, "own")
	b.want(`200 "own" from application`)
	f.answer(200, "late")
	a.want(`200 "late" from application`)
	mail[len(mail)-1]()
}

// The registration goes while requests wait.
func TestRegistrationGoes(t *testing.T) {
	o := newOrigin(t).prime()
	a, b := o.ask("GET /a"), o.ask("GET /a")
	f := o.next()
	o.Cache.Close(o.space)
	f.answer(200, "x", "Cache-Control: max-age=10")
	a.want(`200 "x" from application`)
	b.want("503 Disabled")
}

// A full queue refuses, and nothing is left behind.
func TestQueueFull(t *testing.T) {
	o := newOrigin(t).prime()
	o.w.credit = 0
	o.queue.Limit = 1
	a := o.ask("GET /a")
	b := o.ask("GET /b")
	b.want("503 QueueFull")
	c := o.ask("GET /a") // waits for a's
	a.want("waits")
	c.want("waits")
	c.leave()
	a.leave()
	_ = queue.Full
}

// Who waits for a response whose length is known gets it as it comes, and so does who asks meanwhile.
func TestCollapseStreams(t *testing.T) {
	o := newOrigin(t).prime()
	first, waits := o.ask("GET /a"), o.ask("GET /a")
	part, conditional := o.ask("GET /a", "Range: bytes=0-1"), o.ask("GET /a", "If-None-Match: \"v\"")
	f, ranged := o.next(), o.next()
	ranged.answer(206, "he", "Content-Range: bytes 0-1/10")
	part.want(`206 "he" from application`)
	leaves, slow := o.ask("GET /a"), o.ask("GET /a")
	slow.slow = true
	f.begin(200, "hello", "Cache-Control: max-age=10", "ETag: \"v\"", "Content-Length: 10")
	during := o.ask("GET /a")
	for _, a := range []*asker{first, waits, leaves, during} {
		if a.body != "hello" || a.done || a.status != 200 || a.head["content-length"] != "10" {
			t.Fatalf("in the middle: %s %v", a.got(), a.head)
		}
	}
	if conditional.status != 0 {
		t.Errorf("a condition is answered when all is there: %s", conditional.got())
	}
	leaves.leave()
	f.end("there")
	slow.take()
	for _, a := range []*asker{waits, during, slow} {
		a.want(`200 "hellothere" from cache`)
		a.wantField("Cache-Status", "httpsys; fwd=uri-miss; collapsed; stored")
	}
	conditional.want(`304 "" from cache`)
	o.none()
	if first.body != "hellothere" || !first.done {
		t.Errorf("the first: %s", first.got())
	}
}

// One that does not come to its end is cut for all who read along.
func TestCollapseStreamsCut(t *testing.T) {
	o := newOrigin(t).prime()
	first, waits, other := o.ask("GET /a"), o.ask("GET /a"), o.ask("GET /a", "Accept: x")
	f := o.next()
	f.begin(200, "hello", "Cache-Control: max-age=10", "Content-Length: 10", "Vary: Accept")
	if other.status != 0 {
		t.Fatalf("another variant: %s", other.got())
	}
	f.x.WorkerCancels(false)
	for _, a := range []*asker{first, waits} {
		if a.done || a.failed == "" {
			t.Errorf("%s", a.got())
		}
	}
	o.next().answer(200, "its own", "Cache-Control: no-store")
	other.want(`200 "its own" from application`)
}
