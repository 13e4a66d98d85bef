package httpsys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
)

// answer is what a client sees of a response.
type answer struct {
	Status   int
	Informs  []string
	Header   http.Header
	Length   int64
	Body     string
	Trailers http.Header
	Log      string
}

// textPlain is the type that most bodies of the table seem to have.
var textPlain = http.Header{"Content-Type": {"text/plain; charset=utf-8"}}

// likeNetHTTP are handlers and what a client has to see, over net/http as well
// as over httpsys. Where the two differ on purpose, that is a row of
// TestResponse instead.
var likeNetHTTP = []struct {
	name    string
	method  string
	handler http.HandlerFunc
	want    answer
}{
	{"nothing", "GET", func(w http.ResponseWriter, r *http.Request) {},
		answer{Status: 200}},
	{"a small body", "GET", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		answer{Status: 200, Header: textPlain, Length: 5, Body: "hello"}},
	{"the type is guessed from all that was written", "GET", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<ht")
		w.Write([]byte("ml>"))
	}, answer{Status: 200, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Length: 6, Body: "<html>"}},
	{"a given type", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "x/y")
		io.WriteString(w, "<html>")
	}, answer{Status: 200, Header: http.Header{"Content-Type": {"x/y"}}, Length: 6, Body: "<html>"}},
	{"a type that is not to be guessed", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "<html>")
	}, answer{Status: 200, Length: 6, Body: "<html>"}},
	{"no type for coded content", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "x")
		io.WriteString(w, "<html>")
	}, answer{Status: 200, Header: http.Header{"Content-Encoding": {"x"}}, Length: 6, Body: "<html>"}},
	{"a body at the limit of the buffer", "GET", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", 2048))
	}, answer{Status: 200, Header: textPlain, Length: 2048, Body: strings.Repeat("x", 2048)}},
	{"a body beyond it", "GET", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", 2049))
	}, answer{Status: 200, Header: textPlain, Length: -1, Body: strings.Repeat("x", 2049)}},
	{"a body in pieces", "GET", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3000 {
			fmt.Fprintf(w, "%d,", i)
		}
	}, answer{Status: 200, Header: textPlain, Length: -1, Body: numbers(3000)}},
	{"a large body", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(strings.Repeat("0123456789", 50_000)))
		io.WriteString(w, strings.Repeat("abcdefghij", 50_000))
	}, answer{Status: 200, Header: textPlain, Length: -1,
		Body: strings.Repeat("0123456789", 50_000) + strings.Repeat("abcdefghij", 50_000)}},
	{"a flushed body", "GET", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		io.WriteString(w, "b")
	}, answer{Status: 200, Header: textPlain, Length: -1, Body: "ab"}},
	{"a flush before everything", "GET", func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(err)
		}
		w.Header().Set("X-Late", "1")
		io.WriteString(w, "<html>")
	}, answer{Status: 200, Length: -1, Body: "<html>"}},
	{"a given length", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		io.WriteString(w, "b")
	}, answer{Status: 200, Header: textPlain, Length: 2, Body: "ab"}},
	{"more than the given length", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2")
		n, err := io.WriteString(w, "ab")
		if n != 2 || err != nil {
			panic(err)
		}
		if n, err := w.Write([]byte("c")); n != 0 || err != http.ErrContentLength {
			panic(fmt.Sprint(n, err))
		}
	}, answer{Status: 200, Header: textPlain, Length: 2, Body: "ab"}},
	{"an odd length", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "two")
		io.WriteString(w, "ab")
		w.(http.Flusher).Flush()
	}, answer{Status: 200, Header: textPlain, Length: -1, Body: "ab",
		Log: `: invalid Content-Length of "two"`}},
	{"fields, in the canonical spelling or not", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("x-a", "1")
		w.Header().Add("X-A", "2")
		w.Header()["x-raw"] = []string{" spaces\t"}
		w.Header()["bad name"] = []string{"x"}
		w.Header().Set("X-Break", "a\r\nSet-Cookie: b")
		w.WriteHeader(404)
	}, answer{Status: 404, Header: http.Header{"X-A": {"1", "2"}, "X-Raw": {"spaces"}, "X-Break": {"a  Set-Cookie: b"}}}},
	{"fields after WriteHeader", "GET", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Early", "1")
		w.WriteHeader(201)
		h.Set("X-Late", "1")
		h.Set("X-Early", "2")
	}, answer{Status: 201, Header: http.Header{"X-Early": {"1"}}}},
	{"WriteHeader twice", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(201)
		w.WriteHeader(202)
	}, answer{Status: 201, Log: ": superfluous response.WriteHeader call from github.com/httpsys/httpsys.init.func"}},
	{"no content", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(204)
		if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
			panic(err)
		}
	}, answer{Status: 204}},
	{"not modified", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "x/y")
		w.Header().Set("Content-Length", "7")
		w.Header().Set("Etag", `"a"`)
		w.WriteHeader(304)
	}, answer{Status: 304, Header: http.Header{"Etag": {`"a"`}}}},
	{"HEAD", "HEAD", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		answer{Status: 200, Header: textPlain, Length: 5}},
	{"HEAD of something long", "HEAD", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", 5000))
		w.Write(make([]byte, 5000))
	}, answer{Status: 200, Header: textPlain, Length: -1}},
	{"HEAD without a body", "HEAD", func(w http.ResponseWriter, r *http.Request) {}, answer{Status: 200, Length: -1}},
	{"HEAD with a given length", "HEAD", func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("Content-Length", "99")
	},
		answer{Status: 200, Length: 99}},
	{"early hints", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(103)
		w.Header().Add("Link", "</b.css>")
		w.WriteHeader(103)
		w.WriteHeader(102)
		io.WriteString(w, "x")
	}, answer{Status: 200, Informs: []string{"103 Link: </a.css>", "103 Link: </a.css>, Link: </b.css>",
		"102 Link: </a.css>, Link: </b.css>"},
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Link": {"</a.css>", "</b.css>"}},
		Length: 1, Body: "x"}},
	{"announced trailers", "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum, X-Not")
		w.Header().Add("Trailer", "X-Other")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "7")
		w.Header().Set("X-Unannounced", "8")
	}, answer{Status: 200, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Trailer": {"X-Sum, X-Not", "X-Other"}},
		Length: -1, Body: "body", Trailers: http.Header{"X-Sum": {"7"}}}},
	{"late trailers", "GET", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Sum", "7")
	}, answer{Status: 200, Header: textPlain, Length: -1, Body: "body",
		Trailers: http.Header{"X-Sum": {"7"}}}},
	{"a redirect", "GET", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", 302) },
		answer{Status: 302, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}, "Location": {"/there"}},
			Length: 29,
			Body:   "<a href=\"/there\">Found</a>.\n\n"}},
	{"an error", "GET", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) },
		answer{Status: 500, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}},
			Length: 3, Body: "no\n"}},
	{"content", "GET", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x.txt", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	}, answer{Status: 200, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Accept-Ranges": {"bytes"},
		"Last-Modified": {"Sun, 09 Sep 2001 01:46:40 GMT"}}, Length: 10, Body: "0123456789"}},
	{"a copy", "GET", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("x", 9000)), 8000))
		if n != 8000 || err != nil {
			panic(fmt.Sprint(n, err))
		}
	}, answer{Status: 200, Header: textPlain, Length: -1, Body: strings.Repeat("x", 8000)}},
	{"a timeout handler", "GET", func(w http.ResponseWriter, r *http.Request) {
		http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
			time.Millisecond, "late").ServeHTTP(w, r)
	}, answer{Status: 503, Header: textPlain, Length: 4, Body: "late"}},
	{"everything of the interface", "GET", func(w http.ResponseWriter, r *http.Request) {
		_, a := w.(io.ReaderFrom)
		_, b := w.(io.StringWriter)
		_, c := w.(http.Flusher)
		_, d := w.(http.Hijacker)
		rc := http.NewResponseController(w)
		fmt.Fprint(w, a, b, c, d, rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}),
			rc.EnableFullDuplex())
	}, answer{Status: 200, Header: textPlain, Length: 37, Body: "true true true true <nil> <nil> <nil>"}},
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()
}

