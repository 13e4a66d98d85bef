package conn

import (
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/wire/h2"
)

// setHTTP2Limits brings what the administrator has set into the form of the
// core.
func setHTTP2Limits(to *h2.Limits, l *config.HTTP2Limits) {
	to.Streams, to.Continuations = l.Streams, l.Continuations
	to.Window, to.MaxWindow = int32(l.StreamWindow), int32(l.MaxStreamWindow)
	to.ConnWindow, to.MaxConnWindow = int32(l.ConnectionWindow), int32(l.MaxConnectionWindow)
	to.SettingsPerFrame, to.Unsent = l.SettingsPerFrame, l.UnreadAnswers
	to.SettingsWait = l.SettingsWait.Milliseconds()
	to.Rates = h2.Rates{
		Resets: uint16(l.ClientResetsPerMinute), Faults: uint16(l.ServerResetsPerMinute),
		Refused: uint16(l.RefusedPerMinute), LongHeads: uint16(l.LongHeadsPerMinute),
		Settings: uint16(l.SettingsPerMinute), Pings: uint16(l.PingsPerMinute),
		WindowUpdates: uint16(l.WindowUpdatesPerMinute), Priorities: uint16(l.PrioritiesPerMinute),
		Empty: uint16(l.EmptyFramesPerMinute), Unknown: uint16(l.UnknownsPerMinute),
		Dribbles: uint16(l.TinyWindowsPerMinute), Late: uint16(l.LateFramesPerMinute),
		Stalls: uint16(l.SlowStreamsPerMinute),
	}
}

// HTTP2Stats are counts of one loop.
type HTTP2Stats struct {
	Connections, Streams int // open now
	Resting              int // of the streams: at rest
	h2.Counters
}

// HTTP2 counts; it must be called on the loop.
func (s *Server) HTTP2() HTTP2Stats {
	st := HTTP2Stats{Connections: s.http2s}
	if s.h2shared == nil {
		return st
	}
	st.Counters = s.h2shared.Counters
	s.each(func(c *Conn) {
		if h, ok := c.proto.(*http2); ok {
			st.Streams += h.core.Streams()
			st.Resting += len(h.core.Resting())
		}
	})
	return st
}
