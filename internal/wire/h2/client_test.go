//lint:file-ignore SA1019 the Transport of this package is a peer of its own, whatever net/http uses

package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// Go's own client is the peer: what it makes of our answers, and we of its
// requests.
func goClient(t *testing.T, limits Limits) (*http2.Transport, func() *server) {
	var v *server
	done := make(chan struct{})
	tr := &http2.Transport{
		AllowHTTP: true, DisableCompression: true,
		DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) {
			ours, theirs := net.Pipe()
			v = newServer(ours, limits)
			go func() {
				defer close(done)
				v.serve()
			}()
			return theirs, nil
		},
	}
	return tr, func() *server {
		tr.CloseIdleConnections()
		<-done
		return v
	}
}

func roundTrip(t *testing.T, tr *http2.Transport, method, path string, body io.Reader, set func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://h"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(r)
	}
	a, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	b, err := io.ReadAll(a.Body)
	a.Body.Close()
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a, string(b)
}

func TestGoClient(t *testing.T) {
	tr, end := goClient(t, DefaultLimits)
	for i := range 20 {
		a, body := roundTrip(t, tr, "GET", "/", nil, func(r *http.Request) { r.Header.Set("X-N", fmt.Sprint(i)) })
		if a.StatusCode != 200 || body != "hello" || a.Header.Get("Content-Length") != "5" || a.Header.Get("Server") != "test" ||
			a.Header.Get("Date") != "Mon, 02 Jan 2006 15:04:05 GMT" || a.Header.Get("Content-Type") != "text/plain" {
			t.Fatalf("%v %q", a, body)
		}
	}
	if a, body := roundTrip(t, tr, "HEAD", "/", nil, nil); body != "" || a.ContentLength != 5 {
		t.Errorf("HEAD: %v %q", a, body)
	}
	a, body := roundTrip(t, tr, "GET", "/trailers", nil, nil)
	if body != "hello" || a.Trailer.Get("X-Sum") != "42" {
		t.Errorf("trailers: %v %q", a.Trailer, body)
	}
	early := ""
	roundTrip(t, tr, "GET", "/early", nil, func(r *http.Request) {
		*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				early += fmt.Sprint(code, h.Get("Link"))
				return nil
			},
		}))
	})
	if early != "103</a.css>; rel=preload" {
		t.Errorf("103: %q", early)
	}
	for _, n := range []int{0, 1, 16384, 65535, 65536, 1 << 20} {
		if _, body := roundTrip(t, tr, "GET", fmt.Sprint("/length/", n), nil, nil); len(body) != n {
			t.Errorf("%d bytes of %d", len(body), n)
		}
		text := strings.Repeat("x", n)
		if _, body := roundTrip(t, tr, "POST", "/echo", io.MultiReader(strings.NewReader(text)), nil); n > 0 && body != text {
			t.Errorf("echo of %d: %d bytes", n, len(body))
		}
	}
	if a, _ := roundTrip(t, tr, "GET", "/", nil, func(r *http.Request) {
		for i := range DefaultLimits.Fields {
			r.Header.Set(fmt.Sprint("X", i), "")
		}
	}); a.StatusCode != 431 {
		t.Errorf("too many fields: %d", a.StatusCode)
	}
	v := end()
	if v.err != nil || v.c.streams.n != 0 || v.c.recv.unread != 0 {
		t.Errorf("%v, %d streams, %d unread", v.err, v.c.streams.n, v.c.recv.unread)
	}
}

func TestGoClientManyAtOnce(t *testing.T) {
	tr, end := goClient(t, DefaultLimits)
	roundTrip(t, tr, "GET", "/", nil, nil)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			body := bytes.Repeat([]byte{byte(i)}, 10000*i)
			r, _ := http.NewRequest("POST", "http://h/echo", io.MultiReader(bytes.NewReader(body)))
			a, err := tr.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := io.ReadAll(a.Body)
			a.Body.Close()
			if err != nil || i > 0 && !bytes.Equal(got, body) {
				t.Errorf("stream %d: %d bytes of %d, %v", i, len(got), len(body), err)
			}
		}()
	}
	wg.Wait()
	v := end()
	if v.err != nil || v.c.streams.n != 0 || v.c.recv.unread != 0 {
		t.Errorf("%v, %d streams, %d unread", v.err, v.c.streams.n, v.c.recv.unread)
	}
}
