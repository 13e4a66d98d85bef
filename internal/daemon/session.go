package daemon

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/control/server"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/worker"
)

// Bounds of what one user may ask of the daemon.
const (
	maxHello        = 64 << 10         // bytes of a HELLO
	maxUserSessions = 1024             // sessions of a user other than root
	maxUserGreeted  = 256              // connections of such a user that have not said HELLO
	maxQueues       = 1024             // named queues of a session of such a user
	maxProgram      = 64               // characters of a program's name
	writeTime       = 10 * time.Second // for a REPLY to be taken
)

// session is one application process: its registrations live as long as it.
type session struct {
	d       *Daemon
	id      uint64
	token   string
	peer    server.Peer
	program string
	c       *net.UnixConn
	coming  *comingFragment // nil: none; of the goroutine that serves

	// Guarded by d.mu.
	channels []*worker.Channel // by loop; nil: not open
	regs     map[uint32]int    // registrations, with how often
	queues   map[*queueState]int
	offers   map[uint32]func() // certificates of registrations; the function withdraws one
	ended    bool

	end sync.Once
}

func (d *Daemon) acceptSessions() {
	for {
		c, err := d.socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			d.log.Error("accept an application", "err", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors: they come back
			continue
		}
		d.wg.Go(func() { d.greet(c.(*net.UnixConn)) })
	}
}

// greet reads the HELLO of a new connection.
func (d *Daemon) greet(c *net.UnixConn) {
	peer, err := peerOf(c)
	if err != nil {
		c.Close()
		return
	}
	if !d.beginGreeting(c, peer.UID) {
		writeReply(c, 0, nil, &channel.Error{Code: channel.Limit, Message: fmt.Sprintf(
			"user %s has %d connections already that say nothing", server.UserName(peer.UID), maxUserGreeted)})
		c.Close()
		return
	}
	c.SetDeadline(time.Now().Add(d.opt.Hello))
	hello, fds, cerr := readHello(c)
	d.endGreeting(c)
	switch {
	case cerr == nil && hello.Role == channel.RoleSession:
		closeAll(fds)
		cerr = d.runSession(c, peer, hello)
	case cerr == nil && hello.Role == channel.RoleLoop:
		cerr = d.openChannel(c, peer, hello, fds)
	case cerr == nil:
		closeAll(fds)
		cerr = &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf("role %q: want session or loop", hello.Role)}
	default:
		closeAll(fds)
	}
	if cerr != nil {
		writeReply(c, 0, nil, cerr)
		d.mu.Lock()
		d.endIfUnneeded() // which no session did
		d.mu.Unlock()
	}
	c.Close()
}

// beginGreeting counts a connection that has still to say HELLO; false if its
// user has too many of them. Such connections are cut when the daemon ends.
func (d *Daemon) beginGreeting(c *net.UnixConn, uid uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, other := range d.greeting {
		if other == uid {
			n++
		}
	}
	if n >= maxUserGreeted && uid != 0 {
		return false
	}
	d.greeting[c] = uid
	if d.ending {
		c.Close()
	}
	return true
}

func (d *Daemon) endGreeting(c *net.UnixConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.greeting, c)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		sys.Close(fd)
	}
}

func peerOf(c *net.UnixConn) (server.Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return server.Peer{}, err
	}
	var p sys.Peer
	var groups []uint32
	cerr := raw.Control(func(fd uintptr) {
		if p, err = sys.PeerOf(int(fd)); err == nil {
			groups, _ = sys.Groups(int(fd))
		}
	})
	if err = errors.Join(cerr, err); err != nil {
		return server.Peer{}, err
	}
	return server.Peer{UID: p.UID, GID: p.GID, PID: p.PID, Groups: func() []uint32 { return groups }}, nil
}

