package httpsys

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// listenAt returns a listener with its fake daemon.
func listenAt(t *testing.T, conf fakedaemon.Config) (net.Listener, *fakedaemon.Session) {
	t.Helper()
	d := fakedaemon.New(t, conf)
	var book logBook
	s := &Server{Prefixes: []string{"http://+:8080/"}, Socket: d.Path, ErrorLog: book.logger()}
	ln, err := s.Listen(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		shutdown(t, s)
		if book.String() != "" {
			t.Errorf("logged: %s", &book)
		}
	})
	return ln, d.Session(1)
}

// accepted starts a request and accepts its connection.
func accepted(t *testing.T, ln net.Listener, s *fakedaemon.Session,
	r fakedaemon.Request) (*fakedaemon.Exchange, net.Conn) {
	t.Helper()
	x := s.Start(r)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return x, c
}

// readText reads n bytes.
func readText(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Errorf("after %q: %v", b, err)
	}
	return string(b)
}

// The text of a request is the client's: spelling, order and duplicates.
func TestListenRequestText(t *testing.T) {
	for _, test := range []struct {
		name string
		r    fakedaemon.Request
		want string
	}{
		{"fields as they were", fakedaemon.Request{Target: "/a%20b?c",
			Fields: []string{"aCCept: x", "X-B: 1", "x-b: 2", "X-Empty: "}},
			"GET /a%20b?c HTTP/1.1\r\nHost: example.test\r\naCCept: x\r\nX-B: 1\r\nx-b: 2\r\nX-Empty: \r\n\r\n"},
		{"HTTP/1.0", fakedaemon.Request{Version: 10}, "GET / HTTP/1.0\r\nHost: example.test\r\n\r\n"},
		{"absolute form", fakedaemon.Request{Target: "http://b.test/x"},
			"GET http://b.test/x HTTP/1.1\r\nHost: example.test\r\n\r\n"},
		{"a body", fakedaemon.Request{Method: "PUT", Body: "abc", Fields: []string{"content-length: 3"}},
			"PUT / HTTP/1.1\r\nHost: example.test\r\ncontent-length: 3\r\n\r\nabc"},
		{"a chunked body", fakedaemon.Request{Method: "PUT", Body: "abcdefghijklmnopq", Length: -1,
			Fields: []string{"Transfer-Encoding: chunked"}},
			"PUT / HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n11\r\nabcdefghijklmnopq\r\n0\r\n\r\n"},
		{"HTTP/2 says the length nowhere", fakedaemon.Request{Version: 20, Method: "PUT", Body: "abc"},
			"PUT / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 3\r\n\r\nabc"},
		{"nor that it does not know it", fakedaemon.Request{Version: 20, Method: "PUT", Body: "abc", Length: -1},
			"PUT / HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ln, s := listenAt(t, fakedaemon.Config{})
			x, c := accepted(t, ln, s, test.r)
			if got := readText(t, c, len(test.want)); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			if x.Wait(); x.Status != 204 {
				t.Errorf("status %d", x.Status)
			}
			c.Close()
		})
	}
}

// Trailers come behind the last chunk.
func TestListenRequestTrailers(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{})
	x, c := accepted(t, ln, s, fakedaemon.Request{Method: "PUT", Open: true, Length: -1,
		Fields: []string{"Transfer-Encoding: chunked"}})
	x.Data("abc", false)
	x.SendTrailers("X-Sum: 6", "X-Sum: 7")
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if string(b) != "abc" || err != nil || fmt.Sprint(r.Trailer) != "map[X-Sum:[6 7]]" {
		t.Errorf("%q, %v, %v", b, err, r.Trailer)
	}
	io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	x.Wait()
	c.Close()
}

