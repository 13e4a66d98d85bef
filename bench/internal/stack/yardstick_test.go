package stack

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// The yardsticks answer once for each head, however reads cut or join them:
// a yardstick that lost or invented answers would measure nothing.
func TestYardsticksAnswerEachHeadOnce(t *testing.T) {
	const request = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
	yard := newYard(t)
	for _, s := range All {
		if s.Name != Yardstick && s.Name != YardstickGo {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			in, err := yard.Start(t.Context(), s, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer in.Stop()
			for _, test := range []struct {
				name   string
				pieces []string
				want   int
			}{
				{"one request", []string{request}, 1},
				{"byte by byte", strings.Split(request+request, ""), 2},
				{"more than one batch of answers in one read", []string{strings.Repeat(request, 200)}, 200},
				{"an end cut in the middle, and another request", []string{request[:len(request)-2], "\r\n" + request}, 2},
				{"CR CR LF CR LF is an end, too", []string{"GET / HTTP/1.1\r\r\n\r\n"}, 1},
				{"no end", []string{request[:len(request)-1]}, 0},
			} {
				if got := answers(t, in.Host, test.pieces); got != test.want {
					t.Errorf("%s: %d answers, want %d", test.name, got, test.want)
				}
			}
		})
	}
}

// answers sends pieces, each in a segment of its own, and counts the answers
// that come until the server sees the end of the connection.
func answers(t *testing.T, host string, pieces []string) int {
	t.Helper()
	c, err := net.Dial("tcp", host) // Go turns Nagle's algorithm off
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	for _, piece := range pieces {
		if _, err := io.WriteString(c, piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(all), Hello)
}
