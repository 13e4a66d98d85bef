package accept

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/conn"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/loop"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/testkit/leak"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// patience is how long a test waits for an event.
const patience = 10 * time.Second

// nobody routes nothing: every request gets 400, which is enough to see that
// somebody is there.
type nobody struct{}

func (nobody) Match(prefix.Scheme, uint16, []byte, netip.Addr, []byte) (*exchange.Registration, prefix.Outcome) {
	return nil, prefix.NoHost
}

// rig is Ports with loops that run.
type rig struct {
	*Ports
	t      *testing.T
	units  []Unit
	errors chan error
}

func newRig(t *testing.T, loops int) *rig {
	t.Helper()
	leak.Check(t)
	r := &rig{t: t, errors: make(chan error, 1000)}
	var done sync.WaitGroup
	for i := range loops {
		l, err := loop.New(i)
		if err != nil {
			t.Fatal(err)
		}
		r.units = append(r.units, Unit{l, conn.NewServer(l, exchange.NewStage(i, nobody{}, l.Now), loops)})
		done.Go(l.Run)
	}
	r.Ports = NewPorts(r.units, func(err error) { r.errors <- err })
	t.Cleanup(func() {
		r.CloseAll()
		for _, u := range r.units {
			u.Loop.Call(u.Server.CloseAll)
			u.Loop.Stop()
		}
		done.Wait()
	})
	return r
}

func parse(t *testing.T, url string) prefix.Prefix {
	t.Helper()
	p, err := prefix.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// open opens the port of a prefix, in which %d stands for the port.
func (r *rig) open(url string) prefix.Prefix {
	r.t.Helper()
	p := parse(r.t, url)
	port, err := r.Open(p)
	if err != nil {
		r.t.Fatalf("open %s: %v", url, err)
	}
	return p.WithPort(port)
}

// served says whether somebody answers at an address.
func served(addr string, port uint16) bool {
	c, err := net.DialTimeout("tcp", net.JoinHostPort(addr, fmt.Sprint(port)), patience)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	b := make([]byte, 12)
	n, _ := c.Read(b)
	return strings.HasPrefix(string(b[:n]), "HTTP/1.1 400")
}

// settled waits until the sockets that were given up are closed.
func (r *rig) settled(port uint16) {
	r.t.Helper()
	r.Settle(port)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stillOpen(port) {
		r.t.Fatalf("sockets on port %d are not closed", port)
	}
}

func (r *rig) want(port uint16, reachable, not []string) {
	r.t.Helper()
	r.settled(port)
	for _, a := range reachable {
		if !served(a, port) {
			r.t.Errorf("nobody answers at %s", a)
		}
	}
	for _, a := range not {
		if served(a, port) {
			r.t.Errorf("somebody answers at %s", a)
		}
	}
}

// The addresses of this machine that every test may use: 127.0.0.2 stands for
// those that are not the loopback that localhost means.
const here, there = "127.0.0.1", "127.0.0.2"

// A port listens where its prefixes want it, and nowhere else.
func TestAddresses(t *testing.T) {
	v6 := haveIPv6()
	if !v6 {
		t.Log("NOT TESTED: IPv6, which this machine does not have")
	}
	for _, tc := range []struct {
		host           string
		reachable, not []string
	}{
		{"+", []string{here, there, "::1"}, nil},
		{"*", []string{here, there, "::1"}, nil},
		{"example.com", []string{here, there, "::1"}, nil},
		{"localhost", []string{here, "::1"}, []string{there}},
		{"127.0.0.1", []string{here}, []string{there, "::1"}},
		{"127.0.0.2", []string{there}, []string{here, "::1"}},
		{"[::1]", []string{"::1"}, []string{here, there}},
	} {
		t.Run(tc.host, func(t *testing.T) {
			if strings.HasPrefix(tc.host, "[") && !v6 {
				t.Skip("NOT TESTED: no IPv6")
			}
			r := newRig(t, 2)
			p := r.open("http://" + tc.host + ":0/")
			reachable := slices.DeleteFunc(tc.reachable, func(a string) bool { return a == "::1" && !v6 })
			r.want(p.Port, reachable, tc.not)
			r.Close(p)
			r.want(p.Port, nil, tc.reachable)
			if len(r.List()) != 0 {
				t.Errorf("the list is %v", r.List())
			}
		})
	}
}

func haveIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// Sockets come and go with the prefixes, and connections live on.
func TestWideningAndNarrowing(t *testing.T) {
	r := newRig(t, 2)
	local := r.open("http://localhost:0/a/")
	port := local.Port
	r.want(port, []string{here}, []string{there})
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))

	all := r.open(fmt.Sprintf("http://+:%d/b/", port))
	r.want(port, []string{here, there}, nil)
	again := r.open(fmt.Sprintf("http://+:%d/c/", port))
	one := r.open(fmt.Sprintf("http://127.0.0.2:%d/", port))
	r.Close(all)
	r.want(port, []string{here, there}, nil)
	r.Close(again)
	r.want(port, []string{here, there}, nil)
	r.Close(local)
	r.want(port, []string{there}, []string{here})

	// The connection came in on an address that nobody serves any more.
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := c.Read(make([]byte, 12)); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
	r.Close(one)
	r.want(port, nil, []string{here, there})
}

