package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/httpsys/httpsys"
)

// appMain is the application of the scripts, a program of its own:
//
//	app name=NAME prefix=URL… [queue=NAME] [limit=N] [handlers=N]
//
// It answers each request with its name, the method and the target. It prints
// "ready URL…" when it is registered, "request METHOD TARGET" for each request and
// "left TARGET" when a client leaves. A request with the query "hold" waits until
// the word release comes on standard input.
func appMain() {
	log.SetFlags(0)
	log.SetPrefix("app: ")
	a := &app{held: make(chan struct{})}
	srv := &httpsys.Server{
		Handler:      a,
		OnRegistered: func(urls []string) { fmt.Println("ready", strings.Join(urls, " ")) },
	}
	for _, arg := range os.Args[1:] {
		tag, value, _ := strings.Cut(arg, "=")
		var err error
		switch tag {
		case "name":
			a.name = value
		case "prefix":
			srv.Prefixes = append(srv.Prefixes, value)
		case "queue":
			srv.Queue = value
		case "limit":
			srv.QueueLimit, err = strconv.Atoi(value)
		case "handlers":
			srv.MaxHandlers, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("there is no argument %s=", tag)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	go a.listen(os.Stdin)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := srv.Serve(ctx); !errors.Is(err, httpsys.ErrServerClosed) {
		log.Fatal(err)
	}
}

type app struct {
	name string

	mu   sync.Mutex
	held chan struct{} // closed by release
}

func (a *app) listen(in io.Reader) {
	for s := bufio.NewScanner(in); s.Scan(); {
		a.mu.Lock()
		close(a.held)
		a.held = make(chan struct{})
		a.mu.Unlock()
	}
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	held := a.held
	a.mu.Unlock()
	fmt.Println("request", r.Method, r.RequestURI)
	if r.URL.Query().Has("hold") {
		select {
		case <-held:
		case <-r.Context().Done():
			fmt.Println("left", r.RequestURI)
			return
		}
	}
	if r.URL.Query().Has("read") {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			fmt.Println("body", n, err)
			return
		}
		fmt.Println("body", n)
	}
	fmt.Fprintf(w, "%s: %s %s\n", a.name, r.Method, r.RequestURI)
}
