package exchange

import (
	"slices"

	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// An application may let its clients wait for as long as it likes: a long poll is a request that is
// not answered. Nothing has to be kept of it but who waits where. So the worker's channel puts
// such an exchange to rest when it has waited for a while: the client takes an Idle, keeps it together
// with its own remains, and Exchange, frame and stream are used for others.

// Occupant is what is behind a stream number of a worker: an Exchange, or one at rest.
type Occupant interface {
	// Awake ends the rest.
	Awake() *Exchange
}

// Restful is a Client that can wait in little memory.
type Restful interface {
	// Rest takes x.Idle() and forgets x, or returns nil if something is under way.
	Rest(x *Exchange) Occupant
}

// Idle is what is left of an exchange at rest: a worker has begun with it, and has not answered.
type Idle struct {
	worker *WorkerRef
	reg    *Registration
	more   *unusual // nil: the request is complete, and the cache has nothing to do with it
	stream uint32
	window int32
	ask    compress.Ask
	learns bool
	role   role
}

// unusual is what only some exchanges at rest have.
type unusual struct {
	bodySent   int64
	sendWindow int
	reqEnded   bool
	broken     bool
	origin     []byte // request line of a method that makes stored responses invalid
}

// Awake implements Occupant.
func (x *Exchange) Awake() *Exchange { return x }

// Since is when the request came, in milliseconds of the stage's clock.
func (x *Exchange) Since() int64 { return x.entry.Since() }

// MayRest says whether the exchange may come to rest some time: its client can, and nothing was answered.
func (x *Exchange) MayRest() bool {
	_, can := x.client.(Restful)
	return can && !x.headSent && !x.opaque && !x.raw
}

// Rest puts an exchange to rest with which the worker has begun, and returns what is behind its
// number then; nil if it cannot rest now. With patience set, a request whose response might be the first of
// its program to be stored does not rest: its head is needed for that.
func (x *Exchange) Rest(patient bool) Occupant {
	x.touched()
	c, can := x.client.(Restful)
	switch {
	case !can, x.headSent, x.opaque, x.raw, x.worker == nil, x.packer != nil, x.held, x.offered, x.halfEnd, x.quiet != nil, x.fill != nil,
		x.lent != 0, x.unreturned != 0, x.grant != x.window:
		return nil
	}
	switch x.role {
	case bystander, changes, spoils, teaches:
	case watched:
		if patient {
			return nil
		}
	default:
		return nil
	}
	z := c.Rest(x)
	if z != nil {
		x.stage.live++ // it is not over
		x.stage.put(x)
	}
	return z
}

// Idle is what a Restful client keeps.
func (x *Exchange) Idle() Idle {
	z := Idle{
		worker: x.worker.Ref(), reg: x.reg, stream: x.Stream, window: int32(x.window), ask: x.ask, learns: x.learns, role: x.role,
	}
	if x.role == watched {
		z.role = teaches
	}
	changes := x.role == changes || x.role == spoils
	if !x.reqEnded || changes {
		z.more = &unusual{bodySent: x.bodySent, sendWindow: x.sendWindow, reqEnded: x.reqEnded, broken: x.broken}
		if changes {
			z.more.origin = x.requestLine()
			z.role = spoils
		}
	}
	return z
}

// requestLine is the request without its fields.
func (x *Exchange) requestLine() []byte {
	r := x.stage.reparse(x.original())
	n := channel.HeaderSize + channel.RequestFixed + len(r.Method) + len(r.Target) + len(r.Authority) + 5
	b := channel.AppendHeader(make([]byte, 0, n), channel.Header{Type: channel.Request})
	b = channel.AppendRequestFixed(b, &channel.RequestHead{Method: channel.MethodOf(r.Method), Version: r.Version}, 0)
	text := len(b)
	for _, part := range [][]byte{r.Method, r.Target, r.Authority, nil, nil} {
		b = append(append(b, part...), 0)
	}
	channel.PutLength(b[channel.HeaderSize:], len(b)-text)
	channel.PutLength(b, len(b)-channel.HeaderSize)
	return b
}

// Wake makes the exchange again, for c, which is the client from now on.
func (z *Idle) Wake(s *Stage, c Client, p Peer) *Exchange {
	x := s.get()
	s.live-- // it was not over
	x.client, x.peer, x.worker, x.reg, x.Stream = c, p, z.worker.Worker, z.reg, z.stream
	x.grant, x.window, x.ask, x.learns, x.role = int(z.window), int(z.window), z.ask, z.learns, z.role
	x.begun, x.reqEnded = true, true
	if m := z.more; m != nil {
		x.bodySent, x.sendWindow, x.reqEnded, x.broken, x.lost = m.bodySent, m.sendWindow, m.reqEnded, m.broken, true
		x.origin = append(x.origin[:0], m.origin...)
	}
	x.worker.Woken(x)
	return x
}

// restKept is how many exchanges are kept for reuse when a crowd has come to rest.
const restKept = 64

// Rested is called when requests have come to rest: what a crowd of them needed awake is let go.
func (s *Stage) Rested() {
	if len(s.free) > restKept {
		s.free = slices.Clone(s.free[:restKept])
	}
	if s.OnRest != nil {
		s.OnRest()
	}
}
