package httpsys

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// DefaultMaxHandlers is how many handlers of a Server run at once if it does
// not say otherwise.
const DefaultMaxHandlers = 1024

// A Server says which requests a program wants and what is to be done with
// them. It is used in one of three ways: [Server.Serve] runs a handler for
// each request, [Server.Listen] makes a net.Listener of them, [Server.Open]
// lets the program pull them. A Server is used once; the fields must not be
// changed afterwards.
type Server struct {
	// Prefixes are the URL prefixes to be registered, such as
	// "http://+:8080/app/". Port 0 asks for a free port; see URLs. With Listen,
	// "tcp://+:9000/" and "tls://name:9443/" are possible, too.
	Prefixes []string
	// Bindings make further prefixes, from settings.
	Bindings []Binding

	// Handler answers the requests of Serve; nil is http.DefaultServeMux.
	Handler http.Handler

	// Queue is the name of a request queue that several processes of a user
	// share; empty is a queue of this Server's own.
	Queue string
	// QueueLimit is how many requests may wait; clients beyond it get 503. 0 is
	// the daemon's default of 1000. It is set by the process that creates
	// the queue, and so is MaxAge.
	QueueLimit int
	// MaxAge is how long a request may wait before its client gets 503. 0 is
	// the daemon's default of two minutes; negative is without limit.
	MaxAge time.Duration
	// OpaqueLimit is how many hijacked connections may go through the daemon at
	// once; what asks for an upgrade beyond them gets 503. Those whose sockets were
	// handed over do not count. 0 is the daemon's default of 65 535. It is set by the
	// process that creates the queue.
	OpaqueLimit int
	// Affinity keeps the requests of one client with one process of those that share
	// the queue; the zero value does not. It is set by the process that creates the
	// queue.
	Affinity Affinity
	// Timeouts and limits of the daemon for requests to these prefixes.
	Timeouts Timeouts
	// Compress lets the daemon compress responses to these prefixes for clients
	// that take it, where that is worth it and safe: see docs/compression.md.
	// Compress and DoNotCompress, the functions, decide for one response.
	// Of processes that share a prefix, the first to register decides.
	Compress bool

	// CacheDuration is how long the daemon stores responses to GET with status 200 that say nothing
	// about caching, and answers requests by itself meanwhile; 0: not at all. It is cut to
	// whole seconds; the least is one. See [CacheFor].
	CacheDuration time.Duration

	// Certificates, each with its chain and its key, are shown to the clients of
	// https prefixes where no administrator has bound one (httpsys add sslcert). Most
	// programs have none: certificates belong to the machine. More than one: with
	// different kinds of keys. The private keys must be such that they can be
	// passed to the daemon (ECDSA, RSA or Ed25519), which keeps them in memory only, as
	// long as the program runs.
	Certificates []tls.Certificate

	// RequireClientCertificate keeps clients away from Prefixes and Bindings that
	// have not shown a trusted certificate: the daemon answers them 403 by itself. All
	// prefixes must be https. See also Binding.RequireClientCertificate, and
	// ClientCertificate for programs that want to decide themselves. Clients are asked
	// where the certificate binding says so (clientcertnegotiation=enable).
	RequireClientCertificate bool

	// MaxHandlers is how many handlers run at once; what is beyond it waits in
	// the request queue (of each event loop of the daemon, as many again may
	// already be on their way). Connections that a handler has hijacked do not
	// count. 0 is DefaultMaxHandlers; the most is 65 535. With Listen it is how
	// many requests are worked on for each event loop; with Open it means
	// nothing.
	MaxHandlers int

	// Socket is where the daemon is. Empty is where HTTPSYS_SOCKET says, else
	// the place for a daemon of this user or of root.
	Socket string

	// ErrorLog takes what handlers do wrong, their panics, and news about the
	// connection to the daemon; nil is the log package's standard logger.
	ErrorLog *log.Logger

	// BaseContext returns the context that those of requests derive from. If
	// nil, that is the one that Serve was called with, without its end.
	BaseContext func() context.Context

	// OnRegistered is called with URLs each time that everything is registered
	// and requests may come: at the start, and again when the daemon was restarted.
	OnRegistered func(urls []string)

	// OnDaemonStop is called, on a goroutine of its own, when the daemon announces
	// that it is going to end. Connections that handlers have hijacked and that go
	// through the daemon end with it: they have some seconds to say goodbye in the
	// words of their protocol (a Close frame). Those whose sockets were handed over live
	// on. The Server itself registers again at the next daemon.
	OnDaemonStop func()

	// ShutdownTimeout bounds the orderly end when the context of Serve ends.
	// 0 is ten seconds; negative is without bound.
	ShutdownTimeout time.Duration

	mu         sync.Mutex
	e          *endpoint
	closed     bool
	abandoned  bool          // closed before it was registered
	ready      chan struct{} // closed when registered for the first time
	isReady    bool
	stopping   chan struct{} // closed by Shutdown and Close
	onShutdown []func()

	certificate *channel.Certificate // Certificates, for the channel
}

