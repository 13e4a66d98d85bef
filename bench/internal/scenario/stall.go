package scenario

import (
	"context"
	"fmt"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// planStall: small requests without and with the clients that do not read, in
// one run after the other.
func planStall(ctx context.Context, b *Bench) (*plan, error) {
	const clients, size = 6, 32 << 20
	p := &plan{
		columns: []report.Column{
			{Title: "p99 without", Metric: "p99 without", Show: report.Micros},
			{Title: "p99 beside", Metric: "p99", Show: report.Micros},
			{Title: "p99 ×", Metric: "p99 ratio", Show: report.Number},
			{Title: "requests/s ×", Metric: "rate ratio", Show: report.Number},
			{Title: "CPU/request ×", Metric: "cpu ratio", Show: report.Number},
			{Title: "extra MiB, front", Metric: "front", Show: report.Number},
			{Title: "extra MiB of each", Metric: "extra", Parts: true, Show: report.Number},
		},
		cases: []planCase{{name: fmt.Sprintf("%d clients that ask for %d MiB and do not read, beside 64 connections", clients, size>>20)}},
	}
	p.targets = []report.Target{
		{Text: "p99 of small requests beside the stalled clients, × without", Case: p.cases[0].name, Row: stack.Httpsys,
			Column: "p99 ×", Limit: 1.5},
		{Text: "extra memory of the daemon, in MiB", Case: p.cases[0].name, Row: stack.Httpsys, Column: "extra MiB, front", Limit: 32},
	}
	for _, s := range b.chosen(stack.Httpsys, stack.NginxApp, stack.HAProxyApp, stack.NetHTTP) {
		in, err := p.start(ctx, b, s, stack.Options{})
		if err == nil {
			b.warmUp(ctx, in, 64)
		}
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		row := planRow{name: s.Name, missing: err}
		if err == nil {
			row.parts = in.Parts
			row.measure = func(ctx context.Context) (report.Sample, error) { return b.stall(ctx, in, clients, size) }
		}
		p.cases[0].rows = append(p.cases[0].rows, row)
	}
	return p, nil
}

func (b *Bench) stall(ctx context.Context, in *stack.Instance, clients int, size int64) (report.Sample, error) {
	without, err := b.closedLoop(ctx, in, 64, "/hello")
	if err != nil {
		return nil, err
	}
	peaks, err := watchPeaks(ctx, in)
	if err != nil {
		return nil, err
	}
	stalled, err := load.Stall(ctx, in.Host, fmt.Sprintf("/big?n=%d", size), clients, size)
	if err != nil {
		peaks()
		return nil, err
	}
	defer stalled.Close()
	s, err := b.closedLoop(ctx, in, 64, "/hello")
	rises, stopErr := peaks()
	if err != nil {
		return nil, err
	}
	if stopErr != nil {
		return nil, stopErr
	}
	// Stalled must not mean lost: one of them reads on, to the end.
	if err := stalled.Drain(ctx); err != nil {
		return nil, fmt.Errorf("a stalled client that reads on: %w", err)
	}
	s["p99 without"] = without["p99"]
	for _, metric := range []string{"p99", "rate", "cpu"} {
		s[metric+" ratio"] = s[metric] / without[metric]
	}
	addRises(s, in, rises)
	s["front"] = s["extra:"+in.Front().Label]
	return s, nil
}
