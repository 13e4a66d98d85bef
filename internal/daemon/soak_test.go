package daemon_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

var (
	soakTime = flag.Duration("soak", 4*time.Second, "how long the soak test runs")
	soakSeed = flag.Uint64("seed", 0, "seed of the soak test; 0: another one each time")
)

// TestSoak lets many clients that do as they like meet several applications
// that do as they like. Each request has a number, by which client and
// application know, each for itself, what it looks like and how it is answered
// (plan); so every byte on either side is checked. In the end everything must
// have come to rest.
func TestSoak(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	d := testkit.Start(t, testkit.Options{Loops: 2})
	s := &soak{d: d, t: t, until: time.Now().Add(*soakTime)}
	s.file = filepath.Join(testkit.Dir(t), "file")
	if err := os.WriteFile(s.file, material, 0o600); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(seed, 1))

	// Two workers share a queue, two have their own; a third one comes to the
	// shared queue again and again and dies there in some way.
	var apps []*soakApp
	start := func(path, queue string, opt testkit.AppOptions) *testkit.Registration {
		a := s.start(rnd.Uint64(), opt)
		apps = append(apps, a)
		url := "http://+:0" + path
		if len(s.regs) > 0 {
			url = fmt.Sprintf("http://+:%d%s", s.regs[0].Port, path)
		}
		reg := a.app.RegisterWith(channel.RegisterParams{URL: url, Queue: queue})
		s.regs = append(s.regs, reg)
		a.serve()
		return reg
	}
	start("/plain/", "", testkit.AppOptions{Credit: 100})
	start("/tight/", "", testkit.AppOptions{Credit: 3, Window: channel.MinWindow})
	start("/chaos/", "q", testkit.AppOptions{Credit: 20, Begun: true})
	start("/chaos/", "q", testkit.AppOptions{Credit: 2, Begun: true, Window: 100_000})

	var clients, killer sync.WaitGroup
	for range 12 {
		c := &soakClient{soak: s, rnd: rand.New(rand.NewPCG(rnd.Uint64(), 2))}
		clients.Go(c.run)
	}
	killSeed := rnd.Uint64()
	killer.Go(func() { s.kill(rand.New(rand.NewPCG(killSeed, 3))) })
	clients.Wait()
	killer.Wait()

	d.Exchanges(0)
	d.Wait("no request in any application", func(st *control.State) bool {
		for _, q := range st.Queues {
			for _, w := range q.Workers {
				if w.Inflight > 0 {
					return false
				}
			}
		}
		return true
	})
	for _, a := range apps {
		a.app.Close()
	}
	for _, a := range apps {
		a.done.Wait()
		for i, l := range a.loops {
			if len(l.streams) != 0 || l.credit != a.opt.Credit {
				t.Errorf("loop %d of an application has %d streams and %d of %d credits", i, len(l.streams), l.credit, a.opt.Credit)
			}
		}
	}
	t.Logf("%d requests were answered as planned, %d lost with a worker, %d given up by clients; %d workers died",
		s.answered.Load(), s.lost.Load(), s.left.Load(), s.killed.Load())
	if s.answered.Load() < 100 {
		t.Error("hardly anything was answered")
	}
}

// material is what all bodies are cut from.
var material = []byte(pattern(1 << 20))

func bodyOf(id uint64, size int) []byte {
	at := int(id*7919) % (len(material) / 2)
	if at < 0 {
		at = -at
	}
	return material[at : at+size]
}

// plan is what a request looks like, and how it is answered.
type plan struct {
	id      uint64
	method  string
	size    int  // of the request's body
	chunked bool // it is in chunks
	trailer bool // and has a trailer
	expect  bool // the client waits for 100 Continue
	mode    mode
	status  int
	resp    int  // size of the response's body
	length  bool // it has a Content-Length from the application
	text    bool // its head is text
	tail    bool // it has a trailer
	hints   int  // 103s before it
	early   bool // it does not wait for the request's body
}

type mode int

const (
	whole   mode = iota // one frame
	pieces_             // several frames
	file                // a file
	giveUp              // CANCEL instead of a response
	breaks              // CANCEL in the middle of it
	echo                // an upgrade: bytes come back
	modes
)

