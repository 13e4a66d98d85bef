package promises

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// small returns how long a small request takes, of many.
func small(t *testing.T, p *process, client *http.Client) time.Duration {
	t.Helper()
	var times []time.Duration
	for n := range 300 {
		begin := time.Now()
		if got, err := body(client, fmt.Sprint(p.url, n)); err != nil || got != fmt.Sprintf("p GET /%d\n", n) {
			t.Fatalf("got %q, %v", got, err)
		}
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// unhurt holds small requests and the memory of the daemon and of a program
// against what they were before what begin does.
func unhurt(t *testing.T, m *machine, p *process, begin func()) {
	t.Helper()
	// A client's share of the daemon is its window, at most 1 MiB; the rest is for
	// the garbage collector. It is far from the 192 MiB that clients ask for here.
	const bound = 24 << 20
	client := newClient(t)
	small(t, p, client)
	before := small(t, p, client)
	both := []*process{m.daemon, p}
	var resident []int64
	for _, q := range both {
		resident = append(resident, q.memory("VmRSS"))
		q.forgetPeak()
	}
	begin()
	during := small(t, p, client)
	if during > 4*before+5*time.Millisecond {
		t.Errorf("a small request takes %v; it took %v before", during, before)
	}
	t.Logf("a small request took %v, and then %v", before, during)
	for i, q := range both {
		grown := q.memory("VmHWM") - resident[i]
		if grown > bound {
			t.Errorf("%s has grown by %d KiB", q.name, grown>>10)
		}
		t.Logf("%s has grown by %d KiB", q.name, grown>>10)
	}
}

// 6 clients that ask for 32 MB and do not read leave small requests to the same
// program unhurt, and what the daemon and the program need is bounded.
func TestClientsThatDoNotRead(t *testing.T) {
	const clients, size = 6, 32 << 20
	m := newMachine(t, true)
	p := m.program("p", "prefix=http://+:0/")
	var conns []net.Conn
	unhurt(t, m, p, func() {
		for i := range clients {
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			how := "do=big"
			if i%2 == 0 {
				how = "do=file"
			}
			fmt.Fprintf(c, "GET /?%s&size=%d&n=%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", how, size, i)
			p.await(fmt.Sprintf("^begun %d$", i))
			conns = append(conns, c)
		}
	})
	// Nothing was lost: who reads at last gets everything.
	for i, c := range conns {
		n, err := io.Copy(io.Discard, c)
		if n < size || err != nil {
			t.Errorf("client %d got %d bytes, %v", i, n, err)
		}
	}
}

// The other way round: a program that does not read what 6 clients send leaves
// small requests to it unhurt, and nobody holds what they send.
func TestProgramThatDoesNotRead(t *testing.T) {
	const clients, size = 6, 32 << 20
	m := newMachine(t, true)
	p := m.program("p", "prefix=http://+:0/")
	unhurt(t, m, p, func() {
		var all sync.WaitGroup
		for i := range clients {
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			fmt.Fprintf(c, "POST /?do=stall&n=%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", i, size)
			p.await(fmt.Sprintf("^begun %d$", i))
			all.Go(func() {
				// As much as anybody takes; then a write does not come back.
				c.SetWriteDeadline(time.Now().Add(time.Second))
				if n, err := io.CopyN(c, zeros{}, size); err == nil {
					t.Errorf("somebody took %d bytes", n)
				}
			})
		}
		all.Wait()
	})
}
