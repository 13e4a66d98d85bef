package stack

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/httpsys/httpsys/bench/internal/machine"
)

func newYard(t *testing.T) *Yard {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	cpus, err := machine.CPUs()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: paths of Unix sockets must be short.
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &Yard{Dir: dir, Root: root, CPUs: cpus[:1], Others: cpus}
}

// Every stack gives the same small answer over a connection that stays open, and
// leaves nothing behind when it is stopped.
func TestStacks(t *testing.T) {
	yard := newYard(t)
	file := filepath.Join(yard.Dir, "file")
	if err := os.WriteFile(file, []byte("contents"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, s := range All {
		t.Run(s.Name, func(t *testing.T) {
			for _, tool := range s.needs {
				if !tool.There() {
					t.Skip(tool.Program, "is not installed:", tool.hint())
				}
			}
			in, err := yard.Start(t.Context(), s, Options{File: file})
			if err != nil {
				t.Fatal(err)
			}
			defer in.Stop()

			connections := 0
			client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				connections++
				return new(net.Dialer).DialContext(ctx, network, address)
			}}}
			for range 3 {
				get(t, client, "http://"+in.Host+"/hello", Hello)
			}
			if connections != 1 {
				t.Errorf("%d connections for 3 requests", connections)
			}
			if s.Name == Nginx || s.Name == NetHTTP || s.Name == Httpsys || strings.HasSuffix(s.Name, "+ net/http") {
				get(t, client, "http://"+in.Host+"/file", "contents")
			}

			var pids []int
			for _, p := range in.Parts {
				tree, err := p.PIDs()
				if err != nil {
					t.Fatal(err)
				}
				pids = append(pids, tree...)
			}
			in.Stop()
			for _, pid := range pids {
				if !gone(pid) {
					t.Errorf("process %d of %v is still there", pid, pids)
				}
			}
			if _, err := os.Stat(in.Dir); !os.IsNotExist(err) {
				t.Errorf("%s is still there", in.Dir)
			}
		})
	}
}

// Those that serve TLS show the yard's certificate.
func TestStacksWithTLS(t *testing.T) {
	yard := newYard(t)
	for _, s := range All {
		if !slices.Contains([]string{Httpsys, NetHTTP, Nginx, HAProxy}, s.Name) {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			for _, tool := range s.needs {
				if !tool.There() {
					t.Skip(tool.Program, "is not installed:", tool.hint())
				}
			}
			in, err := yard.Start(t.Context(), s, Options{TLS: true})
			if err != nil {
				t.Fatal(err)
			}
			defer in.Stop()
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: in.TLS}}
			get(t, client, "https://"+in.Host+"/hello", Hello)
			client.CloseIdleConnections()
		})
	}
}

// gone waits for a killed process that is not our child to be reaped.
func gone(pid int) bool {
	for range 500 {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return true
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func get(t *testing.T, client *http.Client, url, want string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(body) != want || resp.ContentLength != int64(len(want)) {
		t.Errorf("%s: %v, status %d, length %d, body %q; want %q", url, err, resp.StatusCode, resp.ContentLength, body, want)
	}
}

// What cannot be built or started says why in one line.
func TestNotAvailable(t *testing.T) {
	yard := newYard(t)
	for _, test := range []struct {
		name string
		s    Stack
		want string
	}{
		{"no such program", Stack{"x", []Tool{{"no-such-program", "some-package", nil}}, nil}, "apt-get install some-package"},
		{"a revision that is not there", Against("no-such-revision"), "git archive: "},
		{"a program that ends", Stack{"x", nil, func(st *starting) error {
			_, err := st.run("app", nil, "sh", "-c", "echo out of luck; exit 1")
			return err
		}}, "out of luck"},
		{"a package that is not there", Stack{"x", nil, func(st *starting) error {
			_, err := st.yard.goProgram(st.ctx, "bench", "./apps/nothing")
			return err
		}}, "go build: "},
	} {
		in, err := yard.Start(t.Context(), test.s, Options{})
		if err == nil {
			in.Stop()
			t.Errorf("%s: it started", test.name)
		} else if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q, want one line with %q", test.name, err, test.want)
		}
	}
}
