package httpsys

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// seen is what a handler can see of a request.
type seen struct {
	Method, Proto, RequestURI, Host string
	ProtoMajor, ProtoMinor          int
	URL                             url.URL
	Header, Trailer                 http.Header
	ContentLength                   int64
	TransferEncoding                []string
	Close                           bool
	Body                            string
}

func seenOf(r *http.Request) seen {
	body, _ := io.ReadAll(r.Body)
	return seen{r.Method, r.Proto, r.RequestURI, r.Host, r.ProtoMajor, r.ProtoMinor, *r.URL, r.Header, r.Trailer,
		r.ContentLength, r.TransferEncoding, r.Close, string(body)}
}

// A request is to a handler what net/http would have made of its bytes.
func TestRequestLikeNetHTTP(t *testing.T) {
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprintf("X-Field-%d: %d", i, i)
	}
	for _, test := range []struct {
		name string
		r    fakedaemon.Request
	}{
		{"the simplest", fakedaemon.Request{}},
		{"fields", fakedaemon.Request{Fields: []string{"Accept: */*", "user-agent: x/1", "X-EMPTY: ", "x--odd-: y",
			"ETAG: \"a\""}}},
		{"duplicates", fakedaemon.Request{Fields: []string{"Accept: a", "Cookie: 1", "accept: b", "ACCEPT: c",
			"Cookie: 2"}}},
		{"many fields", fakedaemon.Request{Fields: many}},
		{"non-ASCII value", fakedaemon.Request{Fields: []string{"X-Name: J\xf6rg", "X-Utf8: Jörg"}}},
		{"a query", fakedaemon.Request{Target: "/a/b?c=d&e=%20f"}},
		{"an empty query", fakedaemon.Request{Target: "/a?"}},
		{"question marks", fakedaemon.Request{Target: "/a?b?c?"}},
		{"escapes", fakedaemon.Request{Target: "/a%20b/%2F/%C3%A9?x=%zz"}},
		{"what is not escaped by default", fakedaemon.Request{Target: "/a'b(c)*!;,:@&=+$~"}},
		{"bytes that need escaping", fakedaemon.Request{Target: "/a|b\"c<d>é"}},
		{"two slashes", fakedaemon.Request{Target: "//host/path"}},
		{"dots are kept", fakedaemon.Request{Target: "/a/../b/./c"}},
		{"asterisk", fakedaemon.Request{Method: "OPTIONS", Target: "*"}},
		{"absolute form", fakedaemon.Request{Target: "http://other.test:81/x?y", Host: "other.test:81"}},
		{"CONNECT", fakedaemon.Request{Method: "CONNECT", Target: "example.test:443", Host: "example.test:443"}},
		{"CONNECT of net/rpc", fakedaemon.Request{Method: "CONNECT", Target: "/_goRPC_"}},
		{"another method", fakedaemon.Request{Method: "PROPFIND"}},
		{"a lower-case method", fakedaemon.Request{Method: "get"}},
		{"HTTP/1.0", fakedaemon.Request{Version: 10}},
		{"HTTP/1.0, kept", fakedaemon.Request{Version: 10, Fields: []string{"Connection: Keep-Alive"}}},
		{"HTTP/1.0, both", fakedaemon.Request{Version: 10, Fields: []string{"Connection: keep-alive, close"}}},
		{"closed", fakedaemon.Request{Fields: []string{"Connection: foo, Close"}}},
		{"pragma", fakedaemon.Request{Fields: []string{"Pragma: no-cache"}}},
		{"pragma and cache control", fakedaemon.Request{Fields: []string{"Pragma: no-cache",
			"Cache-Control: max-age=1"}}},
		{"a body", fakedaemon.Request{Method: "POST", Body: "abc", Fields: []string{"Content-Length: 3"}}},
		{"no body", fakedaemon.Request{Method: "POST", Fields: []string{"Content-Length: 0"}}},
		{"a chunked body", fakedaemon.Request{Method: "POST", Body: "abc", Length: -1,
			Fields: []string{"Transfer-Encoding: chunked"}}},
		{"an announced trailer without chunks", fakedaemon.Request{Method: "POST", Body: "abc",
			Fields: []string{"Content-Length: 3", "Trailer: X-Sum"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Pulled, since Serve would answer OPTIONS * by itself.
			q, _ := openQueue(t, fakedaemon.Config{})
			go q.session.Do(test.r)
			in, err := q.Receive(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			got := seenOf(in.Request)
			in.Close()
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wireText(test.r))))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Del("Host")
			if diff := cmp.Diff(seenOf(r), got); diff != "" {
				t.Errorf("net/http (-) and httpsys (+) differ:\n%s", diff)
			}
		})
	}
}

