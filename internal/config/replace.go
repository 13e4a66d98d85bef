package config

import (
	"os"
	"path/filepath"
)

// replacer are the steps by which a file is replaced. Each can fail; the tests
// make each of them fail.
type replacer struct {
	write   func(path string, data []byte, mode os.FileMode) error // and fsync
	rename  func(from, to string) error
	syncDir func(dir string) error
}

var osReplacer = replacer{write: writeSync, rename: os.Rename, syncDir: syncDir}

// replace makes data the content of path: at every moment, and after a loss of
// power at any moment, the file is the whole old one or the whole new one. The
// temporary file has a fixed name because there is one writer (File holds the
// lock): what a crash has left behind is overwritten and does not pile up.
// replaced says whether the new file is in place, which it is, too, when the
// last step fails: then only a loss of power can bring the old one back.
func (r *replacer) replace(path string, data []byte) (replaced bool, err error) {
	mode := os.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm() // an administrator may have opened it for a group
	}
	temp := path + ".tmp"
	if err := r.write(temp, data, mode); err != nil {
		os.Remove(temp)
		return false, err
	}
	if err := r.rename(temp, path); err != nil {
		os.Remove(temp)
		return false, err
	}
	return true, r.syncDir(filepath.Dir(path))
}

func writeSync(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode) // the umask and an old temporary file do not count
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
