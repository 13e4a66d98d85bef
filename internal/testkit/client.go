package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Client is a TCP connection to a port of the daemon.
type Client struct {
	t *current
	c *net.TCPConn
	r *bufio.Reader
}

// Dial connects to the port of a registration.
func (d *Daemon) Dial(r *Registration) *Client {
	d.t.now().Helper()
	return d.DialAddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), r.Port).String())
}

// DialAddr connects to an address.
func (d *Daemon) DialAddr(addr string) *Client {
	d.t.now().Helper()
	c, err := TryDial(addr)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.Client(c)
}

// TryDial connects to an address.
func TryDial(addr string) (*net.TCPConn, error) {
	c, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// Client makes a client of a connection, and closes it with the test.
func (d *Daemon) Client(c *net.TCPConn) *Client {
	d.t.Cleanup(func() { c.Close() })
	return &Client{t: d.t, c: c, r: bufio.NewReaderSize(c, 64<<10)}
}

// FreeClient makes a client of a connection that the test closes by itself.
func (d *Daemon) FreeClient(c *net.TCPConn) *Client {
	return &Client{t: d.t, c: c, r: bufio.NewReaderSize(c, 64<<10)}
}

// Send sends bytes in one write.
func (c *Client) Send(s string) {
	c.t.now().Helper()
	if err := c.TrySend(s); err != nil {
		c.t.Fatalf("send to the server: %v", err)
	}
}

// TrySend sends bytes to a server that may close.
func (c *Client) TrySend(s string) error {
	c.c.SetWriteDeadline(time.Now().Add(Patience))
	_, err := io.WriteString(c.c, s)
	return err
}

// Get sends a GET request.
func (c *Client) Get(target string) {
	c.t.now().Helper()
	c.Send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

// now is how long a Date is.
const now = "Mon, 02 Jan 2006 15:04:05 GMT"

var dates = regexp.MustCompile(`(?m)^Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r$`)

// Undated replaces the values of Date fields by an asterisk.
func Undated(s string) string { return dates.ReplaceAllString(s, "Date: *\r") }

// Want expects exactly these bytes next; "Date: *" stands for any date.
func (c *Client) Want(want string) {
	c.t.now().Helper()
	n := len(want) + strings.Count(want, "Date: *\r\n")*(len(now)-1)
	got := make([]byte, n)
	c.c.SetReadDeadline(time.Now().Add(Patience))
	k, err := io.ReadFull(c.r, got)
	if s := Undated(string(got[:k])); s != want {
		c.t.Fatalf("got (%v)\n%s\nwant\n%s", err, quote(s), quote(want))
	}
}

// quote shows bytes line by line.
func quote(s string) string {
	if len(s) > 4000 {
		s = s[:2000] + "…" + s[len(s)-1000:]
	}
	return strings.ReplaceAll(fmt.Sprintf("%q", s), `\r\n`, "\\r\\n\n")
}

// WantBytes expects n bytes of any kind next, and returns them.
func (c *Client) WantBytes(n int) string {
	c.t.now().Helper()
	b := make([]byte, n)
	c.c.SetReadDeadline(time.Now().Add(Patience))
	if k, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatalf("got %d of %d bytes: %v: %s", k, n, err, quote(string(b[:k])))
	}
	return string(b)
}

// Answer is a response as a client got it.
type Answer struct {
	Status  int
	Head    string // with status line and fields, undated
	Body    string
	Trailer string
	Close   bool // the server says that it closes
	Length  int  // Content-Length; -1: none
	Chunked bool
}

// Field returns a field of the head, or "".
func (r *Answer) Field(name string) string {
	for line := range strings.Lines(r.Head) {
		n, v, ok := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
		if ok && strings.EqualFold(n, name) {
			return v
		}
	}
	return ""
}

// TryResponse reads a response to a request that was not HEAD.
func (c *Client) TryResponse() (*Answer, error) { return c.TryResponseTo("GET") }

// TryResponseTo reads a response to a request with this method.
func (c *Client) TryResponseTo(method string) (*Answer, error) {
	c.c.SetReadDeadline(time.Now().Add(Patience))
	return readResponse(c.r, method == "HEAD")
}

// TryBytes reads n bytes.
func (c *Client) TryBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	c.c.SetReadDeadline(time.Now().Add(Patience))
	k, err := io.ReadFull(c.r, b)
	return b[:k], err
}

// Response reads a response to a request that was not HEAD.
func (c *Client) Response() *Answer {
	c.t.now().Helper()
	r, err := c.TryResponse()
	if err != nil {
		c.t.Fatalf("waited for a response: %v", err)
	}
	return r
}

// WantStatus reads a response and checks its status.
func (c *Client) WantStatus(want int) *Answer {
	c.t.now().Helper()
	r := c.Response()
	if r.Status != want {
		c.t.Fatalf("got %s\n%s; want status %d", r.Head, r.Body, want)
	}
	return r
}

