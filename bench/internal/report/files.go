package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/httpsys/httpsys/bench/internal/machine"
)

// Base is the name of the result's files without an ending.
func (r *Result) Base() string {
	name := r.Date.Format("2006-01-02-1504") + "-" + r.Scenario
	if r.Quick {
		name += "-quick"
	}
	return name
}

// Save writes the result to dir, as Markdown and as JSON, and returns the path
// of the former.
func (r *Result) Save(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := r.WriteMarkdown(&text); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, r.Base())
	return path + ".md", errors.Join(
		os.WriteFile(path+".md", text.Bytes(), 0o644),
		os.WriteFile(path+".json", append(data, '\n'), 0o644))
}

// The shape of the JSON. Ratios are by the title of their column.
type (
	resultJSON struct {
		Scenario string        `json:"scenario"`
		Question string        `json:"question"`
		Quick    bool          `json:"quick,omitempty"`
		Date     time.Time     `json:"date"`
		Command  string        `json:"command"`
		Runs     int           `json:"runs"`
		Machine  machine.Facts `json:"machine"`
		Cases    []caseJSON    `json:"cases"`
		Targets  []targetJSON  `json:"targets"`
		Notes    []string      `json:"notes,omitempty"`
	}
	caseJSON struct {
		Name string    `json:"name"`
		Rows []rowJSON `json:"rows"`
	}
	rowJSON struct {
		Name     string             `json:"name"`
		Missing  string             `json:"missing,omitempty"`
		Failures []string           `json:"failures,omitempty"`
		Median   map[string]float64 `json:"median,omitempty"`
		Ratios   map[string]float64 `json:"ratios,omitempty"`
		Samples  []Sample           `json:"samples,omitempty"`
	}
	targetJSON struct {
		Text    string   `json:"text"`
		Limit   float64  `json:"limit"`
		AtLeast bool     `json:"at_least,omitempty"`
		Value   *float64 `json:"value"` // null: not measured
		Met     bool     `json:"met"`
	}
)

// MarshalJSON gives the samples and what was computed from them.
func (r *Result) MarshalJSON() ([]byte, error) {
	out := resultJSON{Scenario: r.Scenario, Question: r.Question, Quick: r.Quick, Date: r.Date, Command: r.Command,
		Runs: r.Runs, Machine: r.Machine, Notes: r.Notes, Targets: []targetJSON{}}
	for _, c := range r.Cases {
		cj := caseJSON{Name: c.Name}
		for _, row := range c.Rows {
			cj.Rows = append(cj.Rows, r.rowJSON(c, row))
		}
		out.Cases = append(out.Cases, cj)
	}
	for _, v := range r.Verdicts() {
		t := targetJSON{Text: v.Text, Limit: v.Limit, AtLeast: v.AtLeast, Met: v.Met}
		if v.Measured {
			t.Value = &v.Value
		}
		out.Targets = append(out.Targets, t)
	}
	return json.Marshal(out)
}

func (r *Result) rowJSON(c *Case, row *Row) rowJSON {
	out := rowJSON{Name: row.Name, Missing: row.Missing, Failures: row.Failures, Samples: row.Samples,
		Median: map[string]float64{}, Ratios: map[string]float64{}}
	for _, s := range row.Samples {
		for metric := range s {
			out.Median[metric], _ = row.Median(metric)
		}
	}
	for _, col := range r.Columns {
		if col.Base == nil {
			continue
		}
		if v, ok := col.value(r, c, row); ok {
			out.Ratios[col.Title] = v
		}
	}
	return out
}
