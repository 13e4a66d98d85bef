package rules

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// fields makes fields of lines "Name: value".
func fields(lines ...string) []message.Field {
	var fs []message.Field
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		fs = append(fs, message.Field{Name: []byte(name), Value: message.Trim([]byte(value))})
	}
	return fs
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, " | ")
}

const now = 1_800_000_000 // seconds since 1970: 2027-01-15 08:00:00

func date(offset int64) string { return time.Unix(now+offset, 0).UTC().Format(http) }

const http = "Mon, 02 Jan 2006 15:04:05 GMT"

func TestDates(t *testing.T) {
	const want = 784111777 // RFC 9110 5.6.7
	for _, tc := range []struct {
		in string
		ok bool
	}{
		{"Sun, 06 Nov 1994 08:49:37 GMT", true},
		{"Sunday, 06-Nov-94 08:49:37 GMT", true},
		{"Sun Nov  6 08:49:37 1994", true},
		{"sun, 06 nov 1994 08:49:37 gmt", true}, // others take it, and nobody can mean something else
		{"Mon, 06 Nov 1994 08:49:37 GMT", true}, // a weekday says nothing new
		{"Sun, 06 Nov 1994 08:49:37 UTC", false},
		{"Sun, 06 Nov 1994 08:49:37", false},
		{"Sun, 6 Nov 1994 08:49:37 GMT", false},
		{"Sun, 06 Nov 94 08:49:37 GMT", false},
		{"Sun 06 Nov 1994 08:49:37 GMT", false},
		{"Sun,  06 Nov 1994 08:49:37 GMT", false},
		{"Sun, 06-Nov-1994 08:49:37 GMT", false},
		{"Sun, 06 Nov 1994 08.49.37 GMT", false},
		{"Sun, 06 Nov 1994 8:49:37 GMT", false},
		{"Sun, 31 Nov 1994 08:49:37 GMT", false},
		{"Sun, 06 Nov 1994 24:49:37 GMT", false},
		{"Sun, 06 Nov 1994 08:60:37 GMT", false},
		{"0", false},
		{"", false},
		{"-1", false},
	} {
		got, ok := ParseDate([]byte(tc.in))
		if ok != tc.ok || ok && got != want {
			t.Errorf("%q: %d, %v", tc.in, got, ok)
		}
	}
	for _, at := range []time.Time{
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2000, 2, 29, 23, 59, 59, 0, time.UTC),
		time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC), time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		time.Date(1900, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		if got, ok := ParseDate([]byte(at.Format(http))); !ok || got != at.Unix() {
			t.Errorf("%v: %d, %v; want %d", at, got, ok, at.Unix())
		}
	}
	if _, ok := ParseDate([]byte("Mon, 29 Feb 2027 00:00:00 GMT")); ok {
		t.Error("29 February of a year that has none")
	}
}

func FuzzDate(f *testing.F) {
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("Sun Nov  6 08:49:37 1994")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseDate([]byte(s))
		// Where net/http's reader of the first form takes it, so do we, with the same result.
		if want, err := time.Parse(http, s); err == nil && len(s) == 29 && (!ok || got != want.Unix()) {
			t.Errorf("%q: %d, %v; want %d", s, got, ok, want.Unix())
		}
	})
}