// wireText is what a client would have sent.
func wireText(r fakedaemon.Request) string {
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Target == "" {
		r.Target = "/"
	}
	if r.Host == "" {
		r.Host = "example.test"
	}
	version := "1.1"
	if r.Version == 10 {
		version = "1.0"
	}
	body := r.Body
	if r.Length < 0 {
		body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	text := r.Method + " " + r.Target + " HTTP/" + version + "\r\nHost: " + r.Host + "\r\n"
	for _, f := range r.Fields {
		text += f + "\r\n"
	}
	return text + "\r\n" + body
}

// The short way through URLs gives what net/url gives, for every byte.
func TestURLShortWay(t *testing.T) {
	for c := range 256 {
		for _, format := range []string{"/a%sb", "/a?b%sc", "/%s", "/a%s?q"} {
			target := fmt.Sprintf(format, string([]byte{byte(c)}))
			want, err := url.ParseRequestURI(target)
			x := new(exchange)
			x.req.RequestURI = target
			got := x.setURL()
			if (err == nil) != (got == nil) {
				t.Errorf("%q: error %v, net/url %v", target, got, err)
			} else if err == nil && *want != x.url {
				t.Errorf("%q: %+v, net/url %+v", target, x.url, *want)
			}
		}
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"/", "/a?b", "/a?", "*", "http://h/p", "//x", "/%zz", "/a?b?c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		want, err := url.ParseRequestURI(target)
		x := new(exchange)
		x.req.RequestURI = target
		got := x.setURL()
		if (err == nil) != (got == nil) {
			t.Fatalf("error %v, net/url %v", got, err)
		}
		if err == nil && (want.String() != x.url.String() || want.Path != x.url.Path || want.RawQuery != x.url.RawQuery) {
			t.Fatalf("%+v, net/url %+v", x.url, *want)
		}
	})
}

// What the bytes do not say.
func TestRequestSurroundings(t *testing.T) {
	type facts struct {
		Remote, Local, Proto, Prefix string
		Connection                   uint64
		TLS, Server, Deadline        bool
	}
	found := make(chan facts, 1)
	s, _ := serve(t, fakedaemon.Config{}, &Server{Prefixes: []string{"http://+:0/one/", "http://+:0/two/"},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			local := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
			_, isServer := r.Context().Value(http.ServerContextKey).(*http.Server)
			_, deadline := r.Context().Deadline()
			wrapped := r.WithContext(context.WithValue(r.Context(), "any", 1))
			found <- facts{r.RemoteAddr, local.Network() + " " + local.String(), r.Proto, PrefixOf(wrapped),
				ConnectionOf(r), r.TLS != nil, isServer, deadline}
		})})
	s.Do(fakedaemon.Request{Client: "[2001:db8::1]:99", Local: "[::1]:80", Version: 20, Flags: channel.RequestTLS,
		Registration: 2, Connection: 7})
	want := facts{"[2001:db8::1]:99", "tcp [::1]:80", "HTTP/2.0", "http://+:40002/two/", 7, true, true, false}
	if got := <-found; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	other, _ := http.NewRequest("GET", "/", nil)
	if PrefixOf(other) != "" || ConnectionOf(other) != 0 {
		t.Error("facts about a request of somebody else")
	}
}

