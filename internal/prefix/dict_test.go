package prefix

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// TestDict changes a dict at random and compares it with a map, in sizes that make it branch and shrink
// again; then with hashes of which many or all agree, as no seed makes them.
func TestDict(t *testing.T) {
	for _, tt := range []struct {
		mask uint64
		keys int
	}{{^uint64(0), 200}, {0x1F, 200}, {0xFF00_0000_0000_0000, 30}, {0, 30}} {
		t.Run(fmt.Sprintf("mask=%x", tt.mask), func(t *testing.T) {
			h := newHasher()
			h.mask = tt.mask
			rnd := rand.New(rand.NewPCG(3, 4))
			var d dict[int, int]
			want := map[string]int{}
			text := func(i int) []byte { // from empty to longer than a node and two chunks
				return fmt.Appendf(nil, "%.*s%d", i%90, strings.Repeat("x", 90), i)[min(i, 1):]
			}
			for step := range 20_000 {
				// Waves: mostly additions, then mostly removals.
				i := rnd.IntN(tt.keys)
				key := text(i)
				if adding := step/1000%2 == 0; rnd.IntN(4) > 0 == adding {
					n := node[int, int]{value: step}
					n.setText(key)
					d = d.with(h, key, n)
					want[string(key)] = step
				} else {
					d = d.without(h, key)
					delete(want, string(key))
				}
				if n := d.find(h, key); (n != nil) != has(want, key) || n != nil && n.value != want[string(key)] {
					t.Fatalf("step %d: %q is %v", step, key, n)
				}
				if step%100 == 0 {
					checkDict(t, h, &d, want)
				}
			}
			for key := range want {
				d = d.without(h, []byte(key))
			}
			if !d.empty() || d.branch != nil {
				t.Errorf("left when all are gone: %+v", d)
			}
		})
	}
}

func has(m map[string]int, key []byte) bool { _, ok := m[string(key)]; return ok }

func checkDict(t *testing.T, h hasher, d *dict[int, int], want map[string]int) {
	t.Helper()
	seen := 0
	for n := range d.all() {
		seen++
		text := n.appendText(nil)
		if v, ok := want[string(text)]; !ok || v != n.value {
			t.Fatalf("%q: %d, want %d, %v", text, n.value, v, ok)
		}
		if d.find(h, text) != n {
			t.Fatalf("%q is listed and not found", text)
		}
		if longer := append(text, 'y'); d.find(h, longer) != nil {
			t.Fatalf("%q is not there, and found", longer)
		}
		if shorter := text[:max(1, len(text))-1]; (d.find(h, shorter) != nil) != has(want, shorter) {
			t.Fatalf("%q is there: %v, and found otherwise", shorter, has(want, shorter))
		}
	}
	if seen != len(want) {
		t.Fatalf("%d nodes, want %d", seen, len(want))
	}
	var check func(d *dict[int, int], depth int) int
	check = func(d *dict[int, int], depth int) int {
		if d.branch == nil {
			if len(d.nodes) > maxNodes && depth*branchBits < tagShift-branchBits {
				t.Fatalf("%d nodes side by side at depth %d", len(d.nodes), depth)
			}
			return len(d.nodes)
		}
		count := 0
		for i := range d.branch {
			count += check(&d.branch[i], depth+1)
		}
		if len(d.nodes) > 0 || count <= maxNodes/2 {
			t.Fatalf("a branch for %d nodes, and %d beside it", count, len(d.nodes))
		}
		return count
	}
	check(d, 0)
}

// A change leaves alone what others may be reading.
func TestDictIsImmutable(t *testing.T) {
	h := newHasher()
	var versions []dict[int, int]
	var d dict[int, int]
	const count = 500
	for i := range count {
		versions = append(versions, d)
		n := node[int, int]{value: i}
		n.setText(number(i))
		d = d.with(h, number(i), n)
	}
	for i := range count {
		n := node[int, int]{value: -1}
		n.setText(number(i))
		d.with(h, number(i), n)
		d.without(h, number(i))
	}
	for size, v := range versions {
		for i := range count {
			n := v.find(h, number(i))
			if (n != nil) != (i < size) || n != nil && n.value != i {
				t.Fatalf("of %d: %d is %+v", size, i, n)
			}
		}
	}
}

// A dict at the size where it branches does not do so again and again.
func TestDictShrinksLate(t *testing.T) {
	h := newHasher()
	var d dict[int, int]
	for i := range maxNodes + 1 {
		var n node[int, int]
		n.setText(number(i))
		d = d.with(h, number(i), n)
	}
	for i := range maxNodes {
		if left := maxNodes + 1 - i; (d.branch != nil) != (left > maxNodes/2) {
			t.Errorf("with %d nodes: branch is %v", left, d.branch != nil)
		}
		d = d.without(h, number(i))
	}
}

// TestNodeSize: what Match reads of a node is one cache line, in memory that begins with one.
func TestNodeSize(t *testing.T) {
	if size := unsafe.Sizeof(node[*int, *int]{}); size != 64 {
		t.Errorf("a node has %d bytes", size)
	}
}

func TestRadix(t *testing.T) {
	var r radix[int]
	numbers := []uint16{0, 1, 31, 32, 80, 443, 1023, 1024, 8080, 65534, 65535}
	for i, n := range numbers {
		old := r
		r = r.with(n, &i)
		if old.get(n) != nil || *r.get(n) != i {
			t.Errorf("%d: %v before, %v after", n, old.get(n), r.get(n))
		}
	}
	i := 0
	for n, v := range r.all() {
		if n != numbers[i] || *v != i {
			t.Errorf("%d: %d is %d", i, n, *v)
		}
		i++
	}
	if i != len(numbers) {
		t.Errorf("%d of %d listed", i, len(numbers))
	}
	for range r.all() {
		break
	}
	for _, n := range numbers {
		r = r.with(n, nil)
		if r.get(n) != nil {
			t.Errorf("%d is still there", n)
		}
	}
	if r.top != nil {
		t.Error("pages are left")
	}
}
