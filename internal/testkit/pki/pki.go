// Package pki makes certificates for tests: authorities, what they issue, and
// everything that can be wrong with it.
//
// A Cert is a certificate with its key. Root makes an authority; Issue makes a
// certificate below any Cert, changed as Options say. PEM and Files write them as
// administrators have them.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// Cert is a certificate and its key.
type Cert struct {
	*x509.Certificate
	Key    crypto.Signer
	Issuer *Cert // nil for a root
}

// Option changes a certificate before it is signed.
type Option func(*plan)

type plan struct {
	x509.Certificate
	key crypto.Signer
}

var serials atomic.Int64

// Root makes a self-signed authority.
func Root(t testing.TB, name string, options ...Option) *Cert {
	t.Helper()
	return build(t, nil, name, append([]Option{CA}, options...))
}

// Issue makes a certificate for name, signed by issuer. Without options it is
// good for clients and servers, from an hour ago for a day.
func Issue(t testing.TB, issuer *Cert, name string, options ...Option) *Cert {
	t.Helper()
	return build(t, issuer, name, options)
}

func build(t testing.TB, issuer *Cert, name string, options []Option) *Cert {
	t.Helper()
	now := time.Now()
	p := &plan{Certificate: x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}}
	for _, o := range options {
		o(p)
	}
	if p.key == nil {
		p.key = ECDSA(t)
	}
	c := &Cert{Key: p.key, Issuer: issuer}
	parent, signer := &p.Certificate, p.key
	if issuer != nil {
		parent, signer = issuer.Certificate, issuer.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, &p.Certificate, parent, p.key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if c.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}

// ECDSA makes a key.
func ECDSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// RSA makes a key.
func RSA(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// CA makes an authority of it.
func CA(p *plan) {
	p.IsCA, p.BasicConstraintsValid = true, true
	p.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	p.ExtKeyUsage = nil
}

// Valid sets from when and until when it is valid, from now.
func Valid(from, until time.Duration) Option {
	now := time.Now()
	return func(p *plan) { p.NotBefore, p.NotAfter = now.Add(from), now.Add(until) }
}

// Usage replaces the extended usages.
func Usage(u ...x509.ExtKeyUsage) Option { return func(p *plan) { p.ExtKeyUsage = u } }

// Names sets what it is valid for: host names and addresses.
func Names(names ...string) Option {
	return func(p *plan) {
		for _, n := range names {
			if ip := net.ParseIP(n); ip != nil {
				p.IPAddresses = append(p.IPAddresses, ip)
			} else {
				p.DNSNames = append(p.DNSNames, n)
			}
		}
	}
}

// Key gives it this key.
func Key(k crypto.Signer) Option { return func(p *plan) { p.key = k } }

// Template changes anything.
func Template(f func(*x509.Certificate)) Option { return func(p *plan) { f(&p.Certificate) } }

// Chain is c and what is above it, without the root.
func (c *Cert) Chain() []*x509.Certificate {
	var all []*x509.Certificate
	for ; c != nil && c.Issuer != nil; c = c.Issuer {
		all = append(all, c.Certificate)
	}
	return all
}

// TLS is c with its chain for crypto/tls.
func (c *Cert) TLS() tls.Certificate {
	out := tls.Certificate{PrivateKey: c.Key, Leaf: c.Certificate}
	for _, x := range c.Chain() {
		out.Certificate = append(out.Certificate, x.Raw)
	}
	if c.Issuer == nil {
		out.Certificate = [][]byte{c.Raw}
	}
	return out
}

// Pool is a pool of certificates.
func Pool(certs ...*Cert) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c.Certificate)
	}
	return p
}

// PEM encodes certificates.
func PEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// KeyPEM encodes a key in PKCS #8.
func KeyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Write writes a file that only its owner can read, and returns its path.
func Write(t testing.TB, dir, name string, data ...[]byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	var all []byte
	for _, d := range data {
		all = append(all, d...)
	}
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Files writes NAME.crt with the chain of c and NAME.key.
func (c *Cert) Files(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	chain := c.Chain()
	if c.Issuer == nil {
		chain = []*x509.Certificate{c.Certificate}
	}
	return Write(t, dir, name+".crt", PEM(chain...)), Write(t, dir, name+".key", KeyPEM(t, c.Key))
}

// CRL is a revocation list of c with these serial numbers, in DER.
func (c *Cert) CRL(t testing.TB, thisUpdate, nextUpdate time.Time, revoked ...*Cert) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(serials.Add(1)), ThisUpdate: thisUpdate, NextUpdate: nextUpdate}
	for _, r := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: r.SerialNumber, RevocationTime: thisUpdate, ReasonCode: 1,
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, c.Certificate, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
