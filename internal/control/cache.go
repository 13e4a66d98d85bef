package control

// CacheStateParams are the parameters of "show cachestate".
type CacheStateParams struct {
	// URL is a URL as a browser would write it; what is stored for it and below it is shown. None: all.
	URL string `json:"url,omitempty"`
}

// DeleteCacheParams are the parameters of "delete cache": all of them must hold
// of what goes; none: everything goes.
type DeleteCacheParams struct {
	URL       string `json:"url,omitempty"`
	Recursive bool   `json:"recursive,omitempty"` // all below URL, too
	Tag       string `json:"tag,omitempty"`       // of the field Cache-Tag
}

// DeleteCacheResult answers it.
type DeleteCacheResult struct {
	Deleted int `json:"deleted"` // responses
}

// CacheState answers "show cachestate".
type CacheState struct {
	Entries []CacheEntry `json:"entries"` // by URL
	// More says that there are more than are listed.
	More bool `json:"more"`
	// Hidden is how many there are of other users, which only administrators see.
	Hidden  int64         `json:"hidden"`
	Size    int64         `json:"size"`    // bytes of the budget that are taken
	Limit   int64         `json:"limit"`   // the budget
	Count   int64         `json:"count"`   // of all stored responses and fragments
	Evicted int64         `json:"evicted"` // to make room, since the daemon began
	Refused int64         `json:"refused"` // for which there was no room
	Prefix  []CachePrefix `json:"prefixes"`
}

// MaxCacheEntries is how many entries are listed at most.
const MaxCacheEntries = 10000

// CacheEntry is one stored response, or a fragment.
type CacheEntry struct {
	URL         string   `json:"url"`      // of a fragment: its name
	Fragment    bool     `json:"fragment"` // bytes that responses are made of, which nobody can ask for
	Status      int      `json:"status"`   // 0 of a fragment
	Policy      string   `json:"policy"`   // ttl, heuristic, user-invalidates or validate
	Own         bool     `json:"own"`      // by the application's own word to the daemon
	Size        int64    `json:"size"`     // bytes of the body
	Cost        int64    `json:"cost"`     // bytes of the budget
	AgeS        int64    `json:"age_s"`
	ExpiresS    int64    `json:"expires_s"` // seconds for which it is fresh; negative: stale since; 0 with user-invalidates
	Hits        int64    `json:"hits"`      // of a fragment: how often it went into a response
	Queue       string   `json:"queue"`
	Prefix      string   `json:"prefix"`
	ContentType string   `json:"content_type"`
	Encoding    string   `json:"content_encoding"`
	Vary        string   `json:"vary"`
	ETag        string   `json:"etag"`
	Partial     bool     `json:"partial"`
	Tags        []string `json:"tags"`
}

// CachePrefix is what the cache did for a registered prefix.
type CachePrefix struct {
	URL     string `json:"url"`
	Queue   string `json:"queue"`
	Entries int64  `json:"entries"` // responses and fragments that are stored now
	Bytes   int64  `json:"bytes"`   // of the budget that they take
	Hits    int64  `json:"hits"`    // answered from the cache
	Misses  int64  `json:"misses"`  // could have been, and were not
	Stored  int64  `json:"stored"`  // responses and fragments so far
	Flushed int64  `json:"flushed"` // by applications, administrators and unsafe requests
	// Fragments is how many of Entries are fragments, and Pieces how often fragments went into responses.
	Fragments int64 `json:"fragments"`
	Pieces    int64 `json:"pieces"`
}

// Policies of CacheEntry.
const (
	PolicyTTL       = "ttl"
	PolicyHeuristic = "heuristic"
	PolicyUser      = "user-invalidates"
	PolicyValidate  = "validate"
)
