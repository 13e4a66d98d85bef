package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// handshake asks for a WebSocket (RFC 6455 4.1).
const handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// HoldSockets opens n WebSockets, which then wait.
func HoldSockets(ctx context.Context, host, path string, n int) (*Held, error) {
	return hold(ctx, n, func(ctx context.Context, i int, buf []byte) (held, error) {
		return ask(ctx, host, path, handshake, http.StatusSwitchingProtocols, source(i), buf)
	})
}

// Echo sends messages of size bytes on each of the WebSockets, the next when the
// answer to the last is there, and returns how many came back.
func (h *Held) Echo(ctx context.Context, size int, d time.Duration) (Figures, error) {
	if size > 125 {
		return Figures{}, errors.New("a longer message needs a longer frame")
	}
	message := bytes.Repeat([]byte("x"), size)
	mask := []byte{1, 2, 3, 4}
	frame := append([]byte{0x82, 0x80 | byte(size)}, mask...) // binary, masked
	for i, c := range message {
		frame = append(frame, c^mask[i%4])
	}
	want := append([]byte{0x82, byte(size)}, message...)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var count atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	end := begin.Add(d)
	for i, c := range h.conns {
		wg.Go(func() {
			c.SetDeadline(end.Add(10 * time.Second))
			defer onCancel(ctx, c)()
			got := make([]byte, len(want))
			n := int64(0)
			defer func() { count.Add(n) }()
			for time.Now().Before(end) {
				if _, err := c.Write(frame); err != nil {
					cancel(fmt.Errorf("WebSocket %d: %w", i+1, err))
					return
				}
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
					cancel(fmt.Errorf("WebSocket %d: %x came back (%w)", i+1, got, err))
					return
				}
				n++
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return Figures{}, err
	}
	return Figures{Requests: count.Load(), Elapsed: time.Since(begin)}, nil
}
