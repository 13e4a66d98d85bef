package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/control/server"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/queue"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// maxRegistrations bounds the registrations of one session that is not root's.
const maxRegistrations = 200_000

// maxQueueName is how long a queue's name may be, in characters (HTTP.SYS:
// MAX_PATH).
const maxQueueName = 260

// registration is a prefix that is registered, and how many sessions share it.
type registration struct {
	*exchange.Registration
	queue *queueState
	users int
}

// registerSettled is register for who wants to hear of connections when they
// come: a client that knows of the answer finds the loops ready to tell.
func (s *session) registerSettled(p channel.RegisterParams) (*channel.RegisterResult, *channel.Error) {
	result, cerr := s.register(p)
	if cerr == nil && slices.Contains(p.Tell, channel.TellAccepted) {
		s.d.awaitLoops()
	}
	return result, cerr
}

// register answers the call of that name (docs/channel.md section 3.2).
func (s *session) register(p channel.RegisterParams) (*channel.RegisterResult, *channel.Error) {
	d := s.d
	pre, err := prefix.Parse(p.URL)
	if err != nil {
		return nil, &channel.Error{Code: channel.InvalidParameter, Message: err.Error()}
	}
	spec, cerr := queueSpec(p)
	if cerr != nil {
		return nil, cerr
	}
	override, cerr := overrideOf(p.Timeouts)
	if cerr != nil {
		return nil, cerr
	}
	override.BareErrors = p.ErrorPages != nil && !*p.ErrorPages
	override.NoHost = p.RequireHost != nil && !*p.RequireHost
	if override.Tell, cerr = tellOf(pre, p.Tell); cerr != nil {
		return nil, cerr
	}
	if ms := p.CacheDurationMS; ms != 0 && (ms < 1000 || ms > maxMilliseconds) {
		return nil, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(
			"cache_duration_ms is %d: want 0 (not stored) or 1000 to %d", ms, maxMilliseconds)}
	}
	trusted, cerr := trustedOnly(pre, p.ClientCertificate)
	if cerr != nil {
		return nil, cerr
	}
	if cerr := d.admin.MayRegister(s.peer, pre); cerr != nil {
		return nil, cerr
	}
	if pre.Port == 0 {
		if pre, cerr = d.chooseFree(s, pre); cerr != nil {
			return nil, cerr
		}
		defer d.ports.Close(pre) // bind opens it once more, for the registration
	}

	offer, cerr := d.offerOf(s, pre, p.Certificate)
	if cerr != nil {
		return nil, cerr
	}
	var warning string
	if offer == nil {
		warning = d.noCertificate(pre) // may look at files: not under the lock
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	if s.ended || d.ending {
		return nil, &channel.Error{Code: channel.Internal, Message: errEnding.Error()}
	}
	if len(s.regs) >= maxRegistrations && s.peer.UID != 0 {
		return nil, &channel.Error{Code: channel.Limit, Message: fmt.Sprintf("this session has %d registrations already", maxRegistrations)}
	}
	if offer != nil && len(s.offers) >= maxOffers && s.peer.UID != 0 {
		return nil, &channel.Error{Code: channel.Limit, Message: fmt.Sprintf("this session has brought %d certificates already", maxOffers)}
	}
	q, cerr := d.openQueue(s, spec)
	if cerr != nil {
		return nil, cerr
	}
	if s.queues[q] == 0 && len(s.queues) >= maxQueues && s.peer.UID != 0 {
		d.dropQueueIfUnused(q)
		return nil, &channel.Error{Code: channel.Limit, Message: fmt.Sprintf("this session has taken requests from %d queues already", maxQueues)}
	}
	reg, cerr := d.bind(pre, q, override, p.Compress, p.CacheDurationMS/1000, trusted)
	if cerr != nil {
		d.dropQueueIfUnused(q)
		return nil, cerr
	}
	switch { // for all who share it: the last word counts
	case p.Timeouts != nil:
		if p.Tell == nil {
			override.Tell = reg.Settings().Tell
		}
		reg.Change(override)
	case p.Tell != nil:
		o := *reg.Settings()
		o.Tell = override.Tell
		reg.Change(o)
	}
	reg.users++
	s.regs[reg.ID]++
	if offer != nil {
		s.offer(reg, offer)
	}
	s.join(q)
	d.letGo(q)
	if warning != "" {
		d.log.Warn(warning, "url", reg.URL, "pid", s.peer.PID)
	}
	return &channel.RegisterResult{ID: reg.ID, URL: reg.URL, Queue: q.name}, nil
}

