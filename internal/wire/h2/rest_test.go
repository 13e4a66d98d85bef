package h2

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// napper is a stream at rest.
type napper struct {
	idle Idle
	s    *side
}

func (n *napper) Idle() *Idle     { return &n.idle }
func (n *napper) Woken(s *Stream) { n.s.open[s.ID()] = s }

// nap puts all streams to rest that can.
func (s *side) nap() (rested int) {
	for _, id := range slices.Sorted(maps.Keys(s.open)) {
		z := &napper{s: s}
		if s.open[id] != nil && s.unread[id] == 0 && s.c.Rest(s.open[id], z) {
			s.open[id] = nil
			rested++
		}
	}
	return rested
}

// awake is an open stream as the owner needs it.
func (s *side) awake(id uint32) *Stream {
	if s.open[id] == nil {
		for _, z := range s.c.Resting() {
			if z.Idle().id == id {
				return s.c.Wake(z)
			}
		}
	}
	return s.open[id]
}

// A connection whose streams are put to rest at any time says and does what one without rest does, on
// every sequence of frames and answers.
func TestRestChangesNothing(t *testing.T) {
	rested := 0
	for seed := range uint64(400) {
		dice := rand.New(rand.NewPCG(seed, 7))
		plain, napping := ready(t, nil), ready(t, nil)
		both := []*side{plain, napping}
		for _, s := range both {
			s.eager = true
			s.on = func(e *Event) {
				if e.Kind == Reset {
					delete(s.open, e.Stream.ID())
				}
			}
		}
		last := uint32(0)
		script := []string{}
		for range 60 {
			id := uint32(1)
			if last > 0 {
				id = uint32(2*dice.IntN(int(last)/2) + 1)
			}
			in := ""
			switch dice.IntN(14) {
			case 0, 1, 2, 3:
				last += 2
				if dice.IntN(2) == 0 {
					in = get(last-1, "priority", fmt.Sprintf("u=%d", dice.IntN(8)))
				} else {
					in = post(last - 1)
				}
			case 4, 5:
				in = data(id, dice.IntN(2) == 0, strings.Repeat("x", dice.IntN(3000)))
			case 6:
				in = reset(id, Cancel)
			case 7:
				in = update(id, uint32(dice.IntN(100)))
			case 8:
				in = settingsOf(setting(setInitialWindow, uint32(dice.IntN(100_000))))
			case 9:
				in = frame(typePriorityUpdate, 0, 0, u32(id)+fmt.Sprintf("u=%d", dice.IntN(8)))
			case 10:
				in = headers(id, true, "trailer", "x")
			default: // the owner answers
				kind := dice.IntN(4)
				script = append(script, fmt.Sprintf("answer %d %d", kind, id))
				for _, s := range both {
					x := s.awake(id)
					if x == nil {
						continue
					}
					switch kind {
					case 0:
						s.c.Reset(x, InternalError)
						delete(s.open, id)
					case 1:
						s.c.Informational(x, response(103, "a", "b"))
					default:
						if n, _ := s.c.Respond(x, response(200), make([]byte, 500*kind), true); n == 500*kind {
							delete(s.open, id)
						} else {
							s.c.Reset(x, Cancel)
							delete(s.open, id)
						}
					}
				}
			}
			script = append(script, fmt.Sprintf("%q", in[:min(len(in), 60)]))
			for _, s := range both {
				s.feed(in)
			}
			got, want := napping.said(), plain.said()
			if plain.c.Err() != nil { // in which order streams end then is nobody's business
				slices.Sort(got)
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: events\n got %q\nwant %q\nafter %s", seed, got, want, strings.Join(script, "\n"))
			}
			if got, want := napping.frames(), plain.frames(); !slices.Equal(got, want) {
				t.Fatalf("seed %d: frames\n got %q\nwant %q\nafter %s", seed, got, want, strings.Join(script, "\n"))
			}
			if got, want := napping.c.Streams(), plain.c.Streams(); got != want {
				t.Fatalf("seed %d: %d streams, want %d", seed, got, want)
			}
			if dice.IntN(2) == 0 {
				rested += napping.nap()
			}
			napping.check()
			if plain.c.Err() != nil {
				break
			}
		}
	}
	if rested < 1000 {
		t.Errorf("only %d streams came to rest", rested)
	}
}

// What is under way keeps a stream awake.
func TestNoRest(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1) + get(3) + get(5))
	s.c.Respond(s.open[1], response(200), nil, false)
	s.c.Wait(s.open[3])
	if n := s.nap(); n != 1 || s.open[5] != nil {
		t.Errorf("%d streams rest, %v", n, s.open)
	}
	if s.c.Streams() != 3 || s.c.Done() {
		t.Errorf("%d streams", s.c.Streams())
	}
}
