package message

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// What the byte classes are, said byte by byte; the scanners look at eight at once.
func tokenByte(c byte) bool {
	return c > 0x20 && c < 0x7f && !strings.ContainsRune("\"(),/:;<=>?@[\\]{}", rune(c))
}
func valueByte(c byte) bool  { return c >= 0x20 && c != 0x7f || c == '\t' }
func targetByte(c byte) bool { return c > 0x20 && c < 0x7f && c != '#' }

var scanners = []struct {
	name string
	end  func([]byte, int) int
	ok   func(byte) bool
}{
	{"TokenEnd", TokenEnd, tokenByte},
	{"ValueEnd", ValueEnd, valueByte},
	{"TargetEnd", TargetEnd, targetByte},
}

func TestScannersStopAtEachByteInEachPlace(t *testing.T) {
	for _, s := range scanners {
		for c := range 256 {
			for before := range 20 {
				for _, behind := range []string{"", "x", "xxxxxxxxxxxxxxxxx", "\x00\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
					b := append(bytes.Repeat([]byte("v"), before), byte(c))
					b = append(b, behind...)
					want := 0
					for want < len(b) && s.ok(b[want]) {
						want++
					}
					if got := s.end(b, 0); got != want {
						t.Fatalf("%s(%q, 0) = %d, want %d", s.name, b, got, want)
					}
				}
			}
		}
	}
}

// Bytes next to the edges of the classes, where a borrow in a word could mislead.
func TestScannersAgreeWithTheByteClasses(t *testing.T) {
	edges := []byte{0, 1, 8, 9, 10, 13, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x7e, 0x7f, 0x80, 0x81, 0x9f, 0xa0, 0xfe, 0xff, 'a', 'Z'}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		b := make([]byte, rnd.IntN(24))
		for i := range b {
			b[i] = edges[rnd.IntN(len(edges))]
		}
		for _, s := range scanners {
			for from := 0; from <= len(b); from += 1 + rnd.IntN(5) {
				want := from
				for want < len(b) && s.ok(b[want]) {
					want++
				}
				if got := s.end(b, from); got != want {
					t.Fatalf("%s(%q, %d) = %d, want %d", s.name, b, from, got, want)
				}
			}
		}
	}
}

func TestValidNameAndValue(t *testing.T) {
	for _, name := range []string{"Host", "x", "!#$%&'*+-.^_`|~09azAZ"} {
		if !ValidName([]byte(name)) {
			t.Errorf("%q is a name", name)
		}
	}
	for _, name := range []string{"", "a b", "a:", "a\r", "a\x00", "ä", "a/b", "\ta"} {
		if ValidName([]byte(name)) {
			t.Errorf("%q is no name", name)
		}
	}
	for _, value := range []string{"", "a b", "a\tb", "\x80\xff", " "} {
		if !ValidValue([]byte(value)) {
			t.Errorf("%q is a value", value)
		}
	}
	for _, value := range []string{"\x00", "a\rb", "a\nb", "\x7f", "abcdefgh\x1f"} {
		if ValidValue([]byte(value)) {
			t.Errorf("%q is no value", value)
		}
	}
}

func TestTrim(t *testing.T) {
	for in, want := range map[string]string{"": "", " ": "", "\t \t": "", "a": "a", "  a b\t": "a b", "\va": "\va"} {
		if got := Trim([]byte(in)); string(got) != want || got == nil {
			t.Errorf("Trim(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseLength(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "7": 7, "007": 7, "123456789012345678": 123456789012345678,
		"9223372036854775807": 1<<63 - 1, "000000000000000000000000000001": 1,
	} {
		if got, ok := ParseLength([]byte(in)); got != want || !ok {
			t.Errorf("ParseLength(%q) = %d, %v", in, got, ok)
		}
	}
	for _, in := range []string{
		"", "+1", "-1", "1 ", " 1", "1,1", "0x1", "1.0", "1e3", "١", "9223372036854775808", "9223372036854775810",
		"18446744073709551616", "18446744073709551617", "99999999999999999999", "10000000000000000000000000",
	} {
		if got, ok := ParseLength([]byte(in)); ok {
			t.Errorf("ParseLength(%q) = %d, want a refusal", in, got)
		}
	}
}

func TestEqualFold(t *testing.T) {
	for _, row := range []struct {
		b, s string
		want bool
	}{
		{"Close", "close", true}, {"CLOSE", "close", true}, {"AZaz09", "azaz09", true}, {"", "", true}, {"close", "closed", false},
		{"[", "{", false}, {"@", "`", false}, {"\u212aeep", "keep", false}, // KELVIN SIGN is no K here
	} {
		if got := EqualFold([]byte(row.b), row.s); got != row.want {
			t.Errorf("EqualFold(%q, %q) = %v", row.b, row.s, got)
		}
	}
}
