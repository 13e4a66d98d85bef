package compat

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"golang.org/x/net/http2"

	"github.com/httpsys/httpsys"
)

// The cases of the Autobahn test suite's sections 1 to 7 and 9, each a table
// row: what a client sends, frame by frame, and what it gets of a strict echo server
// behind the daemon. They test the way between the two: nothing may be added,
// lost, joined or cut, whatever the frames look like and however they are chopped.

// echoStrictly is a server of WebSocket (RFC 6455) that echoes messages, answers
// pings, and fails connections at the first wrong byte.
func echoStrictly(w http.ResponseWriter, r *http.Request) {
	c, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer c.Close()
	e := echoer{c: c}
	var f *frameError
	if err := e.run(); errors.As(err, &f) {
		var body []byte
		if f.code != 0 {
			body = ws.NewCloseFrameBody(f.code, "")
		}
		ws.WriteFrame(c, ws.NewCloseFrame(body))
	}
	// The client closes now; what it sends still is not worth a reset.
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.SetReadDeadline(time.Now().Add(patience))
	io.Copy(io.Discard, c)
}

type frameError struct{ code ws.StatusCode }

func (e *frameError) Error() string { return fmt.Sprint("close with ", e.code) }

type echoer struct {
	c       net.Conn
	kind    ws.OpCode // of the message that has begun; 0: none
	message []byte
	valid   int // how much of a text is known to be UTF-8
}

func (e *echoer) run() error {
	for {
		h, err := ws.ReadHeader(e.c)
		if err != nil {
			return err
		}
		if !h.Masked || h.Rsv != 0 || h.OpCode.IsReserved() || h.Length > 1<<26 ||
			h.OpCode.IsControl() && (!h.Fin || h.Length > 125) ||
			h.OpCode.IsData() && h.OpCode != ws.OpContinuation && e.kind != 0 ||
			h.OpCode == ws.OpContinuation && e.kind == 0 {
			return &frameError{ws.StatusProtocolError}
		}
		if h.OpCode.IsControl() {
			payload := make([]byte, h.Length)
			if _, err := io.ReadFull(e.c, payload); err != nil {
				return err
			}
			ws.Cipher(payload, h.Mask, 0)
			if err := e.control(h.OpCode, payload); err != nil {
				return err
			}
			continue
		}
		if h.OpCode != ws.OpContinuation {
			e.kind = h.OpCode
		}
		if err := e.data(h); err != nil {
			return err
		}
		if h.Fin {
			if e.kind == ws.OpText && e.valid < len(e.message) {
				return &frameError{ws.StatusInvalidFramePayloadData}
			}
			if err := ws.WriteFrame(e.c, ws.NewFrame(e.kind, true, e.message)); err != nil {
				return err
			}
			e.kind, e.message, e.valid = 0, nil, 0
		}
	}
}

// data reads a frame's payload as it comes, so that a wrong byte is found
// before the rest is there.
func (e *echoer) data(h ws.Header) error {
	buf := make([]byte, 64<<10)
	for at := 0; at < int(h.Length); {
		n, err := e.c.Read(buf[:min(len(buf), int(h.Length)-at)])
		if err != nil {
			return err
		}
		ws.Cipher(buf[:n], h.Mask, at)
		e.message = append(e.message, buf[:n]...)
		at += n
		if e.kind != ws.OpText {
			continue
		}
		for e.valid < len(e.message) {
			rest := e.message[e.valid:]
			r, size := utf8.DecodeRune(rest)
			if r == utf8.RuneError && size == 1 {
				if !utf8.FullRune(rest) && possible(rest) {
					break
				}
				return &frameError{ws.StatusInvalidFramePayloadData}
			}
			e.valid += size
		}
	}
	return nil
}

// possible says whether b can be the beginning of a character.
func possible(b []byte) bool {
	for _, end := range [][]byte{{0x80}, {0xbf}, {0x90}, {0x8f}, {0x9f}, {0xa0}} {
		for _, more := range []int{0, 1, 2} {
			c := append(append(bytes.Clone(b), end...), bytes.Repeat([]byte{0x80}, more)...)
			if utf8.Valid(c) {
				return true
			}
		}
	}
	return false
}

