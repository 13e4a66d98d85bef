package scenario

import (
	"context"

	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// planNode: GET /hello of servers in JavaScript, each alone and behind the
// daemon. What counts is the CPU of the program's own process: the daemon is there
// anyway, and needs a core less than Node does.
func planNode(ctx context.Context, b *Bench) (*plan, error) {
	const many = 64
	over := func(base, row string) func(*report.Result, *report.Case, *report.Row) *report.Row {
		return func(_ *report.Result, c *report.Case, r *report.Row) *report.Row {
			if r.Name != row {
				return nil
			}
			return c.Row(base)
		}
	}
	const node = "cpu:app"
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU of the program", Metric: node, Show: report.Number},
			{Title: "spread", Metric: node, Spread: true},
			{Title: "× node:http", Metric: node, Base: report.Over(stack.NodeHTTP)},
			{Title: "× Fastify", Metric: node, Base: over(stack.Fastify, stack.HttpsysFastify)},
			{Title: "× Express", Metric: node, Base: over(stack.Express, stack.HttpsysExpress)},
			{Title: "× Bun", Metric: node, Base: over(stack.Bun, stack.HttpsysServe)},
			{Title: "× Deno", Metric: node, Base: over(stack.Deno, stack.HttpsysServe)},
			{Title: "all processes", Metric: "cpu", Show: report.Number},
			{Title: "all × node:http", Metric: "cpu", Base: report.Over(stack.NodeHTTP)},
			{Title: "requests/s", Metric: "rate", Show: report.Thousands},
			{Title: "p99", Metric: "p99", Show: report.Micros},
		},
		targets: []report.Target{
			{Text: "the Node.js process, × node:http", Case: connections(many), Row: stack.HttpsysNode, Column: "× node:http", Limit: 0.4},
			{Text: "Node.js process and daemon, × node:http", Case: connections(many), Row: stack.HttpsysNode, Column: "all × node:http", Limit: 0.8},
			{Text: "Fastify behind the daemon, × Fastify alone", Case: connections(many), Row: stack.HttpsysFastify, Column: "× Fastify", Limit: 0.6},
			{Text: "Express behind the daemon, × Express alone", Case: connections(many), Row: stack.HttpsysExpress, Column: "× Express", Limit: 0.75},
			{Text: "serve(), × Bun", Case: connections(many), Row: stack.HttpsysServe, Column: "× Bun", Limit: 1},
			{Text: "serve(), × Deno", Case: connections(many), Row: stack.HttpsysServe, Column: "× Deno", Limit: 1},
		},
		cases: []planCase{{name: connections(many)}},
	}
	for _, s := range stack.Node {
		in, err := p.start(ctx, b, s, stack.Options{})
		if err == nil {
			b.warmUp(ctx, in, many)
		}
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		row := planRow{name: s.Name, missing: err}
		if err == nil {
			row.parts = in.Parts
			row.measure = func(ctx context.Context) (report.Sample, error) { return b.closedLoop(ctx, in, many, "/hello") }
		}
		p.cases[0].rows = append(p.cases[0].rows, row)
	}
	return p, nil
}
