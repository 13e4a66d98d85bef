// Package server answers the administration calls of the daemon and decides
// who may do what.
//
// A Server owns the configuration: it loads it when the daemon starts, applies
// it (reservations to the prefix table, numbers to the engine), and from then on
// every change goes through Call, which saves it before it takes effect. MayRegister
// is the other door: the daemon asks it before an application gets a prefix.
//
// Read Server first. rights.go has the two questions, who may register and who
// may reserve; accounts.go finds out whether a grant means a caller; urlacl.go,
// sslcert.go, clientcert.go and numbers.go are the calls. Sockets, frames and sessions are elsewhere: a call comes
// in as a method name, parameters, and a Peer that the kernel vouches for.
package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"

	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// Peer is who calls: what the kernel says about the other end of a socket.
type Peer struct {
	UID, GID uint32
	PID      int32
	// Groups returns the supplementary groups; it is only called where they
	// matter. nil: none.
	Groups func() []uint32
}

// Engine is what administration asks of the daemon.
type Engine interface {
	// ServiceState takes a snapshot. The Server adds the timeouts to it.
	ServiceState() (*control.State, error)
	// Reservations is the table in which requests and registrations look for
	// reservations; a *prefix.Table[V, *Reservation] is one.
	Reservations() Reservations
	// CacheState lists what is stored at or below a URL, or all; DeleteCache
	// removes it and says how many responses that were. What is wrong with the
	// parameters is for the caller.
	CacheState(p control.CacheStateParams, sees func(uid uint32) bool) (*control.CacheState, *channel.Error)
	DeleteCache(control.DeleteCacheParams) (int, *channel.Error)
	// SetLimits tells all machine-wide numbers, once at the start and then
	// whenever one of them has changed.
	SetLimits(config.Limits)
	// SetListen tells the listen list, at the start and before it changes. If a
	// port that is open cannot be opened so, nothing changes.
	SetListen([]netip.Addr) error
	// SetDemands tells below which URL prefixes clients need a trusted
	// certificate, for requests that come from now on.
	SetDemands([]prefix.Prefix) error
	// Certificates are the bindings in use; a *certs.Manager is one.
	Certificates() Certificates
}

// Certificates are the certificate bindings of a daemon.
type Certificates interface {
	// Check says whether a binding could be used now: files are read.
	Check(*config.SSLCert) (warnings []string, err error)
	// Set replaces all bindings, for connections that come from now on.
	Set([]config.SSLCert)
	Show() []certs.Info
	// Offers are the certificates that programs have brought.
	Offers() []certs.OfferInfo
	// CA describes the authority of this machine.
	CA() (localca.Info, error)
}

// Reservations are the reservations of a prefix table, where it is decided
// which of them covers a prefix.
type Reservations interface {
	Reserve(p prefix.Prefix, r *Reservation) error
	Unreserve(p prefix.Prefix) (r *Reservation, ok bool)
	// Reservation finds the longest that is p or above it, Parent the longest above it.
	Reservation(p prefix.Prefix) (at prefix.Prefix, r *Reservation, ok bool)
	Parent(p prefix.Prefix) (at prefix.Prefix, r *Reservation, ok bool)
}

// Reservation is what the table keeps with a reserved prefix. Only the Server
// looks inside.
type Reservation struct {
	grants []config.Grant
}

// Server is safe for concurrent use.
type Server struct {
	store  config.Store
	engine Engine
	table  Reservations
	owner  uint32 // the daemon's own user, an administrator like root

	mu    sync.Mutex // also keeps the table and state the same
	state *config.State
}

// New loads the configuration and applies it. An error names what in the
// configuration cannot be used; the configuration stays as it is.
func New(store config.Store, engine Engine) (*Server, error) {
	state, err := store.Load()
	if err != nil {
		return nil, err
	}
	s := &Server{store: store, engine: engine, table: engine.Reservations(), owner: uint32(os.Geteuid()), state: state}
	for i := range state.URLACL {
		entry := &state.URLACL[i]
		p, err := prefix.Parse(entry.URL)
		if err == nil {
			err = s.table.Reserve(p, &Reservation{grants: entry.Grants})
		}
		if conflict := (*prefix.Error)(nil); errors.As(err, &conflict) {
			err = conflict.Err // the rest is said already
		}
		if err != nil {
			return nil, fmt.Errorf("configuration: reservation %s: %w", entry.URL, err)
		}
		// From here on the canonical text is the key; the next Save writes it.
		entry.URL = p.String()
	}
	if err := s.applyClientCerts(state); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	engine.SetLimits(state.Limits())
	if err := engine.SetListen(state.Limits().IPListen); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	// A binding whose files are gone must not keep a machine from serving the
	// others.
	engine.Certificates().Set(state.SSLCert)
	return s, nil
}

// Limits returns the numbers that are in force.
func (s *Server) Limits() config.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Limits()
}

// Call answers one call. result is a value for encoding/json.
func (s *Server) Call(peer Peer, method string, params json.RawMessage) (result any, err *channel.Error) {
	m, ok := methods[method]
	if !ok {
		return nil, errorf(channel.Unsupported, "this httpsys has no method %q", shorten(method))
	}
	if m.admin && !s.administrator(peer) {
		return nil, errorf(channel.AccessDenied, "only an administrator (%s) may do this: %s", s.administrators(), method)
	}
	return m.call(s, peer, params)
}