func planOf(id uint64) plan {
	r := rand.New(rand.NewPCG(id, 4))
	size := func() int {
		switch r.IntN(6) {
		case 0:
			return 0
		case 1:
			return r.IntN(300_000)
		case 2:
			return r.IntN(40_000)
		}
		return r.IntN(2000)
	}
	p := plan{id: id, method: []string{"GET", "POST", "HEAD", "PUT"}[r.IntN(4)], status: []int{200, 200, 404, 500}[r.IntN(4)], resp: size()}
	if p.method == "POST" || p.method == "PUT" {
		p.size = size()
		p.chunked = r.IntN(2) == 0
		p.trailer = p.chunked && r.IntN(3) == 0
		p.expect = p.size > 0 && r.IntN(5) == 0
		p.early = p.size > 0 && !p.expect && r.IntN(5) == 0
	}
	p.mode = []mode{whole, whole, whole, whole, pieces_, pieces_, pieces_, file, giveUp, breaks, echo}[r.IntN(11)]
	p.length, p.text, p.hints = r.IntN(2) == 0, r.IntN(2) == 0, max(0, r.IntN(5)-2)
	p.tail = p.mode == pieces_ && !p.length && r.IntN(3) == 0
	switch p.mode {
	case whole:
		p.resp = min(p.resp, 60_000)
	case breaks:
		p.length, p.resp = true, max(p.resp, 10)
		if p.method == "HEAD" {
			p.mode = pieces_
		}
	case echo:
		p.method, p.size, p.chunked, p.trailer, p.expect, p.early = "GET", 0, false, false, false, false
		p.hints = 0
	}
	return p
}

// body is the body of the response.
func (p *plan) body() []byte {
	if p.mode == file {
		return material[:p.resp]
	}
	return bodyOf(p.id+1, p.resp)
}

type soak struct {
	d     *testkit.Daemon
	t     *testing.T
	until time.Time
	regs  []*testkit.Registration
	file  string
	next  atomic.Uint64

	answered, lost, left, killed atomic.Int64
}

// ---------------------------------------------------------------------------
// Applications

// soakApp is an application. Its loops are served by a goroutine each.
type soakApp struct {
	*soak
	app   *testkit.App
	opt   testkit.AppOptions
	seed  uint64
	loops []*soakLoop
	done  sync.WaitGroup
	left  atomic.Int64  // frames until it has had enough
	dead  chan struct{} // closed then
	once  sync.Once
}

type soakLoop struct {
	*soakApp
	conn    *testkit.Loop
	rnd     *rand.Rand
	streams map[uint32]*soakStream
	credit  int // that the daemon has
	begun   uint64
	out     []byte // not written yet
	file    *os.File
}

type soakStream struct {
	plan
	n        uint32
	got      int // bytes of the request's body
	room     int // that the daemon may still send
	unseen   int // bytes that were not given back
	bodyEnd  bool
	trailers bool
	broken   bool
	window   int // for the response
	sent     int
	headSent bool
	halfEnd  bool // echo: the client's end came, ours went
}

func (s *soak) start(seed uint64, opt testkit.AppOptions) *soakApp {
	a := &soakApp{soak: s, app: s.d.App(opt), opt: opt, seed: seed}
	if a.opt.Window == 0 {
		a.opt.Window = channel.DefaultWindow
	}
	a.left.Store(1 << 60)
	a.dead = make(chan struct{})
	return a
}

func (a *soakApp) serve() {
	for i, c := range a.app.Loops {
		f, err := os.Open(a.file)
		if err != nil {
			a.t.Error(err)
			return
		}
		l := &soakLoop{
			soakApp: a, conn: c, rnd: rand.New(rand.NewPCG(a.seed, uint64(i))), streams: map[uint32]*soakStream{},
			credit: a.opt.Credit, file: f,
		}
		a.loops = append(a.loops, l)
		a.done.Go(l.run)
	}
}

func (l *soakLoop) run() {
	defer l.file.Close()
	for {
		if !l.conn.Pending() || l.rnd.IntN(8) == 0 {
			l.flush()
		}
		f, err := l.conn.TryNext()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			return // whether that is right is seen by the clients
		}
		if l.left.Add(-1) < 0 {
			l.once.Do(func() { close(l.dead) })
			return
		}
		l.frame(f)
	}
}

func (l *soakLoop) flush() {
	if len(l.out) > 0 {
		l.conn.TrySend(l.out)
		l.out = l.out[:0]
	}
}

