// Package machine is what a result depends on besides the programs: which CPU
// runs the servers and which the load, how much of it others used meanwhile,
// how many descriptors there may be, and the facts that are printed beside
// every result.
package machine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// cpuSet is the kernel's bit mask of CPUs, for up to 1024 of them.
type cpuSet [16]uint64

func (s *cpuSet) add(cpu int)      { s[cpu/64] |= 1 << (cpu % 64) }
func (s *cpuSet) has(cpu int) bool { return s[cpu/64]&(1<<(cpu%64)) != 0 }

// CPUs returns the CPUs that this process may run on, in ascending order.
func CPUs() ([]int, error) {
	var set cpuSet
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		return nil, fmt.Errorf("sched_getaffinity: %w", errno)
	}
	var cpus []int
	for cpu := range len(set) * 64 {
		if set.has(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

func setAffinity(tid int, set *cpuSet) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(*set),
		uintptr(unsafe.Pointer(set)))
	if errno != 0 {
		return fmt.Errorf("sched_setaffinity: %w", errno)
	}
	return nil
}

// PinSelf moves every thread of this process to one CPU. Threads and processes
// that start later inherit it.
func PinSelf(cpu int) error {
	var set cpuSet
	set.add(cpu)
	// A thread that starts during one pass is a child of one that was pinned,
	// or is found by the next.
	for range 2 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				continue
			}
			if err := setAffinity(tid, &set); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// On runs f on a thread that is pinned to some CPUs, so that the processes that f
// starts are too, from their first instruction: runtimes that count CPUs when
// they start see no more than these.
func On(cpus []int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set cpuSet
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(before),
		uintptr(unsafe.Pointer(&before)))
	if errno != 0 {
		return fmt.Errorf("sched_getaffinity: %w", errno)
	}
	for _, cpu := range cpus {
		set.add(cpu)
	}
	if err := setAffinity(0, &set); err != nil {
		return err
	}
	defer setAffinity(0, &before)
	return f()
}

// Files raises the limit of open files, for this process and those it starts,
// as far as it goes, and returns it.
func Files() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	const enough = 100_000 // more only slows down programs that size tables by it
	want := syscall.Rlimit{Cur: enough, Max: max(enough, limit.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) == nil {
		return enough, nil
	}
	want = syscall.Rlimit{Cur: min(enough, limit.Max), Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want); err != nil {
		return 0, err
	}
	return int(want.Cur), nil
}
