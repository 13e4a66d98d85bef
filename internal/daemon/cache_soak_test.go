package daemon_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
)

// TestCacheSoak is a load of hits, misses, validations, ranges, changes, flushes
// and purges on a cache that is too small for it. Each body says whose it is and
// which version, so every answer is checked: nobody gets what is another's, or
// older than what was changed or flushed before the request began. The budget
// holds all the time, and in the end all of it is free.
//
// It runs as long as -soak says.
func TestCacheSoak(t *testing.T) {
	const budget = 3 << 20
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	d := testkit.Start(t, testkit.Options{Loops: 2, Config: fmt.Sprintf(
		`{"version":1,"urlacl":[],"cacheparams":{"maxcachesize":%d,"maxcacheresponsesize":1048576,"scavengerperiod":1}}`, budget)})
	s := &cacheSoak{t: t, d: d}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready := make(chan string, 1)
	s.server = &httpsys.Server{
		Prefixes: []string{"http://+:0/"}, Socket: d.Socket, Handler: s,
		OnRegistered: func(urls []string) { ready <- urls[0] },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx) }()
	select {
	case url := <-ready:
		s.host = "127.0.0.1:" + strings.TrimSuffix(url[strings.LastIndexByte(url, ':')+1:], "/")
	case err := <-ended:
		t.Fatal(err)
	}
	until := time.Now().Add(*soakTime)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { s.client(i, rand.New(rand.NewPCG(seed, uint64(i))), until) })
	}
	wg.Go(func() { s.impatient(rand.New(rand.NewPCG(seed, 98)), until) })
	wg.Go(func() { s.purger(rand.New(rand.NewPCG(seed, 99)), until, budget) })
	wg.Wait()
	t.Logf("%d requests, %d from the cache, %d at the application", s.asked.Load(), s.hits.Load(), s.reached.Load())
	if s.hits.Load() == 0 {
		t.Error("nothing came from the cache")
	}
	cancel()
	if err := <-ended; !errors.Is(err, httpsys.ErrServerClosed) {
		t.Error(err)
	}
	d.Wait("the cache is empty", func(*control.State) bool {
		st, _ := d.CacheState(control.CacheStateParams{}, everyone)
		return st.Size == 0 && st.Count == 0
	})
}

type cacheSoak struct {
	t                    *testing.T
	d                    *testkit.Daemon
	server               *httpsys.Server
	host                 string
	versions             [64]atomic.Int64 // of the resources
	settled              [64]atomic.Int64 // that nobody may get less than
	asked, hits, reached atomic.Int64
}

// size is the length of the body of a resource: most are short, some long.
func size(n int) int {
	switch {
	case n%16 == 15:
		return 200_000
	case n%8 == 7:
		return 70_000
	}
	return 100 + n*50
}

// content is version v of resource n for somebody.
func content(n int, v int64, who string, length int) string {
	head := fmt.Sprintf("%d %d %s\n", n, v, who)
	return head + strings.Repeat(string(rune('a'+(n+int(v))%26)), length-len(head))
}

func (s *cacheSoak) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.reached.Add(1)
	kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 || n >= len(s.versions) {
		http.NotFound(w, r)
		return
	}
	v := s.versions[n].Load()
	h := w.Header()
	tag := fmt.Sprintf("\"%d\"", v)
	h.Set("Cache-Tag", fmt.Sprint("t", n%8))
	who := "all"
	switch kind {
	case "change": // by an unsafe request for the resource itself
		s.versions[n].Add(1)
		h.Set("Location", fmt.Sprint("/r/", n))
		w.WriteHeader(http.StatusSeeOther)
		return
	case "r":
		h.Set("Cache-Control", "max-age=3600")
		h.Set("ETag", tag)
	case "validated":
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	case "vary":
		who = r.Header.Get("X-Who")
		h.Set("Vary", "X-Who")
		h.Set("Cache-Control", "max-age=3600")
	case "private":
		who = r.Header.Get("Cookie")
		h.Set("Cache-Control", "private, max-age=3600")
	case "auth":
		who = r.Header.Get("Authorization")
		h.Set("Cache-Control", "max-age=3600")
	case "own":
		httpsys.CacheUntilFlushed(w)
	case "parts": // the daemon puts them together
		h.Set("Cache-Control", "max-age=3600")
		h.Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content(n, v, who, size(n))))
		return
	}
	body := content(n, v, who, size(n))
	if n%2 == 0 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if n%3 == 0 { // in pieces
		io.WriteString(w, body[:50])
		w.(http.Flusher).Flush()
		io.WriteString(w, body[50:])
		return
	}
	io.WriteString(w, body)
}

