package clientcert

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// CRL is a list of revoked certificates of one authority (RFC 5280 5).
type CRL struct {
	list    *x509.RevocationList
	revoked map[string]revocation // by serial number
	signer  atomic.Pointer[x509.Certificate]
}

type revocation struct {
	at     time.Time
	reason int
}

var (
	oidDelta  = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssued = asn1.ObjectIdentifier{2, 5, 29, 28} // issuingDistributionPoint
	oidNumber = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidAKI    = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// ParseCRLs reads a file with revocation lists, in PEM or one in DER. Whether
// they are signed by their authority is checked when a certificate of it comes.
func ParseCRLs(data []byte) ([]*CRL, error) {
	if !bytes.Contains(data, []byte("-----BEGIN")) {
		c, err := parseCRL(data)
		if err != nil {
			return nil, err
		}
		return []*CRL{c}, nil
	}
	var all []*CRL
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("there is a %q where only revocation lists (X509 CRL) belong", block.Type)
		}
		c, err := parseCRL(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("revocation list %d: %w", len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no revocation list in it")
	}
	return all, nil
}

func parseCRL(der []byte) (*CRL, error) {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("this is not a revocation list: %w", err)
	}
	for _, e := range l.Extensions {
		switch {
		case e.Id.Equal(oidDelta):
			return nil, errors.New("this is a delta list, which says only what has changed: a complete one is needed")
		case e.Critical && e.Id.Equal(oidIssued):
			return nil, errors.New("this list covers only a part of the certificates of its authority: a complete one is needed")
		case e.Critical && !e.Id.Equal(oidNumber) && !e.Id.Equal(oidAKI):
			return nil, fmt.Errorf("this list has the extension %s, which is unknown here", e.Id)
		}
	}
	c := &CRL{list: l, revoked: make(map[string]revocation, len(l.RevokedCertificateEntries))}
	for _, e := range l.RevokedCertificateEntries {
		c.revoked[string(e.SerialNumber.Bytes())] = revocation{e.RevocationTime, e.ReasonCode}
	}
	return c, nil
}

// Issuer names the authority.
func (c *CRL) Issuer() string { return c.list.Issuer.String() }

// NextUpdate is until when the list is good; zero if it does not say.
func (c *CRL) NextUpdate() time.Time { return c.list.NextUpdate }

// covers tells whether the list is of the authority issuer, and signed by it.
func (c *CRL) covers(issuer *x509.Certificate) bool {
	if !bytes.Equal(c.list.RawIssuer, issuer.RawSubject) {
		return false
	}
	if k := c.signer.Load(); k != nil && k.Equal(issuer) {
		return true // a signature is checked once
	}
	if c.list.CheckSignatureFrom(issuer) != nil {
		return false
	}
	c.signer.Store(issuer)
	return true
}

// status asks the list about cert, which its authority has issued.
func (c *CRL) status(cert *x509.Certificate, now time.Time) Result {
	if r, ok := c.revoked[string(cert.SerialNumber.Bytes())]; ok {
		return Result{Verdict: Revoked, Detail: fmt.Sprintf("%s since %s%s", name(cert), date(r.at), reason(r.reason))}
	}
	if next := c.list.NextUpdate; !next.IsZero() && now.After(next) {
		return Result{Verdict: RevocationOffline, Detail: fmt.Sprintf("the revocation list of %s is out of date since %s", nameOf(c.Issuer()), date(next))}
	}
	return Result{Verdict: Trusted}
}

// reason puts a reason code (RFC 5280 5.3.1) into words.
func reason(code int) string {
	names := map[int]string{
		1: "its key was compromised", 2: "its authority was compromised", 3: "its owner has changed",
		4: "it was superseded", 5: "it is not needed any more", 6: "it is on hold", 9: "its privilege was withdrawn",
		10: "its attribute authority was compromised",
	}
	if n := names[code]; n != "" {
		return ", " + n
	}
	return ""
}
