package rules

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Unsafe says whether a method can change what a GET of the same URL returns
// (RFC 9110 9.2.1). One that we do not know can.
func Unsafe(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "CONNECT":
		return false
	}
	return true
}

// Invalidates says whether a response with this status makes stored ones
// invalid (RFC 9111 4.4): any that is no error.
func Invalidates(status int) bool { return status >= 200 && status < 400 }

// Related finds the URLs in Location and Content-Location of such a response
// that have the origin of the request, and gives visit the path with query of
// each, as spelled (RFC 9111 4.4: no other origin's may be touched).
func Related(fields []message.Field, https bool, authority, path []byte, visit func(target []byte)) {
	for i := range fields {
		f := &fields[i]
		if len(f.Name) != 8 && len(f.Name) != 16 || !EqualFold(f.Name, "location") && !EqualFold(f.Name, "content-location") {
			continue
		}
		if t := resolve(f.Value, https, authority, path); t != nil {
			visit(t)
		}
	}
}

// resolve makes a reference (RFC 3986 5.2) a target at the same origin, or nil. Dot segments
// stay: whoever makes a key of it brings it into canonical form.
func resolve(ref []byte, https bool, authority, path []byte) []byte {
	if i := bytes.IndexByte(ref, '#'); i >= 0 {
		ref = ref[:i]
	}
	if message.TargetEnd(ref, 0) != len(ref) {
		return nil
	}
	scheme, other := "http:", "https:"
	if https {
		scheme, other = other, scheme
	}
	switch {
	case len(ref) >= len(scheme) && EqualFold(ref[:len(scheme)], scheme):
		ref = ref[len(scheme):]
		if !bytes.HasPrefix(ref, []byte("//")) {
			return nil
		}
	case len(ref) >= len(other) && EqualFold(ref[:len(other)], other):
		return nil
	}
	if bytes.HasPrefix(ref, []byte("//")) {
		ref = ref[2:]
		n := bytes.IndexAny(ref, "/?")
		if n < 0 {
			n = len(ref)
		}
		if !foldEqual(ref[:n], authority) {
			return nil
		}
		if ref = ref[n:]; len(ref) == 0 || ref[0] == '?' {
			return append([]byte{'/'}, ref...)
		}
		return ref
	}
	switch {
	case len(ref) == 0 || ref[0] == '?':
		return append(bytes.Clone(path), ref...)
	case ref[0] == '/':
		return ref
	}
	if colon, slash := bytes.IndexByte(ref, ':'), bytes.IndexByte(ref, '/'); colon >= 0 && (slash < 0 || colon < slash) {
		return nil // another scheme
	}
	return append(bytes.Clone(path[:bytes.LastIndexByte(path, '/')+1]), ref...)
}
