package prefix

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

var paths = []struct{ raw, want string }{
	// Nothing to change.
	{"/", "/"},
	{"/app/index.html", "/app/index.html"},
	{"/a.b/.c/..d/e./f../...", "/a.b/.c/..d/e./f../..."},
	{"//", "//"}, // empty segments are seen by applications
	{"//a//b//", "//a//b//"},
	{"/é/葉/\U0001F600", "/é/葉/\U0001F600"},
	{"/a:@!$&'()*+,;=-_~[]{}|^`\"<>", "/a:@!$&'()*+,;=-_~[]{}|^`\"<>"},

	// Escapes are decoded, once, whatever the case of their digits.
	{"/%41%7a%2D%2e%5f", "/Az-._"},
	{"/base%20path/", "/base path/"},
	{"/base%E8%91%89path/", "/base葉path/"},
	{"/base%e8%91%89path/", "/base葉path/"},
	{"/%E8\x91%89", "/葉"}, // partly escaped
	{"/%F0%9F%98%80", "/\U0001F600"},
	{"/%EF%BF%BD", "/\uFFFD"},
	{"/%C2%80", "/\u0080"},

	// These escapes keep what they are for.
	{"/sub%2Fpath", "/sub%2Fpath"},
	{"/sub%2fpath", "/sub%2Fpath"},
	{"/a%5Cb%5c..", "/a%5Cb%5C.."},
	{"/%252F", "/%252F"},
	{"/%25252F", "/%25252F"},
	{"/%2541", "/%2541"},
	{"/a%3Fb%23c", "/a%3Fb%23c"},
	{"/a%3fb", "/a%3Fb"},
	{"/a/%2e%2e%2Fb", "/a/..%2Fb"},

	// Backslashes.
	{`/a\b`, "/a/b"},
	{`/a\..\b`, "/b"},
	{`/\`, "//"},

	// Dot segments (RFC 3986, 5.2.4, and its examples in 5.4).
	{"/.", "/"},
	{"/./", "/"},
	{"/a/.", "/a/"},
	{"/a/./", "/a/"},
	{"/a/..", "/"},
	{"/a/../", "/"},
	{"/a/b/..", "/a/"},
	{"/b/c/../../g", "/g"},
	{"/b/c/./../g", "/b/g"},
	{"/b/c/g;x=1/../y", "/b/c/y"},
	{"/a/%2e%2E/b", "/b"},
	{"/a/.%2e/b", "/b"},
	{"/a/%2e./b", "/b"},
	{"/%2e/a", "/a"},
	{"/a//../b", "/a/b"}, // an empty segment is one
	{"/a//..//b", "/a//b"},
	{"//../b", "/b"},
	{"/a/.%2F..", "/a/.%2F.."}, // no boundary, no dot segment

	// Bytes that are not UTF-8 stay escaped; among them the overlong forms of "$", "/", DEL and others.
	{"/%C0%A4", "/%C0%A4"},
	{"/%C1%BF", "/%C1%BF"},
	{"/%E0%80%AF", "/%E0%80%AF"},
	{"/%E0%9F%BF", "/%E0%9F%BF"},
	{"/%F0%80%80%AF", "/%F0%80%80%AF"},
	{"/%F0%80%BF%BF", "/%F0%80%BF%BF"},
	{"/%C0%32%A4", "/%C02%A4"},
	{"/%c0%af..%c0%af", "/%C0%AF..%C0%AF"},
	{"/caf%E9", "/caf%E9"}, // Latin-1
	{"/%ED%A0%80", "/%ED%A0%80"},
	{"/%E8%91", "/%E8%91"},
	{"/%E8%91/%89", "/%E8%91/%89"},
	{"/%E8é", "/%E8é"},
}

func TestCanonical(t *testing.T) {
	for _, tt := range paths {
		raw := []byte(tt.raw)
		got, err := Canonical(nil, raw)
		if err != nil || string(got) != tt.want {
			t.Errorf("Canonical(%q) = %q, %v; want %q", tt.raw, got, err, tt.want)
			continue
		}
		if string(raw) != tt.raw {
			t.Errorf("Canonical(%q) wrote to its argument: %q", tt.raw, raw)
		}
		if same := &got[0] == &raw[0]; same != (tt.raw == tt.want) && !strings.Contains(tt.raw, "%") {
			t.Errorf("Canonical(%q): result is the argument: %v", tt.raw, same)
		}
		checkCanonical(t, got)
	}
}

var badPaths = []struct {
	raw string
	err PathError
}{
	{"", ErrNotAbsolute},
	{"a", ErrNotAbsolute},
	{"*", ErrNotAbsolute},
	{`\a`, ErrNotAbsolute},
	{"%2Fa", ErrNotAbsolute},
	{"/path%", ErrEscape},
	{"/path%XY", ErrEscape},
	{"/path%F", ErrEscape},
	{"/%%32", ErrEscape},
	{"/%%20", ErrEscape},
	{"/%", ErrEscape},
	{"/%%", ErrEscape},
	{"/%A", ErrEscape},
	{"/%Y", ErrEscape},
	{"/%u0041", ErrEscape}, // HTTP.SYS decodes this by default
	{"/%4 1", ErrEscape},
	{"/%E8%9", ErrEscape},
	{"/%E8%", ErrEscape},
	{"/path with spaces", ErrDelimiter},
	{"/%20 ", ErrDelimiter},
	{"/?", ErrDelimiter},
	{"/a?b", ErrDelimiter},
	{"/%41?", ErrDelimiter},
	{"/a#b", ErrDelimiter},
	{"/a\x00", ErrControl},
	{"/a\x1F", ErrControl},
	{"/a\x7F", ErrControl},
	{"/a\t", ErrControl},
	{"/a%00", ErrControl},
	{"/a%0d%0a", ErrControl},
	{"/a%1F", ErrControl},
	{"/a%7f", ErrControl},
	{"/%F0%8F%8F%BF", ErrEncoding},
	{"/%81", ErrEncoding},
	{"/\xC0\xAF", ErrEncoding}, // only escapes may be something else than UTF-8
	{"/%41\xC0\xAF", ErrEncoding},
	{"/\xFF", ErrEncoding},
	{"/\xE8%91/", ErrEncoding},
	{"/..", ErrAboveRoot},
	{"/../", ErrAboveRoot},
	{"/../a", ErrAboveRoot},
	{"/%2e%2E", ErrAboveRoot},
	{`/..\a`, ErrAboveRoot},
	{"/./..", ErrAboveRoot},
	{"/a/../..", ErrAboveRoot},
	{"/a/../../b", ErrAboveRoot},
}

func TestCanonicalErrors(t *testing.T) {
	for _, tt := range badPaths {
		if got, err := Canonical(nil, []byte(tt.raw)); err != tt.err || got != nil {
			t.Errorf("Canonical(%q) = %q, %v; want %v", tt.raw, got, err, tt.err)
		}
	}
	for c := range 256 {
		control := c < 0x20 || c == 0x7F
		raw := []byte{'/', byte(c)}
		if _, err := Canonical(nil, raw); (err == ErrControl) != control {
			t.Errorf("Canonical(%q): %v", raw, err)
		}
		raw = appendEscape([]byte{'/'}, byte(c))
		if _, err := Canonical(nil, raw); (err == ErrControl) != control {
			t.Errorf("Canonical(%q): %v", raw, err)
		}
	}
}

func TestCanonicalUsesDst(t *testing.T) {
	raw := []byte("/a/../b%20c")
	dst := make([]byte, 3, len(raw))
	got, err := Canonical(dst, raw)
	if err != nil || string(got) != "/b c" || &got[0] != &dst[0] {
		t.Errorf("got %q, %v, in dst: %v", got, err, &got[0] == &dst[0])
	}
	small := make([]byte, 0, len(raw)-1)
	if got, err = Canonical(small, raw); err != nil || string(got) != "/b c" || &got[0] == &small[:1][0] {
		t.Errorf("got %q, %v, with too small a dst", got, err)
	}
}

func TestCanonicalAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 256)
	for _, raw := range []string{"/", "/app/static/main.css", "/base葉path/", "/a/../b%20c/%E8%91%89", "/caf%E9",
		"/%zz", "/.."} {
		raw := []byte(raw)
		if n := testing.AllocsPerRun(100, func() { Canonical(dst, raw) }); n != 0 {
			t.Errorf("Canonical(%q) allocates %v times", raw, n)
		}
	}
}

// checkCanonical fails unless path has what Canonical promises of its results.
func checkCanonical(t *testing.T, path []byte) {
	t.Helper()
	if len(path) == 0 || path[0] != '/' {
		t.Fatalf("%q does not begin with a slash", path)
	}
	if !utf8.Valid(path) {
		t.Errorf("%q is not UTF-8", path)
	}
	for seg := range strings.SplitSeq(string(path), "/") {
		if seg == "." || seg == ".." {
			t.Errorf("%q has a dot segment", path)
		}
	}
	for i, c := range path {
		if c < 0x20 || c == 0x7F || c == '\\' || c == '?' || c == '#' {
			t.Errorf("%q has %q in it", path, c)
		}
		if c == '%' {
			v, _, err := unit(path[i:])
			if err != nil || !strings.ContainsRune(`/\%?#`, rune(v)) && v < 0x80 ||
				!bytes.Equal(path[i:i+3], bytes.ToUpper(path[i:i+3])) {
				t.Errorf("%q has the escape %q in it", path, path[i:])
			}
		}
	}
	if again, err := canonical(nil, path, true); err != nil || &again[0] != &path[0] && !bytes.Equal(again, path) {
		t.Errorf("the canonical form of %q is %q, %v", path, again, err)
	}
}

