package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/httpsys/httpsys"
	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// fragmentKit is an application with a registration.
type fragmentKit struct {
	*testkit.Daemon
	app  *testkit.App
	reg  *testkit.Registration
	base string // the URL of the registration, without the slash
	last uint32
}

func newFragments(t *testing.T) *fragmentKit {
	d := testkit.Start(t, testkit.Options{})
	app := d.App(testkit.AppOptions{Credit: 10})
	reg := app.Register("http://+:0/")
	return &fragmentKit{Daemon: d, app: app, reg: reg, base: strings.TrimSuffix(reg.URL, "/"), last: 1000}
}

// add stores a fragment, and returns its name in canonical form.
func (k *fragmentKit) add(t *testing.T, name, tags, data string, ttlMS uint64, each int) (string, *channel.Error) {
	t.Helper()
	k.last++
	k.app.Send(testkit.Fragment(k.last, ttlMS, name, tags, data, each))
	f := k.app.Want(channel.Reply)
	if f.Stream != k.last {
		t.Fatalf("REPLY %d to FRAGMENT %d", f.Stream, k.last)
	}
	var m channel.ReplyMessage
	var r channel.FragmentResult
	if err := json.Unmarshal(f.Payload, &m); err != nil {
		t.Fatal(err)
	}
	if m.Error == nil {
		if err := json.Unmarshal(m.Result, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r.URL, m.Error
}

func (k *fragmentKit) mustAdd(t *testing.T, path, data string) string {
	t.Helper()
	url, cerr := k.add(t, k.base+path, "", data, 0, 1<<17)
	if cerr != nil {
		t.Fatal(cerr)
	}
	return url
}

func (k *fragmentKit) read(t *testing.T, name string, offset, length int64) (string, *channel.Error) {
	t.Helper()
	raw, cerr := k.app.Call("read_fragment", channel.ReadFragmentParams{URL: name, Offset: offset, Length: length})
	if cerr != nil {
		return "", cerr
	}
	var r channel.ReadFragmentResult
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s of %d", r.Data, r.Size), nil
}

// respond answers the next request with a body of pieces.
func (k *fragmentKit) respond(flags channel.Flags, fields []string, pieces ...string) *testkit.Request {
	r := k.app.Request()
	r.Send(testkit.Response(r.Stream, flags|channel.FlagPieces, 200, fields, testkit.Pieces(pieces...)))
	return r
}

const endCredit = testkit.END | testkit.CREDIT

// Responses are made of bytes and of what is stored.
func TestFragments(t *testing.T) {
	k := newFragments(t)
	menu, foot := k.mustAdd(t, "/menu", "<menu>"), k.mustAdd(t, "/foot?lang=de", "<foot>")
	c := k.Dial(k.reg)

	c.Get("/a")
	k.respond(endCredit, fields("X: y"), "→"+menu, "text", "→"+foot)
	if r := c.WantStatus(200); r.Body != "<menu>text<foot>" || r.Field("Content-Length") != "16" {
		t.Errorf("%q, length %s", r.Body, r.Field("Content-Length"))
	}
	c.Get("/range") // some of it, and a spelling that is not canonical
	r := k.app.Request()
	body := channel.AppendPieceOf(nil, strings.Replace(menu, "/menu", "/x/../%6Denu", 1), 1, 4)
	r.Send(testkit.Response(r.Stream, endCredit|channel.FlagPieces, 200, nil, string(body)))
	if r := c.WantStatus(200); r.Body != "menu" {
		t.Errorf("%q", r.Body)
	}
	c.Send("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n")
	k.respond(endCredit, nil, "→"+menu, "text")
	if r, err := c.TryResponseTo("HEAD"); err != nil || r.Field("Content-Length") != "10" {
		t.Errorf("HEAD: %+v, %v", r, err)
	}
	// In pieces of the response: chunked, and held to a length that was promised.
	c.Get("/chunked")
	r = k.respond(0, nil, "one", "→"+menu)
	r.Send(testkit.Data(r.Stream, channel.FlagPieces, testkit.Pieces("→"+foot, "two")))
	r.Finish("three")
	if r := c.WantStatus(200); r.Body != "one<menu><foot>twothree" || r.Field("Transfer-Encoding") != "chunked" {
		t.Errorf("%q", r.Body)
	}
	c.Get("/length")
	r = k.respond(0, fields("Content-Length: 12"), "→"+menu)
	r.Send(testkit.Data(r.Stream, endCredit|channel.FlagPieces, testkit.Pieces("→"+foot)))
	if r := c.WantStatus(200); r.Body != "<menu><foot>" {
		t.Errorf("%q", r.Body)
	}
	c.Get("/empty")
	k.respond(endCredit, nil)
	if r := c.WantStatus(200); r.Body != "" || r.Field("Content-Length") != "0" {
		t.Errorf("%q", r.Body)
	}
	// A longer one takes the place of the first.
	k.mustAdd(t, "/menu", "<another menu>")
	c.Get("/b")
	k.respond(endCredit, nil, "→"+menu)
	if r := c.WantStatus(200); r.Body != "<another menu>" {
		t.Errorf("%q", r.Body)
	}
	// Nobody gets a fragment by asking for its name.
	c.Get("/menu")
	k.app.Request().Respond(404, nil, "no")
	c.WantStatus(404)
	// A response that is too short for what was promised is cut.
	c.Get("/short")
	k.respond(endCredit, fields("Content-Length: 20"), "→"+menu)
	if _, err := c.TryResponse(); err == nil {
		t.Error("a response that is shorter than its length")
	}
}

// What is not there costs the stream: 500, or the connection if the response had begun. The application is told.
func TestFragmentMissing(t *testing.T) {
	k := newFragments(t)
	menu := k.mustAdd(t, "/menu", "<menu>")
	for _, tc := range []struct{ piece, why string }{
		{"→" + k.base + "/gone", "is not stored"},
		{"→no url", "want http://"},
		{"→" + k.base + "/" + strings.Repeat("\x01", 300), "url"},
		{string([]byte("→")) + strings.Replace(menu, "http:", "https:", 1), "is not stored"},
	} {
		c := k.Dial(k.reg)
		c.Get("/")
		r := k.respond(endCredit, nil, "before", tc.piece)
		if a := c.WantStatus(500); strings.Contains(a.Body, "gone") {
			t.Errorf("the client learns the name: %s", a.Body)
		}
		f := r.Next()
		if f.Type != channel.Cancel || f.Value != channel.CancelRefused || !strings.Contains(string(f.Payload), tc.why) {
			t.Errorf("%q: %v %q", tc.piece, f, f.Payload)
		}
	}
	c := k.Dial(k.reg)
	c.Get("/")
	r := k.app.Request()
	r.Send(testkit.Response(r.Stream, endCredit|channel.FlagPieces, 200, nil, string(channel.AppendPieceOf(nil, menu, 3, 4))))
	c.WantStatus(500)
	r.WantCancel(channel.CancelRefused)

	c = k.Dial(k.reg)
	c.Get("/")
	r = k.app.Request()
	r.Start(200, nil, "begun")
	r.Send(testkit.Data(r.Stream, channel.FlagPieces, testkit.Pieces("→"+k.base+"/gone")))
	if a, err := c.TryResponse(); err == nil {
		t.Errorf("a whole response: %+v", a)
	}
	r.WantCancel(channel.CancelRefused)
	r.Send(testkit.Cancel(r.Stream, testkit.CREDIT, 0))
	// The application goes on.
	c = k.Dial(k.reg)
	c.Get("/")
	k.respond(endCredit, nil, "→"+menu)
	c.WantStatus(200)
}

// Who may store what, and what is said to who may not.
func TestFragmentRights(t *testing.T) {
	k := newFragments(t)
	other := k.App(testkit.AppOptions{Credit: 10})
	theirs := other.Register(fmt.Sprintf("http://+:%d/theirs/", k.reg.Port))
	for _, tc := range []struct {
		name, tags string
		ttl        uint64
		code       channel.Code
	}{
		{"nonsense", "", 0, channel.InvalidParameter},
		{"http://+:1/x", "", 0, channel.AccessDenied},
		{strings.Replace(k.base, "http:", "https:", 1) + "/x", "", 0, channel.AccessDenied},
		{k.base + "/x", "", 999, channel.InvalidParameter},
		{k.base + "/a\x00b", "", 0, channel.InvalidParameter},
		{k.base + "/?a b", "", 0, channel.InvalidParameter},
	} {
		for _, each := range []int{1 << 17, 4} { // also if it comes in pieces
			if _, cerr := k.add(t, tc.name, tc.tags, "some bytes", tc.ttl, each); cerr == nil || cerr.Code != tc.code {
				t.Errorf("%q: %v; want %s", tc.name, cerr, tc.code)
			}
		}
	}
	// Another queue's is not found, read, or removed; the same name can be one's own.
	mine := k.mustAdd(t, "/theirs/x", "mine")
	c := k.Dial(k.reg)
	c.Get("/theirs/page")
	r := other.Request()
	r.Send(testkit.Response(r.Stream, endCredit|channel.FlagPieces, 200, nil, testkit.Pieces("→"+mine)))
	c.WantStatus(500)
	if _, cerr := other.Call("delete_fragment", channel.FragmentParams{URL: mine}); cerr == nil || cerr.Code != channel.NotFound {
		t.Errorf("delete another's: %v", cerr)
	}
	if _, cerr := other.Call("read_fragment", channel.ReadFragmentParams{URL: mine}); cerr == nil || cerr.Code != channel.NotFound {
		t.Errorf("read another's: %v", cerr)
	}
	if _, cerr := other.Call("read_fragment", channel.ReadFragmentParams{URL: k.base + "/menu"}); cerr == nil || cerr.Code != channel.AccessDenied {
		t.Errorf("read outside: %v", cerr)
	}
	if _, cerr := k.app.Call("read_fragment", channel.ReadFragmentParams{URL: mine, Offset: -1}); cerr == nil || cerr.Code != channel.InvalidParameter {
		t.Errorf("negative: %v", cerr)
	}
	_ = theirs
	if got, cerr := k.read(t, mine, 1, 2); got != "in of 4" || cerr != nil {
		t.Errorf("%q, %v", got, cerr)
	}
	if got, cerr := k.read(t, mine, 99, 0); got != " of 4" || cerr != nil {
		t.Errorf("%q, %v", got, cerr)
	}
}

// What ends a fragment.
func TestFragmentEnds(t *testing.T) {
	k := newFragments(t)
	gone := func(name string) {
		t.Helper()
		if got, cerr := k.read(t, name, 0, 0); cerr == nil || cerr.Code != channel.NotFound {
			t.Errorf("%s: still %q", name, got)
		}
	}
	there := func(name string) {
		t.Helper()
		if _, cerr := k.read(t, name, 0, 0); cerr != nil {
			t.Errorf("%s: %v", name, cerr)
		}
	}
	a, b, c := k.mustAdd(t, "/a", "a"), k.mustAdd(t, "/tree/b", "b"), k.mustAdd(t, "/tree/c", "c")
	if _, cerr := k.app.Call("delete_fragment", channel.FragmentParams{URL: a}); cerr != nil {
		t.Error(cerr)
	}
	gone(a)
	if _, cerr := k.app.Call("delete_fragment", channel.FragmentParams{URL: a}); cerr == nil || cerr.Code != channel.NotFound {
		t.Errorf("twice: %v", cerr)
	}
	k.app.Call("flush", channel.FlushParams{URL: b})
	gone(b)
	there(c)
	k.app.Call("flush", channel.FlushParams{URL: k.base + "/tree", Recursive: true})
	gone(c)
	tagged, _ := k.add(t, k.base+"/tagged", "red, blue", "x", 0, 100)
	k.app.Call("flush", channel.FlushParams{Tag: "green"})
	there(tagged)
	k.app.Call("flush", channel.FlushParams{Tag: "blue"})
	gone(tagged)
	// An unsafe request for the URL changes what it returns, and a fragment is not what it returns.
	posted := k.mustAdd(t, "/posted", "x")
	client := k.Dial(k.reg)
	client.Get("/cached")
	k.app.Request().Respond(200, fields("Cache-Control: max-age=60"), "x")
	client.WantStatus(200)
	client.Send("POST /posted HTTP/1.1\r\nHost: +:" + strconv.Itoa(int(k.reg.Port)) + "\r\nContent-Length: 0\r\n\r\n")
	k.app.Request().Respond(204, nil, "")
	client.TryResponse()
	there(posted)
	// The administrator.
	k.DeleteCache(control.DeleteCacheParams{URL: k.base + "/posted"})
	gone(posted)
	// Its prefix.
	sub := k.app.Register(fmt.Sprintf("http://+:%d/sub/", k.reg.Port))
	below := k.mustAdd(t, "/sub/x", "x")
	k.app.Unregister(sub)
	gone(below)
	// Its time.
	short, cerr := k.add(t, k.base+"/short", "", "x", 1999, 100)
	if cerr != nil {
		t.Fatal(cerr)
	}
	there(short)
	k.Wait("the time of a fragment is over", func(*control.State) bool {
		_, cerr := k.read(t, short, 0, 0)
		return cerr != nil && cerr.Code == channel.NotFound
	})
	// What is left goes with the session.
	k.mustAdd(t, "/left", strings.Repeat("x", 300_000))
	k.app.Close()
	k.Wait("all is free", func(*control.State) bool {
		st, _ := k.CacheState(control.CacheStateParams{}, everyone)
		return st.Size == 0 && st.Count == 0
	})
}

// Bounds: what is too long is refused when all of it has come, and nothing of it is kept.
func TestFragmentLimits(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Config: `{"version":1,"urlacl":[],"cacheparams":{"maxcachesize":1048576,"maxcacheresponsesize":262144}}`})
	app := d.App(testkit.AppOptions{Credit: 10})
	reg := app.Register("http://+:0/")
	k := &fragmentKit{Daemon: d, app: app, reg: reg, base: strings.TrimSuffix(reg.URL, "/")}
	if _, cerr := k.add(t, k.base+"/x", "", strings.Repeat("x", 262145), 0, 50_000); cerr == nil || cerr.Code != channel.Limit {
		t.Errorf("too long: %v", cerr)
	}
	if st, _ := d.CacheState(control.CacheStateParams{}, everyone); st.Size != 0 {
		t.Errorf("%d bytes are taken", st.Size)
	}
	for i := range 40 { // ten times the budget: old ones make room
		if _, cerr := k.add(t, fmt.Sprintf("%s/%d", k.base, i), "", strings.Repeat("x", 262144), 0, 1<<17); cerr != nil {
			t.Fatal(cerr)
		}
		if st, _ := d.CacheState(control.CacheStateParams{}, everyone); st.Size > 1048576 {
			t.Fatalf("%d bytes of 1048576 are taken", st.Size)
		}
	}
	// One that does not come to its end is forgotten with its session.
	k.last++
	half := testkit.Fragment(k.last, 0, k.base+"/half", "", strings.Repeat("x", 200_000), 50_000)
	app.Send(half[:len(half)-60_000])
	app.Close()
	d.Wait("all is free", func(*control.State) bool {
		st, _ := d.CacheState(control.CacheStateParams{}, everyone)
		return st.Size == 0
	})
}

