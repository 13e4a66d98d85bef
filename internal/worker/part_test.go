package worker_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
	"github.com/httpsys/httpsys/internal/wire/message"
	"github.com/httpsys/httpsys/internal/worker"
)

// listener is a client that remembers what it got.
type listener struct {
	client
	body string
	how  string // it ended
}

func (c *listener) Respond(r *message.Response, body []byte, end bool) {
	c.status = r.Status
	c.Body(body, end)
}

func (c *listener) Body(b []byte, end bool) {
	c.body += string(b)
	if end {
		c.how = "end"
		c.over()
	} else if len(b) > 0 {
		c.x.Sent(len(b), true)
	}
}

func (c *listener) Trailers([]message.Field) { c.how = "trailers"; c.over() }
func (c *listener) Abort()                   { c.how = "cut"; c.over() }

// settle waits until the loop has handled what was written before: mail comes after the events of its turn,
// and the second is of a turn that began after the first.
func (r *rig) settle() {
	r.loop.Call(func() {})
	r.loop.Call(func() {})
}

// heard is what c has got of all that was written before.
func (r *rig) heard(c *listener) (body, how string) {
	r.settle()
	r.loop.Call(func() { body, how = c.body, c.how })
	return body, how
}

// ask begins a request of c and returns its stream.
func (r *rig) ask(app *testkit.Conn, c *listener) uint32 {
	r.t.Helper()
	r.loop.Call(func() { r.wait(c, "/") })
	return app.Want(channel.Request).Stream
}

// wait begins a request of c on the loop.
func (r *rig) wait(c *listener, target string) {
	c.x, _, _ = r.stage.Begin(c, request("a", target), facts, nil, true)
}

// Frames may be cut anywhere, of one stream or of several: clients get the same bytes in the same order, and the
// application gets its credit once.
func TestFramesAreCutAnywhere(t *testing.T) {
	t.Cleanup(worker.SetShortest(3))
	const credit = 2
	r := newRig(t, "a")
	_, app, _ := r.channel(credit, 0)
	for i := 0; ; i++ {
		size := 0
		for j := i; j == i || j <= size; j += 1 + (size-i)/8 {
			var a, b listener
			m, n := r.ask(app, &a), r.ask(app, &b)
			var all []byte
			for _, f := range [][]byte{
				testkit.Response(m, 0, 200, nil, "ab"), testkit.Data(m, 0, "cdefghijkl"),
				testkit.Response(n, 0, 200, nil, ""), testkit.Data(n, 0, "0123456789"), testkit.Data(n, 0, ""),
				testkit.Data(m, testkit.END|testkit.CREDIT, "mnopqrst"),
				channel.AppendFrame(nil, channel.Data, channel.FlagPieces, n, 0, []byte(testkit.Pieces("ABCDEFGH", "IJ"))),
				testkit.Trailers(n, testkit.CREDIT, "A: b"),
			} {
				all = append(all, f...)
			}
			size = len(all)
			if i > size {
				return
			}
			for _, part := range [][]byte{all[:i], all[i:j], all[j:]} {
				if len(part) > 0 {
					app.Send(part)
					r.settle()
				}
			}
			got := fmt.Sprint(a.body, a.how, b.body, b.how)
			if want := "abcdefghijklmnopqrst" + "end" + "0123456789ABCDEFGHIJ" + "trailers"; got != want {
				t.Fatalf("cut at %d and %d: got %s, want %s", i, j, got, want)
			}
		}
	}
}

// Credit that comes with a frame comes once, and when the whole of the frame is there.
func TestCreditOfACutFrame(t *testing.T) {
	t.Cleanup(worker.SetShortest(3))
	r := newRig(t, "a")
	_, app, _ := r.channel(1, 0)
	var a, b, c listener
	n := r.ask(app, &a)
	r.loop.Call(func() {
		r.wait(&b, "/b")
		r.wait(&c, "/c")
	})
	frame := testkit.Data(n, testkit.END|testkit.CREDIT, "0123456789")
	cut := channel.HeaderSize + 5
	app.Send(testkit.Response(n, 0, 200, nil, ""), frame[:cut])
	if body, how := r.heard(&a); body != "01234" || how != "" {
		t.Errorf("of a frame that is half there the client has %q, %q", body, how)
	}
	assigned := func(c *listener) (yes bool) {
		r.loop.Call(func() { yes = c.x.Assigned() })
		return yes
	}
	if assigned(&b) {
		t.Error("half a frame gave credit")
	}
	app.Send(frame[cut:])
	app.Want(channel.Request)
	if assigned(&c) {
		t.Error("a frame gave credit twice")
	}
}

