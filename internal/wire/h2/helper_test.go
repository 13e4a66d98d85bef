package h2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// The client's bytes, as strings that can be joined. Header blocks use neither
// tables nor Huffman codes here, so that pieces can stand in any order.

func frame(typ, flags uint8, id uint32, payload string) string {
	return string(appendHeader(nil, len(payload), typ, flags, id)) + payload
}

// block encodes names and values in turn.
func block(fields ...string) string {
	b := []byte{}
	for i := 0; i < len(fields); i += 2 {
		b = append(b, 0)
		for _, s := range fields[i : i+2] {
			b = appendInt(b, 0, 7, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return string(b)
}

func headers(id uint32, end bool, fields ...string) string {
	flags := uint8(flagEndHeaders)
	if end {
		flags |= flagEndStream
	}
	return frame(typeHeaders, flags, id, block(fields...))
}

func data(id uint32, end bool, content string) string {
	flags := uint8(0)
	if end {
		flags = flagEndStream
	}
	return frame(typeData, flags, id, content)
}

func u32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func setting(id uint16, value uint32) string { return string(appendSetting(nil, id, value)) }

func settingsOf(entries string) string { return frame(typeSettings, 0, 0, entries) }

func update(id, n uint32) string { return frame(typeWindowUpdate, 0, id, u32(n)) }

func reset(id uint32, code Code) string { return frame(typeReset, 0, id, u32(uint32(code))) }

func pseudo(method string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "https", ":authority", "h", ":path", "/"}, more...)
}

func get(id uint32, more ...string) string  { return headers(id, true, pseudo("GET", more...)...) }
func post(id uint32, more ...string) string { return headers(id, false, pseudo("POST", more...)...) }

const ackSettings = "\x00\x00\x00\x04\x01\x00\x00\x00\x00"

// hello is how a client begins.
var hello = Preface + settingsOf("") + ackSettings

// side is a connection under test with an owner that notes all events.
type side struct {
	t      *testing.T
	c      Conn
	shared *Shared
	limits Limits
	now    int64
	in     []byte // not used yet
	events []string
	open   map[uint32]*Stream
	unread map[uint32]int
	eager  bool // consumes at once
	hpack  *hpack.Decoder
	on     func(e *Event)
}

func newSide(t *testing.T, change func(l *Limits)) *side {
	s := &side{t: t, limits: DefaultLimits, open: map[uint32]*Stream{}, unread: map[uint32]int{}, now: 1_000_000}
	if change != nil {
		change(&s.limits)
	}
	s.shared = NewShared(&s.limits, "")
	s.shared.ExtendedConnect = true
	s.c.Init(s.shared, s.now)
	s.hpack = hpack.NewDecoder(4096, nil)
	return s
}

// ready is a side that has greeted its client.
func ready(t *testing.T, change func(l *Limits)) *side {
	t.Helper()
	s := newSide(t, change)
	s.feed(hello)
	s.frames()
	return s
}

func (s *side) note(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// feed gives bytes to the connection as a reader of a socket would.
func (s *side) feed(in string) {
	s.in = append(s.in, in...)
	for len(s.in) > 0 {
		n := s.c.Receive(s.in, s.now)
		s.drain()
		if n == 0 {
			break
		}
		s.in = append([]byte(nil), s.in[n:]...)
	}
}

func (s *side) drain() {
	for e := s.c.Next(); e != nil; e = s.c.Next() {
		id := uint32(0)
		if e.Stream != nil {
			id = e.Stream.ID()
		}
		end := ""
		if e.End {
			end = " end"
		}
		switch e.Kind {
		case GotRequest:
			s.open[id] = e.Stream
			s.note("%d %s%s", id, dump(e.Request), end)
		case Refused:
			s.open[id] = e.Stream
			s.note("%d refused %d %s%s", id, e.Err.Status, e.Request.Method, end)
		case GotData:
			s.note("%d data %s%s", id, e.Data, end)
			if s.eager {
				s.c.Consumed(e.Stream, len(e.Data))
			} else {
				s.unread[id] += len(e.Data)
			}
		case GotTrailers:
			s.note("%d trailers%s%s", id, fieldText(e.Fields), end)
		case Reset:
			s.note("%d reset %s", id, e.Err.Text)
			if s.open[id] == nil {
				s.t.Errorf("stream %d is reset, but was never told", id)
			}
			delete(s.open, id)
		case Failed:
			s.note("failed %s", e.Err.Text)
			if len(s.open) != 0 {
				s.t.Errorf("failed with open streams %v", s.open)
			}
		}
		if s.on != nil {
			s.on(e)
		}
	}
}

func fieldText(fields []message.Field) string {
	t := ""
	for _, f := range fields {
		t += fmt.Sprintf(" %s=%s", f.Name, f.Value)
	}
	return t
}

// dump writes what was understood of a request.
func dump(r *Request) string {
	var t strings.Builder
	fmt.Fprintf(&t, "%s %s", r.Method, r.Target)
	for _, part := range []struct {
		name  string
		value []byte
	}{{"scheme", r.Scheme}, {"authority", r.Authority}, {"path", r.Path}, {"query", r.Query}, {"protocol", r.Protocol}} {
		if len(part.value) > 0 {
			fmt.Fprintf(&t, " %s=%s", part.name, part.value)
		}
	}
	if r.ContentLength != 0 {
		fmt.Fprintf(&t, " length=%d", r.ContentLength)
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{r.ExpectContinue, "expect"}, {r.AcceptTrailers, "trailers"}, {r.Connect, "connect"}, {r.Upgrade, "upgrade"}} {
		if flag.set {
			t.WriteString(" " + flag.name)
		}
	}
	if r.Version != 20 {
		t.WriteString(" not-http2")
	}
	if len(r.Fields) > 0 {
		t.WriteString(" |" + fieldText(r.Fields))
	}
	return t.String()
}

// frames takes what is in Out and writes it down, one line a frame.
func (s *side) frames() []string {
	s.t.Helper()
	out := s.c.Out
	s.c.Out = nil
	fr := http2.NewFramer(nil, bytes.NewReader(out))
	fr.SetMaxReadFrameSize(frameSize)
	var lines []string
	for {
		f, err := fr.ReadFrame()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			s.t.Fatalf("what we send is no HTTP/2: %v\n%q", err, out)
		}
		line := s.frameText(f)
		lines = append(lines, line)
	}
}

func (s *side) frameText(f http2.Frame) string {
	end := func(is bool) string {
		if is {
			return " end"
		}
		return ""
	}
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.HeadersFrame:
		fields, err := s.hpack.DecodeFull(f.HeaderBlockFragment())
		if err != nil {
			s.t.Fatalf("what we send is no HPACK: %v", err)
		}
		t := fmt.Sprintf("%d headers", id)
		for _, hf := range fields {
			t += " " + hf.Name + "=" + hf.Value
		}
		return t + end(f.StreamEnded())
	case *http2.DataFrame:
		if len(f.Data()) > 40 {
			return fmt.Sprintf("%d data of %d%s", id, len(f.Data()), end(f.StreamEnded()))
		}
		return fmt.Sprintf("%d data %s%s", id, f.Data(), end(f.StreamEnded()))
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("%d reset %s", id, f.ErrCode)
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("%d window +%d", id, f.Increment)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("goaway %d %s", f.LastStreamID, f.ErrCode)
	case *http2.PingFrame:
		if f.IsAck() {
			return "pong " + string(f.Data[:])
		}
		return "ping"
	case *http2.SettingsFrame:
		if f.IsAck() {
			return "settings ack"
		}
		t := "settings"
		f.ForeachSetting(func(e http2.Setting) error {
			t += fmt.Sprintf(" %d=%d", e.ID, e.Val)
			return nil
		})
		return t
	}
	return f.Header().String()
}

