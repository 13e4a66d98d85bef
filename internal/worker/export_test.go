package worker

// SetBounds makes bounds small for a test, and returns what sets them back.
// No channel may be there.
func SetBounds(streams, ignored int) (restore func()) {
	s, i := maxStreams, maxIgnored
	maxStreams, maxIgnored = streams, ignored
	return func() { maxStreams, maxIgnored = s, i }
}

// MaxUnsent is how much may wait before requests are held back.
const MaxUnsent = maxUnsent

// SetShortest makes shorter parts of DATA go on, and returns what sets it back. No channel may be there.
func SetShortest(n int) (restore func()) {
	s := shortest
	shortest = n
	return func() { shortest = s }
}
