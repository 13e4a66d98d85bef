package h2

import (
	"bytes"
	"strings"
	"testing"
)

var most = DefaultLimits.Rates

// Each attack is a client that goes on and on. The connection must end with
// the right error before the client has sent more than a bound, and what the owner hears, what is
// sent and what is held meanwhile have bounds, too.
var attacks = []struct {
	why     string
	prepare string                // sent once
	step    func(i uint32) string // sent again and again, i = 0, 1, …
	change  func(l *Limits)
	want    *Error
	steps   uint16 // it must end within so many
	told    int    // requests the owner may hear of
}{
	{"rapid reset (CVE-2023-44487)", "",
		func(i uint32) string { return get(2*i+1) + reset(2*i+1, Cancel) },
		nil, calm[resets], most.Resets + 1, 0},
	{"rapid reset with a WINDOW_UPDATE that makes us reset (MadeYouReset, CVE-2025-8671)", "",
		func(i uint32) string { return get(2*i+1) + update(2*i+1, 0) },
		nil, calm[faults], most.Faults + 1, 0},
	{"MadeYouReset by an overflow of the window", "",
		func(i uint32) string { return get(2*i+1) + update(2*i+1, 1<<31-1) },
		nil, calm[faults], most.Faults + 1, 0},
	{"MadeYouReset by DATA behind the end", "",
		func(i uint32) string { return get(2*i+1) + data(2*i+1, false, "x") },
		nil, calm[faults], most.Faults + 1, 0},
	{"MadeYouReset by a malformed request", "",
		func(i uint32) string { return get(2*i+1, "A", "b") },
		nil, calm[faults], most.Faults + 1, 0},
	{"more streams than allowed", strings.Join(gets(1, 128), ""),
		func(i uint32) string { return get(2*i + 1001) },
		nil, calm[refused], most.Refused + 1, 128},
	{"heads that are too long", "",
		func(i uint32) string {
			return get(2*i+1, "a", strings.Repeat("x", 8100), "b", strings.Repeat("x", 8100))
		},
		nil, calm[longHeads], most.LongHeads + 1, 0},
	{"CONTINUATION without end (CVE-2024-27316 and others)", frame(typeHeaders, 0, 1, block(pseudo("GET")...)),
		func(i uint32) string { return frame(typeContinuation, 0, 1, block("a", "b")) },
		nil, calm[continuations], 17, 0},
	{"large CONTINUATIONs without end", frame(typeHeaders, 0, 1, block(pseudo("GET")...)),
		func(i uint32) string { return frame(typeContinuation, 0, 1, block("a", strings.Repeat("x", 16000))) },
		nil, calm[headBomb], 5, 0},
	{"empty CONTINUATIONs", frame(typeHeaders, 0, 1, block(pseudo("GET")...)),
		func(i uint32) string { return frame(typeContinuation, 0, 1, "") },
		func(l *Limits) { l.Continuations = 1 << 14 }, calm[empty], most.Empty + 1, 0},
	{"HPACK bomb (CVE-2016-6581)", "",
		func(i uint32) string {
			// A field of 4000 bytes in the table, and then a byte for each of its copies.
			long := appendInt([]byte{0x40, 1, 'a'}, 0, 7, 4000)
			long = append(long, strings.Repeat("x", 4000)...)
			return frame(typeHeaders, flagEndHeaders|flagEndStream, 2*i+1, string(long)+strings.Repeat("\xbe", 12000))
		}, nil, calm[headBomb], 1, 0},
	{"SETTINGS flood (CVE-2019-9515)", "", func(uint32) string { return settingsOf("") }, nil, calm[settings], most.Settings, 0},
	{"a SETTINGS frame full of entries", "", func(uint32) string { return settingsOf(strings.Repeat(setting(setInitialWindow, 7), 2730)) },
		nil, calm[settingsEntries], 1, 0},
	{"PING flood (CVE-2019-9512)", "", func(uint32) string { return frame(typePing, 0, 0, "12345678") }, nil, calm[pings], most.Pings + 1, 0},
	{"PING answers that nobody waits for", "", func(uint32) string { return frame(typePing, flagAck, 0, "12345678") }, nil, calm[pings], most.Pings + 1, 0},
	{"PRIORITY flood (CVE-2019-9513)", "", func(i uint32) string { return frame(typePriority, 0, 2*i+1, u32(0)+"x") }, nil, calm[priorities], most.Priorities + 1, 0},
	{"PRIORITY_UPDATE flood", "", func(i uint32) string { return frame(typePriorityUpdate, 0, 0, u32(2*i+1)+"u=1") }, nil, calm[priorities], most.Priorities + 1, 0},
	{"WINDOW_UPDATE flood", "", func(uint32) string { return update(0, 1) }, nil, calm[windowUpdates], most.WindowUpdates + 1, 0},
	{"empty DATA frames (CVE-2019-9518)", post(1), func(uint32) string { return data(1, false, "") }, nil, calm[empty], most.Empty + 1, 1},
	{"DATA frames of padding", post(1), func(uint32) string { return frame(typeData, flagPadded, 1, "\x01\x00") }, nil, calm[empty], most.Empty + 1, 1},
	{"unknown frames", "", func(uint32) string { return frame(0xfe, 0, 0, "") }, nil, calm[unknown], most.Unknown + 1, 0},
	{"GOAWAY again and again", "", func(uint32) string { return frame(typeGoAway, 0, 0, u32(0)+u32(0)) }, nil, calm[unknown], most.Unknown + 2, 0},
	{"DATA on a stream that we have reset", post(1, "A", "b"), func(uint32) string { return data(1, false, "") }, nil, calm[late], most.Late + 1, 0},
	{"RST_STREAM on a stream that is over", get(1) + reset(1, Cancel), func(uint32) string { return reset(1, Cancel) }, nil, calm[late], most.Late + 1, 0},
	{"answers that are not read", "",
		func(i uint32) string { return frame(typePing, 0, 0, "12345678") },
		func(l *Limits) { l.Rates.Pings = 60000 }, calm[unsent], 1001, 0},
}

