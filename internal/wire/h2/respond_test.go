package h2

import "testing"

// RFC 9113 6.9.2: a change of the initial window can make that of a stream
// negative; nothing is sent until it is above 0 again.
func TestNegativeWindow(t *testing.T) {
	s := ready(t, nil)
	s.feed(settingsOf(setting(setInitialWindow, 3)) + get(1))
	s.frames()
	n, _ := s.c.Respond(s.open[1], response(200), []byte("hello"), true)
	if n != 3 {
		t.Fatalf("%d bytes taken", n)
	}
	s.wantFrames("1 headers :status=200 content-length=5", "1 data hel")
	s.feed(settingsOf(setting(setInitialWindow, 2)))
	s.check()
	s.feed(update(1, 2))
	s.check()
	if s.c.Ready() != s.open[1] {
		t.Fatal("not ready")
	}
	s.c.Send(s.open[1], []byte("lo"), true)
	s.check()
	if s.c.Ready() != nil {
		t.Error("ready though the window is closed")
	}
	s.wantFrames("settings ack", "1 data l")
	s.feed(update(1, 9))
	s.c.Send(s.open[1], []byte("o"), true)
	s.wantFrames("1 data o end")
	s.check()
}
