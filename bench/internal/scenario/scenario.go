// Package scenario is what is measured. Each scenario asks one question, builds
// tables of servers for it, and says how one run of one row is measured; this
// file makes the runs: round after round through all rows, so that whatever the
// machine does meanwhile happens to everyone.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/machine"
	"github.com/httpsys/httpsys/bench/internal/perf"
	"github.com/httpsys/httpsys/bench/internal/proc"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// Bench is how a run was asked for.
type Bench struct {
	Yard     *stack.Yard
	Stacks   []stack.Stack  // in the order of tables; a scenario takes those it is about
	Load     load.Generator // for closed loops
	Runs     int
	Duration time.Duration // of one closed loop
	Quick    bool
	Until    time.Time // no further round begins after this; the first always does
	Files    int       // how many files a process may open
	Apart    bool      // servers have a CPU for themselves
	Profile  string    // a row to profile after the runs, by its normal name; empty: none
	Out      string    // where profiles go
	Progress func(format string, args ...any)
}

// Scenario is a question.
type Scenario struct {
	Name     string
	Question string
	Weight   int // its share of the time there is
	plan     func(context.Context, *Bench) (*plan, error)
}

// All are the scenarios in the order in which they run.
var All = []Scenario{
	{"small", "What does a small request on a kept connection cost, in CPU time of all server processes, and how long does it take?", 60, planSmall},
	{"tls", "What does TLS add to a small request on a kept connection?", 16, planTLS},
	{"handshake", "What does a new TLS connection cost, and do many of them hurt those that are there?", 16, planHandshake},
	{"idle", "How much resident memory does a connection take that made one request and waits?", 14, planIdle},
	{"stream", "What do large bodies cost, both ways, and how much memory do they take?", 10, planStream},
	{"prefixes", "What does a request cost when a program has registered very many prefixes?", 6, planPrefixes},
	{"node", "What does a request cost a server in JavaScript, alone and behind the daemon?", 14, planNode},
	{"cache", "What does an answer from the cache cost: a small one, a long one, one that says that nothing has changed?", 14, planCache},
	{"million", "What does an answer cost from a cache that holds very many small objects, and how much memory does each take?", 10, planMillion},
	{"websocket", "What does a message over a WebSocket cost that a program echoes, and how much memory does one take that waits?", 12, planWebSocket},
	{"stall", "Do clients that ask for much and do not read hurt small requests to the same program?", 10, planStall},
	{"http2", "What does HTTP/2 over TLS cost: small answers, large ones, and connections that wait?", 20, planHTTP2},
	{"attacks", "When does each known attack on HTTP/2 end, what does it cost, and what of it gets to the program?", 20, planAttacks},
	{"streams", "How much memory do requests over HTTP/2 take that are open and wait?", 10, planStreams},
}

// plan is a scenario made ready: its servers run, or say why not.
type plan struct {
	columns []report.Column
	targets []report.Target
	cases   []planCase
	notes   []string
	stop    []func()
}

type planCase struct {
	name string
	rows []planRow
}

type planRow struct {
	name    string
	missing error // why it cannot be measured
	measure func(context.Context) (report.Sample, error)
	parts   []*proc.Process // to profile; none: cannot be
}

// others is the metric that tells how much of the servers' CPU programs had that
// are no part of the benchmark.
const others = "others"

// tolerated is the share of others up to which a run passes without a note.
const tolerated = 0.05

