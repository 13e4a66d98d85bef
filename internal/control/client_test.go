package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// script is a daemon that answers with frames that a test chooses: one entry
// for each frame that comes, beginning with the answer to HELLO. A nil entry
// says nothing; after the last one it closes.
func script(t *testing.T, answers ...[]byte) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "httpsys")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for _, answer := range answers {
			var head [channel.HeaderSize]byte
			if _, err := io.ReadFull(r, head[:]); err != nil {
				return
			}
			h, err := channel.ParseHeader(head[:])
			if err != nil {
				t.Errorf("the client sends %x: %v", head, err)
				return
			}
			if _, err := r.Discard(int(h.Length)); err != nil {
				return
			}
			c.Write(answer)
		}
		if len(answers) > 0 && answers[len(answers)-1] == nil {
			io.Copy(io.Discard, r) // hangs until the client gives up
		}
	}()
	return socket
}

func frame(typ channel.Type, stream uint32, json string) []byte {
	return channel.AppendFrame(nil, typ, 0, stream, 0, []byte(json))
}

var welcome = frame(channel.Welcome, 0, `{"protocol":1,"daemon":"httpsys 0.1.0","session":"s","loops":2}`)

func dialScript(t *testing.T, answers ...[]byte) (*Client, string) {
	t.Helper()
	socket := script(t, append([][]byte{welcome}, answers...)...)
	c, err := Dial(t.Context(), socket, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, socket
}

func TestClient(t *testing.T) {
	long := `{"result":{"text":"` + strings.Repeat("x", 600000) + `"}}`
	c, _ := dialScript(t,
		frame(channel.Reply, 1, `{"result":{"text":"one"}}`),
		frame(channel.Reply, 2, `{"error":{"code":"not_found","message":"there is none"}}`),
		channel.AppendReply(nil, 3, []byte(long)),
		frame(channel.Reply, 4, `{"result":{}}`),
	)
	if c.Welcome.Daemon != "httpsys 0.1.0" || c.Welcome.Loops != 2 {
		t.Errorf("welcome %+v", c.Welcome)
	}
	var result struct{ Text string }
	if err := c.Call(t.Context(), "one", nil, &result); err != nil || result.Text != "one" {
		t.Errorf("%q, %v", result.Text, err)
	}
	// A refusal keeps its code, and the session goes on.
	err := c.Call(t.Context(), "two", map[string]int{"n": 2}, &result)
	var refused *channel.Error
	if !errors.As(err, &refused) || refused.Code != channel.NotFound || err.Error() != "there is none" {
		t.Errorf("%v", err)
	}
	// A reply may be longer than a frame.
	if err := c.Call(t.Context(), "three", nil, &result); err != nil || len(result.Text) != 600000 {
		t.Errorf("%d bytes, %v", len(result.Text), err)
	}
	if err := c.Call(t.Context(), "four", nil, nil); err != nil {
		t.Error(err)
	}
}

// A daemon that breaks the protocol, or ends, is an error, and the session is
// over: what comes later could be the answer to anything.
func TestClientErrors(t *testing.T) {
	tests := []struct {
		name   string
		answer []byte
		want   string // after "httpsys at SOCKET "
	}{
		{"another stream", frame(channel.Reply, 2, `{"result":{}}`), "answered nonsense: REPLY on stream 2 where REPLY on stream 1 belongs"},
		{"another type", frame(channel.Data, 1, `x`), "answered nonsense: DATA on stream 1 where REPLY on stream 1 belongs"},
		{"no frame", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "answered nonsense: channel: frame is longer than 262144 bytes"},
		{"no JSON", frame(channel.Reply, 1, `{`), "answered nonsense: unexpected end of JSON input"},
		{"half a frame", frame(channel.Reply, 1, `{"result":{}}`)[:20], "closed the connection: unexpected EOF"},
		{"nothing", []byte{}, "closed the connection: EOF"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			client, socket := dialScript(t, c.answer)
			want := fmt.Sprintf("httpsys at %s %s", socket, c.want)
			for range 2 {
				if err := client.Call(t.Context(), "m", nil, nil); err == nil || err.Error() != want {
					t.Errorf("\n got %v\nwant %s", err, want)
				}
				if strings.HasPrefix(c.name, "no JSON") {
					break // the frames were right: only this call fails
				}
			}
		})
	}
}

