// Command bench measures httpsys beside a yardstick and beside its peers; see
// README.md two folders up for how, and for how to read what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/httpsys/httpsys/bench/internal/debian"
	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/machine"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/scenario"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

func main() {
	load.FloodMain()
	opt, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second signal ends us at once; the kernel then ends what we started.
	context.AfterFunc(ctx, stop)
	missed, err := run(ctx, opt)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "bench: interrupted; everything that was started is ended")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	case missed && opt.strict:
		os.Exit(1)
	}
}

func run(ctx context.Context, opt *options) (missed bool, err error) {
	if opt.list {
		list()
		return false, nil
	}
	begin := time.Now()
	root, err := findRoot()
	if err != nil {
		return false, err
	}
	cpus, err := machine.CPUs()
	if err != nil {
		return false, err
	}
	files, err := machine.Files()
	if err != nil {
		return false, err
	}
	if opt.install {
		install(ctx, opt)
	}
	if !opt.loadTool().There() {
		return false, fmt.Errorf("%s makes the load and is not installed: %s, or give --install", opt.load,
			debian.Command([]string{opt.loadTool().Package}))
	}
	for _, t := range missing(opt) {
		progress("%s is not installed: rows that need it are left out (%s, or give --install)", t.Program,
			debian.Command([]string{t.Package}))
	}
	serverCPU, loadCPU := opt.serverCPU, opt.loadCPU
	if serverCPU < 0 {
		serverCPU = cpus[0]
	}
	if loadCPU < 0 {
		loadCPU = cpus[min(1, len(cpus)-1)]
	}
	if serverCPU == loadCPU {
		progress("servers and load share CPU %d: compare CPU times, not rates or latencies", serverCPU)
	}
	dir, err := os.MkdirTemp("", "httpsys-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)

	b := &scenario.Bench{
		Yard:   &stack.Yard{Dir: dir, Root: root, CPUs: []int{serverCPU}, Others: cpus, Daemon: opt.daemon},
		Stacks: opt.stacks, Load: load.Generators[opt.load], Runs: opt.runs, Duration: opt.duration, Quick: opt.quick,
		Files: files, Apart: serverCPU != loadCPU, Profile: opt.profile, Out: opt.out, Progress: progress,
	}
	if b.Out == "" {
		b.Out = filepath.Join(root, "bench", "results")
	}
	facts := machine.Gather(root, cpus, serverCPU, loadCPU, versions(opt))
	if err := machine.PinSelf(loadCPU); err != nil {
		return false, err
	}

	until, weights := begin.Add(opt.budget), 0
	for _, s := range opt.scenarios {
		weights += s.Weight
	}
	for _, s := range opt.scenarios {
		// What a scenario leaves over is shared by those after it.
		b.Until = time.Now().Add(time.Until(until) * time.Duration(s.Weight) / time.Duration(weights))
		weights -= s.Weight
		progress("%s: %s", s.Name, s.Question)
		r, err := scenario.Run(ctx, s, b)
		if err != nil {
			return missed, fmt.Errorf("%s: %w", s.Name, err)
		}
		r.Machine, r.Command = facts, "bench "+strings.Join(os.Args[1:], " ")
		missed = missed || r.Missed()
		if err := finish(r, b.Out); err != nil {
			return missed, err
		}
	}
	progress("all done")
	return missed, nil
}

// finish shows a result and writes its files.
func finish(r *report.Result, out string) error {
	path, err := r.Save(out)
	if err != nil {
		return err
	}
	fmt.Printf("\n# %s\n\n", r.Scenario)
	r.WriteTables(os.Stdout)
	fmt.Printf("written to %s and .json\n\n", relative(path))
	return nil
}

// relative is a path as seen from here, when that is shorter.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(here, path)
	if err != nil || len(short) > len(path) {
		return path
	}
	return short
}

// findRoot finds the repository from the current folder upwards.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module github.com/httpsys/httpsys\n") {
			return dir, nil
		}
	}
	return "", errors.New("not inside the httpsys repository: run it there, with make bench")
}

// tools are those that this run needs.
func tools(opt *options) []stack.Tool {
	all := []stack.Tool{opt.loadTool()}
	if opt.profile != "" {
		all = append(all, perfTool)
	}
	for _, s := range opt.stacks {
		all = append(all, s.Tools()...)
	}
	var once []stack.Tool
	for _, t := range all {
		if !slices.ContainsFunc(once, func(u stack.Tool) bool { return u.Program == t.Program }) {
			once = append(once, t)
		}
	}
	return once
}

func missing(opt *options) []stack.Tool {
	return slices.DeleteFunc(tools(opt), stack.Tool.There)
}

// install installs what is missing. What cannot be installed is said, and left
// out.
func install(ctx context.Context, opt *options) {
	var packages []string
	for _, t := range missing(opt) {
		packages = append(packages, t.Package)
	}
	if len(packages) == 0 {
		return
	}
	if err := debian.Install(ctx, packages, progressWriter{}); err != nil {
		progress("%v (by hand: %s)", err, debian.Command(packages))
	}
}

func versions(opt *options) map[string][]string {
	all := map[string][]string{}
	for _, t := range tools(opt) {
		if t.There() && t.Version != nil {
			all[t.Program] = t.VersionCommand()
		}
	}
	return all
}

var started = time.Now()

// progress tells, on standard error, what is done at the moment.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%4.0fs] %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}

// progressWriter is progress for those who write lines.
type progressWriter struct{}

func (progressWriter) Write(p []byte) (int, error) {
	progress("%s", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
