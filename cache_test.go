package httpsys

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
)

// What handlers say to the daemon about a response.
func TestCacheFields(t *testing.T) {
	for _, tc := range []struct {
		name string
		say  func(w *httptest.ResponseRecorder)
		want string
	}{
		{"a minute", func(w *httptest.ResponseRecorder) { CacheFor(w, time.Minute) }, "max-age=60"},
		{"cut", func(w *httptest.ResponseRecorder) { CacheFor(w, 1999*time.Millisecond) }, "max-age=1"},
		{"too short", func(w *httptest.ResponseRecorder) { CacheFor(w, 999*time.Millisecond) }, "no-store"},
		{"negative", func(w *httptest.ResponseRecorder) { CacheFor(w, -time.Hour) }, "no-store"},
		{"until flushed", func(w *httptest.ResponseRecorder) { CacheUntilFlushed(w) }, "until-flushed"},
		{"the last word counts", func(w *httptest.ResponseRecorder) { CacheUntilFlushed(w); NoCache(w) }, "no-store"},
	} {
		w := httptest.NewRecorder()
		tc.say(w)
		if got := w.Header().Get("Httpsys-Cache-Control"); got != tc.want || len(w.Header()["Httpsys-Cache-Control"]) != 1 {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	w := httptest.NewRecorder()
	CacheTags(w, "a", "b")
	CacheTags(w, "c")
	if got := w.Header()["Cache-Tag"]; !slices.Equal(got, []string{"a, b", "c"}) {
		t.Errorf("tags %q", got)
	}
}

func TestFlush(t *testing.T) {
	s := &Server{CacheDuration: 90 * time.Second}
	ctx := context.Background()
	if _, err := s.Flush(ctx, "http://a/", false); !errors.Is(err, &Error{Code: Disconnected}) {
		t.Errorf("before Serve: %v", err)
	}
	sess, _ := serve(t, fakedaemon.Config{}, s)
	if n, err := s.Flush(ctx, "http://a/b", true); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := s.FlushTag(ctx, "t"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := s.Flush(ctx, "bad", false); !errors.Is(err, &Error{Code: InvalidParameter}) || err.Error() != "flush bad: url bad" {
		t.Errorf("%v", err)
	}
	want := []string{`flush "http://a/b" recursive=true tag=""`, `flush "" recursive=false tag="t"`, `flush "bad" recursive=false tag=""`}
	if got := sess.Calls(); !slices.Equal(got[len(got)-3:], want) {
		t.Errorf("calls %q", got)
	}
}
