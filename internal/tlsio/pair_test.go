package tlsio

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/sys"
)

// patience is how long a test waits for something that must happen.
const patience = 20 * time.Second

// binding is a Binding that a test sets up.
type binding struct {
	config      *tls.Config
	established func(*tls.ConnectionState, func(func()) bool) *clientcert.Result
}

func (b *binding) Config() *tls.Config { return b.config }

func (b *binding) Covers(string, netip.AddrPort) bool { return true }

func (b *binding) Registration() uint32 { return 0 }

func (b *binding) Established(s *tls.ConnectionState, wait func(func()) bool) *clientcert.Result {
	if b.established == nil {
		return nil
	}
	return b.established(s, wait)
}

// always chooses b.
func always(b Binding) func(*tls.ClientHelloInfo) Binding {
	return func(*tls.ClientHelloInfo) Binding { return b }
}

var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return certificate(key, "test.example")
})

func certificate(key crypto.Signer, name string) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func serverConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{testCertificate()}, NextProtos: []string{"h2", "http/1.1"}}
}

func clientConfig() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "test.example"}
}

// sockets is a connected pair: a non-blocking descriptor for our side, and the
// client's.
func sockets(t testing.TB) (fd int, client net.Conn) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(pair[0], true); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(pair[1]), "client")
	client, err = net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		unix.Close(pair[0])
	})
	client.SetDeadline(time.Now().Add(patience))
	return pair[0], client
}

// server is a Server with the handshakes of one loop, which runs.
type server struct {
	*Server
	*Pool
	l *loop.Loop
}

// Where handshakes compute.
const (
	onLoop = 0
	beside = 100 // loops that sleep, as the pool is told
)

// newServer makes a server whose handshakes compute beside the loop.
func newServer(t testing.TB, limits Limits, config *tls.Config) *server {
	return start(t, beside, limits, always(&binding{config: config}))
}

// start makes a server. asleep is how many other loops there seem to be that
// have nothing to do.
func start(t testing.TB, asleep int, limits Limits, choose func(*tls.ClientHelloInfo) Binding) *server {
	t.Helper()
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	spare := &Spare{}
	spare.Asleep.Store(int32(asleep))
	var ended sync.WaitGroup
	ended.Go(l.Run)
	t.Cleanup(func() {
		l.Stop()
		ended.Wait()
		if n := spare.busy.Load(); n != 0 {
			t.Errorf("at the end %d processors are reserved", n)
		}
	})
	return &server{NewServer(choose), NewPool(l, spare, limits), l}
}

// side is our side of a connection, driven as a loop would.
type side struct {
	*Conn
	t    testing.TB
	s    *server
	fd   int
	done chan error
}

var someAddr = netip.MustParseAddrPort("192.0.2.7:40000")

// serve starts the handshake of a new connection and returns both sides.
func serve(t testing.TB, s *server) (*side, net.Conn) {
	t.Helper()
	fd, client := sockets(t)
	return begin(t, s, fd, someAddr, nil), client
}

func begin(t testing.TB, s *server, fd int, from netip.AddrPort, first []byte) *side {
	x := prepare(t, s, fd, from, first)
	s.l.Call(x.begin)
	return x
}

func prepare(t testing.TB, s *server, fd int, from netip.AddrPort, first []byte) *side {
	return &side{t: t, s: s, fd: fd, done: make(chan error, 1), Conn: s.NewConn(fd, from, someAddr, first)}
}

// begin starts the handshake; for the loop.
func (x *side) begin() { x.s.Handshake(x.Conn, func(err error) { x.done <- err }) }

// Wake and Cancel are those of Conn, on the loop.
func (x *side) Wake()            { x.s.l.Call(x.Conn.Wake) }
func (x *side) Cancel(err error) { x.s.l.Call(func() { x.Conn.Cancel(err) }) }

// poll waits a moment for an event of the socket.
func (x *side) poll(events int16, ms int) bool {
	fds := []unix.PollFd{{Fd: int32(x.fd), Events: events}}
	n, err := unix.Poll(fds, ms)
	return err == nil && n == 1
}

// outcome drives the handshake to its end.
func (x *side) outcome() error {
	x.t.Helper()
	// Edges, as a loop has them: to ask again and again while bytes wait for a
	// place in the pool would take the processors from those who have one.
	edges, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		defer unix.Close(edges)
		err = unix.EpollCtl(edges, unix.EPOLL_CTL_ADD, x.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET})
	}
	if err != nil {
		x.t.Error(err)
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		select {
		case err := <-x.done:
			return err
		default:
		}
		if n, _ := unix.EpollWait(edges, make([]unix.EpollEvent, 1), 5); n == 1 {
			x.Wake()
		}
	}
	x.t.Fatal("the handshake does not end")
	return nil
}

// read reads once, waiting until there is something.
func (x *side) read(b []byte) (int, error) {
	x.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		n, err := x.Read(b)
		if err != ErrAgain {
			return n, err
		}
		if x.poll(unix.POLLIN|unix.POLLRDHUP, 100) {
			x.Ready(true)
		}
	}
	x.t.Fatal("nothing to read")
	return 0, nil
}

// send writes b to the socket, all of it.
func (x *side) send(b []byte) {
	x.t.Helper()
	for len(b) > 0 {
		n, err := sys.Write(x.fd, b, false)
		if err == sys.ErrAgain {
			x.poll(unix.POLLOUT, 100)
			continue
		}
		if err != nil {
			x.t.Error(err)
			return
		}
		b = b[n:]
	}
}

func (x *side) seal(plain []byte) []byte {
	x.t.Helper()
	b, err := x.Seal(nil, plain)
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

// established returns a connection after its handshake.
func established(t testing.TB, s *server, config *tls.Config) (*side, *tls.Conn) {
	t.Helper()
	x, c := serve(t, s)
	client := tls.Client(c, config)
	failed := make(chan error, 1)
	go func() { failed <- client.Handshake() }()
	err := x.outcome()
	if e := <-failed; err != nil || e != nil {
		t.Fatalf("handshake: %v; client: %v", err, e)
	}
	return x, client
}

var errTest = errors.New("the reason of the test")
