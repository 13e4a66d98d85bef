package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/sys"
)

// connect finds a daemon: at socket, or if that is empty in the places where
// one may be.
func connect(ctx context.Context, socket string) (*net.UnixConn, string, error) {
	paths, named := []string{socket}, true
	if socket == "" {
		paths, named = Sockets()
	}
	var first error
	for _, path := range paths {
		conn, err := dial(ctx, path)
		if err == nil && !named {
			if err = checkOwner(conn, path); err != nil {
				conn.Close()
			}
		}
		if err == nil {
			return conn, path, nil
		}
		if ctx.Err() != nil {
			return nil, "", fmt.Errorf("httpsys at %s does not answer: %w", path, ctx.Err())
		}
		// What is there and cannot be used says more than what is not there.
		if first == nil && !errors.Is(err, errNobody) {
			first = err
		}
	}
	if first != nil {
		return nil, "", first
	}
	return nil, "", fmt.Errorf("no httpsys at %s: start one with `httpsys serve`, or say where it is with --socket or %s",
		strings.Join(paths, " or "), SocketVariable)
}

var errNobody = errors.New("nobody listens there")

func dial(ctx context.Context, path string) (*net.UnixConn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn.(*net.UnixConn), nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ECONNREFUSED):
		return nil, errNobody
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("this user may not open %s: see the rights of the socket and of its folder", path)
	default:
		return nil, fmt.Errorf("cannot reach httpsys at %s: %w", path, cause(err))
	}
}

// checkOwner refuses a daemon, in a place that nobody named, that is neither
// root's nor our own user's: anybody can make a folder in /tmp.
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
		return fmt.Errorf("the httpsys at %s belongs to user %d: if that is wanted, say so with --socket or %s", path, peer.UID, SocketVariable)
	}
	return nil
}