// What is too short to go on by itself waits for the rest.
func TestShortPartsWait(t *testing.T) {
	t.Cleanup(worker.SetShortest(5))
	r := newRig(t, "a")
	_, app, _ := r.channel(1, 0)
	var a listener
	n := r.ask(app, &a)
	frame := testkit.Data(n, testkit.END|testkit.CREDIT, "0123456789abcdef")
	app.Send(testkit.Response(n, 0, 200, nil, ""))
	sent := 0
	for _, tc := range []struct {
		part int
		want string
	}{
		{channel.HeaderSize + 4, ""},
		{1, "01234"},
		{4, "01234"},
		{1, "0123456789"},
		{6, "0123456789abcdef"},
	} {
		app.Send(frame[sent : sent+tc.part])
		sent += tc.part
		if body, _ := r.heard(&a); body != tc.want {
			t.Errorf("after %d bytes of the frame the client has %q, want %q", sent, body, tc.want)
		}
	}
}

// A frame that is longer than the window breaks the protocol as soon as its header is there, whatever of it would fit.
func TestWindowOfACutFrame(t *testing.T) {
	t.Cleanup(worker.SetShortest(3))
	r := newRig(t, "a")
	_, app, _ := r.channel(1, 0)
	var a listener
	n := r.ask(app, &a)
	frame := testkit.Data(n, 0, strings.Repeat("x", channel.DefaultWindow+1))
	app.Send(testkit.Response(n, 0, 200, nil, ""), frame[:100])
	r.settle()
	select {
	case err := <-r.ended:
		if err == nil || !strings.Contains(err.Error(), "window") {
			t.Errorf("ended with %v", err)
		}
	default:
		t.Error("the channel goes on")
	}
	if a.body != "" || a.how != "cut" {
		t.Errorf("the client has %q, %q", a.body, a.how)
	}
}

// A client that leaves amid a frame: the rest is dropped, and its end frees the number.
func TestClientLeavesAmidAFrame(t *testing.T) {
	t.Cleanup(worker.SetShortest(3))
	r := newRig(t, "a")
	c, app, _ := r.channel(1, 0)
	var a, b listener
	n := r.ask(app, &a)
	frame := testkit.Data(n, testkit.END|testkit.CREDIT, "0123456789")
	app.Send(testkit.Response(n, 0, 200, nil, ""), frame[:channel.HeaderSize+5])
	r.settle()
	r.loop.Call(func() {
		a.x.ClientGone()
		a.x = nil
	})
	if f := app.Want(channel.Cancel); f.Stream != n || f.Value != channel.CancelGone {
		t.Errorf("got %v", f)
	}
	inflight := func() (k int) {
		r.loop.Call(func() { k = c.Inflight() })
		return k
	}
	if inflight() != 1 {
		t.Error("the number is free before the frame has ended")
	}
	app.Send(frame[channel.HeaderSize+5:])
	if body, _ := r.heard(&a); inflight() != 0 || body != "01234" {
		t.Errorf("%d requests in flight, and the client that left has got %q", inflight(), body)
	}
	m := r.ask(app, &b)
	app.Send(testkit.Response(m, testkit.END|testkit.CREDIT, 200, nil, "next"))
	if body, _ := r.heard(&b); body != "next" {
		t.Errorf("the next client got %q", body)
	}
}

// A descriptor comes with the first byte of FILE, not amid DATA.
func TestDescriptorAmidData(t *testing.T) {
	t.Cleanup(worker.SetShortest(3))
	r := newRig(t, "a")
	_, app, _ := r.channel(1, 0)
	var a listener
	n := r.ask(app, &a)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	frame := testkit.Data(n, 0, strings.Repeat("x", 20))
	app.Send(testkit.Response(n, 0, 200, nil, ""), frame[:channel.HeaderSize+5])
	r.settle()
	app.SendFiles(frame[channel.HeaderSize+5:channel.HeaderSize+10], int(file.Fd()))
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "descriptors") {
		t.Errorf("ended with %v", err)
	}
}

// An application that dies amid a frame: what of it was passed on is no complete response.
func TestApplicationDiesAmidAFrame(t *testing.T) {
	t.Cleanup(worker.SetShortest(3))
	r := newRig(t, "a")
	_, app, nc := r.channel(1, 0)
	var a listener
	n := r.ask(app, &a)
	frame := testkit.Data(n, testkit.END|testkit.CREDIT, "0123456789")
	app.Send(testkit.Response(n, 0, 200, nil, ""), frame[:channel.HeaderSize+5])
	nc.Close()
	<-r.ended
	if a.body != "01234" || a.how != "cut" {
		t.Errorf("the client has %q, %q", a.body, a.how)
	}
}
