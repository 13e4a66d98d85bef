package h2

import (
	"slices"
	"strings"
	"testing"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// RFC 9113 6.9.2: a change of the initial window can make that of a stream
// negative; nothing is sent until it is above 0 again.
func TestNegativeWindow(t *testing.T) {
	s := ready(t, nil)
	s.feed(settingsOf(setting(setInitialWindow, 3)) + get(1))
	s.frames()
	n, _ := s.c.Respond(s.open[1], response(200), []byte("hello"), true)
	if n != 3 {
		t.Fatalf("%d bytes taken", n)
	}
	s.wantFrames("1 headers :status=200 content-length=5", "1 data hel")
	s.feed(settingsOf(setting(setInitialWindow, 2)))
	s.check()
	s.feed(update(1, 2))
	s.check()
	if s.c.Ready() != s.open[1] {
		t.Fatal("not ready")
	}
	s.c.Send(s.open[1], []byte("lo"), true)
	s.check()
	if s.c.Ready() != nil {
		t.Error("ready though the window is closed")
	}
	s.wantFrames("settings ack", "1 data l")
	s.feed(update(1, 9))
	s.c.Send(s.open[1], []byte("o"), true)
	s.wantFrames("1 data o end")
	s.check()
}

// What is sent for a response, by request and by what the application gives.
// The application's body comes with the head, or in pieces if body has several.
func TestResponses(t *testing.T) {
	const reset = "1 reset INTERNAL_ERROR"
	for _, row := range []struct {
		why, method string
		status      int
		fields      []string
		body        []string // nil: none
		want        []string
		err         error
	}{
		{"head and body in one", "GET", 200, nil, []string{"abc"}, []string{"1 headers :status=200 content-length=3", "1 data abc end"}, nil},
		{"no body", "GET", 200, nil, nil, []string{"1 headers :status=200 content-length=0 end"}, nil},
		{"in pieces", "GET", 200, nil, []string{"ab", "c"}, []string{"1 headers :status=200", "1 data ab", "1 data c end"}, nil},
		{"in pieces, the last one empty", "GET", 200, nil, []string{"ab", ""}, []string{"1 headers :status=200", "1 data ab", "1 data  end"}, nil},
		{"its length is kept", "GET", 200, []string{"Content-Length", "3"}, []string{"ab", "c"}, []string{"1 headers :status=200 content-length=3", "1 data ab", "1 data c end"}, nil},
		{"names are in lower case, the connection's fields are gone", "GET", 200, []string{"X-A", "B", "Connection", "close", "Keep-Alive", "1", "Transfer-Encoding", "chunked"}, nil,
			[]string{"1 headers :status=200 x-a=B content-length=0 end"}, nil},
		{"HEAD", "HEAD", 200, []string{"Content-Length", "3"}, nil, []string{"1 headers :status=200 content-length=3 end"}, nil},
		{"HEAD with a body to measure", "HEAD", 200, nil, []string{"abc"}, []string{"1 headers :status=200 content-length=3 end"}, nil},
		{"HEAD with a body in pieces", "HEAD", 200, nil, []string{"a", "bc"}, []string{"1 headers :status=200 end"}, nil},
		{"HEAD without any length", "HEAD", 200, nil, nil, []string{"1 headers :status=200 end"}, nil},
		{"204", "GET", 204, []string{"Content-Length", "3"}, []string{"abc"}, []string{"1 headers :status=204 end"}, nil},
		{"304", "GET", 304, []string{"Content-Length", "3", "ETag", "x"}, nil, []string{"1 headers :status=304 etag=x content-length=3 end"}, nil},
		{"an odd status", "GET", 799, nil, nil, []string{"1 headers :status=799 content-length=0 end"}, nil},
		{"too much body", "GET", 200, []string{"Content-Length", "2"}, []string{"abc"}, []string{reset}, ErrResponseLength},
		{"too little body", "GET", 200, []string{"Content-Length", "4"}, []string{"abc"}, []string{reset}, ErrResponseLength},
		{"too much body, later", "GET", 200, []string{"Content-Length", "2"}, []string{"ab", "c"},
			[]string{"1 headers :status=200 content-length=2", "1 data ab", reset}, ErrResponseLength},
		{"too little body, later", "GET", 200, []string{"Content-Length", "4"}, []string{"ab", "c"},
			[]string{"1 headers :status=200 content-length=4", "1 data ab", reset}, ErrResponseLength},
		{"101 is of HTTP/1", "GET", 101, nil, nil, []string{"1 reset HTTP_1_1_REQUIRED"}, ErrResponseStatus},
	} {
		s := ready(t, nil)
		s.feed(headers(1, true, pseudo(row.method)...))
		x := s.open[1]
		first, rest := "", row.body
		if len(rest) > 0 {
			first, rest = rest[0], rest[1:]
		}
		_, err := s.c.Respond(x, response(row.status, row.fields...), []byte(first), len(rest) == 0)
		for i, b := range rest {
			if err == nil {
				_, err = s.c.Send(x, []byte(b), i == len(rest)-1)
			}
		}
		if err != row.err {
			t.Errorf("%s: %v, want %v", row.why, err, row.err)
		}
		if got := s.frames(); !slices.Equal(got, row.want) {
			t.Errorf("%s:\n got %q\nwant %q", row.why, got, row.want)
		}
		if s.c.Streams() != 0 {
			t.Errorf("%s: the stream is still there", row.why)
		}
		s.said()
		s.feed(get(3)) // and the next request is one
		if len(s.said()) != 1 {
			t.Errorf("%s: no next request", row.why)
		}
		s.check()
	}
}

// RFC 9113 8.1: a response that is complete before its request ends with
// RST_STREAM NO_ERROR, and what is on its way is ignored, but for the window of the connection.
func TestEarlyResponse(t *testing.T) {
	s := ready(t, nil)
	s.feed(post(1) + data(1, false, "abc"))
	s.said()
	s.c.Respond(s.open[1], response(413), []byte("no"), true)
	s.wantFrames("1 headers :status=413 content-length=2", "1 data no end", "1 reset NO_ERROR")
	s.feed(data(1, false, strings.Repeat("x", 16000)) + headers(1, true, "a", "b") + update(1, 7) + reset(1, NoError) + get(3))
	s.wantEvents("3 GET / scheme=https authority=h path=/ end")
	s.check()
	if s.c.recv.unread != 0 {
		t.Errorf("%d bytes unread", s.c.recv.unread)
	}
}

func TestInformational(t *testing.T) {
	s := ready(t, nil)
	s.feed(post(1, "expect", "100-continue") + post(3))
	for _, id := range []uint32{1, 3} {
		s.c.Informational(s.open[id], response(100))
		s.c.Informational(s.open[id], response(100)) // once
		s.c.Informational(s.open[id], response(103, "Link", "x"))
	}
	s.c.Respond(s.open[3], response(200), nil, false)
	s.c.Informational(s.open[3], response(103)) // too late
	s.wantFrames("1 headers :status=100", "1 headers :status=103 link=x", "3 headers :status=103 link=x", "3 headers :status=200")
}

func TestResponseTrailers(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1) + headers(3, true, pseudo("HEAD")...) + get(5))
	trailers := []message.Field{{Name: []byte("X-Sum"), Value: []byte("42")}}
	s.c.Respond(s.open[1], response(200, "Content-Length", "2"), []byte("ab"), false)
	s.c.Trailers(s.open[1], trailers)
	s.c.Respond(s.open[3], response(200), nil, false)
	s.c.Trailers(s.open[3], trailers)
	s.c.Respond(s.open[5], response(200, "Content-Length", "2"), []byte("a"), false)
	if err := s.c.Trailers(s.open[5], trailers); err != ErrResponseLength {
		t.Error(err)
	}
	s.wantFrames("1 headers :status=200 content-length=2", "1 data ab", "1 headers x-sum=42 end",
		"3 headers :status=200 end",
		"5 headers :status=200 content-length=2", "5 data a", "5 reset INTERNAL_ERROR")
	s.check()
}

