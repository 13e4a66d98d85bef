package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Download takes one response of n bytes and returns how long it took.
func Download(ctx context.Context, host, path string, n int64) (time.Duration, error) {
	start := time.Now()
	c, err := open(ctx, &net.Dialer{}, http.MethodGet, host, path, "")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer onCancel(ctx, c)()
	a, err := readAnswer(c, make([]byte, maxHead))
	if err != nil {
		return 0, err
	}
	if a.status != http.StatusOK || a.length != n {
		return 0, fmt.Errorf("GET %s: status %d with %d bytes, want 200 with %d", path, a.status, a.length, n)
	}
	if err := discard(c, n-int64(len(a.body))); err != nil {
		return 0, fmt.Errorf("GET %s: %w", path, err)
	}
	return time.Since(start), nil
}

// Upload sends a file as the body of one request, with sendfile, and returns how
// long it took until the application said that all of it came.
func Upload(ctx context.Context, host, path, file string) (time.Duration, error) {
	body, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	info, err := body.Stat()
	if err != nil {
		return 0, err
	}
	size := strconv.FormatInt(info.Size(), 10)
	start := time.Now()
	c, err := open(ctx, &net.Dialer{}, http.MethodPost, host, path, "Content-Length: "+size+"\r\n")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer onCancel(ctx, c)()
	if _, err := io.Copy(c, body); err != nil {
		return 0, fmt.Errorf("POST %s: %w", path, err)
	}
	a, err := readAnswer(c, make([]byte, maxHead))
	if err != nil {
		return 0, err
	}
	elapsed := time.Since(start)
	// The text may come in a second piece.
	text := append([]byte(nil), a.body...)
	if rest := a.length - int64(len(text)); rest > 0 && rest < maxHead {
		more := make([]byte, rest)
		if _, err := io.ReadFull(c, more); err != nil {
			return 0, fmt.Errorf("POST %s: %w", path, err)
		}
		text = append(text, more...)
	}
	if a.status != http.StatusOK || string(text) != size+"\n" {
		return 0, fmt.Errorf("POST %s: status %d, %q; want 200 and %s", path, a.status, text, size)
	}
	return elapsed, nil
}