// readHello reads exactly one frame, which may bring descriptors.
func readHello(c *net.UnixConn) (hello channel.HelloMessage, fds []int, _ *channel.Error) {
	bad := func(format string, a ...any) *channel.Error {
		return &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(format, a...)}
	}
	var buf []byte
	oob := make([]byte, unix.CmsgSpace(4*8))
	want := channel.HeaderSize
	for len(buf) < want {
		b := make([]byte, want-len(buf))
		n, on, _, _, err := c.ReadMsgUnix(b, oob)
		if on > 0 {
			if msgs, err := unix.ParseSocketControlMessage(oob[:on]); err == nil {
				for _, m := range msgs {
					if more, err := unix.ParseUnixRights(&m); err == nil {
						fds = append(fds, more...)
					}
				}
			}
		}
		if err != nil || n == 0 {
			return hello, fds, bad("no complete HELLO came")
		}
		if len(fds) > 1 { // each byte could bring some
			return hello, fds, bad("HELLO brings more than one descriptor")
		}
		buf = append(buf, b[:n]...)
		if len(buf) == channel.HeaderSize && want == channel.HeaderSize {
			h, err := channel.ParseHeader(buf)
			switch {
			case err != nil:
				return hello, fds, bad("%v", err)
			case h.Type != channel.Hello || h.Stream != 0:
				return hello, fds, bad("the first frame is %v, not HELLO", h.Type)
			case h.Length > maxHello:
				return hello, fds, bad("HELLO is longer than %d bytes", maxHello)
			}
			want += int(h.Length)
		}
	}
	if err := json.Unmarshal(buf[channel.HeaderSize:], &hello); err != nil {
		return hello, fds, bad("HELLO: %v", err)
	}
	if hello.Protocol < channel.Version {
		return hello, fds, &channel.Error{Code: channel.Unsupported, Message: fmt.Sprintf(
			"protocol version %d is not supported; this daemon speaks %d", hello.Protocol, channel.Version)}
	}
	return hello, fds, nil
}

// capabilities beyond the mandatory part of the protocol.
var capabilities = []string{"begun", "certificate", "connections", "file", "fragments", "opaque", "socket"}

// runSession is the life of a session. An error is for the application that
// could not get one.
func (d *Daemon) runSession(c *net.UnixConn, peer server.Peer, hello channel.HelloMessage) *channel.Error {
	var random [16]byte
	rand.Read(random[:])
	s := &session{
		d: d, token: fmt.Sprintf("%x", random), peer: peer, program: printable(hello.Program), c: c,
		channels: make([]*worker.Channel, len(d.units)), regs: map[uint32]int{}, queues: map[*queueState]int{},
		offers: map[uint32]func(){},
	}
	d.mu.Lock()
	if d.ending {
		d.mu.Unlock()
		return &channel.Error{Code: channel.Internal, Message: errEnding.Error()}
	}
	if d.byUser[peer.UID] >= maxUserSessions && peer.UID != 0 {
		d.mu.Unlock()
		return &channel.Error{Code: channel.Limit, Message: fmt.Sprintf("user %s has %d sessions already",
			server.UserName(peer.UID), maxUserSessions)}
	}
	d.nextName++
	s.id = d.nextName
	d.sessions[s.token] = s
	d.byUser[peer.UID]++
	d.mu.Unlock()
	defer s.finish(nil)

	welcome, _ := json.Marshal(channel.WelcomeMessage{
		Protocol: channel.Version, Daemon: "httpsys " + control.Version, Session: s.token, Loops: len(d.units),
		Capabilities: capabilities,
	})
	if !s.write(channel.AppendFrame(nil, channel.Welcome, 0, 0, 0, welcome)) {
		return nil
	}
	c.SetDeadline(time.Time{})
	if err := s.serve(bufio.NewReaderSize(c, 16<<10)); err != nil {
		writeReply(c, 0, nil, &channel.Error{Code: channel.InvalidParameter, Message: err.Error()})
		s.finish(err)
	}
	return nil
}

