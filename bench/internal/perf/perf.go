// Package perf records where programs spend their time, with Linux's perf, and
// writes the top of its reports.
package perf

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Bounds of what is written: enough to see where the time goes.
const (
	flatLines = 80
	callLines = 200
)

// Record profiles processes while f runs, and writes the reports to out. dir is
// for perf's own data.
func Record(ctx context.Context, dir string, pids []int, out string, f func() error) error {
	if _, err := exec.LookPath("perf"); err != nil {
		return fmt.Errorf("perf is not installed (Debian: apt-get install linux-perf)")
	}
	data := filepath.Join(dir, "perf.data")
	defer os.Remove(data)
	list := make([]string, len(pids))
	for i, pid := range pids {
		list[i] = strconv.Itoa(pid)
	}
	var said bytes.Buffer
	// perf takes a while to attach to the processes. It starts with its counters
	// off (-D -1), is told to switch them on, and says when it has.
	control, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer tell.Close()
	answer, ack, err := os.Pipe()
	if err != nil {
		control.Close()
		return err
	}
	defer answer.Close()
	// 997 Hz: not in step with anything that happens every millisecond.
	record := exec.CommandContext(ctx, "perf", "record", "-q", "-F", "997", "-g", "-o", data, "-D", "-1",
		"--control", "fd:3,4", "-p", strings.Join(list, ","))
	record.ExtraFiles = []*os.File{control, ack}
	record.Stdout, record.Stderr = &said, &said
	record.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err = record.Start()
	control.Close()
	ack.Close()
	if err != nil {
		return err
	}
	io.WriteString(tell, "enable\n")
	io.ReadFull(answer, make([]byte, len("ack\n"))) // or its end, if perf could not start
	err = f()
	record.Process.Signal(syscall.SIGINT)
	record.Wait() // ends with the signal's status even when all is well
	if err != nil {
		return err
	}
	if _, err := os.Stat(data); err != nil {
		return fmt.Errorf("perf record: %s", strings.TrimSpace(said.String()))
	}

	var text bytes.Buffer
	for _, part := range []struct {
		title string
		lines int
		args  []string
	}{
		{"By program", flatLines, []string{"--no-children", "-g", "none", "--sort", "comm"}},
		{"By function, itself", flatLines, []string{"--no-children", "-g", "none", "--sort", "comm,symbol"}},
		{"By function, with what it calls", flatLines, []string{"--children", "-g", "none", "--sort", "comm,symbol"}},
		{"Who calls the most expensive", callLines, []string{"--no-children", "-g", "caller,0.5,callee", "--sort", "comm,symbol",
			"--percent-limit", "2"}},
	} {
		fmt.Fprintf(&text, "== %s\n\n", part.title)
		args := append([]string{"report", "-i", data, "--stdio", "-q"}, part.args...)
		report, err := exec.CommandContext(ctx, "perf", args...).Output()
		if err != nil {
			return fmt.Errorf("perf report: %w", err)
		}
		writeTop(&text, report, part.lines)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, text.Bytes(), 0o644)
}

// writeTop copies the first lines that say something.
func writeTop(w *bytes.Buffer, report []byte, most int) {
	lines := bufio.NewScanner(bytes.NewReader(report))
	lines.Buffer(nil, 1<<20)
	for n := 0; n < most && lines.Scan(); {
		// Columns for sources of branches, which were not recorded, show as dashes.
		if line := strings.TrimRight(lines.Text(), " -"); line != "" {
			fmt.Fprintln(w, line)
			n++
		}
	}
	fmt.Fprintln(w)
}
