package httpsys

import (
	"net/http"
	"strings"
)

const plainText = "text/plain; charset=utf-8"

// contentType is http.DetectContentType with a short way for what most
// programs send without saying so: text that begins like a word, a number or
// JSON. Trying all signatures would be a sixth of a small request.
func contentType(p []byte) string {
	if looksLikeText(p) {
		return plainText
	}
	return http.DetectContentType(p)
}

// wordStart has the bytes with which no signature begins that a text could be
// mistaken for. A signature with a length in its first four bytes (MP4) would
// need one beyond any body for them.
var wordStart = func() (t [256]bool) {
	for c := range 128 {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		t[c] = (letter || '0' <= c && c <= '9' || c == '{' || c == '[' || c == '"') && strings.IndexByte("BFGIMOPRtw", byte(c)) < 0
	}
	return t
}()

// binaryByte has the bytes that text does not have.
var binaryByte = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = c != '\t' && c != '\n' && c != '\f' && c != '\r' && c != 0x1b
	}
	return t
}()

func looksLikeText(p []byte) bool {
	if len(p) == 0 || !wordStart[p[0]] {
		return false
	}
	p = p[:min(len(p), 512)]
	// The one signature that is not at the beginning: Embedded OpenType.
	if len(p) >= 36 && p[34] == 'L' && p[35] == 'P' {
		return false
	}
	for _, c := range p {
		if binaryByte[c] {
			return false
		}
	}
	return true
}
