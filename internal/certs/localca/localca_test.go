package localca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(t *time.Time) func() time.Time { return func() time.Time { return *t } }

func leaf(t *testing.T, a *Authority, names ...string) tls.Certificate {
	t.Helper()
	c, _, err := a.Leaf(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Nothing is made before it is needed, and it is made once.
func TestOnce(t *testing.T) {
	dir, now := filepath.Join(t.TempDir(), "ca"), start
	a := Open(dir, at(&now))
	if _, err := a.Info(); !errors.Is(err, ErrNone) {
		t.Errorf("before: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder is there already")
	}
	leaf(t, a, "app.localhost")
	first, err := a.Info()
	if err != nil {
		t.Fatal(err)
	}
	again := Open(dir, at(&now)) // the next start of the daemon
	leaf(t, again, "app.localhost")
	if second, err := again.Info(); err != nil || second != first {
		t.Errorf("%v, and then %v, %v", first, second, err)
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v, %v", info.Mode(), err)
	}
}

// Who trusts the authority trusts what it issues, for that name only.
func TestTrust(t *testing.T) {
	now := start
	a := Open(t.TempDir(), at(&now))
	c, renew, err := a.Leaf([]string{"app.localhost", "*.app.localhost"}, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")})
	if err != nil {
		t.Fatal(err)
	}
	info, err := a.Info()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(info.PEM))
	for name, ok := range map[string]bool{
		"app.localhost": true, "x.app.localhost": true, "127.0.0.1": true, "::1": true, "other.localhost": false, "127.0.0.2": false,
	} {
		_, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now.Add(time.Hour)})
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !renew.After(now) || !renew.Before(c.Leaf.NotAfter) {
		t.Errorf("valid until %v, renewed %v", c.Leaf.NotAfter, renew)
	}
	if days := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore).Hours() / 24; days > 398 {
		t.Errorf("valid for %v days", days)
	}
	if len(info.Fingerprint) != 32*3-1 || info.Fingerprint != strings.ToUpper(info.Fingerprint) {
		t.Errorf("fingerprint %s", info.Fingerprint)
	}
	for _, line := range info.Trust() {
		if !strings.Contains(line, info.Path) {
			t.Errorf("%q does not say where the authority is", line)
		}
	}
}

// An authority that cannot outlive a leaf is replaced.
func TestRenewal(t *testing.T) {
	dir, now := t.TempDir(), start
	a := Open(dir, at(&now))
	leaf(t, a, "x")
	first, _ := a.Info()
	now = first.NotAfter.Add(-leafValid - time.Hour)
	leaf(t, a, "x")
	if same, _ := a.Info(); same != first {
		t.Error("replaced too early")
	}
	now = first.NotAfter.Add(-leafValid + time.Hour)
	c := leaf(t, a, "x")
	second, _ := a.Info()
	if second == first || c.Leaf.NotAfter.Sub(now) != leafValid {
		t.Errorf("%v, then %v; valid until %v", first, second, c.Leaf.NotAfter)
	}
}

// Damage is reported, never overwritten.
func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(dir string) error
	}{
		{"no key", func(dir string) error { return os.Remove(filepath.Join(dir, keyFile)) }},
		{"garbage", func(dir string) error { return os.WriteFile(filepath.Join(dir, CertFile), []byte("x"), 0o600) }},
		{"another key", func(dir string) error {
			now := start
			other := Open(filepath.Join(dir, "other"), at(&now))
			if _, _, err := other.Leaf([]string{"x"}, nil); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, "other", keyFile), filepath.Join(dir, keyFile))
		}},
	} {
		dir, now := t.TempDir(), start
		leaf(t, Open(dir, at(&now)), "x")
		if err := c.damage(dir); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(filepath.Join(dir, CertFile))
		if _, _, err := Open(dir, at(&now)).Leaf([]string{"x"}, nil); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.name, err)
		}
		if after, _ := os.ReadFile(filepath.Join(dir, CertFile)); string(after) != string(before) {
			t.Errorf("%s: overwritten", c.name)
		}
	}
}

func TestNames(t *testing.T) {
	host, _ := os.Hostname()
	local := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("::1"), netip.MustParseAddr("fe80::1%eth0")}
	for _, c := range []struct{ addr, want string }{
		{"192.0.2.9", "[] [192.0.2.9]"},
		{"127.0.0.1", "[localhost] [127.0.0.1]"},
		{"0.0.0.0", "[localhost " + strings.ToLower(host) + "] [127.0.0.1 192.0.2.9]"},
		{"::", "[localhost " + strings.ToLower(host) + "] [::1]"},
	} {
		names, addrs := Names(netip.MustParseAddr(c.addr), local)
		if got := fmt.Sprint(names, addrs); got != c.want {
			t.Errorf("%s: %s, want %s", c.addr, got, c.want)
		}
	}
}
