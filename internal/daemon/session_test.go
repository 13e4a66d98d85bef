package daemon_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/httpsys/httpsys/internal/control"
	"github.com/httpsys/httpsys/internal/testkit"
	"github.com/httpsys/httpsys/internal/wire/channel"
)

// What may be said first (docs/channel.md section 2).
func TestHello(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 2})
	session := d.App(testkit.AppOptions{NoLoops: true})
	secret := session.Welcome.Session
	open := session.OpenLoop(1)
	defer open.Close()
	hello := func(s string) []byte { return channel.AppendFrame(nil, channel.Hello, 0, 0, 0, []byte(s)) }
	loop := func(more string) []byte {
		return hello(fmt.Sprintf(`{"protocol":1,"role":"loop","session":%q%s}`, secret, more))
	}
	for _, tc := range []struct {
		name string
		send []byte
		code channel.Code // "": WELCOME
	}{
		{"a session", hello(`{"protocol":1,"role":"session","program":"x"}`), ""},
		{"members that nobody knows", hello(`{"protocol":1,"role":"session","later":[1,{}]}`), ""},
		{"a later version", hello(`{"protocol":99,"role":"session"}`), ""},
		{"rubbish", []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), channel.InvalidParameter},
		{"zeros", make([]byte, 100), channel.InvalidParameter},
		{"another frame", testkit.Credit(1), channel.InvalidParameter},
		{"no JSON", hello("hello"), channel.InvalidParameter},
		{"JSON that is no object", hello("[1]"), channel.InvalidParameter},
		{"an endless HELLO", channel.AppendHeader(nil, channel.Header{Length: 100_000, Type: channel.Hello}), channel.InvalidParameter},
		{"no version", hello(`{"role":"session"}`), channel.Unsupported},
		{"no role", hello(`{"protocol":1}`), channel.InvalidParameter},
		{"an unknown role", hello(`{"protocol":1,"role":"x"}`), channel.InvalidParameter},
		{"a loop without a session", hello(`{"protocol":1,"role":"loop"}`), channel.NotFound},
		{"a loop of a session that is not there", hello(`{"protocol":1,"role":"loop","session":"00112233"}`), channel.NotFound},
		{"a loop too many", loop(`,"loop":2`), channel.InvalidParameter},
		{"a negative loop", loop(`,"loop":-1`), channel.InvalidParameter},
		{"a loop that is open", loop(`,"loop":1`), channel.AlreadyExists},
		{"a window too small", loop(`,"window":16383`), channel.InvalidParameter},
		{"a window too large", loop(`,"window":16777217`), channel.InvalidParameter},
		{"a negative window", loop(`,"window":-1`), channel.InvalidParameter},
		{"too much credit", loop(`,"credit":65536`), channel.InvalidParameter},
	} {
		d.Run(tc.name, func(t *testing.T) {
			c := d.Connect()
			c.Send(tc.send)
			wantHello(t, c, tc.code)
		})
		d.Run(tc.name+" byte by byte", func(t *testing.T) {
			c := d.Connect()
			for i := range tc.send {
				if c.TrySend(tc.send[i:i+1]) != nil {
					break // refused as soon as it is clear
				}
			}
			wantHello(t, c, tc.code)
		})
	}
}

func wantHello(t *testing.T, c *testkit.Conn, code channel.Code) {
	t.Helper()
	if code != "" {
		if text := c.Refused(code); text == "" || strings.Contains(text, "\n") {
			t.Errorf("the reason is %q", text)
		}
		return
	}
	var w channel.WelcomeMessage
	if err := json.Unmarshal(c.Want(channel.Welcome).Payload, &w); err != nil || w.Protocol != channel.Version {
		t.Errorf("WELCOME %+v, %v", w, err)
	}
	if w.Session == "" && w.Window != channel.DefaultWindow ||
		w.Session != "" && (w.Loops != 2 || strings.Join(w.Capabilities, " ") != "begun certificate connections file fragments opaque socket") {
		t.Errorf("WELCOME %+v", w)
	}
}

