package conn

import (
	"bytes"
	"strconv"

	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/h1"
)

// This file answers a certificate authority that wants to see whether a name is
// ours (RFC 8555 8.3). It asks on the plain port, over HTTP/1.1, whatever programs
// have registered there.

// challengePath is where it asks.
var challengePath = []byte("/.well-known/acme-challenge/")

// challenge says what the answer to r is, if r is such a question and there is
// one.
func (c *http1) challenge(r *h1.Request) (body string, ok bool) {
	if c.s.Challenge == nil || !bytes.HasPrefix(r.Path, challengePath) || c.endpoint.Scheme != prefix.HTTP || string(r.Method) != "GET" {
		return "", false
	}
	host := r.Authority
	if i := bytes.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	return c.s.Challenge(string(host), string(r.Path))
}

// answer sends a whole response of our own, and closes after it.
func (c *http1) answer(body string) {
	c.keepAlive, c.expect = false, false
	c.headSent, c.done = true, true
	if !c.body.Done() {
		c.state = drain
	} else {
		c.state = wait
	}
	b := append(c.s.scratch[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n"...)
	b = append(append(b, c.s.Loop.Date()...), serverLine...)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(append(b, "\r\n\r\n"...), body...)
	c.s.scratch = b[:0]
	c.write(b, nil, nil, true)
}
