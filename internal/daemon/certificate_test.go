package daemon_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/testkit/pki"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// shown is the name of the certificate that a client gets, or the alert.
func shown(t *testing.T, r *testkit.Registration, name string) string {
	t.Helper()
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.Port), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return strings.TrimPrefix(err.Error(), "remote error: tls: ")
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func certificate(t *testing.T, root *pki.Cert, name string) *channel.Certificate {
	c := pki.Issue(t, root, name)
	return &channel.Certificate{PEM: []string{string(pki.PEM(c.Certificate)) + string(pki.KeyPEM(t, c.Key))}}
}

// A program's certificate lives as long as what the program has registered.
func TestCertificateOfProgram(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	root := pki.Root(t, "Root")
	a := d.App(testkit.AppOptions{})
	r := a.RegisterWith(channel.RegisterParams{URL: "https://a.example:0/", Queue: "a", Certificate: certificate(t, root, "first")})
	want := func(name, want string) {
		t.Helper()
		if got := shown(t, r, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	want("a.example", "first")
	want("b.example", "unrecognized name")

	// Another process of the queue comes with a new one, and goes again.
	b := d.App(testkit.AppOptions{})
	b.RegisterWith(channel.RegisterParams{URL: r.URL, Queue: "a", Certificate: certificate(t, root, "second")})
	want("a.example", "second")
	b.Close()
	d.Wait("the end of a process", func(st *control.State) bool { return len(st.Sessions) == 1 })
	want("a.example", "first")

	// A program replaces its own.
	again := a.RegisterWith(channel.RegisterParams{URL: r.URL, Queue: "a", Certificate: certificate(t, root, "third")})
	want("a.example", "third")
	a.Unregister(again)
	want("a.example", "third") // it was registered twice

	// Other prefixes of the host do not change it.
	other := d.App(testkit.AppOptions{})
	other.RegisterWith(channel.RegisterParams{URL: r.URL + "below/", Certificate: certificate(t, root, "other")})
	want("a.example", "third")
	a.Unregister(r)
	want("a.example", "other")
	a.Close()
	want("a.example", "other")
	other.Close()
}

func TestCertificateRefused(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	root := pki.Root(t, "Root")
	a := d.App(testkit.AppOptions{})
	for _, test := range []struct {
		url, want string
		c         *channel.Certificate
	}{
		{"http://+:0/", "which only an https prefix can use", certificate(t, root, "a")},
		{"https://+:0/", "0 certificates for one prefix", &channel.Certificate{}},
		{"https://+:0/", "has no certificate in PEM", &channel.Certificate{PEM: []string{"x"}}},
	} {
		_, refusal := a.TryRegister(channel.RegisterParams{URL: test.url, Certificate: test.c})
		if refusal == nil || refusal.Code != channel.InvalidParameter || !strings.Contains(refusal.Message, test.want) {
			t.Errorf("%s: %v, want %s", test.url, refusal, test.want)
		}
	}
	if st := d.State(); len(st.Queues) > 0 || len(st.Ports) > 0 {
		t.Errorf("something is left: %+v", st)
	}
}

// What a Go program has to write.
func TestServerCertificates(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	root := pki.Root(t, "Root")
	srv := &httpsys.Server{
		Prefixes: []string{"https://localhost:0/"}, Socket: d.Socket,
		Certificates: []tls.Certificate{pki.Issue(t, root, "localhost", pki.Names("localhost")).TLS()},
		Handler:      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.Background()) }()
	<-srv.Registered()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pki.Pool(root)}, ForceAttemptHTTP2: true}
	resp, err := (&http.Client{Transport: transport}).Get(srv.URLs()[0])
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "hello" || resp.ProtoMajor != 2 || err != nil {
		t.Errorf("%s, %q, %v", resp.Proto, body, err)
	}
	transport.CloseIdleConnections()
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != httpsys.ErrServerClosed {
		t.Error(err)
	}
}
