package cache

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// model is what a cache is: a list of what was stored.
type model struct{ entries []stored }

type stored struct {
	space     *Space
	key       string
	canonical string
	variant   string // value of the field that Vary names
	body      string
	tag       string
}

func (m *model) put(s stored) {
	m.remove(func(o *stored) bool { return o.space == s.space && o.key == s.key && o.variant == s.variant })
	m.entries = append(m.entries, s)
}

func (m *model) remove(f func(*stored) bool) int {
	n := 0
	keep := m.entries[:0]
	for i := range m.entries {
		if f(&m.entries[i]) {
			n++
		} else {
			keep = append(keep, m.entries[i])
		}
	}
	m.entries = keep
	return n
}

func (m *model) find(space *Space, key, variant string) (string, bool) {
	for _, s := range m.entries {
		if s.space == space && s.key == key && s.variant == variant {
			return s.body, true
		}
	}
	return "", false
}

// rigid is a cache with the small world of the model tests.
type rigid struct {
	*Cache
	spaces  []*Space
	scratch []byte
}

var (
	paths = []string{"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/%61", "/x/../a", "/b", "/b?q", "/a?q"}
	canon = map[string]string{"/%61": "/a", "/x/../a": "/a"}
	tags  = []string{"red", "green", "blue"}
)

func (r *rigid) key(space *Space, path string) (Key, []byte) {
	raw, query, has := strings.Cut(path, "?")
	c := raw
	if to, ok := canon[raw]; ok {
		c = to
	}
	req := message.Request{Authority: []byte("h"), Path: []byte(raw), Query: []byte(query), Target: []byte(path)}
	return MakeKey(nil, space, &req, []byte(c)), AppendCanonical(nil, space, []byte("h"), []byte(c), []byte(query), has)
}

func (r *rigid) make(space *Space, k Key, body, variant, tag string) *Entry {
	request := []message.Field{{Name: []byte("V"), Value: []byte(variant)}}
	var resp message.Response
	text := "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nVary: V\r\nCache-Tag: " + tag + "\r\n\r\n"
	if err := resp.ParseText(200, []byte(text)); err != nil {
		panic(err)
	}
	var q rules.Request
	q.Parse(false, request)
	v := rules.Judge(&q, &rules.Response{Status: 200, Fields: resp.Fields, Date: 1e9, Now: 1e9}, rules.Policy{})
	e := NewEntry(&Draft{Space: space, Key: k, Verdict: &v, Response: &resp, Request: request, Now: 1000, Unix: 1e9}, int64(len(body)))
	if len(body) > chunkSize {
		b := r.NewBody()
		b.Append([]byte(body))
		b.Done = true
		e.WithBig(b)
	} else {
		e.WithBody([]byte(body))
	}
	return e
}

func (r *rigid) body(e *Entry) string {
	s := ""
	for at := int64(0); at < e.Len(); {
		p := e.bytesAt(at, e.Len()-at)
		s += string(p)
		at += int64(len(p))
	}
	return s
}

// Random operations on a cache that is large enough do what they do to a list.
func TestModel(t *testing.T) {
	for seed := range uint64(200) {
		runModel(t, rand.New(rand.NewPCG(seed, 1)), 300)
	}
}

func FuzzModel(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { runModel(t, rand.New(rand.NewPCG(a, b)), 500) })
}

