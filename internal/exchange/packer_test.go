package exchange

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// reader is a client that takes a response when it is told to.
type reader struct {
	client
	x       *Exchange // nil once the last word was said
	head    message.Response
	got     []byte
	pending int // bytes that it does not have yet
	fast    bool
	leaves  bool // when it is given something
	end     string
}

func (c *reader) Respond(r *message.Response, body []byte, end bool) {
	c.head = *r
	c.head.Fields = cloneFields(r.Fields)
	c.Body(body, end)
}

func (c *reader) Body(b []byte, end bool) {
	if end {
		c.x = nil
		c.end = "end"
	}
	c.got = append(c.got, b...)
	switch {
	case c.x == nil:
	case c.leaves && len(b) > 0:
		c.leave()
	case c.fast:
		if len(b) > 0 {
			c.x.Sent(len(b), true)
		}
	default:
		c.pending += len(b)
	}
}

func (c *reader) Trailers(f []message.Field) {
	c.x = nil
	c.end = "trailers " + string(f[0].Name)
}

func (c *reader) Abort() {
	c.x = nil
	c.end = "abort"
}

func (c *reader) leave() {
	x := c.x
	c.x = nil
	c.end = "left"
	x.ClientGone()
}

// take takes up to n of what is pending.
func (c *reader) take(n int) {
	n = min(n, c.pending)
	if c.pending -= n; n > 0 && c.x != nil {
		c.x.Sent(n, c.pending == 0)
	}
}

func (c *reader) field(name string) string {
	for _, f := range c.head.Fields {
		if message.EqualFold(f.Name, name) {
			return string(f.Value)
		}
	}
	return ""
}

// files are what applications pass: by descriptor.
type files struct {
	content map[int][]byte
	open    map[int]int
	short   bool // they have become shorter
}

// pressRig is a rig whose registration asks for compression.
func pressRig(t *testing.T) (*rig, *files) {
	r := newRig(t)
	r.reg.Compress = true
	r.Compress = compress.Settings{Policy: compress.Asked, MinSize: 100}
	r.Schedule = func(bool) {} // turn looks at what was asked for
	f := &files{content: map[int][]byte{}, open: map[int]int{}}
	r.ReadFile = func(fd int, b []byte, offset int64) (int, error) {
		if f.open[fd] == 0 {
			t.Errorf("read of descriptor %d, which is closed", fd)
		}
		if f.short {
			return 0, nil
		}
		return copy(b, f.content[fd][offset:]), nil
	}
	r.CloseFile = func(fd int) {
		if f.open[fd]--; f.open[fd] < 0 {
			t.Errorf("descriptor %d closed twice", fd)
		}
	}
	t.Cleanup(func() {
		for fd, n := range f.open {
			if n != 0 {
				t.Errorf("descriptor %d is open %d times at the end", fd, n)
			}
		}
		if r.encoders.Held != 0 {
			t.Errorf("encoders of %d bytes are in use at the end", r.encoders.Held)
		}
	})
	return r, f
}

// turn is the end of a turn of the loop, and those that follow it at once.
func (r *rig) turn() {
	for r.asked[0] || r.asked[1] {
		for i, next := range []bool{false, true} {
			if r.asked[i] {
				r.Work(next)
			}
		}
	}
}

func (r *rig) press(w *worker, encoding string) (*reader, *Exchange) {
	r.t.Helper()
	c := &reader{}
	q := request("GET", "/", 0)
	if encoding != "" {
		q.Fields = append(q.Fields, message.Field{Name: []byte("Accept-Encoding"), Value: []byte(encoding)})
	}
	x, _, refusal := r.Begin(c, q, &facts, nil, true)
	if refusal.Status != 0 {
		r.t.Fatal(refusal)
	}
	if c.x = x; !x.Assigned() {
		r.t.Fatal("no worker took the request")
	}
	return c, x
}

// heading is a response head of an application.
func heading(lines ...string) *message.Response {
	r := new(message.Response)
	text := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
	if err := r.ParseText(0, []byte(text)); err != nil {
		panic(err)
	}
	return r
}

