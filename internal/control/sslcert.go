package control

import "github.com/httpsys/httpsys/internal/config"

// SSLCertArgs writes a binding as the arguments of "add sslcert".
func SSLCertArgs(c config.SSLCert) []string {
	args := []string{c.Key()}
	add := func(tag, value string) {
		if value != "" {
			args = append(args, tag+"="+value)
		}
	}
	enable := func(tag string, is bool) {
		if is {
			args = append(args, tag+"=enable")
		}
	}
	disable := func(tag string, is bool) {
		if is {
			args = append(args, tag+"=disable")
		}
	}
	for _, f := range c.Certs {
		add("cert", f.Cert)
		add("key", f.Key)
	}
	add("store", c.Store)
	if c.ACME != nil {
		add("acme", c.ACME.Email)
		add("directory", c.ACME.Directory)
		add("root", c.ACME.Root)
	}
	if c.SelfSigned {
		add("selfsigned", "yes")
	}
	add("appid", c.AppID)
	enable("clientcertnegotiation", c.ClientCertNegotiation)
	add("sslctlstorename", c.SSLCTLStore)
	disable("verifyclientcertrevocation", c.NoRevocationCheck)
	disable("usagecheck", c.NoUsageCheck)
	for _, f := range c.CRL {
		add("crl", f)
	}
	enable("ocsp", c.OCSP)
	enable("disablehttp2", c.DisableHTTP2)
	enable("disabletls12", c.DisableTLS12)
	enable("disabletls13", c.DisableTLS13)
	return args
}
