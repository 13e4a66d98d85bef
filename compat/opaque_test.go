package compat

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/httpsys/httpsys"
)

// What becomes of an upgraded connection when somebody does not behave, on each
// way to it.

// say has a message echoed.
func say(t *testing.T, c io.ReadWriter, message string) {
	t.Helper()
	if err := wsutil.WriteClientText(c, []byte(message)); err != nil {
		t.Fatal(err)
	}
	got, op, err := wsutil.ReadServerData(c)
	if err != nil || op != ws.OpText || string(got) != message {
		t.Fatalf("got %v %s %v, want %q", op, brief(got), err, message)
	}
}

// A connection on which no byte flows is closed after Timeouts.OpaqueIdle, and
// without that, which is the default, it is not.
func TestOpaqueIdle(t *testing.T) {
	eachWay(t, func(t *testing.T, server string, w way) {
		ended := make(chan error, 2)
		echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := ws.UpgradeHTTP(r, w)
			for err == nil {
				var message []byte
				if message, _, err = wsutil.ReadClientData(c); err == nil {
					err = wsutil.WriteServerText(c, message)
				}
			}
			c.Close()
			ended <- err
		})
		patient := serveAs(t, server, echo, func(*httpsys.Server) {}).upgraded(t, w, "/")
		say(t, patient, "hello")
		limited := serveAs(t, server, echo, func(s *httpsys.Server) { s.Timeouts.OpaqueIdle = 300 * time.Millisecond })
		c := limited.upgraded(t, w, "/")
		say(t, c, "hello")
		if err := await(t, "the end of the handler", ended); err == nil {
			t.Error("the handler sees no end")
		}
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
			t.Errorf("the client sees %q, %v; want an end in order", b, err)
		}
		say(t, patient, "still here")
		patient.Close()
	})
}

// OpaqueLimit bounds how many are relayed at once; each one more gets 503, and a place
// that is free again is given again.
func TestOpaqueLimit(t *testing.T) {
	eachWay(t, func(t *testing.T, server string, w way) {
		host := serveAs(t, server, http.HandlerFunc(echoStrictly), func(s *httpsys.Server) {
			s.OpaqueLimit = 3
			s.Timeouts.OpaqueIdle = time.Hour // to be relayed
		})
		var open []io.ReadWriteCloser
		for range 3 {
			open = append(open, host.upgraded(t, w, "/"))
		}
		for range 20 {
			if c, status := host.upgrade(t, w, "/"); c != nil || status != http.StatusServiceUnavailable {
				t.Errorf("one too many: status %d", status)
			}
		}
		for _, c := range open {
			say(t, c, "hello")
		}
		c := open[0]
		c.Write(normal())
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Error(err)
		}
		c.Close()
		for { // the daemon hears of the end of both sides when it does
			c, status := host.upgrade(t, w, "/")
			if c != nil {
				say(t, c, "hello")
				c.Close()
				break
			}
			if status != http.StatusServiceUnavailable || t.Context().Err() != nil {
				t.Fatalf("status %d", status)
			}
		}
	})
}

// A client that stops reading holds up its own connection only, and what is kept for
// it is bounded. A program's write deadline holds.
func TestOpaqueClientThatDoesNotRead(t *testing.T) {
	eachWay(t, func(t *testing.T, server string, w way) {
		type result struct {
			sent int
			err  error
		}
		flooded := make(chan result, 1)
		var mux http.ServeMux
		mux.HandleFunc("/echo", echoStrictly)
		mux.HandleFunc("/flood", func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				flooded <- result{0, err}
				return
			}
			defer c.Close()
			if tcp, ok := c.(*net.TCPConn); ok {
				tcp.SetWriteBuffer(256 << 10) // the kernel's buffers are not what is tested
			}
			sent, frame := 0, bytes.Repeat([]byte("x"), 64<<10)
			for err == nil && sent < 1<<30 {
				c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
				var n int
				n, err = c.Write(frame)
				sent += n
			}
			flooded <- result{sent, err}
		})
		host := serveAs(t, server, &mux, func(*httpsys.Server) {})
		other := host.upgraded(t, w, "/echo")
		deaf := host.upgraded(t, w, "/flood")
		got := await(t, "the end of the flood", flooded)
		// What is on its way: buffers of the kernel, and the client's own with HTTP/2.
		if !errors.Is(got.err, os.ErrDeadlineExceeded) || got.sent > 32<<20 {
			t.Errorf("%d bytes went to a client that does not read, then: %v", got.sent, got.err)
		}
		say(t, other, "not held up")
		deaf.Close()
		other.Close()
	})
}