// The descriptor that HELLO of a loop may bring is a file in memory, and
// others are not kept.
func TestHelloDescriptors(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	session := d.App(testkit.AppOptions{NoLoops: true})
	hello := testkit.JSON(channel.Hello, 0, channel.HelloMessage{Protocol: 1, Role: channel.RoleLoop, Session: session.Welcome.Session})
	memory, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memory)
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	for _, fds := range [][]int{{int(pipe.Fd())}, {memory, memory}, {memory, int(pipe.Fd())}} {
		c := d.Connect()
		c.SendFiles(hello, fds...)
		c.Refused(channel.InvalidParameter)
	}
	// Descriptors with every byte: refused before there are many.
	c := d.Connect()
	for i := range hello {
		if c.TrySendFiles(hello[i:i+1], memory, memory, memory) != nil {
			break
		}
	}
	c.Refused(channel.InvalidParameter)
	// A session takes none, and says nothing about it.
	c = d.Connect()
	c.SendFiles(testkit.JSON(channel.Hello, 0, channel.HelloMessage{Protocol: 1, Role: channel.RoleSession}), memory)
	c.Want(channel.Welcome)
	// A memory file without the number: all that was sent counts as begun.
	l := d.Connect()
	l.Hello(channel.HelloMessage{Role: channel.RoleLoop, Session: session.Welcome.Session, Credit: 1}, memory)
	client := d.Dial(session.Register("http://+:0/"))
	client.Get("/")
	l.Want(channel.Request)
	l.Close()
	client.WantStatus(502)
}

// Who says nothing is closed.
func TestSilentConnections(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Hello: short * time.Millisecond})
	app := d.App(testkit.AppOptions{Credit: 1}) // the bound does not hold for it any more
	hello := testkit.JSON(channel.Hello, 0, channel.HelloMessage{Protocol: 1, Role: channel.RoleSession})
	for _, said := range [][]byte{nil, hello[:5], hello[:20]} {
		c := d.Connect()
		c.Send(said)
		c.Refused(channel.InvalidParameter)
	}
	app.Register("http://+:0/")
}

// The end of the daemon does not wait for them.
func TestShutdownDoesNotWaitForSilentConnections(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	c := d.Connect()
	d.App(testkit.AppOptions{NoLoops: true}).Close() // the daemon has accepted c, too
	start := time.Now()
	d.Shutdown()
	if took := time.Since(start); took > daemonHello/2 {
		t.Errorf("Shutdown took %v", took)
	}
	c.Ended()
}

const daemonHello = 10 * time.Second

// A session ends with its session connection, and with any of its loops.
func TestSessionEnds(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 2})
	for name, end := range map[string]func(*testkit.App){
		"session": func(a *testkit.App) { a.Conn.Close() },
		"loop":    func(a *testkit.App) { a.Loops[1].Close() },
	} {
		d.Run(name, func(t *testing.T) {
			app := d.App(testkit.AppOptions{})
			reg := app.Register("http://+:0/")
			end(app)
			if name == "loop" {
				app.WantEnd()
			}
			app.Loops[0].WantEnd()
			d.Wait("no sessions and no ports", func(st *control.State) bool { return len(st.Sessions) == 0 && len(st.Ports) == 0 })
			if c, err := testkit.TryDial(fmt.Sprintf("127.0.0.1:%d", reg.Port)); err == nil {
				c.Close()
				t.Error("the port is still open")
			}
		})
	}
}

// A loop connection may end in order: GOAWAY both ways, then the requests that
// are there, then the end (docs/channel.md section 7).
func TestGoAway(t *testing.T) {
	d, app, reg, c := one(t, testkit.AppOptions{Credit: 5})
	c.Get("/running")
	r := app.Request()
	app.Loop().Send(testkit.GoAway())
	app.Loop().Want(channel.GoAway)
	late := d.Dial(reg)
	late.Get("/late")
	d.Waiting(1)
	app.Loop().Send(testkit.Credit(5)) // of no use any more
	r.Start(200, nil, "hello")
	r.Finish("")
	app.Loop().CloseWrite()
	app.Loop().Ended()
	if got := c.WantStatus(200).Body; got != "hello" {
		t.Errorf("got %q", got)
	}
	// The session goes on, and may open the loop again.
	l := app.OpenLoop(0)
	l.Send(testkit.Credit(1))
	next := l.Request()
	if next.Target != "/late" {
		t.Errorf("got %s", next.Text())
	}
	next.Respond(200, nil, "")
	late.WantStatus(200)
}

