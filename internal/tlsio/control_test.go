package tlsio

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// writer makes the records of a client of TLS 1.3, also those that no client
// would send. It takes over after the handshake.
type writer struct {
	raw    net.Conn
	secret []byte
	n      uint64
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446 7.1).
func expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(append(append(info, byte(len(label))), label...), 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), size)
	if err != nil {
		panic(err)
	}
	return out
}

func (w *writer) write(typ byte, content []byte) {
	block, err := aes.NewCipher(expand(w.secret, "key", 16))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := expand(w.secret, "iv", 12)
	for i := range 8 {
		nonce[4+i] ^= byte(w.n >> (56 - 8*i))
	}
	w.n++
	inner := append(bytes.Clone(content), typ)
	header := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(inner)+aead.Overhead()))
	w.raw.Write(aead.Seal(header, nonce, inner, header))
}

// update sends a KeyUpdate that asks for one in return (RFC 8446 4.6.3).
func (w *writer) update() {
	w.write(22, []byte{24, 0, 0, 1, 1})
	w.secret, w.n = expand(w.secret, "traffic upd", 32), 0
}

// crafted returns a connection whose client is a writer.
func crafted(t *testing.T) (*side, *writer) {
	t.Helper()
	config := clientConfig()
	var keys bytes.Buffer
	config.KeyLogWriter = &keys
	x, client := established(t, newServer(t, Limits{}, serverConfig()), config)
	if suite := x.State().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("agreed on %s", tls.CipherSuiteName(suite))
	}
	for line := range strings.Lines(keys.String()) {
		if f := strings.Fields(line); f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			return x, &writer{raw: client.NetConn(), secret: secret}
		}
	}
	t.Fatal("the client has no traffic secret")
	return nil, nil
}

// Key updates in the stream of data are answered.
func TestKeyUpdate(t *testing.T) {
	x, w := crafted(t)
	b := make([]byte, 64<<10)
	var got []byte
	for i := range 5 {
		w.write(23, fmt.Append(nil, i))
		w.update()
		w.write(23, []byte(";"))
		for !bytes.HasSuffix(got, []byte(";")) || len(got) < 2*(i+1) {
			n, err := x.read(b)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b[:n]...)
		}
		if !x.HasControl() {
			t.Fatal("no answer to the key update")
		}
		if out := x.Control(nil); len(out) == 0 || x.HasControl() {
			t.Errorf("%d bytes, more: %v", len(out), x.HasControl())
		}
	}
	if string(got) != "0;1;2;3;4;" {
		t.Errorf("got %q", got)
	}
}

// What Read made us send goes before what is sealed later.
func TestControlBeforeData(t *testing.T) {
	x, w := crafted(t)
	w.update()
	w.write(23, []byte("x"))
	x.read(make([]byte, 100))
	control := len(x.Conn.t.out)
	if control == 0 {
		t.Fatal("no answer to the key update")
	}
	if b := x.seal([]byte("data")); len(b) <= control || x.HasControl() {
		t.Errorf("%d bytes with %d of control, more: %v", len(b), control, x.HasControl())
	}
}

// A client that makes us write for nothing is stopped, also if it sends a
// byte of data now and then, and never reads.
func TestKeyUpdateFlood(t *testing.T) {
	x, w := crafted(t)
	go func() {
		for range 10_000 {
			w.update()
			w.write(23, []byte("x"))
		}
	}()
	b := make([]byte, 64<<10)
	sent := 0
	for {
		_, err := x.read(b)
		sent += len(x.Control(nil))
		if err != nil {
			if err != ErrControlFlood {
				t.Error(err)
			}
			break
		}
	}
	if sent > 2*controlFree {
		t.Errorf("%d bytes were sent for nothing", sent)
	}
}

// Empty records are ignored, but not for ever.
func TestEmptyRecords(t *testing.T) {
	x, w := crafted(t)
	go func() {
		for range 100 {
			w.write(23, nil)
		}
	}()
	if n, err := x.read(make([]byte, 100)); n != 0 || err == nil || !strings.Contains(err.Error(), "ignored records") {
		t.Errorf("%d, %v", n, err)
	}
}

// A client that wants to renegotiate (TLS 1.2) is refused with an alert.
func TestRenegotiation(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("this test needs the openssl command: ", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cmd := exec.Command(openssl, "s_client", "-connect", ln.Addr().String(), "-tls1_2", "-legacy_renegotiation", "-msg")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	// A tunnel to a pair of sockets, so that the rest is as in other tests.
	x, raw := serve(t, newServer(t, Limits{}, serverConfig()))
	go io.Copy(raw, nc)
	go func() {
		io.Copy(nc, raw)
		nc.Close()
	}()
	if err := x.outcome(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(stdin, "R\n")
	_, err = x.read(make([]byte, 100))
	if err == nil {
		t.Error("a renegotiation was accepted")
	}
	if !x.HasControl() {
		t.Errorf("no alert: %v", err)
	}
	x.send(x.Control(nil))
	raw.Close()
	stdin.Close()
	cmd.Wait()
	if !strings.Contains(out.String(), "Alert") {
		t.Errorf("the client has not seen an alert:\n%s", &out)
	}
}
