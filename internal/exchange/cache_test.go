package exchange

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// origin is a stage with a cache, a client who asks and an application that
// answers, under a clock that is wound by hand.
type origin struct {
	*rig
	w     *worker
	space *cache.Space
	conns uint64
	files map[int]string
}

const cacheStart = 1_800_000_000

func newOrigin(t *testing.T) *origin {
	return newOriginWith(t, cache.New(cache.Limits{Size: 16 << 20, Largest: 1 << 20, Heuristic: 5}))
}

func newOriginWith(t *testing.T, c *cache.Cache) *origin {
	o := &origin{rig: newRig(t), files: map[int]string{}}
	o.space = &cache.Space{ID: 7, URL: "http://+:80/"}
	o.reg.Space = o.space
	o.Cache = c
	o.Unix = func() int64 { return cacheStart + o.now/1000 }
	o.Post = func(f func()) { f() }
	o.Server = []byte("httpsys")
	o.ReadFile = func(fd int, b []byte, off int64) (int, error) { return copy(b, o.files[fd][off:]), nil }
	o.CloseFile = func(fd int) { delete(o.files, fd) }
	o.w = newWorker(o.rig, 1000)
	o.w.deaf = true
	t.Cleanup(func() {
		o.check()
	})
	return o
}

// check looks at what must hold whenever nothing is under way.
func (o *origin) check() {
	o.t.Helper()
	if len(o.fills) != 0 || o.followers != 0 {
		o.t.Errorf("%d fetches and %d followers at the end", len(o.fills), o.followers)
	}
	o.Cache.Close(o.space)
	if used := o.Cache.Used(); used != 0 {
		o.t.Errorf("%d bytes of the budget are taken when all is gone", used)
	}
	if o.space.Entries.Load() != 0 || o.space.Bytes.Load() != 0 {
		o.t.Errorf("%d entries, %d bytes at the end", o.space.Entries.Load(), o.space.Bytes.Load())
	}
}

// wait winds the clock.
func (o *origin) wait(d time.Duration) {
	o.now += d.Milliseconds()
	o.Tick()
}

// asker is a client and what it got.
type asker struct {
	o      *origin
	x      *Exchange
	status int
	head   map[string]string
	lines  []string
	body   string
	done   bool
	stored bool   // the answer came from the cache
	failed string // Fail or Abort
	slow   bool   // takes no bytes until take is called
	unsent int
}

func (a *asker) fields(fs []message.Field) {
	a.head = map[string]string{}
	for _, f := range fs {
		name := strings.ToLower(string(f.Name))
		if old, ok := a.head[name]; ok {
			a.head[name] = old + ", " + string(f.Value)
		} else {
			a.head[name] = string(f.Value)
		}
		a.lines = append(a.lines, string(f.Name)+": "+string(f.Value))
	}
}

func (a *asker) Informational(*message.Response) {}
func (a *asker) Respond(r *message.Response, body []byte, end bool) {
	if a.status != 0 {
		a.o.t.Errorf("second response")
	}
	a.status = r.Status
	a.fields(r.Fields)
	a.Body(body, end)
}
func (a *asker) Stored(s *cache.Answer, end bool) {
	var r message.Response
	s.Response(&r, nil)
	a.stored = true
	body := s.Body
	if s.NoBody || !end {
		body = nil
	}
	a.Respond(&r, body, end)
}
func (a *asker) Run(r cache.Run, cost int, end bool) {
	text := string(r.Head(r.Len()))
	r.Body.Release()
	unsent := a.slow
	a.slow = true
	a.Body([]byte(text), end)
	if a.slow = unsent; !a.slow {
		a.unsent -= len(text)
		if a.x != nil {
			a.x.Sent(cost, true)
		}
	}
}
func (a *asker) Moved(x *Exchange) { a.x = x }
func (a *asker) Body(b []byte, end bool) {
	if a.done {
		a.o.t.Errorf("more after the end")
	}
	a.body += string(b)
	if a.done = end; end {
		a.x = nil
	}
	if a.slow {
		a.unsent += len(b)
	} else if a.x != nil && len(b) > 0 {
		a.x.Sent(len(b), true)
	}
}
func (a *asker) Trailers([]message.Field) { a.done, a.x = true, nil }
func (a *asker) File(fd int, off, n int64, end bool) {
	a.Body([]byte(a.o.files[fd][off:off+n]), end)
}
func (a *asker) Opaque(*message.Response) {}
func (a *asker) CanOpaque(int) bool       { return true }
func (a *asker) Close()                   {}
func (a *asker) Fail(status int, reason, _ string) {
	a.failed, a.status, a.x = fmt.Sprintf("%d %s", status, reason), status, nil
}
func (a *asker) Hangup()   { a.failed, a.x = "hangup", nil }
func (a *asker) Abort()    { a.failed, a.x = "abort", nil }
func (a *asker) ReadMore() {}

