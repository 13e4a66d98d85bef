package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"
)

// pair is a certificate with its chain and its key, read from files.
type pair struct {
	tls    tls.Certificate
	chain  []*x509.Certificate // the leaf first
	path   string              // of the certificate
	stamps []stamp
	staple stapled
}

// readPair reads a certificate and its key and checks that a server can use
// them now. Without keyPath the key is in the same file.
func readPair(certPath, keyPath string, now time.Time) (*pair, error) {
	p := &pair{path: certPath}
	data, s, err := readFile(certPath, keyPath == "" || keyPath == certPath)
	p.stamps = append(p.stamps, s)
	if err != nil {
		return p, err
	}
	keyData := data
	if keyPath == "" {
		keyPath = certPath
	}
	if keyPath != certPath {
		keyData, s, err = readFile(keyPath, true)
		p.stamps = append(p.stamps, s)
		if err != nil {
			return p, err
		}
	}
	if p.chain, err = parseChain(certPath, data); err != nil {
		return p, err
	}
	key, err := parseKey(keyPath, keyData)
	if err != nil {
		return p, err
	}
	if err := p.checkForm(key, keyPath); err != nil {
		return p, err
	}
	if err := p.checkUse(now); err != nil {
		return p, err
	}
	p.make(key)
	p.readStaple(now)
	return p, nil
}

// make puts a pair into the form of crypto/tls.
func (p *pair) make(key crypto.Signer) {
	p.tls = tls.Certificate{PrivateKey: key, Leaf: p.chain[0]}
	for _, c := range p.chain {
		p.tls.Certificate = append(p.tls.Certificate, c.Raw)
	}
}

// parseChain reads certificates in PEM.
func parseChain(path string, data []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	other := ""
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			other = block.Type
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in %s is damaged: %s", len(all)+1, path, plain(err))
		}
		all = append(all, c)
	}
	if len(all) > 0 {
		return all, nil
	}
	switch {
	case strings.HasSuffix(other, "CERTIFICATE REQUEST"):
		return nil, fmt.Errorf("%s is a request for a certificate: the authority gives the certificate for it", path)
	case strings.HasSuffix(other, "PRIVATE KEY"):
		return nil, fmt.Errorf("%s has a key but no certificate: give the file with the certificate as cert= and this one as key=", path)
	case other != "":
		return nil, fmt.Errorf("%s has no certificate but a %s", path, other)
	case len(data) > 1 && data[0] == 0x30 && isPKCS12(data):
		return nil, fmt.Errorf("%s is in PKCS #12 (.pfx): convert it with openssl pkcs12 -in %s -nodes -out FILE.pem", path, path)
	case len(data) > 1 && data[0] == 0x30:
		return nil, fmt.Errorf("%s is in DER: convert it with openssl x509 -inform der -in %s -out FILE.pem", path, path)
	}
	return nil, fmt.Errorf("%s has no certificate in PEM (-----BEGIN CERTIFICATE-----)", path)
}

// isPKCS12: a PFX begins with version 3 (RFC 7292 4), a certificate with
// another sequence.
func isPKCS12(data []byte) bool {
	return bytes.Contains(data[:min(len(data), 8)], []byte{0x02, 0x01, 0x03})
}

// What programs and files may make us compute with: an RSA key of 8192 bits,
// the most that crypto/tls takes from a peer, has less than 5 KB. Checking one
// of a hundred times that length would take minutes.
const (
	maxKeyFile = 8 << 10 // bytes in DER
	maxRSA     = 8192    // bits
)

// parseKey reads the private key, of which there must be one.
func parseKey(path string, data []byte) (crypto.Signer, error) {
	var found crypto.Signer
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, fmt.Errorf("the key in %s is protected with a pass phrase, which nobody could enter: remove it with openssl pkey -in %s -out FILE.key", path, path)
		}
		if len(block.Bytes) > maxKeyFile {
			return nil, fmt.Errorf("the key in %s has %d bytes: an RSA key has at most %d bits", path, len(block.Bytes), maxRSA)
		}
		key, err := parseKeyBlock(block)
		if err != nil {
			return nil, fmt.Errorf("the key in %s is damaged: %s", path, plain(err))
		}
		if found != nil {
			return nil, fmt.Errorf("%s has more than one key: which belongs to the certificate?", path)
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("the key in %s cannot sign: a server needs an ECDSA, RSA or Ed25519 key", path)
		}
		found = signer
	}
	if found == nil {
		return nil, fmt.Errorf("%s has no private key in PEM (-----BEGIN PRIVATE KEY-----): give the file with it as key=", path)
	}
	return found, nil
}

func parseKeyBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	return nil, fmt.Errorf("a %s is not known here", block.Type)
}

