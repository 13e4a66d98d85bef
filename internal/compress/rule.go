package compress

import "github.com/httpsys/httpsys/internal/wire/message"

// Policy is who may have responses compressed; an administrator sets it.
type Policy uint8

// The policies.
const (
	Never  Policy = iota // nobody
	Asked                // prefixes and responses that ask for it
	Always               // all responses, unless their application says no
)

// Settings are the administrator's.
type Settings struct {
	Policy Policy
	// MinSize is how many bytes the content must have, where that is known in
	// advance: below, a packet is sent all the same.
	MinSize int64
}

// Ask is what a request says, as far as it matters.
type Ask struct {
	Coding Coding // the client's choice; Identity: none of ours
	// Bodyless: the request was HEAD; Tunnel: CONNECT.
	Bodyless, Tunnel bool
	// Guarded: a page of another site made the client send it, with
	// credentials, over a connection that others cannot read.
	Guarded bool
}

// AskOf reads a request.
//
// Compression betrays secrets (BREACH): if content holds a secret and something that an
// attacker chooses, its length over TLS says how alike they are. The attacker
// needs the victim's browser to send such requests, with the victim's cookies, from a page
// of the attacker's. A browser says so (Fetch Metadata: Sec-Fetch-Site),
// and such a request is guarded.
func AskOf(r *message.Request, secure bool) Ask {
	k := Ask{Bodyless: string(r.Method) == "HEAD", Tunnel: string(r.Method) == "CONNECT"}
	var a accept
	asks, credentials, foreign := false, false, false
	for i := range r.Fields {
		f := &r.Fields[i]
		switch len(f.Name) {
		case len("cookie"):
			credentials = credentials || message.EqualFold(f.Name, "cookie")
		case len("authorization"):
			credentials = credentials || message.EqualFold(f.Name, "authorization")
		case len("sec-fetch-site"):
			if message.EqualFold(f.Name, "sec-fetch-site") {
				foreign = foreign || message.EqualFold(f.Value, "cross-site") || message.EqualFold(f.Value, "same-site")
			}
		case len("accept-encoding"):
			if message.EqualFold(f.Name, "accept-encoding") {
				if !asks {
					asks, a = true, newAccept()
				}
				a.add(f.Value)
			}
		}
	}
	if asks {
		k.Coding = a.best()
	}
	k.Guarded = secure && credentials && foreign
	return k
}

// Verdict is what is to be done with a response.
type Verdict uint8

// The verdicts.
const (
	// Leave it alone.
	Leave Verdict = iota
	// Mark it: it is sent as it is, and says that another client could have
	// got it compressed.
	Mark
	// Weaken it: it has no content, and speaks of content that may be
	// compressed when it is asked for (304, HEAD).
	Weaken
	// Announce it: it has no content, and speaks of content that would be
	// compressed (HEAD).
	Announce
	// Encode it.
	Encode
)

// unknown is the length of content that is not known in advance.
const unknown = -1

// Decide says what is to be done with a response. wanted: the prefix asked for
// compression. complete: body is all of it.
func (s *Settings) Decide(wanted bool, k Ask, r *message.Response, body int64, complete bool) Verdict {
	// 1. Does anybody want it? The application's word on one response counts
	// more than the prefix's and the machine's, but for "never".
	insists := r.Compress == message.CompressOn
	switch {
	case s.Policy == Never, r.Compress == message.CompressOff:
		return Leave
	case !insists && !wanted && s.Policy != Always:
		return Leave
	}
	// 2. There is no content, or only a part of it, which belongs to the whole as
	// it is stored elsewhere (RFC 9110 14.4); or it is none of ours.
	switch {
	case r.Status < 200, r.Status == 204, r.Status == 205, r.Status == 206, r.Status == 416,
		k.Tunnel && r.Status < 300:
		return Leave
	}
	// 3. Fields that forbid it.
	var kind []byte
	for i := range r.Fields {
		f := &r.Fields[i]
		switch len(f.Name) {
		case len("digest"):
			if message.EqualFold(f.Name, "digest") {
				return Leave
			}
		case len("set-cookie"):
			// A fresh secret is on its way, and its neighbours may be secret, too.
			if message.EqualFold(f.Name, "set-cookie") {
				return Leave
			}
		case len("content-md5"):
			if message.EqualFold(f.Name, "content-md5") || message.EqualFold(f.Name, "repr-digest") {
				return Leave // of the bytes as the application made them (RFC 9530)
			}
		case len("content-type"):
			if message.EqualFold(f.Name, "content-type") {
				kind = f.Value
			}
		case len("content-range"):
			if message.EqualFold(f.Name, "content-range") {
				return Leave
			}
			if message.EqualFold(f.Name, "cache-control") && message.HasToken(f.Value, "no-transform") {
				return Leave // RFC 9110 7.7
			}
		case len("content-digest"):
			if message.EqualFold(f.Name, "content-digest") {
				return Leave
			}
		case len("signature-input"):
			if message.EqualFold(f.Name, "signature-input") {
				return Leave // RFC 9421: it may cover what we would change
			}
		case len("content-encoding"):
			if message.EqualFold(f.Name, "content-encoding") {
				return Leave // the application has done it
			}
		}
	}
	// 4. A 304 does not say what it is about, but the field Vary of the content
	// belongs to it (RFC 9110 15.4.5).
	if r.Status == 304 {
		return Weaken
	}
	// 5. Is it worth it?
	if !insists && !Compressible(kind) {
		return Leave
	}
	length := r.ContentLength
	if length < 0 && complete && (body > 0 || !k.Bodyless) {
		length = body
	}
	if length != unknown && length < s.MinSize || length == 0 {
		return Leave
	}
	// 6. May this client have it?
	if k.Coding == Identity || k.Guarded && !insists {
		return Mark
	}
	// 7. HEAD has the head of GET without the content (RFC 9110 9.3.2).
	if k.Bodyless {
		if length == unknown {
			return Weaken
		}
		return Announce
	}
	return Encode
}