// take lets a slow client take what it has.
func (a *asker) take() {
	n := a.unsent
	a.unsent = 0
	if a.x != nil && n > 0 {
		a.x.Sent(n, true)
	}
}

// leave closes the client's connection.
func (a *asker) leave() {
	if x := a.x; x != nil {
		a.x = nil
		x.ClientGone()
	}
}

// got says in one line what the client got.
func (a *asker) got() string {
	from := "application"
	if a.stored {
		from = "cache"
	}
	switch {
	case a.failed != "":
		return a.failed
	case a.status == 0:
		return "waits"
	case !a.done:
		return fmt.Sprintf("%d %.40q… from %s", a.status, a.body, from)
	}
	return fmt.Sprintf("%d %.40q from %s", a.status, a.body, from)
}

func (a *asker) want(s string) {
	a.o.t.Helper()
	if got := a.got(); got != s {
		a.o.t.Errorf("got %s\nwant %s", got, s)
	}
}

func (a *asker) wantField(name, value string) {
	a.o.t.Helper()
	if got, ok := a.head[strings.ToLower(name)]; got != value || ok != (value != "") {
		a.o.t.Errorf("%s: %q, want %q", name, got, value)
	}
}

// ask sends a request: "GET /path" and lines of fields.
func (o *origin) ask(line string, lines ...string) *asker {
	o.t.Helper()
	return o.askAs(&asker{o: o}, line, "", lines...)
}

func (o *origin) askAs(a *asker, line, body string, lines ...string) *asker {
	o.t.Helper()
	a.o = o
	method, target, _ := strings.Cut(line, " ")
	r := &message.Request{Method: []byte(method), Target: []byte(target), Authority: []byte("a"), Version: 11, ContentLength: int64(len(body))}
	path, query, _ := strings.Cut(target, "?")
	r.Path, r.Query = []byte(path), []byte(query)
	if len(r.Query) == 0 {
		r.Query = nil
	}
	host := "a"
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		value = strings.TrimSpace(value)
		switch name {
		case "Host":
			host = value
			r.Authority = []byte(value)
			continue
		case "Upgrade":
			r.Upgrade = true
		}
		r.Fields = append(r.Fields, message.Field{Name: []byte(name), Value: []byte(value)})
	}
	r.Fields = append(r.Fields, message.Field{Name: []byte("Host"), Value: []byte(host)})
	f := facts
	o.conns++
	f.Connection = o.conns
	x, _, refusal := o.Begin(a, r, &f, []byte(body), true)
	a.x = x
	switch {
	case refusal.Status != 0:
		a.Fail(refusal.Status, refusal.Reason, refusal.Text)
	case refusal.Stored != nil:
		a.Stored(refusal.Stored, x == nil)
		if x != nil && a.x == x {
			x.Send()
		}
	}
	return a
}

// fetch is a request at the application.
type fetch struct {
	o *origin
	x *Exchange
	// head is the request's fields, names in lower case.
	head   map[string]string
	method string
	target string
}

// next is the next request that the application gets; it must be there.
func (o *origin) next() *fetch {
	o.t.Helper()
	f := o.maybe()
	if f == nil {
		o.t.Fatal("no request at the application")
	}
	return f
}

func (o *origin) maybe() *fetch {
	if len(o.w.got) == 0 {
		return nil
	}
	x := o.w.got[0]
	o.w.got = o.w.got[1:]
	var s Stage
	r := s.reparse(x.frame)
	f := &fetch{o: o, x: x, head: map[string]string{}, method: string(r.Method), target: string(r.Target)}
	for _, fl := range r.Fields {
		f.head[strings.ToLower(string(fl.Name))] = string(fl.Value)
	}
	return f
}

// none says that the application has no request.
func (o *origin) none() {
	o.t.Helper()
	if f := o.maybe(); f != nil {
		o.t.Fatalf("the application got %s %s", f.method, f.target)
	}
}

func response(t *testing.T, status int, lines []string) *message.Response {
	t.Helper()
	text := fmt.Sprintf("HTTP/1.1 %d X\r\n", status)
	for _, l := range lines {
		text += l + "\r\n"
	}
	r := &message.Response{}
	if err := r.ParseText(status, []byte(text+"\r\n")); err != nil {
		t.Fatal(err)
	}
	return r
}

// answer sends a whole response.
func (f *fetch) answer(status int, body string, lines ...string) {
	f.o.t.Helper()
	if err := f.x.Respond(response(f.o.t, status, lines), []byte(body), true); err != nil {
		f.o.t.Fatal(err)
	}
}

// begin sends a head and a part of the body; more and end send the rest.
func (f *fetch) begin(status int, body string, lines ...string) {
	f.o.t.Helper()
	if err := f.x.Respond(response(f.o.t, status, lines), []byte(body), false); err != nil {
		f.o.t.Fatal(err)
	}
}

