package scenario

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/machine"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// fake is a scenario whose measurements are functions.
func fake(stopped *bool, cases ...planCase) Scenario {
	return Scenario{Name: "fake", plan: func(context.Context, *Bench) (*plan, error) {
		return &plan{cases: cases, columns: []report.Column{{Title: "µs", Metric: "cpu"}},
			stop: []func(){func() { *stopped = true }}}, nil
	}}
}

func newBench(t *testing.T, runs int) *Bench {
	return &Bench{Runs: runs, Until: time.Now().Add(time.Hour), Apart: true, Progress: t.Logf}
}

// Every round goes through all rows of all cases before the next begins; a row
// that fails or is missing does not keep the others from being measured.
func TestMain(m *testing.M) {
	load.FloodMain()
	os.Exit(m.Run())
}

func TestRoundsGoThroughEveryone(t *testing.T) {
	var order []string
	row := func(name string, err error) planRow {
		return planRow{name: name, measure: func(context.Context) (report.Sample, error) {
			order = append(order, name)
			if err != nil {
				return nil, err
			}
			return report.Sample{"cpu": float64(len(order))}, nil
		}}
	}
	stopped := false
	s := fake(&stopped,
		planCase{"one", []planRow{row("a", nil), row("b", errors.New("refused")), {name: "c", missing: errors.New("not installed")}}},
		planCase{"two", []planRow{row("d", nil)}})
	r, err := Run(t.Context(), s, newBench(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "d", "a", "b", "d"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	one := r.Case("one")
	if m, ok := one.Row("a").Median("cpu"); !ok || m != 2.5 {
		t.Errorf("a: %v, %v; want the median of 1 and 4", m, ok)
	}
	if f := one.Row("b").Failures; len(f) != 2 || f[0] != "refused" {
		t.Errorf("b: %q", f)
	}
	if one.Row("c").Missing != "not installed" || r.Runs != 2 || !stopped {
		t.Errorf("%+v, stopped %v", r, stopped)
	}
}

func TestTimeIsOver(t *testing.T) {
	runs, stopped := 0, false
	s := fake(&stopped, planCase{"one", []planRow{{name: "a", measure: func(context.Context) (report.Sample, error) {
		runs++
		return report.Sample{"cpu": 1}, nil
	}}}})
	b := newBench(t, 5)
	b.Until = time.Now().Add(-time.Second)
	r, err := Run(t.Context(), s, b)
	if err != nil || runs != 1 || r.Runs != 1 {
		t.Fatalf("%d runs, %v; want one", runs, err)
	}
	if !slices.Contains(r.Notes, "only 1 of 5 runs: the time was over") {
		t.Errorf("notes: %q", r.Notes)
	}
}

// An interrupted scenario has no result, and ends its servers.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stopped := false
	s := fake(&stopped, planCase{"one", []planRow{{name: "a", measure: func(context.Context) (report.Sample, error) {
		cancel()
		return nil, errors.New("broken off")
	}}}})
	if r, err := Run(ctx, s, newBench(t, 5)); r != nil || !errors.Is(err, context.Canceled) || !stopped {
		t.Errorf("%v, %v, stopped %v", r, err, stopped)
	}
}

func TestNoteOthers(t *testing.T) {
	samples := []report.Sample{{others: 0.01}, nil, {others: 0.30}, {others: 0.02}}
	result := func() *report.Result {
		return &report.Result{Cases: []*report.Case{{Rows: []*report.Row{{Samples: samples}}}}}
	}
	r := result()
	noteOthers(&Bench{Apart: true}, r)
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "in 1 of 3 measurements, 30 % at most") {
		t.Errorf("%q", r.Notes)
	}
	r = result()
	noteOthers(&Bench{Apart: false}, r)
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "one CPU") {
		t.Errorf("%q", r.Notes)
	}
}

func TestRandomPaths(t *testing.T) {
	for _, test := range []struct{ n, want int }{{9, 9}, {99_999, 10_000}} {
		paths := randomPaths(test.n)
		distinct := map[string]bool{}
		for _, p := range paths {
			distinct[p] = true
		}
		if len(paths) != test.want || len(distinct) != test.want {
			t.Errorf("%d prefixes: %d paths, %d of them distinct; want %d", test.n, len(paths), len(distinct), test.want)
		}
	}
}

