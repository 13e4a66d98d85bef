package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/accept"
	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/certs/acme"
	"github.com/httpsys/httpsys/internal/compress"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/conn"
	"github.com/httpsys/httpsys/internal/control/server"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/sys"
	"github.com/httpsys/httpsys/internal/tlsio"
	"github.com/httpsys/httpsys/internal/worker"
)

// DefaultDrain is how long requests may take to end when the daemon does.
const DefaultDrain = 30 * time.Second

// DefaultHello is how long an application may take to say HELLO.
const DefaultHello = 10 * time.Second

// Options of a daemon. Socket and Data are required.
type Options struct {
	Socket string        // path of the Unix socket
	Data   string        // folder for what survives a restart
	Loops  int           // event loops; 0: one a core that the process may use
	Drain  time.Duration // bound of a clean end; 0: DefaultDrain
	Hello  time.Duration // from connect to a complete HELLO; 0: DefaultHello
	TLS    tlsio.Limits  // of handshakes; zero values: the defaults
	ACME   acme.Options  // what is not as on the Internet, for tests: its ports and how often to look
	While  io.Reader     // see private.go; nil: the daemon is no program's own
	Out    io.Writer     // for the line that says the daemon is ready; nil: none
	Log    io.Writer     // nil: none
}

// Daemon is a running daemon.
type Daemon struct {
	opt     Options
	log     *slog.Logger
	started time.Time
	store   *config.File
	admin   *server.Server
	table   prefix.Table[*exchange.Registration, *server.Reservation]
	demands exchange.Demands
	ports   *accept.Ports
	units   []*unit
	cache   *cache.Cache
	certs   *certs.Manager
	acme    *acme.Client
	tls     *tlsio.Server
	spare   tlsio.Spare
	socket  net.Listener
	stop    context.CancelFunc // of what runs in the background

	mu       sync.Mutex
	sessions map[string]*session      // by token
	byUser   map[uint32]int           // sessions of each user
	greeting map[*net.UnixConn]uint32 // connections that have not said HELLO, with their users
	queues   map[string]*queueState
	regs     map[uint32]*registration
	nextID   uint32        // of registrations
	nextName uint64        // of sessions and private queues
	maxAge   time.Duration // of requests in queues that set none themselves

	nextQueue uint32 // of queues
	ending    bool
	unneeded  func() // to be called when no application is there any more; nil: not yet, or never

	leavesNothing bool // the data folder goes with the daemon

	offloaded chan struct{} // what runs of offload

	scavenge atomic.Int64 // seconds; 0: never

	loopsDone sync.WaitGroup
	wg        sync.WaitGroup // sessions
}

// unit is what one core has.
type unit struct {
	loop   *loop.Loop
	stage  *exchange.Stage
	conns  *conn.Server
	shared *worker.Shared
	timer  loop.Timer
}

// tickPeriod is how often requests that wait are looked at, in milliseconds.
const tickPeriod = 100

// Expire is the unit's tick; it goes on as long as a request waits.
func (u *unit) Expire() {
	u.stage.Tick()
	if u.stage.Waiting() {
		u.loop.SetTimer(&u.timer, u, tickPeriod)
	}
}

// schedule sees to it that the stage goes on with what it has put off.
func (u *unit) schedule(next bool) {
	if next {
		u.loop.Again(workNext{u.stage})
	} else {
		u.loop.AtTurnEnd(workNow{u.stage})
	}
}

type (
	workNow  struct{ *exchange.Stage }
	workNext struct{ *exchange.Stage }
)

func (w workNow) TurnEnd()  { w.Work(false) }
func (w workNext) TurnEnd() { w.Work(true) }

func (u *unit) wake() {
	if !u.timer.Running() {
		u.loop.SetTimer(&u.timer, u, tickPeriod)
	}
}

// Run runs a daemon until ctx ends, and then drains it.
func Run(ctx context.Context, opt Options) error {
	d, err := Start(opt)
	if err != nil {
		return err
	}
	if opt.While != nil {
		var end context.CancelFunc
		ctx, end = context.WithCancel(ctx)
		defer end()
		go d.endAfter(opt.While, end)
	}
	<-ctx.Done()
	d.Shutdown()
	return nil
}

// processors is how many cores the process may use: what GOMAXPROCS is before the
// first daemon changes it.
var processors = sync.OnceValue(func() int { return runtime.GOMAXPROCS(0) })

