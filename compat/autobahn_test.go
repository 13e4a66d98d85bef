package compat

import (
	"bytes"
	"context"
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

// run plays a case on a connection that is open.
func (c *wsCase) run(rw io.ReadWriter) (got []string) {
	came, over := make(chan struct{}, len(c.want)), make(chan struct{})
	defer close(over)
	go func() {
		for _, step := range c.send {
			for range step.after {
				select {
				case <-came:
				case <-over:
					return
				}
			}
			for _, b := range chopped(step.send, c.chop) {
				if _, err := rw.Write(b); err != nil {
					return // it was failed meanwhile
				}
			}
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
			select {
			case came <- struct{}{}:
			default: // more than is wanted
			}
		case len(f.Payload) < 2:
			got = append(got, "close")
		default:
			got = append(got, closed(int(binary.BigEndian.Uint16(f.Payload))))
		}
	}
}

func (c *wsCase) size() (n int) {
	for _, step := range c.send {
		n += len(step.send)
	}
	return n
}

// chopped cuts bytes into what is written at once.
func chopped(b []byte, chop int) (all [][]byte) {
	for len(b) > 0 {
		n := len(b)
		switch {
		case chop > 0:
			n = min(n, chop)
		case chop == frameWise:
			r := bytes.NewReader(b)
			if h, err := ws.ReadHeader(r); err == nil {
				n = len(b) - r.Len() + int(h.Length)
			}
		}
		all = append(all, b[:n])
		b = b[n:]
	}
	return all
}

func TestAutobahn(t *testing.T) {
	handler := http.HandlerFunc(echoStrictly)
	host := serveHTTP2(t, handler)
	// The same once more, where the daemon keeps the socket.
	relayed := &httpsys.Server{
		Prefixes: []string{"http://localhost:0/"}, Socket: host.d.Socket, Handler: handler,
		Timeouts: httpsys.Timeouts{OpaqueIdle: time.Hour},
	}
	serving(context.Background(), t, relayed, func() { relayed.Close() })
	relayedAt := strings.TrimSuffix(strings.TrimPrefix(relayed.URLs()[0], "http://"), "/")

	onward := []struct {
		name string
		open func(t *testing.T) io.ReadWriteCloser
	}{
		{"handed over", func(t *testing.T) io.ReadWriteCloser { return host.upgraded(t, ways[0], "/") }},
		{"relayed", func(t *testing.T) io.ReadWriteCloser {
			return (&http2Host{plain: relayedAt}).upgraded(t, ways[0], "/")
		}},
		{"TLS", func(t *testing.T) io.ReadWriteCloser { return host.upgraded(t, ways[1], "/") }},
		{"HTTP2", func(t *testing.T) io.ReadWriteCloser { return host.upgraded(t, ways[3], "/") }},
	}
	cases := autobahn()
	for _, way := range onward {
		t.Run(way.name, func(t *testing.T) {
			for i := range cases {
				c := &cases[i]
				if testing.Short() && c.size() > 1<<20 {
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
