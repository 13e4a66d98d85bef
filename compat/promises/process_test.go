package promises

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
	"testing"
	"time"
)

// A process is the daemon or a program, with what it has printed.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	url   string // of the first prefix
	addr  string

	ended chan struct{} // closed when it has ended and all its output is read

	mu    sync.Mutex
	lines []string
	next  int           // the first line that await looks at
	more  chan struct{} // closed with each line, and made anew
}

// port is that of its first prefix.
func (p *process) port() string {
	_, port, _ := strings.Cut(p.addr, ":")
	return port
}

// startProcess starts a command; it is killed at the end of the test if it still
// runs. A data race in it fails the test.
func startProcess(t *testing.T, name string, c *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: c, ended: make(chan struct{}), more: make(chan struct{})}
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	var err error
	if p.stdin, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = w, w
	err = c.Start()
	w.Close()
	if err != nil {
		r.Close()
		t.Fatal(err)
	}
	go func() {
		defer r.Close()
		for s := bufio.NewScanner(r); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
		c.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		<-p.ended
		if out := p.output(); strings.Contains(out, "DATA RACE") {
			t.Errorf("%s:\n%s", name, out)
		} else if t.Failed() {
			t.Logf("%s printed:\n%s", name, last(out, 40))
		}
	})
	return p
}

// last returns the last lines of a text.
func last(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// await waits for a line, after those that were waited for before.
func (p *process) await(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		for i := p.next; i < len(p.lines); i++ {
			if re.MatchString(p.lines[i]) {
				line := p.lines[i]
				p.next = i + 1
				p.mu.Unlock()
				return line
			}
		}
		more := p.more
		p.mu.Unlock()
		select {
		case <-more:
			continue
		case <-p.ended:
			p.mu.Lock()
			done := p.more == more
			p.mu.Unlock()
			if done {
				p.t.Fatalf("%s ended without a line like %s", p.name, pattern)
			}
		case <-deadline:
			p.t.Fatalf("%s: waited in vain for a line like %s", p.name, pattern)
		}
	}
}

// numbers returns the N of all lines "WORD N".
func (p *process) numbers(word string) map[int]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := make(map[int]int)
	for _, line := range p.lines {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			if n, err := strconv.Atoi(rest); err == nil {
				found[n]++
			}
		}
	}
	return found
}

// command gives our program a command, and waits until it is carried out.
func (p *process) command(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, line); err != nil {
		p.t.Fatal(err)
	}
	p.await("^done " + line + "$")
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// wait waits for the end and returns the exit status, -1 for a signal.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT) // for the stacks
		<-p.ended
		p.t.Fatalf("%s did not end:\n%s", p.name, p.output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// halt ends it in order.
func (p *process) halt() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		p.t.Errorf("%s ended with status %d", p.name, code)
	}
}

// kill ends it as nobody can prevent.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

// memory returns a number of /proc/PID/status in bytes: VmRSS is what it has
// resident now, VmHWM the most that it ever had.
func (p *process) memory(field string) int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return n << 10
		}
	}
	p.t.Fatalf("/proc/%d/status has no %s", p.cmd.Process.Pid, field)
	return 0
}

// forgetPeak makes VmHWM begin again from what is resident now.
func (p *process) forgetPeak() {
	p.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		p.t.Fatal(err)
	}
}
