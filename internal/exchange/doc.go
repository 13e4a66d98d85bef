// Package exchange is one request and its response, from the parsed head to
// the last byte of the answer.
//
// An exchange stands between two sides that do not know each other: the
// Client, which is a connection (or a stream) that waits for an answer, and
// the Worker, which is the channel to an application. It is told what happens
// on either side and tells the other. It does no I/O.
//
// The steps of a request are the methods of Exchange, in this order:
//
//	Stage.Begin    route it by its prefix, frame it, submit it to the queue
//	Assign         a worker takes it
//	RequestBody …  client → worker, as far as the worker's window goes
//	Respond …      worker → client, checked against the window we granted
//	End            the worker is done
//
// and the ways out of turn: ClientGone, ClientHalfClosed, RequestBroken,
// WorkerDied, Expire. Everything of one Stage belongs to one event loop.
package exchange
