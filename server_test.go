package httpsys

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A logBook collects what a Server logs.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBook) logger() *log.Logger { return log.New(b, "", 0) }

// serve runs a Server against a fake daemon until the test ends. Unless the
// test brings a log of its own, nothing may be logged.
func serve(t testing.TB, conf fakedaemon.Config, s *Server) (*fakedaemon.Session, *fakedaemon.Daemon) {
	t.Helper()
	d := fakedaemon.New(t, conf)
	serveAt(t, d, s)
	return d.Session(1), d
}

func serveAt(t testing.TB, d *fakedaemon.Daemon, s *Server) {
	t.Helper()
	s.Socket = d.Path
	if s.Prefixes == nil && s.Bindings == nil {
		s.Prefixes = []string{"http://+:8080/app/"}
	}
	var unexpected *logBook
	if s.ErrorLog == nil {
		unexpected = new(logBook)
		s.ErrorLog = unexpected.logger()
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		shutdown(t, s)
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		if unexpected != nil && unexpected.String() != "" {
			t.Errorf("logged: %s", unexpected)
		}
	})
	select {
	case <-s.Registered():
	case err := <-done:
		done <- err
		t.Fatalf("Serve: %v", err)
	}
}

func shutdown(t testing.TB, s interface{ Shutdown(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), fakedaemon.Patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// serveFunc is serve for a handler alone.
func serveFunc(t testing.TB, h http.HandlerFunc) *fakedaemon.Session {
	t.Helper()
	s, _ := serve(t, fakedaemon.Config{}, &Server{Handler: h})
	return s
}

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.URL.Path) }

func TestHello(t *testing.T) {
	s := serveFunc(t, hello)
	x := s.Do(fakedaemon.Request{Target: "/app/x"})
	if x.Status != 200 || string(x.Body) != "hello /app/x" || !x.HeadWithEnd {
		t.Errorf("status %d, body %q, in one frame: %v", x.Status, x.Body, x.HeadWithEnd)
	}
}

