//go:build race

package httpsys

import "syscall"

// With the race detector, the calls of package syscall are used: it takes a
// write on one socket and a read on another for a synchronisation, as it has to
// for tests that ask a handler in their own process by way of the daemon.

func readSocket(fd int, b []byte) (int, error)  { return syscall.Read(fd, b) }
func writeSocket(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