// What breaks the protocol ends the session, with a reason.
func TestFragmentViolations(t *testing.T) {
	frame := func(t channel.Type, f channel.Flags, n uint32, payload string) []byte {
		return channel.AppendFrame(nil, t, f, n, 0, []byte(payload))
	}
	begun := func(k *fragmentKit) []byte {
		b := testkit.Fragment(7, 0, k.base+"/x", "", "0123456789", 5)
		return b[:len(b)-channel.HeaderSize-5]
	}
	for _, tc := range []struct {
		name string
		send func(k *fragmentKit) []byte
	}{
		{"no head", func(*fragmentKit) []byte { return frame(channel.Fragment, 0, 7, "short") }},
		{"no name", func(*fragmentKit) []byte { return frame(channel.Fragment, 0, 7, strings.Repeat("\x00", 20)) }},
		{"a name beyond the frame", func(*fragmentKit) []byte {
			return frame(channel.Fragment, 0, 7, strings.Repeat("\x00", 8)+"\x09\x00\x00\x00"+"\x00\x00\x00\x00"+"12345678")
		}},
		{"another in between", func(k *fragmentKit) []byte { return append(begun(k), frame(channel.Fragment, 0, 8, "x")...) }},
		{"a call in between", func(k *fragmentKit) []byte {
			return append(begun(k), testkit.JSON(channel.Call, 8, channel.CallMessage{Method: "show servicestate"})...)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newFragments(t)
			k.app.Send(tc.send(k))
			k.app.Conn.Refused(channel.InvalidParameter)
		})
	}
	t.Run("pieces", func(t *testing.T) {
		for _, body := range []string{"x", "\x05\x00\x00\x00abcd", "\x04\x00\x00\x80abcd", "\x10\x00\x00\x80" + strings.Repeat("\x00", 16),
			"\x11\x00\x00\x80" + strings.Repeat("\xff", 16) + "x"} {
			k := newFragments(t)
			c := k.Dial(k.reg)
			c.Get("/")
			r := k.app.Request()
			r.Send(testkit.Response(r.Stream, endCredit|channel.FlagPieces, 200, nil, body))
			c.WantStatus(502)
			k.app.Loop().Refused(channel.InvalidParameter)
		}
	})
	t.Run("window", func(t *testing.T) {
		k := newFragments(t)
		name := k.mustAdd(t, "/x", "")
		c := k.Dial(k.reg)
		c.Get("/")
		r := k.app.Request()
		pieces := testkit.Pieces(strings.Split(strings.TrimSuffix(strings.Repeat("→"+name+" ", channel.DefaultWindow/channel.PieceWindowCost+1), " "), " ")...)
		r.Send(testkit.Response(r.Stream, endCredit|channel.FlagPieces, 200, nil, pieces))
		c.WantStatus(502)
		k.app.Loop().Refused(channel.InvalidParameter)
	})
}

