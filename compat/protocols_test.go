//lint:file-ignore SA1019 the Transport of this package is a peer of its own, whatever net/http uses

package compat

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/httpsys/httpsys/internal/testkit"
)

// The same cases over HTTP/2: one body of tests, two protocols. What a client
// sends in HTTP/1.1 is said in HTTP/2, to net/http and to a httpsys.Server; what the handler and
// the client see has to be the same on both.

// onHTTP2 says why a case, by its name, differs between the two over HTTP/2.
var onHTTP2 = map[string]string{
	"Close, and no reading any more":                                    asHTTP1,
	"Close after the end":                                               asHTTP1,
	"a file that is longer than the length":                             asHTTP1,
	"one more is chunked":                                               asHTTP1,
	"more than the given length is refused":                             asHTTP1,
	"less than the given length cuts the response":                      "What is known to be wrong before it is sent is reset, not begun.",
	"duplicates, odd spellings and odd values":                          asHTTP1,
	"204 has no body and no length":                                     asHTTP1,
	"304 keeps what identifies the content":                             asHTTP1,
	"trailers that were declared":                                       asHTTP1,
	"everything of the interfaces":                                      asHTTP1 + " Nobody is pushed anything.",
	"Transfer-Encoding of a handler":                                    asHTTP1,
	"Transfer-Encoding: identity of a handler ends with the connection": asHTTP1,
	"a panic before anything was sent":                                  brokenOff,
	"a status below 100 is a panic":                                     brokenOff,
	"a write deadline that was not met lets nothing out":                brokenOff,
}

const asHTTP1 = "net/http's HTTP/2 is not its HTTP/1.1 here; on httpsys a handler sees the same on both."

// http2Request is the first request of a case, if it can be said in HTTP/2.
func (c testCase) http2Request(addr string) (*http.Request, bool) {
	if c.send == "" {
		return nil, false
	}
	text := strings.ReplaceAll(strings.ReplaceAll(c.send, "ADDR", addr), "\n", "\r\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil || r.ProtoMinor == 0 || r.Method == http.MethodConnect || len(r.TransferEncoding) > 1 {
		return nil, false
	}
	body, err := io.ReadAll(r.Body) // and with it the trailers
	if err != nil {
		return nil, false
	}
	if r.ContentLength != 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", addr, ""
	for _, name := range []string{"Connection", "Keep-Alive", "Upgrade"} { // what belongs to HTTP/1.1
		r.Header.Del(name)
	}
	if r.Header["User-Agent"] == nil {
		r.Header["User-Agent"] = []string{""} // the client adds none
	}
	return r, true
}

// overHTTP2 compares the two servers.
func (c testCase) overHTTP2(t *testing.T, d *testkit.Daemon) {
	want := c.runHTTP2(t, reference, d)
	got := c.runHTTP2(t, served, d)
	switch diff := cmp.Diff(want, got); {
	case diff != "" && onHTTP2[c.name] == "":
		t.Errorf("httpsys (+) differs from net/http (-):\n%s", diff)
	case diff == "" && onHTTP2[c.name] != "":
		t.Error("nothing is different here: take it out of onHTTP2")
	}
}

// runHTTP2 returns what the handler and the client see.
func (c testCase) runHTTP2(t *testing.T, server string, d *testkit.Daemon) (seen [2]string) {
	t.Run(server, func(t *testing.T) {
		r := &run{T: t, server: server, d: d, events: make(map[string]chan struct{})}
		var book logBook
		h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { c.handle(r, w, req) }))
		if c.build != nil {
			h = c.build(r)
		}
		if server == reference {
			r.addr = startReferenceHTTP2(t, r.watch(h), log.New(&book, "", 0))
		} else {
			r.addr = start(t, server, d, r.watch(h), log.New(&book, "", 0))
		}
		r.exchangeHTTP2(c)
		r.rest()
		// In HTTP/1.1 and on httpsys a Request without a body has http.NoBody, in
		// net/http's HTTP/2 something else that is empty.
		tidy := strings.NewReplacer(r.addr, "ADDR", "no body false", "no body", "no body true", "no body")
		seen = [2]string{tidy.Replace(r.sees.String()), tidy.Replace(r.gets.String())}
	})
	return seen
}

func startReferenceHTTP2(t *testing.T, h http.Handler, book *log.Logger) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ErrorLog: book, Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// newHTTP2Client is a client of golang.org/x/net/http2 with prior knowledge.
func newHTTP2Client(t *testing.T) *http2.Transport {
	tr := &http2.Transport{
		AllowHTTP: true, DisableCompression: true,
		DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// exchangeHTTP2 sends the request and notes the response.
func (r *run) exchangeHTTP2(c testCase) {
	req, _ := c.http2Request(r.addr)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code != http.StatusContinue { // that depends on who is quicker
				r.noteHTTP2(code, http.Header(h))
			}
			return nil
		},
	})
	resp, err := newHTTP2Client(r.T).RoundTrip(req.WithContext(ctx))
	if err != nil {
		r.get("[no response]")
		return
	}
	defer resp.Body.Close()
	r.noteHTTP2(resp.StatusCode, resp.Header)
	body, err := io.ReadAll(resp.Body)
	r.get("%s", brief(body))
	if err != nil {
		r.get("[cut]")
	}
	for _, name := range sortedNames(resp.Trailer) {
		r.get("trailer %s: %q", name, resp.Trailer[name])
	}
}

func (r *run) noteHTTP2(status int, h http.Header) {
	r.get("%d", status)
	for _, name := range sortedNames(h) {
		switch {
		case name == "Server" && h.Get(name) == "httpsys":
		case name == "Date" && status >= 200:
			if _, err := http.ParseTime(h.Get(name)); err != nil {
				r.get("Date: %q", h[name])
			}
		default:
			r.get("%s: %q", name, h[name])
		}
	}
}

func sortedNames(h http.Header) []string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
