package exchange

import (
	"errors"

	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/queue"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// Exchange is one request and its response. It begins in Stage.Begin and is
// over when both sides have let go; then its memory is used again, so neither
// side may keep it longer.
type Exchange struct {
	stage  *Stage
	client Client // nil: gone, or has all of the response
	worker Worker // nil: waiting, or done
	reg    *Registration
	peer   Peer
	entry  queue.Entry[*Exchange]

	// frame is the request as the worker got it, REQUEST and then DATA. It is
	// kept until the worker is known to have begun, so that another can get it.
	frame []byte

	ask    compress.Ask // what the request says about compression
	packer *packer      // that is between client and us; nil: none

	key    uint64 // affinity; 0: any worker
	learns bool   // the answer may hold the client's key

	Stream uint32 // number at the worker's channel

	begun    bool // the worker has said something about it
	lost     bool // more was sent than frame keeps: no other worker can get it
	reqEnded bool // the worker has the end of the request
	broken   bool // the request will never end
	halfEnd  bool // the client has closed its sending side
	respEnd  bool // opaque: the worker has closed its sending side
	headSent bool
	opaque   bool
	held     bool   // opaque: nothing goes to the worker, as the socket may be handed over
	offered  bool   // the worker was sent the client's socket, and has not answered
	raw      bool   // it is a connection without HTTP, opaque or nothing
	ahead    bool   // the client has sent something behind its request, which a frame tells
	followed bool   // it had when the request came, and the request says so
	relayed  bool   // counted among those that are relayed
	quiet    *quiet // opaque with an idle limit: its place in the stage's list

	bodySent   int64 // bytes of the request body that went to the worker
	sendWindow int   // bytes of it that the worker takes now
	grant      int   // bytes of response body that the worker may still send
	window     int   // the grant when nothing is outstanding
	lent       int   // part of window that is from the worker's budget
	unreturned int   // bytes the client has taken and grant does not know
	promised   int64 // bytes of body that the head's Content-Length says are still to come, if counted
	counted    bool

	cached
}

// Errors by which a worker loses its channel.
var (
	ErrWindow = errors.New("more body bytes than its window allows")
	ErrOrder  = errors.New("frame that does not fit the state of its stream")
)

// maxWindow is how far the window of a fast client's response grows, and
// keepBody how much of a request body is kept until the worker has begun.
const (
	maxWindow = 1 << 20
	keepBody  = 1 << 16
)

// Registration is the prefix that the request matched.
func (x *Exchange) Registration() *Registration { return x.reg }

// Peer is the connection of the client; nil if nobody is told of it.
func (x *Exchange) Peer() Peer { return x.peer }

// Begun says whether the worker has said anything about the request.
func (x *Exchange) Begun() bool { return x.begun }

// Frame is the request as frames for stream 0.
func (x *Exchange) Frame() []byte { return x.frame }

// Assign gives the exchange to a worker, whose channel sends Frame. sendWindow
// is what it takes of the request body, window what it may send of the
// response body.
func (x *Exchange) Assign(w Worker, stream uint32, sendWindow, window int) {
	x.worker, x.Stream = w, stream
	x.sendWindow = sendWindow - int(x.bodySent)
	x.grant, x.window = window, window
	if x.halfEnd { // as the worker before knew
		w.Cancel(x, channel.CancelHalfClosed)
	}
	if x.ahead {
		w.Ahead(x)
	}
	if !x.reqEnded && x.client != nil {
		x.client.ReadMore()
	}
}

// Fits says whether Frame is within the window of a worker for request bodies.
// It always is until a worker has died, whose window may have been wider.
func (x *Exchange) Fits(window int) bool { return x.bodySent <= int64(window) }

// GiveUp answers a request that waits and can be given to no worker.
func (x *Exchange) GiveUp() {
	x.fail(502, "Connection_Abandoned_By_ReqQueue", "The program ended before it answered.")
}

// touched: the worker has begun, so nobody else will get the request.
func (x *Exchange) touched() {
	x.begun = true
	if cap(x.frame) > maxKept {
		x.keepOriginal()
		x.frame = nil
	}
}

// --- client to worker ---

// Room is how many bytes RequestBody takes now. ReadMore tells when it has
// become more than none.
func (x *Exchange) Room() int {
	if x.worker == nil || x.held {
		return 0
	}
	return min(x.sendWindow, x.worker.Room())
}

// RequestBody passes on at most Room bytes. end may come without bytes at any
// time after the exchange was assigned.
func (x *Exchange) RequestBody(b []byte, end bool) {
	if x.worker == nil { // it has said its last word, and only the client does not know yet
		return
	}
	if x.quiet != nil {
		x.quiet.last = x.stage.now()
	}
	x.sendWindow -= len(b)
	x.bodySent += int64(len(b))
	if end && !x.opaque {
		x.reqEnded = true
	}
	if !x.begun {
		x.keep(b, end)
	}
	x.worker.Data(x, b, end)
}

// keep remembers what a worker that has not begun was sent.
func (x *Exchange) keep(b []byte, end bool) {
	if x.lost || x.bodySent > keepBody {
		x.lost = true
		return
	}
	flags := channel.Flags(0)
	if end {
		flags = channel.FlagEnd
	}
	x.frame = channel.AppendFrame(x.frame, channel.Data, flags, 0, 0, b)
}

// Assigned says whether a worker has the request, or has answered it.
func (x *Exchange) Assigned() bool { return x.worker != nil || x.packer != nil }

// RequestTrailers ends the request body.
func (x *Exchange) RequestTrailers(fields []message.Field) {
	if x.worker == nil {
		return
	}
	x.reqEnded, x.lost = true, true
	x.worker.Trailers(x, fields)
}

// RequestBroken tells the worker that the rest of the body will not come. The
// response may still be delivered.
func (x *Exchange) RequestBroken() {
	if x.broken || x.worker == nil {
		return
	}
	x.broken, x.lost = true, true
	x.worker.Cancel(x, channel.CancelBody)
}

// Received is how many bytes of the request body were passed on.
func (x *Exchange) Received() int64 { return x.bodySent }

// MaxBody is the longest request body that the registration takes; 0: any.
func (x *Exchange) MaxBody() int64 {
	if m := x.reg.Settings().MaxBody; m != nil {
		return *m
	}
	return 0
}

// ClientGone ends the client's side: nobody waits for the answer.
func (x *Exchange) ClientGone() {
	if x.leaveCache() {
		return
	}
	x.client = nil
	if x.packer != nil {
		x.packer.drop()
	}
	lane := x.reg.Queue.Lane(x.stage.loop)
	lane.Cancelled.Add(1)
	if x.entry.Waiting() {
		lane.Remove(&x.entry)
	}
	if w := x.worker; w != nil {
		x.worker = nil
		x.returnLoan(w)
		w.Cancel(x, channel.CancelGone)
	}
	x.stage.put(x)
}

// ClientHalfClosed tells that the client has closed its sending side after a
// complete request. It reports whether an answer may still come; if not, the
// exchange is over: a request that nobody has taken is dropped, since clients
// that leave look the same.
func (x *Exchange) ClientHalfClosed() bool {
	if x.role == reads || x.worker == nil && x.packer != nil {
		return true
	}
	if x.worker == nil {
		x.ClientGone()
		return false
	}
	x.halfEnd = true
	x.worker.Cancel(x, channel.CancelHalfClosed)
	return true
}

// Sent tells that the client has taken n bytes of what it was given of the
// response body, and whether it has taken all there was: then it is fast, and
// gets a window four times as wide, as far as maxWindow and the worker's budget go: each
// step is a switch to the worker and back, which for a body of 1 MiB costs as much as its bytes.
func (x *Exchange) Sent(n int, all bool) {
	if x.role == reads {
		x.grant += n
		x.pump()
		return
	}
	if x.packer != nil {
		x.packer.taken(n, all)
		return
	}
	x.returned(n, all)
}

// returned tells that n bytes as the worker sent them need no room any more.
func (x *Exchange) returned(n int, all bool) {
	w := x.worker
	if w == nil {
		return
	}
	x.unreturned += n
	if x.unreturned < x.window/2 || x.suffices() {
		return
	}
	more := x.unreturned
	if all && x.window < maxWindow {
		want := min(3*x.window, maxWindow-x.window)
		if x.counted {
			want = int(min(int64(want), x.promised-int64(x.grant+more)))
		}
		if want > 0 {
			got := w.Lend(want)
			x.window += got
			x.lent += got
			more += got
		}
	}
	x.unreturned = 0
	x.grant += more
	w.Window(x, more)
}

// suffices says that the worker can send all of its body with what it was granted: then no frame need wake it up to
// grant more. It can pass a file or a fragment all the same, which take from the window another amount than their length: from then on this
// does not hold.
func (x *Exchange) suffices() bool {
	return x.counted && x.promised >= 0 && int64(x.grant) >= max(x.promised, channel.FileWindowCost)
}

func (x *Exchange) returnLoan(w Worker) {
	if x.lent > 0 {
		w.Return(x.lent)
		x.lent = 0
	}
}

// --- worker to client ---

// Takes says whether n bytes of body are within the window.
func (x *Exchange) Takes(n int) bool { return n <= x.grant }

// take checks n bytes of body against the window.
func (x *Exchange) take(n int) error {
	if !x.Takes(n) {
		return ErrWindow
	}
	x.grant -= n
	return nil
}

// Respond takes a head from the worker. With end the exchange is over when it
// returns.
func (x *Exchange) Respond(r *message.Response, body []byte, end bool) error {
	x.begun = true
	if x.raw {
		return misuse("a response to a connection that is not HTTP")
	}
	if r.Informational() {
		if x.headSent || end || len(body) > 0 {
			return ErrOrder
		}
		x.client.Informational(r)
		return nil
	}
	if x.headSent {
		return ErrOrder
	}
	if r.Status == 101 {
		return misuse("101 without opaque mode")
	}
	if err := x.take(len(body)); err != nil {
		return err
	}
	x.headSent = true
	if x.learns {
		worker := x.worker.ID()
		x.reg.Affinity.learn(r, body, func(key uint64) { x.reg.Queue.Pins.Set(key, worker) })
	}
	if x.role != bystander && x.respondCached(r, body, end) {
		return nil
	}
	if r.ForDaemon {
		strip(r)
	}
	if x.pack(r, body, end) {
		return nil
	}
	c := x.client
	if end {
		x.over()
	} else {
		x.touched()
		x.counted = r.ContentLength >= 0 && x.fill == nil
		x.promised = r.ContentLength - int64(len(body))
	}
	c.Respond(r, body, end)
	return nil
}

// Data takes body bytes from the worker.
func (x *Exchange) Data(b []byte, end bool) error {
	if !x.headSent || x.respEnd || x.held {
		return ErrOrder
	}
	if x.quiet != nil {
		x.quiet.last = x.stage.now()
	}
	if err := x.take(len(b)); err != nil {
		return err
	}
	x.promised -= int64(len(b))
	if x.fill != nil && x.fill.tee {
		x.fill.collect(b, end)
	}
	c := x.client
	if x.respEnd = end && x.opaque; end && !x.opaque {
		x.over()
	}
	c.Body(b, end)
	return nil
}

// Trailers takes the end of the body from the worker.
func (x *Exchange) Trailers(fields []message.Field) error {
	if !x.headSent || x.opaque {
		return ErrOrder
	}
	if x.fill != nil && x.fill.tee {
		x.fill.collect(nil, true)
	}
	c := x.client
	x.over()
	c.Trailers(fields)
	return nil
}

// File takes a piece of a file from the worker. On an error the caller keeps
// the descriptor.
func (x *Exchange) File(fd int, offset, length int64, end bool) error {
	if !x.headSent || x.opaque {
		return ErrOrder
	}
	if err := x.take(channel.FileWindowCost); err != nil {
		return err
	}
	x.counted = false
	if x.fill != nil && x.fill.tee {
		x.fill.collectFile(fd, offset, length, end)
	}
	c := x.client
	if end {
		x.over()
	}
	c.File(fd, offset, length, end)
	return nil
}

// WindowUpdate lets n more bytes of the request body go to the worker.
func (x *Exchange) WindowUpdate(n int) error {
	x.touched()
	if x.sendWindow += n; x.sendWindow > channel.MaxWindow {
		return ErrWindow
	}
	if x.client != nil {
		x.client.ReadMore()
	}
	return nil
}

// HeadSent says whether the client was sent a final head.
func (x *Exchange) HeadSent() bool { return x.headSent }

// WorkerCancels takes the worker's CANCEL: the exchange is over. orderly is the
// connection's end: after what was sent in opaque mode, or instead of an answer.
func (x *Exchange) WorkerCancels(orderly bool) {
	if x.lostFetch() {
		return
	}
	c := x.client
	if x.offered {
		x.handedOver()
		return
	}
	sent, opaque := x.headSent, x.opaque
	x.over()
	switch {
	case opaque && orderly:
		c.Close()
	case sent:
		c.Abort()
	case orderly:
		c.Hangup()
	default:
		c.Fail(502, "Request_Cancelled", "The program gave up on the request.")
	}
}

// Refused ends the exchange because of what the worker said.
func (x *Exchange) Refused() {
	x.refused(502, "BadResponse", "The program's answer was not valid HTTP.")
}

func (x *Exchange) refused(status int, reason, text string) {
	if x.lostFetch() {
		return
	}
	c, sent := x.client, x.headSent
	x.over()
	if sent {
		c.Abort()
	} else {
		c.Fail(status, reason, text)
	}
}

// over ends the exchange after the worker's last word. The client has what it
// needs and goes on alone.
func (x *Exchange) over() {
	if w := x.worker; w != nil {
		x.worker = nil
		x.returnLoan(w)
	}
	if x.packer != nil {
		return // it has still something to say to the client
	}
	x.client = nil
	x.stage.put(x)
}

// WorkerDied takes the exchange away from a worker whose channel has ended.
// begun says whether it had begun with it, as far as the channel knows.
func (x *Exchange) WorkerDied(begun bool) {
	if x.offered {
		x.handedOver() // perhaps the process lives on and has it
		return
	}
	x.worker = nil
	if begun || x.begun || x.lost {
		if x.lostFetch() {
			return
		}
		c := x.client
		sent := x.headSent
		x.over()
		if sent {
			c.Abort()
		} else {
			c.Fail(502, "Connection_Abandoned_By_ReqQueue", "The program ended before it answered.")
		}
		return
	}
	x.lent, x.unreturned = 0, 0
	lane := x.reg.Queue.Lane(x.stage.loop)
	lane.Requeue(&x.entry)
	if x.entry.Waiting() {
		x.stage.waits(lane)
	}
}

func (x *Exchange) expire() {
	x.fail(503, "Timer_ReqQueue", "The request waited too long for a program to take it.")
}

func (x *Exchange) fail(status int, reason, text string) {
	if x.lostFetch() {
		return
	}
	c := x.client
	x.over()
	c.Fail(status, reason, text)
}

// Resume tells that the worker's channel has room again.
func (x *Exchange) Resume() {
	if x.client != nil && (!x.reqEnded || x.opaque) {
		x.client.ReadMore()
	}
}