// printable keeps a program's name fit for logs and tables.
func printable(name string) string {
	out := make([]rune, 0, len(name))
	for _, r := range name {
		if len(out) == maxProgram {
			break
		}
		if r < ' ' || r == 0x7f || r == 0xfffd {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

// serve answers calls until the application closes. An error is a violation
// of the protocol.
func (s *session) serve(r *bufio.Reader) error {
	defer s.dropFragment()
	var head [channel.HeaderSize]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil
		}
		h, err := channel.ParseHeader(head[:])
		if err != nil {
			return err
		}
		if h.Type != channel.Call && h.Type != channel.Fragment || h.Stream == 0 {
			return fmt.Errorf("%v with stream %d on a session: want CALL or FRAGMENT with a number", h.Type, h.Stream)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return nil
		}
		if h.Type == channel.Fragment {
			result, cerr, last, err := s.fragment(h, payload)
			if err != nil {
				return err
			}
			if last && !writeReply(s.c, h.Stream, result, cerr) {
				return nil
			}
			continue
		}
		if s.coming != nil {
			return fmt.Errorf("CALL %d before the end of FRAGMENT %d", h.Stream, s.coming.number)
		}
		var call channel.CallMessage
		if err := json.Unmarshal(payload, &call); err != nil {
			return fmt.Errorf("CALL: %w", err)
		}
		result, cerr := s.call(call)
		if !writeReply(s.c, h.Stream, result, cerr) {
			return nil
		}
	}
}

func (s *session) call(call channel.CallMessage) (any, *channel.Error) {
	switch {
	case call.Method == "register":
		return decode(call.Params, s.registerSettled)
	case call.Method == "flush":
		return decode(call.Params, s.flush)
	case call.Method == "read_fragment":
		return decode(call.Params, s.readFragment)
	case call.Method == "delete_fragment":
		return decode(call.Params, s.deleteFragment)
	case call.Method == "unregister":
		return decode(call.Params, s.unregister)
	case server.Methods(call.Method):
		return s.d.admin.Call(s.peer, call.Method, call.Params)
	}
	return nil, &channel.Error{Code: channel.Unsupported, Message: fmt.Sprintf("this daemon has no method %q", call.Method)}
}

func decode[P, R any](params json.RawMessage, f func(P) (R, *channel.Error)) (any, *channel.Error) {
	var p P
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, &channel.Error{Code: channel.InvalidParameter, Message: "parameters: " + err.Error()}
	}
	return f(p)
}

func (s *session) write(b []byte) bool {
	s.c.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := s.c.Write(b)
	return err == nil
}

