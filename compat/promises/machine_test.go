package promises

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/control"
)

// patience is how long anything may take: far longer than it ever does.
const patience = 30 * time.Second

// programs are built once for all tests, with the race detector if the tests
// have it; what memory they need can only be measured without.
var programs = map[bool]func() (dir string, err error){
	true:  sync.OnceValues(func() (string, error) { return build("-race") }),
	false: sync.OnceValues(func() (string, error) { return build("-race=false") }),
}

// built is the folder of all that was built.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "promises")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(flag string) (string, error) {
	dir, err := os.MkdirTemp(built, "bin")
	if err != nil {
		return "", err
	}
	out := dir + string(filepath.Separator)
	for _, what := range [][]string{
		{".", "./program"},
		{filepath.Join("..", ".."), "./cmd/httpsys", "./examples/foo", "./examples/bar", "./examples/pull", "./examples/scratch"},
	} {
		c := exec.Command("go", append([]string{"build", flag, "-o", out}, what[1:]...)...)
		c.Dir = what[0]
		if b, err := c.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build %s: %v\n%s", what, err, b)
		}
	}
	return dir, nil
}

// A machine is a daemon with its socket and its data.
type machine struct {
	*testing.T
	bin    string
	socket string
	data   string
	daemon *process
}

// newMachine starts a daemon, of the programs as they are for users if plain.
func newMachine(t *testing.T, plain bool) *machine {
	t.Helper()
	bin, err := programs[raceEnabled && !plain]()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "hs") // short: sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &machine{T: t, bin: bin, socket: filepath.Join(dir, "s"), data: filepath.Join(dir, "data")}
	m.startDaemon()
	return m
}

// startDaemon starts the daemon, again if it has ended.
func (m *machine) startDaemon() {
	m.Helper()
	m.daemon = m.start("httpsys", "serve", "--socket", m.socket, "--data", m.data)
	m.daemon.await("^httpsys: ready on ")
}

// start starts one of the programs.
func (m *machine) start(name string, args ...string) *process {
	m.Helper()
	c := exec.Command(filepath.Join(m.bin, name), args...)
	// The race detector makes every process linger for a second at its end.
	c.Env = append(os.Environ(), "HTTPSYS_SOCKET="+m.socket, "GORACE=atexit_sleep_ms=0")
	return startProcess(m.T, name, c)
}

// program starts our program and waits until it is registered.
func (m *machine) program(name string, args ...string) *process {
	m.Helper()
	p := m.start("program", append([]string{"name=" + name}, args...)...)
	line := p.await("^ready ")
	u, err := url.Parse(strings.ReplaceAll(strings.Fields(line)[1], "+", "127.0.0.1"))
	if err != nil {
		m.Fatal(err)
	}
	p.url, p.addr = u.String(), u.Host
	return p
}

// port finds a port that nobody uses.
func (m *machine) port() string {
	m.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		m.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// state is what "httpsys show servicestate" says.
func (m *machine) state() control.State {
	m.Helper()
	c := exec.Command(filepath.Join(m.bin, "httpsys"), "show", "servicestate", "--json", "--socket", m.socket)
	c.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		m.Fatalf("show servicestate: %v\n%s", err, errs.String())
	}
	var st control.State
	if err := json.Unmarshal(out, &st); err != nil {
		m.Fatalf("%v\n%s", err, out)
	}
	return st
}

// waitFor waits for a state.
func (m *machine) waitFor(what string, holds func(control.State) bool) control.State {
	m.Helper()
	for end := time.Now().Add(patience); ; {
		st := m.state()
		if holds(st) {
			return st
		}
		if time.Now().After(end) {
			text, _ := json.MarshalIndent(st, "", " ")
			m.Fatalf("waited in vain for %s; the state is\n%s", what, text)
		}
	}
}

// newClient makes a client with connections of its own.
func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{DisableCompression: true, ExpectContinueTimeout: patience}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}
