package load

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/bench/apps/handlers"
)

const wrkReport = `Running 2s test @ http://127.0.0.1:18123/hello
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   203.25us   67.06us   2.14ms   93.09%
    Req/Sec   165.76k     2.71k  169.74k    57.14%
  Latency Distribution
     50%  192.00us
     75%  208.00us
     90%  231.00us
     99%    1.40ms
  345776 requests in 2.10s, 49.13MB read
`

func TestParseWrk(t *testing.T) {
	got, err := parseWrk(wrkReport + "Requests/sec: 164725.36\n")
	want := Figures{345776, 2100 * time.Millisecond, 192 * time.Microsecond, 1400 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := parseWrk(wrkReport + "  Socket errors: connect 0, read 0, write 0, timeout 0\n"); err != nil {
		t.Errorf("no socket errors: %v", err)
	}
	for _, test := range []struct{ out, why string }{
		{wrkReport + "  Non-2xx or 3xx responses: 5\n", "some requests were refused"},
		{wrkReport + "  Socket errors: connect 0, read 12, write 0, timeout 0\n", "some connections broke"},
		{"  0 requests in 2.00s, 0.00B read\n", "nothing was answered"},
		{"unable to connect", "no report"},
	} {
		if _, err := parseWrk(test.out); err == nil {
			t.Errorf("accepted although %s", test.why)
		}
	}
}

func TestParseH2load(t *testing.T) {
	const report = "\nfinished in 1.50s, 2.00 req/s, 3.39MB/s\n" +
		"requests: 300 total, 304 started, 300 done, 299 succeeded, %, 0 errored, 0 timeout\n"
	got, err := parseH2load(strings.Replace(report, "%", "0 failed", 1))
	if want := (Figures{Requests: 299, Elapsed: 1500 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{strings.Replace(report, "%", "1 failed", 1), ""} {
		if _, err := parseH2load(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	p50, p99, err := h2loadPercentiles(strings.NewReader("1\t200\t30\n2\t200\t10\n3\t200\t20\n"))
	if err != nil || p50 != 20*time.Microsecond || p99 != 20*time.Microsecond {
		t.Errorf("%v, %v, %v", p50, p99, err)
	}
}

func TestParseHead(t *testing.T) {
	for _, test := range []struct {
		head string
		ok   bool
		want answer
	}{
		{"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 12", true, answer{status: 200, length: 12}},
		{"HTTP/1.1 204 No Content", true, answer{status: 204, length: -1}},
		{"HTTP/1.1 200 OK\r\nContent-Length: x", false, answer{}},
		{"SSH-2.0-x", false, answer{}},
	} {
		got, err := parseHead(test.head)
		if (err == nil) != test.ok || test.ok && (got.status != test.want.status || got.length != test.want.length) {
			t.Errorf("%q: %+v, %v", test.head, got, err)
		}
	}
}

// app serves the measured handlers; it returns host:port.
func app(t *testing.T) string {
	server := httptest.NewServer(handlers.New(""))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

func TestHold(t *testing.T) {
	ctx := t.Context()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handlers.New(""))
	server.Listener = ln
	server.Start()
	defer server.Close()
	held, err := Hold(ctx, ln.Addr().String(), "/hello", 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if n := held.Alive(); n != 100 {
		t.Errorf("%d of 100 connections are alive", n)
	}
	server.CloseClientConnections()
	if n := held.Alive(); n != 0 {
		t.Errorf("%d connections are alive after the server closed all", n)
	}
	if _, err := Hold(ctx, ln.Addr().String(), "/nothing", 10, nil); err == nil || !strings.Contains(err.Error(), "status 404") {
		t.Errorf("an answer of 404: %v", err)
	}
}

func TestMain(m *testing.M) {
	FloodMain()
	os.Exit(m.Run())
}

func TestTLS(t *testing.T) {
	ctx := t.Context()
	server := httptest.NewTLSServer(handlers.New(""))
	defer server.Close()
	host := server.Listener.Addr().String()
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MinVersion: tls.VersionTLS13}
	if err := GetTLS(ctx, host, "/hello", config); err != nil {
		t.Error(err)
	}
	held, err := Hold(ctx, host, "/hello", 10, config)
	if err != nil {
		t.Fatal(err)
	}
	if n := held.Alive(); n != 10 {
		t.Errorf("%d of 10 connections are alive", n)
	}
	held.Close()
	for _, resume := range []bool{false, true} {
		if n, err := Handshakes(ctx, host, config, 2, resume, 20*time.Millisecond); n == 0 || err != nil {
			t.Errorf("resume %v: %d handshakes, %v", resume, n, err)
		}
	}
	f, err := StartFlood(ctx, host, config, 2)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Stop(); n == 0 || err != nil {
		t.Errorf("flood: %d handshakes, %v", n, err)
	}
	if _, err := StartFlood(ctx, "127.0.0.1:1", config, 2); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a flood of nobody: %v", err)
	}
	if _, err := Handshakes(ctx, host, &tls.Config{ServerName: "example.com"}, 1, false, time.Millisecond); err == nil {
		t.Error("a handshake with a certificate that nobody knows")
	}
}

func TestDownloadAndUpload(t *testing.T) {
	ctx, host := t.Context(), app(t)
	const n = 5 << 20
	if _, err := Download(ctx, host, "/big?n=5242880", n); err != nil {
		t.Error(err)
	}
	if _, err := Download(ctx, host, "/big?n=100", n); err == nil {
		t.Error("a response of another size is accepted")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, n), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Upload(ctx, host, "/upload", file); err != nil {
		t.Error(err)
	}
	if _, err := Upload(ctx, host, "/hello", file); err == nil {
		t.Error("an application that did not count the bytes is accepted")
	}
}

// A response that ends early is an error, not a fast one.
func TestDownloadCutShort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		c.Read(make([]byte, 1000))
		c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n1234567"))
		c.Close()
	}()
	_, err = Download(t.Context(), ln.Addr().String(), "/", 1000)
	if err == nil || !strings.Contains(err.Error(), "993 bytes early") {
		t.Errorf("%v", err)
	}
}

func TestStall(t *testing.T) {
	host := app(t)
	const n = 32 << 20
	s, err := Stall(t.Context(), host, "/big?n=33554432", 3, n)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, c := range s.conns {
		if got, err := unread(c); err != nil || got == 0 || got > 1<<20 {
			t.Errorf("client %d has %d unread bytes, %v; want a few", i, got, err)
		}
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// Everything ends when the run is cancelled.
func TestCancel(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	host := ln.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := Download(ctx, host, "/", 1); err == nil {
		t.Error("Download succeeded")
	}
	if _, err := Stall(ctx, host, "/", 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Stall: %v", err)
	}
	if _, err := Hold(ctx, host, "/", 10, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Hold: %v", err)
	}
}
