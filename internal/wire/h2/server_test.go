package h2

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// server drives a Conn over a net.Conn, as plainly as can be: one
// goroutine reads, the other does all else. It answers by the path:
//
//	/echo     the body of the request, as it comes
//	/length/N N bytes, all at once
//	/early    a 103, then the answer
//	/trailers a body with a trailer section
//	/tunnel   an echo for CONNECT
//	otherwise "hello"
type server struct {
	c      Conn
	shared *Shared
	limits Limits
	nc     net.Conn
	begin  time.Time
	err    *Error // that ended the connection
	seen   int    // requests
}

// answer is what a stream has still to send.
type answer struct {
	rest     []byte
	ended    bool // rest is all there is
	trailers []message.Field
	echo     bool
	waits    bool // for the end of the request
	path     string
	fields   int
	tunnel   bool
}

func newServer(nc net.Conn, limits Limits) *server {
	v := &server{nc: nc, limits: limits, begin: time.Now()}
	v.shared = NewShared(&v.limits, "test")
	v.shared.SetDate([]byte("Mon, 02 Jan 2006 15:04:05 GMT"))
	return v
}

func (v *server) now() int64 { return time.Since(v.begin).Milliseconds() + 1 }

// serve returns when the connection is over.
func (v *server) serve() {
	defer v.nc.Close()
	// A client may write without reading: whoever reads must not write.
	chunks := make(chan []byte, 1<<12)
	go func() {
		defer close(chunks)
		for {
			buf := make([]byte, 32<<10)
			n, err := v.nc.Read(buf)
			if n > 0 {
				chunks <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	v.c.Init(v.shared, v.now())
	if v.write() != nil {
		return
	}
	var in []byte
	for chunk := range chunks {
		in = append(in, chunk...)
		for len(in) > 0 {
			k := v.c.Receive(in, v.now())
			v.events()
			in = in[k:]
			if k == 0 {
				break
			}
		}
		in = append([]byte(nil), in...)
		if v.write() != nil {
			return
		}
		if v.c.Err() != nil {
			v.err = v.c.Err()
			// Say it, and let it arrive: closing a socket with unread bytes
			// would reset the connection.
			if half, ok := v.nc.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
				v.nc.SetReadDeadline(time.Now().Add(time.Second))
				for range chunks {
				}
			}
			return
		}
		if v.c.Done() {
			return
		}
	}
}

// write sends Out, and goes on with the streams that wait for their turn.
func (v *server) write() error {
	for {
		for len(v.c.Out) < 64<<10 {
			s := v.c.Ready()
			if s == nil {
				break
			}
			v.send(s)
		}
		if len(v.c.Out) == 0 {
			return nil
		}
		out := v.c.Out
		v.c.Out = nil
		if _, err := v.nc.Write(out); err != nil {
			return err
		}
		v.c.Flushed()
	}
}

func (v *server) send(s *Stream) {
	a := s.Owner.(*answer)
	piece := a.rest[:min(len(a.rest), 16<<10)]
	end := a.ended && len(piece) == len(a.rest) && a.trailers == nil
	n, err := v.c.Send(s, piece, end)
	a.rest = a.rest[n:]
	switch {
	case err != nil || n == len(piece) && end:
	case len(a.rest) > 0:
		v.c.Wait(s)
	case a.ended && a.trailers != nil:
		v.c.Trailers(s, a.trailers)
	}
}

func (v *server) events() {
	for e := v.c.Next(); e != nil; e = v.c.Next() {
		s := e.Stream
		switch e.Kind {
		case GotRequest:
			v.seen++
			v.request(s, e.Request, e.End)
		case Refused:
			v.c.Respond(s, plain(e.Err.Status), []byte(e.Err.Text), true)
		case GotData, GotTrailers:
			a, ok := s.Owner.(*answer)
			v.c.Consumed(s, len(e.Data))
			if ok && a.echo {
				a.rest = append(a.rest, e.Data...)
				a.ended = e.End
				v.send(s)
			} else if ok && a.waits && e.End {
				v.respond(s, a)
			} else if ok && a.tunnel && e.End {
				v.c.Finish(s)
			}
		}
	}
}

func plain(status int, fields ...string) *message.Response {
	return response(status, append([]string{"Content-Type", "text/plain"}, fields...)...)
}

func (v *server) request(s *Stream, r *Request, end bool) {
	a := &answer{path: string(r.Path), fields: len(r.Fields)}
	s.Owner = a
	switch {
	case r.Connect:
		v.c.Opaque(s, plain(200))
		a.echo, a.tunnel = true, true
	case end:
		v.respond(s, a)
	case a.path == "/echo":
		if r.ExpectContinue {
			v.c.Informational(s, response(100))
		}
		v.c.Respond(s, plain(200), nil, false)
		a.echo = true
	default:
		a.waits = true
	}
}

func (v *server) respond(s *Stream, a *answer) {
	body := []byte("hello")
	switch {
	case a.path == "/early":
		v.c.Informational(s, response(103, "Link", "</a.css>; rel=preload"))
	case a.path == "/trailers":
		v.c.Respond(s, plain(200, "Trailer", "X-Sum"), nil, false)
		a.rest, a.ended = []byte("hello"), true
		a.trailers = []message.Field{{Name: []byte("X-Sum"), Value: []byte("42")}}
		v.c.Wait(s)
		return
	case strings.HasPrefix(a.path, "/length/"):
		n, _ := strconv.Atoi(a.path[len("/length/"):])
		body = bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
	}
	n, err := v.c.Respond(s, plain(200, "X-Fields", fmt.Sprint(a.fields)), body, true)
	if err == nil && n < len(body) {
		a.rest, a.ended = body[n:], true
	}
}
