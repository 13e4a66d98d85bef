package compat

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// tlsHost is a program without keys, and two certificates that are bound to
// its name: ECDSA and RSA.
type tlsHost struct {
	d     *testkit.Daemon
	host  string // localhost:port
	roots string // file
	bound config.SSLCert
	leaf  *pki.Cert // the first of the two
}

func serveTLS(t *testing.T, h http.Handler) *tlsHost {
	t.Helper()
	dir := t.TempDir()
	root := pki.Root(t, "root", pki.CA)
	// What scanners want to see in a certificate.
	public := pki.Template(func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{"http://localhost/crl"}
		serial := make([]byte, 16)
		rand.Read(serial)
		serial[0] = 1
		c.SerialNumber = new(big.Int).SetBytes(serial)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	names, valid := pki.Names("localhost", "127.0.0.1"), pki.Valid(-time.Hour, 80*24*time.Hour)
	host := &tlsHost{d: testkit.Start(t, testkit.Options{Loops: 2}), roots: pki.Write(t, dir, "roots.pem", pki.PEM(root.Certificate))}
	srv := &httpsys.Server{Prefixes: []string{"https://localhost:0/"}, Socket: host.d.Socket, Handler: h}
	serving(context.Background(), t, srv, func() { srv.Close() })
	u, err := url.Parse(srv.URLs()[0])
	if err != nil {
		t.Fatal(err)
	}
	host.host = u.Host
	host.leaf = pki.Issue(t, root, "localhost", names, valid, public)
	rsa := pki.Issue(t, root, "localhost", names, valid, public, pki.Key(pki.RSA(t, 2048)))
	host.bound = config.SSLCert{HostnamePort: host.host}
	for i, c := range []*pki.Cert{host.leaf, rsa} {
		cert, key := c.Files(t, dir, fmt.Sprint("site", i))
		host.bound.Certs = append(host.bound.Certs, config.CertFiles{Cert: cert, Key: key})
	}
	host.d.Admin(control.AddSSLCert, host.bound)
	byAddress := host.bound // for clients that ask for no name
	byAddress.HostnamePort, byAddress.IPPort = "", "127.0.0.1:"+u.Port()
	host.d.Admin(control.AddSSLCert, byAddress)
	return host
}

// curl checks the certificate, with each version of TLS and of HTTP.
func TestCurlTLS(t *testing.T) {
	host := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	for _, version := range []string{"1.2", "1.3"} {
		for flag, proto := range map[string]string{"--http1.1": "HTTP/1.1", "--http2": "HTTP/2.0"} {
			t.Run(version+" "+proto, func(t *testing.T) {
				got := command(t, "curl", "-sS", "--max-time", "30", "--cacert", host.roots, "--tlsv"+version, "--tls-max", version, flag, "https://"+host.host+"/")
				if got != proto {
					t.Errorf("got %q", got)
				}
			})
		}
	}
	t.Run("only RSA", func(t *testing.T) {
		got := command(t, "curl", "-sS", "--max-time", "30", "--cacert", host.roots, "--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256", "https://"+host.host+"/")
		if got != "HTTP/2.0" {
			t.Errorf("got %q", got)
		}
	})
}

// openssl tries what clients of today do not.
func TestOpenSSL(t *testing.T) {
	host := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	request := "GET / HTTP/1.1\r\nHost: " + host.host + "\r\nConnection: close\r\n\r\n"
	client := func(t *testing.T, input string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c := exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-connect", host.host, "-servername", "localhost", "-CAfile", host.roots}, args...)...)
		c.Stdin = strings.NewReader(input)
		out, err := c.CombinedOutput()
		if ctx.Err() != nil {
			t.Fatalf("%v: no end\n%s", err, out)
		}
		return string(out)
	}
	t.Run("renegotiation", func(t *testing.T) {
		out := client(t, "R\n"+request, "-tls1_2", "-crlf")
		if !strings.Contains(out, "RENEGOTIATING") || !strings.Contains(out, "alert unexpected message") || strings.Contains(out, "HTTP/1.1 200") {
			t.Error(out)
		}
	})
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run("resumption "+version, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "session")
			if out := client(t, request, version, "-ign_eof", "-sess_out", file); !strings.Contains(out, "HTTP/1.1 200") || !strings.Contains(out, "Verify return code: 0 (ok)") {
				t.Fatal(out)
			}
			if out := client(t, request, version, "-ign_eof", "-sess_in", file); !strings.Contains(out, "Reused, TLS") || !strings.Contains(out, "HTTP/1.1 200") {
				t.Error(out)
			}
		})
	}
	t.Run("old versions", func(t *testing.T) {
		for _, version := range []string{"-tls1", "-tls1_1"} {
			if out := client(t, request, version, "-cipher", "DEFAULT@SECLEVEL=0"); !strings.Contains(out, "protocol version") {
				t.Errorf("%s: %s", version, out)
			}
		}
	})
}

