package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// machine is what a script has started.
type machine struct {
	processes map[string]*process
	requests  map[string]*request
	root      *pki.Cert // of issue
	trusted   *x509.CertPool
}

type machineKey struct{}

func machineOf(ts *testscript.TestScript) *machine { return ts.Value(machineKey{}).(*machine) }

// end kills what the script has left running, and returns the data races that
// it printed.
func (m *machine) end() (races string) {
	for _, r := range m.requests {
		r.leave()
	}
	for _, p := range m.processes {
		p.cmd.Process.Kill()
		<-p.ended
		if out := p.output(); strings.Contains(out, "DATA RACE") {
			races += out
		}
	}
	return races
}

var verbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"daemon":  daemonVerb,
	"app":     appVerb,
	"halt":    positive(endVerb(syscall.SIGTERM), 1, 1),
	"crash":   positive(endVerb(syscall.SIGKILL), 1, 1),
	"event":   positive(eventVerb, 2, 2),
	"release": positive(releaseVerb, 1, 1),
	"get":     positive(getVerb, 2, 9),
	"start":   positive(startVerb, 2, 9),
	"finish":  positive(finishVerb, 2, 2),
	"leave":   positive(leaveVerb, 1, 1),
	"closes":  positive(closesVerb, 2, 2),
	"as":      asVerb,
	"status":  positive(statusVerb, 2, 99),
	"port":    positive(portVerb, 1, 1),
	"issue":   positive(issueVerb, 2, 9),
	"trust":   positive(trustVerb, 1, 1),
	"fails":   positive(failsVerb, 2, 2),
}

// positive is a verb that knows no "!" and takes least to most arguments.
func positive(f func(ts *testscript.TestScript, args []string), least, most int) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least || len(args) > most {
			ts.Fatalf("usage: see script_test.go")
		}
		f(ts, args)
	}
}

func environment(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"HTTPSYS_SOCKET", "PATH", "HOME", "GOMAXPROCS", "GOCOVERDIR", "GORACE"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// run starts a process that prints ready, or fails if it must.
func (m *machine) run(ts *testscript.TestScript, neg bool, name, program, who, ready string, args ...string) string {
	if p := m.processes[name]; p != nil {
		ts.Fatalf("%s runs already", name)
	}
	c, err := newCommand(program, who, environment(ts), args...)
	ts.Check(err)
	p, err := startProcess(c)
	ts.Check(err)
	m.processes[name] = p
	if !neg {
		line, err := p.await(ready)
		if err != nil {
			ts.Fatalf("%s: %v", name, err)
		}
		return line
	}
	state, err := p.wait()
	delete(m.processes, name)
	if err != nil {
		ts.Fatalf("%s: %v", name, err)
	}
	if state.ExitCode() != 1 {
		ts.Fatalf("%s: %v, want exit status 1", name, state)
	}
	io.WriteString(ts.Stderr(), p.output())
	return ""
}

func daemonVerb(ts *testscript.TestScript, neg bool, args []string) {
	who, args := takeUser(args)
	args = append([]string{"serve", "--data", ts.Getenv("DATA")}, args...)
	machineOf(ts).run(ts, neg, "daemon", "httpsys", who, "^httpsys: ready on ", args...)
}

func takeUser(args []string) (who string, rest []string) {
	for _, a := range args {
		if w, ok := strings.CutPrefix(a, "as="); ok {
			who = w
			continue
		}
		rest = append(rest, a)
	}
	return who, rest
}

func appVerb(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: app NAME [as=UID] tag=value …")
	}
	name := args[0]
	who, args := takeUser(args[1:])
	line := machineOf(ts).run(ts, neg, name, "test-app", who, "^ready ", append([]string{"name=" + name}, args...)...)
	if neg {
		return
	}
	// What a client asks for: a wildcard stands for the loopback address.
	u, err := url.Parse(strings.Fields(strings.NewReplacer("//+:", "//127.0.0.1:", "//*:", "//127.0.0.1:").Replace(line))[1])
	ts.Check(err)
	ts.Setenv(name, strings.TrimSuffix(u.String(), "/"))
	ts.Setenv(name+"_port", u.Port())
}

func endVerb(signal syscall.Signal) func(*testscript.TestScript, []string) {
	return func(ts *testscript.TestScript, args []string) {
		m := machineOf(ts)
		p := m.process(ts, args[0])
		ts.Check(p.cmd.Process.Signal(signal))
		state, err := p.wait()
		delete(m.processes, args[0])
		if err != nil {
			ts.Fatalf("%s: %v", args[0], err)
		}
		if signal == syscall.SIGTERM && !state.Success() {
			ts.Fatalf("%s: %v; it printed:\n%s", args[0], state, p.output())
		}
		if strings.Contains(p.output(), "DATA RACE") {
			ts.Fatalf("%s: %s", args[0], p.output())
		}
	}
}

