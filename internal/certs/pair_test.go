package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/testkit/pki"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pems(certs ...*pki.Cert) []byte {
	var all []byte
	for _, c := range certs {
		all = append(all, pki.PEM(c.Certificate)...)
	}
	return all
}

// hugeKey is a key for a certificate; nobody could wait until one is made.
type hugeKey struct{ crypto.Signer }

func (hugeKey) Public() crypto.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 8199, 1), E: 65537}
}

// Every way in which administrators have certificates, and every mistake that
// they make with them.
func TestReadPair(t *testing.T) {
	root := pki.Root(t, "Root")
	ca := pki.Issue(t, root, "CA", pki.CA)
	site := pki.Issue(t, ca, "site", pki.Names("www.example.com"))
	key := pki.KeyPEM(t, site.Key)
	rsaKey := pki.RSA(t, 2048)
	rsaSite := pki.Issue(t, root, "rsa", pki.Key(rsaKey), pki.Names("www.example.com"))
	oldRoot := pki.Root(t, "Old root")
	otherCA := pki.Issue(t, oldRoot, "CA", pki.CA)
	oldCA := pki.Issue(t, root, "Old CA", pki.CA, pki.Valid(-48*time.Hour, -time.Hour))
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalECPrivateKey(site.Key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	encrypted := []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	issued := func(o ...pki.Option) ([]byte, []byte) {
		c := pki.Issue(t, root, "site", o...)
		return pems(c, root), pki.KeyPEM(t, c.Key)
	}
	expired, expiredKey := issued(pki.Valid(-48*time.Hour, -time.Hour))
	future, futureKey := issued(pki.Valid(time.Hour, 48*time.Hour))
	client, clientKey := issued(pki.Usage(x509.ExtKeyUsageClientAuth))
	smallCert, smallKey := issued(pki.Key(small))
	p224Cert, p224Key := issued(pki.Key(p224))
	belowOld := pki.Issue(t, oldCA, "site")

	belowHuge := pki.Issue(t, root, "site")
	huge := pki.Issue(t, root, "huge", pki.CA, pki.Key(hugeKey{pki.ECDSA(t)}))

	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name      string
		cert, key []byte // no key: in the same file
		why       string // a part of the error; "" if there is none
	}{
		{"two files", pems(site, ca), key, ""},
		{"one file", join(key, pems(site, ca)), nil, ""},
		{"one file, the key last", join(pems(site, ca), key), nil, ""},
		{"with the root", pems(site, ca, root), key, ""},
		{"with words around", join([]byte("Bag Attributes\n"), pems(site, ca)), join([]byte("# key\r\n"), key), ""},
		{"RSA", pems(rsaSite), pki.KeyPEM(t, rsaKey), ""},
		{"RSA in PKCS #1", pems(rsaSite), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey.(*rsa.PrivateKey))), ""},
		{"ECDSA in SEC 1", pems(site), join(block("EC PARAMETERS", []byte{6, 0}), block("EC PRIVATE KEY", ecDER)), ""},
		{"self-signed", pems(root), pki.KeyPEM(t, root.Key), ""},

		{"empty", nil, key, "has no certificate in PEM"},
		{"garbage", []byte("garbage"), key, "has no certificate in PEM"},
		{"DER", site.Raw, key, "openssl x509 -inform der"},
		{"PKCS #12", []byte{0x30, 0x82, 9, 9, 2, 1, 3, 0x30}, key, "openssl pkcs12"},
		{"a request", block("CERTIFICATE REQUEST", []byte("x")), key, "is a request for a certificate"},
		{"a key only", key, key, "has a key but no certificate"},
		{"a damaged certificate", block("CERTIFICATE", site.Raw[:100]), key, "certificate 1 in"},

		{"no key", pems(site), nil, "has no private key in PEM"},
		{"an empty key", pems(site), []byte{}, "has no private key in PEM"},
		{"an encrypted key", pems(site), block("ENCRYPTED PRIVATE KEY", []byte("x")), "openssl pkey"},
		{"an old encrypted key", pems(site), encrypted, "openssl pkey"},
		{"a damaged key", pems(site), block("PRIVATE KEY", []byte("x")), "is damaged"},
		{"two keys", pems(site), join(key, pki.KeyPEM(t, rsaKey)), "more than one key"},
		{"another key", pems(site, ca), pki.KeyPEM(t, rsaKey), "does not belong to the certificate"},
		{"the wrong way round", pems(ca, site), key, "belongs to certificate 2"},
		{"a small RSA key", smallCert, smallKey, "has 1024 bits"},
		{"a key that is too long", pems(site), block("RSA PRIVATE KEY", make([]byte, maxKeyFile+1)), "an RSA key has at most 8192 bits"},
		{"an issuer with a key that is too long", pems(belowHuge, huge), pki.KeyPEM(t, belowHuge.Key), "an RSA key of 8200 bits"},
		{"an unusual curve", p224Cert, p224Key, "P-224"},

		{"the chain in the wrong order", pems(site, root, ca), key, "certificate 2 in"},
		{"one that does not belong there", pems(site, rsaSite), key, "did not issue the one before it"},
		{"an issuer of the same name", pems(site, otherCA), key, "but not its key"},
		{"twice the same", pems(site, site), key, "is there twice"},

		{"expired", expired, expiredKey, "expired on"},
		{"not valid yet", future, futureKey, "is valid from"},
		{"an issuer that has expired", pems(belowOld, oldCA), pki.KeyPEM(t, belowOld.Key), "certificate 2 in"},
		{"for clients only", client, clientKey, "is not for servers"},
	} {
		dir := t.TempDir()
		certPath, keyPath := pki.Write(t, dir, "site.crt", c.cert), ""
		if c.key != nil {
			keyPath = pki.Write(t, dir, "site.key", c.key)
		}
		p, err := readPair(certPath, keyPath, time.Now())
		if c.why == "" {
			if err != nil || p.tls.Leaf == nil || len(p.tls.Certificate) != len(p.chain) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", c.name, err, c.why)
		}
		if len(p.stamps) == 0 {
			t.Errorf("%s: nothing to watch", c.name)
		}
	}
}

