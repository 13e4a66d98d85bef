// Package clientcert judges the certificates that clients show.
//
// As in HTTP.SYS, a certificate is never a reason to refuse a connection: the
// application gets the request with the certificate and a Result, which says
// whether the certificate is trusted and, if not, precisely why. Verifier makes
// the Result. It asks crypto/x509 first; only when that says no, diagnose
// walks the chain itself to find the reason that helps the one who reads it.
//
// verdict.go has the verdicts and what they are called elsewhere, verifier.go
// the trust, diagnose.go the reasons, revocation.go, crl.go and ocsp.go what was
// withdrawn. A Policy is what a URL prefix demands of a Result.
package clientcert
