package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/httpsys/httpsys/bench/internal/machine"
)

// stat is what we need of /proc/PID/stat.
type stat struct {
	pid, parent int
	children    time.Duration // CPU time of children that have ended and were waited for
}

func parseStat(text []byte) (stat, error) {
	// The name in parentheses may itself contain spaces and parentheses.
	open, close := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || close < 0 {
		return stat{}, errors.New("no name in parentheses")
	}
	f := strings.Fields(string(text[close+1:]))
	if len(f) < 15 {
		return stat{}, errors.New("too short")
	}
	var s stat
	var ticks [2]int64
	var errs [4]error
	s.pid, errs[0] = strconv.Atoi(strings.TrimSpace(string(text[:open])))
	s.parent, errs[1] = strconv.Atoi(f[1])              // field 4 of proc(5)
	ticks[0], errs[2] = strconv.ParseInt(f[13], 10, 64) // 16: cutime
	ticks[1], errs[3] = strconv.ParseInt(f[14], 10, 64) // 17: cstime
	s.children = time.Duration(ticks[0]+ticks[1]) * machine.Tick
	return s, errors.Join(errs[:]...)
}

// tree returns the program and its living descendants.
func (p *Process) tree() ([]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]stat{}
	var found []stat
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // ended since
		}
		s, err := parseStat(text)
		if err != nil {
			return nil, fmt.Errorf("/proc/%s/stat: %w", e.Name(), err)
		}
		children[s.parent] = append(children[s.parent], s)
		if s.pid == p.PID() {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s is gone", p.Label)
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].pid]...)
	}
	return found, nil
}

// PIDs are the processes of the tree.
func (p *Process) PIDs() ([]int, error) {
	tree, err := p.tree()
	var pids []int
	for _, s := range tree {
		pids = append(pids, s.pid)
	}
	return pids, err
}

// CPU is the time, user and system, that the tree has used since it started.
func (p *Process) CPU() (time.Duration, error) {
	tree, err := p.tree()
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, s := range tree {
		t, err := cpuClock(s.pid)
		if err != nil && s.pid != p.PID() {
			continue // ended since the tree was read
		}
		if err != nil {
			return 0, fmt.Errorf("CPU time of %s: %w", p.Label, err)
		}
		sum += t + s.children
	}
	return sum, nil
}

// cpuClock reads the CPU-time clock of a process. It counts what utime and
// stime in /proc/PID/stat count, all threads, ended ones too, but in
// nanoseconds instead of ticks of 10 ms.
func cpuClock(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED; see clock_getcpuclockid(3)
	clock := int32(^pid)<<3 | scheduler
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		return 0, errno
	}
	return time.Duration(ts.Nano()), nil
}