// checkForm says whether key and chain belong together.
func (p *pair) checkForm(key crypto.Signer, keyPath string) error {
	if err := p.checkKey(key, keyPath); err != nil {
		return err
	}
	for i, c := range p.chain {
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSA {
			return fmt.Errorf("certificate %d in %s has an RSA key of %d bits: clients accept at most %d", i+1, p.path, k.N.BitLen(), maxRSA)
		}
	}
	for i, c := range p.chain[1:] {
		below := p.chain[i]
		switch {
		case slices.ContainsFunc(p.chain[:i+1], c.Equal):
			return fmt.Errorf("certificate %d in %s (%s) is there twice", i+2, p.path, subject(c))
		case !bytes.Equal(below.RawIssuer, c.RawSubject):
			return fmt.Errorf("certificate %d in %s (%s) did not issue the one before it (%s, issued by %s): put each certificate after the one that it issued",
				i+2, p.path, subject(c), subject(below), quoted(below.Issuer.String()))
		case c.CheckSignature(below.SignatureAlgorithm, below.RawTBSCertificate, below.Signature) != nil:
			return fmt.Errorf("certificate %d in %s (%s) has the name of the issuer of the one before it, but not its key: take the chain that came with the certificate",
				i+2, p.path, subject(c))
		}
	}
	return nil
}

// checkUse says whether a server can use the certificate now; what is merely
// unwise is in warnings.
func (p *pair) checkUse(now time.Time) error {
	leaf := p.chain[0]
	for i, c := range p.chain {
		which := p.path
		if i > 0 {
			which = fmt.Sprintf("certificate %d in %s (%s)", i+1, p.path, subject(c))
		}
		switch {
		case now.After(c.NotAfter):
			return fmt.Errorf("%s expired on %s: get a new one", which, day(c.NotAfter))
		case now.Before(c.NotBefore):
			return fmt.Errorf("%s is valid from %s: wait, or set the clock of this machine", which, c.NotBefore.UTC().Format("2006-01-02 15:04 MST"))
		}
	}
	if n := len(leaf.ExtKeyUsage) + len(leaf.UnknownExtKeyUsage); n > 0 &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return fmt.Errorf("%s is not for servers (its extended key usage does not include serverAuth)", p.path)
	}
	return nil
}

func (p *pair) checkKey(key crypto.Signer, keyPath string) error {
	type comparable interface{ Equal(crypto.PublicKey) bool }
	public, ok := key.Public().(comparable)
	if !ok {
		return fmt.Errorf("%s has a key of an unknown kind: a server needs an ECDSA, RSA or Ed25519 key", keyPath)
	}
	if !public.Equal(p.chain[0].PublicKey) {
		for i, c := range p.chain {
			if public.Equal(c.PublicKey) {
				return fmt.Errorf("the key in %s belongs to certificate %d in %s (%s): put that one first, and after it those that issued it", keyPath, i+1, p.path, subject(c))
			}
		}
		return fmt.Errorf("the key in %s does not belong to the certificate in %s (%s)", keyPath, p.path, subject(p.chain[0]))
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return fmt.Errorf("the RSA key in %s has %d bits: clients want at least 2048", keyPath, k.N.BitLen())
		}
	case *ecdsa.PrivateKey:
		if c := k.Curve; c != elliptic.P256() && c != elliptic.P384() && c != elliptic.P521() {
			return fmt.Errorf("the ECDSA key in %s is on the curve %s, which TLS does not use: take P-256", keyPath, c.Params().Name)
		}
	case ed25519.PrivateKey:
	default:
		return fmt.Errorf("%s has a key of an unknown kind: a server needs an ECDSA, RSA or Ed25519 key", keyPath)
	}
	return nil
}

// soon is how long before its end a certificate is warned about. Authorities
// renew a month before; a certificate that lives shorter is warned about in its
// last fourth.
const soon = 21 * 24 * time.Hour

// warnings says what is unwise about c for host ("" if it is for no special
// one).
func warnings(chain []*x509.Certificate, host string, now time.Time) []string {
	var all []string
	leaf := chain[0]
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		all = append(all, "it has expired on "+day(leaf.NotAfter))
	case left < min(soon, life/4):
		all = append(all, fmt.Sprintf("it expires in %s, on %s", days(left), day(leaf.NotAfter)))
	}
	switch {
	case len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
		all = append(all, "it names no host (subject alternative name): browsers do not accept it")
	case host != "" && leaf.VerifyHostname(strings.Replace(host, "*.", "any.", 1)) != nil:
		all = append(all, "it is not for "+host)
	}
	if leaf.SignatureAlgorithm == x509.SHA1WithRSA || leaf.SignatureAlgorithm == x509.ECDSAWithSHA1 {
		all = append(all, "it is signed with SHA-1: clients do not accept it")
	}
	return all
}

func days(d time.Duration) string {
	switch n := int(d.Hours() / 24); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

func subject(c *x509.Certificate) string {
	if s := c.Subject.String(); s != "" {
		return quoted(s)
	}
	if len(c.DNSNames) > 0 {
		return quoted(c.DNSNames[0])
	}
	return "no name"
}

func quoted(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

func plain(err error) string { return strings.TrimPrefix(err.Error(), "x509: ") }
