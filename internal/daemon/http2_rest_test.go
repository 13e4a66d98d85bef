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

// resting is a client whose requests wait for their answers.
type resting struct {
	*testing.T
	net.Conn
	a  *attacker
	fr *http2.Framer
}

func rests(t *testing.T, port uint16) *resting {
	t.Helper()
	c, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(testkit.Patience))
	r := &resting{T: t, Conn: c, a: newAttacker(), fr: http2.NewFramer(nil, c)}
	r.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	r.a.out.WriteString(http2.ClientPreface)
	r.a.WriteSettings()
	return r
}

func (r *resting) send() {
	r.Helper()
	if _, err := io.Copy(r.Conn, &r.a.out); err != nil {
		r.Fatal(err)
	}
}

// want reads up to the first frame of a stream, and says what it is.
func (r *resting) want(id uint32, want string) {
	r.Helper()
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			r.Fatalf("stream %d: %v instead of %s", id, err, want)
		}
		if f.Header().StreamID != id || id != 0 && f.Header().Type == http2.FrameWindowUpdate {
			continue
		}
		got := ""
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			got = f.PseudoValue("status")
		case *http2.DataFrame:
			got = string(f.Data())
		case *http2.RSTStreamFrame:
			got = f.ErrCode.String()
		case *http2.GoAwayFrame:
			got = f.ErrCode.String()
		default:
			continue
		}
		if got != want {
			r.Fatalf("stream %d: %q, want %q", id, got, want)
		}
		return
	}
}

func atRest(d *testkit.Daemon, n int) {
	d.Wait(fmt.Sprintf("%d streams at rest", n), func(st *control.State) bool { return st.HTTP2.Resting == n })
}

// learnsPlain makes the daemon know that the program stores nothing.
func learnsPlain(d *testkit.Daemon, app *testkit.App, reg *testkit.Registration) {
	c := d.Dial(reg)
	c.Get("/")
	app.Request().Respond(200, nil, "")
	c.WantStatus(200)
	c.Close()
}

// A request that its program does not answer comes to rest. Whatever happens to it then, from
// either side, is as if it had not.
func TestHTTP2StreamsRest(t *testing.T) {
	cases := []struct {
		name   string
		method string
		end    bool
		then   func(d *testkit.Daemon, app *testkit.App, c *resting, x *testkit.Request, others int)
	}{
		{"answered", "OPTIONS", true, func(_ *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, _ int) {
			x.Respond(200, nil, "late")
			c.want(1, "200")
			c.want(1, "late")
		}},
		{"answered in pieces, with early hints", "OPTIONS", true, func(_ *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, others int) {
			x.Send(testkit.Response(x.Stream, 0, 103, fields("Link: x"), ""))
			c.want(1, "103")
			x.Start(200, nil, "a")
			c.want(1, "200")
			c.want(1, "a")
			x.Data("b")
			c.want(1, "b")
			x.Finish("c")
			c.want(1, "c")
		}},
		{"HEAD", "HEAD", true, func(_ *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, others int) {
			x.Respond(200, []string{"Content-Length: 5"}, "")
			c.want(1, "200")
			c.a.WritePing(false, [8]byte{1})
			c.send()
		}},
		{"reset by the client", "OPTIONS", true, func(d *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, others int) {
			c.a.WriteRSTStream(1, http2.ErrCodeCancel)
			c.send()
			x.WantCancel(channel.CancelGone)
		}},
		{"the client closes", "OPTIONS", true, func(d *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, others int) {
			c.Close()
			x.WantCancel(channel.CancelGone)
		}},
		{"the client breaks a rule of the stream", "OPTIONS", true, func(d *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, others int) {
			c.a.WriteData(1, false, []byte("x"))
			c.send()
			c.want(1, "STREAM_CLOSED")
			x.WantCancel(channel.CancelGone)
		}},
		{"the client breaks a rule of the connection", "OPTIONS", true, func(d *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, others int) {
			c.a.WriteWindowUpdate(0, 0)
			c.send()
			c.want(0, "PROTOCOL_ERROR")
			x.WantCancel(channel.CancelGone)
		}},
		{"windows change", "OPTIONS", true, func(d *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, others int) {
			c.a.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
			c.send()
			atRest(d, others+1) // still
			c.a.WriteWindowUpdate(1, 1)
			c.send()
			x.Respond(200, nil, "four and no more")
			c.want(1, "200")
			c.want(1, "four")
		}},
		{"content follows", "POST", false, func(d *testkit.Daemon, _ *testkit.App, c *resting, x *testkit.Request, others int) {
			c.a.WriteData(1, false, []byte("some"))
			c.send()
			x.WantBody("some", false)
			atRest(d, others+1)
			c.a.WriteData(1, true, []byte(" more"))
			c.send()
			x.WantBody(" more", true)
			atRest(d, others+1)
			x.Respond(204, nil, "")
			c.want(1, "204")
		}},
		{"the program ends", "OPTIONS", true, func(d *testkit.Daemon, app *testkit.App, c *resting, x *testkit.Request, others int) {
			app.Close()
			c.want(1, "502")
		}},
		{"a bad answer", "OPTIONS", true, func(d *testkit.Daemon, app *testkit.App, c *resting, x *testkit.Request, others int) {
			x.Respond(200, []string{"A: b\rc"}, "")
			c.want(1, "502")
		}},
	}
	d := testkit.Start(t, testkit.Options{})
	var all []*resting
	var requests []*testkit.Request
	var apps []*testkit.App
	for _, tc := range cases {
		c, app, x := unanswered(t, d, tc.method, tc.end)
		all, apps, requests = append(all, c), append(apps, app), append(requests, x)
	}
	others := len(cases)
	atRest(d, others)
	for i, tc := range cases {
		d.Run(tc.name, func(t *testing.T) {
			others--
			all[i].T = t
			tc.then(d, apps[i], all[i], requests[i], others)
			atRest(d, others)
		})
	}
	d.Exchanges(0)
}