func unzip(b []byte) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(z)
	return string(out), err
}

// A short response that is complete has a length; what does not get shorter
// is left as it is.
func TestPackWhole(t *testing.T) {
	r, _ := pressRig(t)
	w := newWorker(r, 2)
	w.initial = 10_000
	text := strings.Repeat("text ", 1000)
	c, x := r.press(w, "gzip")
	if err := x.Respond(heading("Content-Length: 5000", `ETag: "a"`), []byte(text), true); err != nil {
		t.Fatal(err)
	}
	if got, err := unzip(c.got); got != text || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if c.end != "end" || c.head.ContentLength != -1 || c.field("content-encoding") != "gzip" || c.field("etag") != `W/"a"` || c.field("vary") != "Accept-Encoding" {
		t.Errorf("%s %+v", c.end, c.head)
	}
	noise := make([]byte, 1000)
	rnd := rand.NewChaCha8([32]byte{})
	rnd.Read(noise)
	c, x = r.press(w, "gzip")
	x.Respond(heading("Content-Length: 1000"), noise, true)
	if !bytes.Equal(c.got, noise) || c.field("content-encoding") != "" || c.field("vary") != "Accept-Encoding" || c.head.ContentLength != 1000 {
		t.Errorf("%+v", c.head)
	}
	r.turn()
}

// An event is on its way at the end of the turn in which it came, if the
// client has taken the one before.
func TestPackFlush(t *testing.T) {
	r, _ := pressRig(t)
	w := newWorker(r, 1)
	c, x := r.press(w, "gzip")
	c.fast = true
	x.Respond(heading(), nil, false)
	sent := ""
	for _, event := range []string{"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"} {
		sent += event
		if err := x.Data([]byte(event), false); err != nil {
			t.Fatal(err)
		}
		r.turn()
		if got, err := unzip(c.got); got != sent || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("after %q the client has %q, %v", event, got, err)
		}
	}
	x.Data(nil, true)
	if got, err := unzip(c.got); got != sent || err != nil || c.end != "end" {
		t.Errorf("at the end: %q %v %s", got, err, c.end)
	}
}

// A client that does not read holds the application up by what the
// application sent, not by what that became.
func TestPackWindow(t *testing.T) {
	r, _ := pressRig(t)
	w := newWorker(r, 1)
	w.initial, w.budget = 64<<10, 0
	c, x := r.press(w, "gzip")
	x.Respond(heading(), nil, false)
	w.heard()
	b := make([]byte, 32<<10)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	wantErr(t, x.Data(b, false), nil)
	wantErr(t, x.Data(b, false), nil)
	r.turn()
	want(t, "worker", w.heard(), "")
	wantErr(t, x.Data(b[:1], false), ErrWindow)
	for c.pending > 0 {
		c.take(c.pending)
		r.turn()
	}
	want(t, "worker", w.heard(), "window 65536")
	wantErr(t, x.Data(b, false), nil)
	x.Data(nil, true)
	r.turn()
}

// No turn compresses more than its share, whoever it is for, and everybody
// gets on.
func TestPackTurns(t *testing.T) {
	r, _ := pressRig(t)
	w := newWorker(r, 8)
	w.initial = 1 << 20
	var readers []*reader
	var xs []*Exchange
	big := []byte(strings.Repeat("0123456789abcdef", 64<<10))
	for range 4 {
		c, x := r.press(w, "gzip")
		readers, xs = append(readers, c), append(xs, x)
		wantErr(t, x.Respond(heading(), nil, false), nil)
	}
	for _, x := range xs {
		wantErr(t, x.Data(big[:len(big)-1], false), nil)
		wantErr(t, x.Data(big[:1], true), nil)
	}
	if r.packed > packTurn {
		t.Errorf("%d bytes were compressed as they came", r.packed)
	}
	turns := 0
	for next := false; r.asked[0] || r.asked[1]; next = true {
		before := 0
		for _, p := range r.packers {
			before += waiting(p)
		}
		if r.Work(next); before > 0 {
			after := 0
			for _, p := range r.packers {
				after += waiting(p)
			}
			if before-after > packTurn+packPiece {
				t.Fatalf("%d bytes were compressed in one turn", before-after)
			}
		}
		turns++
	}
	if least := 4 * len(big) / (packTurn + packPiece); turns < least {
		t.Errorf("it took %d turns, want at least %d", turns, least)
	}
	for _, c := range readers {
		if got, err := unzip(c.got); len(got) != len(big) || err != nil || c.end != "end" {
			t.Errorf("a client got %d bytes, %v, %s", len(got), err, c.end)
		}
	}
}