// What is still open when the loop ends so is cut, or goes to another worker.
func TestGoAwayWithOpenRequests(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	apps, reg := shared(d, 2, testkit.AppOptions{Begun: true})
	a, b := apps[0], apps[1]
	a.Loop().Send(testkit.Credit(3))
	var clients []*testkit.Client
	for i := range 3 {
		c := d.Dial(reg)
		c.Get(fmt.Sprintf("/%d", i))
		if r := a.Request(); i == 0 {
			r.Start(200, nil, "begun")
		}
		clients = append(clients, c)
	}
	a.Loop().SetBegun(2)
	a.Loop().Send(testkit.GoAway())
	a.Loop().Want(channel.GoAway)
	a.Loop().CloseWrite()
	a.Loop().WantEnd()
	if r, err := clients[0].TryResponse(); err == nil {
		t.Errorf("the first client got %+v", r)
	}
	clients[1].WantStatus(502)
	b.Loop().Send(testkit.Credit(1))
	r := b.Request()
	if r.Target != "/2" {
		t.Errorf("got %s", r.Text())
	}
	r.Respond(200, nil, "")
	clients[2].WantStatus(200)
}

// Named queues are shared by the processes of one user (section 3.2).
func TestSharedRegistrations(t *testing.T) {
	d := testkit.Start(t, testkit.Options{})
	apps, reg := shared(d, 2, testkit.AppOptions{Credit: 1})
	other := d.App(testkit.AppOptions{Program: "other"})
	for _, queue := range []string{"", "another"} {
		_, err := other.TryRegister(channel.RegisterParams{URL: reg.URL, Queue: queue})
		if err == nil || err.Code != channel.AlreadyExists || !strings.Contains(err.Message, "worker") {
			t.Errorf("queue %q: %v, want already_exists by a worker", queue, err)
		}
	}
	if n := len(d.State().Queues); n != 1 {
		t.Errorf("%d queues are there", n)
	}
	// Whoever has registered may give it up, and nobody else.
	if _, err := other.Call("unregister", channel.UnregisterParams{ID: reg.ID}); err == nil || err.Code != channel.NotFound {
		t.Errorf("unregister by another: %v", err)
	}
	apps[0].Unregister(reg)
	if _, err := apps[0].Call("unregister", channel.UnregisterParams{ID: reg.ID}); err == nil || err.Code != channel.NotFound {
		t.Errorf("unregister twice: %v", err)
	}
	// The other one still has it, and is the only worker.
	c := d.Dial(reg)
	for range 2 {
		c.Get("/")
		apps[1].Request().Respond(200, nil, "")
		c.WantStatus(200)
		apps[1].Loop().Send(testkit.Credit(1))
	}
	apps[1].Close()
	d.Wait("no port", func(st *control.State) bool { return len(st.Ports) == 0 })
	if _, err := other.TryRegister(channel.RegisterParams{URL: reg.URL}); err != nil {
		t.Errorf("a prefix that nobody has any more: %v", err)
	}
}

// The same prefix twice by one session counts twice.
func TestRegisterTwice(t *testing.T) {
	d, app, reg, c := one(t, testkit.AppOptions{})
	again := app.Register(reg.URL)
	if again.ID != reg.ID || again.URL != reg.URL {
		t.Errorf("got %+v, want %+v", again, reg)
	}
	app.Unregister(reg)
	c.Get("/")
	app.Request().Respond(200, nil, "")
	c.WantStatus(200)
	app.Unregister(reg)
	d.Wait("no port", func(st *control.State) bool { return len(st.Ports) == 0 })
}