// What a Server says is what the daemon is told.
func TestRegistrationParameters(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	for _, test := range []struct {
		name string
		s    *Server
		want []channel.RegisterParams
	}{
		{"defaults", &Server{}, []channel.RegisterParams{{URL: "http://+:8080/app/"}}},
		{"queue", &Server{Queue: "shop", QueueLimit: 7, MaxAge: 3 * time.Second},
			[]channel.RegisterParams{{URL: "http://+:8080/app/", Queue: "shop", Limit: 7, MaxAgeMS: number(3000)}}},
		{"affinity", &Server{Queue: "shop", Affinity: Affinity{Query: "sid", Address: true}},
			[]channel.RegisterParams{{URL: "http://+:8080/app/", Queue: "shop", Affinity: &channel.Affinity{Query: "sid", Address: true}}}},
		{"no limit of age", &Server{MaxAge: -1},
			[]channel.RegisterParams{{URL: "http://+:8080/app/", MaxAgeMS: number(0)}}},
		{"timeouts", &Server{Timeouts: Timeouts{EntityBody: time.Second, DrainEntityBody: -1,
			HeaderWait: time.Microsecond, MinSendRate: -1, MaxBody: 5}},
			[]channel.RegisterParams{{URL: "http://+:8080/app/", Timeouts: &channel.Timeouts{EntityBodyMS: number(1000),
				DrainEntityBodyMS: number(0), HeaderWaitMS: number(1), MinSendRate: number(0), MaxBody: number(5)}}}},
		{"compression", &Server{Compress: true}, []channel.RegisterParams{{URL: "http://+:8080/app/", Compress: true}}},
		{"compression for a binding", &Server{Prefixes: []string{"http://+:1/"}, Bindings: []Binding{{Port: 2, Compress: true}}},
			[]channel.RegisterParams{{URL: "http://+:1/"}, {URL: "http://+:2/", Compress: true}}},
		{"bindings after prefixes, the port of the first for all", &Server{Prefixes: []string{"http://+:1/"},
			Bindings: []Binding{{Hosts: []string{"a.test", "b.test"}}}},
			[]channel.RegisterParams{{URL: "http://+:1/"}, {URL: "http://a.test:0/"}, {URL: "http://b.test:40001/"}}},
		{"client certificates for all", &Server{Prefixes: []string{"https://+:1/"}, RequireClientCertificate: true, Bindings: []Binding{{Scheme: "https", Port: 2}}},
			[]channel.RegisterParams{{URL: "https://+:1/", ClientCertificate: "trusted"}, {URL: "https://+:2/", ClientCertificate: "trusted"}}},
		{"client certificates for a binding", &Server{Prefixes: []string{"http://+:1/"}, Bindings: []Binding{{Scheme: "https", Port: 2, RequireClientCertificate: true}}},
			[]channel.RegisterParams{{URL: "http://+:1/"}, {URL: "https://+:2/", ClientCertificate: "trusted"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			session, d := serve(t, fakedaemon.Config{}, test.s)
			d.WaitFor("registrations", func() bool { return reflect.DeepEqual(session.Registered, test.want) })
		})
	}
}

// The first failure is returned at once, with a code and one line that says
// what to do.
func TestStartErrors(t *testing.T) {
	refuse := func(code channel.Code, message string) fakedaemon.Config {
		return fakedaemon.Config{Register: func(*fakedaemon.Daemon, channel.RegisterParams) (channel.RegisterResult,
			*channel.Error) {
			return channel.RegisterResult{}, &channel.Error{Code: code, Message: message}
		}}
	}
	for _, test := range []struct {
		name string
		conf fakedaemon.Config
		code Code
		text string
	}{
		{"reserved", refuse(channel.AccessDenied, "reserved for alice"), AccessDenied,
			"register http://+:80/: reserved for alice"},
		{"taken", refuse(channel.AlreadyExists, "registered by uid 1001"), AlreadyExists,
			"register http://+:80/: registered by uid 1001"},
		{"hello refused", fakedaemon.Config{Hello: func(channel.HelloMessage) *channel.Error {
			return &channel.Error{Code: channel.Limit, Message: "too many sessions"}
		}}, Limit, "connect PATH: too many sessions"},
		{"loop refused", fakedaemon.Config{Hello: func(h channel.HelloMessage) *channel.Error {
			if h.Role == channel.RoleSession {
				return nil
			}
			return &channel.Error{Code: channel.Internal, Message: "no memory"}
		}}, Internal, "connect PATH: no memory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := fakedaemon.New(t, test.conf)
			s := &Server{Prefixes: []string{"http://+:80/"}, Socket: d.Path}
			err := s.Serve(context.Background())
			var e *Error
			if !errors.As(err, &e) || e.Code != test.code || !errors.Is(err, &Error{Code: test.code}) {
				t.Fatalf("got %#v, want code %s", err, test.code)
			}
			if got := strings.ReplaceAll(err.Error(), d.Path, "PATH"); got != test.text {
				t.Errorf("got %q, want %q", got, test.text)
			}
			if errors.Is(err, &Error{Code: Unsupported}) {
				t.Error("errors.Is finds every code")
			}
			if s.URLs() != nil {
				t.Errorf("URLs() = %v", s.URLs())
			}
		})
	}
}

func TestNoDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	t.Setenv(SocketVariable, path)
	want := "no httpsys daemon at " + path + ": start it with `httpsys serve` or set HTTPSYS_SOCKET"
	err := ListenAndServe("http://+:8080/", nil)
	if err == nil || err.Error() != want || !errors.Is(err, &Error{Code: NoDaemon}) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNoPrefix(t *testing.T) {
	err := (&Server{}).Serve(context.Background())
	if !errors.Is(err, &Error{Code: InvalidParameter}) {
		t.Errorf("got %v", err)
	}
}

func TestSocketPaths(t *testing.T) {
	t.Setenv(SocketVariable, "/env")
	if got, trusted := socketPaths("/given"); !slices.Equal(got, []string{"/given"}) || !trusted {
		t.Errorf("given: %v, %v", got, trusted)
	}
	if got, trusted := socketPaths(""); !slices.Equal(got, []string{"/env"}) || !trusted {
		t.Errorf("environment: %v, %v", got, trusted)
	}
	t.Setenv(SocketVariable, "")
	if got, trusted := socketPaths(""); got[len(got)-1] != "/run/httpsys/httpsys.sock" || trusted {
		t.Errorf("default: %v, %v", got, trusted)
	}
}

// URLs fills the port in, and OnRegistered and Registered say when.
func TestPortZero(t *testing.T) {
	told := make(chan []string, 10)
	s := &Server{Prefixes: []string{"http://+:0/a/", "http://localhost:0/b/"}, Handler: http.HandlerFunc(hello),
		OnRegistered: func(urls []string) { told <- urls }}
	if s.URLs() != nil {
		t.Error("URLs before the registration")
	}
	serve(t, fakedaemon.Config{}, s)
	<-s.Registered()
	want := []string{"http://+:40001/a/", "http://localhost:40002/b/"}
	if got := <-told; !slices.Equal(got, want) || !slices.Equal(s.URLs(), want) {
		t.Errorf("told %v, URLs %v, want %v", got, s.URLs(), want)
	}
}

