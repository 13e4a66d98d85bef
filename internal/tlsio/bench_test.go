package tlsio

import (
	"crypto/tls"
	"io"
	"testing"

	"github.com/httpsys/httpsys/internal/sys"
)

const (
	benchRequest  = 200
	benchResponse = 250
)

// What a small request and its response cost over TLS, and without. The
// client's records are made beforehand, so the difference of the two is our side
// of TLS.
func BenchmarkSmall(b *testing.B) {
	request, response := pattern(benchRequest), pattern(benchResponse)
	buf, back := make([]byte, 64<<10), make([]byte, 4096)
	b.Run("plain", func(b *testing.B) {
		fd, client := sockets(b)
		for b.Loop() {
			client.Write(request)
			sys.Read(fd, buf)
			sys.Write(fd, response, false)
			client.Read(back)
		}
	})
	b.Run("TLS", func(b *testing.B) {
		fd, raw := sockets(b)
		wire := &recorder{Conn: raw}
		client := tls.Client(wire, clientConfig())
		x := begin(b, newServer(b, Limits{}, serverConfig()), fd, someAddr, nil)
		go client.Handshake()
		if err := x.outcome(); err != nil {
			b.Fatal(err)
		}
		client.Handshake()
		wire.hold = true
		records := make([][]byte, b.N)
		for i := range records {
			client.Write(request)
			records[i] = wire.take()
		}
		out := make([]byte, 0, 4096)
		b.ResetTimer()
		for _, r := range records {
			raw.Write(r)
			x.Ready(false)
			if n, err := x.Read(buf); n != benchRequest {
				b.Fatal(n, err)
			}
			out, _ = x.Seal(out[:0], response)
			sys.Write(fd, out, false)
			raw.Read(back)
		}
	})
}

// Crypto alone, without system calls.
func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{250, 16 << 10} {
		b.Run(map[bool]string{true: "250B", false: "16KiB"}[size == 250], func(b *testing.B) {
			s := newServer(b, Limits{}, serverConfig())
			x, client := established(b, s, clientConfig())
			go io.Copy(io.Discard, client)
			plain, out := pattern(size), make([]byte, 0, 20<<10)
			b.SetBytes(int64(size))
			for b.Loop() {
				out, _ = x.Seal(out[:0], plain)
			}
		})
	}
}

// Uploads, in bytes: how many records a Read takes matters.
func BenchmarkUpload(b *testing.B) {
	s := newServer(b, Limits{}, serverConfig())
	x, client := established(b, s, clientConfig())
	const piece = 256 << 10
	plain, buf := pattern(piece), make([]byte, 64<<10)
	go func() {
		for {
			if _, err := client.Write(plain); err != nil {
				return
			}
		}
	}()
	b.SetBytes(piece)
	for b.Loop() {
		for got := 0; got < piece; {
			n, err := x.Read(buf)
			got += n
			if err != nil {
				x.poll(1, 100)
				x.Ready(false)
			}
		}
	}
	x.Close(nil)
}

// A whole handshake, both sides; the client's part is about as much as ours.
func BenchmarkHandshake(b *testing.B) {
	s := newServer(b, Limits{}, serverConfig())
	for b.Loop() {
		established(b, s, clientConfig())
	}
}
