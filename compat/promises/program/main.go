// Command program is the application of the tests: it answers what their
// clients ask, and says on standard output what it does.
//
//	program name=NAME prefix=URL… [queue=NAME] [handlers=N]
//
// It prints "ready URL…" when it is registered, and "begun N" for each request
// with the parameter n=N before anything else happens with it. The parameter do
// says what is to be done; the names are in the table of actions. The line
// "hold" on standard input makes all requests wait from then on, "release" lets
// them go; one that waits is printed as "held N".
//
// SIGTERM ends it in order, with status 0.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
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
	"time"

	"github.com/httpsys/httpsys"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("program: ")
	p := &program{}
	srv := &httpsys.Server{
		Handler:      p,
		OnRegistered: func(urls []string) { fmt.Println("ready", strings.Join(urls, " ")) },
	}
	for _, arg := range os.Args[1:] {
		tag, value, _ := strings.Cut(arg, "=")
		var err error
		switch tag {
		case "name":
			p.name = value
		case "prefix":
			srv.Prefixes = append(srv.Prefixes, value)
		case "queue":
			srv.Queue = value
		case "handlers":
			srv.MaxHandlers, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("there is no argument %s=", tag)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	go p.listen(os.Stdin)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := srv.Serve(ctx); !errors.Is(err, httpsys.ErrServerClosed) {
		log.Fatal(err)
	}
}

type program struct {
	name string

	mu   sync.Mutex
	held chan struct{} // closed by release; nil: requests do not wait
}

// listen takes commands.
func (p *program) listen(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		p.mu.Lock()
		switch {
		case lines.Text() == "hold" && p.held == nil:
			p.held = make(chan struct{})
		case lines.Text() == "release" && p.held != nil:
			close(p.held)
			p.held = nil
		}
		p.mu.Unlock()
		fmt.Println("done", lines.Text())
	}
}

var actions = map[string]func(http.ResponseWriter, *http.Request){
	"sum": sum, "big": big, "file": file, "duplex": duplex, "page": page, "report": report, "stall": stall,
}

func (p *program) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	n := query.Get("n")
	if n != "" {
		fmt.Println("begun", n)
	}
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	if held != nil {
		fmt.Println("held", n)
		select {
		case <-held:
		case <-r.Context().Done():
			fmt.Println("left", n)
			return
		}
	}
	if do := actions[query.Get("do")]; do != nil {
		do(w, r)
		return
	}
	fmt.Fprintf(w, "%s %s %s\n", p.name, r.Method, r.RequestURI)
}

// sum answers with the length and the digest of the body.
func sum(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	fmt.Fprintf(w, "%s %d %x %v", r.Method, n, h.Sum(nil), err)
}

// big answers with size bytes, whose length is said if length is a parameter.
func big(w http.ResponseWriter, r *http.Request) {
	size, _ := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
	if r.URL.Query().Has("length") {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	block := block()
	for size > 0 {
		n, err := w.Write(block[:min(size, int64(len(block)))])
		if err != nil {
			return
		}
		size -= int64(n)
	}
}

// block is what the answer of big repeats.
func block() []byte {
	b := make([]byte, 0, 64<<10)
	for i := 0; len(b) < cap(b); i++ {
		b = append(b, byte(i), byte(i>>8))
	}
	return b
}

// file answers with a file of that many zero bytes.
func file(w http.ResponseWriter, r *http.Request) {
	size, _ := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
	f, err := os.CreateTemp("", "program")
	if err == nil {
		defer f.Close()
		defer os.Remove(f.Name())
		err = f.Truncate(size)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.ServeContent(w, r, "zeros.bin", time.Time{}, f)
}

// duplex sends the body back in upper case, as it comes.
func duplex(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	rc.EnableFullDuplex()
	rc.Flush()
	b := make([]byte, 4096)
	for {
		n, err := r.Body.Read(b)
		w.Write(bytes.ToUpper(b[:n]))
		rc.Flush()
		if err != nil {
			return
		}
	}
}

// stall does nothing until the client leaves.
func stall(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// report prints what a page has seen.
func report(w http.ResponseWriter, r *http.Request) {
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		fmt.Println("page", lines.Text())
	}
}

// page makes requests of all kinds from a browser, shows their answers and
// reports them.
func page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, `<!DOCTYPE html><title>requests</title><pre id="out"></pre>
<script>
const out = document.getElementById("out"), lines = []
const say = (what, s) => lines.push(what + ": " + s)
async function all() {
  say("GET", (await (await fetch("?x=1")).text()).trim())
  const head = await fetch("?do=big&size=1000&length", {method: "HEAD"})
  say("HEAD", head.status + " " + head.headers.get("Content-Length"))
  say("POST", await (await fetch("?do=sum", {method: "POST", body: "hello"})).text())
  const bytes = new Uint8Array(3000000).fill(7)
  say("PUT", (await (await fetch("?do=sum", {method: "PUT", body: bytes})).text()).slice(0, 12))
  const form = new FormData()
  form.append("file", new Blob([bytes]), "a.bin")
  say("form", (await (await fetch("?do=sum", {method: "POST", body: form})).text()).slice(0, 7))
  let n = 0
  const reader = (await fetch("?do=big&size=5000000")).body.getReader()
  for (let r; !(r = await reader.read()).done;) n += r.value.length
  say("download", n)
  const many = await Promise.all([...Array(50).keys()].map(i => fetch("?n=" + i).then(r => r.text())))
  say("at once", many.every((s, i) => s.endsWith("?n=" + i + "\n")))
  say("missing", (await fetch("/nothing/here")).status)
}
all().catch(e => say("error", e)).then(() => {
  lines.push("end")
  out.textContent = lines.join("\n")
  return fetch("?do=report", {method: "POST", body: out.textContent})
})
</script>`)
}
