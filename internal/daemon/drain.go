package daemon

import (
	"time"
)

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
	deadline := time.Now().Add(d.opt.Drain)
	for d.Connections() > 0 && time.Now().Before(deadline) {
		time.Sleep(drainPeriod)
	}

	d.mu.Lock()
	sessions := make([]*session, 0, len(d.sessions))
	for _, s := range d.sessions {
		sessions = append(sessions, s)
		for i, c := range s.channels {
			if c != nil {
				d.units[i].loop.Do(c.GoAway)
			}
		}
	}
	d.mu.Unlock()
	for _, u := range d.units {
		u.loop.Call(u.conns.CloseAll)
	}
	for _, s := range sessions {
		s.finish(nil)
	}
	d.stop()
	d.wg.Wait()
	d.stopLoops()
	d.store.Close()
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
