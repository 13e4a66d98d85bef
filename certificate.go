package httpsys

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// certificateParams writes certificates as they cross the channel; nil for none.
func certificateParams(certs []tls.Certificate) (*channel.Certificate, error) {
	if len(certs) == 0 {
		return nil, nil
	}
	p := &channel.Certificate{}
	for _, c := range certs {
		var text strings.Builder
		for _, der := range c.Certificate {
			pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der})
		}
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			return nil, &Error{Op: "register", Code: InvalidParameter, Message: fmt.Sprintf("the key of a certificate cannot be passed to the daemon: %v", err), Err: err}
		}
		pem.Encode(&text, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
		p.PEM = append(p.PEM, text.String())
	}
	return p, nil
}
