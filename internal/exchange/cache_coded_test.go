package exchange

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/cache"
	"github.com/httpsys/httpsys/internal/compress"
)

// packer origin: compression is on, and what is put off waits in jobs.
func newPackingOrigin(t *testing.T) (o *origin, jobs *[]func()) {
	o = newOrigin(t)
	o.Compress = compress.Settings{Policy: compress.Always, MinSize: 100}
	jobs = new([]func())
	o.Offload = func(f func()) bool { *jobs = append(*jobs, f); return true }
	o.w.initial = 1 << 20
	return o, jobs
}

func run(jobs *[]func()) {
	for _, f := range *jobs {
		f()
	}
	*jobs = nil
}

func gunzip(t *testing.T, s string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Fatalf("%v: %.40q", err, s)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A stored response is compressed once for each coding, and whoever wants it as
// it is gets it so.
func TestStoredCodings(t *testing.T) {
	for _, length := range []int{2_000, 300_000} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			o, jobs := newPackingOrigin(t)
			text := strings.Repeat("hello, world! ", length/14+1)[:length]
			first := o.ask("GET /a", "Accept-Encoding: gzip")
			f := o.next()
			lines := []string{"Content-Type: text/plain", "Cache-Control: max-age=100", "ETag: \"v\"", "Accept-Ranges: bytes"}
			if length < 10_000 {
				f.answer(200, text, lines...)
			} else {
				f.begin(200, text[:100_000], append(lines, fmt.Sprint("Content-Length: ", length))...)
				f.more(text[100_000:200_000])
				f.end(text[200_000:])
				for i := 0; !first.done && i < 1000; i++ {
					o.Work(true)
					o.Work(false)
				}
			}
			if first.stored || first.head["content-encoding"] != "gzip" || gunzip(t, first.body) != text {
				t.Fatalf("the first got %s %v", first.got(), first.head)
			}
			// Who has it as it is.
			plain := o.ask("GET /a")
			if !plain.stored || plain.body != text || plain.head["vary"] != "Accept-Encoding" || plain.head["etag"] != "\"v\"" ||
				plain.head["content-encoding"] != "" || plain.head["accept-ranges"] != "bytes" {
				t.Fatalf("without a coding: %s %v", plain.got(), plain.head)
			}
			// The next one gets it as it is; the form is made meanwhile, once.
			for range 3 {
				if a := o.ask("GET /a", "Accept-Encoding: gzip"); !a.stored || a.body != text {
					t.Fatalf("before the form is made: %s", a.got())
				}
			}
			if len(*jobs) != 1 {
				t.Fatalf("%d jobs", len(*jobs))
			}
			// Whoever has the form of an entry before this one keeps its weak tag.
			for asked, want := range map[string]string{`W/"v"`: `W/"v"`, `"x", W/"v"`: `W/"v"`, `"v"`: `"v"`} {
				a := o.ask("GET /a", "Accept-Encoding: gzip", "If-None-Match: "+asked)
				if a.status != 304 || a.head["etag"] != want {
					t.Errorf("If-None-Match: %s: %s %v", asked, a.got(), a.head)
				}
			}
			run(jobs)
			o.none()
			packed := o.ask("GET /a", "Accept-Encoding: br;q=0.5, gzip")
			if !packed.stored || packed.head["content-encoding"] != "gzip" || packed.head["etag"] != "W/\"v\"" ||
				packed.head["vary"] != "Accept-Encoding" || packed.head["accept-ranges"] != "" || gunzip(t, packed.body) != text ||
				packed.head["content-length"] != fmt.Sprint(len(packed.body)) {
				t.Fatalf("%s %v", packed.got(), packed.head)
			}
			if h := o.ask("HEAD /a", "Accept-Encoding: gzip"); h.head["content-length"] != fmt.Sprint(len(packed.body)) {
				t.Errorf("HEAD: %v", h.head)
			}
			o.ask("GET /a", "Accept-Encoding: gzip", "If-None-Match: W/\"v\"").want(`304 "" from cache`)
			// A range is one of the bytes that the application made.
			if a := o.ask("GET /a", "Accept-Encoding: gzip", "Range: bytes=0-4"); a.body != "hello" || a.head["content-encoding"] != "" {
				t.Errorf("range: %s %v", a.got(), a.head)
			}
			// Validated, it keeps its forms.
			o.wait(101 * time.Second)
			b := o.ask("GET /a", "Accept-Encoding: gzip")
			o.next().answer(304, "", "ETag: \"v\"", "X: new")
			_ = b
			c := o.ask("GET /a", "Accept-Encoding: gzip")
			if c.head["content-encoding"] != "gzip" || c.head["x"] != "new" || gunzip(t, c.body) != text || len(*jobs) != 0 {
				t.Errorf("after validation: %s %v, %d jobs", c.got(), c.head, len(*jobs))
			}
			// The budget knows of them: see check.
			o.Cache.FlushSpace(o.space)
			if o.Cache.Used() != 0 {
				t.Errorf("%d bytes are left", o.Cache.Used())
			}
		})
	}
}

