package control

// State is a snapshot of the service: the result of the call "show
// servicestate" and, with --json, the output of the command. Members may be
// added; those that are here keep their names and meaning.
type State struct {
	Queues    []Queue    `json:"queues"`
	Ports     []int      `json:"ports"`     // that the daemon listens on, ascending
	Listeners []Listener `json:"listeners"` // the same with details
	Sessions  []Session  `json:"sessions"`
	Daemon    Daemon     `json:"daemon"`
	HTTP2     HTTP2      `json:"http2"`
	TLS       TLS        `json:"tls"`
	// Timeouts are the machine's, by the names of "show timeout"; 0 is off.
	Timeouts map[string]int64 `json:"timeouts"`
}

// States of a queue.
const (
	Active   = "active"   // requests are taken or wait
	Inactive = "inactive" // no worker is left; requests wait for one
)

// Queue is a request queue.
type Queue struct {
	Name     string   `json:"name"`  // of a private queue: made up by the daemon
	Owner    string   `json:"owner"` // user name, or number where there is no name
	State    string   `json:"state"`
	Length   int      `json:"length"` // requests that wait now
	Limit    int      `json:"limit"`  // how many may
	Prefixes []string `json:"prefixes"`
	// Cache is what the cache has done for each of Prefixes, in the same order.
	Cache    []CachePrefix `json:"cache"`
	Workers  []Worker      `json:"workers"`
	Counters Counters      `json:"counters"`
	OwnerUID uint32        `json:"owner_uid"`
	Private  bool          `json:"private"`
	MaxAgeMS int64         `json:"max_age_ms"` // 0: no limit
	// Relaying is how many connections in opaque mode go through the daemon now,
	// and OpaqueLimit how many may.
	Relaying    int `json:"relaying"`
	OpaqueLimit int `json:"opaque_limit"`
}

// Worker is a process that takes requests from a queue.
type Worker struct {
	PID      int32  `json:"pid"`
	User     string `json:"user"`
	Inflight int    `json:"inflight"` // requests it has and has not answered
	UID      uint32 `json:"uid"`
	Program  string `json:"program"` // as it calls itself
	Session  uint64 `json:"session"` // number of its session in State.Sessions
}

// Counters of a queue since it was made.
type Counters struct {
	Requests  uint64 `json:"requests"`  // routed to the queue, rejected ones included
	Rejected  uint64 `json:"rejected"`  // answered 503 because the queue was full
	Cancelled uint64 `json:"cancelled"` // whose client left before the answer
	OldestMS  int64  `json:"oldest_ms"` // age of the oldest request that waits now
	Expired   uint64 `json:"expired"`   // answered 503 because they waited too long
	// Requests that have become connections in opaque mode: relayed, or handed over
	// to the program together with the client's socket, and out of our sight since.
	Relayed    uint64 `json:"relayed"`
	HandedOver uint64 `json:"handed_over"`
}

// Listener is one open port.
type Listener struct {
	Port        int      `json:"port"`
	Scheme      string   `json:"scheme"`
	Addresses   []string `json:"addresses"`
	Connections int      `json:"connections"`
	// Warnings say what keeps clients from being served: one for each host
	// without a certificate, and at most 10.
	Warnings []string `json:"warnings,omitempty"`
}

// Session is a process that talks to the daemon.
type Session struct {
	ID      uint64         `json:"id"` // counts up; not the secret of the protocol
	PID     int32          `json:"pid"`
	UID     uint32         `json:"uid"`
	User    string         `json:"user"`
	Program string         `json:"program"`
	URLs    []Registration `json:"urls"`
}

// HTTP2 is what HTTP/2 connections do and did since the daemon started.
type HTTP2 struct {
	Connections    int    `json:"connections"`     // open now
	Streams        int    `json:"streams"`         // requests under way on them
	Resting        int    `json:"streams_at_rest"` // of these, those that wait for an answer in little memory
	ClientResets   uint64 `json:"client_resets"`   // streams that clients have reset
	ServerResets   uint64 `json:"server_resets"`   // streams reset for what a client sent
	HiddenRequests uint64 `json:"hidden_requests"` // reset before any program saw them
	// Ended is how many connections were ended for each kind of abuse, by its
	// word in docs/http2.md; kinds that never occurred are 0.
	Ended map[string]uint64 `json:"ended"`
}

// TLS is what handshakes have come to since the daemon started.
type TLS struct {
	Handshakes uint64 `json:"handshakes"` // that succeeded
	Resumed    uint64 `json:"resumed"`    // of them, with keys of an earlier connection
	// Failed is how many failed for each reason: "left" (the client went away),
	// "timeout", "overload", "no_certificate" (nothing is bound for what the client
	// wants), "refused_by_client" (it sent an alert), "not_acceptable" (what it
	// sent), "not_tls". Reasons that never occurred are 0.
	Failed map[string]uint64 `json:"failed"`
}

// Registration is a URL prefix bound to a queue by a session.
type Registration struct {
	ID    uint32 `json:"id"`
	URL   string `json:"url"`
	Queue string `json:"queue"`
}

// Daemon says which daemon answered.
type Daemon struct {
	Version  string `json:"version"`
	PID      int    `json:"pid"`
	UptimeMS int64  `json:"uptime_ms"`
	Loops    int    `json:"loops"`
}

// Normalize makes every list that is nil an empty one, so that it is [] and
// not null in JSON: scripts loop over lists without asking first.
func (s *State) Normalize() {
	notNil(&s.Queues)
	notNil(&s.Ports)
	notNil(&s.Listeners)
	notNil(&s.Sessions)
	if s.HTTP2.Ended == nil {
		s.HTTP2.Ended = map[string]uint64{}
	}
	if s.TLS.Failed == nil {
		s.TLS.Failed = map[string]uint64{}
	}
	for i := range s.Queues {
		notNil(&s.Queues[i].Prefixes)
		notNil(&s.Queues[i].Cache)
		notNil(&s.Queues[i].Workers)
	}
	for i := range s.Listeners {
		notNil(&s.Listeners[i].Addresses)
	}
	for i := range s.Sessions {
		notNil(&s.Sessions[i].URLs)
	}
}

func notNil[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}
