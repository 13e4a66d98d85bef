package certs

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// Session tickets are sealed with keys that only this process knows. A key is
// used for rotation, and tickets of the last keep keys are accepted, so what a
// thief of the present keys can decrypt goes back no further than that.
const (
	ticketRotation = 8 * time.Hour
	ticketKeep     = 3
)

// tickets makes the keys of all bindings. Each binding has its own: a session
// that was agreed on for one name, with its rules for client certificates, must
// not be resumed under another.
type tickets struct {
	mu      sync.Mutex
	secrets [][32]byte // the newest first
	made    time.Time
}

// rotate makes a new secret if it is time, and tells whether it did.
func (t *tickets) rotate(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.secrets) > 0 && now.Sub(t.made) < ticketRotation {
		return false
	}
	var s [32]byte
	rand.Read(s[:])
	t.secrets = append([][32]byte{s}, t.secrets[:min(len(t.secrets), ticketKeep-1)]...)
	t.made = now
	return true
}

// keys are for the binding id.
func (t *tickets) keys(id string) [][32]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all [][32]byte
	for _, s := range t.secrets {
		k, err := hkdf.Key(sha256.New, s[:], nil, "httpsys session ticket: "+id, 32)
		if err != nil {
			panic(err) // only for lengths that are not possible
		}
		all = append(all, [32]byte(k))
	}
	return all
}
