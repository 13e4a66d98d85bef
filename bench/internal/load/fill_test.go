package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestFill(t *testing.T) {
	var asked [1000]atomic.Int32
	refuse := atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var i int
		fmt.Sscanf(r.URL.RawQuery, "i=%d", &i)
		asked[i].Add(1)
		if refuse.Load() && i == 500 {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, strings.Repeat("x", i%50))
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	bytes, err := Fill(t.Context(), host, "/?i=", len(asked))
	if err != nil {
		t.Fatal(err)
	}
	if least := int64(len(asked)) * 60; bytes < least {
		t.Errorf("%d bytes, want more than %d", bytes, least)
	}
	for i := range asked {
		if n := asked[i].Load(); n != 1 {
			t.Fatalf("%d was asked for %d times", i, n)
		}
	}
	refuse.Store(true)
	if _, err := Fill(t.Context(), host, "/?i=", len(asked)); err == nil || !strings.Contains(err.Error(), "/?i=500: ") {
		t.Errorf("one was refused, and Fill says %v", err)
	}
}
