package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// maxReply bounds what a client puts together from the frames of one reply.
// The daemon of this machine is trusted not to be hostile, but may be broken.
const maxReply = 256 << 20

// Client is a session with the daemon that only administers: it makes calls,
// one after the other, and opens no loop connections. It is not safe for
// concurrent use.
type Client struct {
	Welcome channel.WelcomeMessage

	socket string
	conn   net.Conn
	in     *bufio.Reader
	stream uint32
	err    error // what ended the session
}

// Dial connects to the daemon at socket, or in the usual places if socket is
// empty, and says hello as program. The errors say what to do.
func Dial(ctx context.Context, socket, program string) (*Client, error) {
	conn, socket, err := connect(ctx, socket)
	if err != nil {
		return nil, err
	}
	c := &Client{socket: socket, conn: conn, in: bufio.NewReader(conn)}
	hello, err := json.Marshal(channel.HelloMessage{Protocol: channel.Version, Role: channel.RoleSession, Program: program})
	if err != nil {
		conn.Close()
		return nil, err
	}
	payload, err := c.exchange(ctx, channel.Hello, 0, hello, channel.Welcome)
	if err == nil {
		err = json.Unmarshal(payload, &c.Welcome)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the session.
func (c *Client) Close() error { return c.conn.Close() }

// Call makes one call. An error that the daemon answered is a *channel.Error;
// after any other, and after the end of ctx, the client is of no use.
// params and result may be nil.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	message := channel.CallMessage{Method: method}
	if params != nil {
		p, err := json.Marshal(params)
		if err != nil {
			return err
		}
		message.Params = p
	}
	call, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(call) > channel.MaxPayload {
		return fmt.Errorf("the call %q has %d bytes of parameters; at most %d are possible", method, len(call), channel.MaxPayload)
	}
	c.stream++
	payload, err := c.exchange(ctx, channel.Call, c.stream, call, channel.Reply)
	if err != nil {
		return err
	}
	var reply channel.ReplyMessage
	if err := json.Unmarshal(payload, &reply); err != nil {
		return c.nonsense(err)
	}
	if reply.Error != nil {
		return reply.Error
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(reply.Result, result); err != nil {
		return c.nonsense(err)
	}
	return nil
}

// exchange sends one frame and returns the payload of the answer, which must
// be of type want on the same stream.
func (c *Client) exchange(ctx context.Context, t channel.Type, stream uint32, payload []byte, want channel.Type) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	answer, err := c.try(ctx, t, stream, payload, want)
	var refused *channel.Error
	if err != nil && !errors.As(err, &refused) {
		if ctx.Err() != nil {
			err = fmt.Errorf("httpsys at %s does not answer: %w", c.socket, ctx.Err())
		}
		c.err = err
	}
	return answer, err
}

func (c *Client) try(ctx context.Context, t channel.Type, stream uint32, payload []byte, want channel.Type) ([]byte, error) {
	// Cancellation has to reach a blocked read or write; a deadline in the
	// past does that at once, whatever the context's reason is.
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.conn.Write(channel.AppendFrame(nil, t, 0, stream, 0, payload)); err != nil {
		// The daemon may have said why before it closed: read on.
		if answer, e := c.read(stream, want); e == nil {
			return answer, nil
		} else if refused := (*channel.Error)(nil); errors.As(e, &refused) {
			return nil, e
		}
		return nil, c.closed(err)
	}
	return c.read(stream, want)
}

// read returns the payload of the next message, which must be of type want on
// the stream; a long one comes in several frames.
func (c *Client) read(stream uint32, want channel.Type) ([]byte, error) {
	var whole []byte
	for {
		h, payload, err := c.frame()
		if err != nil {
			return nil, err
		}
		if h.Type == channel.Reply && h.Stream == 0 {
			// An error of the session as a whole, and its end.
			var reply channel.ReplyMessage
			if err := json.Unmarshal(payload, &reply); err == nil && reply.Error != nil {
				c.err = reply.Error
				return nil, reply.Error
			}
		}
		if h.Type != want || h.Stream != stream {
			return nil, c.nonsense(fmt.Errorf("%v on stream %d where %v on stream %d belongs", h.Type, h.Stream, want, stream))
		}
		if len(whole)+len(payload) > maxReply {
			return nil, c.nonsense(fmt.Errorf("a reply of more than %d bytes", maxReply))
		}
		whole = append(whole, payload...)
		if h.Flags&channel.FlagMore == 0 {
			return whole, nil
		}
	}
}

func (c *Client) frame() (channel.Header, []byte, error) {
	var head [channel.HeaderSize]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return channel.Header{}, nil, c.closed(err)
	}
	h, err := channel.ParseHeader(head[:])
	if err != nil {
		return h, nil, c.nonsense(err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c.in, payload); err != nil {
		return h, nil, c.closed(err)
	}
	return h, payload, nil
}

func (c *Client) closed(err error) error {
	return fmt.Errorf("httpsys at %s closed the connection: %w", c.socket, cause(err))
}

func (c *Client) nonsense(err error) error {
	return fmt.Errorf("httpsys at %s answered nonsense: %w", c.socket, err)
}

func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
