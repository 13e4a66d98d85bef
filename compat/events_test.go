package compat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys"
)

// Server-sent events and long polling: responses that wait for something to
// happen, and clients that do not wait so long. Over HTTP/1.1, TLS and HTTP/2.

// A guest is one request of a test, as its handler has it.
type guest struct {
	w    http.ResponseWriter
	r    *http.Request
	done chan struct{} // closed: the handler returns
}

// guests is a handler that gives its requests to the test.
type guests chan *guest

func (g guests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	one := &guest{w, r, make(chan struct{})}
	g <- one
	<-one.done
}

func (g guests) next(t *testing.T) *guest {
	t.Helper()
	return await(t, "a request", g)
}

// leaves makes the client leave and waits until the request's context has
// ended, and says how long that took. The handler writes nothing meanwhile.
func (g *guest) leaves(t *testing.T, leave func()) time.Duration {
	t.Helper()
	if err := g.r.Context().Err(); err != nil {
		t.Errorf("the context has ended before the client left: %v", err)
	}
	since := time.Now()
	leave()
	select {
	case <-g.r.Context().Done():
		took := time.Since(since)
		if err := g.r.Context().Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("the context has ended by %v", err)
		}
		return took
	case <-time.After(patience):
		t.Error("the client has left, and the context does not end")
		return 0
	}
}

// event sends one as programs do.
func (g *guest) event(t *testing.T, text string) {
	t.Helper()
	fmt.Fprintf(g.w, "data: %s\n\n", text)
	if err := http.NewResponseController(g.w).Flush(); err != nil {
		t.Error(err)
	}
}

// ask sends a request, and returns the response when its head has come.
func (v *visitor) ask(t *testing.T, ctx context.Context, method, url, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := v.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// A flush by the application is on the wire at once: the client gets each event
// before the application sends another one, and before the end.
func TestEventsAreOnTheWireAtOnce(t *testing.T) {
	eachWay(t, func(t *testing.T, server string, w way) {
		for _, compress := range []bool{false, true} {
			t.Run(fmt.Sprint("compress ", compress), func(t *testing.T) {
				in := make(guests, 1)
				host := serveAs(t, server, in, func(s *httpsys.Server) { s.Compress = compress })
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				go func() {
					g := in.next(t)
					g.w.Header().Set("Content-Type", "text/event-stream")
					// The head alone first: a client's onopen.
					if err := http.NewResponseController(g.w).Flush(); err != nil {
						t.Error(err)
					}
					in <- g
				}()
				v := host.visitor(t, w)
				v.Transport.(*http.Transport).DisableCompression = !compress
				resp := v.ask(t, ctx, "GET", host.base(w)+"/", "")
				if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Uncompressed != compress ||
					resp.ProtoMajor == 2 != w.http2 {
					t.Errorf("got %s %s %v, compressed %v", resp.Proto, resp.Status, resp.Header, resp.Uncompressed)
				}
				g := in.next(t)
				lines := bufio.NewReader(resp.Body)
				for i := range 50 {
					text := fmt.Sprintf("event %d %s", i, strings.Repeat("x", i*i*10))
					g.event(t, text)
					if line, err := lines.ReadString('\n'); line != "data: "+text+"\n" || err != nil {
						t.Fatalf("got %.50q, %v", line, err)
					}
					if line, err := lines.ReadString('\n'); line != "\n" || err != nil {
						t.Fatalf("got %.50q, %v", line, err)
					}
				}
				close(g.done)
				if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
					t.Errorf("at the end: %q, %v", rest, err)
				}
			})
		}
	})
}

// A client that leaves ends the handler's context, also when the application
// writes nothing from which it could learn that.
func TestEventsEndWhenTheClientLeaves(t *testing.T) {
	eachWay(t, func(t *testing.T, server string, w way) {
		in := make(guests, 1)
		host := serveAs(t, server, in, func(*httpsys.Server) {})
		leavings := []struct {
			name string
			how  func(v *visitor, cancel func())
		}{
			{"gives up", func(_ *visitor, cancel func()) { cancel() }},
			{"closes", func(v *visitor, _ func()) { v.close() }},
			{"resets", func(v *visitor, _ func()) { v.reset() }},
		}
		for _, begun := range []bool{false, true} {
			for _, leaves := range leavings {
				t.Run(fmt.Sprintf("%s, begun %v", leaves.name, begun), func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					v := host.visitor(t, w)
					over := make(chan error, 1)
					go func() {
						req, _ := http.NewRequestWithContext(ctx, "GET", host.base(w)+"/", nil)
						resp, err := v.Do(req)
						if err == nil {
							_, err = io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
						over <- err
					}()
					g := in.next(t)
					if begun {
						g.event(t, "one")
					}
					t.Logf("after %v", g.leaves(t, func() { leaves.how(v, cancel) }))
					close(g.done)
					if err := <-over; err == nil {
						t.Error("the client has seen a whole response")
					}
				})
			}
		}
	})
}

