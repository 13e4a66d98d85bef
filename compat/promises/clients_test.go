package promises

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// uploaded is what clients upload: no two pieces of it are the same.
var uploaded = func() []byte {
	b := make([]byte, 0, 5<<20)
	for i := 0; len(b) < 5_000_000; i++ {
		b = fmt.Appendf(b, "%d,", i)
	}
	return b
}()

// sumOf is what the program says of a body.
func sumOf(method string, b []byte) string {
	return fmt.Sprintf("%s %d %x <nil>", method, len(b), sha256.Sum256(b))
}

// run runs a client and returns what it prints on standard output.
func run(t *testing.T, stdin string, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: scripts/tools installs it", err)
	}
	c := exec.CommandContext(t.Context(), name, args...)
	c.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out.String(), last(errs.String(), 40))
	}
	return out.String()
}

// curl works: GET, HEAD, POST, uploads and downloads with a length and in
// chunks, Expect, ranges, several requests on a connection.
func TestCurl(t *testing.T) {
	m := newMachine(t, false)
	p := m.program("p", "prefix=http://+:0/")
	up := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(up, uploaded, 0o600); err != nil {
		t.Fatal(err)
	}
	down := filepath.Join(t.TempDir(), "download")
	for _, c := range []struct {
		name  string
		stdin string
		args  []string
		want  string
	}{
		{name: "GET", args: []string{p.url + "x?y"}, want: "p GET /x?y\n"},
		{name: "HEAD", args: []string{"--head", "-o", down, "-w", "%{http_code} %{size_download} %header{content-length}", p.url + "?do=big&size=7&length"}, want: "200 0 7"},
		{name: "POST of a form", args: []string{"-d", "a=1", "-d", "b=2", p.url + "?do=sum"}, want: sumOf("POST", []byte("a=1&b=2"))},
		{name: "upload with a length", args: []string{"-T", up, p.url + "?do=sum"}, want: sumOf("PUT", uploaded)},
		{name: "upload that waits for 100 Continue", args: []string{"-T", up, "-H", "Expect: 100-continue", "--expect100-timeout", "30", p.url + "?do=sum"}, want: sumOf("PUT", uploaded)},
		{name: "upload in chunks", stdin: string(uploaded), args: []string{"-T", "-", p.url + "?do=sum"}, want: sumOf("PUT", uploaded)},
		{name: "chunks both ways", stdin: string(uploaded), args: []string{"-T", "-", "-X", "POST", p.url + "?do=duplex"}, want: strings.ToUpper(string(uploaded))},
		{name: "download with a length", args: []string{"-o", down, "-w", "%{size_download} %header{content-length}", p.url + "?do=big&size=5000001&length"}, want: "5000001 5000001"},
		{name: "download in chunks", args: []string{"-o", down, "-w", "%{size_download} %header{transfer-encoding}", p.url + "?do=big&size=5000001"}, want: "5000001 chunked"},
		{name: "download of a file", args: []string{"-o", down, "-w", "%{size_download}", p.url + "?do=file&size=5000001"}, want: "5000001"},
		{name: "a range", args: []string{"-r", "1000000-1999999", "-o", down, "-w", "%{http_code} %{size_download}", p.url + "?do=file&size=5000001"}, want: "206 1000000"},
		{name: "HTTP/1.0", args: []string{"-0", "-o", down, "-w", "%{http_code} %{size_download}", p.url + "?do=big&size=100000"}, want: "200 100000"},
		{name: "several on one connection", args: []string{"-w", "%{num_connects} ", p.url + "1", p.url + "2", p.url + "3"}, want: "p GET /1\n1 p GET /2\n0 p GET /3\n0 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := run(t, c.stdin, "curl", append([]string{"-sS", "--max-time", "30"}, c.args...)...); got != c.want {
				t.Errorf("got %.300q, want %.300q", got, c.want)
			}
		})
	}
}

// startBrowser opens a page. The function ends the browser, as the end of the
// test does.
func startBrowser(t *testing.T, url string) (end func()) {
	c := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(), url)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	browser := startProcess(t, "chromium", c)
	end = sync.OnceFunc(func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // it has children
		browser.wait()
	})
	t.Cleanup(end)
	return end
}

// A browser works: a page whose script makes requests of all kinds.
func TestBrowser(t *testing.T) {
	m := newMachine(t, false)
	p := m.program("p", "prefix=http://localhost:0/app/")
	end := startBrowser(t, p.url+"?do=page")
	p.await("^page end$")
	end()
	var got []string
	for line := range strings.SplitSeq(p.output(), "\n") {
		if rest, ok := strings.CutPrefix(line, "page "); ok {
			got = append(got, rest)
		}
	}
	if diff := cmp.Diff([]string{
		"GET: p GET /app/?x=1",
		"HEAD: 200 1000",
		"POST: " + sumOf("POST", []byte("hello")),
		"PUT: PUT 3000000 ",
		"form: POST 30",
		"download: 5000000",
		"at once: true",
		"missing: 404",
		"end",
	}, got); diff != "" {
		t.Errorf("the page reports (+), not what is wanted (-):\n%s", diff)
	}
}

// wrk works, with and without pipelining.
func TestWrk(t *testing.T) {
	m := newMachine(t, false)
	p := m.program("p", "prefix=http://+:0/")
	pipeline := filepath.Join(t.TempDir(), "pipeline.lua")
	if err := os.WriteFile(pipeline, []byte(`
		init = function() local r = {}; for i = 1, 16 do r[i] = wrk.format("GET", "/" .. i) end; all = table.concat(r) end
		request = function() return all end
	`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string][]string{"one by one": nil, "pipelined": {"-s", pipeline}} {
		t.Run(name, func(t *testing.T) {
			out := run(t, "", "wrk", append(script, "-t1", "-c32", "-d1s", p.url)...)
			if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") || strings.Contains(out, " 0 requests in") {
				t.Error(out)
			}
		})
	}
}