// said returns the events so far, and forgets them.
func (s *side) said() []string {
	e := s.events
	s.events = nil
	return e
}

func (s *side) wantEvents(want ...string) {
	s.t.Helper()
	if got := s.said(); !slices.Equal(got, want) {
		s.t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

func (s *side) wantFrames(want ...string) {
	s.t.Helper()
	if got := s.frames(); !slices.Equal(got, want) {
		s.t.Errorf("frames\n got %q\nwant %q", got, want)
	}
}

// wantEnd checks that the connection was ended for a reason.
func (s *side) wantEnd(want *Error) {
	s.t.Helper()
	if s.c.Err() != want {
		s.t.Fatalf("the connection ended with %v, want %v", s.c.Err(), want)
	}
	frames := s.frames()
	if len(frames) == 0 || !strings.HasPrefix(frames[len(frames)-1], "goaway ") ||
		!strings.HasSuffix(frames[len(frames)-1], http2.ErrCode(want.Code).String()) {
		s.t.Errorf("the last frame is not GOAWAY with %v: %q", http2.ErrCode(want.Code), frames)
	}
	s.check()
}

// check holds the invariants of a connection.
func (s *side) check() {
	s.t.Helper()
	c := &s.c
	n, unread, waits := 0, int32(0), 0
	for _, x := range c.streams.slots {
		if x == nil {
			continue
		}
		n++
		unread += x.recv.unread
		if x.is(waiting) {
			waits++
		}
		if x.is(listed) != (x.is(waiting) && x.send > 0) {
			s.t.Errorf("stream %d: state %b with window %d", x.id, x.state, x.send)
		}
		if c.streams.get(x.id) != x {
			s.t.Errorf("stream %d is not found", x.id)
		}
	}
	for i, z := range c.idle {
		id := z.Idle().id
		if c.streams.get(id) != nil {
			s.t.Errorf("stream %d is at rest and awake", id)
		}
		if i > 0 && id <= c.idle[i-1].Idle().id {
			s.t.Errorf("stream %d is behind %d in the list of those at rest", id, c.idle[i-1].Idle().id)
		}
	}
	if n != c.streams.n || waits != c.waiting {
		s.t.Errorf("%d streams, counted %d; %d waiting, counted %d", n, c.streams.n, waits, c.waiting)
	}
	if c.left == 0 && c.err == nil && unread != c.recv.unread {
		s.t.Errorf("%d bytes unread on the connection, %d on its streams", c.recv.unread, unread)
	}
	if (c.queue == nil) != (func() bool {
		for _, x := range c.streams.slots {
			if x != nil && x.is(listed) {
				return false
			}
		}
		return true
	}()) {
		s.t.Errorf("schedule %v", c.queue)
	}
}

func response(status int, fields ...string) *message.Response {
	r := &message.Response{}
	head := "\x00"
	for i := 0; i < len(fields); i++ {
		head += fields[i] + "\x00"
	}
	if err := r.ParseBinary(status, []byte(head), len(fields)/2); err != nil {
		panic(err)
	}
	return r
}

func codeName(c Code) string { return http2.ErrCode(c).String() }