// A waiting request of a named queue outlives its workers; one of a private
// queue does not.
func TestLastWorkerDies(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 2})
	d.Run("named", func(t *testing.T) {
		app := d.App(testkit.AppOptions{})
		reg := app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Queue: "q"})
		var clients []*testkit.Client
		for range 8 { // on both loops
			c := d.Dial(reg)
			c.Get("/")
			clients = append(clients, c)
		}
		d.Wait("waiting requests", waiting(reg, 8))
		app.Close()
		d.Wait("a queue without workers", func(st *control.State) bool {
			return len(st.Queues) == 1 && st.Queues[0].State == control.Inactive
		})
		successor := d.App(testkit.AppOptions{Credit: 8})
		if got := successor.RegisterWith(channel.RegisterParams{URL: reg.URL, Queue: "q"}); got.ID == reg.ID {
			t.Errorf("the registration has the number of the one before")
		}
		successor.ServeRequests(func(r *testkit.Request) { r.Respond(200, nil, "served") })
		for _, c := range clients {
			if got := c.WantStatus(200).Body; got != "served" {
				t.Errorf("got %q", got)
			}
		}
	})
	d.Run("private", func(t *testing.T) {
		app := d.App(testkit.AppOptions{})
		reg := app.Register("http://+:0/")
		c, late := d.Dial(reg), d.Dial(reg)
		c.Get("/")
		late.Send(post)
		d.Wait("waiting requests", waiting(reg, 2))
		app.Close()
		for _, c := range []*testkit.Client{c, late} {
			if a := c.WantStatus(503); a.Field("Retry-After") == "" {
				t.Errorf("got %s", a.Head)
			}
		}
	})
}

// Requests that were routed before a registration went still arrive (section
// 3.3), and new ones do not.
func TestUnregister(t *testing.T) {
	d, app, reg, c := one(t, testkit.AppOptions{})
	app.Register("http://only.example:" + fmt.Sprint(reg.Port) + "/") // keeps the port open
	running := d.Dial(reg)
	running.Get("/running")
	r := app.Request()
	c.Get("/waiting")
	d.Waiting(1)
	app.Unregister(reg)
	late := d.Dial(reg)
	late.Get("/late")
	late.WantStatus(400)
	r.Respond(200, nil, "")
	running.WantStatus(200)
	w := app.Request()
	if w.Target != "/waiting" || w.Head.Registration != reg.ID {
		t.Errorf("got %s", w.Text())
	}
	w.Respond(200, nil, "")
	c.WantStatus(200)
}

// Connections live on when their port closes, until their response is out.
func TestPortClosesWhileConnectionsLive(t *testing.T) {
	d, app, reg, c := one(t, testkit.AppOptions{Credit: 2})
	idle := d.Dial(reg)
	idle.Get("/")
	app.Request().Respond(200, nil, "")
	idle.WantStatus(200)
	c.Get("/")
	r := app.Request()
	app.Unregister(reg)
	idle.WantEOF()
	if dead, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", reg.Port)); err == nil {
		dead.Close()
		t.Error("the port is still open")
	}
	r.Respond(200, nil, "hello")
	if a := c.WantStatus(200); !a.Close || a.Body != "hello" {
		t.Errorf("got %s%s", a.Head, a.Body)
	}
	c.WantEOF()
}