// What is in the way of a form that is being made.
func TestFormsThatAreNot(t *testing.T) {
	text := strings.Repeat("hello, world! ", 1000)
	fill := func(o *origin, body string, lines ...string) {
		o.ask("GET /a")
		o.next().answer(200, body, append(lines, "Content-Type: text/plain", "Cache-Control: max-age=100")...)
	}
	t.Run("flushed meanwhile", func(t *testing.T) {
		o, jobs := newPackingOrigin(t)
		fill(o, text)
		o.ask("GET /a", "Accept-Encoding: gzip")
		o.Cache.FlushSpace(o.space)
		run(jobs)
	})
	t.Run("replaced meanwhile", func(t *testing.T) {
		o, jobs := newPackingOrigin(t)
		fill(o, text)
		o.ask("GET /a", "Accept-Encoding: gzip")
		o.ask("GET /a", "Cache-Control: no-cache")
		o.next().answer(200, "new", "Content-Type: text/plain", "Cache-Control: max-age=100")
		run(jobs)
		o.ask("GET /a", "Accept-Encoding: gzip").want(`200 "new" from cache`)
	})
	t.Run("no room", func(t *testing.T) {
		o, jobs := newPackingOrigin(t)
		fill(o, text)
		o.Cache.SetLimits(cache.Limits{Size: o.Cache.Used() + 100, Largest: 1 << 20})
		o.ask("GET /a", "Accept-Encoding: gzip")
		run(jobs)
	})
	t.Run("not worth it", func(t *testing.T) {
		o, jobs := newPackingOrigin(t)
		var noise bytes.Buffer
		w, _ := gzip.NewWriterLevel(&noise, 9)
		for i := range 5000 {
			fmt.Fprint(w, i*i*7919)
		}
		w.Close()
		fill(o, noise.String())
		o.ask("GET /a", "Accept-Encoding: gzip")
		run(jobs)
		if a := o.ask("GET /a", "Accept-Encoding: gzip"); a.body != noise.String() || len(*jobs) != 0 {
			t.Errorf("%d bytes, %d jobs", len(a.body), len(*jobs))
		}
	})
	t.Run("too busy", func(t *testing.T) {
		o, jobs := newPackingOrigin(t)
		fill(o, text)
		keep := o.Offload
		o.Offload = func(func()) bool { return false }
		o.ask("GET /a", "Accept-Encoding: gzip")
		o.Offload = keep
		o.ask("GET /a", "Accept-Encoding: gzip")
		if len(*jobs) != 1 {
			t.Error("nobody tries again")
		}
		run(jobs)
	})
	t.Run("a secret", func(t *testing.T) {
		o, jobs := newPackingOrigin(t)
		fill(o, text, "Cache-Control: public", "Set-Cookie: a=b")
		if a := o.ask("GET /a", "Accept-Encoding: gzip"); !a.stored || a.body != text || a.head["vary"] != "" || len(*jobs) != 0 {
			t.Errorf("%s %v, %d jobs", a.got(), a.head, len(*jobs))
		}
	})
	t.Run("turned off", func(t *testing.T) {
		o, jobs := newPackingOrigin(t)
		fill(o, text)
		o.Compress.Policy = compress.Never
		if a := o.ask("GET /a", "Accept-Encoding: gzip"); a.body != text || len(*jobs) != 0 {
			t.Errorf("%s", a.got())
		}
	})
}
