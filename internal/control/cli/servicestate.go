package cli

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
)

func (r *run) showServiceState() error {
	view, err := r.oneOf("view", "session", "session", "requestq")
	if err != nil {
		return err
	}
	verbose, err := r.oneOf("verbose", "yes", "yes", "no")
	if err != nil {
		return err
	}
	var state control.State
	if err := r.call(control.ShowServiceState, nil, &state); err != nil {
		return err
	}
	return r.show(state, func(p *printer) {
		v := snapshot{p, &state, verbose == "yes"}
		if view == "requestq" {
			v.queueView()
		} else {
			v.sessionView()
		}
	})
}

// snapshot prints the state of the service with netsh's labels. The words map
// to ours so: a server session is a process with its connection to the daemon, and
// a URL group is what one session has registered for one queue.
type snapshot struct {
	*printer
	state   *control.State
	verbose bool
}

// group is a URL group.
type group struct {
	session *control.Session
	number  int // of the group in its session
	queue   string
	urls    []string
}

func (s *snapshot) sessionView() {
	s.heading("Snapshot of HTTP service state (Server Session View):")
	for i := range s.state.Sessions {
		session := &s.state.Sessions[i]
		if len(session.URLs) == 0 {
			continue // it only administers, like this command itself
		}
		s.session(0, session)
		s.line(1, "URL groups:")
		for _, g := range groupsOf(session) {
			s.group(1, g)
		}
		s.blank()
	}
	s.line(0, "Request queues:")
	for i := range s.state.Queues {
		s.queue(1, &s.state.Queues[i])
		s.blank()
	}
	s.ports()
	s.tls()
	s.http2()
}

func (s *snapshot) queueView() {
	s.heading("Snapshot of HTTP service state (Request Queue View):")
	for i := range s.state.Queues {
		q := &s.state.Queues[i]
		s.queue(0, q)
		s.line(1, "URL groups:")
		for j := range s.state.Sessions {
			for _, g := range groupsOf(&s.state.Sessions[j]) {
				if g.queue == q.Name {
					s.group(1, g)
					s.session(2, g.session)
				}
			}
		}
		s.blank()
	}
	s.ports()
	s.tls()
	s.http2()
}

func groupsOf(session *control.Session) []group {
	var groups []group
	at := make(map[string]int)
	for _, u := range session.URLs {
		i, ok := at[u.Queue]
		if !ok {
			i = len(groups)
			at[u.Queue] = i
			groups = append(groups, group{session: session, number: i + 1, queue: u.Queue})
		}
		groups[i].urls = append(groups[i].urls, u.URL)
	}
	return groups
}

func (s *snapshot) session(level int, session *control.Session) {
	s.line(level, "Server session ID: %016X", session.ID)
	s.line(level+1, "Version: 2.0")
	s.line(level+1, "State: Active")
	s.line(level+1, "Process ID: %d", session.PID)
	s.line(level+1, "User: %s", session.User)
	if session.Program != "" {
		s.line(level+1, "Program: %s", session.Program)
	}
	if !s.verbose {
		return
	}
	s.line(level+1, "Properties:")
	s.line(level+2, "Timeouts:")
	for _, name := range []string{"entitybodytimeout", "drainentitybodytimeout", "requestqueuetimeout",
		"idleconnectiontimeout", "headerwaittimeout", "minsendrate"} {
		if t, ok := config.Find(config.Timeouts, name); ok {
			s.line(level+3, "%s (%s): %s", t.Label, t.Unit, numberText(config.Timeouts, name, s.state.Timeouts[name]))
		}
	}
}

func (s *snapshot) group(level int, g group) {
	s.line(level, "URL group ID: %08X%08X", uint32(g.session.ID), g.number)
	s.line(level+1, "State: Active")
	s.line(level+1, "Request queue name: %s", s.queueName(g.queue))
	if s.verbose {
		s.line(level+1, "Properties:")
		s.line(level+2, "Timeouts:")
		s.line(level+3, "Timeout values inherited")
	}
	s.line(level+1, "Number of registered URLs: %d", len(g.urls))
	s.line(level+1, "Registered URLs:")
	for _, u := range g.urls {
		s.line(level+2, "%s", u)
	}
}

