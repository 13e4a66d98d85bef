package daemon

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/certs/acme"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/control/server"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/tlsio"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// protocols are offered on https ports, the preferred one first.
var protocols = []string{"h2", "http/1.1"}

// Folders in the data folder.
const (
	authorityFolder = "ca"   // the authority of this machine
	acmeFolder      = "acme" // accounts and certificates of those on the network
)

// startTLS makes what https ports need. There are no bindings yet.
func (d *Daemon) startTLS() {
	opt := d.opt.ACME
	opt.Folder, opt.Log, opt.Listen = filepath.Join(d.opt.Data, acmeFolder), d.log, d.holdPort
	d.acme = acme.New(opt)
	d.certs = certs.New(certs.Options{
		ACME:      d.acme,
		Protocols: protocols,
		Authority: localca.Open(filepath.Join(d.opt.Data, authorityFolder), time.Now),
		Log:       d.log,
	})
	d.tls = tlsio.NewServer(func(hello *tls.ClientHelloInfo) tlsio.Binding {
		b := d.certs.Choose(hello)
		if local, err := netip.ParseAddrPort(hello.Conn.LocalAddr().String()); err == nil && b != nil {
			if port, ok := d.table.Port(local.Port()); ok && port.Scheme.Raw() {
				return withoutProtocols{b}
			}
		}
		return b
	})
}

// holdPort keeps a port open though nobody may have registered anything there.
func (d *Daemon) holdPort(port uint16, secure bool) (release func(), err error) {
	all := prefix.Prefix{Scheme: prefix.HTTP, Kind: prefix.Strong, Host: "+", Port: port, Path: "/"}
	if secure {
		all.Scheme = prefix.HTTPS
	}
	if _, err := d.ports.Open(all); err != nil {
		return nil, err
	}
	return func() { d.ports.Close(all) }, nil
}

// withoutProtocols is a binding on a port without HTTP: what is spoken there is
// not ours to negotiate.
type withoutProtocols struct{ tlsio.Binding }

func (b withoutProtocols) Config() *tls.Config {
	c := b.Binding.Config()
	if c != nil {
		c = c.Clone()
		c.NextProtos = slices.DeleteFunc(slices.Clone(c.NextProtos), func(p string) bool { return slices.Contains(protocols, p) })
	}
	return c
}

// Certificates implements server.Engine.
func (d *Daemon) Certificates() server.Certificates { return d.certs }

// maxOffers bounds the certificates that one session has brought, unless it is
// root's: each costs some 10 KiB.
const maxOffers = 1000

// offerOf reads the certificate that comes with a registration; nil if there is
// none.
func (d *Daemon) offerOf(s *session, pre prefix.Prefix, c *channel.Certificate) (*certs.Offer, *channel.Error) {
	bad := func(format string, a ...any) *channel.Error {
		return &channel.Error{Code: channel.InvalidParameter, Message: fmt.Sprintf(format, a...)}
	}
	switch {
	case c == nil:
		return nil, nil
	case !pre.Scheme.Secure():
		return nil, bad("%s has a certificate, which only an https prefix can use (or one of tls)", pre)
	}
	p := certs.Program{
		AskClient: c.AskClient, DisableHTTP2: c.DisableHTTP2,
		Speaks: certs.Speaks{MinVersion: c.MinVersion, MaxVersion: c.MaxVersion, Suites: c.CipherSuites, Groups: c.Groups},
	}
	for _, text := range c.PEM {
		p.Pairs = append(p.Pairs, []byte(text))
	}
	if c.Authorities != "" {
		p.Authorities = []byte(c.Authorities)
	}
	o, err := d.certs.NewOffer(p)
	if err != nil {
		return nil, bad("the certificate for %s cannot be used: %v", pre, err)
	}
	if o.Expired(time.Now()) {
		d.log.Warn("a program brings a certificate that has expired", "url", pre.String(), "pid", s.peer.PID, "program", s.program)
	}
	return o, nil
}

// offer shows a certificate as long as the session has the registration, or
// until it brings another one for it. d.mu is held.
func (s *session) offer(reg *registration, o *certs.Offer) {
	withdraw := s.d.certs.Offer(placeOf(reg.Prefix), reg.ID, o)
	s.withdraw(reg.ID)
	s.offers[reg.ID] = withdraw
}

// placeOf is where the certificate for a prefix is looked for.
func placeOf(pre prefix.Prefix) certs.Place {
	at := certs.Place{Port: pre.Port}
	switch pre.Kind {
	case prefix.Explicit:
		at.Name = pre.Host
	case prefix.IPBound:
		at.Addr = pre.Addr
	}
	return at
}

// noCertificate says, for people, that the clients of an https prefix will
// fail; "" if they will not. HTTP.SYS takes such prefixes, too, and is silent.
func (d *Daemon) noCertificate(pre prefix.Prefix) string {
	if !pre.Scheme.Secure() || d.certs.Usable(placeOf(pre)) {
		return ""
	}
	key := fmt.Sprintf("ipport=0.0.0.0:%d", pre.Port)
	switch pre.Kind {
	case prefix.Explicit:
		key = fmt.Sprintf("hostnameport=%s:%d", pre.Host, pre.Port)
	case prefix.IPBound:
		key = "ipport=" + netip.AddrPortFrom(pre.Addr, pre.Port).String()
	}
	return fmt.Sprintf("no certificate is bound, so clients of https://%s:%d/ cannot connect: httpsys add sslcert %s cert=FILE key=FILE", pre.Host, pre.Port, key)
}

// withdraw takes back what offer gave. d.mu is held.
func (s *session) withdraw(id uint32) {
	if f := s.offers[id]; f != nil {
		f()
		delete(s.offers, id)
	}
}
