package httpsys

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// An exchange is a request and its response. It is one allocation: the parts
// that handlers see live exactly as long as anybody holds one of them, so none
// of it is ever used again for another request.
type exchange struct {
	stream

	// The head as it arrived. block is our copy of the text block with the
	// first body bytes behind it; strings of the request are cut out of it
	// without copying, and it is not written to after prepare.
	block        []byte
	text         int // length of the text block
	fields       int
	registration uint32
	connection   uint64
	client       *clientConn // nil: plain text, or the daemon does not tell
	length       int64
	flags        channel.RequestFlags
	method       channel.Method
	version      uint8

	local    string // address, set by prepare
	unmet    bool   // the client expects what we do not know; set by prepare
	detached bool   // the pool's: in opaque mode

	req  http.Request
	url  url.URL
	body body
	resp response
}

// newExchange makes the exchange of a REQUEST. It runs on the loop's reader, so
// it only copies; all else is done by prepare on the handler's goroutine.
func newExchange(l *loop, h channel.Header, head *channel.RequestHead, body int, block []byte) *exchange {
	x := &exchange{
		block:        append([]byte(nil), block...),
		text:         len(head.Text),
		fields:       head.FieldCount,
		registration: head.Registration,
		connection:   head.Connection,
		length:       head.ContentLength,
		flags:        head.Flags,
		method:       head.Method,
		version:      head.Version,
	}
	x.l = l
	x.id = h.Stream
	x.index = l.arrived
	x.window = l.window
	x.wake.L = &x.mu
	x.inEnd = h.Flags&channel.FlagEnd != 0
	if body > 0 {
		x.in = x.block[x.text:]
	}
	x.ctx.base = l.e.base
	x.ctx.x = x
	if l.e.baseEnds && l.e.base.Err() != nil {
		x.ctx.cancel()
	}
	return x
}

// cutter takes the strings of a text block apart.
type cutter struct {
	block []byte
	at    int
}

// bytes returns the next string, without the NUL, and its place.
func (c *cutter) bytes() []byte {
	rest := c.block[c.at:]
	n := bytes.IndexByte(rest, 0)
	c.at += n + 1
	return rest[:n]
}

func (c *cutter) string() string { return stringOf(c.bytes()) }

// name returns the next string as a canonical field name.
func (c *cutter) name() string {
	b := c.bytes()
	canonicalise(b)
	return stringOf(b)
}

// stringOf shares memory with b, which must not change any more.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// canonicalise changes a field name in place to the spelling that
// textproto.CanonicalMIMEHeaderKey gives it: the name is a token, the daemon
// has checked that.
func canonicalise(name []byte) {
	upper := true
	for i, c := range name {
		if upper {
			if 'a' <= c && c <= 'z' {
				name[i] = c - ('a' - 'A')
			}
		} else if 'A' <= c && c <= 'Z' {
			name[i] = c + ('a' - 'A')
		}
		upper = c == '-'
	}
}

// emptyRequest gives its unexported fields, by way of WithContext, to the
// requests that are made here.
var emptyRequest http.Request

// prepare makes the http.Request. An error means that the head cannot be
// expressed as one; net/http would have answered 400.
func (x *exchange) prepare() error {
	x.req = *emptyRequest.WithContext(&x.ctx)
	r := &x.req
	c := cutter{block: x.block[:x.text]}
	method := c.bytes()
	if x.method != channel.MethodOther {
		r.Method = channel.MethodNames[x.method]
	} else {
		r.Method = stringOf(method)
	}
	r.RequestURI = c.string()
	r.Host = c.string()
	r.RemoteAddr = c.string()
	x.local = c.string()
	switch x.version {
	case 10:
		r.Proto, r.ProtoMajor = "HTTP/1.0", 1
	case 20:
		r.Proto, r.ProtoMajor = "HTTP/2.0", 2
	case 30:
		r.Proto, r.ProtoMajor = "HTTP/3.0", 3
	default:
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	}
	if x.flags&channel.RequestTLS != 0 {
		r.TLS = x.tlsState()
	}
	x.header(&c)
	r.ContentLength = x.length
	x.body.x = x
	x.resp.x = x
	x.resp.contentLength = -1
	x.resp.head = r.Method == http.MethodHead
	if r.Body = http.NoBody; x.length != 0 {
		r.Body = &x.body
		x.body.expect.Store(x.flags&channel.RequestContinue != 0)
	}
	if x.asksTunnel() {
		x.resp.tunnel = newTunnelBody(&x.resp)
		if r.Body = x.resp.tunnel; x.method == channel.MethodConnect {
			r.ContentLength = -1
		}
	}
	return x.setURL()
}

// tlsState is what the daemon, which ends TLS, has said of the connection. All
// requests of a connection share it, as in net/http.
func (x *exchange) tlsState() *tls.ConnectionState {
	if x.client == nil { // a daemon that does not tell
		return &tls.ConnectionState{HandshakeComplete: true}
	}
	return &x.client.parsed().state
}