func (l *soakLoop) send(b []byte) { l.out = append(l.out, b...) }

func (l *soakLoop) fail(format string, args ...any) {
	l.t.Errorf("application: %s", fmt.Sprintf(format, args...))
}

func (l *soakLoop) frame(f testkit.Frame) {
	s := l.streams[f.Stream]
	if s == nil && f.Type != channel.Request {
		return // for a stream that has ended
	}
	switch f.Type {
	case channel.Request:
		if s != nil {
			l.fail("number %d is used again too early", f.Stream)
			return
		}
		l.request(f)
		return
	case channel.Data:
		l.data(s, f.Payload, f.Flags&END != 0)
	case channel.Trailers:
		if want := "\x01\x00\x00\x00Sum\x00" + strconv.Itoa(s.size) + "\x00"; !s.trailer || string(f.Payload) != want {
			l.fail("request %d: trailers %q, want %q", s.id, f.Payload, want)
		}
		s.trailers = true
		l.data(s, nil, true)
	case channel.Window:
		n, _ := channel.Uint32(f.Payload)
		s.window += int(n)
	case channel.Cancel:
		switch f.Value {
		case channel.CancelGone:
			l.end(s, testkit.Cancel(s.n, 0, 0))
			return
		case channel.CancelBody:
			s.broken, s.bodyEnd = true, true
		}
	default:
		l.fail("got %v", f)
	}
	l.answer(s)
}

func (l *soakLoop) request(f testkit.Frame) {
	if l.credit--; l.credit < 0 {
		l.fail("a request without credit")
	}
	r := l.conn.Parse(f)
	_, number, _ := strings.Cut(strings.TrimPrefix(r.Target, "/"), "/")
	id, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		l.fail("target %s", r.Target)
		return
	}
	s := &soakStream{plan: planOf(id), n: f.Stream, room: int(l.opt.Window), window: int(l.conn.Welcome.Window)}
	l.streams[f.Stream] = s
	if l.begun++; l.opt.Begun {
		l.conn.SetBegun(l.begun)
	}
	length := int64(s.size)
	if s.chunked {
		length = -1
	}
	if r.Method != s.method || r.Head.ContentLength != length || r.Head.Flags&channel.RequestContinue != 0 != s.expect ||
		!slices.Contains(r.Fields, fmt.Sprintf("X-Id: %d", id)) {
		l.fail("request %d is %s", id, r.Text())
	}
	if s.expect && !r.Ended {
		l.send(testkit.Response(s.n, 0, 100, nil, ""))
	}
	l.data(s, []byte(r.Body), r.Ended)
	l.answer(s)
}

// data takes bytes of the client.
func (l *soakLoop) data(s *soakStream, b []byte, end bool) {
	if s.room -= len(b); s.room < 0 {
		l.fail("request %d: %d bytes beyond the window", s.id, -s.room)
	}
	if s.bodyEnd && (len(b) > 0 || end) {
		l.fail("request %d: bytes behind the end", s.id)
	}
	if s.mode == echo && s.headSent {
		if end {
			s.bodyEnd = true
		}
		s.echo(l, b, end)
		return
	}
	if s.got+len(b) > s.size || !bytes.Equal(b, bodyOf(s.id, s.size)[s.got:s.got+len(b)]) {
		l.fail("request %d: other bytes at %d", s.id, s.got)
		return
	}
	s.got += len(b)
	if end {
		if s.bodyEnd = true; s.got != s.size || s.trailer != s.trailers {
			l.fail("request %d: ended after %d of %d bytes", s.id, s.got, s.size)
		}
		return
	}
	// Give the window back in portions of any size.
	if s.unseen += len(b); s.unseen > 0 && l.rnd.IntN(3) == 0 || s.room == 0 {
		n := s.unseen
		if n == 0 {
			n = 1 + l.rnd.IntN(20_000)
		} else if l.rnd.IntN(4) == 0 {
			n = 1 + l.rnd.IntN(n)
		}
		s.unseen = max(0, s.unseen-n)
		s.room += n
		l.send(testkit.Window(s.n, uint32(n)))
	}
}

