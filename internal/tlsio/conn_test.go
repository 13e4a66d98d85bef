package tlsio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var versions = []struct {
	name    string
	version uint16
}{{"TLS 1.2", tls.VersionTLS12}, {"TLS 1.3", tls.VersionTLS13}}

// each runs f over connections of all versions.
func each(t *testing.T, f func(t *testing.T, x *side, client *tls.Conn)) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			config := clientConfig()
			config.MinVersion, config.MaxVersion = v.version, v.version
			x, client := established(t, newServer(t, Limits{}, serverConfig()), config)
			f(t, x, client)
		})
	}
}

func TestAgreement(t *testing.T) {
	for _, v := range versions {
		config := clientConfig()
		config.MaxVersion = v.version
		config.NextProtos = []string{"http/1.1"}
		x, _ := established(t, newServer(t, Limits{}, serverConfig()), config)
		got := x.State()
		if got.Version != v.version || got.NegotiatedProtocol != "http/1.1" || got.ServerName != "test.example" || got.DidResume {
			t.Errorf("%s: agreed on %x, %q, %q", v.name, got.Version, got.NegotiatedProtocol, got.ServerName)
		}
	}
}

// Data of any size arrives as it was sent, both ways.
func TestData(t *testing.T) {
	each(t, func(t *testing.T, x *side, client *tls.Conn) {
		for _, size := range []int{1, 100, 16 << 10, 16<<10 + 1, 100_000, 3 << 20} {
			want := pattern(size)
			go client.Write(want)
			var got []byte
			b := make([]byte, 64<<10)
			for len(got) < size {
				n, err := x.read(b)
				if err != nil || n == 0 {
					t.Fatalf("%d bytes: Read after %d: %d, %v", size, len(got), n, err)
				}
				got = append(got, b[:n]...)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes from the client arrived as others", size)
			}
			go x.send(x.seal(want))
			back := make([]byte, size)
			if _, err := io.ReadFull(client, back); err != nil || !bytes.Equal(back, want) {
				t.Fatalf("%d bytes to the client: %v", size, err)
			}
		}
	})
}

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// A record can be cut anywhere on its way. Until it is complete there is
// nothing to read, and we keep no more than what has arrived.
func TestRecordsInPieces(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			fd, raw := sockets(t)
			wire := &recorder{Conn: raw}
			s := newServer(t, Limits{}, serverConfig())
			x := begin(t, s, fd, someAddr, nil)
			config := clientConfig()
			config.MaxVersion = v.version
			client := tls.Client(wire, config)
			go client.Handshake()
			if err := x.outcome(); err != nil {
				t.Fatal(err)
			}
			if err := client.Handshake(); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 64<<10)
			for at := 1; ; at++ {
				wire.hold = true
				client.Write([]byte("first"))
				client.Write([]byte("second"))
				wire.hold = false
				record := wire.take()
				if at >= len(record) {
					break
				}
				raw.Write(record[:at])
				x.Ready(false)
				n, err := x.Read(b)
				if want := len("first"); at < len(record)/2 && (n != 0 || err != ErrAgain) || n != 0 && n != want {
					t.Fatalf("cut at %d of %d: %d, %v", at, len(record), n, err)
				}
				got := string(b[:n])
				raw.Write(record[at:])
				x.Ready(false)
				n, err = x.Read(b)
				if got += string(b[:n]); got != "firstsecond" || err != nil {
					t.Fatalf("cut at %d: %q, %v", at, got, err)
				}
			}
			if n, err := x.Read(b); n != 0 || err != ErrAgain {
				t.Errorf("at the end: %d, %v", n, err)
			}
		})
	}
}

// recorder keeps what is written to it while hold is set.
type recorder struct {
	net.Conn
	hold bool
	held []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.hold {
		r.held = append(r.held, b...)
		return len(b), nil
	}
	return r.Conn.Write(b)
}

func (r *recorder) take() []byte {
	b := r.held
	r.held = nil
	return b
}