// What is wrong with a registration is said in one line.
func TestRegisterRefusals(t *testing.T) {
	d, app, reg, _ := one(t, testkit.AppOptions{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	foreign := taken.Addr().(*net.TCPAddr).Port
	n := func(v int64) *int64 { return &v }
	for _, tc := range []struct {
		name string
		p    channel.RegisterParams
		code channel.Code
	}{
		{"grammar", channel.RegisterParams{URL: "http://+:8080"}, channel.InvalidParameter},
		{"no port", channel.RegisterParams{URL: "http://+/"}, channel.InvalidParameter},
		{"a scheme", channel.RegisterParams{URL: "ftp://+:0/"}, channel.InvalidParameter},
		{"limit", channel.RegisterParams{URL: "http://+:0/", Limit: 65536}, channel.InvalidParameter},
		{"a negative limit", channel.RegisterParams{URL: "http://+:0/", Limit: -1}, channel.InvalidParameter},
		{"age", channel.RegisterParams{URL: "http://+:0/", MaxAgeMS: n(-1)}, channel.InvalidParameter},
		{"an age of years", channel.RegisterParams{URL: "http://+:0/", MaxAgeMS: n(1 << 40)}, channel.InvalidParameter},
		{"timeout", channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{EntityBodyMS: n(-1)}}, channel.InvalidParameter},
		{"rate", channel.RegisterParams{URL: "http://+:0/", Timeouts: &channel.Timeouts{MinSendRate: n(-1)}}, channel.InvalidParameter},
		{"a queue with a backslash", channel.RegisterParams{URL: "http://+:0/", Queue: `a`}, channel.InvalidParameter},
		{"a queue with a control character", channel.RegisterParams{URL: "http://+:0/", Queue: "a"}, channel.InvalidParameter},
		{"a queue with a long name", channel.RegisterParams{URL: "http://+:0/", Queue: strings.Repeat("ä", 261)}, channel.InvalidParameter},
		{"a name of the daemon's own", channel.RegisterParams{URL: "http://+:0/", Queue: "private:1"}, channel.InvalidParameter},
		{"a foreign socket", channel.RegisterParams{URL: fmt.Sprintf("http://+:%d/", foreign)}, channel.PortInUse},
		{"an address that is not ours", channel.RegisterParams{URL: "http://192.0.2.1:0/"}, channel.AddressNotAvailable},
		{"the same prefix for another queue", channel.RegisterParams{URL: reg.URL, Queue: "other"}, channel.AlreadyExists},
	} {
		_, err := app.TryRegister(tc.p)
		if err == nil || err.Code != tc.code || err.Message == "" || strings.Contains(err.Message, "\n") {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.code)
		}
	}
	if st := d.State(); len(st.Queues) != 1 || len(st.Ports) != 1 {
		t.Errorf("refused registrations have left %d queues and %d ports", len(st.Queues), len(st.Ports))
	}
	app.RegisterWith(channel.RegisterParams{URL: "http://+:0/", Queue: strings.Repeat("ä", 260), Limit: 65535, MaxAgeMS: n(1<<31 - 1)})
}

// Users (SO_PEERCRED): whose queue it is, who may have which port, and whose
// session a loop may join.
func TestUsers(t *testing.T) {
	testkit.NeedUsers(t)
	d := testkit.Start(t, testkit.Options{})
	alice, bob := &testkit.User{UID: 23001, GID: 23001}, &testkit.User{UID: 23002, GID: 23002}
	a := d.App(testkit.AppOptions{User: alice, Program: "a", Credit: 10})
	reg := a.RegisterWith(channel.RegisterParams{URL: "http://+:0/a/", Queue: "q"})
	at := func(path string) string { return fmt.Sprintf("http://+:%d%s", reg.Port, path) }
	b := d.App(testkit.AppOptions{User: bob, Program: "b", Credit: 10})

	// Two programs of two users share a port.
	breg := b.Register(at("/b/"))
	c := d.Dial(reg)
	c.Get("/a/")
	a.Request().Respond(200, nil, "a")
	c.WantStatus(200)
	c.Get("/b/")
	b.Request().Respond(200, nil, "b")
	c.WantStatus(200)
	b.Unregister(breg)

	// A queue belongs to who made it.
	if _, err := b.TryRegister(channel.RegisterParams{URL: at("/x/"), Queue: "q"}); err == nil || err.Code != channel.AccessDenied || !strings.Contains(err.Message, "23001") {
		t.Errorf("another user's queue: %v", err)
	}
	root := d.App(testkit.AppOptions{})
	root.RegisterWith(channel.RegisterParams{URL: at("/x/"), Queue: "q"})

	// Ports below 1024 are for reservations and for root.
	if _, err := a.TryRegister(channel.RegisterParams{URL: "http://+:81/"}); err == nil || err.Code != channel.AccessDenied || !strings.Contains(err.Message, "httpsys add urlacl") {
		t.Errorf("port 81: %v", err)
	}

	// What is reserved for one is not for others.
	d.Admin(control.AddURLACL, map[string]any{"url": at("/reserved/"), "grants": []map[string]any{{"user": "23001", "listen": true}}})
	if _, err := b.TryRegister(channel.RegisterParams{URL: at("/reserved/x/")}); err == nil || err.Code != channel.AccessDenied {
		t.Errorf("a reserved prefix: %v", err)
	}
	c.Get("/reserved/")
	if r := c.WantStatus(503); r.Field("Retry-After") == "" {
		t.Errorf("got %s", r.Head)
	}
	a.Register(at("/reserved/x/"))
	c.Get("/reserved/x/")
	a.Request().Respond(200, nil, "")
	c.WantStatus(200)

	// The secret of a session is of no use to another user.
	thief := d.AppConn(bob)
	thief.SayHello(channel.HelloMessage{Role: channel.RoleLoop, Session: root.Welcome.Session})
	thief.Refused(channel.NotFound)

	// Groups count.
	d.Admin(control.AddURLACL, map[string]any{"url": at("/group/"), "grants": []map[string]any{{"group": "24000", "listen": true}}})
	member := d.App(testkit.AppOptions{User: &testkit.User{UID: 23003, GID: 23003, Groups: []uint32{24000}}})
	member.Register(at("/group/"))
	if st := d.State(); st.Sessions[0].UID != 23001 || st.Queues[len(st.Queues)-1].OwnerUID != 23001 {
		t.Errorf("the state is %+v", st)
	}
}

