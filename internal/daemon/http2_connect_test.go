package daemon_test

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

func (h *h2client) websocket(id uint32, more ...string) {
	h.request(id, false, append([]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a",
		":path", "/chat?x=1", "sec-websocket-version", "13", "sec-websocket-protocol", "echo"}, more...)...)
}

// The server says that it takes an extended CONNECT (RFC 8441 section 3), and
// not in the way of RFC 7540 priorities (RFC 9218 2.1).
func TestHTTP2Settings(t *testing.T) {
	_, _, _, c := oneHTTP2(t, 1)
	f, err := c.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := f.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("got %v", f)
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: 128, http2.SettingMaxHeaderListSize: 16384, 0x8: 1, 0x9: 1,
	} {
		if got, ok := s.Value(id); !ok || got != want {
			t.Errorf("setting %v is %d", id, got)
		}
	}
}

// A WebSocket of HTTP/2 looks to an application as one of HTTP/1.1 does, and
// 101 opens it (RFC 8441 section 5).
func TestHTTP2WebSocket(t *testing.T) {
	_, app, _, c := oneHTTP2(t, 1)
	c.websocket(1)
	c.WriteData(1, false, []byte("early"))
	r := app.Request()
	got := r.Text()
	at := strings.LastIndex(got, ": ")
	if want := "GET /chat?x=1 2.0 authority=a length=0 upgrade end\nsec-websocket-version: 13\nsec-websocket-protocol: echo\n" +
		"Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key"; got[:at] != want || len(got)-at != len(": ")+24 {
		t.Errorf("got %s", got)
	}
	r.Send(testkit.Response(r.Stream, testkit.OPAQUE, 101, fields("Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Accept: x", "Sec-WebSocket-Protocol: echo", "Date: x", "Server: y"), ""))
	if got := c.wholeHead(); got != "1 :status: 200; sec-websocket-protocol: echo; date: x; server: y" {
		t.Errorf("got %s", got)
	}
	r.WantBody("early", false)
	r.Send(testkit.Data(r.Stream, 0, "hello"))
	c.want(`1 "hello"`)
	c.WriteData(1, true, []byte("bye"))
	r.WantBody("bye", true)
	r.Send(testkit.Data(r.Stream, testkit.END, "end"))
	c.want(`1 "end"`, `1 "" END`)
	r.Cancel(1)
}

// wholeHead reads the next frame, which has to be the head of a response.
func (h *h2client) wholeHead() string {
	h.t.Helper()
	for {
		f, err := h.ReadFrame()
		if err != nil {
			h.t.Fatal(err)
		}
		if f, ok := f.(*http2.MetaHeadersFrame); ok {
			text := ""
			for _, hf := range f.Fields {
				text += "; " + hf.Name + ": " + hf.Value
			}
			return strings.Replace(text, ";", itoa(f.StreamID), 1)
		}
	}
}

func itoa(n uint32) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// whole reads what comes on a stream until it is reset, which the server does
// with each whose client has not ended its side. Of pages of the daemon only the status counts.
func (h *h2client) whole(id uint32) string {
	h.t.Helper()
	var got []string
	for {
		line, mine := strings.CutPrefix(h.next(), itoa(id)+" ")
		if !mine {
			h.t.Fatalf("on stream %d after %q: %s", id, got, line)
		}
		if !strings.HasPrefix(line, `"<`) {
			got = append(got, line)
		}
		if strings.HasPrefix(line, "reset ") {
			return strings.Join(got, ", ")
		}
	}
}

// Libraries that take the connection over write the head by hand.
func TestHTTP2WebSocketByHand(t *testing.T) {
	d, app, _, c := oneHTTP2(t, 1)
	id := uint32(1)
	for _, tc := range []struct {
		name   string
		pieces []string // what the application writes
		cut    bool     // it is told that the client is gone, and answers; else it closes
		want   string
	}{
		{"101", []string{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "hello"}, false,
			`status 200, "hello", "" END, reset NO_ERROR`},
		{"101 in pieces", []string{"HTTP/1.1 101 Go\r", "\nUpgrade: websocket\r\n", "\r", "\nhello"}, false,
			`status 200, "hello", "" END, reset NO_ERROR`},
		{"103 and 101", []string{"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 101 Go\r\n\r\nhello"}, false,
			`status 103, status 200, "hello", "" END, reset NO_ERROR`},
		{"a refusal", []string{"HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\nno!"}, false, `status 400, "no!", "" END, reset NO_ERROR`},
		{"a refusal that is cut short", []string{"HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\nno"}, false,
			`status 400, "no", reset INTERNAL_ERROR`},
		{"a success that is none", []string{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"}, true, `status 501, reset NO_ERROR`},
		{"rubbish", []string{"rubbish\r\n\r\n"}, true, `status 502, reset NO_ERROR`},
		{"nothing", nil, false, `status 502, reset NO_ERROR`},
		{"the end, before the head is complete", []string{"HTTP/1.1 101 Go\r\n"}, false, `status 502, reset NO_ERROR`},
		{"no end of the head", []string{"HTTP/1.1 101 Go\r\n" + strings.Repeat("a: b\r\n", 6668), strings.Repeat("a: b\r\n", 10_000)}, true,
			`status 502, reset NO_ERROR`},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c.t = t
			c.websocket(id)
			r := nextRequest(app)
			r.Send(testkit.RawOpaque(r.Stream))
			for i, p := range tc.pieces {
				if i > 0 && len(p) > 60_000 { // more than the first window
					r.WantWindow()
				}
				r.Send(testkit.Data(r.Stream, 0, p))
			}
			if !tc.cut {
				r.Cancel(1)
			}
			if got := c.whole(id); got != tc.want {
				t.Errorf("got %s; want %s", got, tc.want)
			}
			if tc.cut {
				f := r.Next()
				for f.Type == channel.Window {
					f = r.Next()
				}
				if f.Type != channel.Cancel || f.Value != 1 {
					t.Errorf("got %v; want CANCEL 1", f)
				}
				r.Cancel(0)
			}
			d.Exchanges(0)
			id += 2
		})
	}
}

// What does not speak the protocol must not seem to: a 2xx would open the
// tunnel. Other answers pass.
func TestHTTP2WebSocketDeclined(t *testing.T) {
	_, app, _, c := oneHTTP2(t, 1)
	c.websocket(1)
	app.Request().Respond(200, fields("Content-Type: text/html"), "a page")
	if got := c.whole(1); got != "status 501, reset NO_ERROR" {
		t.Errorf("got %s", got)
	}
	c.websocket(3)
	r := app.Request()
	r.Start(200, nil, "a long")
	r.WantCancel(1)
	r.Finish("answer")
	if got := c.whole(3); got != "status 501, reset NO_ERROR" {
		t.Errorf("got %s", got)
	}
	c.websocket(5)
	app.Request().Respond(403, nil, "no")
	if got := c.whole(5); got != `status 403, "no" END, reset NO_ERROR` {
		t.Errorf("got %s", got)
	}
}

// 101 to a request that asked for nothing costs the stream, in HTTP/2 too.
func TestHTTP2OpaqueUnasked(t *testing.T) {
	for _, head := range [][]byte{
		testkit.Response(1, testkit.OPAQUE, 101, nil, ""), testkit.Response(1, testkit.OPAQUE, 200, nil, ""), testkit.RawOpaque(1),
	} {
		_, app, _, c := oneHTTP2(t, 1)
		c.get(1, "/")
		app.Request().Send(head)
		c.want("1 status 500")
	}
}
