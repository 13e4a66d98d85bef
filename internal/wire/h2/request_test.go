package h2

import (
	"strings"
	"testing"
)

// requests that are understood, as one client sends them on one stream.
var goodRequests = []struct{ section, why, in, want string }{
	{"9113 8.3.1", "the simplest", get(1), "1 GET / scheme=https authority=h path=/ end"},
	{"9113 8.3.1", "any order of pseudo-header fields",
		headers(1, true, ":path", "/", ":authority", "h", ":scheme", "http", ":method", "GET"),
		"1 GET / scheme=http authority=h path=/ end"},
	{"9113 8.3.1", "query", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h:8443", ":path", "/a/b?c=d?e"),
		"1 GET /a/b?c=d?e scheme=https authority=h:8443 path=/a/b query=c=d?e end"},
	{"9113 8.3.1", "asterisk", headers(1, true, ":method", "OPTIONS", ":scheme", "https", ":authority", "h", ":path", "*"),
		"1 OPTIONS * scheme=https authority=h path=* end"},
	{"9113 8.3.1", "Host instead of :authority", headers(1, true, ":method", "GET", ":scheme", "https", ":path", "/", "host", "h"),
		"1 GET / scheme=https authority=h path=/ | host=h end"},
	{"9113 8.3.1", "Host that is the :authority in another spelling", get(1, "host", "H"),
		"1 GET / scheme=https authority=h path=/ | host=H end"},
	{"9110 9.1", "any token is a method", headers(1, true, pseudo("M-SEARCH")...),
		"1 M-SEARCH / scheme=https authority=h path=/ end"},
	{"9113 8.2.1", "empty and odd values", get(1, "a", "", "b", "x\ty \x80"),
		"1 GET / scheme=https authority=h path=/ | a= b=x\ty \x80 end"},
	{"9113 8.2.2", "TE: trailers", get(1, "te", "trailers"),
		"1 GET / scheme=https authority=h path=/ trailers | te=trailers end"},
	{"9113 8.2.3", "cookie crumbs are joined in the place of the first", get(1, "a", "1", "cookie", "x=1", "b", "2", "cookie", "y=2", "cookie", "z"),
		"1 GET / scheme=https authority=h path=/ | a=1 cookie=x=1; y=2; z b=2 end"},
	{"9110 5.3", "order and duplicates stay", get(1, "b", "1", "a", "2", "b", "3"),
		"1 GET / scheme=https authority=h path=/ | b=1 a=2 b=3 end"},
	{"9113 8.1", "content in pieces", post(1) + data(1, false, "abc") + data(1, true, "def"),
		"1 POST / scheme=https authority=h path=/ length=-1\n1 data abcdef end"},
	{"9113 8.1", "content that ends with an empty frame", post(1) + data(1, false, "abc") + data(1, true, ""),
		"1 POST / scheme=https authority=h path=/ length=-1\n1 data abc end"},
	{"9113 8.1.1", "a length that is right", post(1, "content-length", "3") + data(1, true, "abc"),
		"1 POST / scheme=https authority=h path=/ length=3 | content-length=3\n1 data abc end"},
	{"9113 8.1.1", "a length of 0", get(1, "content-length", "0"),
		"1 GET / scheme=https authority=h path=/ | content-length=0 end"},
	{"9113 6.1", "padding", post(1) + frame(typeData, flagPadded|flagEndStream, 1, "\x03abc\x00\x00\x00"),
		"1 POST / scheme=https authority=h path=/ length=-1\n1 data abc end"},
	{"9113 6.1", "nothing but padding", post(1) + frame(typeData, flagPadded|flagEndStream, 1, "\x03\x00\x00\x00"),
		"1 POST / scheme=https authority=h path=/ length=-1\n1 data  end"},
	{"9113 8.1", "trailers", post(1) + data(1, false, "abc") + headers(1, true, "x-sum", "1"),
		"1 POST / scheme=https authority=h path=/ length=-1\n1 data abc\n1 trailers x-sum=1 end"},
	{"9113 8.1", "an empty trailer section", post(1, "content-length", "3") + data(1, false, "abc") + headers(1, true),
		"1 POST / scheme=https authority=h path=/ length=3 | content-length=3\n1 data abc end"},
	{"9110 10.1.1", "Expect", post(1, "expect", "100-Continue"),
		"1 POST / scheme=https authority=h path=/ length=-1 expect | expect=100-Continue"},
	{"9110 10.1.1", "Expect without content", get(1, "expect", "100-continue"),
		"1 GET / scheme=https authority=h path=/ | expect=100-continue end"},
	{"9113 8.5", "CONNECT", headers(1, false, ":method", "CONNECT", ":authority", "h:443") + data(1, false, "abc"),
		"1 CONNECT h:443 authority=h:443 connect\n1 data abc"},
	{"8441 4", "extended CONNECT",
		headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/chat", ":authority", "h", "sec-websocket-version", "13"),
		"1 CONNECT /chat scheme=https authority=h path=/chat protocol=websocket connect | sec-websocket-version=13"},
	{"9113 6.2", "padding and an old priority", frame(typeHeaders, flagEndHeaders|flagEndStream|flagPadded|flagPriority, 1,
		"\x02\x80\x00\x00\x03\x10"+block(pseudo("GET")...)+"\x00\x00"),
		"1 GET / scheme=https authority=h path=/ end"},
	{"9113 6.10", "CONTINUATION",
		frame(typeHeaders, flagEndStream, 1, block(pseudo("GET")...)[:7]) + frame(typeContinuation, 0, 1, block(pseudo("GET")...)[7:20]) +
			frame(typeContinuation, flagEndHeaders, 1, block(pseudo("GET")...)[20:]+block("a", "b")),
		"1 GET / scheme=https authority=h path=/ | a=b end"},
	{"9113 5.5", "unknown frames and flags are ignored", frame(0x77, 0xff, 3, "?????") + get(1) + frame(0x78, 0, 0, ""),
		"1 GET / scheme=https authority=h path=/ end"},
	{"9113 4.1", "the reserved bit is ignored", strings.Replace(get(1), "\x00\x00\x00\x01", "\x80\x00\x00\x01", 1),
		"1 GET / scheme=https authority=h path=/ end"},
	{"9113 5.1.1", "numbers may be left out", get(5), "5 GET / scheme=https authority=h path=/ end"},
	{"9113 6.5", "settings that nobody knows", settingsOf(setting(0x99, 7)) + get(1),
		"1 GET / scheme=https authority=h path=/ end"},
	{"9113 6.3", "PRIORITY for a stream that is not open", frame(typePriority, 0, 9, "\x00\x00\x00\x03\x10") + get(1),
		"1 GET / scheme=https authority=h path=/ end"},
	{"9113 8.3.1", "a path with odd but harmless bytes", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/%2e%2E/\"<>\\^`{|}[]"),
		"1 GET /%2e%2E/\"<>\\^`{|}[] scheme=https authority=h path=/%2e%2E/\"<>\\^`{|}[] end"},
	{"9110 6.5", "Trailer in a head", post(1, "trailer", "x-sum"),
		"1 POST / scheme=https authority=h path=/ length=-1 | trailer=x-sum"},
}