func readResponse(br *bufio.Reader, head bool) (*Answer, error) {
	r := &Answer{Length: -1}
	var text strings.Builder
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			if text.Len() == 0 && line == "" {
				return nil, err
			}
			return nil, fmt.Errorf("in the head %s: %w", quote(text.String()+line), err)
		}
		if line == "\r\n" {
			break
		}
		text.WriteString(line)
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
		switch strings.ToLower(name) {
		case "content-length":
			if r.Length, err = strconv.Atoi(value); err != nil {
				return nil, err
			}
		case "transfer-encoding":
			r.Chunked = value == "chunked"
		case "connection":
			r.Close = value == "close"
		}
	}
	r.Head = Undated(text.String())
	if _, err := fmt.Sscanf(r.Head, "HTTP/1.1 %d", &r.Status); err != nil {
		return nil, fmt.Errorf("status line of %s: %w", quote(r.Head), err)
	}
	var body []byte
	var err error
	switch {
	case head || r.Status < 200 || r.Status == 204 || r.Status == 304:
	case r.Chunked:
		body, r.Trailer, err = readChunked(br)
	case r.Length >= 0:
		body = make([]byte, r.Length)
		var n int
		n, err = io.ReadFull(br, body)
		body = body[:n]
	default:
		body, err = io.ReadAll(br)
	}
	r.Body = string(body)
	if err != nil {
		return r, fmt.Errorf("in the body of %s: %w", quote(r.Head), err)
	}
	return r, nil
}

func readChunked(br *bufio.Reader) (body []byte, trailer string, err error) {
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return body, "", err
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(line, "\r\n"), 16, 64)
		if err != nil {
			return body, "", err
		}
		if n == 0 {
			break
		}
		chunk := make([]byte, n+2)
		k, err := io.ReadFull(br, chunk)
		body = append(body, chunk[:min(k, int(n))]...)
		if err != nil {
			return body, "", err
		}
		if string(chunk[n:]) != "\r\n" {
			return body, "", fmt.Errorf("a chunk ends in %q", chunk[n:])
		}
	}
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return body, trailer, err
		}
		if line == "\r\n" {
			return body, trailer, nil
		}
		trailer += line
	}
}

// Chunks reads a head, and returns the chunked body behind it as it comes.
func (c *Client) Chunks() io.Reader {
	c.t.now().Helper()
	c.c.SetReadDeadline(time.Now().Add(Patience))
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("in the head of a response: %v", err)
		}
		if line == "\r\n" {
			return httputil.NewChunkedReader(c.r)
		}
	}
}

// Read reads up to n bytes, as they come.
func (c *Client) Read(n int) ([]byte, error) {
	b := make([]byte, n)
	c.c.SetReadDeadline(time.Now().Add(Patience))
	k, err := c.r.Read(b)
	return b[:k], err
}

// end reads on and returns what came, and how it ended.
func (c *Client) end() (string, error) {
	c.c.SetReadDeadline(time.Now().Add(Patience))
	b, err := io.ReadAll(io.LimitReader(c.r, 64<<20))
	return string(b), err
}

// WantEOF expects an orderly end of the connection, and nothing before it.
func (c *Client) WantEOF() {
	c.t.now().Helper()
	if s, err := c.end(); err != nil || s != "" {
		c.t.Fatalf("got %s and %v; want the end of the connection", quote(s), err)
	}
}

// WantReset expects a reset. It returns what came before it.
func (c *Client) WantReset() string {
	c.t.now().Helper()
	s, err := c.end()
	if !errors.Is(err, unix.ECONNRESET) {
		c.t.Fatalf("got %s and %v; want a reset", quote(s), err)
	}
	return s
}

// WantEnd expects the end of the connection, orderly or not. It returns what
// came before it.
func (c *Client) WantEnd() string {
	c.t.now().Helper()
	s, err := c.end()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the server did not close the connection after %s", quote(s))
	}
	return s
}

// CloseWrite ends the sending side.
func (c *Client) CloseWrite() {
	c.t.now().Helper()
	if err := c.c.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// Reset ends the connection so that the server gets a reset.
func (c *Client) Reset() {
	c.c.SetLinger(0)
	c.c.Close()
}

// Close closes the connection.
func (c *Client) Close() { c.c.Close() }

// LocalAddr is the client's address.
func (c *Client) LocalAddr() string { return c.c.LocalAddr().String() }

// SetReadBuffer makes the kernel hold few bytes for a client that does not
// read.
func (c *Client) SetReadBuffer(n int) { c.c.SetReadBuffer(n) }

// RawConn gives the socket up to a test that reads and writes it by itself,
// waiting.
func (c *Client) RawConn() int {
	c.t.now().Helper()
	return blocking(c.t, c.c)
}