// RFC 8441: after a 2xx DATA is a stream of bytes in both directions, each of
// which ends by itself.
func TestTunnel(t *testing.T) {
	s := ready(t, nil)
	s.feed(headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "h"))
	x := s.open[1]
	s.c.Opaque(x, response(200, "Sec-WebSocket-Protocol", "a"))
	s.c.Send(x, []byte("hello"), false)
	s.feed(data(1, false, "abc") + data(1, true, ""))
	s.c.Send(x, []byte("bye"), true)
	s.wantFrames("1 headers :status=200 sec-websocket-protocol=a", "1 data hello", "1 data bye end")
	if s.c.Streams() != 1 {
		t.Error("the owner has not said its last word")
	}
	s.c.Finish(x)
	s.wantFrames()
	s.check()

	// The owner ends both ways at once.
	s.feed(headers(3, false, ":method", "CONNECT", ":authority", "h:1"))
	s.c.Opaque(s.open[3], response(200))
	s.c.Finish(s.open[3])
	s.wantFrames("3 headers :status=200", "3 data  end", "3 reset NO_ERROR")

	// A CONNECT that is refused is an ordinary response.
	s.feed(headers(5, false, ":method", "CONNECT", ":authority", "h:1"))
	s.c.Respond(s.open[5], response(405), []byte("no"), true)
	s.wantFrames("5 headers :status=405 content-length=2", "5 data no end", "5 reset NO_ERROR")
	s.check()
}

