package exchange

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/queue"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// client notes what an exchange tells it.
type client struct {
	said     []string
	noOpaque bool
	onRead   func()
}

func (c *client) note(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

func (c *client) Informational(r *message.Response) { c.note("informational %d", r.Status) }
func (c *client) Respond(r *message.Response, body []byte, end bool) {
	c.note("respond %d %q end=%v", r.Status, body, end)
}
func (c *client) Stored(a *cache.Answer, end bool) {
	c.note("stored %d %q end=%v", a.Status, a.Body, end)
}
func (c *client) Run(r cache.Run, cost int, end bool) {
	c.note("run %q cost %d end=%v", r.Head(r.Len()), cost, end)
	r.Body.Release()
}
func (c *client) Moved(*Exchange)            { c.note("moved") }
func (c *client) Body(b []byte, end bool)    { c.note("body %q end=%v", b, end) }
func (c *client) Trailers(f []message.Field) { c.note("trailers %s", f[0].Name) }
func (c *client) File(fd int, offset, length int64, end bool) {
	c.note("file %d %d+%d end=%v", fd, offset, length, end)
}
func (c *client) Opaque(r *message.Response) {
	if r == nil {
		c.note("opaque")
	} else {
		c.note("opaque %d", r.Status)
	}
}
func (c *client) CanOpaque(int) bool                { return !c.noOpaque }
func (c *client) Close()                            { c.note("close") }
func (c *client) Hangup()                           { c.note("hangup") }
func (c *client) Fail(status int, reason, _ string) { c.note("fail %d %s", status, reason) }
func (c *client) Abort()                            { c.note("abort") }
func (c *client) ReadMore() {
	c.note("read more")
	if c.onRead != nil {
		c.onRead()
	}
}

// heard returns what the client has heard since it was last asked.
func (c *client) heard() string {
	s := strings.Join(c.said, "; ")
	c.said = nil
	return s
}

// worker notes what an exchange tells it, and takes requests while it has
// credit.
type worker struct {
	name    string
	credit  int
	window  int // for request bodies
	initial int // for response bodies
	room    int
	budget  int
	seat    *queue.Seat[*Exchange]
	got     []*Exchange
	said    []string
	deaf    bool
}

func newWorker(r *rig, credit int) *worker {
	w := &worker{credit: credit, window: 1000, initial: 1000, room: 1 << 20, budget: 1 << 30}
	w.seat = r.queue.Lane(0).Join(w)
	if credit > 0 {
		for w.seat.Ready() {
		}
	}
	return w
}

func (w *worker) note(format string, args ...any) {
	if !w.deaf {
		w.said = append(w.said, fmt.Sprintf(format, args...))
	}
}

func (w *worker) heard() string {
	s := strings.Join(w.said, "; ")
	w.said = nil
	return s
}

func (w *worker) Take(x *Exchange) bool {
	if w.credit == 0 {
		return false
	}
	if !x.Fits(w.window) {
		x.GiveUp()
		return true
	}
	w.credit--
	w.got = append(w.got, x)
	w.note("request")
	x.Assign(w, uint32(len(w.got)), w.window, w.initial)
	return true
}

func (w *worker) ID() uint64                              { return 1 }
func (w *worker) Data(_ *Exchange, b []byte, end bool)    { w.note("data %d end=%v", len(b), end) }
func (w *worker) Trailers(_ *Exchange, f []message.Field) { w.note("trailers %s", f[0].Name) }
func (w *worker) Cancel(_ *Exchange, reason uint16)       { w.note("cancel %d", reason) }
func (w *worker) Window(_ *Exchange, n int)               { w.note("window %d", n) }
func (w *worker) Ahead(*Exchange)                         { w.note("ahead") }
func (w *worker) Socket(_ *Exchange, fd int, pending []byte) bool {
	w.note("socket %d %q", fd, pending)
	return !w.deaf
}
func (w *worker) NoSocket(*Exchange) { w.note("no socket") }
func (w *worker) Woken(*Exchange)    { w.note("woken") }
func (w *worker) Ref() *WorkerRef    { return &WorkerRef{w} }
func (w *worker) Room() int          { return w.room }
func (w *worker) Lend(n int) int     { n = min(n, w.budget); w.budget -= n; return n }
func (w *worker) Return(n int)       { w.budget += n }

// rig is a stage whose router knows one registration.
type rig struct {
	*Stage
	t       *testing.T
	queue   *Queue
	reg     *Registration
	outcome prefix.Outcome
	now     int64
	path    string // that was routed
}

func (r *rig) Match(_ prefix.Scheme, _ uint16, _ []byte, _ netip.Addr, path []byte) (*Registration, prefix.Outcome) {
	if r.path != string(path) {
		r.path = string(path)
	}
	if r.outcome != prefix.Matched {
		return nil, r.outcome
	}
	return r.reg, r.outcome
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, queue: queue.New[*Exchange]("q", 1), outcome: prefix.Matched}
	r.reg = &Registration{ID: 7, Queue: r.queue}
	r.Stage = NewStage(0, r, func() int64 { return r.now })
	t.Cleanup(func() {
		if r.Live() != 0 || r.queue.Waiting() != 0 {
			t.Errorf("%d exchanges live and %d wait at the end", r.Live(), r.queue.Waiting())
		}
	})
	return r
}