// A key is read only if nobody else could have read or written it, and never
// from what is not a file.
func TestFileModes(t *testing.T) {
	root := pki.Root(t, "Root", pki.Names("x"))
	for _, c := range []struct {
		name     string
		cert     os.FileMode
		key      os.FileMode
		uid, gid int // 0: root
		why      string
	}{
		{"as it should be", 0o644, 0o600, 0, 0, ""},
		{"readable for root's group", 0o644, 0o640, 0, 0, ""},
		{"a key for another group", 0o644, 0o640, 0, 42, "run chmod 600"},
		{"a key for everybody", 0o644, 0o644, 0, 0, "run chmod 600"},
		{"a certificate that all can write", 0o666, 0o600, 0, 0, "run chmod go-w"},
		{"a certificate that a group can write", 0o664, 0o600, 0, 42, "run chmod go-w"},
		{"a key of somebody else", 0o644, 0o600, 12345, 0, "belongs to user 12345"},
	} {
		if os.Geteuid() != 0 && (c.uid != 0 || c.gid != 0) {
			t.Log("not root: not tested: ", c.name)
			continue
		}
		cert, key := root.Files(t, t.TempDir(), "site")
		for path, mode := range map[string]os.FileMode{cert: c.cert, key: c.key} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() == 0 {
				uid := 0
				if path == key {
					uid = c.uid
				}
				if err := os.Chown(path, uid, c.gid); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err := readPair(cert, key, time.Now())
		if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
	}

	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	large := pki.Write(t, dir, "large", make([]byte, maxFile+1))
	for path, why := range map[string]string{
		fifo: "is not a file", dir: "is not a file", large: "longer than", filepath.Join(dir, "none"): "does not exist", "/dev/zero": "is not a file",
	} {
		if _, _, err := readFile(path, true); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", path, err, why)
		}
	}
}

