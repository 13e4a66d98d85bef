package daemon_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// h2client speaks HTTP/2 with prior knowledge, frame by frame.
type h2client struct {
	t *testing.T
	net.Conn
	*http2.Framer
	head bytes.Buffer
	enc  *hpack.Encoder
}

func dialHTTP2(t *testing.T, c net.Conn) *h2client {
	h := &h2client{t: t, Conn: c, Framer: http2.NewFramer(c, c)}
	h.enc = hpack.NewEncoder(&h.head)
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.SetDeadline(time.Now().Add(testkit.Patience))
	io.WriteString(c, http2.ClientPreface)
	h.WriteSettings()
	return h
}

func (h *h2client) request(id uint32, end bool, fields ...string) {
	h.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.head.Bytes(), EndStream: end, EndHeaders: true})
}

func (h *h2client) get(id uint32, path string) {
	h.request(id, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", path)
}

// next returns the next frame that says something about a request or the end
// of the connection, as text.
func (h *h2client) next() string {
	h.t.Helper()
	for {
		f, err := h.ReadFrame()
		if err != nil {
			return err.Error()
		}
		end := ""
		if f.Header().Flags.Has(http2.FlagDataEndStream) {
			end = " END"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if f.PseudoValue("status") == "" {
				return fmt.Sprintf("%d trailers %s: %s%s", f.StreamID, f.Fields[0].Name, f.Fields[0].Value, end)
			}
			return fmt.Sprintf("%d status %s%s", f.StreamID, f.PseudoValue("status"), end)
		case *http2.DataFrame:
			h.WriteWindowUpdate(0, max(1, uint32(len(f.Data()))))
			return fmt.Sprintf("%d %q%s", f.StreamID, f.Data(), end)
		case *http2.RSTStreamFrame:
			return fmt.Sprintf("%d reset %v", f.StreamID, f.ErrCode)
		case *http2.PingFrame:
			if !f.IsAck() {
				h.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame:
			return fmt.Sprintf("goaway %v", f.ErrCode)
		}
	}
}

func (h *h2client) want(want ...string) {
	h.t.Helper()
	for _, w := range want {
		if got := h.next(); got != w {
			h.t.Fatalf("got %s, want %s", got, w)
		}
	}
}

func oneHTTP2(t *testing.T, credit int) (*testkit.Daemon, *testkit.App, *testkit.Registration, *h2client) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: credit})
	reg := app.Register("http://+:0/")
	c, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return d, app, reg, dialHTTP2(t, c)
}

// The requests of one connection are answered in any order.
func TestHTTP2Streams(t *testing.T) {
	_, app, _, c := oneHTTP2(t, 3)
	c.get(1, "/1")
	c.get(3, "/3")
	c.get(5, "/5")
	r1, r3, r5 := app.Request(), app.Request(), app.Request()
	r5.Respond(200, nil, "five")
	c.want("5 status 200", `5 "five" END`)
	r1.Respond(404, nil, "")
	c.want("1 status 404 END")
	r3.Respond(200, nil, "three")
	c.want("3 status 200", `3 "three" END`)
}

