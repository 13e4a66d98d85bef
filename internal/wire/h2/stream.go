package h2

// Stream is one request and its response. The owner gets it with the event
// Request (or Refused) and may use it until its own last word (a Respond, Send or Trailers
// that ends the response, Reset, Finish) or until the event Reset; then its memory is used again.
type Stream struct {
	Owner any // for the owner: what it knows of the stream

	next, prev *Stream // in a list of the schedule
	left       int64   // content of the request still to come; -1: unknown
	sendLeft   int64   // content of the response still to be sent; -1: unknown
	minRate    int64   // bytes per second that the client must take
	id         uint32
	send       outflow
	recv       inflow
	progress   int32 // bytes sent in the present stall period
	state      streamState
	urgency    uint8 // RFC 9218 4.1: 0 is the most urgent
}

// ID is the stream's number on the wire.
func (s *Stream) ID() uint32 { return s.id }

// SetMinSendRate sets what Limits.MinSendRate is for this stream; 0 is off.
func (s *Stream) SetMinSendRate(n int64) { s.minRate = n }

// Over says whether the stream has ended, so that what is sent on it is
// dropped. A Reset event follows unless the owner itself ended it.
func (s *Stream) Over() bool { return s.state&gone != 0 }

// streamState is a set of facts. In the terms of RFC 9113 5.1 a stream with none
// of the first two is open, with one half-closed, with both, or gone, closed.
type streamState uint16

const (
	recvEnd     streamState = 1 << iota // the client has sent END_STREAM
	sentEnd                             // we have
	gone                                // not in the table any more
	told                                // the owner knows it
	ownerEnd                            // the owner has said its last word
	headSent                            // of the final response
	isHead                              // the request was HEAD
	isConnect                           // what follows the head is a tunnel or nothing
	expects                             // the client waits for 100
	noBody                              // the response has no content, whatever the owner sends
	tunnel                              // Opaque was called
	waiting                             // the owner has something to send
	listed                              // and is in the schedule: its window is open
	incremental                         // RFC 9218 4.2, or no priority was said
	watched                             // waiting since the present stall period began
)

func (s *Stream) is(f streamState) bool { return s.state&f != 0 }

// table finds streams by number. Clients count up by two, so that the numbers
// of those that are open at once hardly ever meet in it. Open addressing, at most half full.
type table struct {
	slots []*Stream
	n     int
}

const minTable = 8

func (t *table) home(id uint32) int { return int(id>>1) & (len(t.slots) - 1) }

func (t *table) get(id uint32) *Stream {
	if t.n == 0 {
		return nil
	}
	for i := t.home(id); ; i = (i + 1) & (len(t.slots) - 1) {
		if s := t.slots[i]; s == nil || s.id == id {
			return s
		}
	}
}

func (t *table) put(s *Stream) {
	if 2*(t.n+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]*Stream, max(minTable, 2*len(old)))
		for _, s := range old {
			if s != nil {
				t.place(s)
			}
		}
	}
	t.place(s)
	t.n++
}

func (t *table) place(s *Stream) {
	i := t.home(s.id)
	for t.slots[i] != nil {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = s
}

// remove takes s out and moves those that its place has pushed on. An empty
// large table is dropped, since the connection may be idle for long.
func (t *table) remove(s *Stream) {
	mask := len(t.slots) - 1
	i := t.home(s.id)
	for t.slots[i] != s {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.slots[j] != nil; j = (j + 1) & mask {
		if home := t.home(t.slots[j].id); (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = nil
	if t.n--; t.n == 0 && len(t.slots) > 32 {
		t.slots = nil
	}
}

// any returns a stream, nil if there is none.
func (t *table) any() *Stream {
	if t.n == 0 {
		return nil
	}
	for _, s := range t.slots {
		if s != nil {
			return s
		}
	}
	return nil
}