func request(method, target string, length int64) *message.Request {
	return &message.Request{
		Method: []byte(method), Target: []byte(target), Path: []byte(target), Authority: []byte("a"), Version: 11,
		ContentLength: length, Fields: []message.Field{{Name: []byte("Host"), Value: []byte("a")}},
	}
}

var facts = Facts{Scheme: prefix.HTTP, Port: 80, Connection: 5, Addresses: "1.2.3.4:5\x006.7.8.9:10\x00"}

// begin begins a request that must be accepted.
func (r *rig) begin(c *client, body string, complete bool) *Exchange {
	r.t.Helper()
	x, reg, refusal := r.Begin(c, request("POST", "/", -1), &facts, []byte(body), complete)
	if x == nil || reg != r.reg || refusal.Status != 0 {
		r.t.Fatalf("refused: %+v", refusal)
	}
	return x
}

func want(t *testing.T, who, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s heard %q, want %q", who, got, want)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

func head(status int) *message.Response { return &message.Response{Status: status, ContentLength: -1} }

// Why a request does not become an exchange.
func TestRefusals(t *testing.T) {
	r := newRig(t)
	most := int64(10)
	r.reg.Override.MaxBody = &most
	r.queue.Limit = 1
	for _, tc := range []struct {
		name    string
		outcome prefix.Outcome
		target  string
		length  int64
		status  int
		retry   bool
	}{
		{"no host", prefix.NoHost, "/", 0, 400, false},
		{"no path", prefix.NoPath, "/", 0, 404, false},
		{"reserved", prefix.Reserved, "/", 0, 503, true},
		{"a bad path", prefix.Matched, "/%zz", 0, 400, false},
		{"a body too long", prefix.Matched, "/", 11, 413, false},
		{"a full queue", prefix.Matched, "/", 10, 503, true},
	} {
		if tc.name == "a full queue" {
			first := r.begin(&client{}, "", true)
			defer first.ClientGone()
		}
		r.outcome = tc.outcome
		x, _, got := r.Begin(&client{}, request("POST", tc.target, tc.length), &facts, nil, true)
		if x != nil || got.Status != tc.status || got.Retry != tc.retry || got.Reason == "" || got.Text == "" {
			t.Errorf("%s: %+v, want %d", tc.name, got, tc.status)
		}
	}
	// The longest head that is possible does not fit a frame with much more.
	r.queue.Limit = 10
	long := request("GET", "/", 0)
	long.Fields = append(long.Fields, message.Field{Name: []byte("a"), Value: make([]byte, channel.MaxPayload)})
	if x, _, got := r.Begin(&client{}, long, &facts, nil, true); x != nil || got.Status != 431 {
		t.Errorf("a head longer than a frame: %+v", got)
	}
}

// What a request is routed by.
func TestRoutedPath(t *testing.T) {
	r := newRig(t)
	for target, want := range map[string]string{"/": "/", "/a/../%62": "/b", "*": "/", "": "/"} {
		x, _, refusal := r.Begin(&client{}, request("OPTIONS", target, 0), &facts, nil, true)
		if refusal.Status != 0 || r.path != want {
			t.Errorf("%q was routed by %q, want %q (%+v)", target, r.path, want, refusal)
			continue
		}
		x.ClientGone()
	}
}

// The frame that a worker gets.
func TestRequestFrame(t *testing.T) {
	r := newRig(t)
	req := request("POST", "/x", 5)
	req.ExpectContinue, req.Upgrade = true, true
	x, _, _ := r.Begin(&client{}, req, &Facts{Scheme: prefix.HTTPS, Connection: 5, Addresses: facts.Addresses}, []byte("hello"), true)
	defer x.ClientGone()
	frame := slices.Clone(x.Frame())
	frame[4] = 1 // the channel sets the number
	h, err := channel.ParseHeader(frame)
	if err != nil || h.Type != channel.Request || h.Flags != channel.FlagEnd || int(h.Length) != len(x.Frame())-channel.HeaderSize {
		t.Fatalf("header %+v, %v", h, err)
	}
	got, body, err := channel.ParseRequest(x.Frame()[channel.HeaderSize:])
	if err != nil || string(body) != "hello" {
		t.Fatalf("body %q, %v", body, err)
	}
	text := "POST\x00/x\x00a\x001.2.3.4:5\x006.7.8.9:10\x00Host\x00a\x00"
	if string(got.Text) != text || got.FieldCount != 1 || got.Method != channel.MethodPost || got.Version != 11 ||
		got.Registration != 7 || got.Connection != 5 || got.ContentLength != 5 ||
		got.Flags != channel.RequestTLS|channel.RequestContinue|channel.RequestUpgrade {
		t.Errorf("head %+v", got)
	}
}

// The steps of a request, in order.
func TestSteps(t *testing.T) {
	r := newRig(t)
	w := newWorker(r, 1)
	c := &client{}
	x := r.begin(c, "he", false)
	want(t, "client", c.heard(), "read more")
	want(t, "worker", w.heard(), "request")
	if x.Room() != 998 {
		t.Errorf("room %d after 2 of 1000 bytes", x.Room())
	}
	x.RequestBody([]byte("ll"), false)
	x.RequestBody([]byte("o"), true)
	want(t, "worker", w.heard(), "data 2 end=false; data 1 end=true")
	for _, err := range []error{
		x.Respond(head(103), nil, false), x.Respond(head(200), []byte("a"), false), x.Data([]byte("b"), false),
		x.File(99, 1, 2, false), x.Data(nil, true),
	} {
		if err != nil && !errors.Is(err, ErrWindow) {
			t.Error(err)
		}
	}
	want(t, "client", c.heard(), `informational 103; respond 200 "a" end=false; body "b" end=false; body "" end=true`)
	if r.Live() != 0 {
		t.Errorf("%d exchanges live", r.Live())
	}
}

// Each way in which an exchange ends: the client hears the right word, and
// nobody hears anything afterwards.
func TestEnds(t *testing.T) {
	started := func(x *Exchange) { x.Respond(head(200), nil, false) }
	opaque := func(x *Exchange) { x.Opaque(nil, nil, false) }
	for _, tc := range []struct {
		name           string
		before         func(*Exchange)
		end            func(*Exchange) error
		client, worker string
	}{
		{"a whole response", nil, func(x *Exchange) error { return x.Respond(head(200), nil, true) }, `respond 200 "" end=true`, ""},
		{"the last piece", started, func(x *Exchange) error { return x.Data([]byte("x"), true) }, `body "x" end=true`, ""},
		{"trailers", started, func(x *Exchange) error { return x.Trailers([]message.Field{{Name: []byte("a")}}) }, "trailers a", ""},
		{"CANCEL before the head", nil, func(x *Exchange) error { x.WorkerCancels(false); return nil }, "fail 502 Request_Cancelled", ""},
		{"CANCEL after it", started, func(x *Exchange) error { x.WorkerCancels(false); return nil }, "abort", ""},
		{"close of an opaque one", opaque, func(x *Exchange) error { x.WorkerCancels(true); return nil }, "close", ""},
		{"abort of an opaque one", opaque, func(x *Exchange) error { x.WorkerCancels(false); return nil }, "abort", ""},
		{"death before the head", nil, func(x *Exchange) error { x.WorkerDied(true); return nil }, "fail 502 Connection_Abandoned_By_ReqQueue", ""},
		{"death after it", started, func(x *Exchange) error { x.WorkerDied(true); return nil }, "abort", ""},
		{"death of an opaque one", opaque, func(x *Exchange) error { x.WorkerDied(true); return nil }, "abort", ""},
		{"the client leaves", nil, func(x *Exchange) error { x.ClientGone(); return nil }, "", "cancel 1"},
		{"the client leaves an opaque one", opaque, func(x *Exchange) error { x.ClientGone(); return nil }, "", "cancel 1"},
	} {
		r := newRig(t)
		w := newWorker(r, 1)
		c := &client{}
		x := r.begin(c, "", true)
		if tc.before != nil {
			tc.before(x)
		}
		c.heard()
		w.heard()
		if err := tc.end(x); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if got := c.heard(); got != tc.client {
			t.Errorf("%s: the client heard %q, want %q", tc.name, got, tc.client)
		}
		if got := w.heard(); got != tc.worker {
			t.Errorf("%s: the worker heard %q, want %q", tc.name, got, tc.worker)
		}
		if r.Live() != 0 {
			t.Errorf("%s: %d exchanges live", tc.name, r.Live())
		}
	}
}

// What a worker may not do at a time.
func TestOrder(t *testing.T) {
	trailers := []message.Field{{Name: []byte("a")}}
	for _, tc := range []struct {
		name   string
		before func(*Exchange)
		do     func(*Exchange) error
		want   error
	}{
		{"a body before a head", nil, func(x *Exchange) error { return x.Data(nil, true) }, ErrOrder},
		{"trailers before a head", nil, func(x *Exchange) error { return x.Trailers(trailers) }, ErrOrder},
		{"a file before a head", nil, func(x *Exchange) error { return x.File(1, 0, 1, true) }, ErrOrder},
		{"two heads", func(x *Exchange) { x.Respond(head(200), nil, false) }, func(x *Exchange) error { return x.Respond(head(200), nil, true) }, ErrOrder},
		{"an informational head too late", func(x *Exchange) { x.Respond(head(200), nil, false) }, func(x *Exchange) error { return x.Respond(head(103), nil, false) }, ErrOrder},
		{"an informational end", nil, func(x *Exchange) error { return x.Respond(head(103), nil, true) }, ErrOrder},
		{"opaque after a head", func(x *Exchange) { x.Respond(head(200), nil, false) }, func(x *Exchange) error { return x.Opaque(nil, nil, false) }, ErrOrder},
		{"opaque twice", func(x *Exchange) { x.Opaque(nil, nil, false) }, func(x *Exchange) error { return x.Opaque(nil, nil, false) }, ErrOrder},
		{"trailers in opaque mode", func(x *Exchange) { x.Opaque(nil, nil, false) }, func(x *Exchange) error { return x.Trailers(trailers) }, ErrOrder},
		{"a file in opaque mode", func(x *Exchange) { x.Opaque(nil, nil, false) }, func(x *Exchange) error { return x.File(1, 0, 1, false) }, ErrOrder},
		{"bytes behind an opaque end", func(x *Exchange) { x.Opaque(nil, nil, false); x.Data(nil, true) }, func(x *Exchange) error { return x.Data([]byte("x"), false) }, ErrOrder},
		{"more than the window with the head", nil, func(x *Exchange) error { return x.Respond(head(200), make([]byte, 1001), true) }, ErrWindow},
		{"more than the window later", func(x *Exchange) { x.Respond(head(200), make([]byte, 1000), false) }, func(x *Exchange) error { return x.Data([]byte("x"), true) }, ErrWindow},
		{"more than the window in opaque mode", nil, func(x *Exchange) error { return x.Opaque(nil, make([]byte, 1001), false) }, ErrWindow},
		{"a file that the window does not take", func(x *Exchange) { x.Respond(head(200), nil, false) }, func(x *Exchange) error { return x.File(1, 0, 1, true) }, ErrWindow},
		{"a window above all bounds", nil, func(x *Exchange) error { return x.WindowUpdate(channel.MaxWindow) }, ErrWindow},
	} {
		r := newRig(t)
		newWorker(r, 1)
		c := &client{}
		x := r.begin(c, "", true)
		if tc.before != nil {
			tc.before(x)
		}
		c.heard()
		if err := tc.do(x); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if got := c.heard(); got != "" {
			t.Errorf("%s: the client heard %q", tc.name, got)
		}
		x.WorkerDied(true) // what the channel does then
	}
	// A client that cannot leave HTTP, and a request that is not complete.
	r := newRig(t)
	newWorker(r, 2)
	x := r.begin(&client{noOpaque: true}, "", true)
	var m *Misuse
	if err := x.Opaque(head(101), nil, false); !errors.As(err, &m) {
		t.Fatalf("got error %v, want Misuse", err)
	}
	c := x.client.(*client)
	x.RefusedFor(m)
	want(t, "the client", c.heard(), "fail 500 AppMisuse")
	x = r.begin(&client{}, "", false)
	wantErr(t, x.Opaque(nil, nil, false), errNotEnded)
	x.ClientGone()
}

// A worker that dies: what it had not begun goes to another one as it was, or
// waits with its age.
func TestDeathOfAWorker(t *testing.T) {
	type step struct {
		name  string
		do    func(x *Exchange)
		moves bool
	}
	for _, s := range []step{
		{"untouched", func(*Exchange) {}, true},
		{"with a body that is kept", func(x *Exchange) { x.RequestBody([]byte("hello"), true) }, true},
		{"with a body in pieces", func(x *Exchange) { x.RequestBody([]byte("hel"), false); x.RequestBody([]byte("lo"), false) }, true},
		{"half-closed", func(x *Exchange) { x.RequestBody(nil, true); x.ClientHalfClosed() }, true},
		{"an informational response", func(x *Exchange) { x.Respond(head(103), nil, false) }, false},
		{"a window", func(x *Exchange) { x.WindowUpdate(1) }, false},
		{"a body that broke", func(x *Exchange) { x.RequestBroken() }, false},
		{"trailers", func(x *Exchange) { x.RequestTrailers([]message.Field{{Name: []byte("a")}}) }, false},
		{"more body than is kept", func(x *Exchange) {
			for range 3 {
				x.RequestBody(make([]byte, keepBody/2), false)
			}
		}, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			r := newRig(t)
			w := newWorker(r, 0)
			w.window = 1 << 20
			c := &client{}
			r.now = 100
			x := r.begin(c, "", false)
			w.credit = 1
			w.seat.Ready()
			s.do(x)
			frame := slices.Clone(x.Frame())
			w.seat.Leave()
			c.heard()
			r.now = 200
			x.WorkerDied(false)
			if !s.moves {
				want(t, "client", c.heard(), "fail 502 Connection_Abandoned_By_ReqQueue")
				return
			}
			want(t, "client", c.heard(), "")
			if since, ok := r.queue.Lane(0).Oldest(); !ok || since != 100 {
				t.Errorf("it waits since %d, %v; want since 100", since, ok)
			}
			if x.Room() != 0 {
				t.Errorf("there is room for %d bytes while it waits", x.Room())
			}
			next := newWorker(r, 1)
			if len(next.got) != 1 || next.got[0] != x || string(x.Frame()) != string(frame) {
				t.Fatalf("the next worker got something else")
			}
			if s.name == "half-closed" {
				want(t, "next worker", next.heard(), "request; cancel 2")
			}
			if err := x.Respond(head(200), nil, true); err != nil {
				t.Error(err)
			}
		})
	}
}

