package compat

import (
	"bytes"
	"fmt"
	"log"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys/internal/testkit"
)

// patience is how long anything may take: far longer than it ever does.
const patience = 20 * time.Second

// A testCase is a handler, what a client does, and what the two see.
type testCase struct {
	name string

	// handle answers the requests; build makes a handler where one that is
	// more than a function is needed.
	handle func(r *run, w http.ResponseWriter, req *http.Request)
	build  func(r *run) http.Handler

	// send is what the client sends: whole requests, each of which it awaits
	// the response of; see [conn.exchange]. A line ends in "\n" here. client is
	// what it does where that is not enough.
	send   string
	client func(r *run)

	sees string // what the handler noted
	gets string // what the client noted: the responses, for send
	logs string // what the error log contains; "" is nothing at all

	// but says where another server than the reference differs on purpose.
	but []exception
}

// An exception says what is different on some servers. An empty text is no
// difference; "-" stands for no notes at all. What cannot be is skipped.
type exception struct {
	on               []string
	sees, gets, logs string
	skip             bool
	why              string
}

var (
	onServe  = []string{served}
	onListen = []string{listened}
	onBoth   = []string{served, listened}
)

// Reasons that several cases have.
const (
	brokenOff  = "The client's connection is the daemon's, which says 502 where net/http can only hang up."
	ownVersion = "RFC 9110 6.2: a server answers with the highest version of the protocol that it speaks, and says here that it closes."
	ownReason  = "The daemon says it in the words of RFC 9110."
)

// runCases runs cases on all servers, on one daemon.
func runCases(t *testing.T, cases []testCase) {
	d := testkit.Start(t, testkit.Options{Loops: 2})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.check(t)
			for _, server := range servers {
				if c.wanted(server).skip {
					continue
				}
				t.Run(server, func(t *testing.T) { c.run(t, server, d) })
			}
			if _, can := c.http2Request("localhost:1"); can {
				t.Run("HTTP/2", func(t *testing.T) { c.overHTTP2(t, d) })
			}
		})
	}
}

func (c testCase) run(t *testing.T, server string, d *testkit.Daemon) {
	r := &run{T: t, server: server, d: d, events: make(map[string]chan struct{})}
	var book logBook
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { c.handle(r, w, req) }))
	if c.build != nil {
		h = c.build(r)
	}
	r.addr = start(t, server, d, r.watch(h), log.New(&book, "", 0))
	if c.client != nil {
		c.client(r)
	} else {
		r.dial().exchange(c.send)
	}
	r.rest()
	want := c.wanted(server)
	if diff := cmp.Diff(tidy(want.sees), tidy(r.sees.String())); diff != "" {
		t.Errorf("what the handler sees (+) is not what is wanted (-):\n%s", diff)
	}
	if diff := cmp.Diff(tidy(want.gets), tidy(r.gets.String())); diff != "" {
		t.Errorf("what the client gets (+) is not what is wanted (-):\n%s", diff)
	}
	if s := book.String(); !strings.Contains(s, want.logs) || want.logs == "" && s != "" {
		t.Errorf("logged %q, want %q", s, want.logs)
	}
}

// check finds exceptions that are none.
func (c testCase) check(t *testing.T) {
	same := exception{sees: c.sees, gets: c.gets, logs: c.logs}
	for _, b := range c.but {
		if b.why == "" {
			t.Error("an exception without a reason")
		}
		for _, s := range b.on {
			if w := c.wanted(s); w.sees == same.sees && w.gets == same.gets && w.logs == same.logs && !w.skip {
				t.Errorf("nothing is different on %s", s)
			}
		}
	}
}

// wanted returns what is to be seen on a server.
func (c testCase) wanted(server string) exception {
	want := exception{sees: c.sees, gets: c.gets, logs: c.logs}
	replace := func(s *string, by string) {
		switch by {
		case "":
		case "-":
			*s = ""
		default:
			*s = by
		}
	}
	for _, b := range c.but {
		for _, s := range b.on {
			if s == server {
				replace(&want.sees, b.sees)
				replace(&want.gets, b.gets)
				replace(&want.logs, b.logs)
				want.skip = want.skip || b.skip
			}
		}
	}
	return want
}

// tidy takes away the empty lines around a text.
func tidy(s string) string { return strings.Trim(s, "\n") }

// A run is one case on one server.
type run struct {
	*testing.T
	server string
	addr   string
	d      *testkit.Daemon

	running sync.WaitGroup // handlers
	sees    notes
	gets    notes

	mu     sync.Mutex
	events map[string]chan struct{}
}

// see notes what the handler sees, get what the client gets.
func (r *run) see(format string, args ...any) { r.sees.add(format, args...) }
func (r *run) get(format string, args ...any) { r.gets.add(format, args...) }

// url makes a URL of a target.
func (r *run) url(target string) string { return "http://" + r.addr + target }

// watch lets rest wait for the handlers, and answers the probes that find out
// whether a connection is still open.
func (r *run) watch(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == probe {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		r.mu.Lock() // rest is another goroutine, and a socket no order between them
		r.running.Add(1)
		r.mu.Unlock()
		defer r.running.Done()
		h.ServeHTTP(w, req)
	})
}

// probe is the method of a request that only asks whether there is a server.
const probe = "PROBE"

// rest waits until all handlers have returned.
func (r *run) rest() {
	r.Helper()
	done := make(chan struct{})
	go func() {
		r.mu.Lock()
		r.mu.Unlock()
		r.running.Wait()
		close(done)
	}()
	r.await("the end of the handlers", done)
}

// await waits for a channel.
func (r *run) await(what string, c <-chan struct{}) {
	r.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		r.Errorf("waited in vain for %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
	}
}

// event returns the channel of an event by which handler and client wait for
// each other.
func (r *run) event(name string) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.events[name]
	if c == nil {
		c = make(chan struct{})
		r.events[name] = c
	}
	return c
}

// signal says that something has happened.
func (r *run) signal(event string) { close(r.event(event)) }

// wait waits until something has happened.
func (r *run) wait(event string) {
	r.Helper()
	r.await(event, r.event(event))
}

// notes is text that grows.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(&n.b, format, args...)
	n.b.WriteByte('\n')
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

// A logBook keeps what is logged.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
