package worker_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/queue"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/leak"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
	"github.com/httpsys/httpsys/internal/worker"
)

// What an application may not do is tested through the whole daemon, in
// internal/daemon. Here is what depends on the moment: frames in one batch,
// bounds that are hard to reach, and sockets that nobody reads.

// rig is one loop with queues, by the authority of requests, and channels.
type rig struct {
	t      *testing.T
	loop   *loop.Loop
	stage  *exchange.Stage
	shared *worker.Shared
	queues map[string]*exchange.Queue
	regs   map[string]*exchange.Registration
	ended  chan error
}

func (r *rig) Match(_ prefix.Scheme, _ uint16, authority []byte, _ netip.Addr, _ []byte) (*exchange.Registration, prefix.Outcome) {
	return r.regs[string(authority)], prefix.Matched
}

// ChannelEnded implements worker.Session.
func (r *rig) ChannelEnded(_ *worker.Channel, _ bool, err error) { r.ended <- err }

func newRig(t *testing.T, queues ...string) *rig {
	t.Helper()
	leak.Check(t)
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, loop: l, queues: map[string]*exchange.Queue{}, regs: map[string]*exchange.Registration{}, ended: make(chan error, 10)}
	for i, name := range queues {
		r.queues[name] = queue.New[*exchange.Exchange](name, 1)
		r.queues[name].Limit = queue.MaxLimit
		r.regs[name] = &exchange.Registration{ID: uint32(i + 1), Queue: r.queues[name]}
	}
	r.stage = exchange.NewStage(0, r, l.Now)
	r.shared = worker.NewShared(l, r.stage)
	done := make(chan struct{})
	go func() { l.Run(); close(done) }()
	t.Cleanup(func() {
		live := -1
		l.Call(func() {
			for _, q := range r.queues {
				r.stage.CloseQueue(q)
			}
			live = r.stage.Live()
		})
		if live != 0 {
			t.Errorf("%d exchanges live at the end", live)
		}
		l.Stop()
		<-done
	})
	return r
}

// channel makes a channel in all queues, and returns the application's end.
// sndbuf is the size of the daemon's socket buffer; 0: the usual one.
func (r *rig) channel(credit, sndbuf int) (*worker.Channel, *testkit.Conn, *net.UnixConn) {
	r.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if sndbuf > 0 {
		unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, sndbuf)
	}
	f := os.NewFile(uintptr(fds[1]), "application")
	nc, err := net.FileConn(f)
	f.Close()
	if err != nil {
		r.t.Fatal(err)
	}
	var c *worker.Channel
	r.loop.Call(func() {
		c, err = worker.New(r.shared, r, fds[0], -1, nil, channel.DefaultWindow, channel.DefaultWindow, credit, worker.TellNone)
		if err == nil {
			for _, name := range []string{"a", "b"} {
				if q := r.queues[name]; q != nil {
					c.Join(q)
				}
			}
		}
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.loop.Call(func() { c.End(false) })
		nc.Close()
	})
	return c, testkit.NewConn(r.t, nc.(*net.UnixConn)), nc.(*net.UnixConn)
}

// client is a client that does something when its response is complete.
type client struct {
	x      *exchange.Exchange
	status int
	then   func()
	more   int // calls of ReadMore
}

func (c *client) Informational(*message.Response) {}
func (c *client) Respond(r *message.Response, _ []byte, end bool) {
	c.status = r.Status
	if end {
		c.over()
	}
}
func (c *client) Body(_ []byte, end bool) {
	if end {
		c.over()
	}
}
func (c *client) Trailers([]message.Field)          { c.over() }
func (c *client) File(fd int, _, _ int64, end bool) { unix.Close(fd) }
func (c *client) Opaque(*message.Response)          {}
func (c *client) CanOpaque(int) bool                { return true }
func (c *client) Close()                            { c.over() }
func (c *client) Hangup()                           { c.over() }
func (c *client) Fail(status int, _, _ string)      { c.status = status; c.over() }
func (c *client) Abort()                            { c.over() }
func (c *client) Stored(*cache.Answer, bool)        {}
func (c *client) Run(r cache.Run, _ int, end bool)  { r.Body.Release() }
func (c *client) Moved(*exchange.Exchange)          {}
func (c *client) ReadMore()                         { c.more++ }
func (c *client) over() {
	c.x = nil
	if c.then != nil {
		c.then()
	}
}

