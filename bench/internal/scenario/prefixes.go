package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// planPrefixes: the same program with few and with many registrations, asked for
// all of them in a random order, so that the many are not all in the CPU's
// caches.
func planPrefixes(ctx context.Context, b *Bench) (*plan, error) {
	const few, many = 10, 100_000
	name := func(s stack.Stack, n int) string { return fmt.Sprintf("%s, %d prefixes", s.Name, n) }
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU/request", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "× 10 prefixes", Metric: "cpu"}, // Base: below
			{Title: "requests/s", Metric: "rate", Show: report.Thousands},
			{Title: "p50", Metric: "p50", Show: report.Micros},
			{Title: "p99", Metric: "p99", Show: report.Micros},
			{Title: "of which", Metric: "cpu", Parts: true, Show: report.Number},
			{Title: "s to register", Metric: "ready", Show: report.Number},
			{Title: "MiB of each", Metric: "memory", Parts: true, Show: report.Number},
		},
		cases: []planCase{{name: "64 connections, all prefixes in random order"}},
	}
	fewOf := map[string]string{} // the row with few prefixes, by the one with many
	p.columns[2].Base = func(_ *report.Result, c *report.Case, row *report.Row) *report.Row { return c.Row(fewOf[row.Name]) }
	for _, s := range b.chosen(stack.Httpsys) {
		fewOf[name(s, many)] = name(s, few)
		for _, n := range []int{few, many} {
			in, err := p.start(ctx, b, s, stack.Options{MorePrefixes: n - 1})
			if err == nil {
				b.warmUp(ctx, in, 64)
			}
			if ctx.Err() != nil {
				return p, context.Cause(ctx)
			}
			row := planRow{name: name(s, n), missing: err}
			if err == nil {
				paths := randomPaths(n - 1)
				row.parts = in.Parts
				row.measure = func(ctx context.Context) (report.Sample, error) {
					sample, err := b.closedLoop(ctx, in, 64, paths...)
					if err != nil {
						return nil, err
					}
					memory, err := memories(in)
					if err != nil {
						return nil, err
					}
					for i, part := range in.Parts {
						sample["memory:"+part.Label] = mib(memory[i].PSS)
					}
					sample["ready"] = in.Ready.Seconds()
					return sample, nil
				}
			}
			p.cases[0].rows = append(p.cases[0].rows, row)
		}
		if s.Name == stack.Httpsys {
			p.targets = []report.Target{{Text: "CPU per request with 100 000 prefixes, × 10 prefixes", Case: p.cases[0].name,
				Row: name(s, many), Column: "× 10 prefixes", Limit: 1.5}}
		}
	}
	return p, nil
}

// randomPaths are paths below some of n prefixes; the same in every run.
func randomPaths(n int) []string {
	const most = 10_000 // what the load generator keeps at hand
	random := rand.New(rand.NewPCG(1, 2))
	paths := make([]string, 0, min(n, most))
	for _, i := range random.Perm(n)[:min(n, most)] {
		paths = append(paths, fmt.Sprintf("/p%05d/hello", i))
	}
	return paths
}
