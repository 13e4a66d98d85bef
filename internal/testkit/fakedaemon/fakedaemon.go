// Package fakedaemon is the daemon's side of the channel (docs/channel.md) for
// tests of applications: a real Unix socket, real descriptors, and a test in
// the place of clients.
//
// A Daemon accepts sessions, answers register and unregister, and sends the
// requests that the test makes with Do or Start. An Exchange is one of them: it
// collects what the application answers, and lets the test send body bytes,
// windows and cancels. Everything that the application sends is checked as the
// real daemon checks it: order of frames, windows, credits, flags, fields. A
// violation fails the test, and so does a stream or a credit that is missing
// at the end.
package fakedaemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Patience is how long the kit waits for an event before the test fails.
const Patience = 20 * time.Second

// Config says how the daemon is to behave. The zero value is a daemon with one
// loop and all capabilities.
type Config struct {
	Loops        int
	Window       uint32   // for responses; 0 is the default of the protocol
	Capabilities []string // nil is all
	ManualWindow bool     // windows are widened by Exchange.Grant alone
	// Register answers register; nil accepts everything.
	Register func(*Daemon, channel.RegisterParams) (channel.RegisterResult, *channel.Error)
	// Hello refuses a connection, by its role; nil accepts.
	Hello func(channel.HelloMessage) *channel.Error
	// Discard counts the bytes of responses in Received and forgets them.
	Discard bool
	// Lenient daemons do not ask whether everything was finished.
	Lenient bool
}

// A Daemon is a fake daemon.
type Daemon struct {
	t    testing.TB
	conf Config
	Path string

	mu       sync.Mutex
	cond     sync.Cond
	listener *net.UnixListener
	sessions []*Session // alive, in the order in which they came
	opened   int        // sessions so far
	nextID   uint32
	nextPort int
	conns    uint64
	wg       sync.WaitGroup
	stopped  bool
}

// New starts a daemon, which ends with the test.
func New(t testing.TB, conf Config) *Daemon {
	t.Helper()
	return NewAt(t, filepath.Join(t.TempDir(), "s"), conf)
}

// NewAt is New with a path for the socket.
func NewAt(t testing.TB, path string, conf Config) *Daemon {
	t.Helper()
	if conf.Loops == 0 {
		conf.Loops = 1
	}
	if conf.Window == 0 {
		conf.Window = channel.DefaultWindow
	}
	if conf.Capabilities == nil {
		conf.Capabilities = []string{"begun", "file", "opaque"}
	}
	d := &Daemon{t: t, conf: conf, Path: path, nextPort: 40000}
	d.cond.L = &d.mu
	d.Listen()
	t.Cleanup(func() {
		d.Stop()
		d.wg.Wait()
	})
	return d
}

// Listen opens the socket.
func (d *Daemon) Listen() {
	d.t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: d.Path, Net: "unix"})
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	d.listener, d.stopped = l, false
	d.mu.Unlock()
	d.wg.Go(func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			d.wg.Go(func() { d.serve(c) })
		}
	})
}

// Stop closes the socket and all sessions, as a daemon does that dies.
func (d *Daemon) Stop() {
	d.mu.Lock()
	d.stopped = true
	l := d.listener
	sessions := slices.Clone(d.sessions)
	d.mu.Unlock()
	if l != nil {
		l.Close()
	}
	for _, s := range sessions {
		s.Close()
	}
}

