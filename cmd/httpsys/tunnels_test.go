//lint:file-ignore SA1019 the Transport of x/net/http2 can open extended CONNECT

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/daemon"
	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// site is a daemon with programs on one port.
type site struct {
	*testing.T
	d      *daemon.Daemon
	socket string
	port   int
	tls    *tls.Config      // of clients that speak it
	http2  *http2.Transport // of those of HTTP/2
}

func newSite(t *testing.T) *site {
	dir, err := os.MkdirTemp("", "httpsys")
	if err != nil {
		t.Fatal(err)
	}
	m := &site{T: t, socket: filepath.Join(dir, "s")}
	if m.d, err = daemon.Start(daemon.Options{Socket: m.socket, Data: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.d.Shutdown(); os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	m.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	return m
}

// program starts one, which ends with the test.
func (m *site) program(name, url string, args ...string) *process {
	m.Helper()
	c, err := newCommand("test-app", "", append(os.Environ(), "HTTPSYS_SOCKET="+m.socket, "GORACE=atexit_sleep_ms=0"),
		append([]string{"name=" + name, "prefix=" + url}, args...)...)
	if err != nil {
		m.Fatal(err)
	}
	p, err := startProcess(c)
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { p.cmd.Process.Kill(); <-p.ended })
	if _, err := p.await("^ready "); err != nil {
		m.Fatal(err)
	}
	return p
}

func (m *site) url(path string) string {
	if m.tls != nil {
		return fmt.Sprintf("https://localhost:%d%s", m.port, path)
	}
	return fmt.Sprintf("http://localhost:%d%s", m.port, path)
}

// secure makes a site of TLS, and the argument that gives its programs their
// certificate.
func (m *site) secure(overHTTP2 bool) string {
	root := pki.Root(m.T, "root", pki.CA)
	cert, key := pki.Issue(m.T, root, "localhost", pki.Names("localhost")).Files(m.T, m.TempDir(), "localhost")
	both := filepath.Join(m.TempDir(), "both.pem")
	var text []byte
	for _, name := range []string{cert, key} {
		b, err := os.ReadFile(name)
		if err != nil {
			m.Fatal(err)
		}
		text = append(text, b...)
	}
	if err := os.WriteFile(both, text, 0o600); err != nil {
		m.Fatal(err)
	}
	m.tls = &tls.Config{RootCAs: pki.Pool(root), ServerName: "localhost"}
	if overHTTP2 {
		m.http2 = &http2.Transport{TLSClientConfig: m.tls}
		m.Cleanup(m.http2.CloseIdleConnections)
	}
	return "cert=" + both
}

// tunnel is a connection that echoes.
type tunnel struct {
	io.WriteCloser
	*bufio.Reader
	kind string
}

func (c tunnel) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// open opens a tunnel to the program at a path, or without HTTP if that is
// empty.
func (m *site) open(name, path string) (tunnel, error) {
	if m.http2 != nil {
		return m.openHTTP2(name, path)
	}
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", m.port))
	if err != nil {
		return tunnel{}, err
	}
	if m.tls != nil {
		c = tls.Client(c, m.tls)
	}
	m.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	t := tunnel{WriteCloser: c, Reader: bufio.NewReader(c)}
	if path != "" {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", path)
		for first := true; ; first = false {
			line, err := t.ReadString('\n')
			if err != nil || first && !strings.HasPrefix(line, "HTTP/1.1 101") {
				return t, fmt.Errorf("answer %q: %w", line, err)
			}
			if line == "\r\n" {
				break
			}
		}
	}
	return t, t.greeted(name)
}

// openHTTP2 opens one by an extended CONNECT.
func (m *site) openHTTP2(name, path string) (tunnel, error) {
	r, w := io.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	m.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodConnect, m.url(path), r)
	if err != nil {
		return tunnel{}, err
	}
	req.Header = http.Header{":protocol": {"echo"}}
	resp, err := m.http2.RoundTrip(req)
	if err != nil {
		return tunnel{}, err
	}
	m.Cleanup(func() { resp.Body.Close(); w.Close() })
	t := tunnel{WriteCloser: w, Reader: bufio.NewReader(resp.Body)}
	if resp.StatusCode != http.StatusOK {
		return t, errors.New(resp.Status)
	}
	return t, t.greeted(name)
}

// greeted reads who is there.
func (c *tunnel) greeted(name string) error {
	line, err := c.ReadString('\n')
	who, kind, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	if err != nil || who != name {
		return fmt.Errorf("%q speaks (%v)", line, err)
	}
	c.kind = kind
	return c.echo()
}

func (c tunnel) echo() error {
	const text = "there and back"
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		return fmt.Errorf("%q came back (%v)", b, err)
	}
	return nil
}

