package scenario

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/httpsys/httpsys/bench/internal/load"
	"github.com/httpsys/httpsys/bench/internal/report"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

// How long an attack goes on at most.
const (
	attackFor = 2 * time.Second
	slowFor   = 25 * time.Second
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
	attacks := load.Attacks
	if !b.Quick {
		attacks = append(attacks[:len(attacks):len(attacks)], load.SlowAttacks...)
	}
	for i := range attacks {
		a := &attacks[i]
		limit := attackFor
		if i >= len(load.Attacks) {
			limit = slowFor
		}
		pc := planCase{name: a.Name}
		for _, r := range all {
			pc.rows = append(pc.rows, planRow{name: r.stack.Name, missing: r.err, measure: func(ctx context.Context) (report.Sample, error) {
				return b.attack(ctx, r.in, a, limit)
			}})
		}
		p.cases = append(p.cases, pc)
		if i < len(load.Attacks) {
			p.targets = append(p.targets,
				report.Target{Text: a.Name + ": ms until it ends", Case: a.Name, Row: stack.Httpsys, Column: "ends after ms", Limit: 100},
				report.Target{Text: a.Name + ": ms of CPU", Case: a.Name, Row: stack.Httpsys, Column: "ms of CPU", Limit: 50})
		}
	}
	return p, nil
}

func (b *Bench) attack(ctx context.Context, in *stack.Instance, a *load.Attack, limit time.Duration) (report.Sample, error) {
	before, err := victims(ctx, in)
	if err != nil {
		return nil, err
	}
	stop, err := in.Front().WatchPeak(ctx)
	if err != nil {
		return nil, err
	}
	var out load.Attacked
	s, err := b.metered(in, func() (float64, error) {
		out, err = a.Run(ctx, in.Host, in.TLS, limit)
		return 1, err
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
	if out.Ended {
		s["end"] = float64(out.After) / float64(time.Millisecond)
	}
	s["peak"], s["steps"], s["passed"] = mib(peak), float64(out.Steps), float64(after-before)
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