func (f *fetch) more(body string) {
	f.o.t.Helper()
	if err := f.x.Data([]byte(body), false); err != nil {
		f.o.t.Fatal(err)
	}
}

func (f *fetch) end(body string) {
	f.o.t.Helper()
	if err := f.x.Data([]byte(body), true); err != nil {
		f.o.t.Fatal(err)
	}
}

// prime makes the registration one that is known to cache.
func (o *origin) prime() *origin {
	o.space.Learn(true)
	return o
}

// httpDate is a date so many seconds from the start.
func httpDate(offset int64) string {
	return time.Unix(cacheStart+offset, 0).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
}

// What a hit looks like.
func TestHit(t *testing.T) {
	o := newOrigin(t)
	first := o.ask("GET /a?b")
	o.next().answer(200, "hello", "Content-Type: text/plain", "Cache-Control: max-age=60", "ETag: \"v1\"", "X: 1", "X: 2",
		"Connection: x-hop", "X-Hop: 1", "Httpsys-Cache-Control: max-age=60", "Cache-Tag: t")
	first.want(`200 "hello" from application`)
	first.wantField("Cache-Status", "httpsys; fwd=uri-miss; stored")
	first.wantField("Httpsys-Cache-Control", "") // for us alone
	first.wantField("Cache-Tag", "")
	o.wait(7 * time.Second)
	hit := o.ask("GET /a?b")
	hit.want(`200 "hello" from cache`)
	for name, value := range map[string]string{
		"Age": "7", "Date": httpDate(0), "Cache-Control": "max-age=60", "Content-Length": "5", "Content-Type": "text/plain",
		"ETag": "\"v1\"", "X": "1, 2", "Cache-Status": "httpsys; hit", "Server": "httpsys",
		"X-Hop": "", "Connection": "", "Httpsys-Cache-Control": "", "Cache-Tag": "",
	} {
		hit.wantField(name, value)
	}
	// HEAD is answered from a stored GET (RFC 9111 4).
	head := o.ask("HEAD /a?b")
	head.want(`200 "" from cache`)
	head.wantField("Content-Length", "5")
	// Another query is another resource.
	o.ask("GET /a?c")
	o.next().answer(200, "other")
	o.wait(53 * time.Second)
	o.ask("GET /a?b")
	if f := o.next(); f.head["if-none-match"] != "\"v1\"" {
		t.Errorf("If-None-Match: %q", f.head["if-none-match"])
	} else {
		f.answer(200, "new")
	}
}

// A response is stored however it comes.
func TestStoring(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	for _, tc := range []struct {
		name string
		send func(f *fetch)
		body string
		hit  bool
	}{
		{"at once", func(f *fetch) { f.answer(200, "hello", "Cache-Control: max-age=9") }, "hello", true},
		{"empty", func(f *fetch) { f.answer(200, "", "Cache-Control: max-age=9") }, "", true},
		{"with its length, in pieces", func(f *fetch) {
			f.begin(200, "he", "Cache-Control: max-age=9", "Content-Length: 5")
			f.more("ll")
			f.end("o")
		}, "hello", true},
		{"head first", func(f *fetch) {
			f.begin(200, "", "Cache-Control: max-age=9", "Content-Length: 5")
			f.end("hello")
		}, "hello", true},
		{"end last", func(f *fetch) {
			f.begin(200, "", "Cache-Control: max-age=9", "Content-Length: 0")
			f.end("")
		}, "", true},
		{"without its length", func(f *fetch) {
			f.begin(200, "he", "Cache-Control: max-age=9")
			f.more("ll")
			f.end("o")
		}, "hello", true},
		{"with trailers", func(f *fetch) {
			f.begin(200, "hello", "Cache-Control: max-age=9")
			f.x.Trailers([]message.Field{{Name: []byte("A"), Value: []byte("b")}})
		}, "hello", true},
		{"as a file", func(f *fetch) {
			f.o.files[9] = "xhellox"
			f.begin(200, "", "Cache-Control: max-age=9", "Content-Length: 5")
			f.x.File(9, 1, 5, true)
		}, "hello", true},
		{"as a file, without its length", func(f *fetch) {
			f.o.files[9] = "xhellox"
			f.begin(200, "", "Cache-Control: max-age=9")
			f.x.File(9, 1, 5, true)
		}, "hello", true},
		{"shorter than its length", func(f *fetch) {
			f.begin(200, "he", "Cache-Control: max-age=9", "Content-Length: 5")
			f.end("l")
		}, "", false},
		{"longer than its length", func(f *fetch) {
			f.begin(200, "he", "Cache-Control: max-age=9", "Content-Length: 5")
			f.more("llo!")
		}, "", false},
		{"disagreeing at once", func(f *fetch) { f.answer(200, "hell", "Cache-Control: max-age=9", "Content-Length: 5") }, "hell", false},
		{"not to its end", func(f *fetch) {
			f.begin(200, "he", "Cache-Control: max-age=9")
			f.x.WorkerCancels(false)
		}, "", false},
		{"long, with its length", func(f *fetch) {
			f.begin(200, "", "Cache-Control: max-age=9", fmt.Sprint("Content-Length: ", len(long)))
			for i := 0; i < len(long); i += 1000 {
				if i+1000 == len(long) {
					f.end(long[i:])
				} else {
					f.more(long[i : i+1000])
				}
			}
		}, long, true},
		{"long, without its length", func(f *fetch) {
			f.begin(200, "", "Cache-Control: max-age=9")
			for i := 0; i < len(long); i += 1000 {
				f.more(long[i : i+1000])
			}
			f.end("")
		}, long, true},
	} {
		for _, primed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s primed=%v", tc.name, primed), func(t *testing.T) {
				o := newOrigin(t)
				if primed {
					o.prime()
				}
				o.w.initial = 1 << 20
				a := o.ask("GET /a")
				tc.send(o.next())
				if tc.hit && (a.body != tc.body || !a.done) {
					t.Fatalf("the first got %s", a.got())
				}
				b := o.ask("GET /a")
				if b.stored != tc.hit {
					t.Fatalf("the second got %s", b.got())
				}
				if tc.hit && b.body != tc.body {
					t.Errorf("%d bytes, want %d", len(b.body), len(tc.body))
				}
				if !tc.hit {
					o.next().answer(200, "")
				}
				if len(o.files) != 0 && primed {
					for fd := range o.files {
						if o.files[fd] != "" && tc.name == "as a file" {
							t.Error("the file is not closed")
						}
					}
				}
			})
		}
	}
}

