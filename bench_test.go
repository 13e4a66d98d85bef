package httpsys

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/wire/channel"
)

// The load comes from another process, so that the CPU time of this one is the
// library's alone. It is this test binary, started with loadVariable set.
const loadVariable = "HTTPSYS_TEST_LOAD"

// load is a daemon with one loop that, for each line "requests batch" on in,
// sends requests in batches and says so on out when all are answered.
func load(path string, in io.Reader, out io.Writer) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening")
	session, err := l.Accept()
	if err != nil {
		return err
	}
	welcome := channel.WelcomeMessage{Protocol: 1, Session: "x", Loops: 1, Capabilities: []string{"begun", "file",
		"opaque"}}
	if err := answerHello(session, welcome); err != nil {
		return err
	}
	if _, _, err := readFrame(session); err != nil {
		return err
	}
	session.Write(benchFrame(channel.Reply, 1, map[string]any{"result": channel.RegisterResult{ID: 1,
		URL: "http://+:1/", Queue: "q"}}))
	loop, err := l.Accept()
	if err != nil {
		return err
	}
	if err := answerHello(loop, channel.WelcomeMessage{Protocol: 1, Window: channel.DefaultWindow}); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for {
		var n, batch int
		if _, err := fmt.Fscanln(in, &n, &batch); err != nil {
			return nil
		}
		var frames []byte
		for i := range batch {
			frames = appendBenchRequest(frames, uint32(i+1))
		}
		one := len(frames) / batch
		for n > 0 {
			m := min(n, batch)
			if _, err := loop.Write(frames[:m*one]); err != nil {
				return err
			}
			n -= m
			have := 0
			for m > 0 {
				k, err := loop.Read(buf[have:])
				if err != nil {
					return err
				}
				have += k
				used := 0
				for have-used >= channel.HeaderSize {
					h, err := channel.ParseHeader(buf[used:])
					if err != nil {
						return err
					}
					if have-used < channel.HeaderSize+int(h.Length) {
						break
					}
					used += channel.HeaderSize + int(h.Length)
					if h.Flags&channel.FlagEnd != 0 {
						m--
					}
				}
				have = copy(buf, buf[used:have])
			}
		}
		fmt.Fprintln(out, "done")
	}
}

func answerHello(c net.Conn, w channel.WelcomeMessage) error {
	if _, _, err := readFrame(c); err != nil {
		return err
	}
	_, err := c.Write(benchFrame(channel.Welcome, 0, w))
	return err
}

func benchFrame(t channel.Type, stream uint32, v any) []byte {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return channel.AppendFrame(nil, t, 0, stream, 0, payload)
}

// appendBenchRequest is what wrk sends, seen through the daemon.
func appendBenchRequest(dst []byte, stream uint32) []byte {
	text := strings.Join([]string{"GET", "/app/", "localhost:8080", "127.0.0.1:41234", "127.0.0.1:8080",
		"Host", "localhost:8080", "Accept", "*/*", "User-Agent", "load/1", ""}, "\x00")
	h := channel.RequestHead{FieldCount: 3, Method: channel.MethodGet, Version: 11, Registration: 1, Connection: 7}
	payload := channel.AppendRequestFixed(nil, &h, len(text))
	payload = append(payload, text...)
	return channel.AppendFrame(dst, channel.Request, channel.FlagEnd, stream, 0, payload)
}

// BenchmarkServe is what a small request costs the application, alone and in
// batches: CPU time of this process, with the load in another one.
func BenchmarkServe(b *testing.B) {
	hello := []byte("Hello, world!\n")
	for _, h := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"write", func(w http.ResponseWriter, r *http.Request) { w.Write(hello) }},
		{"type", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write(hello)
		}},
	} {
		for _, batch := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/batch=%d", h.name, batch), func(b *testing.B) { benchmarkServe(b, h.handler, batch) })
		}
	}
}

func benchmarkServe(b *testing.B, h http.Handler, batch int) {
	path := filepath.Join(b.TempDir(), "s")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), loadVariable+"="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	var word string
	fmt.Fscanln(out, &word)
	s := &Server{Prefixes: []string{"http://+:1/"}, Handler: h, Socket: path}
	go s.Serve(context.Background())
	defer s.Close()
	<-s.Registered()
	run := func(n int) {
		fmt.Fprintln(in, n, batch)
		fmt.Fscanln(out, &word)
	}
	run(1000)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	run(b.N)
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime returns the CPU time that this process has used, in nanoseconds.
func cpuTime() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
