package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// Speaks is what a program wants spoken with its clients, by IANA's numbers; what
// is zero is as everywhere.
type Speaks struct {
	MinVersion, MaxVersion uint16
	Suites                 []uint16 // of TLS 1.2 and before
	Groups                 []uint16 // of the key exchange
}

// The groups of crypto/tls.
var groups = []tls.CurveID{
	tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
	tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
}

// apply changes cfg. What crypto/tls does not have is left out of the lists; a list
// of which nothing is left is an error.
func (s *Speaks) apply(cfg *tls.Config) error {
	if s.MinVersion != 0 {
		cfg.MinVersion = s.MinVersion
	}
	if s.MaxVersion != 0 {
		cfg.MaxVersion = s.MaxVersion
	}
	if cfg.MinVersion < tls.VersionTLS10 || cfg.MaxVersion > tls.VersionTLS13 || cfg.MinVersion > cfg.MaxVersion {
		return fmt.Errorf("min_version is %#04x and max_version %#04x: want TLS 1.0 (0x0301) to 1.3 (0x0304), the lower one first", cfg.MinVersion, cfg.MaxVersion)
	}
	if cfg.MinVersion < tls.VersionTLS12 {
		cfg.CipherSuites = nil // the usual ones are of TLS 1.2
	}
	if s.Suites != nil {
		cfg.CipherSuites = nil
		for _, c := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			if slices.Contains(s.Suites, c.ID) && !slices.Contains(c.SupportedVersions, tls.VersionTLS13) {
				cfg.CipherSuites = append(cfg.CipherSuites, c.ID)
			}
		}
		if cfg.CipherSuites == nil {
			return fmt.Errorf("none of the cipher suites %#04x can be spoken", s.Suites)
		}
	}
	if s.Groups != nil {
		for _, g := range s.Groups {
			if slices.Contains(groups, tls.CurveID(g)) {
				cfg.CurvePreferences = append(cfg.CurvePreferences, tls.CurveID(g))
			}
		}
		if cfg.CurvePreferences == nil {
			return fmt.Errorf("none of the groups %d can be spoken", s.Groups)
		}
	}
	return nil
}

// name tells session tickets apart: one of the past must not bring back what is
// not spoken any more.
func (s *Speaks) name() string {
	if s.MinVersion|s.MaxVersion == 0 && s.Suites == nil && s.Groups == nil {
		return ""
	}
	return fmt.Sprintf(" speaks %x", *s)
}
