package worker

import (
	"errors"
	"fmt"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// The ends of a channel that break no rule: the process has gone, or it has
// said GOAWAY and has finished.
var (
	errEOF     = errors.New("the application closed the channel")
	errOrderly = errors.New("the application finished with the channel")
)

// Violations of the protocol that are found here.
var (
	errStream     = errors.New("frame for a stream that does not exist")
	errDirection  = errors.New("frame that only the daemon may send")
	errCredit     = errors.New("more than 65535 credits")
	errDescriptor = errors.New("descriptors and FILE frames do not match")
	errFile       = errors.New("FILE with something that is not a regular file on a local file system")
	errDeaf       = errors.New("the application does not read what it is sent")
	errStatus     = errors.New("OPAQUE with a status other than 0, 101 or 2xx")
)

// readTurns bounds how often one turn reads the same channel, so that one
// application cannot keep a loop to itself.
const readTurns = 4

func (c *Channel) read() {
	for range readTurns {
		if !c.readable || c.dead {
			return
		}
		// A frame that was cut goes to the start of the shared buffer, so that
		// frames are whole there.
		k := copy(c.buf, c.in)
		had := len(c.fds)
		n, fds, err := c.inbox.Read(c.fd, c.buf[k:], c.fds)
		c.fds = fds
		if n < len(c.buf)-k && len(fds) == had && !c.closing {
			// All is read that was there, and more will be reported. (A read
			// ends early behind bytes that brought descriptors, too.)
			c.readable = false
		}
		if err == sys.ErrAgain {
			c.readable = false
			return
		}
		if err == sys.ErrTooManyDescriptors {
			c.end(err)
			return
		}
		if err != nil { // a process that died without reading everything
			c.end(errEOF)
			return
		}
		if n == 0 {
			if c.leaving {
				c.end(errOrderly)
			} else {
				c.end(errEOF)
			}
			return
		}
		rest, err := c.frames(c.buf[:k+n])
		if c.dead {
			return
		}
		if err != nil {
			c.end(err)
			return
		}
		c.in = append(c.in[:0], rest...)
		// Each FILE brings its descriptor with its first byte: at most that of
		// a frame which is not complete may be left.
		if len(c.fds) > 1 || len(c.fds) == 1 && len(rest) == 0 {
			c.end(errDescriptor)
			return
		}
	}
	if !c.again {
		c.again = true
		c.Loop.Again(readAgain{c})
	}
}

// readAgain goes on in the next turn.
type readAgain struct{ c *Channel }

func (r readAgain) TurnEnd() {
	r.c.again = false
	r.c.read()
}

// frames handles all complete frames in b, and of a cut one what can be, and returns the rest.
func (c *Channel) frames(b []byte) ([]byte, error) {
	for !c.dead {
		h, n, err := c.arrived(b)
		if err != nil {
			return b, err
		}
		if n < 0 {
			break
		}
		payload := b[n : n+int(h.Length)]
		if err := c.frame(h, payload); err != nil {
			return b, fmt.Errorf("%v on stream %d: %w", h.Type, h.Stream, err)
		}
		b = b[n+int(h.Length):]
	}
	if c.more && !c.dead {
		c.more = false
		c.offer()
	}
	return b, nil
}

// arrived is the frame at the start of b, or the part of one, and where its payload begins; -1 if too little has come.
func (c *Channel) arrived(b []byte) (h channel.Header, at int, err error) {
	if !c.part.open {
		if len(b) < channel.HeaderSize {
			return h, -1, nil
		}
		h, err = channel.ParseHeader(b)
		if err != nil {
			return h, -1, err
		}
		at = channel.HeaderSize
		if len(b)-at >= int(h.Length) {
			return h, at, nil
		}
		if begun, err := c.part.begin(c, h, len(b)-at); !begun {
			return h, -1, err
		}
	}
	h, ok := c.part.next(len(b) - at)
	if !ok {
		at = -1
	}
	return h, at, nil
}

func (c *Channel) frame(h channel.Header, payload []byte) error {
	switch h.Type {
	case channel.Credit:
		n, err := channel.Uint32(payload)
		if err != nil {
			return err
		}
		return c.addCredit(int(n))
	case channel.GoAway:
		c.GoAway()
		return nil
	case channel.Disconnection:
		number, err := channel.ParseDisconnection(payload)
		if err != nil {
			return err
		}
		c.hangup(number, h.Value == channel.DisconnectNow)
		return nil
	case channel.Response, channel.Data, channel.Trailers, channel.File, channel.Window, channel.Cancel:
	case channel.Socket:
		if h.Value != channel.SocketRelayed {
			return errDirection
		}
	default:
		return errDirection
	}
	if h.Stream == 0 || int(h.Stream) >= len(c.streams) || c.streams[h.Stream] == (stream{order: idle}) {
		return errStream
	}
	s := &c.streams[h.Stream]
	if h.Flags&channel.FlagCredit != 0 {
		if err := c.addCredit(1); err != nil {
			return err
		}
	}
	if s.x == nil {
		return c.ignore(h, payload)
	}
	x := s.x.Awake()
	switch h.Type {
	case channel.Window:
		n, err := channel.Uint32(payload)
		if err != nil {
			return err
		}
		return x.WindowUpdate(int(n))
	case channel.Socket:
		return x.SocketRefused()
	case channel.Cancel:
		if h.Value > 1 || h.Value == 1 && !x.IsOpaque() && x.HeadSent() {
			return exchange.ErrOrder
		}
		x.WorkerCancels(h.Value == 1)
		c.ended(h.Stream)
		return nil
	}
	// The exchange is over when it has taken the end, so all that is asked of it
	// is asked before. A stream whose last frame was wrong stays open here: it
	// fails with all the others when the channel ends.
	ends := h.Type == channel.Trailers || h.Flags&channel.FlagEnd != 0 && !x.IsOpaque()
	if err := c.message(x, h, payload); err != nil {
		var head message.HeadError
		var misuse *exchange.Misuse
		switch {
		case errors.As(err, &head):
			c.refuse(x, h, string(head))
			x.Refused()
		case errors.As(err, &misuse):
			c.refuse(x, h, misuse.Why)
			x.RefusedFor(misuse)
		default:
			return err
		}
	}
	if ends {
		c.ended(h.Stream)
	}
	return nil
}

// refuse ends a stream whose head or trailers no client may see, or that
// answers what may not be answered: the client gets an error, the application is told why, and goes on with all its other streams.
// The number is the application's until it ends it, as if the client had left.
func (c *Channel) refuse(x *exchange.Exchange, h channel.Header, why string) {
	c.streams[h.Stream].cancel(h.Flags&channel.FlagOpaque != 0)
	c.out = channel.AppendFrame(c.out, channel.Cancel, 0, h.Stream, channel.CancelRefused, []byte(why))
	c.wrote()
}

// message passes a part of a response on.
func (c *Channel) message(x *exchange.Exchange, h channel.Header, payload []byte) error {
	switch h.Type {
	case channel.Response:
		return c.response(x, h, payload)
	case channel.Data:
		if h.Flags&channel.FlagPieces != 0 {
			return c.pieces(x, h, nil, payload)
		}
		return x.Data(payload, h.Flags&channel.FlagEnd != 0)
	case channel.File:
		return c.file(x, h, payload)
	}
	fields, err := channel.ParseTrailers(payload)
	if err != nil {
		return err
	}
	c.Stage.Fields, err = message.ParseTrailers(fields, c.Stage.Fields[:0])
	if err != nil {
		return err
	}
	return x.Trailers(c.Stage.Fields)
}

// ended frees the number of a stream whose exchange is over.
func (c *Channel) ended(n uint32) {
	if c.dead {
		return // its exchange ended the channel on the way
	}
	c.more = c.more || c.full() // a number was what was missing
	c.inflight--
	c.release(n)
}

// ignore takes a frame of a stream that was cancelled: only its end matters.
func (c *Channel) ignore(h channel.Header, payload []byte) error {
	s := &c.streams[h.Stream]
	switch h.Type {
	case channel.File:
		fd, err := c.descriptor()
		if err != nil {
			return err
		}
		sys.Close(fd)
	case channel.Response:
		s.cancel(s.order == cancelledOpaque || h.Flags&channel.FlagOpaque != 0)
	case channel.Window, channel.Socket:
		return nil
	case channel.Cancel, channel.Trailers:
		c.ended(h.Stream)
		return nil
	}
	if h.Flags&channel.FlagEnd != 0 && s.order != cancelledOpaque {
		c.ended(h.Stream)
	}
	return nil
}

func (c *Channel) response(x *exchange.Exchange, h channel.Header, payload []byte) error {
	head, fields, body, err := channel.ParseResponse(payload)
	if err != nil {
		return err
	}
	r := &c.Stage.Response
	end := h.Flags&channel.FlagEnd != 0
	opaque := h.Flags&channel.FlagOpaque != 0
	ask := h.Flags&channel.FlagSocket != 0
	if opaque && end {
		return exchange.ErrOrder
	}
	if opaque && h.Value == 0 && len(head) == 0 && fields == 0 {
		return x.Opaque(nil, body, ask)
	}
	if h.Flags&channel.FlagText != 0 {
		if fields != 0 {
			return channel.ErrPayload
		}
		err = r.ParseText(int(h.Value), head)
	} else {
		err = r.ParseBinary(int(h.Value), head, fields)
	}
	if err != nil {
		return err
	}
	if h.Flags&channel.FlagPieces != 0 {
		return c.pieces(x, h, r, body)
	}
	if !opaque {
		return x.Respond(r, body, end)
	}
	if r.Status != 101 && r.Status/100 != 2 {
		return errStatus
	}
	return x.Opaque(r, body, ask)
}

// pieces passes on a body that is made of pieces, behind a head if there is one.
func (c *Channel) pieces(x *exchange.Exchange, h channel.Header, r *message.Response, body []byte) error {
	end := h.Flags&channel.FlagEnd != 0
	parts, err := x.Parts(body)
	if err != nil {
		return err
	}
	switch {
	case r != nil:
		if parts, err = x.RespondParts(r, parts, end); err != nil {
			return err
		}
	case len(parts) == 0:
		return x.Data(nil, end)
	}
	for i := range parts {
		// The client may leave over a part: then the exchange is not ours any more.
		if s := &c.streams[h.Stream]; c.dead || s.x != exchange.Occupant(x) {
			return nil
		}
		if err := x.DataPart(&parts[i], end && i == len(parts)-1); err != nil {
			return err
		}
	}
	return nil
}

func (c *Channel) file(x *exchange.Exchange, h channel.Header, payload []byte) error {
	offset, length, err := channel.ParseFile(payload)
	if err != nil {
		return err
	}
	fd, err := c.descriptor()
	if err != nil {
		return err
	}
	if !sys.IsLocalRegular(fd) {
		sys.Close(fd)
		return errFile
	}
	if err := x.File(fd, offset, length, h.Flags&channel.FlagEnd != 0); err != nil {
		sys.Close(fd)
		return err
	}
	return nil
}

// descriptor takes the next descriptor that came.
func (c *Channel) descriptor() (int, error) {
	if len(c.fds) == 0 {
		return -1, errDescriptor
	}
	fd := c.fds[0]
	c.fds = append(c.fds[:0], c.fds[1:]...)
	return fd, nil
}

func (c *Channel) addCredit(n int) error {
	c.more = true // though it may be spent again before the last frame of the batch
	if c.credit += n; c.credit > channel.MaxCredit {
		return errCredit
	}
	return nil
}
