package daemon_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// frame is a frame with a payload of any kind.
func frame(t channel.Type, flags channel.Flags, stream uint32, value uint16, payload string) []byte {
	return channel.AppendFrame(nil, t, flags, stream, value, []byte(payload))
}

func number(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }

// responseHead is a RESPONSE whose head is any bytes.
func responseHead(stream uint32, flags channel.Flags, status, fields int, head string) []byte {
	payload := channel.AppendResponseFixed(nil, len(head), fields)
	return channel.AppendFrame(nil, channel.Response, flags, stream, uint16(status), append(payload, head...))
}

// The numbers of the requests that the application has in TestViolations: a
// GET, a POST whose body has not ended, and a wish to upgrade.
const (
	getStream uint32 = 1 + iota
	postStream
	upgradeStream
	noStream uint32 = 99
)

// Whatever breaks the protocol ends the session of who does it (docs/channel.md
// section 8).
var violations = []struct {
	name string
	send []byte
}{
	// What the header alone tells.
	{"a frame that is too long", channel.AppendHeader(nil, channel.Header{Length: channel.MaxPayload + 1, Stream: getStream, Type: channel.Data})},
	{"an unknown type", frame(0x7f, 0, getStream, 0, "")},
	{"a flag that DATA does not have", frame(channel.Data, TEXT, getStream, 0, "")},
	{"a flag that WINDOW does not have", frame(channel.Window, CREDIT, getStream, 0, number(1))},
	{"a flag that CANCEL does not have", frame(channel.Cancel, END, getStream, 0, "")},
	{"an unknown flag", frame(channel.Data, 0x40, getStream, 0, "")},
	{"DATA on stream 0", frame(channel.Data, 0, 0, 0, "x")},
	{"CREDIT on a stream", frame(channel.Credit, 0, getStream, 0, number(1))},
	{"GOAWAY on a stream", frame(channel.GoAway, 0, getStream, 0, "")},
	{"a value that DATA does not have", frame(channel.Data, 0, getStream, 1, "")},
	{"CANCEL 4", frame(channel.Cancel, 0, getStream, 4, "")},
	{"CANCEL 5", frame(channel.Cancel, 0, getStream, 5, "")},
	{"status 99", responseHead(getStream, END, 99, 0, "\x00")},
	{"status 1000", responseHead(getStream, END, 1000, 0, "\x00")},
	{"no status", responseHead(getStream, END, 0, 0, "\x00")},
	{"WINDOW of 3 bytes", frame(channel.Window, 0, getStream, 0, "\x01\x00\x00")},
	{"CREDIT of 5 bytes", frame(channel.Credit, 0, 0, 0, "\x01\x00\x00\x00\x00")},
	{"CANCEL with a payload", frame(channel.Cancel, 0, getStream, 0, "x")},
	{"GOAWAY with a payload", frame(channel.GoAway, 0, 0, 0, "x")},
	{"FILE of 15 bytes", frame(channel.File, 0, getStream, 0, strings.Repeat("\x00", 15))},
	{"RESPONSE of 7 bytes", frame(channel.Response, END, getStream, 200, "1234567")},
	{"TRAILERS of 3 bytes", frame(channel.Trailers, 0, getStream, 0, "123")},

	// Frames that are the daemon's, or belong to a session.
	{"REQUEST", frame(channel.Request, END, getStream, 0, strings.Repeat("\x00", 40))},
	{"WELCOME", frame(channel.Welcome, 0, 0, 0, "{}")},
	{"HELLO again", frame(channel.Hello, 0, 0, 0, "{}")},
	{"CALL", frame(channel.Call, 0, 1, 0, "{}")},
	{"REPLY", frame(channel.Reply, 0, 1, 0, "{}")},

	// Numbers.
	{"WINDOW 0", testkit.Window(postStream, 0)},
	{"WINDOW 2³¹", testkit.Window(postStream, 1<<31)},
	{"a window above 2³¹−1", testkit.Window(postStream, 1<<31-1)},
	{"CREDIT 0", testkit.Credit(0)},
	{"credit above 65535", testkit.Credit(1<<16 - 1)},
	{"credit far above 65535", append(testkit.Credit(1<<31-1), testkit.Credit(1<<31-1)...)},

	// Streams.
	{"a stream that never was", testkit.Data(noStream, 0, "x")},
	{"a stream that never was, 2³²−1", testkit.Cancel(1<<32-1, 0, 0)},
	{"a stream that is over", append(testkit.Response(getStream, END, 200, nil, ""), testkit.Data(getStream, END, "")...)},
	{"CANCEL of a stream that is over", append(testkit.Cancel(getStream, 0, 0), testkit.Cancel(getStream, 0, 0)...)},

	// Order.
	{"DATA before a head", testkit.Data(getStream, 0, "x")},
	{"the end before a head", testkit.Data(getStream, END, "")},
	{"TRAILERS before a head", testkit.Trailers(getStream, 0)},
	{"a second head", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.Response(getStream, END, 200, nil, "")...)},
	{"103 behind the head", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.Response(getStream, 0, 103, nil, "")...)},
	{"103 with END", testkit.Response(getStream, END, 103, nil, "")},
	{"103 with a body", testkit.Response(getStream, 0, 103, nil, "x")},
	{"CANCEL 1 behind a head of what is not opaque", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.Cancel(getStream, 0, 1)...)},
	{"CANCEL 2", testkit.Cancel(getStream, 0, 2)},
	{"CANCEL 3", testkit.Cancel(getStream, 0, 3)},

	// Opaque mode (section 9).
	{"SOCKET with a descriptor", frame(channel.Socket, 0, upgradeStream, 1, "")},
	{"SOCKET before it was asked for", frame(channel.Socket, 0, upgradeStream, 0, "")},
	{"SOCKET of what is relayed", append(testkit.RawOpaque(getStream), frame(channel.Socket, 0, getStream, 0, "")...)},
	{"SOCKET asked for without OPAQUE", testkit.Response(upgradeStream, channel.FlagSocket, 200, nil, "")},
	{"OPAQUE with END", testkit.Response(upgradeStream, OPAQUE|END, 101, nil, "")},
	{"OPAQUE with an error", testkit.Response(upgradeStream, OPAQUE, 404, nil, "")},
	{"OPAQUE and informational", testkit.Response(upgradeStream, OPAQUE, 103, nil, "")},
	{"OPAQUE before the request's END", testkit.RawOpaque(postStream)},
	{"OPAQUE behind a head", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.RawOpaque(getStream)...)},
	{"a head in opaque mode", append(testkit.RawOpaque(getStream), testkit.Response(getStream, END, 200, nil, "")...)},
	{"TRAILERS in opaque mode", append(testkit.RawOpaque(getStream), testkit.Trailers(getStream, 0)...)},
	{"bytes behind the end in opaque mode", append(append(testkit.RawOpaque(getStream), testkit.Data(getStream, END, "x")...), testkit.Data(getStream, 0, "y")...)},
	{"two ends in opaque mode", append(append(testkit.RawOpaque(getStream), testkit.Data(getStream, END, "")...), testkit.Data(getStream, END, "")...)},

	// Heads.
	{"a head longer than its frame", frame(channel.Response, END, getStream, 200, "\x09\x00\x00\x00\x00\x00\x00\x00\x00")},
	{"a head as long as there is no frame", frame(channel.Response, END, getStream, 200, "\xff\xff\xff\xff\x00\x00\x00\x00\x00")},
	{"bytes that must be 0", frame(channel.Response, END, getStream, 200, "\x01\x00\x00\x00\x00\x00\x01\x00\x00")},

	// Trailers.
	{"more trailers than announced", append(testkit.Response(getStream, 0, 200, nil, ""), frame(channel.Trailers, 0, getStream, 0, "\x01\x00\x00\x00a\x00b\x00c\x00d\x00")...)},
	{"fewer trailers than announced", append(testkit.Response(getStream, 0, 200, nil, ""), frame(channel.Trailers, 0, getStream, 0, "\x02\x00\x00\x00a\x00b\x00")...)},

	// Windows (section 6).
	{"a head with more body than the window", testkit.Response(getStream, 0, 200, nil, strings.Repeat("x", channel.DefaultWindow+1))},
	{"a whole response larger than the window", testkit.Response(getStream, END, 200, nil, strings.Repeat("x", channel.DefaultWindow+1))},
	{"DATA beyond the window", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.Data(getStream, 0, strings.Repeat("x", channel.DefaultWindow+1))...)},

	// Descriptors (section 5, FILE).
	{"FILE without a descriptor", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.File(getStream, END, 0, 1)...)},
}