// A request body arrives with its end; one that is reset is cancelled.
func TestHTTP2Bodies(t *testing.T) {
	_, app, _, c := oneHTTP2(t, 2)
	c.request(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/", "content-length", "10")
	c.WriteData(1, false, []byte("hello"))
	r := app.Request()
	c.WriteData(1, true, []byte("world"))
	r.WantBody("helloworld", true)
	r.Respond(200, nil, "ok")
	c.want("1 status 200", `1 "ok" END`)

	c.request(3, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/")
	r = app.Request()
	c.WriteRSTStream(3, http2.ErrCodeCancel)
	r.WantCancel(1)
}

// Trailers go both ways.
func TestHTTP2Trailers(t *testing.T) {
	_, app, _, c := oneHTTP2(t, 1)
	c.request(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/")
	c.WriteData(1, false, []byte("body"))
	c.request(1, true, "sum", "42")
	r := app.Request()
	r.WantBody("body", false)
	r.WantTrailers("sum: 42")
	r.Start(200, nil, "answer")
	r.Trailers("check: 43")
	c.want("1 status 200", `1 "answer"`, "1 trailers check: 43 END")
}

// CONNECT makes a tunnel if the application answers 2xx; what the client did
// not wait with is not lost, and each side ends for itself.
func TestHTTP2Connect(t *testing.T) {
	_, app, _, c := oneHTTP2(t, 2)
	c.request(1, false, ":method", "CONNECT", ":authority", "a:1")
	c.WriteData(1, false, []byte("early"))
	r := app.Request()
	r.Send(testkit.Response(r.Stream, testkit.OPAQUE, 200, nil, ""))
	c.want("1 status 200")
	r.WantBody("early", false)
	r.Send(testkit.Data(r.Stream, 0, "hello"))
	c.want(`1 "hello"`)
	c.WriteData(1, true, []byte("bye"))
	r.WantBody("bye", true)
	r.Send(testkit.Data(r.Stream, testkit.END, "end"))
	r.Cancel(1)
	c.want(`1 "end"`, `1 "" END`)

	c.request(3, false, ":method", "CONNECT", ":authority", "a:1")
	app.Loop().Send(testkit.Credit(1))
	app.Request().Respond(403, nil, "")
	c.want("3 status 403 END")
}

// Nobody serves the host; the path; or it waits too long.
func TestHTTP2Refusals(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	reg := app.Register("http://localhost:0/app/")
	conn, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := dialHTTP2(t, conn)
	c.get(1, "/app/")
	if got := c.next(); got != "1 status 400" {
		t.Errorf("another host: %s", got)
	}
	c.next()
	c.request(3, true, ":method", "GET", ":scheme", "http", ":authority", "localhost", ":path", "/other")
	if got := c.next(); got != "3 status 404" {
		t.Errorf("another path: %s", got)
	}
}

// A frame that is not complete, while there is something to send, does not
// keep the loop busy: it once turned for ever and took all memory.
func TestHTTP2IncompleteFrame(t *testing.T) {
	_, app, _, c := oneHTTP2(t, 2)
	c.get(1, "/1")
	io.WriteString(c.Conn, "\x00\x00\x10\x01") // the start of HEADERS
	r := app.Request()
	r.Respond(200, nil, "one")
	c.want("1 status 200", `1 "one" END`)
	_, app2, _, other := oneHTTP2(t, 1)
	other.get(1, "/")
	app2.Request().Respond(200, nil, "")
	other.want("1 status 200 END")
}

// What breaks the protocol ends the connection and nothing else.
func TestHTTP2Faults(t *testing.T) {
	d, app, reg, c := oneHTTP2(t, 2)
	c.get(1, "/running")
	r := app.Request()
	c.WriteRawFrame(http2.FrameSettings, 0, 1, nil) // SETTINGS on a stream
	c.want("goaway PROTOCOL_ERROR", "EOF")
	r.WantCancel(1)
	other := d.Dial(reg)
	other.Get("/")
	app.Request().Respond(200, nil, "")
	other.WantStatus(200)
}

// A client that does not read costs its windows and no more.
func TestHTTP2SlowReader(t *testing.T) {
	_, app, _, c := oneHTTP2(t, 2)
	c.get(1, "/slow")
	c.get(3, "/quick")
	slow, quick := app.Request(), app.Request()
	slow.Start(200, nil, strings.Repeat("x", 60000))
	slow.Finish(strings.Repeat("y", 5000))
	quick.Respond(204, nil, "")
	c.want("1 status 200")
	for {
		switch got := c.next(); {
		case got == "3 status 204 END":
			return
		case !strings.HasPrefix(got, "1 "):
			t.Fatal(got)
		}
	}
}

// A client that stops in the middle of a body: the application hears of it
// after the prefix's own timeout, and may answer.
func TestHTTP2EntityBodyTimeout(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 2})
	short, never := int64(50), int64(0)
	quick := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{EntityBodyMS: &short}})
	app.RegisterWith(channel.RegisterParams{URL: fmt.Sprintf("http://+:%d/never/", quick.Port), Timeouts: &channel.Timeouts{EntityBodyMS: &never}})
	conn, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", quick.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := dialHTTP2(t, conn)
	c.request(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/never/")
	patient := app.Request()
	c.request(3, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/")
	r := app.Request()
	c.WriteData(3, false, []byte("half"))
	r.WantBody("half", false)
	r.WantCancel(3)
	c.WriteData(3, false, []byte("too late"))
	r.Respond(408, nil, "")
	c.want("3 status 408 END", "3 reset NO_ERROR")
	c.WriteData(1, true, []byte("late"))
	patient.WantBody("late", true)
	patient.Respond(200, nil, "")
	c.want("1 status 200 END")
}

// An idle connection hears that it is closed, after the time that the prefix of
// its last request has set.
func TestHTTP2IdleTimeout(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	short := int64(50)
	reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{IdleConnectionMS: &short}})
	conn, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := dialHTTP2(t, conn)
	c.get(1, "/")
	app.Request().Respond(200, nil, "")
	c.want("1 status 200 END", "goaway NO_ERROR", "goaway NO_ERROR", "EOF")
}

// A daemon that ends lets its clients know, and what is under way be answered.
func TestHTTP2Drain(t *testing.T) {
	d, app, reg, busy := oneHTTP2(t, 1)
	idle, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	i := dialHTTP2(t, idle)
	busy.get(1, "/")
	r := app.Request()
	d.Wait("two connections of HTTP/2", func(st *control.State) bool { return st.HTTP2.Connections == 2 && st.HTTP2.Streams == 1 })
	ended := make(chan struct{})
	go func() { d.Shutdown(); close(ended) }()
	i.want("goaway NO_ERROR", "EOF")
	busy.want("goaway NO_ERROR", "goaway NO_ERROR")
	r.Respond(200, nil, "done")
	busy.want("1 status 200", `1 "done" END`, "EOF")
	<-ended
}

// Who begins with something that is no HTTP at all, and may have meant the
// preface of HTTP/2, gets no answer in HTTP/1.1 (RFC 9113 3.4); others get one.
func TestInvalidPreface(t *testing.T) {
	d, _, reg, _ := one(t, testkit.AppOptions{})
	for _, tc := range []struct{ send, want string }{
		{"INVALID CONNECTION PREFACE\r\n\r\n", ""},
		{"PRI * FOO/2.0\r\n\r\nSM\r\n\r\n", ""},
		{"GET / http/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"GET / HTTQ/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"GET /\r\n\r\n", "HTTP/1.1 400 "},
		{"GET\r\n", "HTTP/1.1 400 "},
		{"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505 "},
		{"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "HTTP/1.1 505 "},
	} {
		d.Run(tc.send, func(t *testing.T) {
			c, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(testkit.Patience))
			io.WriteString(c, tc.send)
			got, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(got), tc.want) || (tc.want == "") != (len(got) == 0) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
