package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// FILE frames: the daemon sends pieces of files that it was passed (docs/
// channel.md section 5).
func TestFile(t *testing.T) {
	content := pattern(1_500_000)
	path := filepath.Join(testkit.Dir(t), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	file := openFile(t, path, os.O_RDONLY)
	size := int64(len(content))
	whole := fields(fmt.Sprintf("Content-Length: %d", size))
	d, app, reg, _ := one(t, testkit.AppOptions{})
	const end = END | CREDIT
	for _, tc := range []struct {
		name    string
		request string
		answer  func(r *testkit.Request)
		want    string // after "HTTP/1.1 200 OK\r\n"; "@" is a date and the daemon's name
		after   after
	}{
		{"whole, with a length", get, func(r *testkit.Request) {
			r.Start(200, whole, "")
			r.File(file, end, 0, size)
		}, whole[0] + "\r\n@\r\n" + content, reused},
		{"whole, in chunks", get, func(r *testkit.Request) {
			r.Start(200, nil, "")
			r.File(file, end, 0, size)
		}, fmt.Sprintf("@Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, content), reused},
		{"whole, to HTTP/1.0", get10, func(r *testkit.Request) {
			r.Start(200, nil, "")
			r.File(file, end, 0, size)
		}, "@Connection: close\r\n\r\n" + content, ended},
		{"a piece", get, func(r *testkit.Request) {
			r.Start(200, fields("Content-Length: 10"), "")
			r.File(file, end, 1000, 10)
		}, "Content-Length: 10\r\n@\r\n" + content[1000:1010], reused},
		{"pieces among other bytes", get, func(r *testkit.Request) {
			r.Start(200, nil, "a")
			r.File(file, 0, 0, 5)
			r.Data("b")
			r.File(file, 0, 1_499_995, 5)
			r.Finish("c")
		}, "@Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n5\r\n" + content[:5] + "\r\n1\r\nb\r\n5\r\n" + content[1_499_995:] + "\r\n1\r\nc\r\n0\r\n\r\n", reused},
		{"nothing of it", get, func(r *testkit.Request) {
			r.Start(200, nil, "")
			r.File(file, end, 0, 0)
		}, "@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", reused},
		{"trailers behind it", get, func(r *testkit.Request) {
			r.Start(200, nil, "")
			r.File(file, 0, 0, 5)
			r.Trailers("A: b")
		}, "@Transfer-Encoding: chunked\r\n\r\n5\r\n" + content[:5] + "\r\n0\r\nA: b\r\n\r\n", reused},
		{"for HEAD", head, func(r *testkit.Request) {
			r.Start(200, whole, "")
			r.File(file, end, 0, size)
		}, whole[0] + "\r\n@\r\n", reused},
		{"for HEAD, several", head, func(r *testkit.Request) {
			r.Start(200, nil, "")
			r.File(file, 0, 0, size)
			r.File(file, end, 0, size)
		}, "@\r\n", reused},
		{"more than the length", get, func(r *testkit.Request) {
			r.Start(200, fields("Content-Length: 9"), "")
			r.File(file, end, 0, 10)
		}, "Content-Length: 9\r\n@\r\n", ended},
		{"less than the length", get, func(r *testkit.Request) {
			r.Start(200, fields("Content-Length: 11"), "")
			r.File(file, end, 0, 10)
		}, "Content-Length: 11\r\n@\r\n" + content[:10], ended},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			c.Send(tc.request)
			tc.answer(app.Request())
			c.Want("HTTP/1.1 200 OK\r\n" + strings.ReplaceAll(tc.want, "@", "Date: *\r\nServer: httpsys\r\n"))
			if tc.after == ended {
				c.WantEOF()
				return
			}
			c.Get("/next")
			nextRequest(app).Respond(200, nil, "")
			c.WantStatus(200)
		})
	}
}

// A file that turns out shorter than was said: the client must not take what
// it gets for complete.
func TestFileShorterThanPromised(t *testing.T) {
	path := filepath.Join(testkit.Dir(t), "file")
	if err := os.WriteFile(path, []byte(pattern(1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	file := openFile(t, path, os.O_RDONLY)
	d, app, reg, _ := one(t, testkit.AppOptions{Credit: 2})
	for _, tc := range []struct {
		name, send    string
		fields        []string
		offset, bytes int64
	}{
		{"with a length", get, fields("Content-Length: 1001"), 0, 1001},
		{"in chunks", get, nil, 0, 1001},
		{"to HTTP/1.0", get10, nil, 0, 1001},
		{"far behind the end", get10, nil, 1 << 40, 5},
	} {
		for _, flags := range []channel.Flags{0, END} {
			d.Run(fmt.Sprint(tc.name, " END ", flags), func(t *testing.T) {
				c := d.Dial(reg)
				c.Send(tc.send)
				r := app.Request()
				r.Start(200, tc.fields, "")
				r.File(file, flags, tc.offset, tc.bytes)
				if a, err := c.TryResponse(); err == nil {
					t.Errorf("got %s and %d bytes, as if that were all", a.Head, len(a.Body))
				}
				if flags == 0 {
					r.WantCancel(channel.CancelGone)
					r.Send(testkit.Cancel(r.Stream, 0, 0))
				}
				app.Loop().Send(testkit.Credit(1))
			})
		}
	}
}

// Files of clients that leave are closed (the end of each test looks for
// descriptors), and a slow client does not hold up others.
func TestFileToSlowClients(t *testing.T) {
	path := filepath.Join(testkit.Dir(t), "file")
	const size = 32 << 20
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	file := openFile(t, path, os.O_RDONLY)
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 10})
	var slow []*testkit.Client
	for range 4 {
		c := d.Dial(reg)
		c.SetReadBuffer(64 << 10)
		c.Get("/")
		r := app.Request()
		r.Start(200, fields(fmt.Sprintf("Content-Length: %d", size)), "")
		r.File(file, END|CREDIT, 0, size)
		slow = append(slow, c)
	}
	for range 50 {
		barrier(t, app, other)
	}
	if got := len(slow[0].WantStatus(200).Body); got != size {
		t.Errorf("a client got %d bytes", got)
	}
	slow[1].Reset()
	slow[2].Close()
}

// Frames for a stream whose client has gone: their files are closed.
func TestFileForACancelledStream(t *testing.T) {
	path := filepath.Join(testkit.Dir(t), "file")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := openFile(t, path, os.O_RDONLY)
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 2})
	c := d.Dial(reg)
	c.Get("/")
	r := app.Request()
	c.Reset()
	r.WantCancel(channel.CancelGone)
	r.Start(200, nil, "")
	r.File(file, 0, 0, 5)
	r.File(file, END|CREDIT, 0, 5)
	barrier(t, app, other)
	d.Exchanges(0)
}
