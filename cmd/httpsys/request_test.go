package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// request is one request of a client with its own connection.
type request struct {
	cancel   context.CancelFunc
	finished chan struct{}
	status   int
	text     string // head and body
	err      error
}

// newRequest sends a GET, with fields like Name:value; Host: is the authority.
func newRequest(trusted *x509.CertPool, url string, fields []string) *request {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r := &request{cancel: cancel, finished: make(chan struct{})}
	go func() {
		defer close(r.finished)
		r.status, r.text, r.err = roundTrip(ctx, trusted, url, fields)
	}()
	return r
}

func roundTrip(ctx context.Context, trusted *x509.CertPool, url string, fields []string) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		if strings.EqualFold(name, "Host") {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, resp.Status)
	resp.Header.Write(&b)
	b.WriteString("\n")
	_, err = io.Copy(&b, resp.Body)
	return resp.StatusCode, b.String(), err
}

// wait waits for the answer, which must have this status.
func (r *request) wait(ts *testscript.TestScript, status string) {
	<-r.finished
	r.cancel()
	ts.Check(r.err)
	if strconv.Itoa(r.status) != status {
		ts.Fatalf("status %d, want %s:\n%s", r.status, status, r.text)
	}
	io.WriteString(ts.Stdout(), r.text)
}

// leave ends the connection, whatever the daemon does with the request.
func (r *request) leave() {
	r.cancel()
	<-r.finished
}

// dial connects to this machine for names that exist nowhere else (RFC 6761
// 6.3 and 6.5).
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && (strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".example")) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}
