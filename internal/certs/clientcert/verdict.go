package clientcert

import "crypto/x509"

// Verdict is what there is to say about a client's certificate.
type Verdict uint8

// Verdicts. Their numbers are sent to applications: do not change them.
const (
	NotPresented      Verdict = 0  // the client showed none, or was not asked
	Trusted           Verdict = 1  // everything is in order
	Expired           Verdict = 2  // it, or one above it, is not valid any more
	NotYetValid       Verdict = 3  // it, or one above it, is not valid yet
	UntrustedRoot     Verdict = 4  // the chain ends in an authority that is not trusted
	IncompleteChain   Verdict = 5  // the issuer of one of the certificates is missing
	BadSignature      Verdict = 6  // a signature in the chain is wrong
	WeakSignature     Verdict = 7  // a signature in the chain is of a kind that can be forged
	WrongUsage        Verdict = 8  // it is not for identifying a client
	InvalidCA         Verdict = 9  // a certificate that may not issue others has done so
	NotPermitted      Verdict = 10 // an authority was not entitled to this name
	Revoked           Verdict = 11 // it, or one above it, was withdrawn
	RevocationUnknown Verdict = 12 // nothing says whether it was withdrawn
	RevocationOffline Verdict = 13 // who should say whether it was withdrawn does not, or not any more
	Invalid           Verdict = 14 // something else that Detail explains
)

// verdicts describe each Verdict: the name of our own, what HTTP.SYS reports,
// and a sentence.
var verdicts = [...]struct {
	name, windows string
	code          uint32
	text          string
}{
	NotPresented:      {"not-presented", "", 0, "the client has not shown a certificate"},
	Trusted:           {"trusted", "", 0, "the certificate is trusted"},
	Expired:           {"expired", "CERT_E_EXPIRED", 0x800B0101, "the certificate has expired"},
	NotYetValid:       {"not-yet-valid", "CERT_E_EXPIRED", 0x800B0101, "the certificate is not valid yet"},
	UntrustedRoot:     {"untrusted-root", "CERT_E_UNTRUSTEDROOT", 0x800B0109, "the certificate comes from an authority that is not trusted"},
	IncompleteChain:   {"incomplete-chain", "CERT_E_CHAINING", 0x800B010A, "a certificate between this one and a trusted authority is missing"},
	BadSignature:      {"bad-signature", "TRUST_E_CERT_SIGNATURE", 0x80096004, "the signature of the certificate is wrong"},
	WeakSignature:     {"weak-signature", "TRUST_E_CERT_SIGNATURE", 0x80096004, "the signature of the certificate could be forged"},
	WrongUsage:        {"wrong-usage", "CERT_E_WRONG_USAGE", 0x800B0110, "the certificate is not for identifying clients"},
	InvalidCA:         {"invalid-ca", "CERT_E_ROLE", 0x800B0103, "the certificate was issued with one that may not issue certificates"},
	NotPermitted:      {"not-permitted", "CERT_E_INVALID_NAME", 0x800B0114, "the authority may not issue certificates for this name"},
	Revoked:           {"revoked", "CERT_E_REVOKED", 0x800B010C, "the certificate was revoked"},
	RevocationUnknown: {"revocation-unknown", "CRYPT_E_NO_REVOCATION_CHECK", 0x80092012, "nothing says whether the certificate was revoked"},
	RevocationOffline: {"revocation-offline", "CRYPT_E_REVOCATION_OFFLINE", 0x80092013, "it could not be found out whether the certificate was revoked"},
	Invalid:           {"invalid", "TRUST_E_FAIL", 0x800B010B, "the certificate is not valid"},
}

// String is the name of v in logs and in JSON.
func (v Verdict) String() string {
	if int(v) < len(verdicts) {
		return verdicts[v].name
	}
	return "unknown"
}

// Windows is the name of v in HTTP.SYS, and its number; none for NotPresented
// and Trusted.
func (v Verdict) Windows() (name string, code uint32) {
	if int(v) < len(verdicts) {
		return verdicts[v].windows, verdicts[v].code
	}
	return "", 0
}

// Text says in a sentence what v means.
func (v Verdict) Text() string {
	if int(v) < len(verdicts) {
		return verdicts[v].text
	}
	return verdicts[Invalid].text
}

// Result is the judgement of one certificate.
type Result struct {
	Verdict Verdict
	// Detail says more than Verdict.Text: which certificate, since when.
	Detail string
	// Chains lead from the certificate to trusted authorities. They are there
	// if and only if the certificate is trusted.
	Chains [][]*x509.Certificate
}

// Error is the text for people, or "" if the certificate is trusted.
func (r Result) Error() string {
	switch {
	case r.Verdict == Trusted:
		return ""
	case r.Detail == "":
		return r.Verdict.Text()
	}
	return r.Verdict.Text() + ": " + r.Detail
}

// Policy is what a URL prefix demands of the certificates of clients.
type Policy uint8

// Policies.
const (
	// AcceptAny leaves the decision to the application.
	AcceptAny Policy = iota
	// RequireTrusted answers 403 to a client without a trusted certificate.
	RequireTrusted
)

// Allows tells whether a request with this verdict may reach the application.
func (p Policy) Allows(v Verdict) bool { return p == AcceptAny || v == Trusted }

// String is the policy in commands and in the configuration.
func (p Policy) String() string {
	if p == RequireTrusted {
		return "trusted"
	}
	return "any"
}

// ParsePolicy reads what String writes.
func ParsePolicy(s string) (p Policy, ok bool) {
	switch s {
	case "any":
		return AcceptAny, true
	case "trusted":
		return RequireTrusted, true
	}
	return 0, false
}
