package compat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// A wsCase is one case: what is sent, and what comes back, described in words:
// "text 5", "pong 2", each with the payload's sum, "close 1002", and "end".
type wsCase struct {
	id   string
	send []wsStep
	chop int // bytes of one write
	want []string
}

// A wsStep is sent when so many messages have come since the step before.
type wsStep struct {
	after int
	send  []byte
}

// Ways to chop what is sent.
const (
	atOnce    = 0
	byOctet   = 1
	frameWise = -1
)

// published is how many cases each part of the suite's list has.
var published = []struct {
	part  string
	cases int
}{
	{"1.1", 8}, {"1.2", 8},
	{"2", 11},
	{"3", 7},
	{"4.1", 5}, {"4.2", 5},
	{"5", 20},
	{"6.1", 3}, {"6.2", 4}, {"6.3", 2}, {"6.4", 4}, {"6.5", 5}, {"6.6", 11}, {"6.7", 4}, {"6.8", 2}, {"6.9", 4}, {"6.10", 3}, {"6.11", 5},
	{"6.12", 8}, {"6.13", 5}, {"6.14", 10}, {"6.15", 1}, {"6.16", 3}, {"6.17", 5}, {"6.18", 5}, {"6.19", 5}, {"6.20", 7}, {"6.21", 8},
	{"6.22", 34}, {"6.23", 7},
	{"7.1", 6}, {"7.3", 6}, {"7.5", 1}, {"7.7", 13}, {"7.9", 9}, {"7.13", 2},
	{"9.1", 6}, {"9.2", 6}, {"9.3", 9}, {"9.4", 9}, {"9.5", 6}, {"9.6", 6}, {"9.7", 6}, {"9.8", 6},
}

// Each published case of sections 1 to 7 and 9 is here, once: 300 of them.
func TestAutobahnCases(t *testing.T) {
	have := map[string]int{}
	for _, c := range autobahn() {
		have[c.id]++
	}
	all := 0
	for _, p := range published {
		for n := 1; n <= p.cases; n++ {
			id := fmt.Sprintf("%s.%d", p.part, n)
			if have[id] != 1 {
				t.Errorf("case %s is here %d times", id, have[id])
			}
			delete(have, id)
			all++
		}
	}
	if all != 300 {
		t.Errorf("the list has %d cases", all)
	}
	for id, n := range have {
		if n != 1 || !strings.HasPrefix(id, "own ") {
			t.Errorf("case %s is here %d times, and not of the list", id, n)
		}
	}
}

var mask = [4]byte{0x12, 0x34, 0x56, 0x78}

// fr makes a frame as a client sends it.
func fr(fin bool, rsv byte, op ws.OpCode, payload []byte) []byte {
	p := bytes.Clone(payload)
	ws.Cipher(p, mask, 0)
	var b bytes.Buffer
	ws.WriteHeader(&b, ws.Header{Fin: fin, Rsv: rsv, OpCode: op, Masked: true, Mask: mask, Length: int64(len(p))})
	return append(b.Bytes(), p...)
}

func text(s string) []byte       { return fr(true, 0, ws.OpText, []byte(s)) }
func bin(b []byte) []byte        { return fr(true, 0, ws.OpBinary, b) }
func ping(s string) []byte       { return fr(true, 0, ws.OpPing, []byte(s)) }
func pong(s string) []byte       { return fr(true, 0, ws.OpPong, []byte(s)) }
func closing(p []byte) []byte    { return fr(true, 0, ws.OpClose, p) }
func normal() []byte             { return closing(ws.NewCloseFrameBody(1000, "")) }
func begin(p string) []byte      { return fr(false, 0, ws.OpText, []byte(p)) }
func more(p string) []byte       { return fr(false, 0, ws.OpContinuation, []byte(p)) }
func last(p string) []byte       { return fr(true, 0, ws.OpContinuation, []byte(p)) }
func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// frag makes one message of several frames.
func frag(op ws.OpCode, parts ...string) []byte {
	var b bytes.Buffer
	for i, p := range parts {
		if i > 0 {
			op = ws.OpContinuation
		}
		b.Write(fr(i == len(parts)-1, 0, op, []byte(p)))
	}
	return b.Bytes()
}

// octets are the bytes of a text, each on its own.
func octets(s string) (all []string) { return pieces(s, 1) }

