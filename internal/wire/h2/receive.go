package h2

import "encoding/binary"

// Receive takes bytes of the client and returns how many of them it has used.
// Events follow from Next, which must be called until there are no more. The rest of b is
// needed again: at once if something was used, else together with more. now is in milliseconds,
// from whatever beginning, and never goes back.
//
// Events alias b.
func (c *Conn) Receive(b []byte, now int64) (n int) {
	if c.batch != nil {
		panic("h2: Receive before all events were taken")
	}
	c.now = now
	for c.err == nil && n < len(b) {
		if c.batch != nil && c.batch.full() {
			return n
		}
		k := c.receive(b[n:])
		if k == 0 {
			break
		}
		n += k
	}
	if c.err != nil {
		return len(b)
	}
	// A block in pieces has one deadline for all of them, and so has the preface.
	if n > 0 && c.blockID == 0 && c.started {
		c.headBy = 0
	}
	if c.headBy == 0 && (n < len(b) || c.blockID != 0) && c.shared.Limits.HeaderWait > 0 {
		c.headBy = now + c.shared.Limits.HeaderWait
	}
	return n
}

// receive takes the next piece of b that can be taken as one, and returns how
// long that is, 0 if it is not all there.
func (c *Conn) receive(b []byte) int {
	switch {
	case c.left > 0:
		return c.content(b)
	case c.skip > 0:
		n := min(len(b), int(c.skip))
		c.skip -= int32(n)
		return n
	case int(c.preface) < len(Preface):
		n := min(len(b), len(Preface)-int(c.preface))
		if string(b[:n]) != Preface[c.preface:int(c.preface)+n] {
			c.fail(ErrPreface)
		}
		c.preface += uint8(n)
		return n
	case len(b) < frameHeader:
		return 0
	}
	h := parseHeader(b)
	if e := c.fits(h); e != nil {
		c.fail(e)
		return 0
	}
	switch h.typ {
	case typeData:
		return c.data(h, b)
	case typeHeaders, typePriority, typeReset, typeSettings, typePush, typePing, typeGoAway, typeWindowUpdate,
		typeContinuation, typePriorityUpdate:
	default:
		c.count(unknown) // 5.5: ignored
		c.skip = int32(h.length)
		return frameHeader
	}
	n := frameHeader + h.length
	if len(b) < n {
		return 0
	}
	p := b[frameHeader:n]
	var e *Error
	switch h.typ {
	case typeHeaders:
		e = c.headers(h, p)
	case typeContinuation:
		e = c.continuation(h, p)
	case typePriority:
		e = c.priorityFrame(h, p)
	case typeReset:
		e = c.resetFrame(h, p)
	case typeSettings:
		e = c.settingsFrame(h, p)
	case typePing:
		e = c.ping(h, p)
	case typeGoAway:
		e = c.goAwayFrame(h, p)
	case typeWindowUpdate:
		e = c.windowUpdate(h, p)
	case typePriorityUpdate:
		e = c.priorityUpdate(h, p)
	case typePush:
		e = ErrPush // 8.4
	}
	if e != nil {
		c.fail(e)
	}
	return n
}

// fits checks what can be said of a frame by its header alone.
func (c *Conn) fits(h header) *Error {
	switch {
	case !c.started && (h.typ != typeSettings || h.flags&flagAck != 0):
		return ErrPreface // 3.4: the first frame is SETTINGS
	case h.length > frameSize:
		return ErrFrameSize // 4.2; what it would have changed is lost, so the connection ends
	case c.blockID != 0 && (h.typ != typeContinuation || h.stream != c.blockID):
		return ErrHeaders // 6.10
	}
	return nil
}

