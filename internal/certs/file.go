package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxFile bounds what is read of a file. A certificate with its chain has 5 KB,
// all authorities of a machine 250 KB.
const maxFile = 4 << 20

// stamp tells whether a file is still the one that was read.
type stamp struct {
	path       string
	there      bool
	dev, inode uint64
	size       int64
	modified   time.Time
	changed    syscall.Timespec // also when the owner or the mode changes
}

// stampOf looks at path, following links, as when it is read.
func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{path: path}
	}
	return stampFrom(path, info)
}

func stampFrom(path string, info fs.FileInfo) stamp {
	s := stamp{path: path, there: true, size: info.Size(), modified: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.inode, s.changed = uint64(st.Dev), st.Ino, st.Ctim
	}
	return s
}

// fresh tells whether the file is unchanged.
func (s stamp) fresh() bool { return stampOf(s.path) == s }

// owner is who may own the files beside root: whoever the daemon runs as.
var owner = uint32(os.Geteuid())

// readFile reads a file that nobody but root and the daemon's user can have
// written. A private one must not be readable for others either.
func readFile(path string, private bool) ([]byte, stamp, error) {
	// Without O_NONBLOCK, opening a pipe waits for somebody to write.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, stamp{path: path}, openError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, stamp{path: path}, openError(path, err)
	}
	s := stampFrom(path, info)
	if err := checkMode(path, info, private); err != nil {
		return nil, s, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, s, openError(path, err)
	}
	if len(data) > maxFile {
		return nil, s, fmt.Errorf("%s is longer than %d MiB: that is not a certificate", path, maxFile>>20)
	}
	return data, s, nil
}

func openError(path string, err error) error {
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be read by the daemon, which runs as user %d: permission denied", path, owner)
	case errors.As(err, &p):
		err = p.Err
	}
	return fmt.Errorf("%s cannot be read: %w", path, err)
}

func checkMode(path string, info fs.FileInfo, private bool) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	mode := info.Mode().Perm()
	var gid uint32
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		gid = st.Gid
		if st.Uid != 0 && st.Uid != owner {
			return fmt.Errorf("%s belongs to user %d, who could replace it: run chown root %s", path, st.Uid, path)
		}
	}
	others := mode & 0o007
	group := mode & 0o070
	if gid == 0 {
		group = 0 // root's group is root
	}
	switch {
	case others&0o002 != 0 || group&0o020 != 0:
		return fmt.Errorf("%s can be written by others (mode %04o): run chmod go-w %s", path, mode, path)
	case private && others|group != 0:
		return fmt.Errorf("%s has a private key and can be read by others (mode %04o): run chmod 600 %s", path, mode, path)
	}
	return nil
}
