package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/httpsys/httpsys/internal/cache/rules"
)

// What does it cost to find one of a million small objects and to make its answer: always the same, or any?
func BenchmarkHit(b *testing.B) {
	const n = 1_000_000
	c := New(Limits{Size: 1 << 30, Largest: 1 << 20})
	space := &Space{ID: 1}
	keys := make([]Key, n)
	for i := range keys {
		e, k := entry(space, fmt.Sprintf("/object/%d", i), "hello, world!", "Content-Type: text/plain", "Cache-Control: max-age=1000", "ETag: \"12345678\"")
		if !c.Reserve(e.Cost()) || !c.Put(space, &k, k.Bytes, e, c.Mark()) {
			b.Fatal("not stored")
		}
		keys[i] = k
	}
	order := make([]Key, 1<<20)
	for _, kind := range []string{"one", "any"} {
		for i := range order {
			order[i] = keys[0]
			if kind == "any" {
				order[i] = keys[rand.IntN(n)]
			}
			order[i].Bytes = append([]byte(nil), order[i].Bytes...) // in order, as a request brings it
		}
		b.Run(kind, func(b *testing.B) {
			var q rules.Request
			q.Parse(false, nil)
			var scratch, head []byte
			var a Answer
			b.ReportAllocs()
			for i := range b.N {
				k := &order[i%len(order)]
				e := c.Find(k, &q, &scratch)
				if e == nil || !e.Answer(&a, &q, 2000) {
					b.Fatal("not found")
				}
				c.Hit(space, e, 2000)
				head = append(a.AppendHead(head[:0]), a.Body...)
			}
		})
	}
}