func (e *echoer) control(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		return ws.WriteFrame(e.c, ws.NewPongFrame(payload))
	case ws.OpClose:
		if len(payload) == 0 {
			return &frameError{}
		}
		if len(payload) == 1 {
			return &frameError{ws.StatusProtocolError}
		}
		code := ws.StatusCode(binary.BigEndian.Uint16(payload))
		switch {
		case !utf8.Valid(payload[2:]):
			return &frameError{ws.StatusInvalidFramePayloadData}
		case code >= 3000 && code < 5000, code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
			return &frameError{code}
		}
		return &frameError{ws.StatusProtocolError}
	}
	return nil
}

// A wsCase is one case. What is sent is frames; what comes back is described in
// words: "text 5", "pong 2", "close 1002", each with the payload's sum where it
// matters, and "end".
type wsCase struct {
	id   string
	send []byte
	chop int // bytes of one write; 0: all at once
	want []string
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
func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func message(op ws.OpCode, payload []byte) string {
	return fmt.Sprintf("%s %d %x", map[ws.OpCode]string{ws.OpText: "text", ws.OpBinary: "binary", ws.OpPong: "pong", ws.OpPing: "ping"}[op],
		len(payload), sum(payload))
}

func sum(b []byte) (s uint32) {
	for _, c := range b {
		s = s*31 + uint32(c)
	}
	return s
}

func closed(code int) string { return fmt.Sprint("close ", code) }

// autobahn makes the cases. heavy adds those of many megabytes.
func autobahn() (cases []wsCase) {
	add := func(id string, chop int, send []byte, want ...string) {
		cases = append(cases, wsCase{id, send, chop, append(want, "end")})
	}
	ok := func(id string, chop int, send []byte, want ...string) {
		add(id, chop, cat(send, normal()), append(want, closed(1000))...)
	}
	// 1: framing.
	for i, n := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
		chop := 0
		if i == 7 {
			chop = 997
		}
		s := strings.Repeat("*", n)
		ok(fmt.Sprintf("1.1.%d", i+1), chop, text(s), message(ws.OpText, []byte(s)))
		b := bytes.Repeat([]byte{0xfe}, n)
		ok(fmt.Sprintf("1.2.%d", i+1), chop, bin(b), message(ws.OpBinary, b))
	}
	// 2: pings and pongs.
	for i, p := range []string{"", "Hello, world!", "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", strings.Repeat("\xfe", 125)} {
		ok(fmt.Sprintf("2.%d", i+1), 0, ping(p), message(ws.OpPong, []byte(p)))
	}
	add("2.5", 0, ping(strings.Repeat("\xfe", 126)), closed(1002))
	ok("2.6", 1, ping(strings.Repeat("\xfe", 125)), message(ws.OpPong, bytes.Repeat([]byte{0xfe}, 125)))
	ok("2.7", 0, pong(""))
	ok("2.8", 0, pong("unsolicited pong payload"))
	ok("2.9", 0, cat(pong("unsolicited pong payload"), ping("ping payload")), message(ws.OpPong, []byte("ping payload")))
	for i, chop := range []int{0, 1} {
		var pings []byte
		var want []string
		for k := range 10 {
			p := fmt.Sprintf("payload-%d", k)
			pings = append(pings, ping(p)...)
			want = append(want, message(ws.OpPong, []byte(p)))
		}
		ok(fmt.Sprintf("2.%d", 10+i), chop, pings, want...)
	}
	// 3: reserved bits.
	for rsv := byte(1); rsv < 8; rsv++ {
		bad := map[byte]ws.OpCode{1: ws.OpText, 2: ws.OpText, 3: ws.OpText, 4: ws.OpText, 5: ws.OpBinary, 6: ws.OpPing, 7: ws.OpClose}[rsv]
		send, want := []byte(nil), []string{closed(1002)}
		if rsv > 1 && rsv < 5 {
			send, want = text("Hello, world!"), []string{message(ws.OpText, []byte("Hello, world!")), closed(1002)}
		}
		chop := map[byte]int{3: 17, 4: 1}[rsv]
		add(fmt.Sprintf("3.%d", rsv), chop, cat(send, fr(true, rsv, bad, []byte("Hello")), ping("")), want...)
	}
	// 4: reserved opcodes.
	for i, op := range []ws.OpCode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		id, k := "4.1", i+1
		if op > 8 {
			id, k = "4.2", i-4
		}
		send, want := []byte(nil), []string{closed(1002)}
		if k > 2 {
			send, want = text("Hello, world!"), []string{message(ws.OpText, []byte("Hello, world!")), closed(1002)}
		}
		chop := map[int]int{4: 20, 5: 1}[k]
		add(fmt.Sprintf("%s.%d", id, k), chop, cat(send, fr(true, 0, op, []byte("reserved opcode payload")[:min(23, 23*(k%2))]), ping("")), want...)
	}
	// 5: fragmentation.
	frag := func(op ws.OpCode, parts ...string) []byte {
		var b []byte
		for i, p := range parts {
			if i > 0 {
				op = ws.OpContinuation
			}
			b = append(b, fr(i == len(parts)-1, 0, op, []byte(p))...)
		}
		return b
	}
	begin := func(p string) []byte { return fr(false, 0, ws.OpText, []byte(p)) }
	more := func(p string) []byte { return fr(false, 0, ws.OpContinuation, []byte(p)) }
	last := func(p string) []byte { return fr(true, 0, ws.OpContinuation, []byte(p)) }
	both := message(ws.OpText, []byte("fragment1fragment2"))
	add("5.1", 0, frag(ws.OpPing, "fragment1", "fragment2"), closed(1002))
	add("5.2", 0, frag(ws.OpPong, "fragment1", "fragment2"), closed(1002))
	ok("5.3", 0, frag(ws.OpText, "fragment1", "fragment2"), both)
	ok("5.4", 17, frag(ws.OpText, "fragment1", "fragment2"), both)
	ok("5.5", 1, frag(ws.OpText, "fragment1", "fragment2"), both)
	for i, chop := range []int{0, 17, 1} {
		ok(fmt.Sprintf("5.%d", 6+i), chop, cat(begin("fragment1"), ping("ping payload"), last("fragment2")), message(ws.OpPong, []byte("ping payload")), both)
	}
	for i, chop := range []int{0, 0, 1, 0, 0, 1} {
		first := last
		if i > 2 {
			first = more
		}
		add(fmt.Sprintf("5.%d", 9+i), chop, cat(first("non-continuation payload"), text("Hello, world!")), closed(1002))
	}
	add("5.15", 0, cat(frag(ws.OpText, "fragment1", "fragment2"), more("fragment3"), frag(ws.OpText, "fragment4")), both, closed(1002))
	add("5.16", 0, cat(more("fragment1"), frag(ws.OpText, "fragment2", "fragment3")), closed(1002))
	add("5.17", 0, cat(last("fragment1"), frag(ws.OpText, "fragment2", "fragment3")), closed(1002))
	add("5.18", 0, cat(begin("fragment1"), text("fragment2")), closed(1002))
	five := message(ws.OpText, []byte("fragment1fragment2fragment3fragment4fragment5"))
	for i, chop := range []int{0, 1} {
		ok(fmt.Sprintf("5.%d", 19+i), chop, cat(begin("fragment1"), more("fragment2"), ping("pongme 1!"), more("fragment3"), more("fragment4"),
			ping("pongme 2!"), last("fragment5")), message(ws.OpPong, []byte("pongme 1!")), message(ws.OpPong, []byte("pongme 2!")), five)
	}
	// 6: UTF-8.
	const kosme = "Hello-µ@ßöäüàá-UTF-8!!"
	for i, parts := range [][]string{{""}, {"", "", ""}, {"", "middle frame payload", ""}} {
		ok(fmt.Sprintf("6.1.%d", i+1), 0, frag(ws.OpText, parts...), message(ws.OpText, []byte(strings.Join(parts, ""))))
	}
	ok("6.2.1", 0, text(kosme), message(ws.OpText, []byte(kosme)))
	ok("6.2.2", 0, frag(ws.OpText, kosme[:7], kosme[7:]), message(ws.OpText, []byte(kosme)))
	var bytewise []string
	for i := range len(kosme) {
		bytewise = append(bytewise, kosme[i:i+1])
	}
	ok("6.2.3", 0, frag(ws.OpText, bytewise...), message(ws.OpText, []byte(kosme)))
	ok("6.2.4", 0, frag(ws.OpText, strings.Split("κόσμε", "")...), message(ws.OpText, []byte("κόσμε")))
	bad := "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64"
	add("6.3.1", 0, text(bad), closed(1007))
	var badBytes []string
	for i := range len(bad) {
		badBytes = append(badBytes, bad[i:i+1])
	}
	add("6.3.2", 0, frag(ws.OpText, badBytes...), closed(1007))
	const start = "κόσμε"
	// The message is never finished: the server has to fail at the wrong byte.
	add("6.4.1", 0, cat(begin(start), more("\xf4\x90\x80\x80")), closed(1007))
	add("6.4.2", 0, cat(begin(start+"\xf4"), more("\x90")), closed(1007))
	whole := text(start + "\xf4\x90\x80\x80" + "edited")
	add("6.4.3", 0, whole[:len(whole)-len("\x80\x80edited")], closed(1007))
	add("6.4.4", 1, whole[:len(whole)-len("\x80\x80edited")], closed(1007))
	valid := []string{"\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff", "\ud7ff", "\ue000", "\ufffd",
		"\ufffe", "\U0001fffe", "\U0001ffff", "\U0002fffe", "\U000ffffe", "\U0010fffe", "κόσμε", "Hello-µ@ßöä"}
	for i, s := range valid {
		ok(fmt.Sprintf("6 valid %d", i), 0, text(s), message(ws.OpText, []byte(s)))
	}
	invalid := []string{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf",
		"\xf4\x90\x80\x80", "\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\xc0 ", "\xe0 \xe1 ", "\xf0 \xf1 ", "\xce", "\xe1", "\xe1\xbd", "\xf0", "\xf0\x90", "\xf0\x90\x80",
		"\xfe", "\xff", "\xfe\xfe\xff\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
		"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80"}
	for i, s := range invalid {
		add(fmt.Sprintf("6 invalid %d", i), 0, text(s), closed(1007))
		add(fmt.Sprintf("6 invalid %d, by bytes", i), 1, text("valid "+s), closed(1007))
	}
	// 7: closing.
	hello := message(ws.OpText, []byte("Hello World!"))
	ok("7.1.1", 0, text("Hello World!"), hello)
	add("7.1.2", 0, cat(normal(), normal()), closed(1000))
	add("7.1.3", 0, cat(normal(), ping("")), closed(1000))
	add("7.1.4", 0, cat(normal(), text("Hello World!")), closed(1000))
	add("7.1.5", 0, cat(begin("fragment1"), normal(), last("fragment2")), closed(1000))
	long := bytes.Repeat([]byte("BAsd7&jh23"), 26<<10)
	add("7.1.6", 0, cat(text(string(long)), text("Hello World!"), normal(), ping("")), message(ws.OpText, long), hello, closed(1000))
	add("7.3.1", 0, closing(nil), "close")
	add("7.3.2", 0, closing([]byte("a")), closed(1002))
	add("7.3.3", 0, closing(ws.NewCloseFrameBody(1000, "")), closed(1000))
	add("7.3.4", 0, closing(ws.NewCloseFrameBody(1000, "Hello World!")), closed(1000))
	add("7.3.5", 0, closing(ws.NewCloseFrameBody(1000, strings.Repeat("*", 123))), closed(1000))
	add("7.3.6", 0, closing(append(ws.NewCloseFrameBody(1000, ""), bytes.Repeat([]byte("*"), 124)...)), closed(1002))
	add("7.5.1", 0, closing(append(ws.NewCloseFrameBody(1000, ""), bad...)), closed(1007))
	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		add(fmt.Sprintf("7.7.%d", i+1), 0, closing(binary.BigEndian.AppendUint16(nil, uint16(code))), closed(code))
	}
	for i, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535} {
		add(fmt.Sprintf("7.9.%d", i+1), 0, closing(binary.BigEndian.AppendUint16(nil, uint16(code))), closed(1002))
	}
	// 9: sizes.
	sizes := []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20}
	big := bytes.Repeat([]byte("0123456789abcdef"), sizes[5]/16)
	for i, n := range sizes {
		ok(fmt.Sprintf("9.1.%d", i+1), 0, text(string(big[:n])), message(ws.OpText, big[:n]))
		ok(fmt.Sprintf("9.2.%d", i+1), 0, bin(big[:n]), message(ws.OpBinary, big[:n]))
	}
	for i, n := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
		var parts []string
		total := 4 << 20
		if n < 4<<10 {
			total = 1 << 20
		}
		for at := 0; at < total; at += n {
			parts = append(parts, string(big[at:at+n]))
		}
		ok(fmt.Sprintf("9.3.%d", i+1), 0, frag(ws.OpText, parts...), message(ws.OpText, big[:total]))
		ok(fmt.Sprintf("9.4.%d", i+1), 0, frag(ws.OpBinary, parts...), message(ws.OpBinary, big[:total]))
	}
	for i, chop := range []int{64, 128, 256, 512, 1024, 2048} {
		ok(fmt.Sprintf("9.5.%d", i+1), chop, text(string(big[:256<<10])), message(ws.OpText, big[:256<<10]))
		ok(fmt.Sprintf("9.6.%d", i+1), chop, bin(big[:256<<10]), message(ws.OpBinary, big[:256<<10]))
	}
	for i, n := range []int{0, 16, 64, 256, 1024, 4096} {
		one := text(string(big[:n]))
		echo := message(ws.OpText, big[:n])
		var all []byte
		var want []string
		for range 1000 {
			all = append(all, one...)
			want = append(want, echo)
		}
		ok(fmt.Sprintf("9.7.%d", i+1), 0, all, want...)
	}
	return cases
}

