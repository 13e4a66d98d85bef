// Package rules is what RFC 9111 (HTTP caching) says, and those parts of RFC
// 9110 that a cache needs, as functions of their arguments: what may be
// stored and for how long it is fresh, which stored response fits a request, what a
// conditional request or one for ranges gets, what an unsafe request
// invalidates. RFC 5861 (stale-while-revalidate, stale-if-error), RFC 8246
// (immutable) and RFC 9213 (targeted fields) belong to it.
//
// It is the behaviour of a shared cache in front of an origin. Nothing here
// keeps anything, knows a clock or does I/O; names and values alias what was parsed.
//
// Read Judge in store.go and Reuse in reuse.go first: they are the two decisions that
// the others serve. Each is in numbered steps with the section of the RFC.
package rules
