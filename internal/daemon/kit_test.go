package daemon_test

import (
	"slices"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// waiting says whether n requests wait in the queue of a registration.
func waiting(reg *testkit.Registration, n int) func(*control.State) bool {
	return func(st *control.State) bool {
		return slices.ContainsFunc(st.Queues, func(q control.Queue) bool { return q.Name == reg.Queue && q.Length == n })
	}
}

// nextRequest is the next REQUEST. What comes before it is for streams that
// the application has ended, and was on its way (docs/channel.md section 4).
func nextRequest(app *testkit.App) *testkit.Request {
	for {
		if f := app.Loop().Next(); f.Type == channel.Request {
			return app.Loop().Parse(f)
		}
	}
}

// everyone is who may see all that is stored.
func everyone(uint32) bool { return true }