// Stored responses that were made of fragments are like any other, and keep the bytes that those had.
func TestFragmentsStored(t *testing.T) {
	k := newFragments(t)
	for _, size := range []int{10, 100_000, 1_500_000} {
		data := strings.Repeat("0123456789", size/10)
		name := k.mustAdd(t, "/big", data)
		c := k.Dial(k.reg)
		path := fmt.Sprintf("/stored/%d", size)
		c.Get(path)
		k.respond(endCredit, fields("Cache-Control: max-age=60", `ETag: "1"`), "<", "→"+name, ">")
		want := "<" + data + ">"
		if r := c.WantStatus(200); r.Body != want || !strings.Contains(r.Field("Cache-Status"), "stored") {
			t.Errorf("%d: %d bytes, %q", size, len(r.Body), r.Field("Cache-Status"))
		}
		k.mustAdd(t, "/big", "changed")
		c.Get(path)
		if r := c.WantStatus(200); r.Body != want || r.Field("Cache-Status") != "httpsys; hit" || r.Field("Content-Length") != strconv.Itoa(len(want)) {
			t.Errorf("%d: hit of %d bytes, %q", size, len(r.Body), r.Field("Cache-Status"))
		}
		c.Send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nRange: bytes=1-5\r\n\r\n")
		if r := c.WantStatus(206); r.Body != "01234" {
			t.Errorf("%d: range %q", size, r.Body)
		}
		c.Send("HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if r, err := c.TryResponseTo("HEAD"); err != nil || r.Field("Content-Length") != strconv.Itoa(len(want)) {
			t.Errorf("%d: HEAD %+v %v", size, r, err)
		}
		// Without a length, as its client takes it.
		name = k.mustAdd(t, "/big", data)
		c.Get(path + "/chunked")
		r := k.respond(0, fields("Cache-Control: max-age=60"), "<", "→"+name)
		r.Finish(">")
		if a := c.WantStatus(200); a.Body != want {
			t.Errorf("%d: %d bytes", size, len(a.Body))
		}
		c.Get(path + "/chunked")
		if a := c.WantStatus(200); a.Body != want || a.Field("Cache-Status") != "httpsys; hit" {
			t.Errorf("%d: hit of %d bytes, %q", size, len(a.Body), a.Field("Cache-Status"))
		}
	}
}

