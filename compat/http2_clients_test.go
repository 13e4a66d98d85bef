package compat

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"

	"github.com/httpsys/httpsys/internal/control"
)

// Real clients of HTTP/2, over TLS and, where they can, with prior knowledge.

func http2ClientsHandler(report chan<- string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/proto", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { w.Write(megabyte) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "after the hints")
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!DOCTYPE html><script>
const s = new WebSocket('wss://' + location.host + '/ws');
s.onopen = () => s.send('hello');
s.onmessage = async e => {
	const proto = await (await fetch('/proto')).text();
	await fetch('/report', {method: 'POST', body: 'fetched over ' + proto + ', socket says ' + e.data});
};
</script>`)
	})
	mux.HandleFunc("/report", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		select {
		case report <- string(b):
		default:
		}
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		kind, b, err := c.Read(r.Context())
		if err == nil {
			c.Write(r.Context(), kind, fmt.Appendf(b, " over %s", r.Proto))
			c.Read(r.Context())
		}
	})
	return mux
}

// command runs a client and returns what it prints.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestHTTP2Clients(t *testing.T) {
	report := make(chan string, 1)
	host := serveHTTP2(t, http2ClientsHandler(report))
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	upload := file("megabyte", megabyte)
	plain, secure := "http://"+host.plain, "https://"+host.secure
	var chain []byte
	conn, err := tls.Dial("tcp", host.secure, &tls.Config{RootCAs: host.roots, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, cert := range conn.ConnectionState().PeerCertificates {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	if p := conn.ConnectionState().NegotiatedProtocol; p != "h2" {
		t.Errorf("ALPN is %q", p)
	}
	conn.Close()
	ca := file("ca.pem", chain)

	for _, c := range []struct {
		name, base string
		args       []string
	}{
		{"curl, TLS", secure, []string{"--http2", "--cacert", ca}},
		{"curl, h2c", plain, []string{"--http2-prior-knowledge"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			curl := func(args ...string) string {
				return command(t, "curl", append(append([]string{"-sS", "--max-time", "20"}, c.args...), args...)...)
			}
			if got := curl(c.base + "/proto"); got != "HTTP/2.0" {
				t.Errorf("/proto: %q", got)
			}
			if got := curl(c.base + "/big"); got != string(megabyte) {
				t.Errorf("/big: %s", brief([]byte(got)))
			}
			if got := curl("-T", upload, c.base+"/echo"); got != string(megabyte) {
				t.Errorf("/echo: %s", brief([]byte(got)))
			}
			if got := curl("-H", "Expect: 100-continue", "-d", "hello", c.base+"/echo"); got != "hello" {
				t.Errorf("/echo with Expect: %q", got)
			}
			if got := curl("-I", c.base+"/proto"); !strings.HasPrefix(got, "HTTP/2 200 ") {
				t.Errorf("HEAD: %q", got)
			}
			if got := curl("-i", c.base+"/hints"); !strings.HasPrefix(got, "HTTP/2 103 ") || !strings.Contains(got, "\r\nHTTP/2 200 ") {
				t.Errorf("/hints: %q", got)
			}
			if got := curl("-i", c.base+"/trailers"); !strings.Contains(got, "x-sum: 42") {
				t.Errorf("/trailers: %q", got)
			}
			urls := strings.Fields(strings.Repeat(c.base+"/proto ", 20))
			if got := curl(append([]string{"-Z", "--parallel-immediate"}, urls...)...); strings.Count(got, "HTTP/2.0") != 20 {
				t.Errorf("twenty at once: %q", got)
			}
		})
	}
	for _, base := range []string{secure, plain} {
		t.Run("nghttp, "+base[:5], func(t *testing.T) {
			got := command(t, "nghttp", "-v", "-t20", base+"/proto", base+"/hints", base+"/trailers")
			for _, want := range []string{"HTTP/2.0", ":status: 103", "after the hints", "x-sum: 42", "SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1"} {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in\n%s", want, got)
				}
			}
			if got := command(t, "nghttp", "-n", "-t20", "-s", "-d", upload, base+"/echo"); !strings.Contains(got, "200   1M /echo") {
				t.Errorf("upload: %s", got)
			}
		})
		t.Run("h2load, "+base[:5], func(t *testing.T) {
			got := command(t, "h2load", "-n2000", "-c8", "-m20", base+"/proto")
			if !strings.Contains(got, "2000 2xx, 0 3xx, 0 4xx, 0 5xx") || !strings.Contains(got, "Application protocol: h2") {
				t.Errorf("%s", got)
			}
		})
	}
	t.Run("Go", func(t *testing.T) {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: host.roots}, ForceAttemptHTTP2: true, Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP2(true)
		tr.Protocols.SetUnencryptedHTTP2(true)
		defer tr.CloseIdleConnections()
		client := &http.Client{Transport: tr, Timeout: patience}
		for _, base := range []string{secure, plain} {
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					resp, err := client.Post(base+"/echo", "", io.MultiReader(bytes.NewReader(megabyte)))
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(b, megabyte) || resp.ProtoMajor != 2 {
						t.Errorf("%s: %s, %s, %v", base, resp.Proto, brief(b), err)
					}
				})
			}
			wg.Wait()
		}
	})
	t.Run("Chromium", func(t *testing.T) {
		before := host.d.State().HTTP2
		end := browse(t, secure+"/page")
		defer func() {
			end()
			host.d.Wait("the end of the browser's connections", func(st *control.State) bool { return st.HTTP2.Connections == before.Connections })
		}()
		select {
		case got := <-report:
			if want := "fetched over HTTP/2.0, socket says hello over HTTP/2.0"; got != want {
				t.Errorf("the page says %q, want %q", got, want)
			}
		case <-time.After(3 * patience):
			t.Error("the page says nothing")
		}
	})
	// None of that was taken for an attack.
	for reason, n := range host.d.State().HTTP2.Ended {
		if n > 0 {
			t.Errorf("%d connections were ended for %s", n, reason)
		}
	}
}
