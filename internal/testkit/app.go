package testkit

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Conn is one connection to the daemon's socket, on which frames go and come.
type Conn struct {
	t   *current
	c   *net.UnixConn
	buf []byte // received and not returned yet
	fds []int  // descriptors that came
}

// Frame is one frame from the daemon.
type Frame struct {
	channel.Header
	Payload []byte
}

func (f Frame) String() string {
	return fmt.Sprintf("%v stream %d flags %#02x value %d, %d bytes: %.200q", f.Type, f.Stream, uint8(f.Flags), f.Value, len(f.Payload), f.Payload)
}

// Connect opens a connection on which nothing was said.
func (d *Daemon) Connect() *Conn {
	d.t.now().Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: d.Socket, Net: "unix"})
	if err != nil {
		d.t.Fatal(err)
	}
	return d.conn(c)
}

// AppConn is Connect as a user.
func (d *Daemon) AppConn(u *User) *Conn {
	d.t.now().Helper()
	return d.connectAs(u)
}

// NewConn is a connection to a part of the daemon that a test runs by itself.
func NewConn(t testing.TB, c *net.UnixConn) *Conn { return &Conn{t: &current{tb: t}, c: c} }

func (d *Daemon) conn(c *net.UnixConn) *Conn {
	conn := &Conn{t: d.t, c: c}
	d.t.Cleanup(func() { c.Close() })
	return conn
}

// Send sends bytes, usually frames, in one write.
func (c *Conn) Send(parts ...[]byte) {
	c.t.now().Helper()
	if err := c.TrySend(parts...); err != nil {
		c.t.Fatalf("send to the daemon: %v", err)
	}
}

// TrySend is Send to a daemon that may have closed.
func (c *Conn) TrySend(parts ...[]byte) error {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	c.c.SetWriteDeadline(time.Now().Add(Patience))
	_, err := c.c.Write(all)
	return err
}

// SendFiles sends bytes; the descriptors go with the first of them.
func (c *Conn) SendFiles(b []byte, fds ...int) {
	c.t.now().Helper()
	if err := c.TrySendFiles(b, fds...); err != nil {
		c.t.Fatalf("send descriptors to the daemon: %v", err)
	}
}

// TrySendFiles is SendFiles to a daemon that may have closed.
func (c *Conn) TrySendFiles(b []byte, fds ...int) error {
	c.c.SetWriteDeadline(time.Now().Add(Patience))
	n, _, err := c.c.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	if err == nil && n < len(b) {
		_, err = c.c.Write(b[n:])
	}
	return err
}

// TryNext returns the next frame, or why there is none.
func (c *Conn) TryNext() (Frame, error) {
	c.c.SetReadDeadline(time.Now().Add(Patience))
	for {
		if len(c.buf) >= channel.HeaderSize {
			h, err := channel.ParseHeader(c.buf)
			if err != nil {
				return Frame{}, fmt.Errorf("from the daemon: %w", err)
			}
			if end := channel.HeaderSize + int(h.Length); len(c.buf) >= end {
				f := Frame{h, c.buf[channel.HeaderSize:end:end]}
				c.buf = c.buf[end:]
				return f, nil
			}
		}
		chunk := make([]byte, 64<<10)
		oob := make([]byte, 256)
		n, on, _, _, err := c.c.ReadMsgUnix(chunk, oob)
		if err != nil {
			return Frame{}, err
		}
		if msgs, err := unix.ParseSocketControlMessage(oob[:on]); err == nil {
			for _, m := range msgs {
				if fds, err := unix.ParseUnixRights(&m); err == nil {
					c.fds = append(c.fds, fds...)
				}
			}
		}
		c.buf = append(c.buf[:len(c.buf):len(c.buf)], chunk[:n]...)
	}
}

// Descriptor takes the first descriptor that came with frames.
func (c *Conn) Descriptor() int {
	c.t.now().Helper()
	if len(c.fds) == 0 {
		c.t.Fatalf("no descriptor came")
	}
	fd := c.fds[0]
	c.fds = c.fds[1:]
	return fd
}

// Next returns the next frame.
func (c *Conn) Next() Frame {
	c.t.now().Helper()
	f, err := c.TryNext()
	if err != nil {
		c.t.Fatalf("waited for a frame: %v", err)
	}
	return f
}

// Want expects a frame of a type as the next one.
func (c *Conn) Want(t channel.Type) Frame {
	c.t.now().Helper()
	f := c.Next()
	if f.Type != t {
		c.t.Fatalf("got %v; want %v", f, t)
	}
	return f
}

// WantEnd expects that the daemon closes and says nothing before.
func (c *Conn) WantEnd() {
	c.t.now().Helper()
	switch f, err := c.TryNext(); {
	case err == nil:
		c.t.Fatalf("got %v; want the end of the connection", f)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.t.Fatalf("the daemon did not close the connection")
	}
}