// bind registers a prefix for a queue, or shares the registration that the
// queue has.
func (d *Daemon) bind(pre prefix.Prefix, q *queueState, o exchange.Override, compress bool, cacheFor int64, trusted bool) (*registration, *channel.Error) {
	if have, ok := d.table.Registration(pre); ok {
		reg := d.regs[have.ID]
		if reg.queue == q && reg.TrustedOnly != trusted {
			// Whoever came first must not decide that silently.
			return nil, &channel.Error{Code: channel.AlreadyExists, Message: fmt.Sprintf(
				"%s is registered already by a process of this queue that says something else about client_certificate", pre)}
		}
		if reg.queue == q {
			return reg, nil
		}
		return nil, &channel.Error{Code: channel.AlreadyExists, Message: fmt.Sprintf("%s is registered already, by %s",
			pre, reg.queue.describe())}
	}
	if port, ok := d.table.Port(pre.Port); ok && port.Scheme != pre.Scheme {
		return nil, &channel.Error{Code: channel.AlreadyExists, Message: fmt.Sprintf(
			"port %d is used for %s: a port speaks one of http, https, tcp and tls", pre.Port, port.Scheme)}
	}
	if _, err := d.ports.Open(pre); err != nil {
		return nil, asError(err)
	}
	d.nextID++
	reg := &registration{
		Registration: &exchange.Registration{ID: d.nextID, Prefix: pre, URL: pre.String(), Queue: q.queue, Override: o, Compress: compress, Affinity: q.affinity},
		queue:        q,
	}
	reg.TrustedOnly = trusted
	reg.Space = &cache.Space{ID: reg.ID, URL: reg.URL, Queue: q.name, Owner: q.number, HTTPS: pre.Scheme == prefix.HTTPS, Default: cacheFor}
	if err := d.table.Register(pre, reg.Registration); err != nil {
		d.ports.Close(pre)
		code := channel.Internal
		if errors.Is(err, prefix.ErrExists) || errors.Is(err, prefix.ErrSchemeConflict) {
			code = channel.AlreadyExists
		}
		return nil, &channel.Error{Code: code, Message: err.Error()}
	}
	d.regs[reg.ID] = reg
	q.regs[reg.ID] = reg
	sole := reg.Registration
	if port, ok := d.table.Port(pre.Port); !ok || port.Registrations > 1 {
		sole = nil
	}
	d.ports.SetSole(pre.Port, sole)
	return reg, nil
}

// trustedOnly reads the parameter client_certificate.
func trustedOnly(pre prefix.Prefix, want string) (bool, *channel.Error) {
	switch {
	case want == channel.ClientCertificateAny || want == "any":
		return false, nil
	case want != channel.ClientCertificateTrusted:
		return false, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(
			"client_certificate is %.40q: want any or trusted", want)}
	case pre.Scheme != prefix.HTTPS:
		return false, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(
			"client_certificate is demanded for %s: only on https clients have certificates", pre)}
	}
	return true, nil
}

// chooseFree opens a free port for a prefix that asks for one, and says which.
// Whether the port may be used is known only then.
func (d *Daemon) chooseFree(s *session, pre prefix.Prefix) (prefix.Prefix, *channel.Error) {
	port, err := d.ports.Open(pre)
	if err != nil {
		return pre, asError(err)
	}
	pre = pre.WithPort(port)
	if cerr := d.admin.MayRegister(s.peer, pre); cerr != nil {
		d.ports.Close(pre)
		return pre, cerr
	}
	return pre, nil
}

func asError(err error) *channel.Error {
	var cerr *channel.Error
	if errors.As(err, &cerr) {
		return cerr
	}
	return &channel.Error{Code: channel.Internal, Message: err.Error()}
}

// unregister answers the call of that name. Only who registered may do it. When
// it returns, the last prefix of a port has taken the port with it: who closes
// a server finds that connections are refused.
func (s *session) unregister(p channel.UnregisterParams) (*struct{}, *channel.Error) {
	port, cerr := s.unregisterOne(p)
	if cerr != nil {
		return nil, cerr
	}
	s.d.ports.Settle(port)
	s.d.awaitLoops() // whoever leaves a queue has left it
	return &struct{}{}, nil
}

func (s *session) unregisterOne(p channel.UnregisterParams) (port uint16, _ *channel.Error) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.regs[p.ID] == 0 {
		return 0, &channel.Error{Code: channel.NotFound, Message: fmt.Sprintf("this session has no registration %d", p.ID)}
	}
	port = d.regs[p.ID].Prefix.Port
	q := d.regs[p.ID].queue
	if s.regs[p.ID]--; s.regs[p.ID] == 0 {
		delete(s.regs, p.ID)
		s.withdraw(p.ID)
	}
	d.unbind(p.ID)
	d.letGo(q)
	return port, nil
}

// unbind takes one user from a registration, and removes it with the last.
func (d *Daemon) unbind(id uint32) {
	reg := d.regs[id]
	if reg.users--; reg.users > 0 {
		return
	}
	d.table.Unregister(reg.Prefix)
	d.forget(reg.Space)
	d.ports.Close(reg.Prefix)
	delete(d.regs, id)
	delete(reg.queue.regs, id)
}

// maxAffinityName is how long the name of a parameter or cookie may be.
const maxAffinityName = 64

// queueParams are the parameters of register that concern the queue.
type queueParams struct {
	name   string // "": private
	limit  int
	maxAge *time.Duration // nil: the machine's
	opaque int            // connections in opaque mode
	// affinity keeps the requests of one client with one worker; nil: it does not.
	affinity *exchange.Affinity
}

