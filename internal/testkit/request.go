package testkit

import (
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Request is a request as an application gets it.
type Request struct {
	*Loop
	Stream uint32
	Ended  bool // the body is complete
	Head   channel.RequestHead

	Method, Target, Authority, Client, Local string
	Fields                                   []string // "name: value"
	Body                                     string   // what came with the head
}

// Request expects a REQUEST as the next frame.
func (l *Loop) Request() *Request {
	l.t.now().Helper()
	f := l.Next()
	if f.Type != channel.Request {
		l.t.Fatalf("got %v; want REQUEST", f)
	}
	return l.Parse(f)
}

// Parse takes a REQUEST apart.
func (l *Loop) Parse(f Frame) *Request {
	h, body, err := channel.ParseRequest(f.Payload)
	if err != nil {
		l.t.Errorf("%v: %v", f, err)
		return nil
	}
	s := strings.Split(string(h.Text), "\x00")
	r := &Request{
		Loop: l, Stream: f.Stream, Ended: f.Flags&END != 0, Head: h,
		Method: s[0], Target: s[1], Authority: s[2], Client: s[3], Local: s[4], Body: string(body),
	}
	for s = s[5:]; len(s) > 1; s = s[2:] {
		r.Fields = append(r.Fields, s[0]+": "+s[1])
	}
	return r
}

// Text is the request in a form that a test can compare as a whole.
func (r *Request) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %d.%d authority=%s length=%d", r.Method, r.Target, r.Head.Version/10, r.Head.Version%10, r.Authority, r.Head.ContentLength)
	for _, f := range []struct {
		flag channel.RequestFlags
		name string
	}{{channel.RequestTLS, "tls"}, {channel.RequestContinue, "continue"}, {channel.RequestUpgrade, "upgrade"}, {channel.RequestRaw, "raw"}, {channel.RequestAhead, "ahead"}} {
		if r.Head.Flags&f.flag != 0 {
			b.WriteString(" " + f.name)
		}
	}
	if r.Ended {
		b.WriteString(" end")
	}
	for _, f := range r.Fields {
		b.WriteString("\n" + f)
	}
	if r.Body != "" {
		b.WriteString("\n\n" + r.Body)
	}
	return b.String()
}

// Respond answers with one frame, and takes another request.
func (r *Request) Respond(status int, fields []string, body string) {
	r.t.now().Helper()
	r.Send(Response(r.Stream, END|CREDIT, status, fields, body))
}

// Start sends a head and the start of a body.
func (r *Request) Start(status int, fields []string, body string) {
	r.t.now().Helper()
	r.Send(Response(r.Stream, 0, status, fields, body))
}

// Data sends a piece of the body.
func (r *Request) Data(body string) {
	r.t.now().Helper()
	r.Send(Data(r.Stream, 0, body))
}

// Finish sends the last piece of the body, and takes another request.
func (r *Request) Finish(body string) {
	r.t.now().Helper()
	r.Send(Data(r.Stream, END|CREDIT, body))
}

// Trailers ends the body with trailers, and takes another request.
func (r *Request) Trailers(fields ...string) {
	r.t.now().Helper()
	r.Send(Trailers(r.Stream, CREDIT, fields...))
}

// Cancel ends the stream, and takes another request.
func (r *Request) Cancel(value uint16) {
	r.t.now().Helper()
	r.Send(Cancel(r.Stream, CREDIT, value))
}

// Window takes n more bytes of the request body.
func (r *Request) Window(n uint32) {
	r.t.now().Helper()
	r.Send(Window(r.Stream, n))
}

// File sends a piece of a file.
func (r *Request) File(f *os.File, flags channel.Flags, offset, length int64) {
	r.t.now().Helper()
	r.SendFiles(File(r.Stream, flags, offset, length), int(f.Fd()))
}

// Next returns the next frame, which must be for this request.
func (r *Request) Next() Frame {
	r.t.now().Helper()
	f := r.Loop.Next()
	if f.Stream != r.Stream {
		r.t.Fatalf("got %v; want a frame for stream %d", f, r.Stream)
	}
	return f
}

// WantBody expects exactly these bytes in DATA frames, and END with the last
// of them if end.
func (r *Request) WantBody(want string, end bool) {
	r.t.now().Helper()
	var got []byte
	for ended := false; len(got) < len(want) || end && !ended; {
		f := r.Next()
		if f.Type != channel.Data {
			r.t.Fatalf("got %v; want DATA (%d of %d bytes are here)", f, len(got), len(want))
		}
		got = append(got, f.Payload...)
		ended = f.Flags&END != 0
		if ended && (!end || len(got) < len(want)) {
			r.t.Fatalf("END after %d bytes; want %d and end=%v", len(got), len(want), end)
		}
	}
	if string(got) != want {
		r.t.Fatalf("the body is %.200q (%d bytes); want %.200q (%d bytes)", got, len(got), want, len(want))
	}
}

// WantTrailers expects TRAILERS.
func (r *Request) WantTrailers(want ...string) {
	r.t.now().Helper()
	f := r.Next()
	if f.Type != channel.Trailers {
		r.t.Fatalf("got %v; want TRAILERS", f)
	}
	fields, err := channel.ParseTrailers(f.Payload)
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for {
		name, value, ok, err := fields.Next()
		if err != nil {
			r.t.Fatal(err)
		}
		if !ok {
			break
		}
		got = append(got, string(name)+": "+string(value))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		r.t.Fatalf("trailers are %q; want %q", got, want)
	}
}

// WantCancel expects CANCEL with a reason.
func (r *Request) WantCancel(reason uint16) {
	r.t.now().Helper()
	if f := r.Next(); f.Type != channel.Cancel || f.Value != reason {
		r.t.Fatalf("got %v; want CANCEL %d", f, reason)
	}
}

// Socket expects the client's socket, behind these bytes that were read of it.
func (r *Request) Socket(pending string) net.Conn {
	r.t.now().Helper()
	if f := r.Next(); f.Type != channel.Socket || f.Value != channel.SocketPassed || string(f.Payload) != pending {
		r.t.Fatalf("got %v; want SOCKET 1 with %.200q", f, pending)
	}
	f := os.NewFile(uintptr(r.Descriptor()), "client")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// WantRelayed expects that the client's socket stays with the daemon.
func (r *Request) WantRelayed() {
	r.t.now().Helper()
	if f := r.Next(); f.Type != channel.Socket || f.Value != channel.SocketRelayed {
		r.t.Fatalf("got %v; want SOCKET 0", f)
	}
}

// WantWindow expects WINDOW and returns its number.
func (r *Request) WantWindow() int {
	r.t.now().Helper()
	f := r.Next()
	if f.Type != channel.Window {
		r.t.Fatalf("got %v; want WINDOW", f)
	}
	n, err := channel.Uint32(f.Payload)
	if err != nil {
		r.t.Fatal(err)
	}
	return int(n)
}
