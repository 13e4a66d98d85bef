package h2

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParsePriority(t *testing.T) {
	for in, want := range map[string]priority{
		"":             {3, false},
		"u=0":          {0, false},
		"u=7, i":       {7, true},
		"i":            {3, true},
		"i=?1,u=1":     {1, true},
		"i, i=?0":      {3, false},
		"u=1;x=2, i;a": {1, true},
		"u=8":          {3, false}, // out of range: ignored
		"u=-1":         {3, false},
		"u=1.5":        {3, false},
		"u=\"1\"":      {3, false},
		"foo=1, u=2":   {2, false},
		"U=1, I":       {3, false}, // keys have lower case
		"i=1":          {3, false},
		",,,":          {3, false},
	} {
		if got := parsePriority([]byte(in), priority{urgency: defaultUrgency}); got != want {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
}

// order lets streams that have much to send take turns, and writes down who
// sends a frame.
func (s *side) order(frames int) string {
	var t []string
	piece := make([]byte, frameSize)
	for range frames {
		x := s.c.Ready()
		if x == nil {
			break
		}
		n, _ := s.c.Send(x, piece, false)
		s.c.Wait(x)
		if n > 0 {
			t = append(t, fmt.Sprint(x.ID()))
		}
		s.c.Out = s.c.Out[:0]
	}
	return strings.Join(t, " ")
}

// RFC 9218 section 10.
func TestOrderOfStreams(t *testing.T) {
	update := func(id uint32, value string) string { return frame(typePriorityUpdate, 0, 0, u32(id)+value) }
	for _, row := range []struct{ why, in, want string }{
		{"nobody says anything: in turns", get(1) + get(3) + get(5), "1 3 5 1 3 5 1 3"},
		{"the urgent one first", get(1, "priority", "u=3") + get(3, "priority", "u=1") + get(5, "priority", "u=5"), "3 3 3 3 3 3 3 3"},
		{"of one urgency, in the order of requests", get(1, "priority", "u=2") + get(3, "priority", "u=2"), "1 1 1 1 1 1 1 1"},
		{"incremental ones in turns", get(1, "priority", "i") + get(3, "priority", "i"), "1 3 1 3 1 3 1 3"},
		{"both kinds of one urgency alternate", get(1, "priority", "i") + get(3, "priority", "u=3") + get(5, "priority", "i"), "3 1 3 5 3 1 3 5"},
		{"the client changes its mind", get(1, "priority", "u=1") + get(3, "priority", "u=2") + update(3, "u=0"), "3 3 3 3 3 3 3 3"},
		{"before the request", update(3, "u=0") + get(1, "priority", "u=1") + get(3, "priority", "u=5"), "3 3 3 3 3 3 3 3"},
		{"an update that says nothing means the default", get(1, "priority", "u=1") + get(3, "priority", "u=2") + update(1, ""), "3 3 3 3 3 3 3 3"},
	} {
		s := ready(t, nil)
		s.feed(settingsOf(setting(setInitialWindow, 1<<30)) + string(appendWindowUpdate(nil, 0, 1<<30)) + row.in)
		for _, id := range []uint32{5, 3, 1} {
			if x := s.open[id]; x != nil {
				s.c.Respond(x, response(200), nil, false)
			}
		}
		for _, id := range []uint32{1, 3, 5} {
			if x := s.open[id]; x != nil {
				s.c.Wait(x)
			}
		}
		s.c.Out = nil
		if got := s.order(8); got != row.want {
			t.Errorf("%s: %s, want %s", row.why, got, row.want)
		}
		s.check()
	}
}

// RFC 9218 section 8: the application can say how urgent its response is.
func TestApplicationSetsPriority(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1, "priority", "u=2, i") + get(3, "priority", "u=2, i"))
	s.c.Respond(s.open[1], response(200), nil, false)
	s.c.Respond(s.open[3], response(200, "Priority", "u=1"), nil, false)
	if x := s.open[3]; x.urgency != 1 || !x.is(incremental) {
		t.Errorf("urgency %d, state %b", x.urgency, x.state)
	}
}

// A stream whose window is closed does not hold up the less urgent ones.
func TestBlockedStreamLetsOthersGo(t *testing.T) {
	s := ready(t, nil)
	s.feed(settingsOf(setting(setInitialWindow, 100)) + get(1, "priority", "u=0") + get(3, "priority", "u=6") + update(3, 1000))
	s.c.Respond(s.open[1], response(200), make([]byte, 500), false)
	s.c.Respond(s.open[3], response(200), nil, false)
	s.c.Wait(s.open[3])
	if got := s.c.Ready(); got != s.open[3] {
		t.Errorf("ready: %v", got)
	}
	s.feed(update(1, 1))
	if got := s.c.Ready(); got != s.open[1] {
		t.Errorf("ready: %v", got)
	}
	s.check()
}