// refusals are heads and trailers that no client may see. Each costs its
// stream, and nothing else (docs/channel.md section 8).
var refusals = []struct {
	name string
	send []byte
}{
	{"fewer fields than announced", responseHead(getStream, END, 200, 2, "\x00a\x00b\x00")},
	{"more fields than announced", responseHead(getStream, END, 200, 1, "\x00a\x00b\x00c\x00d\x00")},
	{"a head that does not end", responseHead(getStream, END, 200, 1, "\x00a\x00b")},
	{"no reason", responseHead(getStream, END, 200, 0, "")},
	{"a reason with CR LF", responseHead(getStream, END, 200, 0, "OK\r\nA: b\x00")},
	{"a field name with a space", testkit.Response(getStream, END, 200, fields("a b: c"), "")},
	{"a field name with a colon", responseHead(getStream, END, 200, 1, "\x00a:\x00b\x00")},
	{"a field without a name", responseHead(getStream, END, 200, 1, "\x00\x00b\x00")},
	{"a field value with CR LF", testkit.Response(getStream, END, 200, fields("a: b\r\nc: d"), "")},
	{"a field value with LF", testkit.Response(getStream, END, 200, fields("a: b\nc"), "")},
	{"a field value with ESC", testkit.Response(getStream, END, 200, fields("a: \x1b"), "")},
	{"two lengths", testkit.Response(getStream, END, 200, fields("Content-Length: 1", "Content-Length: 2"), "x")},
	{"a length that is no number", testkit.Response(getStream, END, 200, fields("Content-Length: -1"), "")},
	{"a length with a list", testkit.Response(getStream, END, 200, fields("Content-Length: 1, 1"), "x")},
	{"more than 1024 fields", testkit.Response(getStream, END, 200, make1025(), "")},
	{"text that is no head", testkit.TextResponse(getStream, END, 200, "hello", "")},
	{"text with another status", testkit.TextResponse(getStream, END, 200, "HTTP/1.1 404 Not Found\r\n\r\n", "")},
	{"text with status 99", testkit.TextResponse(getStream, END, 0, "HTTP/1.1 099 X\r\n\r\n", "")},
	{"text with bare LF", testkit.TextResponse(getStream, END, 200, "HTTP/1.1 200 OK\nA: b\n\n", "")},
	{"text with a folded field", testkit.TextResponse(getStream, END, 200, "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "")},
	{"text that does not end", testkit.TextResponse(getStream, END, 200, "HTTP/1.1 200 OK\r\nA: b\r\n", "")},
	{"text with something behind it", testkit.TextResponse(getStream, END, 200, "HTTP/1.1 200 OK\r\n\r\nHTTP", "")},
	{"text with NUL", testkit.TextResponse(getStream, END, 200, "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", "")},
}

var refusedTrailers = []struct {
	name string
	send []byte
}{
	{"a length among trailers", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.Trailers(getStream, 0, "Content-Length: 1")...)},
	{"a coding among trailers", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.Trailers(getStream, 0, "Transfer-Encoding: x")...)},
	{"a bad name among trailers", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.Trailers(getStream, 0, "a b: c")...)},
	{"a bad value among trailers", append(testkit.Response(getStream, 0, 200, nil, ""), testkit.Trailers(getStream, 0, "a: b\r\nc: d")...)},
}

