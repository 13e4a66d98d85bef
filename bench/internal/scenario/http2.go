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

// The loads of planHTTP2.
const (
	http2Connections = 32
	http2Streams     = 10
	parallel         = 100 // downloads at once
	cached           = ", cached"
)

// planHTTP2: small answers, large ones and idle connections, all over TLS. nginx
// and h2o alone serve a fixed answer and a file, the others a Go handler.
func planHTTP2(ctx context.Context, b *Bench) (*plan, error) {
	large, name := int64(1<<30), "1 GiB"
	idle := 1000
	if b.Quick {
		large, name, idle = 128<<20, "128 MiB", 200
	}
	file, piece := filepath.Join(b.Yard.Dir, "http2-body"), filepath.Join(b.Yard.Dir, "http2-piece")
	for path, size := range map[string]int64{file: large, piece: large / parallel} {
		if err := writeBody(path, size); err != nil {
			return nil, err
		}
	}
	many := fmt.Sprintf("%d connections, %d streams each", http2Connections, http2Streams)
	one := fmt.Sprintf("%d connections, 1 stream each", http2Connections)
	download, fair := name+" over one stream", fmt.Sprintf("%s over %d streams at once", name, parallel)
	memory := fmt.Sprintf("%d idle connections", idle)
	p := &plan{
		columns: []report.Column{
			{Title: "µs CPU/request", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "× nginx", Metric: "cpu", Base: report.Over(stack.Nginx)},
			{Title: "× nginx + net/http", Metric: "cpu", Base: report.Over(stack.NginxApp)},
			{Title: "× net/http", Metric: "cpu", Base: report.Over(stack.NetHTTP)},
			{Title: "requests/s", Metric: "rate", Show: report.Thousands},
			{Title: "p50", Metric: "p50", Show: report.Micros},
			{Title: "p99", Metric: "p99", Show: report.Micros},
			{Title: "MiB/s", Metric: "bytes", Show: report.Number},
			{Title: "MiB/s × nginx", Metric: "bytes", Base: report.Over(stack.Nginx)},
			{Title: "slowest × median", Metric: "unfair", Show: report.Number},
			{Title: "bytes/connection", Metric: "pss", Show: report.Number},
			{Title: "of which", Metric: "cpu", Parts: true, Show: report.Number},
			{Title: "bytes of each", Metric: "pss", Parts: true, Show: report.Number},
		},
		targets: []report.Target{
			{Text: many + ": cached, CPU × nginx", Case: many, Row: stack.Httpsys + cached, Column: "× nginx", Limit: 0.7},
			{Text: one + ": cached, CPU × nginx", Case: one, Row: stack.Httpsys + cached, Column: "× nginx", Limit: 0.9},
			{Text: many + ": CPU of both processes, × (nginx + net/http)", Case: many, Row: stack.Httpsys, Column: "× nginx + net/http", Limit: 0.4},
			{Text: many + ": CPU of both processes, × net/http alone", Case: many, Row: stack.Httpsys, Column: "× net/http", Limit: 0.3},
			{Text: download + ": rate, × nginx", Case: download, Row: stack.Httpsys, Column: "MiB/s × nginx", Limit: 0.85, AtLeast: true},
			{Text: "memory of both processes for an idle connection, in bytes", Case: memory, Row: stack.Httpsys, Column: "bytes/connection", Limit: 16 << 10},
		},
		cases: []planCase{{name: many}, {name: one}, {name: download}, {name: fair}, {name: memory}},
		notes: []string{"nginx and h2o alone answer by themselves, the others with a Go handler"},
	}
	for _, s := range b.chosen(stack.Httpsys, stack.NginxApp, stack.NetHTTP, stack.Nginx, stack.H2O) {
		opt := stack.Options{TLS: true, HTTP2: true, File: file}
		in, err := p.start(ctx, b, s, opt)
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		row := func(measure func(context.Context) (report.Sample, error)) planRow {
			r := planRow{name: s.Name, missing: err}
			if err == nil {
				r.parts, r.measure = in.Parts, measure
			}
			return r
		}
		for i, streams := range []int{http2Streams, 1} {
			p.cases[i].rows = append(p.cases[i].rows, row(func(ctx context.Context) (report.Sample, error) {
				return b.http2Loop(ctx, in, "/hello", streams)
			}))
			if s.IsHttpsys() { // from the cache of the daemon, as nginx and h2o answer by themselves
				r := row(func(ctx context.Context) (report.Sample, error) { return b.http2Loop(ctx, in, "/cached", streams) })
				r.name += cached
				p.cases[i].rows = append(p.cases[i].rows, r)
			}
		}
		p.cases[2].rows = append(p.cases[2].rows, row(func(ctx context.Context) (report.Sample, error) {
			return b.http2Downloads(ctx, in, 1, large)
		}))
		pieces, pieceErr := in, err
		if err == nil && s.Name != stack.Httpsys && s.Name != stack.NetHTTP && s.Name != stack.NginxApp {
			opt.File = piece // who has no application serves a file of that size
			pieces, pieceErr = p.start(ctx, b, s, opt)
		}
		fairRow := planRow{name: s.Name, missing: pieceErr}
		if pieceErr == nil {
			fairRow.parts = pieces.Parts
			fairRow.measure = func(ctx context.Context) (report.Sample, error) {
				return b.http2Downloads(ctx, pieces, parallel, large/parallel)
			}
		}
		p.cases[3].rows = append(p.cases[3].rows, fairRow)
		p.cases[4].rows = append(p.cases[4].rows, planRow{name: s.Name, missing: err,
			measure: func(ctx context.Context) (report.Sample, error) { return b.http2Idle(ctx, s, idle) }})
	}
	return p, nil
}

