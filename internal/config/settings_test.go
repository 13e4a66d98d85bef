package config

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var compareAddr = cmpopts.EquateComparable(netip.Addr{})

func TestDefaultLimits(t *testing.T) {
	want := Limits{
		HeaderWait:      120 * time.Second,
		IdleConnection:  120 * time.Second,
		EntityBody:      120 * time.Second,
		DrainEntityBody: 120 * time.Second,
		RequestQueue:    120 * time.Second,
		MinSendRate:     150,
		MaxFieldLength:  16384,
		MaxRequestBytes: 16384,
		MaxTargetLength: 16384,
		MaxFields:       256,
		CacheSize:       1 << 30,
		CacheLargest:    8 << 20,
		CacheScavenge:   120,
		HTTP2: HTTP2Limits{
			Streams: 128, Continuations: 16, StreamWindow: 65535, MaxStreamWindow: 4 << 20, ConnectionWindow: 1 << 20,
			MaxConnectionWindow: 8 << 20, SettingsPerFrame: 32, UnreadAnswers: 1000, SettingsWait: 30 * time.Second,
			ClientResetsPerMinute: 400, ServerResetsPerMinute: 100, RefusedPerMinute: 200, LongHeadsPerMinute: 50,
			SettingsPerMinute: 60, PingsPerMinute: 600, WindowUpdatesPerMinute: 5000, PrioritiesPerMinute: 1000,
			EmptyFramesPerMinute: 200, UnknownsPerMinute: 400, TinyWindowsPerMinute: 2000, LateFramesPerMinute: 40_000,
			SlowStreamsPerMinute: 10,
		},
		Compression: 1, CompressMinSize: 1024,
	}
	if d := cmp.Diff(want, DefaultLimits(), compareAddr); d != "" {
		t.Errorf("DefaultLimits (-want +got):\n%s", d)
	}
}

// Each number of the tables reaches a member of its own.
func TestEverySettingReachesLimits(t *testing.T) {
	before := DefaultLimits()
	seen := make(map[string]string)
	try := func(s Setting, state *State) {
		changed := cmp.Diff(before, state.Limits(), compareAddr)
		if changed == "" {
			t.Errorf("%s changes nothing", s.Name)
		}
		if other := seen[changed]; other != "" {
			t.Errorf("%s and %s change the same", s.Name, other)
		}
		seen[changed] = s.Name
	}
	for _, s := range Timeouts {
		try(s, &State{Version: Version, Timeouts: map[string]int64{s.Name: s.Min}})
	}
	for _, s := range Settings {
		// Another number, but not one that lowers or raises the others.
		n := s.Default - 1
		if n < s.Min {
			n = s.Default + 1
		}
		try(s, &State{Version: Version, Settings: map[string]int64{s.Name: n}})
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name  string
		state State
		want  func(*Limits)
	}{
		{"seconds", State{Timeouts: map[string]int64{"idleconnectiontimeout": 5}},
			func(l *Limits) { l.IdleConnection = 5 * time.Second }},
		{"off", State{Timeouts: map[string]int64{"headerwaittimeout": 0, "minsendrate": 0}},
			func(l *Limits) { l.HeaderWait, l.MinSendRate = 0, 0 }},
		{"a short head lowers what is in it", State{Settings: map[string]int64{"maxrequestbytes": 1000}},
			func(l *Limits) { l.MaxRequestBytes, l.MaxFieldLength, l.MaxTargetLength = 1000, 1000, 1000 }},
		{"a long head raises nothing", State{Settings: map[string]int64{"maxrequestbytes": 131072}},
			func(l *Limits) { l.MaxRequestBytes = 131072 }},
		{"addresses", State{IPListen: []string{"192.0.2.1", "[::]", "::ffff:192.0.2.2"}},
			func(l *Limits) {
				l.IPListen = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.IPv6Unspecified(), netip.MustParseAddr("192.0.2.2")}
			}},
	}
	for _, c := range tests {
		want := DefaultLimits()
		c.want(&want)
		if d := cmp.Diff(want, c.state.Limits(), compareAddr); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}
