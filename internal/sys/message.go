package sys

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxDescriptors is how many descriptors one ReadMessage takes. The kernel
// ends a read at the message that carried descriptors, so in practice it sees
// those of one message; a message with more loses the surplus, which the
// kernel closes and reports, and we report as ErrTooManyDescriptors.
const MaxDescriptors = 64

// ErrTooManyDescriptors says that the peer passed more descriptors with one
// message than we take.
var ErrTooManyDescriptors = errors.New("too many descriptors in one message")

// Inbox receives bytes with descriptors. It exists to be reused: one a loop.
type Inbox struct {
	control [unix.SizeofCmsghdr + 8 + 4*MaxDescriptors]byte
}

// Read receives bytes into b and appends descriptors that came along to fds.
func (in *Inbox) Read(fd int, b []byte, fds []int) (int, []int, error) {
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &in.control[0]}
	msg.SetControllen(len(in.control))
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)),
			unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, fds, errno
		}
		if msg.Controllen > 0 {
			fds = appendDescriptors(fds, in.control[:msg.Controllen])
		}
		if msg.Flags&unix.MSG_CTRUNC != 0 {
			return int(n), fds, ErrTooManyDescriptors
		}
		return int(n), fds, nil
	}
}

func appendDescriptors(fds []int, control []byte) []int {
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		if h.Len < unix.SizeofCmsghdr || uint64(h.Len) > uint64(len(control)) {
			return fds
		}
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_RIGHTS {
			data := control[unix.CmsgLen(0):h.Len]
			for ; len(data) >= 4; data = data[4:] {
				fds = append(fds, int(*(*int32)(unsafe.Pointer(&data[0]))))
			}
		}
		next := unix.CmsgSpace(int(h.Len) - unix.CmsgLen(0))
		if next >= len(control) {
			return fds
		}
		control = control[next:]
	}
	return fds
}

// WriteWithDescriptor sends b on a Unix socket with fd attached to its first
// byte, as far as the socket takes b. On an error nothing was sent.
func WriteWithDescriptor(sock int, b []byte, fd int) (int, error) {
	var control [unix.SizeofCmsghdr + 8]byte
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	h.Level, h.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
	h.SetLen(unix.CmsgLen(4))
	*(*int32)(unsafe.Pointer(&control[unix.CmsgLen(0)])) = int32(fd)
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &control[0]}
	msg.SetControllen(unix.CmsgSpace(4))
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(sock), uintptr(unsafe.Pointer(&msg)),
			unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}

// Peer is who opened a Unix socket, as the kernel vouches for it.
type Peer struct {
	UID, GID uint32
	PID      int32
}

// PeerOf asks the kernel (SO_PEERCRED).
func PeerOf(fd int) (Peer, error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	return Peer{UID: c.Uid, GID: c.Gid, PID: c.Pid}, nil
}

// Groups returns the supplementary groups that the peer had when it connected
// (SO_PEERGROUPS, Linux 4.13).
func Groups(fd int) ([]uint32, error) {
	n := uint32(0)
	syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS, 0,
		uintptr(unsafe.Pointer(&n)), 0)
	if n == 0 {
		return nil, nil
	}
	out := make([]uint32, n/4)
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&out[0])), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return nil, errno
	}
	return out[:n/4], nil
}

// IsMemoryFile reports whether fd is a file in memory (memfd_create): only
// those have seals. Reading one can neither block nor fault.
func IsMemoryFile(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil
}

// IsLocalRegular reports whether fd is open for reading on a regular file, on a
// file system that answers without asking another program or machine, so that
// sending it cannot stall a loop for ever.
func IsLocalRegular(fd int) bool {
	mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || mode&unix.O_ACCMODE == unix.O_WRONLY || mode&unix.O_PATH != 0 {
		return false
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.FUSE_SUPER_MAGIC, unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC,
		unix.CIFS_SUPER_MAGIC, unix.AFS_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC, unix.V9FS_MAGIC:
		return false
	}
	return true
}
