package httpsys

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/testkit/fakedaemon"
)

// A file goes as a descriptor: its position is respected and advanced, and the
// type is guessed from its beginning.
func TestReadFromFile(t *testing.T) {
	text := "<html>" + strings.Repeat("0123456789abcdef", 8192)
	path := filepath.Join(t.TempDir(), "file.html")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	size := int64(len(text))
	for _, test := range []struct {
		name   string
		conf   fakedaemon.Config
		send   func(w http.ResponseWriter, r *http.Request, f *os.File) (int64, error)
		method string
		body   string
		around string // of the body: not of the file
		files  []fakedaemon.Piece
		kind   string
		at     int64 // where the file is afterwards
	}{
		{name: "the whole file",
			send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) { return io.Copy(w, f) },
			body: text, files: []fakedaemon.Piece{{Offset: 0, Length: size}}, kind: "text/html; charset=utf-8", at: size},
		{name: "from its position", send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) {
			f.Seek(6, io.SeekStart)
			return io.Copy(w, f)
		}, body: text[6:],
			files: []fakedaemon.Piece{{Offset: 6, Length: size - 6}}, kind: "text/plain; charset=utf-8", at: size},
		{name: "behind a limit", send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) {
			return io.CopyN(w, f, 50_000)
		}, body: text[:50_000],
			files: []fakedaemon.Piece{{Offset: 0, Length: 50_000}}, kind: "text/html; charset=utf-8", at: 50_000},
		{name: "between bytes", send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) {
			io.WriteString(w, "before ")
			n, err := io.CopyN(w, f, 50_000)
			io.WriteString(w, " after")
			return n, err
		}, body: "before " + text[:50_000] + " after", around: "before  after",
			files: []fakedaemon.Piece{{Offset: 0, Length: 50_000}}, kind: "text/plain; charset=utf-8", at: 50_000},
		{name: "twice", send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) {
			n, _ := io.CopyN(w, f, 20_000)
			m, err := io.CopyN(w, f, 30_000)
			return n + m, err
		}, body: text[:50_000],
			files: []fakedaemon.Piece{{Offset: 0, Length: 20_000}, {Offset: 20_000, Length: 30_000}}, kind: "text/html; charset=utf-8", at: 50_000},
		{name: "of http.ServeContent, a range",
			send: func(w http.ResponseWriter, r *http.Request, f *os.File) (int64, error) {
				r.Header.Set("Range", "bytes=100-50099")
				http.ServeContent(w, r, "x.html", time.Time{}, f)
				return 50_000, nil
			}, body: text[100:50_100],
			files: []fakedaemon.Piece{{Offset: 100, Length: 50_000}}, kind: "text/html; charset=utf-8", at: 50_100},
		{name: "small: as bytes",
			send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) { return io.CopyN(w, f, 100) },
			body: text[:100], kind: "text/html; charset=utf-8", at: 100},
		{name: "a daemon that does not send files", conf: fakedaemon.Config{Capabilities: []string{"begun"}},
			send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) { return io.Copy(w, f) },
			body: text, kind: "text/html; charset=utf-8", at: size},
		{name: "a window too small for files", conf: fakedaemon.Config{Window: 2048},
			send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) { return io.Copy(w, f) },
			body: text, kind: "text/html; charset=utf-8", at: size},
		{name: "HEAD", method: "HEAD",
			send: func(w http.ResponseWriter, _ *http.Request, f *os.File) (int64, error) { return io.Copy(w, f) },
			kind: "text/html; charset=utf-8", at: size},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := serve(t, test.conf, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f, err := os.Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				n, err := test.send(w, r, f)
				if want := int64(len(test.body) - len(test.around)); err != nil || test.method == "" && n != want {
					t.Errorf("%d bytes, want %d; %v", n, want, err)
				}
				if at, _ := f.Seek(0, io.SeekCurrent); at != test.at {
					t.Errorf("the file is at %d, want %d", at, test.at)
				}
			})})
			x := s.Do(fakedaemon.Request{Method: test.method})
			if string(x.Body) != test.body || x.Field("Content-Type") != test.kind || !slices.Equal(x.Files, test.files) {
				t.Errorf("%d bytes, want %d; type %s; files %v, want %v",
					len(x.Body), len(test.body), x.Field("Content-Type"), x.Files, test.files)
			}
		})
	}
}

// More than the promised length is refused before anything of it is sent.
func TestReadFromFileBeyondLength(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	os.WriteFile(path, make([]byte, 40_000), 0o600)
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		f, _ := os.Open(path)
		defer f.Close()
		w.Header().Set("Content-Length", "10000")
		if _, err := io.Copy(w, f); err != http.ErrContentLength {
			t.Errorf("got %v", err)
		}
	})
	if x := s.Do(fakedaemon.Request{}); len(x.Files) > 0 || len(x.Body) > 10_000 {
		t.Errorf("%d bytes, files %v", len(x.Body), x.Files)
	}
}

// What is no regular file is read.
func TestReadFromPipe(t *testing.T) {
	s := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Error(err)
			return
		}
		defer pr.Close()
		go func() {
			fmt.Fprint(pw, strings.Repeat("x", 100_000))
			pw.Close()
		}()
		if n, err := io.Copy(w, pr); n != 100_000 || err != nil {
			t.Error(n, err)
		}
	})
	if x := s.Do(fakedaemon.Request{}); len(x.Body) != 100_000 || len(x.Files) > 0 {
		t.Errorf("%d bytes, files %v", len(x.Body), x.Files)
	}
}

func TestFileServer(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a.txt"), []byte(strings.Repeat("a", 20_000)), 0o600)
	s, _ := serve(t, fakedaemon.Config{}, &Server{Handler: http.FileServer(http.Dir(dir))})
	if x := s.Do(fakedaemon.Request{Target: "/a.txt"}); len(x.Files) != 1 || x.Field("Content-Length") != "20000" {
		t.Errorf("files %v, fields %v", x.Files, x.Fields)
	}
}
