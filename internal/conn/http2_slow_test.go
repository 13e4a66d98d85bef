package conn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	peer "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/httpsys/httpsys/internal/exchange"
	"github.com/httpsys/httpsys/internal/wire/h2"
)

// A client that asks for much on many streams and takes nothing: what that
// makes us hold has a bound, whatever the programs send; each stream is reset below the minimum send
// rate, and the connection ends with the first too many.
func TestHTTP2SlowReadsOnManyStreams(t *testing.T) {
	const attackers, streams, window = 4, 100, 64 << 10
	rate := int64(1000)
	r := newRig(t, exchange.Override{MinSendRate: &rate})
	var taken sync.WaitGroup
	taken.Add(attackers * streams)
	r.take = func(x *exchange.Exchange) {
		if err := x.Respond(ok(), make([]byte, window), false); err != nil { // the whole first window
			t.Error(err)
		}
		taken.Done()
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var ended sync.WaitGroup
	for range attackers {
		var out, block bytes.Buffer
		out.WriteString(peer.ClientPreface)
		fr := peer.NewFramer(&out, nil)
		fr.WriteSettings(peer.Setting{ID: peer.SettingInitialWindowSize, Val: 10})
		enc := hpack.NewEncoder(&block)
		for i := range uint32(streams) {
			block.Reset()
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", fmt.Sprint("/", i)}} {
				enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			fr.WriteHeaders(peer.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		}
		c := r.dial()
		c.Write(out.Bytes())
		ended.Go(func() { wantCalm(t, c, "not read") })
	}
	taken.Wait()
	// The window of each stream is the program's; what comes on top is ours.
	runtime.GC()
	runtime.ReadMemStats(&after)
	if rise := int64(after.HeapAlloc) - int64(before.HeapAlloc); rise > attackers*streams*(window+4<<10) {
		t.Errorf("%d KiB more memory for each stream", rise>>10/(attackers*streams))
	}
	ended.Wait()
	r.wantNoConnections()
	r.loop.Call(func() {
		st := r.server.HTTP2()
		counted := 0
		for a, n := range st.Ended {
			if n > 0 {
				counted++
				if n != attackers || h2.Abuse(a).Reason() != "H2_SlowReader" {
					t.Errorf("%d connections were ended for %s", n, h2.Abuse(a).Reason())
				}
			}
		}
		if counted != 1 || st.Connections != 0 || st.Streams != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A client that opens its windows wide, asks for much on many streams and does not read its socket is
// cut off, though each stream could send as far as its window goes, and though it says something every now and then.
func TestHTTP2UnreadSocket(t *testing.T) {
	rate := int64(1000)
	r := newRig(t, exchange.Override{MinSendRate: &rate})
	var all sync.WaitGroup
	all.Add(100)
	r.take = func(x *exchange.Exchange) {
		x.Respond(ok(), nil, false)
		for range 2 { // more than the socket takes: the streams wait, so that the core has a clock of its own, of the same length
			x.Data(make([]byte, 64<<10), false)
		}
		all.Done()
	}
	var out, block bytes.Buffer
	out.WriteString(peer.ClientPreface)
	fr := peer.NewFramer(&out, nil)
	fr.WriteSettings(peer.Setting{ID: peer.SettingInitialWindowSize, Val: 1 << 30})
	fr.WriteWindowUpdate(0, 1<<30)
	enc := hpack.NewEncoder(&block)
	for i := range uint32(100) {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", fmt.Sprint("/", i)}} {
			enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		fr.WriteHeaders(peer.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	c := r.dial()
	c.SetReadBuffer(64 << 10)
	c.Write(out.Bytes())
	all.Wait()
	r.loop.Call(func() {
		if s := &r.server.h2limits; s.StallPeriod != sendPeriod {
			t.Errorf("the core measures over %d ms, the connection over %d", s.StallPeriod, sendPeriod)
		}
	})
	for {
		out.Reset()
		fr.WriteWindowUpdate(0, 1)
		if _, err := c.Write(out.Bytes()); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the client is still there")
		} else if err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond) // its pace
	}
	r.wantNoConnections()
}

// wantCalm reads to the end, which has to be an orderly one with a reason.
func wantCalm(t *testing.T, c net.Conn, text string) {
	fr := peer.NewFramer(nil, c)
	var said *peer.GoAwayFrame
	var debug string
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			if err != io.EOF || said == nil || said.ErrCode != peer.ErrCodeEnhanceYourCalm || !strings.Contains(debug, text) {
				t.Errorf("the connection ended with %v, %v %q", err, said, debug)
			}
			return
		}
		if g, ok := f.(*peer.GoAwayFrame); ok {
			said, debug = g, string(g.DebugData())
		}
	}
}

// An idle connection of HTTP/2 holds no buffer either, whatever came last.
func TestIdleHTTP2ConnectionsHoldNothing(t *testing.T) {
	r := newRig(t, exchange.Override{})
	r.take = func(x *exchange.Exchange) { x.Respond(ok(), []byte("hello"), true) }
	var out bytes.Buffer
	out.WriteString(peer.ClientPreface)
	fr := peer.NewFramer(&out, nil)
	fr.WriteSettings()
	fr.WriteSettingsAck()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}} {
		enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	fr.WriteHeaders(peer.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	fr.WriteWindowUpdate(0, 100) // answered by nothing
	for range 20 {
		c := r.dial()
		c.Write(out.Bytes())
		in := peer.NewFramer(c, c)
		for {
			f, err := in.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f.Header().Type == peer.FrameData {
				break
			}
		}
		in.WriteWindowUpdate(0, 100)
		in.WritePing(false, [8]byte{1})
		for f, err := in.ReadFrame(); f == nil || f.Header().Type != peer.FramePing; f, err = in.ReadFrame() {
			if err != nil {
				t.Fatal(err)
			}
		}
		in.WriteWindowUpdate(0, 100)
	}
	r.loop.Call(func() {}) // what was written last has been read, or will be
	r.loop.Call(func() {
		n := 0
		r.server.each(func(c *Conn) {
			h := c.proto.(*http2)
			if n++; c.in != nil || c.out != nil || h.core.Out != nil || h.streams != nil {
				t.Errorf("connection %d holds %d bytes read, %v to send, an array %v, streams %v", n, cap(c.in), c.out, h.core.Out != nil, h.streams)
			}
		})
		if n != 20 {
			t.Errorf("%d connections are there", n)
		}
	})
}