func TestResponseLikeNetHTTP(t *testing.T) {
	for _, test := range likeNetHTTP {
		t.Run(test.name, func(t *testing.T) {
			want := test.want
			if want.Header == nil {
				want.Header = http.Header{}
			}
			for name, got := range map[string]answer{
				"net/http": overNetHTTP(t, test.method, test.handler),
				"httpsys":  overHTTPSYS(t, test.method, test.handler),
			} {
				if !strings.Contains(got.Log, want.Log) || want.Log == "" && got.Log != "" {
					t.Errorf("%s logged %q, want %q", name, got.Log, want.Log)
				}
				got.Log = want.Log
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s differs (+) from what is wanted (-):\n%s", name, diff)
				}
			}
		})
	}
}

// overNetHTTP asks a server of net/http.
func overNetHTTP(t *testing.T, method string, h http.HandlerFunc) (a answer) {
	t.Helper()
	var book logBook
	ts := httptest.NewUnstartedServer(h)
	ts.Config.ErrorLog = book.logger()
	ts.Start()
	defer ts.Close()
	req, _ := http.NewRequest(method, ts.URL, nil)
	req = req.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			text := fmt.Sprint(code)
			for i, v := range header["Link"] {
				text += strings.Repeat(",", min(i, 1)) + " Link: " + v
			}
			a.Informs = append(a.Informs, text)
			return nil
		}}))
	resp, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: false}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	a.Status, a.Header, a.Length, a.Body = resp.StatusCode, resp.Header, resp.ContentLength, string(body)
	for name, values := range resp.Trailer {
		if len(values) > 0 {
			a.Trailers = http.Header{}
			a.Trailers[name] = values
		}
	}
	a.Header.Del("Date")
	if resp.Trailer != nil && resp.Header["Trailer"] == nil {
		// The client takes the field out; what was in it is in the names.
		switch n := len(resp.Trailer); n {
		case 1:
		default:
			a.Header["Trailer"] = []string{"X-Sum, X-Not", "X-Other"}
		}
	}
	if method != "HEAD" && !bodyAllowed(a.Status) {
		a.Length = 0
	}
	a.Header.Del("Content-Length")
	a.Log = book.String()
	return a
}