// A daemon that was restarted finds everything registered again, with the same
// ports; requests go on.
func TestReconnect(t *testing.T) {
	var book logBook
	told := make(chan []string, 10)
	s := &Server{Prefixes: []string{"http://+:0/a/"}, Handler: http.HandlerFunc(hello), ErrorLog: book.logger(),
		OnRegistered: func(urls []string) { told <- urls }}
	first, d := serve(t, fakedaemon.Config{Loops: 2}, s)
	first.Do(fakedaemon.Request{})
	<-told
	d.Stop()
	d.Listen()
	second := d.Session(2)
	if x := second.Do(fakedaemon.Request{Target: "/a/again", Loop: 1}); string(x.Body) != "hello /a/again" {
		t.Errorf("body %q", x.Body)
	}
	if urls := <-told; urls[0] != "http://+:40001/a/" {
		t.Errorf("registered again as %v", urls)
	}
	if got := second.Calls(); !slices.Equal(got, []string{"register http://+:40001/a/"}) {
		t.Errorf("calls %v", got)
	}
	if text := book.String(); strings.Count(text, "\n") < 2 || !strings.Contains(text, "lost") ||
		!strings.Contains(text, "registered again") {
		t.Errorf("log:\n%s", text)
	}
}

// While the daemon does not take the prefixes back, the Server keeps trying
// and says why, once.
func TestReconnectRefused(t *testing.T) {
	refusals := 0
	first := true
	d := fakedaemon.New(t, fakedaemon.Config{
		Register: func(d *fakedaemon.Daemon, p channel.RegisterParams) (channel.RegisterResult, *channel.Error) {
			if !first && refusals < 3 {
				refusals++
				return channel.RegisterResult{}, &channel.Error{Code: channel.AlreadyExists, Message: "still there"}
			}
			first = false
			return d.Accept(p), nil
		}})
	var book logBook
	serveAt(t, d, &Server{Handler: http.HandlerFunc(hello), ErrorLog: book.logger()})
	d.Session(1).Close()
	d.Session(5)
	if got := strings.Count(book.String(), "still there"); got != 1 {
		t.Errorf("%d lines about it:\n%s", got, &book)
	}
}

// The contexts of requests that were running when the daemon died end, and
// their writes fail.
func TestDaemonDies(t *testing.T) {
	var book logBook
	ended := make(chan error, 1)
	running := make(chan struct{})
	s := &Server{ErrorLog: book.logger(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
		http.NewResponseController(w).Flush()
		_, err := w.Write(make([]byte, 100_000))
		ended <- err
	})}
	session, d := serve(t, fakedaemon.Config{Lenient: true}, s)
	session.Start(fakedaemon.Request{})
	<-running
	session.Close()
	if err := <-ended; err == nil {
		t.Error("a write after the death succeeded")
	}
	d.Session(2)
}

// Shutdown gives the prefixes back, says GOAWAY, and waits for what runs.
func TestShutdown(t *testing.T) {
	running, finish := make(chan struct{}, 2), make(chan struct{})
	s := &Server{Prefixes: []string{"http://+:1/", "http://+:2/"},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running <- struct{}{}
			<-finish
			io.WriteString(w, "done")
		})}
	session, d := serve(t, fakedaemon.Config{Loops: 2}, s)
	a := session.Start(fakedaemon.Request{Loop: 0})
	b := session.Start(fakedaemon.Request{Loop: 1})
	<-running
	<-running
	hook := make(chan struct{})
	s.RegisterOnShutdown(func() { close(hook) })
	ended := make(chan error)
	go func() { ended <- s.Shutdown(context.Background()) }()
	<-hook
	for _, l := range session.Loops {
		d.WaitFor("GOAWAY on each loop", func() bool { return len(session.Unregistered) == 2 && l.GoneAway })
	}
	select {
	case <-ended:
		t.Error("Shutdown did not wait for the handlers")
	default:
	}
	close(finish)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, x := range []*fakedaemon.Exchange{a, b} {
		if x.Wait(); string(x.Body) != "done" || x.Ended != "END" {
			t.Errorf("body %q, ended by %s", x.Body, x.Ended)
		}
	}
	session.WaitClosed()
	want := []string{"register http://+:1/", "register http://+:2/", "unregister 1", "unregister 2"}
	if got := session.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
	if err := s.Serve(context.Background()); err != ErrServerClosed {
		t.Errorf("Serve afterwards: %v", err)
	}
}