// Bytes that were sent already count in the window of the next worker.
func TestWindowOfTheNextWorker(t *testing.T) {
	r := newRig(t)
	w := newWorker(r, 1)
	x := r.begin(&client{}, "", false)
	x.RequestBody(make([]byte, 900), false)
	w.seat.Leave()
	x.WorkerDied(false)
	next := newWorker(r, 1)
	if x.Room() != 100 {
		t.Errorf("room %d, want 100 of 1000", x.Room())
	}
	next.seat.Leave()
	x.WorkerDied(false)
	tiny := newWorker(r, 0)
	tiny.window, tiny.credit = 899, 1
	tiny.seat.Ready()
	if r.Live() != 0 || len(tiny.got) != 0 {
		t.Errorf("a worker whose window is too small got it")
	}
}

// The client reads on when there is room, in the window and in the channel.
func TestRoom(t *testing.T) {
	r := newRig(t)
	w := newWorker(r, 0)
	c := &client{}
	x := r.begin(c, "", false)
	if x.Room() != 0 || x.Assigned() {
		t.Errorf("room %d while it waits", x.Room())
	}
	w.credit = 1
	w.seat.Ready()
	want(t, "client", c.heard(), "read more")
	w.room = 10
	if x.Room() != 10 {
		t.Errorf("room %d, want the channel's 10", x.Room())
	}
	w.room = 1 << 20
	x.RequestBody(make([]byte, 1000), false)
	if x.Room() != 0 {
		t.Errorf("room %d, want none", x.Room())
	}
	x.WindowUpdate(5)
	want(t, "client", c.heard(), "read more")
	if x.Room() != 5 {
		t.Errorf("room %d, want 5", x.Room())
	}
	x.Resume()
	want(t, "client", c.heard(), "read more")
	x.RequestBody(nil, true)
	x.Resume()
	want(t, "client", c.heard(), "")
	x.Opaque(nil, nil, false) // the direction is open again
	c.heard()
	x.Resume()
	want(t, "client", c.heard(), "read more")
	x.ClientGone()
}