// overHTTPSYS asks a Server, and frames the response like the daemon.
func overHTTPSYS(t *testing.T, method string, h http.HandlerFunc) (a answer) {
	t.Helper()
	var book logBook
	s, _ := serve(t, fakedaemon.Config{}, &Server{Handler: h, ErrorLog: book.logger()})
	x := s.Do(fakedaemon.Request{Method: method})
	a = answer{Status: x.Status, Informs: x.Informs, Header: headerOf(x.Fields), Length: -1, Body: string(x.Body)}
	if len(x.Trailers) > 0 {
		a.Trailers = headerOf(x.Trailers)
	}
	if length := x.Field("Content-Length"); length != "" {
		fmt.Sscan(length, &a.Length)
	} else if x.HeadWithEnd && method != "HEAD" || !bodyAllowed(a.Status) {
		a.Length = int64(len(a.Body))
	}
	a.Header.Del("Content-Length")
	a.Log = book.String()
	return a
}

func headerOf(fields []string) http.Header {
	h := http.Header{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(name, value)
	}
	return h
}

// Fields go out in the order of their names, as net/http has them.
func TestFieldOrder(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 20 {
			w.Header().Set(fmt.Sprintf("X-%c", 'A'+(i*7)%20), "v")
		}
	})
	if x := s.Do(fakedaemon.Request{}); !slices.IsSorted(x.Fields) || len(x.Fields) != 20 {
		t.Errorf("got %v", x.Fields)
	}
}

// Connection: close is the daemon's to do, which is told.
func TestConnectionClose(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
	if x := s.Do(fakedaemon.Request{}); x.Field("Connection") != "close" {
		t.Errorf("fields %v", x.Fields)
	}
}

// Control characters, which would end our session, do not leave the process.
func TestValueSanitised(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Value", "a\x00b\x01c\x7fd\te\x80")
		w.Header().Set(http.TrailerPrefix+"X-Sum", "a\x00b\n")
		w.Header().Set(http.TrailerPrefix+"bad name", "x")
		w.Header().Set(http.TrailerPrefix+"Content-Length", "7")
	})
	x := s.Do(fakedaemon.Request{})
	if got := x.Field("X-Value"); got != "a b c d\te\x80" {
		t.Errorf("value %q", got)
	}
	if got := fmt.Sprintf("%q", x.Trailers); got != `["X-Sum: a b"]` {
		t.Errorf("trailers %s", got)
	}
}

