package fakedaemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// A Request is what a client asks. The zero value is GET / by HTTP/1.1.
type Request struct {
	Method     string // GET
	Target     string // "/"
	Host       string // "example.test"
	Version    uint8  // 11
	Client     string // "192.0.2.1:4711"
	Local      string // "192.0.2.80:8080"
	Fields     []string
	Body       string
	Length     int64 // of the body; 0 is len(Body), and -1 not known in advance
	Open       bool  // the body is not complete with Body
	Flags      channel.RequestFlags
	Connection uint64 // 0 is a new one
	// Facts is sent as a CONNECTION before the request; nil: none.
	Facts        *channel.ConnectionFacts
	Loop         int
	Registration uint32 // 0 is the first
}

// A Piece is a piece of a file.
type Piece struct{ Offset, Length int64 }

// An Exchange is a request that was sent, and what came back. Its exported
// fields may be read after Wait, or inside WaitFor.
type Exchange struct {
	d          *Daemon
	l          *Loop
	id         uint32
	window     int // for response bytes
	sendWindow int // for request bytes
	head       bool
	lost       bool
	opaque     bool

	Number      uint64   // of the connection
	Informs     []string // informational responses: "103 Link: x"
	Status      int
	Reason      string
	Fields      []string // "Name: value" in the order of arrival
	Body        []byte
	Received    int // bytes of the body
	Trailers    []string
	Files       []Piece
	Frames      int    // DATA frames
	HeadWithEnd bool   // the whole response was one frame
	HeadBody    int    // body bytes in the frame of the head
	Ended       string // "END", "TRAILERS", "CANCEL", or "" as long as it goes on
	HalfClosed  bool   // END in opaque mode
	CloseValue  uint16 // of the CANCEL in opaque mode
	Opaque      bool
	Text        bool
	Cancelled   bool // by the daemon
}

// Start sends a request when there is credit for it.
func (s *Session) Start(r Request) *Exchange {
	s.d.t.Helper()
	return s.StartAll(r)[0]
}

// StartAll sends requests in one write.
func (s *Session) StartAll(rs ...Request) []*Exchange {
	d := s.d
	d.t.Helper()
	l := s.Loops[rs[0].Loop]
	d.waitFor("credit", func() bool { return l.credit >= len(rs) || l.closed })
	d.mu.Lock()
	var out []byte
	var xs []*Exchange
	for _, r := range rs {
		x := l.open(&r)
		xs = append(xs, x)
		if r.Facts != nil {
			out = append(out, x.connectionFrame(r.Facts)...)
		}
		out = append(out, x.requestFrame(&r)...)
	}
	l.send(out)
	d.mu.Unlock()
	return xs
}

// open takes the smallest free stream number; d.mu is held.
func (l *Loop) open(r *Request) *Exchange {
	d := l.d
	id := uint32(1)
	for l.streams[id] != nil {
		id++
	}
	d.conns++
	x := &Exchange{d: d, l: l, id: id, window: int(d.conf.Window), sendWindow: int(l.Hello.Window), Number: r.Connection}
	if x.Number == 0 {
		x.Number = 1<<32 + d.conns
	}
	l.streams[id] = x
	l.credit--
	l.sent++
	return x
}

// connectionFrame tells of the connection of x, as the application asked for.
func (x *Exchange) connectionFrame(f *channel.ConnectionFacts) []byte {
	if asked := x.l.Hello.Connections; asked != channel.ConnectionsAll && (asked != channel.ConnectionsTLS || f.Version == 0) {
		x.d.t.Errorf("the application has asked to be told of connections %q", asked)
	}
	facts := *f
	facts.Number = x.Number
	return channel.AppendFrame(nil, channel.Connection, 0, 0, 0, channel.AppendConnection(nil, &facts))
}

// Disconnect says that the connection of x has ended.
func (x *Exchange) Disconnect() { x.l.Send(channel.AppendDisconnection(nil, x.Number)) }

