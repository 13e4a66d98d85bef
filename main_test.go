package httpsys

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(loadVariable); path != "" {
		if err := load(path, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	before := descriptors()
	code := m.Run()
	if code == 0 {
		code = checkLeaks(before)
	}
	os.Exit(code)
}

// checkLeaks fails the run when goroutines of this package or descriptors are
// left after the last test. What is ending just now gets the time to end.
func checkLeaks(before map[string]string) int {
	var goroutines, files []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		goroutines, files = nil, nil
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for g := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(g, "httpsys") && !strings.Contains(g, "checkLeaks") {
				goroutines = append(goroutines, g)
			}
		}
		for fd, what := range descriptors() {
			if before[fd] == "" && !strings.Contains(what, "anon_inode") {
				files = append(files, fd+" "+what)
			}
		}
		if len(goroutines)+len(files) == 0 {
			return 0
		}
	}
	fmt.Printf("left behind: %d goroutines, %d descriptors\n%s\n%s\n", len(goroutines), len(files),
		strings.Join(goroutines, "\n\n"), strings.Join(files, "\n"))
	return 1
}

// descriptors lists what is open.
func descriptors() map[string]string {
	open := make(map[string]string)
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open[e.Name()] = what
		}
	}
	return open
}