func (s *cacheSoak) client(id int, rnd *rand.Rand, until time.Time) {
	tr := &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}
	defer tr.CloseIdleConnections()
	kinds := []string{"r", "r", "r", "validated", "vary", "private", "auth", "own", "parts", "parts"}
	me := fmt.Sprint("user", id)
	for time.Now().Before(until) && !s.t.Failed() {
		n := rnd.IntN(len(s.versions))
		if rnd.IntN(2) == 0 {
			n = rnd.IntN(6) // some are asked for again and again
		}
		kind := kinds[rnd.IntN(len(kinds))]
		if rnd.IntN(40) == 0 {
			s.change(tr, n)
			continue
		}
		least := s.settled[n].Load()
		req, _ := http.NewRequest("GET", fmt.Sprintf("http://%s/%s/%d", s.host, kind, n), nil)
		who := "all"
		switch kind {
		case "vary":
			who = fmt.Sprint("group", rnd.IntN(3))
			req.Header.Set("X-Who", who)
		case "private":
			who = me
			req.Header.Set("Cookie", who)
		case "auth":
			who = me
			req.Header.Set("Authorization", who)
		}
		from, to := 0, size(n)
		if rnd.IntN(8) == 0 || kind == "parts" && rnd.IntN(4) > 0 {
			from = rnd.IntN(size(n))
			to = from + 1 + rnd.IntN(size(n)-from)
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
		}
		if rnd.IntN(16) == 0 {
			req.Method = "HEAD"
		}
		s.asked.Add(1)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			s.t.Errorf("%s %s: %v", req.Method, req.URL, err)
			return
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			s.t.Errorf("%s %s: %v after %d bytes", req.Method, req.URL, err, len(b))
			return
		}
		status := resp.Header.Get("Cache-Status")
		if strings.Contains(status, "hit") {
			s.hits.Add(1)
			if kind == "private" || kind == "auth" {
				s.t.Errorf("%s came from the cache", req.URL)
			}
		}
		if req.Method == "HEAD" {
			continue
		}
		got := string(b)
		if resp.StatusCode == 206 {
			// The first line may not be in it: the letters say the version.
			s.checkPart(req, kind, n, who, from, to, got, least)
			continue
		}
		var gotN int
		var v int64
		var gotWho string
		fmt.Sscanf(got, "%d %d %s\n", &gotN, &v, &gotWho)
		if resp.StatusCode != 200 || gotN != n || gotWho != who || got != content(n, v, who, size(n)) {
			s.t.Errorf("%s: %d, %.60q (%d bytes), want %d for %s", req.URL, resp.StatusCode, got, len(got), n, who)
			return
		}
		if v < least {
			s.t.Errorf("%s: version %d, but it was %d when the request began (%s)", req.URL, v, least, status)
			return
		}
	}
}

// checkPart checks a range: it must be that of some version since the request
// began.
func (s *cacheSoak) checkPart(req *http.Request, kind string, n int, who string, from, to int, got string, least int64) {
	for v := least; v <= s.versions[n].Load(); v++ {
		if got == content(n, v, who, size(n))[from:to] {
			return
		}
	}
	s.t.Errorf("%s %s: %.60q (%d bytes) is bytes %d to %d of no version since %d", req.URL, kind, got, len(got), from, to, least)
}

// change makes a new version of a resource. When it returns, nobody may get an
// older one: everything that can be stored of it is flushed, in one of several ways.
func (s *cacheSoak) change(tr *http.Transport, n int) {
	before := s.versions[n].Load()
	ctx := context.Background()
	req, _ := http.NewRequest("POST", fmt.Sprintf("http://%s/change/%d", s.host, n), nil)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		s.t.Error(err)
		return
	}
	resp.Body.Close()
	for _, kind := range []string{"vary", "own", "parts"} {
		if _, err := s.server.Flush(ctx, fmt.Sprintf("http://%s/%s/%d", s.host, kind, n), before%2 == 0); err != nil {
			s.t.Error(err)
		}
	}
	if before%5 == 0 {
		if _, err := s.server.FlushTag(ctx, fmt.Sprint("t", n%8)); err != nil {
			s.t.Error(err)
		}
	}
	for { // others may change it, too
		old := s.settled[n].Load()
		if old > before || s.settled[n].CompareAndSwap(old, before+1) {
			return
		}
	}
}

// impatient asks and leaves at any moment, or reads slowly.
func (s *cacheSoak) impatient(rnd *rand.Rand, until time.Time) {
	for time.Now().Before(until) && !s.t.Failed() {
		c, err := net.Dial("tcp", s.host)
		if err != nil {
			s.t.Error(err)
			return
		}
		fmt.Fprintf(c, "GET /r/%d HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", rnd.IntN(len(s.versions)), s.host)
		r := bufio.NewReaderSize(c, 16)
		for range rnd.IntN(2000) {
			if _, err := r.ReadByte(); err != nil {
				break
			}
		}
		c.Close()
	}
}

// purger is the administrator: he removes things and watches the budget.
func (s *cacheSoak) purger(rnd *rand.Rand, until time.Time, budget int64) {
	for time.Now().Before(until) && !s.t.Failed() {
		switch rnd.IntN(600) {
		case 0:
			s.d.DeleteCache(control.DeleteCacheParams{})
		case 1:
			s.d.DeleteCache(control.DeleteCacheParams{URL: fmt.Sprintf("http://%s/vary/", s.host), Recursive: true})
		case 2:
			s.d.DeleteCache(control.DeleteCacheParams{Tag: fmt.Sprint("t", rnd.IntN(8))})
		}
		st, cerr := s.d.CacheState(control.CacheStateParams{}, everyone)
		if cerr != nil || st.Size > budget {
			s.t.Errorf("%d bytes of %d (%v)", st.Size, budget, cerr)
			return
		}
	}
}
