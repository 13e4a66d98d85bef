package compat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A conn is a client that speaks HTTP/1 by hand, so that it can say anything
// and sees everything.
type conn struct {
	r  *run
	c  *net.TCPConn
	br *bufio.Reader
}

// dial connects to the server.
func (r *run) dial() *conn {
	r.Helper()
	c, err := net.DialTimeout("tcp", r.addr, patience)
	if err != nil {
		r.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	r.Cleanup(func() { c.Close() })
	return &conn{r: r, c: c.(*net.TCPConn), br: bufio.NewReader(c)}
}

// send sends text in one write, with CR LF for each line end. ADDR in it is the
// address of the server.
func (c *conn) send(text string) {
	c.r.Helper()
	text = strings.ReplaceAll(text, "ADDR", c.r.addr)
	if _, err := io.WriteString(c.c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		c.r.Fatalf("sending: %v", err)
	}
}

// exchange sends a request, notes the response and whether the connection can
// be used afterwards.
func (c *conn) exchange(request string) {
	c.r.Helper()
	c.send(request)
	method, _, _ := strings.Cut(request, " ")
	last := c.response(method)
	c.after(last)
}

// response notes the next response, with the informational ones before it, and
// says whether the connection is to end with it.
func (c *conn) response(method string) (last bool) {
	c.r.Helper()
	for {
		a, err := c.head()
		if err != nil {
			c.r.get("[no response: %s]", kind(err))
			return true
		}
		a.note(c.r)
		if a.status < 200 && a.status != http.StatusSwitchingProtocols {
			c.r.get("")
			continue
		}
		if a.status == http.StatusSwitchingProtocols {
			return false
		}
		return !c.body(method, a) || a.last(method)
	}
}

// after notes that the server ends the connection although it did not say so;
// and that it does not although it did.
func (c *conn) after(last bool) {
	c.r.Helper()
	if last {
		if rest, err := io.ReadAll(c.br); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
			c.r.get("[the connection does not end, but goes on with %q, %s]", rest, kind(err))
		}
		return
	}
	io.WriteString(c.c, probe+" / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if a, err := c.head(); err != nil || a.status != http.StatusNoContent {
		c.r.get("[the connection ends]")
	}
}

// An answer is the head of a response.
type answer struct {
	line   string
	minor  int
	status int
	header textproto.MIMEHeader
}

// head reads the head of a response.
func (c *conn) head() (answer, error) {
	var a answer
	r := textproto.NewReader(c.br)
	line, err := r.ReadLine()
	if err != nil {
		return a, err
	}
	a.line = line
	if _, err := fmt.Sscanf(line, "HTTP/1.%d %d", &a.minor, &a.status); err != nil {
		return a, fmt.Errorf("status line %q", line)
	}
	a.header, err = r.ReadMIMEHeader()
	return a, err
}

// note notes a head, with its fields in the order of their names. Not noted
// are what httpsys adds to each response, Server, and what both add, Date: a
// final response that has none is remarkable.
func (a answer) note(r *run) {
	r.get("%s", a.line)
	names := make([]string, 0, len(a.header))
	for name := range a.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range a.header[name] {
			switch {
			case name == "Server" && value == "httpsys" && r.server != reference:
			case name == "Date":
				if _, err := http.ParseTime(value); err != nil {
					r.get("Date: %q", value)
				}
			default:
				r.get("%s: %s", name, value)
			}
		}
	}
	if a.status >= 200 && a.header["Date"] == nil {
		r.get("[no Date]")
	}
}

// last says whether the connection ends with the response.
func (a answer) last(method string) bool {
	switch connection := a.header.Get("Connection"); {
	case connection == "close":
		return true
	case a.minor == 0 || connection == "keep-alive":
		return connection != "keep-alive"
	}
	return a.header.Get("Content-Length") == "" && a.header.Get("Transfer-Encoding") == "" && hasBody(method, a.status)
}

