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

// The client gets what has come of a long DATA frame before the rest has.
func TestPartOfAFrame(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	body := pattern(60_000)
	const first = 20_000
	for _, tc := range []struct {
		name   string
		fields []string
	}{{"length", fields("Content-Length: 60000")}, {"chunks", nil}} {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			c.Get("/")
			r := app.Request()
			r.Start(200, tc.fields, "")
			frame := testkit.Data(r.Stream, END|CREDIT, body)
			app.Loop().Send(frame[:channel.HeaderSize+first])
			got := ""
			for !strings.Contains(got, body[:first]) {
				got += c.WantBytes(1)
			}
			app.Loop().Send(frame[channel.HeaderSize+first:])
			want := body[first:]
			if tc.fields == nil {
				want = fmt.Sprintf("\r\n%x\r\n%s\r\n0\r\n\r\n", len(want), want)
			}
			if got := c.WantBytes(len(want)); got != want {
				t.Errorf("the rest is not as it was sent")
			}
			c.Get("/next") // the connection is in order
			app.Request().Respond(200, nil, "")
			c.WantStatus(200)
		})
	}
}

// A frame of which the first part is within Content-Length and the whole is not.
func TestPartBeyondTheLength(t *testing.T) {
	_, app, _, c := one(t, testkit.AppOptions{})
	body := pattern(60_000)
	c.Get("/")
	r := app.Request()
	r.Start(200, fields("Content-Length: 30000"), "")
	frame := testkit.Data(r.Stream, END|CREDIT, body)
	app.Loop().Send(frame[:channel.HeaderSize+20_000])
	got := ""
	for !strings.Contains(got, body[:20_000]) {
		got += c.WantBytes(1)
	}
	app.Loop().Send(frame[channel.HeaderSize+20_000:])
	if rest := c.WantEnd(); rest != "" {
		t.Errorf("%d bytes came behind", len(rest))
	}
}

// What is short waits for the end of the turn; what is long and comes behind it in the same turn takes it along. A client
// that does not read makes the socket take some of it, or nothing: the order stays.
func TestMuchBehindLittle(t *testing.T) {
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 2})
	little, much := pattern(100), pattern(40_000)
	for _, coding := range []string{"length", "chunks"} {
		d.Run(coding, func(t *testing.T) {
			c := d.Dial(reg)
			c.SetReadBuffer(64 << 10)
			c.Get("/")
			r := app.Request()
			window := int(app.Loop().Welcome.Window)
			const pairs = 300
			size := pairs * (len(little) + len(much))
			var head []string
			if coding == "length" {
				head = fields(fmt.Sprintf("Content-Length: %d", size))
			}
			r.Start(200, head, "")
			reads := func() chan string {
				got := make(chan string, 1)
				go func() {
					a, err := c.TryResponse()
					if err != nil {
						t.Error(err)
					}
					got <- a.Body
				}()
				return got
			}
			var got chan string
			for i := range pairs {
				for window < len(little)+len(much) {
					if got != nil {
						window += r.WantWindow()
					} else if n := windows(app, other); n > 0 {
						window += n
					} else {
						got = reads()
					}
				}
				window -= len(little) + len(much)
				end := channel.Flags(0)
				if i == pairs-1 {
					end = END | CREDIT
				}
				r.Send(testkit.Data(r.Stream, 0, little), testkit.Data(r.Stream, end, much))
			}
			if got == nil {
				t.Fatal("the socket took all of it")
			}
			if b := <-got; b != strings.Repeat(little+much, pairs) {
				t.Errorf("got %d other bytes", len(b))
			}
		})
	}
}

// windows is what the daemon grants for what it was sent so far.
func windows(app *testkit.App, other *testkit.Client) (n int) {
	eachWindow(app, other, func(_ uint32, k int) { n += k })
	return n
}

// No WINDOW is sent when all that Content-Length promises was granted. FILE takes another amount than its length: then it
// comes.
func TestNoWindowThatNobodyNeeds(t *testing.T) {
	path := filepath.Join(testkit.Dir(t), "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := openFile(t, path, os.O_RDONLY)
	d, app, reg, other := one(t, testkit.AppOptions{Credit: 2})
	window := int(app.Loop().Welcome.Window)
	much := pattern(window - 10_000)
	for _, tc := range []struct {
		name string
		end  func(r *testkit.Request)
		rest string
	}{
		{"bytes", func(r *testkit.Request) { r.Finish("0123456789") }, "0123456789"},
		{"a file", func(r *testkit.Request) {
			r.File(file, 0, 0, 9)
			if n := r.WantWindow(); n < len(much) {
				t.Errorf("WINDOW %d for %d bytes", n, len(much))
			}
			r.File(file, END|CREDIT, 9, 1)
		}, "0123456789"},
		{"too little", func(r *testkit.Request) { r.Finish("") }, ""},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			c.Get("/")
			r := app.Request()
			r.Start(200, fields(fmt.Sprintf("Content-Length: %d", len(much)+10)), "")
			r.Data(much)
			got := ""
			for !strings.HasSuffix(got, much) {
				got += c.WantBytes(1)
			}
			barrier(t, app, other)
			tc.end(r)
			if tc.rest == "" {
				c.WantEnd()
				return
			}
			if got := c.WantBytes(len(tc.rest)); got != tc.rest {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Parts of frames allocate nothing.
func TestPartsAllocateNothing(t *testing.T) {
	_, app, _, client := one(t, testkit.AppOptions{})
	const size, first = 60_000, 30_000
	body := pattern(size)
	answer := append(testkit.Response(1, 0, 200, fields(fmt.Sprintf("Content-Length: %d", size)), ""), testkit.Data(1, END|CREDIT, body)...)
	a, c := raw(t, app.Loop().RawConn()), raw(t, client.RawConn())
	buf := make([]byte, 64<<10)
	request, cut := []byte(get), len(answer)-size+first
	// The length of each response is that of the first; the Date has one length.
	c.write(request)
	a.readFrame(buf)
	a.write(answer)
	total := 0
	for {
		n := c.readSome(buf)
		if total += n; strings.HasSuffix(string(buf[:n]), body[size-20:]) {
			break
		}
	}
	wantNoAllocations(t, func() {
		c.write(request)
		a.readFrame(buf)
		a.write(answer[:cut])
		n := 0
		for n < first {
			n += c.readSome(buf)
		}
		a.write(answer[cut:])
		for n < total {
			n += c.readSome(buf)
		}
	})
}
