package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what fits a sockaddr_un (unix(7)).
const maxSocketPath = 107

// listenUnix opens the socket for applications. Anybody may connect: what they
// may do there depends on who the kernel says they are. A socket that nobody
// listens on any more is replaced.
func listenUnix(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("socket path %s is longer than %d characters: choose a shorter one with --socket", path, maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder of the socket: %w: choose another place with --socket", err)
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, unix.EADDRINUSE) {
		if fi, serr := os.Lstat(path); serr == nil && fi.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("%s exists and is not a socket: move it away, or choose another place with --socket", path)
		}
		c, derr := net.Dial("unix", path)
		if derr == nil {
			c.Close()
			return nil, fmt.Errorf("another httpsys daemon is running on %s: stop it, or choose another place with --socket", path)
		}
		if !errors.Is(derr, unix.ECONNREFUSED) {
			return nil, fmt.Errorf("cannot use the socket %s: %w", path, derr)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("cannot replace the dead socket %s: %w", path, err)
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another place with --socket", path, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, fmt.Errorf("cannot open %s to applications: %w", path, err)
	}
	return l, nil
}
