// Package localca is the certificate authority of this machine, for
// development: made once, kept in the data folder, good for whoever chooses to
// trust it.
//
// An Authority is opened with Open, which makes nothing; Leaf makes the
// authority when it is first needed. What it issues is never written to a disk:
// a new start issues again, and nobody notices.
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long certificates are valid. Browsers accept at most 398 days from a
// certificate that is not of an authority.
const (
	rootValid = 10 * 365 * 24 * time.Hour
	leafValid = 90 * 24 * time.Hour
	// leafRenew is how long before its end a leaf is issued again.
	leafRenew = 30 * 24 * time.Hour
	// backdate is for clients whose clock is slow.
	backdate = time.Hour
)

// Names of the files in the folder.
const (
	CertFile = "ca.pem"
	keyFile  = "ca.key"
)

// Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	dir string
	now func() time.Time

	mu   sync.Mutex
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Open uses the authority in dir, which need not exist yet.
func Open(dir string, now func() time.Time) *Authority { return &Authority{dir: dir, now: now} }

// Info says what there is to know about an authority.
type Info struct {
	Path        string    `json:"path"` // of the certificate
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"fingerprint"` // SHA-256
	NotBefore   time.Time `json:"notbefore"`
	NotAfter    time.Time `json:"notafter"`
	PEM         string    `json:"pem"`
}

// ErrNone says that there is no authority yet.
var ErrNone = errors.New("this machine has no authority of its own yet: it is made by the first httpsys add sslcert … selfsigned=yes")

// Info describes the authority; ErrNone if there is none.
func (a *Authority) Info() (Info, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(); err != nil {
		return Info{}, err
	}
	return Info{
		Path: filepath.Join(a.dir, CertFile), Subject: a.cert.Subject.String(), Fingerprint: Fingerprint(a.cert),
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})),
	}, nil
}

// Fingerprint is SHA-256 as people compare it.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// Leaf issues a certificate for names and addresses, and says when to ask for
// the next one.
func (a *Authority) Leaf(names []string, addrs []netip.Addr) (cert tls.Certificate, renew time.Time, err error) {
	if len(names)+len(addrs) == 0 {
		return cert, renew, errors.New("a certificate needs a name")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ensure(); err != nil {
		return cert, renew, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, renew, err
	}
	now := a.now()
	t := &x509.Certificate{
		SerialNumber: serial(), DNSNames: names,
		NotBefore: now.Add(-backdate), NotAfter: earlier(now.Add(leafValid), a.cert.NotAfter),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, addr := range addrs {
		t.IPAddresses = append(t.IPAddresses, addr.WithZone("").AsSlice())
	}
	if len(names) > 0 && len(names[0]) <= 64 { // RFC 5280 A.1: ub-common-name
		t.Subject = pkix.Name{CommonName: names[0]}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return cert, renew, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return cert, renew, err
	}
	// Without the root: clients have it, or do not trust it anyway.
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, leaf.NotAfter.Add(-leafRenew), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// ensure makes the authority if there is none, or only a used-up one. a.mu is
// held.
func (a *Authority) ensure() error {
	err := a.load()
	switch {
	case errors.Is(err, ErrNone):
		return a.make()
	case err != nil:
		return err
	case a.now().After(a.cert.NotAfter.Add(-leafValid)):
		return a.make()
	}
	return nil
}

func (a *Authority) load() error {
	if a.cert != nil {
		return nil
	}
	certPEM, err := os.ReadFile(filepath.Join(a.dir, CertFile))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNone
	}
	var keyPEM []byte
	if err == nil {
		keyPEM, err = os.ReadFile(filepath.Join(a.dir, keyFile))
	}
	if err != nil {
		return fmt.Errorf("the authority of this machine cannot be read: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("the authority of this machine in %s is damaged (%w): restore it, or delete both files to make a new one", a.dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return fmt.Errorf("%s is not the authority that was made there: delete it to make a new one", filepath.Join(a.dir, CertFile))
	}
	a.cert, a.key = pair.Leaf, key
	return nil
}

// make makes a new authority. The key is written first: a certificate without
// its key would look like damage.
func (a *Authority) make() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "this machine"
	}
	now := a.now()
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"httpsys development authority"}, CommonName: "httpsys on " + cut(host, 40)},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(rootValid),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return fmt.Errorf("the authority of this machine cannot be made: %w", err)
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
		mode       fs.FileMode
	}{{keyFile, "PRIVATE KEY", keyDER, 0o600}, {CertFile, "CERTIFICATE", der, 0o644}} {
		if err := write(filepath.Join(a.dir, f.name), pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), f.mode); err != nil {
			return fmt.Errorf("the authority of this machine cannot be made: %w", err)
		}
	}
	a.cert, a.key = cert, key
	return nil
}

// write makes a whole file or none.
func write(path string, data []byte, mode fs.FileMode) error {
	temp := path + ".tmp"
	os.Remove(temp)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] &= 0x7f
	b[0] |= 0x40 // neither zero nor negative (RFC 5280 4.1.2.2)
	return new(big.Int).SetBytes(b[:])
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

// Trust lists what somebody has to do so that programs trust the authority,
// for people to read.
func (i Info) Trust() []string {
	return []string{
		"curl:              curl --cacert " + i.Path + " https://…",
		"Debian, Ubuntu:    sudo cp " + i.Path + " /usr/local/share/ca-certificates/httpsys.crt && sudo update-ca-certificates",
		"Fedora, RHEL:      sudo trust anchor " + i.Path,
		"Chromium, Chrome:  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n httpsys -i " + i.Path + "  (package libnss3-tools)",
		"Firefox:           Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import " + i.Path,
		"Node.js:           NODE_EXTRA_CA_CERTS=" + i.Path + " node app.js",
	}
}

// Names are what a certificate for an address should be good for: for all
// addresses of the machine, its own names and addresses too.
func Names(addr netip.Addr, local []netip.Addr) (names []string, addrs []netip.Addr) {
	if !addr.IsUnspecified() {
		if addr.IsLoopback() {
			names = append(names, "localhost")
		}
		return names, []netip.Addr{addr}
	}
	names = append(names, "localhost")
	if host, err := os.Hostname(); err == nil && host != "" && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == "" {
		names = append(names, strings.ToLower(host))
	}
	for _, a := range local {
		if a = a.Unmap().WithZone(""); a.Is4() == addr.Is4() && !a.IsLinkLocalUnicast() {
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return names, slices.Compact(addrs)
}