func queueSpec(p channel.RegisterParams) (queueParams, *channel.Error) {
	bad := func(format string, a ...any) (queueParams, *channel.Error) {
		return queueParams{}, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(format, a...)}
	}
	spec := queueParams{name: p.Queue, limit: p.Limit}
	if spec.limit == 0 {
		spec.limit = queue.DefaultLimit
	}
	if spec.limit < 1 || spec.limit > queue.MaxLimit {
		return bad("limit is %d: want 1 to %d requests", p.Limit, queue.MaxLimit)
	}
	if spec.opaque = p.OpaqueLimit; spec.opaque == 0 {
		spec.opaque = queue.DefaultOpaque
	}
	if spec.opaque < 1 || spec.opaque > maxOpaque {
		return bad("opaque_limit is %d: want 1 to %d connections", p.OpaqueLimit, maxOpaque)
	}
	if a := p.Affinity; a != nil {
		for _, name := range []string{a.Query, a.Cookie} {
			if name != "" && (len(name) > maxAffinityName || !message.ValidName([]byte(name))) {
				return bad("affinity by %.80q: want a token of at most %d characters", name, maxAffinityName)
			}
		}
		if *a == (channel.Affinity{}) {
			return bad("affinity by nothing: want query, cookie or address")
		}
		spec.affinity = &exchange.Affinity{Query: a.Query, Cookie: a.Cookie, Address: a.Address}
	}
	if p.MaxAgeMS != nil {
		age, ok := milliseconds(*p.MaxAgeMS)
		if !ok {
			return bad("max_age_ms is %d: want 0 (no limit) to %d", *p.MaxAgeMS, maxMilliseconds)
		}
		spec.maxAge = &age
	}
	if utf8.RuneCountInString(p.Queue) > maxQueueName || !utf8.ValidString(p.Queue) ||
		strings.ContainsFunc(p.Queue, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) ||
		strings.HasPrefix(p.Queue, privatePrefix) {
		return bad("queue %.40q: a name has at most %d characters, none of them a control character or a backslash, and does not begin with %q",
			p.Queue, maxQueueName, privatePrefix)
	}
	return spec, nil
}

// maxOpaque is the highest opaque_limit: beyond it descriptors are the limit.
const maxOpaque = 1 << 24

// maxMilliseconds is the longest time that is taken, some 24 days: beyond it
// 0, no limit, is meant.
const maxMilliseconds = 1<<31 - 1

func milliseconds(n int64) (time.Duration, bool) {
	return time.Duration(n) * time.Millisecond, n >= 0 && n <= maxMilliseconds
}

// tellOf reads the parameter tell.
func tellOf(pre prefix.Prefix, words []string) (t exchange.Tell, cerr *channel.Error) {
	if len(words) == 0 {
		return 0, nil
	}
	if pre.Kind == prefix.Explicit || pre.Path != "/" || pre.Scheme.Raw() {
		return 0, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(
			"tell is for prefixes that have a whole port, such as http://+:80/, and not for %s", pre)}
	}
	for _, w := range words {
		switch w {
		case channel.TellAccepted:
			t |= exchange.TellAccepted
		case channel.TellUnparsed:
			t |= exchange.TellUnparsed
		case channel.TellUpgrade:
			t |= exchange.TellUpgrade
		case channel.TellAhead:
			t |= exchange.TellAhead
		case channel.TellPipelined:
			t |= exchange.TellPipelined
		default:
			return 0, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(
				"tell has %.40q: want accepted, unparsed, upgrade, ahead and pipelined", w)}
		}
	}
	return t, nil
}

// overrideOf checks the timeouts of a registration.
func overrideOf(t *channel.Timeouts) (o exchange.Override, cerr *channel.Error) {
	if t == nil {
		return o, nil
	}
	for _, d := range []struct {
		name string
		in   *int64
		out  **time.Duration
	}{
		{"entity_body_ms", t.EntityBodyMS, &o.EntityBody},
		{"drain_entity_body_ms", t.DrainEntityBodyMS, &o.DrainEntityBody},
		{"idle_connection_ms", t.IdleConnectionMS, &o.IdleConnection},
		{"header_wait_ms", t.HeaderWaitMS, &o.HeaderWait},
		{"opaque_idle_ms", t.OpaqueIdleMS, &o.OpaqueIdle},
	} {
		if d.in == nil {
			continue
		}
		v, ok := milliseconds(*d.in)
		if !ok {
			return o, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(
				"%s is %d: want 0 (off) to %d", d.name, *d.in, maxMilliseconds)}
		}
		*d.out = &v
	}
	for _, d := range []struct {
		name string
		in   *int64
		out  **int64
	}{
		{"min_send_rate", t.MinSendRate, &o.MinSendRate},
		{"max_body", t.MaxBody, &o.MaxBody},
	} {
		if d.in == nil {
			continue
		}
		if *d.in < 0 {
			return o, &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf("%s is %d: want 0 (off) or more", d.name, *d.in)}
		}
		*d.out = d.in
	}
	return o, nil
}

// userName is a user for messages.
func userName(uid uint32) string { return server.UserName(uid) }
