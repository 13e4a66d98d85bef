package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// openStreams is how many streams each connection has open.
const openStreams = 100

// parked is how long streams wait before memory is measured: some seconds, in
// which a server may notice that nothing moves.
const parked = 6 * time.Second

func park(ctx context.Context) error {
	select {
	case <-time.After(parked):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// planStreams: an idle connection of HTTP/2 over TLS, and what it takes more when an
// application has a hundred of its requests and answers none. The table has the front alone: what an
// application holds for a request is its own.
func planStreams(ctx context.Context, b *Bench) (*plan, error) {
	// A proxy opens a connection to the application for each stream, as far as descriptors reach.
	most, proxied := 600, 60 // a hundred on each is nearly as many as an application may have
	if b.Quick {
		most, proxied = 60, 20
	}
	p := &plan{
		columns: []report.Column{
			{Title: "bytes more/connection", Metric: "front", Show: report.Number},
			{Title: "spread", Metric: "front", Spread: true},
			{Title: "an idle connection", Metric: "idle", Show: report.Number},
			{Title: "× nginx + net/http", Metric: "front", Base: report.Over(stack.NginxApp)},
			{Title: "of each process", Metric: "pss", Parts: true, Show: report.Number},
		},
		notes: []string{fmt.Sprintf("proxies have %d connections: each stream takes one to the application", proxied), "bytes of resident memory of the program that clients talk to; of net/http alone that is the application"},
	}
	stacks := b.chosen(stack.Httpsys, stack.NginxApp, stack.HAProxyApp, stack.H2OApp, stack.NetHTTP)
	missing := map[string]error{}
	for _, s := range stacks { // starting it once tells whether it can be
		in, err := b.Yard.Start(ctx, s, stack.Options{TLS: true, HTTP2: true})
		if missing[s.Name] = err; err == nil {
			in.Stop()
		}
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
	}
	for _, c := range []struct {
		text, method, path string
		end                bool
	}{
		{"requests that are complete", "GET", "/slow?ms=3600000", true},
		{"requests whose content has not come", "POST", "/upload", false},
	} {
		pc := planCase{name: fmt.Sprintf("%d open streams on each of %d connections: %s", openStreams, most, c.text)}
		for _, s := range stacks {
			n := most
			if !s.IsHttpsys() && s.Name != stack.NetHTTP {
				n = proxied
			}
			pc.rows = append(pc.rows, planRow{name: s.Name, missing: missing[s.Name], measure: func(ctx context.Context) (report.Sample, error) {
				return b.openStreams(ctx, s, n, c.method, c.path, c.end)
			}})
		}
		p.cases = append(p.cases, pc)
	}
	p.targets = []report.Target{{Text: "memory that 100 open streams take in the daemon, in bytes", Case: p.cases[0].name, Row: stack.Httpsys,
		Column: "bytes more/connection", Limit: 16 << 10}}
	return p, nil
}

func (b *Bench) openStreams(ctx context.Context, s stack.Stack, n int, method, path string, end bool) (report.Sample, error) {
	in, err := b.Yard.Start(ctx, s, stack.Options{TLS: true, HTTP2: true, Handlers: 2 * (n + 20) * openStreams})
	if err != nil {
		return nil, err
	}
	defer in.Stop()
	// What handshakes and requests leave behind in the heap of a server is there before.
	warmed, err := load.HoldStreams(ctx, in.Host, "/hello", 20, in.TLS)
	if err != nil {
		return nil, err
	}
	defer warmed.Close()
	if err := warmed.Open(ctx, in.Host, method, path, openStreams, end); err != nil {
		return nil, err
	}
	if err := park(ctx); err != nil {
		return nil, err
	}
	before, err := memories(in)
	if err != nil {
		return nil, err
	}
	held, err := load.HoldStreams(ctx, in.Host, "/hello", n, in.TLS)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := settle(ctx); err != nil {
		return nil, err
	}
	idle, err := memories(in)
	if err != nil {
		return nil, err
	}
	if err := held.Open(ctx, in.Host, method, path, openStreams, end); err != nil {
		return nil, err
	}
	if err := park(ctx); err != nil {
		return nil, err
	}
	after, err := memories(in)
	if err != nil {
		return nil, err
	}
	if err := held.Check(ctx); err != nil {
		return nil, err
	}
	sample := report.Sample{}
	for i, part := range in.Parts {
		more := float64(after[i].PSS-idle[i].PSS) / float64(n)
		sample["pss:"+part.Label] = more
		sample["pss"] += more
		if part == in.Front() {
			sample["front"] = more
			sample["idle"] = float64(idle[i].PSS-before[i].PSS) / float64(n)
		}
	}
	return sample, nil
}
