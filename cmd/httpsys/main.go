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

func main() {
	p := cli.Program{Stdout: os.Stdout, Stderr: os.Stderr, Serve: serve}
	os.Exit(p.Run(context.Background(), os.Args[1:]))
}

// serve runs the daemon until SIGTERM or SIGINT, which drain it; a second one
// ends it at once.
func serve(ctx context.Context, o cli.ServeOptions) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	return daemon.Run(ctx, daemon.Options{Socket: o.Socket, Data: o.Data, Out: os.Stdout, Log: os.Stderr})
}
