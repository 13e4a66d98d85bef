package tlsio

import (
	"strings"
	"testing"
)

func TestSniff(t *testing.T) {
	hello := "\x16\x03\x01\x00\x05hello"
	for _, c := range []struct {
		in   string
		want Opening
		why  string
	}{
		{"", NeedMore, "nothing yet"},
		{"\x16", NeedMore, "a record header has five bytes"},
		{hello[:4], NeedMore, "a record header has five bytes"},
		{hello[:9], NeedMore, "the record is not complete"},
		{hello, Handshake, "TLS 1.0 in the record layer, as most clients write"},
		{"\x16\x03\x03\x00\x05hello", Handshake, "TLS 1.2 in the record layer"},
		{hello + "more", Handshake, "what follows does not matter"},
		{"\x16\x03\x01\x40\x00" + strings.Repeat("x", 16<<10), Handshake, "the longest record"},
		{"\x16\x03\x01\x40\x01", Garbage, "longer than a record may be"},
		{"\x16\x03\x01\x00\x00", Garbage, "an empty handshake record"},
		{"\x16\x02\x00\x00\x05hello", Garbage, "no such version"},
		{"\x80\x2e\x01\x03\x01", Garbage, "SSL 2"},
		{"\x15\x03\x01\x00\x02\x02\x28", Garbage, "an alert before anything was said"},
		{"\x00\x00\x00\x00", Garbage, "zeros"},
		{"\r\n", Garbage, "an empty line"},
		{"GET / HTTP/1.1\r\n", PlainHTTP, "a request"},
		{"GET ", PlainHTTP, "the method is enough"},
		{"GET", NeedMore, "the method may go on"},
		{"PRI * HTTP/2.0\r\n", PlainHTTP, "the preface of HTTP/2"},
		{"VERSION-CONTROL /", PlainHTTP, "a method with a hyphen"},
		{"M-SEARCH *", PlainHTTP, "another one"},
		{"get / HTTP/1.1\r\n", Garbage, "methods are in capitals"},
		{" GET /", Garbage, "no method"},
		{"-X ", Garbage, "no method"},
		{"SSH-2.0-OpenSSH", Garbage, "another protocol"},
		{strings.Repeat("A", 24), NeedMore, "the longest method"},
		{strings.Repeat("A", 25), Garbage, "longer than any method"},
	} {
		if got := Sniff([]byte(c.in)); got != c.want {
			t.Errorf("%.20q: %d, want %d: %s", c.in, got, c.want, c.why)
		}
	}
}