func (s *snapshot) queue(level int, q *control.Queue) {
	s.line(level, "Request queue name: %s", s.queueName(q.Name))
	s.line(level+1, "Version: 2.0")
	s.line(level+1, "State: %s", capital(q.State))
	s.line(level+1, "Owner: %s", q.Owner)
	s.line(level+1, "Max requests: %d", q.Limit)
	active := 0
	for _, w := range q.Workers {
		active += w.Inflight
	}
	s.line(level+1, "Active requests: %d", active)
	s.line(level+1, "Queued requests: %d", q.Length)
	s.line(level+1, "Max queued request age: %s", milliseconds(q.Counters.OldestMS))
	s.line(level+1, "Requests arrived: %d", q.Counters.Requests)
	s.line(level+1, "Requests rejected: %d", q.Counters.Rejected)
	s.line(level+1, "Requests cancelled: %d", q.Counters.Cancelled)
	s.line(level+1, "Requests expired: %d", q.Counters.Expired)
	s.line(level+1, "Connections relayed: %d (now %d, at most %d)", q.Counters.Relayed, q.Relaying, q.OpaqueLimit)
	s.line(level+1, "Connections handed over: %d", q.Counters.HandedOver)
	s.line(level+1, "Number of active processes attached: %d", len(q.Workers))
	s.line(level+1, "Processes:")
	for _, w := range q.Workers {
		s.line(level+2, "ID: %d, image: %s, user: %s, requests: %d", w.PID, orUnnamed(w.Program), w.User, w.Inflight)
	}
	if s.verbose {
		s.line(level+1, "Registered URLs:")
		for _, u := range q.Prefixes {
			s.line(level+2, "%s", u)
			s.cache(level+3, q, u)
		}
	}
}

// cache tells what the cache has done for a prefix, if it had to do with it.
func (s *snapshot) cache(level int, q *control.Queue, url string) {
	for _, c := range q.Cache {
		if c.URL == url && c != (control.CachePrefix{URL: c.URL, Queue: c.Queue}) {
			s.line(level, "Cache: %d hits, %d misses, %d entries of %d bytes", c.Hits, c.Misses, c.Entries, c.Bytes)
		}
	}
}

func (s *snapshot) ports() {
	s.line(0, "Listening ports:")
	for _, l := range s.state.Listeners {
		s.line(1, "%d (%s) on %s: %d connections", l.Port, l.Scheme, strings.Join(l.Addresses, ", "), l.Connections)
		for _, w := range l.Warnings {
			s.line(2, "Warning: %s", w)
		}
	}
	s.blank()
}

func (s *snapshot) tls() {
	t := &s.state.TLS
	s.line(0, "TLS:")
	s.line(1, "Handshakes: %d, of which resumed: %d", t.Handshakes, t.Resumed)
	s.counts("Handshakes that failed:", t.Failed)
	s.blank()
}

// counts shows what has occurred.
func (s *snapshot) counts(title string, by map[string]uint64) {
	s.line(1, "%s", title)
	none := true
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		if n := by[reason]; n > 0 {
			s.line(2, "%s: %d", reason, n)
			none = false
		}
	}
	if none {
		s.line(2, "none")
	}
}

func (s *snapshot) http2() {
	h := &s.state.HTTP2
	s.line(0, "HTTP/2:")
	s.line(1, "Connections: %d, streams: %d, of which at rest: %d", h.Connections, h.Streams, h.Resting)
	s.line(1, "Streams reset by clients: %d, for what clients sent: %d", h.ClientResets, h.ServerResets)
	s.line(1, "Requests reset before a program saw them: %d", h.HiddenRequests)
	s.counts("Connections ended for abuse:", h.Ended)
	s.blank()
}

// queueName is the name of a queue, or netsh's words for a private one.
func (s *snapshot) queueName(name string) string {
	for i := range s.state.Queues {
		if q := &s.state.Queues[i]; q.Name == name && q.Private {
			return "Request queue is unnamed."
		}
	}
	return name
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func orUnnamed(program string) string {
	if program == "" {
		return "(null)"
	}
	return program
}

func milliseconds(ms int64) string {
	return (time.Duration(ms) * time.Millisecond).String()
}
