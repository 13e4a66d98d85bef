//lint:file-ignore SA1019 the Transport of this package is a peer of its own, whatever net/http uses

package daemon_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
)

// Clients and a program of random behaviour on few connections: whoever is
// answered in full is answered with what is his, also while others around him are reset, cancelled and
// cut, and at the end nothing is left. Streams and exchanges are used again and again meanwhile.
func TestHTTP2RandomBehaviour(t *testing.T) {
	const clients, requests = 8, 250
	d := testkit.Start(t, testkit.Options{Loops: 2, Config: `{"version":1,"settings":{"http2maxclientresetsperminute":65535}}`})
	app := d.App(testkit.AppOptions{Credit: 200})
	reg := app.Register("http://+:0/")
	var mu sync.Mutex // of the program's dice
	dice := rand.New(rand.NewPCG(1, 2))
	app.ServeRequests(func(r *testkit.Request) {
		mu.Lock()
		kind, size := dice.IntN(10), dice.IntN(30_000)
		mu.Unlock()
		name := strings.TrimPrefix(r.Target, "/")
		body := strings.Repeat(name+".", size/(len(name)+1)+1)
		length := []string{fmt.Sprintf("Content-Length: %d", len(body))}
		switch {
		case kind == 0:
			r.Cancel(0) // 502
		case kind == 1:
			r.Start(200, length, body[:len(body)/2])
			r.Cancel(0) // cut
		case kind == 2:
			r.Start(200, nil, body[:len(body)/2])
			r.Data(body[len(body)/2:])
			r.Trailers("x-name: " + name)
		case kind == 3:
			r.Respond(404, nil, body)
		case kind < 6:
			r.Start(200, length, "")
			r.Data(body[:len(body)/3])
			r.Finish(body[len(body)/3:])
		default:
			r.Respond(200, nil, body)
		}
	})
	tr := &http2.Transport{
		AllowHTTP: true, DisableCompression: true,
		DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
	defer tr.CloseIdleConnections()
	var whole atomic.Int64
	var wg sync.WaitGroup
	for c := range uint64(clients) {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(3, c))
			for i := range requests {
				name := fmt.Sprintf("client-%d-request-%d", c, i)
				ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
				var in io.Reader
				if n := dice.IntN(3); n > 0 {
					in = io.MultiReader(strings.NewReader(strings.Repeat("x", dice.IntN(20_000)*n)))
				}
				req, _ := http.NewRequestWithContext(ctx, "POST", fmt.Sprintf("http://127.0.0.1:%d/%s", reg.Port, name), in)
				impatient := dice.IntN(5) == 0
				if impatient && dice.IntN(2) == 0 {
					go cancel() // perhaps before, perhaps after it was answered
				}
				resp, err := tr.RoundTrip(req)
				if err != nil {
					if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
						t.Errorf("%s: %v", name, err)
					}
					cancel()
					continue
				}
				if impatient {
					resp.Body.Close() // a reset, unless all is there
					cancel()
					continue
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				switch {
				case err == nil && resp.StatusCode != 502:
					if got := strings.ReplaceAll(string(b), name+".", ""); got != "" || len(b) == 0 {
						t.Errorf("%s: got %.100q", name, got)
					}
					if x := resp.Trailer.Get("X-Name"); x != "" && x != name {
						t.Errorf("%s: trailer %q", name, x)
					}
					whole.Add(1)
				case err != nil && strings.Trim(string(b), name+".") != "":
					t.Errorf("%s: what came before the cut is %.100q", name, b)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if n := whole.Load(); n < clients*requests/2 {
		t.Errorf("only %d of %d requests were answered in full", n, clients*requests)
	}
	tr.CloseIdleConnections()
	st := d.Wait("the end of all streams", func(st *control.State) bool { return st.HTTP2.Streams == 0 })
	for reason, n := range st.HTTP2.Ended {
		if n > 0 {
			t.Errorf("%d connections were ended for %s", n, reason)
		}
	}
	if st.HTTP2.ClientResets == 0 {
		t.Error("nobody has reset anything")
	}
}
