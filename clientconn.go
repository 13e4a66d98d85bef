package httpsys

import (
	"crypto/tls"
	"crypto/x509"
	"sync"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A clientConn is the connection of a client as the daemon has described it
// (docs/channel.md section 4.1). It is made by the reader of its loop when the
// first request of the connection is about to come, and parsed once, by the first
// who asks.
type clientConn struct {
	once  sync.Once
	facts channel.ConnectionFacts // its certificates are in memory of their own
	state tls.ConnectionState
	cert  ClientCert
}

// connected takes a CONNECTION. All of it is the reader's.
func (l *loop) connected(payload []byte) error {
	facts, err := channel.ParseConnection(append([]byte(nil), payload...))
	if err != nil {
		return err
	}
	if l.clients == nil {
		l.clients = make(map[uint64]*clientConn)
	}
	l.clients[facts.Number] = &clientConn{facts: facts}
	return nil
}

// disconnected takes a DISCONNECTION.
func (l *loop) disconnected(payload []byte) error {
	number, err := channel.ParseDisconnection(payload)
	if err != nil {
		return err
	}
	delete(l.clients, number)
	l.e.sink.disconnected(l.sess, number)
	return nil
}

// foreignState is the state of a connection whose keys are not here:
// ExportKeyingMaterial returns an error instead of calling nothing.
var foreignState = tls.Server(nil, &tls.Config{}).ConnectionState()

// parsed makes what programs see of the facts.
func (c *clientConn) parsed() *clientConn {
	c.once.Do(func() {
		f := &c.facts
		all := make([]*x509.Certificate, len(f.Certificates))
		for i, der := range f.Certificates {
			all[i], _ = x509.ParseCertificate(der) // the daemon could
		}
		c.state = foreignState
		c.state.HandshakeComplete = true
		c.state.Version, c.state.CipherSuite, c.state.CurveID = f.Version, f.Suite, tls.CurveID(f.Group)
		c.state.ServerName, c.state.NegotiatedProtocol = f.ServerName, f.Protocol
		c.state.DidResume = f.Flags&channel.ConnectionResumed != 0
		for _, cert := range all[:f.Presented] {
			if cert != nil {
				c.state.PeerCertificates = append(c.state.PeerCertificates, cert)
			}
		}
	chains:
		for _, indices := range f.Chains {
			chain := make([]*x509.Certificate, len(indices))
			for i, place := range indices {
				if chain[i] = all[place]; chain[i] == nil {
					continue chains
				}
			}
			c.state.VerifiedChains = append(c.state.VerifiedChains, chain)
		}
		c.cert = ClientCert{
			Verdict: Verdict(f.Verdict), code: f.Code, message: f.VerdictText,
			Asked: f.Flags&channel.ConnectionAsked != 0, Truncated: f.Flags&channel.ConnectionTruncated != 0,
			Own:          f.Flags&channel.ConnectionProgram != 0,
			Certificates: c.state.PeerCertificates, Chains: c.state.VerifiedChains,
		}
		c.facts = channel.ConnectionFacts{}
	})
	return c
}
