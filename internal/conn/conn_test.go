package conn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/queue"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/testkit/leak"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// The behaviour of connections is tested through the whole daemon, in
// internal/daemon. Here is what needs shorter times than people would set, or a
// look inside.

const patience = 10 * time.Second

func TestMain(m *testing.M) {
	sendPeriod, lingerTime = 300, 300
	os.Exit(m.Run())
}

// rig is a loop with connections, and one worker that takes every request and
// does with it what the test says.
type rig struct {
	t      *testing.T
	loop   *loop.Loop
	server *Server
	stage  *exchange.Stage
	reg    *exchange.Registration
	take   func(*exchange.Exchange) // on the loop, once the request was begun
	end    Endpoint
}

func (r *rig) Match(prefix.Scheme, uint16, []byte, netip.Addr, []byte) (*exchange.Registration, prefix.Outcome) {
	return r.reg, prefix.Matched
}

// Take implements queue.Taker.
func (r *rig) Take(x *exchange.Exchange) bool {
	x.Assign(r, 1, 1<<20, 1<<30)
	r.loop.Do(func() { r.take(x) })
	return true
}

// What the worker hears is of no interest here.
func (r *rig) ID() uint64                                   { return 1 }
func (r *rig) Data(*exchange.Exchange, []byte, bool)        {}
func (r *rig) Trailers(*exchange.Exchange, []message.Field) {}
func (r *rig) Cancel(*exchange.Exchange, uint16)            {}
func (r *rig) Window(*exchange.Exchange, int)               {}
func (r *rig) Ahead(*exchange.Exchange)                     {}
func (r *rig) Socket(*exchange.Exchange, int, []byte) bool  { return false }
func (r *rig) NoSocket(*exchange.Exchange)                  {}
func (r *rig) Woken(*exchange.Exchange)                     {}
func (r *rig) Ref() *exchange.WorkerRef                     { return &exchange.WorkerRef{Worker: r} }
func (r *rig) Room() int                                    { return 1 << 20 }
func (r *rig) Lend(int) int                                 { return 0 }
func (r *rig) Return(int)                                   {}

func newRig(t *testing.T, o exchange.Override) *rig {
	t.Helper()
	leak.Check(t)
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, loop: l, end: Endpoint{Scheme: prefix.HTTP, Port: 80}}
	q := queue.New[*exchange.Exchange]("q", 1)
	r.reg = &exchange.Registration{ID: 1, URL: "http://+:80/", Queue: q, Override: o}
	r.stage = exchange.NewStage(0, r, l.Now)
	r.server = NewServer(l, r.stage, 1)
	done := make(chan struct{})
	go func() { l.Run(); close(done) }()
	l.Call(func() { q.Lane(0).Join(r).Ready() })
	t.Cleanup(func() {
		l.Call(r.server.CloseAll)
		live := -1
		l.Call(func() { live = r.stage.Live() })
		if live != 0 || r.end.Connections.Load() != 0 {
			t.Errorf("%d exchanges and %d connections are left", live, r.end.Connections.Load())
		}
		l.Stop()
		<-done
	})
	return r
}

// dial returns a client whose other end is a connection of the rig.
func (r *rig) dial() *net.TCPConn {
	r.t.Helper()
	ln, err := sys.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer sys.Close(ln)
	addr, _ := sys.LocalAddr(ln)
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	fd, peer, err := sys.Accept(ln)
	if err != nil {
		r.t.Fatal(err)
	}
	r.loop.Call(func() { r.server.Accept(fd, peer, &r.end) })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func ok(fields ...message.Field) *message.Response {
	return &message.Response{Status: 200, Fields: fields, ContentLength: -1, LengthAt: -1}
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// A client that takes nothing of what it asked for is cut (HTTP.SYS:
// MinSendRate), in whatever way the response comes.
func TestMinSendRate(t *testing.T) {
	rate := int64(1000)
	body := make([]byte, 16<<20)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.Truncate(int64(len(body)))
	for _, tc := range []struct {
		name string
		take func(*exchange.Exchange) error
	}{
		{"in one piece", func(x *exchange.Exchange) error { return x.Respond(ok(), body, true) }},
		{"in large pieces", func(x *exchange.Exchange) error {
			return errors.Join(x.Respond(ok(), nil, false), x.Data(body[:8<<20], false), x.Data(body[8<<20:], false))
		}},
		{"in small pieces", func(x *exchange.Exchange) error {
			err := x.Respond(ok(), nil, false)
			for i := 0; i < 6<<20 && err == nil; i += 4096 {
				err = x.Data(body[i:i+4096], false)
			}
			return err
		}},
		{"as a file", func(x *exchange.Exchange) error {
			fd, _ := unix.Dup(int(file.Fd()))
			return errors.Join(x.Respond(ok(), nil, false), x.File(fd, 0, int64(len(body)), true))
		}},
		{"opaque, and closed by the program", func(x *exchange.Exchange) error {
			err := errors.Join(x.Opaque(nil, nil, false), x.Data(body, false))
			x.WorkerCancels(true)
			return err
		}},
		{"cut by the program", func(x *exchange.Exchange) error {
			err := x.Respond(ok(), body, false)
			x.WorkerCancels(false)
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, exchange.Override{MinSendRate: &rate})
			r.take = func(x *exchange.Exchange) {
				if err := tc.take(x); err != nil {
					t.Error(err)
				}
			}
			c := r.dial()
			c.SetReadBuffer(64 << 10)
			fmt.Fprint(c, get)
			r.wantNoConnections()
			if n, err := io.Copy(io.Discard, c); err == nil || n >= int64(len(body)) {
				t.Errorf("the client got %d bytes and %v", n, err)
			}
		})
	}
}

// wantNoConnections waits until the server has closed all connections.
func (r *rig) wantNoConnections() {
	r.t.Helper()
	for end := time.Now().Add(patience); r.end.Connections.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatal("the connection is not closed")
		}
	}
}

