package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/httpsys/httpsys"
)

// appMain is the application of the scripts, a program of its own:
//
//	app name=NAME prefix=URL… [queue=NAME] [limit=N] [handlers=N] [relay=yes] [files=N] [listen=yes] [cert=FILE]
//
// It answers each request with its name, the method and the target. It prints
// "ready URL…" when it is registered, "request METHOD TARGET" for each request and
// "left TARGET" when a client leaves. A request with the query "hold" waits until
// the word release comes on standard input. One that asks for an upgrade becomes a
// connection on which the name comes first and then all that is sent, by way of the daemon if
// relay is given. files is how many the program may open. With listen it is the
// same on each connection of a port without HTTP. cert has a certificate and its key.
func appMain() {
	log.SetFlags(0)
	log.SetPrefix("app: ")
	a := &app{held: make(chan struct{})}
	srv := &httpsys.Server{
		Handler:      a,
		OnRegistered: func(urls []string) { fmt.Println("ready", strings.Join(urls, " ")) },
	}
	listen := false
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
		case "cacheduration":
			srv.CacheDuration, err = time.ParseDuration(value)
		case "limit":
			srv.QueueLimit, err = strconv.Atoi(value)
		case "handlers":
			srv.MaxHandlers, err = strconv.Atoi(value)
		case "relay":
			srv.Timeouts.OpaqueIdle = time.Hour
		case "listen":
			listen = true
		case "cert":
			var c tls.Certificate
			c, err = tls.LoadX509KeyPair(value, value)
			srv.Certificates = append(srv.Certificates, c)
		case "files":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 32)
			err = errors.Join(err, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}))
		default:
			err = fmt.Errorf("there is no argument %s=", tag)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	a.srv = srv
	go a.listen(os.Stdin)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	srv.OnDaemonStop = func() { fmt.Println("the daemon stops") }
	if listen {
		log.Fatal(a.accept(ctx, srv))
	}
	if err := srv.Serve(ctx); !errors.Is(err, httpsys.ErrServerClosed) {
		log.Fatal(err)
	}
}

type app struct {
	name string
	srv  *httpsys.Server

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

func (a *app) accept(ctx context.Context, srv *httpsys.Server) error {
	ln, err := srv.Listen(ctx)
	for err == nil {
		var c net.Conn
		if c, err = ln.Accept(); err == nil {
			go a.echo(c)
		}
	}
	return err
}

func (a *app) echo(c net.Conn) {
	defer c.Close()
	kind := "relayed"
	if _, own := c.(*net.TCPConn); own {
		kind = "own"
	}
	fmt.Fprintf(c, "%s %s\n", a.name, kind)
	io.Copy(c, c)
}

// cache does what the query says about the response cache. It reports whether
// the request was only for that.
func (a *app) cache(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	if v := q.Get("cachefor"); v != "" {
		d, _ := time.ParseDuration(v)
		httpsys.CacheFor(w, d)
	}
	if q.Has("untilflushed") {
		httpsys.CacheUntilFlushed(w)
	}
	if v := q.Get("cachecontrol"); v != "" {
		w.Header().Set("Cache-Control", v)
	}
	if q.Has("tag") {
		httpsys.CacheTags(w, q["tag"]...)
	}
	var n int
	var err error
	switch {
	case q.Has("fragment"): // the response is made of it
		err := httpsys.WriteFragment(w, q.Get("fragment"))
		if err != nil {
			fmt.Println("fragment", err)
		}
		return true
	case q.Has("addfragment"):
		if err = a.srv.AddFragment(r.Context(), q.Get("addfragment"), []byte(q.Get("data")), time.Hour, q["tag"]...); err == nil {
			fmt.Fprintln(w, "added")
			return true
		}
	case q.Has("readfragment"):
		var b []byte
		if b, err = a.srv.ReadFragment(r.Context(), q.Get("readfragment")); err == nil {
			fmt.Fprintf(w, "%s\n", b)
			return true
		}
	case q.Has("flushtag"):
		n, err = a.srv.FlushTag(r.Context(), q.Get("flushtag"))
	case q.Has("flush"):
		n, err = a.srv.Flush(r.Context(), q.Get("flush"), q.Has("recursive"))
	default:
		return false
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintln(w, err)
		return true
	}
	fmt.Fprintln(w, "flushed", n)
	return true
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			fmt.Println("hijack", err)
			return
		}
		go a.echo(c)
		return
	}
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
	if a.cache(w, r) {
		return
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
