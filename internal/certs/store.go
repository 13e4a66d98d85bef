package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/httpsys/httpsys/internal/config"
)

// store is a folder of certificates named by host, HTTP.SYS's central
// certificate store. For the name www.example.com the files are
//
//	www.example.com.pem                         certificate, chain and key
//	www.example.com.crt, www.example.com.key    the same in two files
//
// and, if there is none, the same with _.example.com for all names one label
// below example.com. With ".ecdsa" or ".rsa" before the last part, there can be
// one for each kind of key. A file is read when the first client asks for its
// name.
type store struct {
	m        *Manager
	conf     config.SSLCert
	template *Binding // all but the certificate

	mu    sync.Mutex
	known map[string]*stored
}

// stored is what was found under one name.
type stored struct {
	built   *built
	err     error
	checked time.Time
}

const (
	storeCheck = 5 * time.Second // after which files are looked at again
	storeKnown = 1000            // certificates in memory; more are read again and again
	storeShown = 1000            // files that Show reads
)

func openStore(m *Manager, c *config.SSLCert, template *Binding) (*store, error) {
	info, err := os.Stat(c.Store)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the folder %s does not exist", c.Store)
	case err != nil:
		return nil, openError(c.Store, err)
	case !info.IsDir():
		return nil, fmt.Errorf("%s is not a folder", c.Store)
	case info.Mode().Perm()&0o002 != 0:
		return nil, fmt.Errorf("the folder %s can be written by others (mode %04o): run chmod o-w %s", c.Store, info.Mode().Perm(), c.Store)
	}
	return &store{m: m, conf: c.Clone(), template: template, known: map[string]*stored{}}, nil
}

// find returns the binding for a name, nil if there is no file for it.
func (s *store) find(name string, wait func(func()) bool) *Binding {
	// What is not a host name could be a path.
	if canonical, err := config.CanonicalName(name); err != nil || canonical != name {
		return nil
	}
	if b := s.get(name, wait); b != nil {
		return b
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		return s.get("_."+parent, wait)
	}
	return nil
}

// get returns the binding from the files of base.
func (s *store) get(base string, wait func(func()) bool) *Binding {
	now := s.m.opt.Now()
	s.mu.Lock()
	k := s.known[base]
	s.mu.Unlock()
	if k != nil && now.Sub(k.checked) < storeCheck {
		return k.binding()
	}
	found := make(chan *Binding, 1)
	if !wait(func() { found <- s.look(base, k, now) }) {
		return nil
	}
	return <-found
}

// look reads the files of base, of which k was known.
func (s *store) look(base string, k *stored, now time.Time) *Binding {
	files := s.files(base)
	if len(files) == 0 {
		s.forget(base)
		return nil
	}
	next := &stored{checked: now}
	if k != nil && k.built != nil && k.current(files, now) {
		next.built = k.built
	} else if b, err := s.load(base, files, now); err == nil {
		next.built = b
	} else {
		next.err = err
		if k != nil {
			next.built = k.built // better an old one than none
		}
		if k == nil || k.err == nil || k.err.Error() != err.Error() {
			s.m.opt.Log.Warn("certificate not usable", "binding", s.conf.Key(), "err", err)
		}
	}
	s.remember(base, next)
	return next.binding()
}

func (k *stored) binding() *Binding {
	if k.built == nil {
		return nil
	}
	return k.built.binding
}

// current tells whether k is still what files say.
func (k *stored) current(files []config.CertFiles, now time.Time) bool {
	var paths []string
	for _, p := range k.built.pairs {
		paths = append(paths, p.path)
	}
	for _, f := range files {
		if !slices.Contains(paths, f.Cert) {
			return false
		}
	}
	return len(files) == len(paths) && !k.built.stale(now)
}

// files lists what there is for base.
func (s *store) files(base string) []config.CertFiles {
	var all []config.CertFiles
	for _, kind := range []string{"", ".ecdsa", ".rsa"} {
		path := s.conf.Store + "/" + base + kind
		if _, err := os.Stat(path + ".pem"); err == nil {
			all = append(all, config.CertFiles{Cert: path + ".pem"})
		} else if _, err := os.Stat(path + ".crt"); err == nil {
			all = append(all, config.CertFiles{Cert: path + ".crt", Key: path + ".key"})
		}
	}
	return all
}

func (s *store) load(base string, files []config.CertFiles, now time.Time) (*built, error) {
	binding := *s.template
	binding.config = s.template.config.Clone()
	b := &built{binding: &binding}
	if err := b.read(files, now); err != nil {
		return nil, err
	}
	binding.config.SetSessionTicketKeys(s.m.tickets.keys(s.ticketID(base)))
	return b, nil
}

func (s *store) ticketID(base string) string { return s.template.ticketID() + " " + base }

func (s *store) remember(base string, k *stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.known[base]; !there && len(s.known) >= storeKnown {
		for victim := range s.known { // any will do
			delete(s.known, victim)
			break
		}
	}
	s.known[base] = k
}

func (s *store) forget(base string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, base)
}

// newTickets gives the certificates in memory new keys.
func (s *store) newTickets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for base, k := range s.known {
		if b := k.binding(); b != nil {
			b.config.SetSessionTicketKeys(s.m.tickets.keys(s.ticketID(base)))
		}
	}
}

// show reads the folder.
func (s *store) show(now time.Time) (certs []CertInfo, warns []string) {
	entries, err := os.ReadDir(s.conf.Store)
	if err != nil {
		return nil, []string{openError(s.conf.Store, err).Error()}
	}
	for _, e := range entries {
		base, pem := strings.CutSuffix(e.Name(), ".pem")
		crt := false
		if !pem {
			if base, crt = strings.CutSuffix(e.Name(), ".crt"); !crt {
				continue
			}
		}
		if len(certs) == storeShown {
			return certs, append(warns, fmt.Sprintf("only the first %d of the files are shown", storeShown))
		}
		path := s.conf.Store + "/" + base
		f := config.CertFiles{Cert: path + ".pem"}
		if crt {
			f = config.CertFiles{Cert: path + ".crt", Key: path + ".key"}
		}
		base = strings.TrimSuffix(strings.TrimSuffix(base, ".ecdsa"), ".rsa")
		name := strings.Replace(base, "_.", "*.", 1)
		if _, err := config.CanonicalName(strings.TrimPrefix(name, "*.")); err != nil {
			warns = append(warns, fmt.Sprintf("%s: the file is not named by a host", f.Cert))
			continue
		}
		p, err := readPair(f.Cert, f.Key, now)
		if err != nil {
			warns = append(warns, err.Error())
			continue
		}
		certs = append(certs, certInfo(p, name, now))
	}
	return certs, warns
}
