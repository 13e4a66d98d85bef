package tlsio

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// In each row, handshakes arrive by the letter of their source, and leave in
// the order want. A letter after "-" is removed first: its last one.
func TestFair(t *testing.T) {
	for _, c := range []struct{ arrive, remove, want, why string }{
		{"aaaa", "", "aaaa", "alone"},
		{"aaaab", "", "abaaa", "the second source does not wait for the first"},
		{"aaabbbccc", "", "abcabcabc", "in turns"},
		{"abcabc", "b", "abcac", "one of two leaves"},
		{"aab", "b", "aa", "a source leaves"},
		{"aab", "ba", "a", "down to one"},
		{"ab", "ab", "", "down to nothing"},
	} {
		var f fair
		f.limit, f.each = 100, 100
		names := map[*handshake]string{}
		last := map[byte][]*handshake{}
		for i := range len(c.arrive) {
			h := &handshake{}
			names[h] = c.arrive[i : i+1]
			last[c.arrive[i]] = append(last[c.arrive[i]], h)
			if !f.push(h, key(c.arrive[i])) {
				t.Fatalf("%s: full", c.arrive)
			}
		}
		for i := range len(c.remove) {
			l := last[c.remove[i]]
			f.remove(l[len(l)-1])
		}
		var got strings.Builder
		for h := f.pop(); h != nil; h = f.pop() {
			got.WriteString(names[h])
		}
		if got.String() != c.want {
			t.Errorf("%s without %q: %s, want %s: %s", c.arrive, c.remove, &got, c.want, c.why)
		}
		if f.n != 0 || len(f.buckets) != 0 || f.turn != nil {
			t.Errorf("%s: something is left: %+v", c.arrive, f)
		}
	}
}

func key(letter byte) netip.Prefix {
	return source(netip.AddrFrom4([4]byte{192, 0, 2, letter}))
}

func TestFairLimits(t *testing.T) {
	f := fair{limit: 3, each: 2}
	var got []bool
	for _, letter := range []byte("aaabc") {
		got = append(got, f.push(&handshake{}, key(letter)))
	}
	want := []bool{true, true, false, true, false}
	if !slices.Equal(got, want) {
		t.Errorf("accepted %v, want %v", got, want)
	}
}

// Who has an IPv6 network has all its addresses, and one turn.
func TestSource(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		if got := fmt.Sprint(source(netip.MustParseAddr(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
