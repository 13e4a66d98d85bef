package daemon_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// oneCompressing is one for a registration that asks for compression.
func oneCompressing(t *testing.T) (*testkit.Daemon, *testkit.App, *testkit.Registration) {
	t.Helper()
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	return d, app, app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Compress: true})
}

const getGzip = "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"

func gunzip(b []byte) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(z)
	return string(out), err
}

// Responses of every kind arrive compressed, and another request can follow.
func TestCompression(t *testing.T) {
	text := pattern(300_000)
	path := filepath.Join(testkit.Dir(t), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file := openFile(t, path, os.O_RDONLY)
	plain := "Content-Type: text/plain"
	d, app, reg := oneCompressing(t)
	for _, tc := range []struct {
		name    string
		request string
		answer  func(r *testkit.Request)
		body    string
		length  bool // it has one
	}{
		{"short", getGzip, func(r *testkit.Request) { r.Respond(200, fields(plain), text[:5000]) }, text[:5000], true},
		{"short, with a length", getGzip, func(r *testkit.Request) {
			r.Respond(200, fields(plain, "Content-Length: 5000"), text[:5000])
		}, text[:5000], true},
		{"long, in one frame", getGzip, func(r *testkit.Request) { r.Respond(200, fields(plain), text[:65_500]) }, text[:65_500], true},
		{"in parts", getGzip, func(r *testkit.Request) {
			r.Start(200, fields(plain, "Content-Length: 60000"), text[:10])
			r.Data(text[10:30_000])
			r.Finish(text[30_000:60_000])
		}, text[:60_000], false},
		{"a file", getGzip, func(r *testkit.Request) {
			r.Start(200, fields(plain, "Content-Length: 300000"), "")
			r.File(file, END|CREDIT, 0, 300_000)
		}, text, false},
		{"a file among other bytes", getGzip, func(r *testkit.Request) {
			r.Start(200, fields(plain), "a")
			r.File(file, 0, 100, 200_000)
			r.Finish("z")
		}, "a" + text[100:200_100] + "z", false},
		{"to HTTP/1.0", strings.Replace(getGzip, "1.1", "1.0", 1), func(r *testkit.Request) {
			r.Start(200, fields(plain), text[:10])
			r.Finish(text[10:1000])
		}, text[:1000], false},
		{"with trailers", getGzip, func(r *testkit.Request) {
			r.Start(200, fields(plain, "Trailer: A"), text[:10])
			r.Data(text[10:1000])
			r.Trailers("A: b")
		}, text[:1000], false},
		{"behind 1xx", getGzip, func(r *testkit.Request) {
			r.Respond(200, fields(plain), text[:2000])
		}, text[:2000], true},
		{"an error page", getGzip, func(r *testkit.Request) { r.Respond(500, fields(plain), text[:5000]) }, text[:5000], true},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			for range 2 {
				c.Send(tc.request)
				tc.answer(app.Request())
				a := c.Response()
				got, err := gunzip([]byte(a.Body))
				if got != tc.body || err != nil {
					t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(tc.body))
				}
				if a.Field("Content-Encoding") != "gzip" || a.Field("Vary") != "Accept-Encoding" || (a.Field("Content-Length") != "") != tc.length {
					t.Errorf("%+v", a)
				}
				if tc.name == "with trailers" && !strings.Contains(a.Trailer, "A: b") {
					t.Errorf("trailers are %q", a.Trailer)
				}
				if strings.Contains(tc.request, "1.0") {
					break
				}
			}
			c.Close()
		})
	}
}

// The administrator's word, the application's and the client's.
func TestCompressionWords(t *testing.T) {
	d, app, reg := oneCompressing(t)
	other := app.Register("http://+:" + fmt.Sprint(reg.Port) + "/other/")
	_ = other
	d.Admin("add setting", map[string]any{"name": "compression", "value": 1})
	d.Admin("delete setting", map[string]any{"name": "compression"})
	body := strings.Repeat("text ", 400)
	plain, on, off := "Content-Type: text/plain", "Httpsys-Compress: on", "Httpsys-Compress: off"
	for _, tc := range []struct {
		setting, path string
		fields        []string
		want          bool
	}{
		{"", "/", fields(plain), true},
		{"", "/", fields(plain, off), false},
		{"", "/other/", fields(plain), false},
		{"", "/other/", fields(plain, on), true},
		{"2", "/other/", fields(plain), true},
		{"2", "/other/", fields(plain, off), false},
		{"0", "/", fields(plain, on), false},
		{"", "/", fields(plain, "Set-Cookie: a=b"), false},
	} {
		name := fmt.Sprintf("%q %s %s", tc.setting, tc.path, tc.fields)
		d.Run(name, func(t *testing.T) {
			if tc.setting != "" {
				d.Admin("add setting", map[string]any{"name": "compression", "value": int(tc.setting[0] - '0')})
				defer d.Admin("delete setting", map[string]any{"name": "compression"})
			}
			c := d.Dial(reg)
			c.Send(strings.Replace(getGzip, " / ", " "+tc.path+" ", 1))
			app.Request().Respond(200, tc.fields, body)
			a := c.Response()
			if (a.Field("Content-Encoding") == "gzip") != tc.want || a.Field("Httpsys-Compress") != "" {
				t.Errorf("%+v", a)
			}
			c.Close()
		})
	}
}

