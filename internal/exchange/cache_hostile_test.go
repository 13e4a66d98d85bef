package exchange

import (
	"fmt"
	"testing"

	"github.com/httpsys/httpsys/internal/wire/message"
)

const fresh = "Cache-Control: max-age=100"

// An attacker's request must never decide what others get. Each row is a
// request whose response the application makes differently because of something in it; the victim asks in the usual
// way afterwards and must not get it.
func TestPoisoning(t *testing.T) {
	for _, tc := range []struct {
		name   string
		attack string
		lines  []string
	}{
		// The address, spelled so that an application may read it as another one.
		{"escaped", "GET /%61", nil},
		{"dot segments", "GET /x/../a", nil},
		{"escaped dot segments", "GET /x/%2e%2e/a", nil},
		{"a single dot", "GET /./a", nil},
		{"backslashes", `GET /x\..\a`, nil},
		{"upper case of a host", "GET /a", []string{"Host: A"}},
		{"a port of a host", "GET /a", []string{"Host: a:80"}},
		{"another host", "GET /a", []string{"Host: evil"}},
		{"a query", "GET /a?", nil},
		{"a query that is escaped", "GET /a%3F", nil},
		{"a NUL", "GET /a%00", nil},
		{"a line break", "GET /a%0d%0a", nil},
		{"a matrix parameter", "GET /a;x=y", nil},
		{"an escaped slash", "GET /%2Fa", nil},
		{"two slashes", "GET //a", nil},
		{"a slash at the end", "GET /a/", nil},
		{"upper case", "GET /A", nil},
		// Fields that nobody names in Vary.
		{"X-Forwarded-Host", "GET /a", []string{"X-Forwarded-Host: evil"}},
		{"in other letters", "GET /a", []string{"x-FORWARDED-host: evil"}},
		{"X-Forwarded-Proto", "GET /a", []string{"X-Forwarded-Proto: http"}},
		{"X-Forwarded-Scheme", "GET /a", []string{"X-Forwarded-Scheme: nothttps"}},
		{"X-Forwarded-Port", "GET /a", []string{"X-Forwarded-Port: 1"}},
		{"X-Forwarded-Prefix", "GET /a", []string{"X-Forwarded-Prefix: //evil"}},
		{"X-Host", "GET /a", []string{"X-Host: evil"}},
		{"X-Original-URL", "GET /a", []string{"X-Original-URL: /admin"}},
		{"X-Rewrite-URL", "GET /a", []string{"X-Rewrite-URL: /admin"}},
		{"Forwarded", "GET /a", []string{"Forwarded: host=evil"}},
		{"X-HTTP-Method-Override", "GET /a", []string{"X-HTTP-Method-Override: POST"}},
		{"X-HTTP-Method", "GET /a", []string{"X-HTTP-Method: HEAD"}},
		{"X-Method-Override", "GET /a", []string{"X-Method-Override: POST"}},
	} {
		for _, primed := range []bool{false, true} {
			t.Run(fmt.Sprint(tc.name, " ", primed), func(t *testing.T) {
				o := newOrigin(t)
				if primed {
					o.prime()
				}
				if a := o.ask(tc.attack, tc.lines...); a.failed == "" {
					o.next().answer(200, "poison", fresh)
				}
				victim := o.ask("GET /a")
				if victim.stored {
					t.Fatalf("the victim got %s", victim.got())
				}
				o.next().answer(200, "good", fresh)
				o.ask("GET /a").want(`200 "good" from cache`)
			})
		}
	}
}

// What the attacker asks is answered as he asked it, also once it is stored.
func TestRewrittenAddressesAreKeys(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a", "X-Forwarded-Host: one")
	o.next().answer(200, "1", fresh)
	o.ask("GET /a", "X-Forwarded-Host: two")
	o.next().answer(200, "2", fresh)
	o.ask("GET /a", "X-Forwarded-Host: one").want(`200 "1" from cache`)
	o.ask("GET /a", "X-Forwarded-Host: two").want(`200 "2" from cache`)
	// An unsafe request takes all of them away.
	o.ask("POST /a")
	o.next().answer(200, "")
	o.ask("GET /a", "X-Forwarded-Host: one")
	o.next().answer(200, "3", fresh)
}

// A GET with a body (which applications may obey and caches do not see), and
// other requests that only look like a GET, neither fill the cache nor are answered from it.
func TestFatGet(t *testing.T) {
	o := newOrigin(t)
	o.askAs(&asker{}, "GET /a", "admin=1")
	o.next().answer(200, "poison", fresh)
	a := o.ask("GET /a")
	o.next().answer(200, "good", fresh)
	a.want(`200 "good" from application`)
	b := o.askAs(&asker{}, "GET /a", "admin=1")
	o.next().answer(200, "fat", fresh)
	b.want(`200 "fat" from application`)
	o.ask("GET /a", "Upgrade: websocket")
	o.next().answer(200, "no", fresh)
	o.ask("GET /a").want(`200 "good" from cache`)
	for _, method := range []string{"get", "GETS", "Head"} { // methods have case: these are unknown ones, which may change something
		o.ask(method + " /b")
		o.next().answer(200, "no", fresh)
		o.ask("GET /b")
		o.next().answer(200, "good")
	}
}

