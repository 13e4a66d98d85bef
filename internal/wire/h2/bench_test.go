package h2

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// browserFields is a head as a browser sends it. The path is field 3.
var browserFields = []string{
	":method", "GET", ":scheme", "https", ":authority", "www.example.com", ":path", "/app/index.html?x=1",
	"sec-ch-ua", `"Chromium";v="140", "Not=A?Brand";v="24"`, "sec-ch-ua-mobile", "?0", "sec-ch-ua-platform", `"Linux"`,
	"upgrade-insecure-requests", "1",
	"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
	"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
	"sec-fetch-site", "none", "sec-fetch-mode", "navigate", "sec-fetch-dest", "document",
	"accept-encoding", "gzip, deflate, br, zstd", "accept-language", "en-US,en;q=0.9",
	"cookie", "session=0123456789abcdef", "cookie", "theme=dark", "priority", "u=0, i",
}

// clientEncoder makes requests with the tables of a client.
type clientEncoder struct {
	block bytes.Buffer
	e     *hpack.Encoder
	id    uint32
}

func newClientEncoder() *clientEncoder {
	c := &clientEncoder{id: 1}
	c.e = hpack.NewEncoder(&c.block)
	return c
}

func (c *clientEncoder) request(fields []string, body string) []byte {
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		c.e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	flags := uint8(flagEndHeaders)
	if body == "" {
		flags |= flagEndStream
	}
	out := frame(typeHeaders, flags, c.id, c.block.String())
	if body != "" {
		out += data(c.id, true, body)
	}
	c.id += 2
	return []byte(out)
}

// What a request costs in the core, from its bytes to those of the response:
// 10 at once, as they come in one read.
func BenchmarkRequests(b *testing.B) {
	simple := []string{":method", "GET", ":scheme", "https", ":authority", "localhost:8443", ":path", "/", "user-agent", "h2load nghttp2/1.52.0"}
	for _, row := range []struct {
		name   string
		fields []string
		body   string
	}{{"h2load", simple, ""}, {"browser", browserFields, ""}, {"post1k", simple, strings.Repeat("x", 1024)}} {
		b.Run(row.name, func(b *testing.B) {
			limits := DefaultLimits
			shared := NewShared(&limits, "httpsys")
			shared.SetDate([]byte("Mon, 02 Jan 2006 15:04:05 GMT"))
			var c Conn
			c.Init(shared, 1)
			c.Receive([]byte(hello), 1)
			for c.Next() != nil {
			}
			r := response(200, "Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff")
			body := []byte("hello, world")
			const batch = 10
			in := make([]byte, 0, 64<<10)
			out := make([]byte, 0, 64<<10)
			turn := func(in []byte) {
				c.Out = out[:0]
				c.Receive(in, 1)
				for ev := c.Next(); ev != nil; ev = c.Next() {
					s := ev.Stream
					if len(ev.Data) > 0 {
						c.Consumed(s, len(ev.Data))
					}
					if ev.End {
						c.Respond(s, r, body, true)
					}
				}
			}
			e := newClientEncoder()
			turn(e.request(row.fields, row.body)) // fills the tables
			for range batch {
				in = append(in, e.request(row.fields, row.body)...)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				id := c.lastID
				c.send = 1 << 30             // as if the client had opened it
				for at := 0; at < len(in); { // the same bytes with new numbers
					h := parseHeader(in[at:])
					if h.typ == typeHeaders {
						id += 2
					}
					binary.BigEndian.PutUint32(in[at+5:], id)
					at += frameHeader + h.length
				}
				turn(in)
				if c.Err() != nil || c.Streams() != 0 {
					b.Fatal(c.Err(), c.Streams())
				}
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*batch), "ns/request")
			b.ReportMetric(float64(len(c.Out))/batch, "B/response")
		})
	}
}

// 1 MB on one stream and on 100, with a client that opens its windows.
func BenchmarkDownload(b *testing.B) {
	for _, streams := range []int{1, 100} {
		b.Run(map[int]string{1: "1stream", 100: "100streams"}[streams], func(b *testing.B) {
			limits := DefaultLimits
			var c Conn
			c.Init(NewShared(&limits, ""), 1)
			in := hello + settingsOf(setting(setInitialWindow, 1<<30)) + string(appendWindowUpdate(nil, 0, 1<<30))
			in += strings.Join(gets(1, streams), "")
			c.Receive([]byte(in), 1)
			var all []*Stream
			for e := c.Next(); e != nil; e = c.Next() {
				all = append(all, e.Stream)
			}
			for _, s := range all {
				c.Respond(s, response(200), nil, false)
				c.Wait(s)
			}
			piece := make([]byte, 16384)
			b.SetBytes(1 << 20)
			out := make([]byte, 0, 128<<10)
			for b.Loop() {
				for range 64 {
					s := c.Ready()
					c.Out = out[:0]
					c.Send(s, piece, false)
					c.Wait(s)
					s.send, c.send = 1<<30, 1<<30
				}
			}
		})
	}
}

// A browser's head of which only the path is new: our decoder, and that of the
// hpack package, whose fields are strings yet to be copied.
func BenchmarkDecoder(b *testing.B) {
	var full, again bytes.Buffer
	e := hpack.NewEncoder(&full)
	for i := 0; i < len(browserFields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: browserFields[i], Value: browserFields[i+1]})
	}
	first := bytes.Clone(full.Bytes())
	for i := 0; i < len(browserFields); i += 2 {
		full.Reset()
		e.WriteField(hpack.HeaderField{Name: browserFields[i], Value: browserFields[i+1]})
		if browserFields[i] == ":path" { // as clients send it that do not index paths
			full.Reset()
			full.WriteByte(0x04)
			full.Write(appendString(nil, browserFields[i+1]))
		}
		again.Write(full.Bytes())
	}
	b.Run("ours", func(b *testing.B) {
		limits := DefaultLimits
		c := Conn{shared: NewShared(&limits, "")}
		c.decoder.max = tableSize
		decode := func(block []byte) {
			batch := c.newBatch()
			h := &batch.head
			*h = head{batch: batch, limits: &limits}
			if !c.decoder.decode(block, h) || len(batch.fields) != 14 {
				b.Fatal(len(batch.fields))
			}
			c.release()
		}
		decode(first)
		b.ReportAllocs()
		for b.Loop() {
			decode(again.Bytes())
		}
	})
	b.Run("hpack", func(b *testing.B) {
		n := 0
		d := hpack.NewDecoder(tableSize, func(hpack.HeaderField) { n++ })
		d.Write(first)
		d.Close()
		b.ReportAllocs()
		for b.Loop() {
			d.Write(again.Bytes())
			d.Close()
		}
	})
}