func waiting(p *packer) (n int) {
	for _, c := range p.pieces {
		n += len(c.buf)
	}
	return n
}

// What the application and its Content-Length disagree on is cut, behind what
// is right.
func TestPackLength(t *testing.T) {
	text := strings.Repeat("text ", 100)
	for _, tc := range []struct {
		name string
		act  func(*Exchange)
		got  string
		end  string
	}{
		{"exact", func(x *Exchange) { x.Data([]byte(text), true) }, text, "end"},
		{"exact, and the end later", func(x *Exchange) { x.Data([]byte(text), false); x.Data(nil, true) }, text, "end"},
		{"more", func(x *Exchange) { x.Data([]byte(text), false); x.Data([]byte("x"), false); x.Data([]byte("y"), false) }, text, "abort"},
		{"more at the end", func(x *Exchange) { x.Data([]byte(text+"x"), true) }, "", "abort"},
		{"less", func(x *Exchange) { x.Data([]byte(text[1:]), false); x.Data(nil, true) }, text[1:], "abort"},
		{"less before trailers", func(x *Exchange) { x.Data([]byte(text[1:]), false); x.Trailers(trailer) }, text[1:], "abort"},
		{"trailers", func(x *Exchange) { x.Data([]byte(text), false); x.Trailers(trailer) }, text, "trailers A"},
		{"the worker gives up", func(x *Exchange) { x.Data([]byte(text[1:]), false); x.WorkerCancels(false) }, text[1:], "abort"},
		{"the worker dies", func(x *Exchange) { x.Data([]byte(text[1:]), false); x.WorkerDied(true) }, text[1:], "abort"},
	} {
		r, _ := pressRig(t)
		w := newWorker(r, 1)
		c, x := r.press(w, "gzip")
		x.Respond(heading("Content-Length: 500"), nil, false)
		tc.act(x)
		r.turn()
		got, err := unzip(c.got)
		if len(c.got) == 0 {
			err = io.ErrUnexpectedEOF
		}
		if got != tc.got || c.end != tc.end || (err == nil) != (tc.end != "abort") {
			t.Errorf("%s: got %d bytes, %v, %q; want %d, %q", tc.name, len(got), err, c.end, len(tc.got), tc.end)
		}
		if r.Live() != 0 {
			t.Errorf("%s: the exchange lives on", tc.name)
		}
	}
}

var trailer = []message.Field{{Name: []byte("A"), Value: []byte("b")}}