// Long polling: a request is answered when there is news, or with nothing after a while,
// and asked again on the same connection. One that leaves disturbs nobody.
func TestLongPolling(t *testing.T) {
	eachWay(t, func(t *testing.T, server string, w way) {
		in := make(guests, 10)
		host := serveAs(t, server, in, func(*httpsys.Server) {})
		v := host.visitor(t, w)
		type answer struct {
			status int
			text   string
			err    error
		}
		poll := func(ctx context.Context, v *visitor) <-chan answer {
			got := make(chan answer, 1)
			go func() {
				req, _ := http.NewRequestWithContext(ctx, "POST", host.base(w)+"/poll", strings.NewReader("since=1"))
				resp, err := v.Do(req)
				if err != nil {
					got <- answer{err: err}
					return
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				got <- answer{resp.StatusCode, string(b), err}
			}()
			return got
		}
		read := func(g *guest) {
			if b, err := io.ReadAll(g.r.Body); string(b) != "since=1" || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
		}
		var conn *net.TCPConn
		for i := range 5 {
			waiting := poll(t.Context(), v)
			g := in.next(t)
			read(g)
			// Another one leaves in the middle of it.
			ctx, cancel := context.WithCancel(t.Context())
			lost := poll(ctx, host.visitor(t, w))
			other := in.next(t)
			read(other)
			other.leaves(t, cancel)
			close(other.done)
			if a := <-lost; a.err == nil {
				t.Errorf("who left got %+v", a)
			}
			select {
			case a := <-waiting:
				t.Fatalf("answered before there is news: %+v", a)
			case <-g.r.Context().Done():
				t.Fatal("the context of one that waits has ended")
			default:
			}
			want := answer{status: http.StatusNoContent}
			if i%2 == 0 {
				want = answer{status: http.StatusOK, text: fmt.Sprint("news ", i)}
				io.WriteString(g.w, want.text)
			} else {
				g.w.WriteHeader(want.status)
			}
			close(g.done)
			if a := <-waiting; a != want {
				t.Errorf("got %+v, want %+v", a, want)
			}
			if conn == nil {
				conn = v.conn
			} else if conn != v.conn {
				t.Errorf("poll %d came on a connection of its own", i)
			}
		}
	})
}

// The browser's EventSource: each event is answered before the next is sent, and
// close ends the handler's context.
func TestEventSource(t *testing.T) {
	for _, w := range []way{ways[0], ways[3]} {
		t.Run(w.name, func(t *testing.T) {
			in, got, left := make(chan string, 10), make(chan string, 10), make(chan string, 1)
			var mux http.ServeMux
			mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, `<!DOCTYPE html><script>
const tell = (text) => fetch('/got', { method: 'POST', body: text });
const source = new EventSource('/events');
source.onopen = () => tell('open');
source.onmessage = (e) => {
	if (e.data === 'end') source.close();
	else tell(e.data + ', id ' + e.lastEventId);
};
</script>`)
			})
			mux.HandleFunc("/got", func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				got <- string(b)
			})
			mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				rc := http.NewResponseController(w)
				rc.Flush()
				for i := 0; ; i++ {
					select {
					case <-r.Context().Done():
						left <- r.Proto
						return
					case text := <-in:
						fmt.Fprintf(w, "id: %d\ndata: %s\n\n", i, text)
						rc.Flush()
					}
				}
			})
			host := serveHTTP2(t, &mux)
			browse(t, host.base(w)+"/page")
			want := func(from <-chan string, want string) {
				t.Helper()
				if s := await(t, want, from); s != want {
					t.Errorf("got %q, want %q", s, want)
				}
			}
			want(got, "open")
			for i := range 3 {
				in <- fmt.Sprint("event ", i)
				want(got, fmt.Sprintf("event %d, id %d", i, i))
			}
			in <- "end"
			want(left, w.proto())
		})
	}
}
