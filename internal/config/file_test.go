package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func open(t *testing.T, dir string) *File {
	t.Helper()
	f, err := OpenFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func load(t *testing.T, f *File) *State {
	t.Helper()
	s, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error\n got %v\nwant %s", err, want)
	}
}

func TestFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "lib")
	s := load(t, open(t, dir))
	if d := cmp.Diff(Initial(), s); d != "" {
		t.Errorf("a new folder has not the initial state (-want +got):\n%s", d)
	}
	if _, err := os.Stat(filepath.Join(dir, FileName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was written although nothing was set: %v", err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("the folder has mode %v (%v), want 0700", info.Mode(), err)
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	load(t, f)
	for _, want := range []*State{exampleState(), Initial(), {Version: Version}} {
		if err := f.Save(want); err != nil {
			t.Fatal(err)
		}
		f.Close()
		f = open(t, dir)
		if d := cmp.Diff(want, load(t, f), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("after a restart (-want +got):\n%s", d)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, FileName+".tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a temporary file is left: %v", err)
	}
}

// The deletion of the initial reservation survives, too.
func TestInitialStateIsNotForced(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	s := load(t, f)
	s.URLACL = nil
	if err := f.Save(s); err != nil {
		t.Fatal(err)
	}
	if s := load(t, f); len(s.URLACL) != 0 {
		t.Errorf("reservations came back: %v", s.URLACL)
	}
}

func TestFileMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	f := open(t, dir)
	s := load(t, f)
	mode := func() os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if err := f.Save(s); err != nil {
		t.Fatal(err)
	}
	if got := mode(); got != 0o600 {
		t.Errorf("a new file has mode %o, want 600", got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(exampleState()); err != nil {
		t.Fatal(err)
	}
	if got := mode(); got != 0o644 {
		t.Errorf("the replaced file has mode %o, want the 644 that the old one had", got)
	}
}

// Two daemons would overwrite each other's settings.
func TestOneDaemonAFolder(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	_, err := OpenFile(dir)
	wantError(t, err, fmt.Sprintf(
		"data folder %s is in use by another httpsys (process %d): stop that one, or choose another folder with --data", dir, os.Getpid()))
	f.Close()
	open(t, dir)
}

func TestFolderErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenFile(file)
	wantError(t, err, "data folder "+file+": not a directory (choose another with --data)")
	locked := filepath.Join(dir, "locked")
	if err := os.MkdirAll(filepath.Join(locked, lockName), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = OpenFile(locked)
	wantError(t, err, "data folder "+locked+": cannot make the lock file: is a directory (choose another folder with --data)")
}

// A configuration that cannot be understood is said to be so, with its place,
// and stays as it is, whatever is tried.
func TestMalformedFileIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	f := open(t, dir)
	tests := []struct{ text, want string }{
		{"{\n  \"version\": 1,\n  \"urlacl\": [,]\n}\n", ":3:14: invalid character ',' looking for beginning of value"},
		{`{"version":7}`, ": version 7 is unknown: this httpsys reads and writes version 1"},
		{``, ":1:1: unexpected end of JSON input"},
	}
	for _, c := range tests {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := f.Load()
		wantError(t, err, "configuration "+path+c.want+"; correct the file, or move it away to start anew")
		wantError(t, f.Save(Initial()), "configuration "+path+" was not loaded, so it is not replaced")
		if text, err := os.ReadFile(path); err != nil || string(text) != c.text {
			t.Errorf("the file is now %q (%v), was %q", text, err, c.text)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, dir).Load()
	wantError(t, err, "cannot read the configuration "+path+": is a directory")
}

// Somebody edits the file while the daemon runs. Neither that work nor what
// was there before is overwritten by the next command.
func TestEditedMeanwhile(t *testing.T) {
	edits := map[string]func(path string) error{
		"changed": func(path string) error { return os.WriteFile(path, []byte(example), 0o600) },
		"broken":  func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
		"removed": os.Remove,
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, FileName)
			f := open(t, dir)
			s := load(t, f)
			if err := f.Save(s); err != nil {
				t.Fatal(err)
			}
			if err := edit(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			s.Timeouts = map[string]int64{"headerwaittimeout": 1}
			wantError(t, f.Save(s), "configuration "+path+" was changed by someone else and is not overwritten: restart httpsys to take it over")
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Errorf("the file is now %q, was %q", after, before)
			}
		})
	}
}

// Whatever step of the replacement fails, and even if the daemon dies there,
// the next start finds the whole old or the whole new configuration.
func TestFailuresWhileSaving(t *testing.T) {
	broken := errors.New("no space left on device")
	tests := []struct {
		step string
		fail func(*replacer)
		kept string // what the next start finds
	}{
		{"write", func(r *replacer) { r.write = func(string, []byte, os.FileMode) error { return broken } }, "old"},
		{"write half", func(r *replacer) {
			r.write = func(path string, data []byte, mode os.FileMode) error {
				return errors.Join(os.WriteFile(path, data[:len(data)/2], mode), broken)
			}
		}, "old"},
		{"rename", func(r *replacer) { r.rename = func(string, string) error { return broken } }, "old"},
		{"sync the folder", func(r *replacer) { r.syncDir = func(string) error { return broken } }, "new"},
	}
	for _, c := range tests {
		t.Run(c.step, func(t *testing.T) {
			dir := t.TempDir()
			f := open(t, dir)
			old := load(t, f)
			if err := f.Save(old); err != nil {
				t.Fatal(err)
			}
			c.fail(&f.writer)
			err := f.Save(exampleState())
			if !errors.Is(err, broken) && (err == nil || !strings.Contains(err.Error(), broken.Error())) {
				t.Fatalf("Save: %v, want %v", err, broken)
			}
			f.Close()

			f = open(t, dir)
			want := old
			if c.kept == "new" {
				want = exampleState()
			}
			if d := cmp.Diff(want, load(t, f)); d != "" {
				t.Errorf("after a restart (-want +got):\n%s", d)
			}
			if err := f.Save(exampleState()); err != nil {
				t.Errorf("the next Save: %v", err)
			}
			if d := cmp.Diff(exampleState(), load(t, f)); d != "" {
				t.Errorf("after the next Save (-want +got):\n%s", d)
			}
		})
	}
}

// What a daemon left that died between writing and renaming is not in the way.
func TestLeftOverTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	temp := filepath.Join(dir, FileName+".tmp")
	if err := os.WriteFile(temp, []byte(`{"version":1,"urlacl":[{"url":"half`), 0o644); err != nil {
		t.Fatal(err)
	}
	f := open(t, dir)
	load(t, f)
	if err := f.Save(exampleState()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(exampleState(), load(t, f)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A file that nobody understands is never lost; one that is understood comes
// back as it was.
func FuzzFile(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(`{"version":1,"urlacl":[]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, FileName)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file := open(t, dir)
		file.writer.write, file.writer.syncDir = os.WriteFile, func(string) error { return nil }
		s, err := file.Load()
		if err != nil {
			if file.Save(Initial()) == nil {
				t.Fatal("saved over a file that was not understood")
			}
			if after, _ := os.ReadFile(path); string(after) != string(data) {
				t.Fatalf("the file is now %q, was %q", after, data)
			}
			return
		}
		if err := file.Save(s); err != nil {
			t.Fatal(err)
		}
		again, err := file.Load()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, again, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-before +after):\n%s", d)
		}
	})
}