// A response that no client may see costs its stream a 502, or its client the
// connection if a part was sent, and leaves the session and all its other streams
// alone. The number can be used again at once.
func TestRefusedResponses(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Program: "odd", Credit: 100})
	reg := app.Register("http://+:0/")
	other := d.Dial(reg)
	other.Get("/other")
	if r := app.Request(); r.Stream != 1 {
		t.Fatalf("the first request has number %d", r.Stream)
	}
	refused := func(t *testing.T, send []byte, trailers bool) {
		t.Helper()
		onStream2(send)
		c := d.Dial(reg)
		c.Get("/")
		r := app.Request()
		if r.Stream != 2 {
			t.Fatalf("the request has number %d, so something of the one before is left", r.Stream)
		}
		app.Loop().Send(send)
		f := app.Loop().Want(channel.Cancel)
		if f.Stream != 2 || f.Value != channel.CancelRefused || len(f.Payload) == 0 {
			t.Errorf("the application got %v", f)
		}
		if a, err := c.TryResponse(); trailers && err == nil {
			t.Errorf("a client took %s with bad trailers", a.Head)
		} else if !trailers && (err != nil || a.Status != 502) {
			t.Errorf("the client got %v, %v; want 502", a, err)
		}
	}
	for _, tc := range refusals {
		d.Run(tc.name, func(t *testing.T) { refused(t, tc.send, false) })
	}
	for _, tc := range refusedTrailers {
		d.Run(tc.name, func(t *testing.T) { refused(t, tc.send, true) })
	}
	d.Run("without an end", func(t *testing.T) {
		refused(t, responseHead(getStream, 0, 200, 1, "\x00a:\x00b\x00"), false)
		// What follows is ignored until the application ends the stream.
		app.Loop().Send(testkit.Data(2, 0, "x"), testkit.Data(2, END, "y"))
		refused(t, testkit.Response(getStream, OPAQUE, 101, fields("a b: c"), ""), false)
		app.Loop().Send(testkit.Data(2, END, ""), testkit.Cancel(2, 0, 1))
	})
	app.Loop().Send(testkit.Response(1, END, 200, nil, "unhurt"))
	if got := other.WantStatus(200).Body; got != "unhurt" {
		t.Errorf("got %q", got)
	}
	d.Exchanges(0)
}