// Run measures a scenario.
func Run(ctx context.Context, s Scenario, b *Bench) (*report.Result, error) {
	p, err := s.plan(ctx, b)
	if p != nil {
		defer p.close()
	}
	if err != nil {
		return nil, err
	}
	r := &report.Result{Scenario: s.Name, Question: s.Question, Quick: b.Quick, Date: time.Now(),
		Columns: p.columns, Targets: p.targets, Notes: p.notes}
	said := map[string]bool{} // once is enough for all cases
	for _, c := range p.cases {
		rc := &report.Case{Name: c.name}
		for _, row := range c.rows {
			rr := &report.Row{Name: row.name}
			if row.missing != nil {
				rr.Missing = row.missing.Error()
			}
			if row.missing != nil && !said[row.name] {
				said[row.name] = true
				b.Progress("%s: not available: %v", row.name, row.missing)
			}
			rc.Rows = append(rc.Rows, rr)
		}
		r.Cases = append(r.Cases, rc)
	}
	for r.Runs < b.Runs {
		if r.Runs > 0 && time.Now().After(b.Until) {
			r.Notes = append(r.Notes, fmt.Sprintf("only %d of %d runs: the time was over", r.Runs, b.Runs))
			break
		}
		for i, c := range p.cases {
			for j, row := range c.rows {
				if row.missing != nil {
					continue
				}
				sample, err := row.measure(ctx)
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				r.Cases[i].Rows[j].Samples = append(r.Cases[i].Rows[j].Samples, sample)
				if err != nil {
					r.Cases[i].Rows[j].Failures = append(r.Cases[i].Rows[j].Failures, err.Error())
				}
				b.Progress("run %d of %d, %s, %s: %s", r.Runs+1, b.Runs, c.name, row.name, outcome(r, sample, err))
			}
		}
		r.Runs++
	}
	noteOthers(b, r)
	return r, b.profile(ctx, p, r)
}

// outcome is one run in a few words: the first two columns.
func outcome(r *report.Result, s report.Sample, err error) string {
	if err != nil {
		return "failed: " + err.Error()
	}
	text := ""
	for _, col := range r.Columns {
		v, ok := s[col.Metric]
		if !ok || col.Base != nil || col.Spread || col.Parts {
			continue
		}
		show := col.Show
		if show == nil {
			show = report.Number
		}
		if text != "" {
			return text + ", " + show(v) + " " + col.Title
		}
		text = show(v) + " " + col.Title
	}
	return text
}

// noteOthers warns when the servers' CPU was not theirs alone. Their CPU time
// leaves out what others used, but not what sharing caches and batching less
// costs them.
func noteOthers(b *Bench, r *report.Result) {
	if !b.Apart {
		r.Notes = append(r.Notes, "servers and load shared one CPU: compare CPU times, not rates or latencies")
		return
	}
	var most float64
	disturbed, all := 0, 0
	for _, c := range r.Cases {
		for _, row := range c.Rows {
			most = max(most, row.Max(others))
			for _, s := range row.Samples {
				if s == nil {
					continue
				}
				all++
				if s[others] > tolerated {
					disturbed++
				}
			}
		}
	}
	if disturbed > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("other programs used more than %.0f %% of the servers' CPU in %d of %d measurements, "+
			"%.0f %% at most: repeat on a quiet machine", tolerated*100, disturbed, all, most*100))
	}
}

// profiled is how long a measurement under perf takes at least: some thousand
// samples.
const profiled = 4 * time.Second

// profile measures the chosen row once more, under perf.
func (b *Bench) profile(ctx context.Context, p *plan, r *report.Result) error {
	if b.Profile == "" {
		return nil
	}
	found := false
	defer func(d time.Duration) { b.Duration = d }(b.Duration)
	b.Duration = max(b.Duration, profiled)
	for _, c := range p.cases {
		for _, row := range c.rows {
			if stack.Normal(row.name) != b.Profile || row.missing != nil || len(row.parts) == 0 {
				continue
			}
			found = true
			var pids []int
			for _, part := range row.parts {
				tree, err := part.PIDs()
				if err != nil {
					return err
				}
				pids = append(pids, tree...)
			}
			out := filepath.Join(b.Out, r.Base()+"-"+stack.FileName(c.name+" "+row.name)+".perf.txt")
			b.Progress("profile of %s, %s", c.name, row.name)
			err := perf.Record(ctx, b.Yard.Dir, pids, out, func() error {
				_, err := row.measure(ctx)
				return err
			})
			if err != nil {
				r.Notes = append(r.Notes, fmt.Sprintf("no profile of %s, %s: %v", c.name, row.name, err))
				continue
			}
			r.Notes = append(r.Notes, fmt.Sprintf("profile of %s, %s: %s", c.name, row.name, filepath.Base(out)))
		}
	}
	if !found {
		r.Notes = append(r.Notes, fmt.Sprintf("nothing to profile: no row %q that keeps running", b.Profile))
	}
	return nil
}

