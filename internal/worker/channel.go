package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/queue"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Bounds of one channel.
const (
	// maxUnsent is how many bytes may wait for the application to read its
	// socket before request bodies are held back, and requests with them.
	maxUnsent = 1 << 20
	// budget is how many bytes of response all streams together may have
	// unsent at the daemon beyond their first windows. It lets streams of fast
	// clients go at full speed, and is bounded for the sake of memory.
	budget = 16 << 20
	// readSize is how much is read at once: a batch of responses, or what is
	// left of the longest frame and some more.
	readSize = channel.HeaderSize + channel.MaxPayload + 64<<10
)

// Bounds that tests make smaller.
var (
	// maxStreams bounds the streams of a channel: MaxCredit, and as many that
	// were cancelled or are opaque.
	maxStreams = 2 * channel.MaxCredit
	// maxIgnored is how many bytes may wait for an application in all: beyond
	// what maxUnsent holds back there are only short frames about streams, whose
	// number it decides itself. One that sends and sends and never reads is cut.
	maxIgnored = 8 << 20
)

// Session is the process that a channel belongs to.
type Session interface {
	// ChannelEnded is called once, on the channel's loop, when the channel has
	// ended. After an orderly end (docs/channel.md section 7) the session goes
	// on; else it ends, and err says how the application broke the protocol, if
	// it did.
	ChannelEnded(c *Channel, orderly bool, err error)
}

// Shared is what the channels of one loop use in common.
type Shared struct {
	Loop  *loop.Loop
	Stage *exchange.Stage
	inbox sys.Inbox
	buf   []byte
}

// NewShared makes the common part of the channels of a loop.
func NewShared(l *loop.Loop, s *exchange.Stage) *Shared {
	return &Shared{Loop: l, Stage: s, buf: make([]byte, readSize)}
}

// Channel is the connection between an application and a loop.
type Channel struct {
	*Shared
	session Session
	ref     exchange.WorkerRef // this channel
	worker  uint64             // see ID
	fd      int
	begunFD int // memory file with the number of requests begun; -1: none
	window  int // what the application takes of a request body at first
	tells   Tells
	// initial is what the application may send of a response body at first.
	initial int

	in     []byte // start of a frame, or of a part, that has not come in full
	part   part
	fds    []int  // descriptors that came and were not used yet
	out    []byte // frames to send
	outAt  int    // sent of out
	queued bool   // in the loop's list for the end of the turn
	held   bool   // somebody found no Room

	credit   int
	more     bool // there is something to offer to at the end of the batch
	budget   int
	seats    []*queue.Seat[*exchange.Exchange]
	nextSeat int
	leaving  bool // GOAWAY: no more requests
	dead     bool
	readable bool
	again    bool // in the loop's list for the next turn
	closing  bool // the application will send no more: read to the end

	peers map[uint64]exchange.Peer // the connections that the application was told of, by number

	streams  []stream // by number; 0 is not used
	young             // those that could come to rest
	free     []uint32
	sent     uint64 // requests sent, for the number of a request
	inflight int
}

// stream is one number. There may be as many as a machine has open requests.
type stream struct {
	x exchange.Occupant // request sent, response not complete
	// order is which request of this channel it is, from 0, as long as there is x. Without x it
	// is one of the states below.
	order uint64
}

// The states of a number without a request.
const (
	idle            uint64 = iota // it is free
	cancelled                     // the client is gone; the application has not ended the stream yet
	cancelledOpaque               // likewise, and it was opaque
)

// cancel leaves the number to the application until it ends it.
func (s *stream) cancel(opaque bool) {
	s.x, s.order = nil, cancelled
	if opaque {
		s.order = cancelledOpaque
	}
}

// Tells is of which connections a channel is told.
type Tells uint8

// Of which connections.
const (
	TellNone Tells = iota
	TellTLS
	TellAll
)

// New makes a channel on a connection that has said hello, and starts it with
// welcome as its first words. It takes over fd and begunFD, and must be called on
// the loop.
func New(sh *Shared, session Session, fd, begunFD int, welcome []byte, window, initial, credit int, tells Tells) (*Channel, error) {
	c := &Channel{
		Shared: sh, session: session, fd: fd, begunFD: begunFD, window: window, initial: initial, tells: tells,
		credit: credit, budget: budget, streams: make([]stream, 1, 64),
	}
	c.ref.Worker = c
	if err := c.Loop.Watch(fd, c); err != nil {
		return nil, fmt.Errorf("watch the channel: %w", err)
	}
	c.out = append(c.out, welcome...)
	c.wrote()
	return c, nil
}

// Inflight is the number of requests that the application has.
func (c *Channel) Inflight() int { return c.inflight }

// ID implements exchange.Worker.
func (c *Channel) ID() uint64 { return c.worker }