// Start starts a daemon. It is ready when Start returns; end it with Shutdown.
func Start(opt Options) (*Daemon, error) {
	if n := processors(); opt.Loops == 0 {
		opt.Loops = n
	}
	if opt.Drain == 0 {
		opt.Drain = DefaultDrain
	}
	if opt.Hello == 0 {
		opt.Hello = DefaultHello
	}
	if opt.Log == nil {
		opt.Log = io.Discard
	}
	d := &Daemon{
		opt: opt, started: time.Now(),
		log:      slog.New(slog.NewTextHandler(opt.Log, nil)),
		sessions: map[string]*session{}, byUser: map[uint32]int{}, queues: map[string]*queueState{},
		regs: map[uint32]*registration{}, greeting: map[*net.UnixConn]uint32{},
	}
	limits := config.DefaultLimits()
	d.cache = cache.New(cacheLimits(&limits))
	d.offloaded = make(chan struct{}, max(1, opt.Loops/2))
	raiseFileLimit()
	raiseHeapFloor()
	var err error
	d.leavesNothing = opt.While != nil && !exists(opt.Data)
	if d.store, err = config.OpenFile(opt.Data); err != nil {
		return nil, err
	}
	if err = d.start(); err != nil {
		d.store.Close()
		return nil, err
	}
	if opt.Out != nil {
		fmt.Fprintf(opt.Out, "httpsys: ready on %s\n", opt.Socket)
	}
	return d, nil
}

func (d *Daemon) start() (err error) {
	if d.socket, err = listenUnix(d.opt.Socket); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	defer func() {
		if err != nil {
			d.socket.Close()
			d.stopLoops()
			d.stop()
			d.acme.Close()
			d.wg.Wait()
		}
	}()
	d.startTLS()
	// A loop that wakes up must never wait for another goroutine to leave Go's
	// scheduler: so there is room in it for all loops and for as many handshakes
	// as they can have let in while they slept.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2*d.opt.Loops))
	for i := range d.opt.Loops {
		u, err := d.newUnit(i)
		if err != nil {
			return err
		}
		d.units = append(d.units, u)
		d.loopsDone.Go(u.loop.Run)
	}
	acceptors := make([]accept.Unit, len(d.units))
	for i, u := range d.units {
		acceptors[i] = accept.Unit{Loop: u.loop, Server: u.conns}
	}
	d.ports = accept.NewPorts(acceptors, func(err error) { d.log.Error("port", "err", err) })
	if d.admin, err = server.New(d.store, d); err != nil {
		return err
	}
	d.wg.Go(func() { d.scavenger(ctx) })
	d.wg.Go(d.acceptSessions)
	d.wg.Go(func() { d.certs.Run(ctx) })
	return nil
}

func (d *Daemon) newUnit(i int) (*unit, error) {
	l, err := loop.New(i)
	if err != nil {
		return nil, fmt.Errorf("cannot make an event loop: %w", err)
	}
	u := &unit{loop: l}
	u.stage = exchange.NewStage(i, &d.table, l.Now)
	u.stage.OnWait = u.wake
	u.stage.Schedule = u.schedule
	u.stage.ReadFile = sys.ReadFile
	u.stage.CloseFile = func(fd int) { sys.Close(fd) }
	u.stage.Demands = &d.demands
	d.useCache(u)
	u.conns = conn.NewServer(l, u.stage, d.opt.Loops)
	u.stage.OnRest = u.conns.Trim
	u.conns.TLS = d.tls
	u.conns.Handshakes = tlsio.NewPool(l, &d.spare, d.opt.TLS)
	if d.opt.Loops > 1 { // else none can work while another sleeps
		l.Asleep = &d.spare.Asleep
	}
	u.conns.Challenge = d.acme.HTTPChallenge
	refusals := &refusals{d: d}
	u.conns.OnRefuse = func(c *conn.Conn, status int, reason string) { refusals.refused(c, l.Now(), status, reason) }
	u.conns.OnTLSFailure = func(c *conn.Conn, kind tlsio.Failure, reason string) { refusals.tlsFailed(c, l.Now(), kind, reason) }
	u.shared = worker.NewShared(l, u.stage)
	return u, nil
}

// raiseFileLimit takes as many descriptors as the hard limit allows: each
// connection is one.
func raiseFileLimit() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Cur < l.Max {
		l.Cur = l.Max
		unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
	}
}

// Reservations implements server.Engine.
func (d *Daemon) Reservations() server.Reservations { return &d.table }

// SetDemands implements server.Engine.
func (d *Daemon) SetDemands(all []prefix.Prefix) error {
	if len(all) == 0 {
		d.demands.Store(nil)
		return nil
	}
	t := new(prefix.Table[struct{}, struct{}])
	for _, p := range all {
		if err := t.Register(p, struct{}{}); err != nil {
			return err
		}
	}
	d.demands.Store(t)
	return nil
}

// SetLimits implements server.Engine.
func (d *Daemon) SetLimits(l config.Limits) {
	for _, u := range d.units {
		u.loop.Do(func() {
			u.conns.SetLimits(l)
			u.stage.Compress = compress.Settings{Policy: compress.Policy(l.Compression), MinSize: l.CompressMinSize}
		})
	}
	d.setMaxAge(l.RequestQueue)
	d.setCache(&l)
}

// SetListen implements server.Engine.
func (d *Daemon) SetListen(list []netip.Addr) error { return d.ports.SetListen(list) }

func (d *Daemon) stopLoops() {
	for _, u := range d.units {
		u.loop.Stop()
	}
	d.loopsDone.Wait()
}

// errEnding answers what comes while the daemon ends.
var errEnding = errors.New("the daemon is ending")
