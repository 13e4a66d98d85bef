package proc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Memory is resident memory in bytes, summed over the tree of a process.
type Memory struct {
	RSS int64 // every page of every process
	PSS int64 // pages that several processes share count once
}

// Memory measures the tree now.
func (p *Process) Memory() (Memory, error) {
	var sum Memory
	err := p.each(func(pid string) error {
		text, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
		if err != nil {
			return err
		}
		rss, err := kilobytes(text, "Rss:")
		if err != nil {
			return err
		}
		pss, err := kilobytes(text, "Pss:")
		if err != nil {
			return err
		}
		sum.RSS += rss
		sum.PSS += pss
		return nil
	})
	return sum, err
}

// Peak runs f and returns by how much resident memory rose above its start at
// the highest point: the sum of what each process of the tree rose.
func (p *Process) Peak(ctx context.Context, f func() error) (int64, error) {
	stop, err := p.WatchPeak(ctx)
	if err != nil {
		return 0, err
	}
	err = f()
	rise, stopErr := stop()
	if err != nil {
		return 0, err
	}
	return rise, stopErr
}

// WatchPeak begins to watch resident memory; the function that it returns ends
// that and tells the highest rise. The kernel keeps the high-water mark where it
// lets us reset it (Linux 4.0, CONFIG_PROC_PAGE_MONITOR); else we sample.
func (p *Process) WatchPeak(ctx context.Context) (func() (int64, error), error) {
	resettable := true
	before := map[string]int64{}
	err := p.each(func(pid string) error {
		const resetPeak = "5" // proc(5), clear_refs
		if os.WriteFile("/proc/"+pid+"/clear_refs", []byte(resetPeak), 0) != nil {
			resettable = false
		}
		rss, err := status(pid, "VmRSS:")
		before[pid] = rss
		return err
	})
	if err != nil {
		return nil, err
	}
	// rise is the largest rise of each process's field over its start.
	rise := func(field string) (int64, error) {
		var sum int64
		err := p.each(func(pid string) error {
			now, err := status(pid, field)
			sum += max(0, now-before[pid])
			return err
		})
		return sum, err
	}
	if resettable {
		return func() (int64, error) { return rise("VmHWM:") }, nil
	}

	ctx, cancel := context.WithCancel(ctx)
	type answer struct {
		peak int64
		err  error
	}
	answers := make(chan answer)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		var a answer
		for a.err == nil {
			var now int64
			now, a.err = rise("VmRSS:")
			a.peak = max(a.peak, now)
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
			}
			break
		}
		<-ctx.Done()
		answers <- a
	}()
	return func() (int64, error) {
		cancel()
		a := <-answers
		return a.peak, a.err
	}, nil
}

// each calls f for every process of the tree; one that ends meanwhile does not count.
func (p *Process) each(f func(pid string) error) error {
	pids, err := p.PIDs()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := f(strconv.Itoa(pid)); err != nil && !isGone(err) {
			return fmt.Errorf("memory of %s: %w", p.Label, err)
		}
	}
	return nil
}

func isGone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

func status(pid, field string) (int64, error) {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	// One that has ended, and waits for its parent to hear of it, has no memory.
	if !bytes.Contains(text, []byte("\nVmRSS:")) {
		return 0, syscall.ESRCH
	}
	return kilobytes(text, field)
}

// kilobytes finds "FIELD  123 kB" and returns bytes.
func kilobytes(text []byte, field string) (int64, error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) == 3 && f[0] == field && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no field %s", field)
}
