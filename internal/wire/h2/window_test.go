package h2

import (
	"fmt"
	"strings"
	"testing"
)

func content(n int) string { return strings.Repeat("x", n) }

// A client gets its window back when the application has read, not before.
func TestWindowFollowsTheApplication(t *testing.T) {
	s := ready(t, func(l *Limits) { l.ConnWindow, l.MaxWindow = 65535, 65535 })
	s.feed(post(1))
	for range 3 {
		s.feed(data(1, false, content(16384)))
	}
	s.wantFrames()
	x := s.open[1]
	s.c.Consumed(x, 16384)
	s.wantFrames() // not worth a frame yet
	s.c.Consumed(x, 20000)
	s.wantFrames("0 window +36384", "1 window +36384")
	s.check()
	s.feed(data(1, false, content(16383)) + data(1, false, content(16384)) + data(1, false, content(16384)))
	s.wantFrames()
	if s.c.Err() != nil {
		t.Fatal(s.c.Err())
	}
	s.feed(data(1, false, content(16384)))
	s.wantEnd(ErrWindow)
}

// Beyond the window of a stream only that stream ends.
func TestStreamWindow(t *testing.T) {
	s := ready(t, nil)
	s.feed(post(1))
	for range 4 {
		s.feed(data(1, false, content(16000)))
	}
	s.said()
	s.feed(data(1, false, content(1536)))
	s.wantFrames("1 reset FLOW_CONTROL_ERROR")
	s.wantEvents("1 reset " + ErrStreamWindow.Text)
	s.check()
}

// At the window, to the byte.
func TestStreamWindowEdge(t *testing.T) {
	s := ready(t, nil)
	s.feed(post(1))
	for range 4 {
		s.feed(data(1, false, content(16000)))
	}
	s.feed(data(1, false, content(1535)))
	s.wantFrames()
	s.feed(data(1, false, "x"))
	s.wantFrames("1 reset FLOW_CONTROL_ERROR")
}

// Many uploads that nobody reads cannot make us hold more than the window of
// the connection; one of them does not hold up the others.
func TestConnectionWindowBoundsWhatIsHeld(t *testing.T) {
	s := ready(t, nil)
	held := 0
	s.on = func(e *Event) { held += len(e.Data) }
	for i := range uint32(100) {
		s.feed(post(2*i + 1))
		for range 3 {
			if s.c.recv.granted >= 16384 {
				s.feed(data(2*i+1, false, content(16384)))
			}
		}
	}
	if int32(held) > s.limits.ConnWindow || held < 1_000_000 {
		t.Errorf("%d bytes held", held)
	}
	if s.c.Err() != nil {
		t.Fatal(s.c.Err())
	}
	s.frames()
	s.feed(reset(1, Cancel) + reset(3, Cancel)) // what goes, makes room
	s.check()
	for id, x := range s.open {
		if n := s.unread[id]; n > 0 {
			s.c.Consumed(x, n)
		}
	}
	s.check()
	if s.c.recv.unread != 0 || s.c.recv.granted < s.limits.ConnWindow/2 {
		t.Errorf("%+v", s.c.recv)
	}
}

// Padding, and DATA on streams that are gone, go back to the window at once.
func TestNothingOfTheWindowIsLost(t *testing.T) {
	s := ready(t, func(l *Limits) { l.Rates.Late = 5000 })
	s.eager = true
	padded := func(id uint32) string {
		return frame(typeData, flagPadded, id, "\xff"+content(10)+strings.Repeat("\x00", 255))
	}
	s.feed(post(1) + post(3) + reset(3, Cancel) + post(5, "A", "b") + post(7))
	s.c.Reset(s.open[7], Cancel)
	delete(s.open, 7)
	for range 4000 {
		s.feed(padded(1) + padded(5) + padded(7))
		s.c.Out = s.c.Out[:0]
	}
	if s.c.Err() != calm[late] { // 8000 frames on dead streams are too many
		t.Error(s.c.Err())
	}
	s = ready(t, nil)
	s.eager = true
	s.feed(post(1) + post(5, "A", "b"))
	for range 4000 {
		s.feed(padded(1) + padded(5))
		s.c.Out = s.c.Out[:0]
		s.c.pay(late, 1)
	}
	if s.c.Err() != nil || s.c.recv.unread != 0 {
		t.Errorf("%v, %+v", s.c.Err(), s.c.recv)
	}
	s.check()
}

// The windows grow to what the path holds. In this test it takes our frames
// delay steps to reach the client, which then sends what the windows allow, at most a
// part of path in each step.
func TestWindowsGrowWithThePath(t *testing.T) {
	const path, delay = 1 << 20, 20
	s := ready(t, nil)
	s.eager = true
	s.feed(post(1))
	windows := map[int]int{1: 65535, 0: 1 << 20}
	var onTheWay [delay][]string
	sent := 0
	for step := range 40 * delay {
		for _, line := range onTheWay[step%delay] {
			var id, add int
			if line == "ping" {
				s.feed(string(appendPing(nil, flagAck, pingMeasure)))
			} else if _, err := fmt.Sscanf(line, "%d window +%d", &id, &add); err == nil {
				windows[id] += add
			}
		}
		sent = 0
		for k := 1; k > 0; sent += k {
			if k = min(windows[0], windows[1], 16384, path/delay-sent); k > 0 {
				s.feed(data(1, false, content(k)))
				windows[0] -= k
				windows[1] -= k
			}
		}
		onTheWay[step%delay] = s.frames()
	}
	// The path is full in the end, and the windows are no larger than needed.
	if sent != path/delay {
		t.Errorf("%d bytes a step, the path takes %d", sent, path/delay)
	}
	if s.c.target < path || s.c.target >= s.limits.MaxWindow*2 || s.c.connTarget != 2*s.c.target {
		t.Errorf("windows of %d and %d", s.c.target, s.c.connTarget)
	}
	if s.c.Err() != nil {
		t.Error(s.c.Err())
	}
	s.check()
}

// An application that does not read keeps the window of its client small,
// whatever the path.
func TestWindowsDoNotGrowForASlowApplication(t *testing.T) {
	s := ready(t, nil)
	s.feed(post(1))
	for range 4 {
		s.feed(data(1, false, content(16383)))
	}
	s.wantFrames()
	if s.c.target != minWindow {
		t.Errorf("window of %d", s.c.target)
	}
}

// Small uploads cause no PING.
func TestSmallUploadsAreNotMeasured(t *testing.T) {
	s := ready(t, nil)
	s.eager = true
	for i := range uint32(50) {
		s.feed(post(2*i+1) + data(2*i+1, false, content(10000)) + data(2*i+1, true, content(5000)))
		s.c.Respond(s.open[2*i+1], response(204), nil, true)
	}
	for _, line := range s.frames() {
		if line == "ping" {
			t.Error("a PING")
		}
	}
}
