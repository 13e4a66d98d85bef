package machine

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseBusy(t *testing.T) {
	const stat = `cpu  900 0 0 9000 0 0 0 0 0 0
cpu0 100 20 30 4000 50 60 70 8 9 10
cpu10 5 0 0 0 0 0 0 0 0 0
cpu1 1 0 0 0 0 0 0 0 0 0
intr 1 2 3
`
	for _, test := range []struct {
		cpu  int
		want time.Duration
	}{
		{0, 1580 * time.Millisecond}, // 100+20+30+8 ticks
		{1, 10 * time.Millisecond},   // not the line of cpu10
	} {
		if got, err := parseBusy([]byte(stat), test.cpu); err != nil || got != test.want {
			t.Errorf("cpu %d: %v, %v; want %v", test.cpu, got, err, test.want)
		}
	}
	if _, err := parseBusy([]byte(stat), 2); err == nil {
		t.Error("a CPU that is not there has a busy time")
	}
}

// What On starts runs on the given CPU alone, and the thread is as before when it
// returns.
func TestOn(t *testing.T) {
	cpus, err := CPUs()
	if err != nil {
		t.Fatal(err)
	}
	last := cpus[len(cpus)-1]
	var out []byte
	err = On([]int{last}, func() (err error) {
		out, err = exec.Command("sh", "-c", "grep Cpus_allowed_list /proc/self/status").Output()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Fields(string(out))[1], strconv.Itoa(last); got != want {
		t.Errorf("the child may run on CPUs %s, want %s", got, want)
	}
	after, err := CPUs()
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(cpus) {
		t.Errorf("CPUs afterwards: %v, before: %v", after, cpus)
	}
}
