package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// smallLimits are reached by short inputs.
var smallLimits = &Limits{Head: 300, Field: 120, Target: 80, Fields: 12}

func (r *Request) appendTo(dst []byte) []byte {
	dst = fmt.Appendf(dst, "%s %s HTTP/%d.%d\r\n", r.Method, r.Target, r.Version/10, r.Version%10)
	for _, f := range r.Fields {
		dst = fmt.Appendf(dst, "%s: %s\r\n", f.Name, f.Value)
	}
	return append(dst, "\r\n"...)
}

// FuzzRequest holds what is said of all heads: it does not matter how the bytes
// arrive; what is behind a head does not change it; a head that is written
// again is read as the same; Go's server sees the same message, if it sees one.
func FuzzRequest(f *testing.F) {
	for _, row := range accepted {
		f.Add([]byte(row.in), 3)
	}
	for _, row := range refused {
		f.Add([]byte(row.in), 30)
	}
	for _, row := range benchRequests {
		f.Add([]byte(row.text), 100)
	}
	for _, row := range goodChunked {
		f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+row.in), 60)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		in := string(data)
		for _, l := range []*Limits{&DefaultLimits, smallLimits} {
			n, want, wantErr := parse(in, l)
			if n < 0 || n > len(in) || n > 0 && wantErr != nil {
				t.Fatalf("%d, %v", n, wantErr)
			}
			same := func(how string, gotN int, got string, err error) {
				t.Helper()
				if gotN != n || got != want || err != wantErr {
					t.Fatalf("%s: %d, %v, want %d, %v\n got %s\nwant %s", how, gotN, err, n, wantErr, got, want)
				}
			}
			gotN, got, err := parseGrowing(t, in, l, int(uint(cut)%uint(len(in)+1)))
			same("in two reads", gotN, got, err)
			if len(in) <= 300 {
				gotN, got, err = parseGrowing(t, in, l, everyByte(in)...)
				same("byte by byte", gotN, got, err)
			}
			if n > 0 {
				gotN, got, err = parse(in[:n], l)
				same("without what follows", gotN, got, err)
				gotN, got, err = parse(in[:n]+"\r\n\x00", l)
				same("followed by rubbish", gotN, got, err)
			}
		}
		var p HeadParser
		var r, again Request
		n, _ := p.Parse(data, &r, &DefaultLimits)
		if n == 0 {
			return
		}
		checkRequest(t, &r)
		text := r.appendTo(nil)
		if k, err := p.Parse(text, &again, &DefaultLimits); len(text) <= DefaultLimits.Head && (k != len(text) || err != nil) {
			t.Fatalf("written again: %d of %d, %v\n%q", k, len(text), err, text)
		} else if err == nil && again.dumpAll() != r.dumpAll() {
			t.Fatalf("written again:\n got %s\nwant %s", again.dumpAll(), r.dumpAll())
		}
		compareWithGo(t, in, n, &r)
	})
}

// checkRequest holds what everyone relies on who gets a request from us.
func checkRequest(t *testing.T, r *Request) {
	t.Helper()
	if !message.ValidName(r.Method) || len(r.Target) == 0 || bytes.ContainsAny(r.Target, " \r\n\x00#") {
		t.Fatalf("method %q, target %q", r.Method, r.Target)
	}
	connect := string(r.Method) == "CONNECT"
	if connect != (len(r.Path) == 0) || connect && (len(r.Query) > 0 || r.KeepAlive || r.ContentLength != 0) {
		t.Fatalf("path %q, query %q of %s", r.Path, r.Query, r.Method)
	}
	if !connect && r.Path[0] != '/' && (string(r.Path) != "*" || string(r.Method) != "OPTIONS") {
		t.Fatalf("path %q", r.Path)
	}
	if len(r.Authority) == 0 {
		if r.Version != 10 {
			t.Fatal("no authority")
		}
	} else if a, _, ok := message.ParseAuthority(r.Authority); !ok || !bytes.Equal(a, r.Authority) {
		t.Fatalf("authority %q", r.Authority)
	}
	for _, f := range r.Fields {
		if !message.ValidName(f.Name) || !message.ValidValue(f.Value) || len(message.Trim(f.Value)) != len(f.Value) {
			t.Fatalf("field %q: %q", f.Name, f.Value)
		}
	}
	if r.Chunked != (r.ContentLength == -1) || r.ContentLength < -1 || r.Chunked && r.Version < 11 {
		t.Fatalf("length %d, chunked %v", r.ContentLength, r.Chunked)
	}
	if r.Version < 11 && (r.Upgrade || r.ExpectContinue || r.AcceptTrailers) || r.ExpectContinue && r.ContentLength == 0 {
		t.Fatalf("%s", r.dump())
	}
}