// A large fragment is sent from where it is, to clients who are slow, and to some who leave; what is removed
// meanwhile counts until the last has it.
func TestFragmentStreams(t *testing.T) {
	k := newFragments(t)
	data := make([]byte, 6<<20)
	rand.NewChaCha8([32]byte{}).Read(data)
	name := k.mustAdd(t, "/big", string(data))
	var clients []*testkit.Client
	for range 4 {
		c := k.Dial(k.reg)
		c.Get("/")
		k.respond(endCredit, fields("Content-Type: x/y"), "begin", "→"+name, "→"+name, "end")
		clients = append(clients, c)
	}
	gone := k.Dial(k.reg)
	gone.Get("/")
	k.respond(endCredit, nil, "→"+name)
	gone.Read(100)
	gone.Reset()
	if _, cerr := k.app.Call("delete_fragment", channel.FragmentParams{URL: name}); cerr != nil {
		t.Fatal(cerr)
	}
	st, _ := k.CacheState(control.CacheStateParams{}, everyone)
	if st.Size < int64(len(data)) || st.Count != 0 {
		t.Errorf("%d bytes of the budget, %d entries while it is read", st.Size, st.Count)
	}
	want := "begin" + string(data) + string(data) + "end"
	for i, c := range clients {
		if r := c.WantStatus(200); r.Body != want || r.Field("Content-Length") != strconv.Itoa(len(want)) {
			t.Errorf("client %d: %d bytes, length %s", i, len(r.Body), r.Field("Content-Length"))
		}
	}
	k.Wait("all is free", func(*control.State) bool {
		st, _ := k.CacheState(control.CacheStateParams{}, everyone)
		return st.Size == 0
	})
}

