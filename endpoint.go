package httpsys

import (
	"context"
	"log"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A sink takes the requests of an endpoint. There are three: a pool of
// handlers, a Queue for those who pull, and a listener.
type sink interface {
	// deliver takes the requests of one read, in the order of arrival. It is
	// called by the reader of their loop and must not block.
	deliver(batch []*exchange)
	// kick makes sure that l is flushed soon.
	kick(l *loop)
	// detach says that a request has become a connection in opaque mode.
	detach(x *exchange)
	// connected says that a session is registered and its loops are open.
	connected(s *session)
	// closing says that the end begins: orderly, or at once. After closed,
	// nothing comes any more.
	closing(orderly bool)
	closed()
	// disconnected says that a client has left of whose connection we were told.
	disconnected(s *session, number uint64)
}

// An endpoint keeps a set of prefixes registered: it connects, registers, and
// does both again when the daemon was restarted. What comes it gives to its
// sink.
type endpoint struct {
	srv         *Server
	sink        sink
	credit      int    // requests that the daemon may send at once on each loop
	connections string // of which connections of clients the daemon tells
	autoCredit  bool   // the end of a request gives its credit back
	base        context.Context
	baseEnds    bool         // it can end before the requests do
	standIn     *http.Server // for http.ServerContextKey

	ctx    context.Context // of connecting; ends when the endpoint stops
	cancel context.CancelFunc

	mu       sync.Mutex
	sess     *session // the latest; nil before the first
	wanted   []wantedPrefix
	stopped  bool
	stopBase func() bool // ends waiting for the end of base

	kept  chan struct{} // closed when nobody connects again any more
	ended chan struct{} // closed when nothing comes any more
	end   sync.Once
}

// A wantedPrefix is a prefix to be registered. group is the place of the
// first prefix that wants the same port, where that is to be found out.
type wantedPrefix struct {
	url   string // as asked for, then as it was registered
	group int
	// trusted: clients need a trusted certificate.
	trusted bool
	// compress: responses are compressed, also if those of the Server are not.
	compress bool
}

// Waits between attempts to connect again: short at first, since a daemon that
// is restarted is back within moments.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
)

// start connects and registers for the first time; its error is the caller's.
// ctx bounds that alone.
func (e *endpoint) start(ctx context.Context) error {
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.kept = make(chan struct{})
	e.ended = make(chan struct{})
	sess, err := e.connect(ctx, "")
	if err != nil {
		e.cancel()
		return err
	}
	if e.baseEnds {
		e.mu.Lock()
		e.stopBase = context.AfterFunc(e.base, e.cancelRequests)
		e.mu.Unlock()
	}
	go e.keep(sess)
	return nil
}

// connect makes a session with everything registered. news is to be logged
// then.
func (e *endpoint) connect(ctx context.Context, news string) (*session, error) {
	s, err := openSession(ctx, e.srv.Socket)
	if err != nil {
		return nil, err
	}
	for i := range e.wanted {
		w := &e.wanted[i]
		params := e.srv.registration(e.samePort(i))
		if w.trusted {
			params.ClientCertificate = channel.ClientCertificateTrusted
		}
		params.Compress = params.Compress || w.compress
		url, err := s.register(ctx, params)
		if err != nil {
			s.fail(err)
			return nil, err
		}
		e.mu.Lock()
		w.url = url
		e.mu.Unlock()
	}
	if err := s.openLoops(ctx, e); err != nil {
		return nil, err
	}
	e.mu.Lock()
	stopped := e.stopped
	if !stopped {
		e.sess = s
	}
	e.mu.Unlock()
	if stopped {
		s.fail(ErrServerClosed)
		return nil, ErrServerClosed
	}
	e.sink.connected(s)
	if news != "" {
		e.logf("%s", news)
	}
	e.srv.registered(e.urls())
	return s, nil
}

// samePort returns the URL to register for prefix i: with the port of its
// group once that is known.
func (e *endpoint) samePort(i int) string {
	w := e.wanted[i]
	if w.group == i {
		return w.url
	}
	p, err := prefix.Parse(w.url)
	first, ferr := prefix.Parse(e.wanted[w.group].url)
	if err != nil || ferr != nil || p.Port != 0 {
		return w.url // the daemon says what is wrong with it
	}
	p.Port = first.Port
	return p.String()
}