// joinData makes one line of the content of a stream, however it came.
func joinData(events []string) string {
	var lines []string
	for _, e := range events {
		id, rest, _ := strings.Cut(e, " ")
		if n := len(lines); n > 0 && strings.HasPrefix(rest, "data ") && strings.HasPrefix(lines[n-1], id+" data ") {
			lines[n-1] += strings.TrimPrefix(rest, "data ")
			continue
		}
		lines = append(lines, e)
	}
	return strings.Join(lines, "\n")
}

func TestRequests(t *testing.T) {
	for _, row := range goodRequests {
		s := ready(t, nil)
		s.feed(row.in)
		if got := joinData(s.said()); got != row.want || s.c.Err() != nil {
			t.Errorf("RFC %s: %s: %v\n got %s\nwant %s", row.section, row.why, s.c.Err(), got, row.want)
		}
		s.check()
	}
}

// It does not matter how the bytes arrive.
func TestRequestsCutAnywhere(t *testing.T) {
	for _, row := range goodRequests {
		in := hello + row.in
		whole := newSide(t, nil)
		whole.feed(in)
		wantFrames := strings.Join(whole.frames(), "\n")
		try := func(how string, cuts ...int) {
			t.Helper()
			s := newSide(t, nil)
			at := 0
			for _, cut := range append(cuts, len(in)) {
				s.feed(in[at:cut])
				at = cut
			}
			if got := joinData(s.said()); got != row.want {
				t.Errorf("%s: %s\n got %s\nwant %s", row.why, how, got, row.want)
			}
			if got := strings.Join(s.frames(), "\n"); got != wantFrames {
				t.Errorf("%s: %s\n got %s\nwant %s", row.why, how, got, wantFrames)
			}
		}
		every := []int{}
		for i := 1; i < len(in); i++ {
			try("in two reads", i)
			every = append(every, i)
		}
		try("byte by byte", every...)
	}
}

