package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/httpsys/httpsys/bench/internal/machine"
)

// buildTime bounds one build; the first in an empty cache compiles the standard
// library.
const buildTime = 3 * time.Minute

type build struct {
	path string
	err  error
}

// once builds what a key names the first time, and returns the same later.
func (y *Yard) once(key string, f func(out string) error) (string, error) {
	b, ok := y.built[key]
	if !ok {
		b.path = filepath.Join(y.Dir, "bin", fmt.Sprint(len(y.built)), filepath.Base(key))
		b.err = os.MkdirAll(filepath.Dir(b.path), 0o755)
		if b.err == nil {
			b.err = f(b.path)
		}
		if y.built == nil {
			y.built = map[string]build{}
		}
		y.built[key] = b
	}
	return b.path, b.err
}

// cProgram compiles one file of bench/.
func (y *Yard) cProgram(ctx context.Context, file string) (string, error) {
	return y.once(strings.TrimSuffix(file, ".c"), func(out string) error {
		return y.run(ctx, filepath.Join(y.Root, "bench"), nil, "cc", "-O2", "-o", out, file)
	})
}

// goProgram builds a package of a module of this repository: "." or "bench".
func (y *Yard) goProgram(ctx context.Context, module, pkg string) (string, error) {
	return y.goProgramAt(ctx, y.Root, module, pkg)
}

// goProgramAt builds from another copy of the repository.
func (y *Yard) goProgramAt(ctx context.Context, root, module, pkg string) (string, error) {
	return y.once(filepath.Join(root, module, pkg), func(out string) error {
		dir := filepath.Join(root, module)
		args := []string{"go", "build", "-o", out}
		if module == "bench" {
			// The requirements of the module in ".." may be newer than those that
			// bench/go.mod lists. They are completed in a copy, so that measuring
			// never changes the tree.
			modfile, err := y.modfile(out, root)
			if err != nil {
				return err
			}
			args = append(args, "-mod=mod", "-modfile="+modfile)
		}
		return y.run(ctx, dir, []string{"CGO_ENABLED=0"}, append(args, pkg)...)
	})
}

// modfile copies bench/go.mod, with the sums of both modules beside it.
func (y *Yard) modfile(out, root string) (string, error) {
	mod, err := os.ReadFile(filepath.Join(root, "bench", "go.mod"))
	if err != nil {
		return "", err
	}
	var sums []byte
	for _, dir := range []string{".", "bench"} {
		text, err := os.ReadFile(filepath.Join(root, dir, "go.sum"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		sums = append(sums, text...)
	}
	path := out + ".mod"
	err = errors.Join(os.WriteFile(path, mod, 0o644), os.WriteFile(out+".sum", sums, 0o644))
	return path, err
}

// copyAt unpacks the repository as it was at a commit and returns the folder.
func (y *Yard) copyAt(ctx context.Context, revision string) (string, error) {
	return y.once("commit "+strings.ReplaceAll(revision, "/", " "), func(out string) error {
		if err := os.Mkdir(out, 0o755); err != nil {
			return err
		}
		archive := out + ".tar"
		defer os.Remove(archive)
		if err := y.run(ctx, y.Root, nil, "git", "archive", "-o", archive, revision); err != nil {
			return err
		}
		return y.run(ctx, out, nil, "tar", "-xf", archive)
	})
}

// run runs a command to its end, on every CPU. An error is one line: the first that is not
// a heading of the go command.
func (y *Yard) run(ctx context.Context, dir string, env []string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := machine.On(y.Others, cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err == nil {
		return nil
	}
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"), strings.HasPrefix(line, "go: downloading"), strings.HasPrefix(line, "go: finding"):
		default:
			return fmt.Errorf("%s: %s", strings.Join(args[:2], " "), strings.ReplaceAll(line, y.Dir+"/", ""))
		}
	}
	return fmt.Errorf("%s: %w", strings.Join(args[:2], " "), err)
}
