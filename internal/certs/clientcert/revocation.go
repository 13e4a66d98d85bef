package clientcert

import (
	"crypto/x509"
	"time"
)

// revocation asks what was revoked, for chains that are in order otherwise. One
// good chain is enough.
func (v *Verifier) revocation(chains [][]*x509.Certificate, now time.Time, wait func(func()) bool) Result {
	var good [][]*x509.Certificate
	var bad Result
	for _, chain := range chains {
		if r := v.chainStatus(chain, now, wait); r.Verdict == Trusted {
			good = append(good, chain)
		} else if bad.Verdict == NotPresented {
			bad = r
		}
	}
	if len(good) > 0 {
		return Result{Verdict: Trusted, Chains: good}
	}
	return bad
}

// chainStatus looks at all certificates but the root, which nobody can revoke.
// The client's own must be known not to be revoked; for authorities in between
// it is enough that nothing says they are, since administrators who keep a list
// for one authority seldom have one for the authority above.
func (v *Verifier) chainStatus(chain []*x509.Certificate, now time.Time, wait func(func()) bool) Result {
	for i := range len(chain) - 1 {
		r := v.status(chain[i], chain[i+1], now, wait)
		if r.Verdict == RevocationUnknown && i > 0 {
			continue
		}
		if r.Verdict != Trusted {
			return r
		}
	}
	return Result{Verdict: Trusted}
}

// status asks the lists first, since they are here.
func (v *Verifier) status(cert, issuer *x509.Certificate, now time.Time, wait func(func()) bool) Result {
	r := Result{Verdict: RevocationUnknown, Detail: "there is no revocation list of " + name(issuer)}
	for _, c := range v.CRLs {
		if !c.covers(issuer) {
			continue
		}
		s := c.status(cert, now)
		if s.Verdict == Revoked {
			return s
		}
		if r.Verdict != Trusted { // a list that is up to date counts more than one that is not
			r = s
		}
	}
	if r.Verdict == Trusted || v.OCSP == nil {
		return r
	}
	if len(cert.OCSPServer) == 0 {
		if r.Verdict == RevocationUnknown {
			r.Detail = name(cert) + " names no OCSP responder, and there is no revocation list of " + name(issuer)
		}
		return r
	}
	return v.OCSP.status(cert, issuer, now, wait)
}
