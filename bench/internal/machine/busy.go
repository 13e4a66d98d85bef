package machine

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Tick is the unit of CPU times in /proc: USER_HZ, which is 100 on every
// architecture that Go supports.
const Tick = 10 * time.Millisecond

// Busy returns how long one CPU has run processes since the machine started,
// time stolen by the hypervisor included. Beside the time of the servers
// pinned to it, it tells how much of the CPU others had.
func Busy(cpu int) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(stat, cpu)
}

func parseBusy(stat []byte, cpu int) (time.Duration, error) {
	name := "cpu" + strconv.Itoa(cpu)
	for lines := bufio.NewScanner(bytes.NewReader(stat)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 9 || f[0] != name {
			continue
		}
		// user, nice, system and steal; idle, iowait, irq and softirq are not
		// the time of a process.
		var ticks int64
		for _, i := range []int{1, 2, 3, 8} {
			n, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat: %w", err)
			}
			ticks += n
		}
		return time.Duration(ticks) * Tick, nil
	}
	return 0, fmt.Errorf("/proc/stat: no line for %s", name)
}
