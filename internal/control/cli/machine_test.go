package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/certs"
	"github.com/httpsys/httpsys/internal/certs/localca"
	"github.com/httpsys/httpsys/internal/config"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/control/server"
	"github.com/httpsys/httpsys/internal/prefix"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// machine is the control side of a daemon without the rest: a socket, a
// configuration in a folder, and a snapshot that the test makes up.
type machine struct {
	t      testing.TB
	socket string
	server *server.Server
	table  prefix.Table[string, *server.Reservation]
	state  *control.State
	certs  exampleCerts

	mu    sync.Mutex
	calls []channel.CallMessage // in the order in which they came
}

func (m *machine) ServiceState() (*control.State, error) {
	copied := *m.state
	return &copied, nil
}
func (m *machine) Reservations() server.Reservations { return &m.table }
func (m *machine) SetDemands([]prefix.Prefix) error  { return nil }

func (m *machine) SetLimits(config.Limits) {}

func (m *machine) SetListen([]netip.Addr) error { return nil }

func (m *machine) CacheState(p control.CacheStateParams, _ func(uint32) bool) (*control.CacheState, *channel.Error) {
	st := &control.CacheState{
		Size: 15830, Limit: 1 << 30, Count: 3, Evicted: 0, Refused: 0,
		Entries: []control.CacheEntry{
			{
				URL: "http://localhost:8080/shop/", Status: 200, Policy: control.PolicyTTL, Size: 12840, Cost: 13651, AgeS: 12, ExpiresS: 48,
				Hits: 1024, Queue: "shop", Prefix: "http://+:8080/shop/", ContentType: "text/html", Vary: "Accept-Language",
				ETag: "\"v1\"", Tags: []string{"shop", "front"},
			},
			{
				URL: "http://localhost:8080/shop/logo.svg", Status: 200, Policy: control.PolicyUser, Own: true, Size: 512, Cost: 1060, AgeS: 300,
				Hits: 7, Queue: "shop", Prefix: "http://+:8080/shop/", ContentType: "image/svg+xml", Tags: []string{},
			},
			{
				URL: "http://+:8080/shop/menu", Fragment: true, Policy: control.PolicyUser, Size: 520, Cost: 1119, AgeS: 300,
				Hits: 12, Queue: "shop", Prefix: "http://+:8080/shop/", Tags: []string{"navigation"},
			},
		},
		Prefix: []control.CachePrefix{{URL: "http://+:8080/shop/", Queue: "shop", Entries: 3, Bytes: 15830, Hits: 1031, Misses: 5, Stored: 5, Flushed: 1, Fragments: 1, Pieces: 12}},
	}
	return st, nil
}

func (m *machine) DeleteCache(control.DeleteCacheParams) (int, *channel.Error) { return 2, nil }
func (m *machine) Certificates() server.Certificates                           { return &m.certs }

// exampleCerts are bindings whose files exist nowhere.
type exampleCerts struct{ bound []config.SSLCert }

func (e *exampleCerts) Check(c *config.SSLCert) ([]string, error) { return nil, c.Check() }
func (e *exampleCerts) Set(all []config.SSLCert)                  { e.bound = all }

func (e *exampleCerts) Offers() []certs.OfferInfo {
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return []certs.OfferInfo{{
		HostnamePort: "shop.localhost:8443", Registration: 3,
		Certificates: []certs.CertInfo{{
			Subject: "CN=shop.localhost", Names: []string{"shop.localhost"}, Issuer: "CN=shop.localhost", Serial: "1",
			Key: "ECDSA P-256", Fingerprint: strings.TrimSuffix(strings.Repeat("0B:", 32), ":"), Thumbprint: strings.Repeat("0b", 20),
			NotBefore: from, NotAfter: from.AddDate(1, 0, 0), Chain: 1,
		}},
	}}
}

func (e *exampleCerts) Show() []certs.Info {
	var all []certs.Info
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range e.bound {
		i := certs.Info{SSLCert: c.Clone()}
		for n := range max(1, len(c.Certs)) {
			info := certs.CertInfo{
				Subject: "CN=www.example.com", Names: []string{"www.example.com", "example.com"}, Issuer: "CN=R11,O=Let's Encrypt,C=US", Serial: "4f1d",
				Key: []string{"ECDSA P-256", "RSA 2048"}[n], Fingerprint: strings.TrimSuffix(strings.Repeat("0A:", 32), ":"), Thumbprint: strings.Repeat("0a", 20),
				NotBefore: from, NotAfter: from.AddDate(0, 3, 0), Chain: 2,
			}
			if n < len(c.Certs) {
				info.Path = c.Certs[n].Cert
			}
			i.Certificates = append(i.Certificates, info)
		}
		if len(c.Certs) == 1 {
			i.Certificates[0].Stapled = true
			i.Warnings = []string{c.Certs[0].Cert + ": it expires in 12 days, on 2026-06-01"}
		}
		all = append(all, i)
	}
	return all
}

