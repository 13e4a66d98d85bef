package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// RFC 9113 6.8: first that there will be a last stream, and when the client
// has heard that, which it is.
func TestGracefulShutdown(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1))
	s.c.Shutdown(s.now)
	s.c.Shutdown(s.now)
	s.wantFrames("goaway 2147483647 NO_ERROR", "ping")
	s.feed(get(3)) // it was on its way
	s.feed(string(appendPing(nil, flagAck, pingDrain)))
	s.wantFrames("goaway 3 NO_ERROR")
	s.said()
	s.feed(post(5) + data(5, true, "abc") + frame(typePing, 0, 0, "12345678")) // the client should know better
	s.wantEvents()
	s.wantFrames("pong 12345678")
	for _, id := range []uint32{1, 3} {
		if s.c.Done() {
			t.Error("done with open streams")
		}
		s.c.Respond(s.open[id], response(200), nil, true)
	}
	if !s.c.Done() || s.c.Deadline(s.now) != 0 {
		t.Error("not done")
	}
	s.check()
}

// A client that does not answer the PING has until DrainWait.
func TestShutdownWithoutAnswer(t *testing.T) {
	s := ready(t, nil)
	s.c.Shutdown(s.now)
	s.frames()
	at := s.c.Deadline(s.now)
	if at != s.now+s.limits.DrainWait {
		t.Errorf("deadline in %d ms", at-s.now)
	}
	s.c.Expire(at)
	s.wantFrames("goaway 0 NO_ERROR")
	if !s.c.Done() {
		t.Error("not done")
	}
}

// The client's own GOAWAY lets it finish what it has.
func TestClientGoesAway(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1) + frame(typeGoAway, 0, 0, u32(0)+u32(0)+"bye"))
	if s.c.Done() {
		t.Error("done with an open stream")
	}
	s.c.Respond(s.open[1], response(200), nil, true)
	s.wantFrames("1 headers :status=200 content-length=0 end")
	if !s.c.Done() {
		t.Error("not done")
	}
}

// GOAWAY names the last request that the owner has heard of, so that the
// client may repeat the later ones (RFC 9113 6.8).
func TestGoAwaySaysWhatWasTaken(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1) + get(3))
	s.feed(get(5) + data(0, false, "x"))
	s.wantFrames("goaway 3 PROTOCOL_ERROR")
	want := []string{"1 GET", "3 GET", "reset", "reset", "failed"}
	for i, e := range s.said() {
		if !strings.Contains(e, want[i]) {
			t.Errorf("event %d: %s", i, e)
		}
	}
	if n := s.c.Receive([]byte(get(7)), s.now); n != len(get(7)) || s.c.Next() != nil {
		t.Error("something after the end")
	}
}

func TestTable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var tb table
	model := map[uint32]*Stream{}
	for range 50_000 {
		id := uint32(rnd.IntN(600))*2 + 1
		s := model[id]
		if tb.get(id) != s {
			t.Fatalf("%d: %v, want %v", id, tb.get(id), s)
		}
		switch {
		case s != nil:
			tb.remove(s)
			delete(model, id)
		case len(model) < 200:
			s = &Stream{id: id}
			tb.put(s)
			model[id] = s
		}
		if tb.n != len(model) || (tb.any() == nil) != (len(model) == 0) || 2*tb.n > max(len(tb.slots), minTable) {
			t.Fatalf("%d of %d, %d slots", tb.n, len(model), len(tb.slots))
		}
	}
}