// Responses in every framing, whole and cut at every byte.
func TestListenResponses(t *testing.T) {
	for _, test := range []struct {
		name     string
		method   string
		text     string
		close    bool // the end of the connection is the end of the body
		status   int
		fields   string
		body     string
		trailers string
		informs  string
	}{
		{name: "a length", text: "HTTP/1.1 200 Fine\r\nX-a: b\r\nContent-Length: 5\r\n\r\nhello",
			status: 200, fields: "[X-a: b Content-Length: 5]", body: "hello"},
		{name: "nothing", text: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, fields: "[]"},
		{name: "chunks", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
			status: 200,
			fields: "[Transfer-Encoding: chunked]", body: "abcdefg"},
		{name: "trailers", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nRange: x\r\n\r\n",
			status: 200,
			fields: "[Transfer-Encoding: chunked]", body: "abc", trailers: "[X-Sum: 7]"},
		{name: "until the end", text: "HTTP/1.1 200 OK\r\n\r\nall of this", close: true,
			status: 200, fields: "[]", body: "all of this"},
		{name: "informational first",
			text:   "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
			status: 200, fields: "[Content-Length: 1]", body: "x", informs: "[100 103 Link: a]"},
		{name: "HEAD", method: "HEAD", text: "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
			status: 200, fields: "[Content-Length: 500]"},
		{name: "not modified", text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
			status: 304, fields: "[Content-Length: 500]"},
		{name: "HTTP/1.0", text: "HTTP/1.0 200 OK\r\n\r\nold", close: true, status: 200, fields: "[]", body: "old"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ln, s := listenAt(t, fakedaemon.Config{})
			for cut := 0; cut < len(test.text); cut++ {
				x, c := accepted(t, ln, s, fakedaemon.Request{Method: test.method})
				go io.Copy(io.Discard, c)
				for _, part := range []string{test.text[:cut], test.text[cut:]} {
					if _, err := io.WriteString(c, part); err != nil && len(part) > 0 {
						t.Fatalf("cut at %d: %v", cut, err)
					}
				}
				if test.close {
					c.Close()
				}
				x.Wait()
				ended := "END"
				if test.trailers != "" {
					ended = "TRAILERS"
				}
				if x.Status != test.status || !x.Text || fmt.Sprint(x.Fields) != test.fields || string(x.Body) != test.body ||
					x.Ended != ended ||
					test.trailers != "" && fmt.Sprint(x.Trailers) != test.trailers ||
					test.informs != "" && fmt.Sprint(x.Informs) != test.informs {
					t.Fatalf("cut at %d: status %d, fields %v, body %q, trailers %v, informs %v, ended by %s",
						cut, x.Status, x.Fields, x.Body, x.Trailers, x.Informs, x.Ended)
				}
				c.Close()
			}
		})
	}
}

// What is no response, or one too many, costs its request and connection.
func TestListenBadResponses(t *testing.T) {
	for name, text := range map[string]string{
		"not HTTP":         "hello\r\n\r\n",
		"bad field":        "HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
		"bad chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"a head too long":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70_000),
		"length and chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			ln, s := listenAt(t, fakedaemon.Config{})
			x, c := accepted(t, ln, s, fakedaemon.Request{})
			if _, err := io.WriteString(c, text); err == nil {
				t.Error("Write succeeded")
			}
			if x.Wait(); x.Ended != "CANCEL" {
				t.Errorf("ended by %s", x.Ended)
			}
			c.Close()
			// Others are not affected.
			x, c = accepted(t, ln, s, fakedaemon.Request{})
			go io.Copy(io.Discard, c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			x.Wait()
			if _, err := io.WriteString(c, "more"); err == nil {
				t.Error("bytes behind the response were taken")
			}
			c.Close()
		})
	}
}

// A client's next request comes on its connection, if that can take it.
func TestListenKeepAlive(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{})
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
	x, c := accepted(t, ln, s, fakedaemon.Request{Connection: 7, Target: "/1"})
	br := bufio.NewReader(c)
	next := func(c net.Conn, br *bufio.Reader, want, body string) {
		t.Helper()
		r, err := http.ReadRequest(br)
		if err != nil {
			t.Fatal(err)
		}
		if r.RequestURI != want {
			t.Errorf("got %s, want %s", r.RequestURI, want)
		}
		io.WriteString(c, ok+body)
	}
	next(c, br, "/1", "ab")
	x.Wait()
	// The same client: the same connection, begun at once.
	x = s.Start(fakedaemon.Request{Connection: 7, Target: "/2"})
	next(c, br, "/2", "cd")
	if x.Wait(); string(x.Body) != "cd" {
		t.Errorf("body %q", x.Body)
	}
	if n := s.Loops[0].Begun(); n != 2 {
		t.Errorf("%d begun", n)
	}
	// Another client: another connection.
	y, other := accepted(t, ln, s, fakedaemon.Request{Connection: 8, Target: "/3", Client: "[2001:db8::7]:1"})
	if other.RemoteAddr().String() != "[2001:db8::7]:1" || c.RemoteAddr().String() != "192.0.2.1:4711" {
		t.Errorf("%v and %v", other.RemoteAddr(), c.RemoteAddr())
	}
	next(other, bufio.NewReader(other), "/3", "ef")
	y.Wait()
	// Two requests of a client at once, as with HTTP/2: two connections.
	x = s.Start(fakedaemon.Request{Connection: 7, Target: "/4"})
	z, third := accepted(t, ln, s, fakedaemon.Request{Connection: 7, Target: "/5"})
	next(third, bufio.NewReader(third), "/5", "gh")
	next(c, br, "/4", "ij")
	x.Wait()
	z.Wait()
	// A connection that is closed is not used again.
	c.Close()
	third.Close()
	x, c = accepted(t, ln, s, fakedaemon.Request{Connection: 7, Target: "/6"})
	next(c, bufio.NewReader(c), "/6", "kl")
	x.Wait()
	c.Close()
	other.Close()
}