// Timeouts are bounds that the daemon keeps for the requests to the prefixes of
// a Server. The zero value of each is the machine's setting; negative turns it
// off.
type Timeouts struct {
	EntityBody      time.Duration // between two pieces of a request body
	DrainEntityBody time.Duration // for a body that nobody reads any more
	IdleConnection  time.Duration // between two requests of a connection
	HeaderWait      time.Duration // for the head of a request
	MinSendRate     int64         // bytes per second that a client has to take
	MaxBody         int64         // bytes of a request body
	// OpaqueIdle closes a connection that a handler has hijacked when no byte has
	// flowed for so long. There is none by default. With a limit, connections are
	// never handed over, since the daemon can watch only what goes through it.
	OpaqueIdle time.Duration
}

func milliseconds(d time.Duration) int64 {
	switch {
	case d < 0:
		return 0 // off
	case d < time.Millisecond:
		return 1
	}
	return d.Milliseconds()
}

// params returns what crosses the channel: nil inherits, 0 is off.
func (t Timeouts) params() *channel.Timeouts {
	if t == (Timeouts{}) {
		return nil
	}
	duration := func(d time.Duration) *int64 {
		if d == 0 {
			return nil
		}
		ms := milliseconds(d)
		return &ms
	}
	number := func(n int64) *int64 {
		if n == 0 {
			return nil
		}
		n = max(n, 0)
		return &n
	}
	return &channel.Timeouts{
		EntityBodyMS:      duration(t.EntityBody),
		DrainEntityBodyMS: duration(t.DrainEntityBody),
		IdleConnectionMS:  duration(t.IdleConnection),
		HeaderWaitMS:      duration(t.HeaderWait),
		MinSendRate:       number(t.MinSendRate),
		MaxBody:           number(t.MaxBody),
		OpaqueIdleMS:      duration(t.OpaqueIdle),
	}
}

// ListenAndServe registers the prefix and serves its requests with handler;
// nil is http.DefaultServeMux. It returns only with an error.
func ListenAndServe(url string, handler http.Handler) error {
	s := &Server{Prefixes: []string{url}, Handler: handler}
	return s.Serve(context.Background())
}

// ListenAndServeTLS is ListenAndServe for an https prefix and a program that has
// a certificate of its own, in files in PEM: the certificate followed by those that
// issued it, and its key. An administrator's binding comes before it.
func ListenAndServeTLS(url, certFile, keyFile string, handler http.Handler) error {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	s := &Server{Prefixes: []string{url}, Handler: handler, Certificates: []tls.Certificate{cert}}
	return s.Serve(context.Background())
}

// Serve registers the prefixes and runs the handler for each request, until
// ctx ends or Shutdown or Close is called. What cannot be registered is
// reported at once, as an *Error. Later, when the daemon is restarted, Serve
// connects and registers again.
//
// When ctx ends, Serve shuts down in order, within ShutdownTimeout. It then
// returns ErrServerClosed, as it does at once when Shutdown or Close was called.
func (s *Server) Serve(ctx context.Context) error {
	handler := s.Handler
	if handler == nil {
		handler = http.DefaultServeMux
	}
	p := newPool(handler, s.maxHandlers())
	e, err := s.start(ctx, p, s.maxHandlers(), true)
	if err != nil {
		p.closed()
		return err
	}
	select {
	case <-s.stopping:
	case <-ctx.Done():
		end, cancel := s.shutdownContext()
		defer cancel()
		if err := s.Shutdown(end); err != nil {
			e.logf("httpsys: shutting down: %v", err)
		}
	}
	return ErrServerClosed
}

func (s *Server) maxHandlers() int {
	if s.MaxHandlers <= 0 {
		return DefaultMaxHandlers
	}
	return min(s.MaxHandlers, channel.MaxCredit)
}

func (s *Server) shutdownContext() (context.Context, context.CancelFunc) {
	switch d := s.ShutdownTimeout; {
	case d < 0:
		return context.WithCancel(context.Background())
	case d > 0:
		return context.WithTimeout(context.Background(), d)
	}
	return context.WithTimeout(context.Background(), 10*time.Second)
}

