package exchange

import (
	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// readWindow is how much of a stored body a client may have unsent, in bytes.
const readWindow = 256 << 10

// reader makes the exchange the sender of a stored body, if it is too long to
// be given to the client at once.
func (x *Exchange) reader(a *cache.Answer) bool {
	if a.NoBody || a.Big == nil {
		return false
	}
	if p := a.Big.At(a.From, a.To-a.From); int64(len(p)) == a.To-a.From {
		a.Body, a.Big = p, nil
		return false
	}
	x.role = reads
	x.fill = nil
	x.body, x.at, x.to = a.Big, a.From, a.To
	x.body.Retain()
	x.grant, x.window = readWindow, readWindow
	x.headSent = true
	return true
}

// Send begins with a stored body, behind its head.
func (x *Exchange) Send() { x.pump() }

// pump sends what is there and what the client has room for.
func (x *Exchange) pump() {
	if x.pumps || x.client == nil {
		return
	}
	x.pumps = true
	c := x.client
	for x.client == c && x.grant > 0 {
		p := x.body.At(x.at, min(x.to-x.at, int64(x.grant)))
		if len(p) == 0 {
			if x.body.Failed && x.at < x.to {
				x.stopReading()
				c.Abort()
				return
			}
			if x.at == x.to { // it is empty
				x.stopReading()
				c.Body(nil, true)
				return
			}
			break
		}
		x.at += int64(len(p))
		x.grant -= len(p)
		if x.at == x.to {
			x.stopReading()
			c.Body(p, true)
			return
		}
		c.Body(p, false)
	}
	if x.client == c {
		x.pumps = false
	}
}

// stopReading ends the exchange.
func (x *Exchange) stopReading() {
	if x.fill != nil {
		x.fill.forget(x)
		x.fill = nil
	}
	x.body.Release()
	x.over()
}

// forget takes a reader out of those who hear of more.
func (f *fill) forget(x *Exchange) {
	for i, r := range f.readers {
		if r == x {
			f.readers = append(f.readers[:i], f.readers[i+1:]...)
			return
		}
	}
}

// wake tells the readers that there is more, or that no more will come.
func (f *fill) wake() {
	for i := len(f.readers) - 1; i >= 0; i-- {
		if i < len(f.readers) {
			f.readers[i].pump()
		}
	}
}

// The fill as the Client of its exchange.

// Informational implements Client.
func (f *fill) Informational(*message.Response) {}

// Respond implements Client: nobody is left who would want this response.
func (f *fill) Respond(_ *message.Response, _ []byte, end bool) { f.unwanted(end) }

// Stored implements Client.
func (f *fill) Stored(*cache.Answer, bool) {}

// Moved implements Client.
func (f *fill) Moved(*Exchange) {}

// Body implements Client.
func (f *fill) Body(b []byte, end bool) {
	x := f.leader
	if f.body == nil || f.body.Failed {
		f.unwanted(end)
		return
	}
	if f.length < 0 && !f.reserveFor(len(b)) || f.length >= 0 && f.body.Len()+int64(len(b)) > f.length {
		f.fails(end)
		return
	}
	f.body.Append(b)
	if end {
		f.leader = nil
		f.complete()
		return
	}
	if x != nil && len(b) > 0 {
		x.Sent(len(b), true)
	}
	f.wake()
}

// complete stores what was collected.
func (f *fill) complete() {
	s := f.stage
	if f.length >= 0 && f.body.Len() != f.length {
		f.fails(true)
		return
	}
	f.body.Done = true
	f.draft.WithBig(f.body)
	cost := f.draft.Cost()
	stored := true
	if cost > f.reserved {
		stored = s.Cache.Reserve(cost - f.reserved)
	} else {
		s.Cache.Release(f.reserved - cost)
	}
	if stored {
		f.reserved = 0
		k := f.cacheKey()
		stored = s.Cache.Put(f.reg.Space, &k, f.canonical, f.draft, f.mark)
	} else {
		s.Cache.Release(f.reserved)
		f.reserved = 0
	}
	f.wake()
	f.settle(stored)
}

// fails gives up on a body that does not come as it should.
func (f *fill) fails(end bool) {
	x := f.leader
	f.give()
	f.wake()
	if !end && x != nil {
		x.letGo(false)
	}
}

// unwanted ends an exchange that nobody waits for.
func (f *fill) unwanted(end bool) {
	x := f.leader
	f.give()
	if !end && x != nil {
		x.letGo(false)
	}
}

// Trailers implements Client. A stored response has none.
func (f *fill) Trailers([]message.Field) { f.Body(nil, true) }

// File implements Client.
func (f *fill) File(fd int, offset, length int64, end bool) {
	ok := f.readFile(fd, offset, length)
	f.stage.CloseFile(fd)
	if !ok {
		f.fails(end)
		return
	}
	x := f.leader
	if end {
		f.Body(nil, true)
		return
	}
	if x != nil {
		x.Sent(channel.FileWindowCost, true)
	}
	f.wake()
}

// Run implements Client.
func (f *fill) Run(r cache.Run, cost int, end bool) {
	ok := f.copyRun(r)
	r.Body.Release()
	if !ok {
		f.fails(end)
		return
	}
	x := f.leader
	if end {
		f.Body(nil, true)
		return
	}
	if x != nil {
		x.Sent(cost, true)
	}
	f.wake()
}

// copyRun puts stored bytes behind the body.
func (f *fill) copyRun(r cache.Run) bool {
	if f.body == nil || f.body.Failed || f.length >= 0 && f.body.Len()+r.Len() > f.length {
		return false
	}
	for r.Len() > 0 {
		b := r.Head(r.Len())
		if f.length < 0 && !f.reserveFor(len(b)) {
			return false
		}
		f.body.Append(b)
		r.From += int64(len(b))
	}
	return true
}

// readFile puts a piece of a file behind the body.
func (f *fill) readFile(fd int, offset, length int64) bool {
	if f.body == nil || f.body.Failed {
		return false
	}
	total := f.body.Len() + length
	if f.length >= 0 && total > f.length || total > f.stage.Cache.Largest() {
		return false
	}
	var buf [16 << 10]byte
	for length > 0 {
		n, err := f.stage.ReadFile(fd, buf[:min(int64(len(buf)), length)], offset)
		if err != nil || n <= 0 || f.length < 0 && !f.reserveFor(n) {
			return false
		}
		f.body.Append(buf[:n])
		offset += int64(n)
		length -= int64(n)
	}
	return true
}

// reserveFor takes room for n bytes of a body whose length is not known.
func (f *fill) reserveFor(n int) bool {
	if f.body.Len()+int64(n) > f.stage.Cache.Largest() {
		return false
	}
	if f.reserved == 0 {
		return f.reserve(int64(n))
	}
	more := cache.BodyCost(f.body.Len()+int64(n)) - cache.BodyCost(f.body.Len())
	if more > 0 && !f.stage.Cache.Reserve(more) {
		return false
	}
	f.reserved += more
	return true
}

// collect copies what goes to the client.
func (f *fill) collect(b []byte, end bool) {
	if !f.reserveFor(len(b)) {
		f.give()
		return
	}
	f.body.Append(b)
	if end {
		f.leader.fill, f.leader.role = nil, bystander
		f.leader = nil
		f.tee = false
		f.complete()
	}
}

// collectFile is collect for a piece of a file, which stays with the client.
func (f *fill) collectFile(fd int, offset, length int64, end bool) {
	if !f.readFile(fd, offset, length) {
		f.give()
		return
	}
	if end {
		f.collect(nil, true)
	}
}

// collectRun is collect for stored bytes.
func (f *fill) collectRun(r cache.Run, end bool) {
	if !f.copyRun(r) {
		f.give()
		return
	}
	if end {
		f.collect(nil, true)
	}
}

// Opaque implements Client.
func (f *fill) Opaque(*message.Response) {}

// CanOpaque implements Client.
func (f *fill) CanOpaque(int) bool { return false }

// Close implements Client.
func (f *fill) Close() { f.unwanted(true) }

// Fail implements Client: the exchange is over.
func (f *fill) Fail(int, string, string) { f.Abort() }

// Hangup implements Client.
func (f *fill) Hangup() { f.Abort() }

// Abort implements Client.
func (f *fill) Abort() {
	f.leader = nil
	f.give()
	f.wake()
}

// ReadMore implements Client.
func (f *fill) ReadMore() {}