// Requests that are malformed: the stream is reset, nobody hears of it, and
// the next request on the connection is answered.
var badRequests = []struct {
	section, why, in string
	want             *Error
}{
	{"9113 8.2.1", "a name in upper case", get(1, "X-A", "b"), ErrName},
	{"9113 8.2.1", "a name with a space", get(1, "x a", "b"), ErrName},
	{"9113 8.2.1", "a name with a colon", get(1, "a:", "b"), ErrName},
	{"9113 8.2.1", "an empty name", get(1, "", "b"), ErrName},
	{"9113 8.2.1", "a name with a control", get(1, "a\x00", "b"), ErrName},
	{"9113 8.2.1", "a name that is not ASCII", get(1, "\xe4", "b"), ErrName},
	{"9113 8.2.1", "a value with CR", get(1, "a", "b\rc"), ErrValue},
	{"9113 8.2.1", "a value with LF", get(1, "a", "b\nc: d"), ErrValue},
	{"9113 8.2.1", "a value with NUL", get(1, "a", "b\x00"), ErrValue},
	{"9113 8.2.1", "white space before a value", get(1, "a", " b"), ErrValue},
	{"9113 8.2.1", "white space behind a value", get(1, "a", "b\t"), ErrValue},
	{"9113 8.2.2", "Connection", get(1, "connection", "close"), ErrConnectionField},
	{"9113 8.2.2", "Keep-Alive", get(1, "keep-alive", "1"), ErrConnectionField},
	{"9113 8.2.2", "Proxy-Connection", get(1, "proxy-connection", "x"), ErrConnectionField},
	{"9113 8.2.2", "Upgrade", get(1, "upgrade", "websocket"), ErrConnectionField},
	{"9113 8.2.2", "Transfer-Encoding: a smuggled request", post(1, "transfer-encoding", "chunked"), ErrConnectionField},
	{"9113 8.2.2", "TE: gzip", get(1, "te", "trailers, gzip"), ErrTE},
	{"9113 8.3", "a pseudo-header field of responses", get(1)[:0] + headers(1, true, append(pseudo("GET"), ":status", "200")...), ErrPseudo},
	{"9113 8.3", "an unknown pseudo-header field", headers(1, true, append(pseudo("GET"), ":x", "y")...), ErrPseudo},
	{"9113 8.3", "a pseudo-header field behind a field", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h", "a", "b", ":path", "/"), ErrPseudoOrder},
	{"9113 8.3.1", "two paths", get(1)[:0] + headers(1, true, append(pseudo("GET"), ":path", "/admin")...), ErrPseudo},
	{"9113 8.3.1", "two methods", headers(1, true, append(pseudo("GET"), ":method", "GET")...), ErrPseudo},
	{"9113 8.3.1", "two authorities", headers(1, true, append(pseudo("GET"), ":authority", "h")...), ErrPseudo},
	{"9113 8.3.1", "no method", headers(1, true, ":scheme", "https", ":authority", "h", ":path", "/"), ErrPseudoMissing},
	{"9113 8.3.1", "no scheme", headers(1, true, ":method", "GET", ":authority", "h", ":path", "/"), ErrPseudoMissing},
	{"9113 8.3.1", "no path", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h"), ErrPseudoMissing},
	{"9113 8.3.1", "no authority", headers(1, true, ":method", "GET", ":scheme", "https", ":path", "/"), ErrHost},
	{"9113 8.3.1", "an empty authority", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "", ":path", "/"), ErrHost},
	{"9113 8.3.1", "userinfo", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "u@h", ":path", "/"), ErrHost},
	{"9113 8.3.1", "an empty path", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", ""), ErrPath},
	{"9113 8.3.1", "a relative path", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "a"), ErrPath},
	{"9113 8.3.1", "an absolute target", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "http://x/"), ErrPath},
	{"9113 8.3.1", "a path with a space: a smuggled request line", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/ HTTP/1.1"), ErrPath},
	{"9113 8.3.1", "a fragment", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/#a"), ErrPath},
	{"9113 8.3.1", "asterisk for GET", headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", "*"), ErrPath},
	{"9113 8.3.1", "another scheme", headers(1, true, ":method", "GET", ":scheme", "ftp", ":authority", "h", ":path", "/"), ErrScheme},
	{"9113 8.3.1", "a scheme with capitals", headers(1, true, ":method", "GET", ":scheme", "hTtps", ":authority", "h", ":path", "/"), ErrScheme},
	{"9113 8.3.1", "Host is another host", get(1, "host", "evil"), ErrHostDiffers},
	{"9113 8.3.1", "Host has another port", get(1, "host", "h:1"), ErrHostDiffers},
	{"9110 7.2", "two Hosts", get(1, "host", "h", "host", "h"), ErrHost},
	{"9110 7.2", "a Host that is none", get(1, "host", "a b"), ErrHost},
	{"9110 9.1", "an empty method", headers(1, true, pseudo("")...), ErrMethod},
	{"9110 9.1", "a method with a space", headers(1, true, pseudo("GET /x")...), ErrMethod},
	{"9113 8.5", "CONNECT with a path", headers(1, false, ":method", "CONNECT", ":authority", "h:1", ":path", "/"), ErrConnect},
	{"9113 8.5", "CONNECT with a scheme", headers(1, false, ":method", "CONNECT", ":authority", "h:1", ":scheme", "https"), ErrConnect},
	{"9113 8.5", "CONNECT without a port", headers(1, false, ":method", "CONNECT", ":authority", "h"), ErrConnect},
	{"9113 8.5", "CONNECT with Host only", headers(1, false, ":method", "CONNECT", "host", "h:1"), ErrConnect},
	{"9110 9.3.6", "CONNECT with a length", headers(1, false, ":method", "CONNECT", ":authority", "h:1", "content-length", "3"), ErrConnect},
	{"8441 4", ":protocol without CONNECT", headers(1, false, append(pseudo("GET"), ":protocol", "websocket")...), ErrConnect},
	{"8441 4", "extended CONNECT without a path", headers(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "h"), ErrPseudoMissing},
	{"9110 8.6", "a length that is no number", post(1, "content-length", "+3"), ErrLength},
	{"9110 8.6", "two lengths", post(1, "content-length", "3", "content-length", "3"), ErrLength},
	{"9113 8.1.1", "a length and no content", get(1, "content-length", "3"), ErrTooShort},
	{"9113 8.1.1", "less content than its length", post(1, "content-length", "3") + data(1, true, "ab"), ErrTooShort},
	{"9113 8.1.1", "more content than its length", post(1, "content-length", "3") + data(1, false, "abcd"), ErrTooLong},
	{"9113 8.1.1", "more content, later", post(1, "content-length", "3") + data(1, false, "abc") + data(1, true, "d"), ErrTooLong},
	{"9113 8.1.1", "less content, then trailers", post(1, "content-length", "3") + data(1, false, "ab") + headers(1, true, "a", "b"), ErrTooShort},
	{"9113 8.1", "trailers that end nothing", post(1) + headers(1, false, "a", "b"), ErrTrailersEnd},
	{"9113 8.1", "a pseudo-header field in trailers", post(1) + headers(1, true, ":path", "/"), ErrTrailerPseudo},
	{"9110 6.5.1", "a length in trailers", post(1) + headers(1, true, "content-length", "0"), ErrTrailerName},
	{"9110 6.5.1", "Host in trailers", post(1) + headers(1, true, "host", "h"), ErrTrailerName},
	{"9113 8.2.2", "Transfer-Encoding in trailers", post(1) + headers(1, true, "transfer-encoding", "chunked"), ErrConnectionField},
	{"9113 8.2.1", "a bad name in trailers", post(1) + headers(1, true, "A", "b"), ErrName},
	{"9113 8.5", "trailers in a tunnel", headers(1, false, ":method", "CONNECT", ":authority", "h:1") + headers(1, true, "a", "b"), ErrConnect},
	{"9113 5.1", "DATA behind the end", get(1) + data(1, false, "a"), ErrHalfClosed},
	{"9113 5.1", "HEADERS behind the end", get(1) + headers(1, true, "a", "b"), ErrHalfClosed},
	{"7540 5.3.1", "a stream that depends on itself", frame(typeHeaders, flagEndHeaders|flagEndStream|flagPriority, 1,
		"\x00\x00\x00\x01\x10"+block(pseudo("GET")...)), ErrDependency},
	{"7540 5.3.1", "PRIORITY of a stream on itself", post(1) + frame(typePriority, 0, 1, "\x00\x00\x00\x01\x10"), ErrDependency},
	{"9113 6.3", "PRIORITY of another length", post(1) + frame(typePriority, 0, 1, "\x00\x00\x00\x03"), ErrPriorityLength},
	{"9113 6.9", "a WINDOW_UPDATE of 0", post(1) + update(1, 0), ErrStreamUpdate},
	{"9113 6.9.1", "a window above 2^31-1", post(1) + update(1, 1<<31-1), ErrStreamOverflow},
}

func TestMalformedRequestsAreReset(t *testing.T) {
	for _, row := range badRequests {
		s := ready(t, nil)
		s.feed(row.in + get(3))
		frames := s.frames()
		if len(frames) != 1 || frames[0] != "1 reset "+codeName(row.want.Code) {
			t.Errorf("RFC %s: %s: sent %q, want a reset with %s", row.section, row.why, frames, codeName(row.want.Code))
		}
		if got := joinData(s.said()); got != "3 GET / scheme=https authority=h path=/ end" || s.c.Err() != nil {
			t.Errorf("RFC %s: %s: %q, %v", row.section, row.why, got, s.c.Err())
		}
		if n := s.shared.Counters; n.Faults != 1 || n.Hidden != 1 {
			t.Errorf("RFC %s: %s: counted %+v", row.section, row.why, n)
		}
		s.check()

		// Cut anywhere, the owner may have heard of the stream. Then it hears of
		// the end, too, with the reason.
		for i := 1; i < len(row.in); i++ {
			s := ready(t, nil)
			s.feed(row.in[:i])
			s.feed(row.in[i:] + get(3))
			said := joinData(s.said())
			wantReset := strings.HasPrefix(said, "1 ")
			if wantReset != strings.Contains(said, "1 reset "+row.want.Text) ||
				!strings.HasSuffix(said, "3 GET / scheme=https authority=h path=/ end") {
				t.Errorf("RFC %s: %s: cut at %d: %q", row.section, row.why, i, said)
			}
			s.check()
		}
	}
}

// What breaks the rules of the connection ends it, with GOAWAY.
var badConnections = []struct {
	section, why, in string
	want             *Error
}{
	{"9113 6.5.3", "an acknowledgement of nothing", ackSettings, ErrAck},
	{"9113 4.2", "a frame that is too long", string(appendHeader(nil, frameSize+1, typeData, 0, 1)), ErrFrameSize},
	{"9113 5.1", "DATA on an idle stream", data(1, true, "a"), ErrIdle},
	{"9113 5.1", "RST_STREAM on an idle stream", reset(1, Cancel), ErrIdle},
	{"9113 5.1", "WINDOW_UPDATE on an idle stream", update(1, 1), ErrIdle},
	{"9113 5.1.1", "a stream with an even number", get(2), ErrStreamID},
	{"9113 5.1.1", "numbers that go back", get(5) + get(3), ErrStreamID},
	{"9113 5.1", "HEADERS on a stream that the client has reset", post(1) + reset(1, Cancel) + get(1), ErrClosed},
	{"9113 5.1", "DATA on a stream that the client has reset", post(1) + reset(1, Cancel) + data(1, true, "a"), ErrClosed},
	{"9113 6.1", "DATA on stream 0", data(0, false, "a"), ErrStreamID},
	{"9113 6.1", "more padding than frame", post(1) + frame(typeData, flagPadded, 1, "\x04abc"), ErrPadding},
	{"9113 6.1", "padding without its length", post(1) + frame(typeData, flagPadded, 1, ""), ErrFrameLength},
	{"9113 6.2", "HEADERS on stream 0", headers(0, true), ErrStreamID},
	{"9113 6.2", "more padding than frame", frame(typeHeaders, flagPadded|flagEndHeaders, 1, "\x05abc"), ErrPadding},
	{"9113 6.2", "a cut priority", frame(typeHeaders, flagPriority|flagEndHeaders, 1, "abc"), ErrFrameLength},
	{"9113 6.3", "PRIORITY on stream 0", frame(typePriority, 0, 0, "\x00\x00\x00\x01\x10"), ErrStreamID},
	{"9113 6.4", "RST_STREAM on stream 0", reset(0, Cancel), ErrStreamID},
	{"9113 6.4", "RST_STREAM of another length", get(1) + frame(typeReset, 0, 1, "abc"), ErrFrameLength},
	{"9113 6.5", "SETTINGS on a stream", frame(typeSettings, 0, 1, ""), ErrStreamID},
	{"9113 6.5", "SETTINGS of another length", settingsOf("abc"), ErrFrameLength},
	{"9113 6.5", "an acknowledgement with content", frame(typeSettings, flagAck, 0, setting(1, 1)), ErrFrameLength},
	{"9113 6.5.2", "ENABLE_PUSH of 2", settingsOf(setting(setEnablePush, 2)), ErrSetting},
	{"8441 3", "ENABLE_CONNECT_PROTOCOL of 2", settingsOf(setting(setConnectProtocol, 2)), ErrSetting},
	{"9113 6.5.2", "an initial window above 2^31-1", settingsOf(setting(setInitialWindow, 1<<31)), ErrInitialWindow},
	{"9113 6.5.2", "a frame size below the default", settingsOf(setting(setMaxFrameSize, frameSize-1)), ErrSetting},
	{"9113 6.5.2", "a frame size above 2^24-1", settingsOf(setting(setMaxFrameSize, 1<<24)), ErrSetting},
	{"9218 2.1", "NO_RFC7540_PRIORITIES of 2", settingsOf(setting(setNoPriorities, 2)), ErrSetting},
	{"9113 6.9.2", "an initial window that overflows that of a stream", post(1) + update(1, 1000) + settingsOf(setting(setInitialWindow, 1<<31-1)), ErrWindowOverflow},
	{"9113 6.6", "PUSH_PROMISE", frame(typePush, flagEndHeaders, 1, u32(2)), ErrPush},
	{"9113 6.7", "PING on a stream", frame(typePing, 0, 1, "12345678"), ErrStreamID},
	{"9113 6.7", "PING of another length", frame(typePing, 0, 0, "1234567"), ErrFrameLength},
	{"9113 6.8", "GOAWAY on a stream", frame(typeGoAway, 0, 1, u32(0)+u32(0)), ErrStreamID},
	{"9113 6.8", "GOAWAY that is too short", frame(typeGoAway, 0, 0, u32(0)), ErrFrameLength},
	{"9113 6.9", "WINDOW_UPDATE of another length", frame(typeWindowUpdate, 0, 0, "abc"), ErrFrameLength},
	{"9113 6.9", "WINDOW_UPDATE of 0", update(0, 0), ErrZeroUpdate},
	{"9113 6.9.1", "a window above 2^31-1", update(0, 1<<31-1), ErrWindowOverflow},
	{"9113 6.10", "CONTINUATION of nothing", frame(typeContinuation, flagEndHeaders, 1, ""), ErrContinuation},
	{"9113 6.10", "CONTINUATION behind the end of the head", get(1) + frame(typeContinuation, flagEndHeaders, 1, ""), ErrContinuation},
	{"9113 6.10", "another frame instead of CONTINUATION", frame(typeHeaders, 0, 1, "") + frame(typePing, 0, 0, "12345678"), ErrHeaders},
	{"9113 6.10", "CONTINUATION on another stream", frame(typeHeaders, 0, 1, "") + frame(typeContinuation, flagEndHeaders, 3, ""), ErrHeaders},
	{"9113 6.10", "an unknown frame instead of CONTINUATION", frame(typeHeaders, 0, 1, "") + frame(0x99, 0, 1, ""), ErrHeaders},
	{"7541 2.3.3", "an index beyond the tables", frame(typeHeaders, flagEndHeaders, 1, "\xbe"), ErrCompression},
	{"7541 2.3.3", "index 0", frame(typeHeaders, flagEndHeaders, 1, "\x80"), ErrCompression},
	{"7541 4.2", "a table size above ours", frame(typeHeaders, flagEndHeaders, 1, "\x3f\xe2\x1f"), ErrCompression},
	{"7541 4.2", "a table size behind a field", frame(typeHeaders, flagEndHeaders, 1, "\x82\x20"), ErrCompression},
	{"7541 5.1", "an integer without end", frame(typeHeaders, flagEndHeaders, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ErrCompression},
	{"7541 5.2", "a string longer than the block", frame(typeHeaders, flagEndHeaders, 1, "\x00\x05ab"), ErrCompression},
	{"7541 5.2", "EOS in a string", frame(typeHeaders, flagEndHeaders, 1, "\x00\x84\xff\xff\xff\xff\x00"), ErrCompression},
	{"7541 5.2", "padding of eight bits", frame(typeHeaders, flagEndHeaders, 1, "\x00\x82\x1f\xff\x00"), ErrCompression},
	{"7541 5.2", "padding that is not ones", frame(typeHeaders, flagEndHeaders, 1, "\x00\x81\x18\x00"), ErrCompression},
	{"9218 7.1", "PRIORITY_UPDATE on a stream", frame(typePriorityUpdate, 0, 1, u32(1)), ErrStreamID},
	{"9218 7.1", "PRIORITY_UPDATE for stream 0", frame(typePriorityUpdate, 0, 0, u32(0)), ErrPriority},
	{"9218 7.1", "PRIORITY_UPDATE that is too short", frame(typePriorityUpdate, 0, 0, "abc"), ErrFrameLength},
	{"9113 5.4.2", "a stream error on an idle stream", frame(typePriority, 0, 1, "abc"), ErrPriorityLength},
}

func TestConnectionErrors(t *testing.T) {
	for _, row := range badConnections {
		for cut := 0; cut <= len(row.in); cut++ {
			s := ready(t, nil)
			s.feed(row.in[:cut])
			s.feed(row.in[cut:] + get(99))
			if s.c.Err() != row.want {
				t.Errorf("RFC %s: %s: cut at %d: %v, want %v", row.section, row.why, cut, s.c.Err(), row.want)
				break
			}
			s.wantEnd(row.want)
			said := s.said()
			if len(said) == 0 || said[len(said)-1] != "failed "+row.want.Text {
				t.Errorf("%s: %q", row.why, said)
			}
			if cut == 0 && len(said) != 1 {
				t.Errorf("%s: nobody should hear of requests in front of it: %q", row.why, said)
			}
		}
	}
}

func TestPreface(t *testing.T) {
	for _, row := range []struct{ why, in string }{
		{"HTTP/1", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"almost", Preface[:23] + "x" + settingsOf("")},
		{"no SETTINGS", Preface + get(1)},
		{"an acknowledgement first", Preface + ackSettings},
		{"an unknown frame first", Preface + frame(0x99, 0, 0, "")},
	} {
		s := newSide(t, nil)
		s.feed(row.in)
		if s.c.Err() != ErrPreface {
			t.Errorf("%s: %v", row.why, s.c.Err())
		}
	}
	s := newSide(t, nil)
	s.wantFrames("settings 3=128 6=16384 8=1 9=1", "0 window +983041")
	s.feed(Preface + settingsOf(setting(setEnablePush, 0)))
	s.wantFrames("settings ack")
}
