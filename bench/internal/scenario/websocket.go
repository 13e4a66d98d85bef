package scenario

import (
	"context"
	"fmt"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// relayedRow is httpsys where the daemon keeps the clients' sockets, as it does
// with TLS, over HTTP/2, and for programs in Node. Else it hands them over.
const relayedRow = stack.Httpsys + ", relayed"

// planWebSocket: the same echo everywhere.
func planWebSocket(ctx context.Context, b *Bench) (*plan, error) {
	const busy, size = 1000, 64
	wanted := 10_000
	if b.Quick {
		wanted = 2_000
	}
	// A proxy has two descriptors for each.
	idle := min(wanted, b.Files/2-500)
	echo, waits := fmt.Sprintf("%d WebSockets, %d bytes there and back", busy, size), fmt.Sprintf("%d idle WebSockets", idle)
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU/message", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "× nginx + net/http", Metric: "cpu", Base: report.Over(stack.NginxApp)},
			{Title: "× net/http", Metric: "cpu", Base: report.Over(stack.NetHTTP)},
			{Title: "messages/s", Metric: "rate", Show: report.Number},
			{Title: "of which", Metric: "cpu", Parts: true, Show: report.Number},
			{Title: "bytes of the front/connection", Metric: "front", Show: report.Number},
			{Title: "bytes of each", Metric: "pss", Parts: true, Show: report.Number},
		},
		targets: []report.Target{
			{Text: "relayed: CPU of both processes, × (nginx + net/http)", Case: echo, Row: relayedRow, Column: "× nginx + net/http", Limit: 0.6},
			{Text: "handed over: CPU of both processes, × net/http alone", Case: echo, Row: stack.Httpsys, Column: "× net/http", Limit: 1.05},
			{Text: "idle, relayed: bytes of the daemon for each", Case: waits, Row: relayedRow, Column: "bytes of the front/connection", Limit: 4096},
			// What the daemon's memory varies by on its own, spread over all.
			{Text: "idle, handed over: bytes of the daemon for each (nothing; 64 are noise)", Case: waits, Row: stack.Httpsys,
				Column: "bytes of the front/connection", Limit: 64},
		},
		cases: []planCase{{name: echo}, {name: waits}},
	}
	for _, s := range b.chosen(stack.Httpsys, stack.NginxApp, stack.NetHTTP) {
		for _, relay := range []bool{false, true} {
			name, opt := s.Name, stack.Options{Relay: relay}
			switch {
			case relay && s.Name != stack.Httpsys:
				continue
			case relay:
				name = relayedRow
			}
			// Each run starts the server anew, as connections that were open before change
			// its memory.
			in, err := b.Yard.Start(ctx, s, opt)
			if err == nil {
				in.Stop()
			}
			if ctx.Err() != nil {
				return p, context.Cause(ctx)
			}
			p.cases[0].rows = append(p.cases[0].rows, planRow{name: name, missing: err, measure: func(ctx context.Context) (report.Sample, error) {
				return b.echo(ctx, s, opt, busy, size)
			}})
			p.cases[1].rows = append(p.cases[1].rows, planRow{name: name, missing: err, measure: func(ctx context.Context) (report.Sample, error) {
				// Where nothing is kept, a second set on top of the first shows it: the first
				// leaves garbage behind, and the collector comes only when there is enough.
				first := 32
				if name == stack.Httpsys {
					first = idle
				}
				return b.idleSockets(ctx, s, opt, first, idle)
			}})
		}
	}
	return p, nil
}

// sockets starts a stack and opens WebSockets at it.
func (b *Bench) sockets(ctx context.Context, s stack.Stack, opt stack.Options, n int, f func(*stack.Instance, *load.Held) (report.Sample, error)) (report.Sample, error) {
	in, err := b.Yard.Start(ctx, s, opt)
	if err != nil {
		return nil, err
	}
	defer in.Stop()
	held, err := load.HoldSockets(ctx, in.Host, "/socket", n)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	return f(in, held)
}

func (b *Bench) echo(ctx context.Context, s stack.Stack, opt stack.Options, n, size int) (report.Sample, error) {
	return b.sockets(ctx, s, opt, n, func(in *stack.Instance, held *load.Held) (report.Sample, error) {
		if _, err := held.Echo(ctx, size, warm); err != nil {
			return nil, err
		}
		var f load.Figures
		sample, err := b.metered(in, func() (float64, error) {
			var err error
			f, err = held.Echo(ctx, size, b.Duration)
			return float64(f.Requests), err
		})
		if err == nil {
			sample["rate"] = float64(f.Requests) / f.Elapsed.Seconds()
		}
		return sample, err
	})
}

// idleSockets measures the memory of n WebSockets that wait, besides first
// others: so what a server allocates once is there.
func (b *Bench) idleSockets(ctx context.Context, s stack.Stack, opt stack.Options, first, n int) (report.Sample, error) {
	return b.sockets(ctx, s, opt, first, func(in *stack.Instance, _ *load.Held) (report.Sample, error) {
		return b.kept(ctx, in, n, func() (holder, error) { return load.HoldSockets(ctx, in.Host, "/socket", n) })
	})
}
