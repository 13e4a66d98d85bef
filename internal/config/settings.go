package config

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Limits are all numbers that are in force for the machine. They are told to
// the daemon as a whole whenever one of them changes.
type Limits struct {
	// Timeouts; 0 is off.
	HeaderWait      time.Duration // from the first byte of a request to the end of its head
	IdleConnection  time.Duration // between two requests, and before the first byte
	EntityBody      time.Duration // between two pieces of a request body
	DrainEntityBody time.Duration // for a body that the application did not read
	RequestQueue    time.Duration // for a request to wait until a worker takes it
	MinSendRate     int64         // bytes per second that a client must take of a response; 0 is off

	MaxFieldLength  int // of one header field, name and value
	MaxRequestBytes int // of a request line and all header fields
	MaxTargetLength int // of a request target
	MaxFields       int // number of header fields

	HTTP2 HTTP2Limits

	Compression     int   // of responses: 0 never, 1 where it is asked for, 2 always
	CompressMinSize int64 // bytes of a response below which it is left alone
	CacheSize       int64 // bytes of the response cache; 0: there is none
	CacheLargest    int64 // bytes of a body that is stored
	CacheScavenge   int64 // seconds; 0: never
	CacheHeuristic  int64 // seconds; 0: no guessing

	IPListen []netip.Addr // addresses to listen on; none: all of the machine
}

// Setting is one number that an administrator may change.
type Setting struct {
	Name    string // in the file, in calls and on the command line
	Label   string // for people, in netsh's words or HTTP.SYS's
	Help    string // what it bounds
	Unit    string
	Min     int64
	Max     int64
	Default int64
	// Off is HTTP.SYS's number for "no limit", which is taken as the word
	// "off"; 0 if the setting cannot be turned off. Stored, off is 0.
	Off int64

	field func(*Limits, int64)
}

const (
	ushortOff = 1<<16 - 1
	ulongOff  = 1<<32 - 1
)

// Timeouts are the settings of "add timeout". The names and ranges are
// netsh's and HTTP.SYS's (a USHORT of seconds, a ULONG of bytes per second),
// the defaults too. HTTP.SYS can set only the first two for a whole machine.
var Timeouts = []Setting{
	seconds("idleconnectiontimeout", "Idle connection timeout", "between two requests of a connection, and before the first byte",
		func(l *Limits) *time.Duration { return &l.IdleConnection }),
	seconds("headerwaittimeout", "Header wait timeout", "from the first byte of a request to the end of its head",
		func(l *Limits) *time.Duration { return &l.HeaderWait }),
	seconds("entitybodytimeout", "Entity body timeout", "between two pieces of a request body",
		func(l *Limits) *time.Duration { return &l.EntityBody }),
	seconds("drainentitybodytimeout", "Drain entity body timeout", "to throw away a request body that the application did not read",
		func(l *Limits) *time.Duration { return &l.DrainEntityBody }),
	seconds("requestqueuetimeout", "Request queue timeout", "until a worker takes a request from its queue; then 503",
		func(l *Limits) *time.Duration { return &l.RequestQueue }),
	{
		Name: "minsendrate", Label: "Minimum send rate", Unit: "bytes/sec",
		Help: "that a client must take of a response",
		Min:  1, Max: ulongOff - 1, Default: 150, Off: ulongOff,
		field: func(l *Limits, n int64) { l.MinSendRate = n },
	},
}

