package rules

import "github.com/httpsys/httpsys/internal/wire/message"

// Policy is what an administrator and a registration have set.
type Policy struct {
	// Default is the lifetime in seconds of a response that says nothing about
	// caching, as HTTP.SYS's default cache policy gives it; 0: none.
	Default int64
	// Heuristic is the longest lifetime that may be guessed, in seconds; 0: none is.
	Heuristic int64
}

// Verdict is what Judge says of a response.
type Verdict struct {
	Store bool
	Terms
	// Age is the age of the response when it came, in seconds.
	Age int64
	// Drop is a list of fields that are not stored: those of private="…" and no-cache="…".
	Drop []byte
	// Partial: it is a 206 with one range, First to Last of Total bytes.
	Partial            bool
	First, Last, Total int64
}

// Terms are on what terms a stored response may be used again.
type Terms struct {
	Lifetime             int64 // seconds
	StaleWhileRevalidate int64 // seconds beyond it
	StaleIfError         int64
	NoCache              bool // never without validation
	MustRevalidate       bool // never stale
	Heuristic            bool // Lifetime is a guess
	UntilFlushed         bool // Lifetime has no end
	Own                  bool // the application's own word to us
	Shareable            bool // to requests with Authorization as well
}

// Response is what Judge needs to know.
type Response struct {
	Status int
	Fields []message.Field
	Date   int64 // value of Date, or the time it came if there is none to be read
	Now    int64 // when it came, seconds since 1970
	Delay  int64 // seconds from the request to it
}

// Judge decides whether a response to a GET may be stored, and on what terms
// it may be used (RFC 9111 3).
func Judge(q *Request, r *Response, p Policy) (v Verdict) {
	c, targeted := ResponseControl(r.Fields)

	// 1. The status code is final and has a meaning of its own. A 206 is stored as a part
	// (3.3); a 304 updates what is stored, see update.go.
	if r.Status < 200 || r.Status == 304 {
		return v
	}
	if r.Status == 206 {
		if v.First, v.Last, v.Total, v.Partial = contentRange(r.Fields); !v.Partial {
			return v
		}
	}
	// 2. no-store of either side; of the response not where must-understand takes it
	// back (5.2.2.3). With must-understand the status has to be one that we obey in full.
	if q.Control.NoStore || c.MustUnderstand && !understood(r.Status) || c.NoStore && !c.MustUnderstand {
		return v
	}
	// 3. private: we are shared.
	if c.Private {
		return v
	}
	// 4. Authorization (3.5).
	v.Shareable = c.Public || c.SMaxAge != None || c.MustRevalidate
	if q.Authorization && !v.Shareable {
		return v
	}
	// 5. Vary: * fits no other request (4.1).
	if variesByAll(r.Fields) {
		return v
	}
	// 6. Set-Cookie does not forbid it (7.3), but hardly anybody who sets a cookie
	// means everybody to have it. Who does says so.
	if _, sets := get(r.Fields, "set-cookie"); sets && !c.Public && c.SMaxAge == None &&
		!names(c.NoCacheFields, setCookie) && !names(c.PrivateFields, setCookie) {
		return v
	}
	// 7. How long is it fresh (4.2.1)?
	explicit := true
	expires, lines := only(r.Fields, "expires")
	switch {
	case c.UntilFlushed && targeted:
		v.Lifetime, v.UntilFlushed = MaxDelta, true
	case c.SMaxAge != None:
		v.Lifetime = c.SMaxAge
	case c.MaxAge != None:
		v.Lifetime = c.MaxAge
	case lines > 0 && !targeted:
		if at, ok := ParseDate(expires); ok && lines == 1 {
			v.Lifetime = min(max(at-r.Date, 0), MaxDelta)
		}
	case p.Default > 0 && !c.Present && r.Status == 200:
		v.Lifetime, v.Own = p.Default, true
	default:
		explicit = c.Present
		if !c.NoCache {
			v.Lifetime = heuristic(q, r, &c, p)
			v.Heuristic = v.Lifetime > 0
		}
	}
	v.Own = v.Own || hasOwn(r.Fields)
	// 8. How old is it (4.2.3)?
	if lag := r.Now - r.Date; lag > 0 {
		v.Age = lag
	}
	v.Age = min(max(v.Age, ageField(r.Fields)+max(r.Delay, 0)), MaxDelta)
	// 9. What else it says.
	v.NoCache = c.NoCache
	v.MustRevalidate = c.MustRevalidate || c.ProxyRevalidate || c.SMaxAge != None
	v.StaleWhileRevalidate, v.StaleIfError = max(c.StaleWhileRevalidate, 0), max(c.StaleIfError, 0)
	v.Drop = c.NoCacheFields
	if c.PrivateFields != nil {
		v.Drop = join(v.Drop, c.PrivateFields)
	}
	// 10. It is worth storing if it can be used: for a while as it is, or after validation.
	fresh := v.Lifetime > v.Age && !v.NoCache
	lenient := !v.MustRevalidate && (v.StaleWhileRevalidate > 0 || v.StaleIfError > 0)
	v.Store = fresh || explicit && r.Status == 200 && (hasValidator(r.Fields) || lenient && !v.NoCache)
	return v
}

var setCookie = []byte("set-cookie")

func hasOwn(fields []message.Field) bool {
	_, ok := get(fields, OwnField)
	return ok
}

// understood are the codes whose meaning for a cache this daemon knows: those
// of RFC 9110.
func understood(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413,
		414, 415, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505:
		return true
	}
	return false
}

// heuristicStatus are the codes that RFC 9110 15.1 calls heuristically
// cacheable.
func heuristicStatus(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// heuristic guesses a lifetime (4.2.2): a tenth of the time since the last
// change, within the policy's bound. We guess for nobody who has a session:
// there the RFC leaves us free.
func heuristic(q *Request, r *Response, c *Control, p Policy) int64 {
	if p.Heuristic <= 0 || q.Cookie || q.Authorization || !heuristicStatus(r.Status) && !c.Public {
		return 0
	}
	if v, ok := get(r.Fields, "pragma"); ok && message.HasToken(v, "no-cache") {
		return 0
	}
	value, lines := only(r.Fields, "last-modified")
	at, ok := ParseDate(value)
	if !ok || lines != 1 || at > r.Date {
		return 0
	}
	return min((r.Date-at)/10, p.Heuristic)
}

// ageField is what Age says: the first member of the first line (5.1), and
// nothing where that is no number.
func ageField(fields []message.Field) int64 {
	value, ok := get(fields, "age")
	if !ok {
		return 0
	}
	first, _ := message.NextMember(value)
	n, _ := seconds(first)
	return n
}

func hasValidator(fields []message.Field) bool {
	if v, n := only(fields, "etag"); n == 1 && ValidTag(v) {
		return true
	}
	v, n := only(fields, "last-modified")
	_, ok := ParseDate(v)
	return n == 1 && ok
}
