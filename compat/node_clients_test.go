package compat

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/testkit/pki"
)

// Clients of npm's ws (testdata/ws.js) at each library, on each kind of server and
// each way; over HTTP/2 by Node's own client with an extended CONNECT.
func TestWebSocketOfNode(t *testing.T) {
	for _, server := range []string{served, listened} {
		for _, lib := range webSockets {
			t.Run(server+" "+lib.name, func(t *testing.T) {
				echoes := echoesOf(t, lib.echo)
				host := serveAs(t, server, echoes, func(*httpsys.Server) {})
				type where struct {
					Name  string `json:"name"`
					URL   string `json:"url"`
					HTTP2 bool   `json:"http2"`
				}
				var list []where
				for _, w := range ways {
					list = append(list, where{w.name, host.base(w), w.http2})
				}
				arg, _ := json.Marshal(list)
				roots := pki.Write(t, t.TempDir(), "roots.pem", host.ca)
				out := command(t, "node", filepath.Join("testdata", "ws.js"), string(arg), roots)
				want := ""
				for _, w := range ways {
					want += `{"name":"` + w.name + `","protocol":"echo","pong":"are you there","closed":4001}` + "\n"
				}
				if diff := cmp.Diff(want, out); diff != "" {
					t.Fatalf("ws says (+), not what is wanted (-):\n%s", diff)
				}
				ends := map[string]int{}
				for range 2 * len(ways) {
					ends[echoes.end(t)]++
				}
				if ends["closed with 4001\n"] != len(ways) || ends["closed with -1\n"] != len(ways) {
					t.Errorf("the handlers saw %v", ends)
				}
			})
		}
	}
}

// An echoHandler is the echo of one of the libraries, and tells how each
// conversation ended.
type echoHandler struct {
	echo  func(r *run, w http.ResponseWriter, req *http.Request)
	t     *testing.T
	ended chan string
}

func echoesOf(t *testing.T, echo func(r *run, w http.ResponseWriter, req *http.Request)) *echoHandler {
	return &echoHandler{echo: echo, t: t, ended: make(chan string, 100)}
}

func (e *echoHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r := &run{T: e.t, server: served, events: make(map[string]chan struct{})}
	e.echo(r, w, req)
	e.ended <- r.sees.String()
}

func (e *echoHandler) end(t *testing.T) string {
	t.Helper()
	return await(t, "the end of a conversation", e.ended)
}