// A browser checks the certificate, but for who has issued it, and speaks what
// the binding lets it.
func TestBrowserTLS(t *testing.T) {
	host := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<!DOCTYPE html><p>over %s</p>", r.Proto)
	}))
	spki := sha256.Sum256(host.leaf.RawSubjectPublicKeyInfo)
	for _, test := range []struct {
		disabled bool
		proto    string
	}{{false, "HTTP/2.0"}, {true, "HTTP/1.1"}} {
		t.Run(test.proto, func(t *testing.T) {
			c := host.bound
			c.DisableHTTP2 = test.disabled
			host.d.Admin(control.UpdateSSLCert, c)
			b := browser(t, "--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(spki[:]),
				"--virtual-time-budget=10000", "--dump-dom", "https://"+host.host+"/")
			out, err := b.Output()
			if err != nil {
				t.Fatal(err)
			}
			syscall.Kill(-b.Process.Pid, syscall.SIGKILL) // those that it has left
			if want := "over " + test.proto; !strings.Contains(string(out), want) {
				t.Errorf("want %s, the page shows %s", want, out)
			}
		})
	}
}

// testssl.sh finds nothing that is worse than information.
func TestTestSSL(t *testing.T) {
	host := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What is the application's.
		w.Header().Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("Referrer-Policy", "no-referrer")
		io.WriteString(w, "hello")
	}))
	// What is not the daemon's, or cannot be changed.
	expected := map[string]string{
		"engine_problem":     "of openssl on this machine",
		"DNS_CAArecord":      "localhost has none",
		"TLS_session_ticket": "crypto/tls always says seven days; our keys are gone after one (internal/certs/tickets.go)",
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "out.json")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "testssl", "--quiet", "--warnings", "off", "--color", "0", "--add-ca", host.roots, "--ip", "127.0.0.1",
		"--protocols", "--pfs", "--server-defaults", "--header", "--vulnerable", "--jsonfile", file, host.host)
	c.Dir = dir
	out, err := c.CombinedOutput()
	text, rerr := os.ReadFile(file)
	if rerr != nil {
		t.Fatalf("%v, %v\n%s", err, rerr, out)
	}
	var findings []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(text, &findings); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	seen := map[string]bool{}
	for _, f := range findings {
		id, _, _ := strings.Cut(f.ID, " ") // the second certificate's have <#2>
		seen[id] = true
		if f.Severity == "OK" || f.Severity == "INFO" || expected[id] != "" {
			continue
		}
		t.Errorf("%s: %s: %s", f.ID, f.Severity, f.Finding)
	}
	for _, id := range []string{"TLS1_2", "TLS1_3", "cert_chain_of_trust", "heartbleed", "HSTS_time", "secure_renego"} {
		if !seen[id] {
			t.Errorf("%s was not looked at", id)
		}
	}
	t.Logf("%d findings", len(findings))
}
