package httpsys

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
)

// A logBook collects what a Server logs.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
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

// serve runs a Server with the handler against a fake daemon until the test
// ends.
func serve(t testing.TB, conf fakedaemon.Config, s *Server) (*fakedaemon.Session, *fakedaemon.Daemon) {
	t.Helper()
	d := fakedaemon.New(t, conf)
	s.Socket = d.Path
	if s.Prefixes == nil && s.Bindings == nil {
		s.Prefixes = []string{"http://+:8080/app/"}
	}
	if s.ErrorLog == nil {
		s.ErrorLog = log.New(testWriter{t}, "", 0)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), fakedaemon.Patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return d.Session(1), d
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Errorf("unexpected log: %s", p)
	return len(p), nil
}

// serveFunc is serve for a handler alone.
func serveFunc(t testing.TB, h http.HandlerFunc) *fakedaemon.Session {
	t.Helper()
	s, _ := serve(t, fakedaemon.Config{}, &Server{Handler: h})
	return s
}

func TestHello(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.URL.Path) })
	x := s.Do(fakedaemon.Request{Target: "/app/x"})
	if x.Status != 200 || string(x.Body) != "hello /app/x" || !x.HeadWithEnd {
		t.Errorf("%+v", x)
	}
}