// start makes the endpoint of a Server.
func (s *Server) start(ctx context.Context, to sink, credit int, autoCredit bool) (*endpoint, error) {
	e := &endpoint{srv: s, sink: to, credit: credit, autoCredit: autoCredit, connections: channel.ConnectionsTLS, base: context.WithoutCancel(ctx),
		standIn: &http.Server{Handler: s.Handler, ErrorLog: s.ErrorLog}}
	if s.BaseContext != nil {
		if e.base = s.BaseContext(); e.base == nil {
			panic("httpsys: BaseContext returned nil")
		}
	}
	e.baseEnds = e.base.Done() != nil
	for _, url := range s.Prefixes {
		e.wanted = append(e.wanted, wantedPrefix{url: url, group: len(e.wanted), trusted: s.RequireClientCertificate})
	}
	for _, b := range s.Bindings {
		first := len(e.wanted)
		for _, url := range b.Prefixes() {
			e.wanted = append(e.wanted, wantedPrefix{url: url, group: first, trusted: s.RequireClientCertificate || b.RequireClientCertificate, compress: b.Compress})
		}
	}
	for _, w := range e.wanted {
		if _, listens := to.(*listener); !listens && (strings.HasPrefix(w.url, "tcp://") || strings.HasPrefix(w.url, "tls://")) {
			return nil, &Error{Op: "register", Subject: w.url, Code: InvalidParameter,
				Message: "what comes there are connections, not requests: use Listen"}
		}
	}
	var err error
	if s.certificate, err = certificateParams(s.Certificates); err != nil {
		return nil, err
	}
	if len(e.wanted) == 0 {
		return nil, &Error{Op: "register", Code: InvalidParameter, Message: "the Server has no prefixes"}
	}
	if user, ok := to.(interface{ use(*endpoint) }); ok {
		user.use(e)
	}
	s.mu.Lock()
	s.init()
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, ErrServerClosed
	case s.e != nil:
		s.mu.Unlock()
		return nil, errors.New("httpsys: this Server is already in use")
	}
	s.e = e
	s.mu.Unlock()
	// Shutdown during the first connection ends it.
	first, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-first.Done():
		}
	}()
	err = e.start(first)
	s.mu.Lock()
	abandoned := s.abandoned
	if err != nil {
		s.e = nil
	}
	s.mu.Unlock()
	switch {
	case abandoned:
		if err == nil {
			e.close()
		}
		return nil, ErrServerClosed
	case err != nil:
		return nil, err
	}
	return e, nil
}

// init makes the channels; mu is held.
func (s *Server) init() {
	if s.ready == nil {
		s.ready = make(chan struct{})
		s.stopping = make(chan struct{})
	}
}

// registered is called by the endpoint after each registration.
func (s *Server) registered(urls []string) {
	s.mu.Lock()
	if !s.isReady {
		s.isReady = true
		close(s.ready)
	}
	s.mu.Unlock()
	if s.OnRegistered != nil {
		s.OnRegistered(urls)
	}
}

// Registered returns a channel that is closed when all prefixes have been
// registered for the first time. It stays open if that fails.
func (s *Server) Registered() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	return s.ready
}

// URLs returns the registered prefixes in canonical form, with the ports that
// were given for port 0; nil before the registration. A port stays the same
// when the daemon is restarted, or else the prefix is not registered.
func (s *Server) URLs() []string {
	s.mu.Lock()
	e, ready := s.e, s.isReady
	s.mu.Unlock()
	if e == nil || !ready {
		return nil
	}
	return e.urls()
}

// RegisterOnShutdown has f called, on a goroutine of its own, when Shutdown
// begins. Hijacked connections, which Shutdown does not wait for, can be told
// to end so.
func (s *Server) RegisterOnShutdown(f func()) {
	s.mu.Lock()
	s.onShutdown = append(s.onShutdown, f)
	s.mu.Unlock()
}

// beginStop marks the server as closed and returns its endpoint, if there is one.
func (s *Server) beginStop(orderly bool) *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	if !s.closed {
		s.closed = true
		close(s.stopping)
		if orderly {
			for _, f := range s.onShutdown {
				go f()
			}
		}
	}
	if !s.isReady {
		s.abandoned = true // start ends what it has begun
		return nil
	}
	return s.e
}

// Shutdown ends in order: the prefixes are given back, the requests that were
// routed here arrive and are finished, the connection is closed. If ctx ends
// before, the rest is cut off and the context's error returned. Hijacked
// connections are not waited for; they end with Shutdown.
func (s *Server) Shutdown(ctx context.Context) error {
	e := s.beginStop(true)
	if e == nil {
		return nil
	}
	return e.shutdown(ctx)
}

// Close ends at once. Requests that handlers are working on get 502 or are cut
// off, and their contexts end; others in the queue may go to another process.
func (s *Server) Close() error {
	e := s.beginStop(false)
	if e == nil {
		return nil
	}
	e.close()
	return nil
}
