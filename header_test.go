package httpsys

import (
	"net/textproto"
	"testing"
)

// Names get the spelling that net/textproto gives them.
func TestCanonicalise(t *testing.T) {
	for _, name := range []string{"accept", "ACCEPT-ENCODING", "x-a-b", "-x", "x-", "a--b", "Content-MD5", "etag",
		"x!y", "1a-1b", "x_y-z"} {
		b := []byte(name)
		canonicalise(b)
		if want := textproto.CanonicalMIMEHeaderKey(name); string(b) != want {
			t.Errorf("%s: %s, want %s", name, b, want)
		}
	}
}

func FuzzCanonicalise(f *testing.F) {
	f.Add("x-Y-z")
	f.Fuzz(func(t *testing.T, name string) {
		if !isToken(name) {
			t.Skip()
		}
		b := []byte(name)
		canonicalise(b)
		if want := textproto.CanonicalMIMEHeaderKey(name); string(b) != want {
			t.Errorf("%s: %s, want %s", name, b, want)
		}
	})
}

func TestStreamTable(t *testing.T) {
	var table streamTable
	for _, id := range []uint32{1, 2, 63, 64, 1000, 65_535, 65_536, 1 << 31} {
		x := new(exchange)
		x.id = id
		if table.get(id) != nil {
			t.Errorf("%d is there before", id)
		}
		table.put(x)
		if table.get(id) != x {
			t.Errorf("%d is not there", id)
		}
	}
	all := table.all()
	if len(all) != 8 || table.n != 8 {
		t.Errorf("%d streams", len(all))
	}
	for _, x := range all {
		table.remove(x)
		if table.get(x.id) != nil {
			t.Errorf("%d is still there", x.id)
		}
	}
	if table.n != 0 {
		t.Errorf("%d left", table.n)
	}
}

func TestFifo(t *testing.T) {
	var q fifo
	want := uint64(0)
	next := uint64(0)
	for round := range 50 {
		for range 1 + round%7*31 {
			x := new(exchange)
			x.index = next
			next++
			q.push(x)
		}
		for range 1 + round%5*40 {
			x := q.pop()
			if x == nil {
				break
			}
			if x.index != want {
				t.Fatalf("got %d, want %d", x.index, want)
			}
			want++
		}
	}
	for x := q.pop(); x != nil; x = q.pop() {
		if x.index != want {
			t.Fatalf("got %d, want %d", x.index, want)
		}
		want++
	}
	if want != next {
		t.Errorf("%d of %d came out", want, next)
	}
}