func (e *exampleCerts) CA() (localca.Info, error) {
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return localca.Info{
		Path: "/var/lib/httpsys/ca/ca.pem", Subject: "CN=httpsys on web1,O=httpsys development authority",
		Fingerprint: strings.TrimSuffix(strings.Repeat("0B:", 32), ":"), NotBefore: from, NotAfter: from.AddDate(10, 0, 0),
		PEM: "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n",
	}, nil
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	// Names of Unix sockets are short, so the test's own folder will not do.
	dir, err := os.MkdirTemp("", "httpsys")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	store, err := config.OpenFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	m := &machine{t: t, socket: filepath.Join(dir, "s"), state: exampleState()}
	if m.server, err = server.New(store, m); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", m.socket)
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	t.Cleanup(sessions.Wait)
	t.Cleanup(func() { l.Close() })
	sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { m.serve(c) })
		}
	})
	return m
}

func (m *machine) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var head [channel.HeaderSize]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		h, err := channel.ParseHeader(head[:])
		if err != nil {
			m.t.Error(err)
			return
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		if h.Type == channel.Hello {
			welcome, _ := json.Marshal(channel.WelcomeMessage{Protocol: channel.Version})
			c.Write(channel.AppendFrame(nil, channel.Welcome, 0, 0, 0, welcome))
			continue
		}
		var call channel.CallMessage
		if err := json.Unmarshal(payload, &call); err != nil {
			m.t.Error(err)
			return
		}
		m.mu.Lock()
		m.calls = append(m.calls, call)
		m.mu.Unlock()
		result, fault := m.server.Call(server.Peer{UID: uint32(os.Geteuid())}, call.Method, call.Params)
		reply := channel.ReplyMessage{Error: fault}
		if fault == nil {
			reply.Result, _ = json.Marshal(result)
		}
		text, _ := json.Marshal(reply)
		c.Write(channel.AppendReply(nil, h.Stream, text))
	}
}

// lastCall is what the daemon was asked last.
func (m *machine) lastCall() channel.CallMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[len(m.calls)-1]
}

// run executes a command line.
func (m *machine) run(args ...string) (stdout, stderr string, status int) {
	return runCommand(append([]string{"--socket", m.socket}, args...)...)
}

func runCommand(args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	p := Program{Stdout: &out, Stderr: &errs, Serve: func(_ context.Context, o ServeOptions) error {
		_, err := io.WriteString(&out, "serve "+o.Socket+" "+o.Data+"\n")
		return err
	}}
	status = p.Run(context.Background(), args)
	return out.String(), errs.String(), status
}

// words splits a command line of a test; no argument of theirs has a blank.
func words(line string) []string { return strings.Fields(line) }

func exampleState() *control.State {
	return &control.State{
		Queues: []control.Queue{
			{
				Name: "shop", Owner: "alice", OwnerUID: 1000, State: control.Active, Length: 3, Limit: 1000, MaxAgeMS: 120000, Relaying: 2, OpaqueLimit: 65535,
				Prefixes: []string{"http://+:8080/shop/", "http://+:8080/cart/"},
				Cache: []control.CachePrefix{
					{URL: "http://+:8080/shop/", Queue: "shop", Entries: 3, Bytes: 15830, Hits: 1031, Misses: 5, Stored: 5, Flushed: 1, Fragments: 1, Pieces: 12},
					{URL: "http://+:8080/cart/", Queue: "shop"},
				},
				Workers: []control.Worker{
					{PID: 4711, User: "alice", UID: 1000, Program: "shop", Inflight: 16, Session: 1},
					{PID: 4712, User: "alice", UID: 1000, Program: "shop", Inflight: 15, Session: 2},
				},
				Counters: control.Counters{Requests: 98765, Rejected: 4, Cancelled: 3, OldestMS: 250, Expired: 1},
			},
			{
				Name: "private:3", Owner: "bob", OwnerUID: 1001, State: control.Active, Limit: 1000, MaxAgeMS: 120000, OpaqueLimit: 65535, Private: true,
				Prefixes: []string{"http://+:8080/blog/"},
				Workers:  []control.Worker{{PID: 4800, User: "bob", UID: 1001, Session: 3}},
				Counters: control.Counters{Requests: 12},
			},
		},
		Ports:     []int{8080},
		Listeners: []control.Listener{{Port: 8080, Scheme: "http", Addresses: []string{"0.0.0.0", "::"}, Connections: 64}},
		Sessions: []control.Session{
			{ID: 1, PID: 4711, UID: 1000, User: "alice", Program: "shop", URLs: []control.Registration{
				{ID: 1, URL: "http://+:8080/shop/", Queue: "shop"}, {ID: 2, URL: "http://+:8080/cart/", Queue: "shop"}}},
			{ID: 2, PID: 4712, UID: 1000, User: "alice", Program: "shop", URLs: []control.Registration{
				{ID: 1, URL: "http://+:8080/shop/", Queue: "shop"}}},
			{ID: 3, PID: 4800, UID: 1001, User: "bob", URLs: []control.Registration{{ID: 3, URL: "http://+:8080/blog/", Queue: "private:3"}}},
			{ID: 9, PID: 5000, User: "root", Program: "httpsys command"},
		},
		Daemon: control.Daemon{Version: control.Version, PID: 812, UptimeMS: 3600000, Loops: 2},
	}
}
