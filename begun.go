package httpsys

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A begunCounter is the number of requests of one loop connection that were
// begun, in memory that the daemon can read after our death (docs/channel.md
// section 7): what this number does not count, another process may have.
type begunCounter struct{ n *atomic.Uint64 }

// newBegunCounter makes the memory. The file is to be passed with HELLO and
// closed; the mapping lives as long as the counter.
func newBegunCounter() (*begunCounter, *os.File, error) {
	fd, err := unix.MemfdCreate("httpsys-begun", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "httpsys-begun")
	size := os.Getpagesize()
	if err := f.Truncate(int64(size)); err != nil {
		f.Close()
		return nil, nil, err
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("mmap: %w", err)
	}
	c := &begunCounter{n: (*atomic.Uint64)(unsafe.Pointer(&mem[0]))}
	// Handlers store into it until the last of them is gone, which nobody
	// waits for: so the collector unmaps it.
	runtime.AddCleanup(c, func(mem []byte) { unix.Munmap(mem) }, mem)
	return c, f, nil
}

// begin counts the request with the given place in the order of arrival, and
// all before it. Calls are made under a lock of the caller. Counting too much
// is safe, the daemon then answers 502; counting too little would let a
// request be done twice.
func (c *begunCounter) begin(index uint64) {
	if c.n.Load() <= index {
		c.n.Store(index + 1)
	}
}