// What an application sends is on the wire before it sends more.
func TestCompressionIsNotKeptBack(t *testing.T) {
	d, app, reg := oneCompressing(t)
	c := d.Dial(reg)
	c.Send(getGzip)
	r := app.Request()
	r.Start(200, fields("Content-Type: text/event-stream"), "")
	z := newStream(t, c)
	for i := range 5 {
		event := fmt.Sprintf("data: %d\n\n", i)
		r.Data(event)
		z.want(event)
	}
	r.Finish("")
	if rest, err := io.ReadAll(z.z); err != nil || len(rest) > 0 {
		t.Errorf("at the end: %q, %v", rest, err)
	}
}

// gzipStream reads a chunked response as it comes.
type gzipStream struct {
	t *testing.T
	r io.Reader
	z *gzip.Reader
}

func newStream(t *testing.T, c *testkit.Client) *gzipStream { return &gzipStream{t: t, r: c.Chunks()} }

func (s *gzipStream) want(want string) {
	s.t.Helper()
	var err error
	if s.z == nil {
		if s.z, err = gzip.NewReader(s.r); err != nil {
			s.t.Fatal(err)
		}
	}
	b := make([]byte, len(want))
	if _, err := io.ReadFull(s.z, b); string(b) != want || err != nil {
		s.t.Fatalf("got %q, %v; want %q", b, err, want)
	}
}

// A client that reads late gets everything in
// the end; one that leaves ends it.
func TestCompressionToSlowClients(t *testing.T) {
	d, app, reg := oneCompressing(t)
	text := pattern(4 << 20)
	for _, leaves := range []bool{false, true} {
		d.Run(fmt.Sprint("leaves=", leaves), func(t *testing.T) {
			c := d.Dial(reg)
			c.Send(getGzip)
			r := nextRequest(app)
			r.Start(200, fields("Content-Type: text/plain"), "")
			left, window := text, channel.DefaultWindow
			done := make(chan []byte, 1)
			for len(left) > 0 {
				for window > 0 && len(left) > 0 {
					n := min(window, len(left), 60_000)
					r.Data(left[:n])
					left, window = left[n:], window-n
				}
				if len(left) == 0 {
					break
				}
				f := r.Next()
				if f.Type == channel.Cancel {
					if !leaves {
						t.Fatal("cancelled")
					}
					r.Cancel(0)
					return
				}
				n, err := channel.Uint32(f.Payload)
				if f.Type != channel.Window || err != nil {
					t.Fatalf("got %v", f)
				}
				window += int(n)
				if len(left) < len(text)-100_000 && done != nil {
					if leaves {
						c.Close()
						done = nil
						continue
					}
					ch := done
					done = nil
					go func() { b, _ := io.ReadAll(c.Chunks()); ch <- b }()
					defer func() {
						if got, err := gunzip(<-ch); got != text || err != nil {
							t.Errorf("got %d bytes, %v", len(got), err)
						}
					}()
				}
			}
			r.Finish("")
		})
	}
}

// An application that dies in the middle cuts its response, and what it sent
// has arrived.
func TestCompressionCut(t *testing.T) {
	d, app, reg := oneCompressing(t)
	c := d.Dial(reg)
	c.Send(getGzip)
	r := app.Request()
	r.Start(200, fields("Content-Type: text/plain"), "")
	r.Data("so far")
	r.Cancel(0)
	b, err := io.ReadAll(c.Chunks())
	if err == nil {
		t.Error("the body is complete")
	}
	if got, err := gunzip(b); got != "so far" || err == nil {
		t.Errorf("got %q, %v", got, err)
	}
	d.Exchanges(0)
}

// HTTP/2 and its windows.
func TestCompressionHTTP2(t *testing.T) {
	d, app, reg := oneCompressing(t)
	conn, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h := dialHTTP2(t, conn)
	text := pattern(400_000)
	h.request(1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "accept-encoding", "gzip")
	r := app.Request()
	r.Start(200, fields("Content-Type: text/plain"), "")
	h.want("1 status 200")
	go func() {
		left, window := text, channel.DefaultWindow
		for {
			n := min(window, len(left), 60_000)
			r.Data(left[:n])
			if left, window = left[n:], window-n; len(left) == 0 {
				break
			}
			if window == 0 {
				window += r.WantWindow()
			}
		}
		r.Trailers("A: b")
	}()
	var got []byte
	for {
		f := h.next()
		if strings.HasPrefix(f, "1 trailers") {
			break
		}
		var part string
		if _, err := fmt.Sscanf(f, "1 %q", &part); err != nil {
			t.Fatalf("%.100s: %v", f, err)
		}
		got = append(got, part...)
		h.WriteWindowUpdate(1, uint32(max(len(part), 1)))
	}
	if plain, err := gunzip(got); plain != text || err != nil {
		t.Errorf("got %d bytes, %v", len(plain), err)
	}
	d.Exchanges(0)
}