// When the context of Shutdown ends first, what runs is cut off.
func TestShutdownBounded(t *testing.T) {
	running := make(chan struct{})
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
	})}
	session, _ := serve(t, fakedaemon.Config{Lenient: true}, s)
	session.Start(fakedaemon.Request{})
	<-running
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	session.WaitClosed()
}

func TestClose(t *testing.T) {
	running := make(chan struct{})
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
	})}
	session, _ := serve(t, fakedaemon.Config{Lenient: true}, s)
	session.Start(fakedaemon.Request{})
	<-running
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	session.WaitClosed()
}

// Serve ends in order when its context ends.
func TestServeContext(t *testing.T) {
	d := fakedaemon.New(t, fakedaemon.Config{})
	running, finish := make(chan struct{}), make(chan struct{})
	type key struct{}
	s := &Server{Prefixes: []string{"http://+:1/"}, Socket: d.Path,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(running)
			<-finish
			io.WriteString(w, r.Context().Value(key{}).(string)+" "+http.StatusText(200))
			if err := r.Context().Err(); err != nil {
				t.Errorf("the end of Serve's context ended the request's: %v", err)
			}
		})}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	session := d.Session(1)
	x := session.Start(fakedaemon.Request{})
	<-running
	cancel()
	d.WaitFor("unregister", func() bool { return len(session.Unregistered) == 1 })
	close(finish)
	if err := <-ended; err != ErrServerClosed {
		t.Error(err)
	}
	if x.Wait(); string(x.Body) != "value OK" {
		t.Errorf("body %q", x.Body)
	}
}

// A Server that is closed before it could connect does not connect.
func TestCloseBeforeServe(t *testing.T) {
	d := fakedaemon.New(t, fakedaemon.Config{})
	for _, end := range []func(*Server){
		func(s *Server) { s.Close() },
		func(s *Server) { s.Shutdown(context.Background()) },
	} {
		s := &Server{Prefixes: []string{"http://+:1/"}, Socket: d.Path}
		end(s)
		if err := s.Serve(context.Background()); err != ErrServerClosed {
			t.Error(err)
		}
	}
}

// Closing while the daemon takes its time over the registration ends Serve.
func TestCloseWhileRegistering(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	d := fakedaemon.New(t, fakedaemon.Config{Hello: func(h channel.HelloMessage) *channel.Error {
		close(asked)
		<-answer
		return &channel.Error{Code: channel.Internal}
	}})
	s := &Server{Prefixes: []string{"http://+:1/"}, Socket: d.Path}
	ended := make(chan error)
	go func() { ended <- s.Serve(context.Background()) }()
	<-asked
	s.Close()
	if err := <-ended; err != ErrServerClosed {
		t.Error(err)
	}
	close(answer)
}

func TestBaseContext(t *testing.T) {
	type key struct{}
	base, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "base"))
	running, ended := make(chan struct{}, 2), make(chan error)
	s := &Server{BaseContext: func() context.Context { return base },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Value(key{}) != "base" {
				t.Error("the value of the base context is missing")
			}
			running <- struct{}{}
			<-r.Context().Done()
			ended <- r.Context().Err()
		})}
	session, _ := serve(t, fakedaemon.Config{}, s)
	x := session.Start(fakedaemon.Request{})
	<-running
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Error(err)
	}
	x.Wait()
	// A request that comes later has a context that has ended.
	x = session.Start(fakedaemon.Request{})
	<-ended
	x.Wait()
}

// A daemon that breaks the protocol loses the session, and gets another one.
func TestBrokenDaemon(t *testing.T) {
	for _, test := range []struct {
		name  string
		frame []byte
	}{
		{"not a frame", []byte(strings.Repeat("\xff", 12))},
		{"a frame of applications", channel.AppendFrame(nil, channel.Response, 0, 1, 200, make([]byte, 8))},
		{"no stream", channel.AppendFrame(nil, channel.Data, 0, 0, 0, nil)},
		{"REQUEST without a head", channel.AppendFrame(nil, channel.Request, 0, 1, 0, nil)},
		{"an error", channel.AppendFrame(nil, channel.Reply, 0, 0, 0,
			[]byte(`{"error":{"code":"invalid_parameter","message":"no"}}`))},
	} {
		t.Run(test.name, func(t *testing.T) {
			var book logBook
			session, d := serve(t, fakedaemon.Config{}, &Server{Handler: http.HandlerFunc(hello),
				ErrorLog: book.logger()})
			session.Do(fakedaemon.Request{})
			session.Loops[0].Send(test.frame)
			session.WaitClosed()
			d.Session(2).Do(fakedaemon.Request{})
		})
	}
}