// Bytes that come with the handshake are not lost, and frames that say they are
// endless cost nobody but their connection.
func TestOpaqueEarlyAndOversizedFrames(t *testing.T) {
	eachWay(t, func(t *testing.T, server string, w way) {
		host := serveAs(t, server, http.HandlerFunc(echoStrictly), func(*httpsys.Server) {})
		var early []byte
		var want []string
		for i := range 100 {
			message := strings.Repeat(fmt.Sprintf("early %d ", i), i)
			early = append(early, text(message)...)
			want = append(want, said(message))
		}
		endless := ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: mask, Length: 1 << 62}
		var head bytes.Buffer
		ws.WriteHeader(&head, endless)
		// The client cannot know that it will be failed at the head.
		oversized := append(head.Bytes(), bytes.Repeat([]byte("x"), 1<<20)...)
		for name, c := range map[string]wsCase{
			"early":     {want: append(want, closed(1000), "end")},
			"oversized": {send: []wsStep{{0, oversized}}, want: []string{closed(1002), "end"}},
		} {
			first := []byte(nil)
			if name == "early" {
				first = append(early, normal()...)
			}
			rw := host.earlyUpgrade(t, w, "/", first)
			if got := c.run(rw); strings.Join(got, "; ") != strings.Join(c.want, "; ") {
				t.Errorf("%s: got %.300q, want %.300q", name, got, c.want)
			}
			rw.Close()
		}
	})
}

// earlyUpgrade is upgraded, with bytes that follow the request at once.
func (h *http2Host) earlyUpgrade(t *testing.T, w way, path string, early []byte) io.ReadWriteCloser {
	t.Helper()
	if w.http2 {
		h.early = early
		defer func() { h.early = nil }()
		return h.upgraded(t, w, path)
	}
	c, err := net.Dial("tcp", h.plain)
	if w.secure {
		c, err = tls.Dial("tcp", h.secure, &tls.Config{RootCAs: h.roots})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	head := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := c.Write(append([]byte(head), early...)); err != nil {
		t.Fatal(err)
	}
	var b []byte
	for one := make([]byte, 1); !bytes.HasSuffix(b, []byte("\r\n\r\n")); b = append(b, one...) {
		if _, err := c.Read(one); err != nil {
			t.Fatalf("after %q: %v", b, err)
		}
	}
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("got %q", b)
	}
	return c
}

// httputil.ReverseProxy upgrades, and what it is a proxy for gets the bytes of the
// client, whatever way it came.
func TestReverseProxyUpgrades(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(echoStrictly))
	defer back.Close()
	target, _ := url.Parse(back.URL)
	eachWay(t, func(t *testing.T, server string, w way) {
		host := serveAs(t, server, httputil.NewSingleHostReverseProxy(target), func(*httpsys.Server) {})
		c := host.upgraded(t, w, "/")
		for _, n := range []int{0, 1, 126, 70_000, 1 << 20} {
			done := make(chan error, 1)
			message := bytes.Repeat([]byte("x"), n)
			go func() { done <- wsutil.WriteClientBinary(c, message) }()
			if got, _, err := wsutil.ReadServerData(c); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%d bytes: got %s, %v", n, brief(got), err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		c.Write(normal())
		f, err := ws.ReadFrame(c)
		if err != nil || f.Header.OpCode != ws.OpClose {
			t.Errorf("got %v, %v", f.Header, err)
		}
		if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
			t.Errorf("then %q, %v", rest, err)
		}
		c.Close()
	})
}

// A program that pulls accepts WebSockets of every way.
func TestAcceptWebSocketOnEachWay(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			host, q := openQueue(t)
			served := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			go func() {
				served <- func() error {
					in, err := q.Receive(ctx)
					if err != nil {
						return err
					}
					defer in.Close()
					if !in.IsWebSocket() || in.Request.Proto != w.proto() {
						return fmt.Errorf("%s, a WebSocket: %v", in.Request.Proto, in.IsWebSocket())
					}
					c, err := in.AcceptWebSocket(ctx, "echo")
					if err != nil {
						return err
					}
					defer c.CloseNow()
					for {
						kind, message, err := c.Read(ctx)
						if err != nil {
							return nil // it has closed
						}
						if err := c.Write(ctx, kind, message); err != nil {
							return err
						}
					}
				}()
			}()
			c := host.upgraded(t, w, "/")
			say(t, c, "hello")
			c.Write(normal())
			if f, err := ws.ReadFrame(c); err != nil || f.Header.OpCode != ws.OpClose {
				t.Errorf("got %v, %v", f.Header, err)
			}
			if err := await(t, "the end of the program", served); err != nil {
				t.Error(err)
			}
			c.Close()
		})
	}
}
