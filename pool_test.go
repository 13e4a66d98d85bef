package httpsys

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A batch of requests is answered with few writes.
func TestBatch(t *testing.T) {
	s := serveFunc(t, hello)
	s.Do(fakedaemon.Request{}) // a goroutine is there
	l := s.Loops[0]
	before := l.Reads()
	var rs []fakedaemon.Request
	for i := range 64 {
		rs = append(rs, fakedaemon.Request{Target: fmt.Sprint("/", i)})
	}
	for i, x := range s.StartAll(rs...) {
		if x.Wait(); string(x.Body) != fmt.Sprint("hello /", i) {
			t.Errorf("%d: body %q", i, x.Body)
		}
	}
	if n := l.Reads() - before; n > 32 {
		t.Errorf("%d reads of the daemon for 64 responses", n)
	}
}

// Handlers that block do not hold the others up, nor the responses of those
// that were ready before them.
func TestBlockingHandlers(t *testing.T) {
	release := make(chan struct{})
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/block" {
			<-release
		}
		io.WriteString(w, "done")
	})
	var rs []fakedaemon.Request
	for range 100 {
		rs = append(rs, fakedaemon.Request{Target: "/quick"}, fakedaemon.Request{Target: "/block"})
	}
	xs := s.StartAll(rs...)
	for i := 0; i < len(xs); i += 2 {
		xs[i].Wait()
	}
	close(release)
	for _, x := range xs {
		x.Wait()
	}
}

// MaxHandlers is kept, and with one handler at a time a response still goes out
// before the next handler blocks.
func TestMaxHandlers(t *testing.T) {
	for _, limit := range []int{1, 3} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			var running, most atomic.Int32
			next := make(chan struct{})
			s, _ := serve(t, fakedaemon.Config{Loops: 2}, &Server{MaxHandlers: limit,
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n := running.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					<-next
					running.Add(-1)
				})})
			if c := s.Loops[0].Credit(); c != limit {
				t.Errorf("credit of %d", c)
			}
			var xs []*fakedaemon.Exchange
			for range limit {
				xs = append(xs, s.Start(fakedaemon.Request{Loop: 0}), s.Start(fakedaemon.Request{Loop: 1}))
			}
			for i := range xs {
				next <- struct{}{}
				xs[0].Until("as many responses as handlers were let go", func() bool {
					n := 0
					for _, x := range xs {
						if x.Ended != "" {
							n++
						}
					}
					return n > i
				})
			}
			if n := most.Load(); int(n) > limit {
				t.Errorf("%d handlers at once", n)
			}
		})
	}
}

// Requests are begun in the order of arrival, and the counter in shared memory
// says how many.
func TestBegun(t *testing.T) {
	begun := make(chan string, 10)
	release := make(chan struct{})
	s, _ := serve(t, fakedaemon.Config{}, &Server{MaxHandlers: 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun <- r.URL.Path
			<-release
		})})
	l := s.Loops[0]
	if n := l.Begun(); n != 0 {
		t.Errorf("%d begun before the first", n)
	}
	var xs []*fakedaemon.Exchange
	for i := range 5 {
		xs = append(xs, s.Start(fakedaemon.Request{Target: fmt.Sprint("/", i)}))
		if path := <-begun; path != fmt.Sprint("/", i) {
			t.Errorf("%s was begun as number %d", path, i)
		}
		if n := l.Begun(); n != uint64(i+1) {
			t.Errorf("counter is %d after %d", n, i+1)
		}
	}
	close(release)
	for _, x := range xs {
		x.Wait()
	}
}

// What waits behind a busy handler is not begun.
func TestNotBegun(t *testing.T) {
	running, release := make(chan struct{}, 10), make(chan struct{})
	s, _ := serve(t, fakedaemon.Config{Loops: 2}, &Server{MaxHandlers: 2,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running <- struct{}{}
			<-release
		})})
	xs := s.StartAll(fakedaemon.Request{}, fakedaemon.Request{})
	<-running
	<-running
	waiting := s.StartAll(fakedaemon.Request{Loop: 1}, fakedaemon.Request{Loop: 1})
	if a, b := s.Loops[0].Begun(), s.Loops[1].Begun(); a != 2 || b != 0 {
		t.Errorf("begun %d and %d, want 2 and 0", a, b)
	}
	close(release)
	for _, x := range append(xs, waiting...) {
		x.Wait()
	}
	if n := s.Loops[1].Begun(); n != 2 {
		t.Errorf("begun %d, want 2", n)
	}
}

// A request whose client left before its handler began never gets one.
func TestGoneBeforeBegun(t *testing.T) {
	var mu sync.Mutex
	var handled []string
	running, release := make(chan struct{}, 10), make(chan struct{})
	s, _ := serve(t, fakedaemon.Config{Loops: 2}, &Server{MaxHandlers: 1,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			handled = append(handled, r.URL.Path)
			mu.Unlock()
			running <- struct{}{}
			<-release
		})})
	first := s.Start(fakedaemon.Request{Target: "/first"})
	<-running
	waiting := s.Start(fakedaemon.Request{Target: "/waiting", Loop: 1})
	waiting.Cancel(channel.CancelGone)
	close(release)
	first.Wait()
	if waiting.Wait(); waiting.Ended != "CANCEL" {
		t.Errorf("ended by %s", waiting.Ended)
	}
	s.Do(fakedaemon.Request{Target: "/last", Loop: 1})
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(handled, []string{"/first", "/last"}) {
		t.Errorf("handled %v", handled)
	}
}

// Credit comes back with each response.
func TestCredit(t *testing.T) {
	s, _ := serve(t, fakedaemon.Config{}, &Server{MaxHandlers: 4, Handler: http.HandlerFunc(hello)})
	for range 50 {
		s.Do(fakedaemon.Request{})
	}
	l := s.Loops[0]
	if c := l.Credit(); c != 4 {
		t.Errorf("credit %d, want 4", c)
	}
}

// Goroutines that nobody needs any more are let go.
func TestTrim(t *testing.T) {
	release := make(chan struct{})
	server := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release })}
	s, _ := serve(t, fakedaemon.Config{}, server)
	var rs []fakedaemon.Request
	for range 50 {
		rs = append(rs, fakedaemon.Request{})
	}
	xs := s.StartAll(rs...)
	p := server.e.sink.(*pool)
	workers := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.workers
	}
	close(release)
	for _, x := range xs {
		x.Wait()
	}
	// They go idle one after the other; two trims without work in between
	// must leave the least.
	for workers() > keepIdle {
		p.trim()
	}
	s.Do(fakedaemon.Request{})
}

// Many requests of many kinds, at once, on several loops.
func TestConcurrency(t *testing.T) {
	s, _ := serve(t, fakedaemon.Config{Loops: 3, Window: 8192}, &Server{MaxHandlers: 16,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/small":
				io.WriteString(w, "small")
			case "/echo":
				io.Copy(w, r.Body)
			case "/large":
				w.Write(make([]byte, 50_000))
			case "/abort":
				panic(http.ErrAbortHandler)
			}
		})})
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			for j := range 20 {
				r := fakedaemon.Request{Loop: i % 3, Target: []string{"/small", "/echo", "/large", "/abort"}[(i+j)%4],
					Body: "body"}
				x := s.Do(r)
				want := map[string]int{"/small": 5, "/echo": 4, "/large": 50_000, "/abort": 0}[r.Target]
				if len(x.Body) != want {
					t.Errorf("%s: %d bytes", r.Target, len(x.Body))
				}
			}
		})
	}
	wg.Wait()
}
