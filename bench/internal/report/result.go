// Package report turns samples into what people read: medians, ratios within
// one run, targets that are met or not, as a Markdown table and as JSON.
//
// A Result is a scenario's outcome: Cases (one table each) with Rows (one
// server each), and a Row has one Sample for each round. A Column says what a
// table shows of the samples, a Target which cell has to keep which limit.
package report

import (
	"slices"
	"time"

	"github.com/httpsys/httpsys/bench/internal/machine"
)

// Sample is what one run of one row measured. A metric of a part of the stack is
// named metric:part ("cpu:daemon").
type Sample map[string]float64

// Row is one server in one table.
type Row struct {
	Name     string
	Missing  string   // why it could not be measured at all
	Samples  []Sample // by round; nil where the run failed
	Failures []string // of those runs
}

// Case is one table.
type Case struct {
	Name string
	Rows []*Row
}

// Result is the outcome of one scenario.
type Result struct {
	Scenario string
	Question string // what the scenario asks, in a sentence
	Quick    bool   // too short to mean much
	Date     time.Time
	Command  string
	Runs     int // rounds that were made
	Machine  machine.Facts
	Columns  []Column
	Targets  []Target
	Cases    []*Case
	Notes    []string
}

// Case finds a case by its name; it is nil when there is none.
func (r *Result) Case(name string) *Case {
	for _, c := range r.Cases {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Row finds a row by its name; it is nil when there is none, or no case.
func (c *Case) Row(name string) *Row {
	if c == nil {
		return nil
	}
	for _, row := range c.Rows {
		if row.Name == name {
			return row
		}
	}
	return nil
}

// values are the samples of one metric, in ascending order.
func (row *Row) values(metric string) []float64 {
	var all []float64
	for _, s := range row.Samples {
		if v, ok := s[metric]; ok {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	return all
}

// Median of a metric; ok is false when no run measured it.
func (row *Row) Median(metric string) (v float64, ok bool) {
	return median(row.values(metric))
}

// Max is the largest value of a metric in any run, or 0.
func (row *Row) Max(metric string) float64 {
	return slices.Max(append(row.values(metric), 0))
}

// Spread is half the distance between the smallest and the largest value,
// relative to the median: how far to trust the median.
func (row *Row) Spread(metric string) (float64, bool) {
	all := row.values(metric)
	m, ok := median(all)
	if !ok || m == 0 {
		return 0, false
	}
	return (all[len(all)-1] - all[0]) / 2 / m, true
}

// Ratio compares a metric of two rows: the median of the ratios within each
// round. What a machine does to everyone during a round cancels out.
func Ratio(metric string, row, base *Row) (float64, bool) {
	if row == nil || base == nil {
		return 0, false
	}
	var all []float64
	for i := range min(len(row.Samples), len(base.Samples)) {
		v, ok := row.Samples[i][metric]
		b, okBase := base.Samples[i][metric]
		if ok && okBase && b != 0 {
			all = append(all, v/b)
		}
	}
	slices.Sort(all)
	return median(all)
}

// median of values in ascending order.
func median(all []float64) (float64, bool) {
	n := len(all)
	if n == 0 {
		return 0, false
	}
	return (all[(n-1)/2] + all[n/2]) / 2, true
}

// Column is what a table shows of each row.
type Column struct {
	Title  string
	Metric string
	Show   func(float64) string
	// Base gives the row to compare with; the cell is then a ratio. nil as the
	// answer: this row is not compared.
	Base func(r *Result, c *Case, row *Row) *Row
	// Spread shows how much the metric varied instead of its median.
	Spread bool
	// Parts lists the metric of each part of the stack ("daemon 2.1, app 1.9").
	Parts bool
}

// Over is a Base: a row of the same case, by name.
func Over(name string) func(*Result, *Case, *Row) *Row {
	return func(_ *Result, c *Case, row *Row) *Row {
		if row.Name == name {
			return nil
		}
		return c.Row(name)
	}
}

// value is the number of a cell.
func (col Column) value(r *Result, c *Case, row *Row) (float64, bool) {
	switch {
	case col.Spread:
		return row.Spread(col.Metric)
	case col.Base != nil:
		return Ratio(col.Metric, row, col.Base(r, c, row))
	default:
		return row.Median(col.Metric)
	}
}

// Target is a limit for one cell.
type Target struct {
	Text    string // what is promised
	Case    string
	Row     string
	Column  string // by title
	Limit   float64
	AtLeast bool // the limit is a lower one
}

// Verdict is what became of a target.
type Verdict struct {
	Target
	Measured bool
	Value    float64
	Met      bool
}

// Verdicts judges the targets.
func (r *Result) Verdicts() []Verdict {
	var all []Verdict
	for _, t := range r.Targets {
		v := Verdict{Target: t}
		c := r.Case(t.Case)
		if row := c.Row(t.Row); row != nil {
			for _, col := range r.Columns {
				if col.Title == t.Column {
					v.Value, v.Measured = col.value(r, c, row)
				}
			}
		}
		v.Met = v.Measured && (v.Value <= t.Limit || t.AtLeast) && (v.Value >= t.Limit || !t.AtLeast)
		all = append(all, v)
	}
	return all
}

// Missed tells whether a target was measured and not met.
func (r *Result) Missed() bool {
	return slices.ContainsFunc(r.Verdicts(), func(v Verdict) bool { return v.Measured && !v.Met })
}
