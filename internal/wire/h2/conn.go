package h2

// Conn is the server side of one HTTP/2 connection.
type Conn struct {
	// Out is what has to be sent, in order. The owner takes it away, and may lend
	// an empty array of its own at any time: nothing else refers to it.
	Out []byte

	shared *Shared
	batch  *batch // nil: all is told
	queue  *schedule
	err    *Error

	streams table
	idle    []Sleeper // streams at rest, in the order of their numbers
	decoder decoder
	encoder encoder

	waiting int // streams on which the owner has something to send

	send outflow // of the connection
	recv inflow
	// What windows may grow to, of each stream and of the connection.
	target, connTarget int32
	initialSend        int32 // what the peer gives a new stream
	// What the peer was told: the limits may have changed since.
	window     int32
	maxStreams int32

	// The frame that is being read, if it is read in pieces.
	left    int32 // content to come
	skip    int32 // bytes to be skipped behind it
	frameID uint32
	lastOne bool // it has END_STREAM

	// A header block in several frames.
	block       []byte
	blockID     uint32
	blockFrames int16
	blockEnds   bool // END_STREAM
	blockDep    bool // the stream depends on itself

	lastID   uint32 // highest that the client opened
	toldID   uint32 // highest that the owner knows
	awayID   uint32 // of the last GOAWAY
	resetIDs []uint32
	resetAt  uint8
	closedAt uint8
	closed   [8]uint32 // that ended in order, the last few
	early    []earlyPriority

	// Measuring the bandwidth-delay product.
	measured  int32 // bytes since the PING
	measuring bool

	preface    uint8 // bytes of it that are here
	started    bool  // the client's SETTINGS are here
	settled    bool  // it has acknowledged ours
	away       goAway
	peerAway   bool
	failed     bool // the owner knows of err
	unsent     uint16
	counts     [numRates]uint16
	now        int64
	period     int64 // when the present period of the rates began
	settingsBy int64 // deadlines; 0: none
	headBy     int64
	drainBy    int64
	stallAt    int64
	progress   int32 // bytes of DATA sent in the present stall period
}

type goAway uint8

const (
	notAway   goAway = iota
	goingAway        // the client was told that there will be a last stream
	wentAway         // and which it is
)

// The data of our PING frames.
const (
	pingMeasure = 0x6873_7973_6264_7000
	pingDrain   = 0x6873_7973_6472_6e00
)

// Init makes c ready for a new connection, whose client's first byte is that
// of the Preface. Out has our SETTINGS then.
func (c *Conn) Init(s *Shared, now int64) {
	l := s.Limits
	window := max(l.Window, minWindow)
	*c = Conn{
		Out: c.Out, shared: s, now: now, period: now,
		send: minWindow, initialSend: minWindow,
		recv:   inflow{granted: minWindow},
		target: window, connTarget: max(l.ConnWindow, minWindow), window: window, maxStreams: int32(l.Streams),
	}
	c.decoder.max = tableSize
	c.encoder.max = tableSize
	if l.SettingsWait > 0 {
		c.settingsBy = now + l.SettingsWait
	}
	if l.HeaderWait > 0 {
		c.headBy = now + l.HeaderWait
	}
	start := len(c.Out)
	c.Out = appendHeader(c.Out, 0, typeSettings, 0, 0)
	c.Out = appendSetting(c.Out, setMaxStreams, uint32(l.Streams))
	if window != minWindow {
		c.Out = appendSetting(c.Out, setInitialWindow, uint32(window))
	}
	c.Out = appendSetting(c.Out, setMaxHeaderListSize, uint32(l.Head))
	if s.ExtendedConnect {
		c.Out = appendSetting(c.Out, setConnectProtocol, 1)
	}
	c.Out = appendSetting(c.Out, setNoPriorities, 1)
	putLength(c.Out[start:], len(c.Out)-start-frameHeader)
	c.refill()
}

// Streams is how many are open.
func (c *Conn) Streams() int { return c.streams.n + len(c.idle) }

// Err is why the connection failed, nil if it did not. Any call can find a
// reason; Next then tells of it, and the connection must be closed when Out is sent.
func (c *Conn) Err() *Error { return c.err }

// Done says that the connection has served its purpose in an orderly way, and can be
// closed when Out is sent.
func (c *Conn) Done() bool {
	return (c.away == wentAway || c.peerAway) && c.Streams() == 0 && c.err == nil
}

