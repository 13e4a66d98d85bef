package conn

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/tlsio"
	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/h2"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// readSize is how much is read from a client at once.
const readSize = 64 << 10

// ServerName is the value of the Server field where an application has none.
const ServerName = "httpsys"

var serverLine = []byte("Server: " + ServerName + "\r\n")

// Server is what all connections of one loop share.
type Server struct {
	Loop  *loop.Loop
	Stage *exchange.Stage
	TLS   *tlsio.Server // for https ports

	// Handshakes are those of https ports.
	Handshakes *tlsio.Pool

	limits   limits
	buf      []byte           // what is being read
	scratch  []byte           // what is being written
	sealed   []byte           // records that are being made
	req      h1.Request       // being parsed
	stored   message.Response // scratch: a head from the cache
	pool     pool
	repeats  repeats
	dirty    []*Conn // with something to send at the end of the turn
	spare    []*Conn // array for the next dirty
	ending   bool    // in TurnEnd
	queued   bool
	conns    *Conn // all connections, in a list
	nconns   int
	draining bool

	nextID uint64
	idStep uint64

	// Challenge answers certificate authorities that ask for path on host, if it
	// is one of theirs; nil: there are none. It looks at memory only.
	Challenge func(host, path string) (body string, ok bool)

	// OnRefuse hears of each request that was answered without an application.
	OnRefuse func(c *Conn, status int, reason string)
	// OnTLSFailure hears of each connection on an https port that did not get to a
	// request because of what was sent in place of a handshake, or in it.
	OnTLSFailure func(c *Conn, kind tlsio.Failure, reason string)

	tls TLSStats

	h2limits h2.Limits
	h2shared *h2.Shared // nil: no client has spoken HTTP/2 yet
	http2s   int        // connections that speak HTTP/2
	streams  streamPool
	upgrade  message.Request // what asUpgrade made
	fields   []message.Field // scratch of http2_connect.go
}

// Trim lets go of what is kept for streams of HTTP/2 to come, after many of them.
func (s *Server) Trim() {
	s.streams.trim()
	if s.h2shared != nil {
		s.h2shared.Trim()
	}
}

// h2 is what the HTTP/2 connections of the loop share.
func (s *Server) h2() *h2.Shared {
	if s.h2shared == nil {
		s.h2shared = h2.NewShared(&s.h2limits, ServerName)
		s.h2shared.ExtendedConnect = true
	}
	return s.h2shared
}

// limits are config.Limits in the form that is quick to use.
type limits struct {
	h1                                            h1.Limits
	noHost                                        h1.Limits // the same, for prefixes that take requests without Host
	headerWait, idle, entityBody, drainEntityBody int64     // ms; 0: off
	minSendRate                                   int64     // bytes per second; 0: off
}

// NewServer makes the shared part of a loop's connections. loops is how many
// loops there are, so that connection numbers are unique without asking the
// others.
func NewServer(l *loop.Loop, stage *exchange.Stage, loops int) *Server {
	s := &Server{Loop: l, Stage: stage, buf: make([]byte, readSize), scratch: make([]byte, 0, readSize), nextID: uint64(l.Index), idStep: uint64(loops)}
	s.SetLimits(config.DefaultLimits())
	return s
}

// SetLimits changes the limits; timers that run keep their old deadline.
func (s *Server) SetLimits(l config.Limits) {
	s.limits = limits{
		h1:              h1.Limits{Head: l.MaxRequestBytes, Field: l.MaxFieldLength, Target: l.MaxTargetLength, Fields: l.MaxFields},
		headerWait:      l.HeaderWait.Milliseconds(),
		idle:            l.IdleConnection.Milliseconds(),
		entityBody:      l.EntityBody.Milliseconds(),
		drainEntityBody: l.DrainEntityBody.Milliseconds(),
		minSendRate:     l.MinSendRate,
	}
	s.repeats.slots = nil // they were parsed by the old ones
	s.limits.noHost = s.limits.h1
	s.limits.noHost.NoHost = true
	s.h2limits = h2.DefaultLimits
	s.h2limits.Head, s.h2limits.Field = l.MaxRequestBytes, l.MaxFieldLength
	s.h2limits.Target, s.h2limits.Fields = l.MaxTargetLength, l.MaxFields
	s.h2limits.HeaderWait, s.h2limits.MinSendRate = s.limits.headerWait, l.MinSendRate
	s.h2limits.StallPeriod = sendPeriod
	setHTTP2Limits(&s.h2limits, &l.HTTP2)
}

