// Package leak fails a test that leaves something behind: goroutines that
// still run and file descriptors that are still open when it ends.
//
// What a test starts may take a moment to end after it was told to, so Check
// looks again for as long as Patience before it complains. Tests that use it
// must not run in parallel with others of their process.
package leak

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long what a test started may take to end.
const Patience = 10 * time.Second

// Check remembers what there is now, and fails t when it ends with more.
func Check(t testing.TB) {
	t.Helper()
	warmUp()
	goroutines, files := Goroutines(), Files()
	t.Cleanup(func() {
		if t.Failed() {
			return // what is left is a consequence
		}
		var left []string
		for end := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
			left = left[:0]
			for fd, what := range Files() {
				if files[fd] != what {
					left = append(left, fmt.Sprintf("descriptor %s is open: %s", fd, what))
				}
			}
			for id, stack := range Goroutines() {
				if _, old := goroutines[id]; !old {
					left = append(left, "a goroutine still runs: "+stack)
				}
			}
			if len(left) == 0 {
				return
			}
			if time.Now().After(end) {
				break
			}
		}
		slices.Sort(left)
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	})
}

// warmUp opens what the runtime opens once and keeps: its own epoll.
var warmUp = sync.OnceFunc(func() {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
})

// Files returns what the descriptors of this process are open on.
func Files() map[string]string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	files := make(map[string]string, len(entries))
	for _, e := range entries {
		what, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // the folder's own, closed by now
		}
		files[e.Name()] = what
	}
	return files
}

// Goroutines returns the stacks of all goroutines by their numbers, without
// those of the testing package.
func Goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	stacks := make(map[string]string)
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		head, rest, _ := strings.Cut(stack, "\n")
		// One for each authority that was ever asked, for as long as the process lives.
		if strings.Contains(rest, "certmagic.(*RingBufferRateLimiter)") {
			continue
		}
		if strings.HasPrefix(rest, "testing.") || strings.Contains(rest, "testing.tRunner") && strings.Contains(rest, "leak.Goroutines") {
			continue
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(head, "goroutine "), " ")
		stacks[id] = stack
	}
	return stacks
}
