// Package handlers is the application that is measured: the same routes for
// httpsys and for net/http, so that rows differ in nothing but the server.
//
//	/hello         13 bytes of text
//	/cached        the same, and may be stored
//	/file          the file given to New, with http.ServeFile
//	/big?n=BYTES   a body of n bytes, written in pieces; &chunked=1 without Content-Length
//	/keep?n=BYTES  a body of n bytes that a cache may keep for an hour, with an entity-tag
//	/upload        reads the body and answers how many bytes came
//	/socket        a WebSocket that echoes
//	/victim        the same as /hello, and counted; /victims tells how many there were
//	/slow?ms=N     answers after N milliseconds, or not at all when the client leaves
//
// Each is served below any one further segment too (/p00042/hello), for
// programs that register many prefixes.
package handlers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// piece is what /big writes at a time: the buffer size of io.Copy, which is
// what most handlers that stream use.
const piece = 32 << 10

var zeros [piece]byte

// New gives the handler; file is what /file serves, and may be empty.
func New(file string) http.Handler {
	mux := http.NewServeMux()
	route := func(path string, h http.HandlerFunc) {
		mux.HandleFunc(path, h)
		mux.HandleFunc("/{prefix}"+path, h)
	}
	route("/hello", hello)
	route("/cached", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		hello(w, r)
	})
	var victims atomic.Int64
	route("/victim", func(w http.ResponseWriter, r *http.Request) {
		victims.Add(1)
		hello(w, r)
	})
	route("/victims", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, victims.Load()) })
	route("/big", big)
	route("/keep", keep)
	route("/upload", upload)
	route("/slow", slow)
	route("/socket", socket)
	route("/file", func(w http.ResponseWriter, r *http.Request) {
		if file == "" {
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, file)
	})
	return mux
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "Hello, World!")
}

func big(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.FormValue("n"), 10, 64)
	if err != nil || n < 0 {
		http.Error(w, "n must be a number of bytes", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.FormValue("chunked") == "" {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	for n > 0 {
		size := min(n, piece)
		if _, err := w.Write(zeros[:size]); err != nil {
			return
		}
		n -= size
	}
}

func keep(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil || n < 0 || n > 1<<20 {
		http.Error(w, "n must be a number of bytes, at most 1 MiB", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("ETag", `"v"`)
	w.Header().Set("Content-Length", strconv.Itoa(n))
	for n > 0 {
		size := min(n, piece)
		if _, err := w.Write(zeros[:size]); err != nil {
			return
		}
		n -= size
	}
}

func upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, n)
}

func socket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, message, err := c.Read(context.Background())
		if err == nil {
			err = c.Write(context.Background(), kind, message)
		}
		if err != nil {
			return
		}
	}
}

func slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.FormValue("ms"))
	if err != nil || ms < 0 {
		http.Error(w, "ms must be a number of milliseconds", http.StatusBadRequest)
		return
	}
	t := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		io.WriteString(w, "done\n")
	case <-r.Context().Done():
	}
}
