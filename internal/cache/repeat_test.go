package cache

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/cache/rules"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// repeatOf asks for an entry at a time, and for what repeats the answer.
func repeatOf(c *Cache, k *Key, now int64, lines ...string) (r Repeat, ok bool) {
	var q rules.Request
	var fields []message.Field
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		fields = append(fields, message.Field{Name: []byte(name), Value: []byte(value)})
	}
	q.Parse(false, fields)
	e := c.Find(k, &q, new([]byte))
	var a Answer
	return r, e != nil && e.Answer(&a, &q, now) && a.Repeat(&r, &q)
}

func TestWhatIsRepeated(t *testing.T) {
	for _, tc := range []struct {
		name    string
		stored  []string
		body    string
		request []string
		want    bool
	}{
		{"a plain hit", []string{"Cache-Control: max-age=100"}, "x", nil, true},
		{"until flushed", []string{"Httpsys-Cache-Control: until-flushed"}, "x", nil, true},
		{"304", []string{"Cache-Control: max-age=100", `ETag: "v"`}, "x", []string{`If-None-Match: "v"`}, true},
		{"of a variant", []string{"Cache-Control: max-age=100", "Vary: A"}, "x", nil, true},
		{"a range", []string{"Cache-Control: max-age=100"}, "xyz", []string{"Range: bytes=1-1"}, false},
		{"its age matters to the client", []string{"Cache-Control: max-age=100"}, "x", []string{"Cache-Control: max-age=50"}, false},
		{"Pragma", []string{"Cache-Control: max-age=100"}, "x", []string{"Pragma: no-cache"}, false},
		{"it must be validated", []string{"Cache-Control: max-age=100, no-cache", `ETag: "v"`}, "x", nil, false},
		{"a long one", []string{"Cache-Control: max-age=100"}, strings.Repeat("x", maxRepeat), nil, false},
		{"a long head", []string{"Cache-Control: max-age=100", "X: " + strings.Repeat("x", maxRepeat)}, "", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := New(Limits{Size: 1 << 20, Largest: 1 << 20})
			space := &Space{ID: 1}
			e, k := entry(space, "/a", tc.body, tc.stored...)
			if !c.Reserve(e.Cost()) || !c.Put(space, &k, k.Bytes, e, c.Mark()) {
				t.Fatal("not stored")
			}
			if _, ok := repeatOf(c, &k, 1000, tc.request...); ok != tc.want {
				t.Errorf("repeated: %v, want %v", ok, tc.want)
			}
		})
	}
	c := New(Limits{Size: 1 << 20, Largest: 1 << 20})
	space := &Space{ID: 1}
	e, k := entry(space, "/a", "x", "Cache-Control: max-age=100")
	e.Packable()
	if !c.Reserve(e.Cost()) || !c.Put(space, &k, k.Bytes, e, c.Mark()) {
		t.Fatal("not stored")
	}
	if _, ok := repeatOf(c, &k, 1000); ok {
		t.Error("repeated though it may be compressed the next time")
	}
}

// Whatever happens to a cache, what a Repeat says is what Find says.
func TestRepeatsAgreeWithFind(t *testing.T) {
	c := New(Limits{Size: 64 << 10, Largest: 64 << 10})
	r := &rigid{Cache: c, spaces: []*Space{{ID: 1}, {ID: 2}}}
	rnd := rand.New(rand.NewPCG(3, 4))
	type known struct {
		space   *Space
		path    string
		variant string
		Repeat
		e *Entry
	}
	var all []known
	held, ended := 0, 0
	for range 20_000 {
		space, path := r.spaces[rnd.IntN(2)], paths[rnd.IntN(len(paths))]
		k, canonical := r.key(space, path)
		variant := string("xyz"[rnd.IntN(3)])
		switch n := rnd.IntN(40); {
		case n < 12: // entries live from 1000 to 101000
			e := r.make(space, k, strings.Repeat(variant, 1+rnd.IntN(300)), variant, tags[rnd.IntN(3)])
			if c.Reserve(e.Cost()) {
				c.Put(space, &k, canonical, e, c.Mark())
			}
		case n == 12:
			c.Flush(space, canonical, rnd.IntN(2) == 0)
		case n == 13:
			c.FlushTag(space, tags[rnd.IntN(3)])
		case n == 14 && rnd.IntN(10) == 0:
			c.FlushSpace(space)
		case n == 15:
			c.SetLimits(Limits{Size: int64(1+rnd.IntN(64)) << 10, Largest: 64 << 10})
		default:
			if rep, ok := repeatOf(c, &k, 2000, "V: "+variant); ok {
				q := rules.Request{Fields: []message.Field{{Name: []byte("V"), Value: []byte(variant)}}}
				all = append(all, known{space, path, variant, rep, c.Find(&k, &q, &r.scratch)})
			}
		}
		if len(all) > 50 {
			all = all[10:]
		}
		for i := range all {
			n := &all[i]
			nk, _ := r.key(n.space, n.path)
			q := rules.Request{Fields: []message.Field{{Name: []byte("V"), Value: []byte(n.variant)}}}
			found := c.Find(&nk, &q, &r.scratch)
			got := n.Entry(100_999)
			if got != nil {
				held++
			} else {
				ended++
			}
			if got != nil && (got != found || got != n.e) {
				t.Fatalf("%s %s: what is repeated is not what is stored", n.path, n.variant)
			}
			if n.Entry(101_000) != nil {
				t.Fatalf("%s is repeated when it is stale", n.path)
			}
		}
	}
	if held < 1000 || ended < 1000 {
		t.Errorf("%d held and %d did not: this tests nothing", held, ended)
	}
}