// A head that the channel cannot carry costs this response and not the session.
func TestHeadTooLong(t *testing.T) {
	for name, fill := range map[string]func(http.Header){
		"bytes":  func(h http.Header) { h.Set("X-Long", strings.Repeat("x", 300_000)) },
		"fields": func(h http.Header) { h["X-Many"] = make([]string, 1025) },
	} {
		t.Run(name, func(t *testing.T) {
			var book logBook
			s, _ := serve(t, fakedaemon.Config{}, &Server{ErrorLog: book.logger(),
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					fill(w.Header())
					if _, err := io.WriteString(w, "x"); err == nil {
						t.Error("no error")
					}
				})})
			if x := s.Do(fakedaemon.Request{}); x.Ended != "CANCEL" || x.Status != 0 {
				t.Errorf("status %d, ended by %s", x.Status, x.Ended)
			}
			if !strings.Contains(book.String(), "too long") {
				t.Errorf("log: %s", &book)
			}
		})
	}
}

// A panic costs one request: 502 before the head, a cut connection after it.
func TestPanic(t *testing.T) {
	var book logBook
	s, _ := serve(t, fakedaemon.Config{}, &Server{ErrorLog: book.logger(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/before":
				io.WriteString(w, "buffered")
				panic("some reason")
			case "/after":
				io.WriteString(w, "begin")
				w.(http.Flusher).Flush()
				panic(errors.New("another"))
			case "/abort":
				panic(http.ErrAbortHandler)
			case "/goexit":
				runtime.Goexit()
			case "/code":
				w.WriteHeader(99)
			}
			io.WriteString(w, "fine")
		})})
	for _, test := range []struct {
		path, body, ended, log string
		status                 int
	}{
		{"/before", "", "CANCEL", "httpsys: panic serving 192.0.2.1:4711: some reason\ngoroutine ", 0},
		{"/after", "begin", "CANCEL", "panic serving 192.0.2.1:4711: another", 200},
		{"/abort", "", "CANCEL", "", 0},
		{"/goexit", "", "CANCEL", "", 0},
		{"/code", "", "CANCEL", "invalid WriteHeader code 99", 0},
		{"/fine", "fine", "END", "", 200},
	} {
		before := len(book.String())
		x := s.Do(fakedaemon.Request{Target: test.path})
		log := book.String()[before:]
		if x.Status != test.status || string(x.Body) != test.body || x.Ended != test.ended {
			t.Errorf("%s: status %d, body %q, ended by %s", test.path, x.Status, x.Body, x.Ended)
		}
		if !strings.Contains(log, test.log) || test.log == "" && log != "" {
			t.Errorf("%s: log %q", test.path, log)
		}
		if test.log != "" && !strings.Contains(log, "response_test.go") {
			t.Errorf("%s: no stack in the log", test.path)
		}
	}
}

// A response waits for the window, and its write for the deadline at most.
func TestResponseWindow(t *testing.T) {
	conf := fakedaemon.Config{Window: 4096, ManualWindow: true}
	s, _ := serve(t, conf, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := w.Write(make([]byte, 10_000))
		if n != 10_000 || err != nil {
			t.Error(n, err)
		}
	})})
	x := s.Start(fakedaemon.Request{})
	x.Until("a full window", func() bool { return len(x.Body) == 4096 })
	x.Grant(5000)
	x.Until("what was granted", func() bool { return len(x.Body) == 9096 })
	x.Grant(5000)
	if x.Wait(); len(x.Body) != 10_000 {
		t.Errorf("%d bytes", len(x.Body))
	}
}

// A stream that does not move leaves the others alone.
func TestSlowReaderAlone(t *testing.T) {
	s, _ := serve(t, fakedaemon.Config{Window: 4096, ManualWindow: true}, &Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/large" {
				w.Write(make([]byte, 1<<20))
				return
			}
			io.WriteString(w, "small")
		})})
	var slow []*fakedaemon.Exchange
	for range 6 {
		slow = append(slow, s.Start(fakedaemon.Request{Target: "/large"}))
	}
	for range 50 {
		if x := s.Do(fakedaemon.Request{}); string(x.Body) != "small" {
			t.Fatalf("body %q", x.Body)
		}
	}
	for _, x := range slow {
		x.Grant(2 << 20)
		if x.Wait(); len(x.Body) != 1<<20 {
			t.Errorf("%d bytes", len(x.Body))
		}
	}
}

