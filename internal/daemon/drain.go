package daemon

import (
	"time"

	"github.com/httpsys/httpsys/internal/worker"
)

// tunnelGrace is how long connections in opaque mode may take to end when
// nothing else is left: their applications are told at the beginning and may
// say goodbye, and those that have no such word need not be waited for.
const tunnelGrace = 5 * time.Second

// drainPeriod is how often a draining daemon looks whether it is done.
const drainPeriod = 20 * time.Millisecond

// Shutdown ends the daemon: ports close at once, requests that are there get
// their answers for as long as Options.Drain allows, then everything is cut.
func (d *Daemon) Shutdown() {
	d.mu.Lock()
	if d.ending {
		d.mu.Unlock()
		return
	}
	d.ending = true
	for c := range d.greeting {
		c.Close()
	}
	d.mu.Unlock()

	d.socket.Close()
	d.acme.Close() // before its ports
	d.ports.CloseAll()
	for _, u := range d.units {
		u.loop.Do(u.conns.Drain)
	}
	d.tell((*worker.Channel).GoAwaySoon)
	d.await(time.Now())
	sessions := d.tell((*worker.Channel).GoAway)
	for _, u := range d.units {
		u.loop.Call(u.conns.CloseAll)
	}
	for _, s := range sessions {
		s.finish(nil)
	}
	d.stop()
	d.wg.Wait()
	d.stopLoops()
	d.tidyUp() // as long as the lock keeps others out of the folder
	d.store.Close()
}

// await waits for the end of the client connections.
func (d *Daemon) await(begin time.Time) {
	for {
		n := d.Connections()
		switch past := time.Since(begin); {
		case n == 0, past >= d.opt.Drain:
			return
		case past >= tunnelGrace && n == d.tunnels():
			return
		}
		time.Sleep(drainPeriod)
	}
}

// tell says something on all channels, and returns the sessions.
func (d *Daemon) tell(say func(*worker.Channel)) []*session {
	d.mu.Lock()
	defer d.mu.Unlock()
	sessions := make([]*session, 0, len(d.sessions))
	for _, s := range d.sessions {
		sessions = append(sessions, s)
		s.onLoops(say)
	}
	return sessions
}

// tunnels counts the connections that are in opaque mode and nothing else.
func (d *Daemon) tunnels() int {
	n := 0
	for _, u := range d.units {
		u.loop.Call(func() { n += u.conns.Tunnels() })
	}
	return n
}

// Connections counts the open client connections.
func (d *Daemon) Connections() int {
	n := 0
	for _, u := range d.units {
		u.loop.Call(func() { n += u.conns.Connections() })
	}
	return n
}

// Exchanges counts the requests that are not over.
func (d *Daemon) Exchanges() int {
	n := 0
	for _, u := range d.units {
		u.loop.Call(func() { n += u.stage.Live() })
	}
	return n
}
