// Package cli is the command line: the words of netsh http, and a few of ours.
//
//	httpsys VERB OBJECT [tag=value …]
//
// Run executes one command line and returns the exit status. The commands are
// a table in commands.go, from which the cobra tree, the help, the completion and
// docs/commands.md are all made. args.go reads tag=value arguments; the other
// files are one object each, with its calls to the daemon and its output: urlacl.go,
// numbers.go (timeouts and settings), iplisten.go, sslcert.go, servicestate.go, dump.go.
//
// Output goes to standard output, as text in netsh's shapes or with --json. An
// error is one line on standard error that says what to do; the status is then 1,
// or 2 if the command line itself was wrong.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/httpsys/httpsys/internal/control"
)

// Exit statuses.
const (
	exitOK    = 0
	exitError = 1 // the command could not be carried out
	exitUsage = 2 // the command line is wrong
)

// callTimeout bounds how long a command waits for the daemon: far longer than any
// call takes, short enough for a script to notice that something hangs.
const callTimeout = 30 * time.Second

// Program is what the command line is started with.
type Program struct {
	Stdout, Stderr io.Writer
	// Serve runs the daemon until ctx ends.
	Serve func(ctx context.Context, o ServeOptions) error
}

// ServeOptions are the options of "httpsys serve".
type ServeOptions struct {
	Socket string // path of the daemon's socket
	Data   string // folder of what survives a restart
	// WhileStdin: the daemon also ends when standard input has ended and no
	// application is connected, and leaves nothing behind.
	WhileStdin bool
}

// Run executes the command line args, without the name of the program.
func (p *Program) Run(ctx context.Context, args []string) int {
	root := newRoot(p)
	root.SetArgs(args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(p.Stderr, "httpsys: %s\n", oneLine(err.Error()))
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitError
}

// usageError is a wrong command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

// oneLine keeps the promise of one line, and keeps what somebody else wrote
// (a path, a prefix, a program's name) from moving the cursor.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s))
}

// run is one command while it runs.
type run struct {
	ctx     context.Context
	command *command
	args    []arg
	socket  string
	json    bool
	out     io.Writer
}

// call makes one call to the daemon.
func (r *run) call(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(r.ctx, callTimeout)
	defer cancel()
	c, err := control.Dial(ctx, r.socket, "httpsys command")
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(ctx, method, params, result)
}

// show prints a result: as JSON where that is asked for, else with text.
func (r *run) show(result any, text func(*printer)) error {
	if r.json {
		e := json.NewEncoder(r.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(result)
	}
	p := &printer{}
	text(p)
	_, err := io.WriteString(r.out, p.String())
	return err
}

// done reports the success of a command that changes something.
func (r *run) done(text string) error {
	_, err := fmt.Fprintf(r.out, "\n%s\n\n", text)
	return err
}

// newRoot builds the cobra tree from the table of commands.
func newRoot(p *Program) *cobra.Command {
	// netsh does not care about upper and lower case either.
	cobra.EnableCaseInsensitive = true

	var socket string
	root := &cobra.Command{
		Use:                   "httpsys COMMAND",
		Short:                 "One front door for every HTTP program on a machine",
		Long:                  rootHelp,
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs,
	}
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return usagef("there is no command %q: see httpsys help", args[0])
	}
	root.PersistentFlags().StringVar(&socket, "socket", "",
		"path of the daemon's socket (default $"+control.SocketVariable+", else a place that depends on the user)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%s: see %s --help", err, c.CommandPath())
	})
	verbs := make(map[string]*cobra.Command)
	for i := range commands {
		cmd := newCommand(p, &commands[i], &socket)
		verb := commands[i].verb
		if commands[i].object == "" {
			root.AddCommand(cmd)
			continue
		}
		parent := verbs[verb]
		if parent == nil {
			parent = newVerb(verb)
			verbs[verb] = parent
			root.AddCommand(parent)
		}
		parent.AddCommand(cmd)
	}
	root.AddCommand(newServe(p, &socket), newVersion())
	root.SetHelpCommand(newHelp(root))
	return root
}

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND]",
		Short:                 "Explain a command",
		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q: see httpsys help", strings.Join(args, " "))
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var words []string
			if c, rest, err := root.Find(args); err == nil && len(rest) == 0 {
				for _, sub := range c.Commands() {
					if sub.IsAvailableCommand() {
						words = append(words, sub.Name()+"\t"+sub.Short)
					}
				}
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func newVerb(verb string) *cobra.Command {
	return &cobra.Command{
		Use:                   verb + " OBJECT [tag=value …]",
		Short:                 verbHelp[verb],
		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var objects []string
			for i := range commands {
				if commands[i].verb == verb {
					objects = append(objects, commands[i].object)
				}
			}
			if len(args) == 0 {
				return usagef("%s what? One of %s: see httpsys help %s", verb, strings.Join(objects, ", "), verb)
			}
			return usagef("there is no command \"%s %s\": %s takes %s", verb, args[0], verb, strings.Join(objects, ", "))
		},
	}
}

func newCommand(p *Program, spec *command, socket *string) *cobra.Command {
	r := &run{command: spec, out: p.Stdout}
	c := &cobra.Command{
		Use:     spec.usage(),
		Short:   spec.short,
		Long:    spec.help(),
		Example: indent(spec.examples),
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, words []string) error {
			args, err := parseArgs(spec, words)
			if err != nil {
				return err
			}
			r.ctx, r.args, r.socket = c.Context(), args, *socket
			return spec.run(r)
		},
		ValidArgsFunction:     spec.complete,
		DisableFlagsInUseLine: true, // the usage line has --json where there is one
	}
	if spec.json {
		c.Flags().BoolVar(&r.json, "json", false, "print JSON instead of text")
	}
	return c
}

func newServe(p *Program, socket *string) *cobra.Command {
	var data string
	var whileStdin bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon in the foreground",
		Long:  serveHelp,
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if data == "" {
				data = control.DefaultData()
			}
			if *socket == "" {
				*socket = control.DefaultSocket()
			}
			return p.Serve(c.Context(), ServeOptions{Socket: *socket, Data: data, WhileStdin: whileStdin})
		},
	}
	c.Flags().StringVar(&data, "data", "", "folder of what survives a restart (default: a place that depends on the user)")
	c.Flags().BoolVar(&whileStdin, "while-stdin", false, "end when standard input has ended and no application is connected, and remove the data folder if it is new: for programs that start a daemon for themselves")
	return c
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "httpsys "+control.Version)
			return err
		},
	}
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, but there is %q", c.Name(), args[0])
	}
	return nil
}

func indent(lines []string) string {
	return "  " + strings.Join(lines, "\n  ")
}