// Clients that leave while something waits for them.
func TestPackClientLeaves(t *testing.T) {
	big := []byte(strings.Repeat("0123456789abcdef", 32<<10))
	for name, act := range map[string]func(r *rig, f *files, c *reader, x *Exchange){
		"while it waits": func(r *rig, f *files, c *reader, x *Exchange) {
			x.Data(big, false)
			c.leave()
		},
		"after the worker's last word": func(r *rig, f *files, c *reader, x *Exchange) {
			x.Data(big, true)
			if !x.Assigned() || x.Room() != 0 || !x.ClientHalfClosed() {
				t.Error("a client that has closed its side only may still get the rest")
			}
			c.leave()
		},
		"when it is given the first bytes": func(r *rig, f *files, c *reader, x *Exchange) {
			c.leaves = true
			x.Data(big, true)
		},
		"when it is given the last bytes": func(r *rig, f *files, c *reader, x *Exchange) {
			c.leaves = true
			x.Data([]byte("short"), false)
			x.Trailers(trailer)
		},
		"when it is given what waited": func(r *rig, f *files, c *reader, x *Exchange) {
			x.Data(big, false)
			c.leaves = true
			r.turn()
		},
		"when it is given what was left before a cut": func(r *rig, f *files, c *reader, x *Exchange) {
			x.Data([]byte("short"), false)
			c.leaves = true
			x.WorkerCancels(false)
		},
		"in a file": func(r *rig, f *files, c *reader, x *Exchange) {
			f.content[7], f.open[7] = big, 1
			if err := x.File(7, 0, int64(len(big)), true); err != nil {
				t.Error(err)
			}
			c.leaves = true
			r.turn()
		},
		"before a file": func(r *rig, f *files, c *reader, x *Exchange) {
			f.content[7], f.open[7] = big, 1
			x.File(7, 0, int64(len(big)), false)
			c.leave()
		},
	} {
		r, f := pressRig(t)
		w := newWorker(r, 1)
		w.initial = 1 << 20
		c, x := r.press(w, "gzip")
		x.Respond(heading(), nil, false)
		act(r, f, c, x)
		r.turn()
		if r.Live() != 0 || c.end != "left" && c.end != "abort" {
			t.Errorf("%s: %d exchanges live, the client says %q", name, r.Live(), c.end)
		}
	}
}

// A file is read as far as the client takes it, and cut if it has become
// shorter.
func TestPackFile(t *testing.T) {
	content := make([]byte, 1<<20)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(content)
	for i := range content {
		content[i] = content[i]&15 + 'a'
	}
	r, f := pressRig(t)
	w := newWorker(r, 2)
	w.initial = 1 << 20
	c, x := r.press(w, "gzip")
	f.content[3], f.open[3] = content, 1
	x.Respond(heading("Content-Length: 1048576"), nil, false)
	wantErr(t, x.File(3, 0, 1<<20, true), nil)
	r.turn()
	if c.pending < packBacklog || c.pending > packBacklog+packPiece {
		t.Errorf("%d bytes wait for a client that takes none", c.pending)
	}
	for c.end == "" {
		c.take(10_000)
		r.turn()
	}
	if got, err := unzip(c.got); got != string(content) || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	c, x = r.press(w, "gzip")
	c.fast = true
	f.open[3]++
	x.Respond(heading(), nil, false)
	wantErr(t, x.File(3, 0, 1<<20, true), nil)
	r.Work(false)
	f.short = true
	r.turn()
	if got, _ := unzip(c.got); c.end != "abort" || len(got) == 0 || !strings.HasPrefix(string(content), got) {
		t.Errorf("a file that has become shorter: %q behind %d bytes", c.end, len(got))
	}
}

// When the memory for encoders is spent, responses are sent as they are.
func TestPackLimit(t *testing.T) {
	r, _ := pressRig(t)
	r.encoders.Limit = compress.Weight[compress.Gzip]
	w := newWorker(r, 3)
	c1, x1 := r.press(w, "gzip")
	x1.Respond(heading(), nil, false)
	c2, x2 := r.press(w, "gzip")
	x2.Respond(heading(), nil, false)
	c3, x3 := r.press(w, "gzip")
	x3.Respond(heading(), bytes.Repeat([]byte("a"), 1000), true) // in one call: it needs one for a moment
	if c1.field("content-encoding") != "gzip" || c2.field("content-encoding") != "" || c2.field("vary") == "" || c3.field("content-encoding") != "gzip" {
		t.Errorf("%s\n%s\n%s", c1.head.Fields, c2.head.Fields, c3.head.Fields)
	}
	x1.Data(nil, true)
	x2.Data(nil, true)
	r.turn()
}

