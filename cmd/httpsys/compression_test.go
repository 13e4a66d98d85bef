package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/httpsys/httpsys"
)

// compressedHandler serves what is worth compressing.
func compressedHandler(t *testing.T, text string) http.Handler {
	file := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/text", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) })
	mux.HandleFunc("/short", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text[:2000]) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	mux.HandleFunc("/parts", func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(text); i += 1000 {
			io.WriteString(w, text[i:min(i+1000, len(text))])
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		io.WriteString(w, text)
	})
	mux.HandleFunc("/no", func(w http.ResponseWriter, r *http.Request) {
		httpsys.DoNotCompress(w)
		io.WriteString(w, text)
	})
	mux.HandleFunc("/binary", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-mine")
		httpsys.Compress(w)
		io.WriteString(w, text)
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<!DOCTYPE html><title>x</title><p id=p>static</p><!--"+text+`-->
<script>fetch("/parts").then(r => r.text().then(s => { document.getElementById("p").textContent = s.length + " by " + r.headers.get("content-encoding") }))</script>`)
	})
	return mux
}

func longText() string {
	var b strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&b, "line %d of a long text\n", i*i)
	}
	return b.String()
}

// curl undoes each coding, on HTTP/1.0, 1.1 and 2, whatever the handler does.
func TestCompressionForCurl(t *testing.T) {
	text := longText()
	url := servedBy(t, &httpsys.Server{Handler: compressedHandler(t, text), Compress: true})
	for _, coding := range []string{"gzip", "br", "zstd"} {
		for _, version := range []string{"-0", "--http1.1", "--http2-prior-knowledge"} {
			for path, want := range map[string]string{"/text": text, "/short": text[:2000], "/file": text, "/parts": text, "/binary": text} {
				out := filepath.Join(t.TempDir(), "out")
				args := []string{"-sS", "--max-time", "30", version, "--compressed", "-H", "Accept-Encoding: " + coding, "-o", out,
					"-w", "%header{content-encoding} %header{vary} %header{httpsys-compress}", url + path}
				if got := output(t, "curl", args...); got != coding+" Accept-Encoding " {
					t.Errorf("%s %s %s: the head says %q", coding, version, path, got)
				}
				if got, err := os.ReadFile(out); string(got) != want || err != nil {
					t.Errorf("%s %s %s: got %d bytes, %v; want %d", coding, version, path, len(got), err, len(want))
				}
			}
		}
	}
	for _, path := range []string{"/login", "/no"} {
		if got := output(t, "curl", "-sS", "--max-time", "30", "--compressed", "-o", os.DevNull, "-w", "%header{content-encoding}", url+path); got != "" {
			t.Errorf("%s is compressed: %s", path, got)
		}
	}
}

// A browser chooses, and reads what it gets.
func TestCompressionForBrowser(t *testing.T) {
	text := longText()
	url := servedBy(t, &httpsys.Server{Handler: compressedHandler(t, text), Compress: true})
	got := output(t, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=10000", "--dump-dom", url+"/page")
	want := fmt.Sprintf("%d by ", len(text))
	if at := strings.Index(got, want); at < 0 || !strings.HasPrefix(got[at+len(want):], "zstd") && !strings.HasPrefix(got[at+len(want):], "gzip") {
		t.Errorf("the page shows %.300q; want %s and a coding", got, want)
	}
}

// Go's client asks for gzip by itself; conditional requests go on working,
// and a range is that of the file.
func TestCompressionForGo(t *testing.T) {
	text := longText()
	url := servedBy(t, &httpsys.Server{Handler: compressedHandler(t, text), Compress: true})
	get := func(path string, fields ...string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(fields); i += 2 {
			req.Header.Set(fields[i], fields[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	defer http.DefaultClient.CloseIdleConnections()
	resp, body := get("/file")
	if !resp.Uncompressed || body != text {
		t.Errorf("uncompressed: %v, %d bytes", resp.Uncompressed, len(body))
	}
	since := resp.Header.Get("Last-Modified")
	if resp, _ := get("/file", "If-Modified-Since", since); resp.StatusCode != 304 || resp.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("not modified: %d, %v", resp.StatusCode, resp.Header)
	}
	resp, body = get("/file", "Range", "bytes=10-19", "Accept-Encoding", "gzip")
	if resp.StatusCode != 206 || body != text[10:20] || resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("a range: %d, %q, %v", resp.StatusCode, body, resp.Header)
	}
}
