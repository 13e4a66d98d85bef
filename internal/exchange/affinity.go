package exchange

import (
	"bytes"
	"hash/maphash"
	"strings"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// Affinity keeps the requests of one client with one worker of a queue
// (docs/channel.md section 3.2). The first that a request has decides: the
// parameter of its query, the cookie, the address of its client.
type Affinity struct {
	Query   string // name of a parameter of the query
	Cookie  string // name of a cookie
	Address bool   // the client's address, without the port
}

// The kinds of keys, so that a cookie is never taken for an address.
const (
	byQuery byte = 1 + iota
	byCookie
	byAddress
)

var affinitySeed = maphash.MakeSeed()

func keyOf(kind byte, value []byte) uint64 {
	return max(maphash.Bytes(affinitySeed, value)^uint64(kind)<<56, 1)
}

// key is what a request is kept together by, 0 if nothing is; learn says that
// the answer may hold the client's key: the worker gives it out with it.
func (a *Affinity) key(r *message.Request, f *Facts) (key uint64, learn bool) {
	if a.Query != "" {
		if v := queryParameter(r.Target, a.Query); len(v) > 0 {
			return keyOf(byQuery, v), false
		}
		learn = true
	}
	if a.Cookie != "" {
		if v := cookie(r.Fields, a.Cookie); len(v) > 0 {
			return keyOf(byCookie, v), false
		}
		learn = true
	}
	if a.Address {
		client, _, _ := strings.Cut(f.Addresses, "\x00")
		if i := strings.LastIndexByte(client, ':'); i >= 0 {
			client = client[:i]
		}
		return max(maphash.String(affinitySeed, client)^uint64(byAddress)<<56, 1), learn
	}
	return 0, learn
}

// queryParameter is the value of a parameter as it is written: two spellings of
// one value are two keys.
func queryParameter(target []byte, name string) []byte {
	_, query, _ := bytes.Cut(target, []byte{'?'})
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		if n, v, _ := bytes.Cut(pair, []byte{'='}); string(n) == name {
			return v
		}
	}
	return nil
}

func cookie(fields []message.Field, name string) []byte {
	for i := range fields {
		if !bytes.EqualFold(fields[i].Name, []byte("cookie")) {
			continue
		}
		for rest := fields[i].Value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{';'})
			if n, v, _ := bytes.Cut(bytes.TrimLeft(pair, " \t"), []byte{'='}); string(n) == name {
				return v
			}
		}
	}
	return nil
}

// Bounds of what is looked at to learn a key.
const (
	learnBody = 512 // of the first bytes of an answer
	learnKey  = 128 // of a value
)

// learn takes the keys that a worker gives out: the value of a Set-Cookie, or the
// member of that name in JSON at the start of the body, as Engine.IO's handshake has
// it.
func (a *Affinity) learn(r *message.Response, body []byte, tell func(key uint64)) {
	if a.Cookie != "" {
		for i := range r.Fields {
			if !bytes.EqualFold(r.Fields[i].Name, []byte("set-cookie")) {
				continue
			}
			pair, _, _ := bytes.Cut(r.Fields[i].Value, []byte{';'})
			if n, v, _ := bytes.Cut(pair, []byte{'='}); string(n) == a.Cookie && len(v) > 0 && len(v) <= learnKey {
				tell(keyOf(byCookie, v))
			}
		}
	}
	if a.Query != "" {
		text := body[:min(len(body), learnBody)]
		i := bytes.Index(text, []byte(`"`+a.Query+`":"`))
		if i < 0 {
			return
		}
		v, _, whole := bytes.Cut(text[i+len(a.Query)+4:], []byte{'"'})
		if whole && len(v) > 0 && len(v) <= learnKey && bytes.IndexByte(v, '\\') < 0 {
			tell(keyOf(byQuery, v))
		}
	}
}
