package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/scenario"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// Programs that make the load, and perf.
var (
	loadTools = map[string]stack.Tool{
		"wrk":    {Program: "wrk", Package: "wrk", Version: []string{"wrk", "-v"}},
		"h2load": {Program: "h2load", Package: "nghttp2-client", Version: []string{"h2load", "--version"}},
	}
	perfTool = stack.Tool{Program: "perf", Package: "linux-perf", Version: []string{"perf", "--version"}}
)

type options struct {
	scenarios           []scenario.Scenario
	stacks              []stack.Stack
	runs                int
	duration, budget    time.Duration
	serverCPU, loadCPU  int
	quick, install      bool
	strict, list        bool
	load, out, profile  string
	daemon              string
	only, rows, against string
}

func (o *options) loadTool() stack.Tool { return loadTools[o.load] }

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: bench [flags]    (inside the repository; bench/README.md says how to read the results)")
		f.PrintDefaults()
	}
	f.StringVar(&o.only, "only", "", "the `scenarios` to run, by comma; all when empty")
	f.StringVar(&o.rows, "rows", "", "the `servers` to measure, by comma, for example yardstick,httpsys,nginx+net/http; all when empty")
	f.IntVar(&o.runs, "runs", 5, "how many `times` each row is measured")
	f.DurationVar(&o.duration, "duration", 1500*time.Millisecond, "how long one measurement of small requests takes")
	f.DurationVar(&o.budget, "budget", 9*time.Minute, "begin no further round of runs when this time is over")
	f.BoolVar(&o.quick, "quick", false, "a short look: 2 runs of 500 ms, smaller bodies, fewer idle connections")
	f.BoolVar(&o.install, "install", false, "install missing programs from Debian's packages (needs root); starts no service")
	f.StringVar(&o.load, "load", "wrk", "what makes small requests: wrk or h2load")
	f.StringVar(&o.profile, "profile", "", "measure this `row` once more under perf and write the top of its report beside the result")
	f.StringVar(&o.daemon, "daemon", "", "the httpsys `binary` to measure, instead of building the one of this tree")
	f.StringVar(&o.against, "against", "", "measure httpsys as of these `commits`, by comma, as rows of their own")
	f.StringVar(&o.out, "out", "", "the `folder` for results; bench/results when empty")
	f.IntVar(&o.serverCPU, "server-cpu", -1, "the CPU for all server processes; -1: the first")
	f.IntVar(&o.loadCPU, "load-cpu", -1, "the CPU for the load; -1: the second")
	f.BoolVar(&o.strict, "strict", false, "exit with 1 when a target is missed")
	f.BoolVar(&o.list, "list", false, "show the scenarios and the servers there are")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("what is %q? Scenarios are given with --only", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.quick && !given["runs"] {
		o.runs = 2
	}
	if o.quick && !given["duration"] {
		o.duration = 500 * time.Millisecond
	}
	return o, o.resolve()
}

// resolve turns names into what they name.
func (o *options) resolve() error {
	if o.runs < 1 || o.duration < 100*time.Millisecond {
		return fmt.Errorf("at least one run of at least 100ms")
	}
	if load.Generators[o.load] == nil {
		return fmt.Errorf("--load is wrk or h2load, not %q", o.load)
	}
	o.profile = stack.Normal(o.profile)
	for _, s := range stack.All {
		o.stacks = append(o.stacks, s)
		if s.Name == stack.Httpsys {
			for _, revision := range split(o.against) {
				o.stacks = append(o.stacks, stack.Against(revision))
			}
		}
	}
	if rows := split(o.rows); len(rows) > 0 {
		for i := range rows {
			rows[i] = stack.Normal(rows[i])
			if !slices.ContainsFunc(o.stacks, func(s stack.Stack) bool { return stack.Normal(s.Name) == rows[i] }) {
				return fmt.Errorf("no server %q; --list shows them", rows[i])
			}
		}
		o.stacks = slices.DeleteFunc(o.stacks, func(s stack.Stack) bool {
			atCommit := s.IsHttpsys() && s.Name != stack.Httpsys // was asked for with --against
			return !atCommit && !slices.Contains(rows, stack.Normal(s.Name))
		})
	}
	only := split(o.only)
	for _, name := range only {
		if !slices.ContainsFunc(scenario.All, func(s scenario.Scenario) bool { return s.Name == name }) {
			return fmt.Errorf("no scenario %q; --list shows them", name)
		}
	}
	for _, s := range scenario.All {
		if len(only) == 0 || slices.Contains(only, s.Name) {
			o.scenarios = append(o.scenarios, s)
		}
	}
	return nil
}

// split cuts a list at its commas.
func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func list() {
	fmt.Println("scenarios:")
	for _, s := range scenario.All {
		fmt.Printf("  %-10s %s\n", s.Name, s.Question)
	}
	fmt.Println("servers:")
	for _, s := range stack.All {
		note := ""
		for _, t := range s.Tools() {
			if !t.There() {
				note = "(needs Debian's " + t.Package + ")"
			}
		}
		fmt.Printf("  %-20s %s\n", s.Name, note)
	}
}
