package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// planMillion: a cache that is full of small objects, asked for one of them and for all of them in a random
// order, so that nothing of an object is in the CPU's caches when it is asked for.
func planMillion(ctx context.Context, b *Bench) (*plan, error) {
	const many = 64
	objects := 1_000_000
	if b.Quick {
		objects = 100_000
	}
	path := "/keep?n=13&object="
	hot, random := stack.Httpsys+", one of them", stack.Httpsys+", random ones"
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU/request", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "× one of them", Metric: "cpu", Base: report.Over(hot)},
			{Title: "requests/s", Metric: "rate", Show: report.Thousands},
			{Title: "p50", Metric: "p50", Show: report.Micros},
			{Title: "p99", Metric: "p99", Show: report.Micros},
			{Title: "of which", Metric: "cpu", Parts: true, Show: report.Number},
			{Title: "resident bytes/object", Metric: "resident", Show: report.Number},
			{Title: "own bytes", Metric: "own", Show: report.Number},
			{Title: "bytes beyond", Metric: "beyond", Show: report.Number},
			{Title: "µs to store", Metric: "store", Show: report.Number},
		},
		cases: []planCase{{name: fmt.Sprintf("%d objects of 13 bytes", objects)}},
		notes: []string{"own bytes: the response as the first client got it, and the URL; resident: what the daemon grew by while it stored all of them"},
	}
	p.targets = []report.Target{
		{Text: "random hits: CPU, × hits of one", Case: p.cases[0].name, Row: random, Column: "× one of them", Limit: 1.3},
		{Text: "resident memory of the daemon for each object beyond its own bytes", Case: p.cases[0].name, Row: random, Column: "bytes beyond", Limit: 400},
	}
	for _, s := range b.chosen(stack.Httpsys) {
		if s.Name != stack.Httpsys { // one is enough memory
			continue
		}
		in, err := p.start(ctx, b, s, stack.Options{Cache: true})
		var facts report.Sample
		if err == nil {
			b.warmUp(ctx, in, many)
			b.Progress("storing %d objects", objects)
			facts, err = b.fill(ctx, in, path, objects)
		}
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		for _, row := range []struct {
			name  string
			among int
		}{{hot, 1}, {random, objects}} {
			r := planRow{name: row.name, missing: err}
			if err == nil {
				r.parts = in.Parts
				r.measure = func(ctx context.Context) (report.Sample, error) {
					sample, err := b.closed(in, func() (load.Figures, error) {
						return load.Wrk(ctx, load.Closed{Host: in.Host, Paths: []string{path}, Among: row.among, Connections: many, Duration: b.Duration, Dir: b.Yard.Dir})
					})
					if err == nil && sample["cpu:app"] > 0.1 {
						err = fmt.Errorf("the application was asked: not all objects are stored")
					}
					for k, v := range facts {
						if err == nil {
							sample[k] = v
						}
					}
					return sample, err
				}
			}
			p.cases[0].rows = append(p.cases[0].rows, r)
		}
	}
	return p, nil
}

// calm is how long a front has to put its memory in order after so much was stored.
const calm = 10 * time.Second

// fill has the front store n objects, and measures what that takes.
func (b *Bench) fill(ctx context.Context, in *stack.Instance, path string, n int) (report.Sample, error) {
	before, err := in.Front().Memory()
	if err != nil {
		return nil, err
	}
	var bytes int64
	s, err := b.metered(in, func() (float64, error) {
		var err error
		bytes, err = load.Fill(ctx, in.Host, path, n)
		return float64(n), err
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(calm):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	after, err := in.Front().Memory()
	if err != nil {
		return nil, err
	}
	resident := float64(after.PSS-before.PSS) / float64(n)
	own := float64(bytes)/float64(n) + float64(len(in.Host)+len(path)+len(fmt.Sprint(n-1)))
	return report.Sample{"resident": resident, "own": own, "beyond": resident - own, "store": s["cpu"]}, nil
}