func runModel(t *testing.T, rnd *rand.Rand, steps int) {
	r := &rigid{Cache: New(Limits{Size: 64 << 20, Largest: 1 << 20}), spaces: []*Space{{ID: 1}, {ID: 2}}}
	m := &model{}
	for step := range steps {
		space := r.spaces[rnd.IntN(2)]
		path := paths[rnd.IntN(len(paths))]
		k, c := r.key(space, path)
		variant := fmt.Sprint(rnd.IntN(3))
		tag := tags[rnd.IntN(3)]
		switch op := rnd.IntN(12); op {
		case 0, 1, 2, 3:
			body := fmt.Sprint(step)
			if rnd.IntN(20) == 0 {
				body = strings.Repeat("x", chunkSize+rnd.IntN(chunkSize)) + body
			}
			e := r.make(space, k, body, variant, tag)
			if !r.Reserve(e.Cost()) {
				t.Fatal("no room")
			}
			late := rnd.IntN(4) == 0
			mark := r.Mark()
			if late {
				r.Flush(space, c, false)
				m.remove(func(s *stored) bool { return s.space == space && s.canonical == string(c) })
			}
			if r.Put(space, &k, c, e, mark) == late {
				t.Fatalf("step %d: stored %v, want %v", step, late, !late)
			}
			if !late {
				m.put(stored{space, string(k.Bytes), string(c), variant, body, tag})
			}
		case 4, 5, 6, 7:
			var q rules.Request
			q.Parse(false, []message.Field{{Name: []byte("V"), Value: []byte(variant)}})
			e := r.Find(&k, &q, &r.scratch)
			body, ok := m.find(space, string(k.Bytes), variant)
			if (e != nil) != ok || ok && r.body(e) != body {
				t.Fatalf("step %d: %s %s: found %v, want %v", step, path, variant, e != nil, ok)
			}
			if e != nil && rnd.IntN(8) == 0 {
				r.Remove(e)
				m.remove(func(s *stored) bool { return s.space == space && s.key == string(k.Bytes) })
			}
		case 8:
			same(t, step, r.Flush(space, c, false), m.remove(func(s *stored) bool { return s.space == space && s.canonical == string(c) }))
		case 9:
			same(t, step, r.Flush(space, c, true), m.remove(func(s *stored) bool { return s.space == space && treeHas(string(c), s.canonical) }))
		case 10:
			tagged := map[string]bool{} // all variants of a URL go with one of them
			for _, s := range m.entries {
				if s.space == space && s.tag == tag {
					tagged[s.key] = true
				}
			}
			same(t, step, r.FlushTag(space, tag), m.remove(func(s *stored) bool { return s.space == space && tagged[s.key] }))
		case 11:
			if rnd.IntN(10) == 0 {
				same(t, step, r.FlushSpace(space), m.remove(func(s *stored) bool { return s.space == space }))
			}
		}
		for _, s := range r.spaces {
			n := 0
			for _, o := range m.entries {
				if o.space == s {
					n++
				}
			}
			if s.Entries.Load() != int64(n) {
				t.Fatalf("step %d: %d entries of space %d, want %d", step, s.Entries.Load(), s.ID, n)
			}
		}
	}
	r.verify(t)
}

// treeHas says, in other words than flush.go, whether a URL is in a tree.
func treeHas(tree, url string) bool {
	if url == tree {
		return true
	}
	for _, sep := range []string{"/", "?"} {
		if strings.HasPrefix(url, strings.TrimSuffix(tree, "/")+sep) && (sep == "/" || !strings.HasSuffix(tree, "/")) {
			return true
		}
	}
	return strings.HasSuffix(tree, "/") && strings.HasPrefix(url, tree)
}

func same(t *testing.T, step, got, want int) {
	t.Helper()
	if got != want {
		t.Fatalf("step %d: %d entries went, want %d", step, got, want)
	}
}

// verify looks at what must hold of a cache that nobody uses, and empties it.
func (r *rigid) verify(t *testing.T) {
	t.Helper()
	r.bury()
	var cost int64
	for i := range r.shards {
		for _, l := range r.shards[i].spaces {
			for res := l.head; res != nil; res = res.next {
				var sum int64
				for e := res.chain.Load(); e != nil; e = e.next {
					sum += e.Cost()
				}
				if sum != res.cost {
					t.Errorf("a resource costs %d, its entries %d", res.cost, sum)
				}
				cost += sum
			}
		}
	}
	if r.Used() != cost || r.stored.Load() != cost {
		t.Errorf("used %d, stored %d, entries cost %d", r.Used(), r.stored.Load(), cost)
	}
	for _, s := range r.spaces {
		r.Close(s)
	}
	if r.Used() != 0 || r.stored.Load() != 0 || r.odd.Load() != 0 {
		t.Errorf("empty: used %d, stored %d, odd %d", r.Used(), r.stored.Load(), r.odd.Load())
	}
	for i := range r.shards {
		if sh := &r.shards[i]; len(sh.spaces)+len(sh.tags)+len(sh.odd) != 0 {
			t.Errorf("the index is not empty: %d %d %d", len(sh.spaces), len(sh.tags), len(sh.odd))
		}
	}
	r.found.CleanUp()
	if n := r.found.EstimatedSize(); n != 0 {
		t.Errorf("%d resources can still be found", n)
	}
}