// header fills in the fields and what follows from them.
func (x *exchange) header(c *cutter) {
	r := &x.req
	h := make(http.Header, x.fields)
	values := make([]string, x.fields)
	r.Header = h
	start := *c
	inserted := 0
	special := false
	for i := range x.fields {
		name := c.name()
		value := values[i : i+1 : i+1]
		value[0] = c.string()
		switch name {
		case "Host":
			continue // it is in Request.Host, and nowhere else
		case "Connection", "Expect", "Pragma", "Trailer", "Transfer-Encoding":
			special = true
		}
		h[name] = value
		inserted++
	}
	if len(h) != inserted {
		// A name came twice. That is rare enough to begin again instead of
		// looking each name up before.
		x.headerWithDuplicates(&start, values)
	}
	if special {
		x.specialFields()
	}
	if x.length < 0 && r.ProtoMajor == 1 {
		r.TransferEncoding = []string{"chunked"}
	}
	if x.version == 10 {
		r.Close = !listHas(h["Connection"], "keep-alive") || r.Close
	}
}

func (x *exchange) headerWithDuplicates(c *cutter, values []string) {
	h := x.req.Header
	clear(h)
	for i := range x.fields {
		name := c.name()
		c.bytes()
		if name == "Host" {
			continue
		}
		if old, ok := h[name]; ok {
			h[name] = append(old, values[i])
		} else {
			h[name] = values[i : i+1 : i+1]
		}
	}
}

// specialFields does what net/http does with the fields that mean something to
// it.
func (x *exchange) specialFields() {
	r := &x.req
	h := r.Header
	r.Close = listHas(h["Connection"], "close")
	// RFC 9111 5.4, for handlers that look at Cache-Control alone.
	if v := h["Pragma"]; len(v) > 0 && v[0] == "no-cache" && h["Cache-Control"] == nil {
		h["Cache-Control"] = []string{"no-cache"}
	}
	if v := h["Expect"]; len(v) > 0 {
		x.unmet = v[0] != "" && !listHas(v[:1], "100-continue")
	}
	delete(h, "Transfer-Encoding")
	if x.length >= 0 {
		return
	}
	delete(h, "Content-Length")
	if announced, ok := h["Trailer"]; ok {
		delete(h, "Trailer")
		for _, v := range announced {
			for name := range strings.SplitSeq(v, ",") {
				name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))
				switch name {
				case "", "Content-Length", "Trailer", "Transfer-Encoding":
					continue
				}
				if r.Trailer == nil {
					r.Trailer = make(http.Header)
				}
				r.Trailer[name] = nil
			}
		}
	}
}

// listHas reports whether a token is in a comma-separated list, without case.
func listHas(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(textproto.TrimString(part), token) {
				return true
			}
		}
	}
	return false
}

// plainPath has the bytes that net/url leaves as they are in a path, whichever
// way it goes: a path of these alone is its own decoded form and needs no
// RawPath.
var plainPath = func() (t [256]bool) {
	for c := range 256 {
		t[c] = 'a' <= c|0x20 && c|0x20 <= 'z' && c < 128 || '0' <= c && c <= '9' ||
			strings.IndexByte("/-_.~$&+,:;=@", byte(c)) >= 0
	}
	return t
}()

// setURL parses the request target like net/http, with a short way for plain
// paths.
func (x *exchange) setURL() error {
	r := &x.req
	target := r.RequestURI
	r.URL = &x.url
	if target != "" && target[0] == '/' {
		i := 1
		for i < len(target) && plainPath[target[i]] {
			i++
		}
		if i == len(target) {
			x.url.Path = target
			return nil
		}
		if target[i] == '?' && i+1 < len(target) && plainQuery(target[i+1:]) {
			x.url.Path, x.url.RawQuery = target[:i], target[i+1:]
			return nil
		}
	}
	// RFC 9112 3.2.3: the target of CONNECT is an authority; that of net/rpc
	// is a path nevertheless.
	authority := r.Method == http.MethodConnect && !strings.HasPrefix(target, "/")
	if authority {
		target = "http://" + target
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return err
	}
	x.url = *u
	if authority {
		x.url.Scheme = ""
	}
	return nil
}

// plainQuery reports whether net/url takes q as it is.
func plainQuery(q string) bool {
	for i := range len(q) {
		if q[i] < ' ' || q[i] == 0x7f {
			return false
		}
	}
	return true
}

// A body is the Request.Body.
type body struct {
	x      *exchange
	expect atomic.Bool // the client waits for 100 Continue
}

var errBodyClosed = http.ErrBodyReadAfterClose

// Read waits for bytes of the body. The first read sends the client that
// waits for it 100 Continue (RFC 9110 10.1.1).
func (b *body) Read(p []byte) (int, error) {
	x := b.x
	if b.expect.Load() && len(p) > 0 && !x.readable() && b.expect.CompareAndSwap(true, false) {
		x.sendContinue()
	}
	n, err := x.read(p)
	if err == io.EOF {
		x.takeTrailers()
	}
	if errors.Is(err, errClientGone) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close drops what has not been read. The daemon discards the rest when the
// response is complete.
func (b *body) Close() error {
	b.x.closeBody()
	return nil
}

func (s *stream) closeBody() {
	s.mu.Lock()
	s.closedIn = true
	s.unseen += len(s.in) - s.inRead
	s.in, s.inRead, s.inBuf = nil, 0, false
	s.wake.Broadcast()
	s.mu.Unlock()
}

// takeTrailers gives the trailers that arrived to the request.
func (x *exchange) takeTrailers() {
	x.mu.Lock()
	fields := x.stream.trailers
	x.stream.trailers = nil
	x.mu.Unlock()
	for _, f := range fields {
		if x.req.Trailer == nil {
			x.req.Trailer = make(http.Header)
		}
		name := textproto.CanonicalMIMEHeaderKey(f.name)
		x.req.Trailer[name] = append(x.req.Trailer[name], f.value)
	}
}
