package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/httpsys/httpsys/internal/daemon"
)

// kill -9 of one worker of two on a queue under load loses nothing but the
// requests that it had begun, those get 502, and none is begun twice.
func TestWorkerKilledUnderLoad(t *testing.T) {
	dir, err := os.MkdirTemp("", "httpsys")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	d, err := daemon.Start(daemon.Options{Socket: socket, Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Shutdown()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://localhost:%d/", l.Addr().(*net.TCPAddr).Port)
	l.Close()
	worker := func(name string) *process {
		c, err := newCommand("test-app", "", append(os.Environ(), "HTTPSYS_SOCKET="+socket, "GORACE=atexit_sleep_ms=0"),
			"name="+name, "prefix="+url, "queue=shop")
		if err != nil {
			t.Fatal(err)
		}
		p, err := startProcess(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.await("^ready "); err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b := worker("a"), worker("b")
	defer func() { b.cmd.Process.Kill(); <-b.ended }()

	const clients, before, total = 16, 1500, 4000
	var next, answered, failed atomic.Int64
	kill := make(chan struct{})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := next.Add(1); n <= total; n = next.Add(1) {
				resp, err := client.Get(fmt.Sprintf("%s%d", url, n))
				if err != nil {
					t.Errorf("request %d: %v", n, err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				switch {
				case resp.StatusCode == http.StatusBadGateway:
					failed.Add(1)
				case resp.StatusCode != http.StatusOK || err != nil || !strings.HasSuffix(string(body), fmt.Sprintf(" /%d\n", n)):
					t.Errorf("request %d: %s %q, %v", n, resp.Status, body, err)
				}
				if answered.Add(1) == before {
					close(kill)
				}
			}
		})
	}
	<-kill
	a.cmd.Process.Kill()
	wg.Wait()
	<-a.ended

	if failed.Load() > clients {
		t.Errorf("%d requests failed, but it can have begun %d at most", failed.Load(), clients)
	}
	begun := map[string]bool{}
	for _, line := range a.requests() {
		begun[line] = true
	}
	if len(begun) == 0 {
		t.Error("the killed worker had no requests: the test shows nothing")
	}
	for _, line := range b.requests() {
		if begun[line] {
			t.Errorf("%q was begun by both", line)
		}
	}
}

// requests lists the requests that an application has printed.
func (p *process) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, line := range p.lines {
		if strings.HasPrefix(line, "request ") {
			out = append(out, line)
		}
	}
	return out
}
