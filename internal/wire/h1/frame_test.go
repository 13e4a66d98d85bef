package h1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/wire/message"
)

var (
	testDate   = []byte("Date: D\r\n")
	testServer = []byte("Server: S\r\n")
)

// answer is an application's head, a client and what is known of the body.
type answer struct {
	status int
	fields string // "name: value|name: value"
	x      string // of: HEAD, CONNECT, 1.0, close
	body   int64  // complete, this long; -1 while it is coming
}

func (a answer) parse(t testing.TB) (Exchange, *message.Response) {
	t.Helper()
	x := Exchange{
		Head: strings.Contains(a.x, "HEAD"), Connect: strings.Contains(a.x, "CONNECT"),
		KeepAlive: !strings.Contains(a.x, "close"), Version: 11,
	}
	if strings.Contains(a.x, "1.0") {
		x.Version = 10
	}
	var parts []string
	if a.fields != "" {
		for f := range strings.SplitSeq(a.fields, "|") {
			name, value, _ := strings.Cut(f, ": ")
			parts = append(parts, name, value)
		}
	}
	head, n := binaryHead("", parts...)
	r := new(message.Response)
	if err := r.ParseBinary(a.status, head, n); err != nil {
		t.Fatalf("%+v: %v", a, err)
	}
	return x, r
}