// http2Loop is a closed loop.
func (b *Bench) http2Loop(ctx context.Context, in *stack.Instance, path string, streams int) (report.Sample, error) {
	c := load.Closed{Host: in.Host, Paths: []string{path}, Connections: http2Connections, Duration: warm, Dir: b.Yard.Dir}
	if _, err := load.HTTP2(ctx, c, streams); err != nil {
		return nil, err
	}
	c.Duration = b.Duration
	var f load.Figures
	s, err := b.metered(in, func() (float64, error) {
		var err error
		f, err = load.HTTP2(ctx, c, streams)
		return float64(f.Requests), err
	})
	if err != nil {
		return nil, err
	}
	s["rate"] = float64(f.Requests) / f.Elapsed.Seconds()
	s["p50"], s["p99"] = micros(f.P50), micros(f.P99)
	return s, nil
}

// http2Downloads takes n answers of size bytes at once, on one connection.
func (b *Bench) http2Downloads(ctx context.Context, in *stack.Instance, n int, size int64) (report.Sample, error) {
	path := "/file"
	if len(in.Parts) > 1 || in.Name == stack.NetHTTP {
		path = fmt.Sprintf("/big?n=%d", size)
	}
	c := load.Closed{Host: in.Host, Paths: []string{path}, Dir: b.Yard.Dir}
	var elapsed time.Duration
	var f load.Figures
	rounds := 0
	s, err := b.metered(in, func() (float64, error) {
		for elapsed < b.Duration/3 {
			var err error
			if f, err = load.HTTP2Downloads(ctx, c, n); err != nil {
				return 0, err
			}
			elapsed += f.Elapsed
			rounds++
		}
		return float64(rounds * n), nil
	})
	if err != nil {
		return nil, err
	}
	s["bytes"] = mib(int64(rounds*n)*size) / elapsed.Seconds()
	if n > 1 {
		s["unfair"] = float64(f.P99) / float64(f.P50)
	}
	return s, nil
}

// http2Idle measures memory as idle does.
func (b *Bench) http2Idle(ctx context.Context, s stack.Stack, n int) (report.Sample, error) {
	in, err := b.Yard.Start(ctx, s, stack.Options{TLS: true, HTTP2: true})
	if err != nil {
		return nil, err
	}
	defer in.Stop()
	// What handshakes leave behind in the heap of a server is there before.
	warmed, err := load.HoldHTTP2(ctx, in.Host, "/hello", max(n/10, 20), in.TLS)
	if err != nil {
		return nil, err
	}
	defer warmed.Close()
	return b.kept(ctx, in, n, func() (holder, error) { return load.HoldHTTP2(ctx, in.Host, "/hello", n, in.TLS) })
}