// Without keep-alive, or with a request that was not read, the connection ends.
func TestListenNoKeepAlive(t *testing.T) {
	for name, test := range map[string]struct {
		r    fakedaemon.Request
		text string
	}{
		"the server closes": {fakedaemon.Request{}, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		"HTTP/1.0":          {fakedaemon.Request{}, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
		"an unread body": {fakedaemon.Request{Method: "POST", Body: "abc",
			Fields: []string{"Content-Length: 3"}}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, s := listenAt(t, fakedaemon.Config{})
			test.r.Connection = 7
			x, c := accepted(t, ln, s, test.r)
			br := bufio.NewReaderSize(c, 16)
			for {
				line, err := br.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if line == "\r\n" {
					break
				}
			}
			io.WriteString(c, test.text)
			x.Wait()
			if rest, err := io.ReadAll(br); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %q, %v", rest, err)
			}
			y, other := accepted(t, ln, s, fakedaemon.Request{Connection: 7})
			go io.Copy(io.Discard, other)
			io.WriteString(other, "HTTP/1.1 204 No Content\r\n\r\n")
			y.Wait()
			other.Close()
			c.Close()
		})
	}
}

// The client's end is an end for the one who reads: a reset, or an end of the
// stream after which an answer can still be written.
func TestListenClientLeaves(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{})
	x, c := accepted(t, ln, s, fakedaemon.Request{})
	br := bufio.NewReader(c)
	http.ReadRequest(br)
	go x.Cancel(channel.CancelGone)
	if _, err := br.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"); err == nil {
		t.Error("write: no error")
	}
	c.Close()
	x.Wait()

	x, c = accepted(t, ln, s, fakedaemon.Request{})
	br = bufio.NewReader(c)
	http.ReadRequest(br)
	go x.Cancel(channel.CancelHalfClosed)
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
	if x.Wait(); string(x.Body) != "x" || x.Ended != "END" {
		t.Errorf("body %q", x.Body)
	}
	c.Close()
}

// Closing in the middle of a response cuts it off.
func TestListenCloseInside(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{})
	for _, text := range []string{"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"} {
		x, c := accepted(t, ln, s, fakedaemon.Request{})
		io.WriteString(c, text)
		c.Close()
		if x.Wait(); x.Ended != "CANCEL" {
			t.Errorf("%q: ended by %s", text, x.Ended)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	}
}

func TestListenDeadlines(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{Window: 4096, ManualWindow: true})
	x, c := accepted(t, ln, s, fakedaemon.Request{Method: "PUT", Open: true, Length: 10,
		Fields: []string{"Content-Length: 10"}})
	br := bufio.NewReader(c)
	r, _ := http.ReadRequest(br)
	// While it waits for the body.
	c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if _, err := r.Body.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("body: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	x.Data("0123456789", true)
	b := make([]byte, 10)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "0123456789" {
		t.Errorf("body: %q, %v", b, err)
	}
	// While it waits for the next request; interrupted, as net/http does it.
	go c.SetReadDeadline(time.Unix(1, 0))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("idle: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("idle: %v", err)
	}
	c.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 5000)); !errors.Is(err,
		os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
	c.Close()
	if err := c.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	x.Wait()
}

// Nor can it be answered by 101 where nobody asked: the client gets 500.
func TestListenNotUpgraded(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{})
	x, c := accepted(t, ln, s, fakedaemon.Request{})
	if _, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n"); !errors.Is(err, errNotUpgraded) {
		t.Errorf("write: %v", err)
	}
	if x.Wait(); x.Status != 500 || x.Ended != "END" {
		t.Errorf("status %d, ended by %s", x.Status, x.Ended)
	}
	c.Close()
}