// What Cache-Control says, in all spellings.
func TestControl(t *testing.T) {
	n := func(set func(*Control)) Control { c := none; c.Present = true; set(&c); return c }
	for _, tc := range []struct {
		in   string
		want Control
	}{
		{"no-store", n(func(c *Control) { c.NoStore = true })},
		{"NO-STORE , max-age=5", n(func(c *Control) { c.NoStore = true; c.MaxAge = 5 })},
		{"max-age=\"5\"", n(func(c *Control) { c.MaxAge = 5 })},                                     // 5.2: both forms
		{"max-age=5, max-age=7", n(func(c *Control) { c.MaxAge = 5 })},                              // 4.2.1
		{"max-age=7 | Cache-Control: max-age=5", n(func(c *Control) { c.MaxAge = 7 })},              // on two lines
		{"max-age=99999999999", n(func(c *Control) { c.MaxAge = MaxDelta })},                        // 1.2.2
		{"max-age=-5", n(func(c *Control) { c.MaxAge = 0 })},                                        // 4.2.1: stale
		{"max-age=5a", n(func(c *Control) { c.MaxAge = 0 })},                                        //
		{"max-age", n(func(c *Control) { c.MaxAge = 0 })},                                           //
		{"max-age =5", n(func(c *Control) {})},                                                      // another name
		{"foo=\"max-age=9, no-store\", max-age=1", n(func(c *Control) { c.MaxAge = 1 })},            // in a quoted-string
		{"foo=\"\\\", no-store\", max-age=1", n(func(c *Control) { c.MaxAge = 1 })},                 // with a quote in it
		{"private", n(func(c *Control) { c.Private = true })},                                       //
		{"private=\"a, b\"", n(func(c *Control) { c.PrivateFields = []byte("a, b") })},              // 5.2.2.7
		{"private=\"a\", private", n(func(c *Control) { c.Private = true })},                        // the stricter
		{"no-cache=\"a\", no-cache=\"b\"", n(func(c *Control) { c.NoCacheFields = []byte("a,b") })}, //
		{"no-cache=a", n(func(c *Control) { c.NoCache = true })},                                    // not quoted: the stricter
		{"max-stale", n(func(c *Control) { c.MaxStale = MaxDelta })},                                // 5.2.1.2
		{"max-stale=5", n(func(c *Control) { c.MaxStale = 5 })},                                     //
		{"stale-while-revalidate=5, stale-if-error=6", n(func(c *Control) { c.StaleWhileRevalidate, c.StaleIfError = 5, 6 })},
		{",,, public,", n(func(c *Control) { c.Public = true })},
		{"must-understand, no-transform, proxy-revalidate, must-revalidate, s-maxage=3", n(func(c *Control) {
			c.MustUnderstand, c.NoTransform, c.ProxyRevalidate, c.MustRevalidate, c.SMaxAge = true, true, true, true, 3
		})},
	} {
		if got := ParseControl(fields(split("Cache-Control: " + tc.in)...)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tc.in, got, tc.want)
		}
	}
}

// Which field's directives hold (RFC 9213 2.2), and when a targeted one is void.
func TestTargeted(t *testing.T) {
	for _, tc := range []struct {
		in       string
		targeted bool
		maxAge   int64
		noStore  bool
	}{
		{"Cache-Control: max-age=1", false, 1, false},
		{"CDN-Cache-Control: max-age=2 | Cache-Control: max-age=1, no-store", true, 2, false},
		{"Httpsys-Cache-Control: max-age=3 | CDN-Cache-Control: max-age=2", true, 3, false},
		{"CDN-Cache-Control: | Cache-Control: max-age=1", false, 1, false},                    // empty
		{"CDN-Cache-Control: max-age=2, &&& | Cache-Control: max-age=1", false, 1, false},     // no structured field
		{"CDN-Cache-Control: max-age=\"2\" | Cache-Control: max-age=1", false, 1, false},      // a string
		{"CDN-Cache-Control: max-age=2.5 | Cache-Control: max-age=1", false, 1, false},        // a decimal
		{"CDN-Cache-Control: max-age = 2 | Cache-Control: max-age=1", false, 1, false},        // a blank
		{"CDN-Cache-Control: max-age=2, | Cache-Control: max-age=1", false, 1, false},         // a comma at the end
		{"CDN-Cache-Control: max-age=2;a=b;c, foo=(1 2);x, bar=:YQ==:, b=?0", true, 2, false}, // everything else there is
		{"CDN-Cache-Control: MaX-aGe=2", true, 2, false},                                      // directives have no case
		{"CDN-Cache-Control: max-age=1, max-age=2", true, 2, false},                           // of a Dictionary the last counts
		{"CDN-Cache-Control: no-store=?0, max-age=2", true, 2, false},                         // false is: not
		{"CDN-Cache-Control: max-age=2 | CDN-Cache-Control: no-store", true, 2, true},         // two lines
		{"CDN-Cache-Control: no-store | Cache-Control: max-age=1", true, None, true},          //
		{"CDN-Cache-Control: max-age=2;; | Cache-Control: max-age=1", false, 1, false},        //
		{"CDN-Cache-Control: foo=\"a\\b\", max-age=2 | Cache-Control: max-age=1", false, 1, false},
		{"CDN-Cache-Control: foo=(1 | Cache-Control: max-age=1", false, 1, false},
		{"CDN-Cache-Control: max-age=99999999999999999 | Cache-Control: max-age=1", false, 1, false},
	} {
		c, targeted := ResponseControl(fields(split(tc.in)...))
		if targeted != tc.targeted || c.MaxAge != tc.maxAge || c.NoStore != tc.noStore {
			t.Errorf("%s: targeted %v, max-age %d, no-store %v", tc.in, targeted, c.MaxAge, c.NoStore)
		}
	}
}