// The rate is kept to the byte.
func TestMinSendRateIsKept(t *testing.T) {
	rate := int64(1000)
	r := newRig(t, exchange.Override{MinSendRate: &rate})
	r.take = func(x *exchange.Exchange) { x.Respond(ok(), make([]byte, 8<<20), true) }
	c := r.dial()
	c.SetReadBuffer(64 << 10)
	fmt.Fprint(c, get)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // the response is on its way
		t.Fatal(err)
	}
	r.loop.Call(func() {
		enough := rate * sendPeriod / 1000
		r.server.each(func(c *Conn) {
			c.http1.waits, c.mark = forSend, c.sent-enough
			if c.http1.expire(); c.closed {
				t.Error("a client that took just enough was cut")
			}
			c.http1.waits, c.mark = forSend, c.sent-enough+1
			if c.http1.expire(); !c.closed {
				t.Error("a client that took a byte less was not cut")
			}
		})
	})
	r.wantNoConnections()
}

// Without a minimum send rate a client may stand still for as long as it likes.
func TestMinSendRateOff(t *testing.T) {
	const size = 8 << 20
	off := int64(0)
	r := newRig(t, exchange.Override{MinSendRate: &off})
	r.take = func(x *exchange.Exchange) { x.Respond(ok(), make([]byte, size), true) }
	c := r.dial()
	fmt.Fprint(c, get)
	<-time.After(3 * time.Duration(sendPeriod) * time.Millisecond)
	if got, err := io.ReadAll(io.LimitReader(c, size)); err != nil || len(got) < size {
		t.Errorf("got %d of %d bytes, and %v", len(got), size, err)
	}
}

// After our last words we listen for a while and no longer, also to a client
// that never stops.
func TestLingering(t *testing.T) {
	r := newRig(t, exchange.Override{})
	c := r.dial()
	start := time.Now()
	go func() {
		io.WriteString(c, "rubbish\r\n\r\n")
		for {
			if _, err := io.WriteString(c, strings.Repeat("x", 10_000)); err != nil {
				return
			}
		}
	}()
	got, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.HasSuffix(string(got), "</html>\n") {
		t.Errorf("got %q", got)
	}
	r.wantNoConnections()
	if took := time.Since(start); took < time.Duration(lingerTime)*time.Millisecond || took > patience/2 {
		t.Errorf("it took %v", took)
	}
	// A client that closes in turn is closed at once.
	quick := r.dial()
	fmt.Fprint(quick, "rubbish\r\n\r\n")
	io.ReadAll(quick)
	start = time.Now()
	quick.Close()
	r.wantNoConnections()
	if took := time.Since(start); took > time.Duration(lingerTime)*time.Millisecond/2 {
		t.Errorf("it took %v", took)
	}
}

// An idle connection holds no buffer, and what busy ones held is used again.
func TestIdleConnectionsHoldNothing(t *testing.T) {
	r := newRig(t, exchange.Override{})
	r.take = func(x *exchange.Exchange) { x.Respond(ok(), []byte("hello"), true) }
	var clients []*net.TCPConn
	for range 50 {
		c := r.dial()
		// A head in two pieces, so that the first has to be kept.
		fmt.Fprint(c, get[:10])
		r.loop.Call(func() {})
		fmt.Fprint(c, get[10:])
		if _, err := io.ReadFull(c, make([]byte, 90)); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	r.loop.Call(func() {
		n := 0
		r.server.each(func(c *Conn) {
			if n++; c.in != nil || c.out != nil || c.http1.x != nil {
				t.Errorf("connection %d holds %d bytes read, %v to send, and a request: %v", n, cap(c.in), c.out, c.http1.x != nil)
			}
		})
		if n != len(clients) {
			t.Errorf("%d connections are there", n)
		}
		if k := len(r.server.pool.small); k > 2 {
			t.Errorf("the pool has %d buffers", k)
		}
	})
}