func gets(from uint32, n int) []string {
	var t []string
	for i := range n {
		t = append(t, get(from+2*uint32(i)))
	}
	return t
}

func TestAttacksEnd(t *testing.T) {
	for _, row := range attacks {
		for _, how := range []string{"all at once", "in pieces"} {
			t.Run(row.why+", "+how, func(t *testing.T) {
				s := ready(t, row.change)
				told := 0
				s.on = func(e *Event) {
					if e.Kind == GotRequest {
						told++
					}
					if e.Kind == Refused { // its owner answers
						id := e.Stream.ID()
						s.c.Respond(e.Stream, response(e.Err.Status), nil, true)
						delete(s.open, id)
					}
				}
				s.feed(row.prepare)
				if s.c.Err() != nil {
					t.Fatalf("ended before it began: %v", s.c.Err())
				}
				steps := uint16(0)
				if how == "all at once" {
					var in strings.Builder
					for ; steps < row.steps; steps++ {
						in.WriteString(row.step(uint32(steps) + 1))
					}
					s.feed(in.String())
				} else {
					for ; steps < row.steps && s.c.Err() == nil; steps++ {
						s.feed(row.step(uint32(steps) + 1))
					}
				}
				if told > row.told {
					t.Errorf("the owner heard of %d requests", told)
				}
				if len(s.c.Out) > 32<<10 {
					t.Errorf("%d bytes to be sent", len(s.c.Out))
				}
				s.wantEnd(row.want)
				if n := s.shared.Counters.Ended[row.want.Abuse]; n != 1 {
					t.Errorf("counted %d times", n)
				}
				if s.c.streams.n != 0 || s.c.block != nil || s.c.batch != nil {
					t.Errorf("still there: %d streams, %d bytes of a head", s.c.streams.n, len(s.c.block))
				}
			})
		}
	}
}

// At the limit nothing happens, and after the period the count begins again.
func TestRatesAreRates(t *testing.T) {
	s := ready(t, nil)
	ping := frame(typePing, 0, 0, "12345678")
	for range 5 {
		s.feed(strings.Repeat(ping, int(s.limits.Rates.Pings)))
		if s.c.Err() != nil {
			t.Fatalf("at the limit: %v", s.c.Err())
		}
		s.frames()
		s.c.Flushed()
		s.now += s.limits.Period
	}
	s.feed(strings.Repeat(ping, int(s.limits.Rates.Pings)))
	s.now += s.limits.Period - 1
	s.feed(ping)
	s.wantEnd(calm[pings])
}

// What a busy and correct client sends is no abuse: a download of 100 MB with two
// WINDOW_UPDATEs and a PING for each frame.
func TestWorkPays(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1))
	x := s.open[1]
	s.c.Respond(x, response(200), nil, false)
	piece := bytes.Repeat([]byte("x"), frameSize)
	for range 6000 {
		if n, _ := s.c.Send(x, piece, false); n != len(piece) {
			t.Fatalf("%d taken", n)
		}
		s.c.Out = s.c.Out[:0]
		s.feed(update(1, frameSize) + update(0, frameSize) + frame(typePing, 0, 0, "12345678"))
		s.c.Flushed()
		if s.c.Err() != nil {
			t.Fatal(s.c.Err())
		}
	}
}