func pieces(s string, size int) (all []string) {
	for at := 0; at < len(s); at += size {
		all = append(all, s[at:min(at+size, len(s))])
	}
	return all
}

func message(op ws.OpCode, payload []byte) string {
	return fmt.Sprintf("%s %d %08x", map[ws.OpCode]string{ws.OpText: "text", ws.OpBinary: "binary", ws.OpPong: "pong", ws.OpPing: "ping"}[op],
		len(payload), crc32.ChecksumIEEE(payload))
}

func said(s string) string { return message(ws.OpText, []byte(s)) }

func closed(code int) string { return fmt.Sprint("close ", code) }

// A table of cases grows.
type wsTable struct{ cases []wsCase }

// add adds a case after which the connection has ended.
func (w *wsTable) add(id string, chop int, send []byte, want ...string) {
	w.steps(id, chop, []wsStep{{0, send}}, want...)
}

func (w *wsTable) steps(id string, chop int, send []wsStep, want ...string) {
	w.cases = append(w.cases, wsCase{id, send, chop, append(want, "end")})
}

// ok adds one at whose end the client closes.
func (w *wsTable) ok(id string, chop int, send []byte, want ...string) {
	w.add(id, chop, cat(send, normal()), append(want, closed(1000))...)
}

// autobahn makes the cases.
func autobahn() []wsCase {
	var w wsTable
	w.framing()
	w.pings()
	w.reserved()
	w.fragments()
	w.utf8()
	w.closes()
	w.sizes()
	return w.cases
}

// 1: framing.
func (w *wsTable) framing() {
	for i, n := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
		chop := atOnce
		if i == 7 {
			chop = 997
		}
		s := strings.Repeat("*", n)
		w.ok(fmt.Sprintf("1.1.%d", i+1), chop, text(s), said(s))
		b := bytes.Repeat([]byte{0xfe}, n)
		w.ok(fmt.Sprintf("1.2.%d", i+1), chop, bin(b), message(ws.OpBinary, b))
	}
}

// 2: pings and pongs.
func (w *wsTable) pings() {
	for i, p := range []string{"", "Hello, world!", "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", strings.Repeat("\xfe", 125)} {
		w.ok(fmt.Sprintf("2.%d", i+1), atOnce, ping(p), message(ws.OpPong, []byte(p)))
	}
	w.add("2.5", atOnce, ping(strings.Repeat("\xfe", 126)), closed(1002))
	w.ok("2.6", byOctet, ping(strings.Repeat("\xfe", 125)), message(ws.OpPong, bytes.Repeat([]byte{0xfe}, 125)))
	w.ok("2.7", atOnce, pong(""))
	w.ok("2.8", atOnce, pong("unsolicited pong payload"))
	w.ok("2.9", atOnce, cat(pong("unsolicited pong payload"), ping("ping payload")), message(ws.OpPong, []byte("ping payload")))
	for i, chop := range []int{atOnce, byOctet} {
		var pings []byte
		var want []string
		for k := range 10 {
			p := fmt.Sprintf("payload-%d", k)
			pings = append(pings, ping(p)...)
			want = append(want, message(ws.OpPong, []byte(p)))
		}
		w.ok(fmt.Sprintf("2.%d", 10+i), chop, pings, want...)
	}
}