// Many goroutines at once on a cache that is too small: the budget holds at
// every moment, what is found is what was stored, and at the end everything adds up.
func TestConcurrent(t *testing.T) {
	const budget = 2 << 20
	r := &rigid{Cache: New(Limits{Size: budget, Largest: 1 << 20})}
	for i := range 3 {
		r.spaces = append(r.spaces, &Space{ID: uint32(i + 1)})
	}
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 7))
			var scratch []byte
			for range rounds {
				space := r.spaces[rnd.IntN(len(r.spaces))]
				path := fmt.Sprintf("/%d/%d", rnd.IntN(3), rnd.IntN(200))
				k, c := r.key(space, path)
				want := fmt.Sprint(space.ID, path, "|")
				variant := fmt.Sprint(rnd.IntN(2))
				switch rnd.IntN(20) {
				case 0:
					r.Flush(space, c, false)
				case 1:
					if rnd.IntN(20) == 0 {
						_, tree := r.key(space, "/1")
						r.Flush(space, tree, true)
					}
				case 2:
					if rnd.IntN(20) == 0 {
						r.FlushTag(space, tags[rnd.IntN(3)])
					}
				case 3:
					if rnd.IntN(50) == 0 {
						r.Scavenge(int64(rnd.IntN(2_000_000)), 120)
					}
				case 4, 5, 6, 7, 8:
					body := want + strings.Repeat("x", rnd.IntN(4000))
					if rnd.IntN(10) == 0 {
						body += strings.Repeat("y", 2*chunkSize)
					}
					e := r.make(space, k, body, variant, tags[rnd.IntN(3)])
					mark := r.Mark()
					if r.Reserve(e.Cost()) {
						r.Put(space, &k, c, e, mark)
					}
				default:
					var q rules.Request
					q.Parse(false, []message.Field{{Name: []byte("V"), Value: []byte(variant)}})
					e := r.Find(&k, &q, &scratch)
					if e == nil {
						continue
					}
					if e.big != nil {
						e.big.Retain()
					}
					if got := r.body(e); !strings.HasPrefix(got, want) {
						t.Errorf("%s: found %.20q", want, got)
					}
					if e.big != nil {
						e.big.Release()
					}
					r.Hit(space, e, int64(rnd.IntN(1e6)))
				}
				if used := r.Used(); used > budget {
					t.Errorf("%d bytes used of %d", used, budget)
				}
			}
		})
	}
	wg.Wait()
	r.verify(t)
}

// What goes when there is no room is what is used least.
func TestEviction(t *testing.T) {
	r := &rigid{Cache: New(Limits{Size: 1 << 20, Largest: 1 << 20}), spaces: []*Space{{ID: 1}}}
	space := r.spaces[0]
	var q rules.Request
	q.Parse(false, []message.Field{{Name: []byte("V"), Value: []byte("1")}})
	put := func(path string) bool {
		k, c := r.key(space, path)
		e := r.make(space, k, strings.Repeat("x", 2000), "1", "red")
		return r.Reserve(e.Cost()) && r.Put(space, &k, c, e, r.Mark())
	}
	found := func(path string) bool {
		k, _ := r.key(space, path)
		e := r.Find(&k, &q, &r.scratch)
		if e != nil {
			r.Hit(space, e, 2000)
		}
		return e != nil
	}
	for i := range 100 {
		put(fmt.Sprint("/hot/", i))
	}
	for i := range 5000 {
		for j := range 3 {
			found(fmt.Sprint("/hot/", (i+j*31)%100))
		}
		put(fmt.Sprint("/cold/", i))
		if r.Used() > 1<<20 {
			t.Fatalf("%d bytes used", r.Used())
		}
	}
	hot := 0
	for i := range 100 {
		if found(fmt.Sprint("/hot/", i)) {
			hot++
		}
	}
	if hot < 90 {
		t.Errorf("%d of 100 that are used all the time are still there", hot)
	}
	if r.Evicted.Load() == 0 || r.Used() < 1<<19 {
		t.Errorf("%d evicted, %d bytes used of 1 MiB", r.Evicted.Load(), r.Used())
	}
	// A smaller budget holds at once.
	r.SetLimits(Limits{Size: 100_000, Largest: 1 << 20})
	if r.Used() > 100_000 {
		t.Errorf("%d bytes used of 100 000", r.Used())
	}
	r.verify(t)
}

// What nobody has used for a while goes.
func TestScavenge(t *testing.T) {
	r := &rigid{Cache: New(Limits{Size: 1 << 20, Largest: 1 << 20}), spaces: []*Space{{ID: 1}}}
	space := r.spaces[0]
	for i := range 10 {
		k, c := r.key(space, fmt.Sprint("/", i))
		e := r.make(space, k, "x", "1", "red")
		r.Reserve(e.Cost())
		r.Put(space, &k, c, e, r.Mark())
	}
	k, _ := r.key(space, "/3")
	var q rules.Request
	q.Parse(false, []message.Field{{Name: []byte("V"), Value: []byte("1")}})
	r.Hit(space, r.Find(&k, &q, &r.scratch), 100_000)
	if n := r.Scavenge(100_999, 50); n != 0 {
		t.Errorf("%d went that are fresh", n)
	}
	if n := r.Scavenge(120_000, 120); n != 0 {
		t.Errorf("%d went too early", n)
	}
	if n := r.Scavenge(121_000, 120); n != 9 {
		t.Errorf("%d went, want 9", n)
	}
	r.verify(t)
}
