package promises

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/control"
)

// A load is clients that ask for numbered requests until they are stopped,
// each of them once.
type load struct {
	t    *testing.T
	url  string
	n    atomic.Int64
	stop atomic.Bool
	done sync.WaitGroup

	mu      sync.Mutex
	answers map[int]string // body of 200, or status, or error
}

func newLoad(t *testing.T, url string, clients int) *load {
	l := &load{t: t, url: url, answers: make(map[int]string)}
	for range clients {
		client := newClient(t)
		l.done.Go(func() {
			for !l.stop.Load() {
				l.ask(client, int(l.n.Add(1)))
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) ask(client *http.Client, n int) {
	answer := ""
	resp, err := client.Get(fmt.Sprintf("%s?n=%d", l.url, n))
	if err == nil {
		var b []byte
		b, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		answer = string(b)
		if resp.StatusCode != http.StatusOK {
			answer = resp.Status
		}
	}
	if err != nil {
		answer = err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[n] = answer
}

// end stops the clients and returns the answers by number.
func (l *load) end() map[int]string {
	l.stop.Store(true)
	l.done.Wait()
	return l.answers
}

// more waits until n more answers have come.
func (l *load) more(n int) {
	l.t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.answers)
	}
	begin := count()
	for end := time.Now().Add(patience); count() < begin+n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("%d answers in %v", count()-begin, patience)
		}
	}
}

// kill -9 of one worker of two on a queue under load loses nothing but the
// requests that it had begun, and those get 502.
func TestKilledWorkerLosesOnlyWhatItHadBegun(t *testing.T) {
	m := newMachine(t, false)
	prefix := "prefix=http://+:" + m.port() + "/app/"
	const handlers = 5
	victim := m.program("victim", prefix, "queue=q", fmt.Sprint("handlers=", handlers))
	other := m.program("other", prefix, "queue=q")
	l := newLoad(t, victim.url, 24)
	l.more(500)

	// The victim goes on working, on requests that do not end. More are on their
	// way to it, which it has not begun.
	victim.command("hold")
	for range handlers {
		victim.await("^held ")
	}
	l.more(200)
	victim.kill()
	l.more(500)

	answers := l.end()
	begun, held, others := victim.numbers("begun"), victim.numbers("held"), other.numbers("begun")
	if len(held) != handlers || len(begun) < 100 || len(others) < 100 {
		t.Errorf("the victim held %d requests of %d, the other had %d: the test shows nothing", len(held), len(begun), len(others))
	}
	for n, answer := range answers {
		want := fmt.Sprintf("other GET /app/?n=%d\n", n)
		switch {
		case held[n] > 0:
			want = "502 Bad Gateway"
		case begun[n] > 0:
			want = fmt.Sprintf("victim GET /app/?n=%d\n", n)
		}
		if answer != want {
			t.Errorf("request %d: %q, want %q", n, answer, want)
		}
		if begun[n]+others[n] != 1 {
			t.Errorf("request %d was begun %d times by the victim and %d times by the other", n, begun[n], others[n])
		}
	}
	t.Logf("%d requests: %d by the victim, %d by the other, %d lost", len(answers), len(begun)-len(held), len(others), len(held))
}

// A program on a named queue is replaced under load without one failed
// request.
func TestProgramRestartsWithoutAFailedRequest(t *testing.T) {
	m := newMachine(t, false)
	prefix := "prefix=http://+:" + m.port() + "/app/"
	old := m.program("0", prefix, "queue=q")
	l := newLoad(t, old.url, 16)
	begun := 0
	for i := range 5 {
		l.more(100)
		next := m.program(fmt.Sprint(i+1), prefix, "queue=q")
		old.halt()
		begun += len(old.numbers("begun"))
		old = next
	}
	l.more(100)
	answers := l.end()
	for n, answer := range answers {
		var by int
		if _, err := fmt.Sscanf(answer, "%d GET", &by); err != nil || answer != fmt.Sprintf("%d GET /app/?n=%d\n", by, n) {
			t.Errorf("request %d: %q", n, answer)
		}
	}
	if begun += len(old.numbers("begun")); begun != len(answers) {
		t.Errorf("%d requests were answered, %d begun", len(answers), begun)
	}
}

// Of 50 queued requests whose clients left, the application sees none.
func TestQueuedRequestsOfClientsThatLeftAreNotSeen(t *testing.T) {
	m := newMachine(t, false)
	p := m.program("p", "prefix=http://+:0/", "handlers=1")
	p.command("hold")
	client := newClient(t)
	first := make(chan error, 1)
	go func() {
		resp, err := client.Get(p.url + "?n=1")
		if err == nil {
			resp.Body.Close()
		}
		first <- err
	}()
	p.await("^held 1$")
	const left = 50
	var clients []net.Conn
	for i := range left {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", 100+i)
		clients = append(clients, c)
	}
	// Some may be on their way to the program: those it has not begun.
	m.waitFor("51 requests in the queue and in the program", func(st control.State) bool {
		return len(st.Queues) == 1 && st.Queues[0].Length+st.Queues[0].Workers[0].Inflight == left+1
	})
	for i, c := range clients {
		// The first of them may be on their way to the program, each on its loop: one
		// that only closes its side would be waited for there, as it may want the answer.
		if i < 10 || i%2 == 0 {
			c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
	m.waitFor("50 cancelled requests", func(st control.State) bool {
		return st.Queues[0].Counters.Cancelled == left && st.Queues[0].Length == 0
	})
	p.command("release")
	if err := <-first; err != nil {
		t.Error(err)
	}
	resp, err := client.Get(p.url + "?n=2")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	p.await("^begun 2$")
	if begun := p.numbers("begun"); len(begun) != 2 || begun[1] != 1 || begun[2] != 1 {
		t.Errorf("the program has seen the requests %v", begun)
	}
}

// Programs register and unregister while others work: nobody notices, and
// each prefix answers exactly as long as it is registered.
func TestHundredRegistrationsUnderLoad(t *testing.T) {
	m := newMachine(t, false)
	root := m.program("root", "prefix=http://+:0/")
	before := m.state()
	l := newLoad(t, root.url, 8)
	var all sync.WaitGroup
	for i := range 4 {
		client := newClient(t)
		all.Go(func() {
			for j := range 25 {
				if err := comeAndGo(m, client, root, fmt.Sprintf("%d-%d", i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for n, answer := range l.end() {
		if want := fmt.Sprintf("root GET /?n=%d\n", n); answer != want {
			t.Errorf("request %d: %q", n, answer)
		}
	}
	m.waitFor("what there was before", func(st control.State) bool {
		return len(st.Queues) == len(before.Queues) && len(st.Sessions) == len(before.Sessions)
	})
}

// comeAndGo registers a prefix below root's, asks for it, and unregisters.
func comeAndGo(m *machine, client *http.Client, root *process, name string) error {
	path := "reg-" + name + "/"
	srv := &httpsys.Server{
		Prefixes: []string{"http://+:" + root.port() + "/" + path},
		Socket:   m.socket,
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, path) }),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.Background()) }()
	select {
	case <-srv.Registered():
	case err := <-ended:
		return err
	}
	if got, err := body(client, root.url+path); err != nil || got != path {
		return fmt.Errorf("%s while it is registered: %q %v", path, got, err)
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, httpsys.ErrServerClosed) {
		return err
	}
	if got, err := body(client, root.url+path); err != nil || got != "root GET /"+path+"\n" {
		return fmt.Errorf("%s when it is not: %q %v", path, got, err)
	}
	return nil
}

// body asks for a URL.
func body(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(b), err
}