// 3 and 4: reserved bits and reserved opcodes. What is wrong follows a good message
// in some, and a ping that nobody answers follows it.
func (w *wsTable) reserved() {
	const good = "Hello, world!"
	for _, c := range []struct {
		id   string
		chop int
		good bool
		bad  []byte
	}{
		{"3.1", atOnce, false, fr(true, 1, ws.OpText, []byte(good))},
		{"3.2", atOnce, true, fr(true, 2, ws.OpText, []byte(good))},
		{"3.3", frameWise, true, fr(true, 3, ws.OpText, []byte(good))},
		{"3.4", byOctet, true, fr(true, 4, ws.OpText, []byte(good))},
		{"3.5", atOnce, false, fr(true, 5, ws.OpBinary, []byte("\x00\xff\xfe\xfd\xfc\xfb\x00\xff"))},
		{"3.6", atOnce, false, fr(true, 6, ws.OpPing, []byte(good))},
		{"3.7", atOnce, false, fr(true, 7, ws.OpClose, nil)},
		{"4.1.1", atOnce, false, fr(true, 0, 3, nil)},
		{"4.1.2", atOnce, false, fr(true, 0, 4, []byte("reserved opcode payload"))},
		{"4.1.3", atOnce, true, fr(true, 0, 5, nil)},
		{"4.1.4", frameWise, true, fr(true, 0, 6, []byte(good))},
		{"4.1.5", byOctet, true, fr(true, 0, 7, []byte(good))},
		{"4.2.1", atOnce, false, fr(true, 0, 11, nil)},
		{"4.2.2", atOnce, false, fr(true, 0, 12, []byte("reserved opcode payload"))},
		{"4.2.3", atOnce, true, fr(true, 0, 13, nil)},
		{"4.2.4", frameWise, true, fr(true, 0, 14, []byte(good))},
		{"4.2.5", byOctet, true, fr(true, 0, 15, []byte(good))},
	} {
		if c.good {
			w.add(c.id, c.chop, cat(text(good), c.bad, ping("")), said(good), closed(1002))
		} else {
			w.add(c.id, c.chop, cat(c.bad, ping("")), closed(1002))
		}
	}
}

// 5: fragmentation.
func (w *wsTable) fragments() {
	both := said("fragment1fragment2")
	pinged := message(ws.OpPong, []byte("ping payload"))
	w.add("5.1", atOnce, frag(ws.OpPing, "fragment1", "fragment2"), closed(1002))
	w.add("5.2", atOnce, frag(ws.OpPong, "fragment1", "fragment2"), closed(1002))
	for i, chop := range []int{atOnce, frameWise, byOctet} {
		w.ok(fmt.Sprintf("5.%d", 3+i), chop, frag(ws.OpText, "fragment1", "fragment2"), both)
		w.ok(fmt.Sprintf("5.%d", 6+i), chop, cat(begin("fragment1"), ping("ping payload"), last("fragment2")), pinged, both)
		w.add(fmt.Sprintf("5.%d", 9+i), chop, cat(last("non-continuation payload"), text("Hello, world!")), closed(1002))
		w.add(fmt.Sprintf("5.%d", 12+i), chop, cat(more("non-continuation payload"), text("Hello, world!")), closed(1002))
	}
	w.add("5.15", atOnce, cat(frag(ws.OpText, "fragment1", "fragment2"), more("fragment3"), text("fragment4")), both, closed(1002))
	for i, first := range []func(string) []byte{more, last} {
		once := cat(first("fragment1"), frag(ws.OpText, "fragment2", "fragment3"))
		w.add(fmt.Sprintf("5.%d", 16+i), atOnce, cat(once, once), closed(1002))
	}
	w.add("5.18", atOnce, cat(begin("fragment1"), text("fragment2")), closed(1002))
	// The rest follows when the first ping was answered.
	for i, chop := range []int{atOnce, frameWise} {
		w.steps(fmt.Sprintf("5.%d", 19+i), chop, []wsStep{
			{0, cat(begin("fragment1"), more("fragment2"), ping("pongme 1!"))},
			{1, cat(more("fragment3"), more("fragment4"), ping("pongme 2!"), last("fragment5"), normal())},
		}, message(ws.OpPong, []byte("pongme 1!")), message(ws.OpPong, []byte("pongme 2!")),
			said("fragment1fragment2fragment3fragment4fragment5"), closed(1000))
	}
}

const (
	kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
	bad   = kosme + "\xed\xa0\x80edited" // a surrogate within
)

