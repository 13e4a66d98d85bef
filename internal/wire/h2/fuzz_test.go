package h2

import (
	"regexp"
	"strings"
	"testing"
)

var lastStream = regexp.MustCompile(`^goaway \d+`)

// outcome is what must not depend on how the bytes arrived: what we send but for
// how far we got when an error ended all, and what the owner heard of streams that were not
// reset.
func (s *side) outcome() string {
	var t []string
	for _, line := range s.frames() {
		t = append(t, lastStream.ReplaceAllString(line, "goaway"))
	}
	if s.c.Err() != nil {
		return strings.Join(t, "\n") + "\n" + s.c.Err().Text
	}
	gone := map[string]bool{}
	for _, e := range s.events {
		if id, rest, _ := strings.Cut(e, " "); strings.HasPrefix(rest, "reset ") {
			gone[id] = true
		}
	}
	var kept []string
	for _, e := range s.events {
		if id, _, _ := strings.Cut(e, " "); !gone[id] {
			kept = append(kept, e)
		}
	}
	return strings.Join(t, "\n") + "\n" + joinData(kept)
}

// FuzzConn holds what is said of all connections: it does not matter how the
// bytes arrive; what we send is HTTP/2; what is counted adds up; and with an owner that answers,
// consumes, resets, puts to rest and waits as it likes, too.
func FuzzConn(f *testing.F) {
	for _, row := range goodRequests {
		f.Add([]byte(row.in+get(99)), 5, []byte("abc"))
	}
	for _, row := range badRequests {
		f.Add([]byte(row.in+get(99)), 30, []byte("\x00\x01\x02\x03\x04\x05"))
	}
	for _, row := range badConnections {
		f.Add([]byte(get(1)+row.in), 12, []byte("\x05\x04\x03\x02\x01"))
	}
	for _, row := range attacks {
		if len(row.prepare) < 200 {
			f.Add([]byte(row.prepare+row.step(1)+row.step(2)), 12, []byte("\x01\x01\x01"))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int, acts []byte) {
		if len(in) > 100_000 {
			return
		}
		whole := ready(t, nil)
		whole.feed(string(in))
		whole.check()
		want := whole.outcome()
		try := func(how string, step int) {
			s := ready(t, nil)
			for at := 0; at < len(in); at += step {
				s.feed(string(in[at:min(at+step, len(in))]))
			}
			s.check()
			if got := s.outcome(); got != want {
				t.Fatalf("%s:\n got %s\nwant %s", how, got, want)
			}
		}
		try("in two reads", int(uint(cut)%uint(len(in)+1))+1)
		if len(in) < 2000 {
			try("byte by byte", 1)
		}

		s := ready(t, nil)
		act := func() byte {
			if len(acts) == 0 {
				return 0
			}
			a := acts[0]
			acts = append(acts[1:], a)
			return a
		}
		rest := map[*Stream]int{}
		send := func(x *Stream) {
			n, err := s.c.Send(x, make([]byte, rest[x]), true)
			if rest[x] -= n; err != nil || rest[x] == 0 {
				delete(s.open, x.ID())
				delete(rest, x)
			}
		}
		s.on = func(e *Event) {
			x := e.Stream
			if e.Kind == Reset {
				delete(rest, x)
			}
			if e.Kind == Reset || e.Kind == Failed || rest[x] > 0 || s.open[x.ID()] == nil {
				return
			}
			switch a := act(); {
			case a < 60: // consume
				s.c.Consumed(x, s.unread[x.ID()])
				s.unread[x.ID()] = 0
			case a < 120 && !x.is(headSent):
				id := x.ID()
				size := int(act()) * int(act()) * 2
				n, err := s.c.Respond(x, response(200, "A", "b"), make([]byte, size), true)
				if rest[x] = size - n; err != nil || rest[x] == 0 {
					delete(s.open, id)
					delete(rest, x)
				}
			case a < 140:
				delete(s.open, x.ID())
				s.c.Reset(x, InternalError)
			case a < 160:
				s.c.Informational(x, response(103))
			case a < 170:
				s.c.Shutdown(s.now)
			}
		}
		step := int(uint(cut)%uint(len(in)+1)) + 1
		for at := 0; at < len(in); at += step {
			s.feed(string(in[at:min(at+step, len(in))]))
			for x := s.c.Ready(); x != nil && s.c.Err() == nil; x = s.c.Ready() {
				send(x)
			}
			if act() < 60 {
				s.nap()
			}
			s.check()
			s.frames()
			if act() < 10 {
				s.now += 5000
				s.c.Deadline(s.now)
				s.c.Expire(s.now)
				s.drain()
			}
		}
		if s.c.Err() != nil {
			if s.drain(); len(s.open) > 0 || s.c.Streams() > 0 {
				t.Fatalf("open after the end: %v", s.open)
			}
		}
	})
}
