package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/httpsys/httpsys/"

// bans says, for a folder and all below it, what its packages may not import
// (a path, or everything below it), and why.
var bans = []struct {
	folder string
	not    map[string]string
}{
	{"internal/wire", map[string]string{
		"net":                   "a core sees bytes, not sockets",
		"os":                    "a core sees bytes, not files",
		"syscall":               "a core sees bytes, not descriptors",
		"time":                  "time is an argument",
		"sync":                  "a core has one owner and starts nothing",
		"context":               "a core waits for nothing",
		"log":                   "a core returns what it has to say",
		module + "internal/sys": "a core sees bytes, not descriptors",
	}},
	{"h1", pure},
	{"internal/prefix", pure},
	{"internal/queue", pure},
	{"internal/cache", pure},
	{"internal/cache/rules", map[string]string{
		"sync":                           "a rule is a function of its arguments",
		"time":                           "a date is a number of seconds",
		module + "internal/exchange":     "a rule does not know who asks",
		"github.com/maypok86/otter/v2":   "a rule keeps nothing",
		module + "internal/wire/channel": "what HTTP says does not depend on applications",
	}},
	{"internal/compress", pure},
	{"internal/exchange", map[string]string{
		"net":                       "an exchange is told, it does not read",
		"os":                        "an exchange is told, it does not read",
		"syscall":                   "an exchange is told, it does not read",
		module + "internal/sys":     "an exchange is told, it does not read",
		module + "internal/loop":    "an exchange knows its stage, not who runs it",
		module + "internal/conn":    "a connection is a Client",
		module + "internal/worker":  "a channel is a Worker",
		module + "internal/wire/h1": "an exchange is the same for all versions of HTTP",
		module + "internal/daemon":  "stages do not know who puts them together",
		module + "internal/control": "the request side does not know administration",
	}},
	{"internal/conn", map[string]string{
		module + "internal/worker":  "connections and channels meet in an exchange",
		module + "internal/control": "the request side does not know administration",
		module + "internal/daemon":  "stages do not know who puts them together",
	}},
	{"internal/worker", map[string]string{
		module + "internal/conn":    "connections and channels meet in an exchange",
		module + "internal/wire/h1": "an application's answer has no HTTP version",
		module + "internal/control": "the request side does not know administration",
		module + "internal/daemon":  "stages do not know who puts them together",
	}},
	{"internal/loop", map[string]string{
		module + "internal/conn":     "a loop runs handlers, whatever they are",
		module + "internal/worker":   "a loop runs handlers, whatever they are",
		module + "internal/exchange": "a loop runs handlers, whatever they are",
	}},
	{"internal/config", map[string]string{
		module + "internal/daemon": "settings do not know who obeys them",
		module + "internal/conn":   "settings do not know who obeys them",
	}},
	{".", map[string]string{
		module + "internal/daemon":   "a program that uses httpsys does not link the server",
		module + "internal/conn":     "a program that uses httpsys does not link the server",
		module + "internal/worker":   "a program that uses httpsys does not link the server",
		module + "internal/exchange": "a program that uses httpsys does not link the server",
		module + "internal/loop":     "a program that uses httpsys does not link the server",
		module + "internal/config":   "a program that uses httpsys does not link the server",
	}},
}

// pure is for packages that decide, and leave acting to others.
var pure = map[string]string{
	"net":                    "it decides about requests, it does not read them",
	"os":                     "it keeps nothing on disk",
	"syscall":                "it decides, it does not act",
	module + "internal/sys":  "it decides, it does not act",
	module + "internal/loop": "it runs where it is called",
	"context":                "it waits for nothing",
	"log":                    "it returns what it has to say",
}

// exceptions are imports that a ban covers by its path and does not mean.
var exceptions = map[string]bool{
	"net/netip": true, // addresses are values
	"net/url":   true,
}

// Imports go one way.
func TestImports(t *testing.T) {
	for _, b := range bans {
		for file, imports := range importsBelow(t, filepath.Join("..", b.folder), b.folder != ".") {
			for _, path := range imports {
				for ban, why := range b.not {
					if (path == ban || strings.HasPrefix(path, ban+"/")) && !exceptions[path] {
						t.Errorf("%s imports %s: %s", file, path, why)
					}
				}
			}
		}
	}
}

// No clock is read where time is an argument.
func TestClocks(t *testing.T) {
	for _, folder := range []string{"h1", "internal/wire", "internal/prefix", "internal/queue", "internal/cache", "internal/compress", "internal/exchange"} {
		for file := range importsBelow(t, filepath.Join("..", folder), true) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"time.Now(", "time.Since(", "time.After(", "time.NewTimer("} {
				if strings.Contains(string(text), call) {
					t.Errorf("%s reads a clock (%s…): time is an argument", file, call)
				}
			}
			if strings.Contains(string(text), "\tgo ") {
				t.Errorf("%s starts a goroutine", file)
			}
		}
	}
}

// importsBelow lists the imports of each file that is not a test.
func importsBelow(t *testing.T, folder string, recurse bool) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != folder && !recurse {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		out[path] = []string{}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			out[path] = append(out[path], p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("no files in %s", folder)
	}
	return out
}

// Every package says what it is, once.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	for file := range importsBelow(t, "..", true) {
		if strings.HasPrefix(file, "../bench/") || strings.Contains(file, "node_modules") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(file)
		if _, seen := comments[dir]; !seen {
			comments[dir] = nil
		}
		if f.Doc != nil {
			comments[dir] = append(comments[dir], file)
		}
	}
	for dir, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s has %d package comments, want one: %v", dir, len(files), files)
		}
	}
}
