package httpsys

import (
	"io"
	"net"
	"os"
	"strconv"

	"github.com/httpsys/httpsys/internal/wire/h1"
	"github.com/httpsys/httpsys/internal/wire/message"
)

// This file is the reading half of a textConn: requests become HTTP/1.1 text.

// Read returns the text of requests.
func (c *textConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		if len(c.text) > 0 {
			n := copy(p, c.text)
			c.text = c.text[n:]
			if len(c.text) == 0 && c.left == 0 {
				c.endRequest()
			}
			return n, nil
		}
		if len(p) == 0 {
			return 0, nil
		}
		if c.source == nil {
			x, tunnel, err := c.next()
			switch {
			case err != nil:
				return 0, c.opError("read", err)
			case tunnel != nil:
				return tunnel.Read(p)
			}
			c.source, c.left = x, x.length
			c.buf = x.appendText(c.buf[:0])
			c.text = c.buf
			continue
		}
		n, err := c.readBody(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// readBody reads the body of the present request: into p, or as a chunk into
// text.
func (c *textConn) readBody(p []byte) (int, error) {
	x := c.source
	if c.left > 0 {
		n, err := x.read(p[:min(int64(len(p)), c.left)])
		if c.left -= int64(n); c.left == 0 {
			c.endRequest()
			return n, nil
		}
		if err != nil && n == 0 {
			return 0, c.opError("read", bodyEnd(err))
		}
		return n, nil
	}
	if cap(c.buf) < textChunk+h1.MaxChunkHeader+2 {
		c.buf = make([]byte, 0, textChunk+h1.MaxChunkHeader+2)
	}
	// Room for the size of the chunk, which is known afterwards.
	const room = 6
	buf := c.buf[:cap(c.buf)]
	n, err := x.read(buf[room : room+textChunk])
	if n > 0 {
		size := strconv.AppendInt(make([]byte, 0, room), int64(n), 16)
		start := room - len(size) - 2
		copy(buf[start:], size)
		copy(buf[room-2:], "\r\n")
		c.text = append(buf[start:room+n], "\r\n"...)
		return 0, nil
	}
	if err == io.EOF {
		x.mu.Lock()
		trailers := x.trailers
		x.mu.Unlock()
		c.text = append(buf[:0], "0\r\n"...)
		for _, t := range trailers {
			c.text = append(c.text, t.name+": "+t.value+"\r\n"...)
		}
		c.text = append(c.text, "\r\n"...)
		c.left = 0
		return 0, nil
	}
	return 0, c.opError("read", bodyEnd(err))
}

// bodyEnd is what a broken body looks like on a connection: its end, from which
// a reader of HTTP concludes the rest.
func bodyEnd(err error) error {
	if err == io.ErrUnexpectedEOF {
		return io.EOF
	}
	return err
}

// endRequest notes that all of the request was read.
func (c *textConn) endRequest() {
	x := c.source
	c.source, c.text, c.left = nil, nil, -1
	c.mu.Lock()
	if c.cur == x {
		c.readAll = true
	}
	c.mu.Unlock()
}

// next waits for the next request, or for what else may come instead.
func (c *textConn) next() (*exchange, tunnel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return nil, nil, net.ErrClosed
		case c.tunnel != nil:
			return nil, c.tunnel, nil
		case c.readLate:
			return nil, nil, os.ErrDeadlineExceeded
		case c.fresh != nil:
			x := c.fresh
			c.fresh = nil
			return x, nil, nil
		case c.cur != nil && c.cur.gone.Load():
			return nil, nil, errClientGone
		case c.cur != nil && c.cur.ctx.Err() != nil, c.hungUp:
			// The client has closed its sending side; an answer can still be
			// written.
			return nil, nil, io.EOF
		}
		c.wake.Wait()
	}
}

// appendText writes the request head as HTTP/1.1 text, with the client's
// spelling and order.
func (x *exchange) appendText(dst []byte) []byte {
	c := cutter{block: x.block[:x.text]}
	dst = append(dst, c.bytes()...)
	dst = append(dst, ' ')
	dst = append(dst, c.bytes()...)
	version := " HTTP/1.1\r\n"
	if x.version == 10 {
		version = " HTTP/1.0\r\n"
	}
	dst = append(dst, version...)
	authority := c.bytes()
	c.bytes()
	c.bytes()
	host, length, coding := false, false, false
	for range x.fields {
		name, value := c.bytes(), c.bytes()
		switch message.KnownOf(name) {
		case message.Host:
			host = true
		case message.ContentLength:
			length = true
		case message.TransferEncoding:
			coding = true
		}
		dst = append(dst, name...)
		dst = append(dst, ": "...)
		dst = append(dst, value...)
		dst = append(dst, "\r\n"...)
	}
	// What the other versions of HTTP say without a field.
	if !host && x.version > 11 {
		dst = append(dst, "Host: "...)
		dst = append(dst, authority...)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case x.length < 0 && !coding:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case x.length > 0 && !length:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, x.length, 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}
