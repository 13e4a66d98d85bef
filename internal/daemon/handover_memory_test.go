package daemon_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
)

// Of a connection that was handed over the daemon keeps nothing: of what it has
// allocated for many, none is reachable afterwards, while they are all open.
func TestHandedOverKeepsNothing(t *testing.T) {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = rate }()
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 1})
	reg := app.Register("http://+:0/")
	open := func(n int) {
		for range n {
			c := d.Dial(reg)
			c.Send(upgrade)
			r := nextRequest(app)
			r.Send(asking(testkit.Response(r.Stream, OPAQUE|CREDIT, 101, fields("Connection: Upgrade", "Upgrade: x"), "")))
			c.WantStatus(101)
			s := r.Socket("")
			t.Cleanup(func() { s.Close() })
			r.Cancel(0)
		}
		d.Connections(0)
		d.Exchanges(0)
	}
	open(10) // what is there once, and what is kept to be used again
	before := ofConnections()
	const n = 300
	open(n)
	// Lists that are used again may have grown; a connection itself has over 400 bytes.
	if kept := ofConnections() - before; kept >= 64*n {
		t.Errorf("%d bytes are kept for %d connections that are not the daemon's any more", kept, n)
	}
}

// ofConnections is how many bytes are in use that the request side of the daemon
// has allocated, but for the loop's table by descriptor: that has room for the highest
// number there is, and our clients are in the same process.
func ofConnections() (sum int64) {
	runtime.GC()
	runtime.GC() // a profile is that of the last but one
	records := make([]runtime.MemProfileRecord, 100_000)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		panic("there are more places that allocate")
	}
	for _, r := range records[:n] {
		frames := runtime.CallersFrames(r.Stack())
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if strings.HasSuffix(f.Function, "internal/loop.(*Loop).set") {
				break
			}
			if strings.Contains(f.Function, "httpsys/internal/loop.(*Loop).Run") {
				sum += r.InUseBytes()
				break
			}
		}
	}
	return sum
}