// Settings are the settings of "add setting": HTTP.SYS's registry values by
// their names, and some that HTTP.SYS has no number for.
//
// A request head reaches an application in one frame of the channel, whose
// payload is at most 256 KiB, and a target in absolute form is in it twice, as
// target and as authority. The bounds of maxrequestbytes and maxtargetlength
// are such that the longest head always fits.
var Settings = append([]Setting{
	size("maxfieldlength", "MaxFieldLength", "of one header field, name and value", 64, 65534, 16384,
		func(l *Limits) *int { return &l.MaxFieldLength }),
	size("maxrequestbytes", "MaxRequestBytes", "of a request line with all header fields", 256, 131072, 16384,
		func(l *Limits) *int { return &l.MaxRequestBytes }),
	size("maxtargetlength", "MaxTargetLength", "of a request target", 64, 65534, 16384,
		func(l *Limits) *int { return &l.MaxTargetLength }),
	{
		Name: "maxfields", Label: "MaxFields", Unit: "fields",
		Help: "in one request",
		Min:  8, Max: 4096, Default: 256,
		field: func(l *Limits, n int64) { l.MaxFields = int(n) },
	},
}, slices.Concat(http2Settings(), compressSettings())...)

func seconds(name, label, help string, field func(*Limits) *time.Duration) Setting {
	return Setting{
		Name: name, Label: label, Help: help, Unit: "secs",
		Min: 1, Max: ushortOff - 1, Default: 120, Off: ushortOff,
		field: func(l *Limits, n int64) { *field(l) = time.Duration(n) * time.Second },
	}
}

func size(name, label, help string, lowest, highest, def int64, field func(*Limits) *int) Setting {
	return Setting{
		Name: name, Label: label, Help: help, Unit: "bytes",
		Min: lowest, Max: highest, Default: def,
		field: func(l *Limits, n int64) { *field(l) = int(n) },
	}
}

// Find returns the setting with this name.
func Find(table []Setting, name string) (Setting, bool) {
	for _, s := range table {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}

// Check refuses a number that the setting cannot have.
func (s *Setting) Check(n int64) error {
	if n >= s.Min && n <= s.Max || n == 0 && s.Off != 0 {
		return nil
	}
	if s.Off != 0 {
		return fmt.Errorf("%s is %d to %d %s, or 0 for off: %d is not possible", s.Name, s.Min, s.Max, s.Unit, n)
	}
	return fmt.Errorf("%s is %d to %d %s: %d is not possible", s.Name, s.Min, s.Max, s.Unit, n)
}

func checkNumbers(member string, table []Setting, set map[string]int64) error {
	// In the order of the table, so that the same file gives the same error.
	known := 0
	for i := range table {
		n, ok := set[table[i].Name]
		if !ok {
			continue
		}
		known++
		if err := table[i].Check(n); err != nil {
			return fmt.Errorf("%s: %w", member, err)
		}
	}
	if known == len(set) {
		return nil
	}
	unknown := ""
	for name := range set {
		if _, ok := Find(table, name); !ok && (unknown == "" || name < unknown) {
			unknown = name
		}
	}
	return fmt.Errorf("%s: %q is unknown to this httpsys", member, unknown)
}

// Limits returns the numbers that are in force with state s, which must pass
// Check. A field or a target cannot be longer than the head that it is in.
func (s *State) Limits() Limits {
	var l Limits
	apply(&l, Timeouts, s.Timeouts)
	apply(&l, Settings, s.Settings)
	apply(&l, CacheParams, s.CacheParams)
	l.MaxFieldLength = min(l.MaxFieldLength, l.MaxRequestBytes)
	l.MaxTargetLength = min(l.MaxTargetLength, l.MaxRequestBytes)
	l.HTTP2.MaxStreamWindow = max(l.HTTP2.MaxStreamWindow, l.HTTP2.StreamWindow)
	l.HTTP2.MaxConnectionWindow = max(l.HTTP2.MaxConnectionWindow, l.HTTP2.ConnectionWindow)
	for _, text := range s.IPListen {
		if a, err := ParseIP(text); err == nil {
			l.IPListen = append(l.IPListen, a)
		}
	}
	return l
}

func apply(l *Limits, table []Setting, set map[string]int64) {
	for i := range table {
		n, ok := set[table[i].Name]
		if !ok {
			n = table[i].Default
		}
		table[i].field(l, n)
	}
}

// DefaultLimits are the limits of a machine on which nothing was set.
func DefaultLimits() Limits { return Initial().Limits() }