// 101 turns the connection into the client's own.
func TestListenUpgrade(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{})
	x, c := accepted(t, ln, s, fakedaemon.Request{Flags: channel.RequestUpgrade,
		Fields: []string{"Connection: Upgrade", "Upgrade: echo"}})
	br := bufio.NewReader(c)
	http.ReadRequest(br)
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nwelcome ")
	x.UntilBody("welcome ")
	x.Data("ping", false)
	b := make([]byte, 4)
	io.ReadFull(br, b)
	c.Write(b)
	x.UntilBody("welcome ping")
	c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	c.Close()
	if x.Wait(); x.Status != 101 || !x.Opaque || x.CloseValue != cancelClose || x.Field("Upgrade") != "echo" {
		t.Errorf("status %d, opaque %v, fields %v", x.Status, x.Opaque, x.Fields)
	}
}

// net/http serves the listener like any other.
func TestListenNetHTTP(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{Loops: 2})
	if addr := ln.Addr().(*net.TCPAddr); addr.Port != 8080 {
		t.Errorf("address %v", addr)
	}
	var book logBook
	server := &http.Server{ErrorLog: book.logger(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/wait":
				<-r.Context().Done()
			case "/tls":
				fmt.Fprint(w, r.TLS != nil)
			default:
				body, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %s %s", r.RemoteAddr, r.Context().Value(http.LocalAddrContextKey), body)
			}
		})}
	done := make(chan error)
	go func() { done <- server.Serve(ln) }()
	const want = "192.0.2.1:4711 192.0.2.80:8080 "
	if x := s.Do(fakedaemon.Request{}); string(x.Body) != want {
		t.Errorf("body %q", x.Body)
	}
	large := strings.Repeat("0123456789abcdef", 20_000)
	x := s.Start(fakedaemon.Request{Method: "POST", Open: true, Length: -1, Connection: 5, Loop: 1,
		Fields: []string{"Transfer-Encoding: chunked", "Expect: 100-continue"}, Flags: channel.RequestContinue})
	x.Until("100", func() bool { return len(x.Informs) == 1 })
	x.Data(large, true)
	if x.Wait(); string(x.Body) != want+large {
		t.Errorf("%d bytes", len(x.Body))
	}
	if x := s.Do(fakedaemon.Request{Connection: 5, Loop: 1, Method: "POST", Body: "again",
		Fields: []string{"Content-Length: 5"}}); string(x.Body) != want+"again" {
		t.Errorf("body %q", x.Body)
	}
	if x := s.Do(fakedaemon.Request{Target: "/tls", Flags: channel.RequestTLS}); string(x.Body) != "true" {
		t.Errorf("TLS: %s", x.Body)
	}
	gone := s.Start(fakedaemon.Request{Target: "/wait"})
	gone.Cancel(channel.CancelGone)
	gone.Wait()
	half := s.Start(fakedaemon.Request{Target: "/wait"})
	half.Cancel(channel.CancelHalfClosed)
	if half.Wait(); half.Status != 200 {
		t.Errorf("after a half-close: status %d", half.Status)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != http.ErrServerClosed {
		t.Error(err)
	}
	s.WaitClosed()
	if book.String() != "" {
		t.Errorf("logged: %s", &book)
	}
}

// Closing the listener ends Accept, refuses what nobody accepted, and lets
// connections finish.
func TestListenClose(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{})
	x, c := accepted(t, ln, s, fakedaemon.Request{})
	go io.Copy(io.Discard, c)
	waiting := s.Start(fakedaemon.Request{})
	other := s.Start(fakedaemon.Request{})
	other.Cancel(channel.CancelGone)
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if waiting.Wait(); waiting.Status != 503 {
		t.Errorf("status %d", waiting.Status)
	}
	other.Wait()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Close: %v", err)
	}
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
	if x.Wait(); string(x.Body) != "done" {
		t.Errorf("body %q", x.Body)
	}
	s.WaitClosed()
	c.Close()
}

// A connection whose client stays silent is hung up.
func TestListenReap(t *testing.T) {
	ln, s := listenAt(t, fakedaemon.Config{})
	x, c := accepted(t, ln, s, fakedaemon.Request{})
	br := bufio.NewReader(c)
	http.ReadRequest(br)
	io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	x.Wait()
	l := ln.(*listener)
	l.reap() // too early
	if len(l.idle) != 1 {
		t.Fatalf("%d connections are idle", len(l.idle))
	}
	l.mu.Lock()
	for _, c := range l.idle {
		c.since = c.since.Add(-2 * idleConn)
	}
	l.mu.Unlock()
	l.reap()
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	c.Close()
}
