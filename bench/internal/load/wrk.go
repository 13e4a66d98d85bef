package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Wrk runs wrk with one thread.
func Wrk(ctx context.Context, c Closed) (Figures, error) {
	seconds := (c.Duration + time.Second - 1) / time.Second
	args := []string{"-t1", "-c" + strconv.Itoa(c.Connections), "-d" + strconv.Itoa(int(seconds)) + "s", "--latency"}
	if len(c.Paths) > 1 || c.Among > 0 {
		script, err := wrkScript(c)
		if err != nil {
			return Figures{}, err
		}
		args = append(args, "-s", script)
	}
	for _, f := range c.Fields {
		args = append(args, "-H", f)
	}
	// wrk knows whole seconds only; SIGINT ends it early with the same report.
	ctx, cancel := context.WithTimeout(ctx, c.Duration)
	defer cancel()
	cmd := exec.CommandContext(ctx, "wrk", append(args, c.url()+c.Paths[0])...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return Figures{}, err
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return Figures{}, fmt.Errorf("wrk: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return parseWrk(string(out))
}

// wrkScript makes wrk go through several paths. The requests are made once, at
// the start, because making one costs more than sending it.
func wrkScript(c Closed) (string, error) {
	path := filepath.Join(c.Dir, "paths.lua")
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(file)
	if c.Among > 0 {
		// There are too many to make them at the start: only the number is put in.
		fmt.Fprintf(w, `
local mark = "0123456789"
local head, tail
function init(args)
  math.randomseed(1)
  local all = wrk.format("GET", %q .. mark)
  local at = all:find(mark, 1, true)
  head, tail = all:sub(1, at - 1), all:sub(at + #mark)
end
function request() return head .. math.random(0, %d) .. tail end
`, c.Paths[0], c.Among-1)
		if err := w.Flush(); err != nil {
			file.Close()
			return "", err
		}
		return path, file.Close()
	}
	fmt.Fprintln(w, "local paths = {")
	for _, p := range c.Paths {
		fmt.Fprintf(w, "%q,\n", p)
	}
	fmt.Fprint(w, `}
local requests, next = {}, 0
function init(args)
  for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path) end
end
function request()
  next = next % #requests + 1
  return requests[next]
end
`)
	if err := w.Flush(); err != nil {
		file.Close()
		return "", err
	}
	return path, file.Close()
}

func parseWrk(out string) (Figures, error) {
	var f Figures
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		words := strings.Fields(line)
		var err error
		switch {
		case strings.Contains(line, " requests in "): // 123 requests in 1.50s, 4.56MB read
			f.Requests, err = strconv.ParseInt(words[0], 10, 64)
			if err == nil {
				f.Elapsed, err = time.ParseDuration(strings.TrimSuffix(words[3], ","))
			}
		case len(words) == 2 && words[0] == "50%":
			f.P50, err = time.ParseDuration(words[1])
		case len(words) == 2 && words[0] == "99%":
			f.P99, err = time.ParseDuration(words[1])
		case strings.HasPrefix(line, "Non-2xx or 3xx responses:"):
			return Figures{}, fmt.Errorf("wrk: %s", line)
		case strings.HasPrefix(line, "Socket errors:") && strings.Trim(line, "Socketrs:cnadwimu, 0") != "":
			return Figures{}, fmt.Errorf("wrk: %s", line)
		}
		if err != nil {
			return Figures{}, fmt.Errorf("wrk: %q: %w", line, err)
		}
	}
	if f.Requests == 0 || f.Elapsed == 0 {
		return Figures{}, errors.New("wrk: no request was answered")
	}
	return f, nil
}