// What applications that do not cache have to do with it: nothing.
func TestPlainApplication(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a")
	o.next().answer(200, "x")
	if o.space.Mode() != cache.Plain {
		t.Fatal("mode", o.space.Mode())
	}
	// Requests for one URL do not wait for each other.
	a, b := o.ask("GET /a"), o.ask("GET /a", "If-None-Match: \"x\"")
	f, g := o.next(), o.next()
	if g.head["if-none-match"] != "\"x\"" {
		t.Error("the condition is gone")
	}
	g.answer(304, "")
	f.answer(200, "y")
	a.want(`200 "y" from application`)
	b.want(`304 "" from application`)
	// Until something can be stored.
	o.ask("GET /b")
	o.next().answer(200, "z", "Cache-Control: max-age=5")
	o.ask("GET /b").want(`200 "z" from cache`)
}

// Validation of what is stored (RFC 9111 4.3).
func TestValidation(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a")
	o.next().answer(200, "hello", "Cache-Control: max-age=10", "ETag: \"v1\"", "X: old", "Y: stays", "Last-Modified: "+httpDate(-1000))
	o.wait(11 * time.Second)
	a := o.ask("GET /a", "If-None-Match: \"client\"", "Range: bytes=0-1")
	f := o.next()
	if f.head["if-none-match"] != "\"v1\"" || f.head["if-modified-since"] != httpDate(-1000) || f.head["range"] != "" {
		t.Errorf("asked with %v", f.head)
	}
	f.answer(304, "", "X: new", "Cache-Control: max-age=20", "ETag: \"v1\"", "Content-Length: 99")
	// The answer is made of what is stored, for what the client asked.
	a.want(`206 "he" from cache`)
	a.wantField("X", "new")
	a.wantField("Y", "stays")
	a.wantField("Content-Length", "2")
	a.wantField("Age", "0")
	o.wait(15 * time.Second)
	b := o.ask("GET /a")
	b.want(`200 "hello" from cache`)
	b.wantField("Age", "15")
	b.wantField("X", "new")
	// A client that has it already learns so.
	o.ask("GET /a", "If-None-Match: \"v1\"").want(`304 "" from cache`)
	o.wait(10 * time.Second)
	c := o.ask("GET /a", "If-None-Match: \"v1\"")
	o.next().answer(304, "")
	c.want(`304 "" from cache`)
	// Something else has come in its place.
	o.wait(30 * time.Second)
	d := o.ask("GET /a")
	o.next().answer(200, "new", "Cache-Control: max-age=10")
	d.want(`200 "new" from application`)
	d.wantField("Cache-Status", "httpsys; fwd=stale; stored")
	o.ask("GET /a").want(`200 "new" from cache`)
}

// A 304 in several frames ends, too.
func TestValidationInPieces(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a")
	o.next().answer(200, "hello", "Cache-Control: no-cache", "ETag: \"v1\"")
	a := o.ask("GET /a")
	o.next().begin(304, "")
	a.want(`200 "hello" from cache`)
	a.wantField("Cache-Status", "httpsys; fwd=stale; fwd-status=304; stored")
}

