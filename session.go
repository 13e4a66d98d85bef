package httpsys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// handshakeTimeout bounds what the daemon may take for one answer on the
// session. It answers from memory; half a minute means that it hangs.
const handshakeTimeout = 30 * time.Second

// A session is one life of the connection to the daemon: the session
// connection, the registrations made on it, and the loop connections. It ends
// as a whole, and is not used again (docs/channel.md section 1).
type session struct {
	conn   *net.UnixConn
	path   string // of the socket
	secret string
	begun  bool // capability: the daemon reads how many requests were begun
	files  bool // capability: the daemon sends files
	socket bool // capability: the daemon hands clients' sockets over

	fragments bool // capability: the daemon keeps fragments

	callMu sync.Mutex // one call at a time; they are rare

	// Set before the first loop opens, constant afterwards.
	registered []channel.RegisterResult
	prefixes   map[uint32]string // by registration id

	mu      sync.Mutex
	calls   uint32        // so far: the number of the latest
	answer  chan<- []byte // for the call that waits, or nil
	loops   []*loop       // those that are open; all of them once openLoops has returned
	over    bool          // fail was called
	failed  chan struct{} // closed when the session is over
	failure error         // why; set before failed is closed

	announced int // how many loops the daemon has

	stops sync.Once // the daemon has announced its end: once on each loop
}

// openSession connects and says hello.
func openSession(ctx context.Context, socket string) (*session, error) {
	conn, path, err := dialDaemon(ctx, socket)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, path: path, failed: make(chan struct{})}
	hello := channel.HelloMessage{Protocol: channel.Version, Role: channel.RoleSession, Program: programName()}
	welcome, err := exchangeHello(ctx, conn, hello, -1)
	if err != nil {
		conn.Close()
		return nil, asError("connect", path, err)
	}
	// A daemon never opens more loops than it has cores; the bound keeps a
	// broken one from making us open sockets without end.
	if welcome.Loops < 1 || welcome.Loops > 4096 {
		conn.Close()
		return nil, &Error{Op: "connect", Subject: path, Code: Unsupported,
			Message: fmt.Sprintf("the daemon announces %d event loops", welcome.Loops)}
	}
	s.secret = welcome.Session
	s.begun = slices.Contains(welcome.Capabilities, "begun")
	s.files = slices.Contains(welcome.Capabilities, "file")
	s.socket = slices.Contains(welcome.Capabilities, "socket")
	s.fragments = slices.Contains(welcome.Capabilities, "fragments")
	s.announced = welcome.Loops
	go s.read()
	return s, nil
}

// programName is what an administrator sees; the protocol allows 64 characters.
func programName() string {
	name := []rune(filepath.Base(os.Args[0]))
	return string(name[:min(len(name), 64)])
}

// exchangeHello sends HELLO, with a descriptor if that is not negative, and
// waits for WELCOME. It reads not one byte more.
func exchangeHello(ctx context.Context, conn *net.UnixConn, hello channel.HelloMessage, fd int) (
	*channel.WelcomeMessage, error) {
	deadline := time.Now().Add(handshakeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	welcome, err := sayHello(conn, hello, fd)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	if welcome.Protocol != channel.Version {
		return nil, &channel.Error{Code: channel.Unsupported, Message: fmt.Sprintf(
			"the daemon speaks version %d of the protocol, this program version %d", welcome.Protocol, channel.Version)}
	}
	return welcome, nil
}

func sayHello(conn *net.UnixConn, hello channel.HelloMessage, fd int) (*channel.WelcomeMessage, error) {
	payload, err := json.Marshal(hello)
	if err != nil {
		return nil, err
	}
	frame := channel.AppendFrame(nil, channel.Hello, 0, 0, 0, payload)
	if fd < 0 {
		_, err = conn.Write(frame)
	} else {
		err = writeWithDescriptor(conn, frame, fd)
	}
	if err != nil {
		return nil, err
	}
	h, payload, err := readFrame(conn)
	if err != nil {
		return nil, err
	}
	switch h.Type {
	case channel.Welcome:
		w := new(channel.WelcomeMessage)
		if err := json.Unmarshal(payload, w); err != nil {
			return nil, fmt.Errorf("WELCOME: %w", err)
		}
		return w, nil
	case channel.Reply:
		return nil, replyError(payload)
	}
	return nil, fmt.Errorf("%v instead of WELCOME", h.Type)
}

// replyError reads the error of a REPLY.
func replyError(payload []byte) error {
	var m channel.ReplyMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return fmt.Errorf("REPLY: %w", err)
	}
	if m.Error == nil {
		return errors.New("REPLY without an error where only an error can be")
	}
	return m.Error
}

