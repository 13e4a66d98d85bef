package httpsys

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
)

// A Verdict is the daemon's judgement of the certificate that a client has shown.
// The daemon never rejects a client because of it: that is for the program, or for
// the policy of a prefix.
type Verdict uint8

// The verdicts, and in brackets what HTTP.SYS reports in their place
// (HTTP_SSL_CLIENT_CERT_INFO, CertFlags). Where several things are wrong the
// daemon reports the one that is least in doubt: a wrong signature before an
// unknown authority, and that before a date.
const (
	// CertNotPresented: the client showed none, or was not asked for one.
	CertNotPresented Verdict = 0
	// CertTrusted: everything is in order.
	CertTrusted Verdict = 1
	// CertExpired: it, or one above it, is not valid any more (CERT_E_EXPIRED, 0x800B0101).
	CertExpired Verdict = 2
	// CertNotYetValid: it, or one above it, is not valid yet (CERT_E_EXPIRED).
	CertNotYetValid Verdict = 3
	// CertUntrustedRoot: its chain ends in an authority that is not trusted (CERT_E_UNTRUSTEDROOT, 0x800B0109).
	CertUntrustedRoot Verdict = 4
	// CertIncompleteChain: the issuer of one of the certificates is missing (CERT_E_CHAINING, 0x800B010A).
	CertIncompleteChain Verdict = 5
	// CertBadSignature: a signature in the chain is wrong (TRUST_E_CERT_SIGNATURE, 0x80096004).
	CertBadSignature Verdict = 6
	// CertWeakSignature: a signature in the chain is of a kind that can be forged (TRUST_E_CERT_SIGNATURE).
	CertWeakSignature Verdict = 7
	// CertWrongUsage: it is not for identifying a client (CERT_E_WRONG_USAGE, 0x800B0110).
	CertWrongUsage Verdict = 8
	// CertInvalidCA: a certificate that may not issue others has done so (CERT_E_ROLE, 0x800B0103).
	CertInvalidCA Verdict = 9
	// CertNotPermitted: an authority was not entitled to the name in it (CERT_E_INVALID_NAME, 0x800B0114).
	CertNotPermitted Verdict = 10
	// CertRevoked: it, or one above it, was withdrawn (CERT_E_REVOKED, 0x800B010C).
	CertRevoked Verdict = 11
	// CertRevocationUnknown: nothing says whether it was withdrawn (CRYPT_E_NO_REVOCATION_CHECK, 0x80092012).
	CertRevocationUnknown Verdict = 12
	// CertRevocationOffline: who should say whether it was withdrawn does not, or not any more (CRYPT_E_REVOCATION_OFFLINE, 0x80092013).
	CertRevocationOffline Verdict = 13
	// CertInvalid: something else, which the message of the error explains (TRUST_E_FAIL, 0x800B010B).
	CertInvalid Verdict = 14
)

var verdictNames = [...]string{
	CertNotPresented: "not-presented", CertTrusted: "trusted", CertExpired: "expired", CertNotYetValid: "not-yet-valid",
	CertUntrustedRoot: "untrusted-root", CertIncompleteChain: "incomplete-chain", CertBadSignature: "bad-signature",
	CertWeakSignature: "weak-signature", CertWrongUsage: "wrong-usage", CertInvalidCA: "invalid-ca",
	CertNotPermitted: "not-permitted", CertRevoked: "revoked", CertRevocationUnknown: "revocation-unknown",
	CertRevocationOffline: "revocation-offline", CertInvalid: "invalid",
}

// String is the name of v in the daemon's logs, such as "expired".
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// A ClientCert is what a client has shown of itself on its connection.
type ClientCert struct {
	// Verdict says whether to believe it.
	Verdict Verdict
	// Asked: the certificate binding has clientcertnegotiation=enable, so the
	// client was asked for a certificate when the connection began. It cannot be
	// asked later.
	Asked bool
	// Certificates are what the client sent, its own first; none if it sent none.
	// Chains lead from the first to authorities that are trusted; they are there
	// only if the Verdict is CertTrusted. Both are those of Request.TLS.
	Certificates []*x509.Certificate
	Chains       [][]*x509.Certificate
	// Truncated: certificates did not fit into 128 KiB and are left out.
	Truncated bool
	// Own: the client was shown a certificate that a program has brought
	// (Server.Certificates), so the authorities that are trusted are that
	// program's. Otherwise an administrator has bound it and decides.
	Own bool

	message string
	code    uint32
}

// Certificate is the client's own, or nil.
func (c *ClientCert) Certificate() *x509.Certificate {
	if len(c.Certificates) == 0 {
		return nil
	}
	return c.Certificates[0]
}

// Err is nil if the certificate is trusted, else a *CertificateError.
func (c *ClientCert) Err() error {
	if c.Verdict == CertTrusted {
		return nil
	}
	e := &CertificateError{Verdict: c.Verdict, Code: c.code, Message: c.message}
	if e.Message == "" {
		e.Message = "the client has not shown a certificate"
	}
	return e
}

// A CertificateError says why a client's certificate is not trusted. [errors.Is]
// compares it with another one by its Verdict alone.
type CertificateError struct {
	Verdict Verdict
	Code    uint32 // what HTTP.SYS reports, such as 0x800B0101; 0 if the client has shown no certificate
	Message string // one line: what is wrong with which certificate
}

func (e *CertificateError) Error() string { return "client certificate: " + e.Message }

// Is reports whether target is a *CertificateError with the same Verdict.
func (e *CertificateError) Is(target error) bool {
	t, ok := target.(*CertificateError)
	return ok && t.Verdict == e.Verdict
}

// ClientCertificate tells which certificate the client of r has shown and what the
// daemon thinks of it. It is the same for all requests of a connection: the client
// is asked when its connection begins, if the certificate binding says
// clientcertnegotiation=enable, and never again. The result must not be changed.
//
// For a plain connection, and for a request that did not come through httpsys, the
// Verdict is CertNotPresented. For requests of an http.Server that serves a
// Listener of this package it works if the server's ConnContext is [ConnContext].
func ClientCertificate(r *http.Request) *ClientCert {
	if x := exchangeOf(r); x != nil {
		if x.client != nil {
			return &x.client.parsed().cert
		}
	} else if c, _ := r.Context().Value(clientConnKey{}).(*clientConn); c != nil {
		return &c.parsed().cert
	}
	return &ClientCert{}
}

// clientConnKey finds the connection of a request of somebody else's http.Server.
type clientConnKey struct{}

// ConnContext is for the field of that name of an http.Server that serves a
// Listener of this package: ClientCertificate works then.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(*secureConn); ok && s.client != nil {
		return context.WithValue(ctx, clientConnKey{}, s.client)
	}
	return ctx
}