// HEAD says what GET would, and nothing is sent nor owed.
func TestPackHead(t *testing.T) {
	r, _ := pressRig(t)
	w := newWorker(r, 1)
	c := &reader{fast: true}
	q := request("HEAD", "/", 0)
	q.Fields = append(q.Fields, message.Field{Name: []byte("Accept-Encoding"), Value: []byte("gzip")})
	x, _, _ := r.Begin(c, q, &facts, nil, true)
	c.x = x
	wantErr(t, x.Respond(heading("Content-Length: 1000"), make([]byte, 1000), false), nil)
	if len(c.got) != 0 || c.field("content-encoding") != "gzip" || c.head.ContentLength != -1 {
		t.Errorf("%+v with %d bytes", c.head, len(c.got))
	}
	want(t, "worker", w.heard(), "request; window 4000") // with the wider window of a fast client
	x.Data(nil, true)
}

// Whatever the order of events: the client gets what the application sent, the
// application gets its window back, and nothing is left over.
func FuzzPacker(f *testing.F) {
	f.Add([]byte{10, 1, 200, 2, 50, 3, 4, 9, 255, 1, 1, 5}, byte(0))
	f.Add([]byte{255, 255, 255, 255, 130, 131, 132, 9}, byte(1))
	f.Add([]byte{6, 6, 6, 3, 3, 2, 1, 5, 6, 7}, byte(2))
	f.Add([]byte("a longer story with many turns, in which a lot happens"), byte(3))
	source := make([]byte, 4<<20)
	rnd := rand.NewChaCha8([32]byte{2})
	rnd.Read(source)
	for i := range source {
		source[i] = source[i]%23 + 'a'
	}
	f.Fuzz(func(t *testing.T, script []byte, end byte) {
		r, f := pressRig(t)
		w := newWorker(r, 1)
		w.initial, w.budget = 256<<10, 1<<20
		c, x := r.press(w, "gzip")
		var sent []byte
		f.content[9] = source
		if x.Respond(heading(), nil, false) != nil {
			t.Fatal("respond")
		}
		at := 0
		give := func(n int) []byte {
			n = min(n, x.grant, len(source)-at)
			b := source[at : at+n]
			at += n
			sent = append(sent, b...)
			return b
		}
		for _, op := range script {
			k := int(op >> 3)
			switch op & 7 {
			case 0:
				x.Data(give(k), false)
			case 1:
				x.Data(give(k*k*k), false)
			case 2, 3:
				c.take(k * 300)
			case 4:
				c.take(c.pending)
			case 5:
				if r.asked[0] {
					r.Work(false)
				}
			case 6:
				if r.asked[1] {
					r.Work(true)
				}
			case 7:
				if n := min(k*5000, len(source)-at); x.grant >= channel.FileWindowCost {
					f.open[9]++
					x.File(9, int64(at), int64(n), false)
					sent = append(sent, source[at:at+n]...)
					at += n
				}
			}
			if owed := x.window - x.grant; c.pending > owed+packBacklog+2*packPiece {
				t.Fatalf("%d bytes wait and the application is short of %d", c.pending, owed)
			}
		}
		final := "end"
		switch end % 5 {
		case 0, 1:
			x.Data(give(int(end)), true)
		case 2:
			x.Trailers(trailer)
			final = "trailers A"
		case 3:
			for c.pending > 0 || r.asked[0] || r.asked[1] {
				c.take(c.pending)
				r.turn()
			}
			if x.grant+x.unreturned != x.window {
				t.Fatalf("the application has %d of its window, %d are kept back, of %d", x.grant, x.unreturned, x.window)
			}
			x.WorkerCancels(false)
			final = "abort"
		case 4:
			c.leave()
			r.turn()
			return
		}
		for i := 0; c.end == ""; i++ {
			c.take(c.pending)
			r.turn()
			if i > 10_000 {
				t.Fatal("it does not end")
			}
		}
		if c.end != final {
			t.Fatalf("it ended with %q, want %q", c.end, final)
		}
		got, err := unzip(c.got)
		if got != string(sent) || (err != nil) != (final == "abort") {
			t.Fatalf("%d bytes became %d, %v", len(sent), len(got), err)
		}
	})
}