func writeReply(c *net.UnixConn, stream uint32, result any, cerr *channel.Error) bool {
	m := channel.ReplyMessage{Error: cerr}
	if cerr == nil {
		raw, err := json.Marshal(result)
		if err != nil {
			m.Error = &channel.Error{Code: channel.Internal, Message: err.Error()}
		} else {
			m.Result = raw
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return false
	}
	c.SetWriteDeadline(time.Now().Add(writeTime))
	_, err = c.Write(channel.AppendReply(nil, stream, b))
	return err == nil
}

// openChannel hands a loop connection to its loop.
func (d *Daemon) openChannel(c *net.UnixConn, peer server.Peer, hello channel.HelloMessage, fds []int) *channel.Error {
	begun := -1
	if len(fds) == 1 && sys.IsMemoryFile(fds[0]) {
		begun = fds[0]
	} else if len(fds) > 0 {
		closeAll(fds)
		return &channel.Error{Code: channel.InvalidParameter, Message: "HELLO of a loop takes one descriptor, made with memfd_create"}
	}
	refuse := func(code channel.Code, format string, a ...any) *channel.Error {
		closeAll(fds)
		return &channel.Error{Code: code, Message: fmt.Sprintf(format, a...)}
	}
	window := int(hello.Window)
	if window == 0 {
		window = channel.DefaultWindow
	}
	if window < channel.MinWindow || window > channel.MaxInitialWindow {
		return refuse(channel.InvalidParameter, "window is %d: want %d to %d", window, channel.MinWindow, channel.MaxInitialWindow)
	}
	if hello.Credit > channel.MaxCredit {
		return refuse(channel.InvalidParameter, "credit is %d: want at most %d", hello.Credit, channel.MaxCredit)
	}
	tells, ok := tellsOf[hello.Connections]
	if !ok {
		return refuse(channel.InvalidParameter, "connections is %.40q: want %q, %q or nothing",
			hello.Connections, channel.ConnectionsTLS, channel.ConnectionsAll)
	}
	d.mu.Lock()
	s := d.sessions[hello.Session]
	d.mu.Unlock()
	if s == nil || s.peer.UID != peer.UID {
		return refuse(channel.NotFound, "there is no such session of this user")
	}
	if hello.Loop < 0 || hello.Loop >= len(d.units) {
		return refuse(channel.InvalidParameter, "loop is %d: want 0 to %d", hello.Loop, len(d.units)-1)
	}
	fd, err := duplicate(c)
	if err != nil {
		return refuse(channel.Internal, "%v", err)
	}
	u := d.units[hello.Loop]
	var cerr *channel.Error
	ran := u.loop.Call(func() {
		cerr = s.attach(u, hello.Loop, fd, begun, window, int(hello.Credit), tells)
	})
	if !ran {
		cerr = &channel.Error{Code: channel.Internal, Message: errEnding.Error()}
	}
	if cerr != nil {
		sys.Close(fd)
		closeAll(fds)
	}
	return cerr
}

// tellsOf is what a loop asks for in HELLO.
var tellsOf = map[string]worker.Tells{
	channel.ConnectionsNone: worker.TellNone, channel.ConnectionsTLS: worker.TellTLS, channel.ConnectionsAll: worker.TellAll,
}

// loopWelcome answers the HELLO of a loop connection.
var loopWelcome = func() []byte {
	b, _ := json.Marshal(channel.WelcomeMessage{Protocol: channel.Version, Window: channel.DefaultWindow})
	return channel.AppendFrame(nil, channel.Welcome, 0, 0, 0, b)
}()

// duplicate takes the descriptor out of the hands of the net package.
func duplicate(c *net.UnixConn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(cerr, err)
}

// attach makes the channel, on its loop.
func (s *session) attach(u *unit, index, fd, begun, window, credit int, tells worker.Tells) *channel.Error {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.ended {
		return &channel.Error{Code: channel.NotFound, Message: "the session has ended"}
	}
	if s.channels[index] != nil {
		return &channel.Error{Code: channel.AlreadyExists, Message: fmt.Sprintf("loop %d is open already", index)}
	}
	c, err := worker.New(u.shared, s, fd, begun, loopWelcome, window, channel.DefaultWindow, credit, tells)
	if err != nil {
		return &channel.Error{Code: channel.Internal, Message: err.Error()}
	}
	c.SetID(s.id)
	s.channels[index] = c
	for q := range s.queues {
		c.Join(q.queue)
	}
	return nil
}

// onLoops runs f with each channel of the session, on its loop. d.mu is held.
func (s *session) onLoops(f func(*worker.Channel)) {
	for i, c := range s.channels {
		if c != nil {
			s.d.units[i].loop.Do(func() { f(c) })
		}
	}
}

// awaitLoops returns when the loops have done what they were given before.
func (d *Daemon) awaitLoops() {
	for _, u := range d.units {
		u.loop.Call(func() {})
	}
}

// ChannelEnded implements worker.Session. A channel that ended in order is
// forgotten; one that is lost takes the session with it.
func (s *session) ChannelEnded(c *worker.Channel, orderly bool, err error) {
	if !orderly {
		go s.finish(err)
		return
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	for i := range s.channels {
		if s.channels[i] == c {
			s.channels[i] = nil
		}
	}
}

// finish ends the session: its prefixes go first, so that no new requests
// come, then its channels, whose requests go to other workers or fail, and
// last the queues that nobody can serve any more.
func (s *session) finish(err error) {
	s.end.Do(func() {
		if err != nil {
			s.d.log.Warn("an application broke the protocol", "pid", s.peer.PID, "uid", s.peer.UID, "program", s.program, "err", err)
		}
		s.c.Close()
		s.d.endSession(s, err == nil)
	})
}
