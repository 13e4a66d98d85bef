package prefix

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A machine is a Table of names, for tests that tell stories.
type machine struct {
	*testing.T
	Table[string, string]
}

// given makes a machine of lines "register URL as APP" and "reserve URL for USER".
func given(t *testing.T, lines ...string) *machine {
	t.Helper()
	m := &machine{T: t}
	for _, line := range lines {
		f := strings.Fields(line)
		var err error
		switch f[0] {
		case "register":
			err = m.Register(mustParse(t, f[1]), f[3])
		case "reserve":
			err = m.Reserve(mustParse(t, f[1]), f[3])
		default:
			t.Fatal(line)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// wants checks who gets a request: the name of an application, or an outcome. to is "host/path" or "host/path at
// address"; the address is 198.51.100.1 otherwise. The scheme is http and the port 80.
func (m *machine) wants(to, who string) {
	m.Helper()
	url, at, ok := strings.Cut(to, " at ")
	if !ok {
		at = "198.51.100.1"
	}
	i := strings.IndexByte(url, '/')
	path, err := Canonical(nil, []byte(url[i:]))
	if err != nil {
		m.Fatal(err)
	}
	got, o := m.Match(HTTP, 80, []byte(url[:i]), netip.MustParseAddr(at), path)
	if o != Matched {
		if got != "" {
			m.Errorf("%s: the value %q with the outcome %v", to, got, o)
		}
		got = o.String()
	}
	if got != who {
		m.Errorf("%s goes to %s, want %s", to, got, who)
	}
}

// The worked example of HTTP.SYS's documentation of routing.
func TestMatchBuckets(t *testing.T) {
	m := given(t,
		"register http://+:80/vroot/ as app1",
		"register http://adatum.com:80/ as app2",
		"register http://*:80/ as app3")
	m.wants("adatum.com/vroot/x", "app1")
	m.wants("adatum.com/default.htm", "app2")
	m.wants("other.com/file.htm", "app3")
	m.wants("other.com/vroot", "app1")
}

// Strong before explicit before IP-bound before weak; the first bucket with a match ends the search, whatever the
// length of that match.
func TestMatchOrder(t *testing.T) {
	m := given(t,
		"register http://*:80/ as weak",
		"register http://*:80/a/b/c/d/ as weak-deep",
		"register http://192.0.2.1:80/a/ as bound",
		"register http://192.0.2.1:80/a/b/c/ as bound-deep",
		"register http://name:80/a/b/ as explicit",
		"register http://+:80/a/b/c/ as strong")
	m.wants("name/a/b/c/d/ at 192.0.2.1", "strong")
	m.wants("name/a/b/x at 192.0.2.1", "explicit")
	m.wants("other/a/b/x at 192.0.2.1", "bound")
	m.wants("name/a/x at 192.0.2.1", "bound")
	m.wants("name/a/x", "weak")
	m.wants("name/x at 192.0.2.1", "weak")
}

// An address in a prefix is where the connection arrives, not what the client asks for.
func TestMatchIPBound(t *testing.T) {
	m := given(t,
		"register http://192.0.2.1:80/ as four",
		"register http://[2001:db8::1]:80/ as six")
	m.wants("anything/ at 192.0.2.1", "four")
	m.wants("/ at 192.0.2.1", "four") // HTTP/1.0 without Host
	m.wants("anything/ at ::ffff:192.0.2.1", "four")
	m.wants("anything/ at 2001:db8::1", "six")
	m.wants("anything/ at 2001:db8::1%eth0", "six")
	m.wants("192.0.2.1/", "no host")
	m.wants("[2001:db8::1]/", "no host")
	if _, o := m.Match(HTTP, 80, []byte("192.0.2.1"), netip.Addr{}, []byte("/")); o != NoHost {
		t.Errorf("without a local address: %v", o)
	}
}

func TestMatchNames(t *testing.T) {
	m := given(t, "register http://www.example.com:80/ as app", "register http://xn--bcher-kva.example:80/ as books")
	for _, host := range []string{"www.example.com", "WWW.Example.COM", "www.example.com.", "www.example.com:80",
		"www.example.com:8080", "www.example.com.:80", "www.example.com:"} {
		m.wants(host+"/", "app")
	}
	m.wants("XN--BCHER-KVA.example/", "books")
	for _, host := range []string{"", ":80", ".", "example.com", "www.example.com..", ".www.example.com", "www.example.co",
		"www.example.com.au", "www_example_com", "bücher.example", "+", "*", "[::1]", "www.example.com%00",
		strings.Repeat("a", 300), strings.Repeat("A", 300)} {
		m.wants(host+"/", "no host")
	}
}

// The cases of RequestTests.Request_MultiplePrefixes in the tests of ASP.NET's HTTP.SYS server, and their like.
func TestMatchSegments(t *testing.T) {
	m := given(t,
		"register http://+:80/ as root",
		"register http://+:80/11/ as 11",
		"register http://+:80/2/ as 2",
		"register http://+:80/2/3/ as 2/3")
	for path, who := range map[string]string{
		"/": "root", "/x": "root", "/1": "root", "/111": "root", "/1/1": "root", "//": "root", "//11/": "root",
		"/11": "11", "/11/": "11", "/11/x": "11", "/11//": "11", "/11/../11/x": "11", "/x/../11": "11",
		"/2": "2", "/2/": "2", "/2/x": "2", "/2/33": "2", "/2//3": "2", "/2/x/3": "2",
		"/2/3": "2/3", "/2/3/": "2/3", "/2/3/x": "2/3", "/2/3/x/y/z": "2/3", `/2\3`: "2/3",
		"/2%2F3": "root", "/2/..%2F11": "2",
	} {
		m.wants("host"+path, who)
	}
}

func TestMatchIgnoresCase(t *testing.T) {
	m := given(t,
		"register http://+:80/App/Straße/ as de",
		"register http://+:80/%C3%89t%C3%A9/ as fr",
		"register http://+:80/"+strings.Repeat("Ж", MaxSegmentLength)+"/ as long")
	m.wants("host/app/straße/", "de")
	m.wants("host/APP/STRAẞE", "de")
	m.wants("host/APP/STRA%E1%BA%9EE/x", "de")
	m.wants("host/app/strasse/", "no path")
	m.wants("host/été", "fr")
	m.wants("host/ÉTÉ/", "fr")
	m.wants("host/"+strings.Repeat("ж", MaxSegmentLength), "long")
	m.wants("host/"+strings.Repeat("ж", MaxSegmentLength+1), "no path")
	m.wants("host/"+strings.Repeat("Ж", 5000), "no path")
}

// Paths that Canonical would not return match something or nothing, and do no harm.
func TestMatchOddPaths(t *testing.T) {
	m := given(t, "register http://+:80/app/ as app", "register http://+:80/\uFFFD/ as replacement")
	for path, want := range map[string]Outcome{"": NoPath, "app/": NoPath, "/\xFF": NoPath, "/App\xFF/": NoPath,
		"/\xE8\x91": NoPath, "\x00": NoPath, "/app/\xFF": Matched} {
		if v, o := m.Match(HTTP, 80, nil, netip.Addr{}, []byte(path)); o != want {
			t.Errorf("%q: %q, %v", path, v, o)
		}
	}
}

// No prefix accepts the host: 400. Some does, and none the path: 404.
func TestNoHostAndNoPath(t *testing.T) {
	m := given(t)
	m.wants("host/", "no host")

	m = given(t, "register http://a:80/app/ as app")
	m.wants("a/", "no path")
	m.wants("a/ap", "no path")
	m.wants("b/app/", "no host")
	for _, tt := range []struct {
		s    Scheme
		port uint16
	}{{HTTPS, 80}, {HTTP, 81}, {HTTP, 0}} {
		if _, o := m.Match(tt.s, tt.port, []byte("a"), netip.Addr{}, []byte("/app/")); o != NoHost {
			t.Errorf("%v on port %d: %v", tt.s, tt.port, o)
		}
	}

	for _, any := range []string{"+", "*", "198.51.100.1"} {
		m = given(t, "register http://"+any+":80/app/ as app")
		m.wants("b/x", "no path")
	}

	// A reservation alone makes no host known; machines have some for "+" from the start.
	m = given(t, "reserve http://+:80/Temporary_Listen_Addresses/ for everyone", "register http://a:80/app/ as app")
	m.wants("b/", "no host")
	m.wants("a/", "no path")
	m.Unregister(mustParse(t, "http://a:80/app/"))
	m.wants("a/", "no host")
}

// A reservation that is the best match keeps requests from weaker buckets and shorter prefixes.
func TestReservationBlocks(t *testing.T) {
	m := given(t,
		"register http://*:80/ as weak",
		"register http://+:80/app/ as app",
		"reserve http://+:80/app/sub/ for alice",
		"reserve http://+:80/mine/ for alice",
		"reserve http://name:80/ for bob")
	m.wants("host/app/x", "app")
	m.wants("host/app/sub", "reserved")
	m.wants("host/app/sub/x", "reserved")
	m.wants("host/mine/", "reserved")
	m.wants("name/x", "reserved")
	m.wants("name/app/x", "app")
	m.wants("host/x", "weak")

	// Who it is for registers, and gets them. What is registered deeper does not lift the block above.
	if err := m.Register(mustParse(t, "http://+:80/app/sub/deep/"), "deep"); err != nil {
		t.Fatal(err)
	}
	m.wants("host/app/sub/deep/x", "deep")
	m.wants("host/app/sub/x", "reserved")
	if err := m.Register(mustParse(t, "http://+:80/App/Sub/"), "sub"); err != nil {
		t.Fatal(err)
	}
	m.wants("host/app/sub/x", "sub")
	m.Unregister(mustParse(t, "http://+:80/app/sub/"))
	m.wants("host/app/sub/x", "reserved")
	m.Unreserve(mustParse(t, "http://+:80/app/sub/"))
	m.wants("host/app/sub/x", "app")
	m.wants("host/app/sub/deep/x", "deep")
}

// The truth table of HTTP.SYS's documentation of reservations. Here the table finds who decides; whether that
// allows it is what a daemon asks next.
func TestWhoDecides(t *testing.T) {
	m := given(t,
		"reserve https://+:80/vroot/subdir/ for A,C",
		"reserve https://adatum.com:80/vroot/ for B")
	for _, tt := range []struct{ what, url, who string }{
		{"register", "https://+:80/vroot/subdir/", "A,C"},
		{"register", "https://adatum.com:80/vroot/subdir/", "B"}, // the strong wildcard gives no right here
		{"register", "https://adatum.com:80/vroot/anotherdir/", "B"},
		{"register", "https://adatum.com:80/vroot/", "B"},
		{"register", "https://adatum.com:80/newroot/", "administrator"},
		{"register", "https://ADATUM.com:80/VROOT/x/", "B"},
		{"register", "https://+:80/vroot/", "administrator"},
		{"register", "https://*:80/vroot/subdir/", "administrator"},
		{"register", "https://+:81/vroot/subdir/", "administrator"},
		{"register", "http://+:80/vroot/subdir/", "administrator"},
		{"reserve", "https://adatum.com:80/vroot/subdir/otherdir/", "B"},
		{"reserve", "https://adatum.com:80/vroot/", "administrator"},
		{"reserve", "https://adatum.com:80/newroot/", "administrator"},
		{"reserve", "https://+:80/vroot/subdir/", "administrator"},
		{"reserve", "https://+:80/vroot/subdir/x/y/z/", "A,C"},
	} {
		at, who, ok := m.Reservation(mustParse(t, tt.url))
		if tt.what == "reserve" {
			at, who, ok = m.Parent(mustParse(t, tt.url))
		}
		if !ok {
			who = "administrator"
		}
		if who != tt.who || ok != (at != Prefix{}) {
			t.Errorf("%s may %s %s (by %s), want %s", who, tt.what, tt.url, at, tt.who)
		}
	}
	if err := m.Reserve(mustParse(t, "https://+:80/vroot/subdir/"), "D"); !errors.Is(err, ErrExists) {
		t.Errorf("the same again: %v", err)
	}

	// The longest decides, and Parent leaves out the equal one.
	m = given(t, "reserve http://+:80/ for root", "reserve http://+:80/A/ for a", "reserve http://+:80/a/b/c/ for c")
	for url, want := range map[string]string{
		"http://+:80/":         "http://+:80/ root, ",
		"http://+:80/a/":       "http://+:80/A/ a, http://+:80/ root",
		"http://+:80/a/b/":     "http://+:80/A/ a, http://+:80/A/ a",
		"http://+:80/a/b/c/":   "http://+:80/a/b/c/ c, http://+:80/A/ a",
		"http://+:80/A/B/C/d/": "http://+:80/a/b/c/ c, http://+:80/a/b/c/ c",
		"http://+:80/x/":       "http://+:80/ root, http://+:80/ root",
	} {
		at, who, _ := m.Reservation(mustParse(t, url))
		got := fmt.Sprintf("%s %s, ", at, who)
		if at, who, ok := m.Parent(mustParse(t, url)); ok {
			got += fmt.Sprintf("%s %s", at, who)
		}
		if got != want {
			t.Errorf("%s: %s; want %s", url, got, want)
		}
	}
}

func TestConflicts(t *testing.T) {
	m := given(t, "register http://+:80/app/ as app", "reserve https://+:443/ for alice")
	for _, tt := range []struct {
		op, url string
		want    error
	}{
		{"register", "http://+:80/app/", ErrExists},
		{"register", "http://+:80/APP/", ErrExists},
		{"register", "https://+:80/", ErrSchemeConflict},
		{"reserve", "https://name:80/x/", ErrSchemeConflict},
		{"register", "http://+:443/", ErrSchemeConflict}, // a reservation holds a port to its scheme too
		{"reserve", "http://+:443/", ErrSchemeConflict},
		{"reserve", "https://+:443/", ErrExists},
		{"register", "http://+:0/", ErrNoPort},
		{"reserve", "http://+:0/", ErrNoPort},

		{"reserve", "http://+:80/app/", nil},
		{"register", "https://+:443/", nil},
		{"register", "http://*:80/app/", nil}, // the same in another bucket
		{"register", "http://name:80/app/", nil},
		{"register", "http://127.0.0.1:80/app/", nil},
	} {
		p := mustParse(t, tt.url)
		var err error
		if tt.op == "register" {
			err = m.Register(p, "new")
		} else {
			err = m.Reserve(p, "new")
		}
		if !errors.Is(err, tt.want) {
			t.Errorf("%s %s: %v, want %v", tt.op, tt.url, err, tt.want)
		}
		var te *Error
		if err != nil && (!errors.As(err, &te) || te.Op != tt.op || te.Prefix != p) {
			t.Errorf("%s %s: error %#v", tt.op, tt.url, err)
		}
	}
	if v, ok := m.Registration(mustParse(t, "http://+:80/App/")); v != "app" || !ok {
		t.Errorf("a failure changed the registration: %q, %v", v, ok)
	}
	err := m.Register(mustParse(t, "https://+:80/"), "")
	if want := "register https://+:80/: the port is in use with another scheme"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}

	// When the last one on a port is gone, so is its scheme.
	m = given(t, "register http://+:80/ as app", "reserve http://+:80/ for alice")
	https := mustParse(t, "https://+:80/")
	m.Unregister(mustParse(t, "http://+:80/"))
	if err := m.Register(https, ""); !errors.Is(err, ErrSchemeConflict) {
		t.Errorf("beside a reservation: %v", err)
	}
	m.Unreserve(mustParse(t, "http://+:80/"))
	if err := m.Register(https, ""); err != nil {
		t.Error(err)
	}
}

func TestRemove(t *testing.T) {
	m := given(t, "register http://+:80/a/ as a", "register http://+:80/a/b/ as b", "reserve http://+:80/a/ for alice")
	for _, url := range []string{"http://+:80/", "http://+:80/a/b/c/", "http://*:80/a/", "http://+:81/a/",
		"https://+:80/a/", "http://name:80/a/", "http://192.0.2.1:80/a/", "http://+:0/a/"} {
		p := mustParse(t, url)
		if v, ok := m.Unregister(p); ok || v != "" {
			t.Errorf("removed %s: %q", url, v)
		}
		if v, ok := m.Unreserve(p); ok || v != "" {
			t.Errorf("removed the reservation of %s: %q", url, v)
		}
		if v, ok := m.Registration(p); ok || v != "" {
			t.Errorf("%s is registered: %q", url, v)
		}
	}
	if v, ok := m.Unregister(mustParse(t, "http://+:80/A/")); !ok || v != "a" {
		t.Errorf("got %q, %v", v, ok)
	}
	m.wants("host/a/", "reserved")
	m.wants("host/a/b", "b")
	if r, ok := m.Unreserve(mustParse(t, "http://+:80/A/")); !ok || r != "alice" {
		t.Errorf("got %q, %v", r, ok)
	}
	m.wants("host/a/", "no path")
}

func TestPorts(t *testing.T) {
	m := given(t)
	ports := func() string { return strings.Trim(fmt.Sprintf("%+v", m.Ports()), "[]") }
	steps := []struct{ do, url, want string }{
		{"reserve", "http://+:80/", ""},
		{"register", "http://localhost:80/", "{Number:80 Scheme:http Registrations:1 LoopbackOnly:true}"},
		{"register", "http://127.0.0.1:80/a/", "{Number:80 Scheme:http Registrations:2 LoopbackOnly:true}"},
		{"register", "http://+:80/a/", "{Number:80 Scheme:http Registrations:3 LoopbackOnly:false}"},
		{"register", "https://+:79/", "{Number:79 Scheme:https Registrations:1 LoopbackOnly:false} " +
			"{Number:80 Scheme:http Registrations:3 LoopbackOnly:false}"},
		{"unregister", "https://+:79/", "{Number:80 Scheme:http Registrations:3 LoopbackOnly:false}"},
		{"unregister", "http://+:80/A/", "{Number:80 Scheme:http Registrations:2 LoopbackOnly:true}"},
		{"unregister", "http://LOCALHOST:80/", "{Number:80 Scheme:http Registrations:1 LoopbackOnly:true}"},
		{"unregister", "http://127.0.0.1:80/a/", ""},
	}
	for _, s := range steps {
		p := mustParse(t, s.url)
		switch s.do {
		case "register":
			m.Register(p, "")
		case "reserve":
			m.Reserve(p, "")
		case "unregister":
			m.Unregister(p)
		}
		if got := ports(); got != s.want {
			t.Errorf("%s %s: ports are %s, want %s", s.do, s.url, got, s.want)
		}
		for _, want := range m.Ports() {
			if got, ok := m.Port(want.Number); !ok || got != want {
				t.Errorf("Port(%d) = %+v, %v", want.Number, got, ok)
			}
		}
	}
	if p, ok := m.Port(80); ok {
		t.Errorf("port 80 is %+v", p)
	}
	if p, ok := new(Table[int, int]).Port(80); ok {
		t.Errorf("port 80 of an empty table is %+v", p)
	}
}

// Lists are in the order of port, bucket, host and path, and in the spelling they were entered in.
func TestLists(t *testing.T) {
	want := []string{
		"http://+:80/", "http://+:80/App/", "http://+:80/App/Sub/", "http://+:80/b/",
		"http://a.example:80/", "http://b.example:80/",
		"http://127.0.0.1:80/", "http://[::1]:80/",
		"http://*:80/",
		"https://+:443/", "http://+:8080/",
	}
	backward := slices.Clone(want)
	slices.Reverse(backward)
	for _, order := range [][]string{want, backward} {
		m := &machine{T: t}
		for _, url := range order {
			m.Register(mustParse(t, url), "v of "+url)
			m.Reserve(mustParse(t, strings.ToLower(url)), "r of "+url)
		}
		var regs, ress []string
		for p, v := range m.Registrations() {
			regs = append(regs, p.String())
			if v != "v of "+p.String() {
				t.Errorf("%s: %s", p, v)
			}
		}
		for p := range m.Reservations() {
			ress = append(ress, p.String())
		}
		if !slices.Equal(regs, want) {
			t.Errorf("got  %q\nwant %q", regs, want)
		}
		if len(ress) != len(want) || !slices.Contains(ress, "http://+:80/app/sub/") {
			t.Errorf("got %q", ress)
		}
	}
	m := given(t, "register http://+:80/ as a", "register http://+:80/b/ as b")
	for p := range m.Registrations() {
		m.Unregister(p) // a list is of one moment, and may be left early
		break
	}
	m.wants("host/x", "no path")
	for range new(Table[int, int]).Reservations() {
		t.Error("an empty table has a reservation")
	}
}

// Readers see one state of the table: while a prefix moves between buckets, or up and down a path, and is never
// gone, every request finds it. Run with -race this also shows that nobody writes to what is read.
func TestReadersSeeOneState(t *testing.T) {
	var table Table[int, int]
	urls := []string{"http://+:80/a/", "http://*:80/", "http://name:80/a/b/c/", "http://+:80/", "http://192.0.2.1:80/a/b/"}
	var ring []Prefix
	for _, url := range urls {
		ring = append(ring, mustParse(t, url))
	}
	for i := range 1000 { // others, so that the tree has some depth
		if err := table.Register(mustParse(t, fmt.Sprintf("http://+:80/x%d/", i)), -1); err != nil {
			t.Fatal(err)
		}
	}
	table.Register(ring[0], 0)

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			local := netip.MustParseAddr("192.0.2.1")
			for {
				select {
				case <-done:
					return
				default:
				}
				if v, o := table.Match(HTTP, 80, []byte("Name:80"), local, []byte("/a/b/c/d")); o != Matched || v < 0 {
					t.Errorf("Match returned %d, %v", v, o)
					return
				}
				if p, ok := table.Port(80); !ok || p.Registrations < 1001 || p.Registrations > 1002 {
					t.Errorf("port is %+v", p)
					return
				}
			}
		})
	}
	for i := range 3000 {
		from, to := ring[i%len(ring)], ring[(i+1)%len(ring)]
		if err := table.Register(to, i+1); err != nil {
			t.Error(err)
		}
		if v, ok := table.Unregister(from); !ok || v != i {
			t.Errorf("%s was %d, %v; want %d", from, v, ok, i)
		}
	}
	close(done)
	readers.Wait()
}