// A client that opens its windows by a byte at a time makes us send a frame
// for each.
func TestTinyWindows(t *testing.T) {
	s := ready(t, nil)
	s.feed(settingsOf(setting(setInitialWindow, 0)) + get(1))
	x := s.open[1]
	body := bytes.Repeat([]byte("x"), 10000)
	n, _ := s.c.Respond(x, response(200), body, true)
	sent := 0
	for ; s.c.Err() == nil && sent < 5000; sent++ {
		s.feed(update(1, 1))
		k, _ := s.c.Send(x, body[n:], true)
		n += k
		s.c.Out = s.c.Out[:0]
	}
	delete(s.open, 1) // Send took the end
	if s.drain(); s.c.Err() != calm[dribbles] || sent != int(most.Dribbles)+1 {
		t.Errorf("%v after %d frames", s.c.Err(), sent)
	}
}

// A client that asks for much and lets nothing through: each stream ends when
// its time is over, the connection with the first too many.
func TestSlowReaders(t *testing.T) {
	s := ready(t, nil)
	s.feed(settingsOf(setting(setInitialWindow, 10)) + strings.Join(gets(1, 20), ""))
	body := make([]byte, 1000)
	for _, x := range s.open {
		if n, _ := s.c.Respond(x, response(200), body, true); n != 10 {
			t.Fatalf("%d taken", n)
		}
	}
	s.frames()
	s.said()
	at := s.c.Deadline(s.now)
	if at != s.now+s.limits.StallPeriod {
		t.Fatalf("deadline in %d ms", at-s.now)
	}
	// One reads on, fast enough.
	s.feed(update(39, 10000))
	s.c.Wait(s.open[39])
	s.c.Send(s.open[39], make([]byte, 2000), false)
	s.c.Wait(s.open[39])
	s.c.Expire(at - 1)
	s.drain()
	if len(s.said()) != 0 {
		t.Error("too early")
	}
	s.now = at
	s.c.Expire(at)
	s.drain()
	if s.c.Err() != calm[stalls] {
		t.Fatal(s.c.Err())
	}
	n := 0
	for _, e := range s.said() {
		if strings.HasSuffix(e, "reset "+ErrSlow.Text) {
			n++
		}
	}
	if n != int(s.limits.Rates.Stalls)+1 {
		t.Errorf("%d streams reset before the connection was ended", n)
	}
}

func TestSlowReaderAlone(t *testing.T) {
	s := ready(t, nil)
	s.feed(settingsOf(setting(setInitialWindow, 10)) + get(1) + get(3))
	s.c.Respond(s.open[1], response(200), make([]byte, 1000), true)
	s.c.Respond(s.open[3], response(200), nil, false)
	s.frames()
	s.said()
	s.now = s.c.Deadline(s.now)
	s.c.Expire(s.now)
	s.drain()
	s.wantEvents("1 reset " + ErrSlow.Text)
	s.wantFrames("1 reset CANCEL")
	if s.c.Deadline(s.now) != 0 {
		t.Error("a stream whose application sends nothing is not slow")
	}
	s.check()
}

// A client that lets nothing through for the whole connection.
func TestClosedWindow(t *testing.T) {
	s := ready(t, nil)
	s.feed(settingsOf(setting(setInitialWindow, 1<<20)) + get(1))
	if n, _ := s.c.Respond(s.open[1], response(200), make([]byte, 100_000), true); n != 65535 {
		t.Fatalf("%d taken", n)
	}
	for i := range 2 { // in the first period much was sent
		at := s.c.Deadline(s.now)
		if at != s.now+s.limits.StallPeriod {
			t.Fatalf("period %d: deadline in %d ms", i, at-s.now)
		}
		if i == 0 {
			s.c.progress = 65535
		}
		s.now = at
		s.c.Expire(at)
		s.drain()
	}
	s.wantEnd(calm[closedWindow])
}