// Session waits for the n-th session, counted from 1, to have all its loops.
func (d *Daemon) Session(n int) *Session {
	d.t.Helper()
	var found *Session
	d.waitFor(fmt.Sprintf("session %d with its loops", n), func() bool {
		for _, s := range d.sessions {
			if s.Number == n && s.ready() {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// waitFor waits until the condition holds; it is called with d.mu held.
func (d *Daemon) waitFor(what string, holds func() bool) {
	d.t.Helper()
	timer := time.AfterFunc(Patience, func() {
		d.mu.Lock()
		d.cond.Broadcast()
		d.mu.Unlock()
	})
	defer timer.Stop()
	end := time.Now().Add(Patience)
	d.mu.Lock()
	defer d.mu.Unlock()
	for !holds() {
		if !time.Now().Before(end) {
			d.t.Fatalf("waited in vain for %s", what)
		}
		d.cond.Wait()
	}
}

// WaitFor waits until the condition holds. It is asked again whenever
// something has happened.
func (d *Daemon) WaitFor(what string, holds func() bool) {
	d.t.Helper()
	d.waitFor(what, holds)
}

// A Session is an application that has connected.
type Session struct {
	d      *Daemon
	Number int
	secret string
	conn   *net.UnixConn
	Hello  channel.HelloMessage

	// Guarded by d.mu.
	Registered   []channel.RegisterParams
	Unregistered []uint32
	Loops        []*Loop
	closed       bool
	calls        []string
}

// ready: all loops are open.
func (s *Session) ready() bool {
	if s.closed || len(s.Loops) < s.d.conf.Loops {
		return false
	}
	return !slices.Contains(s.Loops, nil)
}

// Calls returns the methods that were called, and their subjects.
func (s *Session) Calls() []string {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return slices.Clone(s.calls)
}

// Close ends the session as a daemon does that dies.
func (s *Session) Close() {
	d := s.d
	d.mu.Lock()
	if s.closed {
		d.mu.Unlock()
		return
	}
	s.closed = true
	loops := slices.Clone(s.Loops)
	d.sessions = slices.DeleteFunc(d.sessions, func(o *Session) bool { return o == s })
	d.cond.Broadcast()
	d.mu.Unlock()
	s.conn.Close()
	for _, l := range loops {
		if l != nil {
			l.close()
		}
	}
}

// WaitClosed waits until the application has closed the session.
func (s *Session) WaitClosed() {
	s.d.t.Helper()
	s.d.waitFor("the end of the session", func() bool { return s.closed })
}

// serve handles one connection from its HELLO on.
func (d *Daemon) serve(c *net.UnixConn) {
	r := &frameReader{conn: c}
	defer r.closeFiles()
	h, payload, err := r.next()
	if err != nil || h.Type != channel.Hello {
		c.Close()
		return
	}
	var hello channel.HelloMessage
	if err := json.Unmarshal(payload, &hello); err != nil {
		d.t.Errorf("HELLO: %v", err)
		c.Close()
		return
	}
	if d.conf.Hello != nil {
		if refusal := d.conf.Hello(hello); refusal != nil {
			c.Write(replyFrame(0, nil, refusal))
			c.Close()
			return
		}
	}
	switch hello.Role {
	case channel.RoleSession:
		d.serveSession(c, r, hello)
	case channel.RoleLoop:
		d.serveLoop(c, r, hello)
	default:
		d.t.Errorf("HELLO with the role %q", hello.Role)
		c.Close()
	}
}

func (d *Daemon) serveSession(c *net.UnixConn, r *frameReader, hello channel.HelloMessage) {
	d.mu.Lock()
	if d.stopped {
		d.mu.Unlock()
		c.Close()
		return
	}
	d.opened++
	s := &Session{d: d, Number: d.opened, secret: fmt.Sprintf("secret-%d", d.opened), conn: c, Hello: hello,
		Loops: make([]*Loop, d.conf.Loops)}
	d.sessions = append(d.sessions, s)
	d.mu.Unlock()
	defer s.Close()
	c.Write(jsonFrame(channel.Welcome, 0, channel.WelcomeMessage{Protocol: channel.Version, Daemon: "fake",
		Session: s.secret, Loops: d.conf.Loops, Capabilities: d.conf.Capabilities}))
	for {
		h, payload, err := r.next()
		if err != nil {
			return
		}
		var call channel.CallMessage
		if h.Type != channel.Call || h.Stream == 0 || json.Unmarshal(payload, &call) != nil {
			d.t.Errorf("on the session connection: %v", h)
			return
		}
		result, refusal := s.call(call)
		c.Write(replyFrame(h.Stream, result, refusal))
	}
}

func (s *Session) call(call channel.CallMessage) (any, *channel.Error) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.cond.Broadcast()
	switch call.Method {
	case "register":
		var p channel.RegisterParams
		if err := json.Unmarshal(call.Params, &p); err != nil {
			d.t.Error(err)
		}
		s.calls = append(s.calls, "register "+p.URL)
		s.Registered = append(s.Registered, p)
		if d.conf.Register != nil {
			result, refusal := d.conf.Register(d, p)
			if refusal != nil {
				return nil, refusal
			}
			return result, nil
		}
		return d.Accept(p), nil
	case "unregister":
		var p channel.UnregisterParams
		if err := json.Unmarshal(call.Params, &p); err != nil {
			d.t.Error(err)
		}
		s.calls = append(s.calls, fmt.Sprintf("unregister %d", p.ID))
		s.Unregistered = append(s.Unregistered, p.ID)
		return struct{}{}, nil
	case "flush":
		var p channel.FlushParams
		if err := json.Unmarshal(call.Params, &p); err != nil {
			d.t.Error(err)
		}
		s.calls = append(s.calls, fmt.Sprintf("flush %q recursive=%v tag=%q", p.URL, p.Recursive, p.Tag))
		if p.URL == "bad" {
			return nil, &channel.Error{Code: channel.InvalidParameter, Message: "url bad"}
		}
		return channel.FlushResult{Flushed: 2}, nil
	}
	return nil, &channel.Error{Code: channel.Unsupported, Message: "no method " + call.Method}
}

// Accept is the usual answer to register: port 0 gets a number.
func (d *Daemon) Accept(p channel.RegisterParams) channel.RegisterResult {
	d.nextID++
	url := p.URL
	if i := portZero(url); i >= 0 {
		d.nextPort++
		url = fmt.Sprintf("%s%d%s", url[:i], d.nextPort, url[i+1:])
	}
	queue := p.Queue
	if queue == "" {
		queue = "private"
	}
	return channel.RegisterResult{ID: d.nextID, URL: url, Queue: queue}
}

// portZero returns the index of the 0 in "…:0/…", or -1.
func portZero(url string) int {
	for i := 0; i+2 < len(url); i++ {
		if url[i] == ':' && url[i+1] == '0' && url[i+2] == '/' {
			return i + 1
		}
	}
	return -1
}

func jsonFrame(t channel.Type, stream uint32, v any) []byte {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return channel.AppendFrame(nil, t, 0, stream, 0, payload)
}

func replyFrame(stream uint32, result any, refusal *channel.Error) []byte {
	m := channel.ReplyMessage{Error: refusal}
	if refusal == nil {
		m.Result, _ = json.Marshal(result)
	}
	return jsonFrame(channel.Reply, stream, m)
}

// A frameReader reads frames with the descriptors that came along.
type frameReader struct {
	conn  *net.UnixConn
	buf   []byte
	files []int
}

var errTooManyFiles = errors.New("more descriptors than frames that take one")

// next returns the next frame; its payload is valid until the next call.
func (r *frameReader) next() (channel.Header, []byte, error) {
	for {
		if len(r.buf) >= channel.HeaderSize {
			h, err := channel.ParseHeader(r.buf)
			if err != nil {
				return h, nil, err
			}
			if end := channel.HeaderSize + int(h.Length); len(r.buf) >= end {
				payload := r.buf[channel.HeaderSize:end]
				r.buf = r.buf[end:]
				return h, payload, nil
			}
		}
		chunk := make([]byte, 64<<10)
		oob := make([]byte, 1024)
		n, oobn, _, _, err := r.conn.ReadMsgUnix(chunk, oob)
		if oobn > 0 {
			r.files = append(r.files, descriptors(oob[:oobn])...)
		}
		if err != nil {
			return channel.Header{}, nil, err
		}
		if n == 0 {
			return channel.Header{}, nil, io.EOF
		}
		r.buf = append(slices.Clone(r.buf), chunk[:n]...)
	}
}

// file returns the descriptor of the frame that was read last.
func (r *frameReader) file() (int, bool) {
	if len(r.files) == 0 {
		return -1, false
	}
	fd := r.files[0]
	r.files = r.files[1:]
	return fd, true
}
