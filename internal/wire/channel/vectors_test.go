package channel

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The vectors are the truth that every implementation of the channel shares:
// docs/channel.md section 10 describes the file.
type vectorFile struct {
	Protocol int
	Frames   []struct {
		Name  string
		Hex   string
		Frame description
	}
	Invalid []struct {
		Name  string
		Error string
		Hex   string
	}
	Exchanges []exchange
}

type exchange struct {
	Name  string
	Steps []struct {
		From        string // "application" or "daemon"
		On          string // "session" or "loop 0"
		Descriptors []string
		Hex         []string // one a frame
		Frames      []description
	}
}

func readVectors(t testing.TB) vectorFile {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectorFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if v.Protocol != Version || len(v.Frames) == 0 || len(v.Invalid) == 0 || len(v.Exchanges) == 0 {
		t.Fatalf("vectors for protocol %d, with %d frames, %d invalid ones, %d exchanges",
			v.Protocol, len(v.Frames), len(v.Invalid), len(v.Exchanges))
	}
	return v
}

// description is a frame in words.
type description struct {
	Type   string   `json:"type"`
	Stream uint32   `json:"stream"`
	Flags  []string `json:"flags"`
	Value  uint16   `json:"value"`

	JSON any `json:"json,omitempty"`

	Method       string      `json:"method,omitempty"`
	MethodNumber Method      `json:"method_number,omitempty"`
	Target       octets      `json:"target,omitempty"`
	Authority    octets      `json:"authority,omitempty"`
	Client       octets      `json:"client,omitempty"`
	Local        octets      `json:"local,omitempty"`
	Version      uint8       `json:"version,omitempty"`
	Registration uint32      `json:"registration,omitempty"`
	RequestFlags []string    `json:"request_flags,omitempty"`
	Connection   string      `json:"connection,omitempty"`
	Length64     string      `json:"content_length,omitempty"`
	Fields       [][2]octets `json:"fields,omitempty"`

	Reason *octets `json:"reason,omitempty"`
	Text   octets  `json:"text,omitempty"`
	Body   octets  `json:"body,omitempty"`
	Pieces []piece `json:"pieces,omitempty"` // the body of a frame with PIECES

	TLSVersion      uint16   `json:"tls_version,omitempty"`
	CipherSuite     uint16   `json:"cipher_suite,omitempty"`
	Group           uint16   `json:"group,omitempty"`
	ConnectionFlags []string `json:"connection_flags,omitempty"`
	ServerName      octets   `json:"server_name,omitempty"`
	Protocol        octets   `json:"protocol,omitempty"`
	Verdict         uint8    `json:"verdict,omitempty"`
	VerdictCode     uint32   `json:"verdict_code,omitempty"`
	VerdictName     octets   `json:"verdict_name,omitempty"`
	VerdictText     octets   `json:"verdict_text,omitempty"`
	Certificates    []octets `json:"certificates,omitempty"`
	Presented       int      `json:"presented,omitempty"`
	Chains          [][]int  `json:"chains,omitempty"`

	Offset    string `json:"offset,omitempty"`
	Length    string `json:"length,omitempty"`
	Increment uint32 `json:"increment,omitempty"`
}

// piece is bytes, or a part of a fragment.
type piece struct {
	Bytes    octets `json:"bytes,omitempty"`
	Fragment octets `json:"fragment,omitempty"`
	Offset   string `json:"offset,omitempty"`
	Length   string `json:"length,omitempty"`
}

// body describes a body, which may be made of pieces.
func (d *description) body(f Flags, b []byte) error {
	if f&FlagPieces == 0 {
		d.Body = octets(b)
		return nil
	}
	d.Pieces = []piece{}
	for walk := (Pieces{Rest: b}); ; {
		p, ok, err := walk.Next()
		if err != nil || !ok {
			return err
		}
		if p.Name == nil {
			d.Pieces = append(d.Pieces, piece{Bytes: octets(p.Bytes)})
			continue
		}
		d.Pieces = append(d.Pieces, piece{Fragment: octets(p.Name), Offset: strconv.FormatInt(p.Offset, 10), Length: strconv.FormatInt(p.Length, 10)})
	}
}

// octets are bytes. In the file they are a string with one character for each
// byte (U+0000 to U+00FF), or one character and how often it comes.
type octets string

