package prefix

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"
)

func mustParse(t testing.TB, s string) Prefix {
	t.Helper()
	p, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var goodPrefixes = []struct {
	in   string
	want Prefix // the zero Scheme stands for HTTP
	text string // canonical text, if it is not in
	why  string
}{
	{"http://+:80/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/"}, "", "strong wildcard"},
	{"http://*:80/", Prefix{Kind: Weak, Host: "*", Port: 80, Path: "/"}, "", "weak wildcard"},
	{"https://+:443/", Prefix{Scheme: HTTPS, Kind: Strong, Host: "+", Port: 443, Path: "/"}, "", "https"},
	{"http://+:65535/", Prefix{Kind: Strong, Host: "+", Port: 65535, Path: "/"}, "", "highest port"},
	{"http://+:1/", Prefix{Kind: Strong, Host: "+", Port: 1, Path: "/"}, "", "lowest port"},
	{"http://+:0/", Prefix{Kind: Strong, Host: "+", Port: 0, Path: "/"}, "", "free port"},
	{"http://+:80/App/Sub/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/App/Sub/"}, "", "case of the path is kept"},

	{"http://adatum.com:80/vroot/", Prefix{Kind: Explicit, Host: "adatum.com", Port: 80, Path: "/vroot/"}, "", "name"},
	{"http://Adatum.COM:80/", Prefix{Kind: Explicit, Host: "adatum.com", Port: 80, Path: "/"}, "http://adatum.com:80/",
		"names have no case"},
	{"http://adatum.com.:80/", Prefix{Kind: Explicit, Host: "adatum.com", Port: 80, Path: "/"}, "http://adatum.com:80/",
		"dot at the end of a name"},
	{"http://localhost:8080/", Prefix{Kind: Explicit, Host: "localhost", Port: 8080, Path: "/"}, "",
		"localhost is a name"},
	{"http://my_service:80/", Prefix{Kind: Explicit, Host: "my_service", Port: 80, Path: "/"}, "", "names of containers"},
	{"http://r3---sn-a:80/", Prefix{Kind: Explicit, Host: "r3---sn-a", Port: 80, Path: "/"}, "",
		"hyphens in third and fourth place"},
	{"http://4u:80/", Prefix{Kind: Explicit, Host: "4u", Port: 80, Path: "/"}, "", "digit first"},
	{"http://bücher.example:80/", Prefix{Kind: Explicit, Host: "xn--bcher-kva.example", Port: 80, Path: "/"},
		"http://xn--bcher-kva.example:80/", "Unicode name"},
	{"http://BÜCHER.example:80/", Prefix{Kind: Explicit, Host: "xn--bcher-kva.example", Port: 80, Path: "/"},
		"http://xn--bcher-kva.example:80/", "Unicode name in upper case"},
	{"http://XN--bcher-kva.example:80/", Prefix{Kind: Explicit, Host: "xn--bcher-kva.example", Port: 80, Path: "/"},
		"http://xn--bcher-kva.example:80/", "A-label"},
	{"http://例え。テスト:80/", Prefix{Kind: Explicit, Host: "xn--r8jz45g.xn--zckzah", Port: 80, Path: "/"},
		"http://xn--r8jz45g.xn--zckzah:80/", "ideographic full stop"},

	{"http://192.0.2.1:80/", Prefix{Kind: IPBound, Host: "192.0.2.1", Addr: netip.MustParseAddr("192.0.2.1"),
		Port: 80, Path: "/"}, "", "IPv4"},
	{"http://[2001:DB8:0:0::1]:80/", Prefix{Kind: IPBound, Host: "[2001:db8::1]", Addr: netip.MustParseAddr("2001:db8::1"),
		Port: 80, Path: "/"}, "http://[2001:db8::1]:80/", "IPv6 in its shortest form"},
	{"http://[::ffff:192.0.2.1]:80/", Prefix{Kind: IPBound, Host: "192.0.2.1", Addr: netip.MustParseAddr("192.0.2.1"),
		Port: 80, Path: "/"}, "http://192.0.2.1:80/", "mapped IPv4"},

	{"http://+:80/base path/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/base path/"}, "", "space"},
	{"http://+:80/base%20path/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/base path/"}, "http://+:80/base path/",
		"escapes are decoded"},
	{"http://+:80/base葉path/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/base葉path/"}, "", "Unicode"},
	{"http://+:80/base%E8%91%89path/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/base葉path/"},
		"http://+:80/base葉path/", "escaped Unicode"},
	{"http://+:80/a%2fb/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/a%2Fb/"}, "http://+:80/a%2Fb/",
		"an escaped slash is part of a segment"},
	{"http://+:80/100%25/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/100%25/"}, "",
		"an escaped percent sign stays"},
	{"http://+:80/c%3A/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/c:/"}, "http://+:80/c:/", "colon in the path"},
	{"http://+:80/what%3F/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/what%3F/"}, "", "escaped question mark"},
	{"http://+:80/.well-known/.../", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/.well-known/.../"},
		"", "segments that only begin with dots"},
	{"http://+:80/a@b/", Prefix{Kind: Strong, Host: "+", Port: 80, Path: "/a@b/"}, "", "at sign in the path"},
}

