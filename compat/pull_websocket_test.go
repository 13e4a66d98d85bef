package compat

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	coder "github.com/coder/websocket"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/testkit"
)

// A program that pulls its requests accepts WebSockets among them.
func TestAcceptWebSocket(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 2})
	q, err := (&httpsys.Server{Prefixes: []string{"http://localhost:0/"}, Socket: d.Socket}).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	served := make(chan error, 1)
	next := func(f func(*httpsys.Incoming) error) {
		go func() {
			in, err := q.Receive(t.Context())
			if err == nil {
				err = f(in)
				in.Close()
			}
			served <- err
		}()
	}
	u, err := url.Parse(q.URLs()[0])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	next(func(in *httpsys.Incoming) error {
		if !in.IsWebSocket() {
			t.Error("it asks for no WebSocket")
		}
		c, err := in.AcceptWebSocket(ctx, "chat.v2", "chat.v1")
		if err != nil {
			return err
		}
		in.Close() // it outlives that
		kind, message, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, kind, append(message, " to "+c.Subprotocol()...)); err != nil {
			return err
		}
		return c.Close(coder.StatusNormalClosure, "done")
	})
	c, _, err := coder.Dial(ctx, "ws://"+u.Host+"/", &coder.DialOptions{Subprotocols: []string{"chat.v1", "chat.v2", "chat.v3"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(ctx, coder.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := c.Read(ctx); err != nil || string(message) != "hello to chat.v2" {
		t.Errorf("got %q, %v", message, err)
	}
	if _, _, err := c.Read(ctx); coder.CloseStatus(err) != coder.StatusNormalClosure {
		t.Errorf("the end: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("the program: %v", err)
	}

	// A request that asks for none, and one of a page from elsewhere.
	for _, r := range []struct {
		fields http.Header
		status int
		is     bool
		err    string
	}{
		{nil, http.StatusUpgradeRequired, false, "Connection"},
		{http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Origin": {"http://elsewhere.example"}}, http.StatusForbidden, true, "Origin"},
	} {
		next(func(in *httpsys.Incoming) error {
			if in.IsWebSocket() != r.is {
				t.Errorf("IsWebSocket says %v", !r.is)
			}
			_, err := in.AcceptWebSocket(ctx)
			return err
		})
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+u.Host+"/", nil)
		for name, values := range r.fields {
			req.Header[name] = values
		}
		resp, err := (&http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{}}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if err := <-served; resp.StatusCode != r.status || err == nil || !strings.Contains(err.Error(), r.err) {
			t.Errorf("%s, the program got %v", resp.Status, err)
		}
	}

	// A context that has ended already accepts nothing.
	ended, stop := context.WithCancel(ctx)
	stop()
	next(func(in *httpsys.Incoming) error {
		_, err := in.AcceptWebSocket(ended)
		return err
	})
	resp, err := http.Get("http://" + u.Host + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Errorf("the program got %v", err)
	}
}