func (o *octets) UnmarshalJSON(text []byte) error {
	var long struct {
		Repeat string
		Times  int
	}
	if text[0] == '{' {
		if err := json.Unmarshal(text, &long); err != nil {
			return err
		}
	} else {
		if err := json.Unmarshal(text, &long.Repeat); err != nil {
			return err
		}
		long.Times = 1
	}
	var b []byte
	for _, r := range long.Repeat {
		if r > 0xff {
			return fmt.Errorf("character %q is not a byte", r)
		}
		b = append(b, byte(r))
	}
	*o = octets(bytes.Repeat(b, long.Times))
	return nil
}

// unhex reads bytes: hexadecimal digits in groups, and "61*1000" for a byte
// that comes 1000 times.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	var all []byte
	for _, group := range strings.Fields(text) {
		digits, times, repeated := strings.Cut(group, "*")
		b, err := hex.DecodeString(digits)
		n := 1
		if err == nil && repeated {
			n, err = strconv.Atoi(times)
		}
		if err != nil {
			t.Fatalf("hex %q: %v", group, err)
		}
		all = append(all, bytes.Repeat(b, n)...)
	}
	return all
}

var typeNumbers = func() map[string]Type {
	m := make(map[string]Type)
	for t, n := range typeNames {
		m[n] = t
	}
	return m
}()

// The names in the order in which a description lists them.
var (
	flagNames = []struct {
		name string
		flag Flags
	}{{"END", FlagEnd}, {"TEXT", FlagText}, {"OPAQUE", FlagOpaque}, {"MORE", FlagMore}, {"SOCKET", FlagSocket}, {"PIECES", FlagPieces}, {"CREDIT", FlagCredit}}
	requestFlagNames = []struct {
		name string
		flag RequestFlags
	}{{"TLS", RequestTLS}, {"CONTINUE", RequestContinue}, {"UPGRADE", RequestUpgrade}, {"RAW", RequestRaw}, {"AHEAD", RequestAhead}}
	connectionFlagNames = []struct {
		name string
		flag ConnectionFlags
	}{{"RESUMED", ConnectionResumed}, {"ASKED", ConnectionAsked}, {"TRUNCATED", ConnectionTruncated}, {"ACCEPTED", ConnectionAccepted}, {"PROGRAM", ConnectionProgram}}
	jsonTypes = map[Type]func() any{
		Hello:   func() any { return new(HelloMessage) },
		Welcome: func() any { return new(WelcomeMessage) },
		Call:    func() any { return new(CallMessage) },
		Reply:   func() any { return new(ReplyMessage) },
	}
	errorNames = map[string]error{
		"too_long": ErrTooLong, "type": ErrType, "flags": ErrFlags, "stream": ErrStream, "value": ErrValue,
		"payload": ErrPayload, "field": ErrField,
	}
)

