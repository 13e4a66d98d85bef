package certs

import (
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"
)

// stapled is what there is to say about the OCSP response of a certificate.
// The response is a file beside the certificate, NAME.ocsp, in DER, as other
// servers have it; whoever fetches it replaces the file.
type stapled struct {
	there   bool
	until   time.Time // zero: for ever
	warning string
}

// stapleSuffix is what is added to the name of the certificate's file.
const stapleSuffix = ".ocsp"

// readStaple adds the OCSP response to p, if there is one that is good: a client
// that gets a bad one ends the connection.
func (p *pair) readStaple(now time.Time) {
	path := p.path + stapleSuffix
	p.stamps = append(p.stamps, stampOf(path))
	if !p.stamps[len(p.stamps)-1].there {
		return
	}
	data, _, err := readFile(path, false)
	if err != nil {
		p.staple.warning = err.Error()
		return
	}
	if len(p.chain) < 2 {
		p.staple.warning = fmt.Sprintf("%s is not used: %s has no issuer to check it with", path, p.path)
		return
	}
	r, err := ocsp.ParseResponseForCert(data, p.chain[0], p.chain[1])
	switch {
	case err != nil:
		p.staple.warning = fmt.Sprintf("%s is not used: %v", path, err)
	case r.Status != ocsp.Good:
		p.staple.warning = fmt.Sprintf("%s is not used: it does not say that the certificate is good", path)
	case now.Before(r.ThisUpdate):
		p.staple.warning = fmt.Sprintf("%s is not used: it is of the future (%s)", path, r.ThisUpdate.UTC().Format(time.RFC3339))
	case !r.NextUpdate.IsZero() && now.After(r.NextUpdate):
		p.staple.warning = fmt.Sprintf("%s is not used: it is out of date since %s", path, r.NextUpdate.UTC().Format(time.RFC3339))
	default:
		p.staple = stapled{there: true, until: r.NextUpdate}
		p.tls.OCSPStaple = data
	}
}