// SetID says which worker this is: the number is the same on all loops. It is
// called before Join.
func (c *Channel) SetID(id uint64) { c.worker = id }

// Join takes requests from a queue, too.
func (c *Channel) Join(q *exchange.Queue) {
	if c.dead {
		return
	}
	c.seats = append(c.seats, q.Lane(c.Loop.Index).JoinAs(c, c.worker))
	c.offer()
}

// Leave takes no more requests of any queue. Those it has go on.
func (c *Channel) Leave() {
	for _, s := range c.seats {
		s.Leave()
	}
	c.seats = nil
}

// LeaveQueue does so for one queue.
func (c *Channel) LeaveQueue(q *exchange.Queue) {
	lane := q.Lane(c.Loop.Index)
	c.seats = slices.DeleteFunc(c.seats, func(s *queue.Seat[*exchange.Exchange]) bool {
		if !s.In(lane) {
			return false
		}
		s.Leave()
		return true
	})
}

// offer takes waiting requests, one of each queue in turn, while there is
// credit.
func (c *Channel) offer() {
	for misses := 0; misses < len(c.seats) && c.takes(); {
		c.nextSeat = (c.nextSeat + 1) % len(c.seats)
		if c.seats[c.nextSeat].Ready() {
			misses = 0
		} else {
			misses++
		}
	}
	c.held = c.held || c.unsent() >= maxUnsent // then something may be left
}

func (c *Channel) takes() bool {
	return c.credit > 0 && !c.dead && !c.leaving && c.unsent() < maxUnsent && !c.full()
}

// full says that no stream number is left.
func (c *Channel) full() bool { return len(c.free) == 0 && len(c.streams) > maxStreams }

func (c *Channel) unsent() int { return len(c.out) - c.outAt }

// Ready reads what the application sent, and sends what it has made room for.
func (c *Channel) Ready(events uint32) {
	if c.dead {
		return
	}
	if events&sys.Writable != 0 && c.unsent() > 0 {
		c.flush()
	}
	if events&(sys.Readable|sys.PeerClosed|sys.Hangup|sys.Failed) != 0 && !c.dead {
		c.readable = true
		c.closing = c.closing || events&(sys.PeerClosed|sys.Hangup|sys.Failed) != 0
		c.read()
	}
}

// End ends the channel: the session is over. Requests that the application
// had not begun go to others. A process that has died may have answered some
// just before; what it sent is read first if last is set.
func (c *Channel) End(last bool) {
	c.Leave() // take no new requests meanwhile
	c.readable = c.readable || last
	for i := 0; i < lastReads && last && c.readable && !c.dead; i++ {
		c.read()
	}
	c.end(nil)
}

// lastReads bounds what is read of a process that has died. A read ends behind
// each descriptor, and a socket holds some hundred kilobytes.
const lastReads = 64

func (c *Channel) end(err error) {
	if c.dead {
		return
	}
	c.dead = true
	c.Leave()
	if err != nil && !errors.Is(err, errEOF) && !errors.Is(err, errOrderly) {
		c.sayError(err)
	}
	c.rested()
	begun := c.begunCount()
	if c.begunFD >= 0 {
		sys.Close(c.begunFD)
		c.begunFD = -1
	}
	c.Loop.Close(c.fd)
	for _, fd := range c.fds {
		sys.Close(fd)
	}
	c.fds = nil
	// In the order in which they were sent, so that they queue in that order.
	open := make([]stream, 0, c.inflight)
	for i := range c.streams {
		if c.streams[i].x != nil {
			open = append(open, c.streams[i])
		}
		c.streams[i] = stream{}
	}
	sortByOrder(open)
	for _, s := range open {
		s.x.Awake().WorkerDied(s.order < begun)
	}
	c.inflight = 0
	c.out, c.in = nil, nil
	orderly := errors.Is(err, errOrderly)
	if orderly || errors.Is(err, errEOF) {
		err = nil
	}
	c.session.ChannelEnded(c, orderly, err)
}

// begunCount is how many requests the application had begun; all that were
// sent if it does not say.
func (c *Channel) begunCount() uint64 {
	if c.begunFD < 0 {
		return c.sent
	}
	var b [8]byte
	if n, err := unix.Pread(c.begunFD, b[:], 0); err != nil || n != len(b) {
		return c.sent
	}
	return min(binary.LittleEndian.Uint64(b[:]), c.sent)
}

// sayError tells an application that broke the protocol why it loses its
// session, if its socket takes it.
func (c *Channel) sayError(err error) {
	payload := fmt.Appendf(nil, `{"error":{"code":%q,"message":%q}}`, channel.InvalidParameter, err.Error())
	c.out = channel.AppendReply(c.out, 0, payload)
	sys.Write(c.fd, c.out[c.outAt:], false)
}