// echo sends back what came, in the same turn: the client never sends more
// than the windows of both directions.
func (s *soakStream) echo(l *soakLoop, b []byte, end bool) {
	if len(b) > 0 {
		if s.window -= len(b); s.window < 0 {
			l.fail("request %d: the client sent more than it was to", s.id)
		}
		l.send(testkit.Data(s.n, 0, string(b)))
		s.room += len(b)
		l.send(testkit.Window(s.n, uint32(len(b))))
	}
	if end {
		l.send(testkit.Data(s.n, END, ""))
		l.end(s, testkit.Cancel(s.n, 0, 1))
	}
}

// end ends a stream with its last frame.
func (l *soakLoop) end(s *soakStream, last []byte) {
	if l.streams[s.n] != s {
		return
	}
	delete(l.streams, s.n)
	l.credit++
	if l.rnd.IntN(3) == 0 {
		l.send(last)
		l.send(testkit.Credit(1))
		return
	}
	last[9] |= byte(CREDIT)
	l.send(last)
}

// answer goes on with the response as far as its window goes.
func (l *soakLoop) answer(s *soakStream) {
	if l.streams[s.n] != s || !s.bodyEnd && !s.early {
		return
	}
	if s.broken && !s.headSent {
		l.end(s, testkit.Response(s.n, END, 400, nil, ""))
		return
	}
	body := s.body()
	if !s.headSent {
		if s.mode == giveUp {
			l.end(s, testkit.Cancel(s.n, 0, 0))
			return
		}
		for range s.hints {
			l.send(testkit.Response(s.n, 0, 103, fields("Link: </x>"), ""))
		}
		f := fields(fmt.Sprintf("X-Id: %d", s.id))
		if s.mode == echo {
			l.send(testkit.Response(s.n, OPAQUE, 101, append(f, "Connection: upgrade", "Upgrade: echo"), ""))
			s.headSent, s.bodyEnd = true, false
			return
		}
		if s.length {
			f = append(f, fmt.Sprintf("Content-Length: %d", len(body)))
		}
		s.headSent = true
		make := func(flags channel.Flags, b []byte) []byte {
			if s.text {
				return testkit.TextResponse(s.n, flags, s.status, fmt.Sprintf("HTTP/1.1 %d X\r\n%s\r\n\r\n", s.status, strings.Join(f, "\r\n")), string(b))
			}
			return testkit.Response(s.n, flags, s.status, f, string(b))
		}
		if s.mode == whole {
			l.end(s, make(END, body))
			return
		}
		first := 0
		if s.mode == pieces_ && l.rnd.IntN(2) == 0 {
			first = l.rnd.IntN(min(len(body), 1000) + 1)
		}
		l.send(make(0, body[:first]))
		s.sent += first
		s.window -= first
	}
	switch s.mode {
	case echo:
		return
	case file:
		for s.window >= channel.FileWindowCost {
			n := min(len(body)-s.sent, 1+l.rnd.IntN(100_000))
			last := s.sent+n == len(body)
			b := testkit.File(s.n, 0, int64(s.sent), int64(n))
			l.flush()
			s.sent += n
			s.window -= channel.FileWindowCost
			if l.conn.TrySendFiles(b, int(l.file.Fd())); last {
				l.end(s, testkit.Data(s.n, END, ""))
				return
			}
		}
		return
	case breaks:
		if half := len(body) / 2; s.sent < half {
			n := min(half-s.sent, s.window)
			l.send(testkit.Data(s.n, 0, string(body[s.sent:s.sent+n])))
			s.sent += n
			s.window -= n
		}
		if s.sent >= len(body)/2 {
			l.end(s, testkit.Cancel(s.n, 0, 0))
		}
		return
	}
	for {
		n := min(len(body)-s.sent, s.window, 1+l.rnd.IntN(30_000))
		last := s.sent+n == len(body)
		if n == 0 && !last {
			return
		}
		b := testkit.Data(s.n, 0, string(body[s.sent:s.sent+n]))
		s.sent += n
		s.window -= n
		switch {
		case last && s.tail:
			l.send(b)
			l.end(s, testkit.Trailers(s.n, 0, fmt.Sprintf("Sum: %d", len(body))))
			return
		case last:
			b[9] |= byte(END)
			l.end(s, b)
			return
		}
		l.send(b)
	}
}