// A newer response that must not be stored takes the old one away.
func TestNotStoredReplaces(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a")
	o.next().answer(200, "old", "Cache-Control: max-age=10", "ETag: \"v1\"")
	o.wait(11 * time.Second)
	o.ask("GET /a")
	o.next().answer(200, "secret", "Cache-Control: no-store")
	a := o.ask("GET /a", "Cache-Control: max-stale")
	o.next().answer(200, "x")
	a.want(`200 "x" from application`)
}

// RFC 5861.
func TestStale(t *testing.T) {
	t.Run("while revalidating", func(t *testing.T) {
		o := newOrigin(t)
		o.ask("GET /a")
		o.next().answer(200, "old", "Cache-Control: max-age=10, stale-while-revalidate=10", "ETag: \"v1\"")
		o.wait(11 * time.Second)
		o.ask("GET /a", "If-None-Match: \"mine\"").want(`200 "old" from cache`)
		o.ask("GET /a").want(`200 "old" from cache`)
		f := o.next()
		o.none() // one is enough
		if f.head["if-none-match"] != "\"v1\"" {
			t.Errorf("asked with %v", f.head)
		}
		f.answer(200, "new", "Cache-Control: max-age=10")
		o.ask("GET /a").want(`200 "new" from cache`)
	})
	t.Run("revalidation fails", func(t *testing.T) {
		o := newOrigin(t)
		o.ask("GET /a")
		o.next().answer(200, "old", "Cache-Control: max-age=10, stale-while-revalidate=10")
		o.wait(11 * time.Second)
		o.ask("GET /a").want(`200 "old" from cache`)
		o.next().x.WorkerCancels(false)
		o.wait(10 * time.Second)
		a := o.ask("GET /a")
		o.next().answer(200, "new")
		a.want(`200 "new" from application`)
	})
	t.Run("if error", func(t *testing.T) {
		for name, fail := range map[string]func(f *fetch){
			"503":          func(f *fetch) { f.answer(503, "sorry") },
			"500 in parts": func(f *fetch) { f.begin(500, "sorry") },
			"cancel":       func(f *fetch) { f.x.WorkerCancels(false) },
			"died":         func(f *fetch) { f.x.WorkerDied(true) },
		} {
			t.Run(name, func(t *testing.T) {
				o := newOrigin(t)
				o.ask("GET /a")
				o.next().answer(200, "old", "Cache-Control: max-age=10, stale-if-error=10")
				o.wait(11 * time.Second)
				a := o.ask("GET /a")
				fail(o.next())
				a.want(`200 "old" from cache`)
				a.wantField("Cache-Status", "httpsys; hit; detail=stale")
			})
		}
	})
	t.Run("error, and nobody said", func(t *testing.T) {
		o := newOrigin(t)
		o.ask("GET /a")
		o.next().answer(200, "old", "Cache-Control: max-age=10")
		o.wait(11 * time.Second)
		a := o.ask("GET /a")
		o.next().answer(503, "sorry")
		a.want(`503 "sorry" from application`)
	})
	t.Run("must-revalidate", func(t *testing.T) {
		o := newOrigin(t)
		o.ask("GET /a")
		o.next().answer(200, "old", "Cache-Control: max-age=10, must-revalidate, stale-if-error=10, stale-while-revalidate=10")
		o.wait(11 * time.Second)
		a := o.ask("GET /a", "Cache-Control: max-stale")
		o.next().x.WorkerCancels(false)
		a.want("502 Request_Cancelled")
	})
}

// What requests may ask for (RFC 9111 5.2.1).
func TestRequestDirectives(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a", "Cache-Control: only-if-cached")
	o.next().answer(200, "old", "Cache-Control: max-age=10") // nothing is known of the application yet
	o.ask("GET /b", "Cache-Control: only-if-cached").want("504 OnlyIfCached")
	o.ask("GET /a", "Cache-Control: only-if-cached").want(`200 "old" from cache`)
	a := o.ask("GET /a", "Cache-Control: no-cache")
	o.next().answer(200, "new", "Cache-Control: max-age=10")
	a.want(`200 "new" from application`)
	o.ask("GET /a").want(`200 "new" from cache`)
	b := o.ask("GET /c", "Cache-Control: no-store")
	o.next().answer(200, "mine", "Cache-Control: max-age=10")
	b.want(`200 "mine" from application`)
	o.ask("GET /c", "Cache-Control: only-if-cached").want("504 OnlyIfCached")
	o.wait(15 * time.Second)
	o.ask("GET /a", "Cache-Control: max-stale=5").want(`200 "new" from cache`)
}