// A port can be had again at once.
func TestReopening(t *testing.T) {
	r := newRig(t, 2)
	p := r.open("http://+:0/")
	for range 200 {
		r.Close(p)
		if _, err := r.Open(p); err != nil {
			t.Fatal(err)
		}
	}
	r.want(p.Port, []string{here}, nil)
	if n := len(r.closing[p.Port]); n != 0 {
		t.Errorf("%d groups are remembered", n)
	}
}

// Connections that the kernel accepted before the port closed are answered.
func TestClosingTakesWhatTheKernelAccepted(t *testing.T) {
	r := newRig(t, 1)
	p := r.open("http://+:0/")
	release := make(chan struct{})
	r.units[0].Loop.Do(func() { <-release }) // the loop accepts nothing meanwhile
	var clients []net.Conn
	for range 10 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		clients = append(clients, c)
	}
	r.Close(p)
	close(release)
	for i, c := range clients {
		c.SetDeadline(time.Now().Add(patience))
		b := make([]byte, 12)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "HTTP/1.1 400" {
			t.Errorf("connection %d got %q, %v", i, b[:n], err)
		}
	}
}

func wantCode(t *testing.T, err error, code channel.Code) {
	t.Helper()
	var e *channel.Error
	if !errors.As(err, &e) || e.Code != code || e.Message == "" || strings.Contains(e.Message, "\n") {
		t.Errorf("got %v; want %s", err, code)
	}
}

// A port that is another program's is not shared, whatever that one allows.
func TestForeignSockets(t *testing.T) {
	for _, tc := range []struct {
		name   string
		listen string
		reuse  bool
		url    string
		code   channel.Code // "": no conflict
	}{
		{"all addresses", "0.0.0.0", false, "http://+:%d/", channel.PortInUse},
		{"one address", here, false, "http://+:%d/", channel.PortInUse},
		{"all addresses, that it shares", "0.0.0.0", true, "http://+:%d/", channel.PortInUse},
		{"one address, that it shares", here, true, "http://localhost:%d/", channel.PortInUse},
		{"one address, and we another", here, false, "http://127.0.0.2:%d/", ""},
		{"all addresses, and we one", "0.0.0.0", true, "http://127.0.0.2:%d/", channel.PortInUse},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, 2)
			lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
				return c.Control(func(fd uintptr) {
					if tc.reuse {
						unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
					}
				})
			}}
			l, err := lc.Listen(t.Context(), "tcp4", tc.listen+":0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			port := l.Addr().(*net.TCPAddr).Port
			p := parse(t, fmt.Sprintf(tc.url, port))
			_, err = r.Open(p)
			if tc.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				r.want(uint16(port), []string{there}, nil)
				return
			}
			wantCode(t, err, tc.code)
			if len(r.List()) != 0 {
				t.Errorf("open are %v", r.List())
			}
			l.Close()
			if _, err := r.Open(p); err != nil { // nothing was left behind
				t.Errorf("when the port is free: %v", err)
			}
		})
	}
}

// What was open stays as it was if a further prefix cannot be served.
func TestFailureChangesNothing(t *testing.T) {
	r := newRig(t, 2)
	p := r.open("http://127.0.0.2:0/")
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = r.Open(parse(t, fmt.Sprintf("http://localhost:%d/", p.Port)))
	wantCode(t, err, channel.PortInUse)
	r.want(p.Port, []string{there}, nil)
	if got := r.List(); len(got) != 1 || len(got[0].Addresses) != 1 {
		t.Errorf("open are %v", got)
	}
	r.Close(p)
	r.want(p.Port, nil, []string{there})
}

func TestAddressOfAnotherMachine(t *testing.T) {
	r := newRig(t, 1)
	_, err := r.Open(parse(t, "http://192.0.2.1:0/"))
	wantCode(t, err, channel.AddressNotAvailable)
	_, err = r.Open(parse(t, "http://192.0.2.1:18080/"))
	wantCode(t, err, channel.AddressNotAvailable)
}

