// Package load makes the requests: wrk or h2load for many small ones (Closed),
// and clients of our own for what those cannot do: connections that wait
// (Hold), one large body either way (Download, Upload), clients that ask and do
// not read (Stall), and handshakes of TLS (Handshakes, StartFlood).
//
// All of it runs on the CPU of this process, never on that of the servers.
package load

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Closed is a closed loop: each connection sends its next request when the
// answer to the last is there.
type Closed struct {
	Host        string   // host:port
	Paths       []string // asked for in turn; usually one
	Fields      []string // further header fields, "Name: value"
	Among       int      // not 0: what is asked for is the only path with a random number below it behind it; wrk only
	Connections int
	Duration    time.Duration
	Dir         string // for scripts and logs of the generator
	TLS         bool
}

func (c *Closed) url() string {
	if c.TLS {
		return "https://" + c.Host
	}
	return "http://" + c.Host
}

// Figures are what a closed loop saw.
type Figures struct {
	Requests int64
	Elapsed  time.Duration
	P50, P99 time.Duration
}

// Generator runs a closed loop to its end.
type Generator func(context.Context, Closed) (Figures, error)

// Generators are those there are, by the name of their program.
var Generators = map[string]Generator{"wrk": Wrk, "h2load": H2load}

// maxHead bounds the head of an answer that our own clients read.
const maxHead = 16 << 10

// answer is the beginning of a response: its head, and body bytes that came
// with it.
type answer struct {
	status int
	length int64 // Content-Length; -1: none
	body   []byte
}

// readAnswer reads until the head is complete. The servers are ours or trusted,
// so it looks for no more than it needs.
func readAnswer(c net.Conn, buf []byte) (answer, error) {
	n := 0
	for {
		m, err := c.Read(buf[n:])
		n += m
		if head, body, ok := bytes.Cut(buf[:n], []byte("\r\n\r\n")); ok {
			a, err := parseHead(string(head))
			a.body = body
			return a, err
		}
		if err != nil {
			return answer{}, fmt.Errorf("answer: %w", err)
		}
		if n == len(buf) {
			return answer{}, fmt.Errorf("answer: head longer than %d bytes", len(buf))
		}
	}
}

func parseHead(head string) (answer, error) {
	a := answer{length: -1}
	line, fields, _ := strings.Cut(head, "\r\n")
	words := strings.SplitN(line, " ", 3)
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/1.") {
		return a, fmt.Errorf("answer: not HTTP/1: %q", line)
	}
	var err error
	if a.status, err = strconv.Atoi(words[1]); err != nil {
		return a, fmt.Errorf("answer: status line %q", line)
	}
	for field := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(field, ":")
		if strings.EqualFold(name, "Content-Length") {
			if a.length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return a, fmt.Errorf("answer: %s", field)
			}
		}
	}
	return a, nil
}

// open connects and sends a head; a body may follow.
func open(ctx context.Context, d *net.Dialer, method, host, path, fields string) (*net.TCPConn, error) {
	c, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, path, host, fields); err != nil {
		c.Close()
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// Get makes one small request on a connection of its own, and fails unless the
// answer is 200.
func Get(ctx context.Context, host, path string) error {
	c, err := open(ctx, &net.Dialer{}, http.MethodGet, host, path, "Connection: close\r\n")
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	a, err := readAnswer(c, make([]byte, maxHead))
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d", path, a.status)
	}
	return err
}

// discard takes n bytes of a connection without copying them out of the kernel
// (MSG_TRUNC, tcp(7)), so that the client costs as little as it can and the
// server is what is measured.
func discard(c *net.TCPConn, n int64) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for n > 0 {
			got, _, errno := syscall.Syscall6(syscall.SYS_RECVFROM, fd, 0, uintptr(min(n, 1<<20)), syscall.MSG_TRUNC, 0, 0)
			switch {
			case errno == syscall.EAGAIN:
				return false
			case errno == syscall.EINTR:
			case errno != 0:
				failed = errno
				return true
			case got == 0:
				failed = fmt.Errorf("the connection ended %d bytes early", n)
				return true
			default:
				n -= int64(got)
			}
		}
		return true
	})
	if err == nil {
		err = failed
	}
	return err
}

// onCancel makes blocked calls on c return when ctx ends.
func onCancel(ctx context.Context, c net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
}
