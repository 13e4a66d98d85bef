package daemon

import (
	"cmp"
	"os"
	"slices"
	"time"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/tlsio"
	"github.com/httpsys/httpsys/internal/wire/h2"
	"github.com/httpsys/httpsys/internal/worker"
)

// ServiceState implements server.Engine.
func (d *Daemon) ServiceState() (*control.State, error) {
	st := &control.State{Daemon: control.Daemon{
		Version: control.Version, PID: os.Getpid(), UptimeMS: time.Since(d.started).Milliseconds(), Loops: len(d.units),
	}}
	warnings := d.portWarnings()
	for _, p := range d.ports.List() {
		st.Ports = append(st.Ports, int(p.Port))
		l := control.Listener{Port: int(p.Port), Scheme: p.Scheme.String(), Connections: p.Connections, Warnings: warnings[p.Port]}
		for _, a := range p.Addresses {
			l.Addresses = append(l.Addresses, a.String())
		}
		st.Listeners = append(st.Listeners, l)
	}
	inflight, oldest := d.loopState()
	st.HTTP2 = d.http2State()
	st.TLS = d.tlsState()

	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.queues {
		c := q.queue.Counters()
		out := control.Queue{
			Name: q.name, Owner: userName(q.owner), OwnerUID: q.owner, State: control.Active,
			Length: q.queue.Waiting(), Limit: q.queue.Limit, Private: q.private != nil,
			MaxAgeMS: q.queue.MaxAge().Milliseconds(), Relaying: q.queue.Relayed(), OpaqueLimit: q.queue.Opaque,
			Counters: control.Counters{
				Requests: c.Requests, Rejected: c.Rejected, Cancelled: c.Cancelled, Expired: c.Expired, OldestMS: oldest[q],
				Relayed: c.Relayed, HandedOver: c.HandedOver,
			},
		}
		for _, r := range q.regs {
			out.Cache = append(out.Cache, cachePrefix(r.Space))
		}
		slices.SortFunc(out.Cache, func(a, b control.CachePrefix) int { return cmp.Compare(a.URL, b.URL) })
		for i := range out.Cache {
			out.Prefixes = append(out.Prefixes, out.Cache[i].URL)
		}
		for s := range q.sessions {
			out.Workers = append(out.Workers, control.Worker{
				PID: s.peer.PID, User: userName(s.peer.UID), UID: s.peer.UID, Program: s.program, Session: s.id, Inflight: inflight[s],
			})
		}
		slices.SortFunc(out.Workers, func(a, b control.Worker) int { return cmp.Compare(a.Session, b.Session) })
		if len(out.Workers) == 0 {
			out.State = control.Inactive
		}
		st.Queues = append(st.Queues, out)
	}
	slices.SortFunc(st.Queues, func(a, b control.Queue) int { return cmp.Compare(a.Name, b.Name) })
	for _, s := range d.sessions {
		out := control.Session{ID: s.id, PID: s.peer.PID, UID: s.peer.UID, User: userName(s.peer.UID), Program: s.program}
		for id := range s.regs {
			r := d.regs[id]
			out.URLs = append(out.URLs, control.Registration{ID: id, URL: r.URL, Queue: r.queue.name})
		}
		slices.SortFunc(out.URLs, func(a, b control.Registration) int { return cmp.Compare(a.ID, b.ID) })
		st.Sessions = append(st.Sessions, out)
	}
	slices.SortFunc(st.Sessions, func(a, b control.Session) int { return cmp.Compare(a.ID, b.ID) })
	st.Normalize()
	return st, nil
}

// http2State adds up what the loops count.
func (d *Daemon) http2State() control.HTTP2 {
	out := control.HTTP2{Ended: map[string]uint64{}}
	for _, u := range d.units {
		u.loop.Call(func() {
			st := u.conns.HTTP2()
			out.Connections += st.Connections
			out.Streams += st.Streams
			out.Resting += st.Resting
			out.ClientResets += st.ClientResets
			out.ServerResets += st.Faults
			out.HiddenRequests += st.Hidden
			for a, n := range st.Ended {
				out.Ended[h2.Abuse(a).Reason()] += n
			}
		})
	}
	return out
}

// tlsState adds up what the loops count.
func (d *Daemon) tlsState() control.TLS {
	out := control.TLS{Failed: map[string]uint64{}}
	for _, u := range d.units {
		u.loop.Call(func() {
			st := u.conns.TLSStats()
			out.Handshakes += st.Done
			out.Resumed += st.Resumed
			for kind, n := range st.Failed {
				out.Failed[tlsio.Failure(kind).String()] += n
			}
		})
	}
	return out
}

// loopState asks the loops for what only they know: the requests that each
// session has, and for how long the oldest has waited in each queue (ms).
func (d *Daemon) loopState() (inflight map[*session]int, oldest map[*queueState]int64) {
	inflight, oldest = map[*session]int{}, map[*queueState]int64{}
	d.mu.Lock()
	channels := map[*session][]*worker.Channel{}
	for _, s := range d.sessions {
		channels[s] = slices.Clone(s.channels)
	}
	queues := make([]*queueState, 0, len(d.queues))
	for _, q := range d.queues {
		queues = append(queues, q)
	}
	d.mu.Unlock()
	for i, u := range d.units {
		u.loop.Call(func() {
			for s, cs := range channels {
				if c := cs[i]; c != nil {
					inflight[s] += c.Inflight()
				}
			}
			for _, q := range queues {
				if since, ok := q.queue.Lane(i).Oldest(); ok {
					oldest[q] = max(oldest[q], u.loop.Now()-since)
				}
			}
		})
	}
	return inflight, oldest
}

// maxWarnings is how many hosts of a port are warned about; more say nothing
// new.
const maxWarnings = 10

// portWarnings says which hosts of the https ports have no certificate.
func (d *Daemon) portWarnings() map[uint16][]string {
	d.mu.Lock()
	hosts := map[prefix.Prefix]bool{} // without paths
	for _, r := range d.regs {
		if pre := r.Prefix; pre.Scheme.Secure() {
			pre.Path = "/"
			hosts[pre] = true
		}
	}
	d.mu.Unlock()
	all := map[uint16][]string{}
	for pre := range hosts {
		if text := d.noCertificate(pre); text != "" {
			all[pre.Port] = append(all[pre.Port], text)
		}
	}
	for port, texts := range all {
		slices.Sort(texts)
		all[port] = texts[:min(len(texts), maxWarnings)]
	}
	return all
}
