package cache

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Key is what one stored resource is found by: the registration, and
// everything of the request's address that the application can see, as it was
// spelled: authority, path and query. Two spellings of the same URL that an application could
// answer differently are thus never mixed up; what they have in common is their
// canonical URL, by which they are flushed together.
type Key struct {
	Bytes []byte // the whole of it; the path begins at Path
	Path  int
	Hash  uint64
	// Canonical: the spelling is the canonical one.
	Canonical bool
}

// keyHeader is the length of the registration's number in a key.
const keyHeader = 4

var seed = maphash.MakeSeed()

// MakeKey makes the key of a request in the array of dst. canonical is the path as routing
// used it.
//
// Some fields change what applications and frameworks take for the address
// (X-Forwarded-Host and its like). Nobody names them in Vary. A request that has one gets a key of
// its own, so that it cannot choose what others see.
func MakeKey(dst []byte, space *Space, r *message.Request, canonical []byte) Key {
	b := binary.BigEndian.AppendUint32(dst[:0], space.ID)
	b = append(b, r.Authority...)
	k := Key{Path: len(b)}
	b = append(b, r.Path...)
	if hasQuery(r) {
		b = append(append(b, '?'), r.Query...)
	}
	k.Canonical = string(r.Path) == string(canonical) && isLower(r.Authority)
	for i := range r.Fields {
		if name := r.Fields[i].Name; rewritesAddress(name) {
			b = append(b, 0)
			for _, c := range name {
				b = append(b, c|0x20)
			}
			b = append(append(b, ':'), r.Fields[i].Value...)
			k.Canonical = false
		}
	}
	k.Bytes = b
	k.Hash = hashOf(b)
	return k
}

func hashOf(b []byte) uint64 { return maphash.Bytes(seed, b) }

// hasQuery says whether there is a query, perhaps an empty one.
func hasQuery(r *message.Request) bool {
	return len(r.Query) > 0 || len(r.Target) > 0 && r.Target[len(r.Target)-1] == '?'
}

// AppendCanonical appends the canonical URL of a key: see the function.
func (k *Key) AppendCanonical(dst []byte, space *Space, path []byte) []byte {
	url := k.Bytes
	if i := bytes.IndexByte(url[keyHeader:], 0); i >= 0 {
		url = url[:keyHeader+i]
	}
	var query []byte
	has := false
	if i := bytes.IndexByte(url[k.Path:], '?'); i >= 0 {
		query, has = url[k.Path+i+1:], true
	}
	return AppendCanonical(dst, space, url[keyHeader:k.Path], path, query, has)
}

// AppendCanonical appends the canonical URL that entries are indexed by: the
// registration, the authority in lower case, the path, and ? with the query if there is one.
func AppendCanonical(dst []byte, space *Space, authority, path, query []byte, has bool) []byte {
	dst = binary.BigEndian.AppendUint32(dst, space.ID)
	for _, c := range authority {
		dst = append(dst, lower(c))
	}
	dst = append(dst, path...)
	if has {
		dst = append(append(dst, '?'), query...)
	}
	return dst
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isLower(b []byte) bool {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// rewritesAddress has the fields by which proxies tell what the client asked
// for, and frameworks believe them.
func rewritesAddress(name []byte) bool {
	if len(name) < 6 || len(name) > 22 {
		return false
	}
	switch name[0] | 0x20 {
	case 'f':
		return message.EqualFold(name, "forwarded") || message.EqualFold(name, "front-end-https")
	case 'x':
		switch len(name) {
		case 6:
			return message.EqualFold(name, "x-host")
		case 13:
			return message.EqualFold(name, "x-http-method") || message.EqualFold(name, "x-rewrite-url")
		case 14:
			return message.EqualFold(name, "x-original-url")
		case 15:
			return message.EqualFold(name, "x-original-host") || message.EqualFold(name, "x-forwarded-ssl") ||
				message.EqualFold(name, "x-forwarded-url")
		case 16:
			return message.EqualFold(name, "x-forwarded-host") || message.EqualFold(name, "x-forwarded-port") ||
				message.EqualFold(name, "x-forwarded-path")
		case 17:
			return message.EqualFold(name, "x-forwarded-proto") || message.EqualFold(name, "x-method-override")
		case 18:
			return message.EqualFold(name, "x-forwarded-scheme") || message.EqualFold(name, "x-forwarded-prefix") ||
				message.EqualFold(name, "x-forwarded-server")
		case 20:
			return message.EqualFold(name, "x-forwarded-protocol")
		case 22:
			return message.EqualFold(name, "x-http-method-override")
		}
	}
	return false
}
