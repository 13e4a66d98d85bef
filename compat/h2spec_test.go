package compat

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// h2spec, all of it, over TLS and with prior knowledge. It is a tool of this
// module, built from its source.
func TestH2spec(t *testing.T) {
	host := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "Hello, World!")
	}))
	for _, c := range []struct {
		name, addr string
		args       []string
	}{
		{"h2c", host.plain, nil},
		{"TLS", host.secure, []string{"-t", "-k"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			name, port := split(t, c.addr)
			args := append([]string{"tool", "h2spec", "-S", "-h", name, "-p", port, "-o", "10", "generic", "http2", "hpack"}, c.args...)
			out, err := exec.Command("go", args...).CombinedOutput()
			text := strings.TrimSpace(string(out))
			summary := text[strings.LastIndex(text, "\n")+1:]
			if err != nil || !strings.HasSuffix(summary, " passed, 0 skipped, 0 failed") || strings.HasPrefix(summary, "0 ") {
				t.Errorf("%v\n%s", err, text)
			}
			t.Log(summary)
		})
	}
}
