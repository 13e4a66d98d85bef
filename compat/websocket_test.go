package compat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
)

// The libraries that people use, as echoes. Each notes how the conversation
// ended.
var webSockets = []struct {
	name    string
	refusal string // of a request that is none
	echo    func(r *run, w http.ResponseWriter, req *http.Request)
}{
	{"coder", `failed to accept WebSocket connection: WebSocket protocol violation: Connection header "" does not contain Upgrade`, func(r *run, w http.ResponseWriter, req *http.Request) {
		c, err := coder.Accept(w, req, &coder.AcceptOptions{Subprotocols: []string{"echo"}, CompressionMode: coder.CompressionContextTakeover})
		if err != nil {
			r.see("%v", err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(2 << 20)
		r.signal("open")
		for {
			kind, message, err := c.Read(req.Context())
			if err != nil {
				r.see("closed with %d", coder.CloseStatus(err))
				return
			}
			if err := c.Write(req.Context(), kind, message); err != nil {
				r.see("%v", err)
				return
			}
		}
	}},
	{"gorilla", `websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header`, func(r *run, w http.ResponseWriter, req *http.Request) {
		upgrader := gorilla.Upgrader{Subprotocols: []string{"echo"}, EnableCompression: true}
		c, err := upgrader.Upgrade(w, req, nil)
		if err != nil {
			r.see("%v", err)
			return
		}
		defer c.Close()
		r.signal("open")
		for {
			kind, message, err := c.ReadMessage()
			if err != nil {
				status := -1
				var closed *gorilla.CloseError
				if errors.As(err, &closed) && closed.Code != gorilla.CloseAbnormalClosure {
					status = closed.Code
				}
				r.see("closed with %d", status)
				return
			}
			if err := c.WriteMessage(kind, message); err != nil {
				r.see("%v", err)
				return
			}
		}
	}},
	{"gobwas", `handshake error: bad "Upgrade" header`, func(r *run, w http.ResponseWriter, req *http.Request) {
		upgrader := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == "echo" }}
		c, _, _, err := upgrader.Upgrade(req, w)
		if err != nil {
			r.see("%v", err)
			return
		}
		defer c.Close()
		r.signal("open")
		for {
			message, kind, err := wsutil.ReadClientData(c)
			if err != nil {
				status := -1
				var closed wsutil.ClosedError
				if errors.As(err, &closed) {
					status = int(closed.Code)
				}
				r.see("closed with %d", status)
				return
			}
			if err := wsutil.WriteServerMessage(c, kind, message); err != nil {
				r.see("%v", err)
				return
			}
		}
	}},
}

// WebSocket by each library: messages short and long, pings, closing in order
// and without, and requests that are none.
func TestWebSocket(t *testing.T) {
	var cases []testCase
	for _, lib := range webSockets {
		cases = append(cases,
			testCase{
				name:   lib.name + ": a conversation",
				handle: lib.echo,
				client: func(r *run) {
					ctx, cancel := context.WithTimeout(r.Context(), patience)
					defer cancel()
					c, resp, err := coder.Dial(ctx, r.url("/"), &coder.DialOptions{Subprotocols: []string{"echo"}})
					if err != nil {
						r.Fatal(err)
					}
					defer c.CloseNow()
					c.SetReadLimit(2 << 20)
					r.get("%s, protocol %s", resp.Status, c.Subprotocol())
					for _, message := range [][]byte{nil, []byte("hello"), bytes.Repeat([]byte("x"), 126), megabyte[:70_000], megabyte} {
						for _, kind := range []coder.MessageType{coder.MessageText, coder.MessageBinary} {
							if err := c.Write(ctx, kind, message); err != nil {
								r.Fatal(err)
							}
							k, b, err := c.Read(ctx)
							if err != nil || k != kind || !bytes.Equal(b, message) {
								r.Errorf("got %v %s %v, want %v %s", k, brief(b), err, kind, brief(message))
							}
						}
					}
					// A ping is answered while somebody reads.
					reading := c.CloseRead(ctx)
					r.get("ping: %v", c.Ping(ctx))
					r.get("close: %v", c.Close(4001, "done"))
					<-reading.Done()
				},
				gets: `
101 Switching Protocols, protocol echo
ping: <nil>
close: <nil>
`,
				sees: "closed with 4001",
			}, testCase{
				name:   lib.name + ": a client that vanishes",
				handle: lib.echo,
				client: func(r *run) {
					ctx, cancel := context.WithTimeout(r.Context(), patience)
					defer cancel()
					c, _, err := coder.Dial(ctx, r.url("/"), nil)
					if err != nil {
						r.Fatal(err)
					}
					r.wait("open")
					c.CloseNow()
				},
				sees: "closed with -1",
			}, testCase{
				name:   lib.name + ": a request that is none",
				handle: lib.echo,
				sees:   lib.refusal,
				gets:   "4 <nil>",
				client: func(r *run) {
					resp, err := r.goClient().Get(r.url("/"))
					if err != nil {
						r.Fatal(err)
					}
					defer resp.Body.Close()
					_, err = io.Copy(io.Discard, resp.Body)
					r.get("%d %v", resp.StatusCode/100, err)
				},
			})
	}
	cases = append(cases, testCase{
		name: "the server speaks first, and closes",
		handle: func(r *run, w http.ResponseWriter, req *http.Request) {
			c, err := coder.Accept(w, req, nil)
			if err != nil {
				r.see("%v", err)
				return
			}
			for _, text := range []string{"one", "two", "three"} {
				c.Write(req.Context(), coder.MessageText, []byte(text))
			}
			r.see("%v", c.Close(coder.StatusGoingAway, "that is all"))
		},
		client: func(r *run) {
			c, _, err := (&gorilla.Dialer{HandshakeTimeout: patience}).Dial("ws://"+r.addr+"/", nil)
			if err != nil {
				r.Fatal(err)
			}
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(patience))
			for {
				_, b, err := c.ReadMessage()
				if err != nil {
					r.get("%v", err)
					return
				}
				r.get("%s", b)
			}
		},
		sees: "<nil>",
		gets: `
one
two
three
websocket: close 1001 (going away): that is all
`,
	})
	runCases(t, cases)
}
