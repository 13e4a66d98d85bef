package exchange

import (
	"net/netip"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/queue"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Addr is the local address of a connection.
type Addr = netip.Addr

// Stage is the exchanges of one loop.
type Stage struct {
	loop     int
	router   Router
	versions versioned    // router, if it is one
	now      func() int64 // milliseconds
	path     []byte       // scratch: canonical path
	free     []*Exchange
	busy     map[*Lane]struct{} // lanes in which something waits
	quiet    quiet              // head of the list of exchanges with an idle limit
	live     int

	// Demands are shared with the other loops.
	Demands *Demands

	// OnWait hears when a request has to wait: Tick is needed from then on.
	OnWait func()

	// OnRest hears when requests have come to rest: those who keep something for reuse may let go of it.
	OnRest func()

	// Response is scratch for heads that workers send.
	Response message.Response
	// Fields is scratch for trailers that workers send.
	Fields []message.Field

	parts []Part // scratch: pieces of a body
	flat  []byte // scratch: them, put together

	caching
	packing
}

// maxFree bounds the exchanges kept for reuse, and maxKept the buffer that
// one of them keeps.
const (
	maxFree = 1024
	maxKept = 4 << 10
)

// NewStage makes the stage of a loop.
func NewStage(loop int, router Router, now func() int64) *Stage {
	s := &Stage{loop: loop, router: router, now: now, busy: map[*Lane]struct{}{}, Demands: new(Demands)}
	s.versions, _ = router.(versioned)
	s.quiet.next, s.quiet.prev = &s.quiet, &s.quiet
	return s
}

// Live is the number of exchanges that are not over.
func (s *Stage) Live() int { return s.live }

// Facts are what a request is routed by besides its head, and what the
// application is told about its connection.
type Facts struct {
	Scheme     prefix.Scheme
	Port       uint16
	Local      Addr
	Connection uint64
	Peer       Peer // nil: workers are told nothing of it
	// Addresses is the client's address and the local one as text, each ended by
	// NUL, as a REQUEST carries them.
	Addresses string
	// Raw: there is no request, only a connection (a prefix of scheme tcp or tls).
	Raw bool
	// Ahead: the client has sent something behind the request, and the program wants
	// to know.
	Ahead bool
}

// Refusal says why a request did not become an exchange. The zero value means
// it did.
type Refusal struct {
	Status int
	Reason string // for the log, in HTTP.SYS's words
	Text   string // for people
	Retry  bool   // the same request may succeed later
	// Stored is the answer of the cache, if it has one. The exchange then sends
	// the rest of the body, after Send; without an exchange there is none.
	Stored *cache.Answer
}

// The refusals of Begin (http-sys: HTTPERR reasons).
var (
	refuseURL      = Refusal{400, "URL", "The request target is invalid.", false, nil}
	refuseHost     = Refusal{400, "Hostname", "No program serves this host here.", false, nil}
	refuseNotFound = Refusal{404, "NotFound", "No program serves this path.", false, nil}
	refuseReserved = Refusal{503, "N/A", "This path is reserved for a program that is not running.", true, nil}
	refuseFull     = Refusal{503, "QueueFull", "The request queue is full.", true, nil}
	refuseTooLong  = Refusal{431, "RequestLength", "The request header is too long.", false, nil}
	refuseUncached = Refusal{504, "OnlyIfCached", "There is no stored response, and the request asks for no other.", true, nil}
	refuseMaxBody  = Refusal{413, "EntityTooLarge", "The request body is longer than the program accepts.", false, nil}
	refuseOpaque   = Refusal{503, "OpaqueFull", "Too many connections of this program are open.", true, nil}
)

// rootPath stands for the targets without a path: OPTIONS * and CONNECT go to
// whoever has the root.
var rootPath = []byte{'/'}

// Begin routes a request and submits it to its queue. body is the whole body
// if it is complete already and short (at most channel.MinWindow), else it
// follows through RequestBody; complete says that nothing follows. On success
// the exchange is waiting or assigned; c hears of it from then on, never
// before Begin returns but for ReadMore.
func (s *Stage) Begin(c Client, r *message.Request, f *Facts, body []byte, complete bool) (*Exchange, *Registration, Refusal) {
	path := rootPath
	if len(r.Path) > 0 && r.Path[0] == '/' {
		p, err := prefix.Canonical(s.path[:0], r.Path)
		if err != nil {
			return nil, nil, refuseURL
		}
		path = p
		if &p[0] != &r.Path[0] { // it is in the scratch space, which may have grown
			s.path = p[:0]
		}
	}
	reg, outcome := s.router.Match(f.Scheme, f.Port, r.Authority, f.Local, path)
	switch outcome {
	case prefix.Matched:
	case prefix.NoHost:
		return nil, nil, refuseHost
	case prefix.Reserved:
		return nil, nil, refuseReserved
	default:
		return nil, nil, refuseNotFound
	}
	if f.Raw {
		x, refusal := s.raw(c, reg, r, f)
		return x, reg, refusal
	}
	if refusal := s.untrusted(reg, f, r.Authority, path); refusal.Status != 0 {
		return nil, reg, refusal
	}
	if m := reg.Settings().MaxBody; m != nil && *m > 0 && r.ContentLength > *m {
		return nil, reg, refuseMaxBody
	}
	if r.Upgrade && reg.Queue.OpaqueFull() {
		// What it could become is not to be had. (CONNECT is rare, and Opaque looks
		// again.)
		reg.Queue.Lane(s.loop).Rejected.Add(1)
		return nil, reg, refuseOpaque
	}
	x := s.get()
	x.client, x.reg, x.peer = c, reg, f.Peer
	x.reqEnded = complete
	if reg.Affinity != nil {
		x.key, x.learns = reg.Affinity.key(r, f)
	}
	if reg.Space != nil && s.Cache != nil {
		if x, refusal, done := s.consult(x, r, f, path, complete && len(body) == 0); done {
			return x, reg, refusal
		}
	}
	if s.Compress.Policy != compress.Never {
		x.ask = compress.AskOf(r, f.Scheme == prefix.HTTPS)
	}
	if x.role != leads { // then it is framed already
		if !x.encode(r, f, body, complete) {
			s.put(x)
			return nil, reg, refuseTooLong
		}
	}
	if !s.submit(x) {
		if x.fill != nil {
			x.fill.give()
		}
		s.put(x)
		return nil, reg, refuseFull
	}
	return x, reg, Refusal{}
}

// raw is Begin for a connection without HTTP, whose registration is known.
func (s *Stage) raw(c Client, reg *Registration, r *message.Request, f *Facts) (*Exchange, Refusal) {
	if reg.Queue.OpaqueFull() {
		reg.Queue.Lane(s.loop).Rejected.Add(1)
		return nil, refuseOpaque
	}
	x := s.get()
	x.client, x.reg, x.peer, x.raw, x.reqEnded = c, reg, f.Peer, true, true
	if !x.encode(r, f, nil, true) {
		s.put(x)
		return nil, refuseTooLong
	}
	if !s.submit(x) {
		s.put(x)
		return nil, refuseFull
	}
	return x, Refusal{}
}

// submit gives the exchange to its queue; false if that is full.
func (s *Stage) submit(x *Exchange) bool {
	lane := x.reg.Queue.Lane(s.loop)
	var result queue.Result
	if x.key == 0 {
		result = lane.Submit(&x.entry, s.now())
	} else {
		result = lane.SubmitFor(&x.entry, x.key, s.now())
	}
	switch result {
	case queue.Full:
		return false
	case queue.Waiting:
		s.waits(lane)
	}
	return true
}

// encode frames the request with stream 0; the worker's channel sets that.
func (x *Exchange) encode(r *message.Request, f *Facts, body []byte, complete bool) bool {
	flags := channel.Flags(0)
	if complete {
		flags = channel.FlagEnd
	}
	b := channel.AppendHeader(x.frame[:0], channel.Header{Type: channel.Request, Flags: flags})
	h := channel.RequestHead{
		FieldCount: len(r.Fields), Method: channel.MethodOf(r.Method), Version: r.Version,
		Registration: x.reg.ID, Connection: f.Connection, ContentLength: r.ContentLength,
	}
	if f.Scheme.Secure() {
		h.Flags |= channel.RequestTLS
	}
	if f.Raw {
		h.Flags |= channel.RequestRaw
	}
	if f.Ahead {
		h.Flags |= channel.RequestAhead
		x.followed = true
	}
	if r.ExpectContinue {
		h.Flags |= channel.RequestContinue
	}
	if r.Upgrade {
		h.Flags |= channel.RequestUpgrade
	}
	b = channel.AppendRequestFixed(b, &h, 0)
	text := len(b)
	b = append(append(b, r.Method...), 0)
	b = append(append(b, r.Target...), 0)
	b = append(append(b, r.Authority...), 0)
	b = append(b, f.Addresses...)
	for i := range r.Fields {
		b = append(append(b, r.Fields[i].Name...), 0)
		b = append(append(b, r.Fields[i].Value...), 0)
	}
	channel.PutLength(b[channel.HeaderSize:], len(b)-text)
	b = append(b, body...)
	x.frame = b
	x.bodySent = int64(len(body))
	if len(b)-channel.HeaderSize > channel.MaxPayload {
		return false
	}
	channel.PutLength(b, len(b)-channel.HeaderSize)
	return true
}

func (s *Stage) get() *Exchange {
	s.live++
	if n := len(s.free); n > 0 {
		x := s.free[n-1]
		s.free = s.free[:n-1]
		return x
	}
	x := &Exchange{stage: s}
	x.entry.Value = x
	return x
}

func (s *Stage) put(x *Exchange) {
	s.live--
	x.notRelayed()
	frame := x.frame[:0]
	if cap(frame) > maxKept {
		frame = nil
	}
	origin := x.origin[:0]
	if cap(origin) > maxKept {
		origin = nil
	}
	*x = Exchange{stage: s, frame: frame, cached: cached{origin: origin}}
	x.entry.Value = x
	if len(s.free) < maxFree {
		s.free = append(s.free, x)
	}
}

// Tick looks for requests that have waited too long. It is called some times a
// second.
func (s *Stage) Tick() {
	now := s.now()
	for lane := range s.busy {
		for {
			x, ok := lane.Expire(now)
			if !ok {
				break
			}
			x.expire()
		}
		if _, waits := lane.Oldest(); !waits {
			delete(s.busy, lane)
		}
	}
	s.hurry(now)
	s.expireQuiet(now)
}

func (s *Stage) waits(lane *Lane) {
	s.busy[lane] = struct{}{}
	if s.OnWait != nil {
		s.OnWait()
	}
}

// Waiting says whether anything waits for time to pass, so that Tick is needed:
// requests in a queue, or connections with an idle limit.
func (s *Stage) Waiting() bool { return len(s.busy) > 0 || s.followers > 0 || s.quiet.next != &s.quiet }

// CloseQueue answers all that wait in a queue that ends on this loop.
func (s *Stage) CloseQueue(q *Queue) {
	lane := q.Lane(s.loop)
	for {
		x, ok := lane.Drain()
		if !ok {
			break
		}
		x.fail(503, "Disabled", "The program that serves this path has ended.")
	}
	delete(s.busy, lane)
}
