package daemon_test

import (
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// A session that is being ended for what its loop did may still have calls on
// their way: they find nothing to give back any more.
func TestUnregisterWhileTheSessionEnds(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	for range 200 {
		app := d.App(testkit.AppOptions{Credit: 1})
		reg := app.Register("http://+:0/")
		var calls []byte
		for range 20 {
			calls = append(calls, testkit.JSON(channel.Call, 7, map[string]any{
				"method": "unregister", "params": channel.UnregisterParams{ID: reg.ID}})...)
		}
		app.Loop().Send(testkit.Data(99, 0, "for a request that never was"))
		app.TrySend(calls)
		app.Close()
	}
}
