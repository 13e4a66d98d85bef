package message

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A head is given once, as reason and fields, and read in both forms.
type head struct {
	status int
	reason string
	fields string // name NUL value NUL …
}

func (h head) binary() ([]byte, int) {
	return []byte(h.reason + "\x00" + h.fields), strings.Count(h.fields, "\x00") / 2
}

func (h head) text() []byte {
	b := fmt.Appendf(nil, "HTTP/1.1 %03d %s\r\n", h.status, h.reason)
	parts := strings.Split(h.fields, "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		b = append(b, parts[i]+": "+parts[i+1]+"\r\n"...)
	}
	return append(b, "\r\n"...)
}

func dump(r *Response) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d", r.Status)
	if len(r.Reason) > 0 {
		fmt.Fprintf(&s, " %s", r.Reason)
	}
	for _, f := range r.Fields {
		fmt.Fprintf(&s, " |%s: %s", f.Name, f.Value)
	}
	if r.ContentLength >= 0 {
		fmt.Fprintf(&s, " length=%d@%d", r.ContentLength, r.LengthAt)
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{
		{r.Close, "close"}, {r.KeepAlive, "keep-alive"}, {r.HasDate, "date"}, {r.HasServer, "server"},
		{r.HasTrailer, "trailer"}, {r.TransferEncoding != nil, "te=" + string(r.TransferEncoding)},
	} {
		if flag.set {
			s.WriteString(" " + flag.name)
		}
	}
	return s.String()
}

func TestResponse(t *testing.T) {
	for _, row := range []struct {
		why  string
		in   head
		want string
	}{
		{"nothing but a status", head{200, "", ""}, "200"},
		{"a reason of its own", head{200, "Fine by me \xe9", ""}, "200 Fine by me \xe9"},
		{"any three digits", head{999, "", ""}, "999"},
		{"from 100 on", head{100, "", ""}, "100"},
		{"order, spelling and duplicates are kept", head{200, "OK", "b\x001\x00A\x002\x00b\x003\x00"}, "200 OK |b: 1 |A: 2 |b: 3"},
		{"an empty value, obs-text and TAB", head{200, "", "a\x00\x00b\x00\xff\tx\x00"}, "200 |a:  |b: \xff\tx"},
		{"white space around a value is no part of it", head{200, "", "a\x00 \tx y\t \x00"}, "200 |a: x y"},
		{"RFC 9110 8.6: a length", head{200, "", "a\x00b\x00content-LENGTH\x0012\x00"}, "200 |a: b |content-LENGTH: 12 length=12@1"},
		{"RFC 9110 8.6: equal lengths become one", head{200, "", "Content-Length\x007\x00a\x00b\x00Content-Length\x007\x00"},
			"200 |Content-Length: 7 |a: b length=7@0"},
		{"RFC 9110 8.6: equal lengths of nothing", head{200, "", "Content-Length\x000\x00Content-Length\x0000\x00"},
			"200 |Content-Length: 0 length=0@0"},
		{"the daemon frames", head{200, "", "Transfer-Encoding\x00chunked\x00a\x00b\x00"}, "200 |a: b te=chunked"},
		{"several codings are none", head{200, "", "Transfer-Encoding\x00chunked\x00Transfer-Encoding\x00chunked\x00"}, "200 te=(several)"},
		{"fields about the connection are dropped",
			head{200, "", "Connection\x00keep-alive\x00Keep-Alive\x00timeout=5\x00Proxy-Connection\x00x\x00Upgrade\x00h2c\x00a\x00b\x00"},
			"200 |a: b keep-alive"},
		{"close is honoured", head{200, "", "Connection\x00x, Close\x00"}, "200 close"},
		{"101 keeps Connection and Upgrade", head{101, "", "Connection\x00Upgrade\x00Upgrade\x00websocket\x00Keep-Alive\x001\x00"},
			"101 |Connection: Upgrade |Upgrade: websocket"},
		{"an informational response", head{103, "", "Link\x00</a.css>; rel=preload\x00"}, "103 |Link: </a.css>; rel=preload"},
		{"what the daemon would add", head{200, "", "Date\x00x\x00Server\x00y\x00Trailer\x00z\x00"},
			"200 |Date: x |Server: y |Trailer: z date server trailer"},
	} {
		var r Response
		b, n := row.in.binary()
		if err := r.ParseBinary(row.in.status, b, n); err != nil || dump(&r) != row.want {
			t.Errorf("%s: binary: %v\n got %s\nwant %s", row.why, err, dump(&r), row.want)
		}
		if err := r.ParseText(row.in.status, row.in.text()); err != nil || dump(&r) != row.want {
			t.Errorf("%s: text: %v\n got %s\nwant %s", row.why, err, dump(&r), row.want)
		}
		if err := r.ParseText(0, row.in.text()); err != nil || dump(&r) != row.want {
			t.Errorf("%s: text without status: %v\n got %s\nwant %s", row.why, err, dump(&r), row.want)
		}
	}
}