// Vary (RFC 9111 4.1).
func TestVary(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a", "Lang: en")
	o.next().answer(200, "hello", "Cache-Control: max-age=10", "Vary: Lang")
	o.ask("GET /a", "Lang: en").want(`200 "hello" from cache`)
	de := o.ask("GET /a", "Lang: de")
	o.next().answer(200, "hallo", "Cache-Control: max-age=10", "Vary: Lang")
	de.want(`200 "hallo" from application`)
	o.ask("GET /a", "Lang: en").want(`200 "hello" from cache`)
	o.ask("GET /a", "Lang: de").want(`200 "hallo" from cache`)
	if n := o.space.Entries.Load(); n != 2 {
		t.Errorf("%d entries", n)
	}
	// The number of variants is bounded.
	for i := range 100 {
		o.ask("GET /a", fmt.Sprint("Lang: ", i))
		o.next().answer(200, "x", "Cache-Control: max-age=10", "Vary: Lang")
	}
	if n := o.space.Entries.Load(); n != 32 {
		t.Errorf("%d variants of one URL", n)
	}
	// Vary: * is never used again.
	o.ask("GET /b")
	o.next().answer(200, "x", "Cache-Control: max-age=10", "Vary: *")
	o.ask("GET /b")
	o.next().answer(200, "y")
}

// Unsafe methods (RFC 9111 4.4).
func TestInvalidation(t *testing.T) {
	for _, tc := range []struct {
		name, method string
		status       int
		lines        []string
		gone         string // of /a, /b, /c
	}{
		{"POST", "POST /a", 200, nil, "/a"},
		{"PUT", "PUT /a", 204, nil, "/a"},
		{"DELETE", "DELETE /a", 204, nil, "/a"},
		{"a method that nobody knows", "FROB /a", 200, nil, "/a"},
		{"a redirection", "POST /a", 303, nil, "/a"},
		{"a failure", "POST /a", 500, nil, ""},
		{"a refusal", "POST /a", 404, nil, ""},
		{"OPTIONS", "OPTIONS /a", 200, nil, ""},
		{"Location", "POST /a", 201, []string{"Location: /b"}, "/a /b"},
		{"Content-Location", "POST /a", 200, []string{"Content-Location: http://a/b"}, "/a /b"},
		{"both", "POST /a", 200, []string{"Content-Location: b", "Location: c"}, "/a /b /c"},
		{"another origin", "POST /a", 200, []string{"Location: http://evil/b"}, "/a"},
		{"another spelling", "POST /%61", 200, nil, "/a"},
		{"another spelling in Location", "POST /a", 200, []string{"Location: /x/../%62"}, "/a /b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := newOrigin(t)
			for _, p := range []string{"/a", "/b", "/c"} {
				o.ask("GET " + p)
				o.next().answer(200, "x", "Cache-Control: max-age=10")
			}
			o.ask(tc.method)
			o.next().answer(tc.status, "", tc.lines...)
			var gone []string
			for _, p := range []string{"/a", "/b", "/c"} {
				if a := o.ask("GET " + p); !a.stored {
					gone = append(gone, p)
					o.next().answer(200, "")
				}
			}
			if got := strings.Join(gone, " "); got != tc.gone {
				t.Errorf("gone: %q, want %q", got, tc.gone)
			}
		})
	}
}

// What was being fetched when it changed is not stored.
func TestChangedMeanwhile(t *testing.T) {
	for name, change := range map[string]func(o *origin){
		"POST": func(o *origin) {
			o.ask("POST /a")
			fs := []*fetch{o.next()}
			fs[0].answer(200, "")
		},
		"flush": func(o *origin) {
			o.Cache.Flush(o.space, cache.AppendCanonical(nil, o.space, []byte("a"), []byte("/a"), nil, false), false)
		},
		"flush above": func(o *origin) {
			o.Cache.Flush(o.space, cache.AppendCanonical(nil, o.space, []byte("a"), []byte("/"), nil, false), true)
		},
		"flush of all":     func(o *origin) { o.Cache.FlushSpace(o.space) },
		"flush of its tag": func(o *origin) { o.Cache.FlushTag(o.space, "t") },
	} {
		for _, primed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", primed), func(t *testing.T) {
				o := newOrigin(t)
				if primed {
					o.prime()
				}
				a := o.ask("GET /a")
				f := o.next()
				change(o)
				f.answer(200, "old", "Cache-Control: max-age=10", "Cache-Tag: t")
				a.want(`200 "old" from application`)
				b := o.ask("GET /a")
				o.next().answer(200, "new")
				b.want(`200 "new" from application`)
			})
		}
	}
}