func (x *Exchange) requestFrame(r *Request) []byte {
	method, target, host, client, local := r.Method, r.Target, r.Host, r.Client, r.Local
	for p, v := range map[*string]string{&method: "GET", &target: "/", &host: "example.test",
		&client: "192.0.2.1:4711", &local: "192.0.2.80:8080"} {
		if *p == "" {
			*p = v
		}
	}
	h := channel.RequestHead{Method: channel.MethodOf([]byte(method)), Version: r.Version, Registration: r.Registration,
		Flags: r.Flags, Connection: x.Number, ContentLength: r.Length, FieldCount: len(r.Fields) + 1}
	if h.Version == 0 {
		h.Version = 11
	}
	if h.Registration == 0 {
		h.Registration = 1
	}
	if h.ContentLength == 0 {
		h.ContentLength = int64(len(r.Body))
	}
	text := []byte(strings.Join([]string{method, target, host, client, local, "Host", host, ""}, "\x00"))
	for _, f := range r.Fields {
		name, value, _ := strings.Cut(f, ": ")
		text = append(text, name+"\x00"+value+"\x00"...)
	}
	payload := channel.AppendRequestFixed(nil, &h, len(text))
	payload = append(payload, text...)
	payload = append(payload, r.Body...)
	x.sendWindow -= len(r.Body)
	var flags channel.Flags
	if !r.Open {
		flags = channel.FlagEnd
	}
	return channel.AppendFrame(nil, channel.Request, flags, x.id, 0, payload)
}

// Do sends a request and waits for the end of the response.
func (s *Session) Do(r Request) *Exchange {
	s.d.t.Helper()
	x := s.Start(r)
	x.Wait()
	return x
}

// response handles a RESPONSE; d.mu is held.
func (x *Exchange) response(h channel.Header, payload []byte) error {
	head, fields, body, err := channel.ParseResponse(payload)
	if err != nil {
		return err
	}
	if x.head {
		return fmt.Errorf("a second final head")
	}
	if h.Flags&channel.FlagOpaque != 0 {
		x.Opaque, x.opaque = true, true
		if h.Value == 0 {
			x.head = true
			if len(head) != 0 {
				return fmt.Errorf("a head with the status 0")
			}
			return nil
		}
	}
	var m message.Response
	if h.Flags&channel.FlagText != 0 {
		x.Text = true
		err = m.ParseText(int(h.Value), head)
	} else {
		err = m.ParseBinary(int(h.Value), head, fields)
	}
	if err != nil {
		return err
	}
	list := rawFields(h, head, fields, &m)
	if m.Informational() {
		if h.Flags&channel.FlagEnd != 0 || len(body) > 0 {
			return fmt.Errorf("an informational response with a body or an end")
		}
		x.Informs = append(x.Informs, strings.TrimSpace(fmt.Sprintf("%d %s", m.Status, strings.Join(list, ", "))))
		return nil
	}
	if m.Status == 101 && !x.opaque {
		return fmt.Errorf("101 without OPAQUE")
	}
	x.head = true
	x.Status, x.Reason, x.Fields = m.Status, string(m.Reason), list
	x.HeadBody = len(body)
	if err := x.bytes(body); err != nil {
		return err
	}
	if h.Flags&channel.FlagEnd != 0 {
		x.HeadWithEnd = true
		x.end("END")
	}
	return nil
}