// A target that is no URL gets 400, as with net/http.
func TestBadTarget(t *testing.T) {
	s := serveFunc(t, func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
	for _, target := range []string{"/%zz", "http://[::1", "x"} {
		if x := s.Do(fakedaemon.Request{Target: target}); x.Status != 400 || x.Field("Connection") != "close" {
			t.Errorf("%q: status %d", target, x.Status)
		}
	}
}

// OPTIONS * is answered by the server, as with net/http.
func TestServerOptions(t *testing.T) {
	s := serveFunc(t, func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
	if x := s.Do(fakedaemon.Request{Method: "OPTIONS", Target: "*", Body: "x"}); x.Status != 200 ||
		x.Field("Content-Length") != "0" {
		t.Errorf("status %d, fields %v", x.Status, x.Fields)
	}
}

// A body arrives piece by piece, and its windows are given back as it is read.
func TestBodyFlow(t *testing.T) {
	const size = 1 << 20
	sum := func(r io.Reader) (n int, sum uint32) {
		b := make([]byte, 10_000)
		for {
			k, err := r.Read(b)
			for _, c := range b[:k] {
				sum = sum*31 + uint32(c)
			}
			n += k
			if err != nil {
				if err != io.EOF {
					t.Error(err)
				}
				return n, sum
			}
		}
	}
	text := strings.Repeat("0123456789abcde\n", size/16)
	wantN, wantSum := sum(strings.NewReader(text))
	for _, length := range []int64{size, -1} {
		s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
			n, got := sum(r.Body)
			fmt.Fprint(w, n == wantN && got == wantSum)
			if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("behind the end: %d, %v", n, err)
			}
		})
		x := s.Start(fakedaemon.Request{Method: "PUT", Body: text[:100], Open: true, Length: length})
		x.Data(text[100:], true)
		if x.Wait(); string(x.Body) != "true" {
			t.Errorf("length %d: body %q", length, x.Body)
		}
	}
}

// A body that nobody reads holds no more than its window.
func TestBodyWindow(t *testing.T) {
	read, finish := make(chan struct{}), make(chan struct{})
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		<-read
		n, err := io.CopyN(io.Discard, r.Body, 40_000)
		if n != 40_000 || err != nil {
			t.Error(n, err)
		}
		<-finish
	})
	x := s.Start(fakedaemon.Request{Method: "PUT", Open: true, Length: 1 << 20})
	x.Data(strings.Repeat("x", bodyWindow), false)
	if n := x.SendWindow(); n != 0 {
		t.Errorf("window of %d bytes", n)
	}
	close(read)
	x.Until("a window", func() bool { return x.SendWindowLocked() > 0 })
	close(finish)
	if x.Wait(); x.Ended != "END" {
		t.Errorf("ended by %q", x.Ended)
	}
}

// A daemon that overdraws loses the session.
func TestBodyOverdrawn(t *testing.T) {
	var book logBook
	s, d := serve(t, fakedaemon.Config{Lenient: true}, &Server{ErrorLog: book.logger(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		})})
	x := s.Start(fakedaemon.Request{Method: "PUT", Open: true, Length: 1 << 20})
	x.Data(strings.Repeat("x", bodyWindow), false)
	s.Loops[0].Send(channel.AppendFrame(nil, channel.Data, 0, 1, 0, []byte("x")))
	d.Session(2)
	if !strings.Contains(book.String(), "window") {
		t.Errorf("log: %s", &book)
	}
}

