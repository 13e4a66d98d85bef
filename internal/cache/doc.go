// Package cache is the stored responses of the machine, shared by all loops.
//
// What may be stored and when it may be used is decided in package rules;
// when the cache is asked, and what happens on a miss, in package exchange. Here is what is
// kept, and how it is found, given out and thrown away again.
//
// A Space is the part of one registration: what an application stored goes
// with its prefix, and nobody else can find or flush it. A resource is what is
// stored under one Key (key.go): a chain of entries, one for each variant that Vary
// tells apart. An Entry (entry.go) is one stored response, ready to be
// sent: its head is written as HTTP/1.1 text in the order that makes a 304 and a 206
// pieces of it. An Answer (answer.go) is what one request gets of it.
//
// Cache (cache.go) finds entries without a lock and keeps the budget of bytes
// exactly: room is reserved before memory is taken (budget.go), and the policy that chooses what
// has to go is otter's. flush.go removes by URL, by tree and by tag; a
// flush also concerns the fetches that began before it. flight.go lets one fetch serve many
// requests.
//
// fragment.go is bytes that applications store to make responses of.
//
// Time is an argument: milliseconds of a clock that only goes forward and is the same for
// all loops, and seconds since 1970 where HTTP dates need them.
package cache