func FuzzTargeted(f *testing.F) {
	f.Add("max-age=2;a=b;c, foo=(1 2);x, bar=:YQ==:, b=?0, s=\"a\\\"\"")
	f.Add("max-age=2, &&&")
	f.Fuzz(func(t *testing.T, s string) {
		ResponseControl([]message.Field{{Name: []byte("CDN-Cache-Control"), Value: []byte(s)}})
		ParseControl([]message.Field{{Name: []byte("Cache-Control"), Value: []byte(s)}})
	})
}

var offsets = regexp.MustCompile(`\bD[+-][0-9]+`)

// What may be stored, for how long, and how old it is then. D in a line stands for the date of the response, D-10
// for ten seconds before it.
func TestJudge(t *testing.T) {
	policy := Policy{Heuristic: 50}
	for _, tc := range []struct {
		name, request string
		status        int
		response      string
		store         bool
		lifetime, age int64
	}{
		// 9111 3: what may be stored.
		{"nothing said", "", 200, "", false, 0, 0},
		{"max-age", "", 200, "Cache-Control: max-age=5", true, 5, 0},
		{"s-maxage before max-age", "", 200, "Cache-Control: max-age=5, s-maxage=9", true, 9, 0},
		{"max-age before Expires", "", 200, "Cache-Control: max-age=5 | Expires: D+90", true, 5, 0},
		{"Expires", "", 200, "Expires: D+90", true, 90, 0},
		{"Expires in the past", "", 200, "Expires: D-90", false, 0, 0},
		{"Expires that is none", "", 200, "Expires: 0", false, 0, 0},
		{"Expires twice", "", 200, "Expires: D+90 | Expires: D+90", false, 0, 0},
		{"Expires does not count with a targeted field", "", 200, "Expires: D+90 | CDN-Cache-Control: public", false, 0, 0},
		{"no-store", "", 200, "Cache-Control: no-store, max-age=5", false, 0, 0},
		{"no-store of the request", "Cache-Control: no-store", 200, "Cache-Control: max-age=5", false, 0, 0},
		{"private", "", 200, "Cache-Control: private, max-age=5", false, 0, 0},
		{"private fields", "", 200, "Cache-Control: private=\"a\", max-age=5", true, 5, 0},
		{"no-cache without a validator", "", 200, "Cache-Control: no-cache", false, 0, 0},
		{"no-cache with one", "", 200, "Cache-Control: no-cache | ETag: \"a\"", true, 0, 0},
		{"max-age=0 with one", "", 200, "Cache-Control: max-age=0 | Last-Modified: D-10", true, 0, 0},
		{"max-age=0 with a tag that is none", "", 200, "Cache-Control: max-age=0 | ETag: a", false, 0, 0},
		{"nothing but a validator", "", 200, "ETag: \"a\"", false, 0, 0},
		{"Vary: *", "", 200, "Cache-Control: max-age=5 | Vary: a, *", false, 0, 0},
		// Any final status with explicit freshness.
		{"500", "", 500, "Cache-Control: max-age=5", true, 5, 0},
		{"599", "", 599, "Cache-Control: max-age=5", true, 5, 0},
		{"302", "", 302, "Cache-Control: max-age=5", true, 5, 0},
		{"304", "", 304, "Cache-Control: max-age=5", false, 0, 0},
		{"206", "", 206, "Cache-Control: max-age=5 | Content-Range: bytes 0-4/10", true, 5, 0},
		{"206 without a range", "", 206, "Cache-Control: max-age=5", false, 0, 0},
		{"206 of unknown length", "", 206, "Cache-Control: max-age=5 | Content-Range: bytes 0-4/*", false, 0, 0},
		// 5.2.2.3
		{"must-understand takes no-store back", "", 200, "Cache-Control: no-store, must-understand, max-age=5", true, 5, 0},
		{"but not for a code that we do not know", "", 599, "Cache-Control: no-store, must-understand, max-age=5", false, 0, 0},
		// 3.5
		{"Authorization", "Authorization: x", 200, "Cache-Control: max-age=5", false, 0, 0},
		{"Authorization, public", "Authorization: x", 200, "Cache-Control: max-age=5, public", true, 5, 0},
		{"Authorization, s-maxage", "Authorization: x", 200, "Cache-Control: s-maxage=5", true, 5, 0},
		{"Authorization, must-revalidate", "Authorization: x", 200, "Cache-Control: max-age=5, must-revalidate", true, 5, 0},
		{"Authorization, our own field", "Authorization: x", 200, "Httpsys-Cache-Control: until-flushed", false, 0, 0},
		// 7.3
		{"Set-Cookie", "", 200, "Cache-Control: max-age=5 | Set-Cookie: a=b", false, 0, 0},
		{"Set-Cookie, our own field", "", 200, "Httpsys-Cache-Control: max-age=5 | Set-Cookie: a=b", false, 0, 0},
		{"Set-Cookie, public", "", 200, "Cache-Control: public, max-age=5 | Set-Cookie: a=b", true, 5, 0},
		{"Set-Cookie that is not stored", "", 200, "Cache-Control: no-cache=\"set-cookie\", max-age=5 | Set-Cookie: a=b", true, 5, 0},
		{"a Cookie of the request", "Cookie: a=b", 200, "Cache-Control: max-age=5", true, 5, 0},
		// 4.2.2
		{"a tenth of the time since the last change", "", 200, "Last-Modified: D-100", true, 10, 0},
		{"bounded", "", 200, "Last-Modified: D-100000", true, 50, 0},
		{"not for each status", "", 201, "Last-Modified: D-100", false, 0, 0},
		{"but with public", "", 201, "Cache-Control: public | Last-Modified: D-100", true, 10, 0},
		{"not in a session", "Cookie: a=b", 200, "Last-Modified: D-100", false, 0, 0},
		{"a change in the future", "", 200, "Last-Modified: D+100", false, 0, 0},
		{"Pragma: no-cache", "", 200, "Pragma: no-cache | Last-Modified: D-100", false, 0, 0},
		// 4.2.3
		{"Age", "", 200, "Cache-Control: max-age=50 | Age: 7", true, 50, 7},
		{"too old", "", 200, "Cache-Control: max-age=5 | Age: 7", false, 5, 7},
		{"the first Age", "", 200, "Cache-Control: max-age=50 | Age: 7, 0", true, 50, 7},
		{"the first line", "", 200, "Cache-Control: max-age=50 | Age: 0 | Age: 7", true, 50, 0},
		{"an Age that is none", "", 200, "Cache-Control: max-age=50 | Age: -7", true, 50, 0},
		{"Age with a fraction", "", 200, "Cache-Control: max-age=50 | Age: 7.0", true, 50, 0},
		{"a large Age", "", 200, "Cache-Control: max-age=50 | Age: 99999999999", false, 50, MaxDelta},
		{"an old Date", "", 200, "Cache-Control: max-age=50 | Date: D-7", true, 50, 7},
		{"a Date ahead of us", "", 200, "Cache-Control: max-age=50 | Date: D+7", true, 50, 0},
		// The application's own word.
		{"until flushed", "", 200, "Httpsys-Cache-Control: until-flushed", true, MaxDelta, 0},
		{"until flushed is not for everybody to say", "", 200, "Cache-Control: until-flushed", false, 0, 0},
		{"our field before others", "", 200, "Httpsys-Cache-Control: max-age=7 | Cache-Control: no-store", true, 7, 0},
		// 5861
		{"stale while revalidating", "", 200, "Cache-Control: max-age=0, stale-while-revalidate=9", true, 0, 0},
	} {
		at := int64(now)
		response := offsets.ReplaceAllStringFunc(tc.response, func(s string) string {
			n, _ := strconv.ParseInt(s[1:], 10, 64)
			return date(n)
		})
		fs := fields(split(response)...)
		if v, ok := get(fs, "date"); ok {
			at, _ = ParseDate(v)
		}
		var q Request
		q.Parse(false, fields(split(tc.request)...))
		v := Judge(&q, &Response{Status: tc.status, Fields: fs, Date: at, Now: now}, policy)
		if v.Store != tc.store || tc.store && (v.Lifetime != tc.lifetime || v.Age != tc.age) {
			t.Errorf("%s: store %v, lifetime %d, age %d", tc.name, v.Store, v.Lifetime, v.Age)
		}
	}
	// The default of a registration, for responses that say nothing.
	var q Request
	q.Parse(false, nil)
	for _, tc := range []struct {
		status   int
		response string
		store    bool
	}{
		{200, "", true}, {200, "Set-Cookie: a=b", false}, {200, "Cache-Control: private", false}, {200, "Cache-Control: public", false},
		{500, "", false}, {200, "Vary: *", false},
	} {
		v := Judge(&q, &Response{Status: tc.status, Fields: fields(split(tc.response)...), Date: now, Now: now}, Policy{Default: 60})
		if v.Store != tc.store || v.Store && v.Lifetime != 60 {
			t.Errorf("default: %d %q: %v", tc.status, tc.response, v.Store)
		}
	}
}

