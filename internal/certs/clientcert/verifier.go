package clientcert

import (
	"crypto/x509"
	"time"
)

// Verifier judges certificates. It is safe for concurrent use and never
// changes.
type Verifier struct {
	// Roots are trusted; nil means those of the machine.
	Roots *Roots
	// AnyUsage accepts certificates that are not for identifying clients.
	AnyUsage bool
	// CRLs and OCSP say what was revoked. Without either, nothing is asked.
	CRLs []*CRL
	OCSP *OCSP
}

// Verify judges certs, the client's own first. wait runs what waits for a
// network.
func (v *Verifier) Verify(certs []*x509.Certificate, now time.Time, wait func(func()) bool) Result {
	if len(certs) == 0 {
		return Result{}
	}
	roots := v.Roots
	if roots == nil {
		roots = SystemRoots()
	}
	opts := x509.VerifyOptions{
		Roots: roots.pool, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if v.AnyUsage {
		opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	if len(certs) > 1 {
		opts.Intermediates = x509.NewCertPool()
		for _, c := range certs[1:] {
			opts.Intermediates.AddCert(c)
		}
	}
	chains, err := certs[0].Verify(opts)
	if err != nil {
		return diagnose(certs, roots, now, v.AnyUsage, err)
	}
	if len(v.CRLs) == 0 && v.OCSP == nil {
		return Result{Verdict: Trusted, Chains: chains}
	}
	return v.revocation(chains, now, wait)
}