// What is written as text is what an HTTP/1.1 client sees, as far as it is true.
func TestTextResponseHead(t *testing.T) {
	for _, row := range []struct {
		why, x, in string
		body       int64 // complete, this long; -1 while it is coming
		want       string
	}{
		{"nothing is added but a length", "", "A: b", 5, "A: b|Content-Length: 5"},
		{"its length", "", "Content-Length: 5|Date: x", 5, "Content-Length: 5|Date: x"},
		{"chunks where it wrote chunks", "", "A: b|Transfer-Encoding: chunked", 5, "A: b|Transfer-Encoding: chunked"},
		{"no chunks for HTTP/1.0", "1.0", "A: b|Transfer-Encoding: chunked", 5, "A: b|Content-Length: 5|Connection: keep-alive"},
		{"its connection, in its place", "", "A: b|Connection: keep-alive|Keep-Alive: timeout=5|C: d|Content-Length: 0", 0,
			"A: b|Connection: keep-alive|Keep-Alive: timeout=5|C: d|Content-Length: 0"},
		{"first of all", "", "connection: Keep-Alive|Content-Length: 0", 0, "connection: keep-alive|Content-Length: 0"},
		{"as it spells it", "close", "CONNECTION: keep-alive|A: b", 0, "CONNECTION: close|A: b|Content-Length: 0"},
		{"last of all", "", "Content-Length: 0|Connection: close", 0, "Content-Length: 0|Connection: close"},
		{"not what is not true", "close", "Connection: keep-alive|Keep-Alive: timeout=5|A: b", 0, "Connection: close|A: b|Content-Length: 0"},
		{"no lifetime of a connection that ends", "", "Keep-Alive: timeout=5|Connection: close|A: b|Content-Length: 0", 0, "Connection: close|A: b|Content-Length: 0"},
		{"an end by closing", "", "Connection: close|A: b", 5, "Connection: close|A: b"},
		{"but not instead of chunks", "", "Connection: close|Transfer-Encoding: chunked", 5, "Connection: close|Transfer-Encoding: chunked"},
		{"a length that goes, behind the connection", "204", "A: b|Connection: keep-alive|C: d|Content-Length: 0|E: f", 0,
			"A: b|Connection: keep-alive|C: d|E: f"},
		{"and in front of it", "204", "A: b|Content-Length: 0|Connection: keep-alive|C: d", 0, "A: b|Connection: keep-alive|C: d"},
		{"a tunnel", "101", "Upgrade: x|Connection: Upgrade|A: b", -1, "Upgrade: x|Connection: Upgrade|A: b"},
	} {
		t.Run(row.why, func(t *testing.T) {
			x := Exchange{KeepAlive: row.x != "close", Version: 11}
			status := "200"
			switch row.x {
			case "1.0":
				x.Version = 10
			case "101", "204":
				status = row.x
			}
			r := new(message.Response)
			text := "HTTP/1.1 " + status + " OK\r\n" + strings.ReplaceAll(row.in, "|", "\r\n") + "\r\n\r\n"
			if err := r.ParseText(0, []byte(text)); err != nil {
				t.Fatal(err)
			}
			f, length, keep := Frame(x, r, row.body >= 0, max(row.body, 0))
			head := string(AppendResponseHead(nil, x, r, f, length, keep, testDate, testServer))
			_, fields, _ := strings.Cut(head, "\r\n")
			if got := strings.ReplaceAll(strings.TrimSuffix(fields, "\r\n\r\n"), "\r\n", "|"); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestResponseHead(t *testing.T) {
	const (
		added  = "Date: D|Server: S"
		closed = "|Connection: close"
	)
	for _, row := range []struct {
		section, why string
		in           answer
		framing      Framing
		length       int64
		want         string // the fields
	}{
		// The body is there with the head.
		{"9112 6.2", "a whole body", answer{200, "A: b", "", 5}, FramingLength, 5, "A: b|" + added + "|Content-Length: 5"},
		{"9112 6.2", "an empty body", answer{200, "", "", 0}, FramingLength, 0, added + "|Content-Length: 0"},
		{"9112 6.2", "the application's length", answer{200, "content-length: 5|A: b", "", 5}, FramingLength, 5,
			"content-length: 5|A: b|" + added},
		{"9112 6.3", "more than it said", answer{200, "Content-Length: 5", "", 6}, FramingLength, 5, "Content-Length: 5|" + added + closed},
		{"9112 6.3", "less than it said", answer{200, "Content-Length: 5", "", 4}, FramingLength, 5, "Content-Length: 5|" + added + closed},

		// The body is still coming.
		{"9112 7.1", "chunked", answer{200, "", "", -1}, FramingChunked, -1, added + "|Transfer-Encoding: chunked"},
		{"9112 6.2", "of a known length", answer{200, "Content-Length: 5", "", -1}, FramingLength, 5, "Content-Length: 5|" + added},
		{"9112 6.2", "of a known length of nothing", answer{200, "Content-Length: 0", "", -1}, FramingLength, 0, "Content-Length: 0|" + added},
		{"9112 6.1", "not chunked for HTTP/1.0", answer{200, "", "1.0", -1}, FramingClose, -1, added + closed},
		{"9112 6.1", "not even for one that keeps the connection", answer{200, "Content-Length: 5", "1.0", -1}, FramingLength, 5,
			"Content-Length: 5|" + added + "|Connection: keep-alive"},

		// No body, whatever the application sends.
		{"9110 9.3.2", "HEAD says what GET would", answer{200, "Content-Length: 5", "HEAD", 0}, FramingNone, 5, "Content-Length: 5|" + added},
		{"9110 9.3.2", "HEAD with the body of GET", answer{200, "", "HEAD", 5}, FramingNone, 5, added + "|Content-Length: 5"},
		{"9110 9.3.2", "HEAD with the body of GET and its own length", answer{200, "Content-Length: 0", "HEAD", 5}, FramingNone, 0,
			"Content-Length: 0|" + added},
		{"9110 9.3.2", "HEAD without a body says nothing", answer{200, "", "HEAD", 0}, FramingNone, -1, added},
		{"9110 9.3.2", "HEAD while the body is coming", answer{200, "", "HEAD", -1}, FramingNone, -1, added},
		{"9110 9.3.2", "HEAD in HTTP/1.0", answer{200, "", "HEAD 1.0", -1}, FramingNone, -1, added + "|Connection: keep-alive"},
		{"9110 15.3.5", "204", answer{204, "", "", 0}, FramingNone, -1, added},
		{"9110 8.6", "204 has no length", answer{204, "A: b|Content-Length: 0|C: d", "", 0}, FramingNone, -1, "A: b|C: d|" + added},
		{"9110 15.3.5", "204 with a body", answer{204, "", "", 5}, FramingNone, -1, added},
		{"9110 15.4.5", "304", answer{304, "ETag: x", "", 0}, FramingNone, -1, "ETag: x|" + added},
		{"9110 8.6", "304 may say the length of 200", answer{304, "Content-Length: 5", "", 0}, FramingNone, -1, "Content-Length: 5|" + added},
		{"9110 15.4.5", "304 with a body", answer{304, "", "", -1}, FramingNone, -1, added},

		// The connection.
		{"9112 9.6", "the client closes", answer{200, "", "close", 0}, FramingLength, 0, added + "|Content-Length: 0" + closed},
		{"9112 9.6", "the application closes", answer{200, "Connection: close", "", 0}, FramingLength, 0, added + "|Content-Length: 0" + closed},
		{"9112 9.6", "the application does not decide to keep", answer{200, "Connection: keep-alive", "close", 0}, FramingLength, 0,
			added + "|Content-Length: 0" + closed},
		{"9112 9.3", "HTTP/1.0 is told", answer{200, "", "1.0", 0}, FramingLength, 0, added + "|Content-Length: 0|Connection: keep-alive"},

		// Leaving HTTP.
		{"9110 15.2.2", "101", answer{101, "Connection: Upgrade|Upgrade: x|Content-Length: 0", "", -1}, FramingNone, -1,
			"Connection: Upgrade|Upgrade: x|" + added},
		{"9110 9.3.6", "CONNECT", answer{200, "Content-Length: 0|A: b", "CONNECT close", -1}, FramingNone, -1, "A: b|" + added},
		{"9110 9.3.6", "only 2xx accepts a CONNECT", answer{300, "", "CONNECT", 0}, FramingLength, 0, added + "|Content-Length: 0" + closed},
		{"9110 9.3.6", "CONNECT refused", answer{403, "", "CONNECT", 2}, FramingLength, 2, added + "|Content-Length: 2" + closed},

		// What the application said itself.
		{"9110 6.6.1", "its Date and Server", answer{200, "date: x|SERVER: y", "", 0}, FramingLength, 0,
			"date: x|SERVER: y|Content-Length: 0"},
		{"9112 6.1", "its Transfer-Encoding", answer{200, "Transfer-Encoding: chunked", "", 0}, FramingLength, 0, added + "|Content-Length: 0"},
	} {
		t.Run(row.section+" "+row.why, func(t *testing.T) {
			x, r := row.in.parse(t)
			f, length, keep := Frame(x, r, row.in.body >= 0, max(row.in.body, 0))
			head := string(AppendResponseHead(nil, x, r, f, length, keep, testDate, testServer))
			line, fields, _ := strings.Cut(head, "\r\n")
			fields = strings.ReplaceAll(strings.TrimSuffix(fields, "\r\n\r\n"), "\r\n", "|")
			if f != row.framing || length != row.length || fields != row.want || !strings.HasPrefix(line, "HTTP/1.1 ") {
				t.Errorf("framing %d, length %d, want %d, %d\n got %s\nwant %s", f, length, row.framing, row.length, fields, row.want)
			}
			tunnel := r.Status == 101 || x.Connect && r.Status < 300
			if keep == strings.Contains(fields, "close") && !tunnel {
				t.Errorf("keep-alive %v, but the head says %s", keep, fields)
			}
			if x.Connect && keep {
				t.Error("no request follows a CONNECT")
			}
			// Go's client understands it so.
			method := "GET"
			if x.Head {
				method = "HEAD"
			} else if x.Connect {
				method = "CONNECT"
			}
			resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			// Content that says how it ends says so to the client too.
			chunked := len(resp.TransferEncoding) == 1 && resp.TransferEncoding[0] == "chunked"
			if chunked != (f == FramingChunked) || f == FramingLength && resp.ContentLength != length ||
				f == FramingClose && (resp.ContentLength != -1 || !resp.Close) || !tunnel && resp.Close == keep {
				t.Errorf("Go's client reads: chunked %v, length %d, close %v\n%s", chunked, resp.ContentLength, resp.Close, head)
			}
		})
	}
}

func TestStatusLine(t *testing.T) {
	for _, row := range []struct {
		status int
		reason string
		want   string
	}{
		{200, "", "HTTP/1.1 200 OK\r\n"},
		{200, "Fine", "HTTP/1.1 200 Fine\r\n"},
		{404, "", "HTTP/1.1 404 Not Found\r\n"},
		{299, "", "HTTP/1.1 299 \r\n"},
		{599, "", "HTTP/1.1 599 \r\n"},
		{600, "", "HTTP/1.1 600 \r\n"},
		{999, "", "HTTP/1.1 999 \r\n"},
		{777, "Jackpot", "HTTP/1.1 777 Jackpot\r\n"},
	} {
		if got := string(appendStatusLine(nil, row.status, []byte(row.reason))); got != row.want {
			t.Errorf("%d %q: %q, want %q", row.status, row.reason, got, row.want)
		}
	}
}

func TestInformational(t *testing.T) {
	var r message.Response
	head, n := binaryHead("", "Link", "</a.css>", "Content-Length", "5", "X", "y")
	if err := r.ParseBinary(103, head, n); err != nil || !r.Informational() {
		t.Fatal(err)
	}
	want := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX: y\r\n\r\n"
	if got := string(AppendInformational(nil, &r)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChunks(t *testing.T) {
	var b []byte
	for _, piece := range []string{"hello", strings.Repeat("x", 4660)} {
		b = AppendChunkHeader(b, len(piece))
		b = append(append(b, piece...), ChunkEnd...)
	}
	trailers := []message.Field{{Name: []byte("A"), Value: []byte("b")}, {Name: []byte("c"), Value: nil}}
	whole := string(AppendTrailers(bytes.Clone(b), trailers))
	if want := "5\r\nhello\r\n1234\r\n" + strings.Repeat("x", 4660) + "\r\n0\r\nA: b\r\nc: \r\n\r\n"; whole != want {
		t.Errorf("got %q", whole)
	}
	content, got, n, err := readBody(t, chunkedBody(), whole)
	if len(content) != 4665 || got != "A: b\nc: \n" || n != len(whole) || err != nil {
		t.Errorf("%d bytes, %q, %d of %d, %v", len(content), got, n, len(whole), err)
	}
	if got, want := string(append(b, LastChunk...)), string(AppendTrailers(b, nil)); got != want {
		t.Errorf("LastChunk makes %q, AppendTrailers %q", got, want)
	}
	if got := len(AppendChunkHeader(nil, 1<<63-1)); got != MaxChunkHeader {
		t.Errorf("the longest chunk header has %d bytes", got)
	}
}

func TestRenderAllocatesNothing(t *testing.T) {
	x, r := answer{200, "A: b|Content-Type: text/plain", "", 5}.parse(t)
	dst := make([]byte, 0, 4096)
	if allocs := testing.AllocsPerRun(100, func() {
		f, length, keep := Frame(x, r, true, 5)
		b := AppendResponseHead(dst, x, r, f, length, keep, testDate, testServer)
		b = AppendInformational(b, r)
		b = AppendTrailers(AppendChunkHeader(b, 17), r.Fields)
		AppendError(b, x, 404, "Nothing here.", testDate, testServer, nil)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestBareError(t *testing.T) {
	for _, row := range []struct {
		x     Exchange
		extra string
		want  string
	}{
		{Exchange{Version: 11}, "", "Connection: close\r\n"},
		{Exchange{Version: 11, KeepAlive: true}, "Retry-After: 1\r\n", "Retry-After: 1\r\nContent-Length: 0\r\n"},
		{Exchange{Version: 10, KeepAlive: true}, "", "Content-Length: 0\r\nConnection: keep-alive\r\n"},
		{Exchange{Version: 11, KeepAlive: true, Head: true}, "", "Content-Length: 0\r\n"},
	} {
		if got := string(AppendBareError(nil, row.x, 400, []byte(row.extra))); got != "HTTP/1.1 400 Bad Request\r\n"+row.want+"\r\n" {
			t.Errorf("%+v: got %q", row.x, got)
		}
	}
}

func TestErrorResponse(t *testing.T) {
	want := "HTTP/1.1 503 Service Unavailable\r\n" +
		"Content-Type: text/html; charset=utf-8\r\nDate: D\r\nServer: S\r\nRetry-After: 1\r\nContent-Length: 197\r\n\r\n" +
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>503 Service Unavailable</title></head>\n" +
		"<body>\n<h1>503 Service Unavailable</h1>\n<p>The request queue is full.</p>\n</body>\n</html>\n"
	got := string(AppendError(nil, Exchange{Version: 11, KeepAlive: true}, 503, "The request queue is full.", testDate, testServer,
		[]byte("Retry-After: 1\r\n")))
	if got != want {
		t.Errorf("got\n%s", got)
	}
	for _, row := range []struct {
		x                Exchange
		keep, body, line bool // line: a Connection field
	}{
		{Exchange{Version: 11, KeepAlive: true}, true, true, false},
		{Exchange{Version: 11}, false, true, true},
		{Exchange{Version: 10, KeepAlive: true}, true, true, true},
		{Exchange{}, false, true, true},
		{Exchange{Version: 11, KeepAlive: true, Head: true}, true, false, false},
		{Exchange{Version: 11, Head: true}, false, false, true},
	} {
		b := AppendError(nil, row.x, 400, ErrHost.Text, testDate, nil, nil)
		method := "GET"
		if row.x.Head {
			method = "HEAD"
		}
		rd := bufio.NewReader(bytes.NewReader(b))
		resp, err := http.ReadResponse(rd, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || rd.Buffered() != 0 || resp.Close == row.keep || (len(body) > 0) != row.body ||
			row.body && int64(len(body)) != resp.ContentLength || resp.ContentLength <= 0 ||
			bytes.Contains(b, []byte("\r\nConnection: ")) != row.line {
			t.Errorf("%+v: %v, close %v, %d bytes of %d\n%s", row.x, err, resp.Close, len(body), resp.ContentLength, b)
		}
	}
}

// Every error is one that a client and a log can be told.
func TestErrorValues(t *testing.T) {
	for _, row := range refused {
		e := row.want
		if message.StatusText(e.Status) == "" || e.Status < 400 || e.Reason == "" || strings.ContainsAny(e.Reason, " \t") ||
			!strings.HasSuffix(e.Text, ".") || strings.ContainsAny(e.Text, "<>&") {
			t.Errorf("%+v", e)
		}
	}
	if got, want := ErrHost.Error(), "400 Hostname: The request does not have exactly one valid Host."; got != want {
		t.Errorf("got %q", got)
	}
}