// naive makes the canonical form of a path that is known to be good, segment by segment.
func naive(raw string) string {
	var out []string
	in := strings.Split(strings.ReplaceAll(raw, `\`, "/")[1:], "/")
	for i, seg := range in {
		seg, err := url.PathUnescape(seg)
		if err != nil {
			return err.Error()
		}
		switch last := i == len(in)-1; {
		case seg == "..":
			out = out[:len(out)-1]
			fallthrough
		case seg == ".":
			if last {
				out = append(out, "")
			}
		default:
			var b []byte
			for len(seg) > 0 {
				r, n := utf8.DecodeRuneInString(seg)
				if r == utf8.RuneError && n == 1 || strings.ContainsRune(`/\%?#`, r) {
					b = fmt.Appendf(b, "%%%02X", seg[0])
				} else {
					b = append(b, seg[:n]...)
				}
				seg = seg[n:]
			}
			out = append(out, string(b))
		}
	}
	return "/" + strings.Join(out, "/")
}

// FuzzCanonical: results keep their promises, both ways to a result agree, and so does a third one, written
// without a thought for speed.
func FuzzCanonical(f *testing.F) {
	for _, tt := range paths {
		f.Add([]byte(tt.raw))
	}
	for _, tt := range badPaths {
		f.Add([]byte(tt.raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		path, err := Canonical(nil, raw)
		if !bytes.Equal(raw, before) {
			t.Fatalf("Canonical(%q) wrote to its argument", before)
		}
		if len(raw) > 0 && raw[0] == '/' {
			if slow, slowErr := rewrite(nil, raw, false); !bytes.Equal(slow, path) || (slowErr == nil) != (err == nil) {
				t.Errorf("%q is %q, %v, by the short way, and %q, %v, by the long", raw, path, err, slow, slowErr)
			}
		}
		if err != nil {
			if _, ok := err.(PathError); !ok || path != nil {
				t.Errorf("Canonical(%q) = %q, %v", raw, path, err)
			}
			return
		}
		checkCanonical(t, path)
		if want := naive(string(raw)); string(path) != want {
			t.Errorf("Canonical(%q) = %q, want %q", raw, path, want)
		}
		if len(path) > len(raw) {
			t.Errorf("Canonical(%q) = %q, which is longer", raw, path)
		}
		if n := len(appendFold(nil, path)); n > len(path) {
			t.Errorf("%q takes %d bytes when folded", path, n)
		}
	})
}
