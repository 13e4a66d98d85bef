package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// offer makes an offer of one certificate.
func (w *world) offer(name string, options ...pki.Option) *Offer {
	w.t.Helper()
	o, err := w.NewOffer(Program{Pairs: [][]byte{w.text(name, options...)}})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// text is a certificate with its key.
func (w *world) text(name string, options ...pki.Option) []byte {
	c := pki.Issue(w.t, w.root, name, options...)
	return append(pki.PEM(c.Certificate), pki.KeyPEM(w.t, c.Key)...)
}

// What programs bring is shown where administrators have bound nothing: by name,
// by address, by port.
func TestOffers(t *testing.T) {
	w := newWorld(t)
	var (
		name = Place{Name: "a.example", Port: 443}
		addr = Place{Addr: netip.MustParseAddr("192.0.2.1"), Port: 443}
		port = Place{Port: 443}
	)
	want := func(local, name, want string) {
		t.Helper()
		if got := w.got(local, name); got != want {
			t.Errorf("%s on %s: %s, want %s", name, local, got, want)
		}
	}
	const none = "unrecognized name"
	want("192.0.2.1:443", "a.example", none)
	byName := w.Offer(name, 1, w.offer("by name"))
	want("192.0.2.1:443", "A.example", "by name")
	want("192.0.2.1:443", "b.example", none)
	want("192.0.2.1:443", "", none)
	want("192.0.2.1:444", "a.example", none)
	byPort := w.Offer(port, 2, w.offer("by port"))
	byAddr := w.Offer(addr, 3, w.offer("by address"))
	want("192.0.2.1:443", "a.example", "by name")
	want("192.0.2.1:443", "", "by address")
	want("192.0.2.2:443", "b.example", "by port")

	// All of them are to be seen, with whose they are.
	var seen []string
	for _, o := range w.Offers() {
		seen = append(seen, fmt.Sprintf("%s%s %d %s", o.HostnamePort, o.IPPort, o.Registration, o.Certificates[0].Subject))
	}
	if got, want := strings.Join(seen, "; "), "0.0.0.0:443 2 CN=by port; 192.0.2.1:443 3 CN=by address; a.example:443 1 CN=by name"; got != want {
		t.Errorf("seen are %s, want %s", got, want)
	}

	// Of one registration the newest; of several, the oldest one's.
	newer := w.Offer(name, 1, w.offer("by name, newer"))
	other := w.Offer(name, 2, w.offer("by name, other"))
	want("192.0.2.1:443", "a.example", "by name, newer")
	byName()
	want("192.0.2.1:443", "a.example", "by name, newer")
	older := w.Offer(name, 0, w.offer("by name, older"))
	want("192.0.2.1:443", "a.example", "by name, older")
	older()
	newer()
	want("192.0.2.1:443", "a.example", "by name, other")
	other()
	want("192.0.2.1:443", "a.example", "by address")

	// Administrators come first, also with what is broken.
	bound := w.bind(config.SSLCert{IPPort: "192.0.2.1:443"}, w.files("bound"))
	w.Set([]config.SSLCert{bound})
	want("192.0.2.1:443", "a.example", "bound")
	want("192.0.2.2:443", "a.example", "by port")
	broken := w.bind(config.SSLCert{IPPort: "192.0.2.2:443"}, config.CertFiles{Cert: w.dir + "/none.pem"})
	w.Set([]config.SSLCert{broken})
	want("192.0.2.1:443", "a.example", "by address")
	want("192.0.2.2:443", "a.example", none)
	w.Set(nil)
	byAddr()
	byPort()
	want("192.0.2.1:443", "a.example", none)
	if n := len(w.offers.all); n != 0 {
		t.Errorf("%d places are left", n)
	}
}

// A session of a program is resumed with its new ticket keys, too, and not with
// another program's certificate.
func TestOfferTickets(t *testing.T) {
	w := newWorld(t)
	at := Place{Name: "a.example", Port: 443}
	first := w.offer("first")
	withdraw := w.Offer(at, 1, first)
	conf := asking("a.example")
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := func() bool {
		t.Helper()
		client, _, _, err := w.dial("192.0.2.1:443", conf)
		if err != nil {
			t.Fatal(err)
		}
		return client.DidResume
	}
	if resumed() || !resumed() {
		t.Error("want a new session, and then the same again")
	}
	w.skew.Store(int64(ticketRotation))
	w.Refresh()
	if !resumed() {
		t.Error("not resumed after the keys were rotated")
	}
	w.Offer(at, 1, w.offer("second"))
	withdraw()
	if resumed() {
		t.Error("a session of one certificate was resumed with another")
	}
}

// Mistakes are said; what is merely old is not one.
func TestNewOffer(t *testing.T) {
	w := newWorld(t)
	other := pki.KeyPEM(t, pki.ECDSA(t))
	cert := pki.PEM(pki.Issue(t, w.root, "a").Certificate)
	rsa := pki.Key(pki.RSA(t, 2048))
	for _, test := range []struct {
		why  string
		in   Program
		want string // "": no error
	}{
		{"one", Program{Pairs: [][]byte{w.text("a")}}, ""},
		{"two kinds", Program{Pairs: [][]byte{w.text("a"), w.text("a", rsa)}}, ""},
		{"expired", Program{Pairs: [][]byte{w.text("a", pki.Valid(-2*time.Hour, -time.Hour))}}, ""},
		{"for clients", Program{Pairs: [][]byte{w.text("a", pki.Usage(x509.ExtKeyUsageClientAuth))}}, ""},
		{"with authorities", Program{Pairs: [][]byte{w.text("a")}, AskClient: true, Authorities: pki.PEM(w.root.Certificate)}, ""},
		{"none", Program{}, "0 certificates for one prefix: want 1 to 4"},
		{"five", Program{Pairs: make([][]byte, 5)}, "5 certificates for one prefix: want 1 to 4"},
		{"twice", Program{Pairs: [][]byte{w.text("a"), w.text("b")}}, "have keys of the same kind (ECDSA)"},
		{"empty", Program{Pairs: [][]byte{nil}}, "the PEM text has no certificate in PEM"},
		{"no key", Program{Pairs: [][]byte{cert}}, "the PEM text has no private key in PEM"},
		{"other key", Program{Pairs: [][]byte{append(cert[:len(cert):len(cert)], other...)}}, `the key in the PEM text does not belong to the certificate in the PEM text ("CN=a")`},
		{"nobody is asked", Program{Pairs: [][]byte{w.text("a")}, Authorities: cert}, "clients are not asked"},
		{"versions", Program{Pairs: [][]byte{w.text("a")}, Speaks: Speaks{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12}}, ""},
		{"no version", Program{Pairs: [][]byte{w.text("a")}, Speaks: Speaks{MaxVersion: tls.VersionTLS11}}, "min_version is 0x0303 and max_version 0x0302: want TLS 1.0 (0x0301) to 1.3"},
		{"SSL 3", Program{Pairs: [][]byte{w.text("a")}, Speaks: Speaks{MinVersion: 0x0300}}, "min_version is 0x0300"},
		{"suites", Program{Pairs: [][]byte{w.text("a")}, Speaks: Speaks{Suites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0xffff}}}, ""},
		{"no suites", Program{Pairs: [][]byte{w.text("a")}, Speaks: Speaks{Suites: []uint16{0xffff, tls.TLS_AES_128_GCM_SHA256}}}, "none of the cipher suites [0xffff 0x1301] can be spoken"},
		{"groups", Program{Pairs: [][]byte{w.text("a")}, Speaks: Speaks{Groups: []uint16{1, uint16(tls.CurveP384)}}}, ""},
		{"no groups", Program{Pairs: [][]byte{w.text("a")}, Speaks: Speaks{Groups: []uint16{}}}, "none of the groups [] can be spoken"},
		{"no authorities", Program{Pairs: [][]byte{w.text("a")}, AskClient: true, Authorities: []byte("x")}, "the authorities has no certificate"},
	} {
		_, err := w.NewOffer(test.in)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.why, err, test.want)
		}
	}
}

