// Package h2 is HTTP/2 for the side that serves (RFC 9113, RFC 7541, RFC 8441,
// RFC 9218): bytes in, events out; responses in, bytes out. It does no I/O, reads no clock and
// allocates nothing in steady state.
//
// A Shared belongs to a loop, a Conn to a connection. The owner of a Conn turns:
//
//	n := c.Receive(in, now)       // bytes of the client; the rest is needed again
//	for e := c.Next(); e != nil; e = c.Next() {
//		…                         // Request, Data, Trailers, Reset of a Stream; Failed
//	}
//	taken, err := c.Respond(s, response, body, end)
//	for s := c.Ready(); s != nil && there is room; s = c.Ready() {
//		taken, err = c.Send(s, …) // what the windows did not let through before
//	}
//	write(c.Out)                  // everything that a turn has made, in one piece
//	wake := c.Deadline(now)       // when to call c.Expire(now) if nothing else happens
//
// What Send does not take stays with the owner, so that content may be in memory or
// in files (Frame), and the memory is that of whoever pays for it. Likewise a Conn keeps no bytes
// of requests: the owner passes on what it can, keeps the rest, and says with Consumed when
// it is gone, which is what opens the windows of the client again.
//
// Requests are told when all bytes at hand have been looked at. One that is
// reset among them, by the client or for a fault of the client, is counted and never told.
//
// What breaks a rule is an *Error with the code of RFC 9113 section 7, and ends a
// stream or the connection. What is allowed and yet an attack if done often is an Abuse: abuse.go
// counts, limits.go has the numbers, the connection ends with ENHANCE_YOUR_CALM.
//
// receive.go has the rules of the frames, in the order of a frame's life; head.go what a
// valid request is; decode.go, huffman.go and class.go read header blocks; batch.go and event.go keep
// and tell what was found; respond.go frames responses, encode.go writes their heads, schedule.go
// and priority.go decide who is next; flow.go, window.go and stream.go are the small mechanisms;
// finish.go is how streams end, conn.go how connections begin and end.
//
// All slices handed out alias the input or memory of the Shared.
package h2