// TLSStats counts handshakes since the start.
type TLSStats struct {
	Done, Resumed uint64 // Resumed are among Done
	Failed        [tlsio.Failures]uint64
}

// TLSStats is for the loop.
func (s *Server) TLSStats() TLSStats { return s.tls }

// tlsFailed counts, and tells.
func (s *Server) tlsFailed(c *Conn, kind tlsio.Failure, reason string) {
	s.tls.Failed[kind]++
	if s.OnTLSFailure != nil {
		s.OnTLSFailure(c, kind, reason)
	}
}

// Endpoint is the port that connections come in on.
type Endpoint struct {
	Scheme prefix.Scheme
	Port   uint16
	// Connections is how many are open, on all loops.
	Connections atomic.Int64
	// Sole is the registration of a port that has no other.
	Sole atomic.Pointer[exchange.Registration]
	// Closed: no prefix is left on the port.
	Closed atomic.Bool
}

// Accept starts a connection. It takes over fd.
func (s *Server) Accept(fd int, remote netip.AddrPort, e *Endpoint) {
	s.nextID += s.idStep
	c := &Conn{s: s, fd: fd, id: s.nextID, endpoint: e, remote: remote}
	c.http1.Conn = c
	c.proto = &c.http1
	if err := s.Loop.Watch(fd, c); err != nil {
		sys.Close(fd)
		return
	}
	e.Connections.Add(1)
	c.link()
	switch {
	case e.Scheme.Secure():
		c.startTLS()
	case e.Scheme.Raw():
		c.http1.startRaw()
	default:
		c.announce()
		c.http1.arm()
	}
}

// Drain lets the connections end: idle ones now, the others after their
// response.
func (s *Server) Drain() {
	s.draining = true
	s.each(func(c *Conn) {
		if c.closeIfIdle(); !c.closed {
			c.proto.drain()
		}
	})
}

// CloseIdle closes the idle connections of a port that is not served any more.
func (s *Server) CloseIdle(e *Endpoint) {
	s.each(func(c *Conn) {
		if c.endpoint == e {
			c.closeIfIdle()
		}
	})
}

// CloseAll cuts all connections.
func (s *Server) CloseAll() { s.each((*Conn).close) }

// Connections is how many are open on this loop.
func (s *Server) Connections() int { return s.nconns }

// Tunnels is how many of them are in opaque mode and do nothing else.
func (s *Server) Tunnels() (n int) {
	s.each(func(c *Conn) {
		if c.proto.tunnels() {
			n++
		}
	})
	return n
}

func (s *Server) each(f func(*Conn)) {
	for c := s.conns; c != nil; {
		next := c.next
		f(c)
		c = next
	}
}

// TurnEnd sends what connections have gathered during the turn. What one
// gathers meanwhile waits for the next turn, so that none can keep the loop.
func (s *Server) TurnEnd() {
	s.queued = false
	dirty := s.dirty
	s.dirty = s.spare
	s.ending = true
	for _, c := range dirty {
		c.dirty = false
		if !c.closed {
			c.proto.turnEnd()
		}
	}
	s.ending = false
	clear(dirty)
	s.spare = dirty[:0]
	s.streams.turnEnd()
}

func (s *Server) flushLater(c *Conn) {
	if c.dirty {
		return
	}
	c.dirty = true
	s.dirty = append(s.dirty, c)
	if s.queued {
		return
	}
	s.queued = true
	if s.ending {
		s.Loop.Again(s)
	} else {
		s.Loop.AtTurnEnd(s)
	}
}

func ms(d *time.Duration, inherited int64) int64 {
	if d == nil {
		return inherited
	}
	return d.Milliseconds()
}
