// Package prefix holds the URL prefixes of a machine: who may register them, who has, and who takes a request.
//
// A Prefix is a text like "http://+:80/app/", taken apart by Parse. Prefixes are reserved for somebody, until that is
// taken back, and registered by a process, as long as it lives. A Table holds both, and its Match is asked for each
// request. Canonical brings the path of a request into the form that prefixes are compared with; it is also the path
// for cache keys and whatever else must agree with routing.
//
// A request is offered to the hosts of its port in four groups, the buckets: "+" first, then its own name, then the
// address it arrived on, then "*". The first bucket in which anything matches ends the search. In a bucket the
// longest path wins. What is reserved and not registered wins like anything else, and then nobody gets the request:
// a reserved name space is empty until its owner comes, and never somebody else's.
//
//	parse.go, host.go   the text of a prefix, and names
//	canonical.go        the path of a request
//	fold.go             upper and lower case
//	match.go            routing
//	table.go            registering and reserving, and who may
//	list.go             what is there, and which ports have to be open
//	node.go             a tree of path segments for each host, in versions
//	dict.go, radix.go   what its nodes and the ports are found by
//
// The package does no I/O and starts nothing. It knows no users: a Table finds the reservation that decides, and its
// caller asks that whom it is for. It opens no ports either: Ports says which have to be open.
//
// # Where this is not HTTP.SYS
//
//   - A prefix may spell its host in the ASCII form of IDNA, and its path with percent escapes.
//   - Port 0 asks for a free port.
//   - The path of a prefix is taken as it is or not at all: empty segments are refused, as dot segments are.
//   - %uXXXX in a request is refused; net/url and all others who go by RFC 3986 would refuse it later.
//   - The form "host:port:address", which IIS registers, is refused.
package prefix
