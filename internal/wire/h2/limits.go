package h2

// Limits bound what one connection may ask of us. They are read through a
// pointer and may be changed between calls.
type Limits struct {
	// Heads, as in HTTP/1. A longer one gets 431; its size is counted as RFC
	// 9113 6.5.2 says, with 32 bytes for each field. One four times as long ends the connection.
	Head   int
	Field  int // bytes of one value
	Target int // bytes of :path
	Fields int
	// Continuations is how many CONTINUATION frames a head may have.
	Continuations int

	// Streams is how many may be open at once. The peer hears of it.
	Streams int

	// Receive windows. A stream begins with Window, the connection with
	// ConnWindow; both grow to the maximum as long as the peer fills them and the
	// application reads. ConnWindow is at the same time what a client can make
	// us hold while no application reads.
	Window, MaxWindow         int32
	ConnWindow, MaxConnWindow int32

	// SettingsPerFrame bounds the entries of one SETTINGS frame, Unsent the
	// answers to PING, SETTINGS and broken streams that wait for a peer that does not read.
	SettingsPerFrame int
	Unsent           int

	// How often something may happen in Period (milliseconds). Some of it is
	// paid for by useful work: see pay.
	Period int64
	Rates  Rates

	// Patience, in milliseconds; 0 is endless.
	HeaderWait   int64 // from the first frame of a head to its last; also for the preface
	SettingsWait int64 // for the acknowledgement of our SETTINGS
	DrainWait    int64 // between the two GOAWAY frames of Shutdown, at most
	StallPeriod  int64 // over what MinSendRate is measured
	// MinSendRate is what a client has to take of a stream that it holds up by
	// its window, in bytes per second.
	MinSendRate int64
}

// Rates has one number for each Abuse that is counted.
type Rates struct {
	Resets        uint16 // streams that the client resets; each answer pays for one
	Faults        uint16 // streams that we have to reset for what the client sent: MadeYouReset
	Refused       uint16 // streams beyond Limits.Streams
	LongHeads     uint16 // heads beyond the limits
	Settings      uint16
	Pings         uint16
	WindowUpdates uint16
	Priorities    uint16 // PRIORITY and PRIORITY_UPDATE
	Empty         uint16 // DATA and header frames without content that end nothing
	Unknown       uint16 // frames of unknown types
	Dribbles      uint16 // DATA frames that the client's window made tiny
	Late          uint16 // frames for streams that we have reset
	Stalls        uint16 // streams ended for MinSendRate
}

// DefaultLimits are what holds if nobody set anything else.
//
// 128 streams are nginx's number; RFC 9113 6.5.2 advises against fewer than 100.
// A browser that leaves a page resets at most that many streams at once, and does so
// seldom; attacks need thousands; 400 in a minute is HTTP.SYS's number. A correct client never causes
// a fault, and acknowledges some tens of SETTINGS or PING frames in a connection's life. Late
// frames are what was on its way when an upload was answered early: a full window of small ones,
// for each of several streams.
//
// An administrator sees and sets most of them: config.Settings has the same numbers, and a
// test of package conn compares the two.
var DefaultLimits = Limits{
	Head: 16384, Field: 16384, Target: 16384, Fields: 256, Continuations: 16,
	Streams: 128,
	Window:  65535, MaxWindow: 4 << 20, ConnWindow: 1 << 20, MaxConnWindow: 8 << 20,
	SettingsPerFrame: 32, Unsent: 1000,
	Period: 60_000,
	Rates: Rates{
		Resets: 400, Faults: 100, Refused: 200, LongHeads: 50, Settings: 60, Pings: 600, WindowUpdates: 5000,
		Priorities: 1000, Empty: 200, Unknown: 400, Dribbles: 2000, Late: 40_000, Stalls: 10,
	},
	HeaderWait: 120_000, SettingsWait: 30_000, DrainWait: 1000, StallPeriod: 10_000, MinSendRate: 150,
}

// Bounds that are not worth a setting.
const (
	maxMethod    = 64    // the longest registered method has 17 letters
	bombFactor   = 4     // a head this many times as long as Limits.Head ends the connection
	minWindow    = 65535 // RFC 9113 6.9.2: what a client may use before it has read our SETTINGS
	maxWindow    = 1<<31 - 1
	tableSize    = 4096  // HPACK dynamic tables, both ways: the default of RFC 9113 6.5.2
	frameSize    = 16384 // largest payload that we accept and that we make
	frameHeader  = 9
	keptPriority = 8 // PRIORITY_UPDATE frames kept for streams that are not open yet
)