// h2load works over HTTP/1.1, also with bodies.
func TestH2load(t *testing.T) {
	m := newMachine(t, false)
	p := m.program("p", "prefix=http://+:0/")
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, uploaded[:10_000], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"GET": {p.url}, "POST": {"-d", body, p.url + "?do=sum"}, "pipelined": {"-m4", p.url}} {
		t.Run(name, func(t *testing.T) {
			out := run(t, "", "h2load", append([]string{"--h1", "-n2000", "-c16"}, args...)...)
			if !strings.Contains(out, "2000 succeeded, 0 failed, 0 errored") || !strings.Contains(out, "2000 2xx") {
				t.Error(out)
			}
		})
	}
}

// nc works: whoever can type HTTP can talk to it, also ahead of the answers.
func TestNetcat(t *testing.T) {
	m := newMachine(t, false)
	p := m.program("p", "prefix=http://+:0/")
	out := run(t, "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n"+
		"HEAD /?do=big&size=3&length HTTP/1.1\r\nHost: localhost\r\n\r\n"+
		"POST /?do=sum HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"+
		"PUT /?do=sum HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"+
		"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"nc", "-w", "30", "127.0.0.1", p.port())
	var got []string
	for line := range strings.SplitSeq(out, "\r\n") {
		if !strings.HasPrefix(line, "Date: ") && !strings.HasPrefix(line, "Server: ") {
			got = append(got, line)
		}
	}
	hello := sumOf("", []byte("hello"))
	const text = "\r\nContent-Type: text/plain; charset=utf-8\r\n"
	want := "HTTP/1.1 200 OK" + text + "Content-Length: 9\r\n\r\np GET /1\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: application/octet-stream\r\n\r\n" +
		"HTTP/1.1 200 OK" + text + fmt.Sprintf("Content-Length: %d\r\n\r\nPOST", len(hello)+4) + hello +
		"HTTP/1.1 200 OK" + text + fmt.Sprintf("Content-Length: %d\r\n\r\nPUT", len(hello)+3) + hello +
		"HTTP/1.1 200 OK" + text + "Content-Length: 12\r\nConnection: close\r\n\r\np GET /last\n"
	if s := strings.Join(got, "\r\n"); s != want {
		t.Errorf("got\n%q\nwant\n%q", s, want)
	}
}

// Go's client works: all methods, bodies both ways with a length and in chunks,
// Expect, answers while it still sends, many requests at once.
func TestGoClient(t *testing.T) {
	m := newMachine(t, false)
	p := m.program("p", "prefix=http://+:0/")
	client := newClient(t)
	do := func(t *testing.T, method, target string, b io.Reader, change func(*http.Request)) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, p.url+target, b)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(req)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(got)
	}
	t.Run("methods", func(t *testing.T) {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"} {
			if _, got := do(t, method, "x", nil, nil); got != "p "+method+" /x\n" {
				t.Errorf("got %q", got)
			}
		}
		if resp, got := do(t, "HEAD", "?do=big&size=7&length", nil, nil); got != "" || resp.ContentLength != 7 {
			t.Errorf("HEAD: %d %q", resp.ContentLength, got)
		}
	})
	t.Run("uploads", func(t *testing.T) {
		if _, got := do(t, "PUT", "?do=sum", bytes.NewReader(uploaded), nil); got != sumOf("PUT", uploaded) {
			t.Errorf("with a length: %s", got)
		}
		if _, got := do(t, "PUT", "?do=sum", io.MultiReader(bytes.NewReader(uploaded)), nil); got != sumOf("PUT", uploaded) {
			t.Errorf("in chunks: %s", got)
		}
	})
	t.Run("Expect", func(t *testing.T) {
		waited := false
		_, got := do(t, "PUT", "?do=sum", bytes.NewReader(uploaded), func(r *http.Request) {
			r.Header.Set("Expect", "100-continue")
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { waited = true }}))
		})
		if got != sumOf("PUT", uploaded) || !waited {
			t.Errorf("got %s, and 100 %v", got, waited)
		}
	})
	t.Run("downloads", func(t *testing.T) {
		want := new(bytes.Buffer)
		io.CopyN(want, &blocks{}, 5_000_001)
		for _, how := range []string{"&length", ""} {
			if resp, got := do(t, "GET", "?do=big&size=5000001"+how, nil, nil); got != want.String() || (resp.ContentLength < 0) != (how == "") {
				t.Errorf("%d other bytes, length %d", len(got), resp.ContentLength)
			}
		}
	})
	t.Run("answers while it sends", func(t *testing.T) {
		r, w := io.Pipe()
		req, err := http.NewRequest("POST", p.url+"?do=duplex", r)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for _, piece := range []string{"one", "two", "three"} {
			io.WriteString(w, piece)
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != strings.ToUpper(piece) {
				t.Errorf("got %q, %v", got, err)
			}
		}
		w.Close()
		if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
			t.Errorf("rest %q, %v", rest, err)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 16 {
			client := newClient(t)
			all.Go(func() {
				for j := range 50 {
					n := i*1000 + j
					resp, err := client.Post(fmt.Sprintf("%s?do=sum&n=%d", p.url, n), "text/plain", bytes.NewReader(uploaded[n:2*n]))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if want := sumOf("POST", uploaded[n:2*n]); string(got) != want || err != nil {
						t.Errorf("got %q, %v; want %q", got, err, want)
					}
				}
			})
		}
		all.Wait()
	})
}