// rawFields lists the fields as they came.
func rawFields(h channel.Header, head []byte, n int, m *message.Response) (list []string) {
	if h.Flags&channel.FlagText != 0 {
		lines := strings.Split(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n")
		return slices.Clone(lines[1:])
	}
	_, rest, _ := strings.Cut(string(head), "\x00")
	fields := channel.Fields{Block: []byte(rest), Left: n}
	for {
		name, value, ok, err := fields.Next()
		if !ok || err != nil {
			return list
		}
		list = append(list, string(name)+": "+string(value))
	}
}

// bytes takes body bytes; d.mu is held.
func (x *Exchange) bytes(p []byte) error {
	if x.window -= len(p); x.window < 0 {
		return fmt.Errorf("window overdrawn by %d bytes", -x.window)
	}
	if x.HalfClosed && len(p) > 0 {
		return fmt.Errorf("bytes after a half-close")
	}
	if x.Received += len(p); !x.d.conf.Discard {
		x.Body = append(x.Body, p...)
	}
	if !x.d.conf.ManualWindow && len(p) > 0 {
		x.grant(len(p))
	}
	return nil
}

// grant widens the window for the response; d.mu is held.
func (x *Exchange) grant(n int) {
	x.window += n
	x.l.send(channel.AppendUint32Frame(nil, channel.Window, x.id, uint32(n)))
}

// end notes the end of the stream; d.mu is held. In opaque mode only CANCEL
// is one.
func (x *Exchange) end(how string) {
	if x.opaque && how != "CANCEL" {
		x.HalfClosed = true
		return
	}
	x.Ended = how
	delete(x.l.streams, x.id)
}

// Grant widens the window for the response.
func (x *Exchange) Grant(n int) {
	x.d.mu.Lock()
	x.grant(n)
	x.d.mu.Unlock()
}

// Wait waits for the end of the response.
func (x *Exchange) Wait() *Exchange {
	x.d.t.Helper()
	x.d.waitFor("the end of the response", func() bool { return x.Ended != "" || x.lost })
	return x
}

// Until waits until the condition holds.
func (x *Exchange) Until(what string, holds func() bool) *Exchange {
	x.d.t.Helper()
	x.d.waitFor(what, holds)
	return x
}

// UntilBody waits until the body is at least the given text.
func (x *Exchange) UntilBody(text string) *Exchange {
	x.d.t.Helper()
	x.d.waitFor(fmt.Sprintf("the body %q", text), func() bool {
		return strings.HasPrefix(string(x.Body), text) || x.Ended != ""
	})
	return x
}

// Data sends body bytes, waiting for the window like the daemon.
func (x *Exchange) Data(p string, end bool) {
	x.d.t.Helper()
	for first := true; first || len(p) > 0; first = false {
		if len(p) > 0 {
			x.d.waitFor("window for the request body", func() bool { return x.sendWindow > 0 || x.Ended != "" || x.lost })
		}
		x.d.mu.Lock()
		n := min(len(p), x.sendWindow)
		x.sendWindow -= n
		over := x.Ended != "" || x.lost
		var flags channel.Flags
		if end && n == len(p) {
			flags = channel.FlagEnd
		}
		if !over {
			x.l.send(channel.AppendFrame(nil, channel.Data, flags, x.id, 0, []byte(p[:n])))
		}
		x.d.mu.Unlock()
		if over {
			return
		}
		p = p[n:]
	}
}

// SendWindow returns how many request body bytes the application would take.
func (x *Exchange) SendWindow() int {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	return x.sendWindow
}

// SendWindowLocked is SendWindow for conditions of Until.
func (x *Exchange) SendWindowLocked() int { return x.sendWindow }

// SendTrailers ends the request body with trailers.
func (x *Exchange) SendTrailers(fields ...string) {
	b := channel.AppendTrailersFixed(nil, len(fields))
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		b = append(b, name+"\x00"+value+"\x00"...)
	}
	x.sendOpen(channel.AppendFrame(nil, channel.Trailers, 0, x.id, 0, b))
}

// Cancel sends CANCEL with a reason.
func (x *Exchange) Cancel(reason uint16) {
	x.d.mu.Lock()
	x.Cancelled = x.Cancelled || reason == channel.CancelGone
	x.d.mu.Unlock()
	x.sendOpen(channel.AppendFrame(nil, channel.Cancel, 0, x.id, reason, nil))
}

// sendOpen sends a frame if the stream is not over.
func (x *Exchange) sendOpen(b []byte) {
	x.d.mu.Lock()
	defer x.d.mu.Unlock()
	if x.Ended == "" && !x.lost {
		x.l.send(b)
	}
}

// Field returns the value of a response field, or "".
func (x *Exchange) Field(name string) string {
	for _, f := range x.Fields {
		if n, v, _ := strings.Cut(f, ": "); strings.EqualFold(n, name) {
			return v
		}
	}
	return ""
}
