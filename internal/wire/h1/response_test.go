package h1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/wire/message"
)

func TestResponseParser(t *testing.T) {
	for _, row := range []struct {
		why, x, in, want string // x as in answer
	}{
		{"a length", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 framing=1 length=5 keep-alive"},
		{"chunked", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", "200 framing=2 length=0 keep-alive"},
		{"until close", "", "HTTP/1.1 200 OK\r\n\r\n", "200 framing=3 length=0"},
		{"close", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "200 framing=1 length=0"},
		{"HTTP/1.0", "", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "200 framing=1 length=0"},
		{"HTTP/1.0 that stays", "", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", "200 framing=1 length=0 keep-alive"},
		{"to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 framing=0 length=0 keep-alive"},
		{"to HEAD, chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 framing=0 length=0 keep-alive"},
		{"204", "", "HTTP/1.1 204 No Content\r\n\r\n", "204 framing=0 length=0 keep-alive"},
		{"304", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 framing=0 length=0 keep-alive"},
		{"100", "", "HTTP/1.1 100 Continue\r\n\r\n", "100 framing=0 length=0 keep-alive"},
		{"101", "", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "101 framing=0 length=0 keep-alive"},
		{"to CONNECT", "CONNECT", "HTTP/1.1 200 OK\r\n\r\n", "200 framing=0 length=0 keep-alive"},
		{"CONNECT answered with 300", "CONNECT", "HTTP/1.1 300 Multiple Choices\r\nContent-Length: 2\r\n\r\n", "300 framing=1 length=2 keep-alive"},
		{"refused CONNECT", "CONNECT", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n", "403 framing=1 length=2 keep-alive"},
	} {
		x, _ := answer{status: 200, x: row.x}.parse(t)
		for cut := range len(row.in) {
			var p ResponseParser
			var r Response
			if n, err := p.Parse([]byte(row.in[:cut]), x, &r, 1000); n != 0 || err != nil {
				t.Fatalf("%s: %d bytes of %d: %d, %v", row.why, cut, len(row.in), n, err)
			}
			n, err := p.Parse([]byte(row.in+"more"), x, &r, 1000)
			got := fmt.Sprintf("%d framing=%d length=%d", r.Status, r.Framing, r.Length)
			if r.KeepAlive {
				got += " keep-alive"
			}
			if n != len(row.in) || err != nil || got != row.want {
				t.Errorf("%s, cut at %d: %d of %d, %v\n got %s\nwant %s", row.why, cut, n, len(row.in), err, got, row.want)
			}
		}
	}
}

func TestResponseParserRefuses(t *testing.T) {
	for _, row := range []struct {
		why, in string
		want    error
	}{
		{"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCodingLength},
		{"length of nothing and coding", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCodingLength},
		{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ErrCoding},
		{"chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCoding},
		{"no HTTP", "SSH-2.0-x\r\n\r\n", message.ErrStatusLine},
		{"differing lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", message.ErrLength},
		{"too long", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 100) + "\r\n\r\n", ErrHeadLength},
	} {
		var p ResponseParser
		var r Response
		if n, err := p.Parse([]byte(row.in), Exchange{}, &r, 100); n != 0 || err != row.want {
			t.Errorf("%s: %d, %v, want %v", row.why, n, err, row.want)
		}
	}
}

func TestResponseParserLimit(t *testing.T) {
	in := "HTTP/1.1 200 OK\r\n\r\n"
	for limit, ok := range map[int]bool{len(in) - 1: false, len(in): true, len(in) + 1: true} {
		var p ResponseParser
		var r Response
		if n, err := p.Parse([]byte(in), Exchange{}, &r, limit); (n == len(in)) != ok || (err == nil) != ok {
			t.Errorf("limit %d: %d, %v", limit, n, err)
		}
	}
}