// A daemon that refuses the session says why, at the hello or later.
func TestSessionRefused(t *testing.T) {
	no := frame(channel.Reply, 0, `{"error":{"code":"limit","message":"user bob has 1024 sessions already"}}`)
	_, err := Dial(t.Context(), script(t, no), "test")
	var refused *channel.Error
	if !errors.As(err, &refused) || refused.Code != channel.Limit {
		t.Errorf("Dial: %v", err)
	}
	c, _ := dialScript(t, no)
	for range 2 {
		if err := c.Call(t.Context(), "m", nil, nil); !errors.As(err, &refused) || refused.Code != channel.Limit {
			t.Errorf("Call: %v", err)
		}
	}
}

// A daemon that hangs costs no more than the caller's patience.
func TestDeadline(t *testing.T) {
	socket := script(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := Dial(ctx, socket, "test")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "httpsys at "+socket+" does not answer") {
		t.Errorf("Dial: %v", err)
	}

	c, _ := dialScript(t, nil)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := c.Call(ctx, "m", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Call: %v", err)
	}
}

func TestLongCall(t *testing.T) {
	c, _ := dialScript(t, frame(channel.Reply, 1, `{"result":{}}`))
	err := c.Call(t.Context(), "m", strings.Repeat("x", channel.MaxPayload), nil)
	if err == nil || !strings.Contains(err.Error(), "at most 262144 are possible") {
		t.Errorf("%v", err)
	}
	if err := c.Call(t.Context(), "m", nil, nil); err != nil {
		t.Errorf("after a call that was not sent: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	_, err := Dial(t.Context(), socket, "test")
	want := "no httpsys at " + socket + ": start one with `httpsys serve`, or say where it is with --socket or HTTPSYS_SOCKET"
	if err == nil || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestSockets(t *testing.T) {
	t.Setenv(SocketVariable, "/env/sock")
	if paths, named := Sockets(); len(paths) != 1 || paths[0] != "/env/sock" || !named || DefaultSocket() != "/env/sock" {
		t.Errorf("with %s: %q, %v, %s", SocketVariable, paths, named, DefaultSocket())
	}
	t.Setenv(SocketVariable, "")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1000")
	paths, named := Sockets()
	if named || paths[0] != DefaultSocket() || paths[len(paths)-1] != "/run/httpsys/httpsys.sock" {
		t.Errorf("without: %q, %v, %s", paths, named, DefaultSocket())
	}
}

func TestShellLine(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"httpsys", "add", "urlacl", "url=http://+:80/app/", "user=alice"}, "httpsys add urlacl url=http://+:80/app/ user=alice"},
		{[]string{"url=http://*:80/"}, "'url=http://*:80/'"},
		{[]string{"url=http://[::1]:80/"}, "'url=http://[::1]:80/'"},
		{[]string{"it's", ""}, `'it'\''s' ''`},
		{[]string{"$HOME", "a b", "葉"}, "'$HOME' 'a b' '葉'"},
	}
	for _, c := range tests {
		if got := ShellLine(c.args...); got != c.want {
			t.Errorf("%q: got %s, want %s", c.args, got, c.want)
		}
	}
}

// The snapshot has exactly the members that scripts rely on, and lists that
// are never null.
func TestStateJSON(t *testing.T) {
	s := State{Queues: []Queue{{Workers: []Worker{{}}}}}
	s.Normalize()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"queues":[{"name":"","owner":"","state":"","length":0,"limit":0,"prefixes":[],"cache":[],"workers":[{"pid":0,"user":"","inflight":0,`
	if !strings.HasPrefix(string(text), want) {
		t.Errorf("\n got %s\nwant %s…", text, want)
	}
	for _, member := range []string{`"counters":{"requests":0,"rejected":0,"cancelled":0,"oldest_ms":0,`, `"ports":[]`, `"sessions":[]`, `"listeners":[]`} {
		if !strings.Contains(string(text), member) {
			t.Errorf("%s is not in %s", member, text)
		}
	}
}