// begin begins a request on the loop.
func (r *rig) begin(c *client, authority, target string, body []byte, complete bool) {
	c.x, _, _ = r.stage.Begin(c, request(authority, target), facts, body, complete)
}

func request(authority, target string) *message.Request {
	return &message.Request{Method: []byte("POST"), Target: []byte(target), Path: []byte("/"), Authority: []byte(authority), Version: 11, ContentLength: -1}
}

var facts = &exchange.Facts{Scheme: prefix.HTTP, Addresses: "x\x00y\x00"}

func target(f testkit.Frame) string {
	h, _, err := channel.ParseRequest(f.Payload)
	if err != nil {
		return err.Error()
	}
	return strings.Split(string(h.Text), "\x00")[1]
}

// What one turn has for an application goes in one write.
func TestOneWriteATurn(t *testing.T) {
	r := newRig(t, "a")
	_, _, app := r.channel(100, 0)
	clients := make([]client, 50)
	r.loop.Call(func() {
		for i := range clients {
			r.begin(&clients[i], "a", fmt.Sprintf("/%d", i), nil, true)
		}
	})
	buf := make([]byte, 1<<20)
	app.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := app.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for b := buf[:n]; len(b) > 0; got++ {
		h, err := channel.ParseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		b = b[channel.HeaderSize+int(h.Length):]
	}
	if got != len(clients) {
		t.Errorf("%d requests came with one read", got)
	}
}

// A batch of frames may give credit and spend it: whatever the order, nothing
// waits in any queue while there is credit.
func TestCreditThatIsSpentInTheSameBatch(t *testing.T) {
	r := newRig(t, "a", "b")
	_, app, _ := r.channel(3, 0)
	var a, b, nextA, nextB client
	a.then = func() { r.begin(&nextA, "a", "/next a", nil, true) } // as pipelined requests do
	b.then = func() { r.begin(&nextB, "b", "/next b", nil, true) }
	r.loop.Call(func() {
		r.begin(&a, "a", "/a", nil, true)
		r.begin(&b, "b", "/b", nil, true)
	})
	app.Want(channel.Request)
	app.Want(channel.Request)
	// The first answer's client spends the last credit, the second one's finds
	// none, and then there is one again.
	app.Send(testkit.Response(1, testkit.END, 200, nil, ""), testkit.Response(2, testkit.END, 200, nil, ""), testkit.Credit(1))
	if got := target(app.Want(channel.Request)); got != "/next a" {
		t.Errorf("got %s", got)
	}
	if got := target(app.Want(channel.Request)); got != "/next b" {
		t.Errorf("got %s", got)
	}
}

// Numbers stay small, and are used again when the application has ended a
// stream, not before.
func TestStreamNumbers(t *testing.T) {
	r := newRig(t, "a")
	_, app, _ := r.channel(100, 0)
	var clients [6]client
	begin := func(i int) uint32 {
		r.loop.Call(func() { r.begin(&clients[i], "a", "/", nil, true) })
		return app.Want(channel.Request).Stream
	}
	for i := range 3 {
		if n := begin(i); n != uint32(i+1) {
			t.Errorf("request %d has number %d", i, n)
		}
	}
	r.loop.Call(func() { clients[1].x.ClientGone() })
	if f := app.Want(channel.Cancel); f.Stream != 2 || f.Value != channel.CancelGone {
		t.Errorf("got %v", f)
	}
	if n := begin(3); n != 4 {
		t.Errorf("the next number is %d: 2 is still the application's", n)
	}
	app.Send(testkit.Cancel(2, 0, 0))
	app.Send(testkit.Response(1, testkit.END, 200, nil, ""))
	r.loop.Call(func() {})
	got := []uint32{begin(4), begin(5)}
	if got[0] != 1 || got[1] != 2 {
		t.Errorf("the next numbers are %v, want the free ones", got)
	}
}

// Streams that an application never ends are bounded, and ending one lets the
// next request come, with or without new credit.
func TestStreamsAreBounded(t *testing.T) {
	t.Cleanup(worker.SetBounds(2, 8<<20))
	r := newRig(t, "a")
	_, app, _ := r.channel(100, 0)
	var clients [4]client
	r.loop.Call(func() {
		for i := range clients {
			r.begin(&clients[i], "a", fmt.Sprintf("/%d", i), nil, true)
		}
		clients[0].x.ClientGone() // its number stays the application's
	})
	app.Want(channel.Request)
	app.Want(channel.Request)
	if f := app.Want(channel.Cancel); f.Stream != 1 {
		t.Errorf("got %v", f)
	}
	for i, stream := range []uint32{1, 2} {
		app.Send(testkit.Cancel(stream, 0, 0))
		f := app.Want(channel.Request) // and nothing before
		if got := target(f); got != fmt.Sprintf("/%d", i+2) || f.Stream != stream {
			t.Errorf("got %s on stream %d", got, f.Stream)
		}
	}
}