// data takes the header of a DATA frame (6.1). Its content is passed on as it comes.
func (c *Conn) data(h header, b []byte) int {
	n, overhead := frameHeader, 0
	if h.flags&flagPadded != 0 {
		if h.length == 0 {
			c.fail(ErrFrameLength)
			return 0
		}
		if len(b) == n {
			return 0
		}
		if overhead = int(b[n]) + 1; overhead > h.length {
			c.fail(ErrPadding)
			return 0
		}
		n++
	}
	if h.stream == 0 {
		c.fail(ErrStreamID)
		return 0
	}
	// 6.9: all of the payload counts, and for the connection whatever becomes of the stream.
	if !c.recv.take(int32(h.length)) {
		c.fail(ErrWindow)
		return 0
	}
	content := int32(h.length - overhead)
	padding := int32(frameHeader + h.length - n - int(content))
	c.recv.consumed(int32(overhead))
	ends := h.flags&flagEndStream != 0

	s := c.find(h.stream)
	if s == nil {
		if e := c.absent(h.stream); e != nil {
			c.fail(e)
			return 0
		}
		c.count(late)
	} else if e := s.takes(int32(h.length), content, ends); e != nil {
		c.endStream(s, e, faults)
		s = nil
	}
	if s == nil {
		c.recv.consumed(content)
		c.skip = content + padding
		c.refill()
		return n
	}
	s.recv.consumed(int32(overhead))
	c.measured = min(c.measured+int32(h.length), 1<<30)
	if content == 0 && !ends {
		c.count(empty)
	}
	c.left, c.skip = content, padding
	c.frameID, c.lastOne = h.stream, ends
	if content == 0 && ends {
		c.ended(s, nil)
	}
	return n
}

// takes notes a DATA frame on its stream, or says why it cannot be there; then
// nothing has changed.
func (s *Stream) takes(length, content int32, ends bool) *Error {
	left := s.left - int64(content)
	switch {
	case s.is(recvEnd):
		return ErrHalfClosed
	case s.left >= 0 && left < 0: // 8.1.1
		return ErrTooLong
	case s.left >= 0 && ends && left > 0:
		return ErrTooShort
	case !s.recv.take(length):
		return ErrStreamWindow
	}
	if s.left >= 0 {
		s.left = left
	}
	return nil
}

// content takes a piece of a DATA frame.
func (c *Conn) content(b []byte) int {
	n := min(len(b), int(c.left))
	c.left -= int32(n)
	if s := c.find(c.frameID); s != nil {
		if c.left == 0 && c.lastOne {
			c.ended(s, b[:n:n])
		} else {
			c.record(record{kind: GotData, id: s.id, data: b[:n:n]})
		}
	}
	return n
}

// ended notes the end of a request with its last content.
func (c *Conn) ended(s *Stream, data []byte) {
	s.state |= recvEnd
	c.record(record{kind: GotData, id: s.id, data: data, end: true})
}

func (c *Conn) record(r record) {
	b := c.newBatch()
	b.records = append(b.records, r)
}

// headers takes a HEADERS frame (6.2).
func (c *Conn) headers(h header, p []byte) *Error {
	if h.stream&1 == 0 {
		return ErrStreamID // 5.1.1: clients use odd numbers; 6.2: not 0
	}
	padding := 0
	if h.flags&flagPadded != 0 {
		if len(p) == 0 {
			return ErrFrameLength
		}
		padding = int(p[0])
		p = p[1:]
	}
	dep := false
	if h.flags&flagPriority != 0 {
		// Of the priorities of RFC 7540 nothing is left but that a stream cannot
		// depend on itself (RFC 7540 5.3.1).
		if len(p) < 5 {
			return ErrFrameLength
		}
		dep = binary.BigEndian.Uint32(p)&maxWindow == h.stream
		p = p[5:]
	}
	if padding > len(p) {
		return ErrPadding
	}
	p = p[:len(p)-padding]
	ends := h.flags&flagEndStream != 0
	if h.flags&flagEndHeaders != 0 {
		return c.head(h.stream, p, ends, dep)
	}
	if len(p) == 0 && c.count(empty) {
		return nil
	}
	c.blockID, c.blockEnds, c.blockDep, c.blockFrames = h.stream, ends, dep, 0
	c.block = append(c.block[:0], p...)
	return nil
}

