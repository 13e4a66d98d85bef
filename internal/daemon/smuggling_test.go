package daemon_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// What two parties could read differently is refused, and the innocent request
// behind it on the same connection is answered as itself or not at all
// (RFC 9112 11.2). In each payload the request that an attacker would hide is
// for /smuggled; nobody may ever get that one.
func TestSmuggling(t *testing.T) {
	const hidden = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	const innocent = "GET /innocent HTTP/1.1\r\nHost: a\r\n\r\n"
	n := fmt.Sprint(len(hidden))
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	post := func(fields, rest string) string {
		return "POST /first HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + rest
	}
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 10})
	reg := app.Register("http://+:0/")
	var mu sync.Mutex
	var seen []string // targets that the application got
	open := map[uint32]*testkit.Request{}
	app.Serve(func(l *testkit.Loop, f testkit.Frame) {
		switch f.Type {
		case channel.Request:
			r := l.Parse(f)
			mu.Lock()
			seen = append(seen, r.Target)
			mu.Unlock()
			open[f.Stream] = r
		case channel.Cancel:
			if open[f.Stream] != nil {
				delete(open, f.Stream)
				l.Send(testkit.Cancel(f.Stream, CREDIT, 0))
			}
		}
		if r := open[f.Stream]; r != nil && (f.Flags&END != 0 || f.Type == channel.Trailers) {
			delete(open, f.Stream)
			r.Respond(200, nil, r.Method+" "+r.Target)
		}
	})
	const ok = 200
	for _, tc := range []struct {
		name   string
		send   string
		status int // of the first; after an error the connection ends
	}{
		// The body says what it is, once: all is well.
		{"a length", post("Content-Length: "+n+"\r\n", hidden), ok},
		{"chunks", post("Transfer-Encoding: chunked\r\n", chunk), ok},
		{"chunks with an extension", post("Transfer-Encoding: chunked\r\n", strings.Replace(chunk, "\r\n", ";a=\"b;\"\r\n", 1)), ok},
		{"a length and GET", "GET /first HTTP/1.1\r\nHost: a\r\nContent-Length: " + n + "\r\n\r\n" + hidden, ok},

		// CL.TE, TE.CL, TE.TE.
		{"a length and chunks", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunk), 400},
		{"chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"+hidden), 400},
		{"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunk), 400},
		{"chunked and identity", post("Transfer-Encoding: chunked, identity\r\n", chunk), 400},
		{"chunked twice in a list", post("Transfer-Encoding: chunked, chunked\r\n", chunk), 400},
		{"xchunked", post("Transfer-Encoding: xchunked\r\n", chunk), 501},
		{"chunked with something behind it", post("Transfer-Encoding: chunked;x\r\n", chunk), 400},
		{"chunked with a control character", post("Transfer-Encoding: \x0bchunked\r\n", chunk), 400},
		{"a space before the colon", post("Transfer-Encoding : chunked\r\n", chunk), 400},
		{"a tab before the colon", post("Content-Length\t: "+n+"\r\n", hidden), 400},
		{"a folded field", post("Transfer-Encoding:\r\n chunked\r\n", chunk), 400},
		{"a field that begins with a space", post(" Transfer-Encoding: chunked\r\n", chunk), 400},
		{"chunks in HTTP/1.0", "POST /first HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk, 400},

		// Lengths.
		{"two lengths", post("Content-Length: 0\r\nContent-Length: "+n+"\r\n", hidden), 400},
		{"two equal lengths", post("Content-Length: "+n+"\r\nContent-Length: "+n+"\r\n", hidden), 400},
		{"a list of lengths", post("Content-Length: "+n+", "+n+"\r\n", hidden), 400},
		{"+ before a length", post("Content-Length: +"+n+"\r\n", hidden), 400},
		{"a negative length", post("Content-Length: -1\r\n", hidden), 400},
		{"a hexadecimal length", post("Content-Length: 0x"+n+"\r\n", hidden), 400},
		{"a length with a space in it", post("Content-Length: 1 0\r\n", hidden), 400},
		{"an empty length", post("Content-Length: \r\n", hidden), 400},
		{"a length beyond all numbers", post("Content-Length: 99999999999999999999\r\n", hidden), 400},
		{"a length behind a NUL", post("Content-Length: \x00"+n+"\r\n", hidden), 400},

		// Line ends.
		{"bare LF in the head", "POST /first HTTP/1.1\r\nHost: a\nContent-Length: " + n + "\r\n\r\n" + hidden, 400},
		{"bare LF at the end of the head", "POST /first HTTP/1.1\r\nHost: a\r\n\n" + hidden, 400},
		{"bare CR in a value", post("X: a\rContent-Length: "+n+"\r\n", hidden), 400},
		{"CR CR LF", post("X: a\r\r\n", hidden), 400},
		{"CR at the end of the head", "POST /first HTTP/1.1\r\nHost: a\r\n\r" + hidden, 400},

		// Chunks.
		{"bare LF behind a chunk size", post("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"bare LF behind a chunk", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\n0\r\n\r\n"+hidden), 400},
		{"bare LF in a chunk extension", post("Transfer-Encoding: chunked\r\n", "5;\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"CR in a chunk extension", post("Transfer-Encoding: chunked\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"a chunk size with 0x", post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"a chunk size with a sign", post("Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"a chunk size with a space before it", post("Transfer-Encoding: chunked\r\n", " 5\r\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"a chunk size with a space behind it", post("Transfer-Encoding: chunked\r\n", "5 \r\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"a chunk size with _", post("Transfer-Encoding: chunked\r\n", "1_0\r\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"a chunk size beyond all numbers", post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff0\r\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"no chunk size", post("Transfer-Encoding: chunked\r\n", "\r\n"+hidden), 400},
		{"a chunk that is longer than it says", post("Transfer-Encoding: chunked\r\n", "3\r\nhello\r\n0\r\n\r\n"+hidden), 400},
		{"a length among the trailers", post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: "+n+"\r\n\r\n"+hidden), 400},
		{"bare LF behind the trailers", post("Transfer-Encoding: chunked\r\n", "0\r\nA: b\n\r\n"+hidden), 400},

		// Request lines and targets.
		{"two spaces", "GET  /first HTTP/1.1\r\nHost: a\r\n\r\n" + hidden, 400},
		{"a tab in the request line", "GET\t/first\tHTTP/1.1\r\nHost: a\r\n\r\n" + hidden, 400},
		{"something behind the version", "GET /first HTTP/1.1 x\r\nHost: a\r\n\r\n" + hidden, 400},
		{"HTTP/0.9", "GET /first\r\n\r\n" + hidden, 400},
		{"HTTP/1.1 in lower case", "GET /first http/1.1\r\nHost: a\r\n\r\n" + hidden, 400},
		{"a target with a fragment", "GET /first#x HTTP/1.1\r\nHost: a\r\n\r\n" + hidden, 400},
		{"a Host with a path", "GET /first HTTP/1.1\r\nHost: a/b\r\n\r\n" + hidden, 400},
		{"a Host with a user", "GET /first HTTP/1.1\r\nHost: x@a\r\n\r\n" + hidden, 400},
		{"a target with a user", "GET http://x@a/first HTTP/1.1\r\nHost: a\r\n\r\n" + hidden, 400},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + hidden, 505},
		{"a length and CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: " + n + "\r\n\r\n" + hidden, 400},
	} {
		for _, cut := range []string{"at once", "in two pieces"} {
			d.Run(tc.name+" "+cut, func(t *testing.T) {
				c := d.Dial(reg)
				all := tc.send + innocent
				if cut == "at once" {
					c.Send(all)
				} else {
					c.Send(all[:len(tc.send)/2])
					d.Connections(1)
					c.TrySend(all[len(tc.send)/2:])
				}
				first, err := c.TryResponse()
				if err != nil || first.Status != tc.status {
					t.Fatalf("the first answer is %+v, %v; want %d", first, err, tc.status)
				}
				if tc.status == ok {
					if second := c.WantStatus(200); second.Body != "GET /innocent" {
						t.Errorf("the innocent request got %q", second.Body)
					}
				} else {
					if !first.Close {
						t.Errorf("the connection stays: %s", first.Head)
					}
					if s := c.WantEnd(); s != "" {
						t.Errorf("behind the error came %q", s)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				defer func() { seen = nil }()
				if slices.ContainsFunc(seen, func(s string) bool { return strings.Contains(s, "smuggled") }) {
					t.Errorf("the application saw %q", seen)
				}
			})
		}
	}
}
