package compat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"
)

// taken makes a handler that takes the connection over and does something
// with it.
func taken(do func(r *run, c net.Conn, rw *bufio.ReadWriter)) func(r *run, w http.ResponseWriter, req *http.Request) {
	return func(r *run, w http.ResponseWriter, req *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			r.see("%v", err)
			return
		}
		defer c.Close()
		do(r, c, rw)
	}
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

const upgrade = "GET / HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: echo\n\n"

// upper sends lines back in upper case until there are no more.
func upper(rw *bufio.ReadWriter) error {
	rw.Flush()
	for {
		line, err := rw.ReadBytes('\n')
		rw.Write(bytes.ToUpper(line))
		rw.Flush()
		if err != nil {
			return err
		}
	}
}

// switched is taken with an upgrade: both servers know it.
func switched(do func(r *run, c net.Conn, rw *bufio.ReadWriter)) func(r *run, w http.ResponseWriter, req *http.Request) {
	return taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
		rw.WriteString(switching)
		rw.Flush()
		do(r, c, rw)
	})
}

// switchOver asks for the upgrade.
func (c *conn) switchOver() {
	c.r.Helper()
	c.send(upgrade)
	if a, err := c.head(); err != nil || a.status != http.StatusSwitchingProtocols {
		c.r.Fatalf("got %q, %v; want 101", a.line, err)
	}
}

// responsesOnly says why some of this is nothing for connections of Listen.
const responsesOnly = "A connection of a Listener is one of the daemon's requests: it takes HTTP/1.1 responses, and bytes after 101 or CONNECT."

