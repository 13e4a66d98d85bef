package scenario

import (
	"context"

	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// planCache: the same few URLs again and again, which every front has in its cache; the yardstick has
// its fixed answer.
func planCache(ctx context.Context, b *Bench) (*plan, error) {
	const small, long, unchanged, many = "small hit", "64 KiB hit", "304", 64
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU/request", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "× yardstick", Metric: "cpu", Base: report.Over(stack.Yardstick)},
			{Title: "× nginx", Metric: "cpu", Base: report.Over(stack.NginxApp)},
			{Title: "× HAProxy", Metric: "cpu", Base: report.Over(stack.HAProxyApp)},
			{Title: "× Varnish", Metric: "cpu", Base: report.Over(stack.VarnishApp)},
			{Title: "× small hit", Metric: "cpu", Base: func(r *report.Result, c *report.Case, row *report.Row) *report.Row {
				if c.Name == small {
					return nil
				}
				return r.Case(small).Row(row.Name)
			}},
			{Title: "requests/s", Metric: "rate", Show: report.Thousands},
			{Title: "p50", Metric: "p50", Show: report.Micros},
			{Title: "p99", Metric: "p99", Show: report.Micros},
			{Title: "of which", Metric: "cpu", Parts: true, Show: report.Number},
		},
		targets: []report.Target{
			{Text: "small hit: CPU, × yardstick", Case: small, Row: stack.Httpsys, Column: "× yardstick", Limit: 1.2},
			{Text: "small hit: CPU, × nginx proxy_cache", Case: small, Row: stack.Httpsys, Column: "× nginx", Limit: 0.65},
			{Text: "small hit: CPU, × HAProxy's cache", Case: small, Row: stack.Httpsys, Column: "× HAProxy", Limit: 0.8},
			{Text: "small hit: CPU, × Varnish", Case: small, Row: stack.Httpsys, Column: "× Varnish", Limit: 0.35},
			{Text: "64 KiB hit: CPU, × nginx proxy_cache", Case: long, Row: stack.Httpsys, Column: "× nginx", Limit: 1.1},
			// Equal, but for what two measurements of the same thing differ by.
			{Text: "304: not dearer than a small hit (3 % are noise)", Case: unchanged, Row: stack.Httpsys, Column: "× small hit", Limit: 1.03},
		},
		cases: []planCase{{name: small}, {name: long}, {name: unchanged}},
		notes: []string{"64 connections; nginx with its files on disk open, as it keeps nothing else",
			"no 304 of HAProxy's: it has a Content-Length, and wrk waits for the content"},
	}
	for _, s := range b.chosen(stack.Yardstick, stack.Httpsys, stack.NginxApp, stack.HAProxyApp, stack.VarnishApp) {
		in, err := p.start(ctx, b, s, stack.Options{Cache: true})
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		fixed := s.Name == stack.Yardstick
		for i, c := range []struct {
			path   string
			fields []string
		}{{"/keep?n=13", nil}, {"/keep?n=65536", nil}, {"/keep?n=13", []string{`If-None-Match: "v"`}}} {
			if fixed && i > 0 || s.Name == stack.HAProxyApp && i == 2 {
				continue
			}
			path := c.path
			if fixed {
				path = "/hello"
			}
			row := planRow{name: s.Name, missing: err}
			if err == nil {
				row.parts = in.Parts
				row.measure = func(ctx context.Context) (report.Sample, error) {
					return b.closedLoopWith(ctx, in, many, c.fields, path)
				}
			}
			p.cases[i].rows = append(p.cases[i].rows, row)
		}
	}
	return p, nil
}
