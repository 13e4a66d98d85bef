package scenario

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// planStream: one connection, one body at a time.
func planStream(ctx context.Context, b *Bench) (*plan, error) {
	size, name := int64(1<<30), "1 GiB"
	if b.Quick {
		size, name = 128<<20, "128 MiB"
	}
	file := filepath.Join(b.Yard.Dir, "body")
	if err := writeBody(file, size); err != nil {
		return nil, err
	}
	response, upload, files := name+" response", name+" upload", name+" file response"
	p := &plan{
		columns: []report.Column{
			{Title: "MiB/s", Metric: "rate", Show: report.Number},
			{Title: "ms CPU/GiB", Metric: "cpu", Show: report.Number},
			{Title: "spread", Metric: "cpu", Spread: true},
			{Title: "CPU × nginx + net/http", Metric: "cpu", Base: report.Over(stack.NginxApp)},
			{Title: "rate × nginx", Metric: "rate", Base: report.Over(stack.Nginx)},
			{Title: "CPU × nginx", Metric: "cpu", Base: report.Over(stack.Nginx)},
			{Title: "extra MiB", Metric: "most", Show: report.Number},
			{Title: "extra MiB of each", Metric: "extra", Parts: true, Show: report.Number},
			{Title: "ms CPU/GiB of each", Metric: "cpu", Parts: true, Show: report.Number},
		},
		targets: []report.Target{
			{Text: response + ": extra memory of either process, in MiB", Case: response, Row: stack.Httpsys, Column: "extra MiB", Limit: 32},
			{Text: upload + ": extra memory of either process, in MiB", Case: upload, Row: stack.Httpsys, Column: "extra MiB", Limit: 32},
			{Text: "file response: rate, × nginx with sendfile", Case: files, Row: stack.Httpsys, Column: "rate × nginx",
				Limit: 0.8, AtLeast: true},
			{Text: "file response: CPU, × nginx with sendfile", Case: files, Row: stack.Httpsys, Column: "CPU × nginx", Limit: 1.2},
		},
		cases: []planCase{{name: response}, {name: upload}, {name: files}},
	}
	for _, s := range b.chosen(stack.Httpsys, stack.NginxApp, stack.HAProxyApp, stack.NetHTTP, stack.Nginx) {
		in, err := p.start(ctx, b, s, stack.Options{File: file})
		if err == nil {
			b.warmUp(ctx, in, 1)
		}
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		for i, transfer := range []func(ctx context.Context) (time.Duration, error){
			func(ctx context.Context) (time.Duration, error) {
				return load.Download(ctx, in.Host, fmt.Sprintf("/big?n=%d", size), size)
			},
			func(ctx context.Context) (time.Duration, error) { return load.Upload(ctx, in.Host, "/upload", file) },
			func(ctx context.Context) (time.Duration, error) { return load.Download(ctx, in.Host, "/file", size) },
		} {
			if s.Name == stack.Nginx && i != 2 {
				continue // has files, but no application
			}
			row := planRow{name: s.Name, missing: err}
			if err == nil {
				row.parts = in.Parts
				row.measure = func(ctx context.Context) (report.Sample, error) {
					return b.transfer(ctx, in, size, transfer)
				}
			}
			p.cases[i].rows = append(p.cases[i].rows, row)
		}
	}
	return p, nil
}

// transfer measures one body, or several when one is over too soon to be measured.
func (b *Bench) transfer(ctx context.Context, in *stack.Instance, size int64,
	f func(context.Context) (time.Duration, error)) (report.Sample, error) {
	peaks, err := watchPeaks(ctx, in)
	if err != nil {
		return nil, err
	}
	var elapsed time.Duration
	var sent int64
	s, err := b.metered(in, func() (float64, error) {
		for elapsed < b.Duration/3 {
			took, err := f(ctx)
			if err != nil {
				return 0, err
			}
			elapsed += took
			sent += size
		}
		const milli = 1000 // CPU per GiB in milliseconds instead of microseconds
		return float64(sent) / (1 << 30) * milli, nil
	})
	rises, stopErr := peaks()
	if err != nil {
		return nil, err
	}
	if stopErr != nil {
		return nil, stopErr
	}
	s["rate"] = mib(sent) / elapsed.Seconds()
	addRises(s, in, rises)
	return s, nil
}

// watchPeaks watches the memory of all parts of a stack.
func watchPeaks(ctx context.Context, in *stack.Instance) (func() ([]int64, error), error) {
	var stops []func() (int64, error)
	for _, part := range in.Parts {
		stop, err := part.WatchPeak(ctx)
		if err != nil {
			return nil, err
		}
		stops = append(stops, stop)
	}
	return func() ([]int64, error) {
		var rises []int64
		for _, stop := range stops {
			rise, err := stop()
			if err != nil {
				return nil, err
			}
			rises = append(rises, rise)
		}
		return rises, nil
	}, nil
}

// addRises adds the memory that each part took besides, and the most of any.
func addRises(s report.Sample, in *stack.Instance, rises []int64) {
	for i, part := range in.Parts {
		s["extra:"+part.Label] = mib(rises[i])
		s["most"] = max(s["most"], mib(rises[i]))
	}
}

// writeBody makes the file that is sent both ways: a hole, of which one pass of
// reading puts every page into the page cache, so that no disk is measured.
func writeBody(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("%d bytes for the body to send: %w", size, err)
	}
	_, err = io.Copy(io.Discard, f)
	return err
}
