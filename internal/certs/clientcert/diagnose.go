package clientcert

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxDepth bounds the walk; no chain of the real world has more than five.
const maxDepth = 10

// diagnose finds out why crypto/x509 refused a chain with err. The order of
// the questions is that of what has to be put right first: as long as the
// certificates do not belong together, nothing else about them means anything.
func diagnose(certs []*x509.Certificate, roots *Roots, now time.Time, anyUsage bool, err error) Result {
	path, r := walk(certs, roots)
	if r.Verdict != Trusted {
		return r
	}
	for _, c := range path {
		switch {
		case now.After(c.NotAfter):
			return Result{Verdict: Expired, Detail: fmt.Sprintf("%s was valid until %s", name(c), date(c.NotAfter))}
		case now.Before(c.NotBefore):
			return Result{Verdict: NotYetValid, Detail: fmt.Sprintf("%s is valid from %s", name(c), date(c.NotBefore))}
		}
	}
	for i, c := range path {
		if i == 0 {
			continue
		}
		switch {
		case c.Version == 3 && !(c.BasicConstraintsValid && c.IsCA),
			c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
			return Result{Verdict: InvalidCA, Detail: name(c) + " may not issue certificates"}
		case c.BasicConstraintsValid && c.MaxPathLen >= 0 && (c.MaxPathLen > 0 || c.MaxPathLenZero) && i-1 > c.MaxPathLen:
			return Result{Verdict: InvalidCA, Detail: fmt.Sprintf("%s allows %d authorities below it, and there are %d", name(c), c.MaxPathLen, i-1)}
		}
	}
	if !anyUsage {
		for i, c := range path {
			if !identifiesClients(c, i == len(path)-1 && i > 0) {
				return Result{Verdict: WrongUsage, Detail: name(c) + " is for " + usages(c)}
			}
		}
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		switch invalid.Reason {
		case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs, x509.UnconstrainedName, x509.TooManyConstraints:
			return Result{Verdict: NotPermitted, Detail: invalid.Error()}
		}
	}
	return Result{Verdict: Invalid, Detail: err.Error()}
}

// walk follows signatures from certs[0] up to a trusted authority.
func walk(certs []*x509.Certificate, roots *Roots) ([]*x509.Certificate, Result) {
	path := certs[:1:1]
	for len(path) <= maxDepth {
		c := path[len(path)-1]
		if roots.contains(c) {
			return path, Result{Verdict: Trusted}
		}
		self := bytes.Equal(c.RawIssuer, c.RawSubject)
		var issuers []*x509.Certificate
		for _, i := range slices.Concat(roots.bySubject[string(c.RawIssuer)], certs[1:]) {
			if issued(i, c) && !slices.ContainsFunc(path, i.Equal) {
				issuers = append(issuers, i)
			}
		}
		if self {
			issuers = append(issuers, c) // an authority that nobody else vouches for
		}
		if len(issuers) == 0 {
			return path, Result{Verdict: IncompleteChain, Detail: fmt.Sprintf("%s was issued by %s, which is missing", name(c), nameOf(c.Issuer.String()))}
		}
		var next *x509.Certificate
		var err error
		for _, i := range issuers {
			e := i.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
			if e == nil {
				next, err = i, nil
				break
			}
			err = cmpErr(err, e)
		}
		switch {
		case isInsecure(err) || next != nil && next != c && usesSHA1(c):
			return path, Result{Verdict: WeakSignature, Detail: fmt.Sprintf("%s is signed with %s", name(c), c.SignatureAlgorithm)}
		case err != nil:
			return path, Result{Verdict: BadSignature, Detail: fmt.Sprintf("%s is not signed by %s", name(c), nameOf(c.Issuer.String()))}
		case next == c:
			return path, Result{Verdict: UntrustedRoot, Detail: name(c)}
		}
		path = append(path, next)
	}
	return path, Result{Verdict: IncompleteChain, Detail: fmt.Sprintf("the chain has more than %d certificates", maxDepth)}
}

// issued tells whether i says that it issued c, by name and, where both have
// one, by key identifier (RFC 5280 4.2.1.1): authorities change keys and keep
// their names.
func issued(i, c *x509.Certificate) bool {
	return bytes.Equal(i.RawSubject, c.RawIssuer) &&
		(len(i.SubjectKeyId) == 0 || len(c.AuthorityKeyId) == 0 || bytes.Equal(i.SubjectKeyId, c.AuthorityKeyId))
}

func isInsecure(err error) bool {
	var insecure x509.InsecureAlgorithmError
	return errors.As(err, &insecure)
}

// usesSHA1: crypto/x509 does not accept such a signature, but would say so only
// as an unknown authority.
func usesSHA1(c *x509.Certificate) bool {
	switch c.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return true
	}
	return false
}

// cmpErr keeps the more telling one of two errors.
func cmpErr(a, b error) error {
	if a == nil || isInsecure(b) {
		return b
	}
	return a
}

// identifiesClients reads the extended usages. An authority without any may
// issue for every purpose (RFC 5280 4.2.1.12), and what a trusted root says about
// itself does not count.
func identifiesClients(c *x509.Certificate, root bool) bool {
	return root || len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func usages(c *x509.Certificate) string {
	names := map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageServerAuth: "servers", x509.ExtKeyUsageCodeSigning: "signing code",
		x509.ExtKeyUsageEmailProtection: "e-mail", x509.ExtKeyUsageTimeStamping: "time stamps", x509.ExtKeyUsageOCSPSigning: "OCSP",
	}
	for _, u := range c.ExtKeyUsage {
		if n := names[u]; n != "" {
			return n
		}
	}
	return "something else"
}

func name(c *x509.Certificate) string { return nameOf(c.Subject.String()) }

// nameOf keeps what somebody else wrote short.
func nameOf(subject string) string {
	const most = 100
	if r := []rune(subject); len(r) > most {
		subject = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", subject)
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
