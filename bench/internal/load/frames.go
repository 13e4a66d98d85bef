package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Frames of HTTP/2 (RFC 9113), made by hand: no library sends what an attacker
// sends.

// The types, flags and settings that are used here.
const (
	frameData, frameHeaders, framePriority, frameReset, frameSettings = 0, 1, 2, 3, 4
	framePing, frameGoAway, frameWindow, frameContinuation            = 6, 7, 8, 9
	framePriorityUpdate                                               = 16

	flagEnd, flagAck, flagEndHeaders = 1, 1, 4

	settingWindow = 4

	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

func appendFrame(b []byte, kind, flags byte, stream uint32, payload string) []byte {
	n := len(payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

func appendUint32Frame(b []byte, kind byte, stream, value uint32) []byte {
	var p [4]byte
	binary.BigEndian.PutUint32(p[:], value)
	return appendFrame(b, kind, 0, stream, string(p[:]))
}

// literal is a field of a header block, neither indexed nor compressed (RFC 7541 6.2.2).
func literal(name, value string) string {
	return "\x00" + integer(7, len(name)) + name + integer(7, len(value)) + value
}

// integer has a prefix of some bits, the others being 0 (RFC 7541 5.1).
func integer(bits, n int) string {
	most := 1<<bits - 1
	if n < most {
		return string([]byte{byte(n)})
	}
	b := []byte{byte(most)}
	for n -= most; n >= 128; n >>= 7 {
		b = append(b, byte(n)|128)
	}
	return string(append(b, byte(n)))
}

// block is the header block of a request over TLS with more fields, by name and
// value.
func block(method, host, path string, more ...string) string {
	b := literal(":method", method) + literal(":scheme", "https") + literal(":authority", host) + literal(":path", path)
	for i := 0; i < len(more); i += 2 {
		b += literal(more[i], more[i+1])
	}
	return b
}

// framed is a connection of HTTP/2 without a client.
type framed struct {
	*tls.Conn
	r *bufio.Reader
}

// dialFramed opens one and sends the preface with a SETTINGS frame.
func dialFramed(ctx context.Context, host string, config *tls.Config, from net.IP, settings string) (*framed, error) {
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	tcp, err := dialFrom(from).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	c := &framed{Conn: tls.Client(tcp, config)}
	c.r = bufio.NewReaderSize(c.Conn, 32<<10)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	err = c.HandshakeContext(ctx)
	if p := c.ConnectionState().NegotiatedProtocol; err == nil && p != "h2" {
		err = fmt.Errorf("the server chose protocol %q", p)
	}
	if err == nil {
		_, err = c.Write(appendFrame([]byte(http2Preface), frameSettings, 0, 0, settings))
	}
	if err != nil {
		tcp.Close()
		return nil, err
	}
	return c, nil
}

// frame is one of the server's; its payload is cut after 64 bytes.
type frame struct {
	kind, flags byte
	stream      uint32
	length      int
	payload     []byte
}

func (c *framed) next() (frame, error) {
	var h [9]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: h[3], flags: h[4], stream: binary.BigEndian.Uint32(h[5:]) & (1<<31 - 1),
		length: int(h[0])<<16 | int(h[1])<<8 | int(h[2])}
	f.payload = make([]byte, min(f.length, 64))
	if _, err := io.ReadFull(c.r, f.payload); err != nil {
		return f, err
	}
	_, err := c.r.Discard(f.length - len(f.payload))
	return f, err
}

// until reads frames up to one that is wanted, and acknowledges SETTINGS.
func (c *framed) until(wanted func(frame) bool) error {
	for {
		f, err := c.next()
		if err != nil {
			return err
		}
		if f.kind == frameSettings && f.flags&flagAck == 0 {
			if _, err := c.Write(appendFrame(nil, frameSettings, flagAck, 0, "")); err != nil {
				return err
			}
		}
		if f.kind == frameGoAway || f.kind == frameReset {
			return fmt.Errorf("the server sent a frame of type %d on stream %d: %q", f.kind, f.stream, f.payload)
		}
		if wanted(f) {
			return nil
		}
	}
}

// pong waits for the answer to a PING: then the server has read all that was sent.
// No stream may be answered meanwhile.
func (c *framed) pong() error {
	if _, err := c.Write(appendFrame(nil, framePing, 0, 0, "arrived?")); err != nil {
		return err
	}
	answered := false
	err := c.until(func(f frame) bool {
		answered = answered || f.kind == frameHeaders
		return f.kind == framePing && f.flags&flagAck != 0
	})
	if err == nil && answered {
		err = errors.New("the server answered a request that was to wait")
	}
	return err
}

// reset ends the connection so that no port is left in TIME_WAIT.
func (c *framed) reset() {
	if t, ok := c.NetConn().(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.NetConn().Close()
}
