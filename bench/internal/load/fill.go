package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ahead is how many requests Fill sends before it reads the answers to them.
const ahead = 64

// Fill asks for path with each number from 0 to n-1 behind it, once and in order, on one connection, and
// fails unless every answer is 200. It returns how many bytes the answers had.
func Fill(ctx context.Context, host, path string, n int) (bytes int64, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer onCancel(ctx, c)()
	r := bufio.NewReaderSize(c, 64<<10)
	var batch []byte
	for from := 0; from < n; from += ahead {
		to := min(from+ahead, n)
		batch = batch[:0]
		for i := from; i < to; i++ {
			batch = fmt.Appendf(batch, "GET %s%d HTTP/1.1\r\nHost: %s\r\n\r\n", path, i, host)
		}
		c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := c.Write(batch); err != nil {
			return bytes, err
		}
		for i := from; i < to; i++ {
			k, err := skipAnswer(r)
			bytes += k
			if err != nil {
				return bytes, fmt.Errorf("GET %s%d: %w", path, i, err)
			}
		}
	}
	return bytes, nil
}

// skipAnswer reads one answer with a Content-Length and returns its length.
func skipAnswer(r *bufio.Reader) (n int64, err error) {
	length, status := int64(-1), 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		n += int64(len(line))
		if err != nil {
			return n, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		name, value, _ := strings.Cut(text, ":")
		switch {
		case first:
			if words := strings.Fields(text); len(words) > 1 {
				status, _ = strconv.Atoi(words[1])
			}
			if status != http.StatusOK {
				return n, fmt.Errorf("%q", text)
			}
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return n, fmt.Errorf("%q", text)
			}
		case text == "":
			if length < 0 {
				return n, fmt.Errorf("no Content-Length")
			}
			k, err := r.Discard(int(length))
			return n + int64(k), err
		}
	}
}
