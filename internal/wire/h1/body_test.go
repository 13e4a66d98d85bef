package h1

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// readBody takes a body from in, of which the first cuts[0], then cuts[1], …
// bytes and at last all have arrived. It returns what it is made of and how many bytes
// it took.
func readBody(t testing.TB, b *Body, in string, cuts ...int) (content, trailers string, n int, err error) {
	t.Helper()
	for _, cut := range append(cuts, len(in)) {
		for n <= cut {
			// A buffer of its own each time: nothing may be kept from the one before.
			data, k, done, e := b.Next([]byte(in[n:cut]))
			if k < len(data) || k > cut-n {
				t.Fatalf("%d bytes of content out of %d consumed of %d", len(data), k, cut-n)
			}
			content += string(data)
			n += k
			if e != nil {
				return content, "", n, e
			}
			if done != b.Done() || done && b.Remaining() != 0 {
				t.Fatalf("done %v, Done %v, Remaining %d", done, b.Done(), b.Remaining())
			}
			if done {
				for _, f := range b.Trailers {
					trailers += fmt.Sprintf("%s: %s\n", f.Name, f.Value)
				}
				return content, trailers, n, nil
			}
			if k == 0 {
				break
			}
		}
	}
	return content, "", n, nil
}

func chunkedBody() *Body {
	b := new(Body)
	b.InitFraming(FramingChunked, 0, nil)
	return b
}

var eachDigit = func() string {
	var s string
	for _, size := range []string{"9", "a", "F", "1B", "2c", "3D", "4e", "5f", "67", "80"} {
		n, _ := strconv.ParseInt(size, 16, 0)
		s += size + "\r\n" + strings.Repeat("x", int(n)) + "\r\n"
	}
	return s + "0\r\n\r\n"
}()

