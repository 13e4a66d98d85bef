package compat

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// A client that leaves ends the request's context.
func TestLeaving(t *testing.T) {
	waits := func(r *run, w http.ResponseWriter, req *http.Request) {
		r.signal("running")
		r.await("the end of the context", req.Context().Done())
		r.see("%v, cause %v", req.Context().Err(), context.Cause(req.Context()))
	}
	leave := func(how func(c *conn)) func(r *run) {
		return func(r *run) {
			c := r.dial()
			c.send(get)
			r.wait("running")
			how(c)
			r.rest()
		}
	}
	runCases(t, []testCase{
		{
			name:   "by closing",
			handle: waits,
			client: leave((*conn).close),
			sees:   "context canceled, cause context canceled",
		}, {
			name:   "by a reset",
			handle: waits,
			client: leave((*conn).reset),
			sees:   "context canceled, cause context canceled",
		}, {
			name:   "by closing its side, where the answer still arrives",
			handle: waits,
			client: leave(func(c *conn) {
				c.closeWrite()
				c.response("GET")
			}),
			sees: "context canceled, cause context canceled",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "after its body was read",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				readAll(r, w, req)
				waits(r, w, req)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(post("hello"))
				r.wait("running")
				c.close()
				r.rest()
			},
			sees: `
hello no error
context canceled, cause context canceled
`,
		}, {
			name: "while a handler reads",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				r.signal("running")
				readAll(r, w, req)
			},
			client: func(r *run) {
				c := r.dial()
				c.send("POST / HTTP/1.1\nHost: localhost\nContent-Length: 10\n\nhello")
				r.wait("running")
				c.reset()
				r.rest()
			},
			sees: "hello reset",
			but: []exception{{on: onServe, why: "The channel does not tell how a client left.",
				sees: "hello unexpected EOF"}},
		}, {
			name: "while a handler writes",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				var err error
				for err == nil {
					_, err = w.Write(megabyte)
				}
				r.see("an error")
				waits(r, w, req)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				c.head()
				c.reset()
				r.rest()
			},
			sees: `
an error
context canceled, cause context canceled
`,
		}, {
			name: "while a handler writes little now and then",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				rc := http.NewResponseController(w)
				for rc.Flush() == nil {
					io.WriteString(w, "tick")
				}
				r.see("an error")
				waits(r, w, req)
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get)
				c.head()
				c.close()
				r.rest()
			},
			sees: `
an error
context canceled, cause context canceled
`,
		}, {
			name: "with contexts that were made of the request's",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				ctx, cancel := context.WithTimeoutCause(req.Context(), time.Hour, errors.New("too late"))
				defer cancel()
				called := make(chan struct{})
				context.AfterFunc(ctx, func() { close(called) })
				r.signal("running")
				r.await("the function", called)
				r.see("%v, cause %v", ctx.Err(), context.Cause(ctx))
			},
			client: leave((*conn).close),
			sees:   "context canceled, cause context canceled",
		}, {
			name: "not at all: a timeout of the handler's own",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				ctx, cancel := context.WithTimeout(req.Context(), time.Millisecond)
				defer cancel()
				<-ctx.Done()
				r.see("%v %v", ctx.Err(), req.Context().Err())
			},
			send: get,
			sees: "context deadline exceeded <nil>",
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "not at all: the context ends with the handler",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				ctx := req.Context()
				r.see("%v", ctx.Err())
				go func() {
					defer r.signal("over")
					r.await("the end of the context", ctx.Done())
					r.see("%v", ctx.Err())
				}()
			},
			client: func(r *run) {
				r.dial().exchange(get)
				r.wait("over")
			},
			sees: `
<nil>
context canceled
`,
			gets: `
HTTP/1.1 200 OK
Content-Length: 0
`,
		}, {
			name: "not at all: no context ends while the client waits",
			handle: func(r *run, w http.ResponseWriter, req *http.Request) {
				select {
				case <-req.Context().Done():
					r.see("%v", req.Context().Err())
				case <-time.After(50 * time.Millisecond):
				}
				io.WriteString(w, "answer")
			},
			client: func(r *run) {
				c := r.dial()
				c.send(get + get) // the second one is on its way already
				c.response("GET")
				c.after(c.response("GET"))
			},
			gets: `
HTTP/1.1 200 OK
Content-Length: 6
Content-Type: text/plain; charset=utf-8

answer
HTTP/1.1 200 OK
Content-Length: 6
Content-Type: text/plain; charset=utf-8

answer
`,
		},
	})
}
