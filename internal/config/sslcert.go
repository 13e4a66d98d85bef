package config

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// SSLCert binds certificates to an address, to a name, or to all names on a
// port. Names and meanings are those of "netsh http add sslcert". Whether the
// files are any good is the business of package certs.
type SSLCert struct {
	// What it is bound to: exactly one of these, in canonical form.
	IPPort       string `json:"ipport,omitempty"`       // 0.0.0.0:443, [::]:443 for all addresses of a family
	HostnamePort string `json:"hostnameport,omitempty"` // a name that clients ask for; *.example.com:443 for those below
	CCS          string `json:"ccs,omitempty"`          // a port; certificates are files in Store named by host

	// Where certificates come from: exactly one of these.
	Certs      []CertFiles `json:"certs,omitempty"` // more than one: of different kinds of keys
	Store      string      `json:"store,omitempty"` // folder, for CCS
	ACME       *ACME       `json:"acme,omitempty"`
	SelfSigned bool        `json:"selfsigned,omitempty"` // from the authority of this machine

	AppID string `json:"appid,omitempty"` // of whoever made the binding; kept and shown

	ClientCertNegotiation bool     `json:"clientcertnegotiation,omitempty"` // ask clients for certificates
	SSLCTLStore           string   `json:"sslctlstorename,omitempty"`       // file with the authorities whose client certificates are trusted
	NoRevocationCheck     bool     `json:"norevocationcheck,omitempty"`     // verifyclientcertrevocation=disable
	NoUsageCheck          bool     `json:"nousagecheck,omitempty"`          // usagecheck=disable
	CRL                   []string `json:"crl,omitempty"`                   // files with revocation lists
	OCSP                  bool     `json:"ocsp,omitempty"`                  // ask the responders that certificates name

	DisableHTTP2 bool `json:"disablehttp2,omitempty"`
	DisableTLS12 bool `json:"disabletls12,omitempty"`
	DisableTLS13 bool `json:"disabletls13,omitempty"`
}

// CertFiles are the files of one certificate. Without Key, the key is in the
// same file.
type CertFiles struct {
	Cert string `json:"cert"`
	Key  string `json:"key,omitempty"`
}

// ACME says from whom to get certificates (RFC 8555).
type ACME struct {
	Email     string `json:"email"`
	Directory string `json:"directory,omitempty"` // URL; none: Let's Encrypt
	Root      string `json:"root,omitempty"`      // file with the authority that the directory's own certificate is from
}

// ClientCertPolicy is what the requests below a URL prefix need, whoever serves
// them.
type ClientCertPolicy struct {
	URL     string `json:"url"`               // in canonical form
	Require string `json:"require,omitempty"` // RequireTrusted
}

// RequireTrusted keeps away clients without a trusted certificate.
const RequireTrusted = "trusted"

// Key is what c is bound to, as commands and messages name it.
func (c *SSLCert) Key() string {
	switch {
	case c.IPPort != "":
		return "ipport=" + c.IPPort
	case c.HostnamePort != "":
		return "hostnameport=" + c.HostnamePort
	}
	return "ccs=" + c.CCS
}

// Clone returns a copy that shares nothing with c.
func (c SSLCert) Clone() SSLCert {
	c.Certs = append([]CertFiles(nil), c.Certs...)
	c.CRL = append([]string(nil), c.CRL...)
	if c.ACME != nil {
		a := *c.ACME
		c.ACME = &a
	}
	return c
}

// Canonical puts what c is bound to into the form in which it is kept.
func (c *SSLCert) Canonical() error {
	var err error
	bound := 0
	if c.IPPort != "" {
		bound++
		if c.IPPort, err = canonicalIPPort(c.IPPort); err != nil {
			return err
		}
	}
	if c.HostnamePort != "" {
		bound++
		if c.HostnamePort, err = canonicalHostPort(c.HostnamePort); err != nil {
			return err
		}
	}
	if c.CCS != "" {
		bound++
		if c.CCS, err = canonicalPort(c.CCS); err != nil {
			return fmt.Errorf("ccs=%s: %w", c.CCS, err)
		}
	}
	if bound != 1 {
		return fmt.Errorf("a certificate is bound with exactly one of ipport=, hostnameport= and ccs=")
	}
	return nil
}

func canonicalIPPort(text string) (string, error) {
	a, err := netip.ParseAddrPort(text)
	if err != nil || a.Addr().Zone() != "" || a.Port() == 0 {
		return "", fmt.Errorf("ipport=%s is not an address with a port: write 192.0.2.1:443, or 0.0.0.0:443 and [::]:443 for all addresses", text)
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String(), nil
}

func canonicalHostPort(text string) (string, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", fmt.Errorf("hostnameport=%s has no port: write %s:443", text, text)
	}
	port, err := canonicalPort(text[i+1:])
	if err != nil {
		return "", fmt.Errorf("hostnameport=%s: %w", text, err)
	}
	host := text[:i]
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "", fmt.Errorf("hostnameport=%s has an address where a name belongs, and clients ask for names only: use ipport=%s", text, text)
	}
	wildcard := ""
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		wildcard, host = "*.", rest
	}
	name, err := CanonicalName(host)
	if err != nil {
		return "", fmt.Errorf("hostnameport=%s: %w", text, err)
	}
	return wildcard + name + ":" + port, nil
}

// CanonicalName is a host name as clients send it in a ClientHello (RFC 6066
// 3): ASCII, small letters, no dot at the end.
func CanonicalName(host string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 }) >= 0 {
		var err error
		if name, err = idna.Lookup.ToASCII(name); err != nil {
			return "", fmt.Errorf("%q is not a host name", host)
		}
	}
	if name == "" || len(name) > 253 {
		return "", fmt.Errorf("%q is not a host name", host)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", fmt.Errorf("%q is not a host name", host)
		}
	}
	return name, nil
}

