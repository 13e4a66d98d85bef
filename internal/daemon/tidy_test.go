package daemon

import (
	"slices"
	"testing"
	"time"
)

// Memory is given back when it is calm after work that left much behind: once, and not meanwhile.
func TestTidier(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name    string
		alive   int64   // beside the floor
		objects []int64 // garbage, second by second
		free    int64
		want    []int // seconds after which it is done
	}{
		{"a daemon that rests", 2 * mib, []int64{0, 0, 0, 0, 0, 0}, 0, nil},
		{"a wave of handshakes", 2 * mib, []int64{0, 3 * mib, 9 * mib, 9 * mib, 9 * mib, 9 * mib}, 0, []int{3}},
		{"little by little", 2 * mib, []int64{0, 60_000, 120_000, 180_000, 240_000, 300_000, 300_000}, 0, []int{5}},
		{"too little", 2 * mib, []int64{0, tidyBytes - 1, tidyBytes - 1, tidyBytes - 1}, 0, nil},
		{"little for one that holds much", 800 * mib, []int64{0, 50 * mib, 50 * mib, 50 * mib}, 0, nil},
		{"much for it", 800 * mib, []int64{0, 150 * mib, 150 * mib, 150 * mib}, 0, []int{2}},
		{"always busy", 2 * mib, []int64{3 * mib, 6 * mib, 9 * mib, 12 * mib, 15 * mib}, 0, nil},
		{"collected, and not given back", 2 * mib, []int64{0, 0, 0, 0}, 5 * mib, []int{1}},
		{"twice", 2 * mib, []int64{0, 5 * mib, 5 * mib, 5 * mib, 9 * mib, 9 * mib, 9 * mib}, 0, []int{2, 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var memory tidier
			var done []int
			collected, free := int64(0), tt.free
			for i, garbage := range tt.objects {
				alive := heapFloor + tt.alive
				if memory.due(heap{alive + garbage - collected, alive, free}) {
					done = append(done, i)
					collected, free = garbage, 0
					memory.done(time.Millisecond, heap{alive, alive, 0})
				}
			}
			if !slices.Equal(done, tt.want) {
				t.Errorf("after %v seconds, want %v", done, tt.want)
			}
		})
	}
}

// What cannot be given back is not tried again each second.
func TestTidierStuck(t *testing.T) {
	const mib = 1 << 20
	var memory tidier
	h := heap{heapFloor + 2*mib, heapFloor + 2*mib, mib}
	done := 0
	for range 20 {
		if memory.due(h) {
			done++
			memory.done(time.Millisecond, h)
		}
	}
	if done != 1 {
		t.Errorf("%d times, want once", done)
	}
	h.objects += mib
	memory.due(h)
	if !memory.due(h) {
		t.Error("not when there is more of it")
	}
}

// While the runtime collects by itself, it is not calm; and what takes long is done rarely.
func TestTidierWaits(t *testing.T) {
	const mib = 1 << 20
	var memory tidier
	for i := range int64(20) {
		if memory.due(heap{500*mib + i, 400*mib + i, 0}) {
			t.Fatalf("after %d seconds, in each of which it was collected", i)
		}
	}
	after := heap{400 * mib, 400 * mib, 0}
	memory.done(200*time.Millisecond, after)
	seconds := 0
	for !memory.due(heap{500 * mib, 400 * mib, 0}) {
		seconds++
	}
	if want := 200 * tidyCost / 1000; seconds < want-1 || seconds > want+1 {
		t.Errorf("%d seconds after a collection that took 200 ms, want %d", seconds, want)
	}
}

// What a daemon has let go of is given back, without any work that would have it collected.
func TestTidy(t *testing.T) {
	var memory tidier
	memory.tidy()
	var garbage [][]byte
	for range 3 * tidyBytes >> 10 {
		garbage = append(garbage, make([]byte, 1<<10))
	}
	had := readHeap().objects
	garbage = nil
	for range 1000 {
		memory.tidy() // as if a second had passed
		if readHeap().objects < had-2*tidyBytes {
			return
		}
	}
	t.Errorf("%d bytes in objects, %d before, though it was calm", readHeap().objects, had)
}