func TestWriteDeadline(t *testing.T) {
	s, _ := serve(t, fakedaemon.Config{Window: 4096, ManualWindow: true}, &Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			switch r.URL.Path {
			case "/waits":
				c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
				_, err := w.Write(make([]byte, 10_000))
				var ne net.Error
				if !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			case "/late":
				// net/http would not get the response out any more either.
				c.SetWriteDeadline(time.Now().Add(-time.Second))
				io.WriteString(w, "x")
			case "/reset":
				c.SetWriteDeadline(time.Now().Add(-time.Second))
				c.SetWriteDeadline(time.Now().Add(time.Hour))
				c.SetWriteDeadline(time.Time{})
				io.WriteString(w, "x")
			}
		})})
	for path, ended := range map[string]string{"/waits": "CANCEL", "/late": "CANCEL", "/reset": "END"} {
		if x := s.Do(fakedaemon.Request{Target: path}); x.Ended != ended {
			t.Errorf("%s: ended by %s", path, x.Ended)
		}
	}
}

// A client that leaves ends the context and the writes; the request is ended
// with CANCEL.
func TestClientGone(t *testing.T) {
	running, failed := make(chan struct{}), make(chan error, 1)
	s, _ := serve(t, fakedaemon.Config{Window: 4096, ManualWindow: true}, &Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(running)
			_, err := w.Write(make([]byte, 10_000)) // blocks
			<-r.Context().Done()
			failed <- err
		})})
	x := s.Start(fakedaemon.Request{})
	<-running
	x.Until("a full window", func() bool { return len(x.Body) == 4096 })
	x.Cancel(1)
	if err := <-failed; err == nil {
		t.Error("the write succeeded")
	}
	if x.Wait(); x.Ended != "CANCEL" {
		t.Errorf("ended by %s", x.Ended)
	}
	s.Loops[0].Send(nil)
}

func TestCloseNotify(t *testing.T) {
	running := make(chan struct{})
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		gone := w.(http.CloseNotifier).CloseNotify()
		close(running)
		<-gone
	})
	x := s.Start(fakedaemon.Request{})
	<-running
	x.Cancel(1)
	x.Wait()
}

// What a handler leaves behind cannot do anything any more.
func TestAfterHandler(t *testing.T) {
	kept := make(chan http.ResponseWriter, 1)
	var book logBook
	s, _ := serve(t, fakedaemon.Config{}, &Server{ErrorLog: book.logger(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			kept <- w
		})})
	s.Do(fakedaemon.Request{})
	w := <-kept
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write succeeded")
	}
	if err := http.NewResponseController(w).Flush(); err == nil {
		t.Error("Flush succeeded")
	}
	if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
		t.Error("Hijack succeeded")
	}
	w.WriteHeader(200)
	if _, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")); err == nil {
		t.Error("ReadFrom succeeded")
	}
	s.Do(fakedaemon.Request{})
}

// A goroutine that still waits to write when its handler returns does not hold
// the request up.
func TestWriterLeftBehind(t *testing.T) {
	writing, failed := make(chan struct{}), make(chan error, 1)
	s, _ := serve(t, fakedaemon.Config{Window: 4096, ManualWindow: true}, &Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, 4096))
			w.(http.Flusher).Flush()
			go func() {
				close(writing)
				_, err := w.Write(make([]byte, 10_000))
				failed <- err
			}()
			<-writing
		})})
	x := s.Start(fakedaemon.Request{})
	if err := <-failed; err == nil {
		t.Error("the write succeeded")
	}
	x.Wait()
}

// The body can be read while the response is written.
func TestFullDuplex(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		b := make([]byte, 10)
		for {
			n, err := r.Body.Read(b)
			w.Write([]byte(strings.ToUpper(string(b[:n]))))
			c.Flush()
			if err != nil {
				return
			}
		}
	})
	x := s.Start(fakedaemon.Request{Method: "POST", Open: true, Length: -1})
	for _, piece := range []string{"one", "two", "three"} {
		x.Data(piece, false)
		x.Until(piece, func() bool { return strings.HasSuffix(string(x.Body), strings.ToUpper(piece)) })
	}
	x.Data("", true)
	x.Wait()
}
