package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// FileName is the name of the configuration in the data folder.
const FileName = "config.json"

const lockName = "lock"

// maxFile bounds what Load reads into memory: far more than a machine can
// need (some hundred thousand reservations), far less than would hurt.
const maxFile = 64 << 20

// File is a Store in a folder: config.json, and beside it a file that is
// locked as long as the File is open, so that two daemons cannot share the
// folder and overwrite each other's settings.
type File struct {
	path string
	lock *os.File

	mu     sync.Mutex
	known  bool              // sum is what Load or Save saw last
	sum    [sha256.Size]byte // of the file; zero if there was none
	writer replacer
}

var _ Store = (*File)(nil)

// OpenFile opens the data folder dir, making it if need be, and locks it.
func OpenFile(dir string) (*File, error) {
	// Others may pass, to files that are for everybody: the certificate of the
	// machine's own authority. What is not for them has its own mode.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("data folder %s: %w (choose another with --data)", dir, cause(err))
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: cannot make the lock file: %w (choose another folder with --data)", dir, cause(err))
	}
	if err := flock(lock); err != nil {
		defer lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s is in use by another httpsys%s: stop that one, or choose another folder with --data",
				dir, holder(lock))
		}
		return nil, fmt.Errorf("data folder %s: cannot lock: %w", dir, err)
	}
	// Only for the message above; the lock is the kernel's, not this number.
	if lock.Truncate(0) == nil {
		fmt.Fprintf(lock, "%d\n", os.Getpid())
	}
	return &File{path: filepath.Join(dir, FileName), lock: lock, writer: osReplacer}, nil
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			return err
		}
	}
}

func holder(lock *os.File) string {
	b := make([]byte, 20)
	n, _ := lock.ReadAt(b, 0)
	pid := strings.TrimSpace(string(b[:n]))
	if pid == "" || strings.Trim(pid, "0123456789") != "" {
		return ""
	}
	return " (process " + pid + ")"
}

// Path is where the configuration is.
func (f *File) Path() string { return f.path }

// Close unlocks the folder.
func (f *File) Close() error { return f.lock.Close() }

// Load reads the file. A file that is not there is the initial state; one that
// cannot be read or understood is an error, and stays as it is.
func (f *File) Load() (*State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		f.known, f.sum = true, [sha256.Size]byte{}
		return Initial(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration %s: %w", f.path, cause(err))
	}
	s, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("configuration %s:%w; correct the file, or move it away to start anew", f.path, positioned{err})
	}
	f.known, f.sum = true, sha256.Sum256(data)
	return s, nil
}

// Save replaces the file. It refuses when the file is not the one that Load or
// Save saw last: somebody has edited it, and that work must not be lost.
func (f *File) Save(s *State) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known {
		return fmt.Errorf("configuration %s was not loaded, so it is not replaced", f.path)
	}
	data, err := Encode(s)
	if err != nil {
		return fmt.Errorf("configuration %s is not replaced: %w", f.path, err)
	}
	if len(data) > maxFile {
		return fmt.Errorf("configuration %s is not replaced: it would be longer than %d bytes", f.path, maxFile)
	}
	var sum [sha256.Size]byte
	old, err := f.read()
	switch {
	case err == nil:
		sum = sha256.Sum256(old)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot read the configuration %s: %w", f.path, cause(err))
	}
	if sum != f.sum {
		return fmt.Errorf("configuration %s was changed by someone else and is not overwritten: restart httpsys to take it over", f.path)
	}
	if bytes.Equal(old, data) {
		return nil
	}
	replaced, err := f.writer.replace(f.path, data)
	if replaced {
		f.sum = sha256.Sum256(data)
	}
	if err != nil {
		return fmt.Errorf("cannot write the configuration %s: %w", f.path, cause(err))
	}
	return nil
}

func (f *File) read() ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is longer than %d bytes", maxFile)
	}
	return data, err
}

// cause drops the operation and the path of an error of package os, which the
// message that it goes into already names.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

// positioned puts a blank before a message unless it begins with line:column,
// which follows a file name without one.
type positioned struct{ error }

func (p positioned) Error() string {
	s := p.error.Error()
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		return s
	}
	return " " + s
}

func (p positioned) Unwrap() error { return p.error }