// A target in absolute form, and a Host field that is not the authority, reach
// the application as they are: it may see another address than we do.
func TestTwoAuthorities(t *testing.T) {
	o := newOrigin(t).prime()
	begin := func(target, scheme, host string) *asker {
		a := &asker{o: o}
		r := &message.Request{
			Method: []byte("GET"), Target: []byte(target), Authority: []byte("a"), Path: []byte("/a"), Version: 11,
			Fields: []message.Field{{Name: []byte("Host"), Value: []byte(host)}},
		}
		if scheme != "" {
			r.Scheme = []byte(scheme)
		}
		x, _, refusal := o.Begin(a, r, &facts, nil, true)
		a.x = x
		if refusal.Stored != nil {
			a.Stored(refusal.Stored, true)
		}
		return a
	}
	begin("http://a/a", "http", "evil")
	o.next().answer(200, "poison", fresh)
	begin("/a", "", "evil") // :authority of HTTP/2, and a Host field
	o.next().answer(200, "poison", fresh)
	a := begin("/a", "", "a")
	o.next().answer(200, "good", fresh)
	a.want(`200 "good" from application`)
	begin("/a", "", "a").want(`200 "good" from cache`)
}

// Versions of HTTP share what is stored; HTTP/2 names the scheme in each request.
func TestVersions(t *testing.T) {
	o := newOrigin(t).prime()
	begin := func(version uint8, scheme string) *asker {
		a := &asker{o: o}
		r := &message.Request{
			Method: []byte("GET"), Target: []byte("/a"), Authority: []byte("a"), Path: []byte("/a"), Version: version, Scheme: []byte(scheme),
		}
		x, _, refusal := o.Begin(a, r, &facts, nil, true)
		a.x = x
		if refusal.Stored != nil {
			a.Stored(refusal.Stored, true)
		}
		return a
	}
	begin(20, "https") // on a connection without TLS
	o.next().answer(200, "poison", fresh)
	begin(20, "http")
	o.next().answer(200, "good", fresh)
	begin(20, "http").want(`200 "good" from cache`)
	begin(11, "").want(`200 "good" from cache`)
	o.ask("GET /a").want(`200 "good" from cache`)
	begin(20, "https")
	o.next().answer(200, "other", fresh)
}

// Web cache deception: an attacker sends a victim to an odd URL below a private
// page, and asks for it himself afterwards. What is private by its fields stays so whatever
// the URL looks like.
func TestDeception(t *testing.T) {
	for _, path := range []string{"/account/x.css", "/account%2Fx.css", "/account;x.css", "/account%0Ax.css", "/account?x.css", "/account%23x.css",
		"/static/..%2faccount", "/account/%2e%2e/static/x.css"} {
		for _, lines := range [][]string{nil, {"Cache-Control: private, max-age=100"}, {"Cache-Control: no-store"}, {"Set-Cookie: id=1", fresh}} {
			o := newOrigin(t).prime()
			if a := o.ask("GET "+path, "Cookie: id=victim"); a.failed != "" {
				a.want("400 URL")
				continue
			}
			o.next().answer(200, "secret", append(lines, "Last-Modified: "+httpDate(-1000))...)
			attacker := o.ask("GET " + path)
			if attacker.stored {
				t.Fatalf("%s %v: %s", path, lines, attacker.got())
			}
			o.next().answer(200, "")
		}
	}
}

// A response to somebody with Authorization is for them, and what is stored for
// everybody is not taken for theirs unless it says so.
func TestAuthorization(t *testing.T) {
	o := newOrigin(t)
	o.ask("GET /a", "Authorization: alice")
	o.next().answer(200, "alice's", fresh)
	a := o.ask("GET /a")
	o.next().answer(200, "everybody's", fresh)
	a.want(`200 "everybody's" from application`)
	b := o.ask("GET /a", "Authorization: alice")
	o.next().answer(200, "alice's", fresh)
	b.want(`200 "alice's" from application`)
	o.ask("GET /a").want(`200 "everybody's" from cache`)
	o.ask("GET /b", "Authorization: alice")
	o.next().answer(200, "shared", fresh+", public")
	o.ask("GET /b").want(`200 "shared" from cache`)
	o.ask("GET /b", "Authorization: bob").want(`200 "shared" from cache`)
}

// Waiting for each other must not be a way to get what is somebody else's.
func TestCollapsedSecrets(t *testing.T) {
	o := newOrigin(t).prime()
	alice := o.ask("GET /a", "Cookie: alice")
	bob := o.ask("GET /a", "Cookie: bob")
	f := o.next()
	o.none()
	f.answer(200, "alice's", "Cache-Control: private, max-age=100")
	alice.want(`200 "alice's" from application`)
	o.next().answer(200, "bob's", "Cache-Control: private")
	bob.want(`200 "bob's" from application`)
	// By Vary.
	alice = o.ask("GET /b", "Cookie: alice")
	bob = o.ask("GET /b", "Cookie: bob")
	o.next().answer(200, "alice's", fresh, "Vary: Cookie")
	alice.want(`200 "alice's" from application`)
	o.next().answer(200, "bob's", fresh, "Vary: Cookie")
	bob.want(`200 "bob's" from application`)
	o.ask("GET /b", "Cookie: alice").want(`200 "alice's" from cache`)
	// By Authorization: it does not wait at all.
	o.ask("GET /c")
	carol := o.ask("GET /c", "Authorization: carol")
	f, g := o.next(), o.next()
	f.answer(200, "public", fresh)
	g.answer(200, "carol's", fresh)
	carol.want(`200 "carol's" from application`)
}

// Errors that an attacker can provoke are stored only if the application says
// for how long.
func TestErrorsAreNotStored(t *testing.T) {
	for _, status := range []int{400, 403, 404, 413, 431, 500, 502, 503} {
		o := newOrigin(t).prime()
		o.ask("GET /a", "X-Odd: \xff")
		o.next().answer(status, "broken")
		a := o.ask("GET /a")
		o.next().answer(200, "good")
		a.want(`200 "good" from application`)
	}
}
