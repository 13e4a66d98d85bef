package daemon_test

import (
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// The flags of frames, for short.
const (
	END    = testkit.END
	TEXT   = testkit.TEXT
	OPAQUE = testkit.OPAQUE
	CREDIT = testkit.CREDIT
)

// one is what most tests need: a daemon with one loop, an application with a
// prefix, and a client.
func one(t *testing.T, opt testkit.AppOptions) (*testkit.Daemon, *testkit.App, *testkit.Registration, *testkit.Client) {
	t.Helper()
	d := testkit.Start(t, testkit.Options{})
	if opt.Credit == 0 {
		opt.Credit = 1
	}
	app := d.App(opt)
	reg := app.Register("http://+:0/")
	return d, app, reg, d.Dial(reg)
}

// What becomes of a connection after a response.
type after int

const (
	reused after = iota // it serves the next request
	ended               // it ends in order
	cut                 // it is reset
)

const (
	get   = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	head  = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
	get10 = "GET / HTTP/1.0\r\n\r\n"
	keep0 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
)

// The daemon frames responses, whatever the application writes (docs/channel.md
// section 5; RFC 9112 6.3).
var framings = []struct {
	name    string
	request string
	answer  func(r *testkit.Request)
	want    string // after "HTTP/1.1 "; "@" is a date and the daemon's name
	after   after
}{
	// Lengths.
	{"a whole response gets a length", get, respond(200, nil, "hello"),
		"200 OK\r\n@Content-Length: 5\r\n\r\nhello", reused},
	{"an empty one, too", get, respond(404, nil, ""),
		"404 Not Found\r\n@Content-Length: 0\r\n\r\n", reused},
	{"the application's length is kept", get, respond(200, fields("A: b", "content-length: 5", "C: d"), "hello"),
		"200 OK\r\nA: b\r\ncontent-length: 5\r\nC: d\r\n@\r\nhello", reused},
	{"and holds for a body in pieces", get, pieces(fields("Content-Length: 11"), "hello", " ", "world"),
		"200 OK\r\nContent-Length: 11\r\n@\r\nhello world", reused},
	{"the last piece may be empty", get, pieces(fields("Content-Length: 5"), "hello", ""),
		"200 OK\r\nContent-Length: 5\r\n@\r\nhello", reused},
	{"equal lengths are one", get, respond(200, fields("Content-Length: 5", "Content-Length: 5"), "hello"),
		"200 OK\r\nContent-Length: 5\r\n@\r\nhello", reused},

	// Chunks (RFC 9112 7.1). What one write of the application brings is in one
	// chunk a frame.
	{"a body in pieces is chunked", get, pieces(nil, "", "hello", " world"),
		"200 OK\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", reused},
	{"the first piece may come with the head", get, pieces(nil, "hello", ""),
		"200 OK\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", reused},
	{"empty pieces are no chunks", get, pieces(nil, "", "", "x", "", ""),
		"200 OK\r\n@Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", reused},

	// Trailers.
	{"trailers end a chunked body", get, func(r *testkit.Request) {
		r.Start(200, fields("Trailer: Sum"), "hello")
		r.Trailers("Sum: 5", "Other: x")
	}, "200 OK\r\nTrailer: Sum\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nSum: 5\r\nOther: x\r\n\r\n", reused},
	{"there is no place for them behind a length", get, func(r *testkit.Request) {
		r.Start(200, fields("Content-Length: 5"), "hello")
		r.Trailers("Sum: 5")
	}, "200 OK\r\nContent-Length: 5\r\n@\r\nhello", reused},
	{"nor in HTTP/1.0", get10, func(r *testkit.Request) {
		r.Start(200, nil, "hello")
		r.Trailers("Sum: 5")
	}, "200 OK\r\n@Connection: close\r\n\r\nhello", ended},

	// Responses without a body (RFC 9110 9.3.2, 15.3.5, 15.4.5).
	{"HEAD is told the length of a body that came", head, respond(200, nil, "hello"),
		"200 OK\r\n@Content-Length: 5\r\n\r\n", reused},
	{"HEAD is told none if none came", head, respond(200, nil, ""),
		"200 OK\r\n@\r\n", reused},
	{"HEAD is told the application's length", head, respond(200, fields("Content-Length: 99"), ""),
		"200 OK\r\nContent-Length: 99\r\n@\r\n", reused},
	{"HEAD of a body in pieces", head, pieces(nil, "hello", "world", "!"),
		"200 OK\r\n@\r\n", reused},
	{"HEAD of a body that is not as long as it should be", head, pieces(fields("Content-Length: 99"), "hello", ""),
		"200 OK\r\nContent-Length: 99\r\n@\r\n", reused},
	{"204 has no body and no length", get, respond(204, fields("Content-Length: 5"), "hello"),
		"204 No Content\r\n@\r\n", reused},
	{"304 has no body and may have a length", get, respond(304, fields("Content-Length: 5", "ETag: x"), ""),
		"304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n@\r\n", reused},

	// HTTP/1.0.
	{"HTTP/1.0 is closed", get10, respond(200, nil, "hello"),
		"200 OK\r\n@Content-Length: 5\r\nConnection: close\r\n\r\nhello", ended},
	{"unless it asks not to be", keep0, respond(200, nil, "hello"),
		"200 OK\r\n@Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", reused},
	{"there are no chunks in it", keep0, pieces(nil, "hello", " ", "world"),
		"200 OK\r\n@Connection: close\r\n\r\nhello world", ended},
	{"and no informational responses", get10, func(r *testkit.Request) {
		r.Send(testkit.Response(r.Stream, 0, 103, fields("Link: </x>"), ""), testkit.Response(r.Stream, END|CREDIT, 200, nil, ""))
	}, "200 OK\r\n@Content-Length: 0\r\nConnection: close\r\n\r\n", ended},

	// Connection management.
	{"the application may close", get, respond(200, fields("Connection: x, close"), "hello"),
		"200 OK\r\n@Content-Length: 5\r\nConnection: close\r\n\r\nhello", ended},
	{"the client may close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", respond(200, nil, "hello"),
		"200 OK\r\n@Content-Length: 5\r\nConnection: close\r\n\r\nhello", ended},
	{"what the daemon decides is dropped", get,
		respond(200, fields("Transfer-Encoding: gzip", "Keep-Alive: timeout=9", "Proxy-Connection: x", "Upgrade: y", "Connection: keep-alive"), "hello"),
		"200 OK\r\n@Content-Length: 5\r\n\r\nhello", reused},
	{"Date and Server may be the application's", get, respond(200, fields("server: mine", "date: yesterday"), ""),
		"200 OK\r\nserver: mine\r\ndate: yesterday\r\nContent-Length: 0\r\n\r\n", reused},

	// Heads as text.
	{"a head as text", get, text(END, 200, "HTTP/1.1 200 Fine\r\nA: b\r\nSet-Cookie: x\r\nSet-Cookie: y\r\n\r\n", "hello"),
		"200 Fine\r\nA: b\r\nSet-Cookie: x\r\nSet-Cookie: y\r\nContent-Length: 5\r\n\r\nhello", reused},
	{"its status need not be in the frame", get, text(END, 0, "HTTP/1.1 201 Created\r\n\r\n", ""),
		"201 Created\r\nContent-Length: 0\r\n\r\n", reused},
	{"Node says keep-alive and chunked in it", get,
		text(END, 200, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n", "hello"),
		"200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", reused},
	{"a status that nobody knows", get, respond(999, nil, ""),
		"999 \r\n@Content-Length: 0\r\n\r\n", reused},

	// Informational responses (RFC 9110 15.2).
	{"103 goes before the response", get, func(r *testkit.Request) {
		r.Send(testkit.Response(r.Stream, 0, 103, fields("Link: </a>"), ""), testkit.Response(r.Stream, 0, 103, fields("Link: </b>"), ""),
			testkit.Response(r.Stream, END|CREDIT, 200, nil, "hello"))
	}, "103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\n@Content-Length: 5\r\n\r\nhello", reused},
	{"100 is dropped if nobody waits for it", get, func(r *testkit.Request) {
		r.Send(testkit.Response(r.Stream, 0, 100, nil, ""), testkit.Response(r.Stream, END|CREDIT, 200, nil, "hello"))
	}, "200 OK\r\n@Content-Length: 5\r\n\r\nhello", reused},

	// A body that disagrees with its length is sent as far as it can be, and
	// the connection ends: the client sees that it is not complete.
	{"a body that is too short", get, respond(200, fields("Content-Length: 9"), "hello"),
		"200 OK\r\nContent-Length: 9\r\n@Connection: close\r\n\r\nhello", ended},
	{"a body that is too long", get, respond(200, fields("Content-Length: 4"), "hello"),
		"200 OK\r\nContent-Length: 4\r\n@Connection: close\r\n\r\n", ended},
	{"pieces that are too short", get, pieces(fields("Content-Length: 9"), "hell", "o"),
		"200 OK\r\nContent-Length: 9\r\n@\r\nhello", ended},
	{"pieces that are too long", get, func(r *testkit.Request) {
		r.Send(testkit.Response(r.Stream, 0, 200, fields("Content-Length: 9"), "hello"), testkit.Data(r.Stream, 0, " world"))
		r.WantCancel(channel.CancelGone)
		r.Cancel(0)
	}, "200 OK\r\nContent-Length: 9\r\n@\r\nhello", ended},

	// CANCEL from the application.
	{"CANCEL before a head is 502", get, func(r *testkit.Request) { r.Cancel(0) },
		"502 Bad Gateway\r\nContent-Type: text/html; charset=utf-8\r\n@Content-Length: 190\r\n\r\n" + page("502 Bad Gateway", "The program gave up on the request."), reused},
	{"CANCEL cuts chunks", get, cancel(nil),
		"200 OK\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ended},
	{"CANCEL cuts a body with a length", get, cancel(fields("Content-Length: 9")),
		"200 OK\r\nContent-Length: 9\r\n@\r\nhello", ended},
	{"CANCEL resets where only the end of the connection marks the end", get10, cancel(nil),
		"", cut},
}

func respond(status int, fields []string, body string) func(*testkit.Request) {
	return func(r *testkit.Request) { r.Respond(status, fields, body) }
}

// pieces is a response in several frames, all in one write.
func pieces(fields []string, parts ...string) func(*testkit.Request) {
	return func(r *testkit.Request) {
		b := testkit.Response(r.Stream, 0, 200, fields, parts[0])
		for i, p := range parts[1:] {
			flags := channel.Flags(0)
			if i == len(parts)-2 {
				flags = END | CREDIT
			}
			b = append(b, testkit.Data(r.Stream, flags, p)...)
		}
		r.Send(b)
	}
}

// cancel is a response that the application gives up behind "hello".
func cancel(fields []string) func(*testkit.Request) {
	return func(r *testkit.Request) {
		r.Send(testkit.Response(r.Stream, 0, 200, fields, "hello"), testkit.Cancel(r.Stream, CREDIT, 0))
	}
}

func text(flags channel.Flags, status int, head, body string) func(*testkit.Request) {
	return func(r *testkit.Request) { r.Send(testkit.TextResponse(r.Stream, flags|CREDIT, status, head, body)) }
}

func fields(f ...string) []string { return f }

// page is the body of the daemon's own responses.
func page(status, text string) string {
	return "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>" + status +
		"</title></head>\n<body>\n<h1>" + status + "</h1>\n<p>" + text + "</p>\n</body>\n</html>\n"
}

func TestResponseFraming(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	for _, tc := range framings {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Dial(reg)
			defer c.Close()
			c.Send(tc.request)
			tc.answer(app.Request())
			if tc.want != "" {
				c.Want("HTTP/1.1 " + strings.ReplaceAll(tc.want, "@", "Date: *\r\nServer: httpsys\r\n"))
			}
			switch tc.after {
			case reused:
				c.Get("/next")
				r := app.Request()
				if r.Target != "/next" {
					t.Fatalf("the next request is %s", r.Text())
				}
				r.Respond(200, nil, "next")
				if got := c.Response(); got.Body != "next" {
					t.Fatalf("the next response is %+v", got)
				}
			case ended:
				c.WantEOF()
			case cut:
				c.WantReset()
			}
		})
	}
}