func (p *plan) close() {
	var wg sync.WaitGroup
	for _, stop := range p.stop {
		wg.Go(stop)
	}
	wg.Wait()
}

// chosen are those of the named stacks that were asked for, and httpsys at other
// commits after httpsys.
func (b *Bench) chosen(names ...string) []stack.Stack {
	var all []stack.Stack
	for _, s := range b.Stacks {
		for _, name := range names {
			if s.Name == name || name == stack.Httpsys && s.IsHttpsys() {
				all = append(all, s)
			}
		}
	}
	return all
}

// start starts a stack for the whole of a scenario.
func (p *plan) start(ctx context.Context, b *Bench, s stack.Stack, opt stack.Options) (*stack.Instance, error) {
	b.Progress("starting %s", s.Name)
	in, err := b.Yard.Start(ctx, s, opt)
	if err == nil {
		p.stop = append(p.stop, in.Stop)
	}
	return in, err
}

// warm is how long a server gets requests before it is measured.
const warm = 300 * time.Millisecond

// warmUp makes caches, pools and heaps what they are in use. Its errors are not
// looked at: the measurements will meet them again.
func (b *Bench) warmUp(ctx context.Context, in *stack.Instance, connections int) {
	b.Load(ctx, load.Closed{Host: in.Host, Paths: []string{"/hello"}, Connections: connections, Duration: warm, Dir: b.Yard.Dir, TLS: in.TLS != nil})
}

// metered runs f, which answers how many units of work were done, and returns
// CPU time per unit in microseconds: of the stack, of each part, and what share
// of the CPU others had meanwhile.
func (b *Bench) metered(in *stack.Instance, f func() (units float64, err error)) (report.Sample, error) {
	before, err := b.readMeters(in)
	if err != nil {
		return nil, err
	}
	units, err := f()
	if err = errors.Join(in.Err(), err); err != nil {
		return nil, err
	}
	after, err := b.readMeters(in)
	if err != nil {
		return nil, err
	}
	s := report.Sample{}
	var sum time.Duration
	for i, part := range in.Parts {
		used := after.parts[i] - before.parts[i]
		sum += used
		s["cpu:"+part.Label] = micros(used) / units
	}
	s["cpu"] = micros(sum) / units
	if b.Apart {
		wall := after.at.Sub(before.at)
		s[others] = max(0, float64(after.busy-before.busy-sum)/float64(wall))
	}
	return s, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

type meters struct {
	at    time.Time
	busy  time.Duration // of the servers' CPU, for everyone
	parts []time.Duration
}

func (b *Bench) readMeters(in *stack.Instance) (meters, error) {
	m := meters{at: time.Now()}
	var err error
	if b.Apart {
		if m.busy, err = machine.Busy(b.Yard.CPUs[0]); err != nil {
			return m, err
		}
	}
	for _, part := range in.Parts {
		used, err := part.CPU()
		if err != nil {
			return m, err
		}
		m.parts = append(m.parts, used)
	}
	return m, nil
}

// closedLoop measures requests to paths.
func (b *Bench) closedLoop(ctx context.Context, in *stack.Instance, connections int, paths ...string) (report.Sample, error) {
	return b.closedLoopWith(ctx, in, connections, nil, paths...)
}

// closedLoopWith is closedLoop with header fields.
func (b *Bench) closedLoopWith(ctx context.Context, in *stack.Instance, connections int, fields []string, paths ...string) (report.Sample, error) {
	return b.closed(in, func() (load.Figures, error) {
		return b.Load(ctx, load.Closed{Host: in.Host, Paths: paths, Fields: fields, Connections: connections, Duration: b.Duration, Dir: b.Yard.Dir, TLS: in.TLS != nil})
	})
}

// closed measures a closed loop.
func (b *Bench) closed(in *stack.Instance, run func() (load.Figures, error)) (report.Sample, error) {
	var f load.Figures
	s, err := b.metered(in, func() (float64, error) {
		var err error
		f, err = run()
		return float64(f.Requests), err
	})
	if err != nil {
		return nil, err
	}
	s["rate"] = float64(f.Requests) / f.Elapsed.Seconds()
	s["p50"], s["p99"] = micros(f.P50), micros(f.P99)
	return s, nil
}