// Responses of random sizes to a client with random windows. A model counts
// what the client allows; each stream has to arrive whole and in order.
func TestSendingAgreesWithAModel(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		s := ready(t, func(l *Limits) {
			l.Rates.Dribbles, l.Rates.WindowUpdates, l.Rates.Settings, l.Unsent = 60000, 60000, 60000, 60000
		})
		type reader struct {
			window, got, want int
			rest              []byte
			ended             bool
		}
		readers := map[uint32]*reader{}
		conn, initial := 65535, 65535
		next := uint32(1)
		read := func() {
			for len(s.c.Out) > 0 {
				h := parseHeader(s.c.Out)
				payload := s.c.Out[frameHeader : frameHeader+h.length]
				r := readers[h.stream]
				if h.typ == typeData {
					conn -= h.length
					r.window -= h.length
					if h.length > 0 && (conn < 0 || r.window < 0) || h.length > frameSize {
						t.Fatalf("seed %d: windows %d and %d", seed, conn, r.window)
					}
					for _, b := range payload {
						if b != byte(r.got*7) {
							t.Fatalf("seed %d: stream %d at %d: wrong byte", seed, h.stream, r.got)
						}
						r.got++
					}
				}
				if h.flags&flagEndStream != 0 && (h.typ == typeData || h.typ == typeHeaders) {
					r.ended = true
				}
				s.c.Out = s.c.Out[frameHeader+h.length:]
			}
			s.c.Out = nil
		}
		send := func(x *Stream, max int) {
			r := readers[x.ID()]
			piece := r.rest[:min(len(r.rest), max)]
			end := len(piece) == len(r.rest)
			n, err := s.c.Send(x, piece, end)
			if err != nil {
				t.Fatal(err)
			}
			if r.rest = r.rest[n:]; n < len(piece) || end {
				return
			}
			s.c.Wait(x)
		}
		for range 2000 {
			switch rnd.IntN(6) {
			case 0:
				if s.c.Streams() > 10 {
					break
				}
				s.feed(get(next, "priority", fmt.Sprintf("u=%d, i=?%d", rnd.IntN(8), rnd.IntN(2))))
				size := rnd.IntN(1 << rnd.IntN(18))
				body := make([]byte, size)
				for i := range body {
					body[i] = byte(i * 7)
				}
				r := &reader{window: initial, want: size, rest: body}
				readers[next] = r
				x := s.open[next]
				first := rnd.IntN(size + 1)
				end := first == size
				n, err := s.c.Respond(x, response(200), body[:first], end)
				if err != nil {
					t.Fatal(err)
				}
				r.rest = body[n:]
				if !end && n == first {
					s.c.Wait(x)
				}
				next += 2
			case 1, 2:
				for range rnd.IntN(5) {
					if x := s.c.Ready(); x != nil {
						send(x, 1+rnd.IntN(30000))
					}
				}
			case 3:
				add := 1 + rnd.IntN(20000)
				s.feed(update(0, uint32(add)))
				conn += add
			case 4:
				id := uint32(rnd.IntN(int(next))) | 1
				if r := readers[id]; r != nil {
					add := 1 + rnd.IntN(20000)
					s.feed(update(id, uint32(add)))
					r.window += add
				}
			case 5:
				if rnd.IntN(10) == 0 {
					n := rnd.IntN(70000)
					for _, r := range readers {
						r.window += n - initial
					}
					initial = n
					s.feed(settingsOf(setting(setInitialWindow, uint32(n))))
				}
			}
			read()
			s.check()
		}
		// Everything opens, everything arrives.
		s.feed(settingsOf(setting(setInitialWindow, 1<<24)) + string(appendWindowUpdate(nil, 0, 1<<30)))
		conn += 1 << 30
		for _, r := range readers {
			r.window += 1<<24 - initial
		}
		for x := s.c.Ready(); x != nil; x = s.c.Ready() {
			send(x, 1<<20)
			read()
		}
		for id, r := range readers {
			if r.got != r.want || !r.ended {
				t.Errorf("seed %d: stream %d: %d of %d bytes, end %v", seed, id, r.got, r.want, r.ended)
			}
		}
		if s.c.Streams() != 0 || s.c.queue != nil || s.c.Err() != nil {
			t.Errorf("seed %d: %d streams, %v", seed, s.c.Streams(), s.c.Err())
		}
	}
}
