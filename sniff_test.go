package httpsys

import (
	"net/http"
	"strings"
	"testing"
)

// sniffSeeds begin like the signatures that http.DetectContentType knows, and
// like what has none.
var sniffSeeds = []string{"", "hello", "{\"a\":1}", "[1]", "<html>", " <!DOCTYPE HTML", "%PDF-", "%!PS-Adobe-",
	"\xfe\xff\x00\x00",
	"\xff\xfe\x00\x00", "\xef\xbb\xbf\x00", "\x00\x00\x01\x00", "\x00\x00\x02\x00", "BM", "GIF87a", "GIF89a",
	"RIFF\x00\x00\x00\x00WEBPVP",
	"RIFFaaaaWEBPVP", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "FORM\x00\x00\x00\x00AIFF", "ID3", "OggS\x00",
	"MThd\x00\x00\x00\x06",
	"RIFFaaaaAVI ", "RIFFaaaaWAVE", "\x00\x00\x00\x10ftypmp42", "aaaaftypmp42", "\x1a\x45\xdf\xa3",
	strings.Repeat("\x00", 34) + "LP",
	strings.Repeat("x", 34) + "LP", "\x00\x01\x00\x00", "OTTO", "ttcf", "wOFF", "wOF2", "\x1f\x8b\x08",
	"PK\x03\x04", "Rar!\x1a\x07\x00",
	"\x00\x61\x73\x6d", "text with a\x00byte", "text\x0b", "text\x1b[1m", strings.Repeat("x", 512) + "\x00",
	strings.Repeat("x", 511) + "\x00"}

// The short way finds what the long one finds.
func TestContentType(t *testing.T) {
	check := func(p string) {
		t.Helper()
		if got, want := contentType([]byte(p)), http.DetectContentType([]byte(p)); got != want {
			t.Errorf("%q: %s, want %s", p, got, want)
		}
	}
	for _, seed := range sniffSeeds {
		check(seed)
		for i := range min(len(seed), 16) {
			check(seed[i:])
			check("x" + seed[i:])
		}
		for c := range 256 {
			check(string([]byte{byte(c)}) + seed)
			if len(seed) > 0 {
				check(string([]byte{byte(c)}) + seed[1:])
			}
		}
	}
}

func FuzzContentType(f *testing.F) {
	for _, seed := range sniffSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if got, want := contentType(p), http.DetectContentType(p); got != want {
			t.Errorf("%q: %s, want %s", p, got, want)
		}
	})
}
