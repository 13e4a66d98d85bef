package conn

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"

	"github.com/httpsys/httpsys/internal/certs/clientcert"
	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// This file is a connection as applications are told of it.

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.remote }

// Port is the one that the client has connected to.
func (c *Conn) Port() uint16 { return c.endpoint.Port }

// Secure implements exchange.Peer.
func (c *Conn) Secure() bool { return c.tls != nil }

// Witnesses implements exchange.Peer.
func (c *Conn) Witnesses() *exchange.Witnesses { return &c.witnesses }

// Number implements exchange.Peer.
func (c *Conn) Number() uint64 { return c.id }

// Hangup implements exchange.Peer. A request that has begun to come keeps its
// connection: who wanted the end did not know of it.
func (c *Conn) Hangup() {
	if h := &c.http1; c.proto == protocol(h) && h.x == nil && h.state != head {
		h.keepAlive = false
		h.settle() // nobody waits for the rest of a request
	} else {
		c.closeIfIdle()
	}
}

// Cut implements exchange.Peer.
func (c *Conn) Cut() { c.close() }

// AppendFacts implements exchange.Peer. It is called once for each worker that
// sees the connection, so nothing of it is kept.
func (c *Conn) AppendFacts(dst []byte) []byte {
	return c.appendFacts(dst, channel.ConnectionFacts{Number: c.id})
}

// AppendAccepted implements exchange.Peer.
func (c *Conn) AppendAccepted(dst []byte, registration uint32) []byte {
	client, rest, _ := strings.Cut(c.text, "\x00")
	local, _, _ := strings.Cut(rest, "\x00")
	return c.appendFacts(dst, channel.ConnectionFacts{
		Number: c.id, Flags: channel.ConnectionAccepted, Registration: registration, Client: client, Local: local,
	})
}

func (c *Conn) appendFacts(dst []byte, f channel.ConnectionFacts) []byte {
	if c.tls != nil {
		state := c.tls.State()
		describe(&f, &state, c.tls.Client())
		if c.tls.Binding().Registration() != 0 {
			f.Flags |= channel.ConnectionProgram
		}
	}
	return channel.AppendConnection(dst, &f)
}

// Untrusted implements exchange.Peer. Reasons begin with the numbers that people
// know from HTTP.SYS and its web server.
func (c *Conn) Untrusted(authority []byte, registration uint32) exchange.Refusal {
	r := c.tls.Client()
	b := c.tls.Binding()
	refuse := func(number, text string) exchange.Refusal {
		verdict := "not-asked"
		if r != nil {
			verdict = r.Verdict.String()
		}
		return exchange.Refusal{Status: 403, Reason: number + " " + verdict, Text: text}
	}
	switch {
	case r == nil:
		return refuse("403.7", "This page is for clients with a certificate, which this server does not ask for.")
	case r.Verdict == clientcert.NotPresented:
		return refuse("403.7", "This page is for clients with a certificate.")
	case r.Verdict == clientcert.Revoked || r.Verdict == clientcert.RevocationUnknown || r.Verdict == clientcert.RevocationOffline:
		return refuse("403.13", "The client's certificate is not accepted: "+r.Verdict.Text()+".")
	case r.Verdict == clientcert.Expired || r.Verdict == clientcert.NotYetValid:
		return refuse("403.17", "The client's certificate is not accepted: "+r.Verdict.Text()+".")
	case r.Verdict != clientcert.Trusted:
		return refuse("403.16", "The client's certificate is not accepted: "+r.Verdict.Text()+".")
	case b.Registration() != 0 && b.Registration() != registration:
		return refuse("403.16", "The client's certificate is not accepted: its authority is trusted by another program only.")
	case !b.Covers(hostOf(authority), netip.AddrPortFrom(c.local, c.endpoint.Port)):
		// Another binding is for this host, which may trust other authorities: the
		// client has to come again (RFC 9110 15.5.20).
		return exchange.Refusal{Status: 421, Reason: "421 other-binding", Text: "The client has shown its certificate to another host: use a new connection for this one."}
	}
	return exchange.Refusal{}
}

// hostOf cuts the port off.
func hostOf(authority []byte) string {
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && bytes.IndexByte(authority[i:], ']') < 0 {
		authority = authority[:i]
	}
	return string(authority)
}

// describe fills in what TLS has agreed on. r is nil if no certificate was asked
// for.
func describe(f *channel.ConnectionFacts, s *tls.ConnectionState, r *clientcert.Result) {
	f.Version, f.Suite, f.Group = s.Version, s.CipherSuite, uint16(s.CurveID)
	f.ServerName, f.Protocol = text(s.ServerName), text(s.NegotiatedProtocol)
	if s.DidResume {
		f.Flags |= channel.ConnectionResumed
	}
	if r == nil {
		return
	}
	f.Flags |= channel.ConnectionAsked
	f.Verdict, f.VerdictName, f.VerdictText = uint8(r.Verdict), r.Verdict.String(), text(r.Error())
	_, f.Code = r.Verdict.Windows()
	f.Presented = len(s.PeerCertificates)
	places := make(map[*x509.Certificate]byte, f.Presented)
	place := func(c *x509.Certificate) byte {
		i, ok := places[c]
		if !ok {
			i = byte(min(len(f.Certificates), 255)) // beyond any bound: left out
			places[c] = i
			f.Certificates = append(f.Certificates, c.Raw)
		}
		return i
	}
	for _, c := range s.PeerCertificates {
		f.Certificates = append(f.Certificates, c.Raw)
		if _, ok := places[c]; !ok {
			places[c] = byte(min(len(f.Certificates)-1, 255))
		}
	}
	for _, chain := range r.Chains {
		indices := make([]byte, len(chain))
		for i, c := range chain {
			indices[i] = place(c)
		}
		f.Chains = append(f.Chains, indices)
	}
}

// maxText is the longest string of a CONNECTION.
const maxText = 1000

// text makes s fit for a CONNECTION. A server name is what the client sent, and a
// verdict may quote from its certificate.
func text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}
