package promises

import (
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A response and an upload of any length stream through with less than 32 MiB
// of extra memory in either process. The test takes 256 MiB; what is kept would
// show.
func TestLongBodiesNeedLittleMemory(t *testing.T) {
	const size, warm, bound = 256 << 20, 8 << 20, 32 << 20
	for _, c := range []struct {
		name string
		do   func(t *testing.T, p *process, client *http.Client, size int64)
	}{
		{"download in chunks", download("do=big")},
		{"download with a length", download("do=big&length")},
		{"download of a file", download("do=file")},
		{"upload with a length", upload(false)},
		{"upload in chunks", upload(true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, true)
			p := m.program("p", "prefix=http://+:0/")
			client := newClient(t)
			c.do(t, p, client, warm)
			both := []*process{m.daemon, p}
			before := make([]int64, len(both))
			for i, q := range both {
				before[i] = q.memory("VmRSS")
				q.forgetPeak()
			}
			c.do(t, p, client, size)
			for i, q := range both {
				grown := q.memory("VmHWM") - before[i]
				if grown > bound {
					t.Errorf("%s has grown by %d KiB", q.name, grown>>10)
				}
				t.Logf("%s has grown by %d KiB", q.name, grown>>10)
			}
		})
	}
}

func download(what string) func(*testing.T, *process, *http.Client, int64) {
	return func(t *testing.T, p *process, client *http.Client, size int64) {
		resp, err := client.Get(fmt.Sprintf("%s?%s&size=%d", p.url, what, size))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got := crc32.NewIEEE()
		n, err := io.Copy(got, resp.Body)
		if err != nil || n != size {
			t.Fatalf("got %d bytes, %v", n, err)
		}
		want := crc32.NewIEEE()
		if strings.HasPrefix(what, "do=file") {
			io.CopyN(want, zeros{}, size)
		} else {
			io.CopyN(want, &blocks{}, size)
		}
		if got.Sum32() != want.Sum32() {
			t.Error("the bytes are not those that were sent")
		}
	}
}

func upload(chunked bool) func(*testing.T, *process, *http.Client, int64) {
	return func(t *testing.T, p *process, client *http.Client, size int64) {
		req, err := http.NewRequest(http.MethodPut, p.url+"?do=sum", io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		if !chunked {
			req.ContentLength = size
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("PUT %d ", size); err != nil || !strings.HasPrefix(string(b), want) || !strings.HasSuffix(string(b), " <nil>") {
			t.Errorf("got %q, %v", b, err)
		}
	}
}

// zeros is zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// blocks is what the program's do=big sends.
type blocks struct{ at int }

var block = func() []byte {
	b := make([]byte, 0, 64<<10)
	for i := 0; len(b) < cap(b); i++ {
		b = append(b, byte(i), byte(i>>8))
	}
	return b
}()

func (b *blocks) Read(p []byte) (int, error) {
	n := copy(p, block[b.at:])
	b.at = (b.at + n) % len(block)
	return n, nil
}
