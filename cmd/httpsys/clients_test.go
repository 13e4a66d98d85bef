package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/daemon"
)

// served starts a daemon and a program with a handler in this process, and
// returns the program's URL.
func served(t *testing.T, h http.Handler) string {
	t.Helper()
	return servedBy(t, &httpsys.Server{Handler: h})
}

// servedBy is served with settings.
func servedBy(t *testing.T, srv *httpsys.Server) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "httpsys")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	d, err := daemon.Start(daemon.Options{Socket: socket, Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Shutdown)
	srv.Prefixes, srv.Socket = []string{"http://localhost:0/"}, socket
	done := make(chan error, 1)
	go func() { done <- srv.Serve(t.Context()) }()
	t.Cleanup(func() { srv.Close(); <-done })
	select {
	case <-srv.Registered():
	case err := <-done:
		t.Fatal(err)
	}
	return strings.TrimSuffix(srv.URLs()[0], "/")
}

// clientsHandler answers what the clients ask.
func clientsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "Hello") })
	mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%s %d %x %v", r.Method, n, h.Sum(nil), err)
	})
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "part %d\n", i)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `<!DOCTYPE html><title>x</title><p id=p>static</p>
<script>fetch("/hello").then(r => r.text()).then(s => { document.getElementById("p").textContent = s + " from a script" })</script>`)
	})
	return mux
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: scripts/tools installs it", err)
	}
	c := exec.CommandContext(t.Context(), name, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out.String(), errs.String())
	}
	return out.String()
}

func TestCurl(t *testing.T) {
	url := served(t, clientsHandler())
	body := bytes.Repeat([]byte("0123456789"), 300_000)
	file := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%d %x <nil>", len(body), sha256.Sum256(body))
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"GET", []string{url + "/hello"}, "Hello"},
		{"HEAD", []string{"-I", "-o", os.DevNull, "-w", "%{http_code} %{header_json}", url + "/hello"}, "200"},
		{"upload with Expect", []string{"-T", file, "-H", "Expect: 100-continue", url + "/sum"}, "PUT " + sum},
		{"upload in chunks", []string{"-T", "-", url + "/sum"}, "PUT 0 "},
		{"chunked upload of a file", []string{"-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + file, url + "/sum"}, "POST " + sum},
		{"download in chunks", []string{url + "/chunked"}, "part 0\npart 1\npart 2\n"},
		{"HTTP/1.0", []string{"-0", url + "/chunked"}, "part 0\npart 1\npart 2\n"},
		{"HTTP/2 with prior knowledge", []string{"--http2-prior-knowledge", "-T", file, url + "/sum"}, "PUT " + sum},
		{"several on one connection", []string{url + "/hello", url + "/chunked", url + "/hello"}, "Hellopart 0\npart 1\npart 2\nHello"},
		{"nobody serves it", []string{"-o", os.DevNull, "-w", "%{http_code}", url + "/nothing"}, "404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := output(t, "curl", append([]string{"-sS", "--max-time", "30"}, c.args...)...); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %.200q, want %.200q", got, c.want)
			}
		})
	}
}

// A page, and a script on it that makes a request of its own.
func TestBrowser(t *testing.T) {
	url := served(t, clientsHandler())
	got := output(t, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=10000", "--dump-dom", url+"/page")
	if !strings.Contains(got, "Hello from a script") {
		t.Errorf("the page shows %s", got)
	}
}

func TestLoadGenerators(t *testing.T) {
	var counted atomic.Int64
	url := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" { // of wrk some may come late
			counted.Add(1)
		}
		io.WriteString(w, "Hello")
	}))
	t.Run("wrk", func(t *testing.T) {
		out := output(t, "wrk", "-t1", "-c16", "-d1s", url+"/")
		if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") || !strings.Contains(out, "requests in") {
			t.Error(out)
		}
	})
	for _, args := range [][]string{{"--h1"}, {"-m10"}} {
		t.Run("h2load "+args[0], func(t *testing.T) {
			counted.Store(0)
			out := output(t, "h2load", append(args, "-n1000", "-c8", url+"/counted")...)
			if !strings.Contains(out, "1000 2xx, 0 3xx, 0 4xx, 0 5xx") || counted.Load() != 1000 {
				t.Errorf("%d reached the program\n%s", counted.Load(), out)
			}
		})
	}
}

// Several clients at once, each with requests that are numbered: each gets the
// answer to its own.
func TestGoClient(t *testing.T) {
	url := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d", r.URL.Query().Get("n"), len(b))
	}))
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			for i := range 100 {
				n := client*1000 + i
				resp, err := http.Post(url+"/?n="+strconv.Itoa(n), "text/plain", strings.NewReader(strings.Repeat("x", n)))
				if err != nil {
					t.Error(err)
					return
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := fmt.Sprintf("%d %d", n, n); string(b) != want {
					t.Errorf("got %q, want %q", b, want)
				}
			}
		})
	}
	wg.Wait()
}
