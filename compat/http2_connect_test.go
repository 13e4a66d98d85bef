//lint:file-ignore SA1019 the Transport of this package can open extended CONNECT

package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// relay is a handler that net/http tunnels with: no Hijack.
func relay(w http.ResponseWriter, r *http.Request, status int) {
	rc := http.NewResponseController(w)
	w.Header().Set("X-Tunnel", "yes")
	w.WriteHeader(status)
	if rc.Flush() != nil {
		return
	}
	io.WriteString(w, "welcome ") // before anything has come
	rc.Flush()
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			rc.Flush()
		}
		if err != nil {
			if err == io.EOF {
				io.WriteString(w, " goodbye")
			}
			return
		}
	}
}

func openConnect(ctx context.Context, tr *http2.Transport, host string, h http.Header) (*tunnel, error) {
	pr, pw := io.Pipe()
	req := (&http.Request{Method: http.MethodConnect, URL: &url.URL{Scheme: "http", Host: host}, Host: host, Body: pr, ContentLength: -1, Header: h}).WithContext(ctx)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return &tunnel{resp.Body, pw, resp}, nil
}

// A handler tunnels through r.Body and w, on both servers in the same words.
func TestConnectOverHTTP2(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodConnect:
			http.Error(w, "only CONNECT", 405)
		case r.Header.Get("X-Ask") == "refused":
			w.WriteHeader(403)
			io.WriteString(w, "no ")
		case r.Header.Get("X-Ask") == "panics":
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			relay(w, r, 200)
		}
	})
	for _, server := range []string{reference, served} {
		t.Run(server, func(t *testing.T) {
			host := ""
			if server == reference {
				host = startReferenceHTTP2(t, handler, log.New(io.Discard, "", 0))
			} else {
				host = serveHTTP2(t, handler).plain
			}
			tr := newHTTP2Client(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			open := func(t *testing.T, ask string) *tunnel {
				c, err := openConnect(ctx, tr, host, http.Header{"X-Ask": {ask}})
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			want := func(t *testing.T, c *tunnel, text string) {
				t.Helper()
				b := make([]byte, len(text))
				if n, err := io.ReadFull(c, b); err != nil || string(b) != text {
					t.Fatalf("got %s, %v", brief(b[:n]), err)
				}
			}
			t.Run("both ways at once", func(t *testing.T) {
				c := open(t, "")
				if c.resp.StatusCode != 200 || c.resp.Header.Get("X-Tunnel") != "yes" || c.resp.Header.Get("Content-Length") != "" {
					t.Fatalf("%d %v", c.resp.StatusCode, c.resp.Header)
				}
				want(t, c, "welcome ")
				for _, message := range []string{"a", "bc", strings.Repeat("0123456789", 20_000)} {
					go io.WriteString(c, message)
					want(t, c, message)
				}
				c.Close() // of one direction: the other one ends when the handler has said goodbye
				if b, err := io.ReadAll(c); err != nil || string(b) != " goodbye" {
					t.Errorf("%q, %v", b, err)
				}
			})
			t.Run("refused", func(t *testing.T) {
				c := open(t, "refused")
				c.Close()
				if b, err := io.ReadAll(c); c.resp.StatusCode != 403 || string(b) != "no " {
					t.Errorf("%d %q %v", c.resp.StatusCode, b, err)
				}
			})
			t.Run("a panic", func(t *testing.T) {
				c := open(t, "panics")
				var reset http2.StreamError
				if _, err := io.ReadAll(c); !errors.As(err, &reset) {
					t.Errorf("%v", err)
				}
				c.Close()
			})
			t.Run("the client leaves", func(t *testing.T) {
				c := open(t, "")
				want(t, c, "welcome ")
				c.resp.Body.Close() // the handler ends, or the server would not come to rest
				c.Close()
			})
		})
	}
}

// An extended CONNECT is a GET with Upgrade here, so its handler says 101; the rest is the same.
func TestExtendedConnectWithoutHijack(t *testing.T) {
	host := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(403)
			b, err := io.ReadAll(r.Body) // there is none
			io.WriteString(w, fmt.Sprint("no ", string(b), err))
			return
		}
		relay(w, r, http.StatusSwitchingProtocols)
	}))
	tr := newHTTP2Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := openTunnel(ctx, tr, "http://"+host.plain+"/")
	if err != nil {
		t.Fatal(err)
	}
	go func() { io.WriteString(c, "ping"); c.Close() }()
	if b, err := io.ReadAll(c); err != nil || string(b) != "welcome ping goodbye" || c.resp.StatusCode != 200 {
		t.Errorf("%d %q %v", c.resp.StatusCode, b, err)
	}
	if c, err = openTunnel(ctx, tr, "http://"+host.plain+"/refused"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "no <nil>" || c.resp.StatusCode != 403 {
		t.Errorf("%d %q %v", c.resp.StatusCode, b, err)
	}
}