// canonicalPort reads a port, also in netsh's way of showing that all
// addresses are meant.
func canonicalPort(text string) (string, error) {
	digits := text
	for _, all := range []string{"0.0.0.0:", "[::]:", "*:"} {
		digits = strings.TrimPrefix(digits, all)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("%q is not a port (1 to 65535)", text)
	}
	return strconv.FormatUint(n, 10), nil
}

// Check says what is wrong with c, as far as that can be said without looking
// at files.
func (c *SSLCert) Check() error {
	canonical := c.Clone()
	if err := canonical.Canonical(); err != nil {
		return err
	}
	if canonical.Key() != c.Key() {
		return fmt.Errorf("%s must be written %s", c.Key(), canonical.Key())
	}
	if err := c.checkSource(); err != nil {
		return err
	}
	for _, p := range c.paths() {
		if !filepath.IsAbs(p) {
			return fmt.Errorf("%s: the path %s must begin with /", c.Key(), p)
		}
	}
	switch {
	case c.DisableTLS12 && c.DisableTLS13:
		return fmt.Errorf("%s: disabletls12 and disabletls13 together leave nothing to speak", c.Key())
	case !c.ClientCertNegotiation && (c.SSLCTLStore != "" || len(c.CRL) > 0 || c.OCSP):
		return fmt.Errorf("%s: sslctlstorename, crl and ocsp are about client certificates, which are not asked for: add clientcertnegotiation=enable", c.Key())
	case c.NoRevocationCheck && (len(c.CRL) > 0 || c.OCSP):
		return fmt.Errorf("%s: crl and ocsp have no effect with verifyclientcertrevocation=disable", c.Key())
	}
	return checkAppID(c)
}

func (c *SSLCert) checkSource() error {
	sources := 0
	for _, there := range []bool{len(c.Certs) > 0, c.Store != "", c.ACME != nil, c.SelfSigned} {
		if there {
			sources++
		}
	}
	switch {
	case c.CCS != "" && (c.Store == "" || sources != 1):
		return fmt.Errorf("%s: a central store is a folder: store=FOLDER, and nothing else", c.Key())
	case c.CCS == "" && c.Store != "":
		return fmt.Errorf("%s: store= belongs to ccs=: give cert=FILE and key=FILE", c.Key())
	case sources != 1:
		return fmt.Errorf("%s: exactly one of cert=, acme= and selfsigned= says where the certificate comes from", c.Key())
	case len(c.Certs) > 4:
		return fmt.Errorf("%s: %d certificates for one name: one for each kind of key is enough", c.Key(), len(c.Certs))
	}
	for _, f := range c.Certs {
		if f.Cert == "" {
			return fmt.Errorf("%s: a certificate has no file: give cert=FILE", c.Key())
		}
	}
	if c.ACME != nil {
		return c.checkACME()
	}
	return nil
}

func (c *SSLCert) checkACME() error {
	if c.HostnamePort == "" || strings.HasPrefix(c.HostnamePort, "*.") {
		return fmt.Errorf("%s: acme= needs the one name that the certificate is for: hostnameport=NAME:PORT", c.Key())
	}
	if a, err := mail.ParseAddress(c.ACME.Email); err != nil || a.Address != c.ACME.Email {
		return fmt.Errorf("%s: acme=%s is not an e-mail address", c.Key(), c.ACME.Email)
	}
	if d := c.ACME.Directory; d != "" {
		if u, err := url.Parse(d); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("%s: directory=%s is not a URL that begins with https://", c.Key(), d)
		}
	}
	return nil
}

func (c *SSLCert) paths() []string {
	var all []string
	for _, f := range c.Certs {
		all = append(all, f.Cert)
		if f.Key != "" {
			all = append(all, f.Key)
		}
	}
	for _, p := range append([]string{c.Store, c.SSLCTLStore}, c.CRL...) {
		if p != "" {
			all = append(all, p)
		}
	}
	if c.ACME != nil && c.ACME.Root != "" {
		all = append(all, c.ACME.Root)
	}
	return all
}

// checkAppID accepts a GUID as netsh does, or a word.
func checkAppID(c *SSLCert) error {
	if len(c.AppID) > 64 || strings.ContainsFunc(c.AppID, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("%s: appid is a GUID in braces or a word of at most 64 characters", c.Key())
	}
	return nil
}

// checkSSLCerts says what is wrong with all bindings together.
func checkSSLCerts(all []SSLCert) error {
	seen := make(map[string]bool, len(all))
	for i := range all {
		if err := all[i].Check(); err != nil {
			return fmt.Errorf("sslcert: %w", err)
		}
		if k := all[i].Key(); seen[k] {
			return fmt.Errorf("sslcert: %s is bound twice", k)
		} else {
			seen[k] = true
		}
	}
	return nil
}

func checkClientCertPolicies(all []ClientCertPolicy) error {
	seen := make(map[string]bool, len(all))
	for _, p := range all {
		switch {
		case p.URL == "":
			return fmt.Errorf("clientcert: an entry has no url")
		case seen[p.URL]:
			return fmt.Errorf("clientcert: %s is there twice", p.URL)
		case p.Require != RequireTrusted:
			return fmt.Errorf("clientcert: %s: require is \"trusted\", not %q", p.URL, p.Require)
		}
		seen[p.URL] = true
	}
	return nil
}