// unanswered is a request that a program has, and does not answer.
func unanswered(t *testing.T, d *testkit.Daemon, method string, end bool) (*resting, *testkit.App, *testkit.Request) {
	t.Helper()
	app := d.App(testkit.AppOptions{Credit: 10})
	reg := app.Register("http://+:0/")
	learnsPlain(d, app, reg)
	c := rests(t, reg.Port)
	c.a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: end, EndHeaders: true,
		BlockFragment: c.a.block(":method", method, ":scheme", "http", ":authority", "a", ":path", "/")})
	c.send()
	return c, app, app.Request()
}

// The time for content runs while a stream rests.
func TestHTTP2StreamsAtRestRunOutOfTime(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Config: `{"version":1,"timeouts":{"entitybodytimeout":3}}`})
	c, _, x := unanswered(t, d, "POST", false)
	atRest(d, 1)
	x.WantCancel(channel.CancelBody)
	x.Respond(408, nil, "")
	c.want(1, "408")
	d.Exchanges(0)
}

// A hundred open streams take at most 16 KiB more than their connection without them.
func TestHTTP2OpenStreamsTakeLittle(t *testing.T) {
	const connections, streams = 40, 100
	d := testkit.Start(t, testkit.Options{Busy: true})
	app := d.App(testkit.AppOptions{Credit: 20_000})
	reg := app.Register("http://+:0/")
	learnsPlain(d, app, reg)
	socket := raw(t, app.Loop().RawConn())
	buf := make([]byte, 256<<10)
	// open opens n streams on each of some connections, and waits until they rest.
	total := 0
	open := func(conns []*resting, first uint32, n int) {
		t.Helper()
		for i, c := range conns {
			if c == nil {
				c = rests(t, reg.Port)
				conns[i] = c
			}
			for k := range n {
				c.a.WriteHeaders(http2.HeadersFrameParam{StreamID: first + 2*uint32(k), EndStream: true, EndHeaders: true,
					BlockFragment: c.a.block(":method", "OPTIONS", ":scheme", "http", ":authority", "a", ":path", "/",
						"accept", "*/*", "user-agent", strings.Repeat("browser/", 12))})
			}
			c.send()
			c.a.out = bytes.Buffer{}
			total += n
			d.Wait("the requests", func(st *control.State) bool { return st.HTTP2.Streams == total })
			for k := 0; k < n; { // the application takes them, and forgets them
				for b := buf[:socket.readSome(buf)]; len(b) > 0; k++ {
					b = b[channel.HeaderSize+int(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16):]
				}
			}
		}
		atRest(d, total)
	}
	// What is kept to be used again is there before.
	var warm [20]*resting
	var conns [connections]*resting
	open(warm[:], 1, streams)
	open(conns[:], 1, 1)
	before := heap()
	open(conns[:], 3, streams)
	each := (heap() - before) / connections
	if each > 13<<10 { // resident memory is some KiB more
		t.Errorf("%d bytes for %d open streams", each, streams)
	}
	t.Logf("%d bytes for %d open streams", each, streams)
	// The last one is answered.
	d.Run("answered", func(t *testing.T) {
		last := uint32(total + 1) // the channel counts up, and one number was used before
		socket.write(testkit.Response(last-1, END, 204, nil, ""))
		conns[connections-1].want(1+2*streams, "204")
		atRest(d, total-1)
	})
	for _, c := range append(conns[:], warm[:]...) {
		c.Close()
	}
	d.Exchanges(0)
}
