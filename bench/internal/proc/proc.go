// Package proc starts the processes of a server, counts what they cost, and
// ends them and nothing else.
//
// A Process stands for the program that was started and everything it started
// itself (nginx's workers, for one): CPU and memory are those of the whole
// tree.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/httpsys/httpsys/bench/internal/machine"
)

// patience is how long a program has to end after SIGTERM. It is short: some wait
// for the connections of clients, and nothing that they hold is of value.
const patience = time.Second

// Command is a program to start.
type Command struct {
	Label string   // what it is called in results: "daemon", "app"
	Args  []string // the program and its arguments
	Env   []string // besides this process's own
	Dir   string   // its working folder; its output goes to a file there
	CPUs  []int    // it runs on these; empty: where we do
}

// Process is a program that was started.
type Process struct {
	Label string

	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// Start starts a program.
func Start(c Command) (*Process, error) {
	p := &Process{Label: c.Label, done: make(chan struct{}), log: filepath.Join(c.Dir, c.Label+".log")}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(c.Args[0], c.Args[1:]...)
	p.cmd.Dir, p.cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A group of its own: Ctrl-C goes to us, who end the servers in order, and
	// a group can be ended whole. Should we be killed, the kernel ends it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	start := p.cmd.Start
	if len(c.CPUs) > 0 {
		start = func() error { return machine.On(c.CPUs, p.cmd.Start) }
	}
	if err := start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the process id of the program itself.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Err tells whether the program has ended, which none should by itself.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended (%v)%s", p.Label, p.cmd.ProcessState, p.lastWords())
	default:
		return nil
	}
}

// lastWords is the last line of its output.
func (p *Process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return ""
	}
	return ": " + string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// Output is what the program has printed so far.
func (p *Process) Output() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

// Stop ends the program: SIGTERM, then SIGKILL for it and whatever is left of
// its group.
func (p *Process) Stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.done
}

// Await polls until check succeeds, one of the processes ends, or the time is
// over.
func Await(ctx context.Context, limit time.Duration, check func() error, all ...*Process) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		for _, p := range all {
			if err := p.Err(); err != nil {
				return err
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("not ready after %v: %w", limit, err)
			}
			return ctx.Err()
		}
	}
}

// nextPort goes round below the range from which Linux takes the ports of
// outgoing connections, so that none of the load's connections is in the way.
var nextPort = 18000 + os.Getpid()%8000

// FreePort returns a TCP port of 127.0.0.1 that nobody has. It is not safe for
// concurrent use.
func FreePort() (int, error) {
	for range 10_000 {
		nextPort++
		if nextPort >= 32000 {
			nextPort = 18000
		}
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(nextPort))
		if err != nil {
			continue
		}
		ln.Close()
		return nextPort, nil
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
