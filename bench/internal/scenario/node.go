package scenario

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// planNode: GET /hello of servers in JavaScript, each alone and behind the
// daemon, over TLS too; what waiting connections cost, and bodies of 1 MiB. What counts is
// the CPU and the memory of the program's own process: the daemon is there
// anyway, and needs a core less than Node does.
func planNode(ctx context.Context, b *Bench) (*plan, error) {
	const many, size = 64, 1 << 20
	wanted := 10_000
	if b.Quick {
		wanted = 2_000
	}
	idle := min(wanted, b.Files-500)
	overTLS, waits := connections(many)+", TLS", fmt.Sprintf("%d idle connections", idle)
	const response, upload = "1 MiB response", "1 MiB upload"
	body := filepath.Join(b.Yard.Dir, "node-body")
	if err := writeBody(body, size); err != nil {
		return nil, err
	}
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
			{Title: "× node:https", Metric: node, Base: over(stack.NodeHTTPS, stack.HttpsysHTTPS)},
			{Title: "all × node:https", Metric: "cpu", Base: over(stack.NodeHTTPS, stack.HttpsysHTTPS)},
			{Title: "MiB of the program", Metric: "idle", Show: report.Number},
			{Title: "MiB/s", Metric: "MiB/s", Show: report.Number},
			{Title: "rate × node:http", Metric: "MiB/s", Base: report.Over(stack.NodeHTTP)},
			{Title: "ms CPU/GiB of the program", Metric: "app/GiB", Show: report.Number},
			{Title: "its CPU × node:http", Metric: "app/GiB", Base: report.Over(stack.NodeHTTP)},
			{Title: "ms CPU/GiB, all processes", Metric: "all/GiB", Show: report.Number},
			{Title: "requests/s", Metric: "rate", Show: report.Thousands},
			{Title: "p99", Metric: "p99", Show: report.Micros},
		},
		targets: []report.Target{
			{Text: "the Node.js process, × node:http", Case: connections(many), Row: stack.HttpsysNode, Column: "× node:http", Limit: 0.4},
			{Text: "Node.js process and daemon, × node:http", Case: connections(many), Row: stack.HttpsysNode, Column: "all × node:http", Limit: 0.8},
			{Text: "Fastify behind the daemon, × Fastify alone", Case: connections(many), Row: stack.HttpsysFastify, Column: "× Fastify", Limit: 0.6},
			{Text: "Express behind the daemon, × Express alone", Case: connections(many), Row: stack.HttpsysExpress, Column: "× Express", Limit: 0.75},
			{Text: "over TLS: the Node.js process, × node:https", Case: overTLS, Row: stack.HttpsysHTTPS, Column: "× node:https", Limit: 0.25},
			{Text: "idle connections: memory of the Node.js process, in MiB", Case: waits, Row: stack.HttpsysNode, Column: "MiB of the program", Limit: 5},
			{Text: "1 MiB response: rate, × node:http", Case: response, Row: stack.HttpsysNode, Column: "rate × node:http", Limit: 1, AtLeast: true},
			{Text: "1 MiB upload: rate, × node:http", Case: upload, Row: stack.HttpsysNode, Column: "rate × node:http", Limit: 1, AtLeast: true},
			{Text: "serve(), × Bun", Case: connections(many), Row: stack.HttpsysServe, Column: "× Bun", Limit: 1},
			{Text: "serve(), × Deno", Case: connections(many), Row: stack.HttpsysServe, Column: "× Deno", Limit: 1},
		},
		cases: []planCase{{name: connections(many)}, {name: overTLS}, {name: waits}, {name: response}, {name: upload}},
	}
	add := func(i int, s stack.Stack, opt stack.Options, measures ...func(context.Context, *stack.Instance) (report.Sample, error)) error {
		in, err := p.start(ctx, b, s, opt)
		if err == nil {
			b.warmCompiler(ctx, in, many)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for j, measure := range measures {
			row := planRow{name: s.Name, missing: err}
			if err == nil {
				row.parts = in.Parts
				row.measure = func(ctx context.Context) (report.Sample, error) { return measure(ctx, in) }
			}
			if j == 1 {
				i = 3 // behind the small requests: the bodies
			}
			p.cases[i].rows = append(p.cases[i].rows, row)
			i++
		}
		return nil
	}
	hello := func(ctx context.Context, in *stack.Instance) (report.Sample, error) {
		return b.closedLoop(ctx, in, many, "/hello")
	}
	download := func(ctx context.Context, in *stack.Instance) (report.Sample, error) {
		return b.nodeBody(ctx, in, size, func(ctx context.Context) (time.Duration, error) { return load.Download(ctx, in.Host, "/big", size) })
	}
	send := func(ctx context.Context, in *stack.Instance) (report.Sample, error) {
		return b.nodeBody(ctx, in, size, func(ctx context.Context) (time.Duration, error) { return load.Upload(ctx, in.Host, "/upload", body) })
	}
	for _, s := range stack.Node {
		measures := []func(context.Context, *stack.Instance) (report.Sample, error){hello}
		if s.Name == stack.NodeHTTP || s.Name == stack.HttpsysNode {
			measures = append(measures, download, send)
		}
		if err := add(0, s, stack.Options{}, measures...); err != nil {
			return p, err
		}
		if len(measures) > 1 {
			small := p.cases[0].rows
			p.cases[2].rows = append(p.cases[2].rows, planRow{name: s.Name, missing: small[len(small)-1].missing, measure: func(ctx context.Context) (report.Sample, error) {
				return b.nodeIdle(ctx, s, 1000, idle)
			}})
		}
	}
	for _, s := range stack.NodeTLS {
		if err := add(1, s, stack.Options{TLS: true}, hello); err != nil {
			return p, err
		}
	}
	return p, nil
}