// decode describes the frame that b begins with, by what the package parses,
// and returns what is behind it.
func decode(b []byte) (d description, rest []byte, err error) {
	if len(b) < HeaderSize {
		return d, nil, fmt.Errorf("%d bytes are no frame", len(b))
	}
	h, err := ParseHeader(b)
	if err != nil {
		return d, nil, err
	}
	if len(b) < HeaderSize+int(h.Length) {
		return d, nil, fmt.Errorf("%d bytes are missing", HeaderSize+int(h.Length)-len(b))
	}
	payload, rest := b[HeaderSize:HeaderSize+h.Length], b[HeaderSize+h.Length:]
	d = description{Type: h.Type.String(), Stream: h.Stream, Flags: []string{}, Value: h.Value}
	for _, f := range flagNames {
		if h.Flags&f.flag != 0 {
			d.Flags = append(d.Flags, f.name)
		}
	}
	switch h.Type {
	case Hello, Welcome, Call, Reply:
		if h.Type == Reply && !json.Valid(payload) {
			d.Text = octets(payload) // a piece of it
			return d, rest, nil
		}
		// Through our types and back: a member that they lack would be lost.
		message := jsonTypes[h.Type]()
		if err := json.Unmarshal(payload, message); err != nil {
			return d, nil, err
		}
		again, err := json.Marshal(message)
		if err != nil {
			return d, nil, err
		}
		return d, rest, json.Unmarshal(again, &d.JSON)
	case Request:
		r, body, err := ParseRequest(payload)
		if err != nil {
			return d, nil, err
		}
		d.MethodNumber, d.Version, d.Registration = r.Method, r.Version, r.Registration
		d.RequestFlags = []string{}
		for _, f := range requestFlagNames {
			if r.Flags&f.flag != 0 {
				d.RequestFlags = append(d.RequestFlags, f.name)
			}
		}
		d.Connection = strconv.FormatUint(r.Connection, 10)
		d.Length64 = strconv.FormatInt(r.ContentLength, 10)
		d.Body = octets(body)
		f := Fields{Block: r.Text, Left: r.FieldCount}
		for _, s := range []*octets{(*octets)(&d.Method), &d.Target, &d.Authority, &d.Client, &d.Local} {
			text, err := f.Text()
			if err != nil {
				return d, nil, err
			}
			*s = octets(text)
		}
		d.Fields, err = fields(f)
		return d, rest, err
	case Response:
		head, n, body, err := ParseResponse(payload)
		if err != nil {
			return d, nil, err
		}
		if err := d.body(h.Flags, body); err != nil {
			return d, nil, err
		}
		switch {
		case h.Flags&FlagText != 0:
			d.Text = octets(head)
		case h.Value != 0:
			f := Fields{Block: head, Left: n}
			reason, err := f.Text()
			if err != nil {
				return d, nil, err
			}
			d.Reason = (*octets)(ptr(string(reason)))
			d.Fields, err = fields(f)
			return d, rest, err
		}
	case Data:
		err = d.body(h.Flags, payload)
	case Cancel, Socket, Fragment:
		d.Body = octets(payload)
	case Trailers:
		f, err := ParseTrailers(payload)
		if err != nil {
			return d, nil, err
		}
		d.Fields, err = fields(f)
		return d, rest, err
	case File:
		offset, length, err := ParseFile(payload)
		if err != nil {
			return d, nil, err
		}
		d.Offset, d.Length = strconv.FormatInt(offset, 10), strconv.FormatInt(length, 10)
	case Window, Credit:
		d.Increment, err = Uint32(payload)
	case Disconnection:
		var n uint64
		n, err = ParseDisconnection(payload)
		d.Connection = strconv.FormatUint(n, 10)
	case Connection:
		var c ConnectionFacts
		if c, err = ParseConnection(payload); err != nil {
			return d, nil, err
		}
		d.Connection = strconv.FormatUint(c.Number, 10)
		d.TLSVersion, d.CipherSuite, d.Group = c.Version, c.Suite, c.Group
		d.Verdict, d.VerdictCode, d.Presented = c.Verdict, c.Code, c.Presented
		d.ServerName, d.Protocol = octets(c.ServerName), octets(c.Protocol)
		d.Registration, d.Client, d.Local = c.Registration, octets(c.Client), octets(c.Local)
		d.VerdictName, d.VerdictText = octets(c.VerdictName), octets(c.VerdictText)
		d.ConnectionFlags = []string{}
		for _, f := range connectionFlagNames {
			if c.Flags&f.flag != 0 {
				d.ConnectionFlags = append(d.ConnectionFlags, f.name)
			}
		}
		for _, der := range c.Certificates {
			d.Certificates = append(d.Certificates, octets(der))
		}
		for _, chain := range c.Chains {
			indices := []int{}
			for _, i := range chain {
				indices = append(indices, int(i))
			}
			d.Chains = append(d.Chains, indices)
		}
	}
	return d, rest, err
}

func ptr[T any](v T) *T { return &v }

func fields(f Fields) ([][2]octets, error) {
	all := [][2]octets{}
	for {
		name, value, ok, err := f.Next()
		if !ok {
			return all, err
		}
		all = append(all, [2]octets{octets(name), octets(value)})
	}
}

