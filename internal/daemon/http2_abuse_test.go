package daemon_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
)

// attacker writes frames into memory, without any care.
type attacker struct {
	*http2.Framer
	out bytes.Buffer
	enc *hpack.Encoder
	hp  bytes.Buffer
}

func newAttacker() *attacker {
	a := &attacker{}
	a.Framer = http2.NewFramer(&a.out, nil)
	a.AllowIllegalWrites = true
	a.enc = hpack.NewEncoder(&a.hp)
	return a
}

func (a *attacker) block(fields ...string) []byte {
	a.hp.Reset()
	for i := 0; i < len(fields); i += 2 {
		a.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(a.hp.Bytes())
}

func (a *attacker) head(id uint32, end bool, more ...string) {
	method := "GET"
	if !end {
		method = "POST"
	}
	fields := append([]string{":method", method, ":scheme", "http", ":authority", "a", ":path", "/"}, more...)
	a.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: a.block(fields...), EndStream: end, EndHeaders: true})
}

// The known attacks, on the whole daemon. Each must be over after so many
// steps as its limit allows and one more: the attacker sends no more than these, and then waits for the
// end. No request that was reset before a program took it gets to one.
var http2Attacks = []struct {
	why     string
	prepare func(a *attacker)
	step    func(a *attacker, i uint32) // i = 1, 2, …
	steps   func(l *config.HTTP2Limits) int
	reason  string // as it is counted; "" for what is an error and no abuse
	code    http2.ErrCode
	passed  int // requests that a program gets
}{
	{"rapid reset (CVE-2023-44487)", nil, func(a *attacker, i uint32) {
		a.head(2*i-1, true)
		a.WriteRSTStream(2*i-1, http2.ErrCodeCancel)
	}, func(l *config.HTTP2Limits) int { return l.ClientResetsPerMinute + 1 }, "H2_RapidReset", http2.ErrCodeEnhanceYourCalm, 0},
	{"MadeYouReset (CVE-2025-8671), by an increment of 0", nil, func(a *attacker, i uint32) {
		a.head(2*i-1, true)
		a.WriteWindowUpdate(2*i-1, 0)
	}, func(l *config.HTTP2Limits) int { return l.ServerResetsPerMinute + 1 }, "H2_MadeYouReset", http2.ErrCodeEnhanceYourCalm, 0},
	{"MadeYouReset, by a window beyond its bound", nil, func(a *attacker, i uint32) {
		a.head(2*i-1, true)
		a.WriteWindowUpdate(2*i-1, 1<<31-1)
	}, func(l *config.HTTP2Limits) int { return l.ServerResetsPerMinute + 1 }, "H2_MadeYouReset", http2.ErrCodeEnhanceYourCalm, 0},
	{"MadeYouReset, by DATA behind the end", nil, func(a *attacker, i uint32) {
		a.head(2*i-1, true)
		a.WriteData(2*i-1, false, []byte("x"))
	}, func(l *config.HTTP2Limits) int { return l.ServerResetsPerMinute + 1 }, "H2_MadeYouReset", http2.ErrCodeEnhanceYourCalm, 0},
	{"malformed requests", nil, func(a *attacker, i uint32) { a.head(2*i-1, true, "Upper", "x") },
		func(l *config.HTTP2Limits) int { return l.ServerResetsPerMinute + 1 }, "H2_MadeYouReset", http2.ErrCodeEnhanceYourCalm, 0},
	{"streams beyond the limit", nil, func(a *attacker, i uint32) { a.head(2*i-1, false) },
		func(l *config.HTTP2Limits) int { return l.Streams + l.RefusedPerMinute + 1 }, "H2_RefusedStreams", http2.ErrCodeEnhanceYourCalm, -1},
	{"CONTINUATION flood (CVE-2024-27316)", func(a *attacker) {
		a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.block(":method", "GET"), EndStream: true})
	}, func(a *attacker, i uint32) { a.WriteContinuation(1, false, a.block("a", "b")) },
		func(l *config.HTTP2Limits) int { return l.Continuations + 1 }, "H2_ContinuationFlood", http2.ErrCodeEnhanceYourCalm, 0},
	{"HPACK bomb (CVE-2016-6581)", nil, func(a *attacker, i uint32) {
		long := a.block("a", strings.Repeat("x", 4000))
		a.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i - 1, BlockFragment: append(long, strings.Repeat("\xbe", 12_000)...), EndStream: true, EndHeaders: true})
	}, func(*config.HTTP2Limits) int { return 1 }, "H2_HeaderBomb", http2.ErrCodeEnhanceYourCalm, 0},
	{"long headers", nil, func(a *attacker, i uint32) {
		a.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i - 1, EndStream: true,
			BlockFragment: a.block(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "a", strings.Repeat("~", 9000))})
		a.WriteContinuation(2*i-1, true, a.block("b", strings.Repeat("~", 9000)))
	}, func(l *config.HTTP2Limits) int { return l.LongHeadsPerMinute + 1 }, "H2_LongHeaders", http2.ErrCodeEnhanceYourCalm, 0},
	{"SETTINGS flood (CVE-2019-9515)", nil, func(a *attacker, i uint32) { a.WriteSettings() },
		func(l *config.HTTP2Limits) int { return l.SettingsPerMinute }, "H2_SettingsFlood", http2.ErrCodeEnhanceYourCalm, 0},
	{"SETTINGS full of entries", nil, func(a *attacker, i uint32) {
		var all []http2.Setting
		for range 2000 {
			all = append(all, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 7})
		}
		a.WriteSettings(all...)
	}, func(*config.HTTP2Limits) int { return 1 }, "H2_SettingsEntries", http2.ErrCodeEnhanceYourCalm, 0},
	{"PING flood (CVE-2019-9512)", nil, func(a *attacker, i uint32) { a.WritePing(false, [8]byte{}) },
		func(l *config.HTTP2Limits) int { return l.PingsPerMinute + 1 }, "H2_PingFlood", http2.ErrCodeEnhanceYourCalm, 0},
	{"PRIORITY flood (CVE-2019-9513)", nil, func(a *attacker, i uint32) {
		a.WritePriority(2*i+1, http2.PriorityParam{StreamDep: 2*i - 1, Weight: byte(i)})
	}, func(l *config.HTTP2Limits) int { return l.PrioritiesPerMinute + 1 }, "H2_PriorityFlood", http2.ErrCodeEnhanceYourCalm, 0},
	{"PRIORITY_UPDATE flood", nil, func(a *attacker, i uint32) { a.WriteRawFrame(0x10, 0, 0, []byte("\x00\x00\x00\x01u=1")) },
		func(l *config.HTTP2Limits) int { return l.PrioritiesPerMinute + 1 }, "H2_PriorityFlood", http2.ErrCodeEnhanceYourCalm, 0},
	{"WINDOW_UPDATE flood", nil, func(a *attacker, i uint32) { a.WriteWindowUpdate(0, 1) },
		func(l *config.HTTP2Limits) int { return l.WindowUpdatesPerMinute + 1 }, "H2_WindowUpdateFlood", http2.ErrCodeEnhanceYourCalm, 0},
	{"empty DATA frames (CVE-2019-9518)", func(a *attacker) { a.head(1, false) }, func(a *attacker, i uint32) { a.WriteData(1, false, nil) },
		func(l *config.HTTP2Limits) int { return l.EmptyFramesPerMinute + 1 }, "H2_EmptyFrames", http2.ErrCodeEnhanceYourCalm, -1},
	{"unknown frames", nil, func(a *attacker, i uint32) { a.WriteRawFrame(0xfa, 0, 0, []byte("x")) },
		func(l *config.HTTP2Limits) int { return l.UnknownsPerMinute + 1 }, "H2_UnknownFrames", http2.ErrCodeEnhanceYourCalm, 0},
	{"frames for a stream that is over", func(a *attacker) {
		a.head(1, true)
		a.WriteRSTStream(1, http2.ErrCodeCancel)
	}, func(a *attacker, i uint32) { a.WriteRSTStream(1, http2.ErrCodeCancel) },
		func(l *config.HTTP2Limits) int { return l.LateFramesPerMinute + 1 }, "H2_LateFrames", http2.ErrCodeEnhanceYourCalm, 0},
	// Window games that are errors.
	{"an increment of 0 on the connection", nil, func(a *attacker, i uint32) { a.WriteWindowUpdate(0, 0) },
		func(*config.HTTP2Limits) int { return 1 }, "", http2.ErrCodeProtocol, 0},
	{"a window of the connection beyond its bound", nil, func(a *attacker, i uint32) { a.WriteWindowUpdate(0, 1<<31-1) },
		func(*config.HTTP2Limits) int { return 1 }, "", http2.ErrCodeFlowControl, 0},
	{"an initial window beyond its bound", nil, func(a *attacker, i uint32) {
		a.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
	}, func(*config.HTTP2Limits) int { return 1 }, "", http2.ErrCodeFlowControl, 0},
}