var goodChunked = []struct{ why, in, content, trailers string }{
	{"empty", "0\r\n\r\n", "", ""},
	{"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"several", "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", "abcdef", ""},
	{"hexadecimal in both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
	{"each digit", eachDigit, strings.Repeat("x", 9+0xa+0xF+0x1B+0x2c+0x3D+0x4e+0x5f+0x67+0x80), ""},
	{"leading zeros", "0000000000000005\r\nhello\r\n000\r\n\r\n", "hello", ""},
	{"content that looks like framing", "7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n\r\n", ""},
	{"extension", "5;a\r\nhello\r\n0;b\r\n\r\n", "hello", ""},
	{"extension with value", "5;a=b;c=d\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"quoted value", "5;a=\"b; c\\\"d\\\\\t\xff\"\r\nhello\r\n0\r\n\r\n", "hello", ""},
	{"a trailer", "0\r\nA: b\r\n\r\n", "", "A: b\n"},
	{"trailers", "5\r\nhello\r\n0\r\nA:  b \r\nc:\r\nA: d\r\n\r\n", "hello", "A: b\nc: \nA: d\n"},
}

var badChunked = []struct {
	section, why, in string
	want             *Error
}{
	{"9112 7.1", "no digit", "\r\n", ErrChunkSize},
	{"9112 7.1", "no number", "x\r\n", ErrChunkSize},
	{"9112 7.1", "sign", "-5\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "plus", "+5\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "0x", "0x5\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "underscore", "1_0\r\n", ErrChunkSize},
	{"9112 7.1", "space in front", " 5\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "space behind", "5 \r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "TAB behind", "5\t\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "two numbers", "5 5\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "NUL behind", "5\x00\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "2^63", "8000000000000000\r\n", ErrChunkSize},
	{"9112 7.1", "2^64+5", "10000000000000005\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "zeros without end", "00000000000000005\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "bare LF behind a size", "5\nhello\r\n", ErrChunkSize},
	{"9112 7.1", "bare CR behind a size", "5\rhello\r\n", ErrCRLF},
	{"9112 7.1", "content longer than its size", "5\r\nhello!\r\n0\r\n\r\n", ErrChunkEnd},
	{"9112 7.1", "content shorter than its size", "5\r\nhell\r\n0\r\n\r\n", ErrChunkEnd},
	{"9112 7.1", "bare LF behind content", "5\r\nhello\n0\r\n\r\n", ErrChunkEnd},
	{"9112 7.1", "bare CR behind content", "5\r\nhello\r0\r\n\r\n", ErrChunkEnd},
	{"9112 7.1", "no line end behind content", "5\r\nhello0\r\n\r\n", ErrChunkEnd},
	{"9112 7.1.1", "no name", "5;\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "no name, but a value", "5;=a\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "no value", "5;a=\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "two values", "5;a=b=c\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "two names", "5;a b\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "no semicolon", "5a=b\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1.1", "bad white space in front", "5 ;a\r\nhello\r\n", ErrChunkSize},
	{"9112 7.1.1", "bad white space behind the semicolon", "5; a\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "bad white space before =", "5;a =b\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "bad white space behind =", "5;a= b\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "space behind", "5;a \r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "space behind a value", "5;a=b \r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "open quotes", "5;a=\"b\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "line end in quotes", "5;a=\"\n\"\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "escaped line end", "5;a=\"\\\r\n\"\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "control in quotes", "5;a=\"\x01\"\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "letters behind quotes", "5;a=\"b\"c\r\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "bare LF ends the extension", "5;a\nhello\r\n", ErrChunkExt},
	{"9112 7.1.1", "bare CR ends the extension", "5;a\rhello\r\n", ErrCRLF},
	{"9112 7.1.1", "hidden chunk", "5;\nGET / HTTP/1.1\r\n", ErrChunkExt},
	{"9112 7.1.2", "no empty line", "0\r\nGET / HTTP/1.1\r\n\r\n", ErrName},
	{"9112 7.1.2", "bare LF as empty line", "0\r\n\n", ErrCRLF},
	{"9112 7.1.2", "bare CR as empty line", "0\r\n\rG", ErrCRLF},
	{"9112 5.1", "space before the colon", "0\r\nA : b\r\n\r\n", ErrName},
	{"9112 5.2", "folded", "0\r\nA: b\r\n c\r\n\r\n", ErrFold},
	{"9112 2.2", "bare LF", "0\r\nA: b\n\r\n", ErrCRLF},
	{"9110 5.5", "NUL", "0\r\nA: \x00\r\n\r\n", ErrValue},
	{"9110 6.5.1", "framing in trailers", "0\r\nContent-Length: 5\r\n\r\n", ErrTrailerName},
	{"9110 6.5.1", "framing in trailers", "0\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n", ErrTrailerName},
	{"9110 6.5.1", "routing in trailers", "0\r\nHost: evil\r\n\r\n", ErrTrailerName},
	{"9110 6.5.1", "connection in trailers", "0\r\nConnection: close\r\n\r\n", ErrTrailerName},
}

func TestChunked(t *testing.T) {
	for _, row := range goodChunked {
		t.Run(row.why, func(t *testing.T) {
			next := row.in + "GET / HTTP/1.1\r\n"
			for cut := -1; cut < len(row.in); cut++ {
				cuts := []int{cut}
				if cut < 0 {
					cuts = nil
				}
				content, trailers, n, err := readBody(t, chunkedBody(), next, cuts...)
				if err != nil || n != len(row.in) || content != row.content || trailers != row.trailers {
					t.Fatalf("%q cut at %d: %q, %q, %d of %d, %v", row.in, cut, content, trailers, n, len(row.in), err)
				}
			}
			content, trailers, n, err := readBody(t, chunkedBody(), next, everyByte(next)...)
			if err != nil || n != len(row.in) || content != row.content || trailers != row.trailers {
				t.Fatalf("%q byte by byte: %q, %q, %d of %d, %v", row.in, content, trailers, n, len(row.in), err)
			}
			// Nothing short of the whole is done.
			for cut := range row.in {
				b := chunkedBody()
				if _, _, _, err := readBody(t, b, row.in[:cut]); err != nil || b.Done() || b.EOF() || b.Remaining() != -1 {
					t.Fatalf("%q: %v, done %v", row.in[:cut], err, b.Done())
				}
			}
		})
	}
}

func TestChunkedRefused(t *testing.T) {
	for _, row := range badChunked {
		t.Run(row.section+" "+row.why, func(t *testing.T) {
			content, _, _, err := readBody(t, chunkedBody(), row.in)
			if err != error(row.want) {
				t.Fatalf("%q: %v, want %v", row.in, err, row.want)
			}
			for cut := range row.in {
				got, _, _, err := readBody(t, chunkedBody(), row.in, cut)
				if err != error(row.want) || got != content {
					t.Fatalf("%q cut at %d: %q, %v, want %q, %v", row.in, cut, got, err, content, row.want)
				}
			}
			got, _, _, err := readBody(t, chunkedBody(), row.in, everyByte(row.in)...)
			if err != error(row.want) || got != content {
				t.Fatalf("%q byte by byte: %q, %v, want %q, %v", row.in, got, err, content, row.want)
			}
		})
	}
}

// The end is seen together with the last bytes, so that a small body is one
// call and one frame to the application.
func TestChunkedInOneCall(t *testing.T) {
	in := "5\r\nhello\r\n0\r\nA: b\r\n\r\n"
	b := chunkedBody()
	data, n, done, err := b.Next([]byte(in))
	if string(data) != "hello" || n != len(in) || !done || err != nil || len(b.Trailers) != 1 {
		t.Errorf("%q, %d of %d, %v, %v, %q", data, n, len(in), done, err, b.Trailers)
	}
	if data, n, done, err = b.Next([]byte("x")); data != nil || n != 0 || !done || err != nil {
		t.Errorf("behind the end: %q, %d, %v, %v", data, n, done, err)
	}
}

func TestChunkedLargest(t *testing.T) {
	b := chunkedBody()
	data, n, done, err := b.Next([]byte("7fffffffffffffff\r\nabc"))
	if string(data) != "abc" || n != 21 || done || err != nil || b.left != math.MaxInt64-3 {
		t.Errorf("%q, %d, %v, %v, %d left", data, n, done, err, b.left)
	}
}

func TestChunkExtensionBounds(t *testing.T) {
	one := func(n int) string { return "5;" + strings.Repeat("a", n-1) + "\r\nhello\r\n" }
	for _, row := range []struct {
		why, in string
		want    error
	}{
		// ';' is what ends the size; the bytes behind it count, with the CR.
		{"one, one below", one(maxExtension-1) + "0\r\n\r\n", nil},
		{"one, at the limit", one(maxExtension) + "0\r\n\r\n", nil},
		{"one, one above", one(maxExtension+1) + "0\r\n\r\n", ErrChunkExtLong},
		{"each within its limit", strings.Repeat(one(10_000), 4) + "0\r\n\r\n", nil},
		{"all of them above", strings.Repeat(one(10_000), 5) + "0\r\n\r\n", ErrChunkExtLong},
		{"many small chunks", strings.Repeat(one(90), maxExcess/90+1) + "0\r\n\r\n", ErrChunkExtLong},
		{"signed chunks of some size",
			strings.Repeat("1000;chunk-signature="+strings.Repeat("0", 64)+"\r\n"+strings.Repeat("x", 4096)+"\r\n", 200) + "0\r\n\r\n", nil},
	} {
		if _, _, _, err := readBody(t, chunkedBody(), row.in); err != row.want {
			t.Errorf("%s: %v, want %v", row.why, err, row.want)
		}
		if _, _, _, err := readBody(t, chunkedBody(), row.in, everyByte(row.in[:min(len(row.in), 60_000)])...); err != row.want {
			t.Errorf("%s, byte by byte: %v, want %v", row.why, err, row.want)
		}
	}
}

func TestTrailerLimits(t *testing.T) {
	fill := func(n int) string { return strings.Repeat("x", n) }
	for _, row := range []struct {
		why    string
		limits Limits
		make   func(n int) string
		want   *Error
	}{
		{"section", Limits{Head: 50, Field: 50, Fields: 5}, func(n int) string { return "A: " + fill(43+n) + "\r\n\r\n" }, ErrTrailerLength},
		{"field", Limits{Head: 50, Field: 20, Fields: 5}, func(n int) string { return "A: " + fill(17+n) + "\r\n\r\n" }, ErrFieldLength},
		{"fields", Limits{Head: 50, Field: 20, Fields: 5}, func(n int) string { return strings.Repeat("A: b\r\n", 5+n) + "\r\n" }, ErrFields},
	} {
		for n := -1; n <= 1; n++ {
			in := "1\r\nx\r\n0\r\n" + row.make(n)
			var want error
			if n > 0 {
				want = row.want
			}
			var b Body
			b.InitFraming(FramingChunked, 0, &row.limits)
			if _, _, _, err := readBody(t, &b, in+"next"); err != want || b.Done() != (want == nil) {
				t.Errorf("%s %+d: %v, want %v", row.why, n, err, want)
			}
			b.InitFraming(FramingChunked, 0, &row.limits)
			if _, _, _, err := readBody(t, &b, in, everyByte(in)...); err != want || b.Done() != (want == nil) {
				t.Errorf("%s %+d, byte by byte: %v, want %v", row.why, n, err, want)
			}
		}
	}
	// What has no end is refused when the limit is reached.
	var b Body
	b.InitFraming(FramingChunked, 0, &Limits{Head: 50, Field: 50, Fields: 50})
	in := []byte("0\r\n" + strings.Repeat("A: b\r\n", 20))
	b.Next(in[:3])
	for n := range 51 {
		if _, k, _, err := b.Next(in[3 : 3+n]); k != 0 || (err != nil) != (n == 50) {
			t.Errorf("%d bytes of trailers: %d, %v", n, k, err)
		}
	}
	// The limits are those that the head was parsed with.
	var p HeadParser
	var r Request
	in = []byte("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n")
	l := &Limits{Head: 50, Field: 50, Target: 50, Fields: 5}
	if _, err := p.Parse(in, &r, l); err != nil {
		t.Fatal(err)
	}
	if b.Init(&r); b.limits != l {
		t.Error("Init takes other limits than the head had")
	}
}

func TestBodyOfLength(t *testing.T) {
	for _, cut := range []int{-1, 0, 1, 2, 3, 4, 5} {
		var b Body
		b.InitFraming(FramingLength, 5, nil)
		if b.Remaining() != 5 || b.Done() {
			t.Fatalf("%d remaining, done %v", b.Remaining(), b.Done())
		}
		cuts := []int{cut}
		if cut < 0 {
			cuts = nil
		}
		if content, _, n, err := readBody(t, &b, "helloGET", cuts...); content != "hello" || n != 5 || err != nil || !b.Done() {
			t.Errorf("cut at %d: %q, %d, %v", cut, content, n, err)
		}
	}
	var b Body
	b.InitFraming(FramingLength, 5, nil)
	if b.Next([]byte("he")); b.Remaining() != 3 || b.EOF() {
		t.Errorf("%d remaining, want 3; complete at the end of the connection: %v", b.Remaining(), b.EOF())
	}
	b.InitFraming(FramingLength, 5, nil)
	if data, n, done, err := b.Next([]byte("hello")); string(data) != "hello" || n != 5 || !done || err != nil {
		t.Errorf("the end comes with the last byte: %q, %d, %v, %v", data, n, done, err)
	}
	for _, f := range []Framing{FramingNone, FramingLength} {
		b.InitFraming(f, 0, nil)
		if data, n, done, err := b.Next([]byte("GET")); data != nil || n != 0 || !done || err != nil || !b.Done() {
			t.Errorf("no body: %q, %d, %v, %v", data, n, done, err)
		}
	}
}

func TestBodyUntilClose(t *testing.T) {
	var b Body
	b.InitFraming(FramingClose, 0, nil)
	if data, n, done, err := b.Next(nil); data != nil || n != 0 || done || err != nil {
		t.Errorf("nothing: %q, %d, %v, %v", data, n, done, err)
	}
	if data, n, done, err := b.Next([]byte("abc")); string(data) != "abc" || n != 3 || done || err != nil || b.Remaining() != -1 {
		t.Errorf("%q, %d, %v, %v", data, n, done, err)
	}
	if !b.EOF() || !b.Done() {
		t.Error("not done at the end of the connection")
	}
}

// Connections are many: their state is small.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(HeadParser{}); n > 16 {
		t.Errorf("a HeadParser has %d bytes", n)
	}
	if n := unsafe.Sizeof(Body{}) - unsafe.Sizeof([]message.Field{}); n > 40 {
		t.Errorf("a Body has %d bytes besides its trailers", n)
	}
}

func TestBodyAllocatesNothing(t *testing.T) {
	in := []byte("5;a=b\r\nhello\r\n5\r\nworld\r\n0\r\nA: b\r\nC: d\r\n\r\n")
	b := chunkedBody()
	if allocs := testing.AllocsPerRun(100, func() {
		b.InitFraming(FramingChunked, 0, nil)
		for rest := in; !b.Done(); {
			_, n, _, err := b.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