// compareWithGo reads a head that we accept with net/http. It may refuse a
// target that it cannot decode, but it must not see another message.
func compareWithGo(t *testing.T, in string, n int, r *Request) {
	t.Helper()
	rd := bufio.NewReader(strings.NewReader(strings.TrimLeft(in, "\r\n")))
	req, err := http.ReadRequest(rd)
	if err != nil {
		s := err.Error()
		switch {
		// Targets that are no URL.
		case strings.Contains(s, "parse \""), strings.Contains(s, "invalid URI"),
			// It gives up where we go on, and reads nothing: a Host that is not
			// an IPv6 literal with ASCII, a minor version it has not heard of.
			strings.Contains(s, "malformed Host header"), strings.Contains(s, "malformed HTTP version"):
			return
		}
		t.Fatalf("we accept, net/http refuses: %v\n%q", err, in[:n])
	}
	length := req.ContentLength
	chunked := len(req.TransferEncoding) == 1 && req.TransferEncoding[0] == "chunked"
	if chunked != r.Chunked || length != r.ContentLength || req.Method != string(r.Method) ||
		len(r.Fields) < len(req.Header) || req.RequestURI != string(r.Target) {
		t.Fatalf("net/http reads %s %s, length %d, chunked %v; we read %s", req.Method, req.RequestURI, length, chunked, r.dump())
	}
	// It keeps a port's colon and does not look at the authority of CONNECT.
	if goHost := strings.TrimSuffix(req.Host, ":"); string(r.Authority) != goHost {
		t.Fatalf("net/http routes by %q, we by %q", req.Host, r.Authority)
	}
	if r.Version == 11 && req.ProtoMinor == 1 && string(r.Method) != "CONNECT" && req.Close == r.KeepAlive {
		t.Fatalf("net/http closes: %v; we keep alive: %v", req.Close, r.KeepAlive)
	}

	// The same content, and the next request in the same place.
	var b Body
	b.Init(r)
	content, _, k, err := readBody(t, &b, in[n:])
	if err != nil || !b.Done() {
		return // we refuse, or wait for more
	}
	theirs, err := io.ReadAll(req.Body)
	if err != nil {
		s := err.Error()
		if strings.Contains(s, "trailer") || strings.Contains(s, "malformed MIME header") || strings.Contains(s, "too large") ||
			strings.Contains(s, "chunked line") || strings.Contains(s, "line too long") || strings.Contains(s, "suspiciously long") ||
			strings.Contains(s, "excessive") {
			return
		}
		t.Fatalf("we accept the body, net/http says %v\n%q", err, in[n:n+k])
	}
	rest, _ := io.ReadAll(rd)
	if string(theirs) != content || string(rest) != in[n+k:] {
		t.Fatalf("net/http reads %q, then %q; we read %q, then %q", theirs, rest, content, in[n+k:])
	}
}

// FuzzBody holds what is said of all chunked bodies: it does not matter how the
// bytes arrive; Go's decoder sees the same content.
func FuzzBody(f *testing.F) {
	for _, row := range goodChunked {
		f.Add([]byte(row.in), 3)
	}
	for _, row := range badChunked {
		f.Add([]byte(row.in), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		in := string(data)
		for _, l := range []*Limits{&DefaultLimits, {Head: 60, Field: 30, Fields: 4}} {
			body := func() *Body {
				b := new(Body)
				b.InitFraming(FramingChunked, 0, l)
				return b
			}
			whole := body()
			content, trailers, n, wantErr := readBody(t, whole, in)
			same := func(how string, b *Body, gotContent, gotTrailers string, gotN int, err error) {
				t.Helper()
				if gotContent != content || gotTrailers != trailers || gotN != n || err != wantErr || b.Done() != whole.Done() {
					t.Fatalf("%s: %q, %q, %d, %v, done %v\nwant %q, %q, %d, %v, done %v", how, gotContent, gotTrailers, gotN, err,
						b.Done(), content, trailers, n, wantErr, whole.Done())
				}
			}
			b := body()
			c, tr, k, err := readBody(t, b, in, int(uint(cut)%uint(len(in)+1)))
			same("in two reads", b, c, tr, k, err)
			if len(in) <= 300 {
				b = body()
				c, tr, k, err = readBody(t, b, in, everyByte(in)...)
				same("byte by byte", b, c, tr, k, err)
			}
			if !whole.Done() {
				continue
			}
			b = body()
			c, tr, k, err = readBody(t, b, in[:n]+"\x00\r\n")
			same("followed by rubbish", b, c, tr, k, err)

			theirs, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(in[:n])))
			if (err == nil || !strings.Contains(err.Error(), "chunked encoding contains too much non-data")) &&
				(err != nil || string(theirs) != content) {
				t.Fatalf("net/http reads %q, %v; we read %q", theirs, err, content)
			}

			// Written again it is the same.
			text := AppendChunkHeader(nil, len(content))
			text = append(append(text, content...), ChunkEnd...)
			if len(content) == 0 {
				text = text[:0]
			}
			text = AppendTrailers(text, whole.Trailers)
			c, tr, k, err = readBody(t, chunkedBody(), string(text))
			if c != content || tr != trailers || k != len(text) || err != nil {
				t.Fatalf("written again: %q, %q, %d, %v", c, tr, k, err)
			}
		}
	})
}