func TestWarnings(t *testing.T) {
	root := pki.Root(t, "Root")
	day := 24 * time.Hour
	for _, c := range []struct {
		name    string
		options []pki.Option
		host    string
		later   time.Duration
		want    string // a part; "": no warning
	}{
		{"nothing", []pki.Option{pki.Names("www.example.com"), pki.Valid(0, 90*day)}, "www.example.com", 0, ""},
		{"a wildcard", []pki.Option{pki.Names("*.example.com"), pki.Valid(0, 90*day)}, "*.example.com", 0, ""},
		{"no names", []pki.Option{pki.Valid(0, 90*day)}, "", 0, "names no host"},
		{"another name", []pki.Option{pki.Names("www.example.com"), pki.Valid(0, 90*day)}, "example.com", 0, "it is not for example.com"},
		{"three weeks", []pki.Option{pki.Names("x"), pki.Valid(0, 90*day)}, "", 90*day - soon + time.Hour, "expires in 20 days"},
		{"just before", []pki.Option{pki.Names("x"), pki.Valid(0, 90*day)}, "", 90*day - soon - time.Hour, ""},
		{"a day", []pki.Option{pki.Names("x"), pki.Valid(0, 90*day)}, "", 89*day - time.Hour, "expires in 1 day,"},
		{"an hour", []pki.Option{pki.Names("x"), pki.Valid(0, 90*day)}, "", 90*day - time.Hour, "expires in less than a day"},
		{"a short life", []pki.Option{pki.Names("x"), pki.Valid(0, 8*day)}, "", 5 * day, ""},
		{"the last fourth of a short life", []pki.Option{pki.Names("x"), pki.Valid(0, 8*day)}, "", 6*day + time.Hour, "expires in 1 day,"},
		{"past", []pki.Option{pki.Names("x"), pki.Valid(0, 8*day)}, "", 9 * day, "has expired"},
	} {
		chain := pki.Issue(t, root, "site", c.options...).Chain()
		got := strings.Join(warnings(chain, c.host, time.Now().Add(c.later)), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// An OCSP response beside the certificate is shown to clients if it is good,
// and left out if not.
func TestStaple(t *testing.T) {
	root := pki.Root(t, "Root")
	ca := pki.Issue(t, root, "CA", pki.CA)
	site := pki.Issue(t, ca, "site", pki.Names("x"))
	other := pki.Issue(t, ca, "other")
	stranger := pki.Root(t, "Stranger")
	now := time.Now()
	respond := func(signer, about *pki.Cert, status int, from, until time.Time) []byte {
		der, err := ocsp.CreateResponse(signer.Certificate, signer.Certificate,
			ocsp.Response{Status: status, SerialNumber: about.SerialNumber, ThisUpdate: from, NextUpdate: until}, signer.Key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for _, c := range []struct {
		name string
		data []byte
		why  string
	}{
		{"good", respond(ca, site, ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour)), ""},
		{"revoked", respond(ca, site, ocsp.Revoked, now.Add(-time.Hour), now.Add(time.Hour)), "does not say that the certificate is good"},
		{"old", respond(ca, site, ocsp.Good, now.Add(-2*time.Hour), now.Add(-time.Hour)), "out of date"},
		{"of the future", respond(ca, site, ocsp.Good, now.Add(time.Hour), now.Add(2*time.Hour)), "future"},
		{"about another", respond(ca, other, ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour)), "is not used"},
		{"by somebody else", respond(stranger, site, ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour)), "is not used"},
		{"garbage", []byte("garbage"), "is not used"},
	} {
		dir := t.TempDir()
		cert, key := site.Files(t, dir, "site")
		pki.Write(t, dir, "site.crt.ocsp", c.data)
		p, err := readPair(cert, key, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.tls.OCSPStaple != nil; got != (c.why == "") || got != p.staple.there || !strings.Contains(p.staple.warning, c.why) {
			t.Errorf("%s: used %v, %q", c.name, got, p.staple.warning)
		}
	}
}