func TestParse(t *testing.T) {
	for _, tt := range goodPrefixes {
		t.Run(tt.why, func(t *testing.T) {
			want := tt.want
			if want.Scheme == 0 {
				want.Scheme = HTTP
			}
			p, err := Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if p != want {
				t.Errorf("Parse(%q)\n got %+v\nwant %+v", tt.in, p, want)
			}
			if within(p.Host, tt.in) || within(p.Path, tt.in) {
				t.Errorf("%+v keeps the memory of the text", p)
			}
			text := tt.text
			if text == "" {
				text = tt.in
			}
			if got := p.String(); got != text {
				t.Errorf("String() = %q, want %q", got, text)
			}
			if q, err := Parse(p.String()); err != nil || q != p {
				t.Errorf("Parse(String()) = %+v, %v; want %+v", q, err, p)
			}
		})
	}
}

// within tells whether part lies in the memory of s.
func within(part, s string) bool {
	p, from := uintptr(unsafe.Pointer(unsafe.StringData(part))), uintptr(unsafe.Pointer(unsafe.StringData(s)))
	return from <= p && p < from+uintptr(len(s))
}

var badPrefixes = []struct{ in, reason string }{
	{"", "has no scheme: it begins with http:// or https://"},
	{"+:80/", "has no scheme: it begins with http:// or https://"},
	{"http:/+:80/", "has no scheme: it begins with http:// or https://"},
	{"HTTP://+:80/", `has its scheme in upper case: write "http://+:80/"`},
	{"Https://+:80/", `has its scheme in upper case: write "https://+:80/"`},
	{"ftp://+:80/", `has the scheme "ftp": only http, https, tcp and tls can be registered`},
	{"://+:80/", `has the scheme "": only http, https, tcp and tls can be registered`},
	{" http://+:80/", `has the scheme " http": only http, https, tcp and tls can be registered`},
	{"TCP://+:80/", `has its scheme in upper case: write "tcp://+:80/"`},
	{"tcp://+:9000/app/", `has a path, and connections of the scheme tcp have none: write "tcp://+:9000/"`},
	{"tls://name:9000/a/b/", `has a path, and connections of the scheme tls have none: write "tls://name:9000/"`},
	{"tcp://name:9000/", `has the host "name", which no client of the scheme tcp would tell: write "+", an address, or localhost`},
	{"tcp://+/", `has no port: write "tcp://+:9000/"`},
	{"tls://+/", `has no port: write "tls://+:9443/"`},
	{"tcp://+:9000", `does not end in a slash: write "tcp://+:9000/"`},

	{"http://:80/", `has no host: write a name, an address, "+" for every host, or "*" for those that nobody else takes`},
	{"http:///app/", `has no host: write a name, an address, "+" for every host, or "*" for those that nobody else takes`},
	{"http://user@host:80/", "has user information: leave out what is before the @"},
	{"http://*.example.com:80/", `has a wildcard in the host "*.example.com": "+" or "*" stands alone`},
	{"http://++:80/", `has a wildcard in the host "++": "+" or "*" stands alone`},
	{"http://a..b:80/", `has the host "a..b" with nothing between two dots`},
	{"http://.:80/", `has the host "." with nothing between two dots`},
	{"http://-a:80/", `has the host "-a" with a hyphen at the edge of a part`},
	{"http://a-.b:80/", `has the host "a-.b" with a hyphen at the edge of a part`},
	{"http://a b:80/", `has the host "a b", in which ' ' cannot stand`},
	{"http://a%41:80/", `has the host "a%41", in which '%' cannot stand`},
	{"http://xn--a:80/", `has the host "xn--a", which is not an internationalised name (invalid label "\u0080")`},
	{"http://a\u2028b:80/", `has the host "a\u2028b", which is not an internationalised name (disallowed rune U+2028)`},
	{"http://" + strings.Repeat("a", 64) + ":80/", "has a host name with a part of more than 63 characters"},
	{"http://" + strings.Repeat("a.", 126) + "ab:80/", "has a host name of more than 253 characters"},
	{"http://1.2.3:80/", `has the host "1.2.3", which is neither a name nor an address`},
	{"http://192.0.2.256:80/", `has the host "192.0.2.256", which is neither a name nor an address`},
	{"http://a.0x7f:80/", `has the host "a.0x7f", which is neither a name nor an address`},
	{"http://１２７.0.0.1:80/", `has the host "１２７.0.0.1", which is neither a name nor an address`},
	{"http://0.0.0.0:80/", `is bound to 0.0.0.0, on which no connection arrives: write "*" for every address`},
	{"http://[::]:80/", `is bound to ::, on which no connection arrives: write "*" for every address`},
	{"http://[::1:80/", "has an opening bracket in its host and no closing one"},
	{"http://[]:80/", `has the host [], which is not an IPv6 address`},
	{"http://[192.0.2.1]:80/", `has the host [192.0.2.1], which is not an IPv6 address`},
	{"http://[fe80::1%eth0]:80/", `has the host [fe80::1%eth0], which is not an IPv6 address`},
	{"http://2001:db8::1:80/", `has an IPv6 address without brackets: write it like "[2001:db8::1]:80"`},

	{"http://localhost/", `has no port: write "http://localhost:80/"`},
	{"https://localhost/app/", `has no port: write "https://localhost:443/"`},
	{"http://localhost:/", `has no port: write "http://localhost:80/"`},
	{"http://+:080/", `has the port "080": write it without leading zeros`},
	{"http://+:00/", `has the port "00": write it without leading zeros`},
	{"http://+:65536/", `has the port 65536: the highest is 65535`},
	{"http://+:99999999999999999999/", `has the port 99999999999999999999: the highest is 65535`},
	{"http://+:*/", `has the port "*": a port is a number from 1 to 65535, or 0 for a free one`},
	{"http://+:-1/", `has the port "-1": a port is a number from 1 to 65535, or 0 for a free one`},
	{"http://+:+1/", `has the port "+1": a port is a number from 1 to 65535, or 0 for a free one`},
	{"http://[::1]80/", `has "80" between its host and its port`},
	{"http://127.0.0.1:8000:127.0.0.1/", "has more than one colon after its scheme: an IPv6 address stands in brackets"},

	{"http://+:80", `does not end in a slash: write "http://+:80/"`},
	{"http://+:80/app", `does not end in a slash: write "http://+:80/app/"`},
	{"http://+:80?q", `has '?' in its path: a prefix has no query and no fragment`},
	{"http://+:80/?q=/", `has '?' in its path: a prefix has no query and no fragment`},
	{"http://+:80/#/", `has '#' in its path: a prefix has no query and no fragment`},
	{`http://+:80\app\`, `has a backslash: write "http://+:80/app/"`},
	{`http://+:80/app\`, `has a backslash: write "http://+:80/app/"`},
	{"http://+:80//app/", "has an empty path segment: write one slash, not two"},
	{"http://+:80/app//", "has an empty path segment: write one slash, not two"},
	{"http://+:80/./", "has a dot segment: write the path without it"},
	{"http://+:80/a/../b/", "has a dot segment: write the path without it"},
	{"http://+:80/../", "has a dot segment: write the path without it"},
	{"http://+:80/%2E%2e/", "has a dot segment: write the path without it"},
	{"http://+:80/a/.%2E/", "has a dot segment: write the path without it"},
	{"http://+:80/100%/", "has a percent sign that no two hexadecimal digits follow: write a percent sign as %25"},
	{"http://+:80/%u0041/", "has a percent sign that no two hexadecimal digits follow: write a percent sign as %25"},
	{"http://+:80/a%00/", "has an escaped control character"},
	{"http://+:80/a%7F/", "has an escaped control character"},
	{"http://+:80/a\x00/", "has a control character at byte 13"},
	{"http://+:80/a\n/", "has a control character at byte 13"},
	{"http://+:80/a\u0085/", "has a control character at byte 13"},
	{"http://+:80/\xff/", "is not UTF-8"},
	{"http://+:80/%8F/", "has escaped bytes that are not UTF-8"},
	{"http://+:80/" + strings.Repeat("a/", MaxSegments+1), "has more than 255 path segments"},
	{"http://+:80/" + strings.Repeat("é", MaxSegmentLength+1) + "/", "has a path segment of more than 260 characters"},
	{"http://+:80/" + strings.Repeat("a", MaxLength), "is longer than 4096 bytes"},
}

func TestParseErrors(t *testing.T) {
	for _, tt := range badPrefixes {
		p, err := Parse(tt.in)
		var pe *ParseError
		if !errors.As(err, &pe) {
			t.Errorf("Parse(%q) = %+v, %v; want the reason %q", tt.in, p, err, tt.reason)
			continue
		}
		if pe.Reason != tt.reason {
			t.Errorf("Parse(%q):\n got %s\nwant %s", tt.in, pe.Reason, tt.reason)
		}
		if p != (Prefix{}) {
			t.Errorf("Parse(%q) returned %+v beside an error", tt.in, p)
		}
	}
}

func TestParseErrorText(t *testing.T) {
	_, err := Parse("http://+:80/app")
	want := `prefix "http://+:80/app" does not end in a slash: write "http://+:80/app/"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}

	// A long text is cut, at a character, and the reason stays.
	_, err = Parse("http://+:80/a" + strings.Repeat("é", MaxLength))
	if s := err.Error(); len(s) > 200 || !utf8.ValidString(s) || !strings.HasSuffix(s, `…" is longer than 4096 bytes`) {
		t.Errorf("got %s", s)
	}
}

