package scenario

import (
	"context"
	"fmt"

	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// planSmall: GET /hello, all servers running side by side, one of them asked at
// a time.
func planSmall(ctx context.Context, b *Bench) (*plan, error) {
	const one, many, more = 1, 64, 256
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU/request", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "× yardstick", Metric: "cpu", Base: report.Over(stack.Yardstick)},
			{Title: "× nginx + net/http", Metric: "cpu", Base: report.Over(stack.NginxApp)},
			{Title: "× 64 connections", Metric: "cpu", Base: func(r *report.Result, c *report.Case, row *report.Row) *report.Row {
				if c.Name == connections(many) {
					return nil
				}
				return r.Case(connections(many)).Row(row.Name)
			}},
			{Title: "requests/s", Metric: "rate", Show: report.Thousands},
			{Title: "p50", Metric: "p50", Show: report.Micros},
			{Title: "p99", Metric: "p99", Show: report.Micros},
			{Title: "p50 × nginx + net/http", Metric: "p50", Base: report.Over(stack.NginxApp)},
			{Title: "of which", Metric: "cpu", Parts: true, Show: report.Number},
		},
		targets: []report.Target{
			{Text: "64 connections: CPU of both processes, × yardstick", Case: connections(many), Row: stack.Httpsys,
				Column: "× yardstick", Limit: 2},
			{Text: "64 connections: CPU of both processes, × (nginx + net/http)", Case: connections(many), Row: stack.Httpsys,
				Column: "× nginx + net/http", Limit: 0.4},
			// Equal, but for what two measurements of the same thing differ by.
			{Text: "256 connections: not slower per request than 64 (3 % are noise)", Case: connections(more), Row: stack.Httpsys,
				Column: "× 64 connections", Limit: 1.03},
			{Text: "1 connection: median latency, × (nginx + net/http)", Case: connections(one), Row: stack.Httpsys,
				Column: "p50 × nginx + net/http", Limit: 1.3},
		},
		cases: []planCase{{name: connections(one)}, {name: connections(many)}, {name: connections(more)}},
	}
	for _, s := range b.Stacks {
		if s.Name == stack.VarnishApp { // which is for its cache
			continue
		}
		in, err := p.start(ctx, b, s, stack.Options{})
		if err == nil {
			b.warmUp(ctx, in, many)
		}
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		for i, n := range []int{one, many, more} {
			row := planRow{name: s.Name, missing: err}
			if err == nil {
				row.parts = in.Parts
				row.measure = func(ctx context.Context) (report.Sample, error) { return b.closedLoop(ctx, in, n, "/hello") }
			}
			p.cases[i].rows = append(p.cases[i].rows, row)
		}
	}
	return p, nil
}

func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}
