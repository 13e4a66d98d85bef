package message

import (
	"net/netip"
	"testing"
)

func TestParseAuthority(t *testing.T) {
	for _, row := range []struct {
		in, want string
		port     bool
	}{
		{"example.com", "example.com", false},
		{"Example.COM:8080", "Example.COM:8080", true},
		{"localhost:", "localhost", false}, // RFC 3986 3.2.3: an empty port is the default
		{"192.0.2.1:80", "192.0.2.1:80", true},
		{"[::1]", "[::1]", false},
		{"[2001:db8::1]:443", "[2001:db8::1]:443", true},
		{"[::1]:", "[::1]", false},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", false},
		{"b%C3%BCcher.example:1", "b%C3%BCcher.example:1", true},
		{"a_b~c!$&'()*+;=", "a_b~c!$&'()*+;=", false},
		{"azAZ09.example:9", "azAZ09.example:9", true},
		{"%aF%Af%09", "%aF%Af%09", false},
		{"x:0", "x:0", true},
		{"x:65535", "x:65535", true},
		{"x:00080", "x:00080", true},
	} {
		got, port, ok := ParseAuthority([]byte(row.in))
		if string(got) != row.want || port != row.port || !ok {
			t.Errorf("ParseAuthority(%q) = %q, %v, %v", row.in, got, port, ok)
		}
	}
	for _, row := range []struct{ in, why string }{
		{"", "no host"},
		{":80", "no host"},
		{"user@example.com", "userinfo"},
		{"user:pw@example.com", "userinfo"},
		{"example.com:http", "port is a number"},
		{"example.com:65536", "port above 65535"},
		{"example.com:99999999999999999999", "port overflows"},
		{"example.com:80:80", "two ports"},
		{"example.com:-1", "port is digits"},
		{"a b", "space"},
		{"a\tb", "tab"},
		{"a/b", "path"},
		{"a?b", "query"},
		{"a#b", "fragment"},
		{"a\\b", "backslash"},
		{"a,b", "what a proxy makes of two Host fields"},
		{"\xc3\xbc.example", "not ASCII"},
		{"a%", "cut escape"},
		{"a%4", "cut escape"},
		{"a%4g", "no escape"},
		{"::1", "IPv6 without brackets"},
		{"[::1", "no bracket"},
		{"[]", "empty literal"},
		{"[::1]80", "no colon"},
		{"[::1]x:80", "letters behind the bracket"},
		{"[192.0.2.1]", "IPv4 in brackets"},
		{"[fe80::1%25eth0]", "zone"},
		{"[v1.x]", "IPvFuture"},
		{"[example.com]", "name in brackets"},
		{"x[::1]", "bracket inside"},
	} {
		if got, _, ok := ParseAuthority([]byte(row.in)); ok {
			t.Errorf("ParseAuthority(%q) = %q, want a refusal: %s", row.in, got, row.why)
		}
	}
}

// The standard library's parser decides what an IPv6 address is.
func TestIPv6AgreesWithNetip(t *testing.T) {
	pieces := []string{"", ":", "::", "1", "ffff", "00001", "g", "255.0.2.1", "aF", "1.2.3", "256.1.1.1", "01.2.3.4", "."}
	var try func(s string, depth int)
	n := 0
	check := func(s string) {
		addr, err := netip.ParseAddr(s)
		if want, got := err == nil && addr.Is6(), validIPv6([]byte(s)); got != want {
			t.Errorf("validIPv6(%q) = %v, want %v", s, got, want)
		}
		n++
	}
	try = func(s string, depth int) {
		check(s)
		if depth == 0 {
			return
		}
		for _, p := range pieces[1:] {
			try(s+p, depth-1)
		}
	}
	try("", 4)
	for _, s := range []string{
		"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7",
		"::1:2:3:4:5:6:7:8", "1::2::3", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5::1.2.3.4",
		"1:2:3:4:5:6::1.2.3.4", "::ffff:1.2.3.4", "::1.2.3.4:1", "1:::2", ":1", "1:", "1:2:3:4:5:6:7:", ":::",
	} {
		check(s)
	}
	if n < 10_000 {
		t.Errorf("only %d addresses tried", n)
	}
}