// Methods tells whether method is one of administration, so that the daemon
// knows which calls to pass on.
func Methods(method string) bool {
	_, ok := methods[method]
	return ok
}

type method struct {
	admin bool // for administrators only; the others check rights by themselves, or need none
	call  func(*Server, Peer, json.RawMessage) (any, *channel.Error)
}

var methods = map[string]method{
	control.AddURLACL:    {call: with((*Server).addURLACL)},
	control.UpdateURLACL: {call: with((*Server).updateURLACL)},
	control.DeleteURLACL: {call: with((*Server).deleteURLACL)},
	control.ShowURLACL:   {call: with((*Server).showURLACL)},

	control.AddTimeout:    {admin: true, call: with(timeouts.set)},
	control.DeleteTimeout: {admin: true, call: with(timeouts.reset)},
	control.ShowTimeout:   {call: with((*Server).showTimeout)},

	control.AddSetting:    {admin: true, call: with(settings.set)},
	control.DeleteSetting: {admin: true, call: with(settings.reset)},
	control.ShowSetting:   {call: with((*Server).showSetting)},

	control.AddCacheParam:    {admin: true, call: with(cacheParams.set)},
	control.DeleteCacheParam: {admin: true, call: with(cacheParams.reset)},
	control.ShowCacheParam:   {call: with((*Server).showCacheParam)},
	control.ShowCacheState:   {call: with((*Server).showCacheState)},
	control.DeleteCache:      {admin: true, call: with((*Server).deleteCache)},

	control.AddIPListen:    {admin: true, call: with((*Server).addIPListen)},
	control.DeleteIPListen: {admin: true, call: with((*Server).deleteIPListen)},
	control.ShowIPListen:   {call: with((*Server).showIPListen)},

	control.AddSSLCert:    {admin: true, call: with((*Server).addSSLCert)},
	control.UpdateSSLCert: {admin: true, call: with((*Server).updateSSLCert)},
	control.DeleteSSLCert: {admin: true, call: with((*Server).deleteSSLCert)},
	control.ShowSSLCert:   {call: with((*Server).showSSLCert)},
	control.ShowCA:        {call: with((*Server).showCA)},

	control.AddClientCert:    {admin: true, call: with((*Server).addClientCert)},
	control.DeleteClientCert: {admin: true, call: with((*Server).deleteClientCert)},
	control.ShowClientCert:   {call: with((*Server).showClientCert)},

	control.ShowServiceState: {call: with((*Server).showServiceState)},
	control.Dump:             {call: with((*Server).dump)},
}

// with reads the parameters of a call. Unknown members are refused: a
// restriction that a later version knows must not silently be none here.
func with[P any](f func(*Server, Peer, *P) (any, *channel.Error)) func(*Server, Peer, json.RawMessage) (any, *channel.Error) {
	return func(s *Server, peer Peer, raw json.RawMessage) (any, *channel.Error) {
		p := new(P)
		if len(raw) > 0 {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.DisallowUnknownFields()
			if err := d.Decode(p); err != nil {
				return nil, errorf(channel.InvalidParameter, "the parameters of the call are wrong: %s", plain(err))
			}
			if _, err := d.Token(); err != io.EOF {
				return nil, errorf(channel.InvalidParameter, "the parameters of the call are wrong: more than one value")
			}
		}
		return f(s, peer, p)
	}
}

func plain(err error) string {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) && typ.Field != "" {
		return fmt.Sprintf("%s cannot be a JSON %s", typ.Field, typ.Value)
	}
	return shorten(err.Error())
}

// change saves the state that edit makes of the present one, and then makes it
// the present one. s.mu is held.
func (s *Server) change(edit func(*config.State) *channel.Error) *channel.Error {
	next := s.state.Clone()
	if fault := edit(next); fault != nil {
		return fault
	}
	if err := next.Check(); err != nil {
		return errorf(channel.InvalidParameter, "%s", err)
	}
	if err := s.store.Save(next); err != nil {
		return errorf(channel.Internal, "nothing was changed: %s", err)
	}
	s.state = next
	return nil
}

func (s *Server) showServiceState(_ Peer, _ *control.Empty) (any, *channel.Error) {
	// Not under s.mu: the snapshot asks every loop and takes its time.
	st, err := s.engine.ServiceState()
	if err != nil {
		return nil, errorf(channel.Internal, "no snapshot of the service: %s", err)
	}
	st.Normalize()
	st.Timeouts = make(map[string]int64)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range numbers(config.Timeouts, s.state.Timeouts) {
		st.Timeouts[n.Name] = n.Value
	}
	return st, nil
}

func (s *Server) dump(_ Peer, _ *control.Empty) (any, *channel.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return control.DumpResult{State: s.state.Clone()}, nil
}

func errorf(code channel.Code, format string, args ...any) *channel.Error {
	return &channel.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// shorten keeps what a caller sent from filling a log or a terminal.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
