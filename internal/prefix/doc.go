// Package prefix holds the URL prefixes of a machine: who may register them, who has, and who takes a request.
//
// A Prefix is the text "http://+:80/app/", taken apart by Parse. Canonical brings the path of a request
// into the one form that prefixes are compared with. A Table holds reservations and
// registrations; Match asks it for each request.
//
// Nothing here does I/O, and nothing here knows users: a Table finds the reservation that decides, the daemon
// asks it whom it is for.
package prefix
