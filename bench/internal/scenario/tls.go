package scenario

import (
	"context"
	"fmt"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// plainRow is httpsys without TLS, beside itself with it.
const plainRow = stack.Httpsys + ", plain text"

// tlsStacks are those that serve TLS here.
var tlsStacks = []string{stack.Httpsys, stack.NetHTTP, stack.Nginx, stack.HAProxy}

// planTLS: small requests over TLS, to an application and from what is stored.
func planTLS(ctx context.Context, b *Bench) (*plan, error) {
	const fixed, handler = "a fixed or cached answer, 64 connections", "an application's answer, 64 connections"
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU/request", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "× plain text", Metric: "cpu", Base: report.Over(plainRow)},
			{Title: "× nginx", Metric: "cpu", Base: report.Over(stack.Nginx)},
			{Title: "requests/s", Metric: "rate", Show: report.Thousands},
			{Title: "p50", Metric: "p50", Show: report.Micros},
			{Title: "p99", Metric: "p99", Show: report.Micros},
			{Title: "of which", Metric: "cpu", Parts: true, Show: report.Number},
		},
		targets: []report.Target{
			{Text: "to a Go handler over TLS, × the same over plain text", Case: handler, Row: stack.Httpsys, Column: "× plain text", Limit: 1.35},
			{Text: "a cached answer over TLS, × nginx's return 200 over TLS", Case: fixed, Row: stack.Httpsys, Column: "× nginx", Limit: 0.85},
		},
		cases: []planCase{{name: handler}, {name: fixed}},
	}
	add := func(i int, name string, in *stack.Instance, err error, path string) {
		row := planRow{name: name, missing: err}
		if err == nil {
			row.parts = in.Parts
			row.measure = func(ctx context.Context) (report.Sample, error) { return b.closedLoop(ctx, in, 64, path) }
		}
		p.cases[i].rows = append(p.cases[i].rows, row)
	}
	for _, s := range b.chosen(tlsStacks...) {
		if s.IsHttpsys() {
			in, err := p.start(ctx, b, s, stack.Options{})
			if err == nil {
				b.warmUp(ctx, in, 64)
			}
			add(0, s.Name+", plain text", in, err, "/hello")
		}
		in, err := p.start(ctx, b, s, stack.Options{TLS: true})
		if err == nil {
			b.warmUp(ctx, in, 64)
		}
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		switch {
		case s.IsHttpsys():
			add(0, s.Name, in, err, "/hello")
			add(1, s.Name, in, err, "/cached")
		case s.Name == stack.NetHTTP:
			add(0, s.Name, in, err, "/hello")
		default:
			add(1, s.Name, in, err, "/hello")
		}
	}
	return p, nil
}

// planHandshake: what a new connection costs, and what many of them do to one that
// is there.
func planHandshake(ctx context.Context, b *Bench) (*plan, error) {
	const full, resumed, flood = "full handshakes", "resumed handshakes", "one connection beside 64 clients that begin handshakes and leave"
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU/handshake", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "per CPU second", Metric: "per second", Show: report.Number},
			{Title: "rate × nginx", Metric: "per second", Base: report.Over(stack.Nginx)},
			{Title: "p50", Metric: "p50", Show: report.Micros},
			{Title: "p99", Metric: "p99", Show: report.Micros},
			{Title: "p99 × nginx", Metric: "p99", Base: report.Over(stack.Nginx)},
			{Title: "p99 alone", Metric: "p99 alone", Show: report.Micros},
		},
		targets: []report.Target{
			{Text: "full handshakes for each second of CPU time, × nginx", Case: full, Row: stack.Httpsys, Column: "rate × nginx", Limit: 0.9, AtLeast: true},
			{Text: "resumed handshakes for each second of CPU time, × nginx", Case: resumed, Row: stack.Httpsys, Column: "rate × nginx", Limit: 0.9, AtLeast: true},
			{Text: "p99 of an established connection during a flood of handshakes, × nginx", Case: flood, Row: stack.Httpsys, Column: "p99 × nginx", Limit: 1},
		},
		cases: []planCase{{name: full}, {name: resumed}, {name: flood}},
		notes: []string{"TLS 1.3, ECDSA P-256, key exchange X25519; a handshake ends with close_notify and the end of the connection"},
	}
	for _, s := range b.chosen(tlsStacks...) {
		in, err := p.start(ctx, b, s, stack.Options{TLS: true})
		if err == nil {
			b.warmUp(ctx, in, 16)
		}
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		for i, measure := range []func(context.Context) (report.Sample, error){
			func(ctx context.Context) (report.Sample, error) { return b.handshakes(ctx, in, false) },
			func(ctx context.Context) (report.Sample, error) { return b.handshakes(ctx, in, true) },
			func(ctx context.Context) (report.Sample, error) { return b.flood(ctx, in, 64, s.IsHttpsys()) },
		} {
			row := planRow{name: s.Name, missing: err}
			if err == nil {
				row.parts, row.measure = in.Parts, measure
			}
			p.cases[i].rows = append(p.cases[i].rows, row)
		}
	}
	return p, nil
}

func (b *Bench) handshakes(ctx context.Context, in *stack.Instance, resume bool) (report.Sample, error) {
	s, err := b.metered(in, func() (float64, error) {
		n, err := load.Handshakes(ctx, in.Host, in.TLS, 16, resume, b.Duration)
		return float64(n), err
	})
	if err == nil {
		s["per second"] = 1e6 / s["cpu"]
	}
	return s, err
}

func (b *Bench) flood(ctx context.Context, in *stack.Instance, clients int, cached bool) (report.Sample, error) {
	// Nobody has an application behind: its own turn at the CPU is not what is
	// asked about.
	path := "/hello"
	if cached {
		path = "/cached"
	}
	alone, err := b.closedLoop(ctx, in, 1, path)
	if err != nil {
		return nil, err
	}
	f, err := load.StartFlood(ctx, in.Host, in.TLS, clients)
	if err != nil {
		return nil, err
	}
	s, err := b.closedLoop(ctx, in, 1, path)
	made, stopErr := f.Stop()
	if err != nil {
		return nil, err
	}
	if stopErr == nil && made == 0 {
		stopErr = fmt.Errorf("flood: the server has computed no handshake")
	}
	if stopErr != nil {
		return nil, stopErr
	}
	// CPU per request means nothing here: it is that of the handshakes.
	return report.Sample{"p50": s["p50"], "p99": s["p99"], "p99 alone": alone["p99"], others: s[others]}, nil
}