// readFrame reads exactly one frame.
func readFrame(r io.Reader) (channel.Header, []byte, error) {
	var head [channel.HeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return channel.Header{}, nil, err
	}
	h, err := channel.ParseHeader(head[:])
	if err != nil {
		return h, nil, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	return h, payload, err
}

// read takes replies from the session connection until it ends.
func (s *session) read() {
	for {
		h, payload, err := readFrame(s.conn)
		if err != nil {
			s.fail(err)
			return
		}
		switch {
		case h.Type != channel.Reply || h.Flags != 0:
			// Calls that this package makes are answered with one frame.
			s.fail(fmt.Errorf("%v with flags %#x on the session connection", h.Type, h.Flags))
			return
		case h.Stream == 0:
			s.fail(replyError(payload))
			return
		}
		s.mu.Lock()
		if h.Stream == s.calls && s.answer != nil {
			s.answer <- payload // has room
			s.answer = nil
		}
		s.mu.Unlock()
	}
}

// call makes one call and decodes its result.
func (s *session) call(ctx context.Context, method string, params, result any) error {
	p, err := json.Marshal(params)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(channel.CallMessage{Method: method, Params: p})
	if err != nil {
		return err
	}
	if len(payload) > channel.MaxPayload {
		return &channel.Error{Code: channel.InvalidParameter, Message: "the call is too long"}
	}
	return s.ask(ctx, result, func(number uint32) []byte {
		return channel.AppendFrame(nil, channel.Call, 0, number, 0, payload)
	})
}

// ask sends what frames makes for a number, and decodes the answer.
func (s *session) ask(ctx context.Context, result any, frames func(number uint32) []byte) error {
	s.callMu.Lock()
	defer s.callMu.Unlock()
	answer := make(chan []byte, 1)
	s.mu.Lock()
	s.calls++
	number := s.calls
	s.answer = answer
	s.mu.Unlock()
	if _, err := s.conn.Write(frames(number)); err != nil {
		s.fail(err)
		return s.failure
	}
	timeout := time.NewTimer(handshakeTimeout)
	defer timeout.Stop()
	select {
	case reply := <-answer:
		var m channel.ReplyMessage
		if err := json.Unmarshal(reply, &m); err != nil {
			return fmt.Errorf("REPLY: %w", err)
		}
		if m.Error != nil {
			return m.Error
		}
		return json.Unmarshal(m.Result, result)
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return errors.New("the daemon does not answer")
	case <-s.failed:
		return s.failure
	}
}

// register binds one prefix.
func (s *session) register(ctx context.Context, p channel.RegisterParams) (string, error) {
	var r channel.RegisterResult
	if err := s.call(ctx, "register", p, &r); err != nil {
		return "", asError("register", p.URL, err)
	}
	s.registered = append(s.registered, r)
	if s.prefixes == nil {
		s.prefixes = make(map[uint32]string)
	}
	s.prefixes[r.ID] = r.URL
	return r.URL, nil
}

// unregister gives all prefixes back. Only the first error is of interest,
// and none of them changes what has to be done next.
func (s *session) unregister(ctx context.Context) (first error) {
	for _, r := range s.registered {
		var none struct{}
		if err := s.call(ctx, "unregister", channel.UnregisterParams{ID: r.ID}, &none); err != nil && first == nil {
			first = asError("unregister", r.URL, err)
		}
	}
	return first
}

// openLoops opens the loop connections; requests may come from here on.
func (s *session) openLoops(ctx context.Context, e *endpoint) error {
	for i := range s.announced {
		l, err := openLoop(ctx, s, e, i)
		if err != nil {
			s.fail(err)
			return asError("connect", s.path, err)
		}
		s.mu.Lock()
		over := s.over
		if !over {
			s.loops = append(s.loops, l)
		}
		s.mu.Unlock()
		if over {
			l.close()
			return asError("connect", s.path, s.failure)
		}
		go l.read()
	}
	return nil
}

// fail ends the session: all its connections, and all its requests. The first
// reason counts.
func (s *session) fail(err error) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the daemon closed the connection")
	}
	s.over = true
	s.failure = err
	loops := s.loops
	close(s.failed)
	s.mu.Unlock()
	s.conn.Close()
	for _, l := range loops {
		l.close()
	}
}

// drain ends all loops in order: no more requests, everything finished and
// sent, and the daemon has read it (docs/channel.md section 7).
func (s *session) drain(ctx context.Context) error {
	for _, l := range s.loops {
		l.goAway()
	}
	for _, l := range s.loops {
		if err := s.await(ctx, l.drained); err != nil {
			return err
		}
	}
	for _, l := range s.loops {
		l.part()
	}
	for _, l := range s.loops {
		if err := s.await(ctx, l.parted); err != nil {
			return err
		}
	}
	return nil
}

// await waits for a step of drain. A session that has ended has taken it.
func (s *session) await(ctx context.Context, step <-chan struct{}) error {
	select {
	case <-step:
	case <-s.failed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
