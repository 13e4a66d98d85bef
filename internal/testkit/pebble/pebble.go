// Package pebble runs Pebble, the test server of Let's Encrypt, on this
// machine: an ACME authority that checks names as the real ones do, in a world
// where every name is 127.0.0.1.
package pebble

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// version is what is built: the tool is not a dependency of the product.
const version = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"

// Server is a running Pebble.
type Server struct {
	Directory string // URL
	Root      string // file with the authority of the directory's own certificate
}

// Options of a Server.
type Options struct {
	HTTPPort, TLSPort int           // where it checks names
	Validity          time.Duration // of the certificates that it issues
}

// executable builds Pebble, once a machine.
var executable = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "httpsys-test", strings.NewReplacer("/", "_", "@", "_").Replace(version))
	path := filepath.Join(dir, "pebble")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "install", version)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-buildvcs=false")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pebble cannot be built: %w\n%s", err, out)
	}
	return path, nil
})

// Start starts a Server that ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root := pki.Root(t, "Authority of the directory")
	cert, key := pki.Issue(t, root, "directory", pki.Names("127.0.0.1")).Files(t, dir, "directory")
	listen, management := free(t), free(t)
	conf := map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": management,
		"certificate": cert, "privateKey": key, "httpPort": o.HTTPPort, "tlsPort": o.TLSPort,
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "all", "validityPeriod": int(o.Validity.Seconds())}},
	}}
	data, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-config", pki.Write(t, dir, "pebble.json", data), "-dnsserver", dns(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=5")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		said := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if !said && strings.Contains(lines.Text(), "Listening on") {
				said = true
				close(ready)
			}
		}
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	select {
	case <-ready:
	case <-done:
		t.Fatal("pebble ended at once")
	}
	return &Server{Directory: "https://" + listen + "/dir", Root: pki.Write(t, dir, "root.pem", pki.PEM(root.Certificate))}
}

func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dns answers every question for an address with 127.0.0.1, over TCP as Pebble
// asks, and returns where.
func dns(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for answer(c) == nil {
				}
			}()
		}
	}()
	return l.Addr().String()
}

// answer reads a question and answers it; both have their length before them
// (RFC 1035 4.2.2).
func answer(c net.Conn) error {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		return err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
	return err
}
