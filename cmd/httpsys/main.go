// Command httpsys is the daemon (httpsys serve) and the commands that
// administer it.
package main

import (
	"context"
	"io"
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
	if o.WhileStdin {
		var end context.CancelFunc
		ctx, end = context.WithCancel(ctx)
		defer end()
		go func() {
			io.Copy(io.Discard, os.Stdin)
			end()
		}()
	}
	return daemon.Run(ctx, daemon.Options{Socket: o.Socket, Data: o.Data, Out: os.Stdout, Log: os.Stderr})
}