// kill brings workers to the shared queue that end badly.
func (s *soak) kill(rnd *rand.Rand) {
	for time.Now().Before(s.until) && !s.t.Failed() {
		a := s.start(rnd.Uint64(), testkit.AppOptions{Credit: 1 + rnd.IntN(5), Begun: rnd.IntN(3) > 0})
		a.left.Store(int64(1 + rnd.IntN(30)))
		a.app.RegisterWith(channel.RegisterParams{URL: s.regs[2].URL, Queue: "q"})
		a.serve()
		// Until one of its loops has had enough frames, or for a while.
		select {
		case <-a.dead:
		case <-time.After(200 * time.Millisecond):
		}
		switch rnd.IntN(3) {
		case 0:
			a.app.Loops[rnd.IntN(2)].TrySend([]byte("GET / HTTP/1.1\r\n\r\n"))
		case 1:
			a.app.Loops[rnd.IntN(2)].Close()
		}
		a.app.Close()
		a.done.Wait()
		s.killed.Add(1)
	}
}

// ---------------------------------------------------------------------------
// Clients

type soakClient struct {
	*soak
	rnd *rand.Rand
}

func (c *soakClient) run() {
	for time.Now().Before(c.until) && !c.t.Failed() {
		c.connection()
	}
}

// head is a request as the client sends it, without its body.
func (p *plan) head(path string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%d HTTP/1.1\r\nHost: a\r\nX-Id: %d\r\n", p.method, path, p.id, p.id)
	switch {
	case p.mode == echo:
		b.WriteString("Connection: upgrade\r\nUpgrade: echo\r\n")
	case p.chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n")
	case p.size > 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", p.size)
	}
	if p.expect {
		b.WriteString("Expect: 100-continue\r\n")
	}
	return b.String() + "\r\n"
}

func (p *plan) content(rnd *rand.Rand) string {
	body := string(bodyOf(p.id, p.size))
	if !p.chunked {
		return body
	}
	s := chunked(body, 1+rnd.IntN(50_000))
	if p.trailer {
		s = strings.TrimSuffix(s, "\r\n") + fmt.Sprintf("Sum: %d\r\n\r\n", p.size)
	}
	return s
}

// connection is the life of one connection.
func (c *soakClient) connection() {
	reg := c.regs[c.rnd.IntN(len(c.regs))]
	path := reg.URL[strings.LastIndex(strings.TrimSuffix(reg.URL, "/"), "/"):]
	nc, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port))
	if err != nil {
		c.t.Errorf("client: %v", err)
		return
	}
	client := c.d.FreeClient(nc)
	defer nc.Close()
	var plans []plan
	for range 1 + c.rnd.IntN(6) {
		p := planOf(c.next.Add(1))
		plans = append(plans, p)
		if p.mode == echo {
			break // the connection is not HTTP any more after it
		}
	}
	leave := -1 // before which response it leaves
	if c.rnd.IntN(5) == 0 {
		leave = c.rnd.IntN(len(plans))
	}
	// Requests go ahead of their responses as far as the client dares: it waits
	// where it was told to (Expect), and before an upgrade.
	answered := make(chan struct{}, len(plans))
	proceed := make(chan bool, 1)
	var writer sync.WaitGroup
	seed := c.rnd.Uint64()
	ahead := c.rnd.IntN(4)
	writer.Go(func() {
		rnd := rand.New(rand.NewPCG(seed, 5))
		have := 0 // answers
		for i := range plans {
			p := &plans[i]
			need := i - ahead
			if p.expect || p.mode == echo || i > 0 && plans[i-1].expect {
				need = i
			}
			for ; have < need; have++ {
				if _, ok := <-answered; !ok {
					return
				}
			}
			write(nc, rnd, p.head(path))
			if p.expect && !<-proceed {
				return
			}
			if write(nc, rnd, p.content(rnd)) != nil {
				return
			}
		}
	})
	for i := range plans {
		if i == leave {
			c.leave(nc)
			c.left.Add(int64(len(plans) - i))
			break
		}
		more, err := c.response(client, nc, &plans[i], proceed, path == "/chaos/")
		if err != nil {
			c.t.Errorf("client: request %d (%+v) to %s: %v", plans[i].id, plans[i], path, err)
		}
		answered <- struct{}{}
		if !more {
			break
		}
	}
	close(proceed)
	close(answered)
	nc.Close()
	writer.Wait()
}

