package compress

import (
	"fmt"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Levels: what an event loop can afford. What each costs is in
// docs/decisions; above these, a few percent fewer bytes cost a multiple.
const (
	gzipLevel   = 5
	brotliLevel = 4
	zstdLevel   = zstd.SpeedFastest

	// The windows bound what an encoder and the client's decoder keep. Browsers
	// take up to 8 MiB of zstd (RFC 9659), which few contents need.
	zstdWindow   = 128 << 10
	brotliWindow = 18 // as a power of two
)

// Weight is about how many bytes an encoder holds, by coding (a test measures
// it).
var Weight = [codings]int{Zstd: 750 << 10, Gzip: 1050 << 10, Brotli: 1750 << 10}

// Encoder makes a stream of one coding. What it produces is appended to the
// slice that it is given.
type Encoder struct {
	coding Coding
	w      writer
	out    sink
}

type writer interface {
	Write([]byte) (int, error)
	Flush() error
	Close() error
}

// sink is an io.Writer that appends.
type sink struct{ b []byte }

func (s *sink) Write(b []byte) (int, error) {
	s.b = append(s.b, b...)
	return len(b), nil
}

func newEncoder(c Coding) *Encoder {
	e := &Encoder{coding: c}
	switch c {
	case Gzip:
		w, err := gzip.NewWriterLevel(&e.out, gzipLevel)
		must(err)
		e.w = w
	case Brotli:
		e.w = brotli.NewWriterOptions(&e.out, brotli.WriterOptions{Quality: brotliLevel, LGWin: brotliWindow})
	case Zstd:
		// One at a time: then it starts no goroutine.
		w, err := zstd.NewWriter(&e.out, zstd.WithEncoderLevel(zstdLevel), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		must(err)
		e.w = w
	default:
		panic("compress: there is no encoder for " + c.String())
	}
	return e
}

// reset makes the encoder ready for another stream.
func (e *Encoder) reset() {
	switch w := e.w.(type) {
	case *gzip.Writer:
		w.Reset(&e.out)
	case *brotli.Writer:
		w.Reset(&e.out)
	case *zstd.Encoder:
		w.Reset(&e.out)
	}
}

// Append compresses src. It may keep all of it for later.
func (e *Encoder) Append(dst, src []byte) []byte {
	e.out.b = dst
	_, err := e.w.Write(src)
	return e.take(err)
}

// Flush brings everything out that was given to the encoder.
func (e *Encoder) Flush(dst []byte) []byte {
	e.out.b = dst
	return e.take(e.w.Flush())
}

// Close ends the stream.
func (e *Encoder) Close(dst []byte) []byte {
	e.out.b = dst
	return e.take(e.w.Close())
}

func (e *Encoder) take(err error) []byte {
	must(err)
	b := e.out.b
	e.out.b = nil
	return b
}

// must is for errors that only a broken writer behind an encoder, or an option
// that does not exist, can cause: a sink takes everything.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("compress: %v", err))
	}
}

// Pool keeps the encoders of one loop.
type Pool struct {
	// Limit bounds Held; 0 is DefaultLimit.
	Limit int
	// Held is how many bytes the encoders hold that are in use.
	Held int

	idle [codings][]*Encoder
}

// DefaultLimit is how many bytes the encoders of one loop may hold that are in
// the middle of a response: enough for 50 streams of events.
const DefaultLimit = 64 << 20

// keepIdle is how many encoders of each coding are kept for reuse. Most
// responses are compressed in one go, and take turns with one.
const keepIdle = 4

// Get lends an encoder; nil if the limit is reached.
func (p *Pool) Get(c Coding) *Encoder {
	limit := p.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if p.Held+Weight[c] > limit {
		return nil
	}
	return p.Lend(c)
}

// Lend lends an encoder whatever the limit says, for what is done within one
// call.
func (p *Pool) Lend(c Coding) *Encoder {
	p.Held += Weight[c]
	if n := len(p.idle[c]); n > 0 {
		e := p.idle[c][n-1]
		p.idle[c] = p.idle[c][:n-1]
		return e
	}
	return newEncoder(c)
}

// Put takes an encoder back, whatever state it is in.
func (p *Pool) Put(e *Encoder) {
	p.Held -= Weight[e.coding]
	if len(p.idle[e.coding]) < keepIdle {
		e.reset()
		p.idle[e.coding] = append(p.idle[e.coding], e)
	}
}