// 6: UTF-8.
func (w *wsTable) utf8() {
	for i, parts := range [][]string{{""}, {"", "", ""}, {"", "middle frame payload", ""}} {
		w.ok(fmt.Sprintf("6.1.%d", i+1), atOnce, frag(ws.OpText, parts...), said(strings.Join(parts, "")))
	}
	const hello = "Hello-µ@ßöäüàá-UTF-8!!"
	w.ok("6.2.1", atOnce, text(hello), said(hello))
	w.ok("6.2.2", atOnce, frag(ws.OpText, "Hello-µ@ßöä", "üàá-UTF-8!!"), said(hello))
	w.ok("6.2.3", atOnce, frag(ws.OpText, octets(hello)...), said(hello))
	w.ok("6.2.4", atOnce, frag(ws.OpText, octets(kosme)...), said(kosme))
	w.add("6.3.1", atOnce, text(bad), closed(1007))
	w.add("6.3.2", atOnce, frag(ws.OpText, octets(bad)...), closed(1007))
	// The message is never finished: the server has to fail at the wrong byte.
	w.add("6.4.1", atOnce, cat(begin(kosme), more("\xf4\x90\x80\x80")), closed(1007))
	w.add("6.4.2", atOnce, cat(begin(kosme+"\xf4"), more("\x90")), closed(1007))
	whole := text(kosme + "\xf4\x90\x80\x80" + "edited")
	w.add("6.4.3", atOnce, whole[:len(whole)-len("edited")], closed(1007))
	w.add("6.4.4", byOctet, whole[:len(whole)-len("\x80\x80edited")], closed(1007))
	for i, s := range utf8Sequences {
		for k, sequence := range s.all {
			id := fmt.Sprintf("6.%d.%d", 5+i, k+1)
			if utf8.ValidString(sequence) != s.valid(k) {
				panic("case " + id + " is not what it is said to be")
			}
			if s.valid(k) {
				w.ok(id, atOnce, text(sequence), said(sequence))
				continue
			}
			w.add(id, atOnce, text(sequence), closed(1007))
			w.add("own "+id+" by octets", byOctet, text("valid "+sequence), closed(1007))
		}
	}
}

