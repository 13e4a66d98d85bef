package daemon

import "testing"

// Memory is given back once after much was stored or removed, when that is over; not again and again, and not meanwhile.
func TestTidier(t *testing.T) {
	const mib = 1 << 20
	var all []int64
	hold := func(size int64, seconds int) {
		for range seconds {
			all = append(all, size)
		}
	}
	hold(0, 10)
	for size := int64(0); size < 600*mib; size += 30 * mib {
		hold(size, 1)
	}
	hold(600*mib, 100) // once
	for i := range int64(50) {
		hold(600*mib+i*mib, 1) // slowly, and less than an eighth
	}
	hold(650*mib, 10)
	hold(100*mib, 100) // most of it is flushed: once more
	hold(100*mib+10*mib, 100)
	var t0 tidier
	var done []int
	for i, size := range all {
		if t0.due(size) {
			done = append(done, i)
		}
	}
	filled, flushed := 30+calmSeconds, 10+20+100+50+10+calmSeconds
	if len(done) != 2 || done[0] != filled || done[1] != flushed {
		t.Errorf("after %v seconds, want %d and %d", done, filled, flushed)
	}
}