// tunnels opens n.
func (m *site) tunnels(name, path string, n int) []tunnel {
	m.Helper()
	all := make([]tunnel, n)
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := worker; i < n; i += 16 {
				var err error
				if all[i], err = m.open(name, path); err != nil {
					m.Errorf("tunnel %d of %s: %v", i, name, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if m.Failed() {
		m.FailNow()
	}
	return all
}

func (m *site) queue(prefix string) control.Queue {
	m.Helper()
	st, err := m.d.ServiceState()
	if err != nil {
		m.Fatal(err)
	}
	for _, q := range st.Queues {
		if len(q.Prefixes) == 1 && q.Prefixes[0] == prefix {
			return q
		}
	}
	m.Fatalf("there is no queue with %s", prefix)
	return control.Queue{}
}

// A program is killed that has 1000 open connections. Their clients see the end
// at once, and those of another program nothing.
func TestKilledWithTunnels(t *testing.T) {
	for _, test := range []struct{ kind, arg string }{{"own", "handlers=1024"}, {"relayed", "relay=yes"}, {"TLS", ""}, {"HTTP/2", ""}} {
		t.Run(test.kind, func(t *testing.T) {
			m := newSite(t)
			if test.arg == "" {
				test.arg = m.secure(test.kind == "HTTP/2")
			}
			a, _ := m.program("a", m.url("/a/"), test.arg), m.program("b", m.url("/b/"), test.arg)
			doomed, others := m.tunnels("a", "/a/", 1000), m.tunnels("b", "/b/", 10)
			if q := m.queue(m.url("/a/")); test.kind == "own" && (q.Counters.HandedOver != 1000 || q.Relaying != 0) ||
				test.kind != "own" && (q.Counters.Relayed != 1000 || q.Relaying != 1000) {
				t.Errorf("%+v", q)
			}
			a.cmd.Process.Kill()
			for i, c := range doomed {
				// As always when a process dies, a client that has sent what was not read gets
				// a reset.
				if n, err := io.Copy(io.Discard, c); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("tunnel %d of the dead: %d bytes, %v", i, n, err)
				}
			}
			for i, c := range others {
				if err := c.echo(); err != nil {
					t.Errorf("tunnel %d of the other: %v", i, err)
				}
			}
			if q := m.queue(m.url("/b/")); (test.kind == "own") != (q.Relaying == 0) || q.Relaying > 10 {
				t.Errorf("%+v", q)
			}
		})
	}
}

// A program that may not open more files gets the rest of its connections by
// way of the daemon.
func TestNoRoomForDescriptors(t *testing.T) {
	m := newSite(t)
	m.program("a", m.url("/"), "files=100")
	kinds := map[string]int{}
	for _, c := range m.tunnels("a", "/", 200) {
		kinds[c.kind]++
		if err := c.echo(); err != nil {
			t.Error(err)
		}
	}
	q := m.queue(m.url("/"))
	if kinds["own"] < 10 || kinds["relayed"] < 100 || int(q.Counters.HandedOver) != kinds["own"] || q.Relaying != kinds["relayed"] {
		t.Errorf("%v, %+v", kinds, q)
	}
}

// The end of the daemon is announced, ends what it relays, and nothing else.
func TestDaemonEndsWithTunnels(t *testing.T) {
	for _, kind := range []string{"HTTP/1.1", "TLS", "HTTP/2"} {
		t.Run(kind, func(t *testing.T) {
			m := newSite(t)
			arg := "relay=yes"
			var own []tunnel
			programs := []*process{nil}
			if kind == "HTTP/1.1" {
				programs = append(programs, m.program("a", m.url("/a/")))
				own = m.tunnels("a", "/a/", 3)
			} else {
				arg = m.secure(kind == "HTTP/2")
			}
			programs[0] = m.program("b", m.url("/b/"), arg)
			relayed := m.tunnels("b", "/b/", 3)
			ended := make(chan struct{})
			go func() { m.d.Shutdown(); close(ended) }()
			for _, p := range programs {
				if _, err := p.await("^the daemon stops$"); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range relayed {
				if err := c.echo(); err != nil { // there is time for a goodbye
					t.Error(err)
				}
				c.Close()
			}
			<-ended
			for _, c := range own {
				if err := c.echo(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A listener of a port without HTTP, and what becomes of its connections.
func TestListenWithoutHTTP(t *testing.T) {
	m := newSite(t)
	url := fmt.Sprintf("tcp://localhost:%d/", m.port)
	a := m.program("a", url, "listen=yes")
	for _, c := range m.tunnels("a", "", 100) {
		if c.kind != "own" {
			t.Fatalf("a connection is %s", c.kind)
		}
	}
	if q := m.queue(url); q.Counters.HandedOver != 100 {
		t.Errorf("%+v", q)
	}
	a.cmd.Process.Kill()
	<-a.ended
	m.program("b", url, "listen=yes", "relay=yes")
	if c, err := m.open("b", ""); err != nil || c.kind != "relayed" {
		t.Errorf("%s, %v", c.kind, err)
	}
}