// run plays a case on a connection that is open.
func (c *wsCase) run(rw io.ReadWriter) (got []string) {
	go func() {
		b := c.send
		for len(b) > 0 {
			n := len(b)
			if c.chop > 0 {
				n = min(n, c.chop)
			}
			if _, err := rw.Write(b[:n]); err != nil {
				return // it was failed meanwhile
			}
			b = b[n:]
		}
	}()
	for {
		f, err := ws.ReadFrame(rw)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return append(got, "end")
			}
			return append(got, err.Error())
		}
		switch {
		case f.Header.OpCode != ws.OpClose:
			got = append(got, message(f.Header.OpCode, f.Payload))
		case len(f.Payload) < 2:
			got = append(got, "close")
		default:
			got = append(got, closed(int(binary.BigEndian.Uint16(f.Payload))))
		}
	}
}

func TestAutobahn(t *testing.T) {
	handler := http.HandlerFunc(echoStrictly)
	host := serveHTTP2(t, handler)
	// The same once more, where the daemon keeps the socket.
	relayed := &httpsys.Server{
		Prefixes: []string{"http://localhost:0/"}, Socket: host.d.Socket, Handler: handler,
		Timeouts: httpsys.Timeouts{OpaqueIdle: time.Hour},
	}
	ended := make(chan error, 1)
	go func() { ended <- relayed.Serve(context.Background()) }()
	t.Cleanup(func() { relayed.Close(); <-ended })
	select {
	case <-relayed.Registered():
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	relayedAt := strings.TrimSuffix(strings.TrimPrefix(relayed.URLs()[0], "http://"), "/")

	upgrade := func(t *testing.T, addr string, config *tls.Config) io.ReadWriteCloser {
		d := ws.Dialer{Timeout: patience, TLSConfig: config}
		scheme := "ws"
		if config != nil {
			scheme = "wss"
		}
		c, br, _, err := d.Dial(t.Context(), scheme+"://"+addr+"/")
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		if br == nil {
			return c
		}
		return rwConn{br, c}
	}
	h2 := &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: host.roots}}
	defer h2.CloseIdleConnections()
	ways := []struct {
		name string
		open func(t *testing.T) io.ReadWriteCloser
	}{
		{"handed over", func(t *testing.T) io.ReadWriteCloser { return upgrade(t, host.plain, nil) }},
		{"relayed", func(t *testing.T) io.ReadWriteCloser { return upgrade(t, relayedAt, nil) }},
		{"TLS", func(t *testing.T) io.ReadWriteCloser {
			return upgrade(t, host.secure, &tls.Config{RootCAs: host.roots})
		}},
		{"HTTP2", func(t *testing.T) io.ReadWriteCloser {
			c, err := openTunnel(t.Context(), h2, "https://"+host.secure+"/")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}},
	}
	cases := autobahn()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			for i := range cases {
				c := &cases[i]
				if testing.Short() && len(c.send) > 1<<20 {
					continue
				}
				rw := way.open(t)
				if got := c.run(rw); strings.Join(got, "; ") != strings.Join(c.want, "; ") {
					t.Errorf("case %s: got %.300q, want %.300q", c.id, got, c.want)
				}
				rw.Close()
			}
		})
	}
	handed, passed := 0, 0
	for _, q := range host.d.State().Queues {
		handed += int(q.Counters.HandedOver)
		passed += int(q.Counters.Relayed)
	}
	if !testing.Short() && (handed != len(cases) || passed != 3*len(cases)) {
		t.Errorf("%d were handed over and %d relayed, of %d in each way", handed, passed, len(cases))
	}
}