// onStream2 changes the stream of frames that were made for getStream.
func onStream2(b []byte) {
	for len(b) > 0 {
		h, err := channel.ParseHeader(b)
		if err != nil {
			panic(err)
		}
		b[4] = 2
		b = b[channel.HeaderSize+int(h.Length):]
	}
}

func make1025() []string {
	f := make([]string, 1025)
	for i := range f {
		f[i] = "a: b"
	}
	return f
}

func TestViolations(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	good := d.App(testkit.AppOptions{Program: "good", Credit: 10})
	goodReg := good.Register("http://+:0/")
	open := d.Dial(goodReg)
	open.Get("/open")
	kept := good.Request()
	for _, tc := range violations {
		d.Run(tc.name, func(t *testing.T) {
			app, clients := victim(t, d)
			app.Loop().Send(tc.send)
			wantLost(t, d, app, clients)
		})
	}

	// The daemon checks the same frames however they are cut.
	for _, tc := range violations[:10] {
		d.Run(tc.name+" in pieces", func(t *testing.T) {
			app, clients := victim(t, d)
			for i := range tc.send {
				if app.Loop().TrySend(tc.send[i:i+1]) != nil {
					break // refused as soon as it is clear
				}
			}
			wantLost(t, d, app, clients)
		})
	}
	kept.Respond(200, nil, "unhurt")
	if got := open.WantStatus(200).Body; got != "unhurt" {
		t.Errorf("got %q", got)
	}
}