// A buffer that is too small for a record gets it in parts.
func TestSmallReads(t *testing.T) {
	each(t, func(t *testing.T, x *side, client *tls.Conn) {
		want := pattern(5000)
		client.Write(want)
		var got []byte
		b := make([]byte, 7)
		for len(got) < len(want) {
			n, err := x.read(b)
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
			got = append(got, b[:n]...)
		}
		if !bytes.Equal(got, want) {
			t.Error("other bytes")
		}
		if n, err := x.Read(b); err != ErrAgain || x.More() {
			t.Errorf("then %d, %v", n, err)
		}
	})
}

// The client ends its side with close_notify; ours goes on until we end it.
func TestHalfClose(t *testing.T) {
	each(t, func(t *testing.T, x *side, client *tls.Conn) {
		client.Write([]byte("question"))
		client.CloseWrite()
		b := make([]byte, 100)
		n, err := x.read(b)
		if string(b[:n]) != "question" || err != nil {
			t.Fatalf("%q, %v", b[:n], err)
		}
		if n, err := x.read(b); n != 0 || err != nil || x.Truncated() {
			t.Fatalf("at the end: %d, %v, truncated %v", n, err, x.Truncated())
		}
		if !x.More() {
			t.Error("the end is not remembered")
		}
		x.send(x.seal([]byte("answer")))
		x.send(x.Close(nil))
		if again := x.Close(nil); len(again) != 0 {
			t.Errorf("a second close_notify: %x", again)
		}
		if got, err := io.ReadAll(client); string(got) != "answer" || err != nil {
			t.Errorf("the client got %q, %v", got, err)
		}
		if _, err := x.Seal(nil, []byte("more")); err == nil {
			t.Error("data after close_notify")
		}
	})
}

// A stream that ends without close_notify may have been cut by somebody else.
func TestTruncation(t *testing.T) {
	for _, cut := range []struct {
		name string
		end  func(raw net.Conn)
	}{
		{"between records", func(raw net.Conn) { raw.Close() }},
		{"inside a record", func(raw net.Conn) { raw.Write([]byte{23, 3, 3, 0, 100, 1, 2, 3}); raw.Close() }},
	} {
		t.Run(cut.name, func(t *testing.T) {
			x, raw := serve(t, newServer(t, Limits{}, serverConfig()))
			client := tls.Client(raw, clientConfig())
			go client.Handshake()
			if err := x.outcome(); err != nil {
				t.Fatal(err)
			}
			client.Handshake()
			cut.end(raw)
			if n, err := x.read(make([]byte, 100)); n != 0 || err != nil || !x.Truncated() {
				t.Errorf("%d, %v, truncated %v", n, err, x.Truncated())
			}
		})
	}
}

// What is not a valid record ends the connection, and the client is told why.
func TestBadRecords(t *testing.T) {
	for _, bad := range []struct {
		name, record, alert string
	}{
		{"does not decrypt", "\x17\x03\x03\x00\x20" + strings.Repeat("x", 32), "bad record MAC"},
		{"longer than a record may be", "\x17\x03\x03\x48\x01", "oversized"},
		{"of another protocol", "GET / HTTP/1.1\r\n\r\n", "version"},
	} {
		each(t, func(t *testing.T, x *side, client *tls.Conn) {
			client.NetConn().Write([]byte(bad.record))
			n, err := x.read(make([]byte, 100))
			if n != 0 || err == nil {
				t.Fatalf("%s: %d, %v", bad.name, n, err)
			}
			if !strings.Contains(err.Error(), bad.alert) {
				t.Errorf("%s: %v", bad.name, err)
			}
			if !x.HasControl() {
				t.Fatalf("%s: no alert", bad.name)
			}
			x.send(x.Control(nil))
			var alert *net.OpError
			if _, err := client.Read(make([]byte, 1)); !errors.As(err, &alert) || alert.Op != "remote error" {
				t.Errorf("%s: the client sees %v", bad.name, err)
			}
			if _, again := x.Read(make([]byte, 100)); again != err {
				t.Errorf("%s: then %v", bad.name, again)
			}
		})
	}
}