// The end of a body that does not come.
func TestBodyBroken(t *testing.T) {
	for _, test := range []struct {
		name   string
		reason uint16
		want   error
		done   bool // the context ends
	}{
		{"the body is broken", channel.CancelBody, io.ErrUnexpectedEOF, false},
		{"the client is gone", channel.CancelGone, io.ErrUnexpectedEOF, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			type result struct {
				body string
				err  error
				done bool
			}
			running, got := make(chan struct{}), make(chan result, 1)
			s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
				close(running)
				b, err := io.ReadAll(r.Body)
				got <- result{string(b), err, r.Context().Err() != nil}
			})
			x := s.Start(fakedaemon.Request{Method: "PUT", Body: "begin", Open: true, Length: 100})
			<-running
			x.Cancel(test.reason)
			r := <-got
			if r.body != "begin" || r.err != test.want || r.done != test.done {
				t.Errorf("got %+v", r)
			}
			x.Wait()
			if gone := test.reason == channel.CancelGone; (x.Ended == "CANCEL") != gone {
				t.Errorf("ended by %s", x.Ended)
			}
		})
	}
}

// A client that has closed its sending side still gets an answer; the context
// ends, as with net/http.
func TestHalfClosedClient(t *testing.T) {
	running := make(chan struct{})
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
		io.WriteString(w, "answer")
	})
	x := s.Start(fakedaemon.Request{})
	<-running
	x.Cancel(channel.CancelHalfClosed)
	if x.Wait(); string(x.Body) != "answer" || x.Ended != "END" {
		t.Errorf("body %q, ended by %s", x.Body, x.Ended)
	}
}

// Trailers are announced with nil values and have theirs after the body.
func TestRequestTrailers(t *testing.T) {
	trailers := make(chan http.Header, 2)
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		trailers <- r.Trailer.Clone()
		io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer.Clone()
		if r.Header.Get("Trailer") != "" {
			t.Error("Trailer is still in the header")
		}
	})
	x := s.Start(fakedaemon.Request{Method: "POST", Body: "abc", Open: true, Length: -1,
		Fields: []string{"Transfer-Encoding: chunked", "Trailer: x-sum, Content-Length, X-Other"}})
	x.SendTrailers("x-sum: 12", "X-More: a", "X-More: b")
	x.Wait()
	if diff := cmp.Diff(http.Header{"X-Sum": nil, "X-Other": nil}, <-trailers); diff != "" {
		t.Error("announced:\n", diff)
	}
	if diff := cmp.Diff(http.Header{"X-Sum": {"12"}, "X-Other": nil, "X-More": {"a", "b"}}, <-trailers); diff != "" {
		t.Error("at the end:\n", diff)
	}
}

// 100 Continue is sent when the handler reads, once, and not after it has
// answered.
func TestExpectContinue(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		informs string
		body    string
	}{
		{"reads", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }, "[100]", "abcdef"},
		{"does not read", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) }, "[]", ""},
		{"answers, then reads", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			r.Body.Read(make([]byte, 1))
		}, "[]", ""},
		{"says it", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(100)
			io.Copy(w, r.Body)
		}, "[100]", "abcdef"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serveFunc(t, test.handler)
			x := s.Start(fakedaemon.Request{Method: "PUT", Open: true, Length: 6, Flags: channel.RequestContinue,
				Fields: []string{"Expect: 100-continue", "Content-Length: 6"}})
			x.Until("100 or the head", func() bool { return len(x.Informs) > 0 || x.Status != 0 })
			x.Data("abcdef", true)
			x.Wait()
			if got := fmt.Sprint(x.Informs); got != test.informs || string(x.Body) != test.body {
				t.Errorf("informed of %s, body %q", got, x.Body)
			}
		})
	}
}

// What else a client may expect is not for handlers (RFC 9110 10.1.1).
func TestOtherExpectations(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {})
	for expect, status := range map[string]int{
		"100-continue": 200, "a-miracle, 100-Continue": 200, "": 200, "a-miracle": 417,
	} {
		x := s.Do(fakedaemon.Request{Fields: []string{"Expect: " + expect}})
		if x.Status != status || status == 417 && x.Field("Connection") != "close" {
			t.Errorf("%q: status %d with %v, want %d", expect, x.Status, x.Fields, status)
		}
	}
}

