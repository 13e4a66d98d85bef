package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("contents"), 0o644); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(file))
	defer server.Close()

	for _, test := range []struct {
		method, path, body string
		status             int
		length             int64 // of the response; -1: chunked
		want               string
	}{
		{"GET", "/hello", "", 200, 13, "Hello, World!"},
		{"GET", "/p00042/hello", "", 200, 13, "Hello, World!"},
		{"GET", "/file", "", 200, 8, "contents"},
		{"GET", "/big?n=40000", "", 200, 40000, strings.Repeat("\x00", 40000)},
		{"GET", "/big?n=40000&chunked=1", "", 200, -1, strings.Repeat("\x00", 40000)},
		{"GET", "/keep?n=40000", "", 200, 40000, strings.Repeat("\x00", 40000)},
		{"GET", "/keep?n=-1", "", 400, 43, "n must be a number of bytes, at most 1 MiB\n"},
		{"GET", "/big?n=-1", "", 400, 28, "n must be a number of bytes\n"},
		{"POST", "/upload", strings.Repeat("x", 100_000), 200, 7, "100000\n"},
		{"GET", "/slow?ms=1", "", 200, 5, "done\n"},
		{"GET", "/nothing", "", 404, 19, "404 page not found\n"},
	} {
		req, err := http.NewRequest(test.method, server.URL+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != test.status || resp.ContentLength != test.length || string(got) != test.want {
			t.Errorf("%s %s: status %d, length %d, %d bytes; want %d, %d, %d bytes", test.method, test.path,
				resp.StatusCode, resp.ContentLength, len(got), test.status, test.length, len(test.want))
		}
	}
}