// urls returns the registered prefixes.
func (e *endpoint) urls() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	urls := make([]string, len(e.wanted))
	for i, w := range e.wanted {
		urls[i] = w.url
	}
	return urls
}

// keep connects again whenever a session has ended.
func (e *endpoint) keep(s *session) {
	defer close(e.kept)
	for {
		select {
		case <-s.failed:
		case <-e.ctx.Done():
			return
		}
		if e.ctx.Err() != nil {
			return
		}
		e.logf("httpsys: the connection to the daemon is lost: %v; connecting again", s.failure)
		if s = e.connectAgain(); s == nil {
			return
		}
	}
}

// connectAgain tries until it succeeds; it returns nil when the endpoint
// stops. An error is logged when it is another one than before.
func (e *endpoint) connectAgain() *session {
	last := ""
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		// Half of it by chance, so that the programs of a machine do not all
		// come at the same moment.
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-e.ctx.Done():
			return nil
		}
		s, err := e.connect(e.ctx, "httpsys: registered again")
		if err == nil {
			return s
		}
		if e.ctx.Err() != nil {
			return nil
		}
		if err.Error() != last {
			last = err.Error()
			e.logf("httpsys: %v", err)
		}
	}
}

// stop ends reconnecting and returns the session that there is.
func (e *endpoint) stop() *session {
	e.mu.Lock()
	e.stopped = true
	s, stopBase := e.sess, e.stopBase
	e.mu.Unlock()
	e.cancel()
	if stopBase != nil {
		stopBase()
	}
	return s
}

// shutdown ends the endpoint in order: the prefixes are given back first, so
// that no new requests are routed here; then the daemon is asked to send what
// it has already routed and no more; then all of it is finished. When ctx ends
// before, the rest is cut off.
func (e *endpoint) shutdown(ctx context.Context) error {
	s := e.stop()
	e.sink.closing(true)
	<-e.kept
	// An error means that there is nothing to give back any more.
	s.unregister(ctx)
	err := s.drain(ctx)
	e.finish(s)
	return err
}

// close ends everything at once.
func (e *endpoint) close() {
	s := e.stop()
	e.sink.closing(false)
	e.finish(s)
}

func (e *endpoint) finish(s *session) {
	s.fail(ErrServerClosed)
	e.end.Do(func() {
		close(e.ended)
		e.sink.closed()
	})
}

// current returns the latest session, or nil before the first.
func (e *endpoint) current() *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sess
}

// cancelRequests cancels the contexts of all requests: the base context has
// ended.
func (e *endpoint) cancelRequests() {
	for _, l := range e.current().loops {
		l.mu.Lock()
		streams := l.streams.all()
		l.mu.Unlock()
		for _, x := range streams {
			x.ctx.cancel()
		}
	}
}

func (e *endpoint) logf(format string, args ...any) {
	if e.srv.ErrorLog != nil {
		e.srv.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// daemonStops passes the daemon's announcement on, once.
func (e *endpoint) daemonStops(s *session) {
	if e.srv.OnDaemonStop != nil {
		s.stops.Do(func() { go e.srv.OnDaemonStop() })
	}
}

func (e *endpoint) kick(l *loop) { e.sink.kick(l) }

// flushSoon is the kick of sinks that have no goroutine at hand.
func flushSoon(l *loop) {
	l.mu.Lock()
	due := !l.out.kicked && !l.out.writing && len(l.out.buf) > 0
	if due {
		l.out.kicked = true
	}
	l.mu.Unlock()
	if due {
		go l.flush()
	}
}

// registration makes the parameters of a call from the settings.
func (s *Server) registration(url string) channel.RegisterParams {
	p := channel.RegisterParams{
		URL: url, Queue: s.Queue, Limit: s.QueueLimit, Timeouts: s.Timeouts.params(), OpaqueLimit: s.OpaqueLimit,
		CacheDurationMS: s.CacheDuration.Milliseconds(), Compress: s.Compress,
	}
	if s.MaxAge != 0 {
		ms := milliseconds(s.MaxAge)
		p.MaxAgeMS = &ms
	}
	if s.Affinity != (Affinity{}) {
		p.Affinity = &channel.Affinity{Query: s.Affinity.Query, Cookie: s.Affinity.Cookie, Address: s.Affinity.Address}
	}
	if strings.HasPrefix(url, "https:") {
		p.Certificate = s.certificate
	}
	return p
}