// A handler that takes the connection over has all of it.
func TestHijack(t *testing.T) {
	runCases(t, []testCase{
		{
			name: "a protocol of its own",
			handle: taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				rw.WriteString("hello, ")
				rw.Flush()
				line, err := rw.ReadString('\n')
				r.see("%q %v", line, err)
				c.Write([]byte("bye\n"))
			}),
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				c.read(7)
				c.send("I am here\n")
				c.read(4)
				c.end()
			},
			but:  []exception{{on: onListen, skip: true, why: responsesOnly}},
			sees: `"I am here\r\n" <nil>`,
			gets: `
hello, 
bye
[EOF]
`,
		}, {
			name: "a response by hand",
			handle: taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				rw.WriteString("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
				rw.Flush()
			}),
			send: get,
			gets: `
HTTP/1.1 200 Fine
Connection: close
Content-Length: 2
[no Date]

ok
`,
		}, {
			name: "an upgrade by hand, and an echo",
			handle: taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				rw.WriteString(switching)
				r.see("%v", upper(rw))
			}),
			client: echoes,
			sees:   "EOF",
			gets: `
HTTP/1.1 101 Switching Protocols
Connection: Upgrade
Upgrade: echo
ONE
TWO
[EOF]
`,
		}, {
			name: "an upgrade by WriteHeader",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", "echo")
				w.WriteHeader(http.StatusSwitchingProtocols)
				taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) { r.see("%v", upper(rw)) })(r, w, req)
			},
			client: echoes,
			sees:   "EOF",
			gets: `
HTTP/1.1 101 Switching Protocols
Connection: Upgrade
Upgrade: echo
ONE
TWO
[EOF]
`,
		}, {
			name: "a tunnel",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				r.see("%s %s", req.Method, req.Host)
				taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
					rw.WriteString("HTTP/1.1 200 OK\r\n\r\n")
					r.see("%v", upper(rw))
				})(r, w, req)
			},
			client: func(r *run) {
				c := r.dial()
				c.send("CONNECT example.com:443 HTTP/1.1\nHost: example.com:443\n\n")
				a, err := c.head()
				a.note(r)
				r.get("%v", err)
				c.send("one\n")
				c.read(5)
				c.closeWrite()
				c.end()
			},
			sees: `
CONNECT example.com:443
EOF
`,
			gets: `
HTTP/1.1 200 OK
[no Date]
<nil>
ONE
[EOF]
`,
		}, {
			name: "what the client sent ahead is in the buffer or comes",
			handle: taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				line, err := rw.ReadString('\n')
				r.see("%q %v", line, err)
				rw.WriteString("thanks")
				rw.Flush()
			}),
			client: func(r *run) {
				c := r.dial()
				c.send(get + "sent ahead\n")
				c.end()
			},
			but:  []exception{{on: onListen, skip: true, why: responsesOnly}},
			sees: `"sent ahead\r\n" <nil>`,
			gets: `
thanks
[EOF]
`,
		}, {
			name: "after the head: the bytes follow it",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("X-Own", "1")
				w.Header().Set("Connection", "close")
				w.WriteHeader(200)
				taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
					rw.WriteString("bytes")
					rw.Flush()
				})(r, w, req)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				a, err := c.head()
				r.get("%d %v %s", a.status, err, a.header.Get("X-Own"))
				c.end()
			},
			but: []exception{{on: onListen, skip: true, why: responsesOnly}},
			gets: `
200 <nil> 1
bytes
[EOF]
`,
		}, {
			name: "twice",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				c, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					r.see("%v", err)
					return
				}
				defer c.Close()
				_, _, err = w.(http.Hijacker).Hijack()
				r.see("%v", errors.Is(err, http.ErrHijacked))
				_, err = io.WriteString(w, "x")
				r.see("%v", errors.Is(err, http.ErrHijacked))
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				c.end()
			},
			logs: "response.Write on hijacked connection from ",
			but:  []exception{{on: onListen, skip: true, why: responsesOnly}},
			sees: `
true
true
`,
			gets: "[EOF]",
		}, {
			name: "after a body that was read",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				readAll(r, w, req)
				taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
					rw.WriteString(switching)
					r.see("%v", upper(rw))
				})(r, w, req)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(post("hello", "Connection: Upgrade", "Upgrade: echo"))
				c.after101()
			},
			sees: `
hello no error
EOF
`,
			gets: `
HTTP/1.1 101 Switching Protocols
Connection: Upgrade
Upgrade: echo
ONE
TWO
[EOF]
`,
		}, {
			name: "with a body that was not read",
			handle: taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				b, err := io.ReadAll(rw)
				r.see("%q %v", b, err)
			}),
			client: func(r *run) {
				c := r.dial()
				c.send(post("hello"))
				c.closeWrite()
				c.end()
			},
			but:  []exception{{on: onListen, skip: true, why: responsesOnly}},
			sees: `"hello" <nil>`,
			gets: "[EOF]",
		}, {
			name: "the client ends its side, then the handler",
			handle: switched(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				b, err := io.ReadAll(rw)
				r.see("%q %v", b, err)
				rw.WriteString("all")
				rw.Flush()
			}),
			client: func(r *run) {
				c := r.dial()
				c.switchOver()
				c.send("some bytes")
				c.closeWrite()
				c.end()
			},
			sees: `"some bytes" <nil>`,
			gets: `
all
[EOF]
`,
		}, {
			name: "the handler ends its side, then the client",
			handle: switched(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				rw.WriteString("all")
				rw.Flush()
				half, ok := c.(interface{ CloseWrite() error })
				if !ok {
					r.see("no CloseWrite")
					return
				}
				r.see("%v", half.CloseWrite())
				b, err := io.ReadAll(rw)
				r.see("%q %v", b, err)
			}),
			client: func(r *run) {
				c := r.dial()
				c.switchOver()
				c.end()
				c.send("some bytes")
				c.close()
			},
			sees: `
<nil>
"some bytes" <nil>
`,
			gets: `
all
[EOF]
`,
		}, {
			name: "the client resets",
			handle: switched(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				r.signal("taken")
				_, err := rw.ReadByte()
				r.see("%s", kind(err))
			}),
			client: func(r *run) {
				c := r.dial()
				c.switchOver()
				r.wait("taken")
				c.reset()
				r.rest()
			},
			sees: "reset",
		}, {
			name: "deadlines",
			handle: switched(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				r.see("%v", c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
				_, err := c.Read(make([]byte, 1))
				r.see("%s", kind(err))
				r.see("%v", c.SetDeadline(time.Time{}))
				r.signal("late")
				b := make([]byte, 5)
				n, err := io.ReadFull(c, b)
				r.see("%q %v", b[:n], err)
				r.see("%v", c.SetWriteDeadline(time.Now().Add(-time.Second)))
				_, err = c.Write(b)
				r.see("%s", kind(err))
			}),
			client: func(r *run) {
				c := r.dial()
				c.switchOver()
				r.wait("late")
				c.send("hello")
				c.end()
			},
			sees: `
<nil>
timeout
<nil>
"hello" <nil>
<nil>
timeout
`,
			gets: "[EOF]",
		}, {
			name: "after Close",
			handle: switched(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				r.see("%v", c.Close())
				_, err := c.Read(make([]byte, 1))
				r.see("%s", kind(err))
				_, err = c.Write(make([]byte, 1))
				r.see("%s", kind(err))
				r.see("%s", kind(c.SetDeadline(time.Now())))
				r.see("%s", kind(c.Close()))
			}),
			client: func(r *run) {
				c := r.dial()
				c.switchOver()
				c.end()
			},
			sees: `
<nil>
closed
closed
closed
closed
`,
			gets: "[EOF]",
		}, {
			name: "addresses",
			handle: switched(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				fmt.Fprint(c, c.RemoteAddr(), " ", c.LocalAddr())
				r.see("%s %T", c.RemoteAddr().Network(), c.RemoteAddr())
			}),
			client: func(r *run) {
				c := r.dial()
				c.switchOver()
				b, err := io.ReadAll(c.br)
				if want := fmt.Sprint(c.c.LocalAddr(), " ", r.addr); string(b) != want || err != nil {
					r.Errorf("got %s (%v), want %s", b, err, want)
				}
			},
			sees: "tcp *net.TCPAddr",
		}, {
			name: "the connection outlives the handler",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				c, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					r.see("%v", err)
					return
				}
				rw.WriteString(switching)
				rw.Flush()
				go func() {
					defer c.Close()
					r.wait("returned")
					upper(rw)
				}()
			},
			client: func(r *run) {
				c := r.dial()
				c.switchOver()
				r.rest()
				r.signal("returned")
				c.send("still here\n")
				c.read(11)
				c.closeWrite()
				c.end()
			},
			gets: `
STILL HERE

[EOF]
`,
		}, {
			name: "a megabyte each way at once",
			handle: switched(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
				n, err := io.Copy(c, io.LimitReader(rw, int64(len(megabyte))))
				r.see("%d %v", n, err)
			}),
			client: func(r *run) {
				c := r.dial()
				c.switchOver()
				go c.c.Write(megabyte)
				c.end()
			},
			sees: "1048576 <nil>",
			gets: `
[1048576 bytes, crc32 57688c87]
[EOF]
`,
		}, {
			name: "an upgrade through ReverseProxy",
			build: func(r *run) http.Handler {
				back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					taken(func(r *run, c net.Conn, rw *bufio.ReadWriter) {
						rw.WriteString(switching)
						r.see("%v", upper(rw))
					})(r, w, req)
				}))
				r.Cleanup(back.Close)
				target, _ := url.Parse(back.URL)
				return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
			},
			client: echoes,
			sees:   "EOF",
			gets: `
HTTP/1.1 101 Switching Protocols
Connection: Upgrade
Upgrade: echo
ONE
TWO
[EOF]
`,
		}, {
			name: "101 that nobody takes over ends the connection",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", "echo")
				w.WriteHeader(http.StatusSwitchingProtocols)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(upgrade)
				a, err := c.head()
				a.note(r)
				r.get("%v", err)
				c.closeWrite()
				c.end()
			},
			gets: `
HTTP/1.1 101 Switching Protocols
Connection: Upgrade
Upgrade: echo
<nil>
[EOF]
`,
		},
	})
}

// echoes upgrades and talks with an echo.
func echoes(r *run) {
	c := r.dial()
	c.send(upgrade)
	c.after101()
}

// after101 expects 101 and talks with an echo.
func (c *conn) after101() {
	a, err := c.head()
	a.note(c.r)
	if err != nil {
		c.r.Fatal(err)
	}
	for _, line := range []string{"one\n", "two\n"} {
		c.send(line)
		c.read(len(line) + 1)
	}
	c.closeWrite()
	c.end()
}