func TestMatchAllocatesNothing(t *testing.T) {
	var table Table[*int, *int]
	for _, url := range []string{"http://+:80/strong/", "http://www.example.com:80/app/sub/", "http://192.0.2.1:80/bound/",
		"http://*:80/weak/", "http://*:80/%C3%A9t%C3%A9/", "http://a-name-that-does-not-fit-into-one-node.example:80/"} {
		if err := table.Register(mustParse(t, url), new(int)); err != nil {
			t.Fatal(err)
		}
	}
	table.Reserve(mustParse(t, "http://*:80/reserved/"), new(int))
	local := netip.MustParseAddr("::ffff:192.0.2.1")
	for _, tt := range []struct {
		host, path string
		want       Outcome
	}{
		{"x", "/strong/", Matched},
		{"www.example.com", "/app/sub/x", Matched},
		{"WWW.Example.Com.:80", "/APP/Sub", Matched},
		{"a-name-that-does-not-fit-into-one-node.example", "/", Matched},
		{"x", "/bound", Matched},
		{"x", "/weak/x/y", Matched},
		{"x", "/ÉTÉ/", Matched},
		{"x", "/reserved/", Reserved},
		{strings.Repeat("X", 300), "/none", NoPath},
		{"x", "/none/" + strings.Repeat("/", 5000), NoPath},
		{"x", "/" + strings.Repeat("É", 5000), NoPath},
	} {
		host, path := []byte(tt.host), []byte(tt.path)
		n := testing.AllocsPerRun(100, func() {
			if _, o := table.Match(HTTP, 80, host, local, path); o != tt.want {
				t.Errorf("%s%.20s: %v, want %v", host, path, o, tt.want)
			}
		})
		if n != 0 {
			t.Errorf("%s%.20s: %v allocations", host, path, n)
		}
	}
}

// A prefix takes some hundred bytes, not more the more there are: old states are not kept.
func TestMemoryPerPrefix(t *testing.T) {
	for _, l := range loads {
		const count, bound = 5000, 700
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		table := l.fill(t, count)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / count; each > bound {
			t.Errorf("%s: %d bytes for each of %d prefixes", l.name, each, count)
		}
		runtime.KeepAlive(table)
	}
}
