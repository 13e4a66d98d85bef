// Command httpsysapp serves package handlers through the httpsys daemon that
// HTTPSYS_SOCKET names.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/bench/apps/handlers"
)

func main() {
	prefix := flag.String("prefix", "http://127.0.0.1:8080/", "the prefix to register")
	more := flag.Int("more", 0, "how many prefixes to register besides: p00000/, p00001/, … below the first")
	file := flag.String("file", "", "what /file serves")
	relay := flag.Bool("relay", false, "have the daemon keep the sockets of upgraded connections")
	atOnce := flag.Int("handlers", 0, "how many handlers may run at once; 0: the default")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &httpsys.Server{Prefixes: []string{*prefix}, Handler: handlers.New(*file), MaxHandlers: *atOnce}
	if *relay {
		server.Timeouts.OpaqueIdle = 24 * time.Hour // only the daemon could keep it
	}
	for i := range *more {
		server.Prefixes = append(server.Prefixes, fmt.Sprintf("%sp%05d/", *prefix, i))
	}
	if err := server.Serve(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "httpsysapp:", err)
		os.Exit(1)
	}
}
