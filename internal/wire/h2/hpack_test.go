package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// pair decodes header blocks with our decoder and with that of the hpack
// package, and compares.
type pair struct {
	t      *testing.T
	ours   decoder
	theirs *hpack.Decoder
	owner  Conn
	limits Limits
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, theirs: hpack.NewDecoder(tableSize, nil), limits: DefaultLimits}
	p.limits.Head, p.limits.Field, p.limits.Fields = 1<<28, 1<<28, 1<<28
	p.ours.max = tableSize
	p.owner.shared = NewShared(&p.limits, "")
	return p
}

// decode reports whether the block was understood.
func (p *pair) decode(in []byte) bool {
	p.t.Helper()
	in = bytes.Clone(in)
	theirs, err := p.theirs.DecodeFull(in)
	batch := p.owner.newBatch()
	h := &batch.head
	*h = head{batch: batch, limits: &p.limits}
	ok := p.ours.decode(in, h)
	updates, inside := sizeUpdates(in)
	switch {
	case ok == (err == nil):
	case ok && updates > 1, !ok && inside:
		return false // where we follow RFC 7541 4.2 and they do not
	default:
		p.t.Fatalf("%x: ours %v, theirs %v", in, ok, err)
	}
	if !ok {
		return false
	}
	var got, want []string
	for _, f := range batch.fields {
		got = append(got, fmt.Sprintf("%q=%q", f.Name, f.Value))
	}
	for _, f := range theirs {
		switch c := classOf([]byte(f.Name)).withValue([]byte(f.Value)); {
		case c == classBadName || c == classBadValue || c == classConnection || c >= classMethod:
		default:
			want = append(want, fmt.Sprintf("%q=%q", f.Name, f.Value))
		}
	}
	if !slices.Equal(got, want) {
		p.t.Fatalf("%x:\n got %q\nwant %q", in, got, want)
	}
	p.sameTable()
	p.owner.release()
	return true
}

func (p *pair) sameTable() {
	p.t.Helper()
	for i := uint64(62); ; i++ {
		theirs, err := p.theirs.DecodeFull(appendInt(nil, 0x80, 7, i))
		name, value, class, ok := p.ours.at(i)
		if ok != (err == nil) {
			p.t.Fatalf("index %d: ours %v, theirs %v", i, ok, err)
		}
		if !ok {
			p.theirs.Close() // else the next block does not count as one
			break
		}
		if theirs[0].Name != string(name) || theirs[0].Value != string(value) {
			p.t.Fatalf("index %d: ours %q=%q, theirs %v", i, name, value, theirs[0])
		}
		if want := classOf(name).withValue(value); class != want {
			p.t.Fatalf("index %d: %q=%q has class %d, want %d", i, name, value, class, want)
		}
	}
	if p.ours.size > p.ours.max || cap(p.ours.bytes) > slabSizes[len(slabSizes)-1] {
		p.t.Fatalf("table of %d bytes in %d, at most %d", p.ours.size, cap(p.ours.bytes), p.ours.max)
	}
}

// sizeUpdates counts the changes of the table size in a block. RFC 7541 4.2
// has several follow each other at the beginning, where the hpack package takes one if the table is
// not empty; and none behind a field, where it takes them if the table is empty.
func sizeUpdates(b []byte) (n int, inside bool) {
	fields := false
	for len(b) > 0 {
		c := b[0]
		bits := uint(4)
		switch {
		case c&0x80 != 0:
			bits = 7
		case c&0x40 != 0:
			bits = 6
		case c&0x20 != 0:
			inside = inside || fields
			n++
			bits = 5
		}
		i, rest, ok := readInt(b, bits)
		if !ok {
			return n, inside
		}
		b = rest
		strings := 0
		if bits == 4 || bits == 6 {
			if strings = 1; i == 0 {
				strings = 2
			}
		}
		for ; strings > 0; strings-- {
			if len(b) == 0 {
				return n, inside
			}
			size, rest, ok := readInt(b, 7)
			if !ok || size > uint64(len(rest)) {
				return n, inside
			}
			b = rest[size:]
		}
		fields = fields || bits != 5
	}
	return n, inside
}

// RFC 7541 Appendix C: the same three requests, in the forms of C.3 and C.4.
func TestExamplesOfTheRFC(t *testing.T) {
	for _, row := range [][]string{
		{"828684410f7777772e6578616d706c652e636f6d", "828684be58086e6f2d6361636865", "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565"},
		{"828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"},
	} {
		p := newPair(t)
		for _, text := range row {
			var b []byte
			if _, err := fmt.Sscanf(text, "%x", &b); err != nil {
				t.Fatal(err)
			}
			if !p.decode(b) {
				t.Errorf("%s refused", text)
			}
		}
		if p.ours.size != 164 || len(p.ours.entries)-p.ours.evicted != 3 {
			t.Errorf("table of %d bytes", p.ours.size)
		}
	}
}

// Blocks of another encoder, with a table that overflows, changes its size, and
// values of all lengths.
func TestDecoderAgreesWithHpack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		p := newPair(t)
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for range 200 {
			b.Reset()
			n := rnd.IntN(10)
			if n > 0 && rnd.IntN(20) == 0 {
				e.SetMaxDynamicTableSize(uint32(rnd.IntN(tableSize + 1)))
			}
			for range n {
				name := fmt.Sprint("x-name-", rnd.IntN(40))
				if rnd.IntN(3) == 0 {
					name = []string{":path", "cookie", "content-length", "host", "Bad", "te", "connection", "accept"}[rnd.IntN(8)]
				}
				value := strings.Repeat(string(rune(rnd.IntN(256))), rnd.IntN(1<<rnd.IntN(13)))
				e.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: rnd.IntN(10) == 0})
			}
			if !p.decode(b.Bytes()) {
				t.Fatal("refused")
			}
		}
	}
}

