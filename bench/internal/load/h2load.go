package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// H2load runs h2load with one thread, in HTTP/1.1: a second opinion on what
// wrk says.
func H2load(ctx context.Context, c Closed) (Figures, error) {
	scheme, _, _ := strings.Cut(c.url(), ":")
	return h2load(ctx, c, scheme, "--h1", "-D", strconv.Itoa(int(c.Duration.Milliseconds()))+"ms")
}

// HTTP2 runs h2load over TLS, with so many streams at once on each connection.
func HTTP2(ctx context.Context, c Closed, streams int) (Figures, error) {
	return h2load(ctx, c, "https", "-m"+strconv.Itoa(streams), "-D", strconv.Itoa(int(c.Duration.Milliseconds()))+"ms")
}

// HTTP2Downloads makes n requests at once on one connection, whose windows are
// those of a browser: 1 MiB for a stream and 16 for the connection.
func HTTP2Downloads(ctx context.Context, c Closed, n int) (Figures, error) {
	c.Connections = 1
	return h2load(ctx, c, "https", "-m"+strconv.Itoa(n), "-n"+strconv.Itoa(n), "-w20", "-W24")
}

func h2load(ctx context.Context, c Closed, scheme string, args ...string) (Figures, error) {
	log := filepath.Join(c.Dir, "h2load.log")
	defer os.Remove(log)
	list := filepath.Join(c.Dir, "h2load.uris")
	uris := make([]string, len(c.Paths))
	for i, p := range c.Paths {
		uris[i] = scheme + "://" + c.Host + p
	}
	if err := os.WriteFile(list, []byte(strings.Join(uris, "\n")+"\n"), 0o644); err != nil {
		return Figures{}, err
	}
	args = append(args, "-t1", "-c"+strconv.Itoa(c.Connections), "--log-file="+log, "-i", list)
	for _, f := range c.Fields {
		args = append(args, "-H", f)
	}
	cmd := exec.CommandContext(ctx, "h2load", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return Figures{}, context.Cause(ctx)
	}
	if err != nil {
		return Figures{}, fmt.Errorf("h2load: %w: %s", err, strings.TrimSpace(string(out)))
	}
	f, err := parseH2load(string(out))
	if err != nil {
		return Figures{}, err
	}
	file, err := os.Open(log)
	if err != nil {
		return Figures{}, err
	}
	defer file.Close()
	f.P50, f.P99, err = h2loadPercentiles(file)
	return f, err
}

func parseH2load(out string) (Figures, error) {
	var f Figures
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "finished in "): // finished in 1.00s, 23881.00 req/s, 3.39MB/s
			text, _, _ := strings.Cut(strings.TrimPrefix(line, "finished in "), ",")
			var err error
			if f.Elapsed, err = time.ParseDuration(text); err != nil {
				return Figures{}, fmt.Errorf("h2load: %q: %w", line, err)
			}
		case strings.HasPrefix(line, "requests: "):
			var total, started, done, ok, failed, errored int64
			_, err := fmt.Sscanf(line, "requests: %d total, %d started, %d done, %d succeeded, %d failed, %d errored",
				&total, &started, &done, &ok, &failed, &errored)
			if err != nil {
				return Figures{}, fmt.Errorf("h2load: %q: %w", line, err)
			}
			if failed+errored > 0 {
				return Figures{}, fmt.Errorf("h2load: %s", line)
			}
			f.Requests = ok
		}
	}
	if f.Requests == 0 || f.Elapsed == 0 {
		return Figures{}, errors.New("h2load: no request was answered")
	}
	return f, nil
}

// h2loadPercentiles reads the log: start, status, and duration in microseconds
// of each request.
func h2loadPercentiles(r io.Reader) (p50, p99 time.Duration, err error) {
	var all []int
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			return 0, 0, fmt.Errorf("h2load: log line %q", lines.Text())
		}
		us, err := strconv.Atoi(f[2])
		if err != nil {
			return 0, 0, fmt.Errorf("h2load: log line %q", lines.Text())
		}
		all = append(all, us)
	}
	if len(all) == 0 {
		return 0, 0, errors.New("h2load: empty log")
	}
	slices.Sort(all)
	at := func(percent int) time.Duration {
		return time.Duration(all[(len(all)-1)*percent/100]) * time.Microsecond
	}
	return at(50), at(99), nil
}
