package h1

import (
	"testing"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// What clients send.
var benchRequests = []struct{ name, text string }{
	{"wrk", "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"},
	{"curl", "GET /app/hello HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n"},
	{"go", "GET /app/items?id=17 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Go-http-client/1.1\r\n" +
		"Accept: application/json\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\r\n" +
		"X-Request-Id: 9f2b1c7a-0f6e-4c9a-8f55-1c0b6f3f7e21\r\nConnection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n"},
	{"browser", "GET /app/index.html HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\n" +
		"Cache-Control: max-age=0\r\nsec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n" +
		"sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n"},
}

func BenchmarkParseRequest(b *testing.B) {
	for _, row := range benchRequests {
		b.Run(row.name, func(b *testing.B) {
			in := []byte(row.text)
			var p HeadParser
			var r Request
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := p.Parse(in, &r, &DefaultLimits); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

var benchFields = []string{
	"Content-Type", "text/html; charset=utf-8",
	"Content-Length", "12",
	"Cache-Control", "no-store",
	"X-Request-Id", "9f2b1c7a-0f6e-4c9a-8f55-1c0b6f3f7e21",
	"Set-Cookie", "session=0123456789abcdef0123456789abcdef; Path=/; HttpOnly",
}

func binaryHead(reason string, fields ...string) (head []byte, n int) {
	head = append(append(head, reason...), 0)
	for _, s := range fields {
		head = append(append(head, s...), 0)
	}
	return head, len(fields) / 2
}

func textHead(statusLine string, fields ...string) []byte {
	head := []byte(statusLine + "\r\n")
	for i := 0; i < len(fields); i += 2 {
		head = append(head, fields[i]+": "+fields[i+1]+"\r\n"...)
	}
	return append(head, "\r\n"...)
}

func BenchmarkParseBinary(b *testing.B) {
	head, n := binaryHead("", benchFields...)
	var r message.Response
	b.ReportAllocs()
	for b.Loop() {
		if err := r.ParseBinary(200, head, n); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseText(b *testing.B) {
	head := textHead("HTTP/1.1 200 OK", benchFields...)
	var r message.Response
	b.ReportAllocs()
	for b.Loop() {
		if err := r.ParseText(200, head); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendResponseHead(b *testing.B) {
	for _, row := range []struct {
		name   string
		fields []string
	}{{"1", benchFields[:2]}, {"5", benchFields}} {
		b.Run(row.name, func(b *testing.B) {
			head, n := binaryHead("", row.fields...)
			var r message.Response
			if err := r.ParseBinary(200, head, n); err != nil {
				b.Fatal(err)
			}
			var dst []byte
			x := Exchange{Version: 11, KeepAlive: true}
			date, server := []byte("Date: Sat, 21 Nov 2026 03:00:14 GMT\r\n"), []byte("Server: httpsys\r\n")
			b.ReportAllocs()
			for b.Loop() {
				f, length, keepAlive := Frame(x, &r, true, 12)
				dst = AppendResponseHead(dst[:0], x, &r, f, length, keepAlive, date, server)
			}
		})
	}
}

func BenchmarkBody(b *testing.B) {
	chunks := []byte("5\r\nhello\r\n0\r\n\r\n")
	long := AppendChunkHeader(nil, 65536)
	long = append(long, make([]byte, 65536)...)
	long = append(append(long, ChunkEnd...), LastChunk...)
	for _, row := range []struct {
		name string
		in   []byte
	}{{"small", chunks}, {"64k", long}} {
		b.Run(row.name, func(b *testing.B) {
			var body Body
			b.SetBytes(int64(len(row.in)))
			b.ReportAllocs()
			for b.Loop() {
				body.InitFraming(FramingChunked, 0, nil)
				if _, n, done, err := body.Next(row.in); n != len(row.in) || !done || err != nil {
					b.Fatal(n, done, err)
				}
			}
		})
	}
}
