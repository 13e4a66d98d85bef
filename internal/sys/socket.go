package sys

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Backlog is the length asked for the kernel's queue of connections not yet
// accepted; net.core.somaxconn caps it.
const Backlog = 4096

// Listen opens a listening TCP socket, non-blocking, that shares its port
// with the sockets of the other loops (SO_REUSEPORT). An IPv6 socket takes no
// IPv4: there is one for each family. Port 0 asks for a free port.
func Listen(addr netip.AddrPort) (fd int, err error) {
	return listen(addr, true)
}

// Probe tells whether addr can be had at all. SO_REUSEPORT would let us share
// a port with a stranger of the same user; this socket does not set it.
func Probe(addr netip.AddrPort) error {
	fd, err := listen(addr, false)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func listen(addr netip.AddrPort, share bool) (fd int, err error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if share {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fd, err
		}
	}
	// Accepted sockets inherit these options, so no call per connection.
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	// The kernel asks a silent peer whether it is still there, and ends the
	// connection if nothing answers: after 15 seconds, nine times, as often as
	// package net does. Nothing else would ever end a response that waits for an
	// event, or a tunnel, when its client's machine has vanished.
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9)
	if family == unix.AF_INET6 {
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err = unix.Bind(fd, sockaddr(addr)); err != nil {
		return fd, err
	}
	return fd, unix.Listen(fd, Backlog)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if z := a.Addr().Zone(); z != "" {
		sa.ZoneId = zone(z)
	}
	return sa
}

// LocalAddr returns the address that a socket is bound to.
func LocalAddr(fd int) (netip.AddrPort, error) {
	var raw unix.RawSockaddrAny
	n := uint32(unsafe.Sizeof(raw))
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd),
		uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return netip.AddrPort{}, errno
	}
	return addrPort(&raw), nil
}

// Accept takes one connection from a listening socket: a non-blocking
// descriptor and the peer's address. ErrAgain when there is none.
func Accept(fd int) (conn int, peer netip.AddrPort, err error) {
	var raw unix.RawSockaddrAny
	n := uint32(unsafe.Sizeof(raw))
	for {
		c, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd),
			uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&n)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return -1, netip.AddrPort{}, errno
		}
		return int(c), addrPort(&raw), nil
	}
}

func addrPort(raw *unix.RawSockaddrAny) netip.AddrPort {
	switch raw.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), ntohs(sa.Port))
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), ntohs(sa.Port))
	}
	return netip.AddrPort{}
}

func ntohs(p uint16) uint16 { return p<<8 | p>>8 }
