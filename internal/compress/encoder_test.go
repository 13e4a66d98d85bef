package compress

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// decode undoes a coding, with whatever the end of b is.
func decode(t testing.TB, c Coding, b []byte) ([]byte, error) {
	t.Helper()
	var r io.Reader
	switch c {
	case Gzip:
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		r = z
	case Brotli:
		r = brotli.NewReader(bytes.NewReader(b))
	case Zstd:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	}
	return io.ReadAll(r)
}

var all = []Coding{Zstd, Gzip, Brotli}

// prose is text that compresses about as well as most.
func prose(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	words := make([][]byte, 2000)
	for i := range words {
		w := make([]byte, 2+rnd.IntN(9))
		for j := range w {
			w[j] = 'a' + byte(rnd.IntN(26))
		}
		words[i] = append(w, ' ')
	}
	var b []byte
	for len(b) < n {
		k := rnd.ExpFloat64() * 150
		b = append(b, words[int(k)%len(words)]...)
	}
	return b[:n]
}

// What goes in comes out, however it is cut; after a flush all of it is there;
// and an encoder can be used again from any state.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte("hello, hello"), []byte{3, 0, 200})
	f.Add(prose(70_000), []byte{255, 1, 0, 255, 255})
	f.Add([]byte{}, []byte{0})
	var p Pool
	f.Fuzz(func(t *testing.T, src, cuts []byte) {
		for _, c := range all {
			e := p.Lend(c)
			e.Append(nil, src[:min(len(src), 100)]) // left unfinished
			p.Put(e)
			e = p.Lend(c)
			var out []byte
			rest := src
			given := 0
			for _, k := range cuts {
				n := min(int(k)*300, len(rest))
				out = e.Append(out, rest[:n])
				rest, given = rest[n:], given+n
				if k%2 == 0 {
					out = e.Flush(out)
					if got, _ := decode(t, c, out); !bytes.Equal(got, src[:given]) {
						t.Fatalf("%v: behind a flush %d bytes are there, want %d", c, len(got), given)
					}
				}
			}
			out = e.Append(out, rest)
			out = e.Close(out)
			p.Put(e)
			if got, err := decode(t, c, out); err != nil || !bytes.Equal(got, src) {
				t.Fatalf("%v: %d bytes became %d (%v)", c, len(src), len(got), err)
			}
		}
		if p.Held != 0 {
			t.Fatalf("%d bytes are lent at the end", p.Held)
		}
	})
}

func TestPoolLimit(t *testing.T) {
	p := Pool{Limit: Weight[Gzip] + Weight[Zstd]}
	a, b := p.Get(Gzip), p.Get(Zstd)
	if a == nil || b == nil {
		t.Fatal("the limit came too early")
	}
	if p.Get(Gzip) != nil {
		t.Fatal("the limit did not hold")
	}
	p.Put(a)
	if p.Get(Brotli) != nil {
		t.Fatal("an encoder that is too large was lent")
	}
	if p.Get(Gzip) != a {
		t.Fatal("the encoder that came back was not lent again")
	}
}

// Weight is what an encoder really holds, within a quarter.
func TestWeight(t *testing.T) {
	src := prose(1 << 20)
	out := make([]byte, 0, 1<<20)
	for _, c := range all {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		e := newEncoder(c)
		for n := 0; n < len(src); n += 32 << 10 {
			out = e.Append(out[:0], src[n:n+32<<10])
			out = e.Flush(out)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(e)
		held := int(after.HeapAlloc) - int(before.HeapAlloc)
		t.Logf("%v: %d KiB", c, held>>10)
		if held > Weight[c]*5/4 || held < Weight[c]*3/4 {
			t.Errorf("an encoder of %v holds %d bytes, Weight says %d", c, held, Weight[c])
		}
	}
}

func BenchmarkEncoder(b *testing.B) {
	for _, size := range []int{1 << 10, 8 << 10, 64 << 10, 1 << 20} {
		src := prose(size)
		for _, c := range all {
			b.Run(c.String()+"/"+sizeName(size), func(b *testing.B) {
				var p Pool
				var out []byte
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					e := p.Lend(c)
					out = out[:0]
					for n := 0; n < size; n += 32 << 10 {
						out = e.Append(out, src[n:min(n+32<<10, size)])
					}
					out = e.Close(out)
					p.Put(e)
				}
				b.ReportMetric(float64(len(out))/float64(size), "ratio")
			})
		}
	}
}

func sizeName(n int) string {
	if n >= 1<<20 {
		return "1MiB"
	}
	return strconv.Itoa(n>>10) + "KiB"
}
