package httpsys

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A Queue is a program's end of a request queue, for programs that pull
// requests one by one instead of having a handler called. It may be used by
// several goroutines.
type Queue struct {
	srv *Server
	e   *endpoint

	mu      sync.Mutex
	arrived fifo
	waiters []chan *exchange // Receives, in the order in which they came
}

// An Incoming is a request that was pulled, with its response. Close must be
// called when the response is complete.
type Incoming struct {
	// Request is like that of a handler. Its context ends with the client, the
	// Queue, or Close.
	Request *http.Request
	// Response is like that of a handler, with all its optional interfaces.
	Response http.ResponseWriter
	x        *exchange
}

// Close completes the response, and is to be called once nothing more is to be
// written. It is what returning is for a handler.
func (in *Incoming) Close() error {
	in.x.resp.finish(true)
	flushSoon(in.x.l)
	return in.x.resp.failure()
}

// Abort ends the request without a complete response: the client gets 502, or
// finds the connection cut.
func (in *Incoming) Abort() {
	in.x.resp.finish(false)
	flushSoon(in.x.l)
}

// failure says why the response could not be completed.
func (w *response) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

// Open registers the prefix and returns a Queue to pull its requests from.
func Open(url string) (*Queue, error) {
	return (&Server{Prefixes: []string{url}}).Open(context.Background())
}

// Open registers the prefixes and returns a Queue to pull requests from. ctx
// bounds the registration; its values are those of the contexts of requests.
// Shutdown of the Server lets Receive return what is still to come.
func (s *Server) Open(ctx context.Context) (*Queue, error) {
	q := &Queue{srv: s}
	// No credit at first: one for each Receive.
	if _, err := s.start(ctx, q, 0, false); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *Queue) use(e *endpoint) { q.e = e }

// URLs returns the registered prefixes; see Server.URLs.
func (q *Queue) URLs() []string { return q.srv.URLs() }

// Shutdown gives the prefixes back and waits until what was routed here has
// been received and closed; see Server.Shutdown.
func (q *Queue) Shutdown(ctx context.Context) error { return q.srv.Shutdown(ctx) }

// Close ends at once. Requests that were not received may go to another
// process.
func (q *Queue) Close() error { return q.srv.Close() }

// Receive waits for the next request. A request whose client has left is not
// returned. After Shutdown, Receive returns what still comes, then
// ErrServerClosed.
//
// The daemon hands requests out on each of its event loops, so while one
// Receive waits, as many requests may come as there are loops; those beyond
// it are returned by the next calls. A program should not stop calling Receive
// before it closes the Queue.
func (q *Queue) Receive(ctx context.Context) (*Incoming, error) {
	for {
		x, err := q.take(ctx)
		if err != nil {
			return nil, err
		}
		if x.gone.Load() {
			x.drop()
			continue
		}
		if x.prepare() != nil {
			x.refuse()
			x.resp.finish(true)
			flushSoon(x.l)
			continue
		}
		return &Incoming{Request: &x.req, Response: &x.resp, x: x}, nil
	}
}

// drop ends a request that nobody waits for.
func (x *exchange) drop() {
	x.cancel(cancelAbort)
	flushSoon(x.l)
}

// take returns the next request, begun.
func (q *Queue) take(ctx context.Context) (*exchange, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	if x := q.arrived.pop(); x != nil {
		x.l.begun.begin(x.index)
		q.mu.Unlock()
		return x, nil
	}
	ch := make(chan *exchange, 1)
	q.waiters = append(q.waiters, ch)
	q.mu.Unlock()
	q.grant()
	select {
	case x := <-ch:
		return x, nil
	case <-ctx.Done():
		return q.giveUp(ch, ctx.Err())
	case <-q.e.ended:
		return q.giveUp(ch, ErrServerClosed)
	}
}

// giveUp withdraws a Receive; if a request was handed to it at the same moment,
// that is returned.
func (q *Queue) giveUp(ch chan *exchange, err error) (*exchange, error) {
	q.mu.Lock()
	i := slices.Index(q.waiters, ch)
	if i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 {
		return <-ch, nil
	}
	return nil, err
}

// grant tops the credit of each loop up to the number of waiting Receives.
func (q *Queue) grant() {
	s := q.e.current()
	if s == nil {
		return
	}
	q.mu.Lock()
	var told []*loop
	for _, l := range s.loops {
		missing := min(len(q.waiters), channel.MaxCredit) - l.credit
		if missing <= 0 {
			continue
		}
		l.mu.Lock()
		if !l.closed && !l.leaving {
			l.credit += missing
			l.out.buf = channel.AppendUint32Frame(l.out.buf, channel.Credit, 0, uint32(missing))
			told = append(told, l)
		}
		l.mu.Unlock()
	}
	q.mu.Unlock()
	for _, l := range told {
		l.flush()
	}
}

// connected gives a new session the credit for the Receives that wait.
func (q *Queue) connected(*session) { q.grant() }

// deliver hands requests to those who wait for them.
func (q *Queue) deliver(batch []*exchange) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, x := range batch {
		x.l.credit--
		if len(q.waiters) == 0 {
			q.arrived.push(x)
			continue
		}
		x.l.begun.begin(x.index)
		ch := q.waiters[0]
		q.waiters = slices.Delete(q.waiters, 0, 1)
		ch <- x
	}
}

func (q *Queue) kick(l *loop)     { flushSoon(l) }
func (q *Queue) detach(*exchange) {}
func (q *Queue) closing(bool)     {}
func (q *Queue) closed()          {}

func (q *Queue) disconnected(*session, uint64) {}
