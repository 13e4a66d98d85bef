package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// newHTTP2Client is a client with one connection. from is where it comes from; nil:
// anywhere.
func newHTTP2Client(config *tls.Config, from net.IP) *http.Client {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	return &http.Client{Transport: &http.Transport{DialContext: d.DialContext, TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}}
}

// GetTLS makes one request, in HTTP/2 where the server speaks it, and fails
// unless the answer is 200.
func GetTLS(ctx context.Context, host, path string, config *tls.Config) error {
	c := newHTTP2Client(config, nil)
	defer c.CloseIdleConnections()
	_, err := get(ctx, c, host, path)
	return err
}

func get(ctx context.Context, c *http.Client, host, path string) (major int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s: status %d", path, resp.StatusCode)
	}
	return resp.ProtoMajor, nil
}

// HeldHTTP2 are connections of HTTP/2 that have each made one request and now
// wait.
type HeldHTTP2 struct{ clients []*http.Client }

// HoldHTTP2 opens n connections and asks once on each.
func HoldHTTP2(ctx context.Context, host, path string, n int, config *tls.Config) (*HeldHTTP2, error) {
	const atOnce = 16
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h := &HeldHTTP2{clients: make([]*http.Client, n)}
	var wg sync.WaitGroup
	for worker := range atOnce {
		wg.Go(func() {
			for i := worker; i < n && ctx.Err() == nil; i += atOnce {
				h.clients[i] = newHTTP2Client(config, source(i))
				if major, err := get(ctx, h.clients[i], host, path); err != nil || major != 2 {
					cancel(fmt.Errorf("connection %d of %d: HTTP/%d, %w", i+1, n, major, err))
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Close ends the connections.
func (h *HeldHTTP2) Close() {
	for _, c := range h.clients {
		if c != nil {
			c.CloseIdleConnections()
		}
	}
}