// warmCompiler is warmUp for programs that are compiled while they run, which takes a
// while.
func (b *Bench) warmCompiler(ctx context.Context, in *stack.Instance, connections int) {
	for range 6 {
		b.warmUp(ctx, in, connections)
	}
}

// nodeBody measures bodies of a size, one after the other, each on a connection of its own.
func (b *Bench) nodeBody(ctx context.Context, in *stack.Instance, size int64, f func(context.Context) (time.Duration, error)) (report.Sample, error) {
	s, err := b.transfer(ctx, in, size, f)
	if err != nil {
		return nil, err
	}
	return report.Sample{"MiB/s": s["rate"], "all/GiB": s["cpu"], "app/GiB": s["cpu:app"], others: s[others]}, nil
}

// nodeIdle measures what n waiting connections add to the memory of the program.
// Before, twice as many have come and gone, some at a time: V8's heap is then as large as
// such a stream of new connections makes it.
func (b *Bench) nodeIdle(ctx context.Context, s stack.Stack, some, n int) (report.Sample, error) {
	in, err := b.Yard.Start(ctx, s, stack.Options{})
	if err != nil {
		return nil, err
	}
	defer in.Stop()
	b.warmCompiler(ctx, in, 64)
	for range 2 * n / some {
		held, err := load.Hold(ctx, in.Host, "/hello", some, nil)
		if err != nil {
			return nil, err
		}
		held.Close()
	}
	memory := func() (int64, error) {
		// Longer than the module rests before it lets go of the last sockets.
		if err := settle(ctx); err != nil {
			return 0, err
		}
		m, err := in.Parts[len(in.Parts)-1].Memory()
		return m.PSS, err
	}
	before, err := memory()
	if err != nil {
		return nil, err
	}
	held, err := load.Hold(ctx, in.Host, "/hello", n, nil)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	after, err := memory()
	if err != nil {
		return nil, err
	}
	if alive := held.Alive(); alive != n {
		return nil, fmt.Errorf("the server closed %d of %d idle connections", n-alive, n)
	}
	return report.Sample{"idle": mib(after - before)}, nil
}