// An application that does not read its socket gets no more requests than
// what may wait for it; the others stay in the queue, for somebody else. When
// it reads on, it gets what is left.
func TestApplicationThatDoesNotRead(t *testing.T) {
	r := newRig(t, "a")
	_, app, _ := r.channel(channel.MaxCredit, 4096)
	body := make([]byte, channel.MinWindow)
	clients := make([]client, 200)
	upload := &client{}
	waiting := 0
	r.loop.Call(func() {
		r.begin(upload, "a", "/upload", nil, false)
		for i := range clients {
			r.begin(&clients[i], "a", fmt.Sprintf("/%d", i), body, true)
		}
		waiting = r.queues["a"].Waiting()
		if upload.x.Room() != 0 {
			t.Errorf("there is room for %d bytes more", upload.x.Room())
		}
		upload.more = 0
	})
	sent := len(clients) - waiting
	if sent*len(body) > worker.MaxUnsent+2*len(body) || sent*len(body) < worker.MaxUnsent/2 {
		t.Errorf("%d requests of %d bytes wait for the application", sent, len(body))
	}
	_, other, _ := r.channel(1, 0)
	if got := target(other.Want(channel.Request)); got != fmt.Sprintf("/%d", sent) {
		t.Errorf("another worker got %s, want /%d", got, sent)
	}
	for i := range waiting + sent {
		f := app.Want(channel.Request)
		want := "/upload"
		switch {
		case i > sent:
			want = fmt.Sprintf("/%d", i)
		case i > 0:
			want = fmt.Sprintf("/%d", i-1)
		}
		if got := target(f); got != want {
			t.Fatalf("request %d is %s, want %s", i, got, want)
		}
	}
	r.loop.Call(func() {
		if upload.more == 0 || upload.x.Room() == 0 {
			t.Errorf("nobody told the client that there is room again")
		}
	})
}

// One that goes on sending without ever reading is cut.
func TestApplicationThatNeverReads(t *testing.T) {
	t.Cleanup(worker.SetBounds(1000, 64<<10))
	r := newRig(t, "a")
	_, app, _ := r.channel(10, 4096)
	c := &client{}
	r.loop.Call(func() { r.begin(c, "a", "/", nil, true) })
	app.Send(testkit.Response(1, 0, 200, nil, ""))
	// Its client takes everything at once, and it is told so each time.
	go func() {
		piece := testkit.Data(1, 0, strings.Repeat("x", 20_000))
		for app.TrySend(piece) == nil {
			r.loop.Call(func() {
				if c.x != nil {
					for range 1000 {
						c.x.Sent(60_000, false)
					}
				}
			})
		}
	}()
	select {
	case err := <-r.ended:
		if err == nil || !strings.Contains(err.Error(), "does not read") {
			t.Errorf("the channel ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the channel goes on")
	}
}

func TestNothingIsAllocatedOnTheWay(t *testing.T) {
	r := newRig(t, "a")
	_, _, nc := r.channel(1000, 0)
	c := &client{}
	buf := make([]byte, 64<<10)
	answer := testkit.Response(1, testkit.END|testkit.CREDIT, 200, nil, "hello")
	req := &message.Request{Method: []byte("GET"), Target: []byte("/"), Path: []byte("/"), Authority: []byte("a"), Version: 11}
	facts := &exchange.Facts{Scheme: prefix.HTTP, Addresses: "x\x00y\x00"}
	begin := func() { r.stage.Begin(c, req, facts, nil, true) }
	done := make(chan struct{}, 1)
	c.then = func() { done <- struct{}{} }
	round := func() {
		r.loop.Do(begin)
		if _, err := nc.Read(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write(answer); err != nil {
			t.Fatal(err)
		}
		<-done
	}
	for range 10 {
		round()
	}
	// Do makes a list of one function each time; nothing else may be made.
	if n := testing.AllocsPerRun(200, round); n > 1 {
		t.Errorf("%v allocations a request", n)
	}
}