func TestHTTP2Attacks(t *testing.T) {
	limits := config.DefaultLimits().HTTP2
	for _, tc := range http2Attacks {
		t.Run(tc.why, func(t *testing.T) {
			d := testkit.Start(t, testkit.Options{})
			app := d.App(testkit.AppOptions{Credit: 1000})
			reg := app.Register("http://+:0/")
			a := newAttacker()
			a.out.WriteString(http2.ClientPreface)
			a.WriteSettings()
			if tc.prepare != nil {
				tc.prepare(a)
			}
			steps := tc.steps(&limits)
			for i := range steps - 1 {
				tc.step(a, uint32(i+1))
			}
			c, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(testkit.Patience))
			v := watchAttacked(c)
			// One step less is no attack: an honest PING behind it is answered.
			if !strings.HasPrefix(tc.reason, "H2_Pi") && tc.why != http2Attacks[6].why { // nothing may be between CONTINUATIONs
				a.WritePing(false, [8]byte{'h', 'o', 'n', 'e', 's', 't'})
			}
			c.Write(a.out.Bytes())
			if !strings.HasPrefix(tc.reason, "H2_Pi") && tc.why != http2Attacks[6].why {
				select {
				case <-v.pong:
				case <-v.end:
					t.Fatalf("ended before the limit: %v %s", v.code, v.text)
				}
			}
			a.out.Reset()
			tc.step(a, uint32(steps))
			c.Write(a.out.Bytes())
			<-v.end
			if v.code != tc.code || v.text == "" {
				t.Errorf("ended with %v %q; want %v", v.code, v.text, tc.code)
			}
			// It is counted where an administrator sees it, and ends nothing else.
			st := d.Wait("no streams of the attacker", func(st *control.State) bool { return st.HTTP2.Streams == 0 })
			for reason, n := range st.HTTP2.Ended {
				if want := uint64(0); reason == tc.reason {
					if n != 1 {
						t.Errorf("%s was counted %d times", reason, n)
					}
				} else if n != want {
					t.Errorf("%s was counted %d times", reason, n)
				}
			}
			d.Exchanges(0)
			if got := st.Queues[0].Counters.Requests; tc.passed == 0 && got != 0 {
				t.Errorf("%d requests got to the program's queue", got)
			}
			c.Close()
			other := d.Dial(reg)
			other.Get("/")
			for r := nextRequest(app); ; r = nextRequest(app) {
				if r.Head.Version == 11 {
					r.Respond(200, nil, "")
					break
				}
			}
			other.WantStatus(200)
		})
	}
}

// attacked is what the server under attack says.
type attacked struct {
	pong, end chan struct{}
	code      http2.ErrCode
	text      string
}

func watchAttacked(c net.Conn) *attacked {
	v := &attacked{pong: make(chan struct{}), end: make(chan struct{})}
	go func() {
		defer close(v.end)
		fr := http2.NewFramer(nil, c)
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
					v.text = ""
				}
				return
			}
			switch f := f.(type) {
			case *http2.GoAwayFrame:
				v.code, v.text = f.ErrCode, string(f.DebugData())
			case *http2.PingFrame:
				if f.Data[0] == 'h' {
					close(v.pong)
				}
			}
		}
	}()
	return v
}