// A session is resumed with a ticket.
func TestResumption(t *testing.T) {
	for _, v := range versions {
		s := newServer(t, Limits{}, serverConfig())
		config := clientConfig()
		config.MaxVersion = v.version
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i := range 2 {
			x, client := established(t, s, config)
			x.send(x.seal([]byte("x"))) // the client looks for tickets only when it reads
			io.ReadFull(client, make([]byte, 1))
			if got := x.State().DidResume; got != (i == 1) {
				t.Errorf("%s: connection %d resumed: %v", v.name, i+1, got)
			}
		}
	}
}

// The first bytes can have been read already.
func TestFirstBytes(t *testing.T) {
	fd, raw := sockets(t)
	client := tls.Client(raw, clientConfig())
	failed := make(chan error, 1)
	go func() { failed <- client.Handshake() }()
	var first []byte
	for Sniff(first) == NeedMore {
		b := make([]byte, 100)
		n, err := unix.Read(fd, b)
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		first = append(first, b[:max(n, 0)]...)
	}
	x := begin(t, newServer(t, Limits{}, serverConfig()), fd, someAddr, first)
	clear(first) // it was copied
	if err := x.outcome(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// If this fails, crypto/tls has changed: see buffers.go.
func TestBuffers(t *testing.T) {
	if !fields.known {
		t.Error("the buffers of a tls.Conn are not where they were")
	}
	type other struct {
		rawInput bytes.Reader
		hand     bytes.Buffer
	}
	if o := findFields(reflect.TypeFor[other]()); o.known {
		t.Error("a type that looks different is taken for a tls.Conn")
	}
}

// Without the knowledge of the buffers everything works.
func TestWithoutBuffers(t *testing.T) {
	was := fields.known
	fields.known = false
	defer func() { fields.known = was }()
	TestData(t)
	TestSmallReads(t)
}

// An idle connection is small, also after an upload with large records.
func TestIdleMemory(t *testing.T) {
	if raced {
		t.Skip("the race detector changes sizes")
	}
	const bound = 4 << 10 // measured: 3.2 KiB
	const n = 100
	s := newServer(t, Limits{}, serverConfig())
	sides := make([]*side, n)
	b := make([]byte, 64<<10)
	for i := range sides {
		x, client := established(t, s, clientConfig())
		go client.Write(pattern(40_000))
		for got := 0; got < 40_000; {
			m, err := x.read(b)
			if err != nil {
				t.Fatal(err)
			}
			got += m
		}
		x.send(x.seal([]byte("done")))
		sides[i] = x
	}
	with := heap()
	for _, x := range sides {
		x.Conn = nil
	}
	if each := (with - heap()) / n; each > bound {
		t.Errorf("an idle connection has %d bytes, want at most %d", each, bound)
	} else {
		t.Logf("%d bytes a connection", each)
	}
	runtime.KeepAlive(sides)
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // the second one empties sync.Pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A request and its response allocate nothing.
func TestSteadyState(t *testing.T) {
	if raced {
		t.Skip("sync.Pool forgets at random under the race detector")
	}
	each(t, func(t *testing.T, x *side, client *tls.Conn) {
		request := []byte(strings.Repeat("r", 300))
		response := []byte(strings.Repeat("s", 1000))
		b := make([]byte, 64<<10)
		out := make([]byte, 0, 4096)
		back := make([]byte, 4096)
		allocs := testing.AllocsPerRun(200, func() {
			client.Write(request)
			x.Ready(false)
			if n, err := x.Read(b); n != len(request) || err != nil {
				t.Fatal(n, err)
			}
			out, _ = x.Seal(out[:0], response)
			x.send(out)
			client.NetConn().Read(back) // records: decrypting them is the client's business
		})
		if allocs > 0 {
			t.Errorf("%v allocations a request", allocs)
		}
	})
}
