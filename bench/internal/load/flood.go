package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Flood is clients that begin handshakes, let the server compute, and leave: what
// an attacker does who wants to spend little.
//
// They are a process of their own with a low priority. They take all that the CPU
// of the load has to give, and a request that is measured beside them must not
// wait for them there: it is the server's patience that is asked about, not that
// of the load's scheduler.
type Flood struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// floodEnv has what a process is to do that StartFlood has started.
const floodEnv = "HTTPSYS_BENCH_FLOOD"

// StartFlood begins it, with so many clients at once, and returns when the server has
// computed for one of them. The program must call FloodMain first of all.
func StartFlood(ctx context.Context, host string, config *tls.Config, atOnce int) (*Flood, error) {
	hello, err := clientHello(config)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &Flood{cmd: exec.CommandContext(ctx, "nice", "-n", "10", self)}
	f.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", floodEnv, host, atOnce, base64.StdEncoding.EncodeToString(hello)))
	f.cmd.Stderr = os.Stderr
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.out = bufio.NewReader(out)
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("flood: %w", err)
	}
	if line, _ := f.out.ReadString('\n'); line != "begun\n" {
		f.in.Close()
		f.cmd.Wait()
		return nil, fmt.Errorf("flood: %s", firstOf(line, "it ended before it had begun"))
	}
	return f, nil
}

// Stop ends it and returns how many handshakes the server has computed.
func (f *Flood) Stop() (int64, error) {
	f.in.Close()
	line, _ := f.out.ReadString('\n')
	err := f.cmd.Wait()
	var made int64
	if _, scan := fmt.Sscanf(line, "made %d\n", &made); scan != nil {
		return 0, fmt.Errorf("flood: %s (%v)", firstOf(line, "it ended early"), err)
	}
	return made, nil
}

func firstOf(line, otherwise string) string {
	if line = strings.TrimSpace(line); line != "" {
		return line
	}
	return otherwise
}

// FloodMain is the program of a Flood, if this process was started to be one: then
// it does not return.
func FloodMain() {
	todo := os.Getenv(floodEnv)
	if todo == "" {
		return
	}
	made, err := flood(todo)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("made", made)
	os.Exit(0)
}

// flood floods until the standard input ends.
func flood(todo string) (int64, error) {
	var host, encoded string
	var atOnce int
	if _, err := fmt.Sscan(todo, &host, &atOnce, &encoded); err != nil {
		return 0, err
	}
	hello, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	var made, next atomic.Int64
	begin := sync.OnceFunc(func() { fmt.Println("begun") })
	for range atOnce {
		wg.Go(func() {
			buf := make([]byte, 4<<10)
			for ctx.Err() == nil {
				c, err := dialFrom(sourceOf(int(next.Add(1)))).DialContext(ctx, "tcp", host)
				if err != nil {
					cancel(err) // if it is not the first reason
					return
				}
				c.SetDeadline(time.Now().Add(10 * time.Second))
				c.Write(hello)
				if n, _ := c.Read(buf); n > 0 && buf[0] == 22 {
					made.Add(1) // it has answered with its signature
					begin()
				}
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
	enough := errors.New("enough")
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel(enough)
	}()
	wg.Wait()
	if err := context.Cause(ctx); err != enough {
		return 0, err
	}
	return made.Load(), nil
}

// clientHello is the first thing that a client sends.
func clientHello(config *tls.Config) ([]byte, error) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go tls.Client(client, config).Handshake()
	buf := make([]byte, 16<<10)
	n, err := server.Read(buf) // one record, one write
	return buf[:n], err
}