func (m *machine) process(ts *testscript.TestScript, name string) *process {
	p := m.processes[name]
	if p == nil {
		ts.Fatalf("%s does not run", name)
	}
	return p
}

func eventVerb(ts *testscript.TestScript, args []string) {
	line, err := machineOf(ts).process(ts, args[0]).await(args[1])
	if err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	fmt.Fprintln(ts.Stdout(), line)
}

func releaseVerb(ts *testscript.TestScript, args []string) {
	_, err := io.WriteString(machineOf(ts).process(ts, args[0]).stdin, "release\n")
	ts.Check(err)
}

func getVerb(ts *testscript.TestScript, args []string) {
	r := newRequest(machineOf(ts).trusted, args[1], args[2:])
	r.wait(ts, args[0])
}

func startVerb(ts *testscript.TestScript, args []string) {
	m := machineOf(ts)
	if m.requests[args[0]] != nil {
		ts.Fatalf("there is a request %s already", args[0])
	}
	m.requests[args[0]] = newRequest(m.trusted, args[1], args[2:])
}

func finishVerb(ts *testscript.TestScript, args []string) {
	m := machineOf(ts)
	m.request(ts, args[0]).wait(ts, args[1])
	delete(m.requests, args[0])
}

func leaveVerb(ts *testscript.TestScript, args []string) {
	m := machineOf(ts)
	m.request(ts, args[0]).leave()
	delete(m.requests, args[0])
}

func (m *machine) request(ts *testscript.TestScript, name string) *request {
	r := m.requests[name]
	if r == nil {
		ts.Fatalf("there is no request %s", name)
	}
	return r
}

// closesVerb sends some bytes and then waits for the daemon to close, with or
// without an answer.
func closesVerb(ts *testscript.TestScript, args []string) {
	c, err := net.DialTimeout("tcp", args[0], patience)
	ts.Check(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	_, err = io.WriteString(c, text)
	ts.Check(err)
	answer, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		ts.Fatalf("%s does not close: %v", args[0], err)
	}
	ts.Stdout().Write(answer)
}

func asVerb(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: as UID[:GID…] COMMAND…")
	}
	err := ts.Exec("test-as", args...)
	if neg != (err != nil) {
		ts.Fatalf("%q: %v", args, err)
	}
}

func statusVerb(ts *testscript.TestScript, args []string) {
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || got != want {
		ts.Fatalf("%q: exit status %d, want %s", args[1:], got, args[0])
	}
}

func portVerb(ts *testscript.TestScript, args []string) {
	l, err := net.Listen("tcp", ":0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv(args[0], port)
}

// issueTB lets a script use what is written for tests.
type issueTB struct {
	testing.TB
	ts *testscript.TestScript
}

func (t issueTB) Helper()           {}
func (t issueTB) Fatal(args ...any) { t.ts.Fatalf("%s", fmt.Sprint(args...)) }

func issueVerb(ts *testscript.TestScript, args []string) {
	m, t := machineOf(ts), issueTB{ts: ts}
	if m.root == nil {
		m.root = pki.Root(t, "Authority of the script")
		m.trust(m.root.Certificate)
	}
	pki.Issue(t, m.root, args[1], pki.Names(args[1:]...)).Files(t, ts.MkAbs("."), args[0])
}

func trustVerb(ts *testscript.TestScript, args []string) {
	text, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	block, _ := pem.Decode(text)
	if block == nil {
		ts.Fatalf("%s has no certificate", args[0])
	}
	c, err := x509.ParseCertificate(block.Bytes)
	ts.Check(err)
	machineOf(ts).trust(c)
}

func (m *machine) trust(c *x509.Certificate) {
	if m.trusted == nil {
		m.trusted = x509.NewCertPool()
	}
	m.trusted.AddCert(c)
}

func failsVerb(ts *testscript.TestScript, args []string) {
	r := newRequest(machineOf(ts).trusted, args[0], nil)
	<-r.finished
	r.cancel()
	if r.err == nil {
		ts.Fatalf("%s answers:\n%s", args[0], r.text)
	}
	if ok, err := regexp.MatchString(args[1], r.err.Error()); err != nil || !ok {
		ts.Fatalf("%s: %v, want %s", args[0], r.err, args[1])
	}
}
