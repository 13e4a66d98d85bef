package daemon

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A private daemon is one that programs start for themselves. Options.While ends
// with the program that started it, however that ends; but others may use the
// daemon by then, such as the other workers of a cluster. So it ends when no
// application is there any more, and leaves nothing behind.

// endAfter calls end when while has ended and no application is connected.
func (d *Daemon) endAfter(while io.Reader, end func()) {
	io.Copy(io.Discard, while)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unneeded = end
	d.endIfUnneeded()
}

// endIfUnneeded is called when an application has gone.
func (d *Daemon) endIfUnneeded() {
	if d.unneeded != nil && len(d.sessions) == 0 && len(d.greeting) == 0 {
		d.unneeded()
	}
}

// tidyUp removes a data folder that was made for this daemon alone, and the
// folder of the socket if there is nothing else in it.
func (d *Daemon) tidyUp() {
	if d.leavesNothing {
		os.RemoveAll(d.opt.Data)
		os.Remove(filepath.Dir(d.opt.Socket))
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
