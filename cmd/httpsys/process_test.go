package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long anything may take: far longer than it ever does, so
// that only what never happens runs into it.
const patience = 30 * time.Second

// process is the daemon or an application, with what it has printed.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{} // closed when it has ended and all its output is read

	mu    sync.Mutex
	lines []string // of standard output and standard error
	read  int      // lines that were waited for
	more  chan struct{}
}

// newCommand makes a command that runs this test binary under another name, so
// that no other user needs a way to its path.
func newCommand(name string, who string, env []string, args ...string) (*exec.Cmd, error) {
	c := &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{name}, args...), Dir: "/", Env: env}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if who != "" {
		credential, err := parseCredential(who)
		if err != nil {
			return nil, err
		}
		c.SysProcAttr.Credential = credential
	}
	return c, nil
}

// parseCredential reads UID[:GID…]: a user with groups, the first of them its
// primary one; without one, that of its own number.
func parseCredential(who string) (*syscall.Credential, error) {
	var numbers []uint32
	for _, part := range strings.Split(who, ":") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %q is not UID[:GID…]", who)
		}
		numbers = append(numbers, uint32(n))
	}
	c := &syscall.Credential{Uid: numbers[0], Gid: numbers[0]}
	if len(numbers) > 1 {
		c.Gid, c.Groups = numbers[1], numbers[1:]
	}
	return c, nil
}

func startProcess(c *exec.Cmd) (*process, error) {
	p := &process{cmd: c, ended: make(chan struct{}), more: make(chan struct{}, 1)}
	var err error
	if p.stdin, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.Stdout, c.Stderr = w, w
	err = c.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	go func() {
		defer r.Close()
		for s := bufio.NewScanner(r); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			p.mu.Unlock()
			p.wake()
		}
		c.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) wake() {
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// await waits for a line that matches, after those that were waited for
// before, and returns it.
func (p *process) await(pattern string) (string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", err
	}
	deadline := time.After(patience)
	for {
		ended := false
		select {
		case <-p.ended:
			ended = true
		default:
		}
		if line, ok := p.next(re); ok {
			return line, nil
		}
		if ended {
			return "", fmt.Errorf("it ended (%v) without a line like %q; it printed:\n%s", p.cmd.ProcessState, pattern, p.output())
		}
		select {
		case <-p.more:
		case <-p.ended:
		case <-deadline:
			return "", fmt.Errorf("no line like %q in %v; it printed:\n%s", pattern, patience, p.output())
		}
	}
}

func (p *process) next(re *regexp.Regexp) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := p.read; i < len(p.lines); i++ {
		if re.MatchString(p.lines[i]) {
			p.read = i + 1
			return p.lines[i], true
		}
	}
	return "", false
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n") + "\n"
}

// wait waits for the end.
func (p *process) wait() (*os.ProcessState, error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState, nil
	case <-time.After(patience):
		p.cmd.Process.Signal(syscall.SIGQUIT) // for the stacks
		select {
		case <-p.ended:
		case <-time.After(patience):
			p.cmd.Process.Kill()
		}
		return nil, fmt.Errorf("it did not end in %v; it printed:\n%s", patience, p.output())
	}
}
