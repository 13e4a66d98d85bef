package main

import (
	"slices"
	"testing"
	"time"

	"github.com/httpsys/httpsys/bench/internal/scenario"
	"github.com/httpsys/httpsys/bench/internal/stack"
)

func names(o *options) (scenarios, stacks []string) {
	for _, s := range o.scenarios {
		scenarios = append(scenarios, s.Name)
	}
	for _, s := range o.stacks {
		stacks = append(stacks, s.Name)
	}
	return scenarios, stacks
}

func TestParse(t *testing.T) {
	o, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.scenarios) != len(scenario.All) || len(o.stacks) != len(stack.All) || o.runs < 5 {
		t.Errorf("by default %d scenarios, %d servers, %d runs; want all, all, at least 5", len(o.scenarios), len(o.stacks), o.runs)
	}

	o, err = parse([]string{"--quick", "--only", "stall,small", "--rows", "Yardstick,nginx+net/http,httpsys", "--against", "v1,HEAD~2"})
	if err != nil {
		t.Fatal(err)
	}
	scenarios, stacks := names(o)
	if want := []string{"small", "stall"}; !slices.Equal(scenarios, want) {
		t.Errorf("scenarios %v, want %v", scenarios, want)
	}
	want := []string{"yardstick", "httpsys", "httpsys @ v1", "httpsys @ HEAD~2", "nginx + net/http"}
	if !slices.Equal(stacks, want) {
		t.Errorf("servers %v, want %v", stacks, want)
	}
	if o.runs != 2 || o.duration != 500*time.Millisecond {
		t.Errorf("quick: %d runs of %v", o.runs, o.duration)
	}
	if o, err = parse([]string{"--quick", "--runs", "7"}); err != nil || o.runs != 7 {
		t.Errorf("quick with 7 runs: %d, %v", o.runs, err)
	}

	for _, bad := range [][]string{
		{"--only", "nothing"}, {"--rows", "iis"}, {"--load", "ab"}, {"--runs", "0"}, {"--duration", "1ms"}, {"small"}, {"--nothing"},
	} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
