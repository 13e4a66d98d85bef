package compress

import (
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// response parses a head, "Name: value" by lines, as an application sends it.
func response(t testing.TB, status string, lines ...string) *message.Response {
	t.Helper()
	r := new(message.Response)
	text := "HTTP/1.1 " + status + "\r\n" + strings.Join(lines, "\r\n")
	if len(lines) > 0 {
		text += "\r\n"
	}
	if err := r.ParseText(0, []byte(text+"\r\n")); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}

const html = "Content-Type: text/html; charset=utf-8"

func TestDecide(t *testing.T) {
	gz, no, guarded := Ask{Coding: Gzip}, Ask{}, Ask{Coding: Gzip, Guarded: true}
	head, tunnel := Ask{Coding: Gzip, Bodyless: true}, Ask{Coding: Gzip, Tunnel: true}
	whole := func(n int64) int64 { return n }
	const open = -1 // the end is not here
	for _, row := range []struct {
		name   string
		ask    Ask
		status string
		fields []string
		body   int64
		want   Verdict
	}{
		{"a page", gz, "200", []string{html}, whole(2000), Encode},
		{"a stream", gz, "200", []string{html}, open, Encode},
		{"a length in advance", gz, "200", []string{html, "Content-Length: 2000"}, open, Encode},
		{"just long enough", gz, "200", []string{html}, whole(1024), Encode},
		{"just too short", gz, "200", []string{html}, whole(1023), Leave},
		{"too short in advance", gz, "200", []string{html, "Content-Length: 1023"}, open, Leave},
		{"nothing", gz, "200", []string{html}, whole(0), Leave},
		{"an error page", gz, "404", []string{html}, whole(2000), Encode},
		{"an unregistered status", gz, "299", []string{html}, whole(2000), Encode},
		{"events", gz, "200", []string{"Content-Type: text/event-stream"}, open, Encode},
		{"an image", gz, "200", []string{"Content-Type: image/png"}, whole(2000), Leave},
		{"no type", gz, "200", nil, whole(2000), Leave},
		{"a type that the application knows better", gz, "200", []string{"Content-Type: x/y", "Httpsys-Compress: on"}, whole(2000), Encode},
		{"the application says no", gz, "200", []string{html, "Httpsys-Compress: off"}, whole(2000), Leave},
		{"the application says something else", gz, "200", []string{html, "Httpsys-Compress: yes"}, whole(2000), Leave},
		{"the client cannot", no, "200", []string{html}, whole(2000), Mark},
		{"no content", gz, "204", []string{html}, whole(0), Leave},
		{"reset content", gz, "205", []string{html}, whole(0), Leave},
		{"a part", gz, "206", []string{html, "Content-Range: bytes 0-1999/5000"}, whole(2000), Leave},
		{"a part with another status", gz, "200", []string{html, "Content-Range: bytes 0-1999/5000"}, whole(2000), Leave},
		{"no such part", gz, "416", []string{html, "Content-Range: bytes */5000"}, whole(2000), Leave},
		{"not modified", gz, "304", nil, whole(0), Weaken},
		{"compressed by the application", gz, "200", []string{html, "Content-Encoding: br"}, whole(2000), Leave},
		{"a cookie", gz, "200", []string{html, "Set-Cookie: a=b"}, whole(2000), Leave},
		{"a cookie, and the application insists", gz, "200", []string{html, "set-cookie: a=b", "Httpsys-Compress: on"}, whole(2000), Leave},
		{"not to be transformed", gz, "200", []string{html, "Cache-Control: private, No-Transform"}, whole(2000), Leave},
		{"another directive", gz, "200", []string{html, "Cache-Control: private"}, whole(2000), Encode},
		{"a digest", gz, "200", []string{html, "Content-Digest: sha-256=:x:"}, whole(2000), Leave},
		{"a digest of the representation", gz, "200", []string{html, "Repr-Digest: sha-256=:x:"}, whole(2000), Leave},
		{"an old digest", gz, "200", []string{html, "Digest: sha-256=x"}, whole(2000), Leave},
		{"a very old digest", gz, "200", []string{html, "Content-MD5: x"}, whole(2000), Leave},
		{"signed", gz, "200", []string{html, "Signature-Input: s=()"}, whole(2000), Leave},
		{"caused by another site", guarded, "200", []string{html}, whole(2000), Mark},
		{"caused by another site, and the application insists", guarded, "200", []string{html, "Httpsys-Compress: on"}, whole(2000), Encode},
		{"HEAD", head, "200", []string{html, "Content-Length: 2000"}, whole(0), Announce},
		{"HEAD with the content", head, "200", []string{html}, whole(2000), Announce},
		{"HEAD of something short", head, "200", []string{html, "Content-Length: 20"}, whole(0), Leave},
		{"HEAD of who knows what", head, "200", []string{html}, whole(0), Weaken},
		{"HEAD from a client that cannot", Ask{Bodyless: true}, "200", []string{html, "Content-Length: 2000"}, whole(0), Mark},
		{"a tunnel", tunnel, "200", []string{html}, open, Leave},
		{"a refused tunnel", tunnel, "403", []string{html}, whole(2000), Encode},
	} {
		r := response(t, row.status+" X", row.fields...)
		s := Settings{Policy: Asked, MinSize: 1024}
		body, complete := max(row.body, 0), row.body >= 0
		if got := s.Decide(true, row.ask, r, body, complete); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
		// The prefix did not ask: only the application's word on the response does.
		want := Leave
		if r.Compress == message.CompressOn {
			want = row.want
		}
		if got := s.Decide(false, row.ask, r, body, complete); got != want {
			t.Errorf("%s, prefix without: %v, want %v", row.name, got, want)
		}
		s.Policy = Always
		if got := s.Decide(false, row.ask, r, body, complete); got != row.want {
			t.Errorf("%s, always: %v, want %v", row.name, got, row.want)
		}
		s.Policy = Never
		if got := s.Decide(true, row.ask, r, body, complete); got != Leave {
			t.Errorf("%s, never: %v", row.name, got)
		}
	}
}

func TestCompressible(t *testing.T) {
	for _, s := range []string{
		"text/html", "TEXT/plain;charset=x", "text/x-anything", "application/json", "application/json; charset=utf-8", "Application/JavaScript",
		"application/problem+json", "image/svg+xml", "application/vnd.x+YAML ; a=b", "application/wasm", "font/ttf", " text/css ",
	} {
		if !Compressible([]byte(s)) {
			t.Errorf("%q is worth compressing", s)
		}
	}
	for _, s := range []string{
		"", "text", "text/", "image/png", "image/jpeg", "video/mp4", "application/zip", "application/octet-stream", "font/woff2", "application/gzip",
		"application/x+zip", "application/grpc", "application/jsonx", "xtext/html", "application/pdf;x=text/html", "multipart/form-data",
	} {
		if Compressible([]byte(s)) {
			t.Errorf("%q is not worth compressing", s)
		}
	}
}

// What the head says afterwards.
func TestEdit(t *testing.T) {
	for _, row := range []struct {
		name   string
		v      Verdict
		fields []string
		want   string
	}{
		{"encoded", Encode, []string{html, "Content-Length: 2000", `ETag: "x"`, "Accept-Ranges: bytes", "A: b"},
			`Content-Type: text/html; charset=utf-8|ETag: W/"x"|A: b|Content-Encoding: gzip|Vary: Accept-Encoding`},
		{"encoded, and weak already", Encode, []string{`ETag: W/"x"`}, `ETag: W/"x"|Content-Encoding: gzip|Vary: Accept-Encoding`},
		{"an ETag that is none", Encode, []string{`ETag: x`, "ETag:"}, `ETag: x|ETag: |Content-Encoding: gzip|Vary: Accept-Encoding`},
		{"other fields of four letters", Encode, []string{"Link: <a>", "From: b"}, `Link: <a>|From: b|Content-Encoding: gzip|Vary: Accept-Encoding`},
		{"announced", Announce, []string{"Content-Length: 2000", `ETag: "x"`}, `ETag: W/"x"|Content-Encoding: gzip|Vary: Accept-Encoding`},
		{"marked", Mark, []string{"Content-Length: 2000", `ETag: "x"`, "Accept-Ranges: bytes"},
			`Content-Length: 2000|ETag: "x"|Accept-Ranges: bytes|Vary: Accept-Encoding`},
		{"weakened", Weaken, []string{`ETag: "x"`, "Content-Length: 2000"}, `ETag: W/"x"|Content-Length: 2000|Vary: Accept-Encoding`},
		{"varies already", Mark, []string{"vary: Origin, accept-encoding"}, `vary: Origin, accept-encoding`},
		{"varies in another way", Mark, []string{"Vary: Origin"}, `Vary: Origin|Vary: Accept-Encoding`},
		{"varies in two fields", Mark, []string{"Vary: Origin", "Vary: Accept-Encoding"}, `Vary: Origin|Vary: Accept-Encoding`},
		{"varies in every way", Mark, []string{"Vary: *"}, `Vary: *`},
	} {
		r := response(t, "200 OK", row.fields...)
		before := text(r)
		var h Head
		for range 2 { // the room is used again
			e := h.Edit(row.v, Gzip, r)
			if got := text(e); got != row.want {
				t.Errorf("%s: %s\nwant %s", row.name, got, row.want)
			}
			if at := e.LengthAt; at >= 0 && !message.EqualFold(e.Fields[at].Name, "content-length") || (at >= 0) != (e.ContentLength >= 0) {
				t.Errorf("%s: LengthAt is %d, ContentLength %d", row.name, at, e.ContentLength)
			}
		}
		if after := text(r); after != before {
			t.Errorf("%s: the response itself has changed: %s", row.name, after)
		}
	}
}

func text(r *message.Response) string {
	var out []string
	for _, f := range r.Fields {
		out = append(out, string(f.Name)+": "+string(f.Value))
	}
	return strings.Join(out, "|")
}

// The word to the daemon does not reach the client, in either form of a head.
func TestWordIsRemoved(t *testing.T) {
	var r message.Response
	if err := r.ParseBinary(200, []byte("\x00A\x00b\x00httpsys-COMPRESS\x00On\x00"), 2); err != nil {
		t.Fatal(err)
	}
	if text(&r) != "A: b" || r.Compress != message.CompressOn {
		t.Errorf("%s, %v", text(&r), r.Compress)
	}
}
