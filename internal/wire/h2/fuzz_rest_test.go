package h2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// answerer is an owner that does what a list of bytes says, to streams by their numbers: the same to a
// connection whose streams come to rest and to one whose streams never do.
type answerer struct {
	*side
	unsent map[uint32]int // of responses that have begun
	sent   map[uint32]int // content, of each stream
}

func newAnswerer(t *testing.T) *answerer {
	a := &answerer{side: ready(t, nil), unsent: map[uint32]int{}, sent: map[uint32]int{}}
	a.on = func(e *Event) {
		if e.Kind == Reset {
			delete(a.unsent, e.Stream.ID())
		}
	}
	// Which of two streams is first where only one has room is nobody's business: there is room for both.
	a.feed(update(0, maxWindow-minWindow))
	a.frames()
	return a
}

// do is one act, on the stream with this number if it is open.
func (a *answerer) do(kind byte, id uint32) {
	x := a.awake(id)
	if x == nil || a.c.Err() != nil {
		return
	}
	switch _, begun := a.unsent[id]; kind % 8 {
	case 0, 1:
		a.c.Consumed(x, a.unread[id])
		a.unread[id] = 0
	case 2:
		n := a.unread[id] / 2
		a.c.Consumed(x, n)
		a.unread[id] -= n
	case 3:
		delete(a.open, id)
		delete(a.unsent, id)
		a.c.Reset(x, InternalError)
	case 4:
		if !begun {
			a.c.Informational(x, response(103, "link", "x"))
		}
	case 5, 6:
		if !begun {
			size := int(kind) * int(kind) * 4
			n, err := a.c.Respond(x, response(200, "a", "b"), make([]byte, size), true)
			a.rest(id, size-n, err)
		}
	case 7:
		if !begun {
			_, err := a.c.Respond(x, response(200), nil, false)
			if err == nil && !x.Over() {
				a.unsent[id] = int(kind) * 100
				a.c.Wait(x)
			} else {
				a.rest(id, 0, err)
			}
		}
	}
}

// rest notes what of a response has still to be sent.
func (a *answerer) rest(id uint32, n int, err error) {
	if a.unsent[id] = n; n == 0 || err != nil {
		delete(a.open, id)
		delete(a.unsent, id)
	}
}

// flush sends what there is room for.
func (a *answerer) flush() {
	for x := a.c.Ready(); x != nil && a.c.Err() == nil; x = a.c.Ready() {
		id := x.ID()
		n, err := a.c.Send(x, make([]byte, a.unsent[id]), true)
		a.rest(id, a.unsent[id]-n, err)
	}
}

// told is what happened since it was asked last: what the client got, how much content on each stream, and what
// the owner heard, in the order in which it happened to each stream.
func (a *answerer) told() string {
	var t []string
	for _, line := range a.frames() {
		id, size := uint32(0), 0
		if n, _ := fmt.Sscanf(line, "%d data of %d", &id, &size); n == 2 {
			if a.sent[id] += size; !strings.HasSuffix(line, " end") {
				continue // in how many pieces
			}
			line = fmt.Sprintf("%d data end", id)
		}
		t = append(t, "client: "+line)
	}
	for _, line := range a.said() {
		t = append(t, "owner: "+line)
	}
	if a.c.Err() == nil {
		slices.SortStableFunc(t, func(a, b string) int { return strings.Compare(ofStream(a), ofStream(b)) })
	} else {
		slices.Sort(t)
	}
	urgent := map[uint32]uint8{}
	for id, x := range a.open {
		if x != nil {
			urgent[id] = x.urgency
		}
	}
	for _, z := range a.c.Resting() {
		urgent[z.Idle().id] = z.Idle().urgency
	}
	return strings.Join(t, "\n") + fmt.Sprintf("\nsent %v, unsent %v, %d streams, urgency %v, done %v",
		a.sent, a.unsent, a.c.Streams(), urgent, a.c.Done())
}

// ofStream is who was told what of which stream.
func ofStream(line string) string {
	who, rest, _ := strings.Cut(line, " ")
	id, _, _ := strings.Cut(rest, " ")
	return who + id
}

// FuzzRest holds that a connection whose streams come to rest at any time says and does what one does whose streams never
// rest, whatever the client sends, and whatever the owner does meanwhile.
func FuzzRest(f *testing.F) {
	three := []byte("\x00\x01\x00\x06\x01\x01\x03\x05\x02\x04\x00\x03")
	for _, row := range goodRequests {
		f.Add([]byte(row.in+get(99)), 5, []byte("\x06\x00\x00\x01"))
	}
	for _, row := range badConnections {
		f.Add([]byte(get(1)+row.in), 12, three)
	}
	for _, row := range attacks {
		if len(row.prepare) < 200 {
			f.Add([]byte(row.prepare+row.step(1)+row.step(2)), 12, three)
		}
	}
	f.Add([]byte(post(1)+get(3)+post(5)+data(1, false, "abc")+settingsOf(setting(setInitialWindow, 10))+data(5, false, "defg")+
		headers(1, true, "x", "y")+update(3, 100)+frame(typePriorityUpdate, 0, 0, u32(5)+"u=1")+data(5, true, "h")), 20, three)
	f.Add([]byte(post(1, "content-length", "9")+data(1, false, "abc")+data(1, false, "def")+data(1, true, "ghi")+get(3)), 15, three)
	f.Add([]byte(post(1, "content-length", "3")+data(1, false, "abc")+data(1, true, "d")), 15, []byte("\x00\x00\x63\x00"))
	f.Add([]byte(get(1)+get(3)+frame(typePriorityUpdate, 0, 0, u32(3)+"u=0")+get(5, "priority", "u=6")+post(7)), 30, three)
	f.Add([]byte(post(1, "expect", "100-continue")+post(3)+reset(1, Cancel)+settingsOf(setting(setInitialWindow, maxWindow))+update(3, 1)), 9, three)
	f.Fuzz(func(t *testing.T, in []byte, cut int, acts []byte) {
		if len(in) > 20_000 {
			return
		}
		plain, napping := newAnswerer(t), newAnswerer(t)
		turn := 0
		act := func() byte {
			if len(acts) == 0 {
				return 0
			}
			turn++
			return acts[(turn-1)%len(acts)]
		}
		step := max(int(uint(cut)%uint(len(in)+1))+1, len(in)/200)
		for at := 0; at < len(in)+3*step; at += step {
			part := ""
			if at < len(in) {
				part = string(in[at:min(at+step, len(in))])
			}
			kind, which, later, sleeps := act(), act(), act(), act()
			for _, s := range []*answerer{plain, napping} {
				s.feed(part)
				if last := s.c.lastID; last > 0 {
					s.do(kind, 2*(uint32(which)%min((last+1)/2, 16))+1)
				}
				s.flush()
				if later < 12 {
					s.now += 5000
					s.c.Deadline(s.now)
					s.c.Expire(s.now)
				} else if later == 255 {
					s.c.Shutdown(s.now)
				}
				s.drain()
				s.check()
			}
			if got, want := napping.told(), plain.told(); got != want {
				t.Fatalf("after %d bytes, with rest:\n%s\nwithout:\n%s", at, got, want)
			}
			if plain.c.Err() != nil {
				break
			}
			if sleeps < 192 {
				napping.nap()
				napping.check()
			}
		}
	})
}
