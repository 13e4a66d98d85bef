package httpsys

import (
	"bufio"
	"errors"
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

// hijacked serves one request with a handler that gets the connection.
func hijacked(t *testing.T, r fakedaemon.Request, f func(net.Conn, *bufio.ReadWriter)) *fakedaemon.Exchange {
	t.Helper()
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		f(c, rw)
	})
	return s.Start(r)
}

// The connection as it is: no head from the daemon, bytes both ways, an end in
// each direction.
func TestHijack(t *testing.T) {
	x := hijacked(t, fakedaemon.Request{}, func(c net.Conn, rw *bufio.ReadWriter) {
		if c.RemoteAddr().String() != "192.0.2.1:4711" || c.LocalAddr().String() != "192.0.2.80:8080" {
			t.Errorf("from %v to %v", c.RemoteAddr(), c.LocalAddr())
		}
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n")
		rw.Flush()
		line, err := rw.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		io.WriteString(c, "you said "+line)
		rest, err := io.ReadAll(rw)
		if string(rest) != "rest" || err != nil {
			t.Errorf("got %q, %v", rest, err)
		}
		c.Close()
	})
	x.UntilBody("HTTP/1.1 101 Switching Protocols\r\n\r\n")
	x.Data("hello\n", false)
	x.UntilBody("HTTP/1.1 101 Switching Protocols\r\n\r\nyou said hello\n")
	x.Data("rest", true)
	if x.Wait(); !x.Opaque || x.Status != 0 || x.Ended != "CANCEL" || x.CloseValue != cancelClose {
		t.Errorf("%+v", x)
	}
}

// As coder/websocket does it: the head is the daemon's to send.
func TestHijackAfter101(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(101)
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(c, rw)
		c.Close()
	})
	x := s.Start(fakedaemon.Request{Flags: channel.RequestUpgrade,
		Fields: []string{"Connection: Upgrade", "Upgrade: websocket"}})
	x.Until("101", func() bool { return x.Opaque })
	x.Data("ping", true)
	if x.Wait(); x.Status != 101 || x.Field("Upgrade") != "websocket" || x.Field("Connection") != "Upgrade" ||
		string(x.Body) != "ping" {
		t.Errorf("status %d, fields %v, body %q", x.Status, x.Fields, x.Body)
	}
}

// What the head becomes when the daemon cannot send it, or must not.
func TestHijackHeads(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      fakedaemon.Request
		code   int
		status int
		text   string
	}{
		{"200", fakedaemon.Request{}, 200, 0, "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n"},
		{"CONNECT", fakedaemon.Request{Method: "CONNECT", Target: "a.test:443"}, 200, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-A", "b")
				w.WriteHeader(test.code)
				c, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(c, "bytes")
				c.Close()
			})
			if x := s.Do(test.r); x.Status != test.status || string(x.Body) != test.text+"bytes" || !x.Opaque {
				t.Errorf("status %d, body %q", x.Status, x.Body)
			}
		})
	}
}

// 101 to a request that asks for no upgrade would leave the client with bytes
// that it takes for HTTP.
func TestHijackNotAsked(t *testing.T) {
	var book logBook
	s, _ := serve(t, fakedaemon.Config{}, &Server{ErrorLog: book.logger(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "b")
		w.WriteHeader(101)
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, errNotUpgraded) {
			t.Errorf("Hijack: %v", err)
		}
	})})
	if x := s.Do(fakedaemon.Request{}); x.Status != 500 || x.Opaque || x.Field("X-A") != "b" {
		t.Errorf("status %d, opaque %v", x.Status, x.Opaque)
	}
	if !strings.Contains(book.String(), "WriteHeader(101)") {
		t.Errorf("logged: %s", &book)
	}
}

func TestHijackRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      fakedaemon.Request
		before func(http.ResponseWriter)
		err    error
	}{
		{"HTTP/2", fakedaemon.Request{Version: 20}, nil, http.ErrNotSupported},
		{"the body is not there", fakedaemon.Request{Method: "POST", Open: true, Length: 5}, nil, errHijackBody},
		{"the response has begun", fakedaemon.Request{}, func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
			errHijackHead},
		{"twice", fakedaemon.Request{}, func(w http.ResponseWriter) {
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Close()
		}, http.ErrHijacked},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := make(chan error, 1)
			s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
				if test.before != nil {
					test.before(w)
				}
				_, _, err := w.(http.Hijacker).Hijack()
				got <- err
			})
			s.Do(test.r)
			if err := <-got; !errors.Is(err, test.err) {
				t.Errorf("got %v, want %v", err, test.err)
			}
		})
	}
}

// 101 without anybody who takes the connection over ends at once.
func Test101WithoutHijack(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(101) })
	if x := s.Do(fakedaemon.Request{Flags: channel.RequestUpgrade}); x.Status != 101 || x.Ended != "CANCEL" ||
		x.CloseValue != cancelClose {
		t.Errorf("status %d, ended by %s", x.Status, x.Ended)
	}
}

