//go:build !race

package compress

import "testing"

// Nothing is allocated for a response once the pool has an encoder.
func TestAllocations(t *testing.T) {
	src := prose(8 << 10)
	var p Pool
	out := make([]byte, 0, 64<<10)
	for _, c := range all {
		once := func() {
			e := p.Lend(c)
			out = e.Close(e.Append(out[:0], src))
			p.Put(e)
		}
		once()
		if n := testing.AllocsPerRun(50, once); n > 0 {
			t.Errorf("%v: %v allocations", c, n)
		}
	}
}
