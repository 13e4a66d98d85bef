package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control/server"
	"github.com/httpsys/httpsys/internal/prefix"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

const manualPath = "../../../docs/commands.md"

// docs/commands.md is what the program does: its usage lines come from the
// table of commands, and its examples are run.
func TestManual(t *testing.T) {
	w := &manual{t: t, m: newMachine(t), described: map[string]bool{}}
	tmpl, err := template.New("commands.md.tmpl").Funcs(template.FuncMap{
		"contents": w.contents, "serve": w.serve, "command": w.command, "run": w.run,
		"refusal": w.refusal, "table": w.table, "others": w.others,
	}).ParseFiles("testdata/commands.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, nil); err != nil {
		t.Fatal(err)
	}
	for i := range commands {
		if !w.described[commands[i].name()] {
			t.Errorf("%s is not in the manual: add it to testdata/commands.md.tmpl", commands[i].name())
		}
	}
	text := squeeze(b.String())
	if *update {
		if err := os.WriteFile(manualPath, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(manualPath)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), text); d != "" {
		t.Errorf("docs/commands.md is not up to date: run go test ./internal/control/cli -run TestManual -update\n%s", d)
	}
}

// squeeze leaves one blank line where the template has several.
func squeeze(s string) string {
	for strings.Contains(s, "\n\n\n") {
		s = strings.ReplaceAll(s, "\n\n\n", "\n\n")
	}
	return strings.TrimRight(s, "\n") + "\n"
}

// manual writes the parts of the manual.
type manual struct {
	t         *testing.T
	m         *machine
	described map[string]bool
}

func (w *manual) contents() string {
	var b strings.Builder
	b.WriteString("| command | |\n| --- | --- |\n| [`serve`](#serve) | Run the daemon in the foreground |\n")
	for i := range commands {
		c := &commands[i]
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", c.name(), strings.ReplaceAll(c.name(), " ", "-"), c.short)
	}
	return b.String()
}

// options are the flags of a command that are not on every command.
func options(w *manual, name string) string {
	c, _, err := newRoot(&Program{}).Find(strings.Fields(name))
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, line := range strings.Split(c.LocalNonPersistentFlags().FlagUsages(), "\n") {
		if strings.TrimSpace(line) != "" && !strings.Contains(line, "--help") {
			b.WriteString("    " + strings.TrimSpace(line) + "\n")
		}
	}
	return b.String()
}

func (w *manual) serve() string {
	return "## serve\n\n    httpsys serve [--socket PATH] [--data DIR]\n\n" + serveHelp + "\n\n" + options(w, "serve")
}

// command describes one command; the call that it makes is added by the first
// example that runs it.
func (w *manual) command(name string) (string, error) {
	var c *command
	for i := range commands {
		if commands[i].name() == name {
			c = &commands[i]
		}
	}
	if c == nil {
		return "", fmt.Errorf("there is no command %q", name)
	}
	w.described[name] = true
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n    httpsys %s\n\n%s.\n", name, c.usageWithVerb(), c.short)
	if c.long != "" {
		b.WriteString("\n" + c.long + "\n")
	}
	if len(c.tags) > 0 {
		b.WriteString("\n| argument | |\n| --- | --- |\n")
		for _, t := range c.tags {
			need := ""
			if t.required {
				need = "required: "
			}
			fmt.Fprintf(&b, "| `%s=%s` | %s%s |\n", t.name, strings.ReplaceAll(t.value, "|", "\\|"), need, t.help)
		}
	}
	fmt.Fprintf(&b, "\nWho may do this: %s\n", c.rights)
	if len(c.examples) > 0 {
		b.WriteString("\nFor example:\n\n" + "    " + strings.Join(c.examples, "\n    ") + "\n")
	}
	return b.String(), nil
}

// run executes an example and shows it with its output, and with the call that
// it makes. What a quiet one does only matters to those after it.
func (w *manual) run(line string, how ...string) (string, error) {
	stdout, stderr, status := w.m.run(strings.Fields(line)...)
	if status != exitOK {
		return "", fmt.Errorf("httpsys %s: %s", line, stderr)
	}
	if len(how) > 0 {
		return "", nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n```console\n$ httpsys %s\n%s\n```\n", line, strings.Trim(stdout, "\n"))
	if !strings.Contains(line, "show ") && !strings.Contains(line, "dump") {
		call, err := json.Marshal(w.m.lastCall())
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\nThe call: `%s`\n", call)
	}
	return b.String(), nil
}

// refusal is what a user is told, as the daemon says it.
func (w *manual) refusal() (string, error) {
	p, err := prefix.Parse("http://+:80/app/")
	if err != nil {
		return "", err
	}
	// A user who has no name on any machine, so that the manual is the same everywhere.
	const uid = 4000000001
	fault := w.m.server.MayRegister(server.Peer{UID: uid, GID: uid}, p)
	if fault == nil {
		return "", fmt.Errorf("%s may be registered by everyone", p)
	}
	return "    " + strings.ReplaceAll(fault.Message, fmt.Sprint(uid), "alice"), nil
}

func (w *manual) table(which string) string {
	table := map[string][]config.Setting{"timeouts": config.Timeouts, "settings": config.Settings, "cacheparams": config.CacheParams}[which]
	var b strings.Builder
	b.WriteString("| name | what | default | range |\n| --- | --- | --- | --- |\n")
	for _, s := range table {
		off := ""
		if s.Off != 0 {
			off = ", or `off`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %d %s | %d … %d%s |\n", s.Name, s.Help, s.Default, s.Unit, s.Min, s.Max, off)
	}
	return b.String()
}

func (w *manual) others() string {
	var b strings.Builder
	b.WriteString("| command | |\n| --- | --- |\n")
	root := newRoot(&Program{})
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch {
		case c.Name() == "serve" || w.described[c.Name()] || verbHelp[c.Name()] != "":
		default:
			fmt.Fprintf(&b, "| `httpsys %s` | %s |\n", c.Use, c.Short)
		}
	}
	return b.String()
}