// utf8Sequences are the texts of 6.5 to 6.23, after Markus Kuhn's stress test of
// decoders.
var utf8Sequences = []struct {
	what  string
	all   []string
	valid func(k int) bool
}{
	{"some valid sequences", []string{"hello\x24world", "hello\xc2\xa2world", "hello\xe2\x82\xacworld", "hello\xf0\xa4\xad\xa2world", kosme}, always},
	{"all prefixes of a valid text", prefixes(kosme), func(k int) bool { return utf8.ValidString(kosme[:k+1]) }},
	{"the first sequence of each length", []string{"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"}, always},
	{"the first of lengths 5 and 6, which are none", []string{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"}, never},
	{"the last sequence of each length", []string{"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"}, always},
	{"the last of lengths 4, 5 and 6, which are none", []string{"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"}, never},
	{"other boundaries", []string{"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", "\xf4\x90\x80\x80"}, func(k int) bool { return k < 4 }},
	{"unexpected continuations", []string{"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf",
		span(0x80, 0xbe, "")}, never},
	{"lonely starts", []string{span(0xc0, 0xde, " "), span(0xe0, 0xee, " "), span(0xf0, 0xf6, " "), span(0xf8, 0xfa, " "), span(0xfc, 0xfc, " ")}, never},
	{"the last continuation is missing", truncated, never},
	{"those in a row", []string{strings.Join(truncated, "")}, never},
	{"impossible bytes", []string{"\xfe", "\xff", "\xfe\xfe\xff\xff"}, never},
	{"overlong ASCII", []string{"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"}, never},
	{"the longest overlong", []string{"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"}, never},
	{"overlong NUL", []string{"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"}, never},
	{"single surrogates", []string{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"}, never},
	{"pairs of surrogates", []string{"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
		"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf"}, never},
	{"code points that are no characters", nonCharacters(), always},
	{"specials", []string{"\xef\xbf\xb9", "\xef\xbf\xba", "\xef\xbf\xbb", "\xef\xbf\xbc", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xef\xbf\xbf"}, always},
}

// truncated are the first and the last sequence of each length from 2 to 6,
// without their last byte.
var truncated = []string{
	"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
	"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
}

func always(int) bool { return true }
func never(int) bool  { return false }

func prefixes(s string) (all []string) {
	for n := range len(s) {
		all = append(all, s[:n+1])
	}
	return all
}

// span is the bytes from first to last, each followed by something.
func span(first, last int, by string) string {
	var b strings.Builder
	for c := first; c <= last; c++ {
		b.WriteByte(byte(c))
		b.WriteString(by)
	}
	return b.String()
}

// nonCharacters are the last two code points of each plane.
func nonCharacters() (all []string) {
	for plane := range rune(17) {
		all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return all
}

// 7: closing.
func (w *wsTable) closes() {
	hello := said("Hello World!")
	w.ok("7.1.1", atOnce, text("Hello World!"), hello)
	w.add("7.1.2", atOnce, cat(normal(), normal()), closed(1000))
	w.add("7.1.3", atOnce, cat(normal(), ping("")), closed(1000))
	w.add("7.1.4", atOnce, cat(normal(), text("Hello World!")), closed(1000))
	w.add("7.1.5", atOnce, cat(begin("fragment1"), normal(), last("fragment2")), closed(1000))
	long := strings.Repeat("BAsd7&jh23", 26<<10)
	w.add("7.1.6", atOnce, cat(text(long), text("Hello World!"), normal(), ping("")), said(long), hello, closed(1000))
	w.add("7.3.1", atOnce, closing(nil), "close")
	w.add("7.3.2", atOnce, closing([]byte("a")), closed(1002))
	w.add("7.3.3", atOnce, closing(ws.NewCloseFrameBody(1000, "")), closed(1000))
	w.add("7.3.4", atOnce, closing(ws.NewCloseFrameBody(1000, "Hello World!")), closed(1000))
	w.add("7.3.5", atOnce, closing(ws.NewCloseFrameBody(1000, strings.Repeat("*", 123))), closed(1000))
	w.add("7.3.6", atOnce, closing(append(ws.NewCloseFrameBody(1000, ""), bytes.Repeat([]byte("*"), 124)...)), closed(1002))
	w.add("7.5.1", atOnce, closing(append(ws.NewCloseFrameBody(1000, ""), bad...)), closed(1007))
	code := func(n int) []byte { return closing(binary.BigEndian.AppendUint16(nil, uint16(n))) }
	for i, n := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		w.add(fmt.Sprintf("7.7.%d", i+1), atOnce, code(n), closed(n))
	}
	for i, n := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		w.add(fmt.Sprintf("7.9.%d", i+1), atOnce, code(n), closed(1002))
	}
	for i, n := range []int{5000, 65535} { // the suite accepts any answer to these
		w.add(fmt.Sprintf("7.13.%d", i+1), atOnce, code(n), closed(1002))
	}
}

// 9: sizes.
func (w *wsTable) sizes() {
	const most = 16 << 20
	big := strings.Repeat("0123456789abcdef", most/16)
	for i, n := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, most} {
		w.ok(fmt.Sprintf("9.1.%d", i+1), atOnce, text(big[:n]), said(big[:n]))
		w.ok(fmt.Sprintf("9.2.%d", i+1), atOnce, bin([]byte(big[:n])), message(ws.OpBinary, []byte(big[:n])))
	}
	four := big[:4<<20]
	for i, n := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
		w.ok(fmt.Sprintf("9.3.%d", i+1), atOnce, frag(ws.OpText, pieces(four, n)...), said(four))
		w.ok(fmt.Sprintf("9.4.%d", i+1), atOnce, frag(ws.OpBinary, pieces(four, n)...), message(ws.OpBinary, []byte(four)))
	}
	one := big[:1<<20]
	for i, chop := range []int{64, 128, 256, 512, 1024, 2048} {
		w.ok(fmt.Sprintf("9.5.%d", i+1), chop, text(one), said(one))
		w.ok(fmt.Sprintf("9.6.%d", i+1), chop, bin([]byte(one)), message(ws.OpBinary, []byte(one)))
	}
	// A thousand messages, each after the echo of the one before.
	for i, n := range []int{0, 16, 64, 256, 1024, 4096} {
		w.roundTrips(fmt.Sprintf("9.7.%d", i+1), text(big[:n]), said(big[:n]))
		w.roundTrips(fmt.Sprintf("9.8.%d", i+1), bin([]byte(big[:n])), message(ws.OpBinary, []byte(big[:n])))
		// And all at once.
		w.ok(fmt.Sprintf("own 9.7.%d at once", i+1), atOnce, bytes.Repeat(text(big[:n]), 1000), slices.Repeat([]string{said(big[:n])}, 1000)...)
	}
}

func (w *wsTable) roundTrips(id string, send []byte, want string) {
	const times = 1000
	steps := make([]wsStep, times+1)
	for i := range steps {
		steps[i] = wsStep{min(i, 1), send}
	}
	steps[times].send = normal()
	w.steps(id, atOnce, steps, append(slices.Repeat([]string{want}, times), closed(1000))...)
}
