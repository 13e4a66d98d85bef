package message

import (
	"strings"
	"testing"
)

var knownNames = map[string]Known{
	"connection": Connection, "content-length": ContentLength, "date": Date, "expect": Expect, "host": Host,
	"httpsys-compress": HttpsysCompress, "keep-alive": KeepAlive, "max-forwards": MaxForwards, "proxy-connection": ProxyConnection, "server": Server,
	"te": TE, "trailer": Trailer, "transfer-encoding": TransferEncoding, "upgrade": Upgrade,
}

func TestKnownOf(t *testing.T) {
	if len(knownNames) != int(Upgrade) {
		t.Errorf("the table has %d names, there are %d", len(knownNames), Upgrade)
	}
	for name, want := range knownNames {
		title := strings.ToUpper(name[:1]) + name[1:]
		for _, spelling := range []string{name, strings.ToUpper(name), title} {
			if got := KnownOf([]byte(spelling)); got != want {
				t.Errorf("KnownOf(%q) = %d, want %d", spelling, got, want)
			}
		}
		// One other byte anywhere makes it another name.
		for i := range name {
			for c := range 256 {
				b := []byte(name)
				if b[i] = byte(c); !token[c] || strings.EqualFold(string(b), name) {
					continue
				}
				if got := KnownOf(b); got != Other {
					t.Errorf("KnownOf(%q) = %d, want Other", b, got)
				}
			}
		}
	}
	for _, name := range []string{"", "x", "accept", "user-agent", "content-type", "cookie", "hosts"} {
		if got := KnownOf([]byte(name)); got != Other {
			t.Errorf("KnownOf(%q) = %d, want Other", name, got)
		}
	}
}

func TestForbiddenInTrailers(t *testing.T) {
	for _, name := range []string{
		"Content-Length", "Transfer-Encoding", "Trailer", "Host", "Connection", "Keep-Alive", "Proxy-Connection",
		"TE", "Upgrade", "Expect", "Max-Forwards",
	} {
		if !ForbiddenInTrailers([]byte(name)) {
			t.Errorf("%s must not be in trailers", name)
		}
	}
	for _, name := range []string{"Grpc-Status", "Server-Timing", "Digest", "ETag", "X"} {
		if ForbiddenInTrailers([]byte(name)) {
			t.Errorf("%s may be in trailers", name)
		}
	}
}
