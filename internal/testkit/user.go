package testkit

import (
	"net"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// User is whom the kernel names as the other end of a socket (SO_PEERCRED).
type User struct {
	UID, GID uint32
	Groups   []uint32
}

// NeedUsers skips a test that needs other users than that of this process, and
// says so.
func NeedUsers(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can be other users; run the tests as root")
	}
}

// connectAs connects as a user.
func (d *Daemon) connectAs(u *User) *Conn {
	d.t.now().Helper()
	if u == nil {
		return d.Connect()
	}
	fd, err := u.connect(d.Socket)
	if err != nil {
		d.t.Fatalf("connect as user %d: %v", u.UID, err)
	}
	f := os.NewFile(uintptr(fd), d.Socket)
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.conn(c.(*net.UnixConn))
}

// connect opens a connection on a thread that is the user, and that nobody
// uses afterwards: in the kernel users belong to threads, and SO_PEERCRED is
// whom the connecting thread was.
func (u *User) connect(path string) (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err = u.become(path)
	}()
	<-done
	return fd, err
}

func (u *User) become(path string) (int, error) {
	var groups unsafe.Pointer
	if len(u.Groups) > 0 {
		groups = unsafe.Pointer(&u.Groups[0])
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(u.Groups)), uintptr(groups), 0); errno != 0 {
		return -1, errno
	}
	gid, uid := uintptr(u.GID), uintptr(u.UID)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return -1, errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return -1, errno
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