// victim is an application with three requests, as the table of violations
// expects it.
func victim(t *testing.T, d *testkit.Daemon) (*testkit.App, []*testkit.Client) {
	t.Helper()
	app := d.App(testkit.AppOptions{Program: "bad", Credit: 10})
	reg := app.Register("http://+:0/")
	var clients []*testkit.Client
	for i, send := range []string{get, post, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"} {
		c := d.Dial(reg)
		c.Send(send)
		if r := app.Request(); r.Stream != uint32(i+1) {
			t.Fatalf("request %d has number %d", i, r.Stream)
		}
		clients = append(clients, c)
	}
	return app, clients
}

// wantLost expects that the application has lost its session, and its clients
// their requests.
func wantLost(t *testing.T, d *testkit.Daemon, app *testkit.App, clients []*testkit.Client) {
	t.Helper()
	if text := app.Loop().Refused(channel.InvalidParameter); text == "" || strings.Contains(text, "\n") {
		t.Errorf("the reason is %q", text)
	}
	app.WantEnd()
	d.Wait("the session to be gone", func(st *control.State) bool { return len(st.Sessions) == 1 })
	d.Exchanges(1)
	for _, c := range clients {
		if a, err := c.TryResponse(); err == nil && a.Status != 502 && a.Status != 200 {
			t.Errorf("a client got %s", a.Head)
		}
	}
	if !d.Log.Has("WARN", "broke the protocol", "program=bad") {
		t.Errorf("nothing is in the log")
	}
}

// Descriptors are checked, too, and none of them is kept.
func TestDescriptorViolations(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	good := d.App(testkit.AppOptions{Program: "good", Credit: 1})
	d.Dial(good.Register("http://+:0/")).Get("/") // as in TestViolations
	good.Request()
	path := filepath.Join(testkit.Dir(t), "file")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	file := openFile(t, path, os.O_RDONLY)
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	head := testkit.Response(getStream, 0, 200, nil, "")
	whole := testkit.File(getStream, END, 0, 100)
	for _, tc := range []struct {
		name string
		send []byte
		fds  []*os.File
	}{
		{"a pipe", whole, []*os.File{pipe}},
		{"a folder", whole, []*os.File{openFile(t, filepath.Dir(path), os.O_RDONLY)}},
		{"a device", whole, []*os.File{openFile(t, "/dev/zero", os.O_RDONLY)}},
		{"a file that was opened for writing only", whole, []*os.File{openFile(t, path, os.O_WRONLY)}},
		{"a file that was opened as a path only", whole, []*os.File{openFile(t, path, unix.O_PATH)}},
		{"two descriptors with FILE", whole, []*os.File{file, file}},
		{"64 descriptors with FILE", whole, repeat(file, 64)},
		{"100 descriptors with FILE", whole, repeat(file, 100)},
		{"a descriptor with DATA", testkit.Data(getStream, END, "x"), []*os.File{file}},
		{"a descriptor with CREDIT", testkit.Credit(1), []*os.File{file}},
		{"a descriptor with half a frame, and another one", testkit.Data(getStream, 0, "hello")[:14], []*os.File{file, file}},
		{"a negative offset", testkit.File(getStream, END, -1, 100), []*os.File{file}},
		{"a negative length", testkit.File(getStream, END, 0, -1), []*os.File{file}},
		{"an offset and a length that are too much together", testkit.File(getStream, END, 1<<62, 1<<62), []*os.File{file}},
		{"FILE before a head", nil, []*os.File{file}},
		{"FILE on a stream that is not there", testkit.File(noStream, END, 0, 100), []*os.File{file}},
		{"FILE in opaque mode", testkit.File(upgradeStream, END, 0, 100), []*os.File{file}},
	} {
		d.Run(tc.name, func(t *testing.T) {
			app, clients := victim(t, d)
			if tc.send == nil {
				tc.send = whole
			} else {
				app.Loop().Send(head, testkit.RawOpaque(upgradeStream))
			}
			var fds []int
			for _, f := range tc.fds {
				fds = append(fds, int(f.Fd()))
			}
			app.Loop().SendFiles(tc.send, fds...)
			wantLost(t, d, app, clients)
		})
	}
	// A FILE counts 4096 bytes against the window, whatever its length.
	d.Run("more files than the window takes", func(t *testing.T) {
		app, clients := victim(t, d)
		clients[0].SetReadBuffer(64 << 10)
		app.Loop().Send(testkit.Response(getStream, 0, 200, nil, strings.Repeat("x", channel.DefaultWindow-channel.FileWindowCost)),
			testkit.Response(upgradeStream, 0, 200, nil, strings.Repeat("x", channel.DefaultWindow-channel.FileWindowCost+1)))
		app.Loop().SendFiles(testkit.File(getStream, 0, 0, 1), int(file.Fd()))
		app.Loop().TrySendFiles(testkit.File(upgradeStream, 0, 0, 1), int(file.Fd()))
		_ = clients
		app.Close()
	})
}