func hasBody(method string, status int) bool {
	return method != http.MethodHead && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// body notes the body of a response and its trailers, and says whether it came
// to its end.
func (c *conn) body(method string, a answer) bool {
	if !hasBody(method, a.status) {
		return true
	}
	var body []byte
	var err error
	switch length := a.header.Get("Content-Length"); {
	case a.header.Get("Transfer-Encoding") == "chunked":
		var trailer textproto.MIMEHeader
		body, trailer, err = c.chunks()
		c.noteBody(body)
		for _, name := range slices.Sorted(keys(trailer)) {
			c.r.get("trailer %s: %s", name, strings.Join(trailer[name], ", "))
		}
	case length != "":
		n, _ := strconv.ParseInt(length, 10, 64)
		body, err = io.ReadAll(io.LimitReader(c.br, n))
		if err == nil && int64(len(body)) < n {
			err = io.ErrUnexpectedEOF
		}
		c.noteBody(body)
	default:
		body, err = io.ReadAll(c.br)
		c.noteBody(body)
	}
	if err != nil {
		c.r.get("[cut: %s]", cut(err))
	}
	return err == nil
}

// cut is kind, for the end of a body: a server may close or reset the
// connection, the client learns the same.
func cut(err error) string {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return kind(err)
}

func keys(h textproto.MIMEHeader) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range h {
			if !yield(name) {
				return
			}
		}
	}
}

// chunks reads a chunked body and its trailers.
func (c *conn) chunks() (body []byte, trailer textproto.MIMEHeader, err error) {
	r := textproto.NewReader(c.br)
	for {
		p, err := c.chunk()
		body = append(body, p...)
		if err != nil {
			return body, nil, err
		}
		if len(p) == 0 {
			trailer, err = r.ReadMIMEHeader()
			return body, trailer, err
		}
	}
}

// chunk reads one chunk; the last one is empty.
func (c *conn) chunk() ([]byte, error) {
	line, err := textproto.NewReader(c.br).ReadLine()
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(line, 16, 31)
	if err != nil || n == 0 {
		return nil, err
	}
	p := make([]byte, n+2)
	got, err := io.ReadFull(c.br, p)
	if err == nil && string(p[n:]) != "\r\n" {
		err = fmt.Errorf("a chunk ends in %q", p[n:])
	}
	return p[:min(got, int(n))], err
}

// noteBody notes a body.
func (c *conn) noteBody(body []byte) {
	if len(body) > 0 {
		c.r.get("\n%s", brief(body))
	}
}

// brief is a body if it is short, or else what identifies it. Of a page that
// the daemon makes it is the sentence.
func brief(body []byte) string {
	if m := errorPage.FindSubmatch(body); m != nil {
		return fmt.Sprintf("[%s]", m[1])
	}
	if len(body) > 300 {
		return fmt.Sprintf("[%d bytes, crc32 %08x]", len(body), crc32.ChecksumIEEE(body))
	}
	return strings.TrimSuffix(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n")
}

var errorPage = regexp.MustCompile(`^<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>.*</title></head>\n` +
	`<body>\n<h1>.*</h1>\n<p>(.*)</p>\n</body>\n</html>\n$`)

// read notes the next n bytes.
func (c *conn) read(n int) {
	c.r.Helper()
	b := make([]byte, n)
	got, err := io.ReadFull(c.br, b)
	c.r.get("%s", bytes.TrimRight(b[:got], "\r\n"))
	if err != nil {
		c.r.get("[%s]", kind(err))
	}
}

// end notes what comes until the end of the connection.
func (c *conn) end() {
	c.r.Helper()
	b, err := io.ReadAll(c.br)
	if len(b) > 0 {
		c.r.get("%s", brief(b))
	}
	if err == nil {
		err = io.EOF
	}
	c.r.get("[%s]", kind(err))
}

// closeWrite ends the sending side; reset ends the connection so that the
// server gets a reset.
func (c *conn) closeWrite() { c.c.CloseWrite() }

func (c *conn) reset() {
	c.c.SetLinger(0)
	c.c.Close()
}

func (c *conn) close() { c.c.Close() }

// kind says what an error is, in words that are the same for each server.
func kind(err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return "no error"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, syscall.EPIPE):
		return "broken pipe"
	case errors.Is(err, net.ErrClosed):
		return "closed"
	}
	return err.Error()
}

// informational notes one informational response.
func (c *conn) informational() {
	c.r.Helper()
	a, err := c.head()
	if err != nil {
		c.r.Fatalf("waited for an informational response: %v", err)
	}
	a.note(c.r)
	c.r.get("")
}

// nextChunk notes a chunk.
func (c *conn) nextChunk() {
	c.r.Helper()
	b, err := c.chunk()
	if err != nil {
		c.r.Fatalf("waited for a chunk: %v", err)
	}
	c.r.get("%s", b)
}
