package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// How long an attack goes on at most.
const (
	attackFor = 2 * time.Second
	slowFor   = 15 * time.Second
)

// planAttacks: one client, one connection, each of the known attacks on HTTP/2 over TLS. Every row
// has a handler behind it, so that it can be counted what gets there.
func planAttacks(ctx context.Context, b *Bench) (*plan, error) {
	p := &plan{
		columns: []report.Column{
			{Title: "ends after ms", Metric: "end", Show: report.Number},
			{Title: "ms of CPU", Metric: "cpu", Show: report.Number},
			{Title: "MiB more at most", Metric: "peak", Show: report.Number},
			{Title: "steps sent", Metric: "steps", Show: report.Thousands},
			{Title: "requests at the program", Metric: "passed", Show: report.Thousands},
			{Title: "ms of CPU of each", Metric: "cpu", Parts: true, Show: report.Number},
		},
		notes: []string{fmt.Sprintf("attacks that have no end after %v have none here; of those that do nothing, after %v", attackFor, slowFor)},
	}
	type running struct {
		stack stack.Stack
		in    *stack.Instance
		err   error
	}
	var all []running
	for _, s := range b.chosen(stack.Httpsys, stack.NginxApp, stack.HAProxyApp, stack.H2OApp, stack.NetHTTP) {
		in, err := p.start(ctx, b, s, stack.Options{TLS: true, HTTP2: true})
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		all = append(all, running{s, in, err})
	}
	add := func(name string, attacks []load.Attack, limit time.Duration) {
		pc := planCase{name: name}
		for _, r := range all {
			pc.rows = append(pc.rows, planRow{name: r.stack.Name, missing: r.err, measure: func(ctx context.Context) (report.Sample, error) {
				return b.attack(ctx, r.in, attacks, limit)
			}})
		}
		p.cases = append(p.cases, pc)
	}
	for i, a := range load.Attacks {
		add(a.Name, load.Attacks[i:i+1], attackFor)
		p.targets = append(p.targets,
			report.Target{Text: a.Name + ": ms until it ends", Case: a.Name, Row: stack.Httpsys, Column: "ends after ms", Limit: 100},
			report.Target{Text: a.Name + ": ms of CPU", Case: a.Name, Row: stack.Httpsys, Column: "ms of CPU", Limit: 50})
	}
	if !b.Quick {
		names := ""
		for _, a := range load.SlowAttacks {
			names += "; " + a.Name
		}
		add("at once"+names, load.SlowAttacks, slowFor)
	}
	return p, nil
}

func (b *Bench) attack(ctx context.Context, in *stack.Instance, attacks []load.Attack, limit time.Duration) (report.Sample, error) {
	before, err := victims(ctx, in)
	if err != nil {
		return nil, err
	}
	stop, err := in.Front().WatchPeak(ctx)
	if err != nil {
		return nil, err
	}
	outs, errs := make([]load.Attacked, len(attacks)), make([]error, len(attacks))
	s, err := b.metered(in, func() (float64, error) {
		var wg sync.WaitGroup
		for i := range attacks {
			wg.Go(func() { outs[i], errs[i] = attacks[i].Run(ctx, in.Host, in.TLS, limit) })
		}
		wg.Wait()
		return 1, errors.Join(errs...)
	})
	peak, stopErr := stop()
	if err == nil {
		err = stopErr
	}
	if err != nil {
		return nil, err
	}
	after, err := victims(ctx, in)
	if err != nil {
		return nil, err
	}
	for name, v := range s { // µs of one unit, which is the attack
		if strings.HasPrefix(name, "cpu") {
			s[name] = v / 1000
		}
	}
	last, ended := time.Duration(0), true
	for _, out := range outs {
		ended = ended && out.Ended
		last = max(last, out.After)
		s["steps"] += float64(out.Steps)
	}
	if ended {
		s["end"] = float64(last) / float64(time.Millisecond)
	}
	s["peak"], s["passed"] = mib(peak), float64(after-before)
	return s, nil
}

// victims is how many requests a program has got so far that were meant as an attack.
func victims(ctx context.Context, in *stack.Instance) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+in.Host+"/victims", nil)
	if err != nil {
		return 0, err
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: in.TLS.Clone(), DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
