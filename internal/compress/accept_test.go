package compress

import (
	"testing"

	"github.com/httpsys/httpsys/internal/wire/message"
)

func request(method string, fields ...string) *message.Request {
	r := &message.Request{Method: []byte(method)}
	for i := 0; i < len(fields); i += 2 {
		r.Fields = append(r.Fields, message.Field{Name: []byte(fields[i]), Value: []byte(fields[i+1])})
	}
	return r
}

// What a client gets, by its Accept-Encoding (RFC 9110 12.5.3).
func TestAccept(t *testing.T) {
	for _, row := range []struct {
		value string
		want  Coding
		why   string
	}{
		{"gzip", Gzip, ""},
		{"x-gzip", Gzip, "RFC 9110 8.4.1.3: the same as gzip"},
		{"GZip", Gzip, "names have no case"},
		{"br", Brotli, ""},
		{"zstd", Zstd, ""},
		{"gzip, deflate, br, zstd", Zstd, "what browsers say: ours to choose"},
		{"gzip, deflate, br", Gzip, "brotli costs a multiple"},
		{"gzip;q=0.5, br;q=0.8", Brotli, "the client's weights come first"},
		{"gzip;q=0.801,br;q=0.8", Gzip, "three digits"},
		{"gzip ; q=0.5", Gzip, "white space around the semicolon"},
		{"gzip;Q=0.5", Gzip, "parameter names have no case"},
		{"gzip;q=1.000", Gzip, ""},
		{"gzip;q=1.", Gzip, "the digits are optional"},
		{"*", Zstd, "anything"},
		{"*;q=0.5, zstd;q=0", Gzip, "anything but that"},
		{"gzip;q=0.5, *;q=0.6", Zstd, ""},
		{"identity;q=0, gzip;q=0.1", Gzip, "anything but as it is"},
		{"identity;q=0.5, gzip;q=0.5", Gzip, "no preference"},
		{"deflate, compress", Identity, "none of ours"},
		{"", Identity, "RFC 9110 12.5.3: nothing is wanted"},
		{"gzip;q=0", Identity, "not acceptable"},
		{"gzip;q=0.000", Identity, "not acceptable"},
		{"*;q=0", Identity, "not acceptable"},
		{"identity", Identity, ""},
		{"identity, gzip;q=0.9", Identity, "as it is, rather"},
		{"gzip;q=1.1", Identity, "no weight: RFC 9110 12.4.2"},
		{"gzip;q=0.1234", Identity, "no weight: four digits"},
		{"gzip;q=", Identity, "no weight"},
		{"gzip;q=.5", Identity, "no weight"},
		{"gzip;q=-1", Identity, "no weight"},
		{"gzip;q=2", Identity, "no weight"},
		{"gzip;q=1x", Identity, "no weight"},
		{"gzip;level=9", Identity, "Accept-Encoding has no other parameter"},
		{"gzip;", Identity, "malformed"},
		{"gzip/1", Identity, "another name"},
		{",,gzip,,", Gzip, "empty members are nothing (RFC 9110 5.6.1.2)"},
	} {
		if got := AskOf(request("GET", "Accept-Encoding", row.value), false).Coding; got != row.want {
			t.Errorf("Accept-Encoding: %q gets %v, want %v (%s)", row.value, got, row.want, row.why)
		}
	}
	if got := AskOf(request("GET", "Accept", "*"), false).Coding; got != Identity {
		t.Errorf("a client that says nothing gets %v", got)
	}
	if got := AskOf(request("GET", "Accept-Encoding", "br", "A", "b", "accept-encoding", "gzip"), false).Coding; got != Gzip {
		t.Errorf("two fields are one list: got %v", got)
	}
}

// BREACH: which requests another site may have caused, with what the victim
// is known by.
func TestGuarded(t *testing.T) {
	for _, row := range []struct {
		secure bool
		fields []string
		want   bool
	}{
		{true, []string{"Cookie", "a=b", "Sec-Fetch-Site", "cross-site"}, true},
		{true, []string{"Authorization", "Basic x", "sec-fetch-site", "Cross-Site"}, true},
		{true, []string{"Cookie", "a=b", "Sec-Fetch-Site", "same-site"}, true},
		{true, []string{"Cookie", "a=b", "Sec-Fetch-Site", "same-origin"}, false},
		{true, []string{"Cookie", "a=b", "Sec-Fetch-Site", "none"}, false},
		{true, []string{"Cookie", "a=b"}, false},
		{true, []string{"Sec-Fetch-Site", "cross-site"}, false},
		{false, []string{"Cookie", "a=b", "Sec-Fetch-Site", "cross-site"}, false}, // all can be read anyway
	} {
		if got := AskOf(request("GET", row.fields...), row.secure).Guarded; got != row.want {
			t.Errorf("secure=%v %v: guarded=%v", row.secure, row.fields, got)
		}
	}
}

func FuzzAccept(f *testing.F) {
	for _, s := range []string{"gzip, deflate, br;q=0.5", "*;q=0", ";;q=,", "identity;q=0.001,x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := newAccept()
		a.add([]byte(s))
		for c, w := range a.weight {
			if w < unsaid || w > 1000 {
				t.Errorf("weight of %v is %d", Coding(c), w)
			}
		}
		if c := a.best(); c >= codings {
			t.Errorf("coding %d", c)
		} else if c != Identity && a.weight[c] <= 0 && (a.weight[c] == 0 || a.others <= 0) {
			t.Errorf("%v was chosen and is not acceptable", c)
		}
	})
}
