package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
)

func (r *run) addSSLCert() error {
	return r.setSSLCert(control.AddSSLCert, "SSL Certificate successfully added")
}

func (r *run) updateSSLCert() error {
	return r.setSSLCert(control.UpdateSSLCert, "SSL Certificate successfully updated")
}

func (r *run) setSSLCert(method, done string) error {
	c, err := r.sslcert()
	if err != nil {
		return err
	}
	var result control.SSLCertChanged
	if err := r.call(method, c, &result); err != nil {
		return err
	}
	for _, w := range result.Warnings {
		done += "\nWarning: " + oneLine(w)
	}
	return r.done(done)
}

// sslcert reads a binding. key= belongs to the cert= before it. Paths are made
// absolute: the daemon does not know our folder.
func (r *run) sslcert() (c config.SSLCert, err error) {
	for _, a := range r.args {
		switch a.tag {
		case "ipport":
			c.IPPort = a.value
		case "hostnameport":
			c.HostnamePort = a.value
		case "ccs":
			c.CCS = a.value
		case "cert":
			err = r.path(a, &a.value)
			c.Certs = append(c.Certs, config.CertFiles{Cert: a.value})
		case "key":
			n := len(c.Certs)
			if n == 0 || c.Certs[n-1].Key != "" {
				return c, usagef("%s: key=%s stands after the cert= that it belongs to: usage: httpsys %s", r.command.name(), a.value, r.command.usageWithVerb())
			}
			err = r.path(a, &c.Certs[n-1].Key)
		case "store":
			err = r.path(a, &c.Store)
		case "acme":
			acme(&c).Email = a.value
		case "directory":
			acme(&c).Directory = a.value
		case "root":
			err = r.path(a, &acme(&c).Root)
		case "selfsigned":
			c.SelfSigned, err = r.yesNo(a)
		case "appid":
			c.AppID = a.value
		case "clientcertnegotiation":
			c.ClientCertNegotiation, err = r.enabled(a)
		case "sslctlstorename":
			err = r.path(a, &c.SSLCTLStore)
		case "verifyclientcertrevocation":
			c.NoRevocationCheck, err = r.enabled(a)
			c.NoRevocationCheck = !c.NoRevocationCheck
		case "usagecheck":
			c.NoUsageCheck, err = r.enabled(a)
			c.NoUsageCheck = !c.NoUsageCheck
		case "crl":
			err = r.path(a, &a.value)
			c.CRL = append(c.CRL, a.value)
		case "ocsp":
			c.OCSP, err = r.enabled(a)
		case "disablehttp2":
			c.DisableHTTP2, err = r.enabled(a)
		case "disabletls12":
			c.DisableTLS12, err = r.enabled(a)
		case "disabletls13":
			c.DisableTLS13, err = r.enabled(a)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// acme is where the parts of an order are gathered.
func acme(c *config.SSLCert) *config.ACME {
	if c.ACME == nil {
		c.ACME = &config.ACME{}
	}
	return c.ACME
}

func (r *run) path(a arg, to *string) error {
	abs, err := filepath.Abs(a.value)
	if err != nil {
		return fmt.Errorf("%s: the path %s cannot be made absolute: %w", r.command.name(), a.value, err)
	}
	*to = abs
	return nil
}

// enabled reads a switch of netsh.
func (r *run) enabled(a arg) (bool, error) {
	switch strings.ToLower(a.value) {
	case "enable":
		return true, nil
	case "disable":
		return false, nil
	}
	return false, usagef("%s: %s is enable or disable, not %q", r.command.name(), a.tag, a.value)
}

// sslcertKey is the binding that a command names.
func (r *run) sslcertKey() control.SSLCertKey {
	return control.SSLCertKey{IPPort: r.get("ipport"), HostnamePort: r.get("hostnameport"), CCS: r.get("ccs")}
}

func (r *run) deleteSSLCert() error {
	if err := r.call(control.DeleteSSLCert, r.sslcertKey(), nil); err != nil {
		return err
	}
	return r.done("SSL Certificate successfully deleted")
}

func (r *run) showSSLCert() error {
	var result control.SSLCertResult
	if err := r.call(control.ShowSSLCert, r.sslcertKey(), &result); err != nil {
		return err
	}
	return r.show(result, func(p *printer) { printSSLCert(p, result.SSLCert); printOffers(p, result.Programs) })
}

func printSSLCert(p *printer, all []certs.Info) {
	p.heading("SSL Certificate bindings:")
	for i := range all {
		b := &all[i]
		field := func(label, value string) { p.line(1, "%-28s : %s", label, value) }
		// (null) is what netsh shows, and what scripts that came from there look for.
		orNull := func(label, value string) {
			if value == "" {
				value = "(null)"
			}
			field(label, value)
		}
		enabled := func(label string, is bool) {
			if is {
				field(label, "Enabled")
			} else {
				field(label, "Disabled")
			}
		}
		switch {
		case b.IPPort != "":
			field("IP:port", b.IPPort)
		case b.HostnamePort != "":
			field("Hostname:port", b.HostnamePort)
		default:
			field("Central Certificate Store", b.CCS)
		}
		orNull("Application ID", b.AppID)
		switch {
		case b.Store != "":
			field("Certificate Store Name", b.Store)
		case b.SelfSigned:
			field("Certificates from", "the authority of this machine (httpsys show ca)")
		case b.ACME != nil:
			field("Certificates from", directory(b.ACME)+", for "+b.ACME.Email)
		}
		for _, f := range b.Certs {
			field("Certificate File", f.Cert)
			if f.Key != "" {
				field("Key File", f.Key)
			}
		}
		enabled("Negotiate Client Certificate", b.ClientCertNegotiation)
		if b.ClientCertNegotiation {
			orNull("Ctl Store Name", b.SSLCTLStore)
			enabled("Verify Client Certificate Revocation", !b.NoRevocationCheck)
			enabled("Usage Check", !b.NoUsageCheck)
			for _, f := range b.CRL {
				field("Revocation List", f)
			}
			enabled("OCSP", b.OCSP)
		}
		enabled("Disable HTTP2", b.DisableHTTP2)
		enabled("Disable TLS1.2", b.DisableTLS12)
		enabled("Disable TLS1.3", b.DisableTLS13)
		for _, c := range b.Certificates {
			printCertificate(p, c)
		}
		for _, w := range b.Warnings {
			field("Warning", w)
		}
		if b.Error != "" {
			field("Error", b.Error)
		}
		p.blank()
	}
}

// printOffers shows nothing if there are none: on most machines there are not.
func printOffers(p *printer, all []certs.OfferInfo) {
	if len(all) == 0 {
		return
	}
	p.heading("Certificates that programs have brought, for where no binding is:")
	for i := range all {
		o := &all[i]
		field := func(label, value string) { p.line(1, "%-28s : %s", label, value) }
		if o.HostnamePort != "" {
			field("Hostname:port", o.HostnamePort)
		} else {
			field("IP:port", o.IPPort)
		}
		field("Registration", fmt.Sprint(o.Registration))
		if o.ClientCertNegotiation {
			field("Negotiate Client Certificate", "Enabled")
		}
		for _, c := range o.Certificates {
			printCertificate(p, c)
		}
		p.blank()
	}
}

func directory(a *config.ACME) string {
	if a.Directory == "" {
		return "Let's Encrypt"
	}
	return a.Directory
}

func printCertificate(p *printer, c certs.CertInfo) {
	field := func(label, value string) {
		if value != "" {
			p.line(2, "%-24s : %s", label, value)
		}
	}
	p.line(1, "Certificate:")
	field("Host", c.Host)
	field("File", c.Path)
	field("Subject", c.Subject)
	field("Names", strings.Join(c.Names, ", "))
	field("Issuer", c.Issuer)
	field("Key", c.Key)
	field("Serial Number", c.Serial)
	field("Certificate Hash", c.Thumbprint)
	field("SHA-256", c.Fingerprint)
	field("Valid", c.NotBefore.UTC().Format(time.DateTime)+" to "+c.NotAfter.UTC().Format(time.DateTime)+" UTC")
	field("Certificates sent", fmt.Sprint(c.Chain))
	if c.Stapled {
		field("OCSP response", "Stapled")
	}
}

func (r *run) showCA() error {
	var result control.CAResult
	if err := r.call(control.ShowCA, nil, &result); err != nil {
		return err
	}
	return r.show(result, func(p *printer) {
		ca := result.CA
		p.heading("Certificate authority of this machine:")
		p.line(1, "%-11s : %s", "Subject", ca.Subject)
		p.line(1, "%-11s : %s", "SHA-256", ca.Fingerprint)
		p.line(1, "%-11s : %s to %s UTC", "Valid", ca.NotBefore.UTC().Format(time.DateTime), ca.NotAfter.UTC().Format(time.DateTime))
		p.line(1, "%-11s : %s", "Certificate", ca.Path)
		p.blank()
		p.line(1, "How to trust it:")
		for _, line := range ca.Trust() {
			p.line(2, "%s", line)
		}
		p.blank()
	})
}
