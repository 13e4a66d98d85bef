// Package accept owns the ports of the machine: a port opens when the first
// prefix on it is registered and closes when the last one is gone.
//
// Ports is asked by the control side. It knows which addresses a port must
// listen on (all, or only those that its prefixes name) and opens one socket
// an address and loop, sharing the port (SO_REUSEPORT), so that every loop
// accepts for itself. listener.go is one such socket.
package accept
