package daemon_test

import (
	"slices"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
)

// waiting says whether n requests wait in the queue of a registration.
func waiting(reg *testkit.Registration, n int) func(*control.State) bool {
	return func(st *control.State) bool {
		return slices.ContainsFunc(st.Queues, func(q control.Queue) bool { return q.Name == reg.Queue && q.Length == n })
	}
}