// encode makes the frame that d describes, with what the package appends.
func encode(t testing.TB, d description) []byte {
	t.Helper()
	typ, ok := typeNumbers[d.Type]
	if !ok {
		t.Fatalf("there is no type %q", d.Type)
	}
	var flags Flags
	for _, f := range flagNames {
		if contains(d.Flags, f.name) {
			flags |= f.flag
		}
	}
	var block []byte
	str := func(strings ...octets) {
		for _, s := range strings {
			block = append(append(block, s...), 0)
		}
	}
	b := AppendHeader(nil, Header{Stream: d.Stream, Type: typ, Flags: flags, Value: d.Value})
	switch typ {
	case Hello, Welcome, Call, Reply:
		text := []byte(d.Text)
		if d.JSON != nil {
			var err error
			if text, err = json.Marshal(d.JSON); err != nil {
				t.Fatal(err)
			}
		}
		return AppendFrame(nil, typ, flags, d.Stream, d.Value, text)
	case Request:
		str(octets(d.Method), d.Target, d.Authority, d.Client, d.Local)
		for _, f := range d.Fields {
			str(f[0], f[1])
		}
		h := RequestHead{FieldCount: len(d.Fields), Method: MethodOf([]byte(d.Method)), Version: d.Version, Registration: d.Registration}
		for _, f := range requestFlagNames {
			if contains(d.RequestFlags, f.name) {
				h.Flags |= f.flag
			}
		}
		var err1, err2 error
		h.Connection, err1 = strconv.ParseUint(d.Connection, 10, 64)
		h.ContentLength, err2 = strconv.ParseInt(d.Length64, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		b = AppendRequestFixed(b, &h, len(block))
	case Response:
		switch {
		case d.Text != "":
			block = []byte(d.Text)
		case d.Reason != nil:
			str(*d.Reason)
			for _, f := range d.Fields {
				str(f[0], f[1])
			}
		}
		b = AppendResponseFixed(b, len(block), len(d.Fields))
	case Trailers:
		for _, f := range d.Fields {
			str(f[0], f[1])
		}
		b = AppendTrailersFixed(b, len(d.Fields))
	case File:
		offset, err1 := strconv.ParseInt(d.Offset, 10, 64)
		length, err2 := strconv.ParseInt(d.Length, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		b = AppendFile(b, offset, length)
	case Disconnection:
		n, err := strconv.ParseUint(d.Connection, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return AppendFrame(nil, typ, flags, 0, d.Value, AppendDisconnection(nil, n)[HeaderSize:])
	case Connection:
		c := ConnectionFacts{
			Version: d.TLSVersion, Suite: d.CipherSuite, Group: d.Group, Verdict: d.Verdict, Code: d.VerdictCode, Presented: d.Presented,
			ServerName: string(d.ServerName), Protocol: string(d.Protocol), VerdictName: string(d.VerdictName), VerdictText: string(d.VerdictText),
			Registration: d.Registration, Client: string(d.Client), Local: string(d.Local),
		}
		var err error
		if c.Number, err = strconv.ParseUint(d.Connection, 10, 64); err != nil {
			t.Fatal(err)
		}
		for _, f := range connectionFlagNames {
			if contains(d.ConnectionFlags, f.name) {
				c.Flags |= f.flag
			}
		}
		for _, der := range d.Certificates {
			c.Certificates = append(c.Certificates, []byte(der))
		}
		for _, indices := range d.Chains {
			var chain []byte
			for _, i := range indices {
				chain = append(chain, byte(i))
			}
			c.Chains = append(c.Chains, chain)
		}
		b = AppendConnection(b, &c)
	case Window, Credit:
		return AppendUint32Frame(nil, typ, d.Stream, d.Increment)
	}
	b = append(append(b, block...), d.Body...)
	for _, p := range d.Pieces {
		if p.Fragment == "" {
			b = AppendPiece(b, []byte(p.Bytes))
			continue
		}
		offset, err1 := strconv.ParseInt(p.Offset, 10, 64)
		length, err2 := strconv.ParseInt(p.Length, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		b = AppendPieceOf(b, string(p.Fragment), offset, length)
	}
	PutLength(b, len(b)-HeaderSize)
	return b
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// sameBytes compares frames. JSON may be written in many ways, so of those
// that carry it only the header up to its length counts: decode has compared
// the rest.
func sameBytes(got, want []byte) bool {
	if len(want) >= HeaderSize && jsonTypes[Type(want[8])] != nil {
		return len(got) >= HeaderSize && bytes.Equal(got[4:HeaderSize], want[4:HeaderSize])
	}
	return bytes.Equal(got, want)
}

// dropZeros takes away the members of a message that are 0, which means the
// same as not to be there; our own messages leave them out.
func dropZeros(message any) {
	if members, ok := message.(map[string]any); ok {
		for name, value := range members {
			if value == 0.0 && name != "protocol" {
				delete(members, name)
			}
		}
	}
}

func checkFrame(t *testing.T, text string, want description) {
	t.Helper()
	b := unhex(t, text)
	got, rest, err := decode(b)
	if err != nil {
		t.Errorf("decode: %v", err)
		return
	}
	if len(rest) != 0 {
		t.Errorf("decode leaves %d bytes", len(rest))
	}
	dropZeros(want.JSON)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("decode (-want +got):\n%.2000s", d)
	}
	if out := encode(t, want); !sameBytes(out, b) {
		t.Errorf("encode\n got %.400x\nwant %.400x", out, b)
	}
}

func TestVectors(t *testing.T) {
	for _, v := range readVectors(t).Frames {
		t.Run(v.Name, func(t *testing.T) { checkFrame(t, v.Hex, v.Frame) })
	}
}

func TestInvalidVectors(t *testing.T) {
	for _, v := range readVectors(t).Invalid {
		t.Run(v.Name, func(t *testing.T) {
			want := errorNames[v.Error]
			if want == nil {
				t.Fatalf("there is no error %q", v.Error)
			}
			d, _, err := decode(unhex(t, v.Hex))
			if err != want {
				t.Errorf("got %+v, %v; want %v", d, err, want)
			}
		})
	}
}

// Each type, flag and error of the format is somewhere in the vectors.
func TestVectorsAreComplete(t *testing.T) {
	v := readVectors(t)
	types, flags, errs := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range v.Frames {
		types[f.Frame.Type] = true
		for _, n := range f.Frame.Flags {
			flags[f.Frame.Type+" "+n] = true
		}
	}
	for _, x := range v.Exchanges {
		for _, s := range x.Steps {
			for _, f := range s.Frames {
				for _, n := range f.Flags {
					flags[f.Type+" "+n] = true
				}
			}
		}
	}
	for _, i := range v.Invalid {
		errs[i.Error] = true
	}
	for typ, name := range typeNames {
		if !types[name] {
			t.Errorf("no vector for %s", name)
		}
		for _, f := range flagNames {
			if shapes[typ].flags&f.flag != 0 && !flags[name+" "+f.name] {
				t.Errorf("no vector for %s with %s", name, f.name)
			}
		}
	}
	for name := range errorNames {
		if !errs[name] {
			t.Errorf("no invalid vector with error %s", name)
		}
	}
}

// AppendReply is the one function that makes several frames.
func TestLongReply(t *testing.T) {
	for _, n := range []int{2, MaxPayload - 1, MaxPayload, MaxPayload + 1, 3 * MaxPayload} {
		payload := bytes.Repeat([]byte{' '}, n)
		b := AppendReply([]byte("before"), 7, payload)[len("before"):]
		var joined []byte
		for frames := 0; len(b) > 0; frames++ {
			h, err := ParseHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			joined = append(joined, b[HeaderSize:HeaderSize+h.Length]...)
			b = b[HeaderSize+h.Length:]
			if more := h.Flags == FlagMore; h.Type != Reply || h.Stream != 7 || more != (len(b) > 0) {
				t.Errorf("%d bytes, frame %d: %+v", n, frames, h)
			}
		}
		if !bytes.Equal(joined, payload) {
			t.Errorf("%d bytes became %d", n, len(joined))
		}
	}
}

// Reading and writing what every request needs allocates nothing.
func TestAllocations(t *testing.T) {
	request := unhex(t, find(t, "request with its whole body"))
	response := unhex(t, find(t, "response, binary, with its body"))
	out := make([]byte, 0, 4096)
	n := testing.AllocsPerRun(100, func() {
		for _, b := range [][]byte{request, response} {
			h, err := ParseHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			payload := b[HeaderSize : HeaderSize+h.Length]
			var f Fields
			if h.Type == Request {
				r, _, err := ParseRequest(payload)
				if err != nil {
					t.Fatal(err)
				}
				f = Fields{Block: r.Text, Left: 5 + r.FieldCount}
				out = AppendRequestFixed(AppendHeader(out[:0], h), &r, len(r.Text))
			} else {
				head, n, _, err := ParseResponse(payload)
				if err != nil {
					t.Fatal(err)
				}
				f = Fields{Block: head, Left: n}
				out = AppendResponseFixed(AppendHeader(out[:0], h), len(head), n)
			}
			for {
				if _, err := f.Text(); err != nil {
					break
				}
			}
			out = AppendUint32Frame(out, Window, h.Stream, 1)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func find(t *testing.T, name string) string {
	t.Helper()
	for _, v := range readVectors(t).Frames {
		if v.Name == name {
			return v.Hex
		}
	}
	t.Fatalf("there is no vector %q", name)
	return ""
}

func TestMethodNumbers(t *testing.T) {
	for i, name := range MethodNames {
		if got := MethodOf([]byte(name)); got != Method(i) {
			t.Errorf("MethodOf(%q) = %d, want %d", name, got, i)
		}
	}
	if !reflect.DeepEqual(MethodOf([]byte("get")), MethodOther) {
		t.Error("methods are case-sensitive (RFC 9110 9.1)")
	}
}