func repeat(f *os.File, n int) []*os.File {
	s := make([]*os.File, n)
	for i := range s {
		s[i] = f
	}
	return s
}

func openFile(t *testing.T, path string, mode int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Violations on the session connection, and what is said there at the wrong
// time.
func TestSessionViolations(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	for _, tc := range []struct {
		name string
		send []byte
	}{
		{"DATA", testkit.Data(1, 0, "x")},
		{"HELLO again", testkit.JSON(channel.Hello, 0, channel.HelloMessage{Protocol: 1, Role: channel.RoleSession})},
		{"CALL on stream 0", testkit.JSON(channel.Call, 0, channel.CallMessage{Method: "register"})},
		{"a CALL that is no JSON", frame(channel.Call, 0, 1, 0, "register")},
		{"a CALL that is no object", frame(channel.Call, 0, 1, 0, "[]")},
		{"a frame that is too long", channel.AppendHeader(nil, channel.Header{Length: channel.MaxPayload + 1, Stream: 1, Type: channel.Call})},
		{"rubbish", []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
	} {
		d.Run(tc.name, func(t *testing.T) {
			app := d.App(testkit.AppOptions{Program: "bad", Credit: 1})
			reg := app.Register("http://+:0/")
			c := d.Dial(reg)
			c.Get("/")
			app.Request()
			app.Send(tc.send)
			if text := app.Refused(channel.InvalidParameter); text == "" {
				t.Error("no reason")
			}
			app.Loop().WantEnd()
			c.WantStatus(502)
		})
	}
	// What a call says may be wrong without breaking the protocol.
	app := d.App(testkit.AppOptions{})
	for _, tc := range []struct {
		method string
		params any
		code   channel.Code
	}{
		{"nonsense", nil, channel.Unsupported},
		{"", nil, channel.Unsupported},
		{"register", "x", channel.InvalidParameter},
		{"register", map[string]any{"url": 5}, channel.InvalidParameter},
		{"register", map[string]any{}, channel.InvalidParameter},
		{"unregister", map[string]any{"id": 77}, channel.NotFound},
		{"unregister", map[string]any{"id": -1}, channel.InvalidParameter},
		{"show servicestate", "x", channel.InvalidParameter},
	} {
		if _, err := app.Call(tc.method, tc.params); err == nil || err.Code != tc.code || err.Message == "" {
			t.Errorf("%s %v: %v, want %s", tc.method, tc.params, err, tc.code)
		}
	}
	app.Register("http://+:0/")
}

// A broken frame behind good ones of the same write does not undo them.
func TestViolationBehindAnAnswer(t *testing.T) {
	_, app, _, c := one(t, testkit.AppOptions{})
	c.Get("/")
	r := app.Request()
	r.Send(testkit.Response(r.Stream, END|CREDIT, 200, nil, "hello"), []byte(fmt.Sprintf("%20d", 0)))
	if got := c.WantStatus(200).Body; got != "hello" {
		t.Errorf("got %q", got)
	}
	app.Loop().Refused(channel.InvalidParameter)
}
