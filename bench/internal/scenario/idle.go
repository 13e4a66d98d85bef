package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/proc"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// settled is how long a server rests before its memory is measured, without the
// connections and with them: what it gives back within this time does not count.
const settled = 2500 * time.Millisecond

func settle(ctx context.Context) error {
	select {
	case <-time.After(settled):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// planIdle: each run starts the server anew, because memory that it once had it
// keeps.
func planIdle(ctx context.Context, b *Bench) (*plan, error) {
	wanted := 10_000
	if b.Quick {
		wanted = 2_000
	}
	// Servers need some descriptors besides those of clients.
	n := min(wanted, b.Files-500)
	p := &plan{
		columns: []report.Column{
			{Title: "bytes/connection", Metric: "pss", Show: report.Number},
			{Title: "spread", Metric: "pss", Spread: true},
			{Title: "× nginx", Metric: "pss", Base: report.Over(stack.Nginx)},
			{Title: "by RSS", Metric: "rss", Show: report.Number},
			{Title: "MiB before", Metric: "before", Show: report.Number},
			{Title: "of which", Metric: "pss", Parts: true, Show: report.Number},
		},
		cases: []planCase{{name: fmt.Sprintf("%d idle connections", n)}, {name: fmt.Sprintf("%d idle connections with TLS", n)}},
	}
	if n < wanted {
		p.notes = append(p.notes, fmt.Sprintf("only %d connections: a process may open %d files here", n, b.Files))
	}
	p.targets = []report.Target{{Text: "resident memory of both processes for each idle connection, in bytes", Case: p.cases[0].name,
		Row: stack.Httpsys, Column: "bytes/connection", Limit: 1024},
		{Text: "the same with TLS", Case: p.cases[1].name, Row: stack.Httpsys, Column: "bytes/connection", Limit: 15 << 10}}
	for i, stacks := range [][]stack.Stack{
		b.chosen(stack.Httpsys, stack.NetHTTP, stack.Nginx, stack.HAProxy, stack.H2O, stack.Caddy), b.chosen(tlsStacks...),
	} {
		opt := stack.Options{TLS: i == 1}
		for _, s := range stacks {
			row := planRow{name: s.Name, measure: func(ctx context.Context) (report.Sample, error) { return b.idle(ctx, s, n, opt) }}
			// Starting it once tells whether it can be.
			in, err := b.Yard.Start(ctx, s, opt)
			if row.missing = err; err == nil {
				in.Stop()
			}
			if ctx.Err() != nil {
				return p, context.Cause(ctx)
			}
			p.cases[i].rows = append(p.cases[i].rows, row)
		}
	}
	return p, nil
}

func (b *Bench) idle(ctx context.Context, s stack.Stack, n int, opt stack.Options) (report.Sample, error) {
	in, err := b.Yard.Start(ctx, s, opt)
	if err != nil {
		return nil, err
	}
	defer in.Stop()
	// One connection: what a server allocates once is there afterwards, but no
	// room for further connections.
	b.warmUp(ctx, in, 1)
	return b.kept(ctx, in, n, func() (holder, error) { return load.Hold(ctx, in.Host, "/hello", n, in.TLS) })
}

// A holder is connections that are open.
type holder interface{ Close() }

// kept is what n connections more that wait cost: hold opens them. pss is of all
// processes, pss:LABEL of each, front of the one that clients talk to, and before is what
// there was, in MiB.
func (b *Bench) kept(ctx context.Context, in *stack.Instance, n int, hold func() (holder, error)) (report.Sample, error) {
	if err := settle(ctx); err != nil {
		return nil, err
	}
	before, err := memories(in)
	if err != nil {
		return nil, err
	}
	held, err := hold()
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := settle(ctx); err != nil {
		return nil, err
	}
	after, err := memories(in)
	if err != nil {
		return nil, err
	}
	if h, can := held.(*load.Held); can && h.Alive() != n {
		return nil, fmt.Errorf("the server closed %d of %d idle connections", n-h.Alive(), n)
	}
	sample := report.Sample{}
	front := in.Front()
	for i, part := range in.Parts {
		pss := float64(after[i].PSS-before[i].PSS) / float64(n)
		sample["pss:"+part.Label] = pss
		sample["pss"] += pss
		sample["rss"] += float64(after[i].RSS-before[i].RSS) / float64(n)
		sample["before"] += mib(before[i].PSS)
		if part == front {
			sample["front"] = pss
		}
	}
	return sample, nil
}

func memories(in *stack.Instance) ([]proc.Memory, error) {
	var all []proc.Memory
	for _, part := range in.Parts {
		m, err := part.Memory()
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
