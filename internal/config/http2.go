package config

import "time"

// HTTP2Limits are what one HTTP/2 connection may ask of us. A name with
// PerMinute is how often something may happen in a minute; once more, and the connection
// ends with ENHANCE_YOUR_CALM.
type HTTP2Limits struct {
	Streams                               int // open at once
	Continuations                         int // CONTINUATION frames of a head
	StreamWindow, MaxStreamWindow         int // receive windows, and what they grow to
	ConnectionWindow, MaxConnectionWindow int
	SettingsPerFrame                      int
	UnreadAnswers                         int
	SettingsWait                          time.Duration

	ClientResetsPerMinute  int
	ServerResetsPerMinute  int
	RefusedPerMinute       int
	LongHeadsPerMinute     int
	SettingsPerMinute      int
	PingsPerMinute         int
	WindowUpdatesPerMinute int
	PrioritiesPerMinute    int
	EmptyFramesPerMinute   int
	UnknownsPerMinute      int
	TinyWindowsPerMinute   int
	LateFramesPerMinute    int
	SlowStreamsPerMinute   int
}

// http2Settings are the settings of HTTP/2. Those that HTTP.SYS has in its
// registry (KB4491420 and later) have its names, the others are named in the same manner. Why the
// defaults are what they are is said in internal/wire/h2.
func http2Settings() []Setting {
	const most = 1<<16 - 1
	count := func(name, label, unit, help string, lowest, highest, def int64, field func(*HTTP2Limits) *int) Setting {
		return Setting{
			Name: name, Label: label, Help: help, Unit: unit, Min: lowest, Max: highest, Default: def,
			field: func(l *Limits, n int64) { *field(&l.HTTP2) = int(n) },
		}
	}
	return []Setting{
		count("http2maxconcurrentclientstreams", "Http2MaxConcurrentClientStreams", "streams", "open at once on a connection", 1, 10000, 128,
			func(h *HTTP2Limits) *int { return &h.Streams }),
		count("http2maxcontinuations", "Http2MaxContinuations", "frames", "CONTINUATION, of one request header", 0, 1000, 16,
			func(h *HTTP2Limits) *int { return &h.Continuations }),
		count("http2streamwindow", "Http2StreamWindow", "bytes", "of a request body that a new stream may send ahead", 65535, 16<<20, 65535,
			func(h *HTTP2Limits) *int { return &h.StreamWindow }),
		count("http2maxstreamwindow", "Http2MaxStreamWindow", "bytes", "to which that grows for a quick client of a quick application", 65535, 16<<20, 4<<20,
			func(h *HTTP2Limits) *int { return &h.MaxStreamWindow }),
		count("http2connectionwindow", "Http2ConnectionWindow", "bytes", "of request bodies that a new connection may send ahead", 65535, 64<<20, 1<<20,
			func(h *HTTP2Limits) *int { return &h.ConnectionWindow }),
		count("http2maxconnectionwindow", "Http2MaxConnectionWindow", "bytes", "to which that grows", 65535, 64<<20, 8<<20,
			func(h *HTTP2Limits) *int { return &h.MaxConnectionWindow }),
		count("http2maxsettingsperframe", "Http2MaxSettingsPerFrame", "entries", "in one SETTINGS frame", 7, 2730, 32,
			func(h *HTTP2Limits) *int { return &h.SettingsPerFrame }),
		count("http2maxunreadanswers", "Http2MaxUnreadAnswers", "frames", "answers to SETTINGS, PING and faults, that a client leaves unread", 10, 60000, 1000,
			func(h *HTTP2Limits) *int { return &h.UnreadAnswers }),
		{
			Name: "http2settingswait", Label: "Http2SettingsWait", Unit: "secs",
			Help: "until a client acknowledges our SETTINGS",
			Min:  1, Max: ushortOff - 1, Default: 30, Off: ushortOff,
			field: func(l *Limits, n int64) { l.HTTP2.SettingsWait = time.Duration(n) * time.Second },
		},
		count("http2maxclientresetsperminute", "Http2MaxClientResetsPerMinute", "streams", "that a client resets; each answer pays for one", 1, most, 400,
			func(h *HTTP2Limits) *int { return &h.ClientResetsPerMinute }),
		count("http2maxserverresetsperminute", "Http2MaxServerResetsPerMinute", "streams", "that have to be reset for what a client sends", 1, most, 100,
			func(h *HTTP2Limits) *int { return &h.ServerResetsPerMinute }),
		count("http2maxrefusedperminute", "Http2MaxRefusedPerMinute", "streams", "opened beyond http2maxconcurrentclientstreams", 1, most, 200,
			func(h *HTTP2Limits) *int { return &h.RefusedPerMinute }),
		count("http2maxlongheadersperminute", "Http2MaxLongHeadersPerMinute", "requests", "whose header is beyond the limits", 1, most, 50,
			func(h *HTTP2Limits) *int { return &h.LongHeadsPerMinute }),
		count("http2maxsettingsperminute", "Http2MaxSettingsPerMinute", "frames", "SETTINGS", 7, most, 60,
			func(h *HTTP2Limits) *int { return &h.SettingsPerMinute }),
		count("http2maxpingsperminute", "Http2MaxPingsPerMinute", "frames", "PING; each DATA frame that we send pays for one", 1, most, 600,
			func(h *HTTP2Limits) *int { return &h.PingsPerMinute }),
		count("http2maxwindowupdatesperminute", "Http2MaxWindowUpdatesPerMinute", "frames", "WINDOW_UPDATE; each request and each DATA frame that we send pays for two", 10, most, 5000,
			func(h *HTTP2Limits) *int { return &h.WindowUpdatesPerMinute }),
		count("http2maxprioritiesperminute", "Http2MaxPrioritiesPerMinute", "frames", "PRIORITY and PRIORITY_UPDATE; each request pays for two", 1, most, 1000,
			func(h *HTTP2Limits) *int { return &h.PrioritiesPerMinute }),
		count("http2maxemptyframesperminute", "Http2MaxEmptyFramesPerMinute", "frames", "without content that end nothing", 1, most, 200,
			func(h *HTTP2Limits) *int { return &h.EmptyFramesPerMinute }),
		count("http2maxunknownsperminute", "Http2MaxUnknownsPerMinute", "frames", "of unknown types", 1, most, 400,
			func(h *HTTP2Limits) *int { return &h.UnknownsPerMinute }),
		count("http2maxtinywindowsperminute", "Http2MaxTinyWindowsPerMinute", "frames", "that a client's window cuts to less than 64 bytes; each of 4 KiB pays for one", 1, most, 2000,
			func(h *HTTP2Limits) *int { return &h.TinyWindowsPerMinute }),
		count("http2maxlateframesperminute", "Http2MaxLateFramesPerMinute", "frames", "for streams that were reset", 1, most, 40000,
			func(h *HTTP2Limits) *int { return &h.LateFramesPerMinute }),
		count("http2maxslowstreamsperminute", "Http2MaxSlowStreamsPerMinute", "streams", "reset because their client does not read (minsendrate)", 1, most, 10,
			func(h *HTTP2Limits) *int { return &h.SlowStreamsPerMinute }),
	}
}
