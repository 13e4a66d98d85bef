package rules

// Use says what may be done with a stored response that fits a request.
type Use uint8

// The uses.
const (
	Fetch      Use = iota // as if there were none, but see StaleOnError
	Fresh                 // answer with it
	Refresh               // answer with it, and ask for a newer one meanwhile (RFC 5861 3)
	Revalidate            // ask whether it is still right first
)

// Reuse decides about a stored response of a given age, in seconds (RFC 9111
// 4).
func Reuse(q *Control, t *Terms, age int64) Use {
	// 1. no-cache of the response: not without validation (5.2.2.4).
	// 2. no-cache of the request likewise (5.2.1.4).
	if t.NoCache || q.NoCache {
		return Revalidate
	}
	// 3. The request may want it younger, or fresh for longer (5.2.1.1, 5.2.1.3).
	left := t.Lifetime - age
	if t.UntilFlushed {
		left = MaxDelta
	}
	if q.MaxAge != None && age > q.MaxAge && !(q.MaxStale > 0 && !t.MustRevalidate && age-q.MaxAge <= q.MaxStale) {
		return Revalidate
	}
	if q.MinFresh != None && left < q.MinFresh {
		return Revalidate
	}
	// 4. Fresh (4.2).
	if left > 0 {
		return Fresh
	}
	// 5. Stale, and nobody forbids it (4.2.4).
	if t.MustRevalidate {
		return Revalidate
	}
	if q.MaxStale != None && -left <= q.MaxStale {
		return Fresh
	}
	if -left < t.StaleWhileRevalidate && q.MaxAge == None && q.MinFresh == None {
		return Refresh
	}
	return Revalidate
}

// StaleOnError says whether a stale response may be used since asking for a
// newer one failed (RFC 5861 4).
func StaleOnError(q *Control, t *Terms, age int64) bool {
	if t.NoCache || t.MustRevalidate || q.NoCache {
		return false
	}
	over := age - t.Lifetime
	return over < t.StaleIfError || q.StaleIfError != None && over < q.StaleIfError
}

// IsError says whether a status means that the application cannot answer now
// (RFC 5861 4).
func IsError(status int) bool {
	return status == 500 || status == 502 || status == 503 || status == 504
}

// MayShare says whether a stored response may be given to a request with
// Authorization.
func (t *Terms) MayShare(q *Request) bool { return !q.Authorization || t.Shareable }
