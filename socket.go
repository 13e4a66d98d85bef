package httpsys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/httpsys/httpsys/internal/sys"
)

// SocketVariable is the environment variable that tells where the daemon is.
const SocketVariable = "HTTPSYS_SOCKET"

// socketPaths are the places where a daemon may be, in the order in which they
// are tried. trusted says that the user has named the place himself; in any
// other, only a daemon of root or of our own user is accepted, since anybody
// can make a folder in /tmp.
func socketPaths(explicit string) (paths []string, trusted bool) {
	if explicit != "" {
		return []string{explicit}, true
	}
	if path := os.Getenv(SocketVariable); path != "" {
		return []string{path}, true
	}
	const system = "/run/httpsys/httpsys.sock"
	uid := os.Geteuid()
	switch dir := os.Getenv("XDG_RUNTIME_DIR"); {
	case uid == 0:
		return []string{system}, false
	case filepath.IsAbs(dir):
		return []string{filepath.Join(dir, "httpsys", "httpsys.sock"), system}, false
	default:
		return []string{fmt.Sprintf("/tmp/httpsys-%d/httpsys.sock", uid), system}, false
	}
}

// dialDaemon connects to the first place where a daemon listens.
func dialDaemon(ctx context.Context, explicit string) (*net.UnixConn, string, error) {
	paths, trusted := socketPaths(explicit)
	var dialer net.Dialer
	var firstErr error
	for _, path := range paths {
		c, err := dialer.DialContext(ctx, "unix", path)
		if err != nil {
			if ctx.Err() != nil {
				return nil, "", ctx.Err()
			}
			// A place that exists but is closed to us says more than one that
			// does not exist.
			if firstErr == nil && !isAbsent(err) {
				firstErr = unreachable(path, err)
			}
			continue
		}
		conn := c.(*net.UnixConn)
		if !trusted {
			if err := checkOwner(conn, path); err != nil {
				conn.Close()
				if firstErr == nil {
					firstErr = err
				}
				continue
			}
		}
		return conn, path, nil
	}
	if firstErr != nil {
		return nil, "", firstErr
	}
	where := strings.Join(paths, " or ")
	return nil, "", &Error{Op: "connect", Subject: where, Code: NoDaemon,
		Message: "no httpsys daemon at " + where + ": start it with `httpsys serve` or set " + SocketVariable}
}

func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR)
}

func unreachable(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &Error{Op: "connect", Subject: path, Code: AccessDenied, Err: err,
			Message: "this user may not open the daemon's socket"}
	}
	message := err.Error()
	if op, ok := errors.AsType[*net.OpError](err); ok {
		message = op.Err.Error()
	}
	return &Error{Op: "connect", Subject: path, Code: NoDaemon, Err: err,
		Message: "no httpsys daemon at " + path + ": " + message}
}

// checkOwner refuses a daemon that is neither root's nor our own user's.
func checkOwner(conn *net.UnixConn, path string) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer sys.Peer
	var perr error
	if err := raw.Control(func(fd uintptr) { peer, perr = sys.PeerOf(int(fd)) }); err != nil {
		return err
	}
	if perr != nil {
		return perr
	}
	if peer.UID != 0 && int(peer.UID) != os.Geteuid() {
		return &Error{Op: "connect", Subject: path, Code: AccessDenied, Message: fmt.Sprintf(
			"the daemon there belongs to user %d; set %s if that is wanted", peer.UID, SocketVariable)}
	}
	return nil
}
