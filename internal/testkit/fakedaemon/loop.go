package fakedaemon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// A Loop is one loop connection of a session.
type Loop struct {
	d     *Daemon
	s     *Session
	Index int
	Hello channel.HelloMessage
	conn  *net.UnixConn
	begun int // descriptor of the begun counter, or -1

	// Guarded by d.mu.
	streams  map[uint32]*Exchange
	sent     int // REQUESTs
	credit   int
	GoneAway bool // the application has said GOAWAY
	closed   bool
	out      []byte // not yet written, so that nobody who holds d.mu waits for the application
	reads    int    // that brought frames
}

func (d *Daemon) serveLoop(c *net.UnixConn, r *frameReader, hello channel.HelloMessage) {
	l := &Loop{d: d, Index: hello.Loop, Hello: hello, conn: c, begun: -1, credit: int(hello.Credit),
		streams: make(map[uint32]*Exchange)}
	if fd, ok := r.file(); ok {
		l.begun = fd
	}
	d.mu.Lock()
	for _, s := range d.sessions {
		if s.secret == hello.Session && hello.Loop >= 0 && hello.Loop < len(s.Loops) && s.Loops[hello.Loop] == nil {
			l.s = s
		}
	}
	if l.s == nil {
		d.mu.Unlock()
		d.t.Errorf("HELLO for loop %d of an unknown session", hello.Loop)
		c.Close()
		return
	}
	c.Write(jsonFrame(channel.Welcome, 0, channel.WelcomeMessage{Protocol: channel.Version, Window: d.conf.Window}))
	l.s.Loops[hello.Loop] = l
	d.cond.Broadcast()
	d.mu.Unlock()
	d.wg.Go(l.write)
	inOrder := false
	defer func() {
		if !inOrder {
			l.s.Close() // a session ends with any of its connections
		}
	}()
	for {
		had := len(r.buf)
		h, payload, err := r.next()
		if err != nil {
			d.mu.Lock()
			inOrder = errors.Is(err, io.EOF) && l.GoneAway
			d.mu.Unlock()
			l.close()
			return
		}
		d.mu.Lock()
		if len(r.buf)+channel.HeaderSize+len(payload) > had {
			l.reads++
		}
		err = l.frame(h, payload, r)
		d.cond.Broadcast()
		d.mu.Unlock()
		if err != nil {
			d.t.Errorf("the application broke the protocol: %v: %v", h, err)
			l.close()
			return
		}
	}
}

// Credit returns how many requests the application takes now.
func (l *Loop) Credit() int {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.credit
}

// CreditLocked is Credit for conditions of WaitFor.
func (l *Loop) CreditLocked() int { return l.credit }

// Reads returns how often reading brought frames: the application has written
// at least that often.
func (l *Loop) Reads() int {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.reads
}

// Begun reads the application's counter.
func (l *Loop) Begun() uint64 {
	l.d.t.Helper()
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	n, err := readBegun(l.begun)
	if err != nil {
		l.d.t.Fatal(err)
	}
	return n
}

// Send sends raw frames.
func (l *Loop) Send(b []byte) {
	l.d.mu.Lock()
	l.send(b)
	l.d.mu.Unlock()
}

// send puts frames behind those that are to be written; d.mu is held.
func (l *Loop) send(b []byte) {
	l.out = append(l.out, b...)
	l.d.cond.Broadcast()
}

// write writes what send has put there, until the connection is closed.
func (l *Loop) write() {
	d := l.d
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for len(l.out) == 0 {
			if l.closed {
				return
			}
			d.cond.Wait()
		}
		b := l.out
		l.out = nil
		d.mu.Unlock()
		l.conn.Write(b)
		d.mu.Lock()
	}
}

// close ends the connection and checks that nothing is left.
func (l *Loop) close() {
	d := l.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.conn.Close()
	for id, x := range l.streams {
		x.lost = true
		if !d.conf.Lenient && !d.stopped && !x.Cancelled && !x.opaque {
			d.t.Errorf("stream %d was not ended by the application", id)
		}
	}
	if l.begun >= 0 {
		unix.Close(l.begun)
		l.begun = -1
	}
	d.cond.Broadcast()
}

// frame handles a frame; d.mu is held.
func (l *Loop) frame(h channel.Header, payload []byte, r *frameReader) error {
	if h.Flags&channel.FlagCredit != 0 {
		l.credit++
	}
	switch h.Type {
	case channel.Credit:
		n, err := channel.Uint32(payload)
		l.credit += int(n)
		return err
	case channel.GoAway:
		l.GoneAway = true
		l.send(channel.AppendFrame(nil, channel.GoAway, 0, 0, 0, nil))
		return nil
	}
	if l.credit > channel.MaxCredit {
		return fmt.Errorf("credit of %d", l.credit)
	}
	x := l.streams[h.Stream]
	if x == nil {
		if h.Type == channel.File {
			if fd, ok := r.file(); ok {
				unix.Close(fd)
			}
		}
		return fmt.Errorf("no such stream")
	}
	end := h.Flags&channel.FlagEnd != 0
	switch h.Type {
	case channel.Response:
		return x.response(h, payload)
	case channel.Data:
		if !x.head {
			return fmt.Errorf("DATA before the head")
		}
		if err := x.bytes(payload); err != nil {
			return err
		}
		x.Frames++
		if end {
			x.end("END")
		}
	case channel.File:
		fd, ok := r.file()
		if !ok {
			return fmt.Errorf("FILE without a descriptor")
		}
		defer unix.Close(fd)
		if !x.head {
			return fmt.Errorf("FILE before the head")
		}
		offset, length, err := channel.ParseFile(payload)
		if err != nil {
			return err
		}
		if x.window -= channel.FileWindowCost; x.window < 0 {
			return fmt.Errorf("window overdrawn by a file")
		}
		b, err := readFile(fd, offset, length)
		if err != nil {
			return err
		}
		x.Body = append(x.Body, b...)
		x.Files = append(x.Files, Piece{offset, length})
		if !l.d.conf.ManualWindow {
			x.grant(channel.FileWindowCost)
		}
		if end {
			x.end("END")
		}
	case channel.Trailers:
		if !x.head {
			return fmt.Errorf("TRAILERS before the head")
		}
		fields, err := channel.ParseTrailers(payload)
		if err != nil {
			return err
		}
		for {
			name, value, ok, err := fields.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if strings.EqualFold(string(name), "Content-Length") {
				return message.ErrTrailerName
			}
			x.Trailers = append(x.Trailers, string(name)+": "+string(value))
		}
		x.end("TRAILERS")
	case channel.Window:
		n, err := channel.Uint32(payload)
		if err != nil {
			return err
		}
		x.sendWindow += int(n)
	case channel.Cancel:
		x.CloseValue = h.Value
		x.end("CANCEL")
	default:
		return fmt.Errorf("not a frame of an application")
	}
	return nil
}