func TestUsable(t *testing.T) {
	w := newWorld(t)
	name, port := Place{Name: "a.example", Port: 443}, Place{Port: 443}
	addr := Place{Addr: netip.MustParseAddr("192.0.2.1"), Port: 443}
	for _, test := range []struct {
		bound            string
		name, addr, port bool
	}{
		{"", false, false, false},
		{"ipport=0.0.0.0:443", true, true, true},
		{"ipport=[::]:443", true, false, true},
		{"ipport=192.0.2.1:443", true, true, true},
		{"ipport=192.0.2.1:444", false, false, false},
		{"ipport=192.0.2.2:443", true, false, true},
		{"hostnameport=a.example:443", true, false, true},
		{"hostnameport=*.example:443", true, false, true},
		{"hostnameport=b.example:443", false, false, true},
	} {
		var all []config.SSLCert
		key, value, _ := strings.Cut(test.bound, "=")
		switch key {
		case "ipport":
			all = append(all, config.SSLCert{IPPort: value, SelfSigned: true})
		case "hostnameport":
			all = append(all, config.SSLCert{HostnamePort: value, SelfSigned: true})
		}
		w.Set(all)
		if got := [...]bool{w.Usable(name), w.Usable(addr), w.Usable(port)}; got != [...]bool{test.name, test.addr, test.port} {
			t.Errorf("%s: %v", test.bound, got)
		}
	}
	w.Set(nil)
	withdraw := w.Offer(name, 1, w.offer("a"))
	if !w.Usable(name) || w.Usable(addr) || w.Usable(port) {
		t.Error("a program's, by name")
	}
	withdraw()
	defer w.Offer(port, 1, w.offer("a"))()
	if !w.Usable(name) || !w.Usable(addr) || !w.Usable(port) {
		t.Error("a program's, for all")
	}
}

// Whatever a program sends, it gets an error or something that can be shown.
func FuzzNewOffer(f *testing.F) {
	root := pki.Root(f, "Root")
	c := pki.Issue(f, root, "a.example")
	good := string(pki.PEM(c.Certificate)) + string(pki.KeyPEM(f, c.Key))
	f.Add([]byte(good), []byte(pki.PEM(root.Certificate)), true)
	f.Add([]byte(strings.Replace(good, "PRIVATE KEY", "RSA PRIVATE KEY", 2)), []byte(nil), false)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), []byte("x"), true)
	m := New(Options{Protocols: []string{"h2", "http/1.1"}})
	f.Fuzz(func(t *testing.T, pem, authorities []byte, ask bool) {
		o, err := m.NewOffer(Program{Pairs: [][]byte{pem}, AskClient: ask, Authorities: authorities})
		if (o == nil) == (err == nil) {
			t.Fatal(o, err)
		}
		if err != nil {
			return
		}
		at := Place{Name: "a.example", Port: 443}
		defer m.Offer(at, 1, o)()
		if b := m.offers.find("a.example", netip.MustParseAddrPort("192.0.2.1:443")); b == nil || len(b.Config().Certificates) != 1 {
			t.Fatal("not shown")
		}
	})
}
