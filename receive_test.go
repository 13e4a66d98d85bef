package httpsys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A pulled is a Queue with its fake daemon.
type pulled struct {
	*Queue
	session *fakedaemon.Session
}

func openQueue(t testing.TB, conf fakedaemon.Config) (pulled, *fakedaemon.Daemon) {
	t.Helper()
	d := fakedaemon.New(t, conf)
	var book logBook
	s := &Server{Prefixes: []string{"http://+:8080/"}, Socket: d.Path, ErrorLog: book.logger()}
	q, err := s.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		shutdown(t, q)
		if book.String() != "" {
			t.Errorf("logged: %s", &book)
		}
	})
	return pulled{q, d.Session(1)}, d
}

func TestReceive(t *testing.T) {
	q, _ := openQueue(t, fakedaemon.Config{})
	l := q.session.Loops[0]
	if c := l.Credit(); c != 0 {
		t.Errorf("credit of %d before the first Receive", c)
	}
	results := make(chan *fakedaemon.Exchange, 1)
	go func() { results <- q.session.Do(fakedaemon.Request{Method: "POST", Target: "/a", Body: "body"}) }()
	in, err := q.Receive(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if c := l.Credit(); c != 0 {
		t.Errorf("credit of %d after it", c)
	}
	if n := l.Begun(); n != 1 {
		t.Errorf("%d begun", n)
	}
	body, _ := io.ReadAll(in.Request.Body)
	in.Response.Header().Set("X-A", "b")
	in.Response.WriteHeader(201)
	fmt.Fprintf(in.Response, "%s %s", in.Request.URL.Path, body)
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if x := <-results; x.Status != 201 || string(x.Body) != "/a body" || x.Field("X-A") != "b" {
		t.Errorf("status %d, body %q", x.Status, x.Body)
	}
	<-in.Request.Context().Done()
	if c := l.Credit(); c != 0 {
		t.Errorf("the end of a response gave credit: %d", c)
	}
}

func TestIncomingAbort(t *testing.T) {
	q, _ := openQueue(t, fakedaemon.Config{})
	results := make(chan *fakedaemon.Exchange, 1)
	go func() { results <- q.session.Do(fakedaemon.Request{}) }()
	in, err := q.Receive(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	in.Abort()
	if x := <-results; x.Ended != "CANCEL" {
		t.Errorf("ended by %s", x.Ended)
	}
}

// A response that could not be completed is reported by Close.
func TestIncomingCloseError(t *testing.T) {
	q, _ := openQueue(t, fakedaemon.Config{})
	started := make(chan *fakedaemon.Exchange, 1)
	go func() { started <- q.session.Start(fakedaemon.Request{}) }()
	in, err := q.Receive(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	x := <-started
	x.Cancel(channel.CancelGone)
	<-in.Request.Context().Done()
	io.WriteString(in.Response, "for nobody")
	if err := in.Close(); err == nil {
		t.Error("no error")
	}
	x.Wait()
}

// Of the requests whose clients left before Receive came, none is returned.
func TestReceiveSkipsGone(t *testing.T) {
	q, _ := openQueue(t, fakedaemon.Config{Loops: 2})
	// Both loops get a credit for the one Receive; the second request waits in
	// the process.
	results := make(chan *Incoming)
	receive := func() {
		in, err := q.Receive(context.Background())
		if err != nil {
			t.Error(err)
		}
		results <- in
	}
	go receive()
	a := q.session.Start(fakedaemon.Request{Target: "/a", Loop: 0})
	first := <-results
	b := q.session.Start(fakedaemon.Request{Target: "/b", Loop: 1})
	b.Cancel(channel.CancelGone)
	// The CANCEL has arrived when something behind it has.
	in := make(chan struct{})
	go func() {
		x := q.session.Start(fakedaemon.Request{Target: "/c", Loop: 1})
		close(in)
		x.Wait()
	}()
	go receive()
	second := <-results
	<-in
	if first.Request.URL.Path != "/a" || second.Request.URL.Path != "/c" {
		t.Errorf("got %s and %s", first.Request.URL.Path, second.Request.URL.Path)
	}
	first.Close()
	second.Close()
	a.Wait()
	b.Wait()
}

// A Receive that is given up leaves its credit to the next one.
func TestReceiveCancelled(t *testing.T) {
	q, d := openQueue(t, fakedaemon.Config{})
	l := q.session.Loops[0]
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := q.Receive(ctx)
		done <- err
	}()
	d.WaitFor("credit", func() bool { return l.CreditLocked() > 0 })
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if _, err := q.Receive(ctx); err != context.Canceled {
		t.Errorf("with a context that has ended: %v", err)
	}
	x := q.session.Start(fakedaemon.Request{Target: "/late"})
	in, err := q.Receive(context.Background())
	if err != nil || in.Request.URL.Path != "/late" {
		t.Fatal(in, err)
	}
	if c := l.Credit(); c != 0 {
		t.Errorf("credit of %d", c)
	}
	in.Close()
	x.Wait()
}

// Several goroutines pull; each request is returned once.
func TestReceiveConcurrently(t *testing.T) {
	const requests, pullers = 200, 8
	q, _ := openQueue(t, fakedaemon.Config{Loops: 2})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range pullers {
		wg.Go(func() {
			for {
				in, err := q.Receive(ctx)
				if err != nil {
					return
				}
				hello(in.Response, in.Request)
				in.Close()
			}
		})
	}
	var clients sync.WaitGroup
	for i := range 2 {
		clients.Go(func() {
			for j := range requests {
				target := fmt.Sprintf("/%d/%d", i, j)
				if x := q.session.Do(fakedaemon.Request{Target: target, Loop: i}); string(x.Body) != "hello "+target {
					t.Errorf("body %q", x.Body)
				}
			}
		})
	}
	clients.Wait()
	cancel()
	wg.Wait()
}

// Shutdown lets what has arrived be received, and then ends Receive.
func TestReceiveShutdown(t *testing.T) {
	q, d := openQueue(t, fakedaemon.Config{Loops: 2})
	got := make(chan *Incoming)
	errs := make(chan error)
	receive := func() {
		in, err := q.Receive(context.Background())
		if err != nil {
			errs <- err
			return
		}
		got <- in
	}
	go receive()
	a := q.session.Start(fakedaemon.Request{Loop: 0})
	first := <-got
	b := q.session.Start(fakedaemon.Request{Loop: 1}) // waits in the process
	ended := make(chan error)
	go func() { ended <- q.Shutdown(context.Background()) }()
	d.WaitFor("unregister", func() bool { return len(q.session.Unregistered) == 1 })
	go receive()
	second := <-got
	go receive()
	first.Close()
	second.Close()
	a.Wait()
	b.Wait()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-errs; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Receive: %v", err)
	}
	if _, err := q.Receive(context.Background()); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Receive afterwards: %v", err)
	}
}

// After a restart of the daemon a Receive that waits still gets a request.
func TestReceiveReconnect(t *testing.T) {
	d := fakedaemon.New(t, fakedaemon.Config{Loops: 2})
	var book logBook
	q, err := (&Server{Prefixes: []string{"http://+:1/"}, Socket: d.Path,
		ErrorLog: book.logger()}).Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer shutdown(t, q)
	got := make(chan *Incoming)
	go func() {
		in, _ := q.Receive(context.Background())
		got <- in
	}()
	first := d.Session(1)
	first.Close()
	x := d.Session(2).Start(fakedaemon.Request{Loop: 1})
	in := <-got
	in.Close()
	x.Wait()
}