// After the handler nobody reads the body any more.
func TestBodyAfterHandler(t *testing.T) {
	body := make(chan io.ReadCloser, 1)
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) { body <- r.Body })
	s.Do(fakedaemon.Request{Method: "POST", Body: "abc", Fields: []string{"Content-Length: 3"}})
	if _, err := (<-body).Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
		t.Errorf("got %v", err)
	}
}

func TestBodyClose(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		r.Body.Close()
		_, err := r.Body.Read(make([]byte, 1))
		fmt.Fprint(w, err == http.ErrBodyReadAfterClose)
	})
	x := s.Start(fakedaemon.Request{Method: "POST", Body: "abc", Open: true, Length: 1000})
	x.Data(strings.Repeat("x", 997), true)
	if x.Wait(); string(x.Body) != "true" {
		t.Errorf("body %q", x.Body)
	}
}

func TestMaxBytesReader(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4))
		if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
			http.Error(w, fmt.Sprint(e.Limit), http.StatusRequestEntityTooLarge)
		}
	})
	if x := s.Do(fakedaemon.Request{Method: "POST", Body: "abcd"}); x.Status != 200 {
		t.Errorf("at the limit: status %d", x.Status)
	}
	if x := s.Do(fakedaemon.Request{Method: "POST", Body: "abcde"}); x.Status != 413 || string(x.Body) != "4\n" {
		t.Errorf("beyond the limit: status %d, body %q", x.Status, x.Body)
	}
}

func TestReadDeadline(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		_, err := io.ReadAll(r.Body)
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("got %v", err)
		}
		// A deadline can be taken back.
		c.SetReadDeadline(time.Time{})
		io.WriteString(w, "waiting")
		c.Flush()
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, " %s %v", b, err)
	})
	x := s.Start(fakedaemon.Request{Method: "POST", Open: true, Length: -1})
	x.UntilBody("waiting")
	x.Data("late", true)
	if x.Wait(); string(x.Body) != "waiting late <nil>" {
		t.Errorf("body %q", x.Body)
	}
}

func TestForms(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/file" {
			f, h, err := r.FormFile("f")
			if err != nil {
				t.Error(err)
				return
			}
			b, _ := io.ReadAll(f)
			fmt.Fprintf(w, "%s %s", h.Filename, b)
			return
		}
		fmt.Fprint(w, r.FormValue("a"), r.PostFormValue("b"), r.URL.Query().Get("q"))
	})
	x := s.Do(fakedaemon.Request{Method: "POST", Target: "/?q=3", Body: "a=1&b=2",
		Fields: []string{"Content-Type: application/x-www-form-urlencoded"}})
	if string(x.Body) != "123" {
		t.Errorf("body %q", x.Body)
	}
	var text strings.Builder
	form := multipart.NewWriter(&text)
	part, _ := form.CreateFormFile("f", "name.txt")
	io.WriteString(part, "contents")
	form.Close()
	x = s.Do(fakedaemon.Request{Method: "POST", Target: "/file", Body: text.String(),
		Fields: []string{"Content-Type: " + form.FormDataContentType()}})
	if string(x.Body) != "name.txt contents" {
		t.Errorf("body %q", x.Body)
	}
}

func TestServeMuxPattern(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /app/{id}/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Pattern, " ", r.PathValue("id"), " ", r.PathValue("rest"))
	})
	s, _ := serve(t, fakedaemon.Config{}, &Server{Handler: mux})
	if x := s.Do(fakedaemon.Request{Target: "/app/7/a/b"}); string(x.Body) != "GET /app/{id}/{rest...} 7 a/b" {
		t.Errorf("body %q", x.Body)
	}
}