// Every scenario measures its rows from end to end: net/http takes part in all
// but that on prefixes.
func TestScenariosWithNetHTTP(t *testing.T) {
	wrk := func(ctx context.Context, c load.Closed) (load.Figures, error) { // what wrk does, in small
		start := time.Now()
		get := load.Get
		if c.TLS {
			get = func(ctx context.Context, host, path string) error {
				return load.GetTLS(ctx, host, path, &tls.Config{InsecureSkipVerify: true})
			}
		}
		for _, path := range c.Paths {
			if err := get(ctx, c.Host, path); err != nil {
				return load.Figures{}, err
			}
		}
		return load.Figures{Requests: int64(len(c.Paths)), Elapsed: time.Since(start), P50: time.Millisecond, P99: time.Millisecond}, nil
	}
	cpus, err := machine.CPUs()
	if err != nil {
		t.Fatal(err)
	}
	var stacks []stack.Stack
	for _, s := range stack.All {
		if s.Name == stack.NetHTTP {
			stacks = append(stacks, s)
		}
	}
	for _, test := range []struct {
		scenario string
		metrics  []string
	}{
		{"small", []string{"cpu", "cpu:app", "rate", "p50", "p99"}},
		{"idle", []string{"pss", "rss", "pss:app"}},
		{"stream", []string{"cpu", "rate", "most", "extra:app"}},
		{"stall", []string{"p99 ratio", "rate ratio", "front"}},
		{"prefixes", nil},
		{"tls", nil},
		{"handshake", nil},
	} {
		t.Run(test.scenario, func(t *testing.T) {
			b := newBench(t, 1)
			b.Yard = &stack.Yard{Dir: t.TempDir(), Root: "../../..", CPUs: cpus[:1], Others: cpus}
			b.Stacks, b.Load, b.Quick, b.Files, b.Duration = stacks, wrk, true, 700, time.Millisecond
			i := slices.IndexFunc(All, func(s Scenario) bool { return s.Name == test.scenario })
			r, err := Run(t.Context(), All[i], b)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range r.Cases {
				for _, row := range c.Rows {
					if row.Missing != "" || len(row.Failures) > 0 {
						t.Fatalf("%s, %s: %s %q", c.Name, row.Name, row.Missing, row.Failures)
					}
					for _, metric := range test.metrics {
						if _, ok := row.Median(metric); !ok {
							t.Errorf("%s, %s: no %q in %s", c.Name, row.Name, metric, fmt.Sprint(row.Samples))
						}
					}
				}
				if len(c.Rows) != 1 && test.metrics != nil {
					t.Errorf("%s has %d rows", c.Name, len(c.Rows))
				}
			}
			if test.scenario == "idle" && !slices.Contains(r.Notes, "only 200 connections: a process may open 700 files here") {
				t.Errorf("notes: %q", r.Notes)
			}
		})
	}
}

// Titles that targets and ratios name are titles that there are.
func TestTargetsNameCells(t *testing.T) {
	for _, s := range All {
		b := newBench(t, 1)
		b.Yard, b.Files = &stack.Yard{Dir: t.TempDir(), Root: t.TempDir()}, 100_000
		for _, st := range stack.All {
			if st.Name == stack.Httpsys {
				b.Stacks = append(b.Stacks, st)
			}
		}
		r, err := Run(t.Context(), s, b) // cannot be built: an empty repository
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Targets) == 0 {
			t.Errorf("%s has no target", s.Name)
		}
		for _, target := range r.Targets {
			column := slices.ContainsFunc(r.Columns, func(c report.Column) bool { return c.Title == target.Column })
			if row := r.Case(target.Case).Row(target.Row); row == nil || !column {
				t.Errorf("%s: no cell for the target %q", s.Name, target.Text)
			} else if row.Missing == "" {
				t.Errorf("%s: httpsys was built from nothing", s.Name)
			}
		}
	}
}