// Where the length of a response is known, no more is granted than it has, and what suffices is not made more: each WINDOW
// wakes the worker up. A file takes another amount than its length, so that then windows are given back again.
func TestResponseWindowOfAKnownLength(t *testing.T) {
	r := newRig(t)
	w := newWorker(r, 2)
	w.budget = 1 << 30
	for _, ends := range []bool{true, false} {
		x := r.begin(&client{}, "", true)
		w.heard()
		answer := head(200)
		answer.ContentLength = 20_000
		x.Respond(answer, nil, false)
		for _, step := range []struct {
			n    int
			want string
		}{
			{1000, "window 4000"},  // what was taken, and three times as much
			{4000, "window 15000"}, // and no more than is to come
			{10_000, ""},
		} {
			if err := x.Data(make([]byte, step.n), false); err != nil {
				t.Fatal(err)
			}
			x.Sent(step.n, true)
			want(t, "worker", w.heard(), step.want)
		}
		if ends {
			if err := x.Data(make([]byte, 5000), true); err != nil {
				t.Error(err)
			}
		} else {
			if err := x.File(-1, 0, 1, false); err != nil {
				t.Error(err)
			}
			x.Sent(channel.FileWindowCost, true)
			want(t, "worker", w.heard(), fmt.Sprintf("window %d", 10_000+channel.FileWindowCost+3*15_000))
			x.ClientGone()
		}
		if w.budget != 1<<30 {
			t.Errorf("the budget is %d at the end", w.budget)
		}
	}
}

