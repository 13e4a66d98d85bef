// Command httpsys is the daemon (httpsys serve) and the commands that
// administer it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/httpsys/httpsys/internal/control/cli"
	"github.com/httpsys/httpsys/internal/daemon"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	p := cli.Program{Stdout: os.Stdout, Stderr: os.Stderr, Serve: serve}
	return p.Run(context.Background(), args)
}

// serve runs the daemon until a signal ends it. The second signal is not
// caught: it ends a daemon that takes too long to drain.
func serve(ctx context.Context, o cli.ServeOptions) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	opt := daemon.Options{Socket: o.Socket, Data: o.Data, Out: os.Stdout, Log: os.Stderr}
	if o.WhileStdin {
		opt.While = os.Stdin
		signal.Ignore(syscall.SIGPIPE) // whoever reads the log may be gone
	}
	return daemon.Run(ctx, opt)
}
