// Package certs knows which certificate is shown to whom.
//
// Administrators bind certificates to an address (ipport), to a name
// (hostnameport) or to a folder of them (ccs), as with netsh http. A Manager
// holds these bindings. Its Choose answers a ClientHello with a Binding, which is
// a configuration for crypto/tls and the judgement of the client's certificate.
//
// All that Choose looks at is an immutable table behind one atomic pointer.
// When the administrator changes something, or Refresh finds that a file has
// changed, a new table takes its place: connections that exist keep what they
// have, new ones get the new. A file that has become unusable changes nothing but
// what Show reports.
//
//	manager.go   the bindings: set, refreshed, shown
//	table.go     the order in which they are looked up
//	binding.go   one of them, made from its configuration
//	offer.go     certificates that programs bring along, where nothing is bound
//	store.go     a folder of certificates named by host
//	pair.go      reading certificates and keys, and what can be wrong with them
//	file.go      reading a file that only the right people may have written
//	staple.go    OCSP responses that are shown with a certificate
//	tickets.go   the keys of session tickets
//
// Client certificates are judged in clientcert, the authority of this machine is
// in localca, certificates from the network are got in acme.
package certs