// The window of a response is given back by halves, wider to fast clients and
// from a budget, which is returned.
func TestResponseWindow(t *testing.T) {
	r := newRig(t)
	w := newWorker(r, 2)
	w.budget = 3500
	x := r.begin(&client{}, "", true)
	w.heard()
	x.Respond(head(200), nil, false)
	for _, step := range []struct {
		sent int
		all  bool
		want string
	}{
		{400, true, ""},
		{99, true, ""},
		{1, false, "window 500"},   // a client that is slow gets what it took
		{500, true, "window 3500"}, // one that is fast three times more than it had
		{1999, true, ""},
		{1, true, "window 2500"}, // as far as the budget goes
		{2250, true, "window 2250"},
	} {
		x.Sent(step.sent, step.all)
		want(t, "worker", w.heard(), step.want)
	}
	if w.budget != 0 {
		t.Errorf("the budget is %d", w.budget)
	}
	if err := x.Data(make([]byte, 1000+500+3500+2500+2250), true); err != nil {
		t.Error(err)
	}
	if w.budget != 3500 {
		t.Errorf("the budget is %d at the end", w.budget)
	}
	// It does not grow for ever.
	w.budget = 1 << 30
	x = r.begin(&client{}, "", true)
	x.Respond(head(200), nil, false)
	total := 1000
	for range 100 {
		x.Sent(total, true)
		total = 0
		for _, s := range w.said {
			n := 0
			if k, _ := fmt.Sscanf(s, "window %d", &n); k == 1 {
				total += n
			}
		}
		w.said = nil
	}
	if total > maxWindow || total < maxWindow/2 {
		t.Errorf("the widest window is %d", total)
	}
	x.ClientGone()
	if w.budget != 1<<30 {
		t.Errorf("the budget is %d at the end", w.budget)
	}
}

