package exchange

import (
	"fmt"
	"testing"
)

// witness notes what it hears.
type witness struct {
	gone  bool
	heard []uint64
}

func (w *witness) Disconnected(n uint64) { w.heard = append(w.heard, n) }
func (w *witness) Gone() bool            { return w.gone }

func TestWitnesses(t *testing.T) {
	var s Witnesses
	a, b, c := &witness{}, &witness{}, &witness{}
	for i, step := range []struct {
		w    *witness
		want bool
	}{{a, true}, {a, false}, {b, true}, {b, false}, {a, false}, {b, false}} {
		if got := s.Add(step.w); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	a.gone = true
	if !s.Add(c) {
		t.Error("c is there already")
	}
	n := 0
	for at := s.first; at != nil; at = at.next {
		n++
	}
	if n != 2 {
		t.Errorf("%d are remembered, one of which has ended", n)
	}
	b.gone = true
	s.End(7)
	if got := fmt.Sprint(a.heard, b.heard, c.heard); got != "[] [] [7]" {
		t.Error(got)
	}
	// The cache may ask for something when its client has left.
	if s.Add(a) || s.Add(&witness{}) {
		t.Error("somebody is told of a connection that has ended")
	}
	s.End(7)
	if len(c.heard) != 1 {
		t.Error("told twice")
	}
}