func TestDeadlines(t *testing.T) {
	for _, row := range []struct {
		why, in string
		want    *Error
	}{
		{"no preface", "", ErrHeaderWait},
		{"half a preface", Preface[:10], ErrHeaderWait},
		{"no SETTINGS", Preface, ErrHeaderWait},
		{"half a frame", hello + get(1)[:12], ErrHeaderWait},
		{"half a head", hello + frame(typeHeaders, 0, 1, ""), ErrHeaderWait},
		{"SETTINGS that are not acknowledged", Preface + settingsOf(""), ErrSettingsTimeout},
		{"nothing is due", hello + get(1), nil},
	} {
		s := newSide(t, func(l *Limits) {
			if row.want == ErrHeaderWait {
				l.SettingsWait = 0
			}
		})
		s.feed(row.in)
		at := s.c.Deadline(s.now)
		if (at == 0) != (row.want == nil) {
			t.Errorf("%s: deadline %d", row.why, at)
			continue
		}
		s.c.Expire(at - 1)
		if s.c.Err() != nil {
			t.Errorf("%s: %v too early", row.why, s.c.Err())
		}
		s.c.Expire(at)
		if s.c.Err() != row.want {
			t.Errorf("%s: %v, want %v", row.why, s.c.Err(), row.want)
		}
	}
	// A head in pieces has one deadline for all of them; a busy connection none.
	s := ready(t, nil)
	s.feed(frame(typeHeaders, 0, 1, ""))
	at := s.c.Deadline(s.now)
	s.now += 1000
	s.feed(frame(typeContinuation, 0, 1, "") + "\x00")
	if got := s.c.Deadline(s.now); got != at {
		t.Errorf("deadline moved by %d", got-at)
	}
	s = ready(t, nil)
	ping := frame(typePing, 0, 0, "12345678")
	s.feed(ping[:5])
	for range 10 {
		s.now += 1000
		s.feed(ping[5:] + ping[:5])
		if got := s.c.Deadline(s.now); got != s.now+s.limits.HeaderWait {
			t.Errorf("deadline of a new frame in %d ms", got-s.now)
		}
	}
}

// A gateway whose users come and go resets as many as it lets be answered.
func TestAnswersPayForResets(t *testing.T) {
	s := ready(t, nil)
	for i := range 3 * uint32(most.Resets) {
		s.feed(get(4*i+1) + get(4*i+3))
		x := s.open[4*i+1]
		s.feed(reset(4*i+3, Cancel))
		delete(s.open, 4*i+1)
		s.c.Respond(x, response(204), nil, true)
		s.frames()
	}
	if s.c.Err() != nil {
		t.Error(s.c.Err())
	}
	s.check()
}

// An administrator may change the limits; a client is held to what it was told.
func TestChangedLimitsHoldForNewConnections(t *testing.T) {
	s := ready(t, nil)
	s.limits.Streams, s.limits.Window = 1, 1<<20
	s.feed(strings.Join(gets(1, 128), "") + post(257))
	s.wantFrames("257 reset REFUSED_STREAM")
	s.feed(reset(1, Cancel) + post(259) + data(259, false, strings.Repeat("x", 16384)) +
		data(259, false, strings.Repeat("x", 16384)) + data(259, false, strings.Repeat("x", 16384)) +
		data(259, false, strings.Repeat("x", 16384)))
	s.wantFrames("259 reset FLOW_CONTROL_ERROR")
	s.check()
}

// Each stream has its own rate, and none may be asked of one at all.
func TestMinSendRateOfAStream(t *testing.T) {
	s := ready(t, nil)
	s.feed(settingsOf(setting(setInitialWindow, 10)) + get(1) + get(3))
	for _, id := range []uint32{1, 3} {
		s.open[id].SetMinSendRate(map[uint32]int64{1: 0, 3: 1}[id])
		s.c.Respond(s.open[id], response(200), make([]byte, 1000), true)
	}
	s.frames()
	s.said()
	for range 3 {
		s.now += s.limits.StallPeriod
		s.c.Deadline(s.now)
		s.c.Expire(s.now)
		s.drain()
	}
	s.wantEvents("3 reset " + ErrSlow.Text)
	s.check()
}

// A client with a small window that is opened in odd pieces leaves a rest of a few
// bytes in each: that is how it is read, not an attack.
func TestRestsOfWindowsArePaid(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1))
	x := s.open[1]
	body := make([]byte, 64<<10)
	n, _ := s.c.Respond(x, response(200), body, false)
	for range 3 * int(most.Dribbles) {
		if k, _ := s.c.Send(x, body[n:], false); n+k == len(body) {
			n = 0
		} else {
			n += k
		}
		s.c.Out = s.c.Out[:0]
		s.feed(update(1, frameSize+7) + update(0, frameSize+7))
		s.c.Flushed()
		if s.c.Err() != nil {
			t.Fatal(s.c.Err())
		}
	}
}
