package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func samples(metric string, values ...float64) []Sample {
	var all []Sample
	for _, v := range values {
		if v < 0 {
			all = append(all, nil) // a run that failed
			continue
		}
		all = append(all, Sample{metric: v})
	}
	return all
}

func TestMedianAndSpread(t *testing.T) {
	for _, test := range []struct {
		values         []float64
		median, spread float64
		ok             bool
	}{
		{[]float64{3}, 3, 0, true},
		{[]float64{5, 1, 3}, 3, 2. / 3, true},
		{[]float64{4, 1, 3, 2}, 2.5, 0.6, true},
		{[]float64{-1, 2, -1}, 2, 0, true}, // failed runs do not count
		{[]float64{-1}, 0, 0, false},
		{nil, 0, 0, false},
	} {
		row := &Row{Samples: samples("cpu", test.values...)}
		m, ok := row.Median("cpu")
		s, _ := row.Spread("cpu")
		if m != test.median || s != test.spread || ok != test.ok {
			t.Errorf("%v: median %v, spread %v, %v; want %v, %v, %v", test.values, m, s, ok, test.median, test.spread, test.ok)
		}
	}
}

// A machine that gets slower during a run does not change a ratio, and a round
// that one of the two failed in does not count.
func TestRatioIsWithinRounds(t *testing.T) {
	base := &Row{Samples: samples("cpu", 1, 2, 4, -1, 8)}
	row := &Row{Samples: samples("cpu", 3, 6, 12, 1, 24)}
	if v, ok := Ratio("cpu", row, base); !ok || v != 3 {
		t.Errorf("%v, %v; want 3", v, ok)
	}
	for _, missing := range []*Row{nil, {}, {Missing: "not installed"}} {
		if v, ok := Ratio("cpu", row, missing); ok {
			t.Errorf("a ratio of %v to nothing", v)
		}
	}
}

func example() *Result {
	return &Result{
		Scenario: "small", Question: "What does a request cost?", Date: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), Runs: 2,
		Command: "bench --only small",
		Columns: []Column{
			{Title: "µs CPU", Metric: "cpu", Show: Number},
			{Title: "±", Metric: "cpu", Spread: true},
			{Title: "× yardstick", Metric: "cpu", Base: Over("yardstick")},
			{Title: "of which", Metric: "cpu", Parts: true},
			{Title: "p99", Metric: "p99", Show: Micros},
		},
		Targets: []Target{
			{Text: "twice the yardstick", Case: "64 connections", Row: "httpsys", Column: "× yardstick", Limit: 2},
			{Text: "half of it", Case: "64 connections", Row: "httpsys", Column: "× yardstick", Limit: 0.5},
			{Text: "more than it", Case: "64 connections", Row: "httpsys", Column: "× yardstick", Limit: 1, AtLeast: true},
			{Text: "another table", Case: "1 connection", Row: "httpsys", Column: "× yardstick", Limit: 2},
		},
		Cases: []*Case{{Name: "64 connections", Rows: []*Row{
			{Name: "yardstick", Samples: samples("cpu", 4, 4)},
			{Name: "httpsys", Samples: []Sample{{"cpu": 6, "cpu:app": 2, "cpu:daemon": 4}, {"cpu": 8, "cpu:app": 3, "cpu:daemon": 5}}},
			{Name: "nginx", Samples: []Sample{nil, {"cpu": 5}}, Failures: []string{"wrk: reset"}},
			{Name: "h2o", Samples: []Sample{nil, nil}, Failures: []string{"it ended", "it ended"}},
			{Name: "Caddy", Missing: "caddy is not installed"},
		}}},
		Notes: []string{"the machine was busy"},
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	example().WriteTables(&b)
	got := b.String()
	for _, line := range []string{
		"| server ", "| yardstick | 4.00 ", "| httpsys   | 7.00 ", "±14 %", "1.75 ✔ (≤ 2.00) ✘ (≤ 0.50) ✔ (≥ 1.00)", "daemon 4.50, app 2.50",
		"| Caddy     | not available: caddy is not installed", "| h2o       | failed: it ended",
		"| twice the yardstick | ≤ 2.00 | 1.75         | ✔ |", "| another table       | ≤ 2.00 | not measured | – |",
		"* the machine was busy", "* 64 connections, nginx: 1 of 2 runs failed, the first with: wrk: reset",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if strings.Contains(got, "p99") {
		t.Errorf("a column without any value is shown:\n%s", got)
	}
}

func TestMissed(t *testing.T) {
	r := example()
	if !r.Missed() {
		t.Error("one target is not met")
	}
	r.Targets = append(r.Targets[:1:1], r.Targets[3])
	if r.Missed() {
		t.Error("a target that was not measured counts as missed")
	}
}

func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	path, err := example().Save(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "2026-01-02-0304-small.md"); path != want {
		t.Errorf("%s, want %s", path, want)
	}
	data, err := os.ReadFile(strings.TrimSuffix(path, ".md") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Cases []struct {
			Rows []struct {
				Name           string
				Median, Ratios map[string]float64
				Samples        []Sample
			}
		}
		Targets []struct {
			Value *float64
			Met   bool
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	row := got.Cases[0].Rows[1]
	if row.Name != "httpsys" || row.Median["cpu:daemon"] != 4.5 || row.Ratios["× yardstick"] != 1.75 || len(row.Samples) != 2 {
		t.Errorf("row: %+v", row)
	}
	if !got.Targets[0].Met || got.Targets[1].Met || got.Targets[3].Value != nil {
		t.Errorf("targets: %+v", got.Targets)
	}
}

func TestNumbers(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{Number(0.4), "0.40"}, {Number(12.34), "12.3"}, {Number(123.4), "123"}, {Number(9.999), "10.0"},
		{Thousands(950), "950"}, {Thousands(163_400), "163k"}, {Thousands(20_000), "20k"},
		{Micros(404), "404 µs"}, {Micros(1400), "1.40 ms"}, {Micros(2.5e6), "2.50 s"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
