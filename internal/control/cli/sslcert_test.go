package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
)

// What dump prints makes the same binding again, whatever is set in it.
func TestSSLCertArgs(t *testing.T) {
	var add *command
	for i := range commands {
		if commands[i].name() == "add sslcert" {
			add = &commands[i]
		}
	}
	for _, c := range []config.SSLCert{
		{IPPort: "0.0.0.0:443", Certs: []config.CertFiles{{Cert: "/a b", Key: "/k"}, {Cert: "/c"}, {Cert: "/d", Key: "/e"}}, AppID: "{00}"},
		{CCS: "443", Store: "/s", ClientCertNegotiation: true, SSLCTLStore: "/ca", CRL: []string{"/1", "/2"}, OCSP: true, NoUsageCheck: true},
		{HostnamePort: "a.example:443", ACME: &config.ACME{Email: "a@example.com", Directory: "https://example.com/dir", Root: "/root"}, DisableHTTP2: true},
		{HostnamePort: "*.example:443", SelfSigned: true, ClientCertNegotiation: true, NoRevocationCheck: true, DisableTLS12: true},
		{IPPort: "[::]:443", SelfSigned: true, DisableTLS13: true},
	} {
		if err := c.Check(); err != nil {
			t.Error(err)
		}
		args, err := parseArgs(add, control.SSLCertArgs(c))
		if err != nil {
			t.Fatal(err)
		}
		r := &run{command: add, args: args}
		got, err := r.sslcert()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got); d != "" {
			t.Errorf("%s: %s", c.Key(), d)
		}
	}
}
