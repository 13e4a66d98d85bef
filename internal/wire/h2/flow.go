package h2

// outflow is how many bytes of DATA the peer takes (RFC 9113 6.9). For a stream it
// may be negative, after the peer has lowered its initial window (6.9.2).
type outflow int32

// add takes a WINDOW_UPDATE or a change of the initial window, and reports
// whether the window stays at or below 2³¹−1.
func (f *outflow) add(n int64) bool {
	sum := int64(*f) + n
	if sum > maxWindow {
		return false
	}
	*f = outflow(max(sum, -maxWindow))
	return true
}

// room is how many of n bytes may be sent.
func (f outflow) room(n int) int { return max(min(n, int(f)), 0) }

// take notes n bytes as sent. n must be at most room.
func (f *outflow) take(n int) {
	if n > max(int(*f), 0) {
		panic("h2: sent more than the window")
	}
	*f -= outflow(n)
}

// inflow is how many bytes of DATA we take: granted to the peer and not sent
// by it, and received but not consumed by the application. The two together never exceed the
// target that refill is called with, so the target bounds what we may have to hold.
type inflow struct {
	granted int32
	unread  int32
}

// take notes n received bytes and reports whether they were granted.
func (f *inflow) take(n int32) bool {
	if n > f.granted {
		return false
	}
	f.granted -= n
	f.unread += n
	return true
}

// consumed notes that n received bytes need no memory any more.
func (f *inflow) consumed(n int32) {
	if n > f.unread {
		panic("h2: more consumed than received")
	}
	f.unread -= n
}

// refill grants what is missing to the target if that is worth a
// WINDOW_UPDATE, at least half of it, and returns the increment, else 0.
func (f *inflow) refill(target int32) int32 {
	n := target - f.granted - f.unread
	if n <= 0 || n < target/2 {
		return 0
	}
	f.granted += n
	return n
}
