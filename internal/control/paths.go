package control

import (
	"fmt"
	"os"
	"path/filepath"
)

// SocketVariable is the environment variable that says where the daemon is.
const SocketVariable = "HTTPSYS_SOCKET"

// systemSocket is where the daemon of the machine is.
const systemSocket = "/run/httpsys/httpsys.sock"

// DefaultSocket is where a daemon puts its socket when nobody says otherwise: the
// environment first, then a place that depends on whose daemon it is.
func DefaultSocket() string {
	if path := os.Getenv(SocketVariable); path != "" {
		return path
	}
	return ownSocket()
}

// Sockets are the places where a daemon may be, in the order in which they are
// tried: that of our own user, then that of the machine. named says that
// the environment names the place.
func Sockets() (paths []string, named bool) {
	if path := os.Getenv(SocketVariable); path != "" {
		return []string{path}, true
	}
	if own := ownSocket(); own != systemSocket {
		return []string{own, systemSocket}, false
	}
	return []string{systemSocket}, false
}

func ownSocket() string {
	uid := os.Geteuid()
	if uid == 0 {
		return systemSocket
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "httpsys", "httpsys.sock")
	}
	return fmt.Sprintf("/tmp/httpsys-%d/httpsys.sock", uid)
}

// DefaultData is the data folder of a daemon when nobody says otherwise.
func DefaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/httpsys"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "httpsys")
	}
	// What the XDG specification says where the variable is not set.
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(filepath.Dir(ownSocket()), "data")
	}
	return filepath.Join(home, ".local", "state", "httpsys")
}
