package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const line = "42 (a) b (c) S 7 42 42 0 -1 4194304 1 2 3 4 150 50 30 20 20 0 1 0 12345 1 1"
	got, err := parseStat([]byte(line))
	want := stat{pid: 42, parent: 7, children: 500 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "42 sh S 1", "42 (sh) S 1 2", "x (sh) S 7 42 42 0 -1 4194304 1 2 3 4 150 50 30 20 20"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestKilobytes(t *testing.T) {
	const text = "Rss:    12 kB\nPss_Anon:   5 kB\nPss:   7 kB\n"
	if n, err := kilobytes([]byte(text), "Pss:"); err != nil || n != 7<<10 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := kilobytes([]byte(text), "Swap:"); err == nil {
		t.Error("a field that is not there has a value")
	}
}

// start runs a shell script, ended with the test, and waits until it says "ready".
func start(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(Command{Label: "script", Dir: t.TempDir(), Args: []string{"sh", "-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	err = Await(context.Background(), 10*time.Second, func() error {
		if !strings.Contains(p.Output(), "ready") {
			return errors.New("not ready")
		}
		return nil
	}, p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The CPU time of a process is that of its children too, running or ended.
func TestCPUCountsChildren(t *testing.T) {
	const burn = `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done`
	ended := start(t, `sh -c '`+burn+`'; echo ready; sleep 1000`)
	running := start(t, `sh -c '`+burn+`; echo ready; exec sleep 1000' & wait`)
	for name, p := range map[string]*Process{"ended": ended, "running": running} {
		got, err := p.CPU()
		if err != nil || got < 10*time.Millisecond {
			t.Errorf("%s child: %v, %v; want at least 10ms", name, got, err)
		}
	}
}

func TestMemory(t *testing.T) {
	p := start(t, "echo ready; exec sleep 1000")
	m, err := p.Memory()
	if err != nil || m.RSS < 100<<10 || m.PSS <= 0 || m.PSS > m.RSS {
		t.Errorf("%+v, %v", m, err)
	}
}

// A child that has ended and that nobody has waited for has no memory.
func TestMemoryOfZombies(t *testing.T) {
	p := start(t, "sleep 0 & echo ready; exec sleep 1000")
	err := Await(context.Background(), 10*time.Second, func() error {
		pids, err := p.PIDs()
		for _, pid := range pids {
			if text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); strings.Contains(string(text), "State:\tZ") {
				return nil
			}
		}
		return errors.Join(err, errors.New("no child has ended yet"))
	}, p)
	if err != nil {
		t.Fatal(err)
	}
	if rise, err := p.Peak(context.Background(), func() error { return nil }); err != nil {
		t.Errorf("%d, %v", rise, err)
	}
}

// A peak that is over when it is asked for is still seen.
func TestPeak(t *testing.T) {
	p := start(t, `trap 'x=$(head -c 20000000 /dev/zero | tr "\0" x); x=; echo done' USR1; echo ready; while :; do sleep 0.01; done`)
	rise, err := p.Peak(context.Background(), func() error {
		if err := syscall.Kill(p.PID(), syscall.SIGUSR1); err != nil {
			return err
		}
		return Await(context.Background(), 10*time.Second, func() error {
			if !strings.Contains(p.Output(), "done") {
				return errors.New("not done")
			}
			return nil
		}, p)
	})
	if err != nil || rise < 15_000_000 {
		t.Errorf("peak %d, %v; want about 20 MB", rise, err)
	}
}

// Stop ends children that ignore SIGTERM, and everything else is left alone.
func TestStopEndsTheGroup(t *testing.T) {
	bystander := start(t, "echo ready; exec sleep 1000")
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	p := start(t, `(trap "" TERM; sleep 1000) & echo $! > `+pidFile+`; echo ready; wait`)
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	err = Await(context.Background(), 10*time.Second, func() error {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat")
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			return errors.New("the child lives")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := bystander.Err(); err != nil {
		t.Error("another program was ended too:", err)
	}
}

// A program that ends early is reported with its last words.
func TestErr(t *testing.T) {
	p, err := Start(Command{Label: "app", Dir: t.TempDir(), Args: []string{"sh", "-c", "echo first; echo no port; exit 3"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	err = Await(context.Background(), 10*time.Second, func() error { return errors.New("never") }, p)
	if err == nil || err.Error() != "app ended (exit status 3): no port" {
		t.Errorf("%v", err)
	}
}
