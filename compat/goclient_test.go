package compat

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// A client that is Go's own, for what is tedious to say by hand.

// goClient makes a client with connections of its own.
func (r *run) goClient() *http.Client {
	transport := &http.Transport{DisableCompression: true}
	r.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// request makes a request, with fields in pairs.
func (r *run) request(method, target string, body io.Reader, fields ...string) *http.Request {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.url(target), body)
	if err != nil {
		r.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			req.Host = fields[i+1]
			continue
		}
		req.Header.Add(fields[i], fields[i+1])
	}
	return req
}

// ask makes a request with a client of its own, and notes the response.
func (r *run) ask(method, target string, body io.Reader, fields ...string) {
	r.Helper()
	r.do(r.goClient(), r.request(method, target, body, fields...))
}

// asks makes GET requests, one after the other on one connection.
func (r *run) asks(targets ...string) {
	r.Helper()
	client := r.goClient()
	for _, target := range targets {
		method, target, ok := strings.Cut(target, " ")
		if !ok {
			method, target = http.MethodGet, method
		}
		r.get("--- %s %s", method, target)
		r.do(client, r.request(method, target, nil))
		r.rest() // what a handler notes behind a long response comes before the next request
	}
}

// do makes a request and notes the response.
func (r *run) do(client *http.Client, req *http.Request) {
	r.Helper()
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			r.get("%d %s", code, http.StatusText(code))
			r.noteFields("", http.Header(header))
			r.get("")
			return nil
		}}))
	resp, err := client.Do(req)
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	if err != nil {
		r.get("[no response: %s]", kind(err))
		return
	}
	defer resp.Body.Close()
	r.noteResponse(resp)
}

// noteResponse notes a response with its body.
func (r *run) noteResponse(resp *http.Response) {
	r.get("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	r.noteFields("", resp.Header)
	if resp.Header["Date"] == nil {
		r.get("[no Date]")
	}
	if resp.ContentLength < 0 {
		r.get("[length unknown]")
	}
	body, err := io.ReadAll(resp.Body)
	if len(body) > 0 {
		r.get("\n%s", brief(body))
	}
	r.noteFields("trailer ", resp.Trailer)
	if err != nil {
		r.get("[cut: %s]", cut(err))
	}
}

func (r *run) noteFields(prefix string, h http.Header) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := h[name]
		if name == "Allow" { // a list in any order
			values = slices.Sorted(slices.Values(values))
		}
		for _, value := range values {
			if name == "Date" || name == "Server" && value == "httpsys" && r.server != reference {
				continue
			}
			r.get("%s%s: %s", prefix, name, value)
		}
	}
}