// Ended waits until the daemon closes, and returns what it said before.
func (c *Conn) Ended() []Frame {
	c.t.now().Helper()
	var frames []Frame
	for {
		f, err := c.TryNext()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatalf("the daemon did not close the connection; it said %v", frames)
		}
		if err != nil {
			return frames
		}
		frames = append(frames, f)
	}
}

// Refused expects that the daemon closes with an error as its last word.
func (c *Conn) Refused(code channel.Code) string {
	c.t.now().Helper()
	frames := c.Ended()
	if len(frames) == 0 {
		c.t.Fatalf("the daemon closed without a word; want the error %s", code)
	}
	last := frames[len(frames)-1]
	var m channel.ReplyMessage
	if last.Type != channel.Reply || last.Stream != 0 || json.Unmarshal(last.Payload, &m) != nil || m.Error == nil {
		c.t.Fatalf("the last frame is %v; want a REPLY with the error %s", last, code)
	}
	if m.Error.Code != code {
		c.t.Fatalf("the daemon refused with %s: %s; want %s", m.Error.Code, m.Error.Message, code)
	}
	return m.Error.Message
}

// CloseWrite ends the sending side.
func (c *Conn) CloseWrite() { c.c.CloseWrite() }

// Close closes the connection.
func (c *Conn) Close() { c.c.Close() }

// Hello says hello and expects a welcome.
func (c *Conn) Hello(m channel.HelloMessage, fds ...int) channel.WelcomeMessage {
	c.t.now().Helper()
	c.SayHello(m, fds...)
	f := c.Next()
	var w channel.WelcomeMessage
	if f.Type != channel.Welcome {
		c.t.Fatalf("HELLO %+v: got %v; want WELCOME", m, f)
	}
	if err := json.Unmarshal(f.Payload, &w); err != nil {
		c.t.Fatal(err)
	}
	return w
}

// SayHello says hello.
func (c *Conn) SayHello(m channel.HelloMessage, fds ...int) {
	c.t.now().Helper()
	if m.Protocol == 0 {
		m.Protocol = channel.Version
	}
	b := JSON(channel.Hello, 0, m)
	if len(fds) > 0 {
		c.SendFiles(b, fds...)
	} else {
		c.Send(b)
	}
}

// AppOptions say what an application is like.
type AppOptions struct {
	Program string
	Credit  int    // on each loop
	Window  uint32 // for request bodies; 0: the default of the protocol
	Begun   bool   // tell with a memory file which requests were begun
	NoLoops bool   // open the session only
	// Connections is of which connections of clients to be told; see
	// channel.HelloMessage.
	Connections string
	User        *User // nil: that of this process
}

// App is an application: a session and its loop connections.
type App struct {
	*Conn   // the session
	d       *Daemon
	opt     AppOptions
	Welcome channel.WelcomeMessage
	Loops   []*Loop
	calls   uint32
	closed  atomic.Bool
}

// Loop is one loop connection of an application.
type Loop struct {
	*Conn
	Index   int
	Welcome channel.WelcomeMessage
	begun   []byte // shared memory; nil: none
	memory  int    // its descriptor
}

// App starts an application that ends with the test.
func (d *Daemon) App(opt AppOptions) *App {
	d.t.now().Helper()
	a := &App{d: d, opt: opt, Conn: d.connectAs(opt.User)}
	a.Welcome = a.Hello(channel.HelloMessage{Role: channel.RoleSession, Program: opt.Program})
	for i := range a.Welcome.Loops {
		if !opt.NoLoops {
			a.Loops = append(a.Loops, a.OpenLoop(i))
		}
	}
	d.t.Cleanup(a.Close) // before those of its connections
	return a
}

