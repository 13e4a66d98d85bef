package h2

// Abuse is something that a client may do, but not often.
type Abuse uint8

// What is counted. The kinds before continuations are rates (Limits.Rates); of
// the others once is too often.
const (
	resets Abuse = iota
	faults
	refused
	longHeads
	settings
	pings
	windowUpdates
	priorities
	empty
	unknown
	dribbles
	late
	stalls

	continuations
	headBomb
	settingsEntries
	unsent
	closedWindow
	numAbuses

	notAbuse Abuse = 255

	numRates = continuations
)

// Abuses is how many kinds there are.
const Abuses = int(numAbuses)

// calm are the errors by which each kind ends the connection.
var calm = [Abuses]*Error{
	resets:          {EnhanceYourCalm, 0, "H2_RapidReset", "Too many streams were reset.", resets},
	faults:          {EnhanceYourCalm, 0, "H2_MadeYouReset", "Too many streams had to be reset.", faults},
	refused:         {EnhanceYourCalm, 0, "H2_RefusedStreams", "Too many streams were opened beyond the limit.", refused},
	longHeads:       {EnhanceYourCalm, 0, "H2_LongHeaders", "Too many headers were too long.", longHeads},
	settings:        {EnhanceYourCalm, 0, "H2_SettingsFlood", "There are too many SETTINGS.", settings},
	pings:           {EnhanceYourCalm, 0, "H2_PingFlood", "There are too many PINGs.", pings},
	windowUpdates:   {EnhanceYourCalm, 0, "H2_WindowUpdateFlood", "There are too many WINDOW_UPDATEs.", windowUpdates},
	priorities:      {EnhanceYourCalm, 0, "H2_PriorityFlood", "There are too many priorities.", priorities},
	empty:           {EnhanceYourCalm, 0, "H2_EmptyFrames", "There are too many frames without content.", empty},
	unknown:         {EnhanceYourCalm, 0, "H2_UnknownFrames", "There are too many frames of unknown types.", unknown},
	dribbles:        {EnhanceYourCalm, 0, "H2_TinyWindows", "The windows let too few bytes through at a time.", dribbles},
	late:            {EnhanceYourCalm, 0, "H2_LateFrames", "There are too many frames on streams that were reset.", late},
	stalls:          {EnhanceYourCalm, 0, "H2_SlowReader", "Too many responses are not read.", stalls},
	continuations:   {EnhanceYourCalm, 0, "H2_ContinuationFlood", "A header has too many CONTINUATIONs.", continuations},
	headBomb:        {EnhanceYourCalm, 0, "H2_HeaderBomb", "A header is far too long.", headBomb},
	settingsEntries: {EnhanceYourCalm, 0, "H2_SettingsEntries", "A SETTINGS frame has too many entries.", settingsEntries},
	unsent:          {EnhanceYourCalm, 0, "H2_UnreadAnswers", "The answers to frames are not read.", unsent},
	closedWindow:    {EnhanceYourCalm, 0, "H2_ZeroWindow", "The window of the connection stays closed.", closedWindow},
}

// rate is the limit of a kind.
func (r *Rates) rate(a Abuse) uint16 {
	return [numRates]uint16{
		r.Resets, r.Faults, r.Refused, r.LongHeads, r.Settings, r.Pings, r.WindowUpdates, r.Priorities, r.Empty,
		r.Unknown, r.Dribbles, r.Late, r.Stalls,
	}[a]
}

// Counters count over all connections of a Shared.
type Counters struct {
	// Ended is how many connections were ended for each kind of abuse, at the
	// index that the Error has in Abuse.
	Ended [Abuses]uint64
	// Hidden is how many requests were reset before the owner saw them.
	Hidden uint64
	// ClientResets and Faults are streams that clients reset and that we had to
	// reset for what they sent.
	ClientResets, Faults uint64
}

// Reason is the word by which an Abuse is logged and counted.
func (a Abuse) Reason() string { return calm[a].Reason }

// count notes that something happened and reports whether it was too much;
// then the connection has failed.
//
// The periods are fixed ones, so that a kind costs two bytes: a client that
// times its frames can have twice the number around the turn of a period.
func (c *Conn) count(a Abuse) (tooMuch bool) {
	l := c.shared.Limits
	if c.now-c.period >= l.Period {
		c.period = c.now
		c.counts = [numRates]uint16{}
	}
	if c.counts[a]++; c.counts[a] > l.Rates.rate(a) {
		c.fail(calm[a])
		return true
	}
	return false
}

// pay makes up for frames that come with useful work: a client may well send
// a WINDOW_UPDATE or two for each DATA frame, a PING to measure the bandwidth,
// and a priority or two with each request.
func (c *Conn) pay(a Abuse, n uint16) { c.counts[a] -= min(n, c.counts[a]) }

// answered counts what was queued for the peer because of its own frames.
func (c *Conn) answered() {
	if c.unsent++; int(c.unsent) > c.shared.Limits.Unsent {
		c.fail(calm[unsent])
	}
}