// The response is no way to the client any more.
func TestResponseAfterHijack(t *testing.T) {
	var book logBook
	s, _ := serve(t, fakedaemon.Config{}, &Server{ErrorLog: book.logger(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			w.WriteHeader(200)
			if _, err := w.Write([]byte("x")); err != http.ErrHijacked {
				t.Error(err)
			}
			if err := http.NewResponseController(w).Flush(); err != http.ErrHijacked {
				t.Error(err)
			}
			c.Close()
		})})
	if x := s.Do(fakedaemon.Request{}); len(x.Body) > 0 {
		t.Errorf("body %q", x.Body)
	}
	for _, want := range []string{"response.WriteHeader on hijacked connection",
		"response.Write on hijacked connection"} {
		if !strings.Contains(book.String(), want) {
			t.Errorf("not logged: %s", want)
		}
	}
}

// The connection outlives its handler, and does not count among MaxHandlers.
func TestHijackOutlivesHandler(t *testing.T) {
	conns := make(chan net.Conn, 3)
	s, _ := serve(t, fakedaemon.Config{}, &Server{MaxHandlers: 1,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/plain" {
				io.WriteString(w, "plain")
				return
			}
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
			}
			conns <- c
			if r.URL.Path == "/stay" {
				<-r.Context().Done()
			}
		})})
	stay := s.Start(fakedaemon.Request{Target: "/stay"})
	a := <-conns
	leave := s.Start(fakedaemon.Request{Target: "/leave"})
	b := <-conns
	if x := s.Do(fakedaemon.Request{Target: "/plain"}); string(x.Body) != "plain" {
		t.Errorf("body %q", x.Body)
	}
	io.WriteString(b, "alive")
	leave.UntilBody("alive")
	b.Close()
	leave.Wait()
	stay.Cancel(channel.CancelGone)
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	a.Close()
	stay.Wait()
	for range 3 {
		s.Do(fakedaemon.Request{Target: "/plain"})
	}
}

func TestHijackedConn(t *testing.T) {
	t.Run("deadlines", func(t *testing.T) {
		x := hijacked(t, fakedaemon.Request{}, func(c net.Conn, _ *bufio.ReadWriter) {
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			if ne, ok := err.(net.Error); !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: %v", err)
			}
			// From another goroutine, as those do that interrupt a read.
			c.SetDeadline(time.Time{})
			go c.SetReadDeadline(time.Unix(1, 0))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("interrupted: %v", err)
			}
			c.SetWriteDeadline(time.Unix(1, 0))
			if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write: %v", err)
			}
			c.SetWriteDeadline(time.Time{})
			if _, err := c.Write([]byte("x")); err != nil {
				t.Errorf("write: %v", err)
			}
		})
		if x.Wait(); string(x.Body) != "x" {
			t.Errorf("body %q", x.Body)
		}
	})
	t.Run("half-close", func(t *testing.T) {
		x := hijacked(t, fakedaemon.Request{}, func(c net.Conn, _ *bufio.ReadWriter) {
			defer c.Close()
			io.WriteString(c, "request")
			if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("write: %v", err)
			}
			b, err := io.ReadAll(c)
			if string(b) != "answer" || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
		})
		x.Until("the half-close", func() bool { return x.HalfClosed })
		x.Data("answer", true)
		x.Wait()
	})
	t.Run("closed", func(t *testing.T) {
		x := hijacked(t, fakedaemon.Request{}, func(c net.Conn, _ *bufio.ReadWriter) {
			done := make(chan error)
			go func() {
				_, err := c.Read(make([]byte, 1))
				done <- err
			}()
			c.Close()
			if err := <-done; !errors.Is(err, net.ErrClosed) {
				t.Errorf("waiting read: %v", err)
			}
			_, err := c.Write([]byte("x"))
			for what, err := range map[string]error{"write": err, "close": c.Close(),
				"deadline": c.SetDeadline(time.Time{})} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
		x.Wait()
	})
	t.Run("much", func(t *testing.T) {
		const size = 1 << 20
		x := hijacked(t, fakedaemon.Request{}, func(c net.Conn, _ *bufio.ReadWriter) {
			written := make(chan struct{})
			go func() {
				defer close(written)
				c.Write(make([]byte, size))
				c.(interface{ CloseWrite() error }).CloseWrite()
			}()
			if n, err := io.Copy(io.Discard, c); n != size || err != nil {
				t.Error(n, err)
			}
			<-written
			c.Close()
		})
		x.Until("the opaque mode", func() bool { return x.Opaque })
		x.Data(strings.Repeat("x", size), true)
		if x.Wait(); len(x.Body) != size {
			t.Errorf("%d bytes", len(x.Body))
		}
	})
}

// Bytes that the client sent behind its request are the first to be read.
func TestHijackWithBody(t *testing.T) {
	x := hijacked(t, fakedaemon.Request{Method: "POST", Body: "body"}, func(c net.Conn, rw *bufio.ReadWriter) {
		b := make([]byte, 4)
		io.ReadFull(rw, b)
		c.Write(b)
		c.Close()
	})
	if x.Wait(); string(x.Body) != "body" {
		t.Errorf("body %q", x.Body)
	}
}