// Shutdown begins a graceful end (RFC 9113 6.8): the client hears that there
// will be no more streams, and, when it has had time to hear that, which was the last. Done
// tells when all is over.
func (c *Conn) Shutdown(now int64) {
	if c.away != notAway || c.err != nil {
		return
	}
	if c.shared.Limits.DrainWait <= 0 {
		c.goAway()
		return
	}
	c.away = goingAway
	c.awayID = maxWindow
	c.Out = appendGoAway(c.Out, maxWindow, NoError, "")
	c.Out = appendPing(c.Out, 0, pingDrain)
	c.drainBy = now + c.shared.Limits.DrainWait
}

// ShutdownNow is Shutdown for a connection without streams that is to be closed
// at once: a request that is on its way is not taken, and the client can see that.
func (c *Conn) ShutdownNow() {
	if c.away != wentAway && c.err == nil {
		c.goAway()
	}
}

// Fail ends the connection for a reason of the owner's.
func (c *Conn) Fail(e *Error) { c.fail(e) }

// goAway is the second step.
func (c *Conn) goAway() {
	c.away, c.awayID, c.drainBy = wentAway, c.lastID, 0
	c.Out = appendGoAway(c.Out, c.lastID, NoError, "")
}

// fail ends the connection for what the client did.
func (c *Conn) fail(e *Error) {
	if c.err != nil {
		return
	}
	c.err = e
	if int(e.Abuse) < Abuses {
		c.shared.Counters.Ended[e.Abuse]++
	}
	c.block = nil
	last := c.toldID
	if c.away != notAway {
		last = min(last, c.awayID) // 6.8: never more than before
	}
	c.Out = appendGoAway(c.Out, last, e.Code, e.Text)
}

// Flushed tells that the peer's socket has taken all of what was in Out, so
// that frames may be answered again.
func (c *Conn) Flushed() { c.unsent = 0 }

// Deadline is when Expire has to be called, 0 if that is not needed. It may
// change with every other call.
func (c *Conn) Deadline(now int64) int64 {
	if c.err != nil {
		return 0
	}
	c.watch(now)
	d := c.settingsBy
	for _, t := range [...]int64{c.headBy, c.drainBy, c.stallAt} {
		if t != 0 && (d == 0 || t < d) {
			d = t
		}
	}
	return d
}

// Expire does what is due at now. Next may have events after it.
func (c *Conn) Expire(now int64) {
	c.now = now
	due := func(t int64) bool { return t != 0 && now >= t }
	switch {
	case c.err != nil:
	case due(c.settingsBy):
		c.fail(ErrSettingsTimeout)
	case due(c.headBy):
		c.fail(ErrHeaderWait)
	default:
		if due(c.drainBy) {
			c.goAway()
		}
		if due(c.stallAt) {
			c.endStalled()
			c.watch(now)
		}
	}
}

// watch begins a period in which streams that wait have to move.
func (c *Conn) watch(now int64) {
	l := c.shared.Limits
	if c.stallAt != 0 || c.waiting == 0 || l.StallPeriod <= 0 {
		return
	}
	for _, s := range c.streams.slots {
		if s == nil {
			continue
		}
		s.state &^= watched
		s.progress = 0
		if s.is(waiting) && s.minRate > 0 {
			s.state |= watched
			c.stallAt = now + l.StallPeriod
		}
	}
	c.progress = 0
}

// endStalled ends what the client holds up by its windows: a stream whose
// window is closed, or the connection if it is that window. Whether a client takes bytes from
// its socket is for the owner to see.
func (c *Conn) endStalled() {
	c.stallAt = 0
	l := c.shared.Limits
	least := func(s *Stream) int32 { return int32(min(s.minRate*l.StallPeriod/1000, maxWindow)) }
	held := false
	for i := 0; i < len(c.streams.slots) && c.err == nil; i++ {
		s := c.streams.slots[i]
		if s == nil || s.state&(watched|waiting) != watched|waiting || s.progress >= least(s) {
			continue
		}
		if s.send > 0 {
			held = held || c.send <= 0 && c.progress < least(s)
			continue
		}
		c.endStream(s, ErrSlow, stalls)
		i = -1 // others may have moved
	}
	if held {
		c.fail(calm[closedWindow])
	}
}
