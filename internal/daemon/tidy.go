package daemon

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// tidier decides when memory is given back to the kernel that work has left behind. While there is much to do the
// runtime lets garbage grow to the size of what is alive and more (heapFloor), which is right then. But a daemon that
// comes to rest makes no garbage, and without garbage nothing is collected: it would keep what a wave of handshakes,
// of streams, or of responses that were stored has needed, for as long as it rests.
type tidier struct {
	before heap  // a second ago
	stuck  int64 // what looked like waste after it was done: it cannot be given back
	calm   int   // seconds in which little changed
	wait   int   // seconds until it may be done again
}

// What is wasted is worth a collection if it is tidyBytes, or one tidyShare of what is alive if that is more, and
// calmSeconds have been calm: what is given back has to be taken again if it was too early. A collection takes some
// milliseconds for a daemon with few connections and a second for a million stored responses; there are so few that
// they take one part in tidyCost of a processor.
const (
	tidyBytes   = 256 << 10
	tidyShare   = 8
	tidyCost    = 100
	calmSeconds = 1
)

// heap is what the runtime says of its memory, in bytes.
type heap struct {
	objects int64 // alive, or dead and not collected
	alive   int64 // after the last collection
	free    int64 // in no object, and not given back
}

// due is asked each second.
func (t *tidier) due(h heap) bool {
	much := max(tidyBytes, (h.alive-heapFloor)/tidyShare)
	if collected := h.alive != t.before.alive; collected || h.objects-t.before.objects > much/4 {
		t.calm = 0
	} else {
		t.calm++
	}
	t.before = h
	if t.wait--; t.wait > 0 || t.calm < calmSeconds {
		return false
	}
	wasted := h.objects - h.alive + h.free
	t.stuck = min(t.stuck, wasted)
	return wasted-t.stuck >= much
}

// done tells how long it took, and what is there now.
func (t *tidier) done(took time.Duration, h heap) {
	t.before, t.calm, t.stuck = h, 0, h.objects-h.alive+h.free
	t.wait = int(took * tidyCost / time.Second)
}

// tidy collects what is garbage and gives the memory back, if it is time to.
func (t *tidier) tidy() {
	if !t.due(readHeap()) {
		return
	}
	began := time.Now()
	debug.FreeOSMemory()
	t.done(time.Since(began), readHeap())
}

func readHeap() heap {
	s := [...]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s[:])
	return heap{int64(s[0].Value.Uint64()), int64(s[1].Value.Uint64()), int64(s[2].Value.Uint64())}
}
