// Command bar shows a Server: several prefixes, a clean end on Ctrl-C, an
// upload that is streamed and a page that is pushed piece by piece.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/httpsys/httpsys"
)

func main() {
	prefixes := []string{"http://localhost:8080/bar/"}
	if len(os.Args) > 1 {
		prefixes = os.Args[1:]
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/bar/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello from bar, process %d. You asked for %s.\n", os.Getpid(), r.URL.Path)
	})
	mux.HandleFunc("POST /bar/upload", upload)
	mux.HandleFunc("/bar/clock", clock)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &httpsys.Server{Prefixes: prefixes, Handler: logged(mux)}
	if err := srv.Serve(ctx); err != nil && !errors.Is(err, httpsys.ErrServerClosed) {
		log.Fatal(err)
	}
}

// upload answers with the digest of what was sent, however much it is.
func upload(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d bytes, sha256 %x\n", n, h.Sum(nil))
}

// clock sends the time each second until the client leaves.
func clock(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		fmt.Fprintf(w, "data: %s\n\n", time.Now().Format(time.TimeOnly))
		if err := rc.Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("%s %s from %s\n", r.Method, r.URL, r.RemoteAddr)
		next.ServeHTTP(w, r)
	})
}
