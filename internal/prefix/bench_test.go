package prefix

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
)

// A load is a way in which many prefixes share a machine. Numbers stand where the texts have "######".
type load struct {
	name   string
	prefix string
	host   string // of a request for the prefix
	path   string
}

var loads = []load{
	{"one-host", "http://+:80/app-######/", "www.example.com", "/app-######/static/css/main.css"},
	{"many-hosts", "http://c######.example.com:80/", "c######.example.com", "/products/lamps/17"},
	{"many-hosts-deep", "http://c######.example.com:80/api/v2/", "c######.example.com", "/api/v2/orders/17"},
}

var sizes = []int{10, 1000, 100_000}

// number returns the six digits that name the i-th prefix.
func number(i int) []byte { return fmt.Appendf(nil, "%06d", i) }

func (l load) parse(tb testing.TB, i int) Prefix {
	p, err := Parse(strings.Replace(l.prefix, "######", string(number(i)), 1))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func (l load) fill(tb testing.TB, n int) *Table[*int, *int] {
	t := new(Table[*int, *int])
	for i := range n {
		if err := t.Register(l.parse(tb, i), new(int)); err != nil {
			tb.Fatal(err)
		}
	}
	return t
}

// The popularity of prefixes. Evenly drawn requests are the worst case for the processor's caches; the
// traffic of the web is far from even, and the exponent taken here is at the low end of what is measured for it.
var popularities = []struct {
	name string
	draw func(n int) func() int
}{
	{"zipf", func(n int) func() int {
		rnd := rand.New(rand.NewPCG(1, 2))
		zipf := rand.NewZipf(rnd, 1.01, 1, uint64(n-1))
		perm := rnd.Perm(n) // popular ones are not the ones that were registered first
		return func() int { return perm[zipf.Uint64()] }
	}},
	{"even", func(n int) func() int {
		rnd := rand.New(rand.NewPCG(1, 2))
		return func() int { return rnd.IntN(n) }
	}},
}

// BenchmarkMatch asks what a request pays here, its canonical path included, and how that grows with the number of
// prefixes. The requests lie in one buffer, as in that of a connection, so that it is the memory of the table that is
// waited for.
//
// On a virtual machine with 2 cores of an EPYC, 1 MB of L2 each, hardly loaded: 10 prefixes cost 30 to 55 ns; 100 000
// cost 30 to 40 ns more with one-host and many-hosts and zipf, 35 to 85 ns more with even; many-hosts-deep, which
// follows three nodes, 75 to 140 ns more with zipf and 270 to 370 ns more with even. The difference is misses of the
// processor's caches, at some 100 ns each where neighbours use the shared one, and then it doubles or worse.
func BenchmarkMatch(b *testing.B) {
	for _, l := range loads {
		for _, pop := range popularities {
			for _, n := range sizes {
				b.Run(fmt.Sprintf("%s/%s/prefixes=%d", l.name, pop.name, n), func(b *testing.B) {
					t := l.fill(b, n)
					draws := make([][6]byte, 1<<18)
					draw := pop.draw(n)
					for i := range draws {
						draws[i] = [6]byte(number(draw()))
					}
					host, path := []byte(l.host), []byte(l.path)
					here := host
					if bytes.Contains(path, []byte("######")) {
						here = path
					}
					here = here[bytes.Index(here, []byte("######")):]
					local := netip.MustParseAddr("192.0.2.1")
					runtime.GC()
					b.ResetTimer()
					for i := 0; b.Loop(); i++ {
						*(*[6]byte)(here) = draws[i%len(draws)]
						c, _ := Canonical(nil, path)
						if _, o := t.Match(HTTP, 80, host, local, c); o != Matched {
							b.Fatal(o)
						}
					}
				})
			}
		}
	}
}

// BenchmarkRegister asks what it costs to add prefixes one by one, and what a prefix takes.
func BenchmarkRegister(b *testing.B) {
	for _, l := range loads {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/prefixes=%d", l.name, n), func(b *testing.B) {
				all := make([]Prefix, n)
				for i := range all {
					all[i] = l.parse(b, i)
				}
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				var t *Table[*int, *int]
				for b.Loop() {
					t = new(Table[*int, *int])
					for _, p := range all {
						if err := t.Register(p, nil); err != nil {
							b.Fatal(err)
						}
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/prefix")
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/prefix")
				runtime.KeepAlive(t)
				runtime.KeepAlive(all)
			})
		}
	}
}