// What is wrong in either form; docs/channel.md section 8.
func TestResponseRefused(t *testing.T) {
	for _, row := range []struct {
		why  string
		in   head
		want error
	}{
		{"status too low", head{99, "", ""}, ErrStatus},
		{"a name with a space", head{200, "", "a b\x00c\x00"}, ErrName},
		{"no name", head{200, "", "\x00c\x00"}, ErrName},
		{"a name with a CR", head{200, "", "a\r\x00c\x00"}, ErrName},
		{"a name that is not ASCII", head{200, "", "\xe4\x00c\x00"}, ErrName},
		{"a response in a value", head{200, "", "a\x00b\r\n\r\nHTTP/1.1 200 OK\x00"}, nil}, // in text it is two heads
		{"a CR in a value", head{200, "", "a\x00b\rc\x00"}, ErrValue},
		{"an LF in a value", head{200, "", "a\x00b\nc: d\x00"}, ErrValue},
		{"DEL in a value", head{200, "", "a\x00b\x7f\x00"}, ErrValue},
		{"no number", head{200, "", "Content-Length\x00x\x00"}, ErrLength},
		{"an empty length", head{200, "", "Content-Length\x00\x00"}, ErrLength},
		{"a sign", head{200, "", "Content-Length\x00+1\x00"}, ErrLength},
		{"a list, even of equal ones", head{200, "", "Content-Length\x001, 1\x00"}, ErrLength},
		{"2^63", head{200, "", "Content-Length\x009223372036854775808\x00"}, ErrLength},
		{"differing lengths, the first 0", head{200, "", "Content-Length\x000\x00Content-Length\x002\x00"}, ErrLength},
		{"differing lengths", head{200, "", "Content-Length\x001\x00Content-Length\x002\x00"}, ErrLength},
		{"too many fields", head{200, "", strings.Repeat("a\x00b\x00", MaxFields+1)}, ErrFields},
	} {
		var r Response
		b, n := row.in.binary()
		if err := r.ParseBinary(row.in.status, b, n); err == nil || row.want != nil && !errors.Is(err, row.want) {
			t.Errorf("%s: binary: %v, want %v", row.why, err, row.want)
		}
		if err := r.ParseText(row.in.status, row.in.text()); err == nil || row.want != nil && !errors.Is(err, row.want) {
			t.Errorf("%s: text: %v, want %v", row.why, err, row.want)
		}
	}
	var r Response
	b, n := head{200, "", strings.Repeat("a\x00b\x00", MaxFields)}.binary()
	if err := r.ParseBinary(200, b, n); err != nil {
		t.Errorf("as many fields as allowed: %v", err)
	}
}

func TestBinaryFormRefused(t *testing.T) {
	for _, row := range []struct {
		why    string
		status int
		head   string
		fields int
		want   error
	}{
		{"status above 999", 1000, "\x00", 0, ErrStatus},
		{"nothing at all", 200, "", 0, ErrIncomplete},
		{"a reason without end", 200, "OK", 0, ErrIncomplete},
		{"a reason with a line end", 200, "OK\r\nSet-Cookie: a\x00", 0, ErrReason},
		{"fewer fields than announced", 200, "\x00a\x00b\x00", 2, ErrIncomplete},
		{"more fields than announced", 200, "\x00a\x00b\x00c\x00d\x00", 1, ErrIncomplete},
		{"a name without end", 200, "\x00a", 1, ErrIncomplete},
		{"a value without end", 200, "\x00a\x00b", 1, ErrIncomplete},
		{"bytes behind the last field", 200, "\x00a\x00b\x00c", 1, ErrIncomplete},
	} {
		var r Response
		if err := r.ParseBinary(row.status, []byte(row.head), row.fields); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.why, err, row.want)
		}
	}
}

