package cli

import (
	"fmt"
	"strings"
)

// printer lays out text as netsh does: a heading with a line under it, then
// labels, four blanks a level.
type printer struct{ strings.Builder }

func (p *printer) heading(text string) {
	fmt.Fprintf(p, "\n%s\n%s\n\n", text, strings.Repeat("-", len(text)))
}

func (p *printer) line(level int, format string, args ...any) {
	p.WriteString(strings.Repeat("    ", level))
	p.WriteString(oneLine(fmt.Sprintf(format, args...)))
	p.WriteByte('\n')
}

func (p *printer) blank() { p.WriteByte('\n') }