// Every byte, alone and in company, coded and decoded.
func TestHuffman(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		in := make([]byte, 1+rnd.IntN(20))
		for k := range in {
			in[k] = byte(rnd.IntN(256))
		}
		if i < 256 {
			in = []byte{byte(i)}
		}
		coded := hpack.AppendHuffmanString(nil, string(in))
		got, ok := appendHuffman(nil, coded)
		if !ok || !bytes.Equal(got, in) {
			t.Fatalf("%q: %q, %v", in, got, ok)
		}
		for k := range coded { // and what is nearly right
			bad := bytes.Clone(coded)
			bad[k] ^= 1 << rnd.IntN(8)
			want, err := hpack.HuffmanDecodeToString(bad)
			if got, ok := appendHuffman(nil, bad); ok != (err == nil) || ok && string(got) != want {
				t.Fatalf("%x: %q, %v; want %q, %v", bad, got, ok, want, err)
			}
		}
	}
}

// What the encoder writes, another decoder reads, whatever the tables are.
func TestEncoderAgreesWithHpack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	limits := DefaultLimits
	shared := NewShared(&limits, "test")
	shared.SetDate([]byte("Mon, 02 Jan 2006 15:04:05 GMT"))
	for range 10 {
		var e encoder
		e.max = tableSize
		d := hpack.NewDecoder(tableSize, nil)
		for range 500 {
			if rnd.IntN(20) == 0 {
				n := uint32(rnd.IntN(6000))
				if rnd.IntN(2) == 0 {
					e.limit(0) // two changes, and both must be said
				}
				e.limit(n)
				d.SetAllowedMaxDynamicTableSize(min(n, tableSize))
			}
			status := []int{200, 204, 206, 304, 400, 404, 500, 418}[rnd.IntN(8)]
			fields := []string{}
			want := []string{fmt.Sprint(":status=", status)}
			for range rnd.IntN(6) {
				name := []string{"Content-Type", "X-Frame-Options", "ETag", "Set-Cookie", "X-Long-Name-" + strings.Repeat("x", 60), "Vary"}[rnd.IntN(6)]
				value := strings.Repeat("v", rnd.IntN(4)*rnd.IntN(300))
				fields = append(fields, name, value)
				want = append(want, strings.ToLower(name)+"="+value)
			}
			r := response(status, fields...)
			out := e.appendResponse(nil, shared, 1, r, 12, true, false)
			want = append(want, "server=test", "content-length=12", "date=Mon, 02 Jan 2006 15:04:05 GMT")
			got := []string{}
			decoded, err := d.DecodeFull(out[frameHeader:])
			for _, f := range decoded {
				got = append(got, f.Name+"="+f.Value)
				if f.Sensitive != (f.Name == "set-cookie") {
					t.Errorf("%v", f)
				}
			}
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%v\n got %q\nwant %q", err, got, want)
			}
		}
	}
}

// The third response with the same fields is their indexes, a date and a length.
func TestRepeatedHeadsAreShort(t *testing.T) {
	s := ready(t, nil)
	s.shared.SetDate([]byte("Mon, 02 Jan 2006 15:04:05 GMT"))
	var sizes []int
	for i := range uint32(4) {
		s.feed(get(2*i + 1))
		r := response(200, "Content-Type", "text/html; charset=utf-8", "Content-Security-Policy", "default-src 'self'; img-src *", "X-Frame-Options", "DENY")
		s.c.Respond(s.open[2*i+1], r, nil, true)
		sizes = append(sizes, len(s.c.Out))
		s.frames()
	}
	if sizes[2] > 50 || sizes[3] != sizes[2] || len(s.c.encoder.memo) != 3 {
		t.Errorf("heads of %d bytes, %d remembered", sizes, len(s.c.encoder.memo))
	}
}

// A head beyond the size of a frame goes on in CONTINUATION frames (RFC 9113 4.3).
func TestLongResponseHead(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1))
	long := strings.Repeat("x", 50_000)
	s.c.Respond(s.open[1], response(200, "A", long), nil, true)
	out := s.c.Out
	for i, want := range []header{
		{frameSize, typeHeaders, flagEndStream, 1}, {frameSize, typeContinuation, 0, 1},
		{frameSize, typeContinuation, 0, 1}, {0, typeContinuation, flagEndHeaders, 1},
	} {
		h := parseHeader(out)
		if i == 3 {
			want.length = h.length
		}
		if h != want {
			t.Errorf("frame %d: %+v", i, h)
		}
		out = out[frameHeader+h.length:]
	}
	if len(out) != 0 {
		t.Errorf("%d bytes behind it", len(out))
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("\x82\x86\x84\x41\x0f\x77\x77\x77\x2e\x65\x78\x61\x6d\x70\x6c\x65\x2e\x63\x6f\x6d"), 4)
	f.Add([]byte("\x3f\xe1\x1f\x20\x40\x03abc\x00\xbe"), 3)
	f.Add([]byte("\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf\xbe\x7e\x01x"), 19)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		p := newPair(t)
		cut = int(uint(cut) % uint(len(in)+1))
		if p.decode(in[:cut]) { // the second block meets the table of the first
			p.decode(in[cut:])
		}
	})
}