// Answers to conditions and ranges are tables in rules; here is what the
// responses look like.
func TestConditionsAndRanges(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a")
	o.next().answer(200, "0123456789", "Cache-Control: max-age=100", "ETag: \"v\"", "Content-Type: text/plain", "X: y",
		"Last-Modified: "+httpDate(-1000), "Expires: "+httpDate(100), "Vary: Nothing", "Content-Location: /b")
	m := o.ask("GET /a", "If-None-Match: \"v\"")
	m.want(`304 "" from cache`)
	for name, value := range map[string]string{
		"ETag": "\"v\"", "Cache-Control": "max-age=100", "Vary": "Nothing", "Content-Location": "/b", "Date": httpDate(0), "Age": "0",
		"Content-Length": "", "Content-Type": "", "X": "", "Expires": httpDate(100),
	} {
		m.wantField(name, value)
	}
	o.ask("HEAD /a", "If-None-Match: \"v\"").want(`304 "" from cache`)
	o.ask("GET /a", "If-Modified-Since: "+httpDate(-1000)).want(`304 "" from cache`)
	o.ask("GET /a", "If-Modified-Since: "+httpDate(-1001)).want(`200 "0123456789" from cache`)

	r := o.ask("GET /a", "Range: bytes=2-4")
	r.want(`206 "234" from cache`)
	r.wantField("Content-Range", "bytes 2-4/10")
	r.wantField("Content-Length", "3")
	r.wantField("Content-Type", "text/plain")
	r.wantField("X", "y")
	o.ask("GET /a", "Range: bytes=2-4", "If-Range: \"v\"").want(`206 "234" from cache`)
	o.ask("GET /a", "Range: bytes=2-4", "If-Range: \"w\"").want(`200 "0123456789" from cache`)
	o.ask("GET /a", "Range: bytes=2-4", "If-None-Match: \"v\"").want(`304 "" from cache`)
	o.ask("HEAD /a", "Range: bytes=2-4").want(`200 "" from cache`) // 9110 14.2: GET only
	u := o.ask("GET /a", "Range: bytes=10-")
	u.want(`416 "" from cache`)
	u.wantField("Content-Range", "bytes */10")
	u.wantField("Content-Length", "0")

	multi := o.ask("GET /a", "Range: bytes=0-1, -2")
	if multi.status != 206 {
		t.Fatal(multi.got())
	}
	_, boundary, _ := strings.Cut(multi.head["content-type"], "multipart/byteranges; boundary=")
	want := strings.ReplaceAll("\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"+
		"\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--B--\r\n", "B", boundary)
	if multi.body != want || multi.head["content-length"] != fmt.Sprint(len(want)) || multi.head["content-range"] != "" || boundary == "" {
		t.Errorf("%q\nwant %q (%v)", multi.body, want, multi.head)
	}
	// If-Match is for the application alone.
	a := o.ask("GET /a", "If-Match: \"v\"")
	o.next().answer(412, "")
	a.want(`412 "" from application`)
}

// Parts are stored, used and completed (RFC 9111 3.3, 3.4).
func TestParts(t *testing.T) {
	o := newOrigin(t).prime()
	a := o.ask("GET /a", "Range: bytes=0-4")
	if f := o.next(); f.head["range"] != "bytes=0-4" {
		t.Error(f.head)
	} else {
		f.answer(206, "01234", "Cache-Control: max-age=100", "Content-Range: bytes 0-4/10", "ETag: \"v\"", "X: 1")
	}
	a.want(`206 "01234" from application`)
	b := o.ask("GET /a", "Range: bytes=1-3")
	b.want(`206 "123" from cache`)
	b.wantField("Content-Range", "bytes 1-3/10")
	// What is not there is asked for.
	c := o.ask("GET /a", "Range: bytes=3-7")
	o.next().answer(200, "0123456789")
	c.want(`200 "0123456789" from application`)

	o.ask("GET /b", "Range: bytes=0-4")
	o.next().answer(206, "01234", "Cache-Control: max-age=100", "Content-Range: bytes 0-4/10", "ETag: \"v\"")
	d := o.ask("GET /b")
	f := o.next()
	if f.head["range"] != "bytes=5-" || f.head["if-range"] != "\"v\"" {
		t.Error(f.head)
	}
	f.answer(206, "56789", "Cache-Control: max-age=100", "Content-Range: bytes 5-9/10", "ETag: \"v\"")
	d.want(`200 "0123456789" from cache`)
	o.ask("GET /b").want(`200 "0123456789" from cache`)

	// The rest is of something else: the whole is asked for.
	o.ask("GET /c", "Range: bytes=0-4")
	o.next().answer(206, "01234", "Cache-Control: max-age=100", "Content-Range: bytes 0-4/10", "ETag: \"v\"")
	e := o.ask("GET /c")
	o.next().answer(206, "56789", "Content-Range: bytes 5-9/10", "ETag: \"w\"")
	g := o.next()
	if g.head["range"] != "" {
		t.Error(g.head)
	}
	g.answer(200, "abcdefghij", "Cache-Control: max-age=100")
	e.want(`200 "abcdefghij" from application`)

	// Parts that touch or overlap are put together; others take each other's place.
	for _, p := range []struct{ ask, span, body string }{
		{"bytes=2-4", "2-4", "234"}, {"bytes=4-6", "4-6", "456"}, {"bytes=7-9", "7-9", "789"}, {"bytes=0-1", "0-1", "01"},
	} {
		o.ask("GET /u", "Range: "+p.ask)
		o.next().answer(206, p.body, "Cache-Control: max-age=100", "Content-Range: bytes "+p.span+"/10", "ETag: \"v\"", "X: "+p.span)
		o.ask("GET /u", "Range: "+p.ask).want("206 \"" + p.body + "\" from cache")
		if p.span == "4-6" {
			o.ask("GET /u", "Range: bytes=2-6").want(`206 "23456" from cache`)
		}
	}
	whole := o.ask("GET /u")
	whole.want(`200 "0123456789" from cache`)
	whole.wantField("X", "0-1")
	whole.wantField("Content-Length", "10")
	whole.wantField("Content-Range", "")
	o.ask("GET /w", "Range: bytes=0-1")
	o.next().answer(206, "01", "Cache-Control: max-age=100", "Content-Range: bytes 0-1/10", "ETag: \"v\"")
	o.ask("GET /w", "Range: bytes=5-6")
	o.next().answer(206, "56", "Cache-Control: max-age=100", "Content-Range: bytes 5-6/10", "ETag: \"v\"")
	o.ask("GET /w", "Range: bytes=5-6").want(`206 "56" from cache`)
	o.ask("GET /w", "Range: bytes=0-1")
	o.next().answer(206, "ab", "Cache-Control: max-age=100", "Content-Range: bytes 0-1/10", "ETag: \"w\"")

	// A part whose length is not what it says is not kept.
	o.ask("GET /d", "Range: bytes=0-4")
	o.next().answer(206, "0123", "Cache-Control: max-age=100", "Content-Range: bytes 0-4/10", "ETag: \"v\"")
	h := o.ask("GET /d", "Range: bytes=0-1")
	o.next().answer(206, "01", "Content-Range: bytes 0-1/10")
	h.want(`206 "01" from application`)
}