// Requests that waited too long, and queues that end.
func TestExpireAndClose(t *testing.T) {
	r := newRig(t)
	r.queue.SetMaxAge(100 * time.Millisecond)
	waits := 0
	r.OnWait = func() { waits++ }
	var cs []*client
	for i := range 4 {
		cs = append(cs, &client{})
		r.now = int64(50 * i)
		r.begin(cs[i], "", true)
	}
	if waits != 4 || !r.Waiting() {
		t.Errorf("OnWait was called %d times", waits)
	}
	r.Tick() // at 150
	for i, want := range []string{"fail 503 Timer_ReqQueue", "fail 503 Timer_ReqQueue", "", ""} {
		if got := cs[i].heard(); got != want {
			t.Errorf("client %d heard %q, want %q", i, got, want)
		}
	}
	r.CloseQueue(r.queue)
	for _, c := range cs[2:] {
		want(t, "client", c.heard(), "fail 503 Disabled")
	}
	if r.Waiting() {
		t.Error("still waiting")
	}
	// Once nothing waits the ticks may stop.
	x := r.begin(&client{}, "", true)
	x.ClientGone()
	r.Tick()
	if r.Waiting() {
		t.Error("still waiting")
	}
}

// A client that closes its side: a request that nobody has taken is dropped.
func TestHalfClosed(t *testing.T) {
	r := newRig(t)
	x := r.begin(&client{}, "", true)
	if x.ClientHalfClosed() || r.Live() != 0 {
		t.Error("a request that waits was kept")
	}
	w := newWorker(r, 1)
	x = r.begin(&client{}, "", true)
	w.heard()
	if !x.ClientHalfClosed() {
		t.Error("a request that runs was dropped")
	}
	want(t, "worker", w.heard(), "cancel 2")
	x.RequestBroken()
	x.RequestBroken() // said once
	want(t, "worker", w.heard(), "cancel 3")
	x.ClientGone()
	want(t, "worker", w.heard(), "cancel 1")
	if c := r.queue.Counters(); c.Cancelled != 2 {
		t.Errorf("%d were counted as cancelled", c.Cancelled)
	}
}