// The same over HTTP/2.
func TestHTTP2Fragments(t *testing.T) {
	d, app, reg, c := oneHTTP2(t, 5)
	k := &fragmentKit{Daemon: d, app: app, reg: reg, base: strings.TrimSuffix(reg.URL, "/"), last: 1000}
	name := k.mustAdd(t, "/x", "<x>")
	c.get(1, "/a")
	k.respond(endCredit, nil, "a", "→"+name)
	c.want("1 status 200", `1 "a<x>" END`)
	c.get(3, "/b")
	r := k.respond(0, nil, "b", "→"+name)
	c.want("3 status 200", `3 "b"`, `3 "<x>"`)
	r.Finish("c")
	c.want(`3 "c" END`)
	c.get(5, "/c")
	k.respond(endCredit, nil, "→"+k.base+"/none")
	c.want("5 status 500")
}

// What the Go package makes of it: net/http's methods around a real daemon.
func TestGoFragments(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 2})
	var book bytes.Buffer
	ready := make(chan string, 1)
	var srv *httpsys.Server
	var url string
	large := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	handle := func(w http.ResponseWriter, r *http.Request) {
		menu, big := url+"menu", url+"big"
		switch r.URL.Path {
		case "/page":
			io.WriteString(w, "<html>")
			if err := httpsys.WriteFragment(w, menu); err != nil {
				t.Error(err)
			}
			io.WriteString(w, "</html>")
		case "/wrapped":
			httpsys.WriteFragmentRange(struct{ wrapper }{wrapper{w}}, menu, 1, 2)
		case "/flushed":
			httpsys.WriteFragment(w, menu)
			w.(http.Flusher).Flush()
			io.WriteString(w, "behind")
			httpsys.WriteFragment(w, big)
			w.Write(large)
			httpsys.WriteFragment(w, menu)
		case "/many":
			for range 300 {
				httpsys.WriteFragment(w, menu)
				io.WriteString(w, ",")
			}
		case "/length":
			w.Header().Set("Content-Length", strconv.Itoa(len(large)))
			httpsys.WriteFragment(w, big)
		case "/trailers":
			w.Header().Set("Trailer", "X")
			httpsys.WriteFragment(w, menu)
			w.Header().Set("X", "y")
		case "/nothing":
			w.WriteHeader(204)
			if err := httpsys.WriteFragment(w, menu); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("with 204: %v", err)
			}
		case "/bad":
			for _, err := range []error{httpsys.WriteFragment(w, ""), httpsys.WriteFragment(w, strings.Repeat("x", 5000)),
				httpsys.WriteFragmentRange(w, menu, -1, 1), httpsys.WriteFragmentRange(w, menu, 1, -2)} {
				if !errors.Is(err, &httpsys.Error{Code: httpsys.InvalidParameter}) {
					t.Errorf("%v", err)
				}
			}
		case "/missing":
			io.WriteString(w, "some text")
			httpsys.WriteFragment(w, url+"none")
		}
	}
	srv = &httpsys.Server{Prefixes: []string{"http://+:0/"}, Socket: d.Socket, Handler: http.HandlerFunc(handle),
		ErrorLog: log.New(&book, "", 0), OnRegistered: func(urls []string) { ready <- urls[0] }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	if err := srv.AddFragment(ctx, "http://+:1/", nil, 0); !errors.Is(err, &httpsys.Error{Code: httpsys.Disconnected}) {
		t.Errorf("before Serve: %v", err)
	}
	go func() { ended <- srv.Serve(ctx) }()
	url = <-ready
	defer func() {
		cancel()
		<-ended
	}()
	for name, data := range map[string][]byte{"menu": []byte("<menu>"), "big": large} {
		if err := srv.AddFragment(ctx, url+name, data, time.Hour, "one", "two"); err != nil {
			t.Fatal(err)
		}
		got, err := srv.ReadFragment(ctx, url+name)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if err := srv.AddFragment(ctx, "http://+:1/", nil, 0); !errors.Is(err, &httpsys.Error{Code: httpsys.AccessDenied}) {
		t.Errorf("not ours: %v", err)
	}
	if err := srv.AddFragment(ctx, url, nil, time.Millisecond); !errors.Is(err, &httpsys.Error{Code: httpsys.InvalidParameter}) {
		t.Errorf("too short: %v", err)
	}
	if err := srv.DeleteFragment(ctx, url+"none"); !errors.Is(err, &httpsys.Error{Code: httpsys.NotFound}) {
		t.Errorf("delete: %v", err)
	}
	if err := httpsys.WriteFragment(httptest.NewRecorder(), url); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a recorder: %v", err)
	}

	host := "http://127.0.0.1:" + url[strings.LastIndexByte(url, ':')+1:]
	get := func(method, path string) (*http.Response, string, error) {
		req, _ := http.NewRequest(method, host+path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, string(body), err
	}
	for _, tc := range []struct{ path, want, length string }{
		{"page", "<html><menu></html>", "19"},
		{"wrapped", "me", "2"},
		{"flushed", "<menu>behind" + string(large) + string(large) + "<menu>", ""},
		{"many", strings.Repeat("<menu>,", 300), ""},
		{"length", string(large), strconv.Itoa(len(large))},
		{"trailers", "<menu>", ""},
		{"nothing", "", ""},
		{"bad", "", "0"},
	} {
		resp, body, err := get("GET", tc.path)
		if err != nil || body != tc.want || resp.Header.Get("Content-Length") != tc.length {
			t.Errorf("%s: %d bytes, %v, %v", tc.path, len(body), resp, err)
		}
		resp, body, err = get("HEAD", tc.path)
		if err != nil || body != "" || tc.length != "" && tc.path != "bad" && resp.Header.Get("Content-Length") != tc.length {
			t.Errorf("HEAD %s: %q, %v, %v", tc.path, body, resp, err)
		}
	}
	if resp, _, _ := get("GET", "page"); resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("type %q", resp.Header.Get("Content-Type"))
	}
	if resp, _, _ := get("GET", "trailers"); resp.Trailer.Get("X") != "y" {
		t.Errorf("trailers %v", resp.Trailer)
	}
	if resp, body, err := get("GET", "missing"); err != nil || resp.StatusCode != 500 {
		t.Errorf("missing: %v %q %v", resp, body, err)
	}
	if n, err := srv.FlushTag(ctx, "two"); n != 2 || err != nil {
		t.Errorf("flushed %d, %v", n, err)
	}
	if resp, _, err := get("GET", "page"); err != nil || resp.StatusCode != 500 {
		t.Errorf("flushed: %v %v", resp, err)
	}
	cancel()
	<-ended
	ended <- nil
	if !strings.Contains(book.String(), "none\" is not stored (any more): add it again") {
		t.Errorf("the log says %q", book.String())
	}
}

// wrapper is what middleware makes of a ResponseWriter.
type wrapper struct{ w http.ResponseWriter }

func (w wrapper) Header() http.Header         { return w.w.Header() }
func (w wrapper) Write(b []byte) (int, error) { return w.w.Write(b) }
func (w wrapper) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w wrapper) Unwrap() http.ResponseWriter { return w.w }
