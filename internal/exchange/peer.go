package exchange

// Peer is the connection of a client, as workers are told of it
// (docs/channel.md section 4.1).
type Peer interface {
	// Secure says whether it speaks TLS.
	Secure() bool
	// AppendFacts appends the payload of a CONNECTION.
	AppendFacts(dst []byte) []byte
	// AppendAccepted is AppendFacts for a connection that has just come, to reg.
	AppendAccepted(dst []byte, registration uint32) []byte
	// Untrusted says why the client is not trusted with a request for authority;
	// the zero Refusal if it is. Authorities that a program has brought count for
	// its own registration only, which is that of the request; 0: for none.
	Untrusted(authority []byte, registration uint32) Refusal
	// Witnesses are those who were told.
	Witnesses() *Witnesses
	// Number is that of the connection.
	Number() uint64
	// Hangup ends the connection if nothing is under way on it, or behind the
	// answer that is being sent.
	Hangup()
	// Cut ends it whatever is under way on it.
	Cut()
}

// Witness is a worker that was told of a connection, and hears of its end.
type Witness interface {
	Disconnected(number uint64)
	// Gone says that the worker has ended, and need not be remembered.
	Gone() bool
}

// Witnesses are the workers that know of a connection. Those that have ended are
// forgotten when another one comes, so there are never more than there were
// workers at one time. It is one word, since most connections have none.
type Witnesses struct{ first *told }

type told struct {
	w    Witness
	next *told
}

// ended is the list of a connection that has ended.
var ended = &told{}

// Add adds w, and returns false if it is there already, or the connection has
// ended: the cache may ask for something when the client that wanted it has left.
func (s *Witnesses) Add(w Witness) bool {
	if s.first == ended {
		return false
	}
	for at := &s.first; *at != nil; at = &(*at).next {
		if t := *at; t.w == w {
			*at = t.next // to the front: most of the time it is the next, too
			t.next, s.first = s.first, t
			return false
		}
	}
	for at := &s.first; *at != nil; {
		if t := *at; t.w.Gone() {
			*at = t.next
		} else {
			at = &t.next
		}
	}
	s.first = &told{w, s.first}
	return true
}

// Last says whether w had the last request of the connection.
func (s *Witnesses) Last(w Witness) bool { return s.first != nil && s.first.w == w }

// End tells all that the connection has ended.
func (s *Witnesses) End(number uint64) {
	for t := s.first; t != nil && t != ended; t = t.next {
		if !t.w.Gone() {
			t.w.Disconnected(number)
		}
	}
	s.first = ended
}