// An exchange is used again, and nothing of the one before shows.
func TestReuse(t *testing.T) {
	r := newRig(t)
	w := newWorker(r, 2)
	c := &client{}
	x := r.begin(c, "", false)
	x.RequestBody(make([]byte, 1000), false)
	x.ClientHalfClosed()
	x.RequestBroken()
	x.Respond(head(200), nil, false)
	x.WorkerCancels(false)
	w.heard()
	c.heard()
	y := r.begin(c, "", true)
	if x != y {
		t.Skip("another one was taken")
	}
	want(t, "worker", w.heard(), "request")
	if y.Begun() || y.IsOpaque() || y.Room() != 1000 {
		t.Error("it remembers")
	}
	wantErr(t, y.Data(nil, true), ErrOrder)
	y.WorkerDied(true)
	want(t, "client", c.heard(), "fail 502 Connection_Abandoned_By_ReqQueue")
}

func TestNothingIsAllocated(t *testing.T) {
	r := newRig(t)
	w := newWorker(r, 1<<20)
	w.deaf = true
	quiet := &silent{}
	req := request("GET", "/a/b", 0)
	res := head(200)
	n := testing.AllocsPerRun(1000, func() {
		x, _, _ := r.Begin(quiet, req, &facts, nil, true)
		if err := x.Respond(res, nil, true); err != nil {
			t.Fatal(err)
		}
		w.got = w.got[:0]
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// silent is a client that notes nothing.
type silent struct{ client }

func (*silent) Respond(*message.Response, []byte, bool) {}

// A connection in opaque mode with an idle limit ends when nothing has flowed
// for so long, in either direction; one without stays.
func TestOpaqueIdle(t *testing.T) {
	r := newRig(t)
	w := newWorker(r, 3)
	limit := 10 * time.Second
	without := r.begin(&client{}, "", true)
	wantErr(t, without.Opaque(nil, nil, false), nil)
	r.reg.Override.OpaqueIdle = &limit
	var xs [2]*Exchange
	var cs [2]*client
	for i := range xs {
		cs[i] = &client{}
		xs[i] = r.begin(cs[i], "", true)
		wantErr(t, xs[i].Opaque(nil, nil, false), nil)
	}
	if !r.Waiting() {
		t.Fatal("nobody waits for time to pass")
	}
	pass := func(ms int64) { r.now += ms; r.Tick(); cs[0].heard(); w.heard() }
	pass(9999)
	xs[0].RequestBody([]byte("x"), false)
	xs[1].Data([]byte("x"), false)
	pass(9999)
	xs[0].Data([]byte("y"), false)
	cs[1].heard()
	r.now += 1
	r.Tick()
	want(t, "the silent client", cs[1].heard(), "close")
	want(t, "the worker", w.heard(), "cancel 1")
	if got := cs[0].heard(); got != `body "y" end=false` || !r.Waiting() {
		t.Error("both were closed")
	}
	xs[0].ClientGone()
	if r.Waiting() {
		t.Error("somebody waits still")
	}
	r.now += 1 << 40
	r.Tick()
	without.ClientGone()
}