// write sends s in pieces of any size.
func write(nc net.Conn, rnd *rand.Rand, s string) error {
	nc.SetWriteDeadline(time.Now().Add(testkit.Patience))
	for len(s) > 0 {
		n := len(s)
		switch rnd.IntN(4) {
		case 0:
			n = min(n, 1+rnd.IntN(20))
		case 1:
			n = min(n, 1+rnd.IntN(5000))
		}
		if _, err := io.WriteString(nc, s[:n]); err != nil {
			return err
		}
		s = s[n:]
	}
	return nil
}

func (c *soakClient) leave(nc *net.TCPConn) {
	switch c.rnd.IntN(3) {
	case 0:
		nc.SetLinger(0)
	case 1:
		nc.CloseWrite()
	}
	nc.Close()
}

// response reads the response to a request; more says whether another one
// will follow on the connection.
func (c *soakClient) response(client *testkit.Client, nc *net.TCPConn, p *plan, proceed chan bool, chaos bool) (more bool, err error) {
	var a *testkit.Answer
	hints := 0
	for {
		a, err = client.TryResponseTo(p.method)
		if err == nil && a.Status == 100 && p.expect {
			proceed <- true
			continue
		}
		if err == nil && a.Status == 103 {
			hints++
			continue
		}
		break
	}
	if chaos && (err != nil || a.Status == 502 && p.mode != giveUp) {
		// Its worker died. With the head on its way the connection is cut.
		if err != nil && a == nil && !errors.Is(err, io.EOF) && !isReset(err) {
			return false, err
		}
		c.lost.Add(1)
		return err == nil && !a.Close, nil
	}
	body := p.body()
	switch p.mode {
	case giveUp:
		if err != nil || a.Status != 502 {
			return false, fmt.Errorf("got %+v, %v; want 502", a, err)
		}
		c.answered.Add(1)
		return !a.Close, nil
	case breaks:
		if err == nil || a == nil || a.Length != len(body) || !bytes.HasPrefix(body, []byte(a.Body)) {
			return false, fmt.Errorf("got %+v, %v; want a response that is cut", a, err)
		}
		c.answered.Add(1)
		return false, nil
	case echo:
		if err != nil || a.Status != 101 {
			return false, fmt.Errorf("got %+v, %v; want 101", a, err)
		}
		if err := c.echo(client, nc, p); err != nil && !chaos {
			return false, err
		}
		c.answered.Add(1)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	want := body
	if p.method == "HEAD" {
		want = nil
	}
	switch {
	case a.Status != p.status || a.Field("X-Id") != strconv.FormatUint(p.id, 10):
		err = fmt.Errorf("got %s", a.Head)
	case hints != p.hints:
		err = fmt.Errorf("got %d 103s", hints)
	case a.Body != string(want):
		err = fmt.Errorf("got %d other bytes, want %d", len(a.Body), len(want))
	case p.length && a.Length != len(body):
		err = fmt.Errorf("got length %d, want %d", a.Length, len(body))
	case p.tail && p.method != "HEAD" && a.Trailer != fmt.Sprintf("Sum: %d\r\n", len(body)):
		err = fmt.Errorf("got trailer %q", a.Trailer)
	case a.Close && !p.early:
		err = fmt.Errorf("the connection is closed: %s", a.Head)
	}
	if err == nil {
		c.answered.Add(1)
	}
	return !a.Close, err
}

func isReset(err error) bool {
	return strings.Contains(err.Error(), "connection reset") || errors.Is(err, io.ErrUnexpectedEOF)
}

// echo sends bytes and expects them back, and then the end.
func (c *soakClient) echo(client *testkit.Client, nc *net.TCPConn, p *plan) error {
	for range c.rnd.IntN(4) {
		b := bodyOf(c.rnd.Uint64(), 1+c.rnd.IntN(16_000))
		if _, err := nc.Write(b); err != nil {
			return err
		}
		got, err := client.TryBytes(len(b))
		if err != nil || !bytes.Equal(got, b) {
			return fmt.Errorf("got %d of %d bytes back, %v", len(got), len(b), err)
		}
	}
	if c.rnd.IntN(4) == 0 {
		return nil // leave
	}
	nc.CloseWrite()
	if rest, err := client.TryBytes(1); err != io.EOF {
		return fmt.Errorf("at the end came %q, %v", rest, err)
	}
	return nil
}
