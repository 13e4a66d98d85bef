//lint:file-ignore SA1019 the Transport of this package can open extended CONNECT

package compat

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/net/http2"
)

// tunnel is what an extended CONNECT has opened.
type tunnel struct {
	io.Reader
	io.WriteCloser
	resp *http.Response
}

// openTunnel asks for a WebSocket over HTTP/2 (RFC 8441 section 5.1). What is
// early follows the request at once.
func openTunnel(ctx context.Context, tr *http2.Transport, url string, early ...byte) (*tunnel, error) {
	pr, pw := io.Pipe()
	if len(early) > 0 {
		go pw.Write(early)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodConnect, url, pr)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"echo"},
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return &tunnel{resp.Body, pw, resp}, nil
}

// The libraries' handlers are those of HTTP/1.1, word for word.
func TestWebSocketOverHTTP2(t *testing.T) {
	for _, lib := range webSockets {
		t.Run(lib.name, func(t *testing.T) {
			r := &run{T: t, server: served, events: make(map[string]chan struct{})}
			var mux http.ServeMux
			mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
				if req.Proto != "HTTP/2.0" {
					r.see("%s", req.Proto)
				}
				lib.echo(&run{T: t, server: served, events: make(map[string]chan struct{})}, w, req)
				r.see("done")
			})
			host := serveHTTP2(t, r.watch(&mux))
			for _, c := range []struct {
				name, url string
				tr        *http2.Transport
			}{
				{"h2c", "http://" + host.plain + "/", newHTTP2Client(t)},
				{"TLS", "https://" + host.secure + "/", &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: host.roots}}},
			} {
				t.Run(c.name, func(t *testing.T) {
					defer c.tr.CloseIdleConnections()
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					// Two at once on one connection, and an ordinary request beside them.
					one, err := openTunnel(ctx, c.tr, c.url)
					if err != nil {
						t.Fatal(err)
					}
					two, err := openTunnel(ctx, c.tr, c.url)
					if err != nil {
						t.Fatal(err)
					}
					for _, w := range []*tunnel{one, two} {
						if w.resp.StatusCode != 200 || w.resp.Header.Get("Sec-Websocket-Protocol") != "echo" ||
							w.resp.Header["Upgrade"] != nil || w.resp.Header["Sec-Websocket-Accept"] != nil {
							t.Fatalf("%s %v", w.resp.Status, w.resp.Header)
						}
					}
					for _, message := range [][]byte{[]byte("hello"), bytes.Repeat([]byte("x"), 126), megabyte[:70_000], megabyte} {
						for _, w := range []*tunnel{one, two} {
							sent := make(chan error, 1)
							go func() { sent <- wsutil.WriteClientBinary(w, message) }()
							got, op, err := wsutil.ReadServerData(w)
							if err != nil || op != ws.OpBinary || !bytes.Equal(got, message) {
								t.Fatalf("got %v %s %v", op, brief(got), err)
							}
							if err := <-sent; err != nil {
								t.Fatal(err)
							}
						}
					}
					req, _ := http.NewRequestWithContext(ctx, "GET", c.url, nil)
					resp, err := c.tr.RoundTrip(req)
					if err != nil || resp.StatusCode < 400 { // gobwas says 500
						t.Errorf("a request that is none: %v, %v", resp, err)
					} else {
						resp.Body.Close()
					}
					// One closes in order, the other vanishes; both handlers hear of it.
					wsutil.WriteClientMessage(one, ws.OpClose, ws.NewCloseFrameBody(4001, "done"))
					io.Copy(io.Discard, one)
					one.Close()
					two.resp.Body.Close()
					two.WriteCloser.(*io.PipeWriter).CloseWithError(io.ErrUnexpectedEOF)
				})
			}
			r.rest()
			if got, want := r.sees.String(), "done\ndone\ndone\ndone\ndone\ndone\n"; got != want {
				t.Errorf("the handlers saw %q", got)
			}
		})
	}
}
