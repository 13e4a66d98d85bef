package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"
)

// HeldStreams are connections of HTTP/2 with requests that are not answered.
type HeldStreams struct {
	conns []*framed
	next  uint32
}

// HoldStreams opens n connections and asks once on each, so that they are idle.
func HoldStreams(ctx context.Context, host, path string, n int, config *tls.Config) (*HeldStreams, error) {
	h := &HeldStreams{conns: make([]*framed, n), next: 3}
	request := appendFrame(nil, frameHeaders, flagEnd|flagEndHeaders, 1, block("GET", host, path))
	err := h.each(ctx, func(i int) error {
		c, err := dialFramed(ctx, host, config, source(i), "")
		if err != nil {
			return err
		}
		h.conns[i] = c
		if _, err := c.Write(request); err != nil {
			return err
		}
		return c.until(func(f frame) bool {
			return (f.kind == frameHeaders || f.kind == frameData) && f.flags&flagEnd != 0
		})
	})
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// each does something with every connection, some at a time.
func (h *HeldStreams) each(ctx context.Context, f func(i int) error) error {
	const atOnce = 2
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for worker := range atOnce {
		wg.Go(func() {
			for i := worker; i < len(h.conns) && ctx.Err() == nil; i += atOnce {
				if c := h.conns[i]; c != nil {
					c.SetDeadline(time.Now().Add(10 * time.Second))
				}
				if err := f(i); err != nil {
					cancel(fmt.Errorf("connection %d of %d: %w", i+1, len(h.conns), err))
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// Open opens so many streams on each connection, with requests that look like a
// browser's; without an end, their content does not follow. Clients come one after the other, some
// ten thousand requests in a second: as many at once as a machine can send would measure how servers
// take a storm.
func (h *HeldStreams) Open(ctx context.Context, host, method, path string, streams int, end bool) error {
	flags := byte(flagEndHeaders)
	if end {
		flags |= flagEnd
	}
	head := block(method, host, path, "accept", "*/*", "accept-language", "en-GB,en;q=0.9",
		"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	first := h.next
	h.next += 2 * uint32(streams)
	return h.each(ctx, func(i int) error {
		var b []byte
		for k := range streams {
			b = appendFrame(b, frameHeaders, flags, first+2*uint32(k), head)
		}
		if _, err := h.conns[i].Write(b); err != nil {
			return err
		}
		time.Sleep(pause)
		return h.conns[i].pong()
	})
}

// pause is between two clients that open streams.
const pause = 20 * time.Millisecond

// Check fails if a server has ended a stream meanwhile.
func (h *HeldStreams) Check(ctx context.Context) error {
	return h.each(ctx, func(i int) error { return h.conns[i].pong() })
}

// Close ends the connections.
func (h *HeldStreams) Close() {
	for _, c := range h.conns {
		if c != nil {
			c.reset()
		}
	}
}