// A daemon that is not root is told what it lacks.
func TestNoRight(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can find out what others may not do; run the tests as root")
	}
	if b, _ := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); strings.TrimSpace(string(b)) == "0" {
		t.Skip("NOT TESTED: on this machine everybody may open every port")
	}
	r := newRig(t, 1)
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: the thread ends, the others stay root
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 23001, 23001, 23001); errno != 0 {
			err = errno
			return
		}
		_, err = r.Open(parse(t, "http://+:81/"))
	}()
	<-done
	wantCode(t, err, channel.AccessDenied)
}

// The listen list restricts all ports that do not name their address (HTTP.SYS:
// iplisten).
func TestListenList(t *testing.T) {
	addr := netip.MustParseAddr
	r := newRig(t, 2)
	p := r.open("http://+:0/")
	local := r.open("http://localhost:0/")
	one := r.open("http://127.0.0.2:0/")
	others := func() {
		t.Helper()
		r.want(local.Port, []string{here}, []string{there})
		r.want(one.Port, []string{there}, []string{here})
	}
	set := func(list ...netip.Addr) {
		t.Helper()
		if err := r.SetListen(list); err != nil {
			t.Error(err)
		}
	}
	set(addr(there))
	r.want(p.Port, []string{there}, []string{here})
	others()
	later := r.open("http://*:0/")
	r.want(later.Port, []string{there}, []string{here})
	set(addr(here), addr(there))
	r.want(p.Port, []string{here, there}, nil)
	set(addr(here))
	// With an address that is not there nothing changes, not even for what is there.
	wantCode(t, r.SetListen([]netip.Addr{addr(there), addr("192.0.2.1")}), channel.AddressNotAvailable)
	r.want(p.Port, []string{here}, []string{there})
	r.want(later.Port, []string{here}, []string{there})
	others()
	// Nor does it if somebody else has one of the ports there.
	stranger, err := net.Listen("tcp", fmt.Sprintf("%s:%d", there, later.Port))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]netip.Addr{{addr(there)}, nil} {
		wantCode(t, r.SetListen(list), channel.PortInUse)
		r.want(p.Port, []string{here}, []string{there})
	}
	stranger.Close()
	set()
	r.want(p.Port, []string{here, there}, nil)
	r.want(later.Port, []string{here, there}, nil)
	others()
}

// Port 0 asks for a port that is free, on all addresses that are wanted.
func TestPortZero(t *testing.T) {
	r := newRig(t, 1)
	seen := map[uint16]bool{}
	for range 50 {
		p := r.open("http://+:0/")
		if seen[p.Port] || p.Port == 0 {
			t.Fatalf("port %d", p.Port)
		}
		seen[p.Port] = true
	}
	if got := r.List(); len(got) != 50 || !slices.IsSortedFunc(got, func(a, b Port) int { return int(a.Port) - int(b.Port) }) {
		t.Errorf("open are %v", got)
	}
}

// Both loops accept.
func TestLoopsShareAPort(t *testing.T) {
	r := newRig(t, 2)
	p := r.open("http://+:0/")
	var clients []net.Conn
	count := func(u Unit) (n int) {
		u.Loop.Call(func() { n = u.Server.Connections() })
		return n
	}
	for len(clients) < 1000 && (count(r.units[0]) == 0 || count(r.units[1]) == 0) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	if a, b := count(r.units[0]), count(r.units[1]); a == 0 || b == 0 {
		t.Errorf("the loops have %d and %d connections", a, b)
	}
}

// Out of descriptors, a port rests and goes on when there are some again.
func TestOutOfDescriptors(t *testing.T) {
	r := newRig(t, 1)
	p := r.open("http://127.0.0.1:0/")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	free, err := unix.Dup(fd) // the lowest number that is free
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = uint64(free)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	restore := sync.OnceFunc(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) })
	defer restore()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(p.Port), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.errors:
		if !errors.Is(err, unix.EMFILE) {
			t.Errorf("reported was %v", err)
		}
	case <-time.After(patience):
		t.Fatal("nothing was reported")
	}
	restore()
	unix.Write(fd, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)})
	b := make([]byte, 12)
	// Not sys.Read: it keeps the scheduler's processor, and this socket blocks.
	if n, err := unix.Read(fd, b); err != nil || string(b[:n]) != "HTTP/1.1 400" {
		t.Errorf("got %q, %v", b[:max(n, 0)], err)
	}
}