func TestTextFormRefused(t *testing.T) {
	for _, row := range []struct {
		why    string
		status int
		head   string
		want   error
	}{
		{"nothing at all", 0, "", ErrStatusLine},
		{"another protocol", 0, "ICY/1.1 200 OK\r\n\r\n", ErrStatusLine},
		{"HTTP/2", 0, "HTTP/2.0 200 OK\r\n\r\n", ErrStatusLine},
		{"no minor version", 0, "HTTP/1./ 200 OK\r\n\r\n", ErrStatusLine},
		{"no minor version", 0, "HTTP/1.: 200 OK\r\n\r\n", ErrStatusLine},
		{"no space", 0, "HTTP/1.1200 OK\r\n\r\n", ErrStatusLine},
		{"a letter in the status", 0, "HTTP/1.1 2x0 OK\r\n\r\n", ErrStatusLine},
		{"a sign in the status", 0, "HTTP/1.1 +20 OK\r\n\r\n", ErrStatusLine},
		{"no status", 0, "HTTP/1.1 OK and well\r\n\r\n", ErrStatusLine},
		{"a status of two digits", 0, "HTTP/1.1 20 OK\r\n\r\n", ErrStatusLine},
		{"a status of four digits", 0, "HTTP/1.1 2000\r\n\r\n", ErrStatusLine},
		{"a status below 100", 0, "HTTP/1.1 099 No\r\n\r\n", ErrStatus},
		{"not the frame's status", 201, "HTTP/1.1 200 OK\r\n\r\n", ErrStatus},
		{"a control in the reason", 0, "HTTP/1.1 200 O\x01K\r\n\r\n", ErrStatusLine},
		{"a bare LF", 0, "HTTP/1.1 200 OK\na: b\r\n\r\n", ErrStatusLine},
		{"a bare LF behind a field", 0, "HTTP/1.1 200 OK\r\na: b\n\r\n", ErrValue},
		{"a folded line", 0, "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", ErrName},
		{"a space before the colon", 0, "HTTP/1.1 200 OK\r\na : b\r\n\r\n", ErrName},
		{"no colon", 0, "HTTP/1.1 200 OK\r\nab\r\n\r\n", ErrName},
		{"no empty line", 0, "HTTP/1.1 200 OK\r\na: b\r\n", ErrIncomplete},
		{"half an empty line", 0, "HTTP/1.1 200 OK\r\na: b\r\n\r", ErrName},
		{"a cut name", 0, "HTTP/1.1 200 OK\r\nab", ErrIncomplete},
		{"a cut value", 0, "HTTP/1.1 200 OK\r\na: b", ErrIncomplete},
		{"a cut line end", 0, "HTTP/1.1 200 OK\r\na: b\r", ErrIncomplete},
		{"bytes behind the head", 0, "HTTP/1.1 200 OK\r\n\r\nx", ErrIncomplete},
	} {
		var r Response
		if err := r.ParseText(row.status, []byte(row.head)); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.why, err, row.want)
		}
	}
	for _, ok := range []string{"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.9 200 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n"} {
		var r Response
		if err := r.ParseText(200, []byte(ok)); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
}

func TestParseTrailers(t *testing.T) {
	for _, row := range []struct {
		why, block string
		left       int
		want       error
	}{
		{"none", "", 0, nil},
		{"two", "grpc-status\x000\x00X\x00 y \x00", 2, nil},
		{"too few", "a\x00b\x00", 2, channel.ErrField},
		{"too many", "a\x00b\x00c\x00d\x00", 1, channel.ErrField},
		{"no token", "a b\x00c\x00", 1, ErrName},
		{"no name", "\x00c\x00", 1, ErrName},
		{"a line end", "a\x00b\r\nc: d\x00", 1, ErrValue},
		{"framing", "Content-Length\x001\x00", 1, ErrTrailerName},
		{"framing", "transfer-encoding\x00chunked\x00", 1, ErrTrailerName},
		{"routing", "Host\x00x\x00", 1, ErrTrailerName},
		{"the announcement", "Trailer\x00x\x00", 1, ErrTrailerName},
		{"as many as allowed", strings.Repeat("a\x00b\x00", MaxFields), MaxFields, nil},
		{"too many by far", strings.Repeat("a\x00b\x00", MaxFields+1), MaxFields + 1, ErrFields},
	} {
		fields, err := ParseTrailers(channel.Fields{Block: []byte(row.block), Left: row.left}, nil)
		if !errors.Is(err, row.want) || err == nil && len(fields) != row.left {
			t.Errorf("%s: %d fields, %v, want %v", row.why, len(fields), err, row.want)
		}
	}
	fields, _ := ParseTrailers(channel.Fields{Block: []byte("X\x00 y \x00"), Left: 1}, []Field{{}})
	if len(fields) != 2 || string(fields[1].Name) != "X" || string(fields[1].Value) != "y" {
		t.Errorf("appended %q", fields)
	}
}

func TestInformational(t *testing.T) {
	for status, want := range map[int]bool{100: true, 101: false, 103: true, 199: true, 200: false, 204: false, 304: false} {
		if r := (&Response{Status: status}); r.Informational() != want {
			t.Errorf("%d: informational %v", status, !want)
		}
	}
}

func TestResponseAllocatesNothing(t *testing.T) {
	in := head{200, "OK", "Content-Type\x00text/plain\x00Content-Length\x005\x00Connection\x00keep-alive\x00Date\x00x\x00"}
	b, n := in.binary()
	text := in.text()
	block := channel.Fields{Block: []byte("a\x00b\x00"), Left: 1}
	var r Response
	trailers := make([]Field, 0, 4)
	allocs := testing.AllocsPerRun(100, func() {
		if r.ParseBinary(200, b, n) != nil || r.ParseText(200, text) != nil {
			t.Fatal("refused")
		}
		if _, err := ParseTrailers(block, trailers[:0]); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestStatusText(t *testing.T) {
	for status, want := range map[int]string{200: "OK", 431: "Request Header Fields Too Large", 299: "", 600: "", 999: "", -1: ""} {
		if got := StatusText(status); got != want {
			t.Errorf("StatusText(%d) = %q", status, got)
		}
	}
}