// The owner puts the content of a file behind the header that Frame makes.
func TestFrameForFiles(t *testing.T) {
	s := ready(t, nil)
	s.feed(post(1))
	x := s.open[1]
	s.c.Respond(x, response(200, "Content-Length", "70000"), nil, false)
	s.frames()
	left, sent := 70000, 0
	for left > 0 {
		n, err := s.c.Frame(x, left, true)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if sent != 65535 || s.c.Ready() != nil {
				t.Fatalf("stopped after %d", sent)
			}
			s.feed(update(0, 100_000) + update(1, 100_000))
			if s.c.Ready() != x {
				t.Fatal("not ready")
			}
			continue
		}
		s.c.Out = append(s.c.Out, make([]byte, n)...)
		left -= n
		sent += n
	}
	s.c.Finish(x)
	frames := s.frames()
	if want := "1 reset NO_ERROR"; len(frames) != 6 || frames[5] != want || frames[4] != "1 data of 4465 end" {
		t.Errorf("%q", frames)
	}
	s.check()
}

// Streams that the client resets while the owner works on them.
func TestResetWhileInWork(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1) + get(3) + post(5))
	x := s.open[1]
	s.c.Respond(x, response(200), nil, false)
	s.frames()
	s.said()
	s.on = func(e *Event) {
		if e.Kind == Reset && e.Stream == x {
			if e.Err != ErrClientReset || e.Code != InternalError || !x.Over() {
				t.Errorf("%+v", e)
			}
			if n, err := s.c.Send(x, []byte("abc"), true); n != 3 || err != nil {
				t.Errorf("sending on it: %d, %v", n, err)
			}
		}
	}
	s.feed(data(5, false, "abc") + reset(1, InternalError) + reset(5, Cancel))
	// The content came before the reset, but nobody needs it any more.
	s.wantEvents("1 reset "+ErrClientReset.Text, "5 reset "+ErrClientReset.Text)
	s.wantFrames()
	s.check()
	s.c.Reset(s.open[3], RefusedStream)
	s.wantFrames("3 reset REFUSED_STREAM")
	s.check()
}

// Where the owner cannot serve it, clients are not told of extended CONNECT, and
// :protocol is a pseudo-header field that nobody knows.
func TestExtendedConnectIsOffered(t *testing.T) {
	connect := headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "h")
	for _, row := range []struct {
		offered bool
		want    string
	}{{true, "settings 3=128 6=16384 8=1 9=1"}, {false, "settings 3=128 6=16384 9=1"}} {
		s := newSide(t, nil)
		s.shared.ExtendedConnect = row.offered
		s.c.Out = nil
		s.c.Init(s.shared, s.now)
		s.feed(hello + connect)
		frames := s.frames()
		if frames[0] != row.want || (len(s.said()) == 1) != row.offered {
			t.Errorf("offered %v: %q", row.offered, frames)
		}
	}
}

// What the owner sends of a response without content is dropped, also if it
// waited for its turn.
func TestNoContentWaitsToo(t *testing.T) {
	s := ready(t, nil)
	s.feed(headers(1, true, pseudo("HEAD")...))
	x := s.open[1]
	s.c.Respond(x, response(200), nil, false)
	s.c.Wait(x)
	s.check()
	if s.c.Ready() != x {
		t.Fatal("not ready")
	}
	if n, err := s.c.Send(x, []byte("abc"), false); n != 3 || err != nil {
		t.Error(n, err)
	}
	if s.check(); s.c.Ready() != nil {
		t.Error("still ready")
	}
	s.c.Wait(x)
	s.c.Send(s.c.Ready(), nil, true)
	s.wantFrames("1 headers :status=200 end")
	s.check()
}

// After the end of the connection nobody's turn comes.
func TestNobodyIsReadyAfterTheEnd(t *testing.T) {
	s := ready(t, nil)
	s.feed(get(1))
	s.c.Respond(s.open[1], response(200), nil, false)
	s.c.Wait(s.open[1])
	s.c.Receive([]byte(data(0, false, "x")), s.now)
	if s.c.Ready() != nil {
		t.Error("ready")
	}
	if n, err := s.c.Send(s.open[1], []byte("abc"), false); n != 3 || err != nil {
		t.Error(n, err)
	}
	s.drain()
	s.wantEnd(ErrStreamID)
}