// A response to HEAD updates what is stored, or removes it (RFC 9111 4.3.5).
func TestHeadUpdates(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a")
	o.next().answer(200, "hello", "Cache-Control: max-age=10", "ETag: \"v\"", "X: 1")
	o.wait(11 * time.Second)
	a := o.ask("HEAD /a")
	if f := o.next(); f.method != "HEAD" || f.head["if-none-match"] != "" {
		t.Error(f.method, f.head)
	} else {
		f.answer(200, "", "Cache-Control: max-age=10", "ETag: \"v\"", "X: 2", "Content-Length: 5")
	}
	a.want(`200 "" from application`)
	b := o.ask("GET /a")
	b.want(`200 "hello" from cache`)
	b.wantField("X", "2")
	o.wait(11 * time.Second)
	o.ask("HEAD /a")
	o.next().answer(200, "", "ETag: \"w\"", "Cache-Control: max-age=10")
	c := o.ask("GET /a", "Cache-Control: max-stale")
	o.next().answer(200, "new")
	c.want(`200 "new" from application`)
}

// The response to a POST that says it is what GET would return (RFC 9110 9.3.3).
func TestPostStored(t *testing.T) {
	o := newOrigin(t)
	o.ask("POST /a")
	o.next().answer(200, "made", "Cache-Control: max-age=10", "Content-Location: /a")
	o.ask("GET /a").want(`200 "made" from cache`)
	o.ask("POST /b")
	o.next().answer(200, "made", "Cache-Control: max-age=10", "Content-Location: /c")
	o.ask("GET /b")
	o.next().answer(200, "x")
}

// The application's own word, and the default of a registration.
func TestOwnWord(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a")
	o.next().answer(200, "x", "Httpsys-Cache-Control: until-flushed", "Cache-Control: no-store")
	o.wait(1000 * time.Hour)
	a := o.ask("GET /a")
	a.want(`200 "x" from cache`)
	a.wantField("Cache-Control", "no-store") // is for the others
	o.Cache.Flush(o.space, cache.AppendCanonical(nil, o.space, []byte("a"), []byte("/a"), nil, false), false)
	o.ask("GET /a")
	o.next().answer(200, "y")

	o.space.Default = 10
	o.ask("GET /b")
	o.next().answer(200, "z")
	o.ask("GET /b").want(`200 "z" from cache`)
	// Never over Vary, Authorization or Set-Cookie.
	for _, lines := range [][]string{{"Set-Cookie: a=b"}, {"Vary: *"}} {
		o.ask("GET /c")
		o.next().answer(200, "z", lines...)
		o.ask("GET /c")
		o.next().answer(200, "z", lines...)
	}
	o.ask("GET /d", "Authorization: x")
	o.next().answer(200, "z")
	o.ask("GET /d", "Authorization: x")
	o.next().answer(200, "z")
	// A 304 that repeats nothing leaves the word standing.
	o.ask("GET /e")
	o.next().answer(200, "e", "Httpsys-Cache-Control: max-age=10", "ETag: \"e\"")
	o.wait(11 * time.Second)
	o.ask("GET /e")
	o.next().answer(304, "")
	o.ask("GET /e").want(`200 "e" from cache`)
}
