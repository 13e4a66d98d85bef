package clientcert

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"sync"
)

// Roots are the authorities that are trusted.
type Roots struct {
	pool      *x509.CertPool
	all       []*x509.Certificate
	bySubject map[string][]*x509.Certificate
}

// NewRoots trusts certs.
func NewRoots(certs []*x509.Certificate) *Roots {
	r := &Roots{pool: x509.NewCertPool(), all: certs, bySubject: map[string][]*x509.Certificate{}}
	for _, c := range certs {
		r.pool.AddCert(c)
		r.bySubject[string(c.RawSubject)] = append(r.bySubject[string(c.RawSubject)], c)
	}
	return r
}

// Pool is for crypto/tls, which tells clients what to choose from.
func (r *Roots) Pool() *x509.CertPool { return r.pool }

func (r *Roots) contains(c *x509.Certificate) bool {
	for _, root := range r.bySubject[string(c.RawSubject)] {
		if root.Equal(c) {
			return true
		}
	}
	return false
}

// systemFiles is where distributions keep the authorities that they trust;
// crypto/x509 looks in the same places but does not show what it found, and we
// want to explain why a certificate is not trusted.
var systemFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch, Gentoo
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL
	"/etc/ssl/ca-bundle.pem",                            // SUSE
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL 7
	"/etc/ssl/cert.pem",                                 // Alpine
}

// SystemRoots are the authorities that the machine trusts. They are read once.
var SystemRoots = sync.OnceValue(func() *Roots {
	files := systemFiles
	if f := os.Getenv("SSL_CERT_FILE"); f != "" {
		files = []string{f}
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		var certs []*x509.Certificate
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
				certs = append(certs, c)
			}
		}
		return NewRoots(certs)
	}
	return NewRoots(nil)
})
