package server

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// machine is a Server with a store in memory, the real prefix table, an engine
// that remembers what it is told, and accounts that do not depend on where the
// tests run.
type machine struct {
	*Server
	t      *testing.T
	table  prefix.Table[string, *Reservation]
	saved  *config.State // what the next start would load
	saves  int
	broken error // what Save fails with
	limits []config.Limits
	listen []netip.Addr

	listenFails error // what SetListen fails with

	state *control.State
	certs *certs.Manager

	demands []prefix.Prefix
}

func (m *machine) Load() (*config.State, error) { return m.saved.Clone(), nil }

func (m *machine) Save(s *config.State) error {
	if m.broken != nil {
		return m.broken
	}
	m.saves++
	m.saved = s.Clone()
	return nil
}

func (m *machine) ServiceState() (*control.State, error) {
	if m.state == nil {
		return nil, errors.New("the loops are gone")
	}
	return m.state, nil
}
func (m *machine) CacheState(p control.CacheStateParams, sees func(uid uint32) bool) (*control.CacheState, *channel.Error) {
	st := &control.CacheState{Entries: []control.CacheEntry{}, Prefix: []control.CachePrefix{}, Limit: 1 << 20}
	for _, uid := range []uint32{0, 1001, 1002} { // each has one entry
		if sees(uid) {
			st.Count++
		} else {
			st.Hidden++
		}
	}
	return st, nil
}
func (m *machine) DeleteCache(p control.DeleteCacheParams) (int, *channel.Error) { return 3, nil }
func (m *machine) Reservations() Reservations                                    { return &m.table }
func (m *machine) Certificates() Certificates                                    { return m.certs }
func (m *machine) SetLimits(l config.Limits)                                     { m.limits = append(m.limits, l) }
func (m *machine) SetListen(list []netip.Addr) error {
	if m.listenFails != nil {
		return m.listenFails
	}
	m.listen = list
	return nil
}
func (m *machine) SetDemands(all []prefix.Prefix) error {
	m.demands = all
	return nil
}

// The accounts of the tests. Group numbers are 100 + the number of their member.
var (
	root    = Peer{}
	service = Peer{UID: 2, GID: 2} // the daemon's own user
	alice   = Peer{UID: 1001, GID: 1001}
	bob     = Peer{UID: 1002, GID: 1002, Groups: func() []uint32 { return []uint32{33} }}
	carol   = Peer{UID: 1003, GID: 33}
	nobody  = Peer{UID: 65534, GID: 65534}
)

var (
	users  = map[string]string{"root": "0", "service": "2", "alice": "1001", "bob": "1002", "carol": "1003"}
	groups = map[string]string{"www": "33", "alice": "1001"}
)

// fakeAccounts replaces the accounts of the machine for one test.
func fakeAccounts(t *testing.T, users, groups map[string]string) {
	oldUser, oldGroup, oldUID := lookupUser, lookupGroup, lookupUID
	t.Cleanup(func() { lookupUser, lookupGroup, lookupUID = oldUser, oldGroup, oldUID })
	look := func(m map[string]string) func(string) (string, error) {
		return func(name string) (string, error) {
			if n, ok := m[name]; ok {
				return n, nil
			}
			return "", errors.New("unknown account " + strconv.Quote(name))
		}
	}
	names := make(map[string]string)
	for n, id := range users {
		names[id] = n
	}
	lookupUser, lookupGroup, lookupUID = look(users), look(groups), look(names)
}

func newMachine(t *testing.T, state *config.State) *machine {
	t.Helper()
	fakeAccounts(t, users, groups)
	m := &machine{t: t, saved: state}
	m.start()
	return m
}

// start starts the daemon (anew): what was not saved is gone.
func (m *machine) start() {
	m.t.Helper()
	m.table = prefix.Table[string, *Reservation]{}
	m.limits = nil
	m.certs = certs.New(certs.Options{Authority: localca.Open(m.t.TempDir(), time.Now)})
	s, err := New(m, m)
	if err != nil {
		m.t.Fatal(err)
	}
	s.owner = service.UID
	m.Server = s
}

func empty() *config.State { return &config.State{Version: config.Version} }

// call makes a call with params as JSON.
func (m *machine) call(peer Peer, method, params string) (string, *channel.Error) {
	m.t.Helper()
	result, fault := m.Call(peer, method, json.RawMessage(params))
	if fault != nil {
		if result != nil {
			m.t.Errorf("%s %s: a result and an error", method, params)
		}
		return "", fault
	}
	text, err := json.Marshal(result)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text), nil
}

func (m *machine) must(peer Peer, method, params string) string {
	m.t.Helper()
	text, fault := m.call(peer, method, params)
	if fault != nil {
		m.t.Fatalf("%s %s: %v", method, params, fault)
	}
	return text
}

func (m *machine) wantFault(peer Peer, method, params string, code channel.Code, message string) {
	m.t.Helper()
	text, fault := m.call(peer, method, params)
	switch {
	case fault == nil:
		m.t.Errorf("%s %s by %s: got %s, want %s", method, params, peer, text, message)
	case fault.Code != code || fault.Message != message:
		m.t.Errorf("%s %s by %s:\n got %s: %s\nwant %s: %s", method, params, peer, fault.Code, fault.Message, code, message)
	}
}

func parseURL(t *testing.T, url string) prefix.Prefix {
	t.Helper()
	p, err := prefix.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
