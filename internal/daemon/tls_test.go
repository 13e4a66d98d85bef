package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// The behaviour of plain connections, through TLS.
func TestTLS(t *testing.T) {
	root := pki.Root(t, "Root")
	roots := pki.Pool(root)
	dir := t.TempDir()
	d, err := Start(Options{Socket: filepath.Join(dir, "s"), Data: dir, Drain: time.Second, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Shutdown()
	big := make([]byte, 5<<20)
	rand.Read(big)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, big, 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "Hello") })
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		for b := big; len(b) > 0; b = b[min(len(b), 30_000):] {
			w.Write(b[:min(len(b), 30_000)])
		}
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		io.Copy(h, r.Body)
		fmt.Fprintf(w, "%x", h.Sum(nil))
	})
	srv := &httpsys.Server{Prefixes: []string{"https://localhost:0/"}, Handler: mux, Socket: filepath.Join(dir, "s")}
	go srv.Serve(context.Background())
	defer srv.Close()
	<-srv.Registered()
	url := srv.URLs()[0]
	cert, key := pki.Issue(t, root, "localhost", pki.Names("localhost")).Files(t, dir, "localhost")
	d.certs.Set([]config.SSLCert{{HostnamePort: strings.Trim(strings.TrimPrefix(url, "https://"), "/"), Certs: []config.CertFiles{{Cert: cert, Key: key}}}})

	for _, c := range []struct {
		version uint16
		http2   bool
	}{{tls.VersionTLS12, false}, {tls.VersionTLS13, false}, {tls.VersionTLS12, true}, {tls.VersionTLS13, true}} {
		t.Run(fmt.Sprintf("%s, HTTP/2 %v", tls.VersionName(c.version), c.http2), func(t *testing.T) {
			transport := &http.Transport{
				TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: c.version, MaxVersion: c.version},
				ForceAttemptHTTP2: c.http2,
			}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
			get := func(path string) []byte {
				resp, err := client.Get(url + path)
				if err != nil {
					t.Error(err)
					return nil
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 || (resp.ProtoMajor == 2) != c.http2 {
					t.Errorf("%s: %s %s, %v", path, resp.Proto, resp.Status, err)
				}
				return b
			}
			for range 3 {
				if b := get("hello"); string(b) != "Hello" {
					t.Errorf("hello: %q", b)
				}
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if !bytes.Equal(get("big"), big) {
						t.Error("big: other bytes")
					}
				})
				wg.Go(func() {
					if !bytes.Equal(get("file"), big) {
						t.Error("file: other bytes")
					}
				})
				wg.Go(func() {
					resp, err := client.Post(url+"sum", "application/octet-stream", bytes.NewReader(big))
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					if b, _ := io.ReadAll(resp.Body); string(b) != fmt.Sprintf("%x", sha256.Sum256(big)) {
						t.Errorf("sum: %q", b)
					}
				})
			}
			wg.Wait()
		})
	}
	t.Run("plain HTTP gets a helpful answer", func(t *testing.T) {
		resp, err := http.Get(strings.Replace(url, "https", "http", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 400 || !strings.Contains(string(b), "https://") {
			t.Errorf("%s: %s", resp.Status, b)
		}
	})
}
