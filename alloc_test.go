package httpsys

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// maxAllocations is what a small request may cost: our copy of its head, the
// exchange, the map of fields (two), and the values of fields. Handlers that
// set a field of the response pay for that map and the value.
const maxAllocations = 5

func TestAllocations(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		most    float64
	}{
		{"hello", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "Hello, world!\n") }, maxAllocations},
		{"with a field", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "Hello, world!\n")
		}, maxAllocations + 3},
		{"no body", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, maxAllocations},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, ended := loopForTest(t, test.handler, false)
			frame := appendBenchRequest(nil, 1)
			ask := func() {
				if _, _, err := l.frames(frame); err != nil {
					t.Fatal(err)
				}
				<-ended
			}
			for range 100 {
				ask()
			}
			if n := testing.AllocsPerRun(500, ask); n > test.most+raceAllocations {
				t.Errorf("%v allocations, at most %v are allowed", n, test.most)
			}
		})
	}
}

// loopForTest returns a loop with a pool behind it whose reader is the test.
// The channel gets a value for each frame that has left on the socket, unless
// deaf.
func loopForTest(t *testing.T, h http.Handler, deaf bool) (*loop, chan struct{}) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.UnixConn)
	}
	p := newPool(h, 10)
	e := &endpoint{srv: &Server{ErrorLog: log.New(io.Discard, "", 0)}, sink: p, autoCredit: true,
		base: context.Background()}
	l := &loop{sess: &session{failed: make(chan struct{})}, e: e, conn: conns[0], window: channel.DefaultWindow}
	l.out.room.L = &l.mu
	l.out.send = l.sendSome
	if l.raw, err = l.conn.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	if l.begun, _, err = newBegunCounterForTest(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, err := conns[1].Read(buf)
			if err != nil {
				return
			}
			for b := buf[:n]; len(b) > 0 && !deaf; {
				h, err := channel.ParseHeader(b)
				if err != nil {
					t.Error(err)
					return
				}
				b = b[channel.HeaderSize+int(h.Length):]
				ended <- struct{}{}
			}
		}
	}()
	t.Cleanup(func() {
		p.closed()
		conns[0].Close()
		conns[1].Close()
		<-done
	})
	return l, ended
}

func newBegunCounterForTest() (*begunCounter, *os.File, error) {
	c, f, err := newBegunCounter()
	if err == nil {
		f.Close()
	}
	return c, nil, err
}

// Uploads and downloads of any length need their windows and buffers, and no
// more.
func TestMemoryOfLargeBodies(t *testing.T) {
	const size = 64 << 20
	// How far garbage runs ahead of its collector depends on the machine.
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	piece := make([]byte, 32<<10)
	text := string(piece)
	s, _ := serve(t, fakedaemon.Config{Discard: true}, &Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n, err := io.Copy(io.Discard, r.Body); n != size || err != nil {
				t.Error(n, err)
			}
			for range size / len(piece) {
				w.Write(piece)
			}
		})})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	x := s.Start(fakedaemon.Request{Method: "PUT", Open: true, Length: size})
	for range size / len(piece) {
		x.Data(text, false)
	}
	x.Data("", true)
	x.Wait()
	if x.Received != size {
		t.Errorf("%d bytes", x.Received)
	}
	runtime.ReadMemStats(&after)
	// Most of it is the fake daemon's, and how much depends on when the collector runs;
	// a body that is kept would be 64 MiB.
	if n := int64(after.HeapSys) - int64(before.HeapSys); n > 56<<20 {
		t.Errorf("%d MiB more memory", n>>20)
	}
}
