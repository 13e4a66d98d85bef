// Command pull takes requests one by one, in the manner of HttpListener: for
// programs with a loop of their own instead of handlers.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/httpsys/httpsys"
)

func main() {
	url := "http://localhost:8080/pull/"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	queue, err := httpsys.Open(url)
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Close()
	for n := 1; ; n++ {
		in, err := queue.Receive(ctx)
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %s from %s\n", in.Request.Method, in.Request.URL, in.Request.RemoteAddr)
		fmt.Fprintf(in.Response, "Hello from pull, process %d. This was request %d.\n", os.Getpid(), n)
		in.Close()
	}
}