// continuation takes a CONTINUATION frame (6.10).
func (c *Conn) continuation(h header, p []byte) *Error {
	if c.blockID == 0 {
		return ErrContinuation
	}
	l := c.shared.Limits
	if c.blockFrames++; int(c.blockFrames) > l.Continuations {
		return calm[continuations]
	}
	if len(c.block)+len(p) > bombFactor*l.Head {
		return calm[headBomb]
	}
	if len(p) == 0 && c.count(empty) {
		return nil
	}
	c.block = append(c.block, p...)
	if h.flags&flagEndHeaders == 0 {
		return nil
	}
	block, id := c.block, c.blockID
	c.block, c.blockID = nil, 0 // fields will alias it
	return c.head(id, block, c.blockEnds, c.blockDep)
}

// head takes a whole header block: of a request, or trailers. It is decoded in
// any case, since the tables of both sides must agree (4.3).
func (c *Conn) head(id uint32, block []byte, ends, dep bool) *Error {
	s := c.find(id)
	b := c.newBatch()
	h := &b.head
	*h = head{batch: b, limits: c.shared.Limits, first: len(b.fields), trailers: s != nil}
	if !c.decoder.decode(block, h) {
		return ErrCompression
	}
	if h.bomb {
		return calm[headBomb]
	}
	var e *Error
	switch {
	case s != nil:
		e = c.trailers(s, h, ends, dep)
	case id > c.lastID:
		c.lastID = id
		e = c.open(id, h, ends, dep)
	default:
		if e := c.absent(id); e != nil {
			return e
		}
		e = ErrRefused
		c.count(late)
	}
	if e != nil {
		b.fields = b.fields[:h.first]
	}
	return nil
}

// open begins a stream. The error says that it did not, and was dealt with.
func (c *Conn) open(id uint32, h *head, ends, dep bool) *Error {
	b := h.batch
	l := c.shared.Limits
	switch {
	case c.away == wentAway:
		return ErrRefused // 6.8: the client knows that nobody looks at it
	case c.Streams() >= int(c.maxStreams):
		c.refuse(id, ErrRefused, refused) // 5.1.2
		return ErrRefused
	case dep:
		c.refuse(id, ErrDependency, faults)
		return ErrDependency
	}
	index := len(b.requests)
	if index < cap(b.requests) {
		b.requests = b.requests[:index+1]
	} else {
		b.requests = append(b.requests, Request{})
	}
	r := &b.requests[index]
	e := h.request(r, ends)
	if e != nil && e.Status == 0 {
		b.requests = b.requests[:index]
		c.refuse(id, e, faults)
		return e
	}
	if e != nil && c.count(longHeads) {
		return e
	}
	s := c.shared.getStream()
	*s = Stream{
		id: id, left: -1, sendLeft: -1, send: outflow(c.initialSend),
		recv: inflow{granted: c.window}, minRate: l.MinSendRate,
	}
	kind := GotRequest
	if e != nil {
		kind = Refused
	} else if h.lengths == 1 {
		s.left = r.ContentLength
	}
	if ends {
		s.state |= recvEnd
	}
	if r.ExpectContinue {
		s.state |= expects
	}
	switch string(r.Method) {
	case "HEAD":
		s.state |= isHead
	case "CONNECT":
		s.state |= isConnect
	}
	c.streams.put(s)
	c.firstPriority(s, h.priority)
	c.pay(windowUpdates, 2)
	c.pay(priorities, 2)
	b.records = append(b.records, record{kind: kind, id: id, end: ends, index: int32(index), err: e})
	return nil
}

// refuse answers a request that was not even begun.
func (c *Conn) refuse(id uint32, e *Error, a Abuse) {
	c.Out = appendReset(c.Out, id, e.Code)
	c.remember(id)
	c.shared.Counters.Faults++
	c.shared.Counters.Hidden++
	c.answered()
	c.count(a)
}

