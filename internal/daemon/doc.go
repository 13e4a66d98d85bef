// Package daemon builds the stages in the order of a request, and starts,
// drains and ends them.
//
// A unit is what one core has: a loop with its connections, its exchanges and
// its channels. The daemon makes one a core, and is itself the control side:
// sessions, registrations and queues, guarded by one lock, which no request
// ever takes.
//
// Read Run first. session.go is the conversation with one application,
// register.go what it may ask for, queues.go who owns what, state.go the
// snapshot for administrators, drain.go the end.
package daemon