// What is at a bound is taken; badPrefixes has what is one beyond.
func TestParseBounds(t *testing.T) {
	long := "http://+:80/" + strings.Repeat(strings.Repeat("a", 101)+"/", 40)
	for _, in := range []string{
		"http://" + strings.Repeat("a", 63) + ":80/",
		"http://" + strings.Repeat("a.", 126) + "a:80/",
		"http://" + strings.Repeat("a.", 126) + "a.:80/",
		"http://+:80/" + strings.Repeat("a/", MaxSegments),
		"http://+:80/" + strings.Repeat("é", MaxSegmentLength) + "/",
		"http://+:80/" + strings.Repeat("%C3%A9", MaxSegmentLength) + "/",
		long + strings.Repeat("a", MaxLength-len(long)-1) + "/",
	} {
		if _, err := Parse(in); err != nil {
			t.Error(err)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"http://+:80/", "http://+:80/", true},
		{"http://+:80/app/", "http://+:80/APP/", true},
		{"http://host:80/", "http://HOST.:80/", true},
		{"http://+:80/é/", "http://+:80/%C3%89/", true},
		{"http://+:80/k/", "http://+:80/\u212A/", true}, // the Kelvin sign is a K
		{"http://bücher.example:80/", "http://xn--bcher-kva.example:80/", true},
		{"http://[::1]:80/", "http://[0:0::1]:80/", true},
		{"http://+:80/", "https://+:80/", false},
		{"http://+:80/", "http://+:81/", false},
		{"http://+:80/", "http://*:80/", false},
		{"http://+:80/", "http://+:80/a/", false},
		{"http://+:80/ß/", "http://+:80/ss/", false}, // simple folding: one character for one
		{"http://192.0.2.1:80/", "http://192.0.2.2:80/", false},
	} {
		a, b := mustParse(t, tt.a), mustParse(t, tt.b)
		if got := a.Equal(b); got != tt.want || b.Equal(a) != got {
			t.Errorf("%s and %s: Equal is %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	for in, want := range map[string]bool{
		"http://localhost:80/":         true,
		"http://LOCALHOST.:80/":        true,
		"http://127.0.0.1:80/":         true,
		"http://127.1.2.3:80/":         true,
		"http://[::1]:80/":             true,
		"http://[::ffff:127.0.0.1]:8/": true,
		"http://+:80/":                 false,
		"http://*:80/":                 false,
		"http://localhost.example:80/": false,
		"http://192.0.2.1:80/":         false,
		"http://[::2]:80/":             false,
	} {
		if got := mustParse(t, in).LoopbackOnly(); got != want {
			t.Errorf("%s: LoopbackOnly is %v, want %v", in, got, want)
		}
	}
}

func TestWithPort(t *testing.T) {
	asked := mustParse(t, "http://+:0/app/")
	if got := asked.WithPort(4711).String(); got != "http://+:4711/app/" || asked.Port != 0 {
		t.Errorf("got %s, and %s is left", got, asked)
	}
}

func TestKindAndSchemeNames(t *testing.T) {
	for got, want := range map[string]string{
		HTTP.String(): "http", HTTPS.String(): "https", Scheme(9).String(): "Scheme(9)",
		Strong.String(): "strong wildcard", Explicit.String(): "explicit", IPBound.String(): "IP-bound",
		Weak.String(): "weak wildcard", Kind(9).String(): "Kind(9)",
		NoHost.String(): "no host", NoPath.String(): "no path", Reserved.String(): "reserved", Matched.String(): "matched",
		Outcome(9).String(): "Outcome(9)",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// FuzzParse: the canonical text of a prefix is a prefix and the same one; errors are one line.
func FuzzParse(f *testing.F) {
	for _, tt := range goodPrefixes {
		f.Add(tt.in)
	}
	for _, tt := range badPrefixes {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			if e := err.Error(); !strings.HasPrefix(e, "prefix ") || strings.ContainsAny(e, "\r\n") || !utf8.ValidString(e) {
				t.Errorf("error %q", e)
			}
			return
		}
		q, err := Parse(p.String())
		if err != nil || q != p {
			t.Fatalf("%q is %+v, but its text %q is %+v, %v", s, p, p.String(), q, err)
		}
		if !p.Equal(p) || !p.Equal(q) {
			t.Errorf("%+v is not equal to itself", p)
		}
		if (p.Kind == IPBound) != p.Addr.IsValid() {
			t.Errorf("kind and address of %+v disagree", p)
		}
		if p.Kind == Explicit {
			if name, lower := cutName([]byte(p.Host)); string(name) != p.Host || !lower {
				t.Errorf("a request for the host of %+v is understood as one for %q", p, name)
			}
		}
		if !strings.HasPrefix(p.Path, "/") || !strings.HasSuffix(p.Path, "/") || strings.Contains(p.Path, "//") {
			t.Errorf("path of %+v", p)
		}
		checkCanonical(t, []byte(p.Path))
	})
}
