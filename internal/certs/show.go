package certs

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
)

// Info is what there is to see of a binding.
type Info struct {
	config.SSLCert
	Certificates []CertInfo `json:"certificates"`
	Warnings     []string   `json:"warnings,omitempty"`
	Error        string     `json:"error,omitempty"` // why it, or its latest change, cannot be used
}

// CertInfo is what there is to see of a certificate.
type CertInfo struct {
	Host        string    `json:"host,omitempty"` // of a central store
	Path        string    `json:"path,omitempty"`
	Subject     string    `json:"subject"`
	Names       []string  `json:"names"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"`
	Key         string    `json:"key"`
	Fingerprint string    `json:"fingerprint"` // SHA-256
	Thumbprint  string    `json:"thumbprint"`  // SHA-1, netsh's certificate hash
	NotBefore   time.Time `json:"notbefore"`
	NotAfter    time.Time `json:"notafter"`
	Chain       int       `json:"chain"` // certificates that are sent
	Stapled     bool      `json:"stapled"`
}

// OfferInfo is what there is to see of certificates that a program has brought
// with a prefix.
type OfferInfo struct {
	IPPort                string     `json:"ipport,omitempty"`       // whom they are for, as of a binding: who comes to an address
	HostnamePort          string     `json:"hostnameport,omitempty"` // or asks for a name
	Registration          uint32     `json:"registration"`           // number of the prefix in "show servicestate"
	ClientCertNegotiation bool       `json:"clientcertnegotiation"`
	Certificates          []CertInfo `json:"certificates"`
}

// offersShown bounds what Offers returns: programs bring as many as they have
// prefixes.
const offersShown = 1000

// Offers describes the certificates that programs have brought and that clients
// are shown where no binding is for them, in the order of their places. If there
// are more than 1000 it returns the first.
func (m *Manager) Offers() []OfferInfo {
	infos := []OfferInfo{}
	s := &m.offers
	s.mu.RLock()
	places := slices.SortedFunc(maps.Keys(s.all), func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Name, b.Name), a.Addr.Compare(b.Addr))
	})
	places = places[:min(len(places), offersShown)]
	shown := make([]*placed, len(places))
	for i, at := range places {
		shown[i] = s.all[at][0]
	}
	s.mu.RUnlock()
	now := m.opt.Now()
	for i, at := range places {
		o := shown[i]
		info := OfferInfo{Registration: o.registration, ClientCertNegotiation: o.binding.ask, Certificates: []CertInfo{}}
		switch {
		case at.Name != "":
			info.HostnamePort = fmt.Sprintf("%s:%d", at.Name, at.Port)
		case at.Addr.IsValid():
			info.IPPort = netip.AddrPortFrom(at.Addr, at.Port).String()
		default:
			info.IPPort = fmt.Sprintf("0.0.0.0:%d", at.Port)
		}
		for _, c := range o.binding.config.Certificates {
			p := &pair{chain: make([]*x509.Certificate, len(c.Certificate))}
			p.chain[0] = c.Leaf
			info.Certificates = append(info.Certificates, certInfo(p, "", now))
		}
		infos = append(infos, info)
	}
	return infos
}

// Show describes all bindings in the order in which they were made.
func (m *Manager) Show() []Info {
	m.mu.Lock()
	entries := append([]*entry(nil), m.entries...)
	infos := make([]Info, len(entries))
	stores := make([]*store, len(entries))
	now := m.opt.Now()
	for i, e := range entries {
		infos[i] = Info{SSLCert: e.conf.Clone(), Certificates: []CertInfo{}}
		if e.err != nil {
			infos[i].Error = e.err.Error()
		}
		if b := e.built; b != nil {
			for _, p := range b.pairs {
				infos[i].Certificates = append(infos[i].Certificates, certInfo(p, "", now))
			}
			infos[i].Warnings = m.allWarnings(&e.conf, b, now)
			stores[i] = b.store
		}
	}
	m.mu.Unlock()
	for i, s := range stores { // reads files: not under the lock
		c := &infos[i].SSLCert
		if s != nil {
			certs, warns := s.show(now)
			infos[i].Certificates = append(infos[i].Certificates, certs...)
			infos[i].Warnings = append(infos[i].Warnings, warns...)
		}
		if c.ACME != nil && m.opt.ACME != nil {
			cert, err := m.opt.ACME.Status(host(c))
			if cert != nil {
				infos[i].Certificates = append(infos[i].Certificates, certInfo(&pair{chain: []*x509.Certificate{cert}}, "", now))
				infos[i].Warnings = append(infos[i].Warnings, warnings([]*x509.Certificate{cert}, host(c), now)...)
			}
			if err != nil {
				infos[i].Error = err.Error()
			}
		}
	}
	return infos
}

// allWarnings says what is unwise about a binding.
func (m *Manager) allWarnings(c *config.SSLCert, b *built, now time.Time) []string {
	all := append([]string(nil), b.warnings...)
	for _, p := range b.pairs {
		for _, w := range warnings(p.chain, host(c), now) {
			if p.path != "" {
				w = p.path + ": " + w
			}
			all = append(all, w)
		}
	}
	return all
}

func certInfo(p *pair, host string, now time.Time) CertInfo {
	c := p.chain[0]
	i := CertInfo{
		Host: host, Path: p.path, Subject: c.Subject.String(), Names: append([]string{}, c.DNSNames...), Issuer: c.Issuer.String(),
		Serial: fmt.Sprintf("%x", c.SerialNumber), Key: keyName(c), Fingerprint: localca.Fingerprint(c), Thumbprint: fmt.Sprintf("%x", sha1.Sum(c.Raw)),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Chain: len(p.chain), Stapled: p.staple.there,
	}
	for _, a := range c.IPAddresses {
		i.Names = append(i.Names, a.String())
	}
	return i
}

func keyName(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	}
	return c.PublicKeyAlgorithm.String()
}
