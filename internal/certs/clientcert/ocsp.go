package clientcert

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Bounds of OCSP. Responders are other people's machines.
const (
	ocspTimeout   = 5 * time.Second
	ocspMaxAnswer = 64 << 10
	ocspMaxAge    = time.Hour        // an answer is asked again after this, even if it is good for longer
	ocspMinAge    = time.Minute      // and not before this
	ocspRetry     = 30 * time.Second // after no answer
	ocspEntries   = 10_000
	ocspAtOnce    = 16
	ocspSkew      = 5 * time.Minute // of other people's clocks
)

// OCSP asks responders whether certificates were revoked (RFC 6960), and
// remembers what they said. Only responders that are named in certificates of
// trusted authorities are asked.
type OCSP struct {
	client *http.Client
	slots  chan struct{}

	mu    sync.Mutex
	known map[[32]byte]*answer
}

// answer is what is known about one certificate, or will be when ready is
// closed.
type answer struct {
	ready  chan struct{}
	result Result
	until  time.Time
}

// NewOCSP makes an OCSP with an empty memory.
func NewOCSP() *OCSP {
	return &OCSP{
		client: &http.Client{
			Timeout: ocspTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // a certificate names its responder
			},
		},
		slots: make(chan struct{}, ocspAtOnce),
		known: map[[32]byte]*answer{},
	}
}

// leftEarly is the verdict on a connection that has ended before there was one:
// nobody reads it.
const leftEarly = "the connection ended before its OCSP responder had answered"

// status asks for cert, or returns what was answered before. wait is as for
// Verifier.Verify.
func (o *OCSP) status(cert, issuer *x509.Certificate, now time.Time, wait func(func()) bool) Result {
	key := sha256.Sum256(append(issuer.RawSubjectPublicKeyInfo[:len(issuer.RawSubjectPublicKeyInfo):len(issuer.RawSubjectPublicKeyInfo)], cert.Raw...))
	o.mu.Lock()
	a := o.known[key]
	if a != nil && now.Before(a.until) {
		o.mu.Unlock()
		return a.result
	}
	if a == nil || !a.until.IsZero() {
		a = &answer{ready: make(chan struct{})}
		o.forget(now)
		o.known[key] = a
		o.mu.Unlock()
		if !wait(func() { o.ask(a, cert, issuer, now) }) {
			return Result{Verdict: RevocationUnknown, Detail: leftEarly}
		}
		return a.result
	}
	o.mu.Unlock()
	if !wait(func() { <-a.ready }) { // somebody asks already
		return Result{Verdict: RevocationUnknown, Detail: leftEarly}
	}
	return a.result
}

// forget makes room for one more. o.mu is held.
func (o *OCSP) forget(now time.Time) {
	if len(o.known) < ocspEntries {
		return
	}
	for k, a := range o.known {
		if !a.until.IsZero() && now.After(a.until) {
			delete(o.known, k)
		}
	}
	for k, a := range o.known { // any will do
		if len(o.known) < ocspEntries {
			return
		}
		if !a.until.IsZero() {
			delete(o.known, k)
		}
	}
}

func (o *OCSP) ask(a *answer, cert, issuer *x509.Certificate, now time.Time) {
	var r Result
	until := now.Add(ocspRetry)
	var failed error
	for _, server := range cert.OCSPServer[:min(len(cert.OCSPServer), 2)] {
		response, err := o.fetch(server, cert, issuer)
		if err == nil {
			r, until, err = judge(response, cert, now)
		}
		if failed = err; err == nil {
			break
		}
	}
	if failed != nil {
		r = Result{Verdict: RevocationOffline, Detail: fmt.Sprintf("no answer about %s: %v", name(cert), failed)}
	}
	o.mu.Lock()
	a.result, a.until = r, until
	o.mu.Unlock()
	close(a.ready)
}

// fetch asks one responder.
func (o *OCSP) fetch(server string, cert, issuer *x509.Certificate) (*ocsp.Response, error) {
	if u, err := url.Parse(server); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("its responder %.100q is not a URL of the web", server)
	}
	request, err := ocsp.CreateRequest(cert, issuer, nil)
	if err != nil {
		return nil, err
	}
	o.slots <- struct{}{}
	defer func() { <-o.slots }()
	ctx, cancel := context.WithTimeout(context.Background(), ocspTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", server, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	req.Header.Set("Accept", "application/ocsp-response")
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return nil, fmt.Errorf("%s answers %s", server, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, ocspMaxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > ocspMaxAnswer {
		return nil, fmt.Errorf("%s answers with more than %d bytes", server, ocspMaxAnswer)
	}
	return ocsp.ParseResponseForCert(body, cert, issuer)
}

// judge reads an answer that is signed as it should be.
func judge(r *ocsp.Response, cert *x509.Certificate, now time.Time) (Result, time.Time, error) {
	switch {
	case r.ThisUpdate.After(now.Add(ocspSkew)):
		return Result{}, now, fmt.Errorf("the answer is of the future (%s)", date(r.ThisUpdate))
	case !r.NextUpdate.IsZero() && r.NextUpdate.Before(now.Add(-ocspSkew)):
		return Result{}, now, fmt.Errorf("the answer is out of date since %s", date(r.NextUpdate))
	}
	until := now.Add(ocspMaxAge)
	if !r.NextUpdate.IsZero() && r.NextUpdate.Before(until) {
		until = r.NextUpdate
	}
	if r.NextUpdate.IsZero() || until.Before(now.Add(ocspMinAge)) {
		until = now.Add(ocspMinAge)
	}
	switch r.Status {
	case ocsp.Good:
		return Result{Verdict: Trusted}, until, nil
	case ocsp.Revoked:
		return Result{Verdict: Revoked, Detail: fmt.Sprintf("%s since %s%s", name(cert), date(r.RevokedAt), reason(r.RevocationReason))}, until, nil
	}
	return Result{Verdict: RevocationUnknown, Detail: "its OCSP responder does not know " + name(cert)}, until, nil
}
