package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteMarkdown writes the whole result, facts included.
func (r *Result) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", r.Scenario, r.Question)
	r.WriteTables(&b)
	fmt.Fprintf(&b, "## Machine\n\n")
	f := r.Machine
	fmt.Fprintf(&b, "* %s, CPUs %v, servers on %d, load on %d; %s memory\n", f.CPU, f.CPUs, f.ServerCPU, f.LoadCPU, f.Memory)
	fmt.Fprintf(&b, "* %s; %s\n* load average at the start: %s\n", f.Kernel, f.System, f.Load)
	for _, name := range slices.Sorted(maps.Keys(f.Versions)) {
		fmt.Fprintf(&b, "* %s: %s\n", name, cmp.Or(f.Versions[name], "–"))
	}
	fmt.Fprintf(&b, "\n%s, commit %s, %d runs: `%s`\n", r.Date.Format("2006-01-02 15:04 MST"), f.Commit, r.Runs, r.Command)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteTables writes the tables, the targets and the notes: what is new in each
// run, for the terminal.
func (r *Result) WriteTables(w io.Writer) {
	for _, c := range r.Cases {
		fmt.Fprintf(w, "## %s\n\n", c.Name)
		writeTable(w, r.table(c))
	}
	if verdicts := r.Verdicts(); len(verdicts) > 0 {
		fmt.Fprintf(w, "## Targets\n\n")
		lines := [][]string{{"target", "limit", "measured", ""}}
		for _, v := range verdicts {
			measured, mark := "not measured", "–"
			if v.Measured {
				measured, mark = Number(v.Value), v.mark()
			}
			lines = append(lines, []string{v.Text, v.limit(), measured, mark})
		}
		writeTable(w, lines)
	}
	notes := slices.Clone(r.Notes)
	for _, c := range r.Cases {
		for _, row := range c.Rows {
			if n := len(row.Failures); n > 0 {
				notes = append(notes, fmt.Sprintf("%s, %s: %d of %d runs failed, the first with: %s", c.Name, row.Name, n,
					len(row.Samples), row.Failures[0]))
			}
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(w, "## Notes\n\n")
		for _, n := range notes {
			fmt.Fprintf(w, "* %s\n", n)
		}
		fmt.Fprintln(w)
	}
}

func (v Verdict) mark() string {
	if v.Met {
		return "✔"
	}
	return "✘"
}

func (v Verdict) limit() string {
	sign := "≤"
	if v.AtLeast {
		sign = "≥"
	}
	return sign + " " + Number(v.Limit)
}

// table renders a case. A column in which no row has anything is left out.
func (r *Result) table(c *Case) [][]string {
	lines := [][]string{{"server"}}
	for _, row := range c.Rows {
		lines = append(lines, []string{row.Name})
	}
	for _, col := range r.Columns {
		column, something := []string{col.Title}, false
		for _, row := range c.Rows {
			text := r.cell(c, row, col)
			something = something || text != ""
			column = append(column, text)
		}
		for i := range lines {
			if something {
				lines[i] = append(lines[i], column[i])
			}
		}
	}
	for i, row := range c.Rows {
		switch {
		case row.Missing != "":
			lines[i+1] = []string{row.Name, "not available: " + row.Missing}
		case len(row.Failures) > 0 && len(row.Failures) == len(row.Samples):
			lines[i+1] = []string{row.Name, "failed: " + row.Failures[0]}
		}
	}
	return lines
}

func (r *Result) cell(c *Case, row *Row, col Column) string {
	if col.Parts {
		return parts(row, col)
	}
	v, ok := col.value(r, c, row)
	if !ok {
		return ""
	}
	text := col.show(v)
	for _, verdict := range r.Verdicts() {
		if verdict.Case == c.Name && verdict.Row == row.Name && verdict.Column == col.Title {
			text += fmt.Sprintf(" %s (%s)", verdict.mark(), verdict.limit())
		}
	}
	return text
}

func (col Column) show(v float64) string {
	switch {
	case col.Spread:
		return fmt.Sprintf("±%.0f %%", v*100)
	case col.Show != nil && col.Base == nil:
		return col.Show(v)
	default:
		return Number(v)
	}
}

// parts lists the parts of a stack that has several.
func parts(row *Row, col Column) string {
	var labels []string
	for _, s := range row.Samples {
		for metric := range s {
			if label, ok := strings.CutPrefix(metric, col.Metric+":"); ok && !slices.Contains(labels, label) {
				labels = append(labels, label)
			}
		}
	}
	if len(labels) < 2 {
		return ""
	}
	slices.Sort(labels)
	slices.SortStableFunc(labels, func(a, b string) int { // the application last
		return cmp.Compare(strings.Count(a, "app"), strings.Count(b, "app"))
	})
	for i, label := range labels {
		v, _ := row.Median(col.Metric + ":" + label)
		labels[i] = label + " " + col.show(v)
	}
	return strings.Join(labels, ", ")
}

// writeTable writes lines as a Markdown table whose source is readable, too.
func writeTable(w io.Writer, lines [][]string) {
	columns := len(lines[0])
	width := make([]int, columns)
	for _, line := range lines {
		if len(line) != columns {
			continue // a text that runs through all columns
		}
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		width[0] = max(width[0], utf8.RuneCountInString(line[0]))
	}
	for n, line := range lines {
		fmt.Fprint(w, "|")
		for i := range columns {
			cell := ""
			if i < len(line) {
				cell = strings.ReplaceAll(line[i], "|", `\|`)
			}
			fmt.Fprintf(w, " %-*s |", width[i], cell)
		}
		fmt.Fprintln(w)
		if n == 0 {
			fmt.Fprint(w, "|")
			for i := range columns {
				fmt.Fprint(w, " "+strings.Repeat("-", max(3, width[i]))+" |")
			}
			fmt.Fprintln(w)
		}
	}
	fmt.Fprintln(w)
}

// Number shows a number with about three digits.
func Number(v float64) string {
	switch {
	case v >= 99.95 || v <= -99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995 || v <= -9.995:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// Thousands shows a large number: 164000 as 164k.
func Thousands(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSuffix(Number(v/1000), ".0") + "k"
}

// Micros shows microseconds: 404 µs, 1.40 ms.
func Micros(v float64) string {
	switch {
	case v >= 1e6:
		return Number(v/1e6) + " s"
	case v >= 1e3:
		return Number(v/1e3) + " ms"
	default:
		return fmt.Sprintf("%.0f µs", v)
	}
}