// OpenLoop opens a loop connection.
func (a *App) OpenLoop(i int) *Loop {
	a.t.now().Helper()
	l := &Loop{Conn: a.d.connectAs(a.opt.User), Index: i, memory: -1}
	hello := channel.HelloMessage{
		Role: channel.RoleLoop, Session: a.Welcome.Session, Loop: i, Window: a.opt.Window, Credit: uint32(a.opt.Credit),
		Connections: a.opt.Connections,
	}
	if !a.opt.Begun {
		l.Welcome = l.Hello(hello)
		return l
	}
	fd, err := unix.MemfdCreate("begun", unix.MFD_CLOEXEC)
	if err == nil {
		err = unix.Ftruncate(fd, 8)
	}
	if err == nil {
		l.begun, err = unix.Mmap(fd, 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	l.memory = fd
	a.t.Cleanup(func() { unix.Munmap(l.begun); unix.Close(fd) })
	l.Welcome = l.Hello(hello, fd)
	return l
}

// SetBegun says how many requests of this loop were begun.
func (l *Loop) SetBegun(n uint64) { binary.LittleEndian.PutUint64(l.begun, n) }

// Loop is the only loop connection.
func (a *App) Loop() *Loop {
	a.t.now().Helper()
	if len(a.Loops) != 1 {
		a.t.Fatalf("the application has %d loops", len(a.Loops))
	}
	return a.Loops[0]
}

// Close ends the application as a process does that dies.
func (a *App) Close() {
	a.closed.Store(true)
	a.Conn.Close()
	for _, l := range a.Loops {
		l.Close()
	}
}

// Call calls a method of the session.
func (a *App) Call(method string, params any) (json.RawMessage, *channel.Error) {
	a.t.now().Helper()
	a.calls++
	raw, err := json.Marshal(params)
	if err != nil {
		a.t.Fatal(err)
	}
	a.Send(JSON(channel.Call, a.calls, channel.CallMessage{Method: method, Params: raw}))
	var text []byte
	for {
		f := a.Want(channel.Reply)
		if f.Stream != a.calls {
			a.t.Fatalf("%s: got %v; want the REPLY number %d", method, f, a.calls)
		}
		text = append(text, f.Payload...)
		if f.Flags&channel.FlagMore == 0 {
			break
		}
	}
	var m channel.ReplyMessage
	if err := json.Unmarshal(text, &m); err != nil {
		a.t.Fatalf("%s: %v in %.200q", method, err, text)
	}
	return m.Result, m.Error
}

// Registration is what the daemon answered to register.
type Registration struct {
	channel.RegisterResult
	Port uint16
}

// TryRegister registers a prefix, or says why not.
func (a *App) TryRegister(p channel.RegisterParams) (*Registration, *channel.Error) {
	a.t.now().Helper()
	raw, refusal := a.Call("register", p)
	if refusal != nil {
		return nil, refusal
	}
	r := new(Registration)
	if err := json.Unmarshal(raw, &r.RegisterResult); err != nil {
		a.t.Fatal(err)
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		a.t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		a.t.Fatal(err)
	}
	r.Port = uint16(port)
	return r, nil
}

// Register registers a prefix with a private queue.
func (a *App) Register(url string) *Registration {
	a.t.now().Helper()
	return a.RegisterWith(channel.RegisterParams{URL: url})
}

// RegisterWith registers a prefix.
func (a *App) RegisterWith(p channel.RegisterParams) *Registration {
	a.t.now().Helper()
	r, refusal := a.TryRegister(p)
	if refusal != nil {
		a.t.Fatalf("register %s: %s: %s", p.URL, refusal.Code, refusal.Message)
	}
	return r
}

// Unregister gives a registration up.
func (a *App) Unregister(r *Registration) {
	a.t.now().Helper()
	if _, refusal := a.Call("unregister", channel.UnregisterParams{ID: r.ID}); refusal != nil {
		a.t.Fatalf("unregister %s: %s: %s", r.URL, refusal.Code, refusal.Message)
	}
}

// Request expects a REQUEST on the only loop.
func (a *App) Request() *Request {
	a.t.now().Helper()
	return a.Loop().Request()
}

// Connected expects a CONNECTION next.
func (l *Loop) Connected() channel.ConnectionFacts {
	l.t.now().Helper()
	f := l.Want(channel.Connection)
	c, err := channel.ParseConnection(f.Payload)
	if err != nil {
		l.t.Fatalf("%v: %v", f, err)
	}
	return c
}

// Disconnected expects a DISCONNECTION next, and returns the number.
func (l *Loop) Disconnected() uint64 {
	l.t.now().Helper()
	n, err := channel.ParseDisconnection(l.Want(channel.Disconnection).Payload)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// Serve gives every frame that comes on any loop to handle, until the
// application is closed. handle runs on one goroutine a loop.
func (a *App) Serve(handle func(*Loop, Frame)) {
	for _, l := range a.Loops {
		go func() {
			for {
				f, err := l.TryNext()
				switch {
				case err == nil:
					handle(l, f)
				case errors.Is(err, os.ErrDeadlineExceeded):
				case errors.Is(err, net.ErrClosed), a.closed.Load():
					return
				default:
					l.t.Errorf("an application lost its channel: %v", err)
					return
				}
			}
		}()
	}
}

// ServeRequests answers every request, whose body it does not wait for, with
// answer.
func (a *App) ServeRequests(answer func(*Request)) {
	a.Serve(func(l *Loop, f Frame) {
		if f.Type == channel.Request {
			answer(l.Parse(f))
		}
	})
}

// RawConn gives the socket up to a test that reads and writes it by itself,
// waiting: it is a blocking descriptor from now on, closed with the connection.
func (c *Conn) RawConn() int {
	c.t.now().Helper()
	return blocking(c.t, c.c)
}

// blocking returns the descriptor of a connection, without O_NONBLOCK but with
// a limit to how long it waits.
func blocking(t *current, c syscall.Conn) int {
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	raw.Control(func(n uintptr) {
		fd = int(n)
		err = unix.SetNonblock(fd, false)
		tv := unix.Timeval{Sec: int64(Patience / time.Second)}
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
	})
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// Pending says whether Next would return at once.
func (c *Conn) Pending() bool {
	if len(c.buf) < channel.HeaderSize {
		return false
	}
	h, err := channel.ParseHeader(c.buf)
	return err != nil || len(c.buf) >= channel.HeaderSize+int(h.Length)
}
