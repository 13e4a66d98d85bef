package httpsys

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// tokenByte has the bytes of a field name (RFC 9110 5.6.2).
var tokenByte = func() (t [256]bool) {
	for c := range 128 {
		t[c] = 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' ||
			c > ' ' && strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// appendValue appends a field value as the channel allows it: without white
// space around it, and with a space for each control character. net/http does
// the same with line breaks; the daemon would end our session for any other.
func appendValue(dst []byte, v string) []byte {
	for v != "" && isSpace(v[0]) {
		v = v[1:]
	}
	for v != "" && isSpace(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	at := len(dst)
	dst = append(dst, v...)
	for i := at; i < len(dst); i++ {
		if c := dst[i]; c < ' ' && c != '\t' || c == 0x7f {
			dst[i] = ' '
		}
	}
	return dst
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, 0)
	dst = appendValue(dst, value)
	return append(dst, 0)
}

// A headBlock is the fields of a response head, written down when the handler
// says WriteHeader: what it does to the map later has no effect.
type headBlock struct {
	fields     []byte // name NUL value NUL …
	n          int
	length     int64 // Content-Length, or -1
	badLength  string
	hasType    bool
	hasCoding  bool // Content-Encoding that is not empty
	hasFraming bool // Transfer-Encoding
	announced  []string
	trailers   bool // the body is followed by trailers
	upgrade    bool // Connection: upgrade
}

type fieldRef struct {
	name   string
	values []string
}

func byName(a, b fieldRef) int { return strings.Compare(a.name, b.name) }

// excluded says which fields a status does not have (RFC 9110 15.4.5, 8.6).
func excluded(name string, status int) bool {
	switch name {
	case "Transfer-Encoding":
		return true // the daemon frames
	case "Content-Length":
		return !bodyAllowed(status)
	case "Content-Type":
		return status == http.StatusNotModified
	}
	return false
}

// set writes h down in the order of the names, as net/http does it. Fields
// that no HTTP message can have are left out.
func (b *headBlock) set(h http.Header, status int) {
	*b = headBlock{fields: b.fields[:0], length: -1, announced: b.announced[:0]}
	if len(h) == 0 {
		return
	}
	var few [12]fieldRef
	refs := few[:0]
	for name, values := range h {
		refs = append(refs, fieldRef{name, values})
	}
	if len(refs) > 1 {
		slices.SortFunc(refs, byName)
	}
	for _, f := range refs {
		if len(f.values) == 0 {
			// A name without values is not written. net/http's way to say
			// "no Content-Type, and do not guess one" is exactly that.
			b.hasType = b.hasType || f.name == "Content-Type"
			continue
		}
		if strings.HasPrefix(f.name, http.TrailerPrefix) {
			b.trailers = true
			continue
		}
		if !isToken(f.name) {
			continue
		}
		switch f.name {
		case "Content-Type":
			b.hasType = true
		case "Content-Encoding":
			b.hasCoding = f.values[0] != ""
		case "Transfer-Encoding":
			b.hasFraming = f.values[0] != ""
		case "Content-Length":
			n, err := strconv.ParseInt(f.values[0], 10, 64)
			if err != nil || n < 0 {
				if f.values[0] != "" {
					b.badLength = f.values[0]
				}
				continue
			}
			b.length = n
			if !excluded(f.name, status) {
				b.addLength(n)
			}
			continue
		case "Trailer":
			b.trailers = true
			b.announce(f.values)
		case "Connection":
			b.upgrade = listHas(f.values, "upgrade")
		}
		if excluded(f.name, status) {
			continue
		}
		for _, v := range f.values {
			b.fields = appendField(b.fields, f.name, v)
			b.n++
		}
	}
}

func (b *headBlock) addLength(n int64) {
	b.fields = append(b.fields, "Content-Length\x00"...)
	b.fields = strconv.AppendInt(b.fields, n, 10)
	b.fields = append(b.fields, 0)
	b.n++
}

func (b *headBlock) addType(value string) {
	b.fields = append(b.fields, "Content-Type\x00"...)
	b.fields = append(b.fields, value...)
	b.fields = append(b.fields, 0)
	b.n++
}

// announce remembers the names of a Trailer field.
func (b *headBlock) announce(values []string) {
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))
			if trailerAllowed(name) {
				b.announced = append(b.announced, name)
			}
		}
	}
}

// tooLong reports whether the head is beyond what the channel carries.
func (b *headBlock) tooLong() bool { return b.n > message.MaxFields || len(b.fields) > maxHead }

// trailerAllowed says which fields may come after the body: those that say
// nothing about framing, routing or how to treat the message (RFC 9110 6.5.1).
func trailerAllowed(name string) bool {
	if !isToken(name) || strings.HasPrefix(name, "If-") {
		return false
	}
	switch name {
	case "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Range",
		"Content-Type", "Expect", "Host", "Keep-Alive", "Max-Forwards", "Pragma", "Proxy-Authenticate",
		"Proxy-Authorization", "Proxy-Connection", "Range", "Realm", "Te", "Trailer", "Transfer-Encoding",
		"Www-Authenticate":
		return false
	}
	return true
}

// appendTrailers writes the trailers down that h has in the end: those that
// were announced and those with http.TrailerPrefix.
func appendTrailers(dst []byte, h http.Header, announced []string) (_ []byte, n int) {
	add := func(name string, values []string) {
		for _, v := range values {
			if n < message.MaxFields && len(dst)+len(name)+len(v)+2 <= maxHead {
				dst = appendField(dst, name, v)
				n++
			}
		}
	}
	for _, name := range announced {
		add(name, h[name])
	}
	for key, values := range h {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok && trailerAllowed(textproto.CanonicalMIMEHeaderKey(name)) {
			add(name, values)
		}
	}
	return dst, n
}

// bodyAllowed says which statuses have content (RFC 9110 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