// trailers takes a header block behind the content (8.1).
func (c *Conn) trailers(s *Stream, h *head, ends, dep bool) *Error {
	fields, e := h.trailer()
	switch {
	case s.is(recvEnd):
		e = ErrHalfClosed
	case dep:
		e = ErrDependency
	case s.is(isConnect):
		e = ErrConnect // 8.5: nothing but DATA
	case !ends:
		e = ErrTrailersEnd
	case e == nil && s.left > 0:
		e = ErrTooShort
	}
	if e != nil {
		c.endStream(s, e, faults)
		return e
	}
	if len(fields) == 0 {
		c.ended(s, nil)
		return nil
	}
	s.state |= recvEnd
	c.record(record{kind: GotTrailers, id: s.id, end: true, fields: fields})
	return nil
}

// absent says what a frame means that is on a stream which is not open: an
// error, or nil if it was on its way when we reset the stream (5.1).
func (c *Conn) absent(id uint32) *Error {
	switch {
	case id > c.lastID || id&1 == 0:
		return ErrIdle
	case c.away == wentAway && id > c.awayID:
		return nil
	}
	for _, r := range c.resetIDs {
		if r == id {
			return nil
		}
	}
	for _, r := range c.closed {
		if r == id {
			return ErrClosed
		}
	}
	return ErrStreamID // never opened, or long ago (5.1.1)
}

// priorityFrame takes a PRIORITY frame (6.3), which means nothing any more.
func (c *Conn) priorityFrame(h header, p []byte) *Error {
	if h.stream == 0 {
		return ErrStreamID
	}
	if len(p) != 5 {
		return c.streamError(h.stream, ErrPriorityLength)
	}
	if binary.BigEndian.Uint32(p)&maxWindow == h.stream {
		return c.streamError(h.stream, ErrDependency)
	}
	c.count(priorities)
	return nil
}

// streamError ends a stream if it is open. Otherwise there is nothing to be
// reset, and the connection ends (5.4.2 lets us always do so).
func (c *Conn) streamError(id uint32, e *Error) *Error {
	s := c.find(id)
	if s == nil {
		return e
	}
	c.endStream(s, e, faults)
	return nil
}

// resetFrame takes a RST_STREAM frame (6.4).
func (c *Conn) resetFrame(h header, p []byte) *Error {
	switch {
	case len(p) != 4:
		return ErrFrameLength
	case h.stream == 0:
		return ErrStreamID
	case h.stream > c.lastID || h.stream&1 == 0:
		return ErrIdle
	}
	c.noteClosed(h.stream)
	s := c.find(h.stream)
	if s == nil {
		c.count(late)
		return nil
	}
	c.shared.Counters.ClientResets++
	c.finish(s, ErrClientReset, Code(binary.BigEndian.Uint32(p)))
	c.count(resets)
	return nil
}

// settingsFrame takes a SETTINGS frame (6.5).
func (c *Conn) settingsFrame(h header, p []byte) *Error {
	l := c.shared.Limits
	switch {
	case h.stream != 0:
		return ErrStreamID
	case h.flags&flagAck != 0:
		if len(p) != 0 {
			return ErrFrameLength
		}
		if c.settled {
			return ErrAck
		}
		c.settled, c.settingsBy = true, 0
		return nil
	case len(p)%6 != 0:
		return ErrFrameLength
	case len(p)/6 > l.SettingsPerFrame:
		return calm[settingsEntries]
	}
	initial := c.initialSend
	for ; len(p) > 0; p = p[6:] {
		value := binary.BigEndian.Uint32(p[2:])
		switch binary.BigEndian.Uint16(p) {
		case setHeaderTableSize:
			c.encoder.limit(value)
		case setEnablePush, setNoPriorities, setConnectProtocol:
			if value > 1 {
				return ErrSetting
			}
		case setInitialWindow:
			if value > maxWindow {
				return ErrInitialWindow
			}
			initial = int32(value)
		case setMaxFrameSize:
			// We never send frames above the smallest value that it can have.
			if value < frameSize || value > 1<<24-1 {
				return ErrSetting
			}
		}
	}
	if e := c.setInitialWindow(initial); e != nil {
		return e
	}
	c.started = true
	c.Out = appendHeader(c.Out, 0, typeSettings, flagAck, 0)
	c.answered()
	c.count(settings)
	return nil
}

