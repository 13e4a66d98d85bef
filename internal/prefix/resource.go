package prefix

import (
	"fmt"
	"strings"
)

// Resource takes the URL of a resource apart, as an application or an administrator writes it: the place that a
// prefix with path "/" would have, and the canonical path with its query. Without a port it is
// that of the scheme; without a path it is the root.
func Resource(url string) (at Prefix, path string, err error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return at, "", fmt.Errorf("url %.200q: want http://HOST:PORT/PATH", url)
	}
	n := strings.IndexAny(rest, "/?")
	if n < 0 {
		n = len(rest)
	}
	authority, path := rest[:n], rest[n:]
	if !strings.Contains(authority[strings.LastIndexByte(authority, ']')+1:], ":") {
		authority += map[string]string{"http": ":80", "https": ":443"}[scheme]
	}
	if at, err = Parse(scheme + "://" + authority + "/"); err != nil {
		return at, "", fmt.Errorf("url %.200q: %w", url, err)
	}
	raw, query, has := strings.Cut(path, "?")
	if raw == "" {
		raw = "/"
	}
	canonical, err := Canonical(nil, []byte(raw))
	if err != nil {
		return at, "", fmt.Errorf("url %.200q: %w", url, err)
	}
	if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return at, "", fmt.Errorf("url %.200q: white space and control characters in a query are written as %%20 and so on", url)
	}
	path = string(canonical)
	if has {
		path += "?" + query
	}
	return at, path, nil
}

// ResourceURL is the canonical text of what Resource has taken apart.
func ResourceURL(at Prefix, path string) string {
	at.Path = path
	return at.String()
}