// FuzzResponseHead holds what is said of all heads from applications: both
// forms are read the same, and what goes to the client is one message that is
// framed as Frame says, with no field that the application did not send as one.
func FuzzResponseHead(f *testing.F) {
	for _, in := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n",
		"HTTP/1.0 404\r\nTransfer-Encoding: chunked\r\nConnection: close, x\r\nKeep-Alive: y\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nDate: x\r\nServer: y\r\n\r\n",
		"HTTP/1.1 304 \r\nContent-Length: 7\r\nContent-Length: 7\r\nTrailer: z\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
		"HTTP/1.1 200 OK\nA: b\r\n\r\n",
	} {
		for flags := range byte(32) {
			f.Add([]byte(in), flags, int64(5))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, flags byte, bodyLen int64) {
		var r, binary message.Response
		if bodyLen < 0 {
			bodyLen = 0
		}
		x := Exchange{Head: flags&1 != 0, Connect: flags&2 != 0, KeepAlive: flags&4 != 0, Version: 11}
		if flags&8 != 0 {
			x.Version = 10
		}
		x.Connect = x.Connect && !x.Head
		complete := flags&16 != 0

		// The reading side sees the head end in the same place, however it arrives.
		var p ResponseParser
		var one, many Response
		n, err := p.Parse(data, x, &one, 1000)
		if err == nil {
			var p ResponseParser
			for i := 0; i <= min(len(data), 1000); i++ {
				k, err := p.Parse(data[:i], x, &many, 1000)
				if err != nil || k > 0 && (k != n || i != n) || k == 0 && n > 0 && i == n {
					t.Fatalf("at %d bytes: %d, %v, want %d", i, k, err, n)
				}
				if k > 0 {
					break
				}
			}
		}

		// The fuzzer's bytes are also the binary form; it only must not panic or
		// accept what splits.
		if binary.ParseBinary(200, data, bytes.Count(data, []byte{0})/2) == nil {
			checkFields(t, binary.Fields)
		}
		if r.ParseText(0, data) != nil {
			return
		}
		checkFields(t, r.Fields)

		// The other form of what was kept is the same head.
		head := append(append([]byte(nil), r.Reason...), 0)
		for _, f := range r.Fields {
			head = append(append(head, f.Name...), 0)
			head = append(append(head, f.Value...), 0)
		}
		if err := binary.ParseBinary(r.Status, head, len(r.Fields)); err != nil {
			t.Fatalf("in binary form: %v", err)
		}
		if a, b := fmt.Sprintf("%q %d %d", r.Fields, r.ContentLength, r.LengthAt), fmt.Sprintf("%q %d %d", binary.Fields, binary.ContentLength,
			binary.LengthAt); a != b || r.HasDate != binary.HasDate || r.HasServer != binary.HasServer || r.HasTrailer != binary.HasTrailer {
			t.Fatalf("text form %s\nbinary form %s", a, b)
		}

		if r.Informational() {
			out := AppendInformational(nil, &r)
			if err := binary.ParseText(r.Status, out); err != nil || binary.ContentLength != -1 {
				t.Fatalf("informational: %v\n%q", err, out)
			}
			return
		}
		framing, length, keep := Frame(x, &r, complete, bodyLen)
		out := AppendResponseHead(nil, x, &r, framing, length, keep, testDate, testServer)
		if err := binary.ParseText(r.Status, out); err != nil {
			t.Fatalf("written: %v\n%q", err, out)
		}
		tunnel := r.Status == 101 || x.Connect && r.Status < 300
		if !tunnel && binary.Close == keep {
			t.Fatalf("keep-alive %v\n%q", keep, out)
		}
		var back Response
		p = ResponseParser{} // it is for one connection, which ends with an error
		k, err := p.Parse(out, x, &back, 1<<20)
		wantFraming := framing
		if k != len(out) || err != nil || back.Framing != wantFraming || framing == FramingLength && back.Length != length {
			t.Fatalf("read back: %d of %d, %v, framing %d, want %d\n%q", k, len(out), err, back.Framing, framing, out)
		}
		method := "GET"
		switch {
		case x.Head:
			method = "HEAD"
		case x.Connect:
			method = "CONNECT"
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http: %v\n%q", err, out)
		}
		chunked := len(resp.TransferEncoding) == 1
		if chunked != (framing == FramingChunked) || framing == FramingLength && resp.ContentLength != length {
			t.Fatalf("net/http reads length %d, chunked %v, want framing %d, length %d\n%q", resp.ContentLength, chunked, framing, length, out)
		}
	})
}

func checkFields(t *testing.T, fields []message.Field) {
	t.Helper()
	for _, f := range fields {
		if !message.ValidName(f.Name) || !message.ValidValue(f.Value) || len(message.Trim(f.Value)) != len(f.Value) {
			t.Fatalf("field %q: %q", f.Name, f.Value)
		}
		switch message.KnownOf(f.Name) {
		case message.TransferEncoding, message.KeepAlive, message.ProxyConnection:
			t.Fatalf("field %q was kept", f.Name)
		}
	}
}