// What one user may have is bounded.
func TestUserLimits(t *testing.T) {
	testkit.NeedUsers(t)
	d := testkit.Start(t, testkit.Options{})
	user := &testkit.User{UID: 23001, GID: 23001}
	d.Run("silent connections", func(t *testing.T) {
		// The daemon greets side by side; with so many the last one is beyond the
		// 256 that may be silent, whoever overtakes whom.
		var last *testkit.Conn
		for range 600 {
			last = d.AppConn(user)
		}
		last.Refused(channel.Limit)
		d.App(testkit.AppOptions{NoLoops: true}) // others are not hurt
	})
	d.Run("sessions", func(t *testing.T) {
		for range 1024 {
			d.App(testkit.AppOptions{NoLoops: true, User: user})
		}
		c := d.AppConn(user)
		c.SayHello(channel.HelloMessage{Role: channel.RoleSession})
		c.Refused(channel.Limit)
		d.App(testkit.AppOptions{NoLoops: true, User: &testkit.User{UID: 23002, GID: 23002}})
	})
	d.Wait("no sessions", func(st *control.State) bool { return len(st.Sessions) == 0 })
	d.Run("queues", func(t *testing.T) {
		app := d.App(testkit.AppOptions{NoLoops: true, User: user})
		port := app.Register("http://+:0/").Port
		for i := 0; ; i++ {
			r, err := app.TryRegister(channel.RegisterParams{URL: fmt.Sprintf("http://+:%d/x/", port), Queue: fmt.Sprint(i)})
			if err != nil {
				if err.Code != channel.Limit || i != 1023 {
					t.Errorf("queue %d: %v", i, err)
				}
				break
			}
			app.Unregister(r)
		}
	})
}

// Who has given up the last prefix of a port finds that it refuses connections:
// the answer to unregister comes after the sockets of all loops are closed.
func TestUnregisteredPortRefuses(t *testing.T) {
	d := testkit.Start(t, testkit.Options{Loops: 4})
	app := d.App(testkit.AppOptions{})
	for range 100 {
		reg := app.Register("http://127.0.0.1:0/")
		app.Unregister(reg)
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", reg.Port))
		if err == nil && c.LocalAddr().String() != c.RemoteAddr().String() { // a socket may find itself
			t.Fatalf("port %d still accepts", reg.Port)
		}
		if err == nil {
			c.Close()
		}
	}
}