// What a hundred open streams without traffic take, and what a connection
// takes whose dynamic table is full.
func TestMemory(t *testing.T) {
	if size := unsafe.Sizeof(Stream{}); size > 80 {
		t.Errorf("a stream has %d bytes", size)
	}
	if size := unsafe.Sizeof(Conn{}); size > 768 {
		t.Errorf("a connection has %d bytes", size)
	}
	measure := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		f()
		runtime.GC()
		runtime.ReadMemStats(&after)
		return after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)
	}
	const conns = 50
	limits := DefaultLimits
	shared := NewShared(&limits, "test")
	all := make([]Conn, conns)
	take := func(c *Conn, in string) {
		b := []byte(in)
		if n := c.Receive(b, 1); n != len(b) {
			t.Fatalf("%d of %d", n, len(b))
		}
		for e := c.Next(); e != nil; e = c.Next() {
			if e.Kind != GotRequest {
				t.Fatal(e.Err)
			}
		}
		c.Out = nil
	}
	idle := measure(func() {
		for i := range all {
			all[i].Init(shared, 1)
			take(&all[i], hello)
		}
	}) / conns
	open := strings.Builder{}
	for i := range uint32(100) {
		open.WriteString(post(2*i + 1))
	}
	streams := measure(func() {
		for i := range all {
			take(&all[i], open.String())
		}
	}) / conns
	// Two heads that fill a table of 4096 bytes: the most that a client can leave behind.
	full := measure(func() {
		for i := range all {
			fields := ""
			for k := range 60 {
				name, value := fmt.Sprint("x-", k), content(27)
				fields += string(append(appendInt([]byte{0x40}, 0, 7, uint64(len(name))), name...))
				fields += string(append(appendInt(nil, 0, 7, uint64(len(value))), value...))
			}
			take(&all[i], frame(typeHeaders, flagEndHeaders, 301, block(pseudo("GET")...)+fields))
		}
	}) / conns
	t.Logf("idle %d bytes besides the Conn, 100 streams %d, full table %d", idle, streams, full)
	if idle > 200 || streams > 12<<10 || full > 8<<10 {
		t.Errorf("idle %d bytes besides the Conn, 100 streams %d, full table %d", idle, streams, full)
	}
	runtime.KeepAlive(all)
}

// The steady state: requests, content, responses, windows.
func TestAllocatesNothing(t *testing.T) {
	for _, row := range []struct {
		why  string
		next func() (in []byte, respond func(c *Conn, s *Stream))
	}{
		{"a repeated GET, as browsers encode it", func() func() ([]byte, func(*Conn, *Stream)) {
			e := newClientEncoder()
			r := response(200, "Content-Type", "text/html", "X-Frame-Options", "DENY")
			return func() ([]byte, func(*Conn, *Stream)) {
				return e.request(browserFields, ""), func(c *Conn, s *Stream) { c.Respond(s, r, []byte("hello"), true) }
			}
		}()},
		{"a POST with a path that changes each time", func() func() ([]byte, func(*Conn, *Stream)) {
			e := newClientEncoder()
			r := response(200, "Content-Type", "text/html", "ETag", "abc")
			n := 0
			paths := make([][]string, 64)
			for i := range paths {
				paths[i] = slices.Clone(browserFields)
				paths[i][7] = fmt.Sprint("/app/orders/", i*1234567)
			}
			return func() ([]byte, func(*Conn, *Stream)) {
				n++
				return e.request(paths[n%len(paths)], content(500)), func(c *Conn, s *Stream) { c.Respond(s, r, []byte("hello"), true) }
			}
		}()},
	} {
		limits := DefaultLimits
		shared := NewShared(&limits, "test")
		shared.SetDate([]byte("Mon, 02 Jan 2006 15:04:05 GMT"))
		var c Conn
		c.Init(shared, 1)
		c.Receive([]byte(hello), 1)
		for c.Next() != nil {
		}
		out := make([]byte, 0, 64<<10)
		// The client's side allocates: its bytes are made before.
		type turn struct {
			in      []byte
			respond func(c *Conn, s *Stream)
		}
		var turns []turn
		for range 700 {
			in, respond := row.next()
			turns = append(turns, turn{bytes.Clone(in), respond})
		}
		i := 0
		once := func() {
			x := turns[i]
			i++
			c.Out = out[:0]
			if n := c.Receive(x.in, 1); n != len(x.in) {
				t.Fatal(n)
			}
			for e := c.Next(); e != nil; e = c.Next() {
				s := e.Stream
				if len(e.Data) > 0 {
					c.Consumed(s, len(e.Data))
				}
				if e.End {
					x.respond(&c, s)
				}
			}
			if c.Err() != nil || c.Streams() != 0 {
				t.Fatal(c.Err(), c.Streams())
			}
		}
		for range 100 {
			once()
		}
		if n := testing.AllocsPerRun(500, once); n != 0 {
			t.Errorf("%s: %v allocations", row.why, n)
		}
	}
}