// When a stored response may be used.
func TestReuse(t *testing.T) {
	for _, tc := range []struct {
		name, request string
		terms         Terms
		age           int64
		want          Use
	}{
		{"fresh", "", Terms{Lifetime: 10}, 9, Fresh},
		{"at the end of its lifetime", "", Terms{Lifetime: 10}, 10, Revalidate},
		{"no-cache of the response", "", Terms{Lifetime: 10, NoCache: true}, 0, Revalidate},
		{"no-cache of the request", "Cache-Control: no-cache", Terms{Lifetime: 10}, 0, Revalidate},
		{"Pragma", "Pragma: no-cache", Terms{Lifetime: 10}, 0, Revalidate},
		{"Pragma beside Cache-Control", "Pragma: no-cache | Cache-Control: max-age=5", Terms{Lifetime: 10}, 0, Fresh},
		{"max-age at the edge", "Cache-Control: max-age=5", Terms{Lifetime: 10}, 5, Fresh},
		{"older", "Cache-Control: max-age=5", Terms{Lifetime: 10}, 6, Revalidate},
		{"max-age=0, just stored", "Cache-Control: max-age=0", Terms{Lifetime: 10}, 1, Revalidate},
		{"min-fresh at the edge", "Cache-Control: min-fresh=5", Terms{Lifetime: 10}, 5, Fresh},
		{"min-fresh", "Cache-Control: min-fresh=5", Terms{Lifetime: 10}, 6, Revalidate},
		{"max-stale", "Cache-Control: max-stale", Terms{Lifetime: 10}, 5000, Fresh},
		{"max-stale at the edge", "Cache-Control: max-stale=5", Terms{Lifetime: 10}, 15, Fresh},
		{"beyond", "Cache-Control: max-stale=5", Terms{Lifetime: 10}, 16, Revalidate},
		{"must-revalidate against max-stale", "Cache-Control: max-stale", Terms{Lifetime: 10, MustRevalidate: true}, 11, Revalidate},
		{"stale-while-revalidate", "", Terms{Lifetime: 10, StaleWhileRevalidate: 5}, 14, Refresh},
		{"after its window", "", Terms{Lifetime: 10, StaleWhileRevalidate: 5}, 15, Revalidate},
		{"must-revalidate against it", "", Terms{Lifetime: 10, StaleWhileRevalidate: 5, MustRevalidate: true}, 12, Revalidate},
		{"until flushed", "", Terms{Lifetime: MaxDelta, UntilFlushed: true}, MaxDelta, Fresh},
		{"only-if-cached changes nothing here", "Cache-Control: only-if-cached", Terms{Lifetime: 10}, 1, Fresh},
	} {
		var q Request
		q.Parse(false, fields(split(tc.request)...))
		if got := Reuse(&q.Control, &tc.terms, tc.age); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestStaleOnError(t *testing.T) {
	for _, tc := range []struct {
		name, request string
		terms         Terms
		age           int64
		want          bool
	}{
		{"nobody said so", "", Terms{Lifetime: 10}, 10, false},
		{"within", "", Terms{Lifetime: 10, StaleIfError: 5}, 14, true},
		{"beyond", "", Terms{Lifetime: 10, StaleIfError: 5}, 15, false},
		{"of the request", "Cache-Control: stale-if-error=5", Terms{Lifetime: 10}, 14, true},
		{"must-revalidate", "Cache-Control: stale-if-error=5", Terms{Lifetime: 10, StaleIfError: 5, MustRevalidate: true}, 14, false},
		{"no-cache", "", Terms{Lifetime: 10, StaleIfError: 5, NoCache: true}, 5, false},
	} {
		var q Request
		q.Parse(false, fields(split(tc.request)...))
		if got := StaleOnError(&q.Control, &tc.terms, tc.age); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// Which requests a variant fits (RFC 9111 4.1).
func TestVariants(t *testing.T) {
	for _, tc := range []struct {
		name, vary, stored, other string
		want                      bool
	}{
		{"no Vary", "", "A: 1", "A: 2", true},
		{"the same", "Vary: A", "A: 1", "A: 1", true},
		{"another value", "Vary: A", "A: 1", "A: 2", false},
		{"not there, stored with", "Vary: A", "A: 1", "", false},
		{"not there, stored without", "Vary: A", "", "A: 1", false},
		{"empty is not missing", "Vary: A", "", "A:", false},
		{"both without", "Vary: A", "", "", true},
		{"others do not matter", "Vary: A", "A: 1 | B: 1", "B: 2 | A: 1", true},
		{"names have no case", "Vary: a", "A: 1", "a: 1", true},
		{"lines are a list", "Vary: A", "A: 1 | A: 2", "A: 1, 2", true},
		{"blanks at commas", "Vary: A", "A: 1,2", "A: 1 ,  2", true},
		{"not in quoted-strings", "Vary: A", "A: \"1,2\"", "A: \"1, 2\"", false},
		{"order matters", "Vary: A", "A: 1, 2", "A: 2, 1", false},
		{"values have case", "Vary: A", "A: x", "A: X", false},
		{"but not languages", "Vary: Accept-Language", "Accept-Language: EN-gb", "Accept-Language: en-GB", true},
		{"two names", "Vary: A, B", "A: 1 | B: 2", "A: 1 | B: 2", true},
		{"of which one differs", "Vary: A | Vary: B", "A: 1 | B: 2", "A: 1 | B: 3", false},
		{"what is joined cannot look like another", "Vary: A, B", "A: 1 | B: 2", "A: 12 | B:", false},
	} {
		v := AppendVariant(nil, fields(split(tc.vary)...), fields(split(tc.stored)...))
		if got, _ := Selects(v, fields(split(tc.other)...), nil); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
		if same, _ := Selects(v, fields(split(tc.stored)...), nil); !same {
			t.Errorf("%s: does not fit its own request", tc.name)
		}
	}
}

func TestNotModified(t *testing.T) {
	for _, tc := range []struct {
		name, request, tag string
		modified           int64
		want               bool
	}{
		{"the tag", `If-None-Match: "a"`, `"a"`, 0, true},
		{"another", `If-None-Match: "b"`, `"a"`, 0, false},
		{"one of several", `If-None-Match: "b", W/"a", "c"`, `"a"`, 0, true},
		{"weak comparison", `If-None-Match: "a"`, `W/"a"`, 0, true},
		{"a comma in a tag", `If-None-Match: "x,y"`, `"x,y"`, 0, true},
		{"on two lines", `If-None-Match: "b" | If-None-Match: "a"`, `"a"`, 0, true},
		{"star", `If-None-Match: *`, ``, 0, true},
		{"no tag stored", `If-None-Match: "a"`, ``, 0, false},
		{"no quotes", `If-None-Match: a`, `"a"`, 0, false},
		{"precedence over the date", `If-None-Match: "b" | If-Modified-Since: ` + date(0), `"a"`, now, false},
		{"the date", "If-Modified-Since: " + date(0), "", now, true},
		{"an earlier change", "If-Modified-Since: " + date(0), "", now - 1, true},
		{"a later change", "If-Modified-Since: " + date(0), "", now + 1, false},
		{"a date that is none", "If-Modified-Since: x", "", now, false},
	} {
		var q Request
		q.Parse(false, fields(split(tc.request)...))
		var tag []byte
		if tc.tag != "" {
			tag = []byte(tc.tag)
		}
		if got := NotModified(&q, tag, tc.modified); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestIfRange(t *testing.T) {
	for _, tc := range []struct {
		ifRange, tag   string
		modified, date int64
		want           bool
	}{
		{`"a"`, `"a"`, 0, 0, true},
		{`"a"`, `"b"`, 0, 0, false},
		{`"a"`, `W/"a"`, 0, 0, false}, // 9110 13.1.5: strong comparison
		{`W/"a"`, `W/"a"`, 0, 0, false},
		{`a`, `"a"`, 0, 0, false},
		{date(0), "", now, now + 60, true},
		{date(0), "", now, now + 59, false}, // 8.8.2.2: a weak date
		{date(0), "", now - 1, now + 60, false},
	} {
		if got := IfRangeHolds([]byte(tc.ifRange), []byte(tc.tag), tc.modified, tc.date); got != tc.want {
			t.Errorf("If-Range: %s with %s: %v", tc.ifRange, tc.tag, got)
		}
	}
	if !IfRangeHolds(nil, nil, 0, 0) {
		t.Error("no If-Range")
	}
}

func TestRanges(t *testing.T) {
	for _, tc := range []struct {
		in   string
		size int64
		want string
	}{
		{"bytes=0-1", 10, "[{0 1}]"},
		{"BYTES=0-1", 10, "[{0 1}]"},
		{"bytes=5-", 10, "[{5 9}]"},
		{"bytes=-3", 10, "[{7 9}]"},
		{"bytes=-30", 10, "[{0 9}]"},
		{"bytes=0-100", 10, "[{0 9}]"},
		{"bytes=0-0, -1", 10, "[{0 0} {9 9}]"},
		{"bytes= 0-0 ,, 2-3 ", 10, "[{0 0} {2 3}]"},
		{"bytes=10-", 10, "none"},
		{"bytes=10-, 1-2", 10, "[{1 2}]"},
		{"bytes=-0", 10, "none"},
		{"bytes=0-", 0, "none"},
		{"bytes=-1", 0, "none"},
		{"bytes=2-1", 10, "ignored"},
		{"bytes=", 10, "ignored"},
		{"bytes=a-b", 10, "ignored"},
		{"bytes=1", 10, "ignored"},
		{"bytes=--1", 10, "ignored"},
		{"lines=1-2", 10, "ignored"},
		{"bytes=0-9,0-9", 10, "ignored"}, // more than there is
		{"bytes=99999999999999999999-", 10, "none"},
		{"bytes=0-99999999999999999999", 10, "[{0 9}]"},
		{"bytes=" + strings.Repeat("1-1,", maxRanges-1) + "1-1", 100, fmt.Sprint(make([]Range, 0))},
		{"bytes=" + strings.Repeat("1-1,", maxRanges) + "1-1", 100, "ignored"},
	} {
		rs, ok := Ranges([]byte(tc.in), tc.size, nil)
		got := fmt.Sprint(rs)
		switch {
		case !ok:
			got = "ignored"
		case len(rs) == 0:
			got = "none"
		case len(rs) == maxRanges:
			got = "[]"
		}
		if got != tc.want {
			t.Errorf("%.40q of %d: %s, want %s", tc.in, tc.size, got, tc.want)
		}
	}
}

func FuzzRanges(f *testing.F) {
	f.Add("bytes=0-1,-5,7-", int64(10))
	f.Fuzz(func(t *testing.T, s string, size int64) {
		if size < 0 {
			return
		}
		rs, _ := Ranges([]byte(s), size, nil)
		var sum int64
		for _, r := range rs {
			if r.First < 0 || r.First > r.Last || r.Last >= size {
				t.Fatalf("%q of %d: %v", s, size, rs)
			}
			sum += r.Len()
		}
		if len(rs) > 1 && sum > size {
			t.Fatalf("%q of %d: %v", s, size, rs)
		}
	})
}

// Which URLs of Location and Content-Location an unsafe request concerns.
func TestRelated(t *testing.T) {
	for _, tc := range []struct{ ref, want string }{
		{"/x?y", "/x?y"},
		{"x", "/a/x"},
		{"../x", "/a/../x"},
		{"?z", "/a/b?z"},
		{"", "/a/b"},
		{"#f", "/a/b"},
		{"http://HOST:81/x", "/x"},
		{"http://host:81", "/"},
		{"http://host:81?q", "/?q"},
		{"//host:81/x#f", "/x"},
		{"http://other/x", ""},
		{"http://host/x", ""}, // another port
		{"https://host:81/x", ""},
		{"http://host:81@evil/x", ""},
		{"http:/x", ""},
		{"mailto:x", ""},
		{"/a b", ""},
	} {
		got := ""
		Related(fields("Location: "+tc.ref), false, []byte("host:81"), []byte("/a/b"), func(t []byte) { got = string(t) })
		if got != tc.want {
			t.Errorf("%q: %q, want %q", tc.ref, got, tc.want)
		}
	}
	var both []string
	Related(fields("Location: /x", "A: /z", "Content-Location: /y"), false, []byte("h"), []byte("/"),
		func(t []byte) { both = append(both, string(t)) })
	if fmt.Sprint(both) != "[/x /y]" {
		t.Error(both)
	}
}

// Which fields are stored, and which a 304 replaces.
func TestStoredFields(t *testing.T) {
	for _, tc := range []struct {
		name            string
		stored, updates bool
	}{
		{"X-A", true, true}, {"ETag", true, true}, {"Content-Type", true, false}, {"content-length", true, false},
		{"Content-Encoding", true, false}, {"Content-Range", true, false}, {"Age", false, false}, {"Connection", false, false},
		{"Keep-Alive", false, false}, {"TE", false, false}, {"Upgrade", false, false}, {"Transfer-Encoding", false, false},
		{"Proxy-Connection", false, false}, {"Proxy-Authenticate", false, false}, {"Proxy-Authentication-Info", false, false},
		{"Proxy-Authorization", false, false}, {"Cache-Tag", false, false}, {"Httpsys-Cache-Control", false, false},
		{"Cache-Status", false, false}, {"Set-Cookie", true, true}, {"Cache-Control", true, true},
	} {
		if Stored([]byte(tc.name)) != tc.stored || Updates([]byte(tc.name)) != tc.updates {
			t.Errorf("%s: stored %v, updates %v", tc.name, Stored([]byte(tc.name)), Updates([]byte(tc.name)))
		}
	}
}

// A response to HEAD that does not fit what is stored.
func TestSame(t *testing.T) {
	for _, tc := range []struct {
		head string
		want bool
	}{
		{"", true}, {`ETag: "a"`, true}, {`ETag: "b"`, false}, {"Content-Length: 5", true}, {"Content-Length: 6", false},
		{"Last-Modified: " + date(0), true}, {"Last-Modified: " + date(1), false}, {"Last-Modified: x", false},
	} {
		if got := Same(fields(split(tc.head)...), []byte(`"a"`), now, 5); got != tc.want {
			t.Errorf("%q: %v", tc.head, got)
		}
	}
}
