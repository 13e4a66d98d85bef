package daemon_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A request allocates nothing in the daemon in steady state. The client and
// the application are in this process, too, and allocate nothing either; so
// what the runtime counts is the daemon's.
func TestRequestsAllocateNothing(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	reg := app.Register("http://+:0/")
	client := d.Dial(reg)
	for _, tc := range []struct {
		name, send string
		answer     []byte
	}{
		{"GET", "GET /a/b?c HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n",
			testkit.Response(1, END|CREDIT, 200, fields("Content-Type: text/plain"), "hello")},
		{"POST", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
			testkit.Response(1, END|CREDIT, 204, nil, "")},
		{"pieces", get, append(append(testkit.Response(1, 0, 200, nil, "a"), testkit.Data(1, 0, "bc")...), testkit.Data(1, END|CREDIT, "")...)},
		{"text", get, testkit.TextResponse(1, END|CREDIT, 200, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "hello")},
		{"404", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", testkit.Response(1, END|CREDIT, 404, nil, "")},
	} {
		d.Run(tc.name, func(t *testing.T) {
			send, app, client := []byte(tc.send), raw(t, app.Loop().RawConn()), raw(t, client.RawConn())
			buf := make([]byte, 64<<10)
			// The end of each response, by which it is known; the Date has one length.
			client.write(send)
			app.readFrame(buf)
			app.write(tc.answer)
			size := client.readSome(buf)
			round := func() {
				client.write(send)
				app.readFrame(buf)
				app.write(tc.answer)
				for n := 0; n < size; {
					n += client.readSome(buf)
				}
			}
			wantNoAllocations(t, round)
		})
	}
}

// wantNoAllocations runs round often enough to see whether it allocates.
func wantNoAllocations(t *testing.T, round func()) {
	t.Helper()
	for range 200 {
		round()
	}
	const rounds = 2000
	least := uint64(1 << 62)
	for range 3 { // others of the process may disturb one of them
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			round()
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	if least > rounds/100 {
		t.Errorf("%d allocations in %d requests", least, rounds)
	}
}

// Neither does a stream of HTTP/2.
func TestHTTP2RequestsAllocateNothing(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	reg := app.Register("http://+:0/")
	client := d.Dial(reg)
	a := newAttacker()
	a.head(1, true)
	request := bytes.Clone(a.out.Bytes())
	answer := testkit.Response(1, END|CREDIT, 200, fields("Content-Type: text/plain"), "hello")
	appSocket, c := raw(t, app.Loop().RawConn()), raw(t, client.RawConn())
	buf := make([]byte, 64<<10)
	c.write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00"))
	id := uint32(1)
	round := func() {
		binary.BigEndian.PutUint32(request[5:], id)
		id += 2
		c.write(request)
		appSocket.readFrame(buf)
		appSocket.write(answer)
		for n := 0; n < 5 || string(buf[n-5:n]) != "hello"; {
			n += c.readSome(buf[n:])
		}
	}
	wantNoAllocations(t, round)
}

// socket is a descriptor that is read and written without the net package.
type socket struct {
	t  *testing.T
	fd int
}

func raw(t *testing.T, fd int) socket { return socket{t, fd} }

func (s socket) write(b []byte) {
	if n, _, errno := unix.Syscall(unix.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))); errno != 0 || int(n) != len(b) {
		s.t.Fatalf("write: %d, %v", n, errno)
	}
}

// readSome waits for bytes and returns how many came.
func (s socket) readSome(b []byte) int {
	for {
		n, _, errno := unix.Syscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || n == 0 {
			s.t.Fatalf("read: %d, %v", int(n), errno)
		}
		return int(n)
	}
}

// readFrame takes one REQUEST.
func (s socket) readFrame(b []byte) {
	if n := s.readSome(b); channel.Type(b[8]) != channel.Request {
		s.t.Fatalf("got %d bytes: %q", n, b[:n])
	}
}
