package daemon_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/pki"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A tcpRepair socket does not tell its peer anything, not even that it closes
// (TCP_REPAIR of linux/tcp.h).
const tcpRepair = 19

// vanish makes a client be gone without a word, as when its machine loses
// power: no packet says so, and what is asked of it later finds nobody.
func vanish(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpRepair, 1) })
	if err != nil {
		t.Fatalf("TCP_REPAIR: %v", err)
	}
	c.Close()
}

// serverSide finds the daemon's descriptor of a client's connection: the daemon
// runs in this process.
func serverSide(t *testing.T, c net.Conn) int {
	t.Helper()
	want := c.LocalAddr().(*net.TCPAddr)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range fds {
		fd, _ := strconv.Atoi(e.Name())
		if peer, err := unix.Getpeername(fd); err == nil {
			if a, ok := peer.(*unix.SockaddrInet4); ok && a.Port == want.Port && net.IP(a.Addr[:]).Equal(want.IP) {
				return fd
			}
		}
	}
	t.Fatalf("the daemon has no connection from %v", want)
	return -1
}

// Clients whose machine or network has gone without a word are found out by the
// kernel, which asks them: nothing else would ever end a request that waits for
// an event, or a tunnel.
func TestHalfOpenClients(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("TCP_REPAIR is for root")
	}
	d := testkit.Start(t, testkit.Options{})
	root := pki.Root(t, "Root")
	wait := func(t *testing.T, c net.Conn) { io.WriteString(c, get) }
	waitHTTP2 := func(t *testing.T, c net.Conn) { dialHTTP2(t, c).get(1, "/") }
	tunnel := func(t *testing.T, c net.Conn) { io.WriteString(c, upgrade) }
	tunnelHTTP2 := func(t *testing.T, c net.Conn) { dialHTTP2(t, c).websocket(1) }
	rawOpaque := func(r *testkit.Request) { r.Send(testkit.RawOpaque(r.Stream)) }
	nothing := func(*testkit.Request) {}
	cases := []struct {
		name, scheme string
		proto        string // of TLS
		open         func(t *testing.T, c net.Conn)
		answer       func(*testkit.Request)
	}{
		{"a request, HTTP/1.1", "http", "", wait, nothing},
		{"a request, TLS", "https", "http/1.1", wait, nothing},
		{"a request, h2c", "http", "", waitHTTP2, nothing},
		{"a request, HTTP/2", "https", "h2", waitHTTP2, nothing},
		{"a tunnel, HTTP/1.1", "http", "", tunnel, rawOpaque},
		{"a tunnel, TLS", "https", "http/1.1", tunnel, rawOpaque},
		{"a tunnel, h2c", "http", "", tunnelHTTP2, opened},
		{"a tunnel, HTTP/2", "https", "h2", tunnelHTTP2, opened},
		{"without HTTP", "tcp", "", func(*testing.T, net.Conn) {}, rawOpaque},
		{"without HTTP, TLS", "tls", "none", func(t *testing.T, c net.Conn) { c.Write([]byte("hello")) }, rawOpaque},
	}
	// All vanish before any is found, since that takes a second.
	requests := make([]*testkit.Request, len(cases))
	for i, tc := range cases {
		app := d.App(testkit.AppOptions{Credit: 1})
		params := channel.RegisterParams{URL: tc.scheme + "://a:0/"}
		if tc.proto != "" {
			params.Certificate = certificate(t, root, "a")
		} else if tc.scheme == "tcp" {
			params.URL = "tcp://localhost:0/"
		}
		tcp, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", app.RegisterWith(params).Port))
		if err != nil {
			t.Fatal(err)
		}
		var c net.Conn = tcp
		if tc.proto != "" {
			config := &tls.Config{InsecureSkipVerify: true, ServerName: "a"}
			if tc.proto != "none" {
				config.NextProtos = []string{tc.proto}
			}
			c = tls.Client(tcp, config)
		}
		tc.open(t, c)
		r := nextRequest(app)
		tc.answer(r)
		requests[i] = r
		fd := serverSide(t, tcp)
		for _, o := range []struct{ level, name, want int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
		} {
			if got, err := unix.GetsockoptInt(fd, o.level, o.name); err != nil || got != o.want {
				t.Errorf("%s: option %d is %d, %v; want %d", tc.name, o.name, got, err, o.want)
			}
		}
		vanish(t, tcp)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1) // we do not want to wait for it
	}
	for i, tc := range cases {
		t.Log(tc.name)
		for f := requests[i].Next(); f.Type != channel.Cancel; f = requests[i].Next() {
			if f.Type != channel.Data { // of the client, when it was there
				t.Fatalf("got %v", f)
			}
		}
		requests[i].Cancel(0)
	}
	d.Exchanges(0)
	d.Connections(0)
}

func opened(r *testkit.Request) {
	r.Send(testkit.Response(r.Stream, OPAQUE, 101, fields("Connection: Upgrade", "Upgrade: websocket"), ""))
}