// setInitialWindow changes the windows of all streams (6.9.2).
func (c *Conn) setInitialWindow(n int32) *Error {
	delta := int64(n) - int64(c.initialSend)
	if delta == 0 {
		return nil
	}
	c.initialSend = n
	for _, z := range c.idle {
		if !z.Idle().send.add(delta) {
			return ErrWindowOverflow
		}
	}
	if c.streams.n == 0 {
		return nil
	}
	for _, s := range c.streams.slots {
		if s == nil {
			continue
		}
		if !s.send.add(delta) {
			return ErrWindowOverflow
		}
		if s.send > 0 {
			c.list(s)
		} else {
			c.unlist(s)
		}
	}
	return nil
}

// ping takes a PING frame (6.7).
func (c *Conn) ping(h header, p []byte) *Error {
	switch {
	case h.stream != 0:
		return ErrStreamID
	case len(p) != 8:
		return ErrFrameLength
	}
	data := binary.BigEndian.Uint64(p)
	switch {
	case h.flags&flagAck == 0:
		c.Out = appendPing(c.Out, flagAck, data)
		c.answered()
		c.count(pings)
	case data == pingMeasure && c.measuring:
		c.grow()
	case data == pingDrain && c.away == goingAway:
		c.goAway()
	default:
		c.count(pings)
	}
	return nil
}

// goAwayFrame takes a GOAWAY frame (6.8): the client opens no more streams.
func (c *Conn) goAwayFrame(h header, p []byte) *Error {
	switch {
	case h.stream != 0:
		return ErrStreamID
	case len(p) < 8:
		return ErrFrameLength
	}
	if c.peerAway {
		c.count(unknown)
	}
	c.peerAway = true
	return nil
}

// windowUpdate takes a WINDOW_UPDATE frame (6.9).
func (c *Conn) windowUpdate(h header, p []byte) *Error {
	if len(p) != 4 {
		return ErrFrameLength
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if h.stream == 0 {
		if n == 0 {
			return ErrZeroUpdate
		}
		if !c.send.add(n) {
			return ErrWindowOverflow
		}
		c.count(windowUpdates)
		return nil
	}
	if h.stream > c.lastID || h.stream&1 == 0 {
		return ErrIdle
	}
	if n == 0 {
		return c.streamError(h.stream, ErrStreamUpdate)
	}
	if c.count(windowUpdates) {
		return nil
	}
	s := c.find(h.stream)
	if s == nil {
		return nil // 5.1: it may have been on its way
	}
	if !s.send.add(n) {
		c.endStream(s, ErrStreamOverflow, faults)
		return nil
	}
	c.list(s)
	return nil
}

// priorityUpdate takes a PRIORITY_UPDATE frame (RFC 9218 7.1).
func (c *Conn) priorityUpdate(h header, p []byte) *Error {
	switch {
	case h.stream != 0:
		return ErrStreamID
	case len(p) < 4:
		return ErrFrameLength
	}
	id := binary.BigEndian.Uint32(p) & maxWindow
	if id&1 == 0 {
		return ErrPriority // 0, or a push that we never promised
	}
	if c.count(priorities) {
		return nil
	}
	pr := parsePriority(p[4:], priority{urgency: defaultUrgency})
	if s := c.find(id); s != nil {
		c.prioritize(s, pr)
	} else if id > c.lastID {
		c.keepPriority(id, pr)
	}
	return nil
}
