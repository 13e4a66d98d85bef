package control

import (
	"fmt"
	"os"
	"path/filepath"
)

// SocketVariable is the environment variable that says where the daemon is.
const SocketVariable = "HTTPSYS_SOCKET"

// DefaultSocket is where the daemon's socket is when nobody says otherwise:
// the environment first, then a place that depends on whose daemon it is.
func DefaultSocket() string {
	if path := os.Getenv(SocketVariable); path != "" {
		return path
	}
	uid := os.Geteuid()
	if uid == 0 {
		return "/run/httpsys/httpsys.sock"
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
		return filepath.Join(filepath.Dir(DefaultSocket()), "data")
	}
	return filepath.Join(home, ".local", "state", "httpsys")
}
