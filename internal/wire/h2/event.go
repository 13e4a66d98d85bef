package h2

import "github.com/httpsys/httpsys/internal/wire/message"

// Kind says what an Event is.
type Kind uint8

// The kinds of events.
const (
	_ Kind = iota
	// GotRequest: a head, in Request. End: nothing follows.
	GotRequest
	// Refused: a head that is too long, with the status to answer in Err. Request
	// has the method only.
	Refused
	// GotData: content, or bytes of a tunnel, in Data. The owner says when it has
	// used them: Consumed.
	GotData
	// GotTrailers: the end of the content with a trailer section, in Fields.
	GotTrailers
	// Reset: the stream is over, for the reason in Err. The owner must forget it.
	Reset
	// Failed: the connection is over, for the reason in Err, after a Reset for
	// each stream. It must be closed when Out is sent. Nothing follows.
	Failed
)

// Event is something that the client did.
type Event struct {
	Kind    Kind
	End     bool // the request is complete with this
	Code    Code // of the client, with a Reset for ErrClientReset
	Stream  *Stream
	Request *Request
	Data    []byte
	Fields  []message.Field
	Err     *Error
}

// Next returns the next event, nil if there is none. The event and all that
// it refers to are valid until the next call of Next or Receive; data that the
// owner cannot use at once it has to copy.
//
// Next must be called until it returns nil after each call of Receive and Expire.
func (c *Conn) Next() *Event {
	if b := c.batch; b != nil {
		c.forget(b)
		for b.at < len(b.records) {
			r := &b.records[b.at]
			b.at++
			if c.tell(b, r) {
				return &b.event
			}
		}
	}
	if c.err != nil && !c.failed {
		return c.tellFailed()
	}
	c.release()
	return nil
}

// forget gives back the stream of the event before, if that was its last.
func (c *Conn) forget(b *batch) {
	if b.over != nil {
		c.shared.putStream(b.over)
		b.over = nil
	}
}

// tell makes the event of a record, unless it means nothing any more.
func (c *Conn) tell(b *batch, r *record) bool {
	if r.kind == Reset {
		b.over = r.stream
		if r.stream.is(ownerEnd) {
			c.forget(b)
			return false
		}
		b.event = Event{Kind: Reset, Stream: r.stream, Err: r.err, Code: r.code}
		return true
	}
	if c.err != nil {
		return false // nobody could hear the answer
	}
	s := c.find(r.id)
	if s == nil {
		return false // reset meanwhile, or the owner wants no more of it
	}
	b.event = Event{Kind: r.kind, End: r.end, Stream: s, Data: r.data, Fields: r.fields, Err: r.err}
	if r.kind == GotRequest || r.kind == Refused {
		s.state |= told
		c.toldID = max(c.toldID, s.id)
		b.event.Request = &b.requests[r.index]
	}
	return true
}

// tellFailed ends one stream after the other, and then the connection.
func (c *Conn) tellFailed() *Event {
	b := c.newBatch()
	for s := c.any(); s != nil; s = c.any() {
		wasTold := s.is(told)
		c.drop(s)
		if !wasTold {
			c.shared.putStream(s)
			continue
		}
		b.over = s
		b.event = Event{Kind: Reset, Stream: s, Err: c.err, Code: c.err.Code}
		return &b.event
	}
	c.failed = true
	b.event = Event{Kind: Failed, Err: c.err}
	return &b.event
}
